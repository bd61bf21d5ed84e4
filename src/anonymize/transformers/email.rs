//! `email`: an address of a person who does not exist, in a domain that nobody can own.

use super::definition::Definition;
use super::recipe::{self, Pen, Recipe, Suffix};
use super::support::{FIRST_NAMES, LAST_NAMES, LOWER_FIRST_NAMES, LOWER_LAST_NAMES, longest};

pub(super) const DEFINITION: Definition = Definition {
    name: "email",
    summary: "first.last@example.com, .net or .org",
    preserves: "format, null and empty; uniqueness on request (first.last.<16 characters>@…)",
    example: "email = { use = \"email\", link = \"person.email\", unique = true }",
    ..recipe::definition::<Email>()
};

#[derive(Default)]
struct Email;

impl Recipe for Email {
    const SUFFIX: Suffix = Suffix::Apart;
    const GAP: u8 = b'.';
    /// RFC 2606 reserves these.
    const TAILS: &[&str] = &["@example.com", "@example.net", "@example.org"];

    fn longest(&self) -> usize {
        longest(FIRST_NAMES) + 1 + longest(LAST_NAMES)
    }

    fn words(&self, pen: &mut Pen<'_>) {
        pen.word(&LOWER_FIRST_NAMES);
        pen.put(".");
        pen.word(&LOWER_LAST_NAMES);
    }
}
