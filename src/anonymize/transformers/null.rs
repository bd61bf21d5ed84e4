//! `null`: no value.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Transformer, Uniqueness, Value,
    Wrote,
};

pub(super) const DEFINITION: Definition = Definition {
    name: "null",
    aliases: &[],
    summary: "null in place of whatever was there",
    preserves: "nothing",
    accepts: "any type that may be null, whole objects and arrays; not Redis, which has no null",
    parameters: &[],
    example: "birthplace = \"null\"",
    effect: Effect::Null,
    keyed: false,
    draws: Draws::Original,
    unique: Uniqueness::Never,
    build: |_arguments: &Arguments<'_>| Ok(Box::new(Null)),
};

struct Null;

impl Transformer for Null {
    fn accepts(&self, _form: Form) -> bool {
        true
    }

    fn longest(&self) -> Length {
        Length::Same
    }

    fn write(&self, _value: &Value<'_>, _out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        Err(Mismatch("null is not a text"))
    }
}
