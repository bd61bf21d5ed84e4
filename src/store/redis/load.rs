//! Loads a stored RDB into the selected spare index: a parser on a blocking thread, and a few
//! connections that send what it makes.
//!
//! Batches of about a mebibyte go to whichever connection is free; the commands of a key that is
//! built piecemeal all go, in order, through one of their own. What may wait in memory is bounded
//! in bytes.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::connect::Connection;
use super::rdb::contents::{Contents, KeyHasher};
use super::rdb::file::{FileReader, Item};
use super::rdb::rewrite::Summary;
use super::rdb::value::{ValueReader, key_kind};
use super::rdb::{OWNER_KEY, damaged, lowest_version};
use super::rebuild::Rebuild;
use super::reply::{Reply, refusal};
use super::restore::{HashSink, payload_limit, put_restore};
use crate::config::endpoint::RedisEndpoint;
use crate::error::{Error, Result};
use crate::pipeline::block::{BLOCK_BYTES, Block, Cleared};

/// Connections that load at the same time; the server itself works with one thread.
pub const LANES: usize = 2;

/// Kibibytes of commands that may wait or be on their way.
const BUDGET: u32 = 48 << 10;

/// What is done with expiries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Keys expire when they would have; those that have, stay out.
    Absolute,
    /// Keys live on for the time that they had left when the source forked: by the clock of the
    /// source, as the RDB says (`ctime`), and that of the target. An RDB that does not say is an
    /// error.
    Remaining,
    /// The same, with both moments given.
    RemainingSince {
        /// When the snapshot was taken, milliseconds since 1970.
        snapshot_ms: u64,
        /// Now, milliseconds since 1970.
        now_ms: u64,
    },
}

impl Expiry {
    /// When a key that expires at `at` in the snapshot shall expire now; `None` if it has expired
    /// by `now`, milliseconds since 1970.
    fn of(self, at: u64, now: u64) -> Option<u64> {
        let moved = match self {
            Self::Absolute | Self::Remaining => at,
            Self::RemainingSince { snapshot_ms, now_ms } => {
                at.checked_sub(snapshot_ms).filter(|left| *left > 0)?.saturating_add(now_ms)
            }
        };
        (moved > now).then_some(moved)
    }
}

/// What was loaded.
#[derive(Debug, Clone, Default)]
pub struct LoadReport {
    /// Keys sent to the server.
    pub keys: u64,
    /// Keys that had expired and were not sent.
    pub expired: u64,
    /// Keys built by commands, being too large for a payload or too new for the server.
    pub rebuilt: u64,
    /// All that the stored RDB holds, expired keys too: compare keys and digest with the manifest.
    pub stored: Summary,
    /// Exactly what was sent, by expiry as it is now.
    pub contents: Contents,
    /// Function libraries that were loaded.
    pub functions_loaded: u64,
    /// What is worth knowing: libraries that differ, remarks of the format.
    pub remarks: Vec<String>,
}

/// Commands on their way, and how many answers they bring.
pub struct Batch {
    bytes: Vec<u8>,
    replies: u64,
    /// Given back once it has been answered.
    room: OwnedSemaphorePermit,
}

/// The ends that the parser writes to.
pub struct Lanes {
    any: async_channel::Sender<Batch>,
    ordered: mpsc::Sender<Batch>,
    budget: Arc<Semaphore>,
    handle: Handle,
}

/// The lanes' other ends.
pub struct LaneEnds {
    any: async_channel::Receiver<Batch>,
    ordered: mpsc::Receiver<Batch>,
    budget: Arc<Semaphore>,
}

/// Makes the queues between the parser and the connections.
pub fn lanes() -> (Lanes, LaneEnds) {
    let (any, any_end) = async_channel::bounded(LANES);
    let (ordered, ordered_end) = mpsc::channel(2);
    let budget = Arc::new(Semaphore::new(BUDGET as usize));
    let ends = LaneEnds { any: any_end, ordered: ordered_end, budget: budget.clone() };
    (Lanes { any, ordered, budget, handle: Handle::current() }, ends)
}

impl Lanes {
    fn batch(&self, bytes: Vec<u8>, replies: u64) -> Result<Batch> {
        let kibibytes = u32::try_from(bytes.len() >> 10).unwrap_or(BUDGET).clamp(1, BUDGET);
        let room = self.handle.block_on(self.budget.clone().acquire_many_owned(kibibytes));
        Ok(Batch { bytes, replies, room: room.map_err(|_| stopped())? })
    }

