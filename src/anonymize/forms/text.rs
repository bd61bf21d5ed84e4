//! Texts as they count for being equal. Called by the transformers and by what compares records.

use unicode_normalization::{UnicodeNormalization, is_nfc};

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
}
