//! `country`: a country drawn for the record; there are too few to give each one another.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Parameter, ParameterKind,
    Transformer, Uniqueness, Value, Wrote,
};
use super::support;
use crate::anonymize::pseudonym::Draw;
use fake::locales::{Data, EN};

/// Longer names ("Antarctica (the territory South of 60 deg S)") are not used.
const LONGEST: usize = 32;

pub(super) const DEFINITION: Definition = Definition {
    name: "country",
    aliases: &[],
    summary: "a country, by name or two-letter code, drawn for the record and not for the value",
    preserves: "null and empty",
    accepts: "text",
    parameters: &[
        Parameter {
            name: "format",
            kind: ParameterKind::Text,
            default: "name",
            summary: "name or code (ISO 3166-1 alpha-2)",
        },
        support::MAX_LENGTH,
    ],
    example: "country = { use = \"country\", format = \"code\" }",
    effect: Effect::Leaf,
    keyed: true,
    draws: Draws::Record,
    unique: Uniqueness::Never,
    build: |arguments: &Arguments<'_>| {
        let (words, least) = match arguments.text("format", "name") {
            "name" => (<EN as Data>::ADDRESS_COUNTRY, 4),
            "code" => (<EN as Data>::ADDRESS_COUNTRY_CODE, 2),
            _ => return Err("`format` must be name or code".to_owned()),
        };
        let limit = arguments.limit(least)?.map_or(LONGEST, |limit| limit.min(LONGEST));
        let words: Vec<&'static str> =
            words.iter().copied().filter(|word| word.chars().count() <= limit).collect();
        Ok(Box::new(Country { longest: support::longest(&words), words }))
    },
};

struct Country {
    words: Vec<&'static str>,
    longest: usize,
}

impl Transformer for Country {
    fn accepts(&self, form: Form) -> bool {
        support::is_text(form)
    }

    fn longest(&self) -> Length {
        Length::AtMost(self.longest)
    }

    fn normalize<'a>(
        &self,
        text: &'a str,
        _form: Form,
        scratch: &'a mut String,
    ) -> Result<&'a str, Mismatch> {
        Ok(support::tidy(text, true, scratch))
    }

    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        out.extend_from_slice(Draw::new(value.digest).pick(&self.words).as_bytes());
        Ok(Wrote::Same)
    }
}
