//! Throwaway Redis servers, and what the tests of the Redis room do with them.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pfdata::config::endpoint::{RedisEndpoint, Tls};
use pfdata::error::Result;
use pfdata::pipeline::block::{Block, Cleared};
use pfdata::pipeline::transform::{KeyTransform, UnruledKeys};
use pfdata::policy::{Class, Clearance, Permit, UnruledPermit};
use pfdata::store::redis::connect::Connection;
use pfdata::store::redis::load::{Expiry, LoadReport};
use pfdata::store::redis::rdb::rewrite::Summary;
use pfdata::store::redis::reply::Reply;
use pfdata::store::redis::source::Source;
use pfdata::store::redis::target::Target;
use tokio::sync::mpsc;

/// A redis-server that dies with the test.
pub struct Server {
    pub child: Child,
    pub port: u16,
    pub dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    pub async fn start(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start_in(dir, options).await
    }

    pub async fn start_in(dir: tempfile::TempDir, options: &[&str]) -> Self {
        let mut dir = dir;
        for _ in 0..5 {
            let mut server = Self::spawn(dir, options);
            if server.answers().await {
                return server;
            }
            // Another process took the port first.
            server.child.kill().unwrap();
            server.child.wait().unwrap();
            dir = std::mem::replace(&mut server.dir, tempfile::tempdir().unwrap());
        }
        panic!("redis-server does not answer");
    }

    fn spawn(dir: tempfile::TempDir, options: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes"])
            .arg("--dir")
            .arg(dir.path())
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server must be on PATH");
        Self { child, port, dir }
    }

