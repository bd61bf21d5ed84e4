//! `company`: a firm that does not exist.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Transformer, Uniqueness, Value,
    Wrote,
};
use super::support;
use crate::anonymize::pseudonym::{Draw, SUFFIX_CHARS};
use fake::locales::{Data, EN};
use support::LAST_NAMES;

const SUFFIXES: &[&str] = <EN as Data>::COMPANY_SUFFIX;

pub(super) const DEFINITION: Definition = Definition {
    name: "company",
    aliases: &[],
    summary: "a made-up firm: Kessler and Ward Group",
    preserves: "null and empty; uniqueness on request (16 characters are added)",
    accepts: "text",
    parameters: &[support::MAX_LENGTH],
    example: "employer = \"company\"",
    effect: Effect::Leaf,
    keyed: true,
    draws: Draws::Original,
    unique: Uniqueness::OnRequest,
    build: |arguments: &Arguments<'_>| {
        let limit = arguments.limit(if arguments.unique { SUFFIX_CHARS } else { 1 })?;
        Ok(Box::new(Company { unique: arguments.unique, limit }))
    },
};

struct Company {
    unique: bool,
    limit: Option<usize>,
}

impl Transformer for Company {
    fn accepts(&self, form: Form) -> bool {
        support::is_text(form)
    }

    fn longest(&self) -> Length {
        let mut chars = 2 * support::longest(LAST_NAMES) + 5 + 1 + support::longest(SUFFIXES);
        if self.unique {
            chars += SUFFIX_CHARS + 1;
        }
        Length::AtMost(chars.min(self.limit.unwrap_or(usize::MAX)))
    }

    fn injective(&self) -> bool {
        self.unique
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
        out.extend_from_slice(draw.pick(LAST_NAMES).as_bytes());
        if draw.below(2) == 0 {
            out.extend_from_slice(b" and ");
            out.extend_from_slice(draw.pick(LAST_NAMES).as_bytes());
        }
        out.push(b' ');
        out.extend_from_slice(draw.pick(SUFFIXES).as_bytes());
        support::finish(out, start, self.limit, self.unique.then_some(value.digest));
        Ok(Wrote::Same)
    }
}
