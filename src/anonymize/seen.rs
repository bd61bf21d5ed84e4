//! The names of the objects at hand, so that two that become equal are found.

use xxhash_rust::xxh3::xxh3_64;

/// Names by their hashes, new and original; those of an object inside another lie behind its own.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen(Vec<(u64, u64)>);

impl Seen {
    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Begins an object.
    pub(crate) fn begin(&self) -> usize {
        self.0.len()
    }

    /// Takes a name of the object at hand.
    pub(crate) fn note(&mut self, new: &[u8], original: &[u8]) {
        self.0.push((xxh3_64(new), xxh3_64(original)));
    }

    /// Ends the object that began at `start` and says whether names that differed are equal now.
    /// Names that were equal before may stay so.
    pub(crate) fn clash(&mut self, start: usize) -> bool {
        let Some(own) = self.0.get_mut(start..).filter(|own| !own.is_empty()) else {
            return false;
        };
        own.sort_unstable();
        let clash = own.windows(2).any(|pair| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1);
        self.0.truncate(start);
        clash
    }
}
