//! A new database beside the live one, on its way to take its place.
//!
//! The order is: [`Target::prepare`], pre-data, parts by [`Loader`]s, sequences, large objects,
//! counts and digests, post-data, ANALYZE, settings and grants, environment SQL, and then
//! [`super::swap::swap`]. Until the swap nothing that is live has been touched.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio_postgres::error::SqlState;

use super::catalog::{self, Catalog, Server};
use super::connect::{Session, place};
use super::database::{self, Locale};
use super::load::Loader;
use super::names::Names;
use super::parts::{self, Slice, TablePart};
use super::quote::{ident, literal, qualified};
use super::reader::{Reader, TableRef, copy_encoding};
use super::reason::{OrPostgres, reason};
use super::swap;
use crate::config::endpoint::PostgresEndpoint;
use crate::error::{Error, OrFail, Result};
use crate::pipeline::digest::ContentDigest;

/// What a target is made for.
#[derive(Debug, Clone, Default)]
pub struct TargetOptions {
    /// The job, for logs.
    pub job_id: String,
    /// The role that is to own everything, where it is not the one that logs in.
    pub owner: Option<String>,
    /// The schemas that the snapshot was limited to; empty means all.
    pub source_schemas: Vec<String>,
    /// `postgres/database.json` of the snapshot.
    pub database: Value,
}

/// How often the new database is created while another of its name comes into being.
const MAKE_ATTEMPTS: u32 = 20;
/// How long to wait between two of them.
const MAKE_PAUSE: Duration = Duration::from_millis(250);

/// A database that is being loaded.
pub struct Target {
    pub(super) endpoint: PostgresEndpoint,
    pub(super) names: Names,
    pub(super) server: Server,
    pub(super) options: TargetOptions,
    remarks: Mutex<Vec<String>>,
}

impl Target {
    /// Fails where [`prepare`](Self::prepare) would refuse. Changes nothing.
    ///
    /// # Errors
    ///
    /// As `prepare`, but for what only creating the database can tell.
    pub async fn check(endpoint: &PostgresEndpoint, options: &TargetOptions) -> Result<()> {
        look(endpoint, options).await.map(drop)
    }

    /// Drops what an earlier job left half-loaded and creates the new database, with the
    /// source's encoding and locale.
    ///
    /// # Errors
    ///
    /// Exit 12 if the server cannot be reached; exit 2 if only the schema mode, which is not
    /// built, would be right; exit 1 if the database cannot be created.
    pub async fn prepare(endpoint: &PostgresEndpoint, options: TargetOptions) -> Result<Self> {
        let (maintenance, live) = look(endpoint, &options).await?;
        let (server, _) = catalog::read_server(&maintenance).await?;
        let names = Names::of(&endpoint.database);
        let target =
            Self { endpoint: endpoint.clone(), names, server, options, remarks: Mutex::default() };
        swap::drop_database(&maintenance, &target.names.new).await?;
        target.create(&maintenance, live.as_ref()).await?;
        tracing::info!(job = target.options.job_id, database = target.names.new, "created");
        Ok(target)
    }

    /// The names involved.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The server's version, as it says it.
    pub fn server_version(&self) -> &str {
        &self.server.version
    }

