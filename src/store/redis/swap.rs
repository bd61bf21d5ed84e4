//! The spare index, its marker, and the swap.
//!
//! The marker is the key `pfdata:owner`. It lives only in the spare index and says whose that is
//! and what it holds. Every change of it is one transaction guarded by `WATCH`, with the spare index
//! selected: `MULTI; DEL marker; SWAPDB live spare; SET marker; EXEC`. So whoever finds the marker
//! knows whether a job's swap has happened, and a swap that is tried again does nothing.

use serde::{Deserialize, Serialize};

use super::catalog::Server;
use super::connect::Connection;
use super::rdb::OWNER_KEY;
use super::reply::{Reply, put_command, refusal};
use crate::config::endpoint::RedisEndpoint;
use crate::error::{Error, OrFail, Result};

/// What a spare index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpareState {
    /// New data, not all of it.
    Loading,
    /// New data, whole, not swapped in (or swapped back out).
    Loaded,
    /// What was live before the job's swap.
    Previous,
}

/// What the key `pfdata:owner` of a spare index says, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The environment it belongs to.
    pub environment: String,
    /// The index that it is the spare of.
    pub live: u32,
    /// The job that wrote it last.
    pub job: String,
    /// What the index holds.
    pub state: SpareState,
    /// Job and state before the job's swap, to which it can be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<(String, SpareState)>,
}

/// A spare index that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spare {
    /// Its number.
    pub index: u32,
    /// Its marker.
    pub marker: Marker,
}

