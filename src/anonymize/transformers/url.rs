//! `url`: an address on a host that nobody can own.

use super::definition::Definition;
use super::recipe::{self, Pen, Recipe, Suffix};
use super::support::longest;
use fake::locales::{Data, EN};

const WORDS: &[&str] = <EN as Data>::LOREM_WORD;

pub(super) const DEFINITION: Definition = Definition {
    name: "url",
    summary: "https://example.com/ and a path of two words",
    preserves: "null and empty; uniqueness on request (a path of 16 characters)",
    example: "avatar = \"url\"",
    ..recipe::definition::<Url>()
};

#[derive(Default)]
struct Url;

impl Recipe for Url {
    /// Paths can differ in case alone, so that stays a difference.
    const FOLDS: bool = false;
    const SUFFIX: Suffix = Suffix::Instead;
    /// RFC 2606 reserves these.
    const HEADS: &[&str] =
        &["https://example.com/", "https://example.net/", "https://example.org/"];

    /// A host alone is an address too.
    fn least(&self) -> usize {
        0
    }

    fn longest(&self) -> usize {
        2 * longest(WORDS) + 1
    }

    fn words(&self, pen: &mut Pen<'_>) {
        pen.word(WORDS);
        pen.put("-");
        pen.word(WORDS);
    }
}
