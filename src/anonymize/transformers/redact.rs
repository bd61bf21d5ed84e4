//! `redact`: a neutral value of the type.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Parameter, ParameterKind,
    Transformer, Uniqueness, Value, Wrote,
};
use super::support;
use crate::anonymize::forms::number;
use crate::anonymize::jsontext;
use crate::store::shape::Digits;

const TEXT: &str = "[redacted]";

pub(super) const DEFINITION: Definition = Definition {
    name: "redact",
    aliases: &[],
    summary: "a neutral value: [redacted], 0, false, 1970-01-01, {}, []",
    preserves: "type, null and empty",
    accepts: "text, numbers, booleans, dates, uuids, addresses, bytes, JSON, arrays",
    parameters: &[Parameter {
        name: "text",
        kind: ParameterKind::Text,
        default: TEXT,
        summary: "what texts become",
    }],
    example: "notes = \"redact\"",
    effect: Effect::Whole(build),
    keyed: false,
    draws: Draws::Original,
    unique: Uniqueness::Never,
};

fn build(arguments: &Arguments<'_>) -> Result<Box<dyn Transformer>, String> {
    let mut text = arguments.text("text", TEXT).as_bytes().to_vec();
    support::clip(&mut text, 0, arguments.room, b' ');
    Ok(Box::new(Redact(text)))
}

struct Redact(Vec<u8>);

impl Transformer for Redact {
    fn accepts(&self, form: Form) -> bool {
        !matches!(form, Form::Enum | Form::Other)
    }

    fn longest(&self) -> Length {
        Length::AtMost(String::from_utf8_lossy(&self.0).chars().count())
    }

    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        if value.form == Form::Text {
            out.extend_from_slice(&self.0);
            return Ok(Wrote::Same);
        }
        neutral_like(value.text.as_bytes(), value.form, None, &self.0, out)
    }
}

/// The neutral value for an original: of a JSON column as a whole the kind of the JSON value
/// stays, and `text` is what a string becomes.
fn neutral_like(
    original: &[u8],
    form: Form,
    room: Option<usize>,
    text: &[u8],
    out: &mut Vec<u8>,
) -> Result<Wrote, Mismatch> {
    if form != Form::Object {
        return neutral(form, room, out);
    }
    match original.trim_ascii_start().first() {
        Some(b'[') => return neutral(Form::List, room, out),
        Some(b'"') => jsontext::quote(text, out),
        Some(b'-' | b'0'..=b'9') => out.push(b'0'),
        Some(b't' | b'f') if is_word(original) => out.extend_from_slice(b"false"),
        Some(b'n') if is_word(original) => out.extend_from_slice(b"null"),
        _ => return neutral(form, room, out),
    }
    Ok(Wrote::Same)
}

fn is_word(text: &[u8]) -> bool {
    matches!(text.trim_ascii(), b"true" | b"false" | b"null")
}

/// The neutral value where a rule says `on_error = "redact"`.
pub(crate) fn instead(
    original: &[u8],
    form: Form,
    room: Option<usize>,
    out: &mut Vec<u8>,
) -> Result<Wrote, Mismatch> {
    neutral_like(original, form, room, TEXT.as_bytes(), out)
}

/// Writes the neutral value of a form; `room` is the most characters of a text.
pub(crate) fn neutral(
    form: Form,
    room: Option<usize>,
    out: &mut Vec<u8>,
) -> Result<Wrote, Mismatch> {
    let start = out.len();
    let text: &[u8] = match form {
        Form::Text => TEXT.as_bytes(),
        Form::Decimal { scale: Some(Digits { scale, .. }) } if scale > 0 => {
            number::Decimal { units: 0, scale, digits: 0 }.push(out);
            b""
        }
        Form::Integer { .. } | Form::Decimal { .. } | Form::Float { .. } | Form::Millis => b"0",
        Form::Bool => b"f",
        Form::Date => b"1970-01-01",
        Form::Timestamp => b"1970-01-01 00:00:00",
        Form::Timestamptz => b"1970-01-01 00:00:00+00",
        Form::Uuid => b"00000000-0000-0000-0000-000000000000",
        Form::ObjectId => b"000000000000000000000000",
        Form::Inet { cidr: false } => b"192.0.2.1",
        Form::Inet { cidr: true } => b"192.0.2.0/24",
        Form::Bytes => b"\\x",
        Form::Object => b"{}",
        Form::List => b"[]",
        Form::Enum | Form::Other => return Err(Mismatch("there is no neutral value of this type")),
    };
    out.extend_from_slice(text);
    if form == Form::Text {
        support::clip(out, start, room, b' ');
    }
    Ok(Wrote::Same)
}
