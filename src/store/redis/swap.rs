//! The spare index, its marker, and the swap.
//!
//! The marker is the key `pfdata:owner`. It lives only in the spare index and says whose that is
//! and what it holds. Every change of it is one transaction guarded by `WATCH`, with the spare index
//! selected: `MULTI; DEL marker; SWAPDB live spare; SET marker; EXEC`. So whoever finds the marker
//! knows whether a job's swap has happened, and a swap that is tried again does nothing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::catalog::Server;
use super::connect::Connection;
use super::rdb::OWNER_KEY;
use super::reply::page_of;
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

impl SpareState {
    /// The word that the marker uses for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Loaded => "loaded",
            Self::Previous => "previous",
        }
    }
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

    /// Whether it marks new data of `job`, which is not swapped in.
    pub fn is_new_of(&self, job: &str) -> bool {
        self.job == job && self.state != SpareState::Previous
    }

    /// When the job began that wrote it last, if its id tells: it begins with the moment.
    fn began(&self) -> Option<Timestamp> {
        self.job.split('-').next()?.parse().ok()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// What an index has under the marker's name.
enum Owner {
    Nobody,
    /// A key that is not pfdata's.
    Unclear,
    Marked(Marker),
}

/// Looks at the selected index. Errors: the server does not say, whatever the reason.
async fn owner(connection: &mut Connection) -> Result<Owner> {
    match connection.command(&[b"GET", OWNER_KEY]).await? {
        Reply::Bulk(None) => Ok(Owner::Nobody),
        Reply::Bulk(Some(bytes)) => {
            Ok(Marker::decode(&bytes).map_or(Owner::Unclear, Owner::Marked))
        }
        Reply::Failure(text) if text.starts_with("WRONGTYPE") => Ok(Owner::Unclear),
        Reply::Failure(text) => Err(refusal("reading pfdata's marker", &text)),
        _ => Ok(Owner::Unclear),
    }
}

/// The marker of the selected index: `Ok(None)` if there is none, and an error if the key is there
/// and is not a marker.
pub async fn marker(connection: &mut Connection, index: u32) -> Result<Option<Marker>> {
    match owner(connection).await? {
        Owner::Nobody => Ok(None),
        Owner::Marked(marker) => Ok(Some(marker)),
        Owner::Unclear => Err(unclear(index)),
    }
}

/// The marker of `index`, if it is one of `environment`; the index stays selected.
pub async fn own_marker(
    connection: &mut Connection,
    endpoint: &RedisEndpoint,
    environment: &str,
    index: u32,
) -> Result<Option<Marker>> {
    connection.select(index).await?;
    match owner(connection).await? {
        Owner::Marked(marker) if marker.is_of(environment, endpoint.db) => Ok(Some(marker)),
        _ => Ok(None),
    }
}

fn unclear(index: u32) -> Error {
    Error::refused(format!("redis index {index} has a key `pfdata:owner` that is not pfdata's"))
        .hint("set `spareDb` to an index that is empty")
}

/// Connects, and refuses a server that cannot say yet which markers it has.
async fn open(endpoint: &RedisEndpoint) -> Result<(Connection, Server)> {
    let mut connection = Connection::open(endpoint).await?;
    let server = Server::read(&mut connection).await?;
    server.refuse_loading(connection.address())?;
    Ok((connection, server))
}

/// The spare index of `environment`, of several the [`newest`]: what a crashed job left, or the
/// data kept for a rollback. Changes nothing.
pub async fn state(endpoint: &RedisEndpoint, environment: &str) -> Result<Option<Spare>> {
    newest(all(endpoint, environment).await?)
}

/// The spare index `index`, if it carries the marker of `environment`. Changes nothing.
pub async fn at(endpoint: &RedisEndpoint, environment: &str, index: u32) -> Result<Option<Spare>> {
    let (mut connection, _) = open(endpoint).await?;
    let marker = own_marker(&mut connection, endpoint, environment, index).await?;
    Ok(marker.map(|marker| Spare { index, marker }))
}

/// The index that holds what was live before the last swap, if it is kept. Changes nothing.
pub async fn previous(endpoint: &RedisEndpoint, environment: &str) -> Result<Option<Spare>> {
    let mut kept = all(endpoint, environment).await?;
    kept.retain(|spare| spare.marker.state == SpareState::Previous);
    newest(kept)
}

/// Every index that carries the marker of `environment`. Changes nothing.
pub async fn all(endpoint: &RedisEndpoint, environment: &str) -> Result<Vec<Spare>> {
    let (mut connection, server) = open(endpoint).await?;
    spares(&mut connection, &server, endpoint, environment).await
}

/// As [`all`], on a connection; it ends with another index selected. An index that another
/// environment names is that one's by now, whatever the marker in it says.
pub async fn spares(
    connection: &mut Connection,
    server: &Server,
    endpoint: &RedisEndpoint,
    environment: &str,
) -> Result<Vec<Spare>> {
    let mut found = Vec::new();
    let free = |index: &u32| *index != endpoint.db && !endpoint.taken.contains(index);
    for index in server.keyspace.keys().copied().filter(free) {
        if let Some(marker) = own_marker(connection, endpoint, environment, index).await? {
            found.push(Spare { index, marker });
        }
    }
    Ok(found)
}

/// The one of several spare indexes that the newest job marked. Errors: the ids of their jobs do
/// not tell.
pub fn newest(spares: Vec<Spare>) -> Result<Option<Spare>> {
    let mut newest: Option<Spare> = None;
    for spare in spares {
        newest = match newest {
            None => Some(spare),
            Some(other) => Some(newer(other, spare)?),
        };
    }
    Ok(newest)
}

fn newer(one: Spare, other: Spare) -> Result<Spare> {
    match (one.marker.began(), other.marker.began()) {
        (Some(first), Some(second)) if first > second => Ok(one),
        (Some(first), Some(second)) if first < second => Ok(other),
        _ => Err(Error::failed(format!(
            "redis indexes {} (job {}) and {} (job {}) are both marked as spare indexes of `{}`, \
             and it cannot be told which is the newer",
            one.index, one.marker.job, other.index, other.marker.job, one.marker.environment
        ))
        .hint("empty the one whose data is not wanted any more")),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn spare(index: u32, job: &str) -> Spare {
        let environment = "test".to_owned();
        let (job, state) = (job.to_owned(), SpareState::Previous);
        Spare { index, marker: Marker { environment, live: 0, job, state, before: None } }
    }

    fn newest_of(jobs: &[&str]) -> Result<Option<u32>> {
        let spares = (1..).zip(jobs).map(|(index, job)| spare(index, job)).collect();
        Ok(newest(spares)?.map(|spare| spare.index))
    }

    #[test]
    fn of_several_spare_indexes_the_newest_jobs_counts() {
        let (old, new) = ("20260101T000000.001Z-ffffff", "20260101T000000.010Z-000000-undo");
        assert_eq!(newest_of(&[]).unwrap(), None);
        assert_eq!(newest_of(&["clean-up"]).unwrap(), Some(1));
        assert_eq!(newest_of(&[old, new]).unwrap(), Some(2));
        assert_eq!(newest_of(&[new, old]).unwrap(), Some(1));
        for jobs in [[old, "someone's"], [old, old]] {
            let error = newest_of(&jobs).unwrap_err().to_string();
            assert!(error.contains("indexes 1") && error.contains("and 2"), "{error}");
        }
    }
}
