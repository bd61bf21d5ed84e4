//! `company`: a firm that does not exist.

use super::definition::Definition;
use super::recipe::{self, Pen, Recipe, Suffix};
use super::support::{LAST_NAMES, longest};
use fake::locales::{Data, EN};

const SUFFIXES: &[&str] = <EN as Data>::COMPANY_SUFFIX;

pub(super) const DEFINITION: Definition = Definition {
    name: "company",
    summary: "a made-up firm: Kessler and Ward Group",
    example: "employer = \"company\"",
    ..recipe::definition::<Company>()
};

#[derive(Default)]
struct Company;

impl Recipe for Company {
    const SUFFIX: Suffix = Suffix::Apart;

    fn longest(&self) -> usize {
        longest(LAST_NAMES) + " and ".len() + longest(LAST_NAMES) + 1 + longest(SUFFIXES)
    }

    fn words(&self, pen: &mut Pen<'_>) {
        pen.word(LAST_NAMES);
        if pen.below(2) == 0 {
            pen.put(" and ");
            pen.word(LAST_NAMES);
        }
        pen.put(" ");
        pen.word(SUFFIXES);
    }
}
