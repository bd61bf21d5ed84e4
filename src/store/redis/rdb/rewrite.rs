//! A server's RDB in, a cleared RDB of one index out.

use std::io::Read;

use super::Seen;
use super::apart::respelled;
use super::contents::{Contents, KeyHasher};
use super::encode::{Encoder, Scratch, Shape};
use super::file::{FileReader, Item, Key};
use super::library::library_name;
use super::output::{Emit, Output, put_head, put_length, put_string};
use super::value::{ValueReader, key_kind, skip};
use super::{OWNER_KEY, kind, opcode};
use crate::error::Result;
use crate::pipeline::block::{Block, Cleared};
use crate::pipeline::digest::ContentDigest;
use crate::pipeline::transform::{KeyKind, KeyTransform, KeyVerdict, Part};
use crate::terms::{Consistency, Level};

/// What an RDB held and what became of it.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Keys of the index that went on.
    pub keys: u64,
    /// How many of them expire.
    pub expiring: u64,
    /// How many of them had already expired when the snapshot was taken, and are kept as the
    /// server sent them.
    pub already_expired: u64,
    /// Keys of the index that the transform dropped, or that ended without elements.
    pub dropped: u64,
    /// Keys of other indexes, which were passed over.
    pub elsewhere: u64,
    /// Function libraries that went on; they belong to the whole server.
    pub functions: u64,
    /// Function libraries that the transform left out: their names, where they have one.
    pub functions_left_out: Vec<String>,
    /// The digest of the keys that went on.
    pub digest: ContentDigest,
    /// The same by expiry.
    pub contents: Contents,
    /// Version of the RDB that was read.
    pub rdb_version: u32,
    /// `redis-ver` of the source.
    pub server_version: Option<String>,
    /// When the source forked, by its own clock: seconds since 1970.
    pub created: Option<u64>,
    /// Replication id and offset of the source at that moment.
    pub replication: Option<(String, u64)>,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// What is worth knowing: what was left out and why, how it was read.
    pub remarks: Vec<String>,
}

impl Summary {
    /// Takes in what an AUX field says.
    pub fn note_aux(&mut self, name: &[u8], value: &[u8]) {
        let text = || String::from_utf8_lossy(value).into_owned();
        let number = || std::str::from_utf8(value).ok()?.parse::<u64>().ok();
        match name {
            b"redis-ver" | b"valkey-ver" => self.server_version = Some(text()),
            b"ctime" => self.created = number(),
            b"repl-id" => self.replication = Some((text(), 0)),
            b"repl-offset" => {
                if let (Some((_, offset)), Some(number)) = (&mut self.replication, number()) {
                    *offset = number;
                }
            }
            _ => {}
        }
    }

    /// The moment that the RDB is of: `REPLICATION-ID:OFFSET` where the source told, else when it
    /// forked.
    pub fn consistency(&self) -> Consistency {
        let point = match (&self.replication, self.created) {
            (Some((id, offset)), _) => format!("{id}:{offset}"),
            (None, Some(seconds)) => format!("ctime {seconds}"),
            (None, None) => "unknown".to_owned(),
        };
        Consistency { level: Level::PointInTime, point, exported: None }
    }

    /// Adds a key with the hash `hash`.
    pub fn note_key(&mut self, hash: u128, expires: Option<u64>) {
        self.keys += 1;
        self.contents.add(hash, expires);
        self.digest.add_hash(hash);
        if let Some(at) = expires {
            self.expiring += 1;
            let created = self.created.unwrap_or(0).saturating_mul(1000);
            self.already_expired += u64::from(at < created);
        }
    }
}

/// What is kept from key to key.
struct Rewriter<'a> {
    transform: &'a mut dyn KeyTransform,
    output: Output<'a>,
    hasher: KeyHasher,
    values: ValueReader,
    scratch: Scratch,
    /// The new name of the current key, and everything before its value.
    name: Vec<u8>,
    head: Vec<u8>,
    names: Seen,
    summary: Summary,
    began: bool,
    selected: bool,
    db: u32,
}

/// Reads a server's RDB from `input`, keeps index `db` without pfdata's own marker, passes names
/// and elements through `transform`, and hands the result to `emit` in blocks: a complete RDB in
/// encodings that every server since 6.2 loads (since 7.0 if the source was one), with functions
/// before the keys, absolute expiries and the right CRC.
///
/// Runs on a blocking thread. Errors: damaged input, a transform's error, two keys or two members
/// that have become the same (all are counted first), a value over 64 MiB that a rule applies to.
pub fn rewrite(
    input: impl Read,
    db: u32,
    transform: &mut dyn KeyTransform,
    emit: &mut dyn FnMut(Block<Cleared>) -> Result<()>,
) -> Result<Summary> {
    rewrite_from(&mut FileReader::open(input)?, db, transform, emit)
}

