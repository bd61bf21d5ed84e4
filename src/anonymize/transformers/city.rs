//! `city`: a town that does not exist.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Transformer, Uniqueness, Value,
    Wrote,
};
use super::support;
use crate::anonymize::pseudonym::Draw;
use fake::locales::{Data, EN};
use support::LAST_NAMES;

const PREFIXES: &[&str] = <EN as Data>::ADDRESS_CITY_PREFIX;
const SUFFIXES: &[&str] = <EN as Data>::ADDRESS_CITY_SUFFIX;

pub(super) const DEFINITION: Definition = Definition {
    name: "city",
    aliases: &[],
    summary: "a made-up town: Port Kesslerville",
    preserves: "null and empty",
    accepts: "text",
    parameters: &[support::MAX_LENGTH],
    example: "city = \"city\"",
    effect: Effect::Leaf,
    keyed: true,
    draws: Draws::Original,
    unique: Uniqueness::Never,
    build: |arguments: &Arguments<'_>| Ok(Box::new(City { limit: arguments.limit(1)? })),
};

struct City {
    limit: Option<usize>,
}

impl Transformer for City {
    fn accepts(&self, form: Form) -> bool {
        support::is_text(form)
    }

    fn longest(&self) -> Length {
        let chars = [PREFIXES, LAST_NAMES, SUFFIXES].map(support::longest).iter().sum::<usize>();
        Length::AtMost((chars + 1).min(self.limit.unwrap_or(usize::MAX)))
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
        let mut draw = Draw::new(value.digest);
        let start = out.len();
        if draw.below(3) == 0 {
            out.extend_from_slice(draw.pick(PREFIXES).as_bytes());
            out.push(b' ');
        }
        out.extend_from_slice(draw.pick(LAST_NAMES).as_bytes());
        out.extend_from_slice(draw.pick(SUFFIXES).as_bytes());
        support::finish(out, start, self.limit, None);
        Ok(Wrote::Same)
    }
}
