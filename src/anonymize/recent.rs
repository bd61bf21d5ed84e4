//! The pseudonyms that a masker made last, so that columns of few different values (cities,
//! countries) cost a hash of some nanoseconds instead of an HMAC.

use super::forms::Form;
use super::transformers::Wrote;

/// How many pseudonyms are remembered; each value has one place where it can be.
pub(crate) const SLOTS: usize = 256;

/// The longest value and pseudonym that are remembered, in bytes.
const SLOT_BYTES: usize = 64;

/// After so many values the memory is given up where fewer than one in eight was found: in a
/// column of different values it only costs time.
const TRIAL: u32 = 4096;

#[derive(Clone)]
pub(crate) struct Slot {
    form: Form,
    pub(crate) wrote: Wrote,
    original: Vec<u8>,
    pub(crate) pseudonym: Vec<u8>,
}

/// A small direct-mapped memory.
#[derive(Clone, Default)]
pub(crate) struct Recent {
    slots: Vec<Option<Slot>>,
    tried: u32,
    found: u32,
    given_up: bool,
}

impl Recent {
    /// Whether it is worth looking for this value.
    pub(crate) fn wants(&self, original: &[u8]) -> bool {
        !self.given_up && original.len() <= SLOT_BYTES
    }

    /// What was made of this value in a place of this form, if it is still known.
    pub(crate) fn find(&mut self, index: usize, original: &[u8], form: Form) -> Option<&Slot> {
        self.tried += 1;
        if self.tried == TRIAL {
            self.given_up = self.found < TRIAL / 8;
            (self.tried, self.found) = (0, 0);
            if self.given_up {
                self.slots = Vec::new();
            }
        }
        let slot = self.slots.get(index)?.as_ref()?;
        if slot.original != original || slot.form != form {
            return None;
        }
        self.found += 1;
        Some(slot)
    }

    /// Remembers a value in place of what was at `index`.
    pub(crate) fn keep(
        &mut self,
        index: usize,
        original: &[u8],
        form: Form,
        wrote: Wrote,
        pseudonym: &[u8],
    ) {
        if self.given_up || pseudonym.len() > SLOT_BYTES {
            return;
        }
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, None);
        }
        let Some(place) = self.slots.get_mut(index) else { return };
        let slot = place.get_or_insert_with(|| Slot {
            form,
            wrote,
            original: Vec::with_capacity(SLOT_BYTES),
            pseudonym: Vec::with_capacity(SLOT_BYTES),
        });
        (slot.form, slot.wrote) = (form, wrote);
        slot.original.clear();
        slot.original.extend_from_slice(original);
        slot.pseudonym.clear();
        slot.pseudonym.extend_from_slice(pseudonym);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_what_was_kept_for_that_value_and_form() {
        let mut recent = Recent::default();
        assert!(recent.find(3, b"a", Form::Text).is_none());
        recent.keep(3, b"a", Form::Text, Wrote::Same, b"x");
        assert_eq!(
            recent.find(3, b"a", Form::Text).map(|slot| slot.pseudonym.clone()),
            Some(b"x".to_vec())
        );
        assert!(recent.find(3, b"b", Form::Text).is_none());
        assert!(recent.find(3, b"a", Form::Uuid).is_none());
        assert!(!recent.wants(&[0; 65]));
    }

    #[test]
    fn a_memory_that_never_helps_is_given_up() {
        let mut recent = Recent::default();
        for _ in 0..TRIAL {
            assert!(recent.wants(b"a"));
            assert!(recent.find(0, b"a", Form::Text).is_none());
        }
        assert!(!recent.wants(b"a"));
    }
}
