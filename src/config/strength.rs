//! How much guessing a key withstands, judged before it is used: an estimate in bits.
//!
//! `length × log2(class)`, where the class is the smallest of 10, 16, 26, 36, 52, 62 and 94
//! characters that holds them all. First everything is taken out that a guesser tries first: runs
//! and repeated blocks (their first round stays), sequences and rows of a keyboard, common words
//! (one character of each stays). What cannot be seen (blanks, controls, what has no width) does
//! not count at all, nor does a sign that only sets parts apart. A password of a person may pass
//! with luck; 32 random bytes pass in any spelling.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use sha2::{Digest, Sha256, Sha512};

use super::secret::Secret;
use crate::error::{Error, Result};

/// The shortest key, in bytes.
pub const MIN_BYTES: usize = 32;

/// The least that a key must be worth, in bits.
pub const MIN_BITS: u32 = 128;

/// What to do about a key that is too weak.
pub const HINT: &str = "make one with: openssl rand -base64 32";

/// As many visible characters as are looked at: the rest can only add.
const LOOKED_AT: usize = 512;

/// Refuses a key that can be guessed. `what` names it, and never says it.
///
/// # Errors
///
/// Exit 2 with the estimate and the line that makes a good key.
pub fn check(key: &Secret, what: &str) -> Result<()> {
    let bytes = key.expose().len();
    if bytes < MIN_BYTES {
        return Err(Error::usage(format!("{what} must be at least {MIN_BYTES} bytes long"))
            .because(format!("it has {bytes}"))
            .hint(HINT));
    }
    let bits = estimate(key);
    if bits < MIN_BITS {
        return Err(Error::usage(format!(
            "{what} is worth an estimated {bits} bits and must be worth at least {MIN_BITS}"
        ))
        .because("blanks, repetitions, sequences and common words count for next to nothing")
        .hint(HINT));
    }
    Ok(())
}

/// The estimate in whole bits.
pub fn estimate(key: &Secret) -> u32 {
    let text = key.expose();
    if is_digest_of_a_word(text) {
        return 0;
    }
    // Text that was only encoded is worth what it was before. Random bytes do not decode to text.
    let encoded = [from_hex(text), from_base64(text)].into_iter().flatten();
    encoded.filter_map(readable).map(|text| bits(&text)).fold(bits(text), u32::min)
}

fn bits(text: &str) -> u32 {
    let text = Text::new(text);
    if text.plain.is_empty() {
        return 0;
    }
    let mut out = vec![false; text.plain.len()];
    doubles(&text, &mut out);
    repetitions(&text, &mut out);
    sequences(&text, &mut out);
    words(&text, &mut out);
    let mut kept: Vec<char> =
        text.plain.iter().zip(&out).filter(|(_, out)| !**out).map(|(kept, _)| *kept).collect();
    // One sign, as in a UUID or at the end of a number, does not make figures worth more.
    let mut signs = kept.iter().copied().filter(|character| !character.is_alphanumeric());
    if let Some(sign) = signs.next()
        && signs.all(|other| other == sign)
    {
        kept.retain(|character| *character != sign);
    }
    if kept.is_empty() {
        return 0;
    }
    (kept.len() as f64 * class(&kept).log2()) as u32
}

/// The size of the smallest class that holds all characters.
fn class(characters: &[char]) -> f64 {
    let any = |is: fn(&char) -> bool| characters.iter().any(is);
    let all = |is: fn(&char) -> bool| characters.iter().all(is);
    let lower = any(|c| c.is_ascii_lowercase());
    let upper = any(|c| c.is_ascii_uppercase());
    if all(char::is_ascii_digit) {
        10.0
    } else if all(char::is_ascii_hexdigit) && lower != upper {
        16.0
    } else if all(char::is_ascii_alphabetic) {
        if lower && upper { 52.0 } else { 26.0 }
    } else if all(char::is_ascii_alphanumeric) {
        if lower && upper { 62.0 } else { 36.0 }
    } else {
        94.0
    }
}

