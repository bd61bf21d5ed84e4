//! What a server says of itself.

use std::collections::BTreeMap;

use super::connect::{Connection, address};
use super::rdb::OWNER_KEY;
use super::reply::Reply;
use super::reply::page_of;
use crate::config::endpoint::RedisEndpoint;
use crate::error::{Error, Result};
use crate::pipeline::transform::KeyKind;
use crate::terms::Identity;

/// The lowest version, as (major, minor), that pfdata works with.
const OLDEST: (u32, u32) = (6, 2);

/// What `INFO` and `CONFIG GET` tell.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// `redis_version`, as the server says it.
    pub version: String,
    /// The first two numbers of it.
    pub major_minor: (u32, u32),
    /// `valkey_version`, where the server is a Valkey.
    pub valkey: Option<String>,
    /// The id of this run of the server.
    pub run_id: String,
    /// Whether it is a replica.
    pub replica: bool,
    /// Whether a replica has lost its primary.
    pub link_down: bool,
    /// Whether it is still loading its own data.
    pub loading: bool,
    /// Offset of the replication stream.
    pub offset: u64,
    /// `maxmemory`, bytes; 0 is no limit.
    pub max_memory: u64,
    /// `maxmemory_policy`.
    pub policy: String,
    /// `used_memory`, bytes.
    pub used_memory: u64,
    /// Memory of the machine, bytes; 0 is unknown.
    pub system_memory: u64,
    /// Keys, and keys that expire, of each index that has any.
    pub keyspace: BTreeMap<u32, (u64, u64)>,
}

impl Server {
    /// Asks the server. Errors: a cluster (not built), a sentinel, a version that is too old.
    pub async fn read(connection: &mut Connection) -> Result<Self> {
        let reply = connection.run("INFO", &[b"INFO"]).await?;
        let text = String::from_utf8_lossy(reply.bytes().unwrap_or_default()).into_owned();
        let server = Self::parse(&text)?;
        if server.major_minor < OLDEST {
            return Err(Error::usage(format!(
                "redis at {} is version {}; pfdata needs 6.2 or later",
                connection.address(),
                server.version
            )));
        }
        Ok(server)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut server = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let number = || value.parse::<u64>().unwrap_or(0);
            match name {
                "redis_mode" if value == "cluster" => {
                    return Err(Error::not_built("redis cluster"));
                }
                "redis_mode" if value == "sentinel" => {
                    return Err(Error::usage("this is a redis sentinel, which holds no data")
                        .hint("give the address of the primary or of a replica"));
                }
                "redis_version" => server.version = value.to_owned(),
                "valkey_version" => server.valkey = Some(value.to_owned()),
                "run_id" => server.run_id = value.to_owned(),
                "role" => server.replica = value != "master",
                "master_link_status" => server.link_down = value != "up",
                "loading" => server.loading = value != "0",
                "master_repl_offset" => server.offset = number(),
                "maxmemory" => server.max_memory = number(),
                "maxmemory_policy" => server.policy = value.to_owned(),
                "used_memory" => server.used_memory = number(),
                "total_system_memory" => server.system_memory = number(),
                _ => server.note_index(name, value),
            }
        }
        let mut numbers = server.version.split('.').map(|part| part.parse().unwrap_or(0));
        server.major_minor = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        Ok(server)
    }

    /// `db0:keys=12,expires=3,avg_ttl=0`.
    fn note_index(&mut self, name: &str, value: &str) {
        let Some(index) = name.strip_prefix("db").and_then(|index| index.parse().ok()) else {
            return;
        };
        let number = |wanted: &str| {
            value
                .split(',')
                .filter_map(|pair| pair.split_once('='))
                .find(|(name, _)| *name == wanted)
                .and_then(|(_, number)| number.parse().ok())
                .unwrap_or(0)
        };
        self.keyspace.insert(index, (number("keys"), number("expires")));
    }

    /// Refuses (exit 12) a server that is still loading its own data: what it says of its keys is
    /// not yet so. `address` is for the message.
    pub fn refuse_loading(&self, address: &str) -> Result<()> {
        if !self.loading {
            return Ok(());
        }
        Err(Error::unreachable(format!("redis at {address} is still loading its data"))
            .hint("try again when it is done"))
    }

    /// The version for people and manifests: `redis 7.0.15`, `valkey 8.0.1`.
    pub fn product(&self) -> String {
        match &self.valkey {
            Some(version) => format!("valkey {version}"),
            None => format!("redis {}", self.version),
        }
    }

    /// Keys in index `db`.
    pub fn keys(&self, db: u32) -> u64 {
        self.keyspace.get(&db).map_or(0, |(keys, _)| *keys)
    }

    /// Keys in all indexes.
    pub fn all_keys(&self) -> u64 {
        self.keyspace.values().map(|(keys, _)| keys).sum()
    }

    /// Whether the server may remove keys to make room.
    pub fn evicts(&self) -> bool {
        self.max_memory > 0 && self.policy != "noeviction"
    }

    /// What makes the endpoint's index this one and no other.
    pub fn identity(&self, endpoint: &RedisEndpoint) -> Identity {
        Identity::Redis { server: address(endpoint), run_id: self.run_id.clone(), db: endpoint.db }
    }
}

