//! Running commands: deadlines, bounded retries, and errors that tell no document's contents.

use std::future::Future;
use std::time::Duration;

use mongodb::Database;
use mongodb::bson::{Document, doc};
use mongodb::error::ErrorKind;

use crate::error::{Error, Kind};

/// How long a command that only looks or changes the catalog may take.
pub(super) const SHORT: Duration = Duration::from_secs(60);
/// How long one batch may take to be read or written.
pub(super) const BATCH: Duration = Duration::from_secs(600);
/// How long building the indexes of one collection may take.
pub(super) const BUILD: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a change of the catalog is tried.
const TRIES: u32 = 6;

/// The server's name for "wait until a majority of the members has it", with a bound.
pub(super) fn majority() -> Document {
    doc! { "w": "majority", "wtimeout": 600_000 }
}

/// Waits for `work`, at most `limit`; after that it is an I/O error that says so.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = mongodb::error::Result<T>>,
) -> mongodb::error::Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            format!("no answer within {} s", limit.as_secs()),
        )
        .into()),
    }
}

/// Runs a command once on the primary. A write concern that was not met, which the server
/// reports beside `ok: 1`, is an error too.
pub(super) async fn run(
    database: &Database,
    command: Document,
    limit: Duration,
) -> mongodb::error::Result<Document> {
    let reply = within(limit, async { database.run_command(command).await }).await?;
    match reply.get_document("writeConcernError") {
        Err(_) => Ok(reply),
        Ok(error) => {
            let code = error.get_i32("code").unwrap_or(64);
            Err(std::io::Error::other(format!(
                "the change was not acknowledged by a majority (code {code})"
            ))
            .into())
        }
    }
}

/// Runs a change of the catalog, again after failures that pass: elections, lock timeouts,
/// index builds on the collection. `done` is asked after a failed try whether the change has
/// happened nevertheless; the answer to it may have been lost.
pub(super) async fn change<F, D>(
    database: &Database,
    command: &Document,
    limit: Duration,
    done: F,
) -> mongodb::error::Result<()>
where
    F: Fn() -> D,
    D: Future<Output = mongodb::error::Result<bool>>,
{
    let mut pause = Duration::from_millis(100);
    let mut tried = 1;
    loop {
        let error = match run(database, command.clone(), limit).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if !passes(&error) || tried == TRIES {
            return Err(error);
        }
        tracing::debug!(code = code_of(&error), tried, "a change of the catalog is tried again");
        tokio::time::sleep(pause).await;
        if done().await.unwrap_or(false) {
            return Ok(());
        }
        pause *= 3;
        tried += 1;
    }
}

/// The server's error code, where the server answered with one.
pub(super) fn code_of(error: &mongodb::error::Error) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}

/// Whether the same command may succeed later.
fn passes(error: &mongodb::error::Error) -> bool {
    match error.kind.as_ref() {
        // LockTimeout, MaxTimeMSExpired, WriteConflict, ConflictingOperationInProgress,
        // ShutdownInProgress, PrimarySteppedDown, NotWritablePrimary, InterruptedAtShutdown,
        // InterruptedDueToReplStateChange, NotPrimaryNoSecondaryOk, NotPrimaryOrSecondary,
        // BackgroundOperationInProgressForNamespace.
        ErrorKind::Command(command) => matches!(
            command.code,
            24 | 50 | 112 | 117 | 91 | 189 | 10107 | 11600 | 11602 | 13435 | 13436 | 12587
        ),
        ErrorKind::Io(_)
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::ServerSelection { .. } => true,
        _ => false,
    }
}

/// `error` as ours, with `message` above it and what the server said. Only for commands whose
/// errors cannot quote a document: reads and changes of the catalog.
pub(super) fn told(message: impl Into<String>, error: &mongodb::error::Error) -> Error {
    convert(message.into(), error, true)
}

/// `error` as ours without the server's text, which may quote a document: only its code.
pub(super) fn untold(message: impl Into<String>, error: &mongodb::error::Error) -> Error {
    convert(message.into(), error, false)
}

fn convert(message: String, error: &mongodb::error::Error, quote: bool) -> Error {
    let refused = |code: i32, name: &str, text: &str| {
        let kind = if code == 18 { Kind::Unreachable } else { Kind::Failed };
        let named = if name.is_empty() { format!("code {code}") } else { name.to_owned() };
        // A refusal for want of a privilege quotes the whole command.
        let text = text.split(" to execute command").next().unwrap_or_default();
        let line = if quote { format!("{text} ({named})") } else { format!("server says {named}") };
        let error = Error::new(kind, message.clone()).because(line);
        match code {
            13 => error.hint(
                "configure a user with the role read (to snapshot) or readWrite and dbAdmin (to \
                 restore) on this database",
            ),
            18 => error.hint("check username, password and authSource"),
            _ => error,
        }
    };
    match error.kind.as_ref() {
        ErrorKind::Command(command) => refused(command.code, &command.code_name, &command.message),
        ErrorKind::Authentication { .. } => Error::unreachable(message)
            .because("the server refused the user or the password")
            .hint("check username, password and authSource"),
        ErrorKind::ServerSelection { message: text, .. } => {
            Error::unreachable(message).because(selection_cause(text))
        }
        ErrorKind::Io(io) => Error::unreachable(message).because(io.to_string()),
        ErrorKind::DnsResolve { .. } => {
            Error::unreachable(message).because("its host name cannot be resolved")
        }
        ErrorKind::ConnectionPoolCleared { .. } => {
            Error::unreachable(message).because("the connection was lost")
        }
        ErrorKind::InvalidTlsConfig { message: text, .. } => Error::usage(message).because(&**text),
        ErrorKind::Transaction { message: text, .. } => Error::failed(message).because(&**text),
        ErrorKind::IncompatibleServer { message: text, .. } => {
            Error::failed(message).because(&**text)
        }
        ErrorKind::InvalidResponse { .. } => {
            Error::failed(message).because("the server's answer is not what the protocol says")
        }
        _ => Error::failed(message).because("the driver failed"),
    }
}

/// The cause inside the driver's long account of a failed server selection: what follows
/// `Kind: ` in it, up to the labels.
fn selection_cause(text: &str) -> String {
    let Some((_, cause)) = text.split_once("Kind: ") else {
        return "no server that fits (its replica set has to have the configured name) answered in time"
            .to_owned();
    };
    let end = cause.find(", labels:").unwrap_or(cause.len());
    let cause = cause[..end].trim();
    if cause.contains("Authentication failed") || cause.contains("SCRAM") {
        return "the server refused the user or the password".to_owned();
    }
    cause.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_taken_out_of_a_selection_error() {
        let text = "Server selection timeout: No available servers. Topology: { Type: Unknown, \
                    Servers: [ { Address: h:1, Type: Unknown, Error: Kind: I/O error: Connection \
                    refused (os error 111), labels: {}, source: None } ] }";
        assert_eq!(selection_cause(text), "I/O error: Connection refused (os error 111)");
        assert!(selection_cause("x").starts_with("no server that fits"));
    }

    #[test]
    fn an_untold_error_does_not_quote_the_server() {
        let io = mongodb::error::Error::from(std::io::Error::other("gone"));
        assert_eq!(untold("x", &io).to_string(), "x: gone");
        assert_eq!(told("x", &io).kind(), Kind::Unreachable);
    }
}
