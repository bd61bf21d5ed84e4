//! `name`: a person's name.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Parameter, ParameterKind,
    Transformer, Uniqueness, Value, Wrote,
};
use super::support;
use crate::anonymize::pseudonym::{Draw, SUFFIX_CHARS};
use support::{FIRST_NAMES, LAST_NAMES};

pub(super) const DEFINITION: Definition = Definition {
    name: "name",
    aliases: &[
        ("first_name", ("part", "first")),
        ("last_name", ("part", "last")),
        ("full_name", ("part", "full")),
    ],
    summary: "a person's name; first_name, last_name and full_name are short for `part`",
    preserves: "null and empty; uniqueness on request (16 characters are added)",
    accepts: "text",
    parameters: &[
        Parameter {
            name: "part",
            kind: ParameterKind::Text,
            default: "full",
            summary: "full, first or last",
        },
        support::MAX_LENGTH,
    ],
    example: "full_name = { use = \"name\", link = \"person.name\" }",
    effect: Effect::Leaf,
    keyed: true,
    draws: Draws::Original,
    unique: Uniqueness::OnRequest,
    build: |arguments: &Arguments<'_>| {
        let (first, last) = match arguments.text("part", "full") {
            "full" => (true, true),
            "first" => (true, false),
            "last" => (false, true),
            _ => return Err("`part` must be full, first or last".to_owned()),
        };
        let least = if arguments.unique { SUFFIX_CHARS } else { 1 };
        let limit = arguments.limit(least)?;
        Ok(Box::new(Name { first, last, unique: arguments.unique, limit }))
    },
};

struct Name {
    first: bool,
    last: bool,
    unique: bool,
    limit: Option<usize>,
}

impl Transformer for Name {
    fn accepts(&self, form: Form) -> bool {
        support::is_text(form)
    }

    fn longest(&self) -> Length {
        let mut chars = if self.unique { SUFFIX_CHARS + 1 } else { 0 };
        if self.first {
            chars += support::longest(FIRST_NAMES);
        }
        if self.last {
            chars += support::longest(LAST_NAMES);
        }
        chars += usize::from(self.first && self.last);
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
        // Both are always drawn, so that a first name is that of the full name.
        let mut draw = Draw::new(value.digest);
        let (first, last) = (draw.pick(FIRST_NAMES), draw.pick(LAST_NAMES));
        let start = out.len();
        if self.first {
            out.extend_from_slice(first.as_bytes());
        }
        if self.first && self.last {
            out.push(b' ');
        }
        if self.last {
            out.extend_from_slice(last.as_bytes());
        }
        support::finish(out, start, self.limit, self.unique.then_some(value.digest));
        Ok(Wrote::Same)
    }
}
