//! JSON text, rewritten in one pass: what no rule changes is copied as it stands, byte by byte.

use super::action::{Action, Masker, Outcome, Problem};
use super::by::{self, Records};
use super::document::{Document, Fate, Kind, Layout, MAX_DEPTH, Naming, Ruling, Trail};
use super::jsontext::{BROKEN, quote, unescape};
use super::pseudonym::Key;
use super::route::{Route, Style};
use super::rules::{JsonRule, Location, OnError};
use super::seen::Seen;
use super::transformers::{Form, Mismatch, Wrote};
use crate::error::Result;

/// Rewrites JSON texts by paths.
#[derive(Clone)]
pub(crate) struct JsonRewriter {
    document: Document,
    on_error: OnError,
    at: Location,
    buffers: Buffers,
}

#[derive(Clone, Default)]
struct Buffers {
    name: Vec<u8>,
    new_name: Vec<u8>,
    text: Vec<u8>,
    made: Vec<u8>,
    trail: Trail,
    seen: Seen,
}

/// What a value becomes that is not JSON though its rule says so, where `on_error` says redact:
/// a JSON text, since that is what belongs there.
const REDACTED: &[u8] = b"\"[redacted]\"";

impl JsonRewriter {
    /// Compiles the rules of `{ json = { … } }`.
    pub(crate) fn new(rule: &JsonRule, key: &Key, place: &str) -> Result<Self> {
        Ok(Self {
            document: Document::compile(&rule.paths, key, place, &[])?,
            on_error: rule.on_error,
            at: rule.at.clone(),
            buffers: Buffers::default(),
        })
    }

    /// Calls `visit` for every transformer in it.
    pub(crate) fn each_masker(&mut self, visit: &mut dyn FnMut(&mut Masker)) {
        self.document.actions.iter_mut().for_each(|action| action.each_masker(visit));
    }

    /// Turns it into what a preview does; see [`Document::preview`].
    pub(crate) fn preview(&mut self, key: &Key) -> Result<()> {
        self.document = self.document.preview(key)?;
        Ok(())
    }

    /// Where its rule stands.
    pub(crate) fn at(&self) -> &Location {
        &self.at
    }

    /// Writes `input` with its values replaced behind what `out` holds, where a place has no
    /// null but that of JSON. Empty text stays empty.
    pub(crate) fn rewrite(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
        if self.rewrite_or_null(input, out)? == Outcome::Null {
            out.extend_from_slice(b"null");
        }
        Ok(())
    }

