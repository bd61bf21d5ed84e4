//! `keep`: an explicit decision to let a value pass.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Transformer, Uniqueness, Value,
    Wrote,
};

pub(super) const DEFINITION: Definition = Definition {
    name: "keep",
    aliases: &[],
    summary: "the original, by explicit decision",
    preserves: "everything",
    accepts: "any type, whole objects and arrays",
    parameters: &[],
    example: "id = \"keep\"",
    effect: Effect::Keep,
    keyed: false,
    draws: Draws::Original,
    unique: Uniqueness::Always,
    build: |_arguments: &Arguments<'_>| Ok(Box::new(Keep)),
};

struct Keep;

impl Transformer for Keep {
    fn accepts(&self, _form: Form) -> bool {
        true
    }

    fn longest(&self) -> Length {
        Length::Same
    }

    fn injective(&self) -> bool {
        true
    }

    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        out.extend_from_slice(value.text.as_bytes());
        Ok(Wrote::Same)
    }
}
