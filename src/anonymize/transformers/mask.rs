//! `mask`: stars, with the structure left visible.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Parameter, ParameterKind,
    Transformer, Uniqueness, Value, Wrote,
};
use super::support;

pub(super) const DEFINITION: Definition = Definition {
    name: "mask",
    aliases: &[],
    summary: "a star for every letter and digit",
    preserves: "length in characters, punctuation and spaces, and what `keep_…` says",
    accepts: "text",
    parameters: &[
        Parameter {
            name: "char",
            kind: ParameterKind::Text,
            default: "*",
            summary: "the character to write, one",
        },
        Parameter {
            name: "keep_first",
            kind: ParameterKind::Integer,
            default: "0",
            summary: "letters and digits to leave at the start",
        },
        Parameter {
            name: "keep_last",
            kind: ParameterKind::Integer,
            default: "0",
            summary: "letters and digits to leave at the end",
        },
        Parameter {
            name: "separators",
            kind: ParameterKind::Boolean,
            default: "true",
            summary: "whether punctuation and spaces stay",
        },
    ],
    example: "card = { use = \"mask\", keep_last = 4 }",
    effect: Effect::Leaf(build),
    keyed: false,
    draws: Draws::Original,
    unique: Uniqueness::Never,
};

fn build(arguments: &Arguments<'_>) -> Result<Box<dyn Transformer>, String> {
    let mut letters = arguments.text("char", "*").chars();
    let (Some(star), None) = (letters.next(), letters.next()) else {
        return Err("`char` must be one character".to_owned());
    };
    Ok(Box::new(Mask {
        star,
        first: arguments.integer("keep_first", 0, 0..=64)? as usize,
        last: arguments.integer("keep_last", 0, 0..=64)? as usize,
        separators: arguments.flag("separators", true),
    }))
}

struct Mask {
    star: char,
    first: usize,
    last: usize,
    separators: bool,
}

impl Transformer for Mask {
    fn accepts(&self, form: Form) -> bool {
        support::is_text(form)
    }

    fn longest(&self) -> Length {
        Length::Same
    }

    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        let counts = |letter: &char| !self.separators || letter.is_alphanumeric();
        let kept = self.first + self.last;
        let total = if kept == 0 { 0 } else { value.text.chars().filter(counts).count() };
        // A value of which half or more would stay is masked whole: leaving two of three digits
        // would give it away.
        let reveal = kept > 0 && kept * 2 <= total;
        let mut star = [0u8; 4];
        let star = self.star.encode_utf8(&mut star).as_bytes();
        let mut index = 0;
        for letter in value.text.chars() {
            let mut stays = !counts(&letter);
            if !stays {
                stays = reveal && (index < self.first || index >= total - self.last);
                index += 1;
            }
            if stays {
                out.extend_from_slice(letter.encode_utf8(&mut [0u8; 4]).as_bytes());
            } else {
                out.extend_from_slice(star);
            }
        }
        Ok(Wrote::Same)
    }
}
