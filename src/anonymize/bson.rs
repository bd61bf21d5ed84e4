//! BSON documents, rewritten in one pass: what no rule changes is copied as it stands, and the
//! lengths of the documents around a change are put right. Nothing is decoded into maps, so the
//! order of fields, duplicate names and every type survive (<https://bsonspec.org/spec.html>).

use super::action::{Action, Outcome, Problem};
use super::bsonvalue::{
    ARRAY, BOOL, BROKEN, DOUBLE, INT32, INT64, NULL, OBJECT, STRING, int32, read, value_length,
    write,
};
use super::by::{self, Records};
use super::document::{Document, Fate, MAX_DEPTH, Trail, fate};
use super::paths::Automaton;
use super::transformers::{Form, Mismatch, Wrote};

/// One element of a document: where it begins, its name, its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element {
    pub(crate) kind: u8,
    pub(crate) start: usize,
    pub(crate) name: (usize, usize),
    pub(crate) value: usize,
    pub(crate) end: usize,
}

/// Reads the element at `at` of a document whose last byte, the terminator, is at `limit`.
pub(crate) fn element(input: &[u8], at: usize, limit: usize) -> Result<Element, Problem> {
    let body = input.get(at..limit).ok_or(BROKEN)?;
    let (&kind, rest) = body.split_first().ok_or(BROKEN)?;
    let name = memchr::memchr(0, rest).ok_or(BROKEN)?;
    let value = at + 1 + name + 1;
    let length = value_length(kind, input.get(value..limit).ok_or(BROKEN)?)?;
    let end = value.checked_add(length).filter(|end| *end <= limit).ok_or(BROKEN)?;
    Ok(Element { kind, start: at, name: (at + 1, at + 1 + name), value, end })
}

/// Checks the document at `start` that must end by `limit`, and says where it ends.
pub(crate) fn document_end(input: &[u8], start: usize, limit: usize) -> Result<usize, Problem> {
    let length = int32(input.get(start..limit).ok_or(BROKEN)?)?;
    let end = start.checked_add(length).filter(|end| *end <= limit).ok_or(BROKEN)?;
    if length < 5 || input.get(end - 1) != Some(&0) {
        return Err(BROKEN);
    }
    Ok(end)
}

/// Rewrites documents by paths.
#[derive(Clone)]
pub(crate) struct BsonRewriter {
    document: Document,
    text: Vec<u8>,
    made: Vec<u8>,
    trail: Trail,
}

impl BsonRewriter {
    /// With the rules of one collection.
    pub(crate) fn new(document: Document) -> Self {
        Self { document, text: Vec::new(), made: Vec::new(), trail: Trail::default() }
    }

    /// Writes the document that is all of `input`, with its values replaced, behind `out`.
    pub(crate) fn rewrite(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
        if document_end(input, 0, input.len())? != input.len() {
            return Err(BROKEN);
        }
        let Document { automaton, actions, records } = &mut self.document;
        let automaton: &Automaton = automaton;
        self.trail.clear();
        let records: &Records = records;
        records.begin(actions, by::BSON, input);
        let mut walk = Walk {
            input,
            copied: 0,
            out,
            automaton,
            actions,
            records,
            text: &mut self.text,
            made: &mut self.made,
            trail: &mut self.trail,
        };
        let place = Place { state: automaton.start(), decision: None, array: false, depth: 0 };
        walk.document(0, input.len(), place)?;
        walk.flush(input.len());
        Ok(())
    }
}

/// Where a document stands.
#[derive(Clone, Copy)]
struct Place {
    state: u32,
    decision: Option<usize>,
    array: bool,
    depth: usize,
}

struct Walk<'a> {
    input: &'a [u8],
    /// What of the input is already in `out`, or cut.
    copied: usize,
    out: &'a mut Vec<u8>,
    automaton: &'a Automaton,
    actions: &'a mut [Action],
    records: &'a Records,
    text: &'a mut Vec<u8>,
    made: &'a mut Vec<u8>,
    trail: &'a mut Trail,
}

