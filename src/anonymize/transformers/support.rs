//! What several transformers share: arguments, word lists, writing.

use std::sync::LazyLock;

use fake::locales::{Data, EN};
use unicode_normalization::{UnicodeNormalization, is_nfc};

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

/// Trimmed and NFC; with `lower` also lower case and with single spaces.
pub(crate) fn tidy<'a>(text: &'a str, lower: bool, scratch: &'a mut String) -> &'a str {
    let text = text.trim();
    if text.is_ascii() {
        return if lower { tidy_ascii(text, scratch) } else { text };
    }
    if !lower && is_nfc(text) {
        return text;
    }
    scratch.clear();
    if lower {
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

/// Lower case and with single spaces. Nearly every value takes one of the first two ways, whose
/// loops the compiler turns into vectors.
fn tidy_ascii<'a>(text: &'a str, scratch: &'a mut String) -> &'a str {
    let bytes = text.as_bytes();
    let space = bytes.iter().fold(false, |any, byte| any | byte.is_ascii_whitespace());
    let upper = bytes.iter().fold(false, |any, byte| any | byte.is_ascii_uppercase());
    if !space && !upper {
        return text;
    }
    scratch.clear();
    let odd = |pair: &[u8]| pair[1].is_ascii_whitespace() && (pair[0] == b' ' || pair[1] != b' ');
    if !space || !bytes.windows(2).any(odd) {
        scratch.push_str(text);
        scratch.make_ascii_lowercase();
        return scratch;
    }
    for word in text.split_ascii_whitespace() {
        if !scratch.is_empty() {
            scratch.push(' ');
        }
        scratch.extend(word.chars().map(|letter| letter.to_ascii_lowercase()));
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
        assert_eq!(tidy("a\tb", false), "a\tb");
        for spaced in ["Ann Lee", "ann  lee", "ann\tlee", " ann \n\r lee ", "ANN \tLEE"] {
            assert_eq!(tidy(spaced, true), "ann lee", "{spaced:?}");
        }
    }

    #[test]
    fn clip_counts_characters() {
        let mut out = b"x".to_vec();
        out.extend_from_slice("éé é".as_bytes());
        clip(&mut out, 1, Some(3), b' ');
        assert_eq!(out, "xéé".as_bytes());
    }
}
