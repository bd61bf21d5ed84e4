//! `hash`: hex digits of the keyed hash.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Parameter, ParameterKind,
    Transformer, Uniqueness, Value, Wrote,
};
use crate::anonymize::pseudonym::hex;

pub(super) const DEFINITION: Definition = Definition {
    name: "hash",
    aliases: &[],
    summary: "hex digits of the keyed hash of the value",
    preserves: "uniqueness (from length 20 on), null and empty",
    accepts: "text, bytes, MongoDB ObjectIds (24 digits)",
    parameters: &[Parameter {
        name: "length",
        kind: ParameterKind::Integer,
        default: "32",
        summary: "how many hex digits, 1 to 64",
    }],
    example: "device = { use = \"hash\", length = 24 }",
    effect: Effect::Leaf(build),
    keyed: true,
    draws: Draws::Original,
    unique: Uniqueness::OnRequest,
};

fn build(arguments: &Arguments<'_>) -> Result<Box<dyn Transformer>, String> {
    let mut length = arguments.integer("length", 32, 1..=64)? as usize;
    if !arguments.literals.contains_key("length") {
        length = length.min(arguments.room.unwrap_or(length));
    }
    if arguments.unique && length < 20 {
        return Err("`unique` needs a length of at least 20".to_owned());
    }
    Ok(Box::new(Hash { length }))
}

struct Hash {
    length: usize,
}

impl Transformer for Hash {
    fn accepts(&self, form: Form) -> bool {
        matches!(form, Form::Text | Form::Bytes | Form::ObjectId)
    }

    fn longest(&self) -> Length {
        Length::AtMost(self.length)
    }

    fn injective(&self) -> bool {
        self.length >= 20
    }

    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        let mut length = self.length;
        match value.form {
            Form::Bytes => {
                out.extend_from_slice(b"\\x");
                length = length.next_multiple_of(2);
            }
            Form::ObjectId => length = 24,
            Form::Text => {}
            _ => return Err(Mismatch("only text, bytes and ObjectIds can become a hash")),
        }
        let start = out.len();
        hex(value.digest, out);
        out.truncate(start + length);
        Ok(Wrote::Same)
    }
}
