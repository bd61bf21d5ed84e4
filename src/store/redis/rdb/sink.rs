//! What a value consists of.

use crate::error::Result;

/// Strings up to this long are handed over whole, longer ones in pieces.
pub const WHOLE_STRING: u64 = 16 << 20;

/// What a value consists of, in the order in which it is stored.
pub trait Sink {
    /// A string of up to [`WHOLE_STRING`] bytes.
    fn string(&mut self, value: &[u8]) -> Result<()>;
    /// A longer string begins.
    fn long_string(&mut self, length: u64) -> Result<()>;
    /// A piece of it.
    fn long_string_piece(&mut self, piece: &[u8]) -> Result<()>;
    /// A collection begins; `count` is the number of its elements (of nodes, for a stream), where
    /// that is known.
    fn begin(&mut self, count: Option<u64>) -> Result<()>;
    /// A list item.
    fn item(&mut self, value: &[u8]) -> Result<()>;
    /// A member of a set.
    fn member(&mut self, member: &[u8]) -> Result<()>;
    /// A member of a sorted set.
    fn scored(&mut self, member: &[u8], score: f64) -> Result<()>;
    /// A field of a hash.
    fn field(&mut self, field: &[u8], value: &[u8]) -> Result<()>;
    /// Something in a stream.
    fn stream(&mut self, event: StreamEvent<'_>) -> Result<()>;
}

/// A piece of a stream, in the order of the encoding.
#[derive(Debug, Clone, Copy)]
pub enum StreamEvent<'a> {
    /// A node of entries: the id that theirs count from, and the listpack.
    Node(StreamId, &'a [u8]),
    /// All nodes have been seen.
    Info(StreamInfo),
    /// A consumer group: its name, the last id it delivered, how many entries it has read (since
    /// 7.0; -1 is unknown), and how many pending entries follow.
    Group(&'a [u8], StreamId, Option<i64>, u64),
    /// A pending entry of the group: id, when it was delivered (milliseconds), how often.
    Pending(StreamId, u64, u64),
    /// How many consumers follow.
    Consumers(u64),
    /// A consumer: its name, when it was seen last (milliseconds), how many pending entries follow.
    Consumer(&'a [u8], u64, u64),
    /// One of the group's pending entries is this consumer's.
    Owned(StreamId),
}

/// The id of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct StreamId {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// Tells apart the entries of one millisecond.
    pub sequence: u64,
}

impl StreamId {
    /// From the 16 big-endian bytes that radix trees are keyed with.
    pub fn from_be(bytes: [u8; 16]) -> Self {
        let both = u128::from_be_bytes(bytes);
        Self { ms: (both >> 64) as u64, sequence: both as u64 }
    }

    /// The same, written.
    pub fn to_be(self) -> [u8; 16] {
        (u128::from(self.ms) << 64 | u128::from(self.sequence)).to_be_bytes()
    }
}

/// What a stream says of itself behind its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamInfo {
    /// Entries that are not deleted.
    pub length: u64,
    /// The id given out last.
    pub last_id: StreamId,
    /// Since Redis 7.0: the first entry's id, the highest deleted one, and how many entries were
    /// ever added.
    pub history: Option<(StreamId, StreamId, u64)>,
    /// How many groups follow.
    pub groups: u64,
}
