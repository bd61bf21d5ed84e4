//! Streams: a radix tree of listpacks, each holding the entries after a master id, and the
//! consumer groups (`redis/src/t_stream.c`, `rdb.c`).

use std::io::Read;

use super::input::Input;
use super::listpack::{Builder, Elements, Packed};
use super::sink::Sink;
use super::sink::StreamEvent;
use super::sink::StreamId;
use super::sink::StreamInfo;
use super::{damaged, kind};
use crate::error::Result;

/// The entry was deleted; its bytes are still there.
const DELETED: i64 = 1;
/// The entry has the fields of the master entry, which are not repeated.
const SAME_FIELDS: i64 = 2;

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.ms, self.sequence)
    }
}

fn id<R: Read>(input: &mut Input<R>) -> Result<StreamId> {
    Ok(StreamId { ms: input.length()?, sequence: input.length()? })
}

/// Reads the stream that follows into `sink`; `blob` is a buffer.
pub fn read<R: Read>(
    input: &mut Input<R>,
    kind: u8,
    blob: &mut Vec<u8>,
    sink: &mut impl Sink,
) -> Result<()> {
    let nodes = input.length()?;
    sink.begin(Some(nodes))?;
    for _ in 0..nodes {
        input.string(blob)?;
        let master = <[u8; 16]>::try_from(blob.as_slice())
            .map_err(|_| damaged("a stream node has no id"))?;
        input.string(blob)?;
        sink.stream(StreamEvent::Node(StreamId::from_be(master), blob))?;
    }
    let (length, last_id) = (input.length()?, id(input)?);
    let history = match kind {
        kind::STREAM => None,
        _ => Some((id(input)?, id(input)?, input.length()?)),
    };
    let groups = input.length()?;
    sink.stream(StreamEvent::Info(StreamInfo { length, last_id, history, groups }))?;
    for _ in 0..groups {
        read_group(input, kind, blob, sink)?;
    }
    Ok(())
}

fn read_group<R: Read>(
    input: &mut Input<R>,
    kind: u8,
    blob: &mut Vec<u8>,
    sink: &mut impl Sink,
) -> Result<()> {
    input.string(blob)?;
    let last = id(input)?;
    let read = match kind {
        kind::STREAM => None,
        _ => Some(input.length()?.cast_signed()),
    };
    let pending = input.length()?;
    sink.stream(StreamEvent::Group(blob, last, read, pending))?;
    for _ in 0..pending {
        let id = StreamId::from_be(input.array()?);
        let delivered = u64::from_le_bytes(input.array()?);
        let times = input.length()?;
        sink.stream(StreamEvent::Pending(id, delivered, times))?;
    }
    let consumers = input.length()?;
    sink.stream(StreamEvent::Consumers(consumers))?;
    for _ in 0..consumers {
        input.string(blob)?;
        let seen = u64::from_le_bytes(input.array()?);
        if kind == kind::STREAM_3 {
            input.skip(8)?;
        }
        let owned = input.length()?;
        sink.stream(StreamEvent::Consumer(blob, seen, owned))?;
        for _ in 0..owned {
            sink.stream(StreamEvent::Owned(StreamId::from_be(input.array()?)))?;
        }
    }
    Ok(())
}

/// Passes over the stream that follows.
pub fn skip<R: Read>(input: &mut Input<R>, kind: u8) -> Result<()> {
    for _ in 0..input.length()? {
        input.skip_string()?;
        input.skip_string()?;
    }
    let (numbers, per_group) = if kind == kind::STREAM { (3, 2) } else { (8, 3) };
    for _ in 0..numbers {
        input.length()?;
    }
    for _ in 0..input.length()? {
        input.skip_string()?;
        for _ in 0..per_group {
            input.length()?;
        }
        for _ in 0..input.length()? {
            input.skip(24)?;
            input.length()?;
        }
        for _ in 0..input.length()? {
            input.skip_string()?;
            input.skip(if kind == kind::STREAM_3 { 16 } else { 8 })?;
            for _ in 0..input.length()? {
                input.skip(16)?;
            }
        }
    }
    Ok(())
}

/// The entries of a node.
pub struct Entries<'a> {
    master: StreamId,
    elements: Elements<'a>,
    /// The elements from the first field of the master entry on.
    master_fields: Elements<'a>,
    master_count: u64,
    live: u64,
    deleted: u64,
}

/// An entry of a stream.
#[derive(Clone)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    /// Deleted, yet still there in bytes.
    pub deleted: bool,
    /// How many fields it has.
    pub count: u64,
    same_fields: Option<Elements<'a>>,
    elements: Elements<'a>,
}

impl<'a> Entries<'a> {
    /// Begins with the head of a node: live and deleted entries, the master entry's fields, zero.
    pub fn new(master: StreamId, listpack: &'a [u8]) -> Result<Self> {
        let mut elements = Elements::new(listpack)?;
        let (live, deleted) = (elements.expect_count()?, elements.expect_count()?);
        let master_count = elements.expect_count()?;
        let master_fields = elements.clone();
        for _ in 0..master_count {
            elements.expect()?;
        }
        if elements.expect_integer()? != 0 {
            return Err(damaged("a stream node's first entry does not end"));
        }
        Ok(Self { master, elements, master_fields, master_count, live, deleted })
    }

