//! `street`: a house number and a street.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Transformer, Uniqueness, Value,
    Wrote,
};
use super::number::push_digits;
use super::support;
use crate::anonymize::pseudonym::Draw;
use fake::locales::{Data, EN};
use support::LAST_NAMES;

const SUFFIXES: &[&str] = <EN as Data>::ADDRESS_STREET_SUFFIX;

pub(super) const DEFINITION: Definition = Definition {
    name: "street",
    aliases: &[],
    summary: "a house number and a street: 417 Kessler Avenue",
    preserves: "null and empty",
    accepts: "text",
    parameters: &[support::MAX_LENGTH],
    example: "address = { json = { \"$.street\" = \"street\", \"$\" = \"redact\" } }",
    effect: Effect::Leaf,
    keyed: true,
    draws: Draws::Original,
    unique: Uniqueness::Never,
    build: |arguments: &Arguments<'_>| Ok(Box::new(Street { limit: arguments.limit(1)? })),
};

struct Street {
    limit: Option<usize>,
}

impl Transformer for Street {
    fn accepts(&self, form: Form) -> bool {
        support::is_text(form)
    }

    fn longest(&self) -> Length {
        let words = 5 + support::longest(LAST_NAMES) + 1 + support::longest(SUFFIXES);
        Length::AtMost(words.min(self.limit.unwrap_or(usize::MAX)))
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
        let number = 1 + draw.below(9999);
        let (name, suffix) = (draw.pick(LAST_NAMES), draw.pick(SUFFIXES));
        push_digits(number, 1, out);
        for word in [name, suffix] {
            out.push(b' ');
            out.extend_from_slice(word.as_bytes());
        }
        support::finish(out, start, self.limit, None);
        Ok(Wrote::Same)
    }
}
