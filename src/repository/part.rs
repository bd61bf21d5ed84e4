//! Parts: one stored file each, written and read as a stream of blocks.

use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::gate::Gate;
use super::manifest::{Part, PartKind};
use super::names;
use super::snapshot::Snapshot;
use super::storage::NewObject;
use crate::error::{Error, OrFail, Result};
use crate::files;
use crate::pipeline::block::{self, BLOCK_BYTES, Block, Cleared};
use crate::pipeline::codec::{Codec, Compression};
use crate::pipeline::compress::Encoder;
use crate::pipeline::digest::{ContentDigest, RecordFormat, document_length};
use crate::pipeline::flow::BlockSink;
use crate::policy::Permit;

/// The buffer between the encoder and the file, in bytes.
const FILE_BUFFER_BYTES: usize = 256 << 10;
/// No record is larger: a Postgres field and a COPY row end at 1 GiB.
const RECORD_BYTES_MAX: usize = 1 << 30;

/// What a part will be, before its bytes are known.
#[derive(Debug, Clone)]
pub struct PartSpec {
    /// A number unique in the snapshot.
    pub number: u32,
    /// What it is.
    pub kind: PartKind,
    /// Path below the snapshot, as the layout spells it.
    pub path: String,
    /// The Postgres schema or MongoDB database it belongs to.
    pub namespace: String,
    /// The table or collection.
    pub name: String,
    /// Which slice of it.
    pub slice: String,
    /// How its records are delimited.
    pub format: RecordFormat,
}

/// A part being written; dropping it leaves nothing behind.
pub struct PartWriter {
    gate: Gate,
    spec: PartSpec,
    codec: Codec,
    encoder: Encoder<Hashing<BufWriter<Box<dyn NewObject>>>>,
    plain: Sha256,
    bytes_plain: u64,
    records: u64,
    digest: ContentDigest,
}

impl PartWriter {
    /// Begins a part of a snapshot, compressed by `compression`. Nothing is written once `gate` is
    /// closed.
    pub fn create(
        gate: &Gate,
        snapshot: &Snapshot,
        spec: PartSpec,
        compression: Compression,
    ) -> Result<Self> {
        let _pass = gate.enter()?;
        let file = snapshot.part_writer(&spec.path)?;
        let hashing = Hashing::new(BufWriter::with_capacity(FILE_BUFFER_BYTES, file));
        let encoder = compression.encoder(hashing).or_fail(|| "cannot start the compressor")?;
        let plain = Sha256::new();
        Ok(Self {
            gate: gate.clone(),
            spec,
            codec: compression.codec(),
            encoder,
            plain,
            bytes_plain: 0,
            records: 0,
            digest: ContentDigest::default(),
        })
    }

