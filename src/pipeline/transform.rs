//! What stands between a source and the repository: rules, or the permit to go without.
//!
//! The rules engine implements these traits; stores and the pipeline only call them.

use super::block::{Block, Cleared, Raw};
use crate::error::Result;
use crate::policy::{Permit, UnruledPermit};

/// Clears whole rows of COPY text or whole BSON documents, block by block.
///
/// One transform belongs to one part and runs on a blocking thread. An error stops the job.
pub trait BlockTransform: Send {
    /// The same records, masked or as they were; records may be dropped, never torn.
    fn apply(&mut self, block: Block<Raw>) -> Result<Block<Cleared>>;
}

/// Passes blocks on as they are, because the policy permits it.
pub struct Unruled(pub UnruledPermit);

impl BlockTransform for Unruled {
    fn apply(&mut self, block: Block<Raw>) -> Result<Block<Cleared>> {
        Ok(block.clear(self.0.rows()))
    }
}

/// The kinds of value that a Redis key can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    /// A byte string.
    String,
    /// A list of byte strings, in order.
    List,
    /// A set of byte strings.
    Set,
    /// A set of members with scores.
    SortedSet,
    /// A map of field to value.
    Hash,
    /// A log of entries, each a list of field and value, with consumer groups.
    Stream,
}

/// What is done with one Redis key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyVerdict {
    /// The key goes on; its name was written to the buffer, its elements pass through
    /// [`KeyTransform::element`].
    Rewrite,
    /// The key goes on; its name was written to the buffer, its elements stay as they are.
    Keep,
    /// The key is left out.
    Drop,
}

/// What is done with one element of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementVerdict {
    /// The new value was written to the buffer.
    Write,
    /// The element stays as it is; nothing was written.
    Keep,
    /// The element (a hash field with its value, a stream field with its value, a member) goes.
    Drop,
}

/// What of a key is spoken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its own name.
    Key,
    /// A string, a list item, a member, or the value of a field.
    Element,
    /// The name of a hash field or of a stream field.
    Field,
    /// The name of a stream's group.
    Group,
    /// The name of a group's consumer.
    Consumer,
}

/// How many spellings are tried for one that is not taken.
pub const SPELLINGS: u8 = 4;

/// Clears the keys of a Redis keyspace, one after the other.
///
/// What becomes of names and values has to be said; the rest has a default that lets nothing pass.
pub trait KeyTransform: Send {
    /// Decides on a key. Writes its new name to `name` unless the verdict is `Drop`.
    /// The elements that follow belong to this key.
    fn key(&mut self, key: &[u8], kind: KeyKind, name: &mut Vec<u8>) -> Result<KeyVerdict>;

    /// Decides on an element of the current key. `field` is the hash field or the stream field;
    /// it is `None` for a string, a list item, and a member of a set or a sorted set. Writes to
    /// `out`, which comes empty, only if the verdict is `Write`.
    fn element(
        &mut self,
        field: Option<&[u8]>,
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<ElementVerdict>;

    /// Decides on a name inside the current key: of the field that [`element`](Self::element) was
    /// asked about last, of a group or of a consumer. Never drops it. Writes to `out`, which comes
    /// empty, only if the verdict is `Write`.
    fn name(&mut self, part: Part, original: &[u8], out: &mut Vec<u8>) -> Result<ElementVerdict>;

    /// The new score of the member that [`element`](Self::element) was asked about last.
    fn score(&mut self, member: &[u8], score: f64) -> Result<f64>;

    /// Writes another spelling of what `original` became, where the rules have one: two that
    /// differ only in their spelling have become the same. `attempt` counts from 0 up to
    /// [`SPELLINGS`]. False where there is none.
    fn variant(
        &mut self,
        _part: Part,
        _original: &[u8],
        _attempt: u8,
        _out: &mut Vec<u8>,
    ) -> Result<bool> {
        Ok(false)
    }

    /// Whether the fields of the current hash, or of each entry of the current stream, must all be
    /// told with [`ahead`](Self::ahead) before the first of them is decided on.
    fn looks_ahead(&self) -> bool {
        false
    }

    /// Tells a field of the hash, or of the stream's entry, whose elements follow.
    fn ahead(&mut self, _field: &[u8], _value: &[u8]) {}

    /// An entry of the current stream begins.
    fn entry(&mut self, _id: [u8; 16]) {}

    /// Whether function libraries go on.
    fn keeps_functions(&self) -> bool {
        false
    }

    /// Where the current key belongs, for messages: never its name.
    fn place(&self) -> String {
        "a key".to_owned()
    }

    /// Whether elements of the current key can be dropped, so that their number is not known
    /// before the last one has been seen.
    fn may_drop_elements(&self) -> bool {
        true
    }

    /// The permit under which what comes out is cleared.
    fn permit(&self) -> &Permit;
}

/// Passes keys on as they are, because the policy permits it.
pub struct UnruledKeys(pub UnruledPermit);

impl KeyTransform for UnruledKeys {
    fn key(&mut self, key: &[u8], _kind: KeyKind, name: &mut Vec<u8>) -> Result<KeyVerdict> {
        name.extend_from_slice(key);
        Ok(KeyVerdict::Keep)
    }

    fn element(
        &mut self,
        _field: Option<&[u8]>,
        _value: &[u8],
        _out: &mut Vec<u8>,
    ) -> Result<ElementVerdict> {
        Ok(ElementVerdict::Keep)
    }

    fn name(&mut self, _: Part, _: &[u8], _: &mut Vec<u8>) -> Result<ElementVerdict> {
        Ok(ElementVerdict::Keep)
    }

    fn score(&mut self, _member: &[u8], score: f64) -> Result<f64> {
        Ok(score)
    }

    fn keeps_functions(&self) -> bool {
        true
    }

    fn place(&self) -> String {
        "the index".to_owned()
    }

    fn may_drop_elements(&self) -> bool {
        false
    }

    fn permit(&self) -> &Permit {
        self.0.rows()
    }
}
