//! Connections: where to, with what settings, and what a refusal means.

use std::ops::Deref;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::config::{Config, SslMode};
use tokio_postgres::{Client, Connection};

use super::names::APPLICATION_NAME;
use super::reason::{OrPostgres, reason};
use super::socket::{self, Connector, Loan, Shared};
use super::tls;
use crate::config::endpoint::PostgresEndpoint;
use crate::error::{Error, Result};

/// The oldest major version that is spoken to.
pub const OLDEST_MAJOR: u32 = 13;
/// The newest major version that has been tried.
pub const NEWEST_MAJOR: u32 = 18;

/// How long an idle session may take to answer a question that asks nothing.
const ANSWER: Duration = Duration::from_secs(120);

/// What every session sets first. A role's or a database's own setting of any of these would
/// lose rows (row_security), change what COPY writes or reads (the formats), let a schema of
/// someone else answer for a catalog function (search_path) or end a long read (timeouts).
/// `SET` itself looks nothing up, so the first line is safe whatever the search path was.
const SETTINGS: &str = "\
    SET search_path = '';\
    SET row_security = off;\
    SET client_encoding = 'UTF8';\
    SET \"DateStyle\" = 'ISO, MDY';\
    SET \"IntervalStyle\" = 'postgres';\
    SET \"TimeZone\" = 'UTC';\
    SET bytea_output = 'hex';\
    SET extra_float_digits = 3;\
    SET lc_monetary = 'C';\
    SET xmloption = 'content';\
    SET array_nulls = on;\
    SET standard_conforming_strings = on;\
    SET quote_all_identifiers = off;\
    SET statement_timeout = 0;\
    SET lock_timeout = 0;\
    SET idle_in_transaction_session_timeout = 0;\
    SET default_transaction_read_only = off;\
    SET default_transaction_isolation = 'read committed';\
    SET default_transaction_deferrable = off;\
    SET default_tablespace = '';\
    SET enable_tidscan = on;\
    SET jit = off;";

/// Settings of later versions, with the major that brought them.
const LATER_SETTINGS: [(u32, &str); 2] =
    [(14, "SET idle_session_timeout = 0;"), (17, "SET transaction_timeout = 0;")];

