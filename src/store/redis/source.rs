//! Reads an index of a server at one moment: the RDB of the replication stream, cleared on the fly.
//!
//! The server is asked for a full synchronization without what follows it (`REPLCONF rdb-only`,
//! `SYNC`; `redis/src/replication.c`). It sends empty lines while it prepares, then either
//! `$<length>` and that many bytes (it has written a file first) or `$EOF:<40 bytes>`, bytes, and
//! the 40 bytes again (a child writes to the socket).
//!
//! Which of the two: with `capa eof` a server waits `repl-diskless-sync-delay` (5 s by default)
//! before it forks; without, it forks at once and goes through its own rdb file. That file is
//! asked for only where the server is known to wait and known to write it anyway (`save` is set):
//! a server that saves nothing would otherwise find old data at its next start.
//!
//! The socket is read eagerly into at most 16 MiB; nothing raw ever touches a disk. If what comes
//! after stalls for longer than the server's `repl-timeout` (60 s) and the stream comes from a
//! child, the server gives up: the error says for how long the stream had been held up.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};

use super::catalog::{Server, setting};
use super::connect::{Connection, PATIENCE};
use super::rdb::damaged;
use super::rdb::file::FileReader;
use super::rdb::rewrite::{Summary, rewrite_from};
use super::reply::{Reply, refusal};
use crate::config::endpoint::RedisEndpoint;
use crate::error::{Error, Kind, OrFail, Result};
use crate::pipeline::block::{Block, Cleared};
use crate::pipeline::transform::KeyTransform;
use crate::terms::{Consistency, Identity, Level};

/// Chunks of up to 256 KiB that may wait between the socket and the parser.
const QUEUED: usize = 64;

/// The mark that ends a stream whose length is not known.
type Mark = [u8; 40];

/// A server that can be read.
#[derive(Debug)]
pub struct Source {
    endpoint: RedisEndpoint,
    connection: Connection,
    server: Server,
}

/// How the RDB comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transfer {
    /// That many bytes.
    Sized(u64),
    /// Bytes until the mark.
    Marked(Mark),
}

impl Source {
    /// Connects and asks the server who it is. Errors: unreachable, a cluster (not built), a
    /// server that is loading or a replica without its primary.
    pub async fn open(endpoint: &RedisEndpoint) -> Result<Self> {
        let mut connection = Connection::open(endpoint).await?;
        let server = Server::read(&mut connection).await?;
        let address = connection.address();
        server.refuse_loading(address)?;
        if server.link_down {
            return Err(Error::failed(format!(
                "redis at {address} is a replica that has lost its primary: its data is old"
            )));
        }
        Ok(Self { endpoint: endpoint.clone(), connection, server })
    }

    /// Which server and index.
    pub fn identity(&self) -> Identity {
        self.server.identity(&self.endpoint)
    }

    /// The moment as of the connection; what was read is of [`Summary::consistency`], a little
    /// later.
    pub fn consistency(&self) -> Consistency {
        let point = format!("{}:{}", self.server.run_id, self.server.offset);
        Consistency { level: Level::PointInTime, point, exported: None }
    }

    /// `redis 7.0.15`.
    pub fn server_version(&self) -> String {
        self.server.product()
    }

    /// What the server says of itself.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// About how many keys the index has.
    pub fn keys_estimate(&self) -> u64 {
        self.server.keys(self.endpoint.db)
    }

    /// About how many bytes of the server's memory the index takes: its share by number of keys.
    pub fn bytes_estimate(&self) -> u64 {
        let share = u128::from(self.server.used_memory) * u128::from(self.keys_estimate());
        let all = u128::from(self.server.all_keys()).max(1);
        u64::try_from(share / all).unwrap_or(u64::MAX)
    }

