//! `phone`: a number that no telephone has.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Transformer, Uniqueness, Value,
    Wrote,
};
use crate::anonymize::forms::number::push_digits;
use crate::anonymize::forms::text;
use crate::anonymize::pseudonym::Draw;

const CHARS: usize = 12;

pub(super) const DEFINITION: Definition = Definition {
    name: "phone",
    aliases: &[],
    summary: "a North American number from the range kept for fiction: +1…55501xx",
    preserves: "null and empty; where the place holds numbers, the type",
    accepts: "text, bigint, numeric, MongoDB long and double, JSON numbers",
    parameters: &[],
    example: "phone = { use = \"phone\", link = \"person.phone\" }",
    effect: Effect::Leaf(build),
    keyed: true,
    draws: Draws::Original,
    unique: Uniqueness::Never,
};

fn build(arguments: &Arguments<'_>) -> Result<Box<dyn Transformer>, String> {
    match arguments.room {
        Some(room) if room < CHARS => {
            Err(format!("needs room for {CHARS} characters and has {room}"))
        }
        _ => Ok(Box::new(Phone)),
    }
}

struct Phone;

impl Transformer for Phone {
    fn accepts(&self, form: Form) -> bool {
        match form {
            Form::Text | Form::Float { single: false } => true,
            Form::Integer { bits } => bits >= 64,
            Form::Decimal { scale } => scale.is_none_or(|digits| {
                digits.scale == 0 && usize::from(digits.precision) >= CHARS - 1
            }),
            _ => false,
        }
    }

    fn longest(&self) -> Length {
        Length::AtMost(CHARS)
    }

    /// The digits, without a leading `00`: `+1 (202) 555-0147` equals `0012025550147`.
    fn normalize<'a>(
        &self,
        text: &'a str,
        _form: Form,
        scratch: &'a mut String,
    ) -> Result<&'a str, Mismatch> {
        scratch.clear();
        scratch.extend(text.chars().filter(char::is_ascii_digit));
        if scratch.is_empty() {
            return Ok(text::tidy(text, true, scratch));
        }
        Ok(scratch.strip_prefix("00").filter(|rest| !rest.is_empty()).unwrap_or(scratch))
    }

    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        if !self.accepts(value.form) {
            return Err(Mismatch("a phone number does not fit the type"));
        }
        let mut draw = Draw::new(value.digest);
        // Area codes: 2-9, then 0-8, then any, but for the service codes N11.
        let (a, b, mut c) = (2 + draw.below(8), draw.below(9), draw.below(10));
        if b == 1 && c == 1 {
            c = 2;
        }
        let line = 100 + draw.below(100);
        if value.form == Form::Text {
            out.push(b'+');
        }
        out.push(b'1');
        push_digits(a * 100 + b * 10 + c, 3, out);
        out.extend_from_slice(b"555");
        push_digits(line, 4, out);
        Ok(Wrote::Same)
    }
}