/// Ends the connection's task, and with it the socket, when dropped.
struct Guard(JoinHandle<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A session that ends when this is dropped, and with it whatever the server does for it.
pub struct Session {
    client: Client,
    task: Guard,
    stream: Shared,
    major: u32,
}

impl Session {
    /// Connects as [`connect`] does.
    pub async fn open(endpoint: &PostgresEndpoint, database: Option<&str>) -> Result<Self> {
        let database = database.unwrap_or(&endpoint.database);
        let Established { client, line, stream, major } = establish(endpoint, database).await?;
        let session = Self { client, task: Guard(tokio::spawn(drive(line))), stream, major };
        within(endpoint, database, prepare(&session.client, major, endpoint, database)).await?;
        Ok(session)
    }

    /// The session's stream, taken from the driver until it is given back.
    ///
    /// Answers come in the order of the questions: the one to an empty question says that
    /// nothing which the driver waits for is still to come.
    pub(super) async fn lend(&self) -> Result<Loan> {
        let answer = tokio::time::timeout(ANSWER, self.client.batch_execute("")).await;
        let answer = answer.map_err(|_| Error::unreachable("the session does not answer"))?;
        answer.or_postgres(|| "the session does not answer")?;
        Ok(self.stream.lend())
    }

    /// The server's major version.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Says goodbye to the server instead of hanging up; waits two seconds at most.
    pub async fn close(self) {
        let Self { client, mut task, .. } = self;
        drop(client);
        if tokio::time::timeout(Duration::from_secs(2), &mut task.0).await.is_err() {
            tracing::debug!("a session with postgres did not end by itself");
        }
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Connects to `database`, or to the endpoint's own, and makes every setting that decides what
/// data looks like. The connection runs in a task of its own until the client is dropped.
///
/// # Errors
///
/// Exit 12, naming host, port and database, if the server cannot be reached in time, refuses
/// the login, or has no such database; exit 2 if TLS is configured wrongly.
pub async fn connect(endpoint: &PostgresEndpoint, database: Option<&str>) -> Result<Client> {
    let database = database.unwrap_or(&endpoint.database);
    let Established { client, line, major, .. } = establish(endpoint, database).await?;
    tokio::spawn(drive(line));
    within(endpoint, database, prepare(&client, major, endpoint, database)).await?;
    Ok(client)
}

/// What answers on behalf of a client.
type Line = Connection<Shared, Shared>;

async fn drive(line: Line) {
    if let Err(error) = line.await {
        let why = error.as_db_error().map_or_else(|| error.to_string(), reason);
        tracing::debug!(why, "a connection to postgres ended");
    }
}

struct Established {
    client: Client,
    line: Line,
    /// What the line reads and writes: the socket, or the TLS over it.
    stream: Shared,
    major: u32,
}

async fn establish(endpoint: &PostgresEndpoint, database: &str) -> Result<Established> {
    let rustls = tls::connector(&endpoint.tls)?;
    let unreachable =
        |error: &(dyn std::error::Error + 'static)| no_connection(endpoint, database, error);
    let (connector, encrypted) =
        Connector::new(rustls, &endpoint.host).map_err(|error| unreachable(&error))?;
    let connecting = async {
        let socket = socket::dial(&endpoint.host, endpoint.port)
            .await
            .map_err(|error| unreachable(&error))?;
        let made = config(endpoint, database).connect_raw(socket.clone(), connector).await;
        let (client, line) = made.map_err(|error| refused(endpoint, database, &error))?;
        Ok((client, line, socket))
    };
    let (client, line, socket) = within(endpoint, database, connecting).await?;
    let version = line.parameter("server_version").unwrap_or_default();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    let major = digits.parse().unwrap_or(OLDEST_MAJOR);
    let stream = encrypted.get().cloned().unwrap_or(socket);
    Ok(Established { client, line, stream, major })
}

fn config(endpoint: &PostgresEndpoint, database: &str) -> Config {
    let mut config = Config::new();
    config
        .dbname(database)
        .user(&endpoint.username)
        .application_name(APPLICATION_NAME)
        .ssl_mode(if endpoint.tls.required { SslMode::Require } else { SslMode::Prefer });
    if let Some(password) = &endpoint.password {
        config.password(password.expose());
    }
    config
}

async fn prepare(
    client: &Client,
    major: u32,
    endpoint: &PostgresEndpoint,
    database: &str,
) -> Result<()> {
    if major < OLDEST_MAJOR {
        return Err(Error::failed(format!(
            "{} runs postgres {major}, and pfdata speaks {OLDEST_MAJOR} to {NEWEST_MAJOR}",
            place(endpoint, database)
        )));
    }
    let mut settings = SETTINGS.to_owned();
    for (since, setting) in LATER_SETTINGS {
        if major >= since {
            settings.push_str(setting);
        }
    }
    client
        .batch_execute(&settings)
        .await
        .or_postgres(|| format!("{} refused a setting", place(endpoint, database)))
}

/// Bounds `work` by the endpoint's timeout.
async fn within<T>(
    endpoint: &PostgresEndpoint,
    database: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(endpoint.connect_timeout, work).await {
        Ok(result) => result,
        Err(_) => Err(Error::unreachable(format!(
            "{} did not answer within {:?}",
            place(endpoint, database),
            endpoint.connect_timeout
        ))
        .hint("check that the server runs and that no firewall is in between")),
    }
}

/// `postgres at host:port/database`, for messages.
pub fn place(endpoint: &PostgresEndpoint, database: &str) -> String {
    format!("postgres at {}:{}/{database}", endpoint.host, endpoint.port)
}

fn refused(endpoint: &PostgresEndpoint, database: &str, error: &tokio_postgres::Error) -> Error {
    let place = place(endpoint, database);
    let Some(db) = error.as_db_error() else {
        return no_connection(endpoint, database, error);
    };
    let failed = Error::unreachable(format!("{place} refused the login")).because(reason(db));
    let role = &endpoint.username;
    match db.code().code() {
        "28P01" => failed.hint(format!("check the password of the role `{role}`")),
        "28000" => failed.hint(format!(
            "check the role `{role}`, the server's pg_hba.conf and whether it asks for TLS"
        )),
        "3D000" => Error::unreachable(format!("{place} cannot be reached"))
            .because(reason(db))
            .hint("create the database, or correct `database.postgres.database`"),
        "53300" => failed.hint("raise max_connections on the server, or use fewer jobs"),
        "57P03" => failed.hint("wait until the server has started or recovered"),
        "42501" => failed.hint(format!("grant connect on the database to `{role}`")),
        _ => failed,
    }
}

fn no_connection(
    endpoint: &PostgresEndpoint,
    database: &str,
    error: &(dyn std::error::Error + 'static),
) -> Error {
    let place = place(endpoint, database);
    let lines = crate::error::lines_of(error);
    let text = lines.join(": ");
    let mut failed = Error::unreachable(format!("{place} cannot be reached"));
    for line in lines {
        failed = failed.because(line);
    }
    if text.contains("password missing") {
        failed.hint(format!("set the password of the role `{}`", endpoint.username))
    } else if let Some(hint) = crate::store::tls::hint(&text) {
        failed.hint(hint)
    } else if text.contains("does not support TLS") {
        failed.hint("the configuration requires TLS and the server offers none")
    } else if text.contains("refused") {
        failed.hint("start the server, or correct its host and port")
    } else {
        failed.hint("check host, port and network")
    }
}
