//! JSON text, rewritten in one pass: what no rule changes is copied as it stands, byte by byte.

use super::action::{Action, Masker, Outcome, Problem};
use super::by::{self, Records};
use super::document::{Document, Fate, MAX_DEPTH, Trail, fate};
use super::jsontext::{BROKEN, quote, unescape};
use super::paths::Automaton;
use super::pseudonym::Key;
use super::rules::JsonRule;
use super::transformers::{Form, Mismatch, Wrote};
use crate::error::Result;

/// Rewrites JSON texts by paths.
#[derive(Clone)]
pub(crate) struct JsonRewriter {
    document: Document,
    buffers: Buffers,
}

#[derive(Clone, Default)]
struct Buffers {
    name: Vec<u8>,
    text: Vec<u8>,
    made: Vec<u8>,
    trail: Trail,
}

impl JsonRewriter {
    /// Compiles the rules of `{ json = { … } }`.
    pub(crate) fn new(rule: &JsonRule, key: &Key, place: &str) -> Result<Self> {
        Ok(Self {
            document: Document::compile(&rule.paths, key, place)?,
            buffers: Buffers::default(),
        })
    }

    /// Calls `visit` for every transformer in it.
    pub(crate) fn each_masker(&mut self, visit: &mut dyn FnMut(&mut Masker)) {
        self.document.actions.iter_mut().for_each(|action| action.each_masker(visit));
    }

    /// Writes `input` with its values replaced behind what `out` holds. Empty text stays empty.
    pub(crate) fn rewrite(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
        if input.is_empty() {
            return Ok(());
        }
        let Document { automaton, actions, records } = &mut self.document;
        let automaton: &Automaton = automaton;
        self.buffers.trail.clear();
        let buffers = &mut self.buffers;
        let records: &Records = records;
        records.begin(actions, by::JSON, input);
        let mut walk = Walk { input, at: 0, copied: 0, out, automaton, actions, records, buffers };
        walk.value(automaton.start(), None, 0)?;
        walk.space();
        if walk.at != input.len() {
            return Err(Problem::Broken("there is more after the end of the JSON value"));
        }
        walk.flush(input.len());
        Ok(())
    }
}

struct Walk<'a> {
    input: &'a [u8],
    at: usize,
    /// What of the input is already in `out`, or cut.
    copied: usize,
    out: &'a mut Vec<u8>,
    automaton: &'a Automaton,
    actions: &'a mut [Action],
    records: &'a Records,
    buffers: &'a mut Buffers,
}