    /// What is worth knowing about this restore, so far: what was left out, disabled or changed.
    pub fn remarks(&self) -> Vec<String> {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn remark(&self, text: impl Into<String>) {
        let text = text.into();
        tracing::info!(remark = text, "postgres");
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// The role that owns what is created, where it is not the one that logs in.
    pub(super) fn role(&self) -> Option<&str> {
        self.options.owner.as_deref().filter(|owner| *owner != self.endpoint.username)
    }

    /// The endpoint, with the new database instead of the live one.
    pub fn new_endpoint(&self) -> PostgresEndpoint {
        PostgresEndpoint { database: self.names.new.clone(), ..self.endpoint.clone() }
    }

    /// A session in the new database as the role that logs in.
    pub(super) async fn login_session(&self) -> Result<Session> {
        Session::open(&self.endpoint, Some(&self.names.new)).await
    }

    /// A session in the new database as the owner.
    pub(super) async fn session(&self) -> Result<Session> {
        let session = self.login_session().await?;
        if let Some(role) = self.role() {
            session
                .batch_execute(&format!("SET ROLE {}", ident(role)))
                .await
                .or_postgres(|| format!("the role {role} cannot be taken on"))?;
        }
        Ok(session)
    }

    async fn create(&self, maintenance: &Session, live: Option<&Session>) -> Result<()> {
        let wanted = Locale::from_json(&self.options.database)?;
        let current = match live {
            Some(session) => Some(database::read(session).await?),
            None => None,
        };
        let mut clauses = String::new();
        if let Some(role) = self.role() {
            clauses.push_str(&format!(" OWNER {}", ident(role)));
        }
        // Naming the default one would need a privilege on it.
        let space = current.as_ref().and_then(|live| live["tablespace"].as_str());
        if let Some(space) = space.filter(|space| *space != "pg_default") {
            clauses.push_str(&format!(" TABLESPACE {}", ident(space)));
        }
        let mut refused = None;
        for (number, locale) in self.locales(&wanted, current.as_ref()).iter().enumerate() {
            let Some(locale) = locale else { continue };
            let new = ident(&self.names.new);
            let encoding = literal(&wanted.encoding);
            let statement = format!(
                "CREATE DATABASE {new} TEMPLATE template0 ENCODING {encoding}{locale}{clauses}"
            );
            match self.make(maintenance, &statement).await? {
                Ok(()) if number == 0 => return self.drop_public().await,
                Ok(()) => {
                    self.remark(format!(
                        "the target does not know the locale {}; the new database has{locale}: \
                         texts may be sorted differently",
                        wanted.locale.as_deref().unwrap_or(&wanted.collate),
                        locale = if locale.is_empty() { " the server's own" } else { locale },
                    ));
                    return self.drop_public().await;
                }
                Err(error) if is_locale_problem(&error) => {
                    if let Some(db) = error.as_db_error() {
                        tracing::debug!(why = reason(db), "a locale was refused");
                    }
                    refused = Some(error);
                }
                Err(error) => return Err(error).or_postgres(|| self.cannot_create()),
            }
        }
        match refused {
            Some(error) => Err(error).or_postgres(|| self.cannot_create()),
            None => Err(Error::failed(self.cannot_create())),
        }
    }

    /// Executes a CREATE DATABASE. One of a job that has ended may still be at work on the server,
    /// unseen by the DROP before this: it is waited for, and its database dropped.
    async fn make(
        &self,
        maintenance: &Session,
        statement: &str,
    ) -> Result<std::result::Result<(), tokio_postgres::Error>> {
        let mut attempts = 0;
        loop {
            let made = maintenance.batch_execute(statement).await;
            let taken = [SqlState::UNIQUE_VIOLATION, SqlState::DUPLICATE_DATABASE];
            let code = made.as_ref().err().and_then(tokio_postgres::Error::code);
            attempts += 1;
            if !code.is_some_and(|code| taken.contains(code)) || attempts == MAKE_ATTEMPTS {
                return Ok(made);
            }
            tokio::time::sleep(MAKE_PAUSE).await;
            swap::drop_database(maintenance, &self.names.new).await?;
        }
    }

    fn cannot_create(&self) -> String {
        format!("{} cannot be created", place(&self.endpoint, &self.names.new))
    }

    /// The locale clauses to try, the source's first; `None` where the server is too old.
    fn locales(&self, wanted: &Locale, current: Option<&Value>) -> Vec<Option<String>> {
        let major = self.server.major();
        let mut clauses = vec![wanted.clause(major)];
        let current = current.and_then(|live| Locale::from_json(live).ok());
        if let Some(current) = current.filter(|current| current.encoding == wanted.encoding) {
            clauses.push(current.clause(major));
        }
        clauses.push(Some(String::new()));
        let plain = Locale { collate: "C".into(), ctype: "C".into(), ..Locale::default() };
        clauses.push(plain.clause(major));
        clauses
    }

    /// template0 has a schema `public`; a source that dropped its own must not get it back.
    async fn drop_public(&self) -> Result<()> {
        if self.options.database["public_schema"].as_bool() != Some(false) {
            return Ok(());
        }
        let session = self.login_session().await?;
        session
            .batch_execute("DROP SCHEMA IF EXISTS public")
            .await
            .or_postgres(|| "the empty schema public cannot be dropped")
    }

    /// A new connection that loads parts.
    ///
    /// # Errors
    ///
    /// Exit 12 if the server cannot be reached.
    pub async fn loader(&self) -> Result<Loader> {
        let session = self.session().await?;
        session
            .batch_execute("SET synchronous_commit = off")
            .await
            .or_postgres(|| "a setting was refused")?;
        Ok(Loader::new(session, self.encoding()))
    }

    /// A new connection that reads what was loaded.
    ///
    /// # Errors
    ///
    /// Exit 12 if the server cannot be reached.
    pub async fn reader(&self) -> Result<Reader> {
        Ok(Reader::new(self.session().await?, None, self.encoding()))
    }

    fn encoding(&self) -> &'static str {
        copy_encoding(self.options.database["encoding"].as_str().unwrap_or_default())
    }

    /// What the new database holds by now.
    ///
    /// # Errors
    ///
    /// Exit 1 or 12 if it cannot be read.
    pub async fn catalog(&self) -> Result<Catalog> {
        catalog::read(&*self.session().await?, &[]).await
    }

    /// The tables of [`catalog`](Self::catalog), divided for several readers to digest.
    pub fn parts(catalog: &Catalog) -> Vec<TablePart> {
        parts::divide(catalog)
    }

    /// Number of rows and sum of hashes of one table, over a connection of its own.
    ///
    /// # Errors
    ///
    /// Exit 1 or 12 if it cannot be read.
    pub async fn digest(&self, table: &TableRef) -> Result<(u64, ContentDigest)> {
        self.reader().await?.digest(table, Slice::All).await
    }

    /// Number of rows of one table, over a connection of its own.
    ///
    /// # Errors
    ///
    /// Exit 1 or 12 if it cannot be read.
    pub async fn count(&self, table: &TableRef) -> Result<u64> {
        self.reader().await?.count(table).await
    }

    /// Runs `sequences.sql`.
    ///
    /// # Errors
    ///
    /// Exit 1 if the server refuses a statement, exit 12 if the connection is lost.
    pub async fn load_sequences(&self, sql: &str) -> Result<()> {
        let session = self.session().await?;
        session.batch_execute(sql).await.or_postgres(|| "sequences cannot be set")
    }

    /// Collects statistics with up to `jobs` connections.
    ///
    /// # Errors
    ///
    /// Exit 1 if the server refuses, exit 12 if a connection is lost.
    pub async fn analyze(&self, jobs: usize) -> Result<()> {
        let session = self.session().await?;
        let query = include_str!("../../../sql/catalog/analyze.sql");
        let rows = session.query(query, &[]).await.or_postgres(|| "the tables cannot be listed")?;
        let (sender, receiver) = async_channel::unbounded();
        for row in &rows {
            let relation = qualified(row.get(0), row.get(1));
            sender.try_send(relation).or_fail(|| "the tables cannot be queued")?;
        }
        drop(sender);
        let worker = |receiver: async_channel::Receiver<String>| async move {
            let session = self.session().await?;
            while let Ok(relation) = receiver.recv().await {
                session
                    .batch_execute(&format!("ANALYZE {relation}"))
                    .await
                    .or_postgres(|| format!("{relation} cannot be analyzed"))?;
            }
            Ok(())
        };
        let workers = jobs.clamp(1, rows.len().max(1));
        let workers = (0..workers).map(|_| worker(receiver.clone()));
        futures_util::future::try_join_all(workers).await.map(|_: Vec<()>| ())
    }

    /// Runs files of SQL in the new database, in order, each in one transaction, with the search
    /// path and the formats that an application's session has.
    ///
    /// # Errors
    ///
    /// Exit 2 if a file cannot be read, exit 1 if the server refuses one or a file ends the
    /// transaction by itself, exit 12 if the connection is lost. The database is of no use then.
    pub async fn run_sql(&self, files: &[PathBuf]) -> Result<()> {
        let session = self.session().await?;
        super::script::run_files(&session, files).await
    }
}

/// Sessions in the maintenance database and in the live one, where there is one.
async fn look(
    endpoint: &PostgresEndpoint,
    options: &TargetOptions,
) -> Result<(Session, Option<Session>)> {
    let maintenance = swap::maintenance(endpoint).await?;
    let live = match swap::oid_of(&maintenance, &Names::of(&endpoint.database).live).await? {
        Some(_) => Some(Session::open(endpoint, None).await?),
        None => None,
    };
    check_mode(endpoint, options, live.as_ref()).await?;
    Ok((maintenance, live))
}

/// Only a database of its own can be swapped as a database.
async fn check_mode(
    endpoint: &PostgresEndpoint,
    options: &TargetOptions,
    live: Option<&Session>,
) -> Result<()> {
    if endpoint.schemas.is_empty() {
        return Ok(());
    }
    let mut wanted = endpoint.schemas.clone();
    let mut given = options.source_schemas.clone();
    wanted.sort();
    given.sort();
    let not_built = |why: String| {
        Err(Error::not_built("refresh.mode = schema").because(why).hint(
            "give each environment a database of its own, or take `schemas` out of its \
             configuration",
        ))
    };
    if wanted != given {
        return not_built(format!(
            "the snapshot holds the schemas [{}] and the target is limited to [{}]",
            given.join(", "),
            wanted.join(", ")
        ));
    }
    let Some(live) = live else {
        return Ok(());
    };
    let query = include_str!("../../../sql/catalog/other_schemas.sql");
    let rows = live
        .query(query, &[&endpoint.schemas])
        .await
        .or_postgres(|| "the live database's schemas cannot be read")?;
    match rows.first() {
        Some(row) => {
            let schema: String = row.get(0);
            not_built(format!("the live database also holds the schema `{schema}`"))
        }
        None => Ok(()),
    }
}

/// Whether CREATE DATABASE was refused for its locale: unknown to the system, to ICU, to this
/// version, or at odds with the encoding.
fn is_locale_problem(error: &tokio_postgres::Error) -> bool {
    [
        SqlState::WRONG_OBJECT_TYPE,
        SqlState::INVALID_PARAMETER_VALUE,
        SqlState::INVALID_OBJECT_DEFINITION,
        SqlState::FEATURE_NOT_SUPPORTED,
    ]
    .iter()
    .any(|state| error.code() == Some(state))
}

impl Locale {
    /// The clauses of CREATE DATABASE; `None` where the provider is newer than the server.
    fn clause(&self, major: u32) -> Option<String> {
        let (collate, ctype) = (literal(&self.collate), literal(&self.ctype));
        let mut clause = format!(" LC_COLLATE {collate} LC_CTYPE {ctype}");
        let locale = self.locale.as_deref().map(literal);
        match (self.provider, locale) {
            ('i', Some(locale)) if major >= 15 => {
                clause.push_str(&format!(" LOCALE_PROVIDER icu ICU_LOCALE {locale}"));
                if let Some(rules) = self.icu_rules.as_deref().filter(|_| major >= 16) {
                    clause.push_str(&format!(" ICU_RULES {}", literal(rules)));
                }
            }
            ('b', Some(locale)) if major >= 17 => {
                clause.push_str(&format!(" LOCALE_PROVIDER builtin BUILTIN_LOCALE {locale}"));
            }
            ('i' | 'b', _) => return None,
            _ if major >= 15 => clause.push_str(" LOCALE_PROVIDER libc"),
            _ => {}
        }
        Some(clause)
    }
}
