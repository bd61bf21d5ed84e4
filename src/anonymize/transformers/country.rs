//! `country`: a country drawn for the record; there are too few to give each one another.

use super::definition::{Arguments, Definition, Draws, Parameter, ParameterKind};
use super::recipe::{self, Pen, Recipe, Suffix};
use super::support::{MAX_LENGTH, longest};
use fake::locales::{Data, EN};

/// Longer names ("Antarctica (the territory South of 60 deg S)") are not used.
const LONGEST: usize = 32;

pub(super) const DEFINITION: Definition = Definition {
    name: "country",
    summary: "a country, by name or two-letter code, drawn for the record and not for the value",
    parameters: &[
        Parameter {
            name: "format",
            kind: ParameterKind::Text,
            default: "name",
            summary: "name or code (ISO 3166-1 alpha-2)",
        },
        MAX_LENGTH,
    ],
    example: "country = { use = \"country\", format = \"code\" }",
    draws: Draws::Record,
    ..recipe::definition::<Country>()
};

#[derive(Default)]
struct Country {
    /// Those that fit: a name is never cut.
    words: Vec<&'static str>,
    least: usize,
}

impl Recipe for Country {
    const SUFFIX: Suffix = Suffix::Never;

    fn read(arguments: &Arguments<'_>) -> Result<Self, String> {
        let (words, least) = match arguments.text("format", "name") {
            "name" => (<EN as Data>::ADDRESS_COUNTRY, 4),
            "code" => (<EN as Data>::ADDRESS_COUNTRY_CODE, 2),
            _ => return Err("`format` must be name or code".to_owned()),
        };
        let limit = arguments.limit(least)?.map_or(LONGEST, |limit| limit.min(LONGEST));
        let fits = |word: &&str| word.chars().count() <= limit;
        Ok(Self { words: words.iter().copied().filter(fits).collect(), least })
    }

    fn least(&self) -> usize {
        self.least
    }

    fn longest(&self) -> usize {
        longest(&self.words)
    }

    fn words(&self, pen: &mut Pen<'_>) {
        pen.word(&self.words);
    }
}
