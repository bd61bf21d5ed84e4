//! Encodes a value plainly while its elements pass through the transform.

use super::ahead::{Ahead, LARGEST_RULED, too_large};
use super::contents::KeyHasher;
use super::damaged;
use super::groups::Groups;
use super::output::{Body, Output, put_length, put_string};
use super::seen::{Collisions, Seen};
use super::sink::Sink;
use super::sink::StreamEvent;
use super::sink::{StreamId, StreamInfo};
use super::stream::{Entries, Entry, NodeBuilder};
use crate::error::Result;
use crate::pipeline::transform::{ElementVerdict, KeyKind, KeyTransform, Part};

/// Buffers that are kept from key to key.
#[derive(Default)]
pub struct Scratch {
    pub(super) body: Body,
    /// The members of a set, the fields of a hash, the groups and consumers of a stream.
    pub(super) members: Seen,
    /// Names and members that the rules made the same.
    pub(super) collisions: Collisions,
    pub(super) groups: Groups,
    changed: Vec<u8>,
    pub(super) renamed: Vec<u8>,
    /// The fields of a hash, where all must be known before the first is decided on.
    ahead: Ahead,
    /// A long string that a rule applies to, until it is whole.
    long: Vec<u8>,
    node: NodeBuilder,
}

/// How far a key has got.
#[derive(Default)]
pub(super) struct State {
    /// Elements (nodes of a stream) written.
    count: u64,
    /// What the source says there are.
    expected: Option<u64>,
    /// Head and count have been written: what follows goes straight to the output.
    direct: bool,
    /// Something was left out.
    dropped: bool,
    long_length: u64,
    /// Entries of a stream that were kept and left out, where rules applied.
    kept: u64,
    pub(super) lost: u64,
    first: Option<StreamId>,
    last_lost: StreamId,
}

/// Takes a value's elements and writes them.
pub struct Encoder<'a, 'o> {
    pub(super) transform: &'a mut dyn KeyTransform,
    pub(super) hasher: &'a mut KeyHasher,
    output: &'a mut Output<'o>,
    pub(super) scratch: &'a mut Scratch,
    head: &'a [u8],
    pub(super) shape: Shape,
    pub(super) state: State,
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
    /// Whether all fields must be known before the first is decided on.
    pub ahead: bool,
    /// Whether a stream is written as 7.0 does, with its history.
    pub with_history: bool,
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
        scratch.groups.clear();
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
    pub(super) fn put(&mut self, value: &[u8]) -> Result<()> {
        if !self.state.direct {
            put_string(self.scratch.body.buffer(), value);
            return Ok(());
        }
        put_length(self.output.buffer(), value.len() as u64);
        self.output.write(value)
    }

    pub(super) fn put_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        if self.state.direct {
            return self.output.write(bytes);
        }
        self.scratch.body.buffer().extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn put_number(&mut self, number: u64) {
        let out = if self.state.direct { self.output.buffer() } else { self.scratch.body.buffer() };
        put_length(out, number);
    }

    /// Counts an element, which has been written, and makes room.
    fn element_done(&mut self) -> Result<()> {
        self.state.count += 1;
        self.settle()
    }

    pub(super) fn settle(&mut self) -> Result<()> {
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

    /// Decides on the fields of a hash that were held back until all were known.
    fn decide(&mut self) -> Result<()> {
        let ahead = std::mem::take(&mut self.scratch.ahead);
        ahead.iter().for_each(|(field, value)| self.transform.ahead(field, value));
        ahead.iter().try_for_each(|(field, value)| self.ruled_field(field, value))
    }

    /// Ends the key; false if nothing is left of it and nothing was written.
    pub fn finish(mut self) -> Result<bool> {
        if self.shape.kind == KeyKind::String {
            return Ok(!self.state.dropped);
        }
        if self.shape.ahead {
            self.decide()?;
        }
        let count = self.state.count;
        // What was written straight through has promised its number.
        let exact = self.state.direct || !self.state.dropped;
        if exact && self.state.expected.is_some_and(|expected| expected != count) {
            return Err(damaged("a collection holds another number of elements than it says"));
        }
        if self.state.direct {
            return Ok(true);
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
        Ok(!empty)
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
            self.begin_entry(&entry)?;
            let mut fields = 0_u64;
            for _ in 0..entry.count {
                let (field, value) = entry.field()?;
                let (mut field_room, mut value_room) = (None, None);
                let field = field.text(&mut field_room);
                self.with(Some(field), value.text(&mut value_room), |this, value| {
                    fields += 1;
                    this.with_field(field, |_, field| node.field(field, value))
                })?;
            }
            if fields == 0 && entry.count > 0 {
                self.state.lost += 1;
                self.state.last_lost = self.state.last_lost.max(entry.id);
                self.scratch.groups.lose(entry.id);
            } else {
                self.state.kept += 1;
                self.scratch.groups.keep();
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

    /// Tells the transform of an entry.
    fn begin_entry(&mut self, entry: &Entry<'_>) -> Result<()> {
        self.transform.entry(entry.id.to_be());
        if self.shape.ahead {
            let mut entry = entry.clone();
            for _ in 0..entry.count {
                let (field, value) = entry.field()?;
                self.transform.ahead(field.text(&mut None), value.text(&mut None));
            }
        }
        Ok(())
    }

    fn plain_node(&mut self, master: StreamId, listpack: &[u8]) -> Result<()> {
        self.hasher.stream(&StreamEvent::Node(master, listpack))?;
        self.put(&master.to_be())?;
        self.put(listpack)?;
        self.element_done()
    }

    pub(super) fn put_id(&mut self, id: StreamId) {
        self.put_number(id.ms);
        self.put_number(id.sequence);
    }

    /// Writes a field of a hash.
    fn ruled_field(&mut self, field: &[u8], value: &[u8]) -> Result<()> {
        self.with(Some(field), value, |this, value| {
            this.with_field(field, |this, new| {
                this.apart(Part::Field, field, new, |this, new, hash| {
                    this.hasher.hashed_field(hash, value);
                    this.put(new)?;
                    this.put(value)?;
                    this.element_done()
                })
            })
        })
    }

    fn info(&mut self, info: &mut StreamInfo) {
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
        self.with(None, member, |this, new| {
            this.apart(Part::Element, member, new, |this, new, hash| {
                this.hasher.hashed_member(hash);
                this.put(new)?;
                this.element_done()
            })
        })
    }

    fn scored(&mut self, member: &[u8], score: f64) -> Result<()> {
        self.with(None, member, |this, new| {
            let score =
                if this.shape.rewriting { this.transform.score(member, score)? } else { score };
            this.apart(Part::Element, member, new, |this, new, hash| {
                this.hasher.hashed_scored(hash, score);
                this.put(new)?;
                this.put_bytes(&score.to_le_bytes())?;
                this.element_done()
            })
        })
    }

    fn field(&mut self, field: &[u8], value: &[u8]) -> Result<()> {
        if self.shape.ahead {
            return self.scratch.ahead.push(field, value);
        }
        self.ruled_field(field, value)
    }

    fn stream(&mut self, mut event: StreamEvent<'_>) -> Result<()> {
        match &mut event {
            StreamEvent::Node(master, listpack) if self.shape.rewriting => {
                return self.ruled_node(*master, listpack);
            }
            StreamEvent::Node(master, listpack) => return self.plain_node(*master, listpack),
            StreamEvent::Info(info) => self.info(info),
            _ if self.shape.rewriting => return self.ruled_group(&event),
            _ => return self.group(&event),
        }
        self.hasher.stream(&event)?;
        self.settle()
    }
}
