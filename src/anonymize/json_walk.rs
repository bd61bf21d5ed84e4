//! The walk over a JSON text: finds the places, and writes what the rules make of them.

use super::action::{Action, Masker, Outcome};
use super::by::{self, Records};
use super::document::{Fate, Kind, Layout, MAX_DEPTH, Naming, Ruling, Trail};
use super::forms::Form;
use super::json_scan::Scan;
use super::jsontext::{broken, quote, unescape};
use super::problem::Problem;
use super::route::{Route, Style};
use super::seen::Seen;
use super::transformers::{Mismatch, Wrote};

/// What a walk writes to and reads from, kept from one text to the next.
#[derive(Clone, Default)]
pub(super) struct Buffers {
    pub(super) name: Vec<u8>,
    pub(super) new_name: Vec<u8>,
    pub(super) text: Vec<u8>,
    pub(super) made: Vec<u8>,
    pub(super) trail: Trail,
    pub(super) seen: Seen,
}

/// A walk over one JSON text.
pub(super) struct Walk<'a> {
    pub(super) scan: Scan<'a>,
    /// What of the input is already in `out`, or cut.
    pub(super) copied: usize,
    pub(super) out: &'a mut Vec<u8>,
    pub(super) layout: &'a Layout,
    pub(super) actions: &'a mut [Action],
    pub(super) records: &'a Records,
    pub(super) names: &'a mut [Naming],
    pub(super) buffers: &'a mut Buffers,
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
    /// Copies the input up to `end`.
    pub(super) fn flush(&mut self, end: usize) {
        self.out.extend_from_slice(&self.scan.input[self.copied..end]);
        self.copied = end;
    }

    fn route(&self) -> Route {
        self.buffers.trail.route(Style::Json, |span| plain_name(self.scan.input, span))
    }

    fn uncovered(&self) -> Problem {
        Problem::Uncovered { path: String::new() }.at(self.route())
    }

    /// Rewrites the value at hand, whose fate is known.
    pub(super) fn value(
        &mut self,
        state: u32,
        ruling: Ruling,
        fate: Fate,
        depth: usize,
    ) -> Result<(), Problem> {
        if depth > MAX_DEPTH {
            return Err(Problem::Broken("it nests too deep"));
        }
        let first = self.scan.peek()?;
        match fate {
            Fate::Keep => self.scan.skip(),
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
        self.scan.at += 1;
        if self.scan.peek()? == b'}' {
            self.scan.at += 1;
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
            let before = self.scan.at;
            if !first && self.scan.peek()? == b',' {
                self.scan.at += 1;
            }
            let name = self.name()?;
            let (next, spelled) = self.find(state, name)?;
            if self.scan.peek()? != b':' {
                return Err(broken());
            }
            self.scan.at += 1;
            let ruling = self.layout.rule(next, name.span, above);
            let fate = self.layout.fate(next, ruling);
            if self.goes(fate)? {
                self.flush(before);
                self.scan.skip()?;
                self.copied = self.scan.at;
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
                self.value(next, ruling, fate, depth + 1)?;
                self.buffers.trail.leave();
            }
            first = false;
            let end = self.scan.at;
            match self.scan.peek()? {
                b',' => self.scan.at = end,
                b'}' => {
                    self.scan.at += 1;
                    return self.names_differ(seen);
                }
                _ => return Err(broken()),
            }
        }
    }

    /// Whether the field goes whose value is at hand.
    fn goes(&mut self, fate: Fate) -> Result<bool, Problem> {
        Ok(match fate {
            Fate::Drop => true,
            Fate::Thin => !matches!(self.scan.peek()?, b'{' | b'['),
            _ => false,
        })
    }

    /// Passes the name of a field.
    fn name(&mut self) -> Result<Name, Problem> {
        self.scan.peek()?;
        let quote = self.scan.at;
        let (span, escaped) = self.scan.string()?;
        Ok(Name { quote, span, escaped })
    }

    /// The state behind a name, which stands in the buffer for names if it has escapes.
    fn find(&mut self, state: u32, name: Name) -> Result<(u32, bool), Problem> {
        let raw = &self.scan.input[name.span.0..name.span.1];
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
        let raw = &self.scan.input[name.span.0..name.span.1];
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
        let raw = &self.scan.input[name.span.0..name.span.1];
        let plain = if name.escaped { self.buffers.name.as_slice() } else { raw };
        let stays = spelled || plain.is_empty();
        let new = if stays { plain } else { self.buffers.new_name.as_slice() };
        self.buffers.seen.note(new, plain);
    }

    fn array(&mut self, state: u32, above: Ruling, depth: usize) -> Result<(), Problem> {
        self.scan.at += 1;
        if self.scan.peek()? == b']' {
            self.scan.at += 1;
            return self.empty(state, above);
        }
        let next = self.layout.automaton.element(state);
        let ruling = self.layout.rule(next, self.buffers.trail.name(), above);
        let fate = self.layout.fate(next, ruling);
        self.buffers.trail.element();
        loop {
            self.value(next, ruling, fate, depth + 1)?;
            match self.scan.peek()? {
                b',' => self.scan.at += 1,
                b']' => {
                    self.scan.at += 1;
                    self.buffers.trail.leave();
                    return Ok(());
                }
                _ => return Err(broken()),
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
        let start = self.scan.at;
        let decided = ruling.path.filter(|path| self.layout.kind(*path) != Kind::Undecided);
        if first == b'n' {
            // Whether it is `null`, or a word that only begins so, is seen when it is passed.
            if decided.is_none() && !self.may_be_nothing(state) {
                return Err(self.uncovered());
            }
            return self.scan.skip();
        }
        let Some(path) = decided else { return Err(self.uncovered()) };
        match self.layout.kind(path) {
            Kind::Keep | Kind::KeepValues => return self.scan.skip(),
            // An element of an array cannot go.
            Kind::Null | Kind::Drop => return self.replace(b"null"),
            _ => {}
        }
        let form = self.read_scalar(first)?;
        if start == self.scan.at || self.buffers.text.is_empty() {
            return Ok(());
        }
        let end = self.scan.at;
        self.buffers.made.clear();
        self.records.enter(self.actions, by::JSON, self.scan.input, path, start);
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
        let raw = self.scan.input.get(ruling.name.0..ruling.name.1).unwrap_or_default();
        if memchr::memchr(b'\\', raw).is_none() {
            masker.salt(raw);
        } else {
            masker.salt(&plain_name(self.scan.input, ruling.name));
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
        let start = self.scan.at;
        self.buffers.text.clear();
        if first == b'"' {
            let (span, escaped) = self.scan.string()?;
            let raw = &self.scan.input[span.0..span.1];
            if escaped {
                unescape(raw, &mut self.buffers.text)?;
            } else {
                self.buffers.text.extend_from_slice(raw);
            }
            return Ok(Form::Text);
        }
        self.scan.skip()?;
        let raw = &self.scan.input[start..self.scan.at];
        self.buffers.text.extend_from_slice(raw);
        match raw {
            b"true" | b"false" => Ok(Form::Bool),
            raw if raw.iter().all(|b| b.is_ascii_digit() || *b == b'-') => {
                Ok(Form::Integer { bits: 128 })
            }
            raw if matches!(raw.first(), Some(b'-' | b'0'..=b'9')) => {
                Ok(Form::Decimal { scale: None })
            }
            _ => Err(broken()),
        }
    }

    /// Replaces the value at hand whatever it is.
    fn whole(&mut self, path: usize, ruling: Ruling, state: u32, first: u8) -> Result<(), Problem> {
        let form = match first {
            b'{' => Form::Object,
            b'[' => Form::List,
            _ => return self.scalar(ruling, state, first),
        };
        let start = self.scan.at;
        self.scan.skip()?;
        let end = self.scan.at;
        let inside = &self.scan.input[start + 1..end - 1];
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
        let start = self.scan.at;
        self.scan.skip()?;
        let end = self.scan.at;
        self.flush(start);
        self.copied = end;
        self.out.extend_from_slice(with);
        Ok(())
    }

    fn mismatch(&self, path: usize, mismatch: Mismatch) -> Problem {
        let at = self.actions.get(path).and_then(Action::at).cloned();
        Problem::Mismatch { path: String::new(), at, reason: mismatch.0 }.at(self.route())
    }
}

/// Writes what came of a value.
pub(super) fn emit(outcome: Outcome, form: Form, made: &[u8], out: &mut Vec<u8>) {
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
