//! The names inside a key: renamed, and kept apart.

use xxhash_rust::xxh3::xxh3_128;

use super::ahead::{LARGEST_RULED, too_large};
use super::encode::Encoder;
use crate::error::Result;
use crate::pipeline::transform::{ElementVerdict, KeyTransform, Part, SPELLINGS};

impl Encoder<'_, '_> {
    /// What a name inside the key becomes.
    fn named(&mut self, part: Part, name: &[u8], renamed: &mut Vec<u8>) -> Result<bool> {
        if !self.shape.rewriting {
            return Ok(false);
        }
        if name.len() as u64 > LARGEST_RULED {
            return Err(too_large());
        }
        renamed.clear();
        Ok(self.transform.name(part, name, renamed)? == ElementVerdict::Write)
    }

    /// Passes the name of a field on to `write`.
    pub(super) fn with_field(
        &mut self,
        field: &[u8],
        write: impl FnOnce(&mut Self, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut renamed = std::mem::take(&mut self.scratch.renamed);
        if self.named(Part::Field, field, &mut renamed)? {
            write(self, &renamed)?;
        } else {
            write(self, field)?;
        }
        super::input::shrink(&mut renamed);
        self.scratch.renamed = renamed;
        Ok(())
    }

    /// Passes `new`, which `original` has become, on to `write`, with its hash; or another
    /// spelling where it is taken. What stays the same is counted, and ends the snapshot: two
    /// equal members would make the key unloadable.
    pub(super) fn apart(
        &mut self,
        part: Part,
        original: &[u8],
        new: &[u8],
        write: impl FnOnce(&mut Self, &[u8], u128) -> Result<()>,
    ) -> Result<()> {
        let hash = xxh3_128(new);
        if !self.shape.rewriting || self.scratch.members.insert(hash) {
            return write(self, new, hash);
        }
        let members = &mut self.scratch.members;
        match respelled(self.transform, part, original, |hash| members.insert(hash))? {
            Some((variant, hash)) => write(self, &variant, hash),
            None => {
                self.scratch.collisions.note(part, self.transform.place());
                write(self, new, hash)
            }
        }
    }

    /// The new name of a group or a consumer; `owner` is what it must be apart in.
    pub(super) fn of_group(&mut self, part: Part, name: &[u8], owner: u64) -> Result<Vec<u8>> {
        let mut renamed = Vec::new();
        if !self.named(part, name, &mut renamed)? {
            renamed = name.to_vec();
        }
        let in_owner = |hash: u128| hash.wrapping_add(u128::from(owner));
        if !self.shape.rewriting || self.scratch.members.insert(in_owner(xxh3_128(&renamed))) {
            return Ok(renamed);
        }
        let members = &mut self.scratch.members;
        let variant = respelled(self.transform, part, name, |hash| members.insert(in_owner(hash)))?;
        if let Some((variant, _)) = variant {
            return Ok(variant);
        }
        self.scratch.collisions.note(part, self.transform.place());
        Ok(renamed)
    }
}

/// Another spelling of what `original` became that `is_new`, with its hash.
pub(super) fn respelled(
    transform: &mut dyn KeyTransform,
    part: Part,
    original: &[u8],
    mut is_new: impl FnMut(u128) -> bool,
) -> Result<Option<(Vec<u8>, u128)>> {
    let mut variant = Vec::new();
    for attempt in 0..SPELLINGS {
        variant.clear();
        if transform.variant(part, original, attempt, &mut variant)? {
            let hash = xxh3_128(&variant);
            if is_new(hash) {
                return Ok(Some((variant, hash)));
            }
        }
    }
    Ok(None)
}
