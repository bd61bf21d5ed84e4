//! From a stored RDB to commands: `RESTORE` with the bytes as they are, and for keys too large for
//! that, or too new for the server, the commands that build them.

use std::io::Read;

use xxhash_rust::xxh3::xxh3_128;

use super::rdb::contents::KeyHasher;
use super::rdb::file::Key;
use super::rdb::input::Input;
use super::rdb::sink::Sink;
use super::rdb::sink::StreamEvent;
use super::rdb::value::{ValueReader, key_kind};
use super::rdb::{Decimal, crc64, kind, lowest_version};
use super::reply::{put_argument, put_command_head};
use crate::error::{Error, Result};

/// The largest value that is sent as one payload; larger ones are built by commands.
pub const LARGEST_PAYLOAD: u64 = 8 << 20;

/// The same for streams, which commands cannot build quite as exactly.
pub const LARGEST_STREAM_PAYLOAD: u64 = 64 << 20;

/// Digests a value and gives up when it becomes too large.
pub struct HashSink<'a> {
    hasher: &'a mut KeyHasher,
    limit: u64,
    size: u64,
    /// Whether it was too large.
    pub overflowed: bool,
}

impl<'a> HashSink<'a> {
    /// Digests into `hasher`; values of about `limit` bytes are too large.
    pub fn new(hasher: &'a mut KeyHasher, limit: u64) -> Self {
        Self { hasher, limit, size: 0, overflowed: false }
    }

    fn grow(&mut self, bytes: usize) -> Result<()> {
        self.size += bytes as u64;
        if self.size > self.limit {
            self.overflowed = true;
            return Err(Error::failed("a redis value is too large for one payload"));
        }
        Ok(())
    }
}

impl Sink for HashSink<'_> {
    fn string(&mut self, value: &[u8]) -> Result<()> {
        self.hasher.string(value);
        self.grow(value.len())
    }

    fn long_string(&mut self, length: u64) -> Result<()> {
        self.hasher.begin_pieces();
        self.grow(usize::try_from(length).unwrap_or(usize::MAX))?;
        self.size = 0;
        Ok(())
    }

    fn long_string_piece(&mut self, piece: &[u8]) -> Result<()> {
        self.hasher.piece(piece);
        Ok(())
    }

    fn begin(&mut self, _count: Option<u64>) -> Result<()> {
        Ok(())
    }

    fn item(&mut self, value: &[u8]) -> Result<()> {
        self.hasher.item(value);
        self.grow(value.len())
    }

    fn member(&mut self, member: &[u8]) -> Result<()> {
        self.hasher.member(member);
        self.grow(member.len())
    }

    fn scored(&mut self, member: &[u8], score: f64) -> Result<()> {
        self.hasher.scored(member, score);
        self.grow(member.len() + 8)
    }

    fn field(&mut self, field: &[u8], value: &[u8]) -> Result<()> {
        self.hasher.field(field, value);
        self.grow(field.len() + value.len())
    }

    fn stream(&mut self, event: StreamEvent<'_>) -> Result<()> {
        self.hasher.stream(&event)?;
        match event {
            StreamEvent::Node(_, listpack) => self.grow(listpack.len()),
            _ => self.grow(24),
        }
    }
}

/// Hashes the value that follows in `input`, without a limit.
pub fn hash_value<R: Read>(
    values: &mut ValueReader,
    hasher: &mut KeyHasher,
    name: &[u8],
    kind: u8,
    input: &mut Input<R>,
) -> Result<u128> {
    hasher.begin(name, key_kind(kind)?);
    values.read(input, kind, &mut HashSink::new(hasher, u64::MAX))?;
    Ok(hasher.finish())
}

/// The limit for a value of encoding `kind`.
pub fn payload_limit(kind: u8) -> u64 {
    match kind {
        kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => LARGEST_STREAM_PAYLOAD,
        _ => LARGEST_PAYLOAD,
    }
}

/// The highest RDB version that a server of `version` (major, minor) loads.
pub fn rdb_version_of(version: (u32, u32)) -> u16 {
    match version {
        (..=6, _) => 9,
        (7, ..=1) => 10,
        (7, 2..=3) => 11,
        _ => 12,
    }
}

/// Appends `RESTORE` for `key`, whose value's bytes are `value`; it expires at `expires`
/// (milliseconds since 1970). The payload claims the lowest version that defines its encoding.
pub fn put_restore(out: &mut Vec<u8>, key: &Key, value: &[u8], expires: Option<u64>) {
    let used = key.idle.is_some() || key.frequency.is_some();
    put_command_head(out, 4 + usize::from(expires.is_some()) + if used { 2 } else { 0 });
    put_argument(out, b"RESTORE");
    put_argument(out, &key.name);
    let at = i64::try_from(expires.unwrap_or(0)).unwrap_or(i64::MAX);
    put_argument(out, Decimal::of(at).text());
    let length = 1 + value.len() + 10;
    out.push(b'$');
    out.extend_from_slice(Decimal::of(length as i64).text());
    out.extend_from_slice(b"\r\n");
    let from = out.len();
    out.push(key.kind);
    out.extend_from_slice(value);
    out.extend_from_slice(&lowest_version(key.kind).to_le_bytes());
    let crc = crc64::update(0, &out[from..]);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(b"\r\n");
    if expires.is_some() {
        put_argument(out, b"ABSTTL");
    }
    if let Some(frequency) = key.frequency {
        put_argument(out, b"FREQ");
        put_argument(out, Decimal::of(i64::from(frequency)).text());
    } else if let Some(idle) = key.idle {
        put_argument(out, b"IDLETIME");
        put_argument(out, Decimal::of(i64::try_from(idle).unwrap_or(i64::MAX)).text());
    }
}

/// Takes the payload of `DUMP` apart: the encoding, and the value's bytes. Errors: a wrong CRC.
pub fn open_payload(payload: &[u8]) -> Result<(u8, &[u8])> {
    let bad = || super::rdb::damaged("a DUMP payload has a wrong checksum");
    let (covered, crc) = payload.split_last_chunk::<8>().ok_or_else(bad)?;
    if crc64::update(0, covered) != u64::from_le_bytes(*crc) {
        return Err(bad());
    }
    match covered {
        [kind, value @ .., _, _] => Ok((*kind, value)),
        _ => Err(bad()),
    }
}

/// The hash under which a key's name is remembered.
pub fn name_hash(name: &[u8]) -> u128 {
    xxh3_128(name)
}
