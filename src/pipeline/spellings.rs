//! Spellings of one value: texts that differ in case, spaces, normal form or, if asked for,
//! punctuation alone, found among any number of texts in bounded memory.
//!
//! A text that is its own key is *plain*, any other is *odd*. Two spellings are never both plain,
//! so that a pass over all texts notes hashes, and only where some agree a further pass collects
//! the texts themselves.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::mem;

use unicode_normalization::{UnicodeNormalization, is_nfc};
use xxhash_rust::xxh3::xxh3_64;

/// How many hashes of one kind are held. What does not fit is looked at in slices of its keys.
const ROOM: usize = 2 << 20;
/// More spellings than anyone has, in texts and in bytes; they are held in memory.
pub const MOST: usize = 100_000;
const MOST_BYTES: usize = 32 << 20;

/// A search that reads all texts as often as it asks for.
pub struct Search {
    ignores_punctuation: bool,
    room: usize,
    /// Only keys whose hash, modulo `slices`, is `slice` are looked at.
    slices: u64,
    slice: u64,
    stage: Stage,
    key: String,
    found: BTreeMap<String, BTreeSet<String>>,
    bytes: usize,
}

/// What a pass over the texts is for.
enum Stage {
    /// Notes hashes: of odd texts the key's and the text's, of plain ones their own.
    Note(Noted),
    /// Looks for plain texts that are the key of an odd one.
    Match { odd: HashSet<u64>, shared: HashSet<u64> },
    /// Collects the texts that share a key.
    Collect(HashSet<u64>),
}

#[derive(Default)]
struct Noted {
    odd: Vec<(u64, u64)>,
    plain: Vec<u64>,
    odd_is_full: bool,
    plain_is_full: bool,
}

/// What comes after a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// All texts are to be read again.
    Again,
    /// The search is over.
    Done,
}

/// There are more than [`MOST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

impl Search {
    /// Begins; the first pass is to follow.
    pub fn new(ignores_punctuation: bool) -> Self {
        Self::with_room(ignores_punctuation, ROOM)
    }

