//! Reading a database as of one moment, by as many readers as are wanted.
//!
//! One session, the keeper, exports its snapshot and holds `ACCESS SHARE` on every table to the
//! end. A snapshot alone does not protect what it sees: a `TRUNCATE` or a rewriting `ALTER` that
//! commits before a reader opens the table gives that reader an empty or a new file, and COPY
//! returns no rows and no error. So after locking, what the snapshot says of each table is
//! compared with what is so now, and any difference means starting over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::catalog::{self, Catalog};
use super::connect::{Session, place};
use super::filter::Filter;
use super::parts::{self, TablePart};
use super::quote::{literal, qualified};
use super::reader::{Reader, TableRef, copy_encoding};
use super::reason::OrPostgres;
use super::reason::is_gone;
use super::sequences::{self, Sequence};
use crate::config::endpoint::PostgresEndpoint;
use crate::error::{Error, Result};
use crate::terms::{Consistency, Identity, Level};

/// How often a source is opened anew because tables changed under it.
const ATTEMPTS: u32 = 3;
/// How many tables one LOCK statement names.
const LOCK_BATCH: usize = 200;

/// How a source is read.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// How long to wait for the lock on a table.
    pub lock_timeout: Duration,
    /// `--only`: patterns of `schema.table` or `table`, `*` for any run; empty means all.
    pub only: Vec<String>,
    /// `--exclude`: the same, applied after.
    pub exclude: Vec<String>,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self { lock_timeout: Duration::from_secs(30), only: Vec::new(), exclude: Vec::new() }
    }
}

/// A database that is held still.
pub struct Source {
    pub(super) endpoint: PostgresEndpoint,
    pub(super) lock_timeout: Duration,
    keeper: Arc<Session>,
    catalog: Arc<Catalog>,
    sequences: Vec<Sequence>,
    pub(super) snapshot: String,
    position: String,
    attempts: u32,
    remarks: Vec<String>,
}

/// What one attempt has found.
struct Held {
    catalog: Catalog,
    sequences: Vec<Sequence>,
    snapshot: String,
    position: String,
    remarks: Vec<String>,
}

impl Source {
    /// Takes the snapshot and the locks.
    ///
    /// # Errors
    ///
    /// Exit 12 if the server cannot be reached; exit 2 for a pattern that matches nothing or an
    /// extension that is not supported; exit 1 if a lock is not granted in time, a table cannot
    /// be read, or the tables keep changing.
    pub async fn open(endpoint: &PostgresEndpoint, options: SourceOptions) -> Result<Self> {
        let keeper = Session::open(endpoint, None).await?;
        let observer = Session::open(endpoint, None).await?;
        let filter = Filter::new(&options.only, &options.exclude);
        for attempt in 1..=ATTEMPTS {
            begin(&keeper, options.lock_timeout).await?;
            let held = hold(&keeper, &observer, &endpoint.schemas, &filter).await?;
            let Some(held) = held else {
                keeper
                    .batch_execute("ROLLBACK")
                    .await
                    .or_postgres(|| "the snapshot cannot be given back")?;
                tracing::warn!(attempt, "tables changed before they were locked; starting over");
                continue;
            };
            observer.close().await;
            return Ok(Self {
                endpoint: endpoint.clone(),
                lock_timeout: options.lock_timeout,
                keeper: Arc::new(keeper),
                catalog: Arc::new(held.catalog),
                sequences: held.sequences,
                snapshot: held.snapshot,
                position: held.position,
                attempts: attempt,
                remarks: held.remarks,
            });
        }
        Err(Error::failed(format!(
            "tables of {} were truncated, rewritten or dropped {ATTEMPTS} times in a row while \
             they were being locked",
            place(endpoint, &endpoint.database)
        ))
        .hint("take the snapshot when no migration is running"))
    }

    /// Which server and database it is.
    pub fn identity(&self) -> Identity {
        Identity::Postgres {
            system_identifier: self.catalog.server.system_identifier.clone(),
            database: self.endpoint.database.clone(),
            schemas: self.endpoint.schemas.clone(),
        }
    }

    /// The moment that is held: an LSN and the exported snapshot.
    pub fn consistency(&self) -> Consistency {
        Consistency {
            level: Level::PointInTime,
            point: self.position.clone(),
            exported: Some(self.snapshot.clone()),
        }
    }

    /// The server's version, as it says it.
    pub fn server_version(&self) -> &str {
        &self.catalog.server.version
    }

    /// The schemas that the source is limited to; empty means all.
    pub fn schemas(&self) -> Vec<String> {
        self.endpoint.schemas.clone()
    }

    /// The tables that will be read, and everything else by name.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What is worth knowing about the snapshot: what it leaves out and why.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// How many attempts it took until nothing had changed.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The work, largest first; every row is in exactly one part.
    pub fn parts(&self) -> Vec<TablePart> {
        parts::divide(&self.catalog)
    }

    /// The table of a part.
    pub fn table(&self, part: &TablePart) -> Option<TableRef> {
        self.catalog.tables.get(part.table).map(TableRef::from)
    }

