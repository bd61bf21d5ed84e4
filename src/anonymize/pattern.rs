//! Patterns of names and of Redis keys.

use super::location::Location;

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// These bytes.
    Literal(Vec<u8>),
    /// Any run of bytes, as few as match.
    Any,
    /// A part that belongs to a link, as few bytes as match.
    Link(String),
}

/// A pattern of a name: a table, a column, a hash field, a Redis key.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    pieces: Vec<Piece>,
}

impl Pattern {
    /// A name in which only `*` is special.
    pub(crate) fn name(text: &str) -> Self {
        let mut pieces = Vec::new();
        for (index, literal) in text.split('*').enumerate() {
            if index > 0 && pieces.last() != Some(&Piece::Any) {
                pieces.push(Piece::Any);
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.as_bytes().to_vec()));
            }
        }
        Self { pieces }
    }

    /// A Redis key: `*`, `{LINK}`, and `\*`, `\{`, `\\` as themselves.
    pub(crate) fn redis(text: &str) -> Result<Self, String> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut literal = Vec::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            let piece = match letter {
                '\\' => match letters.next() {
                    Some(escaped @ ('*' | '{' | '\\')) => {
                        literal.extend_from_slice(escaped.encode_utf8(&mut [0; 4]).as_bytes());
                        continue;
                    }
                    _ => return Err("`\\` must stand before `*`, `{` or `\\`".to_owned()),
                },
                '*' => Piece::Any,
                '{' => {
                    let mut link = String::new();
                    let mut closed = false;
                    for next in letters.by_ref() {
                        if next == '}' {
                            closed = true;
                            break;
                        }
                        link.push(next);
                    }
                    if link.is_empty() || link.contains(['{', '*']) || !closed {
                        return Err("`{` must open the name of a link, `}` close it; \
                                    `\\{` is the character itself"
                            .to_owned());
                    }
                    Piece::Link(link)
                }
                other => {
                    literal.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            if let Some(last @ (Piece::Any | Piece::Link(_))) = pieces.last() {
                if *last == Piece::Any && piece == Piece::Any {
                    continue;
                }
                // Where one ends and the other begins would be a guess, and a guess could let
                // personal data pass through the `*`.
                return Err("a link and a `*` or another link must not touch".to_owned());
            }
            pieces.push(piece);
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self { pieces })
    }

    /// The pieces, in order.
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether it is `*` and nothing else.
    pub(crate) fn is_any(&self) -> bool {
        self.pieces == [Piece::Any]
    }

    /// Whether it names one thing only.
    pub(crate) fn is_exact(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Literal(_)))
    }

    /// The bytes that it fixes.
    pub(crate) fn literal_bytes(&self) -> usize {
        self.pieces
            .iter()
            .map(|piece| if let Piece::Literal(literal) = piece { literal.len() } else { 0 })
            .sum()
    }

    /// How specific it is: exact before pattern, then more fixed bytes, then links before `*`,
    /// then fewer wildcards.
    pub(crate) fn rank(&self) -> (bool, usize, usize, std::cmp::Reverse<usize>) {
        let links = self.pieces.iter().filter(|piece| matches!(piece, Piece::Link(_))).count();
        let wild = self.pieces.iter().filter(|piece| !matches!(piece, Piece::Literal(_))).count();
        (self.is_exact(), self.literal_bytes(), links, std::cmp::Reverse(wild))
    }

    /// Whether the whole of `name` matches.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        self.find(name, |_, _| {})
    }

    /// Whether some of it may be any text.
    pub(crate) fn has_star(&self) -> bool {
        self.pieces.contains(&Piece::Any)
    }

    /// Matches the whole of `name` and reports, in order, the span of every link, by its name, and
    /// of every `*`. Each wildcard takes the fewest bytes that let the next literal follow; the
    /// last literal stands at the end.
    pub(crate) fn find(
        &self,
        name: &[u8],
        mut wild: impl FnMut(Option<&str>, (usize, usize)),
    ) -> bool {
        let mut at = 0;
        let mut open: Option<(&Piece, usize)> = None;
        let mut close = |piece: &Piece, span| match piece {
            Piece::Link(name) => wild(Some(name), span),
            Piece::Any => wild(None, span),
            Piece::Literal(_) => {}
        };
        let last = self.pieces.len().saturating_sub(1);
        for (index, piece) in self.pieces.iter().enumerate() {
            let Piece::Literal(literal) = piece else {
                open = Some((piece, at));
                continue;
            };
            let Some(rest) = name.get(at..) else { return false };
            let found = match open {
                None => rest.starts_with(literal).then_some(0),
                Some(_) if index == last => {
                    rest.ends_with(literal).then(|| rest.len() - literal.len())
                }
                Some(_) => memchr::memmem::find(rest, literal),
            };
            let Some(found) = found else { return false };
            if let Some((piece, start)) = open.take() {
                close(piece, (start, at + found));
            }
            at += found + literal.len();
        }
        match open {
            Some((piece, start)) => {
                close(piece, (start, name.len()));
                true
            }
            None => at == name.len(),
        }
    }

    /// Whether it says this part of a name itself.
    pub(crate) fn names(&self, part: &str) -> bool {
        self.pieces.iter().any(|piece| match piece {
            Piece::Literal(literal) => literal
                .split(|byte| BETWEEN.contains(&char::from(*byte)))
                .any(|own| own == part.as_bytes()),
            _ => false,
        })
    }

    /// Whether some name matches both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        // One symbol per byte, `None` for a wildcard; then the usual product of two patterns.
        let symbols = |pattern: &Self| -> Vec<Option<u8>> {
            pattern
                .pieces
                .iter()
                .flat_map(|piece| match piece {
                    Piece::Literal(literal) => literal.iter().copied().map(Some).collect(),
                    _ => vec![None],
                })
                .collect()
        };
        let (a, b) = (symbols(self), symbols(other));
        // reach[j]: the first i symbols of a and the first j of b can match a common prefix.
        let mut reach = vec![false; b.len() + 1];
        for i in 0..=a.len() {
            let above = std::mem::replace(&mut reach, vec![false; b.len() + 1]);
            for j in 0..=b.len() {
                let from_above =
                    i > 0 && above[j] && (a[i - 1].is_none() || (j > 0 && b[j - 1].is_none()));
                let from_left =
                    j > 0 && reach[j - 1] && (b[j - 1].is_none() || (i > 0 && a[i - 1].is_none()));
                let diagonal = i > 0 && j > 0 && above[j - 1] && a[i - 1] == b[j - 1];
                reach[j] = (i == 0 && j == 0) || from_above || from_left || diagonal;
            }
        }
        reach[b.len()]
    }
}