    /// Reads the index through `transform` and sends the RDB of what comes of it to `out`, in
    /// blocks of about a mebibyte. The stream is whole only if this returns `Ok`.
    ///
    /// Errors: SYNC refused (reading by SCAN is not built), a stream that ends early or whose
    /// checksum is wrong, an error of the transform, a receiver that has gone.
    pub async fn read(
        self,
        mut transform: Box<dyn KeyTransform>,
        out: mpsc::Sender<Block<Cleared>>,
    ) -> Result<Summary> {
        let db = self.endpoint.db;
        let (mut summary, remark) = self
            .stream(move |reader| {
                let mut emit = |block| {
                    out.blocking_send(block)
                        .map_err(|_| Error::failed("what redis sends is no longer wanted"))
                };
                rewrite_from(reader, db, &mut *transform, &mut emit)
            })
            .await?;
        summary.remarks.push(remark.to_owned());
        Ok(summary)
    }

    /// Asks for the RDB and has `parse` read it to its end on a blocking thread. Also says how it
    /// was read.
    pub(super) async fn stream<T: Send + 'static>(
        mut self,
        parse: impl FnOnce(&mut FileReader<Chunks>) -> Result<T> + Send + 'static,
    ) -> Result<(T, &'static str)> {
        let (transfer, remark) = self.begin().await?;
        let (chunks, queue) = mpsc::channel(QUEUED);
        let held_up = Arc::new(AtomicU64::new(0));
        let mut pump = JoinSet::new();
        let limit = match transfer {
            Transfer::Sized(length) => Some(length),
            Transfer::Marked(_) => None,
        };
        pump.spawn(pump_socket(self.connection, limit, chunks, held_up.clone()));
        let done = spawn_blocking(move || {
            let mut reader = FileReader::open(Chunks { queue, chunk: Vec::new(), at: 0 })?;
            let done = parse(&mut reader)?;
            check_end(&mut reader, transfer)?;
            Ok(done)
        });
        let done: Result<T> = done.await.or_fail(|| "reading redis broke off")?;
        drop(pump);
        let stalled = held_up.load(Ordering::Relaxed) / 1000;
        let done = done.map_err(|error| {
            if stalled < 30 {
                return error;
            }
            error
                .because(format!("the stream had been held up for {stalled} s by what comes after"))
        })?;
        Ok((done, remark))
    }

    /// Asks for the RDB, the quick way; returns how it comes and a remark about it.
    async fn begin(&mut self) -> Result<(Transfer, &'static str)> {
        const STREAMED: &str = "read by SYNC, straight from the server's memory";
        let mut cause = None;
        if route(&mut self.connection).await? == Route::File {
            match synchronize(&mut self.connection, false).await {
                Ok(transfer) => {
                    return Ok((transfer, "read by SYNC, through the server's own rdb file"));
                }
                Err(error) if error.kind() == Kind::Usage => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "the server could not write its rdb file");
                    self.connection = Connection::open(&self.endpoint).await?;
                    cause = Some(error);
                }
            }
        }
        match (synchronize(&mut self.connection, true).await, cause) {
            (Ok(transfer), _) => Ok((transfer, STREAMED)),
            (Err(error), Some(first)) => Err(error.because(first)),
            (Err(error), None) => Err(error),
        }
    }
}

/// How a server is best asked for its RDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// As a stream, at once.
    Stream,
    /// Through its own file, since a stream would have to wait.
    File,
    /// As a stream, after waiting for `repl-diskless-sync-delay`.
    DelayedStream,
}

/// Finds out how the server is best asked.
pub async fn route(connection: &mut Connection) -> Result<Route> {
    let diskless = setting(connection, "repl-diskless-sync").await?;
    let delay = setting(connection, "repl-diskless-sync-delay").await?;
    let saves = setting(connection, "save").await?;
    Ok(match (diskless.as_deref(), delay.as_deref(), saves.as_deref()) {
        (Some("yes"), Some("0"), _) => Route::Stream,
        (Some("no"), _, _) => Route::File,
        (_, _, Some(rule)) if !rule.is_empty() => Route::File,
        _ => Route::DelayedStream,
    })
}