    /// A new connection that sees exactly what is held.
    ///
    /// # Errors
    ///
    /// Exit 12 if the server cannot be reached, exit 1 if it no longer knows the snapshot.
    pub async fn reader(&self) -> Result<Reader> {
        let session = Session::open(&self.endpoint, None).await?;
        // A reader's lock queues behind whoever waits for the keeper's, an ALTER TABLE for
        // example, and that one waits for this snapshot to end: without a limit all three would
        // stand still, and everyone else on the table with them.
        let adopt = format!(
            "{};\
             BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\
             SET TRANSACTION SNAPSHOT {}",
            set_lock_timeout(self.lock_timeout),
            literal(&self.snapshot)
        );
        session
            .batch_execute(&adopt)
            .await
            .or_postgres(|| format!("the exported snapshot {} cannot be adopted", self.snapshot))?;
        let encoding = copy_encoding(&self.catalog.server.encoding);
        Ok(Reader::new(session, Some(Arc::clone(&self.keeper)), encoding))
    }

    /// Statements that set every sequence, for `sequences.sql`.
    pub fn sequences_sql(&self) -> String {
        sequences::to_sql(&self.sequences)
    }

    pub(super) fn keeper(&self) -> &Session {
        &self.keeper
    }

    /// Gives snapshot and locks back. What was read counts only if this succeeds: it proves that
    /// they were held to the end.
    ///
    /// # Errors
    ///
    /// Exit 12 if the session was lost.
    pub async fn finish(self) -> Result<()> {
        self.keeper.batch_execute("COMMIT").await.or_postgres(
            || "the session that held the snapshot and the table locks was lost before the end",
        )
    }
}

async fn begin(keeper: &Session, lock_timeout: Duration) -> Result<()> {
    let begin = format!(
        "{}; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        set_lock_timeout(lock_timeout)
    );
    keeper.batch_execute(&begin).await.or_postgres(|| "a snapshot cannot be taken")
}

fn set_lock_timeout(timeout: Duration) -> String {
    format!("SET lock_timeout = {}", timeout.as_millis().clamp(1, i32::MAX as u128))
}

/// One attempt; `None` if something changed between the snapshot and the locks.
async fn hold(
    keeper: &Session,
    observer: &Session,
    schemas: &[String],
    filter: &Filter,
) -> Result<Option<Held>> {
    let row = keeper
        .query_one(include_str!("../../../sql/catalog/snapshot.sql"), &[])
        .await
        .or_postgres(|| "the snapshot cannot be exported")?;
    let (snapshot, position) = (row.get(0), row.get(1));
    let mut catalog = catalog::read(keeper, schemas).await?;
    refuse_extensions(&catalog)?;
    filter.apply(&mut catalog)?;
    let mut remarks = catalog.unsupported.clone();
    leave_out_unreadable(&mut catalog, &mut remarks);

    if !lock(keeper, &catalog).await? || changed(keeper, observer, &catalog).await? {
        return Ok(None);
    }
    let Some(sequences) = sequences::read(keeper, &catalog.sequences).await? else {
        return Ok(None);
    };
    let unbounded = "SET lock_timeout = 0";
    keeper.batch_execute(unbounded).await.or_postgres(|| "a setting was refused")?;
    Ok(Some(Held { catalog, sequences, snapshot, position, remarks }))
}

/// Extensions that keep rows in tables of their own making, which pg_dump's schema does not
/// describe well enough to load them again.
fn refuse_extensions(catalog: &Catalog) -> Result<()> {
    match catalog.extensions.iter().find(|name| ["timescaledb", "citus"].contains(&name.as_str())) {
        Some(name) => {
            Err(Error::not_built(format!("a database with the postgres extension `{name}`")))
        }
        None => Ok(()),
    }
}

/// A standby has no rows of unlogged tables and refuses to read them.
fn leave_out_unreadable(catalog: &mut Catalog, remarks: &mut Vec<String>) {
    if !catalog.server.in_recovery {
        return;
    }
    let storage = std::mem::take(&mut catalog.storage);
    let tables = std::mem::take(&mut catalog.tables);
    for (table, storage) in tables.into_iter().zip(storage) {
        if storage.unlogged {
            remarks.push(format!(
                "rows of the unlogged table {} are not on the standby",
                table.full_name()
            ));
        } else {
            catalog.tables.push(table);
            catalog.storage.push(storage);
        }
    }
}

/// Locks every table; `false` if one of them is gone.
async fn lock(keeper: &Session, catalog: &Catalog) -> Result<bool> {
    for batch in catalog.tables.chunks(LOCK_BATCH) {
        let names: Vec<String> = batch
            .iter()
            .map(|table| format!("ONLY {}", qualified(&table.schema, &table.name)))
            .collect();
        let statement = format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", "));
        match keeper.batch_execute(&statement).await {
            Ok(()) => {}
            Err(error) if is_gone(&error) => return Ok(false),
            Err(error) => {
                return Err(error).or_postgres(|| {
                    format!("the locks on {} tables were not granted", batch.len())
                });
            }
        }
    }
    Ok(true)
}

/// Compares the snapshot's view of the locked tables with what is so outside it.
async fn changed(keeper: &Session, observer: &Session, catalog: &Catalog) -> Result<bool> {
    let oids: Vec<i64> = catalog.tables.iter().map(|table| table.oid.into()).collect();
    let before = fingerprints(keeper, &oids).await?;
    let now = fingerprints(observer, &oids).await?;
    Ok(before != now)
}

async fn fingerprints(session: &Session, oids: &Vec<i64>) -> Result<HashMap<i64, String>> {
    let query = include_str!("../../../sql/catalog/fingerprint.sql");
    let rows = session
        .query(query, &[oids])
        .await
        .or_postgres(|| "the tables' definitions cannot be read")?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
