//! What several transformers share: arguments, word lists, writing.

use std::collections::BTreeMap;

use fake::locales::{Data, EN};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::super::pseudonym::{Digest, SUFFIX_CHARS, suffix};
use super::{Form, Literal};

/// First names.
pub(super) const FIRST_NAMES: &[&str] = <EN as Data>::NAME_FIRST_NAME;
/// Last names.
pub(super) const LAST_NAMES: &[&str] = <EN as Data>::NAME_LAST_NAME;

/// The arguments of one rule.
#[derive(Debug)]
pub struct Arguments<'a> {
    /// What the rule says, already checked against the parameters of the definition.
    pub literals: &'a BTreeMap<String, Literal>,
    /// Whether different originals must stay different.
    pub unique: bool,
    /// The most characters that the place holds, where the transformer may adapt to it.
    pub room: Option<usize>,
}

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
pub(super) const MAX_LENGTH: super::super::registry::Parameter =
    super::super::registry::Parameter {
        name: "max_length",
        kind: super::super::registry::ParameterKind::Integer,
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

/// Writes only the ASCII letters of a word, in lower case.
pub(super) fn push_lower(word: &str, out: &mut Vec<u8>) {
    out.extend(word.bytes().filter(u8::is_ascii_alphabetic).map(|byte| byte.to_ascii_lowercase()));
}

/// Cuts what was written since `start` to `limit` characters, without a space at the end.
pub(super) fn clip(out: &mut Vec<u8>, start: usize, limit: Option<usize>) {
    let Some(limit) = limit else { return };
    if out.len() - start <= limit {
        return;
    }
    if let Some((end, _)) =
        std::str::from_utf8(&out[start..]).ok().and_then(|text| text.char_indices().nth(limit))
    {
        out.truncate(start + end);
        while out.len() > start + 1 && out.last() == Some(&b' ') {
            out.pop();
        }
    }
}

/// Cuts what was written since `start` to `limit`, and with a digest adds its suffix, which is
/// never cut.
pub(super) fn finish(
    out: &mut Vec<u8>,
    start: usize,
    limit: Option<usize>,
    unique: Option<&Digest>,
) {
    let Some(digest) = unique else { return clip(out, start, limit) };
    let left = limit.map(|limit| limit.saturating_sub(SUFFIX_CHARS + 1));
    if left == Some(0) {
        out.truncate(start);
    } else {
        clip(out, start, left);
        out.push(b' ');
    }
    suffix(digest, out);
}

/// Trimmed and NFC; with `lower` also lower case and with single spaces.
pub(super) fn tidy<'a>(text: &'a str, lower: bool, scratch: &'a mut String) -> &'a str {
    let text = text.trim();
    let plain = |byte: u8| {
        byte.is_ascii_graphic() && !(lower && byte.is_ascii_uppercase()) || (byte == b' ' && !lower)
    };
    if text.bytes().all(plain) || (!lower && is_nfc(text)) {
        return text;
    }
    scratch.clear();
    if lower && text.is_ascii() {
        let mut gap = false;
        for byte in text.bytes() {
            if byte.is_ascii_whitespace() {
                gap = true;
                continue;
            }
            if std::mem::take(&mut gap) {
                scratch.push(' ');
            }
            scratch.push(char::from(byte.to_ascii_lowercase()));
        }
    } else if lower {
        let mut gap = false;
        for letter in text.nfc().flat_map(char::to_lowercase) {
            if letter.is_whitespace() {
                gap = true;
                continue;
            }
            if std::mem::take(&mut gap) {
                scratch.push(' ');
            }
            scratch.push(letter);
        }
        // Lower case can undo the composition of a few letters.
        if !is_nfc(scratch) {
            *scratch = scratch.nfc().collect();
        }
    } else {
        scratch.extend(text.nfc());
    }
    scratch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tidy_makes_what_means_the_same_equal() {
        let tidy = |text: &str, lower| tidy(text, lower, &mut String::new()).to_owned();
        assert_eq!(tidy("  Ann@X.org ", true), "ann@x.org");
        assert_eq!(tidy("ann@x.org", true), "ann@x.org");
        assert_eq!(tidy("Jose\u{301}  LUIS", true), "jos\u{e9} luis");
        assert_eq!(tidy("Jose\u{301} ", false), "Jos\u{e9}");
        assert_eq!(tidy("a b", false), "a b");
    }

    #[test]
    fn clip_counts_characters() {
        let mut out = b"x".to_vec();
        out.extend_from_slice("éé é".as_bytes());
        clip(&mut out, 1, Some(3));
        assert_eq!(out, "xéé".as_bytes());
    }
}