/// The visible characters of a key.
struct Text {
    /// As they are.
    plain: Vec<char>,
    /// In lower case.
    folded: Vec<char>,
    /// Whether a word can begin here.
    begins: Vec<bool>,
}

impl Text {
    fn new(text: &str) -> Self {
        let mut new = Self { plain: Vec::new(), folded: Vec::new(), begins: Vec::new() };
        let mut gap = true;
        for character in text.chars() {
            if new.plain.len() == LOOKED_AT {
                break;
            }
            if !character.is_ascii_graphic() && !character.is_alphanumeric() {
                gap = true;
                continue;
            }
            let before = new.plain.last().copied();
            new.begins.push(gap || before.is_none_or(|before| edge(before, character)));
            new.plain.push(character);
            new.folded.push(character.to_lowercase().next().unwrap_or(character));
            gap = false;
        }
        new
    }

    /// How far a character lies behind another one.
    fn step(&self, from: usize, to: usize) -> i64 {
        i64::from(u32::from(self.folded[to])) - i64::from(u32::from(self.folded[from]))
    }
}

/// Whether one word ends and another begins between two characters: `a-b`, `a1`, `aB`.
fn edge(before: char, after: char) -> bool {
    !before.is_alphanumeric()
        || !after.is_alphanumeric()
        || before.is_numeric() != after.is_numeric()
        || before.is_lowercase() && after.is_uppercase()
}

/// Marks every stretch of at least `at_least` characters that the ones before them foretell.
fn mark(out: &mut [bool], from: usize, at_least: usize, foretold: impl Fn(usize) -> bool) {
    let mut start = from;
    for at in from..=out.len() {
        if at < out.len() && foretold(at) {
            continue;
        }
        if at.saturating_sub(start) >= at_least {
            out[start..at].fill(true);
        }
        start = at + 1;
    }
}

/// `aabbccddee`: where a quarter of all characters repeat the one before, they do so by habit.
fn doubles(text: &Text, out: &mut [bool]) {
    let twice = |at: usize| text.folded[at] == text.folded[at - 1];
    let count = (1..out.len()).filter(|at| twice(*at)).count();
    if count * 4 > out.len() {
        mark(out, 1, 1, twice);
    }
}

/// `aaaa`, `abcabc`, and any four characters that stood somewhere before.
fn repetitions(text: &Text, out: &mut [bool]) {
    for distance in 1..out.len() {
        let again = |at: usize| text.folded[at] == text.folded[at - distance];
        mark(out, distance, distance.clamp(3, 4), again);
    }
}

/// Rows and columns of keyboards, besides the alphabet and the digits.
const ROWS: &[&str] = &[
    "1234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm,./",
    "qwertzuiop",
    "yxcvbnm,.-",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn,;:!",
    "!@#$%^&*()_+",
    "!\"§$%&/()=?",
    "1qaz",
    "2wsx",
    "3edc",
    "4rfv",
    "5tgb",
    "6yhn",
    "7ujm",
    "8ik,",
    "9ol.",
    "0p;/",
];

/// Every key of a row with the one after it.
static BESIDE: LazyLock<HashSet<(char, char)>> =
    LazyLock::new(|| ROWS.iter().flat_map(|row| row.chars().zip(row.chars().skip(1))).collect());

