//! The bytes of an RDB: buffered, counted, under a running CRC, and never more at once than arrive.

use std::io::{ErrorKind, Read};

use super::{crc64, damaged, lzf};
use crate::error::{Error, OrFail, Result};

/// Bytes read from below at once.
const BUFFER: usize = 256 << 10;

/// The most that is reserved before the bytes are there.
const RESERVE: u64 = 1 << 20;

/// The largest single element (list item, field, packed blob) that is taken: what Redis itself
/// takes by default (`proto-max-bulk-len`), and room for a packed node around it.
pub const LARGEST_ELEMENT: u64 = (512 << 20) + (1 << 16);

/// How a string is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StringHead {
    /// That many bytes follow.
    Plain(u64),
    /// The decimal digits of a number that was read with the head.
    Integer(i64),
    /// Bytes compressed with LZF, and as how many they are meant.
    Compressed {
        /// Bytes that follow.
        stored: u64,
        /// Bytes that they become.
        length: u64,
    },
}

/// Reads an RDB from `source`.
pub struct Input<R> {
    source: R,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    /// How much of the buffer the CRC covers; never behind a byte that was dropped.
    summed: usize,
    crc: u64,
    /// Bytes of the stream before the buffer.
    before: u64,
    /// What is copied of the bytes that pass, and from where in the buffer on.
    captured: Vec<u8>,
    capturing: Option<usize>,
    scratch: Vec<u8>,
}

impl<R: Read> Input<R> {
    /// Reads from `source`, which needs no buffer of its own.
    pub fn new(source: R) -> Self {
        Self::with_buffer(source, BUFFER)
    }

    /// As [`new`](Self::new), for a source of a few bytes.
    pub fn small(source: R) -> Self {
        Self::with_buffer(source, 512)
    }

    fn with_buffer(source: R, size: usize) -> Self {
        Self {
            source,
            buffer: vec![0; size],
            at: 0,
            end: 0,
            summed: 0,
            crc: 0,
            before: 0,
            captured: Vec::new(),
            capturing: None,
            scratch: Vec::new(),
        }
    }

    /// Bytes consumed so far.
    pub fn position(&self) -> u64 {
        self.before + self.at as u64
    }

    /// The CRC of all bytes consumed so far.
    pub fn crc(&mut self) -> u64 {
        self.sum();
        self.crc
    }

    fn sum(&mut self) {
        if self.at > self.summed {
            self.crc = crc64::update(self.crc, &self.buffer[self.summed..self.at]);
            self.summed = self.at;
        }
    }

    /// Begins to copy every byte that is consumed.
    pub fn start_capture(&mut self) {
        self.captured.clear();
        shrink(&mut self.captured);
        self.capturing = Some(self.at);
    }

    /// What was consumed since [`start_capture`](Self::start_capture), as long as it lasts.
    pub fn stop_capture(&mut self) -> &[u8] {
        if let Some(from) = self.capturing.take() {
            self.captured.extend_from_slice(&self.buffer[from..self.at]);
        }
        &self.captured
    }

    /// Puts the captured bytes back: they will be read again.
    pub fn replay(&mut self) {
        self.stop_capture();
        self.sum();
        let rest = self.end - self.at;
        self.before = self.position() - self.captured.len() as u64;
        let mut again = std::mem::take(&mut self.captured);
        let taken = again.len();
        again.extend_from_slice(&self.buffer[self.at..self.end]);
        again.resize(again.len().max(BUFFER), 0);
        self.buffer = again;
        self.at = 0;
        self.end = taken + rest;
        self.summed = taken;
    }

