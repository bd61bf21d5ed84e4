//! Encodes a value plainly while its elements pass through the transform.

use super::contents::KeyHasher;
use super::damaged;
use super::output::{Body, Output, put_length, put_string};
use super::seen::Seen;
use super::stream::{Entries, NodeBuilder, StreamEvent, StreamId, StreamInfo};
use super::value::Sink;
use crate::error::{Error, Result};
use crate::pipeline::transform::{ElementVerdict, KeyKind, KeyTransform};

/// The largest value that a rule is applied to.
pub const LARGEST_RULED: u64 = 64 << 20;

/// Buffers that are kept from key to key.
#[derive(Default)]
pub struct Scratch {
    body: Body,
    members: Seen,
    changed: Vec<u8>,
    /// A long string that a rule applies to, until it is whole.
    long: Vec<u8>,
    node: NodeBuilder,
}

/// How far a key has got.
#[derive(Default)]
struct State {
    /// Elements (nodes of a stream) written.
    count: u64,
    /// What the source says there are.
    expected: Option<u64>,
    /// Head and count have been written: what follows goes straight to the output.
    direct: bool,
    /// Something was left out.
    dropped: bool,
    /// The stream's groups were left out.
    ungrouped: bool,
    long_length: u64,
    /// Entries of a stream that were kept and left out, where rules applied.
    kept: u64,
    lost: u64,
    first: Option<StreamId>,
    last_lost: StreamId,
}

/// Takes a value's elements and writes them.
pub struct Encoder<'a, 'o> {
    transform: &'a mut dyn KeyTransform,
    hasher: &'a mut KeyHasher,
    output: &'a mut Output<'o>,
    scratch: &'a mut Scratch,
    head: &'a [u8],
    shape: Shape,
    state: State,
}

/// What is to be done with a key's elements.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// What the key holds.
    pub kind: KeyKind,
    /// Whether elements pass through the transform.
    pub rewriting: bool,
    /// Whether it may leave some out.
    pub may_drop: bool,
    /// Whether a stream is written as 7.0 does, with its history.
    pub with_history: bool,
}

/// What is left of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing: it was not written.
    Nothing,
    /// A key.
    Key,
    /// A stream whose consumer groups were left out.
    WithoutGroups,
}

impl<'a, 'o> Encoder<'a, 'o> {
    /// Writes a key to `output`, `head` before its value.
    pub fn new(
        transform: &'a mut dyn KeyTransform,
        hasher: &'a mut KeyHasher,
        output: &'a mut Output<'o>,
        scratch: &'a mut Scratch,
        head: &'a [u8],
        shape: Shape,
    ) -> Self {
        scratch.members.clear();
        scratch.body.clear();
        Self { transform, hasher, output, scratch, head, shape, state: State::default() }
    }

    fn judge(
        &mut self,
        field: Option<&[u8]>,
        value: &[u8],
        changed: &mut Vec<u8>,
    ) -> Result<ElementVerdict> {
        if !self.shape.rewriting {
            return Ok(ElementVerdict::Keep);
        }
        if value.len() as u64 > LARGEST_RULED {
            return Err(too_large());
        }
        changed.clear();
        let verdict = self.transform.element(field, value, changed)?;
        self.state.dropped |= verdict == ElementVerdict::Drop;
        Ok(verdict)
    }

    /// Passes `value` through the transform and what comes of it to `write`.
    fn with(
        &mut self,
        field: Option<&[u8]>,
        value: &[u8],
        write: impl FnOnce(&mut Self, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut changed = std::mem::take(&mut self.scratch.changed);
        match self.judge(field, value, &mut changed)? {
            ElementVerdict::Keep => write(self, value)?,
            ElementVerdict::Write => write(self, &changed)?,
            ElementVerdict::Drop => {}
        }
        super::input::shrink(&mut changed);
        self.scratch.changed = changed;
        Ok(())
    }

    /// Writes an element's string.
    fn put(&mut self, value: &[u8]) -> Result<()> {
        if !self.state.direct {
            put_string(self.scratch.body.buffer(), value);
            return Ok(());
        }
        put_length(self.output.buffer(), value.len() as u64);
        self.output.write(value)
    }

    fn put_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        if self.state.direct {
            return self.output.write(bytes);
        }
        self.scratch.body.buffer().extend_from_slice(bytes);
        Ok(())
    }

    fn put_number(&mut self, number: u64) {
        let out = if self.state.direct { self.output.buffer() } else { self.scratch.body.buffer() };
        put_length(out, number);
    }