impl Walk<'_> {
    fn flush(&mut self, end: usize) {
        self.out.extend_from_slice(&self.input[self.copied..end]);
        self.copied = end;
    }

    fn path(&self) -> String {
        self.trail.path(self.input, "", "[]")
    }

    fn document(&mut self, start: usize, end: usize, place: Place) -> Result<(), Problem> {
        if place.depth > MAX_DEPTH {
            return Err(Problem::Broken("it nests too deep"));
        }
        // Where the length will stand in `out` once everything before it has been copied.
        let header = self.out.len() + (start - self.copied);
        let limit = end - 1;
        let mut at = start + 4;
        while at < limit {
            let element = element(self.input, at, limit)?;
            let (from, to) = element.name;
            let state = if place.array {
                self.trail.element();
                self.automaton.element(place.state)
            } else {
                self.trail.field(element.name);
                self.automaton.field(place.state, &self.input[from..to])
            };
            self.value(element, state, place)?;
            self.trail.leave();
            at = element.end;
        }
        if self.copied > start {
            self.flush(end);
            let length = i32::try_from(self.out.len() - header)
                .map_err(|_| Problem::Broken("it has grown beyond what BSON can hold"))?;
            self.out[header..header + 4].copy_from_slice(&length.to_le_bytes());
        }
        Ok(())
    }

    fn value(&mut self, element: Element, state: u32, place: Place) -> Result<(), Problem> {
        let container = matches!(element.kind, OBJECT | ARRAY);
        match fate(self.automaton, self.actions, state, place.decision) {
            Fate::Keep => Ok(()),
            Fate::Uncovered => Err(Problem::Uncovered { path: self.path() }),
            Fate::Null => {
                self.null(element);
                Ok(())
            }
            Fate::Drop => {
                self.flush(element.start);
                self.copied = element.end;
                Ok(())
            }
            Fate::Whole(path) if container => self.whole(element, path),
            Fate::Json(path) if container => {
                Err(self.mismatch(path, Mismatch("it is not text that holds JSON")))
            }
            Fate::Whole(path) | Fate::Json(path) => self.scalar(element, Some(path), state),
            Fate::Descend(decision) if container => {
                let empty = element.end - element.value == 5;
                if empty && decision.is_none() && !self.automaton.on_the_way(state) {
                    return Err(Problem::Uncovered { path: self.path() });
                }
                let array = element.kind == ARRAY;
                let place = Place { state, decision, array, depth: place.depth + 1 };
                self.document(element.value, element.end, place)
            }
            Fate::Descend(decision) => self.scalar(element, decision, state),
        }
    }

    fn null(&mut self, element: Element) {
        if element.kind != NULL {
            self.retype(element, NULL);
            self.copied = element.end;
        }
    }

    /// Copies up to the element and writes its name under another type.
    fn retype(&mut self, element: Element, kind: u8) {
        self.flush(element.start);
        self.out.push(kind);
        self.out.extend_from_slice(&self.input[element.name.0..element.value]);
        self.copied = element.value;
    }

    fn whole(&mut self, element: Element, path: usize) -> Result<(), Problem> {
        if element.end - element.value == 5 {
            return Ok(());
        }
        let form = if element.kind == ARRAY { Form::List } else { Form::Object };
        self.made.clear();
        let outcome = match self.actions.get_mut(path) {
            Some(Action::Whole(masker)) => masker.apply(b"x", form, self.made),
            _ => Err(Mismatch("this rule is not for objects and arrays")),
        };
        let outcome = outcome.map_err(|mismatch| self.mismatch(path, mismatch))?;
        if outcome == Outcome::Wrote(Wrote::Same) {
            self.flush(element.value);
            self.copied = element.end;
            self.out.extend_from_slice(&[5, 0, 0, 0, 0]);
            return Ok(());
        }
        self.emit(element, outcome).map_err(|mismatch| self.mismatch(path, mismatch))
    }

    fn scalar(
        &mut self,
        element: Element,
        decision: Option<usize>,
        state: u32,
    ) -> Result<(), Problem> {
        let Some(path) = decision else {
            if element.kind == NULL && self.automaton.on_the_way(state) {
                return Ok(());
            }
            return Err(Problem::Uncovered { path: self.path() });
        };
        match self.actions.get(path) {
            Some(Action::Keep) => return Ok(()),
            Some(Action::Null) => {
                self.null(element);
                return Ok(());
            }
            _ if element.kind == NULL => return Ok(()),
            _ => {}
        }
        self.text.clear();
        let value = &self.input[element.value..element.end];
        let form = read(element.kind, value, self.text).ok_or(BROKEN)?;
        if self.text.is_empty() {
            return Ok(());
        }
        self.made.clear();
        self.records.enter(self.actions, by::BSON, self.input, path, element.value);
        let outcome = match self.actions.get_mut(path) {
            Some(Action::Leaf(masker) | Action::Whole(masker)) => {
                masker.apply(self.text, form, self.made)
            }
            Some(Action::Json(rewriter)) if form == Form::Text => {
                match rewriter.rewrite(self.text, self.made) {
                    Ok(()) => Ok(Outcome::Wrote(Wrote::Same)),
                    Err(problem) => return Err(problem.below(&self.path())),
                }
            }
            Some(Action::Json(_)) => Err(Mismatch("it is not text that holds JSON")),
            _ => Err(Mismatch("this rule is not for documents")),
        };
        outcome
            .and_then(|outcome| self.emit(element, outcome))
            .map_err(|mismatch| self.mismatch(path, mismatch))
    }

    fn emit(&mut self, element: Element, outcome: Outcome) -> Result<(), Mismatch> {
        let Outcome::Wrote(wrote) = outcome else {
            self.null(element);
            return Ok(());
        };
        let text = std::str::from_utf8(self.made).map_err(|_| FIT)?;
        let kind = match wrote {
            Wrote::Same => element.kind,
            Wrote::Text => STRING,
            Wrote::Integer if text.parse::<i32>().is_ok() => INT32,
            Wrote::Integer => INT64,
            Wrote::Float => DOUBLE,
            Wrote::Bool => BOOL,
        };
        if kind == element.kind {
            self.out.extend_from_slice(&self.input[self.copied..element.value]);
        } else {
            self.out.extend_from_slice(&self.input[self.copied..element.start]);
            self.out.push(kind);
            self.out.extend_from_slice(&self.input[element.name.0..element.value]);
        }
        self.copied = element.end;
        let subtype = self.input.get(element.value + 4).copied().unwrap_or(0);
        write(kind, subtype, text, self.out).ok_or(FIT)
    }

    fn mismatch(&self, path: usize, mismatch: Mismatch) -> Problem {
        let masker = self.actions.get(path).and_then(Action::masker);
        let at = masker.map(|masker| masker.at().clone());
        Problem::Mismatch { path: self.path(), at, reason: mismatch.0 }
    }
}

const FIT: Mismatch = Mismatch("the new value does not fit the type");

#[cfg(test)]
#[path = "bson_tests.rs"]
mod tests;
