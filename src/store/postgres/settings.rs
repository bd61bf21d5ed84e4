//! Settings of the database: the target's own win, the source's fill the rest.

use std::collections::BTreeMap;

use serde_json::Value;

use super::connect::Session;
use super::database::{self, Setting};
use super::quote::{ident, literal};
use super::reason::OrPostgres;
use super::target::Target;
use crate::error::Result;

/// Parameters whose stored value is a list of identifiers, quoted where need be, not one text
/// (`GUC_LIST_QUOTE`; pg_dump's `variable_is_guc_list_quote` has the same list).
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

impl Target {
    /// Gives the new database the settings, the connection limit and the comment of the live
    /// one; settings that only the source has (`database`, its `database.json`) are added.
    /// A role that the target does not know, or a setting that it refuses, becomes a remark.
    ///
    /// # Errors
    ///
    /// Exit 1 or 12 if the live database cannot be read.
    pub async fn apply_settings(&self, database: &Value) -> Result<()> {
        let state = super::swap::state(&self.endpoint).await?;
        let live = match state.live {
            Some(_) => Some(database::read(&self.live().await?).await?),
            None => None,
        };
        let mut wanted: BTreeMap<(Option<String>, String), String> = BTreeMap::new();
        for source in [Some(database), live.as_ref()].into_iter().flatten() {
            for Setting { role, name, value } in database::settings(source) {
                wanted.insert((role, name), value);
            }
        }
        let session = self.login_session().await?;
        let statements = self.setting_statements(&session, wanted).await?;
        self.run_each(&session, &statements, "a setting of the database").await?;

        let base = live.as_ref().unwrap_or(database);
        let mut properties = Vec::new();
        let new = ident(&self.names.new);
        if let Some(limit) = base["connection_limit"].as_i64().filter(|limit| *limit >= 0) {
            properties.push(format!("ALTER DATABASE {new} CONNECTION LIMIT {limit}"));
        }
        if let Some(comment) = base["comment"].as_str() {
            properties.push(format!("COMMENT ON DATABASE {new} IS {}", literal(comment)));
        }
        self.run_each(&session, &properties, "a property of the database").await?;
        for name in database["withheld"].as_array().into_iter().flatten() {
            if let Some(name) = name.as_str() {
                self.remark(format!("the snapshot does not tell the value of the setting {name}"));
            }
        }
        Ok(())
    }

    async fn live(&self) -> Result<Session> {
        Session::open(&self.endpoint, None).await
    }

    async fn setting_statements(
        &self,
        session: &Session,
        wanted: BTreeMap<(Option<String>, String), String>,
    ) -> Result<Vec<String>> {
        let known = session
            .query("SELECT rolname::text FROM pg_catalog.pg_roles", &[])
            .await
            .or_postgres(|| "the target's roles cannot be listed")?;
        let known: Vec<String> = known.iter().map(|row| row.get(0)).collect();
        let new = ident(&self.names.new);
        let mut statements = Vec::new();
        for ((role, name), value) in wanted {
            let on = match role {
                None => format!("ALTER DATABASE {new}"),
                Some(role) if known.contains(&role) => {
                    format!("ALTER ROLE {} IN DATABASE {new}", ident(&role))
                }
                Some(role) => {
                    self.remark(format!(
                        "the setting {name} of the role {role} is left out: no such role here"
                    ));
                    continue;
                }
            };
            statements.push(format!("{on} SET {} TO {}", parameter(&name), stored(&name, &value)));
        }
        Ok(statements)
    }
}

/// A parameter's name; `a.b` is two identifiers.
fn parameter(name: &str) -> String {
    name.split('.').map(ident).collect::<Vec<_>>().join(".")
}

/// A stored value as `SET` takes it.
fn stored(name: &str, value: &str) -> String {
    if !LISTS.contains(&name.to_ascii_lowercase().as_str()) {
        return literal(value);
    }
    let items = identifiers(value);
    if items.is_empty() {
        return "''".to_owned();
    }
    items.iter().map(|item| literal(item)).collect::<Vec<_>>().join(", ")
}

/// Splits `"$user", public`.
fn identifiers(list: &str) -> Vec<String> {
    let mut items = Vec::new();
    let mut characters = list.chars().peekable();
    loop {
        while characters.next_if(|c| c.is_whitespace() || *c == ',').is_some() {}
        let mut item = String::new();
        if characters.next_if_eq(&'"').is_some() {
            while let Some(character) = characters.next() {
                if character == '"' && characters.next_if_eq(&'"').is_none() {
                    break;
                }
                item.push(character);
            }
        } else {
            while let Some(c) = characters.next_if(|c| *c != ',' && !c.is_whitespace()) {
                item.push(c);
            }
            if item.is_empty() {
                return items;
            }
        }
        items.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_taken_apart_and_texts_are_not() {
        assert_eq!(identifiers("\"$user\", public, \"a\"\"b\""), ["$user", "public", "a\"b"]);
        assert_eq!(stored("search_path", "\"$user\", public"), "'$user', 'public'");
        assert_eq!(stored("search_path", ""), "''");
        assert_eq!(stored("work_mem", "1, 2"), "'1, 2'");
        assert_eq!(parameter("app.tenant"), "\"app\".\"tenant\"");
    }
}