/// Sends SYNC and waits for the head of the answer.
async fn synchronize(connection: &mut Connection, stream: bool) -> Result<Transfer> {
    connection
        .run("REPLCONF rdb-only (since 6.2)", &[b"REPLCONF", b"rdb-only", b"1"])
        .await
        .map_err(without_sync)?;
    if stream {
        connection.run("REPLCONF capa eof", &[b"REPLCONF", b"capa", b"eof"]).await?;
    }
    connection.send(b"*1\r\n$4\r\nSYNC\r\n").await?;
    loop {
        let line = connection.line().await?;
        match line.as_slice() {
            [] => {}
            [b'-', text @ ..] => {
                let reply = Reply::Failure(String::from_utf8_lossy(text).into_owned());
                return Err(sync_refused(reply));
            }
            [b'$', b'E', b'O', b'F', b':', mark @ ..] => {
                let mark = mark.try_into().map_err(|_| damaged("its end mark is not 40 bytes"))?;
                return Ok(Transfer::Marked(mark));
            }
            [b'$', digits @ ..] => {
                return std::str::from_utf8(digits)
                    .ok()
                    .and_then(|digits| digits.parse().ok())
                    .map(Transfer::Sized)
                    .ok_or_else(|| damaged("its length is not a number"));
            }
            _ => return Err(damaged("the server's answer to SYNC is not one")),
        }
    }
}

fn without_sync(error: Error) -> Error {
    Error::not_built("reading redis by SCAN, where the server forbids SYNC,")
        .because(error)
        .hint("grant the user `+sync +psync +replconf`, or read from a replica that allows it")
}

fn sync_refused(reply: Reply) -> Error {
    let Reply::Failure(text) = reply else {
        return Error::failed("redis refused SYNC");
    };
    let forbidden = text.starts_with("NOPERM") || text.contains("unknown command");
    let error = refusal("SYNC", &super::reply::without_arguments(&text));
    if forbidden { without_sync(error) } else { error }
}

/// Reads the socket as fast as it gives, until `limit` bytes, its end, or nobody listens.
async fn pump_socket(
    mut connection: Connection,
    limit: Option<u64>,
    chunks: mpsc::Sender<Result<Vec<u8>>>,
    held_up: Arc<AtomicU64>,
) {
    let mut left = limit.unwrap_or(u64::MAX);
    while left > 0 {
        let mut chunk = connection.bytes(PATIENCE).await;
        if let Ok(bytes) = &mut chunk {
            bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= bytes.len() as u64;
        }
        let last = chunk.as_ref().map_or(true, Vec::is_empty);
        let began = Instant::now();
        if chunks.send(chunk).await.is_err() || last {
            return;
        }
        let waited = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        held_up.fetch_max(waited, Ordering::Relaxed);
    }
}

/// The chunks as a byte stream, on a blocking thread.
pub(super) struct Chunks {
    queue: mpsc::Receiver<Result<Vec<u8>>>,
    chunk: Vec<u8>,
    at: usize,
}

impl Read for Chunks {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.chunk.len() {
            self.at = 0;
            self.chunk = match self.queue.blocking_recv() {
                Some(chunk) => chunk.map_err(std::io::Error::other)?,
                None => Vec::new(),
            };
        }
        let rest = &self.chunk[self.at..];
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

/// Checks that the RDB ends where the server said.
fn check_end(reader: &mut FileReader<Chunks>, transfer: Transfer) -> Result<()> {
    match transfer {
        Transfer::Sized(length) if reader.input().position() != length => {
            Err(damaged("more follows its end than the server announced"))
        }
        Transfer::Marked(mark) if reader.input().array::<40>()? != mark => {
            Err(damaged("the server's end mark does not follow it"))
        }
        _ => Ok(()),
    }
}
