//! Takes a value apart, whatever its encoding, into the calls of a [`Sink`].

use std::io::Read;

use super::input::{Input, StringHead, shrink};
use super::listpack::{Elements, Packed};
use super::packed::{Ziplist, Zipmap, intset};
use super::sink::Sink;
use super::sink::WHOLE_STRING;
use super::stream::{self};
use super::{Decimal, damaged, decimal, kind};
use crate::error::{Error, Result};
use crate::pipeline::transform::KeyKind;

/// The kind of key that the encoding `kind` holds; an error names what is not built.
pub fn key_kind(kind: u8) -> Result<KeyKind> {
    Ok(match kind {
        kind::STRING => KeyKind::String,
        kind::LIST | kind::LIST_ZIPLIST | kind::LIST_ZIPLISTS | kind::LIST_LISTPACKS => {
            KeyKind::List
        }
        kind::SET | kind::SET_INTSET | kind::SET_LISTPACK => KeyKind::Set,
        kind::ZSET_TEXT | kind::ZSET | kind::ZSET_ZIPLIST | kind::ZSET_LISTPACK => {
            KeyKind::SortedSet
        }
        kind::HASH | kind::HASH_ZIPMAP | kind::HASH_ZIPLIST | kind::HASH_LISTPACK => KeyKind::Hash,
        kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => KeyKind::Stream,
        kind::MODULE_OLD | kind::MODULE => {
            return Err(Error::not_built("reading a key of a redis module"));
        }
        kind::HASH_EXPIRING | kind::HASH_EXPIRING_LISTPACK | 22 | 23 => {
            return Err(Error::not_built("reading a redis hash whose fields expire"));
        }
        other => return Err(Error::not_built(format!("reading redis values of rdb type {other}"))),
    })
}

/// Reads values; keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub struct ValueReader {
    first: Vec<u8>,
    second: Vec<u8>,
    blob: Vec<u8>,
}

impl ValueReader {
    /// Reads the value that follows, of encoding `kind`, into `sink`.
    pub fn read<R: Read>(
        &mut self,
        input: &mut Input<R>,
        kind: u8,
        sink: &mut impl Sink,
    ) -> Result<()> {
        let done = match kind {
            kind::STRING => self.string(input, sink),
            kind::LIST | kind::SET => self.plain_items(input, kind, sink),
            kind::ZSET_TEXT | kind::ZSET => self.plain_scored(input, kind, sink),
            kind::HASH => self.plain_hash(input, sink),
            kind::LIST_ZIPLISTS | kind::LIST_LISTPACKS => self.quicklist(input, kind, sink),
            kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => {
                stream::read(input, kind, &mut self.blob, sink)
            }
            other => {
                key_kind(other)?;
                input.string(&mut self.blob)?;
                unpack(&self.blob, other, sink)
            }
        };
        shrink(&mut self.first);
        shrink(&mut self.second);
        shrink(&mut self.blob);
        done
    }

    fn string<R: Read>(&mut self, input: &mut Input<R>, sink: &mut impl Sink) -> Result<()> {
        let head = input.string_head()?;
        match head {
            StringHead::Plain(length) | StringHead::Compressed { length, .. }
                if length > WHOLE_STRING =>
            {
                sink.long_string(length)?;
                input.string_pieces(head, &mut |piece| sink.long_string_piece(piece))
            }
            _ => {
                input.string_body(head, &mut self.first)?;
                sink.string(&self.first)
            }
        }
    }

    fn plain_items<R: Read>(
        &mut self,
        input: &mut Input<R>,
        kind: u8,
        sink: &mut impl Sink,
    ) -> Result<()> {
        let count = input.length()?;
        sink.begin(Some(count))?;
        for _ in 0..count {
            input.string(&mut self.first)?;
            if kind == kind::SET { sink.member(&self.first)? } else { sink.item(&self.first)? }
        }
        Ok(())
    }