    fn send_any(&self, bytes: Vec<u8>, replies: u64) -> Result<()> {
        let batch = self.batch(bytes, replies)?;
        self.any.send_blocking(batch).map_err(|_| stopped())
    }

    fn send_ordered(&self, bytes: Vec<u8>, replies: u64) -> Result<()> {
        let batch = self.batch(bytes, replies)?;
        self.ordered.blocking_send(batch).map_err(|_| stopped())
    }
}

/// The parser's error when the connections have failed, which is the error that counts.
fn stopped() -> Error {
    Error::failed("loading redis has stopped")
}

/// Runs every lane until the parser is done; the first failure stops all.
pub async fn run_lanes(endpoint: &RedisEndpoint, index: u32, ends: LaneEnds) -> Result<()> {
    let LaneEnds { any, ordered, budget } = ends;
    // However this ends, even by being dropped, the parser must not wait for room any more.
    let _closed = CloseOnDrop(budget);
    let shared = async {
        let lanes = (0..LANES).map(|_| run_any(endpoint, index, any.clone()));
        futures_util::future::try_join_all(lanes).await
    };
    let (shared, alone) = (shared, run_ordered(endpoint, index, ordered));
    tokio::try_join!(shared, alone)?;
    Ok(())
}

/// Closes the semaphore with the end of its scope.
struct CloseOnDrop(Arc<Semaphore>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

async fn run_any(
    endpoint: &RedisEndpoint,
    index: u32,
    batches: async_channel::Receiver<Batch>,
) -> Result<()> {
    let mut connection = Connection::open_at(endpoint, index).await?;
    let mut waiting: VecDeque<(u64, OwnedSemaphorePermit)> = VecDeque::new();
    loop {
        // A second batch goes out while the first is being answered, but only if it is there
        // already: room that is held while nothing moves would stop the parser for good.
        let next = if waiting.is_empty() {
            batches.recv().await.ok()
        } else if waiting.len() < 2 {
            batches.try_recv().ok()
        } else {
            None
        };
        if let Some(Batch { bytes, replies, room }) = next {
            connection.send(&bytes).await?;
            waiting.push_back((replies, room));
            continue;
        }
        let Some((replies, _room)) = waiting.pop_front() else {
            return Ok(());
        };
        connection.expect_successes(replies, "RESTORE").await?;
    }
}

async fn run_ordered(
    endpoint: &RedisEndpoint,
    index: u32,
    mut batches: mpsc::Receiver<Batch>,
) -> Result<()> {
    let mut connection = None;
    while let Some(Batch { bytes, replies, room: _room }) = batches.recv().await {
        let connection = match &mut connection {
            Some(connection) => connection,
            none => none.insert(Connection::open_at(endpoint, index).await?),
        };
        connection.send(&bytes).await?;
        for _ in 0..replies {
            match connection.reply().await? {
                Reply::Failure(text) => return Err(refusal("building a large key", &text)),
                // Only XCLAIM answers with a list: that of the entries that it could claim.
                Reply::Array(items) if items.as_ref().is_none_or(Vec::is_empty) => {
                    return Err(Error::not_built(
                        "building a large redis stream with pending entries whose messages are gone",
                    ));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Blocks as a byte stream, on a blocking thread.
pub struct Blocks {
    queue: mpsc::Receiver<Block<Cleared>>,
    bytes: Vec<u8>,
    at: usize,
}

impl Blocks {
    /// Reads what comes through `queue`.
    pub fn new(queue: mpsc::Receiver<Block<Cleared>>) -> Self {
        Self { queue, bytes: Vec::new(), at: 0 }
    }
}

impl Read for Blocks {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.bytes.len() {
            self.at = 0;
            match self.queue.blocking_recv() {
                Some(block) => self.bytes = block.into_bytes(),
                None => {
                    self.bytes = Vec::new();
                    return Ok(0);
                }
            }
        }
        let rest = &self.bytes[self.at..];
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

/// Takes a stored RDB apart and makes commands of it, on a blocking thread.
pub struct Loader {
    lanes: Lanes,
    expiry: Expiry,
    /// The server's clock, milliseconds since 1970.
    now: u64,
    /// The highest RDB version that the server loads.
    newest: u16,
    hasher: KeyHasher,
    values: ValueReader,
    batch: Vec<u8>,
    replies: u64,
    report: LoadReport,
    functions: Vec<Vec<u8>>,
}

impl Loader {
    /// Loads with `expiry` into a server whose clock shows `now` and which loads RDB versions up to
    /// `newest`.
    pub fn new(lanes: Lanes, expiry: Expiry, now: u64, newest: u16) -> Self {
        Self {
            lanes,
            expiry,
            now,
            newest,
            hasher: KeyHasher::default(),
            values: ValueReader::default(),
            batch: Vec::with_capacity(BLOCK_BYTES),
            replies: 0,
            report: LoadReport::default(),
            functions: Vec::new(),
        }
    }

    /// Reads the RDB to its end. Returns the report, and the sources of the function libraries.
    pub fn run(mut self, source: impl Read) -> Result<(LoadReport, Vec<Vec<u8>>)> {
        let mut reader = FileReader::open(source)?;
        self.report.stored.rdb_version = reader.version();
        loop {
            match reader.next_item()? {
                Item::Aux => {
                    let (name, value) = reader.aux();
                    self.report.stored.note_aux(name, value);
                }
                Item::Function => {
                    self.functions.push(reader.function().to_vec());
                    self.report.stored.functions += 1;
                }
                Item::ModuleAux => self.report.stored.remarks.push("module data".to_owned()),
                Item::Key => self.key(&mut reader)?,
                Item::End => break,
            }
        }
        let position = reader.input().position();
        self.report.stored.bytes_read = position;
        if reader.input().byte().is_ok() {
            return Err(damaged("something follows its end"));
        }
        self.flush()?;
        Ok((self.report, self.functions))
    }

    fn key<R: Read>(&mut self, reader: &mut FileReader<R>) -> Result<()> {
        let (key, input) = reader.key_and_input();
        if key.name == OWNER_KEY {
            return super::rdb::value::skip(input, key.kind);
        }
        self.hasher.begin(&key.name, key_kind(key.kind)?);
        if self.expiry == Expiry::Remaining {
            let snapshot_ms =
                self.report.stored.created.map(|seconds| seconds.saturating_mul(1000));
            let snapshot_ms = snapshot_ms.ok_or_else(|| {
                Error::failed("the stored rdb does not say when it was taken")
                    .hint("restore it instead: expiries then stay as they are")
            })?;
            self.expiry = Expiry::RemainingSince { snapshot_ms, now_ms: self.now };
        }
        let expires = match key.expires {
            Some(at) => match self.expiry.of(at, self.now) {
                Some(at) => Some(at),
                None => {
                    let mut sink = HashSink::new(&mut self.hasher, u64::MAX);
                    self.values.read(input, key.kind, &mut sink)?;
                    self.report.stored.note_key(self.hasher.finish(), key.expires);
                    self.report.expired += 1;
                    return Ok(());
                }
            },
            None => None,
        };
        input.start_capture();
        let limit =
            if lowest_version(key.kind) > self.newest { 0 } else { payload_limit(key.kind) };
        let mut sink = HashSink::new(&mut self.hasher, limit);
        let read = self.values.read(input, key.kind, &mut sink);
        if limit == 0 || sink.overflowed {
            input.replay();
            self.hasher.begin(&key.name, key_kind(key.kind)?);
            let lanes = &self.lanes;
            let mut send = |bytes, count| lanes.send_ordered(bytes, count);
            let history = self.newest >= 10;
            let mut rebuild = Rebuild::new(&key.name, &mut self.hasher, history, &mut send);
            self.values.read(input, key.kind, &mut rebuild)?;
            rebuild.finish(expires)?;
            self.report.rebuilt += 1;
        } else {
            read?;
            put_restore(&mut self.batch, key, input.stop_capture(), expires);
            self.replies += 1;
        }
        let hash = self.hasher.finish();
        self.report.stored.note_key(hash, key.expires);
        self.report.contents.add(hash, expires);
        self.report.keys += 1;
        if self.batch.len() >= BLOCK_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if self.replies == 0 {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.batch, Vec::with_capacity(BLOCK_BYTES + 4096));
        self.lanes.send_any(full, std::mem::take(&mut self.replies))
    }
}
