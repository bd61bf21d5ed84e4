//! What happens to single names, scores and records of a Redis index.

use std::borrow::Cow;

use super::action::{Masker, Outcome};
use super::forms::Form;
use super::redis_plan::Field;
use super::transformers::Mismatch;

/// Tells a record apart that no other field does: by the key, the stream's entry, and the field,
/// member or position.
pub(super) fn own_record(
    record: &mut Vec<u8>,
    (of_key, entry, position): (usize, [u8; 16], u64),
    named: Option<&[u8]>,
) {
    record.truncate(of_key);
    record.extend_from_slice(&entry);
    match named {
        Some(name) => record.extend_from_slice(name),
        None => record.extend_from_slice(&position.to_le_bytes()),
    }
}

/// Begins a record of the field's transformers: by the value of the field that a rule names where
/// it is there, else by its `own` identity.
pub(super) fn begin_record(field: &mut Field, by: &[(String, Option<Vec<u8>>)], own: &[u8]) {
    field.action.each_masker(&mut |masker| {
        let known = masker.by().and_then(|said| {
            let found = by.iter().find(|(name, _)| *name == said.field);
            found.and_then(|(_, value)| value.as_deref())
        });
        match known {
            Some(value) => masker.record(value),
            None => masker.own_record(own),
        }
    });
}

/// A name as text: what is not UTF-8 as Postgres writes bytes.
fn as_text(name: &[u8]) -> Cow<'_, [u8]> {
    if std::str::from_utf8(name).is_ok() {
        return Cow::Borrowed(name);
    }
    let mut text = b"\\x".to_vec();
    super::pseudonym::hex(name, &mut text);
    Cow::Owned(text)
}

/// Writes the new value of a name; an empty one stays.
pub(super) fn mask(masker: &mut Masker, name: &[u8], out: &mut Vec<u8>) -> Result<(), Mismatch> {
    match masker.apply(&as_text(name), Form::Text, out)? {
        Outcome::Wrote(_) => Ok(()),
        Outcome::Null => Err(Mismatch("it would be null")),
    }
}

/// Writes another spelling of what `original` becomes. One that is spelled as its normal form has
/// none: it came after one that took its place, and goes as if it had been spelled otherwise.
pub(super) fn respell(
    masker: &mut Masker,
    original: &[u8],
    attempt: u8,
    out: &mut Vec<u8>,
) -> Result<(), Mismatch> {
    let text = std::str::from_utf8(original).map_err(|_| Mismatch("it is not valid UTF-8"))?;
    let other = |upper: bool| -> String {
        let turn = |(at, letter): (usize, char)| -> String {
            if (at % 2 == 0) == upper {
                letter.to_uppercase().collect()
            } else {
                letter.to_string()
            }
        };
        text.chars().enumerate().map(turn).collect()
    };
    let spelled = match attempt {
        0 => Cow::Borrowed(text),
        1 => Cow::Owned(text.to_uppercase()),
        2 => Cow::Owned(other(true)),
        _ => Cow::Owned(other(false)),
    };
    match masker.variant(spelled.as_bytes(), out)? {
        Outcome::Wrote(_) => Ok(()),
        Outcome::Null => Err(Mismatch("it would be null")),
    }
}

/// The new score: written as Redis writes scores, and read back.
pub(super) fn masked_score(masker: &mut Masker, score: f64) -> Result<f64, Mismatch> {
    let text = if score.fract() == 0.0 && score.abs() < 1e17 {
        format!("{score:.0}")
    } else {
        format!("{score:e}")
    };
    let mut made = Vec::with_capacity(24);
    match masker.apply(text.as_bytes(), Form::Float { single: false }, &mut made)? {
        Outcome::Wrote(_) => {}
        Outcome::Null => return Err(Mismatch("Redis has no null")),
    }
    let made = std::str::from_utf8(&made).ok().and_then(|made| made.parse::<f64>().ok());
    made.filter(|made| made.is_finite()).ok_or(Mismatch("what it becomes is not a number"))
}
