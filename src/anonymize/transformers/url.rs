//! `url`: an address on a host that nobody can own.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Transformer, Uniqueness, Value,
    Wrote,
};
use super::support;
use crate::anonymize::pseudonym::{Draw, SUFFIX_CHARS, suffix};
use fake::locales::{Data, EN};

const HOSTS: [&str; 3] = ["https://example.com/", "https://example.net/", "https://example.org/"];
const HOST_CHARS: usize = 20;
const WORDS: &[&str] = <EN as Data>::LOREM_WORD;

pub(super) const DEFINITION: Definition = Definition {
    name: "url",
    aliases: &[],
    summary: "https://example.com/ and a path of two words",
    preserves: "null and empty; uniqueness on request (a path of 16 characters)",
    accepts: "text",
    parameters: &[support::MAX_LENGTH],
    example: "avatar = \"url\"",
    effect: Effect::Leaf,
    keyed: true,
    draws: Draws::Original,
    unique: Uniqueness::OnRequest,
    build: |arguments: &Arguments<'_>| {
        let least = HOST_CHARS + if arguments.unique { SUFFIX_CHARS } else { 0 };
        let limit = arguments.limit(least)?;
        Ok(Box::new(Url { unique: arguments.unique, limit }))
    },
};

struct Url {
    unique: bool,
    limit: Option<usize>,
}

impl Transformer for Url {
    fn accepts(&self, form: Form) -> bool {
        support::is_text(form)
    }

    fn longest(&self) -> Length {
        let path = if self.unique { SUFFIX_CHARS } else { 2 * support::longest(WORDS) + 1 };
        Length::AtMost((HOST_CHARS + path).min(self.limit.unwrap_or(usize::MAX)))
    }

    fn injective(&self) -> bool {
        self.unique
    }

    /// Paths can differ in case alone, so that stays a difference.
    fn normalize<'a>(
        &self,
        text: &'a str,
        _form: Form,
        scratch: &'a mut String,
    ) -> Result<&'a str, Mismatch> {
        Ok(support::tidy(text, false, scratch))
    }

    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        let mut draw = Draw::new(value.digest);
        let start = out.len();
        out.extend_from_slice(draw.pick(&HOSTS).as_bytes());
        if self.unique {
            suffix(value.digest, out);
            return Ok(Wrote::Same);
        }
        out.extend_from_slice(draw.pick(WORDS).as_bytes());
        out.push(b'-');
        out.extend_from_slice(draw.pick(WORDS).as_bytes());
        support::clip(out, start, self.limit);
        Ok(Wrote::Same)
    }
}
