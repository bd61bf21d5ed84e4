//! The swap: the new database becomes the live one, and the live one the previous one.
//!
//! One transaction renames both, so there is no moment at which a client finds no database, and
//! a crash leaves either the old or the new state. A rename needs the database without sessions
//! and takes a lock that lets no new one in; another connection ends those that remain, over
//! and over, because clients reconnect until the lock is held.

use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;

use super::connect::{Session, place};
use super::names::Names;
use super::quote::ident;
use super::reason::OrPostgres;
use crate::config::endpoint::PostgresEndpoint;
use crate::error::{Error, Kind, Result};
use crate::terms::Identity;

/// How often a rename is tried again after sessions have kept the database busy. The server
/// itself waits five seconds for them each time (`CountOtherDBBackends`).
const ATTEMPTS: u32 = 6;
/// How long the lock on a database may be waited for, each time.
const LOCK_TIMEOUT: &str = "10s";
/// How often the remaining sessions are ended while a rename waits.
const TERMINATE_EVERY: Duration = Duration::from_millis(10);

/// What a swap did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwapReport {
    /// For how long new sessions had to wait, in milliseconds; at most.
    pub blocked_ms: u64,
    /// How many sessions were ended.
    pub terminated: u64,
    /// Whether there is previous data now.
    pub has_previous: bool,
}

/// Which of the three databases exist, by their oid: a rename keeps it, so oids that were noted
/// before a swap tell whether it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct DatabaseState {
    /// The environment's database.
    pub live: Option<u32>,
    /// What is being loaded, or was left half-loaded.
    pub new: Option<u32>,
    /// What was live before the last swap.
    pub previous: Option<u32>,
}

/// Sizes in bytes; `None` where there is no such database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// The live database.
    pub live: Option<u64>,
    /// The new one.
    pub new: Option<u64>,
    /// The previous one.
    pub previous: Option<u64>,
}

