//! `uuid`: another UUID.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Transformer, Uniqueness, Value,
    Wrote,
};
use crate::anonymize::forms::uuid::{CHARS, parse, push};

pub(super) const DEFINITION: Definition = Definition {
    name: "uuid",
    aliases: &[],
    summary: "another UUID, of version 4 by its looks",
    preserves: "type, uniqueness, null and empty",
    accepts: "uuid, text that holds UUIDs, MongoDB binary of subtypes 3 and 4",
    parameters: &[],
    example: "id = { use = \"uuid\", link = \"account.id\" }",
    effect: Effect::Leaf(build),
    keyed: true,
    draws: Draws::Original,
    unique: Uniqueness::Always,
};

fn build(arguments: &Arguments<'_>) -> Result<Box<dyn Transformer>, String> {
    match arguments.room {
        Some(room) if room < CHARS => {
            Err(format!("needs room for {CHARS} characters and has {room}"))
        }
        _ => Ok(Box::new(Uuid)),
    }
}

struct Uuid;

impl Transformer for Uuid {
    fn accepts(&self, form: Form) -> bool {
        matches!(form, Form::Uuid | Form::Text)
    }

    fn longest(&self) -> Length {
        Length::AtMost(CHARS)
    }

    fn injective(&self) -> bool {
        true
    }

    fn ignores_punctuation(&self) -> bool {
        true
    }

    fn normalize<'a>(
        &self,
        text: &'a str,
        _form: Form,
        scratch: &'a mut String,
    ) -> Result<&'a str, Mismatch> {
        let bytes = parse(text).ok_or(Mismatch("it is not a UUID"))?;
        let mut canonical = std::mem::take(scratch).into_bytes();
        canonical.clear();
        push(&bytes, &mut canonical);
        *scratch = String::from_utf8(canonical).map_err(|_| Mismatch("it is not a UUID"))?;
        Ok(scratch)
    }

    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        if !self.accepts(value.form) {
            return Err(Mismatch("a UUID does not fit the type"));
        }
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&value.digest[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        push(&bytes, out);
        Ok(Wrote::Same)
    }
}
