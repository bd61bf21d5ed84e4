//! Grants of the live database, given again in the new one to objects of the same name.

use std::collections::{BTreeMap, HashSet};

use tokio_postgres::Row;

use super::connect::Session;
use super::quote::ident;
use super::reason::OrPostgres;
use super::target::Target;
use crate::error::{Error, Result};

/// How many statements are sent at a time.
const BATCH: usize = 100;

/// What a grant is on: kind and identity as SQL writes them, and a column of it.
type Object = (String, String, Option<String>);

/// Who is granted what on an object: (grantee, with grant option) and the privileges.
type Grants = BTreeMap<(String, bool), Vec<String>>;

/// A default privilege.
struct Default {
    owner: String,
    schema: Option<String>,
    kind: String,
    grantee: String,
    privilege: String,
    grantable: bool,
}

impl Target {
    /// Gives the grants of the live database again, by name: on the database, schemas, tables
    /// and their columns, views, sequences, routines and types; and the default privileges. An
    /// object that the live database does not have gets what its default privileges say. What
    /// was implied by owning an object becomes an explicit grant to the former owner.
    ///
    /// Where there is no live database nothing happens. What the server refuses becomes a
    /// remark.
    ///
    /// # Errors
    ///
    /// Exit 1 or 12 if one of the databases cannot be read.
    pub async fn apply_grants_of_live(&self) -> Result<()> {
        let state = super::swap::state(&self.endpoint).await?;
        if state.live.is_none() {
            return Ok(());
        }
        let live = Session::open(&self.endpoint, None).await?;
        let before = grants(&live).await?;
        let defaults = defaults(&live).await?;
        let new = self.session().await?;
        let (objects, places) = objects(&new).await?;
        let owner = ident(self.role().unwrap_or(&self.endpoint.username));

        let mut statements = Vec::new();
        for (object, grants) in &before {
            let database = object.0 == "DATABASE";
            if database || objects.contains(object) {
                let name = if database { ident(&self.names.new) } else { object.1.clone() };
                restate(object, &name, grants, &owner, &mut statements);
            }
        }
        for (object, schema) in places {
            if object.2.is_none() && !before.contains_key(&object) {
                by_default(&object, &schema, &defaults, &mut statements);
            }
        }
        self.run_each(&new, &statements, "a grant").await?;
        let statements = defaults_again(&defaults);
        self.run_each(&self.login_session().await?, &statements, "a default privilege").await
    }

    /// Runs statements in batches; where a batch fails, one by one, and what fails is remarked.
    pub(super) async fn run_each(
        &self,
        session: &Session,
        statements: &[String],
        what: &str,
    ) -> Result<()> {
        let mut refused = 0_u64;
        for batch in statements.chunks(BATCH) {
            if session.batch_execute(&batch.join(";")).await.is_ok() {
                continue;
            }
            for statement in batch {
                let done = session.batch_execute(statement).await;
                let Err(error) = done.or_postgres(|| format!("{what} was refused")) else {
                    continue;
                };
                if error.kind() == crate::error::Kind::Unreachable {
                    return Err(error);
                }
                refused += 1;
                self.remark_refusal(&error, statement, refused);
            }
        }
        if refused > 0 {
            self.remark(format!("{what} was refused {refused} times"));
        }
        Ok(())
    }

    /// The first few are told; thousands would drown everything else.
    fn remark_refusal(&self, error: &Error, statement: &str, number: u64) {
        if number <= 10 {
            self.remark(format!("{error}: {statement}"));
        }
    }
}

async fn grants(session: &Session) -> Result<BTreeMap<Object, Grants>> {
    let query = include_str!("../../../sql/catalog/grants.sql");
    let rows = session
        .query(query, &[])
        .await
        .or_postgres(|| "the grants of the live database cannot be read")?;
    let mut found: BTreeMap<Object, Grants> = BTreeMap::new();
    for row in &rows {
        let grants = found.entry(object(row)).or_default();
        // An object without a single grant still says that PUBLIC has none.
        let Some(grantee) = row.get::<_, Option<String>>("grantee") else { continue };
        let Some(privilege) = row.get::<_, Option<String>>("privilege") else { continue };
        let grantable = row.get::<_, Option<bool>>("grantable").unwrap_or_default();
        grants.entry((grantee, grantable)).or_default().push(privilege);
    }
    Ok(found)
}

