//! `city`: a town that does not exist.

use super::definition::Definition;
use super::recipe::{self, Pen, Recipe, Suffix};
use super::support::{LAST_NAMES, longest};
use fake::locales::{Data, EN};

const PREFIXES: &[&str] = <EN as Data>::ADDRESS_CITY_PREFIX;
const SUFFIXES: &[&str] = <EN as Data>::ADDRESS_CITY_SUFFIX;

pub(super) const DEFINITION: Definition = Definition {
    name: "city",
    summary: "a made-up town: Port Kesslerville",
    example: "city = \"city\"",
    ..recipe::definition::<City>()
};

#[derive(Default)]
struct City;

impl Recipe for City {
    const SUFFIX: Suffix = Suffix::Never;

    fn longest(&self) -> usize {
        longest(PREFIXES) + 1 + longest(LAST_NAMES) + longest(SUFFIXES)
    }

    fn words(&self, pen: &mut Pen<'_>) {
        if pen.below(3) == 0 {
            pen.word(PREFIXES);
            pen.put(" ");
        }
        pen.word(LAST_NAMES);
        pen.word(SUFFIXES);
    }
}
