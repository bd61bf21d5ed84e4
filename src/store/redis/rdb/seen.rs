//! Remembers names by their hashes, to find two that have become the same.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use crate::error::{Error, Result};
use crate::pipeline::transform::Part;

/// Up to how many names (of keys, or of the members of one collection) are remembered to find two
/// that have become the same. Beyond that it is found out when they are loaded.
pub const MOST_REMEMBERED: usize = 900_000;

/// Remembers 128-bit hashes, up to [`MOST_REMEMBERED`] of them.
#[derive(Default)]
pub struct Seen(HashSet<u128, BuildHasherDefault<Folded>>);

/// Hashes what is a hash already.
#[derive(Default)]
pub struct Folded(u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

impl Seen {
    /// Forgets all.
    pub fn clear(&mut self) {
        /// Emptying a table costs its capacity: one that a huge key left behind is given back.
        const KEPT: usize = 4096;
        if self.0.capacity() > KEPT { self.0 = HashSet::default() } else { self.0.clear() }
    }

    /// Remembers `hash`; false if it was there already.
    pub fn insert(&mut self, hash: u128) -> bool {
        self.0.len() >= MOST_REMEMBERED || self.0.insert(hash)
    }
}

/// What the rules made the same although it was not: where, what, and how many.
#[derive(Debug, Default)]
pub struct Collisions(BTreeMap<(String, &'static str), u64>);

impl Collisions {
    /// Counts one that has become another.
    pub fn note(&mut self, part: Part, place: String) {
        let what = match part {
            Part::Key => "the name",
            Part::Element => "a member",
            Part::Field => "the name of a field",
            Part::Group => "the name of a group",
            Part::Consumer => "the name of a consumer",
        };
        *self.0.entry((place, what)).or_default() += 1;
    }

    /// Fails if there are any, naming the places and how many.
    pub fn finish(&self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let told: Vec<String> = self
            .0
            .iter()
            .map(|((place, what), count)| format!("{what} of {place} ({count} times)"))
            .collect();
        let error = format!("the rules make equal what is not, in redis: {}", told.join(", "));
        Err(Error::findings(error).hint(
            "use a transformer that keeps them apart, such as hash, or unique = true on its link;              or drop the key",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn a_hash_is_new_once() {
        let mut seen = Seen::default();
        assert!(seen.insert(1) && !seen.insert(1) && seen.insert(1 << 64));
        seen.clear();
        assert!(seen.insert(1));
    }
}
