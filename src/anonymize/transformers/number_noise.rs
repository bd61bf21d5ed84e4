//! `number_noise`: a number near the original.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Literal, Mismatch, Parameter,
    ParameterKind, Transformer, Uniqueness, Value, Wrote,
};
use crate::anonymize::forms::number::{Decimal, greatest, push_float};
use crate::anonymize::pseudonym::{Digest, Draw};
use std::io::Write;

pub(super) const DEFINITION: Definition = Definition {
    name: "number_noise",
    aliases: &[],
    summary: "the number, more or less; by = FIELD: one factor for all numbers of one record",
    preserves: "type, sign, digits after the point, magnitude within `ratio`, zero, null; with `by` order and ratios",
    accepts: "whole numbers, decimals, floats, text that holds numbers",
    parameters: &[Parameter {
        name: "ratio",
        kind: ParameterKind::Number,
        default: "0.1",
        summary: "the most that is added or taken, as a part of the number: above 0, at most 1",
    }],
    example: "salary = { use = \"number_noise\", ratio = 0.2, by = \"person_id\" }",
    effect: Effect::Leaf(build),
    keyed: true,
    draws: Draws::Shift,
    unique: Uniqueness::Never,
};

fn build(arguments: &Arguments<'_>) -> Result<Box<dyn Transformer>, String> {
    let ratio = match arguments.literals.get("ratio") {
        Some(Literal::Float(ratio)) => *ratio,
        Some(Literal::Integer(ratio)) => *ratio as f64,
        _ => 0.1,
    };
    if !(ratio > 0.0 && ratio <= 1.0) {
        return Err("`ratio` must be above 0 and at most 1".to_owned());
    }
    Ok(Box::new(Noise { ratio }))
}

struct Noise {
    ratio: f64,
}

impl Noise {
    /// Moves a number of units, which is not 0; it changes by at least one unit, keeps its sign,
    /// its number of digits at most, and stays below `most`.
    fn shifted(&self, decimal: Decimal, most: i128, draw: &mut Draw) -> i128 {
        let magnitude = decimal.units.abs();
        let fraction = draw.fraction();
        let mut delta = (magnitude as f64 * self.ratio * fraction) as i128;
        if delta == 0 {
            delta = if fraction < 0.0 { -1 } else { 1 };
        }
        let most = most.min(10i128.pow(decimal.digits.min(30)) - 1);
        let mut new = magnitude.saturating_add(delta);
        if new > most || new < 0 {
            new = (magnitude - delta.abs()).max(0);
        }
        if decimal.units < 0 { -new } else { new }
    }
}

impl Transformer for Noise {
    fn accepts(&self, form: Form) -> bool {
        matches!(
            form,
            Form::Integer { .. } | Form::Decimal { .. } | Form::Float { .. } | Form::Text
        )
    }

    fn longest(&self) -> Length {
        Length::Same
    }

    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        if matches!(value.text, "NaN" | "Infinity" | "-Infinity") {
            out.extend_from_slice(value.text.as_bytes());
            return Ok(Wrote::Same);
        }
        if !self.accepts(value.form) {
            return Err(Mismatch("it is not a number"));
        }
        let mut draw = Draw::new(value.digest);
        if let Form::Float { single } = value.form {
            let number: f64 = value.text.parse().map_err(|_| Mismatch("it is not a number"))?;
            push_float(self.float(number, single, &mut draw), single, out);
            return Ok(Wrote::Same);
        }
        let Some(mut decimal) = Decimal::parse(value.text) else {
            return with_exponent(value, |number| self.float(number, false, &mut draw), out);
        };
        let most = match value.form {
            Form::Integer { bits } => greatest(bits),
            _ => i128::MAX,
        };
        if decimal.units != 0 {
            decimal.units = self.shifted(decimal, most, &mut draw);
        }
        decimal.push(out);
        Ok(Wrote::Same)
    }

    /// All numbers of one record are multiplied by one factor: sign, order and ratios stay, as
    /// far as the digits of the place show them.
    fn write_drawn(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        if matches!(value.text, "NaN" | "Infinity" | "-Infinity") {
            out.extend_from_slice(value.text.as_bytes());
            return Ok(Wrote::Same);
        }
        if !self.accepts(value.form) {
            return Err(Mismatch("it is not a number"));
        }
        let parts = self.factor(value.digest);
        if let Form::Float { single } = value.form {
            let number: f64 = value.text.parse().map_err(|_| Mismatch("it is not a number"))?;
            let new = number * (parts as f64 / UNIT as f64);
            if new.is_infinite() || (single && (new as f32).is_infinite()) {
                return Err(UNFIT);
            }
            push_float(new, single, out);
            return Ok(Wrote::Same);
        }
        let Some(mut decimal) = Decimal::parse(value.text) else {
            return with_exponent(value, |number| number * (parts as f64 / UNIT as f64), out);
        };
        decimal.units = scaled(decimal.units, parts).ok_or(UNFIT)?;
        let fits = match value.form {
            Form::Integer { bits } => decimal.units.abs() <= greatest(bits),
            Form::Decimal { scale } => scale.is_none_or(|digits| decimal.fits(digits)),
            _ => true,
        };
        if !fits {
            return Err(UNFIT);
        }
        decimal.push(out);
        Ok(Wrote::Same)
    }
}

/// Factors are counted in parts of this, so that whole numbers stay exact.
const UNIT: i128 = 1 << 24;

const UNFIT: Mismatch = Mismatch("it would outgrow its type");

/// A number of units times a factor, rounded; what is not 0 stays so.
fn scaled(units: i128, parts: i128) -> Option<i128> {
    let product = units.abs().checked_mul(parts)?.checked_add(UNIT / 2)? / UNIT;
    let magnitude = product.max(i128::from(units != 0));
    Some(if units < 0 { -magnitude } else { magnitude })
}

impl Noise {
    /// The factor of a record, in parts of [`UNIT`]: at least a tenth of `ratio` away from 1.
    fn factor(&self, digest: &Digest) -> i128 {
        let fraction = Draw::new(digest).fraction();
        let distance = self.ratio * (0.1 + 0.9 * fraction.abs());
        let signed = if fraction < 0.0 { -distance } else { distance };
        // At a ratio of 1 the factor could be 0, and every number with it.
        (((1.0 + signed) * UNIT as f64) as i128).max(UNIT / 1000)
    }

    fn float(&self, number: f64, single: bool, draw: &mut Draw) -> f64 {
        let fraction = draw.fraction();
        let huge = if single { 1e37 } else { 1e307 };
        // Near the end of the type's range noise only takes away.
        let fraction = if number.abs() > huge { -fraction.abs() } else { fraction };
        number * (1.0 + self.ratio * fraction)
    }
}

/// JSON numbers such as `1.5e300`.
fn with_exponent(
    value: &Value<'_>,
    change: impl FnOnce(f64) -> f64,
    out: &mut Vec<u8>,
) -> Result<Wrote, Mismatch> {
    let refused = Mismatch("it is not a number of at most 30 digits");
    let has_exponent = value.text.bytes().any(|byte| matches!(byte, b'e' | b'E'));
    if !has_exponent || value.form == Form::Text {
        return Err(refused);
    }
    let number: f64 = value.text.parse().map_err(|_| refused)?;
    let new = change(number);
    if !number.is_finite() || !new.is_finite() {
        return Err(refused);
    }
    write!(out, "{new:e}").map_err(|_| refused)?;
    Ok(Wrote::Same)
}