    fn plain_scored<R: Read>(
        &mut self,
        input: &mut Input<R>,
        kind: u8,
        sink: &mut impl Sink,
    ) -> Result<()> {
        let count = input.length()?;
        sink.begin(Some(count))?;
        for _ in 0..count {
            input.string(&mut self.first)?;
            let score = if kind == kind::ZSET {
                f64::from_le_bytes(input.array()?)
            } else {
                text_score(input, &mut self.second)?
            };
            if score.is_nan() {
                return Err(damaged("a score is not a number"));
            }
            sink.scored(&self.first, score)?;
        }
        Ok(())
    }

    fn plain_hash<R: Read>(&mut self, input: &mut Input<R>, sink: &mut impl Sink) -> Result<()> {
        let count = input.length()?;
        sink.begin(Some(count))?;
        for _ in 0..count {
            input.string(&mut self.first)?;
            input.string(&mut self.second)?;
            sink.field(&self.first, &self.second)?;
        }
        Ok(())
    }

    fn quicklist<R: Read>(
        &mut self,
        input: &mut Input<R>,
        kind: u8,
        sink: &mut impl Sink,
    ) -> Result<()> {
        /// A node that is one large element.
        const PLAIN: u64 = 1;
        /// A node that is a listpack.
        const PACKED: u64 = 2;
        let nodes = input.length()?;
        sink.begin(None)?;
        for _ in 0..nodes {
            let container = if kind == kind::LIST_LISTPACKS { input.length()? } else { 0 };
            input.string(&mut self.blob)?;
            match (kind, container) {
                (kind::LIST_LISTPACKS, PLAIN) => sink.item(&self.blob)?,
                (kind::LIST_LISTPACKS, PACKED) => {
                    let mut elements = Elements::new(&self.blob)?;
                    while let Some(element) = elements.next_element()? {
                        sink.item(element.text(&mut None))?;
                    }
                }
                (kind::LIST_ZIPLISTS, _) => ziplist_items(&self.blob, sink)?,
                _ => return Err(damaged("a list has a node of an unknown kind")),
            }
        }
        Ok(())
    }
}

/// A score as old servers wrote it: a length and digits, or one of three marks.
fn text_score<R: Read>(input: &mut Input<R>, text: &mut Vec<u8>) -> Result<f64> {
    match input.byte()? {
        253 => Err(damaged("a score is not a number")),
        254 => Ok(f64::INFINITY),
        255 => Ok(f64::NEG_INFINITY),
        length => {
            text.clear();
            input.append(u64::from(length), text)?;
            decimal::score(text).ok_or_else(|| damaged("a score is not a number"))
        }
    }
}

fn ziplist_items(blob: &[u8], sink: &mut impl Sink) -> Result<()> {
    let mut elements = Ziplist::new(blob)?;
    while let Some(element) = elements.next_element()? {
        sink.item(element.text(&mut None))?;
    }
    Ok(())
}

/// Either of the encodings that hold pairs.
enum Pairs<'a> {
    Listpack(Elements<'a>),
    Ziplist(Ziplist<'a>),
}

impl<'a> Pairs<'a> {
    fn declared(&self) -> Option<u64> {
        match self {
            Self::Listpack(elements) => elements.declared(),
            Self::Ziplist(elements) => elements.declared(),
        }
    }

    fn next_pair(&mut self) -> Result<Option<(Packed<'a>, Packed<'a>)>> {
        let Some(first) = self.single()? else {
            return Ok(None);
        };
        match self.single()? {
            Some(second) => Ok(Some((first, second))),
            None => Err(damaged("a pair lacks its second half")),
        }
    }

    fn single(&mut self) -> Result<Option<Packed<'a>>> {
        match self {
            Self::Listpack(elements) => elements.next_element(),
            Self::Ziplist(elements) => elements.next_element(),
        }
    }
}