/// A session in a database that is never swapped: `postgres`, else `template1`.
pub(super) async fn maintenance(endpoint: &PostgresEndpoint) -> Result<Session> {
    let names = Names::of(&endpoint.database);
    let mut first: Option<Error> = None;
    for database in ["postgres", "template1"] {
        if database == names.live {
            continue;
        }
        match Session::open(endpoint, Some(database)).await {
            Ok(session) => return Ok(session),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    Err(first.unwrap_or_else(|| Error::unreachable("no maintenance database can be reached")))
}

pub(super) async fn oid_of(session: &Session, database: &str) -> Result<Option<u32>> {
    let row = session
        .query_opt("SELECT oid FROM pg_catalog.pg_database WHERE datname = $1", &[&database])
        .await
        .or_postgres(|| "the databases cannot be listed")?;
    Ok(row.map(|row| row.get(0)))
}

async fn state_of(session: &Session, names: &Names) -> Result<DatabaseState> {
    Ok(DatabaseState {
        live: oid_of(session, &names.live).await?,
        new: oid_of(session, &names.new).await?,
        previous: oid_of(session, &names.previous).await?,
    })
}

/// Which of the three databases exist.
///
/// # Errors
///
/// Exit 12 if the server cannot be reached.
pub async fn state(endpoint: &PostgresEndpoint) -> Result<DatabaseState> {
    state_of(&maintenance(endpoint).await?, &Names::of(&endpoint.database)).await
}

/// Which server and database the endpoint names, whether the database exists or not.
///
/// # Errors
///
/// Exit 12 if the server cannot be reached.
pub async fn identity(endpoint: &PostgresEndpoint) -> Result<Identity> {
    let (server, _) = super::catalog::read_server(&*maintenance(endpoint).await?).await?;
    Ok(Identity::Postgres {
        system_identifier: server.system_identifier,
        database: endpoint.database.clone(),
        schemas: endpoint.schemas.clone(),
    })
}

/// How large the databases are; the role must be able to connect to them or to read all
/// statistics.
///
/// # Errors
///
/// Exit 12 if the server cannot be reached, exit 1 if it refuses.
pub async fn sizes(endpoint: &PostgresEndpoint) -> Result<Sizes> {
    let session = maintenance(endpoint).await?;
    let names = Names::of(&endpoint.database);
    let query = "SELECT pg_catalog.pg_database_size(oid) FROM pg_catalog.pg_database \
                 WHERE datname = $1";
    let mut found = [None; 3];
    for (size, name) in found.iter_mut().zip([&names.live, &names.new, &names.previous]) {
        let row = session
            .query_opt(query, &[name])
            .await
            .or_postgres(|| format!("the size of {name} cannot be read"))?;
        *size = row.map(|row| row.get::<_, i64>(0).unsigned_abs());
    }
    let [live, new, previous] = found;
    Ok(Sizes { live, new, previous })
}

/// Drops a database, and the sessions in it; nothing happens where there is none.
pub(super) async fn drop_database(session: &Session, database: &str) -> Result<()> {
    session
        .batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", ident(database)))
        .await
        .or_postgres(|| format!("the database {database} cannot be dropped"))
}

/// Drops what is being loaded, or was left half-loaded.
///
/// # Errors
///
/// Exit 12 if the server cannot be reached, exit 1 if it refuses.
pub async fn drop_new(endpoint: &PostgresEndpoint) -> Result<()> {
    drop_database(&maintenance(endpoint).await?, &Names::of(&endpoint.database).new).await
}

/// Drops what was live before the last swap.
///
/// # Errors
///
/// Exit 12 if the server cannot be reached, exit 1 if it refuses.
pub async fn drop_previous(endpoint: &PostgresEndpoint) -> Result<()> {
    drop_database(&maintenance(endpoint).await?, &Names::of(&endpoint.database).previous).await
}

/// Makes the new database live and the live one previous, at once. There must be a new one, and
/// no previous one any more.
///
/// # Errors
///
/// Exit 1 if sessions keep a database busy for about half a minute or the server refuses: then
/// nothing has changed. Exit 12 if the connection is lost: [`state`] tells what happened.
pub async fn swap(endpoint: &PostgresEndpoint) -> Result<SwapReport> {
    let names = Names::of(&endpoint.database);
    let session = maintenance(endpoint).await?;
    let state = state_of(&session, &names).await?;
    if state.new.is_none() {
        return Err(Error::failed(format!("there is no database {} to swap in", names.new)));
    }
    let mut renames = Vec::new();
    if state.live.is_some() {
        if state.previous.is_some() {
            return Err(Error::failed(format!(
                "the database {} of an earlier swap is still there",
                names.previous
            )));
        }
        renames.push((names.live.as_str(), names.previous.as_str()));
    }
    renames.push((names.new.as_str(), names.live.as_str()));
    let has_previous = state.live.is_some();
    let report = rename(endpoint, &session, &renames).await?;
    Ok(SwapReport { has_previous, ..report })
}

/// Puts the previous database back in place of the live one, at once. What was live becomes the
/// previous one, or is dropped.
///
/// # Errors
///
/// Exit 10 if no previous data is kept; otherwise as [`swap`].
pub async fn swap_back(endpoint: &PostgresEndpoint, drop_replaced: bool) -> Result<SwapReport> {
    let names = Names::of(&endpoint.database);
    let session = maintenance(endpoint).await?;
    let state = state_of(&session, &names).await?;
    if state.previous.is_none() {
        return Err(Error::not_found(format!(
            "no previous data of {} is kept",
            place(endpoint, &names.live)
        )));
    }
    if state.new.is_some() {
        // Left half-loaded by a job that is gone; its name is needed for a moment.
        drop_database(&session, &names.new).await?;
    }
    let (live, new, previous) = (names.live.as_str(), names.new.as_str(), names.previous.as_str());
    let mut renames = vec![(previous, live)];
    if state.live.is_some() {
        renames.insert(0, (live, new));
        if !drop_replaced {
            renames.push((new, previous));
        }
    }
    let report = rename(endpoint, &session, &renames).await?;
    if drop_replaced {
        drop_database(&session, new).await?;
    }
    Ok(SwapReport { has_previous: state.live.is_some() && !drop_replaced, ..report })
}

/// Takes a swap back, for a job whose other stores failed: the previous database is live again
/// or, where there was none before the swap, none is. What was loaded is dropped.
///
/// # Errors
///
/// As [`swap`].
pub async fn undo(endpoint: &PostgresEndpoint, had_live: bool) -> Result<SwapReport> {
    if had_live {
        return swap_back(endpoint, true).await;
    }
    let names = Names::of(&endpoint.database);
    let session = maintenance(endpoint).await?;
    drop_database(&session, &names.new).await?;
    let report = rename(endpoint, &session, &[(&names.live, &names.new)]).await?;
    drop_database(&session, &names.new).await?;
    Ok(SwapReport { has_previous: false, ..report })
}

/// Renames in one transaction, while another session ends whoever is in the way.
async fn rename(
    endpoint: &PostgresEndpoint,
    session: &Session,
    renames: &[(&str, &str)],
) -> Result<SwapReport> {
    let terminator = maintenance(endpoint).await?;
    let busy: Vec<String> = renames.iter().map(|(from, _)| (*from).to_owned()).collect();
    refuse_prepared(session, &busy).await?;
    let mut terminated = 0;
    for attempt in 1..=ATTEMPTS {
        let renaming = rename_once(session, renames);
        let terminating = terminate(&terminator, &busy, &mut terminated);
        let result = tokio::select! {
            biased;
            result = renaming => result,
            error = terminating => Err(error),
        };
        match result {
            Ok(blocked) => {
                let blocked_ms = u64::try_from(blocked.as_millis()).unwrap_or(u64::MAX);
                return Ok(SwapReport { blocked_ms, terminated, has_previous: false });
            }
            Err(Renaming::Busy(error)) if attempt < ATTEMPTS => {
                tracing::warn!(attempt, why = %error, "a database is still in use");
                roll_back(session).await;
            }
            Err(Renaming::Busy(error)) => {
                roll_back(session).await;
                return Err(busy_error(&terminator, error, &busy).await);
            }
            Err(Renaming::Failed(error)) => {
                roll_back(session).await;
                return Err(error);
            }
        }
    }
    Err(Error::failed("the databases could not be renamed"))
}

/// A prepared transaction belongs to no session that could be ended, and keeps a database busy
/// until someone commits it or rolls it back.
async fn refuse_prepared(session: &Session, databases: &Vec<String>) -> Result<()> {
    let query = "SELECT count(*) FROM pg_catalog.pg_prepared_xacts WHERE database = ANY ($1)";
    let row = session
        .query_one(query, &[databases])
        .await
        .or_postgres(|| "prepared transactions cannot be counted")?;
    match row.get::<_, i64>(0) {
        0 => Ok(()),
        count => Err(Error::failed(format!(
            "{count} prepared transactions keep {} busy",
            databases.join(" or ")
        ))
        .hint("commit or roll back what pg_prepared_xacts lists")),
    }
}

/// Why a transaction of renames did not commit.
enum Renaming {
    /// Sessions or locks were in the way: worth another try.
    Busy(Error),
    /// Anything else.
    Failed(Error),
}

async fn rename_once(session: &Session, renames: &[(&str, &str)]) -> Result<Duration, Renaming> {
    let begin = format!("BEGIN; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'");
    run(session, &begin, "the swap cannot begin").await?;
    let started = Instant::now();
    for (from, to) in renames {
        let statement = format!("ALTER DATABASE {} RENAME TO {}", ident(from), ident(to));
        let failed = format!("the database {from} cannot be renamed to {to}");
        run(session, &statement, &failed).await?;
    }
    run(session, "COMMIT", "the swap cannot be committed").await?;
    Ok(started.elapsed())
}

async fn run(session: &Session, statement: &str, failed: &str) -> Result<(), Renaming> {
    let Err(error) = session.batch_execute(statement).await else {
        return Ok(());
    };
    let busy =
        [SqlState::OBJECT_IN_USE, SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED]
            .iter()
            .any(|state| error.code() == Some(state));
    let error = match Err::<(), _>(error).or_postgres(|| failed) {
        Err(error) => error,
        Ok(()) => return Ok(()),
    };
    Err(if busy { Renaming::Busy(error) } else { Renaming::Failed(error) })
}

async fn roll_back(session: &Session) {
    if let Err(error) = session.batch_execute("ROLLBACK").await {
        tracing::debug!(%error, "the renames could not be rolled back");
    }
}

/// Ends the sessions of the databases until it is dropped; comes back only with an error.
async fn terminate(session: &Session, databases: &[String], terminated: &mut u64) -> Renaming {
    let query = "SELECT pid FROM pg_catalog.pg_stat_activity \
                 WHERE datname = ANY ($1) AND pid <> pg_catalog.pg_backend_pid()";
    let databases = databases.to_vec();
    loop {
        let rows = match session.query(query, &[&databases]).await {
            Ok(rows) => rows,
            Err(error) => {
                let failed = Err::<(), _>(error).or_postgres(|| "sessions cannot be listed").err();
                let failed = failed.unwrap_or_else(|| Error::failed("sessions cannot be listed"));
                return Renaming::Failed(failed);
            }
        };
        for row in rows {
            let pid: i32 = row.get(0);
            // One at a time: a session that may not be ended must not protect the others.
            match session.query_one("SELECT pg_catalog.pg_terminate_backend($1)", &[&pid]).await {
                Ok(row) => *terminated += u64::from(row.get::<_, bool>(0)),
                Err(error) => tracing::debug!(pid, %error, "a session may not be ended"),
            }
        }
        tokio::time::sleep(TERMINATE_EVERY).await;
    }
}

/// Says who is in the way.
async fn busy_error(session: &Session, error: Error, databases: &[String]) -> Error {
    let query = "SELECT DISTINCT coalesce(usename::text, backend_type), \
                        coalesce(nullif(application_name, ''), 'no name') \
                   FROM pg_catalog.pg_stat_activity \
                  WHERE datname = ANY ($1) AND pid <> pg_catalog.pg_backend_pid() LIMIT 5";
    let mut error = error;
    if let Ok(rows) = session.query(query, &[&databases]).await {
        for row in rows {
            let (role, application): (String, String) = (row.get(0), row.get(1));
            error = error.because(format!("a session of {role} ({application}) stays"));
        }
    }
    if error.kind() == Kind::Failed {
        error = error.hint("grant pg_signal_backend to pfdata's role, or end those sessions");
    }
    error
}