    /// Counts an element, which has been written, and makes room.
    fn element_done(&mut self) -> Result<()> {
        self.state.count += 1;
        self.settle()
    }

    fn settle(&mut self) -> Result<()> {
        if self.state.direct {
            return self.output.settle();
        }
        if !self.scratch.body.overflows() {
            return Ok(());
        }
        match self.state.expected {
            Some(count) if !self.shape.may_drop => {
                self.output.write(self.head)?;
                put_length(self.output.buffer(), count);
                self.scratch.body.drain(self.output)?;
                self.state.direct = true;
                Ok(())
            }
            _ => self.scratch.body.settle(),
        }
    }

    /// Remembers a member; two equal ones would make the key unloadable.
    fn distinct(&mut self, member: u128) -> Result<()> {
        if self.shape.rewriting && !self.scratch.members.insert(member) {
            return Err(Error::failed(
                "two members of a redis set or sorted set, or two fields of a hash, \
                 are the same after their rules",
            )
            .hint("use a transformer that keeps members distinct: `unique = true` on its link"));
        }
        Ok(())
    }

    /// Ends the key.
    pub fn finish(mut self) -> Result<Left> {
        if self.shape.kind == KeyKind::String {
            return Ok(if self.state.dropped { Left::Nothing } else { Left::Key });
        }
        let count = self.state.count;
        // What was written straight through has promised its number.
        let exact = self.state.direct || !self.state.dropped;
        if exact && self.state.expected.is_some_and(|expected| expected != count) {
            return Err(damaged("a collection holds another number of elements than it says"));
        }
        let left = if self.state.ungrouped { Left::WithoutGroups } else { Left::Key };
        if self.state.direct {
            return Ok(left);
        }
        let empty = match self.shape.kind {
            KeyKind::Stream => self.state.kept == 0 && self.state.lost > 0,
            _ => count == 0,
        };
        if !empty {
            self.output.write(self.head)?;
            put_length(self.output.buffer(), count);
            self.scratch.body.drain(self.output)?;
        }
        self.state = State::default();
        Ok(if empty { Left::Nothing } else { left })
    }

    /// Writes a node with only what the rules leave; nothing of deleted entries goes on.
    fn ruled_node(&mut self, master: StreamId, listpack: &[u8]) -> Result<()> {
        let mut node = std::mem::take(&mut self.scratch.node);
        node.begin(master);
        let mut entries = Entries::new(master, listpack)?;
        while let Some(mut entry) = entries.next_entry()? {
            if entry.deleted {
                continue;
            }
            node.begin_entry();
            let mut fields = 0_u64;
            for _ in 0..entry.count {
                let (field, value) = entry.field()?;
                let (mut field_room, mut value_room) = (None, None);
                let field = field.text(&mut field_room);
                self.with(Some(field), value.text(&mut value_room), |_, value| {
                    fields += 1;
                    node.field(field, value)
                })?;
            }
            if fields == 0 && entry.count > 0 {
                self.state.lost += 1;
                self.state.last_lost = self.state.last_lost.max(entry.id);
            } else {
                self.state.kept += 1;
                self.state.first.get_or_insert(entry.id);
                node.end_entry(entry.id)?;
            }
        }
        if node.count() > 0 {
            self.plain_node(master, node.finish()?)?;
        } else {
            self.state.dropped = true;
        }
        self.scratch.node = node;
        Ok(())
    }

    fn plain_node(&mut self, master: StreamId, listpack: &[u8]) -> Result<()> {
        self.hasher.stream(&StreamEvent::Node(master, listpack))?;
        self.put(&master.to_be())?;
        self.put(listpack)?;
        self.element_done()
    }

    fn put_id(&mut self, id: StreamId) {
        self.put_number(id.ms);
        self.put_number(id.sequence);
    }

    /// Whether the groups stay away: their names and those of consumers, which are often hosts or
    /// people, pass no rule. With a stream that the rules keep as a whole they stay.
    fn leaves_groups_out(&self) -> bool {
        self.shape.rewriting
    }

