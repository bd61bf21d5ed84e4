//! The fields of a hash, where all must be known before the first is decided on.

use crate::error::{Error, Result};

/// The largest value that a rule is applied to.
pub const LARGEST_RULED: u64 = 64 << 20;

/// Fields and values, one behind the other.
#[derive(Default)]
pub(super) struct Ahead {
    bytes: Vec<u8>,
    /// Where each field ends, and its value.
    ends: Vec<(usize, usize)>,
}

impl Ahead {
    pub(super) fn push(&mut self, field: &[u8], value: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(field);
        let end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((end, self.bytes.len()));
        if self.bytes.len() as u64 > LARGEST_RULED { Err(too_large()) } else { Ok(()) }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |&(field, end)| {
            let begin = std::mem::replace(&mut start, end);
            (&self.bytes[begin..field], &self.bytes[field..end])
        })
    }
}

pub(super) fn too_large() -> Error {
    let limit = LARGEST_RULED >> 20;
    Error::failed(format!("a rule applies to a redis value of more than {limit} MiB"))
        .hint("keep or drop the key")
}
