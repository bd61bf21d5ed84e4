//! `.env` files: `NAME=value` lines, with quotes and comments. Values are taken as they are;
//! nothing in them is expanded.

use std::collections::HashMap;

/// The variables of a file, and the numbers of the lines that are no assignment.
#[derive(Default)]
pub(crate) struct Parsed {
    /// Name to value; the last of two equal names counts, as in every reader of this format.
    pub(crate) variables: HashMap<String, String>,
    /// Lines, counted from 1, that could not be read.
    pub(crate) bad_lines: Vec<usize>,
}

/// Reads the text of a `.env` file.
pub(crate) fn parse(text: &str) -> Parsed {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parsed = Parsed::default();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let Some((name, rest)) = line.split_once('=') else {
            parsed.bad_lines.push(number + 1);
            continue;
        };
        let name = name.trim_end();
        if !is_name(name) {
            parsed.bad_lines.push(number + 1);
            continue;
        }
        let rest = rest.trim_start();
        let value = match rest.chars().next() {
            Some(quote @ ('"' | '\'' | '`')) => {
                // A quote that never ends must not swallow the lines after it.
                let mut ahead = lines.clone();
                let value = quoted(&rest[1..], quote, &mut ahead.by_ref().map(|(_, line)| line));
                if value.is_some() {
                    lines = ahead;
                }
                value
            }
            _ => Some(unquoted(rest)),
        };
        match value {
            Some(value) => {
                parsed.variables.insert(name.to_owned(), value);
            }
            None => parsed.bad_lines.push(number + 1),
        }
    }
    parsed
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// A value without quotes ends at the line's end or at ` #`.
fn unquoted(rest: &str) -> String {
    if rest.starts_with('#') {
        return String::new();
    }
    let end = rest.find(" #").or_else(|| rest.find("\t#")).unwrap_or(rest.len());
    rest[..end].trim_end().to_owned()
}

/// A quoted value may go over several lines. Double quotes know `\n`, `\r`, `\t`, `\"`, `\\` and
/// `\$`; single quotes and backticks know nothing. `None` when the quote does not end.
fn quoted<'a>(
    first: &'a str,
    quote: char,
    more: &mut dyn Iterator<Item = &'a str>,
) -> Option<String> {
    let mut value = String::new();
    let mut line = first;
    loop {
        let mut characters = line.chars();
        while let Some(character) = characters.next() {
            if character == quote {
                let rest = characters.as_str().trim_start();
                return (rest.is_empty() || rest.starts_with('#')).then_some(value);
            }
            if character == '\\' && quote == '"' {
                match characters.next() {
                    Some('n') => value.push('\n'),
                    Some('r') => value.push('\r'),
                    Some('t') => value.push('\t'),
                    Some(escaped @ ('"' | '\\' | '$')) => value.push(escaped),
                    Some(other) => value.extend(['\\', other]),
                    None => value.push('\\'),
                }
            } else {
                value.push(character);
            }
        }
        value.push('\n');
        line = more.next()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        let parsed = parse(text);
        assert_eq!(parsed.bad_lines, [] as [usize; 0], "{text}");
        parsed.variables["A"].clone()
    }

    #[test]
    fn values() {
        for (text, expected) in [
            ("A=1", "1"),
            ("export A = 1 ", "1"),
            ("\u{feff}A=", ""),
            ("A=x y # said", "x y"),
            ("A=p#w$d${X}", "p#w$d${X}"),
            ("A=# nothing", ""),
            ("A='p # \\n'", "p # \\n"),
            ("A=\"a\\n\\\"b\\\" \\$c \\d\" # x", "a\n\"b\" $c \\d"),
            ("A=\"one\ntwo\"\nB=3", "one\ntwo"),
            ("A=`it's`", "it's"),
            ("A=1\r\nB=2\r\n", "1"),
            ("A=1\nA=2", "2"),
            ("A=postgres://u:p=w@h/d?x=y", "postgres://u:p=w@h/d?x=y"),
        ] {
            assert_eq!(value(text), expected, "{text:?}");
        }
    }

    #[test]
    fn lines_that_are_no_assignment_are_told_by_number() {
        let parsed = parse("# c\n\nA=1\nnothing\n1B=2\nC='x\nD=4");
        assert_eq!(parsed.bad_lines, [4, 5, 6]);
        assert_eq!(parsed.variables["A"], "1");
        assert_eq!(parsed.variables["D"], "4", "a quote that never ends swallows nothing");
    }
}
