//! `drop`: the field, element or key goes.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Transformer, Uniqueness, Value,
    Wrote,
};

pub(super) const DEFINITION: Definition = Definition {
    name: "drop",
    aliases: &[],
    summary: "takes the field of a document or the element of a Redis key away",
    preserves: "nothing",
    accepts: "fields of MongoDB documents and JSON objects, elements of Redis keys, large objects",
    parameters: &[],
    example: "profile = { json = { \"$.geo\" = \"drop\", \"$\" = \"keep\" } }",
    effect: Effect::Drop,
    keyed: false,
    draws: Draws::Original,
    unique: Uniqueness::Always,
    build: |_arguments: &Arguments<'_>| Ok(Box::new(Drop)),
};

struct Drop;

impl Transformer for Drop {
    fn accepts(&self, _form: Form) -> bool {
        true
    }

    fn longest(&self) -> Length {
        Length::Same
    }

    fn injective(&self) -> bool {
        true
    }

    fn write(&self, _value: &Value<'_>, _out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        Err(Mismatch("nothing is not a text"))
    }
}