/// Takes a packed blob apart.
fn unpack(blob: &[u8], kind: u8, sink: &mut impl Sink) -> Result<()> {
    match kind {
        kind::SET_INTSET => {
            let numbers = intset(blob)?;
            sink.begin(None)?;
            for number in numbers {
                sink.member(Decimal::of(number).text())?;
            }
            Ok(())
        }
        kind::SET_LISTPACK => {
            let mut elements = Elements::new(blob)?;
            sink.begin(elements.declared())?;
            while let Some(element) = elements.next_element()? {
                sink.member(element.text(&mut None))?;
            }
            Ok(())
        }
        kind::LIST_ZIPLIST => {
            sink.begin(None)?;
            ziplist_items(blob, sink)
        }
        kind::HASH_ZIPMAP => {
            let mut pairs = Zipmap::new(blob)?;
            sink.begin(None)?;
            while let Some((field, value)) = pairs.next_pair()? {
                sink.field(field, value)?;
            }
            Ok(())
        }
        kind::HASH_LISTPACK => fields(Pairs::Listpack(Elements::new(blob)?), sink),
        kind::HASH_ZIPLIST => fields(Pairs::Ziplist(Ziplist::new(blob)?), sink),
        kind::ZSET_LISTPACK => scores(Pairs::Listpack(Elements::new(blob)?), sink),
        kind::ZSET_ZIPLIST => scores(Pairs::Ziplist(Ziplist::new(blob)?), sink),
        other => Err(Error::not_built(format!("reading redis values of rdb type {other}"))),
    }
}

fn fields(mut pairs: Pairs<'_>, sink: &mut impl Sink) -> Result<()> {
    sink.begin(pairs.declared().map(|elements| elements / 2))?;
    while let Some((field, value)) = pairs.next_pair()? {
        sink.field(field.text(&mut None), value.text(&mut None))?;
    }
    Ok(())
}

fn scores(mut pairs: Pairs<'_>, sink: &mut impl Sink) -> Result<()> {
    sink.begin(pairs.declared().map(|elements| elements / 2))?;
    while let Some((member, score)) = pairs.next_pair()? {
        let score = match score {
            Packed::Integer(number) => number as f64,
            Packed::Bytes(text) => {
                decimal::score(text).ok_or_else(|| damaged("a score is not a number"))?
            }
        };
        sink.scored(member.text(&mut None), score)?;
    }
    Ok(())
}

/// Passes over the value that follows, of encoding `kind`, without taking it apart.
pub fn skip<R: Read>(input: &mut Input<R>, kind: u8) -> Result<()> {
    match kind {
        kind::LIST | kind::SET | kind::LIST_ZIPLISTS => skip_strings(input, 1),
        kind::HASH => skip_strings(input, 2),
        kind::ZSET => skip_scored(input),
        kind::ZSET_TEXT => {
            for _ in 0..input.length()? {
                input.skip_string()?;
                let length = input.byte()?;
                if length < 253 {
                    input.skip(u64::from(length))?;
                }
            }
            Ok(())
        }
        kind::LIST_LISTPACKS => {
            for _ in 0..input.length()? {
                input.length()?;
                input.skip_string()?;
            }
            Ok(())
        }
        kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => stream::skip(input, kind),
        kind::MODULE => {
            input.length()?;
            skip_module(input)
        }
        kind::HASH_EXPIRING => {
            input.skip(8)?;
            for _ in 0..input.length()? {
                input.length()?;
                input.skip_string()?;
                input.skip_string()?;
            }
            Ok(())
        }
        kind::HASH_EXPIRING_LISTPACK => {
            input.skip(8)?;
            input.skip_string()
        }
        kind::MODULE_OLD | 22.. => {
            Err(Error::not_built(format!("passing over redis values of rdb type {kind}")))
        }
        _ => input.skip_string(),
    }
}

fn skip_strings<R: Read>(input: &mut Input<R>, each: u64) -> Result<()> {
    for _ in 0..input.length()? {
        for _ in 0..each {
            input.skip_string()?;
        }
    }
    Ok(())
}

fn skip_scored<R: Read>(input: &mut Input<R>) -> Result<()> {
    for _ in 0..input.length()? {
        input.skip_string()?;
        input.skip(8)?;
    }
    Ok(())
}

/// Passes over a module's data, which marks its own pieces (`RDB_MODULE_OPCODE_*`).
pub fn skip_module<R: Read>(input: &mut Input<R>) -> Result<()> {
    loop {
        match input.length()? {
            0 => return Ok(()),
            1 | 2 => drop(input.length()?),
            3 => input.skip(4)?,
            4 => input.skip(8)?,
            5 => input.skip_string()?,
            _ => return Err(damaged("a module's value has an unknown mark")),
        }
    }
}
