//! The transformers: one file each, all of the same shape.
//!
//! A file holds a [`Definition`] (what `rules list` shows and what a rule may say) whose `build`
//! checks the arguments of a rule and gives a [`Transformer`]. A transformer knows no store: it
//! gets the text of one scalar, the [`Form`] it stands in, and the digest of the normalized
//! value, and writes the text of the new one. It never sees a null or an empty value.

mod choice;
mod city;
mod company;
mod constant;
mod country;
mod date_shift;
mod drop;
mod email;
mod hash;
mod ip;
mod keep;
mod literal;
mod mask;
mod name;
mod null;
pub(crate) mod number;
mod number_noise;
mod phone;
mod postcode;
pub(crate) mod redact;
mod street;
pub(crate) mod support;
mod text;
mod url;
mod username;
pub(crate) mod uuid;

use super::pseudonym::Digest;
use super::registry::Definition;
use crate::store::shape::Digits;

pub use literal::Literal;
pub use support::Arguments;

/// Every definition, in the order in which they are listed.
pub(crate) static ALL: [Definition; 23] = [
    keep::DEFINITION,
    null::DEFINITION,
    drop::DEFINITION,
    constant::DEFINITION,
    redact::DEFINITION,
    mask::DEFINITION,
    hash::DEFINITION,
    email::DEFINITION,
    name::DEFINITION,
    username::DEFINITION,
    phone::DEFINITION,
    street::DEFINITION,
    city::DEFINITION,
    postcode::DEFINITION,
    country::DEFINITION,
    company::DEFINITION,
    date_shift::DEFINITION,
    number_noise::DEFINITION,
    uuid::DEFINITION,
    ip::DEFINITION,
    url::DEFINITION,
    text::DEFINITION,
    choice::DEFINITION,
];

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

/// One value to be replaced.
#[derive(Debug)]
pub struct Value<'a> {
    /// The original, neither null nor empty.
    pub text: &'a str,
    /// What kind of value it is, and the new one must be.
    pub form: Form,
    /// The keyed bits of the normalized original; zero for transformers that are not keyed.
    pub digest: &'a Digest,
}

/// What was written: the type matters where a place can hold any (JSON, BSON).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote {
    /// A value of the form that was there.
    Same,
    /// Characters.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// `true` or `false`.
    Bool,
}

/// A value that a transformer cannot handle: why, never what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch(pub &'static str);

/// What a transformer does to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Keep,
    /// Makes it null.
    Null,
    /// Takes it away.
    Drop,
    /// Replaces it whatever it is, objects and lists as a whole.
    Whole,
    /// Replaces a scalar; of an object or a list each scalar below.
    Leaf,
}

/// How long what a transformer writes can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// As many characters as the original, or fewer.
    Same,
    /// At most so many characters.
    AtMost(usize),
}

/// Makes new values.
pub trait Transformer: Send + Sync {
    /// Whether a value of this form can be replaced by one of the same form.
    fn accepts(&self, form: Form) -> bool;

    /// Whether it may put a value of another type in a place that can hold any.
    fn retypes(&self) -> bool {
        false
    }

    /// The longest text it writes for a [`Form::Text`].
    fn longest(&self) -> Length;

    /// Whether different (normalized) originals give different values, but for a chance below
    /// one in 2^80 per pair.
    fn injective(&self) -> bool {
        false
    }

    /// Whether punctuation makes no difference between originals either.
    fn ignores_punctuation(&self) -> bool {
        false
    }

    /// What of the original counts for being equal; `scratch` comes empty.
    fn normalize<'a>(
        &self,
        text: &'a str,
        _form: Form,
        _scratch: &'a mut String,
    ) -> Result<&'a str, Mismatch> {
        Ok(text)
    }

    /// Writes the new value behind what `out` holds.
    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch>;

    /// The same where the digest is that of the record and not of the value.
    fn write_drawn(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        self.write(value, out)
    }
}

#[cfg(test)]
#[path = "golden_tests.rs"]
mod golden_tests;