    /// The next entry, or `None` after the last.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'a>>> {
        let Some(flags) = self.elements.next_element()? else {
            if (self.live, self.deleted) != (0, 0) {
                return Err(damaged("a stream node has fewer entries than it says"));
            }
            return Ok(None);
        };
        let flags = flags.integer().ok_or_else(|| damaged("a stream entry has no flags"))?;
        let (ms, sequence) = (self.elements.expect_integer()?, self.elements.expect_integer()?);
        let id = StreamId {
            ms: self.master.ms.wrapping_add(ms.cast_unsigned()),
            sequence: self.master.sequence.wrapping_add(sequence.cast_unsigned()),
        };
        let same = flags & SAME_FIELDS != 0;
        let count = if same { self.master_count } else { self.elements.expect_count()? };
        let entry = Entry {
            id,
            deleted: flags & DELETED != 0,
            count,
            same_fields: same.then(|| self.master_fields.clone()),
            elements: self.elements.clone(),
        };
        self.pass(same, count)?;
        let left = if entry.deleted { &mut self.deleted } else { &mut self.live };
        *left = left
            .checked_sub(1)
            .ok_or_else(|| damaged("a stream node has more entries than it says"))?;
        Ok(Some(entry))
    }

    /// Passes over the fields and values of an entry, and its element count.
    fn pass(&mut self, same: bool, count: u64) -> Result<()> {
        let each = if same { 1 } else { 2 };
        let elements =
            count.checked_mul(each).ok_or_else(|| damaged("a stream entry is endless"))?;
        for _ in 0..elements {
            self.elements.expect()?;
        }
        let back = self.elements.expect_count()?;
        let around = if same { 3 } else { 4 };
        if back != elements + around {
            return Err(damaged("a stream entry cannot be read backwards"));
        }
        Ok(())
    }
}

impl<'a> Entry<'a> {
    /// The next field and its value; call it as often as `count` says.
    pub fn field(&mut self) -> Result<(Packed<'a>, Packed<'a>)> {
        let field = match &mut self.same_fields {
            Some(fields) => fields.expect()?,
            None => self.elements.expect()?,
        };
        Ok((field, self.elements.expect()?))
    }
}

/// Builds a node of live entries.
#[derive(Debug, Default)]
pub struct NodeBuilder {
    master: StreamId,
    /// Fields of the master entry, as a sequence of lengths and bytes, and as elements.
    master_fields: Vec<u8>,
    master_elements: Builder,
    master_count: u64,
    entries: Builder,
    count: u64,
    node: Builder,
    fields: Vec<u8>,
    entry: Builder,
    values: Builder,
    entry_count: u64,
}

impl NodeBuilder {
    /// Begins a node whose ids count from `master`.
    pub fn begin(&mut self, master: StreamId) {
        self.master = master;
        self.count = 0;
        self.entries.clear();
    }

    /// Begins an entry.
    pub fn begin_entry(&mut self) {
        self.fields.clear();
        self.entry.clear();
        self.values.clear();
        self.entry_count = 0;
    }

    /// Adds a field to the entry.
    pub fn field(&mut self, field: &[u8], value: &[u8]) -> Result<()> {
        self.fields.extend_from_slice(&(field.len() as u64).to_le_bytes());
        self.fields.extend_from_slice(field);
        self.entry.string(field)?;
        self.entry.string(value)?;
        self.values.string(value)?;
        self.entry_count += 1;
        Ok(())
    }

    /// Ends the entry, which has the id `id`.
    pub fn end_entry(&mut self, id: StreamId) -> Result<()> {
        if self.count == 0 {
            std::mem::swap(&mut self.master_fields, &mut self.fields);
            self.master_count = self.entry_count;
            self.copy_master_fields()?;
            self.fields.clone_from(&self.master_fields);
        }
        let same = self.fields == self.master_fields;
        self.entries.integer(if same { SAME_FIELDS } else { 0 });
        self.entries.integer(id.ms.wrapping_sub(self.master.ms).cast_signed());
        self.entries.integer(id.sequence.wrapping_sub(self.master.sequence).cast_signed());
        let around = if same {
            self.entries.append(&self.values);
            self.entry_count + 3
        } else {
            self.entries.integer(self.entry_count.cast_signed());
            self.entries.append(&self.entry);
            self.entry_count * 2 + 4
        };
        self.entries.integer(around.cast_signed());
        self.count += 1;
        Ok(())
    }

    fn copy_master_fields(&mut self) -> Result<()> {
        self.master_elements.clear();
        let mut rest = self.master_fields.as_slice();
        while let Some((length, after)) = rest.split_first_chunk::<8>() {
            let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
            let (field, after) =
                after.split_at_checked(length).ok_or_else(|| damaged("a field is torn"))?;
            self.master_elements.string(field)?;
            rest = after;
        }
        Ok(())
    }

    /// Entries in the node.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The node's listpack.
    pub fn finish(&mut self) -> Result<&[u8]> {
        self.node.clear();
        self.node.integer(self.count.cast_signed());
        self.node.integer(0);
        self.node.integer(self.master_count.cast_signed());
        self.node.append(&self.master_elements);
        self.node.integer(0);
        self.node.append(&self.entries);
        self.node.finish()
    }
}
