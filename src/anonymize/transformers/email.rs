//! `email`: an address of a person who does not exist, in a domain that nobody can own.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Transformer, Uniqueness, Value,
    Wrote,
};
use super::support;
use crate::anonymize::pseudonym::{Draw, SUFFIX_CHARS, suffix};
use support::{FIRST_NAMES, LAST_NAMES, LOWER_FIRST_NAMES, LOWER_LAST_NAMES};

/// RFC 2606 reserves these; all are equally long.
const DOMAINS: [&str; 3] = ["@example.com", "@example.net", "@example.org"];
const DOMAIN_CHARS: usize = 12;

pub(super) const DEFINITION: Definition = Definition {
    name: "email",
    aliases: &[],
    summary: "first.last@example.com, .net or .org",
    preserves: "format, null and empty; uniqueness on request (first.last.<16 characters>@…)",
    accepts: "text",
    parameters: &[support::MAX_LENGTH],
    example: "email = { use = \"email\", link = \"person.email\", unique = true }",
    effect: Effect::Leaf,
    keyed: true,
    draws: Draws::Original,
    unique: Uniqueness::OnRequest,
    build: |arguments: &Arguments<'_>| {
        let least = DOMAIN_CHARS + if arguments.unique { SUFFIX_CHARS } else { 1 };
        let limit = arguments.limit(least)?;
        Ok(Box::new(Email { unique: arguments.unique, limit }))
    },
};

struct Email {
    unique: bool,
    limit: Option<usize>,
}

impl Email {
    /// How many characters go before the suffix and the domain at most.
    fn room(&self) -> usize {
        let fixed = DOMAIN_CHARS + if self.unique { SUFFIX_CHARS + 1 } else { 0 };
        self.limit.map_or(usize::MAX, |limit| limit.saturating_sub(fixed))
    }
}

impl Transformer for Email {
    fn accepts(&self, form: Form) -> bool {
        support::is_text(form)
    }

    fn longest(&self) -> Length {
        let names = support::longest(FIRST_NAMES) + 1 + support::longest(LAST_NAMES);
        let fixed = DOMAIN_CHARS + if self.unique { SUFFIX_CHARS + 1 } else { 0 };
        Length::AtMost((names + fixed).min(self.limit.unwrap_or(usize::MAX)))
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
        out.extend_from_slice(draw.pick(&LOWER_FIRST_NAMES).as_bytes());
        out.push(b'.');
        out.extend_from_slice(draw.pick(&LOWER_LAST_NAMES).as_bytes());
        if out.len() - start > self.room() {
            out.truncate(start + self.room());
        }
        while out.len() > start && out.last() == Some(&b'.') {
            out.pop();
        }
        if self.unique {
            if out.len() > start {
                out.push(b'.');
            }
            suffix(value.digest, out);
        }
        out.extend_from_slice(draw.pick(&DOMAINS).as_bytes());
        Ok(Wrote::Same)
    }
}