    /// Writes a piece of a consumer group.
    fn group(&mut self, event: &StreamEvent<'_>) -> Result<()> {
        match *event {
            StreamEvent::Node(..) | StreamEvent::Info(_) => {}
            StreamEvent::Group(name, last, read, pending) => {
                self.put(name)?;
                self.put_id(last);
                if self.shape.with_history {
                    self.put_number(read.unwrap_or(-1).cast_unsigned());
                }
                self.put_number(pending);
            }
            StreamEvent::Pending(id, delivered, times) => {
                self.put_bytes(&id.to_be())?;
                self.put_bytes(&delivered.to_le_bytes())?;
                self.put_number(times);
            }
            StreamEvent::Consumers(count) => self.put_number(count),
            StreamEvent::Consumer(name, seen, owned) => {
                self.put(name)?;
                self.put_bytes(&seen.to_le_bytes())?;
                self.put_number(owned);
            }
            StreamEvent::Owned(id) => self.put_bytes(&id.to_be())?,
        }
        Ok(())
    }

    fn info(&mut self, info: &mut StreamInfo) {
        if self.leaves_groups_out() {
            self.state.ungrouped = info.groups > 0;
            info.groups = 0;
        }
        if self.shape.rewriting {
            info.length = self.state.kept;
            if let (Some((first, deleted, _)), true) = (&mut info.history, self.state.lost > 0) {
                *first = self.state.first.unwrap_or_default();
                *deleted = self.state.last_lost.max(*deleted);
            }
        }
        self.put_number(info.length);
        self.put_id(info.last_id);
        if let (Some((first, deleted, added)), true) = (info.history, self.shape.with_history) {
            self.put_id(first);
            self.put_id(deleted);
            self.put_number(added);
        }
        self.put_number(info.groups);
    }
}

impl Sink for Encoder<'_, '_> {
    fn string(&mut self, value: &[u8]) -> Result<()> {
        self.with(None, value, |this, value| {
            this.hasher.string(value);
            this.output.write(this.head)?;
            put_length(this.output.buffer(), value.len() as u64);
            this.output.write(value)
        })
    }

    fn long_string(&mut self, length: u64) -> Result<()> {
        self.state.long_length = length;
        if !self.shape.rewriting {
            self.hasher.begin_pieces();
            self.output.write(self.head)?;
            put_length(self.output.buffer(), length);
        } else if length > LARGEST_RULED {
            return Err(too_large());
        }
        Ok(())
    }

    fn long_string_piece(&mut self, piece: &[u8]) -> Result<()> {
        if !self.shape.rewriting {
            self.hasher.piece(piece);
            return self.output.write(piece);
        }
        self.scratch.long.extend_from_slice(piece);
        if (self.scratch.long.len() as u64) < self.state.long_length {
            return Ok(());
        }
        let whole = std::mem::take(&mut self.scratch.long);
        self.string(&whole)
    }

    fn begin(&mut self, count: Option<u64>) -> Result<()> {
        self.state.expected = count;
        Ok(())
    }

    fn item(&mut self, value: &[u8]) -> Result<()> {
        self.with(None, value, |this, value| {
            this.hasher.item(value);
            this.put(value)?;
            this.element_done()
        })
    }

    fn member(&mut self, member: &[u8]) -> Result<()> {
        self.with(None, member, |this, member| {
            let hash = this.hasher.member(member);
            this.distinct(hash)?;
            this.put(member)?;
            this.element_done()
        })
    }

    fn scored(&mut self, member: &[u8], score: f64) -> Result<()> {
        self.with(None, member, |this, member| {
            let hash = this.hasher.scored(member, score);
            this.distinct(hash)?;
            this.put(member)?;
            this.put_bytes(&score.to_le_bytes())?;
            this.element_done()
        })
    }

    fn field(&mut self, field: &[u8], value: &[u8]) -> Result<()> {
        self.with(Some(field), value, |this, value| {
            let hash = this.hasher.field(field, value);
            this.distinct(hash)?;
            this.put(field)?;
            this.put(value)?;
            this.element_done()
        })
    }

    fn stream(&mut self, mut event: StreamEvent<'_>) -> Result<()> {
        match &mut event {
            StreamEvent::Node(master, listpack) if self.shape.rewriting => {
                return self.ruled_node(*master, listpack);
            }
            StreamEvent::Node(master, listpack) => return self.plain_node(*master, listpack),
            StreamEvent::Info(info) => self.info(info),
            _ if self.state.ungrouped => return Ok(()),
            _ => self.group(&event)?,
        }
        self.hasher.stream(&event)?;
        self.settle()
    }
}

fn too_large() -> Error {
    let limit = LARGEST_RULED >> 20;
    Error::failed(format!("a rule applies to a redis value of more than {limit} MiB"))
        .hint("keep or drop the key")
}
