//! The RDB format, read and written: everything Redis 7.0 writes and what its ancestors and next
//! of kin wrote before and after it. `redis/src/rdb.h`, `rdb.c`.
//!
//! Read top-down: [`rewrite`](rewrite::rewrite) turns a server's RDB into a cleared one of one
//! index; [`file`] walks a stream key by key; [`value`] takes a value apart into the calls of a
//! [`Sink`](value::Sink), element by element; [`input`], [`listpack`], [`packed`], [`stream`]
//! and [`lzf`] are the encodings below it; [`output`] writes; [`contents`] digests.
//!
//! Memory: one element (512 MiB at the most, as in Redis) plus fixed buffers. Keys of any size are
//! streamed. Nothing is allocated because a length says so, only because bytes arrived. Hostile
//! input is an error, never a panic.

mod ahead;
mod apart;
pub mod contents;
pub mod crc64;
mod decimal;
mod encode;
mod encode_groups;
pub mod file;
mod groups;
pub mod input;
pub(crate) mod library;
pub mod listpack;
pub mod lzf;
pub mod output;
pub mod packed;
pub mod rewrite;
mod seen;
pub mod sink;
pub mod stream;
#[cfg(test)]
mod tests;
pub mod value;

pub use decimal::{Decimal, score_text};
pub use seen::Seen;

use crate::error::Error;

/// The key that pfdata marks its own indexes with; never stored, never counted.
pub const OWNER_KEY: &[u8] = b"pfdata:owner";

/// Bytes that announce what follows in an RDB (`RDB_OPCODE_*`).
pub mod opcode {
    /// Slot information of a cluster node (7.4): three lengths.
    pub const SLOT_INFO: u8 = 244;
    /// The source of a function library (7.0).
    pub const FUNCTION: u8 = 245;
    /// Data of a module that belongs to no key.
    pub const MODULE_AUX: u8 = 247;
    /// Seconds since the next key was used.
    pub const IDLE: u8 = 248;
    /// How often the next key is used, one byte.
    pub const FREQUENCY: u8 = 249;
    /// A name and a value about the file.
    pub const AUX: u8 = 250;
    /// The number of keys, and of keys that expire, of the index.
    pub const RESIZE: u8 = 251;
    /// When the next key expires, milliseconds since 1970.
    pub const EXPIRE_MS: u8 = 252;
    /// When the next key expires, seconds since 1970.
    pub const EXPIRE: u8 = 253;
    /// The index that the next keys belong to.
    pub const SELECT: u8 = 254;
    /// The end; the CRC follows.
    pub const EOF: u8 = 255;
}

/// How values are encoded (`RDB_TYPE_*`).
pub mod kind {
    /// A string.
    pub const STRING: u8 = 0;
    /// A list, element by element.
    pub const LIST: u8 = 1;
    /// A set, element by element.
    pub const SET: u8 = 2;
    /// A sorted set with scores as text.
    pub const ZSET_TEXT: u8 = 3;
    /// A hash, field by field.
    pub const HASH: u8 = 4;
    /// A sorted set with binary scores.
    pub const ZSET: u8 = 5;
    /// A module's value without its own marks: cannot be passed over.
    pub const MODULE_OLD: u8 = 6;
    /// A module's value.
    pub const MODULE: u8 = 7;
    /// A hash in a zipmap.
    pub const HASH_ZIPMAP: u8 = 9;
    /// A list in a ziplist.
    pub const LIST_ZIPLIST: u8 = 10;
    /// A set in an intset.
    pub const SET_INTSET: u8 = 11;
    /// A sorted set in a ziplist.
    pub const ZSET_ZIPLIST: u8 = 12;
    /// A hash in a ziplist.
    pub const HASH_ZIPLIST: u8 = 13;
    /// A list of ziplists.
    pub const LIST_ZIPLISTS: u8 = 14;
    /// A stream (5.0).
    pub const STREAM: u8 = 15;
    /// A hash in a listpack (7.0).
    pub const HASH_LISTPACK: u8 = 16;
    /// A sorted set in a listpack (7.0).
    pub const ZSET_LISTPACK: u8 = 17;
    /// A list of listpacks and large elements (7.0).
    pub const LIST_LISTPACKS: u8 = 18;
    /// A stream with its history of counts (7.0).
    pub const STREAM_2: u8 = 19;
    /// A set in a listpack (7.2).
    pub const SET_LISTPACK: u8 = 20;
    /// A stream with the active times of consumers (7.2).
    pub const STREAM_3: u8 = 21;
    /// A hash whose fields expire (7.4).
    pub const HASH_EXPIRING: u8 = 24;
    /// The same in a listpack.
    pub const HASH_EXPIRING_LISTPACK: u8 = 25;
}

/// The lowest RDB version that defines the encoding `kind`: what a `RESTORE` payload must claim
/// for the oldest server that understands it to take it.
pub fn lowest_version(kind: u8) -> u16 {
    match kind {
        0..=4 | 9..=13 => 6,
        5 => 8,
        14 => 7,
        15 => 9,
        16..=19 => 10,
        20 | 21 => 11,
        _ => 12,
    }
}

/// The error for bytes that are not what they should be.
pub fn damaged(what: impl std::fmt::Display) -> Error {
    Error::failed(format!("the rdb is damaged: {what}"))
}
