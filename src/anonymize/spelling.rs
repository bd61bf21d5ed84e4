//! Spellings of one value: texts that a transformer takes for equal and a unique index does not.
//!
//! A pseudonym is made of the normalized value. Where a place holds several spellings of one,
//! each but the normal one gets the pseudonym in a spelling of its own: spaces around and inside
//! are those of the original, a letter is decomposed where the original has decomposed letters,
//! and what else differs shows in the case of letters, by bits that are keyed by the exact
//! original.

use unicode_normalization::is_nfc;

use super::pseudonym::Keyed;
use super::transformers::Mismatch;

/// U+0301, the acute accent that composes with the letter before it.
const ACCENT: &str = "\u{301}";

/// Respells the pseudonym that was written since `start`; `room` is the most characters.
pub(crate) fn respell(
    original: &str,
    normalized: &str,
    keyed: &Keyed,
    room: Option<usize>,
    start: usize,
    out: &mut Vec<u8>,
) -> Result<(), Mismatch> {
    let base = out.split_off(start);
    let base = std::str::from_utf8(&base).map_err(|_| Mismatch("its pseudonym is not text"))?;
    let core = original.trim();
    let lead = original.len() - original.trim_start().len();
    let tail = lead + core.len();
    let gaps: Vec<&str> =
        core.split(|letter: char| !letter.is_whitespace()).filter(|gap| !gap.is_empty()).collect();
    let decomposed = !is_nfc(core);
    // No text begins with this byte, so these bits are no value's own.
    let bits = keyed.digest(&[&[0xff], original.as_bytes()].concat());
    let copied = base.matches(' ').count() >= gaps.len();
    let spaces_alone = copied && core.split_whitespace().eq(normalized.split_whitespace());
    let mark = usize::from(bits[0]) % letters(base).max(1);

    out.extend_from_slice(original.get(..lead).unwrap_or_default().as_bytes());
    let mut gaps = gaps.into_iter();
    let (mut index, mut same) = (0, true);
    for letter in base.chars() {
        if letter == ' ' && copied {
            out.extend_from_slice(gaps.next().unwrap_or(" ").as_bytes());
            continue;
        }
        let mut written = letter;
        if letter.is_ascii_alphabetic() {
            let bit = bits[1 + index / 8 % 31] >> (index % 8) & 1 == 1;
            // Never the pseudonym itself: if no bit has changed a letter, the last one does.
            let last = same && index + 1 == letters(base);
            if !spaces_alone && (bit || last) {
                written = flipped(letter);
                same = false;
            }
            index += 1;
        }
        out.extend_from_slice(written.encode_utf8(&mut [0; 4]).as_bytes());
        if decomposed && letter.is_ascii_alphabetic() && index == mark + 1 {
            out.extend_from_slice(ACCENT.as_bytes());
        }
    }
    out.extend_from_slice(original.get(tail..).unwrap_or_default().as_bytes());
    check(base, room, start, out)
}

fn letters(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_alphabetic).count()
}

fn flipped(letter: char) -> char {
    if letter.is_ascii_lowercase() {
        letter.to_ascii_uppercase()
    } else {
        letter.to_ascii_lowercase()
    }
}

/// The spelling must differ and fit.
fn check(base: &str, room: Option<usize>, start: usize, out: &[u8]) -> Result<(), Mismatch> {
    let made = std::str::from_utf8(&out[start..]).unwrap_or_default();
    if made == base {
        return Err(Mismatch("its pseudonym has no letters to tell its spellings apart"));
    }
    if room.is_some_and(|room| made.chars().count() > room) {
        return Err(Mismatch("there is no room for a spelling of its pseudonym"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anonymize::pseudonym::Domain;
    use crate::anonymize::testing::key;
    use std::collections::HashSet;

    fn spelled(original: &str, normalized: &str, base: &str) -> String {
        let keyed = key().domain(&Domain::Link("l".to_owned()));
        let mut out = base.as_bytes().to_vec();
        respell(original, normalized, &keyed, None, 0, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn case_differs_in_case_alone() {
        let base = "lonie.oconner.o2qgeryatx3rrwd2@example.net";
        let mut seen = HashSet::from([base.to_owned()]);
        for original in ["Bob@x.com", "BOB@x.com", "bOb@x.com", "bob@X.com", "BOB@X.COM"] {
            let made = spelled(original, "bob@x.com", base);
            assert_eq!(made.to_lowercase(), base);
            assert_eq!(made, spelled(original, "bob@x.com", base), "it is the same every time");
            assert!(seen.insert(made));
        }
    }

    #[test]
    fn spaces_are_those_of_the_original() {
        let base = "Ann Lee abc";
        assert_eq!(spelled(" bob", "bob", base), " Ann Lee abc");
        assert_eq!(spelled("bob\u{a0}\t", "bob", base), "Ann Lee abc\u{a0}\t");
        assert_eq!(spelled("bob  ray", "bob ray", base), "Ann  Lee abc");
        let lossy = spelled("b  o\tb", "b o b", "abcdef");
        assert_ne!(lossy, "abcdef");
        assert_ne!(lossy, spelled("b o  b", "b o b", "abcdef"));
        let both = spelled(" Bob", "bob", base);
        assert!(both.starts_with(' ') && both != " Ann Lee abc", "{both}");
    }

    #[test]
    fn a_decomposed_letter_stays_one() {
        let made = spelled("Jose\u{301}", "Jos\u{e9}", "donny");
        assert!(made.contains('\u{301}'), "{made}");
        assert_eq!(made.replace('\u{301}', "").to_lowercase(), "donny");
    }

    #[test]
    fn what_cannot_be_told_apart_or_does_not_fit_is_said() {
        let keyed = key().domain(&Domain::Link("l".to_owned()));
        let mut out = b"12345".to_vec();
        assert!(respell("A", "a", &keyed, None, 0, &mut out).is_err());
        let mut out = b"abc".to_vec();
        assert!(respell(" a", "a", &keyed, Some(3), 0, &mut out).is_err());
    }
}