    async fn answers(&self) -> bool {
        let ours = format!("process_id:{}\r", self.child.id());
        for _ in 0..200 {
            if let Ok(mut connection) = Connection::open(&self.at(0)).await
                && let Ok(info) = connection.command(&[b"INFO"]).await
                && let Some(info) = info.text()
                && info.contains("loading:0")
            {
                return info.contains(&ours);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        false
    }

    pub fn at(&self, db: u32) -> RedisEndpoint {
        RedisEndpoint {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            db,
            username: None,
            password: None,
            tls: Tls::default(),
            spare_db: None,
            taken: Vec::new(),
            connect_timeout: Duration::from_secs(5),
        }
    }

    pub async fn connect(&self, db: u32) -> Connection {
        Connection::open_at(&self.at(db), db).await.unwrap()
    }
}

/// Runs a command given as one line, split at spaces.
pub async fn run(connection: &mut Connection, line: &str) -> Reply {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    connection.run(line, &words).await.unwrap()
}

pub fn permit() -> Permit {
    unruled_permit().rows().clone()
}

/// For what goes through as it is.
pub fn unruled_permit() -> UnruledPermit {
    UnruledPermit::new(Class::Synthetic, false, Clearance::Anonymized).unwrap()
}

pub fn unruled() -> Box<dyn KeyTransform> {
    Box::new(UnruledKeys(unruled_permit()))
}

/// Fills the selected index with every kind in every encoding that 7.0 has.
pub async fn fill(connection: &mut Connection) {
    for line in [
        "SET text hello",
        "SET int8 -7",
        "SET int16 -30000",
        "SET int32 2000000000",
        "SET int64 9000000000000000000",
        "SET zeros 007",
        "RPUSH list:small a 1 -5000 70000",
        "SADD set:int 1 2 70000",
        "SADD set:wide -9000000000000000000 1",
        "SADD set:words a b c",
        "HSET hash:small f 1 g two empty-to-be 3",
        "ZADD zset:small 1 one 2.5 two -inf low +inf high 1e300 big 3 33",
        "SET lasting x",
        "SET expiring y",
        "PEXPIRE expiring 90000000",
        "HSET hash:expiring a b",
        "PEXPIRE hash:expiring 100000000",
        "XADD stream:plain 1-1 a 1 b two",
        "XADD stream:plain 1-2 a 1 b three",
        "XADD stream:plain 5-0 other fields here 1",
        "XADD stream:groups 10-0 a 1",
        "XADD stream:groups 11-0 a 2",
        "XADD stream:groups 12-0 a 3",
        "XADD stream:groups 13-0 a 4",
        "XGROUP CREATE stream:groups workers 0",
        "XREADGROUP GROUP workers alice COUNT 2 STREAMS stream:groups >",
        "XREADGROUP GROUP workers bob COUNT 1 STREAMS stream:groups >",
        "XACK stream:groups workers 10-0",
        "XDEL stream:groups 11-0",
        "XGROUP CREATECONSUMER stream:groups workers idle",
        "XGROUP CREATE stream:groups empty $",
        "XGROUP CREATE stream:empty g $ MKSTREAM",
        "XADD stream:gone 1-0 a 1",
        "XDEL stream:gone 1-0",
    ] {
        run(connection, line).await;
    }
    let long = "compress me ".repeat(2000);
    for (key, value) in [
        (&b"empty"[..], &b""[..]),
        (b"\x00\xff binary \r\n key", b"\x00\x01\xfe\r\n$-1"),
        (b"", b"the empty key"),
        (b"long", long.as_bytes()),
    ] {
        connection.run("SET", &[b"SET", key, value]).await.unwrap();
    }
    for number in 0..700 {
        let (word, score) = (format!("member-{number}"), format!("{}", f64::from(number) / 3.0));
        let value = format!("value {number} ").repeat(1 + number as usize % 20);
        let (word, value) = (word.as_bytes(), value.as_bytes());
        connection.run("RPUSH", &[b"RPUSH", b"list:large", value]).await.unwrap();
        connection.run("SADD", &[b"SADD", b"set:large", word]).await.unwrap();
        connection.run("HSET", &[b"HSET", b"hash:large", word, value]).await.unwrap();
        connection.run("ZADD", &[b"ZADD", b"zset:large", score.as_bytes(), word]).await.unwrap();
        connection.run("XADD", &[b"XADD", b"stream:large", b"*", b"f", value]).await.unwrap();
    }
    let plain = vec![b'p'; 20_000];
    connection.run("RPUSH", &[b"RPUSH", b"list:large", &plain, b"", b"last"]).await.unwrap();
    connection.run("HSET", &[b"HSET", b"hash:small", b"", b""]).await.unwrap();
}

/// An answer as text.
pub fn render(reply: &Reply) -> String {
    match reply {
        Reply::Array(Some(items)) => {
            format!("[{}]", items.iter().map(render).collect::<Vec<_>>().join(" "))
        }
        Reply::Bulk(Some(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Reply::Integer(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// Everything in the selected index as the server itself tells it: its own digest of the value,
/// the expiry, and all about streams but the times.
pub async fn picture(connection: &mut Connection) -> BTreeMap<Vec<u8>, String> {
    let mut picture = BTreeMap::new();
    let keys = connection.run("KEYS", &[b"KEYS", b"*"]).await.unwrap();
    for key in keys.items().unwrap() {
        let key = key.bytes().unwrap().to_vec();
        if key == b"pfdata:owner" {
            continue;
        }
        let digest = connection.run("DEBUG", &[b"DEBUG", b"DIGEST-VALUE", &key]).await.unwrap();
        let expiry = connection.run("PEXPIRETIME", &[b"PEXPIRETIME", &key]).await.unwrap();
        let full = connection.command(&[b"XINFO", b"STREAM", &key, b"FULL", b"COUNT", b"0"]).await;
        let full = match full.unwrap() {
            Reply::Failure(_) => String::new(),
            stream => {
                // Radix tree nodes and seen times may differ.
                let text = render(&stream);
                let tree = text.find("radix-tree-keys").unwrap();
                let last = text.find("last-generated-id").unwrap();
                let mut text = format!("{}{}", &text[..tree], &text[last..]);
                while let Some(seen) = text.find("seen-time ") {
                    text.replace_range(seen..seen + "seen-time 1234567890123".len(), "");
                }
                text
            }
        };
        picture.insert(key, format!("{digest:?} {expiry:?} {full}"));
    }
    picture
}

/// Reads an index into blocks.
pub async fn snapshot(
    endpoint: &RedisEndpoint,
    transform: Box<dyn KeyTransform>,
) -> Result<(Summary, Vec<Vec<u8>>)> {
    let source = Source::open(endpoint).await?;
    let (out, mut blocks) = mpsc::channel(4);
    let reading = tokio::spawn(source.read(transform, out));
    let mut all = Vec::new();
    while let Some(block) = blocks.recv().await {
        all.push(block.into_bytes());
    }
    Ok((reading.await.unwrap()?, all))
}

pub fn feed(blocks: Vec<Vec<u8>>) -> mpsc::Receiver<Block<Cleared>> {
    let (send, receive) = mpsc::channel(2);
    tokio::spawn(async move {
        for bytes in blocks {
            if send.send(Block::cleared(bytes, 0, &permit())).await.is_err() {
                return;
            }
        }
    });
    receive
}

pub async fn load(
    endpoint: &RedisEndpoint,
    job: &str,
    blocks: Vec<Vec<u8>>,
    expiry: Expiry,
) -> Result<(Target, LoadReport)> {
    let mut target = Target::prepare(endpoint, "test", job).await?;
    let report = target.load(feed(blocks), expiry).await?;
    Ok((target, report))
}