fn object(row: &Row) -> Object {
    (row.get("kind"), row.get("identity"), row.get("part"))
}

/// What is in the new database, and in which schema each is.
async fn objects(session: &Session) -> Result<(HashSet<Object>, Vec<(Object, String)>)> {
    let query = include_str!("../../../sql/catalog/objects.sql");
    let rows = session
        .query(query, &[])
        .await
        .or_postgres(|| "the objects of the new database cannot be read")?;
    let places: Vec<(Object, String)> =
        rows.iter().map(|row| (object(row), row.get("schema"))).collect();
    Ok((places.iter().map(|(object, _)| object.clone()).collect(), places))
}

async fn defaults(session: &Session) -> Result<Vec<Default>> {
    let query = include_str!("../../../sql/catalog/default_grants.sql");
    let rows = session
        .query(query, &[])
        .await
        .or_postgres(|| "the default privileges of the live database cannot be read")?;
    let default = |row: &Row| Default {
        owner: row.get("owner"),
        schema: row.get("schema"),
        kind: row.get("kind"),
        grantee: row.get("grantee"),
        privilege: row.get("privilege"),
        grantable: row.get("grantable"),
    };
    Ok(rows.iter().map(default).collect())
}

fn option(grantable: bool) -> &'static str {
    if grantable { " WITH GRANT OPTION" } else { "" }
}

/// What the live database says of one object, as statements.
fn restate(object: &Object, name: &str, grants: &Grants, owner: &str, out: &mut Vec<String>) {
    let (kind, _, part) = object;
    if part.is_none() {
        out.push(format!("REVOKE ALL ON {kind} {name} FROM PUBLIC"));
    }
    for ((grantee, grantable), privileges) in grants {
        if grantee == owner || grantee.trim_matches('"') == owner.trim_matches('"') {
            continue;
        }
        let privileges: Vec<String> = privileges
            .iter()
            .map(|privilege| match part {
                Some(column) => format!("{privilege} ({column})"),
                None => privilege.clone(),
            })
            .collect();
        out.push(format!(
            "GRANT {} ON {kind} {name} TO {grantee}{}",
            privileges.join(", "),
            option(*grantable)
        ));
    }
}

/// What default privileges give on an object that the live database does not have.
fn by_default(object: &Object, schema: &str, defaults: &[Default], out: &mut Vec<String>) {
    let (kind, name, _) = object;
    for default in defaults {
        let here = default.schema.as_deref().is_none_or(|wanted| wanted == schema);
        if here && default.kind.trim_end_matches('S') == kind.as_str() {
            out.push(format!(
                "GRANT {} ON {kind} {name} TO {}{}",
                default.privilege,
                default.grantee,
                option(default.grantable)
            ));
        }
    }
}

fn defaults_again(defaults: &[Default]) -> Vec<String> {
    let mut statements = Vec::new();
    let mut seen = HashSet::new();
    for default in defaults {
        let within = match &default.schema {
            Some(schema) => format!(" IN SCHEMA {}", ident(schema)),
            None => String::new(),
        };
        let head = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {}{within}", default.owner);
        let kind = &default.kind;
        // Without a schema, what is listed is everything: PUBLIC has what is listed, no more.
        if default.schema.is_none() && seen.insert((default.owner.clone(), kind.clone())) {
            statements.push(format!("{head} REVOKE ALL ON {kind} FROM PUBLIC"));
        }
        statements.push(format!(
            "{head} GRANT {} ON {kind} TO {}{}",
            default.privilege,
            default.grantee,
            option(default.grantable)
        ));
    }
    statements
}