impl Walk<'_> {
    fn space(&mut self) {
        while matches!(self.input.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Result<u8, Problem> {
        self.space();
        self.input.get(self.at).copied().ok_or(BROKEN)
    }

    /// Copies the input up to `end`.
    fn flush(&mut self, end: usize) {
        self.out.extend_from_slice(&self.input[self.copied..end]);
        self.copied = end;
    }

    fn path(&self) -> String {
        self.buffers.trail.path(self.input, "$", "[*]")
    }

    fn value(&mut self, state: u32, inherited: Option<usize>, depth: usize) -> Result<(), Problem> {
        if depth > MAX_DEPTH {
            return Err(Problem::Broken("it nests too deep"));
        }
        let first = self.peek()?;
        match fate(self.automaton, self.actions, state, inherited) {
            Fate::Keep => self.skip(),
            Fate::Uncovered => Err(Problem::Uncovered { path: self.path() }),
            Fate::Null => self.replace(b"null"),
            // Fields are dropped by their object; a whole value or an element cannot be.
            Fate::Drop => Err(Problem::Broken("an element cannot be dropped")),
            Fate::Whole(path) => self.whole(path, first),
            Fate::Json(path) if matches!(first, b'{' | b'[') => {
                Err(self.mismatch(path, Mismatch("it is not text that holds JSON")))
            }
            Fate::Json(path) => self.scalar(Some(path), state, first),
            Fate::Descend(decision) => match first {
                b'{' => self.object(state, decision, depth),
                b'[' => self.array(state, decision, depth),
                _ => self.scalar(decision, state, first),
            },
        }
    }

    fn object(&mut self, state: u32, decision: Option<usize>, depth: usize) -> Result<(), Problem> {
        self.at += 1;
        if self.peek()? == b'}' {
            self.at += 1;
            return self.empty(state, decision);
        }
        let mut kept_any = false;
        let mut first = true;
        loop {
            // A field owns the comma before it, so that it can go with or without a successor.
            let before = self.at;
            if !first && self.peek()? == b',' {
                self.at += 1;
            }
            let quote = self.peek().map(|_| self.at)?;
            let (field, escaped) = self.string()?;
            let next = if escaped {
                self.buffers.name.clear();
                unescape(&self.input[field.0..field.1], &mut self.buffers.name)?;
                self.automaton.field(state, &self.buffers.name)
            } else {
                self.automaton.field(state, &self.input[field.0..field.1])
            };
            if self.peek()? != b':' {
                return Err(BROKEN);
            }
            self.at += 1;
            if fate(self.automaton, self.actions, next, decision) == Fate::Drop {
                self.flush(before);
                self.skip()?;
                self.copied = self.at;
            } else {
                if !first && !kept_any {
                    self.copied = quote;
                }
                kept_any = true;
                self.buffers.trail.field(field);
                self.value(next, decision, depth + 1)?;
                self.buffers.trail.leave();
            }
            first = false;
            let end = self.at;
            match self.peek()? {
                b',' => self.at = end,
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(BROKEN),
            }
        }
    }

    fn array(&mut self, state: u32, decision: Option<usize>, depth: usize) -> Result<(), Problem> {
        self.at += 1;
        if self.peek()? == b']' {
            self.at += 1;
            return self.empty(state, decision);
        }
        let next = self.automaton.element(state);
        self.buffers.trail.element();
        loop {
            self.value(next, decision, depth + 1)?;
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    self.buffers.trail.leave();
                    return Ok(());
                }
                _ => return Err(BROKEN),
            }
        }
    }

    /// Whether null and emptiness need no rule here.
    fn may_be_nothing(&self, state: u32) -> bool {
        self.buffers.trail.is_root() || self.automaton.on_the_way(state)
    }

    /// An object or array without anything in it: no value, but its place must be known.
    fn empty(&self, state: u32, decision: Option<usize>) -> Result<(), Problem> {
        if decision.is_none() && !self.may_be_nothing(state) {
            return Err(Problem::Uncovered { path: self.path() });
        }
        Ok(())
    }

    fn scalar(&mut self, decision: Option<usize>, state: u32, first: u8) -> Result<(), Problem> {
        let start = self.at;
        if first == b'n' {
            // Whether it is `null`, or a word that only begins so, is seen when it is passed.
            if decision.is_none() && !self.may_be_nothing(state) {
                return Err(Problem::Uncovered { path: self.path() });
            }
            return self.skip();
        }
        let Some(path) = decision else {
            return Err(Problem::Uncovered { path: self.path() });
        };
        match self.actions.get(path) {
            Some(Action::Keep) => return self.skip(),
            Some(Action::Null) => return self.replace(b"null"),
            _ => {}
        }
        let form = self.read_scalar(first)?;
        if start == self.at || self.buffers.text.is_empty() {
            return Ok(());
        }
        let end = self.at;
        self.buffers.made.clear();
        self.records.enter(self.actions, by::JSON, self.input, path, start);
        let outcome = match self.actions.get_mut(path) {
            Some(Action::Leaf(masker) | Action::Whole(masker)) => {
                masker.apply(&self.buffers.text, form, &mut self.buffers.made)
            }
            Some(Action::Json(inner)) if form == Form::Text => {
                match inner.rewrite(&self.buffers.text, &mut self.buffers.made) {
                    Ok(()) => Ok(Outcome::Wrote(Wrote::Same)),
                    Err(problem) => return Err(problem.below(&self.path())),
                }
            }
            Some(Action::Json(_)) => Err(Mismatch("it is not text that holds JSON")),
            _ => Err(Mismatch("this rule is not for JSON values")),
        };
        let outcome = outcome.map_err(|mismatch| self.mismatch(path, mismatch))?;
        self.flush(start);
        self.copied = end;
        self.emit(outcome, form);
        Ok(())
    }

    /// Reads the scalar at hand into the text buffer.
    fn read_scalar(&mut self, first: u8) -> Result<Form, Problem> {
        let start = self.at;
        self.buffers.text.clear();
        if first == b'"' {
            let (span, escaped) = self.string()?;
            let raw = &self.input[span.0..span.1];
            if escaped {
                unescape(raw, &mut self.buffers.text)?;
            } else {
                self.buffers.text.extend_from_slice(raw);
            }
            return Ok(Form::Text);
        }
        self.skip()?;
        let raw = &self.input[start..self.at];
        self.buffers.text.extend_from_slice(raw);
        match raw {
            b"true" | b"false" => Ok(Form::Bool),
            raw if raw.iter().all(|b| b.is_ascii_digit() || *b == b'-') => {
                Ok(Form::Integer { bits: 128 })
            }
            raw if matches!(raw.first(), Some(b'-' | b'0'..=b'9')) => {
                Ok(Form::Decimal { scale: None })
            }
            _ => Err(BROKEN),
        }
    }

    /// Replaces the value at hand whatever it is.
    fn whole(&mut self, path: usize, first: u8) -> Result<(), Problem> {
        let form = match first {
            b'{' => Form::Object,
            b'[' => Form::List,
            _ => return self.scalar(Some(path), self.automaton.start(), first),
        };
        let start = self.at;
        self.skip()?;
        let end = self.at;
        let inside = &self.input[start + 1..end - 1];
        if inside.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        self.buffers.made.clear();
        let outcome = match self.actions.get_mut(path) {
            Some(Action::Whole(masker)) => masker.apply(b"x", form, &mut self.buffers.made),
            _ => Err(Mismatch("this rule is not for objects and arrays")),
        };
        let outcome = outcome.map_err(|mismatch| self.mismatch(path, mismatch))?;
        self.flush(start);
        self.copied = end;
        self.emit(outcome, form);
        Ok(())
    }

    fn emit(&mut self, outcome: Outcome, form: Form) {
        let made = self.buffers.made.as_slice();
        match outcome {
            Outcome::Null => self.out.extend_from_slice(b"null"),
            Outcome::Wrote(Wrote::Text) => quote(made, self.out),
            Outcome::Wrote(Wrote::Same) if form == Form::Text => quote(made, self.out),
            // Postgres spells booleans `t` and `f`, JSON in full.
            Outcome::Wrote(_) if made == b"t" => self.out.extend_from_slice(b"true"),
            Outcome::Wrote(_) if made == b"f" => self.out.extend_from_slice(b"false"),
            Outcome::Wrote(_) => self.out.extend_from_slice(made),
        }
    }

    fn replace(&mut self, with: &[u8]) -> Result<(), Problem> {
        let start = self.at;
        self.skip()?;
        let end = self.at;
        self.flush(start);
        self.copied = end;
        self.out.extend_from_slice(with);
        Ok(())
    }

    fn mismatch(&self, path: usize, mismatch: Mismatch) -> Problem {
        let masker = self.actions.get(path).and_then(Action::masker);
        let at = masker.map(|masker| masker.at().clone());
        Problem::Mismatch { path: self.path(), at, reason: mismatch.0 }
    }

    /// Passes a string and gives the span between its quotes and whether it has escapes.
    fn string(&mut self) -> Result<((usize, usize), bool), Problem> {
        if self.input.get(self.at) != Some(&b'"') {
            return Err(BROKEN);
        }
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            let rest = self.input.get(at..).ok_or(BROKEN)?;
            let found = memchr::memchr2(b'"', b'\\', rest).ok_or(BROKEN)?;
            if rest[found] == b'"' {
                self.at = at + found + 1;
                return Ok(((start, at + found), escaped));
            }
            escaped = true;
            at += found + 2;
        }
    }

    /// Passes the value at hand, whatever it is, without going deeper into the stack.
    fn skip(&mut self) -> Result<(), Problem> {
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
                _ => self.at += word(&self.input[self.at..]).ok_or(BROKEN)?,
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// The length of the `null`, `true`, `false` or number that a text begins with. What only
/// resembles one is none: text that is not JSON must never pass for a value that needs no rule.
fn word(text: &[u8]) -> Option<usize> {
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

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
