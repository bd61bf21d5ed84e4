//! `choice`: one of a list of values.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Literal, Mismatch, Parameter,
    ParameterKind, Transformer, Uniqueness, Value, Wrote,
};
use crate::anonymize::pseudonym::Draw;

pub(super) const DEFINITION: Definition = Definition {
    name: "choice",
    aliases: &[],
    summary: "one of the listed values, drawn for the record and not for the value",
    preserves: "null and empty; the type, where the values are of it",
    accepts: "any scalar type that all the values fit, also enums",
    parameters: &[Parameter {
        name: "values",
        kind: ParameterKind::Scalars,
        default: "",
        summary: "what to choose from",
    }],
    example: "plan = { use = \"choice\", values = [\"free\", \"team\"], by = \"user_id\" }",
    effect: Effect::Leaf(build),
    keyed: true,
    draws: Draws::Record,
    unique: Uniqueness::Never,
};

fn build(arguments: &Arguments<'_>) -> Result<Box<dyn Transformer>, String> {
    match arguments.literals.get("values") {
        Some(Literal::List(values)) if !values.is_empty() => Ok(Box::new(Choice(values.clone()))),
        _ => Err("needs `values`, a list that is not empty".to_owned()),
    }
}

struct Choice(Vec<Literal>);

impl Transformer for Choice {
    fn accepts(&self, form: Form) -> bool {
        self.0.iter().all(|value| value.fits(form))
    }

    fn retypes(&self) -> bool {
        true
    }

    fn longest(&self) -> Length {
        Length::AtMost(self.0.iter().map(Literal::chars).max().unwrap_or(0))
    }

    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        let index = Draw::new(value.digest).below(self.0.len() as u64) as usize;
        let chosen = self.0.get(index).ok_or(Mismatch("there is nothing to choose from"))?;
        Ok(chosen.write(value.form, out))
    }
}
