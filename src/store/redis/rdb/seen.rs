//! Remembers names by their hashes, to find two that have become the same.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

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
