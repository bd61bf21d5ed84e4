//! Passing over JSON text without reading more of it than where it ends.

use super::jsontext::broken;
use super::problem::Problem;

/// A JSON text and how far it was passed.
pub(super) struct Scan<'a> {
    pub(super) input: &'a [u8],
    pub(super) at: usize,
}

impl Scan<'_> {
    /// Passes white space.
    pub(super) fn space(&mut self) {
        while matches!(self.input.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The byte at hand, which is no space.
    pub(super) fn peek(&mut self) -> Result<u8, Problem> {
        self.space();
        self.input.get(self.at).copied().ok_or_else(broken)
    }

    /// Passes a string and gives the span between its quotes and whether it has escapes.
    pub(super) fn string(&mut self) -> Result<((usize, usize), bool), Problem> {
        if self.input.get(self.at) != Some(&b'"') {
            return Err(broken());
        }
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            let rest = self.input.get(at..).ok_or_else(broken)?;
            let found = memchr::memchr2(b'"', b'\\', rest).ok_or_else(broken)?;
            if rest[found] == b'"' {
                self.at = at + found + 1;
                return Ok(((start, at + found), escaped));
            }
            escaped = true;
            at += found + 2;
        }
    }

    /// Passes the value at hand, whatever it is, without going deeper into the stack.
    pub(super) fn skip(&mut self) -> Result<(), Problem> {
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                _ => self.at += word(&self.input[self.at..]).ok_or_else(broken)?,
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// The length of the `null`, `true`, `false` or number that a text begins with. What only
/// resembles one is none: text that is not JSON must never pass for a value that needs no rule.
pub(super) fn word(text: &[u8]) -> Option<usize> {
    let known = |word: &[u8]| text.starts_with(word).then_some(word.len());
    let length = match text.first()? {
        b'n' => known(b"null"),
        b't' => known(b"true"),
        b'f' => known(b"false"),
        _ => number(text),
    }?;
    let ends = |next: &u8| matches!(next, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
    text.get(length).is_none_or(ends).then_some(length)
}

/// The length of the number that a text begins with (RFC 8259, section 6).
fn number(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count > 0).then_some(from + count)
    };
    let whole = usize::from(text.first() == Some(&b'-'));
    let mut end = digits(whole)?;
    if text.get(whole) == Some(&b'0') && end > whole + 1 {
        return None;
    }
    if text.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let signed = matches!(text.get(end + 1), Some(b'+' | b'-'));
        end = digits(end + 1 + usize::from(signed))?;
    }
    Some(end)
}
