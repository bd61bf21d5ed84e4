//! `username`: a login name.

use super::definition::Definition;
use super::recipe::{self, Pen, Recipe, Suffix};
use super::support::{FIRST_NAMES, LAST_NAMES, LOWER_FIRST_NAMES, LOWER_LAST_NAMES, longest};

pub(super) const DEFINITION: Definition = Definition {
    name: "username",
    summary: "a login name: letters and digits in lower case",
    example: "login = { use = \"username\", unique = true }",
    ..recipe::definition::<Username>()
};

#[derive(Default)]
struct Username;

impl Recipe for Username {
    /// Login names can differ in case alone, so that stays a difference.
    const FOLDS: bool = false;
    const SUFFIX: Suffix = Suffix::Joined;
    const DIGITS: usize = 4;

    fn longest(&self) -> usize {
        longest(FIRST_NAMES) + longest(LAST_NAMES)
    }

    fn words(&self, pen: &mut Pen<'_>) {
        pen.word(&LOWER_FIRST_NAMES);
        pen.word(&LOWER_LAST_NAMES);
    }
}