impl Marker {
    /// The value of the key.
    pub fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).or_fail(|| "the marker of a redis index cannot be written")
    }

    /// Whether it marks the spare index of index `live` of `environment`.
    pub fn is_of(&self, environment: &str, live: u32) -> bool {
        self.live == live && self.environment == environment
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// The marker of the selected index: `Ok(None)` if there is none, and an error if the key is there
/// and is not a marker.
pub async fn marker(connection: &mut Connection, index: u32) -> Result<Option<Marker>> {
    let reply = connection.command(&[b"GET", OWNER_KEY]).await?;
    match reply {
        Reply::Bulk(None) => Ok(None),
        Reply::Bulk(Some(bytes)) => Marker::decode(&bytes).map(Some).ok_or_else(|| unclear(index)),
        Reply::Failure(text) if text.starts_with("WRONGTYPE") => Err(unclear(index)),
        Reply::Failure(text) => Err(refusal("reading pfdata's marker", &text)),
        _ => Err(unclear(index)),
    }
}

fn unclear(index: u32) -> Error {
    Error::refused(format!("redis index {index} has a key `pfdata:owner` that is not pfdata's"))
        .hint("set `spareDb` to an index that is empty")
}

/// Finds the spare index of `environment`: what a crashed job left, or the data kept for a
/// rollback. Changes nothing.
pub async fn state(endpoint: &RedisEndpoint, environment: &str) -> Result<Option<Spare>> {
    let mut connection = Connection::open(endpoint).await?;
    let server = Server::read(&mut connection).await?;
    find(&mut connection, &server, endpoint, environment).await
}

/// As [`state`], on a connection; it ends with another index selected.
pub async fn find(
    connection: &mut Connection,
    server: &Server,
    endpoint: &RedisEndpoint,
    environment: &str,
) -> Result<Option<Spare>> {
    let mut found: Option<Spare> = None;
    for index in server.keyspace.keys().copied().filter(|index| *index != endpoint.db) {
        connection.select(index).await?;
        let Ok(Some(marker)) = marker(connection, index).await else {
            continue;
        };
        if marker.is_of(environment, endpoint.db) {
            let preferred = endpoint.spare_db == Some(index);
            found = Some(Spare { index, marker });
            if preferred {
                break;
            }
        }
    }
    Ok(found)
}

/// Runs `commands` as one transaction on the selected index, if its marker still is `expected`
/// (`None`: if there is none). Either all of them happen or none.
pub async fn guarded(
    connection: &mut Connection,
    index: u32,
    expected: Option<&Marker>,
    what: &str,
    commands: &[&[&[u8]]],
) -> Result<()> {
    connection.run(what, &[b"WATCH", OWNER_KEY]).await?;
    let found = marker(connection, index).await?;
    if found.as_ref() != expected {
        connection.run(what, &[b"UNWATCH"]).await?;
        return Err(Error::failed(format!(
            "the marker of redis index {index} is not what this job left there"
        ))
        .hint("another job works on this environment, or someone changed `pfdata:owner`"));
    }
    let mut bytes = Vec::new();
    put_command(&mut bytes, &[b"MULTI"]);
    commands.iter().for_each(|command| put_command(&mut bytes, command));
    put_command(&mut bytes, &[b"EXEC"]);
    connection.send(&bytes).await?;
    let mut refused = None;
    for _ in 0..=commands.len() {
        if let Reply::Failure(text) = connection.reply().await? {
            refused.get_or_insert(text);
        }
    }
    match (connection.reply().await?, refused) {
        (_, Some(text)) => Err(refusal(what, &text)),
        (Reply::Array(Some(replies)), None) => {
            for reply in replies {
                reply.checked(what)?;
            }
            Ok(())
        }
        (Reply::Failure(text), None) => Err(refusal(what, &text)),
        _ => Err(Error::failed(format!("{what} did not happen: redis index {index} changed"))),
    }
}

/// Swaps `spare` with the live index; the marker then is `after`.
pub async fn swap(
    connection: &mut Connection,
    spare: u32,
    before: &Marker,
    after: &Marker,
) -> Result<()> {
    let (live, index) = (before.live.to_string(), spare.to_string());
    let value = after.encode()?;
    let commands: [&[&[u8]]; 3] = [
        &[b"DEL", OWNER_KEY],
        &[b"SWAPDB", live.as_bytes(), index.as_bytes()],
        &[b"SET", OWNER_KEY, &value],
    ];
    connection.select(spare).await?;
    guarded(connection, spare, Some(before), "SWAPDB", &commands).await
}

/// Sets the marker of an index that was found empty; nothing in it is removed. Errors if it is not
/// empty any more.
pub async fn claim(connection: &mut Connection, index: u32, marker: &Marker) -> Result<()> {
    connection.select(index).await?;
    let value = marker.encode()?;
    guarded(connection, index, None, "SET", &[&[b"SET", OWNER_KEY, &value]]).await?;
    if connection.run("DBSIZE", &[b"DBSIZE"]).await? == Reply::Integer(1) {
        return Ok(());
    }
    guarded(connection, index, Some(marker), "DEL", &[&[b"DEL", OWNER_KEY]]).await?;
    Err(Error::refused(format!("redis index {index} was empty and is not any more"))
        .hint("something else writes to it: set `spareDb` to another index"))
}

/// Empties the index that `marker` stands in, and then sets `after` there, if any.
///
/// `FLUSHDB` where the server allows it, else `UNLINK` key by key, the marker last.
pub async fn clear(
    connection: &mut Connection,
    index: u32,
    before: Option<&Marker>,
    after: Option<&Marker>,
) -> Result<()> {
    connection.select(index).await?;
    let value = after.map(Marker::encode).transpose()?;
    let flush: &[&[u8]] = &[b"FLUSHDB", b"ASYNC"];
    let set = value.as_ref().map(|value| [b"SET" as &[u8], OWNER_KEY, value]);
    let mut commands = vec![flush];
    if let Some(set) = &set {
        commands.push(set);
    }
    let Err(error) = guarded(connection, index, before, "FLUSHDB", &commands).await else {
        return Ok(());
    };
    let forbidden = |cause: &String| cause.contains("NOPERM") || cause.contains("unknown command");
    if !error.causes().iter().any(forbidden) {
        return Err(error);
    }
    unlink_all(connection).await?;
    match &set {
        Some(set) => guarded(connection, index, before, "SET", &[set]).await,
        None => guarded(connection, index, before, "DEL", &[&[b"DEL", OWNER_KEY]]).await,
    }
}

/// Removes every key of the selected index but the marker.
async fn unlink_all(connection: &mut Connection) -> Result<()> {
    let mut cursor = b"0".to_vec();
    loop {
        let page = connection.run("SCAN", &[b"SCAN", &cursor, b"COUNT", b"1000"]).await?;
        let (next, keys) = page_of(page)?;
        let mut command: Vec<&[u8]> = vec![b"UNLINK"];
        command.extend(keys.iter().map(Vec::as_slice).filter(|key| *key != OWNER_KEY));
        if command.len() > 1 {
            connection.run("UNLINK", &command).await?;
        }
        if next == b"0" {
            return Ok(());
        }
        cursor = next;
    }
}

/// Cursor and keys of an answer to SCAN.
pub fn page_of(reply: Reply) -> Result<(Vec<u8>, Vec<Vec<u8>>)> {
    let mut parts = reply.items().unwrap_or_default().into_iter();
    match (parts.next(), parts.next()) {
        (Some(Reply::Bulk(Some(cursor))), Some(Reply::Array(Some(keys)))) => {
            let keys = keys.into_iter().filter_map(|key| match key {
                Reply::Bulk(bytes) => bytes,
                _ => None,
            });
            Ok((cursor, keys.collect()))
        }
        _ => Err(Error::failed("redis answers SCAN in an unknown way")),
    }
}
