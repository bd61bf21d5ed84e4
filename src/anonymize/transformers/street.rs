//! `street`: a house number and a street.

use super::definition::Definition;
use super::recipe::{self, Pen, Recipe, Suffix};
use super::support::{LAST_NAMES, longest};
use fake::locales::{Data, EN};

const SUFFIXES: &[&str] = <EN as Data>::ADDRESS_STREET_SUFFIX;

pub(super) const DEFINITION: Definition = Definition {
    name: "street",
    summary: "a house number and a street: 417 Kessler Avenue",
    example: "address = { json = { \"$.street\" = \"street\", \"$\" = \"redact\" } }",
    ..recipe::definition::<Street>()
};

#[derive(Default)]
struct Street;

impl Recipe for Street {
    const SUFFIX: Suffix = Suffix::Never;

    fn longest(&self) -> usize {
        "9999 ".len() + longest(LAST_NAMES) + 1 + longest(SUFFIXES)
    }

    fn words(&self, pen: &mut Pen<'_>) {
        let house = 1 + pen.below(9999);
        pen.number(house);
        pen.put(" ");
        pen.word(LAST_NAMES);
        pen.put(" ");
        pen.word(SUFFIXES);
    }
}
