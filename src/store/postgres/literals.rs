//! SQL taken apart as far as a search for secrets needs it: words, literals, signs.
//!
//! Not a parser: what stands in dollar quotes is taken for code and taken apart too, since it is
//! the body of a function wherever pg_dump writes it.

use std::iter::Peekable;
use std::str::CharIndices;

/// A piece of SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A name or a keyword: in lower case, or as it stands in double quotes.
    Word(String),
    /// A string, without its quotes and escapes.
    Literal(String),
    /// What `--` or `/*` begins.
    Comment(String),
    /// Any other sign; `:=`, `=>` and `||` are one.
    Sign(&'static str),
}

/// The signs that are told apart.
const SIGNS: [&str; 10] = [":=", "=>", "||", "::", "(", ")", ",", ";", "=", "."];

/// How deep code within code is taken apart.
const DEPTH: usize = 8;

/// The pieces of a text, in order, those of code in dollar quotes among them.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    take(text, DEPTH, &mut found);
    found
}

fn take(text: &str, depth: usize, found: &mut Vec<Token>) {
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let rest = &text[at..];
        let skip = if letter == '\'' {
            let (value, length) = string(rest, false);
            found.push(Token::Literal(value));
            length
        } else if let Some(quoted) = escape_string(rest) {
            let (value, length) = string(quoted, true);
            found.push(Token::Literal(value));
            length + 1
        } else if letter == '"' {
            let (value, length) = doubled(rest, '"');
            found.push(Token::Word(value));
            length
        } else if let Some((body, length)) = dollar(rest) {
            match depth.checked_sub(1) {
                Some(depth) => take(body, depth, found),
                None => found.push(Token::Literal(body.to_owned())),
            }
            length
        } else if let Some(length) = comment(rest) {
            found.push(Token::Comment(rest[..length].to_owned()));
            length
        } else if letter.is_alphanumeric() || letter == '_' {
            let end = rest.find(|next: char| !(next.is_alphanumeric() || "_$".contains(next)));
            let word = &rest[..end.unwrap_or(rest.len())];
            found.push(Token::Word(word.to_lowercase()));
            word.len()
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            found.push(Token::Sign(sign));
            sign.len()
        } else {
            letter.len_utf8()
        };
        pass(&mut letters, at + skip);
    }
}

/// Goes on behind what was taken.
fn pass(letters: &mut Peekable<CharIndices<'_>>, to: usize) {
    while letters.next_if(|(at, _)| *at < to).is_some() {}
}

/// `E'…'`, from its quote on.
fn escape_string(rest: &str) -> Option<&str> {
    rest.strip_prefix(['e', 'E']).filter(|rest| rest.starts_with('\''))
}

/// A text in single quotes, and how long it is with them. In a text with escapes a backslash says
/// that the next sign is meant as it is.
fn string(rest: &str, escapes: bool) -> (String, usize) {
    if !escapes {
        return doubled(rest, '\'');
    }
    let mut value = String::new();
    let mut letters = rest.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            '\'' if letters.next_if(|(_, next)| *next == '\'').is_some() => value.push('\''),
            '\'' => return (value, at + 1),
            letter => value.push(letter),
        }
    }
    (value, rest.len())
}

/// A text between marks that stand doubled where they belong to it.
fn doubled(rest: &str, mark: char) -> (String, usize) {
    let mut value = String::new();
    let mut letters = rest.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        if letter != mark {
            value.push(letter);
        } else if letters.next_if(|(_, next)| *next == mark).is_some() {
            value.push(mark);
        } else {
            return (value, at + mark.len_utf8());
        }
    }
    (value, rest.len())
}

/// What stands between `$tag$` and `$tag$`, and how long it is with them.
fn dollar(rest: &str) -> Option<(&str, usize)> {
    let inner = rest.strip_prefix('$')?;
    let end = inner.find(|letter: char| !(letter.is_alphanumeric() || letter == '_'))?;
    if !inner[end..].starts_with('$') || inner.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let tag = &rest[..end + 2];
    let body = &rest[tag.len()..];
    match body.find(tag) {
        Some(length) => Some((&body[..length], length + 2 * tag.len())),
        None => Some((body, rest.len())),
    }
}

/// How long a comment is.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("--") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    rest.starts_with("/*").then(|| rest.find("*/").map_or(rest.len(), |end| end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(text: &str) -> Vec<String> {
        let literal = |token| match token {
            Token::Literal(text) => Some(text),
            _ => None,
        };
        tokens(text).into_iter().filter_map(literal).collect()
    }

    #[test]
    fn literals_come_without_quotes_and_escapes() {
        for (text, expected) in [
            ("SELECT 'it''s', E'a\\'b\\\\', e'x'", vec!["it's", "a'b\\", "x"]),
            ("-- don't\nSELECT 'a' /* isn't */ || 'b'", vec!["a", "b"]),
            ("AS $$ SELECT 'a' $$ LANGUAGE sql; AS $x$ 'b' $y$ 'c' $x$", vec!["a", "b", "c"]),
            ("\"o'clock\" = 'x' AND $1 = 'y'", vec!["x", "y"]),
            ("'open", vec!["open"]),
            ("EXECUTE 'SELECT ''é'' ' || v", vec!["SELECT 'é' "]),
        ] {
            assert_eq!(literals(text), expected, "{text}");
        }
    }

    #[test]
    fn words_and_signs_stand_around_them() {
        use Token::{Comment, Literal, Sign, Word};
        assert_eq!(
            tokens("SET \"App.Key\" := 'x'; -- y"),
            [
                Word("set".into()),
                Word("App.Key".into()),
                Sign(":="),
                Literal("x".into()),
                Sign(";"),
                Comment("-- y".into()),
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a'\"$eE\\\\/*\né1 -]{0,60}") {
            let found = tokens(&text);
            proptest::prop_assert!(found.len() <= text.chars().count());
        }
    }
}
