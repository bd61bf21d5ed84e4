//! Spellings of one value: texts that differ in case, spaces, normal form or, if asked for,
//! punctuation alone, found among any number of texts in bounded memory.
//!
//! A text that is its own key is *plain*, any other is *odd*. Two spellings are never both plain,
//! so that a pass over all texts notes hashes, and only where some agree a further pass collects
//! the texts themselves.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::BuildHasher;
use std::mem;

use unicode_normalization::{UnicodeNormalization, is_nfc};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How many hashes of one kind are held. What does not fit is looked at in slices of its keys.
const ROOM: usize = 2 << 20;
/// More spellings than anyone has, in texts and in bytes; they are held in memory.
pub const MOST: usize = 100_000;
const MOST_BYTES: usize = 32 << 20;

/// What makes no difference between two spellings, besides spaces and normal form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Folding {
    /// Case.
    pub case: bool,
    /// Hyphens and braces: those of a UUID.
    pub punctuation: bool,
}

/// A search that reads all texts as often as it asks for.
pub struct Search {
    folding: Folding,
    seed: u64,
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
    odd_seen: u64,
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
    pub fn new(folding: Folding) -> Self {
        Self::with_room(folding, ROOM)
    }

    fn with_room(folding: Folding, room: usize) -> Self {
        Self {
            folding,
            // Nobody can make texts of equal hashes who does not know it.
            seed: RandomState::new().hash_one(0),
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
        let plain = is_plain(text.as_bytes(), self.folding);
        if !plain {
            key(text, self.folding, &mut self.key);
        }
        let key = if plain { text } else { self.key.as_str() };
        let hash = xxh3_64_with_seed(key.as_bytes(), self.seed);
        if self.slices > 1 && hash % self.slices != self.slice {
            return;
        }
        match &mut self.stage {
            Stage::Note(noted) if plain => noted.plain(hash, self.room),
            Stage::Note(noted) => {
                noted.odd(hash, xxh3_64_with_seed(text.as_bytes(), self.seed), self.room);
            }
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
                // As many as the odd texts need, which were counted to the end.
                let texts = self.slices.saturating_mul(noted.odd_seen);
                self.slices =
                    (texts.saturating_mul(4) / self.room.max(1) as u64).max(2 * self.slices);
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
        self.odd_seen += 1;
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
fn is_plain(text: &[u8], folding: Folding) -> bool {
    let mut last = b' ';
    for &byte in text {
        let spaced = byte == b' ' && last == b' ' || (9..=13).contains(&byte);
        let cased = folding.case && byte.is_ascii_uppercase();
        if !byte.is_ascii() || spaced || cased {
            return false;
        }
        last = byte;
    }
    last != b' ' && (!folding.punctuation || is_hyphenated(text))
}

/// The form that UUIDs have: 36 characters, hyphens at four places and nowhere else.
fn is_hyphenated(text: &[u8]) -> bool {
    let hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    text.len() == 36
        && text
            .iter()
            .enumerate()
            .all(|(at, byte)| (*byte == b'-') == hyphen(at) && !matches!(byte, b'{' | b'}' | b' '))
}

/// What spellings of one value have in common. It may be common to more than what a transformer
/// takes for one value, never to less.
fn key(text: &str, folding: Folding, key: &mut String) {
    key.clear();
    let mut put = |letter: char| {
        if letter.is_whitespace() {
            if !key.is_empty() && !key.ends_with(' ') {
                key.push(' ');
            }
        } else if !(folding.punctuation && matches!(letter, '{' | '}' | '-')) {
            key.push(letter);
        }
    };
    let lower =
        |letter: char| letter.to_lowercase().map(|letter| if letter == 'ς' { 'σ' } else { letter });
    // Almost every text is composed already, which takes less to see than to do again.
    match (folding.case, text.is_ascii(), is_nfc(text)) {
        (true, true, _) => text.chars().for_each(|letter| put(letter.to_ascii_lowercase())),
        (true, false, true) => text.chars().flat_map(lower).for_each(put),
        (true, false, false) => text.nfc().flat_map(lower).for_each(put),
        (false, _, true) => text.chars().for_each(put),
        (false, _, false) => text.nfc().for_each(put),
    }
    if key.ends_with(' ') {
        key.pop();
    }
    if !key.is_ascii() && !is_nfc(key) {
        let composed: String = key.nfc().collect();
        *key = composed;
    }
    if folding.punctuation && key.len() == 32 && key.is_ascii() {
        for at in [8, 13, 18, 23] {
            key.insert(at, '-');
        }
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

    const CASE: Folding = Folding { case: true, punctuation: false };
    const NONE: Folding = Folding { case: false, punctuation: false };
    const UUID: Folding = Folding { case: true, punctuation: true };

    fn found(texts: &[&str], folding: Folding) -> Vec<String> {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        search(Search::new(folding), &texts).0.unwrap()
    }

    #[test]
    fn spellings_are_found_and_nothing_else() {
        assert_eq!(found(&["bob", "Bob", "bob", "ann", "Eve", "Eve"], CASE), ["Bob", "bob"]);
        assert_eq!(found(&["a b", "a  B", "a\tb", "ab", "x"], CASE).len(), 3);
        assert_eq!(found(&[" a", "a", "a ", "b"], NONE).len(), 3);
        assert!(found(&["bob", "Bob"], NONE).is_empty());
        assert_eq!(found(&["jos\u{e9}", "JOSE\u{301}"], CASE).len(), 2);
        assert_eq!(found(&["jos\u{e9}", "jose\u{301}", "JOS\u{e9}"], NONE).len(), 2);
        assert_eq!(found(&["ΣΑΣ", "σας"], CASE).len(), 2);
        assert_eq!(found(&["\u{212a}", "k"], CASE).len(), 2, "the Kelvin sign");
        assert_eq!(found(&["\u{a0}x", "x\u{2003}", "x"], CASE).len(), 3);
        let uuid = "7f3a9c00-1b2c-4d3e-8f4a-5b6c7d8e9f00";
        let bare = uuid.replace('-', "");
        let other = "7f3a9c00-1b2c-4d3e-8f4a-5b6c7d8e9f01";
        let all = [uuid, &uuid.to_uppercase(), &bare, &format!("{{{uuid}}}"), other];
        assert_eq!(found(&all, UUID).len(), 4);
    }

    #[test]
    fn one_pass_is_enough_where_there_are_none() {
        for texts in [
            (0..500).map(|n| format!("U{n}")).collect::<Vec<_>>(),
            (0..500).map(|n| format!("Ann Lee {n}")).collect(),
        ] {
            let (none, passes) = search(Search::new(CASE), &texts);
            assert_eq!((none.unwrap().len(), passes), (0, 1));
        }
        // As a database writes UUIDs they are all plain: no hashes but their own.
        let uuids: Vec<String> =
            (0..500).map(|n| format!("7f3a9c00-1b2c-4d3e-8f4a-5b6c7d8e9{n:03x}")).collect();
        let (none, passes) = search(Search::with_room(UUID, 100), &uuids);
        assert_eq!((none.unwrap().len(), passes), (0, 1));
    }

    #[test]
    fn more_than_anyone_has_are_refused() {
        let texts: Vec<String> =
            (0..=MOST / 2).flat_map(|n| [format!("u{n}"), format!("U{n}")]).collect();
        assert_eq!(search(Search::new(CASE), &texts).0, Err(TooMany));
    }

    proptest! {
        #[test]
        fn what_does_not_fit_is_found_in_slices(
            texts in prop::collection::vec("[abAB ]{1,4}", 0..120), room in 1..40_usize,
        ) {
            let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for text in &texts {
                let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
                let same = words.join(" ").to_lowercase();
                groups.entry(same).or_default().insert(text.clone());
            }
            let groups = groups.into_values().filter(|texts| texts.len() > 1);
            let expected: BTreeSet<String> = groups.flatten().collect();
            // One key may have 81 texts at most here, which must fit.
            let small = Search::with_room(CASE, room + 400);
            let tiny = Search::with_room(CASE, 2 * 81 + room);
            for one in [small, tiny] {
                let found: BTreeSet<String> = search(one, &texts).0.unwrap().into_iter().collect();
                prop_assert_eq!(&found, &expected);
            }
        }
    }
}
