//! The database itself: locale, limits, settings and grants, as `database.json` keeps them.

use serde_json::{Map, Value, json};

use super::archive::{self, WITHHELD_MIN, Withheld};
use super::connect::Session;
use super::reason::OrPostgres;
use super::source::Source;
use crate::error::{Error, OrFail, Result};
use crate::store::credentials;

const DATABASE: &str = include_str!("../../../sql/catalog/database.sql");

impl Source {
    /// The settings of the database, for `database.json`: `name owner encoding collate ctype
    /// provider locale icu_rules connection_limit tablespace comment public_schema`, `settings`
    /// (a list of `{role, setting, value}`), `grants` (`{grantee, privilege, grantable}`),
    /// `materialized_views` (`{schema, name, populated}`) and `withheld`.
    ///
    /// Settings that the application made up (`app.jwt_secret`: any name with a dot) often are
    /// secrets: their values are not told, their names are listed under `withheld`.
    ///
    /// # Errors
    ///
    /// Exit 1 or 12 if the catalog cannot be read.
    pub async fn database_json(&self) -> Result<Value> {
        let mut database = read(self.keeper()).await?;
        withhold_custom_settings(&mut database);
        self.add_materialized_views(&mut database);
        Ok(database)
    }

    /// Names and values of the settings that [`database_json`](Self::database_json) withholds, to
    /// prove that nothing else tells them.
    ///
    /// # Errors
    ///
    /// Exit 1 or 12 if the catalog cannot be read.
    pub async fn withheld_settings(&self) -> Result<Vec<Withheld>> {
        let database = read(self.keeper()).await?;
        let (names, values): (Vec<String>, Vec<String>) = settings(&database)
            .into_iter()
            .filter(is_withheld)
            .map(|setting| (setting.name, setting.value))
            .unzip();
        let query = "SELECT pg_catalog.convert_to(u.value, pg_catalog.getdatabaseencoding()) \
                     FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY u (value, position) \
                     ORDER BY u.position";
        let failed = || "the database's settings cannot be read";
        let rows = self.keeper().query(query, &[&values]).await.or_postgres(failed)?;
        let withheld =
            |(name, row): (String, &tokio_postgres::Row)| Withheld { name, value: row.get(0) };
        Ok(names.into_iter().zip(&rows).map(withheld).collect())
    }

    /// As [`database_json`](Self::database_json), which must tell neither a credential nor what it
    /// withholds in another place.
    ///
    /// # Errors
    ///
    /// Exit 4 if it does; exit 1 or 12 if the catalog cannot be read.
    pub async fn cleared_database_json(&self) -> Result<Value> {
        let all = settings(&read(self.keeper()).await?);
        let database = self.database_json().await?;
        refuse_told(&database, &all)?;
        Ok(database)
    }

    /// As [`database_json`](Self::database_json), with the values of all settings: for a backup
    /// that never leaves its own class.
    ///
    /// # Errors
    ///
    /// Exit 1 or 12 if the catalog cannot be read.
    pub async fn database_json_with_custom_settings(&self) -> Result<Value> {
        let mut database = read(self.keeper()).await?;
        self.add_materialized_views(&mut database);
        Ok(database)
    }

    fn add_materialized_views(&self, database: &mut Value) {
        let views: Vec<Value> = self
            .catalog()
            .materialized_views
            .iter()
            .map(|view| {
                json!({ "schema": view.schema, "name": view.name, "populated": view.populated })
            })
            .collect();
        database["materialized_views"] = Value::Array(views);
    }
}

/// Reads the database that the session is in.
pub(super) async fn read(session: &Session) -> Result<Value> {
    let failed = || "the database's settings cannot be read";
    let row = session.query_one(DATABASE, &[]).await.or_postgres(failed)?;
    let parse = |column: &str| -> Result<Value> {
        serde_json::from_str(row.get::<_, &str>(column)).or_fail(failed)
    };
    let mut database = parse("properties")?;
    database["settings"] = parse("settings")?;
    database["grants"] = parse("grants")?;
    Ok(database)
}