    fn with_room(ignores_punctuation: bool, room: usize) -> Self {
        Self {
            ignores_punctuation,
            room,
            slices: 1,
            slice: 0,
            stage: Stage::Note(Noted::default()),
            key: String::new(),
            found: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Looks at one text.
    pub fn look(&mut self, text: &str) {
        let plain = is_plain(text.as_bytes(), self.ignores_punctuation);
        if !plain {
            key(text, self.ignores_punctuation, &mut self.key);
        }
        let key = if plain { text } else { self.key.as_str() };
        let hash = xxh3_64(key.as_bytes());
        if self.slices > 1 && hash % self.slices != self.slice {
            return;
        }
        match &mut self.stage {
            Stage::Note(noted) if plain => noted.plain(hash, self.room),
            Stage::Note(noted) => noted.odd(hash, xxh3_64(text.as_bytes()), self.room),
            Stage::Match { odd, shared } => {
                if plain && odd.contains(&hash) {
                    shared.insert(hash);
                }
            }
            Stage::Collect(shared) => {
                if shared.contains(&hash) && self.bytes <= MOST_BYTES {
                    let texts = self.found.entry(key.to_owned()).or_default();
                    if texts.insert(text.to_owned()) {
                        self.bytes += text.len() + 64;
                    }
                }
            }
        }
    }

    /// After all texts were looked at.
    ///
    /// # Errors
    ///
    /// If more texts than [`MOST`] differ in their spelling alone.
    pub fn pass(&mut self) -> Result<Next, TooMany> {
        let stage = mem::replace(&mut self.stage, Stage::Note(Noted::default()));
        match stage {
            // So many spellings of one key that no slice would ever hold them.
            Stage::Note(noted) if noted.odd_is_full && self.slices > 1 << 16 => Err(TooMany),
            Stage::Note(noted) if noted.odd_is_full => {
                self.slices *= 4;
                self.slice = 0;
                self.found.clear();
                self.bytes = 0;
                Ok(Next::Again)
            }
            Stage::Note(noted) => {
                let again = !noted.odd.is_empty() && noted.plain_is_full;
                let (odd, shared) = noted.shared();
                if again {
                    self.stage = Stage::Match { odd, shared };
                    return Ok(Next::Again);
                }
                self.collect(shared)
            }
            Stage::Match { shared, .. } => self.collect(shared),
            Stage::Collect(_) => self.next_slice(),
        }
    }

    /// What was found: every text of which another spelling is there too.
    pub fn found(self) -> Vec<String> {
        self.found.into_values().flatten().collect()
    }

    fn collect(&mut self, shared: HashSet<u64>) -> Result<Next, TooMany> {
        if shared.is_empty() {
            return self.next_slice();
        }
        self.stage = Stage::Collect(shared);
        Ok(Next::Again)
    }

    fn next_slice(&mut self) -> Result<Next, TooMany> {
        // Where hashes agreed and keys do not, a text is alone.
        self.found.retain(|_, texts| texts.len() > 1);
        let texts: usize = self.found.values().map(BTreeSet::len).sum();
        if texts > MOST || self.bytes > MOST_BYTES {
            return Err(TooMany);
        }
        self.slice += 1;
        Ok(if self.slice < self.slices { Next::Again } else { Next::Done })
    }
}

impl Noted {
    fn plain(&mut self, hash: u64, room: usize) {
        if self.plain_is_full {
            return;
        }
        self.plain.push(hash);
        if self.plain.len() >= room {
            self.plain.sort_unstable();
            self.plain.dedup();
            if self.plain.len() > room / 2 {
                self.plain = Vec::new();
                self.plain_is_full = true;
            }
        }
    }

    fn odd(&mut self, key: u64, text: u64, room: usize) {
        if self.odd_is_full {
            return;
        }
        self.odd.push((key, text));
        if self.odd.len() >= room {
            self.odd.sort_unstable();
            self.odd.dedup();
            if self.odd.len() > room / 2 {
                self.odd = Vec::new();
                self.odd_is_full = true;
            }
        }
    }

    /// The keys of odd texts, and those that two texts share as far as it is known.
    fn shared(mut self) -> (HashSet<u64>, HashSet<u64>) {
        self.odd.sort_unstable();
        self.odd.dedup();
        let keys: HashSet<u64> = self.odd.iter().map(|(key, _)| *key).collect();
        let pairs = self.odd.windows(2).filter(|pair| pair[0].0 == pair[1].0);
        let mut shared: HashSet<u64> = pairs.map(|pair| pair[0].0).collect();
        if !keys.is_empty() {
            shared.extend(self.plain.iter().filter(|hash| keys.contains(hash)));
        }
        (keys, shared)
    }
}

/// Whether a text is its own key, judged by its bytes.
fn is_plain(text: &[u8], ignores_punctuation: bool) -> bool {
    let odd = |byte: &u8| {
        !byte.is_ascii()
            || byte.is_ascii_uppercase()
            || *byte == b' '
            || (9..=13).contains(byte)
            || (ignores_punctuation && b"{}-".contains(byte))
    };
    !text.iter().fold(false, |any, byte| any | odd(byte))
}

/// What spellings of one value have in common. It may be common to more than what a transformer
/// takes for one value, never to less.
fn key(text: &str, ignores_punctuation: bool, key: &mut String) {
    key.clear();
    let gone = |letter: char| {
        letter.is_whitespace() || (ignores_punctuation && matches!(letter, '{' | '}' | '-'))
    };
    if text.is_ascii() {
        let stays = text.chars().filter(|letter| !gone(*letter));
        return key.extend(stays.map(|letter| letter.to_ascii_lowercase()));
    }
    // Almost every text is composed already, which takes less to see than to do again.
    let lower =
        |letter: char| letter.to_lowercase().map(|letter| if letter == 'ς' { 'σ' } else { letter });
    let letters = text.chars().filter(|letter| !gone(*letter));
    if is_nfc(text) {
        key.extend(letters.flat_map(lower));
    } else {
        key.extend(letters.nfc().flat_map(lower));
    }
    if !is_nfc(key) {
        let composed: String = key.nfc().collect();
        *key = composed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn search(mut search: Search, texts: &[String]) -> (Result<Vec<String>, TooMany>, usize) {
        for passes in 1.. {
            texts.iter().for_each(|text| search.look(text));
            match search.pass() {
                Ok(Next::Again) => {}
                Ok(Next::Done) => {
                    let mut found = search.found();
                    found.sort_unstable();
                    return (Ok(found), passes);
                }
                Err(error) => return (Err(error), passes),
            }
        }
        (Ok(Vec::new()), 0)
    }

    fn found(texts: &[&str], ignores_punctuation: bool) -> Vec<String> {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        search(Search::new(ignores_punctuation), &texts).0.unwrap()
    }

    #[test]
    fn spellings_are_found_and_nothing_else() {
        assert_eq!(found(&["bob", "Bob", "bob", "ann", "Eve", "Eve"], false), ["Bob", "bob"]);
        assert_eq!(found(&["B ob", "b\tOb", "x"], false), ["B ob", "b\tOb"]);
        assert_eq!(found(&["jos\u{e9}", "JOSE\u{301}"], false).len(), 2);
        assert_eq!(found(&["ΣΑΣ", "σας"], false).len(), 2);
        assert_eq!(found(&["\u{212a}", "k"], false).len(), 2, "the Kelvin sign");
        assert_eq!(found(&["\u{a0}x", "x\u{2003}"], false).len(), 2);
        assert_eq!(found(&["{a-b}", "ab", "A-B"], true).len(), 3);
        assert!(found(&["{a-b}", "ab", "a-B"], false).is_empty());
    }

    #[test]
    fn one_pass_is_enough_where_there_are_none() {
        let texts: Vec<String> = (0..500).map(|n| format!("U{n}")).collect();
        let (none, passes) = search(Search::new(false), &texts);
        assert_eq!((none.unwrap().len(), passes), (0, 1));
    }

    #[test]
    fn more_than_anyone_has_are_refused() {
        let texts: Vec<String> =
            (0..=MOST / 2).flat_map(|n| [format!("u{n}"), format!("U{n}")]).collect();
        assert_eq!(search(Search::new(false), &texts).0, Err(TooMany));
    }

    proptest! {
        #[test]
        fn what_does_not_fit_is_found_in_slices(
            texts in prop::collection::vec("[abAB ]{1,4}", 0..120), room in 1..40_usize,
        ) {
            let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for text in &texts {
                let same = text.to_lowercase().replace(' ', "");
                groups.entry(same).or_default().insert(text.clone());
            }
            let groups = groups.into_values().filter(|texts| texts.len() > 1);
            let expected: BTreeSet<String> = groups.flatten().collect();
            // One key may have 81 texts at most here, which must fit.
            let small = Search::with_room(false, room + 400);
            let tiny = Search::with_room(false, 2 * 81 + room);
            for one in [small, tiny] {
                let found: BTreeSet<String> = search(one, &texts).0.unwrap().into_iter().collect();
                prop_assert_eq!(&found, &expected);
            }
        }
    }
}