/// What stands between the parts of a name.
const BETWEEN: [char; 6] = [':', '/', '.', '|', '{', '}'];

/// What remains of the name of a field when the parts that look like data are taken out: e-mails
/// become `<email>`, digits `#`, long or unusual parts and those of capitals and digits `<…>`.
/// For messages.
pub(crate) fn shape(name: &[u8]) -> String {
    outline(name, |_, part| if is_opaque(part) { HIDDEN.to_owned() } else { without_digits(part) })
}

/// What remains of a Redis key: its first part as of a field, and of the others, which are names
/// of people and tokens as often as words, those that are `known` from the rules.
pub(crate) fn key_shape(key: &[u8], known: impl Fn(&str) -> bool) -> String {
    outline(key, |first, part| {
        if known(part) {
            part.to_owned()
        } else if (first && !is_opaque(part)) || part.bytes().all(|byte| byte.is_ascii_digit()) {
            without_digits(part)
        } else {
            HIDDEN.to_owned()
        }
    })
}

/// What remains of a name that no rule says: where its parts are, and what they look like.
pub(crate) fn bare_shape(name: &[u8]) -> String {
    outline(name, |_, part| {
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        if digits { without_digits(part) } else { HIDDEN.to_owned() }
    })
}

/// What stands for a part that may be data.
const HIDDEN: &str = "<…>";