    /// The same for a place that can be null, which is what `on_error` may ask for.
    pub(crate) fn rewrite_or_null(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Problem> {
        let start = out.len();
        let broken = match self.walk(input, out) {
            Ok(()) => return Ok(Outcome::Wrote(Wrote::Same)),
            Err(problem @ Problem::Broken(_)) => problem,
            Err(problem) => return Err(problem),
        };
        out.truncate(start);
        if self.replace_all(out)? {
            return Ok(Outcome::Wrote(Wrote::Same));
        }
        match self.on_error {
            OnError::Fail => return Err(broken),
            OnError::Null => return Ok(Outcome::Null),
            OnError::Redact => out.extend_from_slice(REDACTED),
        }
        Ok(Outcome::Wrote(Wrote::Same))
    }

    /// Replaces a text that is not JSON, if a rule replaces the whole whatever it is.
    fn replace_all(&mut self, out: &mut Vec<u8>) -> Result<bool, Problem> {
        let layout = &self.document.layout;
        let start = layout.automaton.start();
        let ruling = layout.rule(start, (0, 0), Ruling::default());
        let path = match layout.fate(start, ruling) {
            Fate::Null => {
                out.extend_from_slice(b"null");
                return Ok(true);
            }
            Fate::Whole(path) => path,
            _ => return Ok(false),
        };
        let Some(Action::Whole(masker)) = self.document.actions.get_mut(path) else {
            return Ok(false);
        };
        self.buffers.made.clear();
        match masker.apply(b"x", Form::Text, &mut self.buffers.made) {
            Ok(outcome) => emit(outcome, Form::Text, &self.buffers.made, out),
            Err(Mismatch(reason)) => {
                let at = Some(masker.at().clone());
                return Err(Problem::Mismatch { path: String::new(), at, reason });
            }
        }
        Ok(true)
    }

    fn walk(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
        if input.is_empty() {
            return Ok(());
        }
        let Document { layout, actions, names, records } = &mut self.document;
        let layout: &Layout = layout;
        self.buffers.trail.clear();
        self.buffers.seen.clear();
        let buffers = &mut self.buffers;
        let records: &Records = records;
        records.begin(actions, by::JSON, input);
        let mut walk =
            Walk { input, at: 0, copied: 0, out, layout, actions, names, records, buffers };
        let start = layout.automaton.start();
        walk.value(start, layout.rule(start, (0, 0), Ruling::default()), 0)?;
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
    layout: &'a Layout,
    actions: &'a mut [Action],
    records: &'a Records,
    names: &'a mut [Naming],
    buffers: &'a mut Buffers,
}

/// A field's name as it stands.
#[derive(Clone, Copy)]
struct Name {
    /// Where its quote is.
    quote: usize,
    span: (usize, usize),
    escaped: bool,
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

    fn route(&self) -> Route {
        self.buffers.trail.route(Style::Json, |span| plain_name(self.input, span))
    }

    fn uncovered(&self) -> Problem {
        Problem::Uncovered { path: String::new() }.at(self.route())
    }

    fn value(&mut self, state: u32, ruling: Ruling, depth: usize) -> Result<(), Problem> {
        if depth > MAX_DEPTH {
            return Err(Problem::Broken("it nests too deep"));
        }
        let first = self.peek()?;
        match self.layout.fate(state, ruling) {
            Fate::Keep => self.skip(),
            Fate::Uncovered => Err(self.uncovered()),
            // Fields are dropped by their object; elements cannot be.
            Fate::Null | Fate::Drop => self.replace(b"null"),
            Fate::Whole(path) => self.whole(path, ruling, state, first),
            Fate::Json(path) if matches!(first, b'{' | b'[') => {
                Err(self.mismatch(path, Mismatch("it is not text that holds JSON")))
            }
            Fate::Json(_) => self.scalar(ruling, state, first),
            Fate::Descend | Fate::Thin => match first {
                b'{' => self.object(state, ruling, depth),
                b'[' => self.array(state, ruling, depth),
                _ => self.scalar(ruling, state, first),
            },
        }
    }

    fn object(&mut self, state: u32, above: Ruling, depth: usize) -> Result<(), Problem> {
        self.at += 1;
        if self.peek()? == b'}' {
            self.at += 1;
            return self.empty(state, above);
        }
        let naming = self.layout.naming(state, above);
        let masks =
            naming.is_some_and(|path| matches!(self.names.get(path), Some(Naming::Mask(_))));
        let seen = self.buffers.seen.begin();
        let mut kept_any = false;
        let mut first = true;
        loop {
            // A field owns the comma before it, so that it can go with or without a successor.
            let before = self.at;
            if !first && self.peek()? == b',' {
                self.at += 1;
            }
            let name = self.name()?;
            let (next, spelled) = self.find(state, name)?;
            if self.peek()? != b':' {
                return Err(BROKEN);
            }
            self.at += 1;
            let ruling = self.layout.rule(next, name.span, above);
            if self.goes(next, ruling)? {
                self.flush(before);
                self.skip()?;
                self.copied = self.at;
            } else {
                if !first && !kept_any {
                    self.copied = name.quote;
                }
                kept_any = true;
                if !spelled {
                    self.rename(naming, name, next, ruling)?;
                }
                if masks {
                    self.note(name, spelled);
                }
                self.buffers.trail.field(name.span, spelled);
                self.value(next, ruling, depth + 1)?;
                self.buffers.trail.leave();
            }
            first = false;
            let end = self.at;
            match self.peek()? {
                b',' => self.at = end,
                b'}' => {
                    self.at += 1;
                    return self.names_differ(seen);
                }
                _ => return Err(BROKEN),
            }
        }
    }

    /// Whether the field goes whose value is at hand.
    fn goes(&mut self, state: u32, ruling: Ruling) -> Result<bool, Problem> {
        Ok(match self.layout.fate(state, ruling) {
            Fate::Drop => true,
            Fate::Thin => !matches!(self.peek()?, b'{' | b'['),
            _ => false,
        })
    }

    /// Passes the name of a field.
    fn name(&mut self) -> Result<Name, Problem> {
        self.peek()?;
        let quote = self.at;
        let (span, escaped) = self.string()?;
        Ok(Name { quote, span, escaped })
    }

    /// The state behind a name, which stands in the buffer for names if it has escapes.
    fn find(&mut self, state: u32, name: Name) -> Result<(u32, bool), Problem> {
        let raw = &self.input[name.span.0..name.span.1];
        if !name.escaped {
            return Ok(self.layout.automaton.field(state, raw));
        }
        self.buffers.name.clear();
        unescape(raw, &mut self.buffers.name)?;
        Ok(self.layout.automaton.field(state, &self.buffers.name))
    }

    /// Does to a name that no rule spells out what the rules say.
    fn rename(
        &mut self,
        naming: Option<usize>,
        name: Name,
        state: u32,
        ruling: Ruling,
    ) -> Result<(), Problem> {
        let naming = naming.and_then(|path| self.names.get_mut(path));
        let raw = &self.input[name.span.0..name.span.1];
        let plain = if name.escaped { self.buffers.name.as_slice() } else { raw };
        self.buffers.new_name.clear();
        match naming {
            Some(Naming::Keep) => return Ok(()),
            Some(Naming::Mask(_)) if plain.is_empty() => return Ok(()),
            Some(Naming::Mask(masker)) => {
                if let Err(problem) = new_name(masker, plain, &mut self.buffers.new_name) {
                    return Err(problem.at(self.route()));
                }
            }
            Some(Naming::Shape) => {
                let shown = super::route::show_name(plain, false, false);
                self.buffers.new_name.extend_from_slice(shown.as_bytes());
            }
            Some(Naming::Unsaid) | None => return Err(self.unnamed(state, ruling, name)),
        }
        self.flush(name.quote);
        quote(&self.buffers.new_name, self.out);
        self.copied = name.span.1 + 1;
        Ok(())
    }

    /// The problem of a name that no rule decides about; the value may have none either.
    fn unnamed(&mut self, state: u32, ruling: Ruling, name: Name) -> Problem {
        if self.layout.fate(state, ruling) == Fate::Uncovered {
            self.buffers.trail.field(name.span, false);
            return self.uncovered();
        }
        Problem::Names { path: String::new() }.at(self.route())
    }

    /// Remembers a name as it is now.
    fn note(&mut self, name: Name, spelled: bool) {
        let raw = &self.input[name.span.0..name.span.1];
        let plain = if name.escaped { self.buffers.name.as_slice() } else { raw };
        let stays = spelled || plain.is_empty();
        let new = if stays { plain } else { self.buffers.new_name.as_slice() };
        self.buffers.seen.note(new, plain);
    }

    fn array(&mut self, state: u32, above: Ruling, depth: usize) -> Result<(), Problem> {
        self.at += 1;
        if self.peek()? == b']' {
            self.at += 1;
            return self.empty(state, above);
        }
        let next = self.layout.automaton.element(state);
        let ruling = self.layout.rule(next, self.buffers.trail.name(), above);
        self.buffers.trail.element();
        loop {
            self.value(next, ruling, depth + 1)?;
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
        self.buffers.trail.is_root() || self.layout.automaton.on_the_way(state)
    }

    /// An object or array without anything in it: no value, but its place must be known.
    fn empty(&self, state: u32, ruling: Ruling) -> Result<(), Problem> {
        if ruling.path.is_none() && !self.may_be_nothing(state) {
            return Err(self.uncovered());
        }
        Ok(())
    }

    fn scalar(&mut self, ruling: Ruling, state: u32, first: u8) -> Result<(), Problem> {
        let start = self.at;
        let decided = ruling.path.filter(|path| self.layout.kind(*path) != Kind::Undecided);
        if first == b'n' {
            // Whether it is `null`, or a word that only begins so, is seen when it is passed.
            if decided.is_none() && !self.may_be_nothing(state) {
                return Err(self.uncovered());
            }
            return self.skip();
        }
        let Some(path) = decided else { return Err(self.uncovered()) };
        match self.layout.kind(path) {
            Kind::Keep | Kind::KeepValues => return self.skip(),
            // An element of an array cannot go.
            Kind::Null | Kind::Drop => return self.replace(b"null"),
            _ => {}
        }
        let form = self.read_scalar(first)?;
        if start == self.at || self.buffers.text.is_empty() {
            return Ok(());
        }
        let end = self.at;
        self.buffers.made.clear();
        self.records.enter(self.actions, by::JSON, self.input, path, start);
        let outcome = self.apply(path, ruling, form)?;
        self.flush(start);
        self.copied = end;
        emit(outcome, form, &self.buffers.made, self.out);
        Ok(())
    }

    /// Writes the new value of the scalar that was read to its buffer.
    fn apply(&mut self, path: usize, ruling: Ruling, form: Form) -> Result<Outcome, Problem> {
        if self.layout.is_starred(path) {
            self.salt(path, ruling);
        }
        let Buffers { text, made, .. } = &mut *self.buffers;
        let outcome = match self.actions.get_mut(path) {
            // What replaces the whole need not understand it: half of a character is no text.
            Some(Action::Whole(masker)) if form == Form::Text && is_halved(text) => {
                masker.apply(b"x", form, made)
            }
            Some(Action::Leaf(masker) | Action::Whole(masker)) => masker.apply(text, form, made),
            Some(Action::Json(inner)) if form == Form::Text && !is_halved(text) => {
                let at = inner.at().clone();
                return inner.rewrite_or_null(text, made).map_err(|problem| match problem {
                    Problem::Broken(reason) => {
                        let path = String::new();
                        Problem::Mismatch { path, at: Some(at), reason }.at(self.route())
                    }
                    problem => problem.at(self.route()),
                });
            }
            Some(Action::Json(_)) => Err(Mismatch("it is not text that holds JSON")),
            _ => Err(Mismatch("this rule is not for JSON values")),
        };
        outcome.map_err(|mismatch| self.mismatch(path, mismatch))
    }

    /// Tells the values of a star apart by the name under it.
    fn salt(&mut self, path: usize, ruling: Ruling) {
        let Some(Action::Leaf(masker) | Action::Whole(masker)) = self.actions.get_mut(path) else {
            return;
        };
        let raw = self.input.get(ruling.name.0..ruling.name.1).unwrap_or_default();
        if memchr::memchr(b'\\', raw).is_none() {
            masker.salt(raw);
        } else {
            masker.salt(&plain_name(self.input, ruling.name));
        }
    }

    fn names_differ(&mut self, seen: usize) -> Result<(), Problem> {
        if self.buffers.seen.clash(seen) {
            return Err(Problem::SameName { path: String::new() }.at(self.route()));
        }
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
    fn whole(&mut self, path: usize, ruling: Ruling, state: u32, first: u8) -> Result<(), Problem> {
        let form = match first {
            b'{' => Form::Object,
            b'[' => Form::List,
            _ => return self.scalar(ruling, state, first),
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
        emit(outcome, form, &self.buffers.made, self.out);
        Ok(())
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
        let at = self.actions.get(path).and_then(Action::at).cloned();
        Problem::Mismatch { path: String::new(), at, reason: mismatch.0 }.at(self.route())
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

/// Writes what came of a value.
fn emit(outcome: Outcome, form: Form, made: &[u8], out: &mut Vec<u8>) {
    match outcome {
        Outcome::Null => out.extend_from_slice(b"null"),
        Outcome::Wrote(Wrote::Text) => quote(made, out),
        Outcome::Wrote(Wrote::Same) if form == Form::Text => quote(made, out),
        // Postgres spells booleans `t` and `f`, JSON in full.
        Outcome::Wrote(_) if made == b"t" => out.extend_from_slice(b"true"),
        Outcome::Wrote(_) if made == b"f" => out.extend_from_slice(b"false"),
        Outcome::Wrote(_) => out.extend_from_slice(made),
    }
}

/// Whether a text holds half of a character, as JSON can (`\ud800`) and text cannot.
fn is_halved(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_err()
}

/// A name without its escapes; one that cannot be read as it stands.
fn plain_name(input: &[u8], (start, end): (usize, usize)) -> Vec<u8> {
    let raw = input.get(start..end).unwrap_or_default();
    let mut name = Vec::with_capacity(raw.len());
    match unescape(raw, &mut name) {
        Ok(()) => name,
        Err(_) => raw.to_vec(),
    }
}

/// Writes the new name for one that is not empty.
pub(crate) fn new_name(masker: &mut Masker, name: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
    let reason = match masker.apply(name, Form::Text, out) {
        Ok(Outcome::Wrote(_)) if !out.contains(&0) && !out.is_empty() => return Ok(()),
        Ok(Outcome::Wrote(_)) => "the new name cannot be one",
        Ok(Outcome::Null) => "a name cannot be null",
        Err(mismatch) => mismatch.0,
    };
    let at = Some(masker.at().clone());
    Err(Problem::Mismatch { path: String::new(), at, reason })
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
