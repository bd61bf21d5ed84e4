//! The forms of values, and how a value of each is spelled: as Postgres prints it, whatever the
//! store, so that a BSON date, a JSON number and a column are one thing to a transformer.
//!
//! Called by the transformers, by the rules that hold values of their own, and by the engines that
//! read and write BSON. Knows no rule and no key.

pub(crate) mod address;
pub(crate) mod date;
pub(crate) mod number;
pub(crate) mod text;
pub(crate) mod uuid;

use crate::store::shape::Digits;

/// What kind of value a place holds. The text of a value is in the form that Postgres writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Characters.
    Text,
    /// A whole number of so many bits, signed; 128 where the place has no limit of its own.
    Integer {
        /// 16, 32, 64 or 128.
        bits: u8,
    },
    /// A decimal number.
    Decimal {
        /// Its digits, where the place fixes them.
        scale: Option<Digits>,
    },
    /// A binary floating point number.
    Float {
        /// Of 32 bits instead of 64.
        single: bool,
    },
    /// `t`, `f`, `true` or `false`.
    Bool,
    /// `2026-11-21`.
    Date,
    /// `2026-11-21 03:00:00.5`.
    Timestamp,
    /// `2026-11-21 03:00:00.5+00`.
    Timestamptz,
    /// Milliseconds since 1970, as a whole number: a BSON date.
    Millis,
    /// `7f3a9c00-…`.
    Uuid,
    /// 24 hex digits.
    ObjectId,
    /// An address with an optional prefix length.
    Inet {
        /// A network: no bits may be set right of the prefix.
        cidr: bool,
    },
    /// `\x` and hex.
    Bytes,
    /// A label of a Postgres enum.
    Enum,
    /// An object or a JSON column as a whole.
    Object,
    /// A list as a whole.
    List,
    /// Anything else.
    Other,
}