/// As [`rewrite`], from a reader whose head has been read; what follows the RDB stays in it.
pub fn rewrite_from<R: Read>(
    reader: &mut FileReader<R>,
    db: u32,
    transform: &mut dyn KeyTransform,
    emit: &mut Emit<'_>,
) -> Result<Summary> {
    let output = Output::new(transform.permit().clone(), emit);
    let mut rewriter = Rewriter {
        transform,
        output,
        hasher: KeyHasher::default(),
        values: ValueReader::default(),
        scratch: Scratch::default(),
        name: Vec::new(),
        head: Vec::new(),
        names: Seen::default(),
        summary: Summary { rdb_version: reader.version(), ..Summary::default() },
        began: false,
        selected: false,
        db,
    };
    let mut module_aux = 0_u64;
    loop {
        match reader.next_item()? {
            Item::Aux => {
                let (name, value) = reader.aux();
                rewriter.summary.note_aux(name, value);
            }
            Item::Function => rewriter.function(reader.function())?,
            Item::ModuleAux => module_aux += 1,
            Item::Key => rewriter.key(reader)?,
            Item::End => break,
        }
    }
    rewriter.begin()?;
    rewriter.select();
    let Rewriter { output, mut summary, scratch, .. } = rewriter;
    scratch.collisions.finish()?;
    summary.bytes_written = output.finish()?;
    summary.bytes_read = reader.input().position();
    if module_aux > 0 {
        summary.remarks.push(format!("data of redis modules was left out ({module_aux} pieces)"));
    }
    Ok(summary)
}

impl Rewriter<'_> {
    /// Writes the head of the file, once what it says is known.
    fn begin(&mut self) -> Result<()> {
        if !self.began {
            self.began = true;
            let version = if self.summary.rdb_version >= 10 { 10 } else { 9 };
            let server = self.summary.server_version.as_deref().map(str::as_bytes);
            put_head(self.output.buffer(), version, server, self.summary.created);
        }
        self.output.settle()
    }

    fn select(&mut self) {
        if !self.selected {
            self.selected = true;
            self.output.buffer().push(opcode::SELECT);
            put_length(self.output.buffer(), u64::from(self.db));
        }
    }

    fn function(&mut self, code: &[u8]) -> Result<()> {
        if !self.transform.keeps_functions() {
            let name = library_name(code).unwrap_or_else(|| "without a name".to_owned());
            self.summary.functions_left_out.push(name);
            return Ok(());
        }
        self.begin()?;
        self.summary.functions += 1;
        self.output.buffer().push(opcode::FUNCTION);
        put_string(self.output.buffer(), code);
        self.output.settle()
    }

    fn key<R: Read>(&mut self, reader: &mut FileReader<R>) -> Result<()> {
        let (key, input) = reader.key_and_input();
        if key.db != u64::from(self.db) || key.name == OWNER_KEY {
            self.summary.elsewhere += u64::from(key.db != u64::from(self.db));
            return skip(input, key.kind);
        }
        let held = key_kind(key.kind)?;
        self.name.clear();
        let verdict = self.transform.key(&key.name, held, &mut self.name)?;
        if verdict == KeyVerdict::Drop {
            self.summary.dropped += 1;
            return skip(input, key.kind);
        }
        self.begin()?;
        self.select();
        self.hasher.begin(&self.name, held);
        if !self.names.insert(self.hasher.name_hash()) && !self.respell(&key.name, held)? {
            self.scratch.collisions.note(Part::Key, self.transform.place());
            return skip(input, key.kind);
        }
        let plain = put_key_head(&mut self.head, key, held, &self.name);
        let rewriting = verdict == KeyVerdict::Rewrite;
        let shape = Shape {
            kind: held,
            rewriting,
            // Of a stream, nodes without a live entry go.
            may_drop: rewriting && (held == KeyKind::Stream || self.transform.may_drop_elements()),
            ahead: rewriting && self.transform.looks_ahead(),
            with_history: plain == kind::STREAM_2,
        };
        let mut encoder = Encoder::new(
            self.transform,
            &mut self.hasher,
            &mut self.output,
            &mut self.scratch,
            &self.head,
            shape,
        );
        self.values.read(input, key.kind, &mut encoder)?;
        if encoder.finish()? {
            self.output.count();
            self.summary.note_key(self.hasher.finish(), key.expires);
        } else {
            self.summary.dropped += 1;
        }
        self.output.settle()
    }

    /// Gives the current key another spelling, since its name is taken; false if it has none.
    fn respell(&mut self, key: &[u8], held: KeyKind) -> Result<bool> {
        let names = &mut self.names;
        let spelled = respelled(self.transform, Part::Key, key, |hash| names.insert(hash))?;
        let Some((name, _)) = spelled else { return Ok(false) };
        self.name = name;
        self.hasher.begin(&self.name, held);
        Ok(true)
    }
}

/// Writes everything of a key that stands before its value to `head`: expiry, use, the plain
/// encoding, the name. Returns that encoding.
fn put_key_head(head: &mut Vec<u8>, key: &Key, held: KeyKind, name: &[u8]) -> u8 {
    head.clear();
    if let Some(at) = key.expires {
        head.push(opcode::EXPIRE_MS);
        head.extend_from_slice(&at.to_le_bytes());
    }
    if let Some(idle) = key.idle {
        head.push(opcode::IDLE);
        put_length(head, idle);
    }
    if let Some(frequency) = key.frequency {
        head.extend_from_slice(&[opcode::FREQUENCY, frequency]);
    }
    let plain = match held {
        KeyKind::String => kind::STRING,
        KeyKind::List => kind::LIST,
        KeyKind::Set => kind::SET,
        KeyKind::SortedSet => kind::ZSET,
        KeyKind::Hash => kind::HASH,
        KeyKind::Stream if key.kind == kind::STREAM => kind::STREAM,
        KeyKind::Stream => kind::STREAM_2,
    };
    head.push(plain);
    put_string(head, name);
    plain
}
