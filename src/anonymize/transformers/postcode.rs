//! `postcode`: other digits and letters in the same pattern.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Transformer, Uniqueness, Value,
    Wrote,
};
use crate::anonymize::forms::text;
use crate::anonymize::pseudonym::Draw;

pub(super) const DEFINITION: Definition = Definition {
    name: "postcode",
    aliases: &[],
    summary: "other digits for digits and other letters for letters",
    preserves: "length, the pattern of digits, letters and punctuation, null and empty",
    accepts: "text, whole numbers",
    parameters: &[],
    example: "zip = \"postcode\"",
    effect: Effect::Leaf(build),
    keyed: true,
    draws: Draws::Original,
    unique: Uniqueness::Never,
};

fn build(_arguments: &Arguments<'_>) -> Result<Box<dyn Transformer>, String> {
    Ok(Box::new(Postcode))
}

struct Postcode;

impl Transformer for Postcode {
    fn accepts(&self, form: Form) -> bool {
        matches!(form, Form::Text | Form::Integer { .. })
    }

    fn longest(&self) -> Length {
        Length::Same
    }

    fn normalize<'a>(
        &self,
        text: &'a str,
        _form: Form,
        scratch: &'a mut String,
    ) -> Result<&'a str, Mismatch> {
        Ok(text::tidy(text, true, scratch))
    }

    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        let mut draw = Draw::new(value.digest);
        let number = value.form != Form::Text;
        if number && !self.accepts(value.form) {
            return Err(Mismatch("a postcode is a text or a whole number"));
        }
        let mut first = true;
        for letter in value.text.chars() {
            let new = match letter {
                // A number neither grows out of its type nor loses its first digit.
                '0' if number && first => b'0',
                '1'..='9' if number && first && value.text.len() > 4 => b'1',
                '0'..='9' if number && first => b'1' + draw.below(9) as u8,
                '0'..='9' => b'0' + draw.below(10) as u8,
                'a'..='z' => b'a' + draw.below(26) as u8,
                'A'..='Z' => b'A' + draw.below(26) as u8,
                letter if letter.is_ascii() => letter as u8,
                _ => b'X',
            };
            first &= !letter.is_ascii_digit();
            out.push(new);
        }
        Ok(Wrote::Same)
    }
}