/// The longest part that is taken for a word, in bytes.
const WORD_BYTES_MAX: usize = 24;

fn is_opaque(part: &str) -> bool {
    let any = |kind: fn(&u8) -> bool| part.as_bytes().iter().any(kind);
    part.len() > WORD_BYTES_MAX
        || !part.is_ascii()
        || part.contains(char::is_whitespace)
        // Words have capitals, and words have numbers; what has both is a token more often.
        || (any(u8::is_ascii_uppercase) && any(u8::is_ascii_digit))
}

fn without_digits(part: &str) -> String {
    let mut shape = String::with_capacity(part.len());
    for letter in part.chars() {
        match letter {
            '0'..='9' if shape.ends_with('#') => {}
            '0'..='9' => shape.push('#'),
            other => shape.push(other),
        }
    }
    shape
}

/// A name with what `show` makes of each of its parts, told which is the first.
fn outline(name: &[u8], show: impl Fn(bool, &str) -> String) -> String {
    let Ok(text) = std::str::from_utf8(name) else { return "<binary>".to_owned() };
    let mut shape = String::new();
    for (index, part) in text.split_inclusive(BETWEEN).enumerate() {
        let body = part.strip_suffix(BETWEEN).unwrap_or(part);
        if body.contains('@') {
            shape.push_str("<email>");
        } else if !body.is_empty() {
            shape.push_str(&show(index == 0, body));
        }
        shape.push_str(&part[body.len()..]);
    }
    // An address with a dot in it has been taken apart above.
    if text.contains('@') {
        let kept = shape.find([':', '/', '|']).map_or("", |at| &shape[..at]);
        let at = if kept.contains('@') || kept.contains("<email>") { "" } else { kept };
        return if at.is_empty() { "<email>".to_owned() } else { format!("{at}:…<email>…") };
    }
    shape
}

