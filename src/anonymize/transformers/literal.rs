//! Values that a rule itself holds, written in the form of the place.

use super::definition::{Form, Literal, Wrote};
use crate::anonymize::forms::{address, date, number, uuid};
use crate::store::shape::Digits;

impl Literal {
    /// The value as it is written, without regard to the place.
    pub(super) fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::List(_) => String::new(),
        }
    }

    /// How many characters it has.
    pub(super) fn chars(&self) -> usize {
        self.plain().chars().count()
    }

    /// Whether a place that can hold nothing but `form` can hold it.
    pub(super) fn fits(&self, form: Form) -> bool {
        let text = self.plain();
        match form {
            Form::Text | Form::Enum | Form::Other => true,
            Form::Integer { bits } => number::integer_fits(&text, bits),
            Form::Millis => number::integer_fits(&text, 64),
            Form::Decimal { scale } => decimal(&text, scale).is_some(),
            Form::Float { .. } => text.parse::<f64>().is_ok(),
            Form::Bool => matches!(text.as_str(), "true" | "false" | "t" | "f"),
            Form::Date => date::canonical(&text, Form::Date).is_some(),
            Form::Timestamp | Form::Timestamptz => date::canonical(&text, form).is_some(),
            Form::Uuid => uuid::parse(&text).is_some(),
            Form::ObjectId => text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit()),
            Form::Inet { cidr } => address::canonical(&text, cidr).is_some(),
            Form::Bytes => text.strip_prefix("\\x").is_some_and(|hex| {
                hex.len() % 2 == 0 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            }),
            Form::Object | Form::List => serde_json::from_str::<serde_json::Value>(&text).is_ok(),
        }
    }

    /// Writes it as Postgres would write it in a place of `form`, so that what is stored is what
    /// comes back after a restore.
    pub(super) fn write(&self, form: Form, out: &mut Vec<u8>) -> Wrote {
        let text = self.plain();
        let canonical = match form {
            Form::Decimal { scale } => decimal(&text, scale),
            Form::Float { single } => text.parse::<f64>().ok().map(|value| {
                let mut text = Vec::new();
                number::push_float(value, single, &mut text);
                String::from_utf8(text).unwrap_or_default()
            }),
            Form::Bool if text == "true" || text == "t" => Some("t".to_owned()),
            Form::Bool if text == "false" || text == "f" => Some("f".to_owned()),
            Form::Date | Form::Timestamp | Form::Timestamptz => date::canonical(&text, form),
            Form::Uuid => uuid::parse(&text).map(|bytes| uuid::to_text(&bytes)),
            Form::Inet { cidr } => address::canonical(&text, cidr),
            _ => None,
        };
        out.extend_from_slice(canonical.as_deref().unwrap_or(&text).as_bytes());
        match (self, form) {
            (Self::Text(_), Form::Object | Form::List) => Wrote::Text,
            (Self::Text(_), _) if self.fits(form) => Wrote::Same,
            (Self::Text(_) | Self::List(_), _) => Wrote::Text,
            (
                Self::Integer(_),
                Form::Integer { .. } | Form::Decimal { .. } | Form::Float { .. },
            ) => Wrote::Same,
            (Self::Integer(_), _) => Wrote::Integer,
            (Self::Float(_), Form::Decimal { .. } | Form::Float { .. }) => Wrote::Same,
            (Self::Float(_), _) => Wrote::Float,
            (Self::Bool(_), Form::Bool) => Wrote::Same,
            (Self::Bool(_), _) => Wrote::Bool,
        }
    }
}

/// A decimal number as Postgres prints it where `scale` digits follow the point, if none of its
/// own get lost by that; as many as it has where the place does not fix them.
fn decimal(text: &str, scale: Option<Digits>) -> Option<String> {
    let decimal = number::Decimal::parse(text)?;
    let text = decimal.rescaled(scale.map_or(decimal.scale, |digits| digits.scale))?;
    let fits = |digits| number::Decimal::parse(&text).is_some_and(|made| made.fits(digits));
    scale.is_none_or(fits).then_some(text)
}