/// Fails if a text of `database.json` is a credential, or the value of a setting that it withholds.
fn refuse_told(database: &Value, settings: &[Setting]) -> Result<()> {
    let comment = database["comment"].as_str().unwrap_or_default();
    if credentials::in_text(comment) {
        return Err(Error::findings(
            "the schema holds credentials that no rule can mask: the comment on the database",
        )
        .hint("take them out of there: COMMENT ON DATABASE … IS NULL"));
    }
    let mut texts = vec![("the comment on the database".to_owned(), comment)];
    for told in database["settings"].as_array().into_iter().flatten() {
        let name = told["setting"].as_str().unwrap_or_default();
        texts.push((format!("the setting {name}"), told["value"].as_str().unwrap_or_default()));
    }
    for setting in settings.iter().filter(|setting| is_withheld(setting)) {
        let long = setting.value.len() >= WITHHELD_MIN;
        let told = texts.iter().find(|(_, text)| long && text.contains(&setting.value));
        if let Some((place, _)) = told {
            return Err(archive::refused(&setting.name, place));
        }
    }
    Ok(())
}

/// Settings that the application made up, and those that look like credentials.
fn is_withheld(setting: &Setting) -> bool {
    setting.name.contains('.')
        || credentials::is_secret_name(&setting.name)
        || credentials::in_text(&setting.value)
}

fn withhold_custom_settings(database: &mut Value) {
    let withheld: Vec<String> = settings(database)
        .iter()
        .filter(|setting| is_withheld(setting))
        .map(|setting| setting.name.clone())
        .collect();
    if let Some(settings) = database["settings"].as_array_mut() {
        settings.retain(|setting| {
            let name = setting["setting"].as_str().unwrap_or_default();
            !withheld.iter().any(|withheld| withheld == name)
        });
    }
    if !withheld.is_empty() {
        database["withheld"] = withheld.into();
    }
}

/// What `CREATE DATABASE` needs to know, out of `database.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Locale {
    /// Server encoding.
    pub encoding: String,
    /// `lc_collate`.
    pub collate: String,
    /// `lc_ctype`.
    pub ctype: String,
    /// `c` libc, `i` ICU, `b` built in.
    pub provider: char,
    /// Locale of the ICU or built-in provider.
    pub locale: Option<String>,
    /// Extra ICU rules (16 and later).
    pub icu_rules: Option<String>,
}

impl Locale {
    /// Out of `database.json`.
    ///
    /// # Errors
    ///
    /// Exit 1 if the document is not one that [`Source::database_json`] writes.
    pub fn from_json(database: &Value) -> Result<Self> {
        let object = database.as_object().ok_or_else(malformed)?;
        let required = |key: &str| text(object, key).ok_or_else(malformed);
        Ok(Self {
            encoding: required("encoding")?,
            collate: required("collate")?,
            ctype: required("ctype")?,
            provider: text(object, "provider").and_then(|p| p.chars().next()).unwrap_or('c'),
            locale: text(object, "locale"),
            icu_rules: text(object, "icu_rules"),
        })
    }
}

fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn malformed() -> Error {
    Error::failed("postgres/database.json of the snapshot does not describe a database")
}

/// A setting of a database, for everyone or for a role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    /// The role it is for; `None` is everyone.
    pub role: Option<String>,
    /// The parameter's name.
    pub name: String,
    /// Its value, as `pg_db_role_setting` stores it.
    pub value: String,
}

/// The settings in `database.json`.
pub(super) fn settings(database: &Value) -> Vec<Setting> {
    let list = database["settings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let setting = |value: &Value| {
        let object = value.as_object()?;
        Some(Setting {
            role: text(object, "role"),
            name: text(object, "setting")?,
            value: text(object, "value")?,
        })
    };
    list.iter().filter_map(setting).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_made_up_settings_are_withheld() {
        let mut database = json!({ "settings": [
            { "role": null, "setting": "app.jwt_secret", "value": "s3cret" },
            { "role": null, "setting": "work_mem", "value": "64MB" },
            { "role": "app", "setting": "primary_conninfo", "value": "host=a password=s3cret" },
        ]});
        withhold_custom_settings(&mut database);
        assert_eq!(database["withheld"], json!(["app.jwt_secret", "primary_conninfo"]));
        assert!(!database.to_string().contains("s3cret"));
        let secret = |value: &str| {
            let name = "app.x".to_owned();
            [Setting { role: None, name, value: value.to_owned() }]
        };
        database["comment"] = json!("the key is s3cret-0815");
        let told = refuse_told(&database, &secret("s3cret-0815")).unwrap_err();
        assert!(told.message().contains("comment") && !told.message().contains("s3cret"), "{told}");
        assert!(refuse_told(&database, &secret("another-value")).is_ok());
        database["comment"] = json!("see https://a:s3cret@wiki/x");
        assert!(refuse_told(&database, &[]).is_err());
        assert_eq!(settings(&database).len(), 1);
    }
}