/// The most similar known word, if one is close enough to be a slip.
pub(crate) fn suggest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(word.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Two rules that are equally specific.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tie(pub(crate) Location, pub(crate) Location);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans(pattern: &str, key: &str) -> Option<Vec<(String, String)>> {
        let pattern = Pattern::redis(pattern).unwrap();
        let mut found = Vec::new();
        pattern
            .find(key.as_bytes(), |link, (start, end)| {
                found.push((link.unwrap_or("*").to_owned(), key[start..end].to_owned()));
            })
            .then_some(found)
    }

    #[test]
    fn wildcards_take_as_few_characters_as_match() {
        let pair = |link: &str, part: &str| (link.to_owned(), part.to_owned());
        assert_eq!(
            spans("user:{e}:*", "user:a@b.c:cart:1"),
            Some(vec![pair("e", "a@b.c"), pair("*", "cart:1")])
        );
        assert_eq!(spans("*:x:*", "a:x:b:x:c"), Some(vec![pair("*", "a"), pair("*", "b:x:c")]));
        assert_eq!(spans("a*", "a"), Some(vec![pair("*", "")]));
        assert_eq!(spans("*", "all"), Some(vec![pair("*", "all")]));
        assert_eq!(spans("{a}:{b}", "x:y:z"), Some(vec![pair("a", "x"), pair("b", "y:z")]));
        assert_eq!(spans("user:{e}", "user:"), Some(vec![pair("e", "")]));
        assert_eq!(spans("user:{e}:mail", "user:x:mail:mail"), Some(vec![pair("e", "x:mail")]));
        assert_eq!(spans("user:{e}", "users:x"), None);
        assert_eq!(spans("a*a", "a"), None);
        assert_eq!(spans("\\{u\\*\\\\}:*", "{u*\\}:1"), Some(vec![pair("*", "1")]));
    }

    #[test]
    fn what_would_be_a_guess_is_refused() {
        for text in ["u:{e}*", "*{e}", "{a}{b}", "{", "{}", "\\x", "x\\", "{a*}", "{a"] {
            assert!(Pattern::redis(text).is_err(), "{text}");
        }
        assert!(Pattern::redis("a**b").is_ok());
    }

    #[test]
    fn shapes_of_fields_hold_no_data() {
        let of = |name: &str| shape(name.as_bytes());
        for name in ["email", "emailVerifiedAt", "shipping_address", "a.b", "URL", ""] {
            assert_eq!(of(name), name);
        }
        assert_eq!(of("line2"), "line#");
        assert_eq!(of("user:1042:cart"), "user:#:cart");
        for name in ["ann.lee@corp.example", "ann@x.org", "x/ann@x|y"] {
            assert!(!of(name).contains("ann") && of(name).contains("<email>"), "{}", of(name));
        }
        for name in
            ["José", "Ann Lee", "kJhGf7sAq", "kjhgfdsaqwertyuiopzxcvbnm", "7F3A9C00-0000-4000"]
        {
            assert_eq!(of(name), "<…>", "{name}");
        }
        assert_eq!(of("tokens.kJhGf7sAq"), "tokens.<…>");
        assert_eq!(shape(&[0xff, 0xfe]), "<binary>");
    }

    #[test]
    fn shapes_of_keys_hold_no_more_than_the_rules_say() {
        let patterns = [Pattern::redis("user:{e}:cart").unwrap(), Pattern::name("v2/*")];
        let of = |key: &str| {
            key_shape(key.as_bytes(), |part| patterns.iter().any(|pattern| pattern.names(part)))
        };
        assert_eq!(of("session:kJhGfDsAqWeRtYuIoPzX"), "session:<…>");
        assert_eq!(of("user:janedoe:cart"), "user:<…>:cart");
        assert_eq!(of("visit:janedoe:seen"), "visit:<…>:<…>");
        assert_eq!(of("basket:janedoe:v2:7"), "basket:<…>:v2:#");
        assert_eq!(of("cart:4711"), "cart:#");
        assert_eq!(of("queue7"), "queue#");
        assert_eq!(of("kJhGf7sAq"), "<…>");
        assert_eq!(of("a::{b}"), "a::{<…>}");
        assert_eq!(of("s:José"), "s:<…>");
        for key in ["user:ann.lee@corp.example:cart", "a.b:ann@x.org", "mail|ann@x.org", "ann@x"] {
            assert!(!of(key).contains("ann") && of(key).contains("<email>"), "{}", of(key));
        }
        assert_eq!(key_shape(&[0xff, b':'], |_| true), "<binary>");
    }

    #[test]
    fn overlaps_are_found() {
        let overlap = |a: &str, b: &str| Pattern::name(a).overlaps(&Pattern::name(b));
        assert!(overlap("a*", "*b"));
        assert!(overlap("user:*", "*:cart"));
        assert!(!overlap("a*", "b*"));
        assert!(!overlap("ab", "abc"));
        assert!(overlap("*", ""));
    }

    proptest! {
        #[test]
        fn a_common_name_means_an_overlap(a in "[ab*]{0,6}", b in "[ab*]{0,6}", name in "[ab]{0,8}") {
            let (a, b) = (Pattern::name(&a), Pattern::name(&b));
            if a.matches(name.as_bytes()) && b.matches(name.as_bytes()) {
                prop_assert!(a.overlaps(&b));
            }
        }

        #[test]
        fn matching_agrees_with_a_slow_matcher(pattern in "[ab*]{0,6}", name in "[ab]{0,8}") {
            fn slow(pattern: &[u8], name: &[u8]) -> bool {
                match (pattern.first(), name.first()) {
                    (None, None) => true,
                    (Some(b'*'), _) if slow(&pattern[1..], name) => true,
                    (Some(b'*'), Some(_)) => slow(pattern, &name[1..]),
                    (Some(p), Some(n)) if p == n => slow(&pattern[1..], &name[1..]),
                    _ => false,
                }
            }
            let expected = slow(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(Pattern::name(&pattern).matches(name.as_bytes()), expected);
        }
    }
}