/// `abcd`, `4321`, `acegi`, `a1b2c3d4`, `qwerty`; what was doubled counts once.
fn sequences(text: &Text, out: &mut [bool]) {
    let kept: Vec<usize> =
        (0..out.len()).filter(|at| *at == 0 || text.step(at - 1, *at) != 0).collect();
    let mut found = vec![false; kept.len()];
    let step = |from: usize, to: usize| text.step(kept[from], kept[to]);
    // `abc123def456`: short ones count too where a third of all characters belong to one.
    let neighbours = (1..kept.len()).filter(|at| step(at - 1, *at).abs() == 1).count();
    let at_least = if neighbours * 3 > kept.len() { 1 } else { 3 };
    for direction in [1, -1] {
        mark(&mut found, 1, at_least, |at| step(at - 1, at) == direction);
    }
    for stride in 1..=3 {
        mark(&mut found, 2 * stride, 3, |at| {
            let now = step(at - stride, at);
            now.abs() <= 5 && now == step(at - 2 * stride, at - stride)
        });
    }
    let beside =
        |a: usize, b: usize| BESIDE.contains(&(text.folded[kept[a]], text.folded[kept[b]]));
    mark(&mut found, 1, 3, |at| beside(at - 1, at));
    mark(&mut found, 1, 3, |at| beside(at, at - 1));
    for (at, found) in kept.into_iter().zip(found) {
        out[at] |= found;
    }
}

/// The words of `words.txt`.
fn list() -> impl Iterator<Item = &'static str> {
    let lines = include_str!("words.txt").lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_ascii_whitespace)
}

/// The same by how they begin, the longest first.
static WORDS: LazyLock<HashMap<Vec<char>, Vec<&str>>> = LazyLock::new(|| {
    let mut words: HashMap<Vec<char>, Vec<&str>> = HashMap::new();
    for word in list() {
        words.entry(word.chars().take(2).collect()).or_default().push(word);
    }
    for words in words.values_mut() {
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    }
    words
});

/// Common words in any case, with figures for letters (`p4ssw0rd`); what sets a word apart from
/// the next goes with it.
fn words(text: &Text, out: &mut [bool]) {
    let [i, l] = ['i', 'l'].map(|one| -> Vec<char> {
        text.folded.iter().map(|character| letter(*character, one)).collect()
    });
    let mut at = 0;
    while at < out.len() {
        let found = [&text.folded, &i, &l].map(|spelled| word(text, spelled, at));
        let Some(length) = found.into_iter().max().filter(|length| *length > 0) else {
            at += 1;
            continue;
        };
        let mut end = at + length;
        if length > 2 && text.plain.get(end).is_some_and(char::is_ascii_punctuation) {
            end += 1;
        }
        out[at + 1..end].fill(true);
        at = end;
    }
}

/// The length of the longest common word at a place; a short one must stand alone.
fn word(text: &Text, spelled: &[char], at: usize) -> usize {
    let rest = &spelled[at..];
    let alone = |end: usize| text.begins[at] && text.begins.get(end).is_none_or(|begins| *begins);
    let words = rest.get(..2).and_then(|begins| WORDS.get(begins)).map_or(&[][..], Vec::as_slice);
    let found = words.iter().find(|word| {
        rest.iter().copied().take(word.len()).eq(word.chars())
            && (word.len() > 3 || alone(at + word.len()))
    });
    found.map_or(0, |word| word.len())
}

/// The letter that a figure or a sign stands for.
fn letter(character: char, one: char) -> char {
    match character {
        '0' => 'o',
        '1' | '!' => one,
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

/// `sha256("password")` looks random and is in every list: in hex or Base64, of the word or of the
/// line that `echo` makes of it, and with the `  -` that `sha256sum` prints behind it.
fn is_digest_of_a_word(text: &str) -> bool {
    static DIGESTS: LazyLock<HashSet<Vec<u8>>> = LazyLock::new(|| {
        let lines = list().chain([""]).flat_map(|word| [word.to_owned(), format!("{word}\n")]);
        let both = |line: String| [Sha256::digest(&line).to_vec(), Sha512::digest(&line).to_vec()];
        lines.flat_map(both).collect()
    });
    let digest = text.split_whitespace().next().unwrap_or_default();
    let mut read = [from_hex(digest), from_base64(digest)].into_iter().flatten();
    read.any(|bytes| DIGESTS.contains(&bytes))
}

fn readable(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    text.trim_end().chars().all(|character| !character.is_control()).then_some(text)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8; 2]| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// Both alphabets, padded or not.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}