/// Connects, and says which server and index the endpoint names.
pub async fn identity(endpoint: &RedisEndpoint) -> Result<Identity> {
    let mut connection = Connection::open(endpoint).await?;
    Ok(Server::read(&mut connection).await?.identity(endpoint))
}

/// Up to about `limit` keys of the endpoint's index, by SCAN, with their types; pfdata's own marker
/// and keys of modules are left out.
pub async fn sample_keys(
    endpoint: &RedisEndpoint,
    limit: usize,
) -> Result<Vec<(Vec<u8>, KeyKind)>> {
    let mut connection = Connection::open(endpoint).await?;
    connection.select(endpoint.db).await?;
    let (mut cursor, mut found) = (b"0".to_vec(), Vec::new());
    loop {
        let page = connection.run("SCAN", &[b"SCAN", &cursor, b"COUNT", b"500"]).await?;
        let (next, keys) = page_of(page)?;
        for key in keys.into_iter().filter(|key| key != OWNER_KEY) {
            let kind = connection.run("TYPE", &[b"TYPE", &key]).await?;
            if let Some(kind) = kind.text().and_then(kind_of) {
                found.push((key, kind));
            }
        }
        if next == b"0" || found.len() >= limit {
            return Ok(found);
        }
        cursor = next;
    }
}

/// Whether the server has function libraries; none where it does not tell (before 7.0, or where
/// the user may not ask).
pub async fn has_functions(endpoint: &RedisEndpoint) -> Result<bool> {
    let mut connection = Connection::open(endpoint).await?;
    let reply = connection.command(&[b"FUNCTION", b"LIST"]).await?;
    Ok(reply.items().is_some_and(|libraries| !libraries.is_empty()))
}

fn kind_of(word: &str) -> Option<KeyKind> {
    Some(match word {
        "string" => KeyKind::String,
        "list" => KeyKind::List,
        "set" => KeyKind::Set,
        "zset" => KeyKind::SortedSet,
        "hash" => KeyKind::Hash,
        "stream" => KeyKind::Stream,
        _ => return None,
    })
}

/// A setting of the server; `None` where the server does not tell.
pub async fn setting(connection: &mut Connection, name: &str) -> Result<Option<String>> {
    match connection.command(&[b"CONFIG", b"GET", name.as_bytes()]).await? {
        Reply::Array(Some(pair)) => Ok(pair.get(1).and_then(Reply::text).map(str::to_owned)),
        _ => Ok(None),
    }
}

/// The server's clock, milliseconds since 1970.
pub async fn clock(connection: &mut Connection) -> Result<u64> {
    let reply = connection.run("TIME", &[b"TIME"]).await?;
    let parts: Vec<u64> = reply
        .items()
        .unwrap_or_default()
        .iter()
        .filter_map(|part| u64::try_from(part.integer()?).ok())
        .collect();
    match parts.as_slice() {
        [seconds, microseconds] => Ok(seconds * 1000 + microseconds / 1000),
        _ => Err(Error::failed("redis does not tell the time")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read() {
        let text = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:abc\r\n\
                    role:master\r\nmaxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n\
                    db0:keys=12,expires=3,avg_ttl=0\r\ndb9:keys=1,expires=0,avg_ttl=0\r\n";
        let server = Server::parse(text).unwrap();
        assert_eq!(server.major_minor, (7, 0));
        assert_eq!(server.keyspace.get(&0), Some(&(12, 3)));
        assert_eq!(server.all_keys(), 13);
        assert!(server.evicts() && !server.replica);
        assert!(Server::parse("redis_mode:cluster\r\n").is_err());
    }
}
