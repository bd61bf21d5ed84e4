//! `text`: words that mean nothing.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Transformer, Uniqueness, Value,
    Wrote,
};
use super::support;
use crate::anonymize::pseudonym::Draw;
use fake::locales::{Data, EN};

const WORDS: &[&str] = <EN as Data>::LOREM_WORD;

pub(super) const DEFINITION: Definition = Definition {
    name: "text",
    aliases: &[],
    summary: "latin filler of the same length",
    preserves: "length in characters (but for a trailing space), null and empty",
    accepts: "text",
    parameters: &[support::MAX_LENGTH],
    example: "bio = \"text\"",
    effect: Effect::Leaf(build),
    keyed: true,
    draws: Draws::Original,
    unique: Uniqueness::Never,
};

fn build(arguments: &Arguments<'_>) -> Result<Box<dyn Transformer>, String> {
    Ok(Box::new(Text { limit: arguments.limit(1)? }))
}

struct Text {
    limit: Option<usize>,
}

impl Transformer for Text {
    fn accepts(&self, form: Form) -> bool {
        support::is_text(form)
    }

    fn longest(&self) -> Length {
        Length::Same
    }

    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        let mut draw = Draw::new(value.digest);
        let length = value.text.chars().count().min(self.limit.unwrap_or(usize::MAX));
        let start = out.len();
        while out.len() - start < length {
            if out.len() > start {
                out.push(b' ');
            }
            out.extend_from_slice(draw.pick(WORDS).as_bytes());
        }
        // The words are ASCII: bytes are characters.
        out.truncate(start + length);
        if out.len() > start + 1 && out.last() == Some(&b' ') {
            out.pop();
        }
        if let Some(first) = out.get_mut(start) {
            first.make_ascii_uppercase();
        }
        Ok(Wrote::Same)
    }
}
