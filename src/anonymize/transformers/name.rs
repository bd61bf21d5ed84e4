//! `name`: a person's name.

use super::definition::{Arguments, Definition, Parameter, ParameterKind};
use super::recipe::{self, Pen, Recipe, Suffix};
use super::support::{FIRST_NAMES, LAST_NAMES, MAX_LENGTH, longest};

pub(super) const DEFINITION: Definition = Definition {
    name: "name",
    aliases: &[
        ("first_name", ("part", "first")),
        ("last_name", ("part", "last")),
        ("full_name", ("part", "full")),
    ],
    summary: "a person's name; first_name, last_name and full_name are short for `part`",
    parameters: &[
        Parameter {
            name: "part",
            kind: ParameterKind::Text,
            default: "full",
            summary: "full, first or last",
        },
        MAX_LENGTH,
    ],
    example: "full_name = { use = \"name\", link = \"person.name\" }",
    ..recipe::definition::<Name>()
};

#[derive(Default)]
enum Name {
    #[default]
    Full,
    First,
    Last,
}

impl Recipe for Name {
    const SUFFIX: Suffix = Suffix::Apart;

    fn read(arguments: &Arguments<'_>) -> Result<Self, String> {
        match arguments.text("part", "full") {
            "full" => Ok(Self::Full),
            "first" => Ok(Self::First),
            "last" => Ok(Self::Last),
            _ => Err("`part` must be full, first or last".to_owned()),
        }
    }

    fn longest(&self) -> usize {
        match self {
            Self::Full => longest(FIRST_NAMES) + 1 + longest(LAST_NAMES),
            Self::First => longest(FIRST_NAMES),
            Self::Last => longest(LAST_NAMES),
        }
    }

    fn words(&self, pen: &mut Pen<'_>) {
        // Both are always drawn, so that a first name is that of the full name.
        let (first, last) = (pen.pick(FIRST_NAMES), pen.pick(LAST_NAMES));
        let words: &[&str] = match self {
            Self::Full => &[first, " ", last],
            Self::First => &[first],
            Self::Last => &[last],
        };
        words.iter().for_each(|word| pen.put(word));
    }
}
