//! Writes an RDB: lengths, strings, blocks, and the CRC at the end.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use super::{Decimal, crc64, opcode};
use crate::error::{OrFail, Result};
use crate::pipeline::block::{self, BLOCK_BYTES, Block, Cleared};
use crate::policy::Permit;

/// Appends a length. `redis/src/rdb.c`, rdbSaveLen.
pub fn put_length(out: &mut Vec<u8>, length: u64) {
    if length < 1 << 6 {
        out.push(length as u8);
    } else if length < 1 << 14 {
        out.extend_from_slice(&(0x4000 | length as u16).to_be_bytes());
    } else if let Ok(short) = u32::try_from(length) {
        out.push(0x80);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(0x81);
        out.extend_from_slice(&length.to_be_bytes());
    }
}

/// Appends a string, its length first.
pub fn put_string(out: &mut Vec<u8>, value: &[u8]) {
    put_length(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends an AUX field.
pub fn put_aux(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.push(opcode::AUX);
    put_string(out, name.as_bytes());
    put_string(out, value);
}

/// Appends the head of a file that `version` describes, with what it says of its origin.
pub fn put_head(out: &mut Vec<u8>, version: u32, server: Option<&[u8]>, created: Option<u64>) {
    out.extend_from_slice(format!("REDIS{version:04}").as_bytes());
    if let Some(server) = server {
        put_aux(out, "redis-ver", server);
    }
    put_aux(out, "redis-bits", b"64");
    if let Some(created) = created {
        put_aux(out, "ctime", Decimal::of(created.cast_signed()).text());
    }
}

/// Where blocks go.
pub type Emit<'a> = dyn FnMut(Block<Cleared>) -> Result<()> + 'a;

/// Collects bytes into blocks of about a mebibyte and hands them on.
pub struct Output<'a> {
    buffer: Vec<u8>,
    crc: u64,
    records: u64,
    total: u64,
    permit: Permit,
    emit: &'a mut Emit<'a>,
}

impl<'a> Output<'a> {
    /// Hands blocks, cleared under `permit`, to `emit`.
    pub fn new(permit: Permit, emit: &'a mut Emit<'a>) -> Self {
        let buffer = block::buffer();
        Self { buffer, crc: 0, records: 0, total: 0, permit, emit }
    }

    /// The buffer, to append to; call [`settle`](Self::settle) after.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Hands on the buffer when it is full.
    pub fn settle(&mut self) -> Result<()> {
        if self.buffer.len() >= BLOCK_BYTES { self.flush() } else { Ok(()) }
    }

    /// Appends `bytes`, in pieces when they are many.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        for piece in bytes.chunks(BLOCK_BYTES) {
            self.buffer.extend_from_slice(piece);
            self.settle()?;
        }
        Ok(())
    }

    /// Counts a key, whose end has been written.
    pub fn count(&mut self) {
        self.records += 1;
    }

    fn flush(&mut self) -> Result<()> {
        self.crc = crc64::update(self.crc, &self.buffer);
        self.total += self.buffer.len() as u64;
        let empty = block::buffer();
        let full = std::mem::replace(&mut self.buffer, empty);
        (self.emit)(Block::cleared(full, std::mem::take(&mut self.records), &self.permit))
    }

    /// Writes the end with the CRC; returns how many bytes there are.
    pub fn finish(mut self) -> Result<u64> {
        self.buffer.push(opcode::EOF);
        let crc = crc64::update(self.crc, &self.buffer);
        self.total += self.buffer.len() as u64 + 8;
        self.buffer.extend_from_slice(&crc.to_le_bytes());
        (self.emit)(Block::cleared(self.buffer, self.records, &self.permit))?;
        Ok(self.total)
    }
}

/// How much of a key is held in memory.
const HELD: usize = 8 << 20;

/// The elements of a key whose number is not known yet: in memory, and beyond 8 MiB in a temporary
/// file without a name. What is in it has been cleared.
#[derive(Debug, Default)]
pub struct Body {
    held: Vec<u8>,
    file: Option<File>,
    filed: u64,
}

impl Body {
    /// Begins anew.
    pub fn clear(&mut self) {
        self.held.clear();
        if self.held.capacity() > 2 * HELD {
            self.held = Vec::new();
        }
        self.file = None;
        self.filed = 0;
    }

    /// The buffer, to append to; call [`settle`](Self::settle) after.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.held
    }

    /// Whether more is held than should be.
    pub fn overflows(&self) -> bool {
        self.held.len() > HELD
    }

    /// Moves what is held to the file when it is too much.
    pub fn settle(&mut self) -> Result<()> {
        if !self.overflows() {
            return Ok(());
        }
        let failed = || "a large redis key cannot be held in a temporary file";
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile().or_fail(failed)?),
        };
        file.write_all(&self.held).or_fail(failed)?;
        self.filed += self.held.len() as u64;
        self.held.clear();
        Ok(())
    }

    /// Writes everything to `output` and begins anew.
    pub fn drain(&mut self, output: &mut Output<'_>) -> Result<()> {
        if let Some(file) = &mut self.file {
            let failed = || "a large redis key cannot be read back from its temporary file";
            file.seek(SeekFrom::Start(0)).or_fail(failed)?;
            let mut left = self.filed;
            let mut piece = vec![0; BLOCK_BYTES];
            while left > 0 {
                let limit = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
                file.read_exact(&mut piece[..limit]).or_fail(failed)?;
                output.write(&piece[..limit])?;
                left -= limit as u64;
            }
        }
        output.write(&self.held)?;
        self.clear();
        Ok(())
    }
}