    fn append(&mut self, block: &Block<Cleared>) -> Result<()> {
        let bytes = block.bytes();
        let counted = self.spec.format.digest(bytes, &mut self.digest)?;
        let delimited = matches!(self.spec.format, RecordFormat::CopyText | RecordFormat::Bson);
        if delimited && counted != block.records() {
            return Err(Error::failed(format!(
                "a block of {} says that it holds {} records, and holds {counted}",
                self.spec.path,
                block.records()
            )));
        }
        self.records += block.records();
        self.bytes_plain += bytes.len() as u64;
        self.plain.update(bytes);
        self.encoder.write_all(bytes).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> Error {
        files::write_error(error, Path::new(&self.spec.path))
    }

    /// Makes the file visible and says what it is; the digest is that of its records.
    pub fn finish(self) -> Result<(Part, ContentDigest)> {
        let Self { gate, spec, codec, encoder, plain, bytes_plain, records, digest } = self;
        let _pass = gate.enter()?;
        let path = Path::new(&spec.path);
        let mut hashing = encoder.finish().map_err(|error| files::write_error(&error, path))?;
        hashing.flush().map_err(|error| files::write_error(&error, path))?;
        let Hashing { inner, hash, bytes } = hashing;
        let file = inner.into_inner().map_err(|error| files::write_error(error.error(), path))?;
        file.finish()?;
        let part = Part {
            number: spec.number,
            kind: spec.kind,
            path: spec.path,
            namespace: spec.namespace,
            name: spec.name,
            slice: spec.slice,
            codec: Some(codec),
            format: Some(spec.format),
            records,
            bytes_plain,
            sha256_plain: names::hex(&plain.finalize()),
            bytes_stored: bytes,
            sha256_stored: names::hex(&hash.finalize()),
        };
        Ok((part, digest))
    }
}

impl BlockSink for PartWriter {
    fn write(&mut self, block: &Block<Cleared>) -> Result<()> {
        let _pass = self.gate.enter()?;
        self.append(block)
    }
}

/// A writer or reader that hashes and counts what passes.
struct Hashing<T> {
    inner: T,
    hash: Sha256,
    bytes: u64,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Checks the stored bytes of a part against the manifest without unpacking them.
pub fn check_stored(snapshot: &Snapshot, part: &Part) -> Result<()> {
    let mut file = Hashing::new(open(snapshot, part)?);
    io::copy(&mut file, &mut io::sink())
        .or_unreachable(|| format!("cannot read `{}`", part.path))?;
    same_stored(part, file.bytes, &names::hex(&file.hash.finalize()))
}

fn same_stored(part: &Part, bytes: u64, sha256: &str) -> Result<()> {
    if bytes != part.bytes_stored {
        return Err(Error::findings(format!(
            "`{}` has {bytes} bytes, and its manifest says {}",
            part.path, part.bytes_stored
        )));
    }
    if sha256 != part.sha256_stored {
        return Err(Error::findings(format!(
            "the bytes of `{}` are not those that were stored",
            part.path
        )));
    }
    Ok(())
}

fn open(snapshot: &Snapshot, part: &Part) -> Result<Box<dyn Read + Send>> {
    snapshot.part_reader(&part.path)?.map_err(|error| {
        Error::findings(format!("part `{}` cannot be opened", part.path)).because(error.to_string())
    })
}

/// Reads a part as blocks of whole records, hashing on both sides of the codec, and hands each to
/// `emit`, which says whether to go on. What was read is compared with the manifest at the end;
/// gives the digest of the records.
pub fn read_blocks(
    snapshot: &Snapshot,
    part: &Part,
    format: RecordFormat,
    permit: &Permit,
    mut emit: impl FnMut(Block<Cleared>) -> Result<()>,
) -> Result<ContentDigest> {
    let mut stored = Hashing::new(open(snapshot, part)?);
    let broken = |error: io::Error| {
        Error::findings(format!("part `{}` cannot be unpacked", part.path))
            .because(error.to_string())
    };
    let mut plain = Sha256::new();
    let (mut bytes_plain, mut records) = (0_u64, 0_u64);
    let mut digest = ContentDigest::default();
    {
        let mut decoder = part.codec().decoder(&mut stored).map_err(broken)?;
        let mut buffer = block::buffer();
        loop {
            let room = BLOCK_BYTES.saturating_sub(buffer.len()).max(64 << 10) as u64;
            let before = buffer.len();
            let read = (&mut decoder).take(room).read_to_end(&mut buffer).map_err(broken)?;
            plain.update(&buffer[before..]);
            bytes_plain += read as u64;
            if read > 0 && buffer.len() < BLOCK_BYTES {
                continue;
            }
            let whole = whole_records(&buffer, format)?;
            if read == 0 && whole != buffer.len() {
                return Err(Error::findings(format!("part `{}` ends inside a record", part.path)));
            }
            if whole > 0 {
                let rest = buffer.split_off(whole);
                let count = format.digest(&buffer, &mut digest)?;
                records += count;
                emit(Block::cleared(buffer, count, permit))?;
                buffer = block::buffer();
                buffer.extend_from_slice(&rest);
            } else if buffer.len() > RECORD_BYTES_MAX {
                return Err(Error::findings(format!(
                    "part `{}` holds an endless record",
                    part.path
                )));
            }
            if read == 0 {
                break;
            }
        }
    }
    io::copy(&mut stored, &mut io::sink()).map_err(broken)?;
    same_stored(part, stored.bytes, &names::hex(&stored.hash.finalize()))?;
    let same = bytes_plain == part.bytes_plain
        && names::hex(&plain.finalize()) == part.sha256_plain
        && (matches!(format, RecordFormat::Opaque | RecordFormat::Lines)
            || records == part.records);
    if !same {
        return Err(Error::findings(format!(
            "what `{}` unpacks to is not what was stored",
            part.path
        )));
    }
    Ok(digest)
}

/// How many bytes of the buffer are whole records.
fn whole_records(buffer: &[u8], format: RecordFormat) -> Result<usize> {
    match format {
        RecordFormat::Opaque => Ok(buffer.len()),
        RecordFormat::CopyText | RecordFormat::Lines => {
            Ok(memchr::memrchr(b'\n', buffer).map_or(0, |end| end + 1))
        }
        RecordFormat::Bson => {
            let mut whole = 0;
            while let Some(head) = buffer[whole..].first_chunk::<4>() {
                let length = usize::try_from(i32::from_le_bytes(*head)).unwrap_or(0);
                if length > buffer.len() - whole && length >= 5 {
                    break;
                }
                whole += document_length(&buffer[whole..])?;
            }
            Ok(whole)
        }
    }
}

/// A small part's bytes, checked against the manifest.
pub fn read_small(snapshot: &Snapshot, part: &Part, permit: &Permit) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_blocks(snapshot, part, RecordFormat::Opaque, permit, |block| {
        bytes.extend_from_slice(block.bytes());
        Ok(())
    })?;
    Ok(bytes)
}
