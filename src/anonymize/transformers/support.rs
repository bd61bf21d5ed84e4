//! What several transformers share: arguments, word lists, cutting.

use std::sync::LazyLock;

use fake::locales::{Data, EN};

use super::definition::{Arguments, Form, Literal, Parameter, ParameterKind};

/// First names.
pub(super) const FIRST_NAMES: &[&str] = <EN as Data>::NAME_FIRST_NAME;
/// Last names.
pub(super) const LAST_NAMES: &[&str] = <EN as Data>::NAME_LAST_NAME;

impl Arguments<'_> {
    /// A text argument.
    pub(super) fn text<'s>(&'s self, name: &str, default: &'s str) -> &'s str {
        match self.literals.get(name) {
            Some(Literal::Text(text)) => text,
            _ => default,
        }
    }

    /// A whole number in `range`.
    pub(super) fn integer(
        &self,
        name: &str,
        default: i64,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<i64, String> {
        match self.literals.get(name) {
            Some(Literal::Integer(value)) if range.contains(value) => Ok(*value),
            Some(_) => {
                Err(format!("`{name}` must be between {} and {}", range.start(), range.end()))
            }
            None => Ok(default),
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, name: &str, default: bool) -> bool {
        match self.literals.get(name) {
            Some(Literal::Bool(value)) => *value,
            _ => default,
        }
    }

    /// The most characters to write: `max_length`, else what the place holds, else no limit.
    pub(super) fn limit(&self, least: usize) -> Result<Option<usize>, String> {
        let asked = match self.literals.get("max_length") {
            Some(_) => Some(self.integer("max_length", 0, 1..=1_000_000)? as usize),
            None => None,
        };
        let limit = match (asked, self.room) {
            (Some(asked), Some(room)) => Some(asked.min(room)),
            (asked, room) => asked.or(room),
        };
        match limit {
            Some(limit) if limit < least => {
                Err(format!("needs room for {least} characters and has {limit}"))
            }
            limit => Ok(limit),
        }
    }
}

/// The parameter that most text transformers have.
pub(super) const MAX_LENGTH: Parameter = Parameter {
    name: "max_length",
    kind: ParameterKind::Integer,
    default: "the column's length",
    summary: "the most characters to write; every place of a link needs the same",
};

/// Whether a form is characters.
pub(super) fn is_text(form: Form) -> bool {
    form == Form::Text
}

/// The longest word of a list, in bytes (the lists are ASCII but for a few).
pub(super) fn longest(words: &[&str]) -> usize {
    words.iter().map(|word| word.chars().count()).max().unwrap_or(0)
}

/// The ASCII letters of the first names, in lower case.
pub(super) static LOWER_FIRST_NAMES: LazyLock<Box<[Box<str>]>> =
    LazyLock::new(|| FIRST_NAMES.iter().map(|name| letters(name)).collect());
/// The ASCII letters of the last names, in lower case.
pub(super) static LOWER_LAST_NAMES: LazyLock<Box<[Box<str>]>> =
    LazyLock::new(|| LAST_NAMES.iter().map(|name| letters(name)).collect());

fn letters(word: &str) -> Box<str> {
    let letters = word.chars().filter(char::is_ascii_alphabetic);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Cuts what was written since `start` to `limit` characters, without a gap at the end.
pub(super) fn clip(out: &mut Vec<u8>, start: usize, limit: Option<usize>, gap: u8) {
    let Some(limit) = limit else { return };
    if out.len() - start <= limit {
        return;
    }
    if let Some((end, _)) =
        std::str::from_utf8(&out[start..]).ok().and_then(|text| text.char_indices().nth(limit))
    {
        out.truncate(start + end);
        while out.len() > start + 1 && out.last() == Some(&gap) {
            out.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clip_counts_characters() {
        let mut out = b"x".to_vec();
        out.extend_from_slice("éé é".as_bytes());
        clip(&mut out, 1, Some(3), b' ');
        assert_eq!(out, "xéé".as_bytes());
    }
}