    /// Reads more when everything in the buffer is consumed; false at the end of the source.
    fn refill(&mut self) -> Result<bool> {
        if self.at < self.end {
            return Ok(true);
        }
        self.sum();
        if let Some(from) = self.capturing {
            self.captured.extend_from_slice(&self.buffer[from..self.at]);
            self.capturing = Some(0);
        }
        self.before += self.at as u64;
        (self.at, self.end, self.summed) = (0, 0, 0);
        if self.buffer.len() > BUFFER {
            self.buffer = vec![0; BUFFER];
        }
        loop {
            match self.source.read(&mut self.buffer) {
                Ok(0) => return Ok(false),
                Ok(read) => {
                    self.end = read;
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failure(error)),
            }
        }
    }

    fn failure(&self, error: std::io::Error) -> Error {
        let at = self.position();
        let kind = error.kind();
        match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) if kind == ErrorKind::UnexpectedEof => damaged(error.to_string()),
            Err(error) => Err::<(), _>(error)
                .or_fail(|| format!("the rdb stream cannot be read on after {at} bytes"))
                .err()
                .unwrap_or_else(|| damaged("unreadable")),
        }
    }

    fn ended(&self) -> Error {
        damaged(format!("it ends after {} bytes, in the middle", self.position()))
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8> {
        if self.at == self.end && !self.refill()? {
            return Err(self.ended());
        }
        let byte = self.buffer[self.at];
        self.at += 1;
        Ok(byte)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        let mut filled = 0;
        while filled < N {
            let piece = self.piece(N - filled)?;
            out[filled..filled + piece.len()].copy_from_slice(piece);
            filled += piece.len();
        }
        Ok(out)
    }

    /// At least one and at most `limit` bytes, which must be more than zero, of what comes next.
    pub fn piece(&mut self, limit: usize) -> Result<&[u8]> {
        if self.at == self.end && !self.refill()? {
            return Err(self.ended());
        }
        let from = self.at;
        self.at += limit.min(self.end - from);
        Ok(&self.buffer[from..self.at])
    }

    /// Passes over `count` bytes.
    pub fn skip(&mut self, mut count: u64) -> Result<()> {
        while count > 0 {
            let limit = usize::try_from(count).unwrap_or(usize::MAX);
            count -= self.piece(limit)?.len() as u64;
        }
        Ok(())
    }

    /// Appends `count` bytes to `out`, which grows only as they arrive.
    pub fn append(&mut self, mut count: u64, out: &mut Vec<u8>) -> Result<()> {
        out.reserve(usize::try_from(count.min(RESERVE)).unwrap_or(0));
        while count > 0 {
            let limit = usize::try_from(count).unwrap_or(usize::MAX);
            let piece = self.piece(limit)?;
            count -= piece.len() as u64;
            out.extend_from_slice(piece);
        }
        Ok(())
    }

    /// A length, or the number of a special encoding (`true`). `redis/src/rdb.c`, rdbLoadLenByRef.
    fn length_or_encoding(&mut self) -> Result<(u64, bool)> {
        let first = self.byte()?;
        let low = u64::from(first & 0x3f);
        match first >> 6 {
            0 => Ok((low, false)),
            1 => Ok((low << 8 | u64::from(self.byte()?), false)),
            2 if first == 0x80 => Ok((u64::from(u32::from_be_bytes(self.array()?)), false)),
            2 if first == 0x81 => Ok((u64::from_be_bytes(self.array()?), false)),
            3 => Ok((low, true)),
            _ => Err(damaged("a length has an unknown form")),
        }
    }

    /// A length.
    pub fn length(&mut self) -> Result<u64> {
        match self.length_or_encoding()? {
            (length, false) => Ok(length),
            (_, true) => Err(damaged("a string stands where a length belongs")),
        }
    }

    /// How the string that follows is stored.
    pub fn string_head(&mut self) -> Result<StringHead> {
        match self.length_or_encoding()? {
            (length, false) => Ok(StringHead::Plain(length)),
            (0, true) => Ok(StringHead::Integer(i64::from(i8::from_le_bytes(self.array()?)))),
            (1, true) => Ok(StringHead::Integer(i64::from(i16::from_le_bytes(self.array()?)))),
            (2, true) => Ok(StringHead::Integer(i64::from(i32::from_le_bytes(self.array()?)))),
            (3, true) => {
                let (stored, length) = (self.length()?, self.length()?);
                if length > lzf::largest_output(stored) {
                    return Err(damaged("a compressed string claims an impossible length"));
                }
                Ok(StringHead::Compressed { stored, length })
            }
            _ => Err(damaged("a string has an unknown encoding")),
        }
    }

    /// Replaces `out` by the string that follows.
    pub fn string(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let head = self.string_head()?;
        self.string_body(head, out)
    }

    /// Replaces `out` by the string whose head was read.
    pub fn string_body(&mut self, head: StringHead, out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        match head {
            StringHead::Integer(number) => {
                out.extend_from_slice(super::Decimal::of(number).text());
                Ok(())
            }
            StringHead::Plain(length) => {
                fits(length)?;
                self.append(length, out)
            }
            StringHead::Compressed { stored, length } => {
                fits(stored)?;
                let length = usize::try_from(fits(length)?).map_err(|_| too_long())?;
                let mut packed = std::mem::take(&mut self.scratch);
                packed.clear();
                self.append(stored, &mut packed)?;
                let done = lzf::decompress(&packed, length, out);
                self.scratch = packed;
                shrink(&mut self.scratch);
                done
            }
        }
    }

    /// Passes over a string.
    pub fn skip_string(&mut self) -> Result<()> {
        match self.string_head()? {
            StringHead::Plain(length) => self.skip(length),
            StringHead::Compressed { stored, .. } => self.skip(stored),
            StringHead::Integer(_) => Ok(()),
        }
    }

    /// Hands the string whose head was read to `sink` in pieces; memory is that of a window.
    pub fn string_pieces(
        &mut self,
        head: StringHead,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        match head {
            StringHead::Integer(number) => sink(super::Decimal::of(number).text()),
            StringHead::Plain(mut length) => {
                while length > 0 {
                    let limit = usize::try_from(length).unwrap_or(usize::MAX);
                    let piece = self.piece(limit)?;
                    length -= piece.len() as u64;
                    sink(piece)?;
                }
                Ok(())
            }
            StringHead::Compressed { stored, length } => self.unpack_pieces(stored, length, sink),
        }
    }

    fn unpack_pieces(
        &mut self,
        mut stored: u64,
        length: u64,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        /// What one control byte can need of the input.
        const LONGEST_STEP: usize = 34;
        let (mut packed, mut used) = (Vec::new(), 0);
        let mut plain: Vec<u8> = Vec::with_capacity(BUFFER + lzf::WINDOW + 512);
        let mut total = 0_u64;
        loop {
            if packed.len() - used < LONGEST_STEP && stored > 0 {
                packed.drain(..used);
                used = 0;
                let more = stored.min(BUFFER as u64);
                self.append(more, &mut packed)?;
                stored -= more;
            }
            let before = plain.len();
            match lzf::step(&packed[used..], &mut plain, 0)? {
                Some(step) => used += step,
                None => break,
            }
            total += (plain.len() - before) as u64;
            if total > length {
                return Err(damaged("a compressed string is longer than it says"));
            }
            if plain.len() >= BUFFER + lzf::WINDOW {
                let cut = plain.len() - lzf::WINDOW;
                sink(&plain[..cut])?;
                plain.drain(..cut);
            }
        }
        if total != length {
            return Err(damaged("a compressed string is shorter than it says"));
        }
        sink(&plain)
    }
}

fn too_long() -> Error {
    Error::not_built(format!("a redis element of more than {} MiB", LARGEST_ELEMENT >> 20))
}

fn fits(length: u64) -> Result<u64> {
    if length > LARGEST_ELEMENT { Err(too_long()) } else { Ok(length) }
}

/// Gives back what one huge element made a buffer grow to.
pub fn shrink(buffer: &mut Vec<u8>) {
    if buffer.capacity() > 4 << 20 {
        *buffer = Vec::new();
    }
}
