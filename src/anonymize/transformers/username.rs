//! `username`: a login name.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Transformer, Uniqueness, Value,
    Wrote,
};
use super::support;
use crate::anonymize::pseudonym::{Draw, SUFFIX_CHARS, suffix};
use support::{FIRST_NAMES, LAST_NAMES, LOWER_FIRST_NAMES, LOWER_LAST_NAMES};

pub(super) const DEFINITION: Definition = Definition {
    name: "username",
    aliases: &[],
    summary: "a login name: letters and digits in lower case",
    preserves: "null and empty; uniqueness on request (16 characters are added)",
    accepts: "text",
    parameters: &[support::MAX_LENGTH],
    example: "login = { use = \"username\", unique = true }",
    effect: Effect::Leaf,
    keyed: true,
    draws: Draws::Original,
    unique: Uniqueness::OnRequest,
    build: |arguments: &Arguments<'_>| {
        let limit = arguments.limit(if arguments.unique { SUFFIX_CHARS } else { 1 })?;
        Ok(Box::new(Username { unique: arguments.unique, limit }))
    },
};

struct Username {
    unique: bool,
    limit: Option<usize>,
}

impl Transformer for Username {
    fn accepts(&self, form: Form) -> bool {
        support::is_text(form)
    }

    fn longest(&self) -> Length {
        let names = support::longest(FIRST_NAMES) + support::longest(LAST_NAMES);
        let tail = if self.unique { SUFFIX_CHARS } else { 4 };
        Length::AtMost((names + tail).min(self.limit.unwrap_or(usize::MAX)))
    }

    fn injective(&self) -> bool {
        self.unique
    }

    /// Login names can differ in case alone, so that stays a difference.
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
        out.extend_from_slice(draw.pick(&LOWER_FIRST_NAMES).as_bytes());
        out.extend_from_slice(draw.pick(&LOWER_LAST_NAMES).as_bytes());
        if self.unique {
            let left = self.limit.map(|limit| limit.saturating_sub(SUFFIX_CHARS));
            if left == Some(0) {
                out.truncate(start);
            }
            support::clip(out, start, left);
            suffix(value.digest, out);
        } else {
            for _ in 0..4 {
                out.push(b'0' + draw.below(10) as u8);
            }
            support::clip(out, start, self.limit);
        }
        Ok(Wrote::Same)
    }
}
