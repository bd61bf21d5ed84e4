//! `constant`: one value for all.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Literal, Mismatch, Parameter,
    ParameterKind, Transformer, Uniqueness, Value, Wrote,
};

pub(super) const DEFINITION: Definition = Definition {
    name: "constant",
    aliases: &[],
    summary: "the same value everywhere",
    preserves: "null and empty; the type, where the value is of it",
    accepts: "any type that the value fits, whole objects and arrays",
    parameters: &[Parameter {
        name: "value",
        kind: ParameterKind::Scalar,
        default: "",
        summary: "the value",
    }],
    example: "password_hash = { use = \"constant\", value = \"x\" }",
    effect: Effect::Whole(build),
    keyed: false,
    draws: Draws::Original,
    unique: Uniqueness::Never,
};

fn build(arguments: &Arguments<'_>) -> Result<Box<dyn Transformer>, String> {
    let value = arguments.literals.get("value").ok_or("needs a `value`")?;
    Ok(Box::new(Constant(value.clone())))
}

struct Constant(Literal);

impl Transformer for Constant {
    fn accepts(&self, form: Form) -> bool {
        self.0.fits(form)
    }

    fn retypes(&self) -> bool {
        true
    }

    fn longest(&self) -> Length {
        Length::AtMost(self.0.chars())
    }

    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        Ok(self.0.write(value.form, out))
    }
}
