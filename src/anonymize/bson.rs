//! BSON documents, rewritten in one pass: what no rule changes is copied as it stands, and the
//! lengths of the documents around a change are put right. Nothing is decoded into maps, so the
//! order of fields, duplicate names and every type survive (<https://bsonspec.org/spec.html>).

use super::action::{Action, Outcome};
use super::bsonvalue::Element;
use super::bsonvalue::document_end;
use super::bsonvalue::element;
use super::bsonvalue::{
    ARRAY, BOOL, DOUBLE, INT32, INT64, NULL, OBJECT, STRING, UNDEFINED, broken, neutral, read,
    write,
};
use super::by::{self, Records};
use super::document::{Document, Fate, Kind, Layout, MAX_DEPTH, Naming, Ruling, Trail};
use super::forms::Form;
use super::json_walk::new_name;
use super::problem::Problem;
use super::route::{Route, Style, show_name};
use super::seen::Seen;
use super::transformers::{Mismatch, Wrote};

/// Rewrites documents by paths.
#[derive(Clone)]
pub(crate) struct BsonRewriter {
    document: Document,
    buffers: Buffers,
}

#[derive(Clone, Default)]
struct Buffers {
    name: Vec<u8>,
    text: Vec<u8>,
    made: Vec<u8>,
    trail: Trail,
    seen: Seen,
}

impl BsonRewriter {
    /// With the rules of one collection.
    pub(crate) fn new(document: Document) -> Self {
        Self { document, buffers: Buffers::default() }
    }

    /// Writes the document that is all of `input`, with its values replaced, behind `out`.
    pub(crate) fn rewrite(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
        if document_end(input, 0, input.len())? != input.len() {
            return Err(broken().into());
        }
        let Document { layout, actions, names, records } = &mut self.document;
        let layout: &Layout = layout;
        self.buffers.trail.clear();
        self.buffers.seen.clear();
        let records: &Records = records;
        records.begin(actions, by::BSON, input);
        let buffers = &mut self.buffers;
        let mut walk = Walk { input, copied: 0, out, layout, actions, names, records, buffers };
        let state = layout.automaton.start();
        let place = Place { state, ruling: Ruling::default(), array: false, depth: 0 };
        walk.document(0, input.len(), place)?;
        walk.flush(input.len());
        Ok(())
    }
}

/// Where a document stands.
#[derive(Clone, Copy)]
struct Place {
    state: u32,
    ruling: Ruling,
    array: bool,
    depth: usize,
}

struct Walk<'a> {
    input: &'a [u8],
    /// What of the input is already in `out`, or cut.
    copied: usize,
    out: &'a mut Vec<u8>,
    layout: &'a Layout,
    actions: &'a mut [Action],
    records: &'a Records,
    names: &'a mut [Naming],
    buffers: &'a mut Buffers,
}

impl Walk<'_> {
    fn flush(&mut self, end: usize) {
        self.out.extend_from_slice(&self.input[self.copied..end]);
        self.copied = end;
    }

    fn route(&self) -> Route {
        let name = |(start, end)| self.input.get(start..end).unwrap_or_default().to_vec();
        self.buffers.trail.route(Style::Mongodb, name)
    }

    fn uncovered(&self) -> Problem {
        Problem::Uncovered { path: String::new() }.at(self.route())
    }

    fn document(&mut self, start: usize, end: usize, place: Place) -> Result<(), Problem> {
        if place.depth > MAX_DEPTH {
            return Err(Problem::Broken("it nests too deep"));
        }
        // Where the length will stand in `out` once everything before it has been copied.
        let header = self.out.len() + (start - self.copied);
        if place.array {
            self.elements(start, end, place)?;
        } else {
            self.fields(start, end, place)?;
        }
        if self.copied > start {
            self.flush(end);
            let length = i32::try_from(self.out.len() - header)
                .map_err(|_| Problem::Broken("it has grown beyond what BSON can hold"))?;
            self.out[header..header + 4].copy_from_slice(&length.to_le_bytes());
        }
        Ok(())
    }

    fn elements(&mut self, start: usize, end: usize, place: Place) -> Result<(), Problem> {
        let state = self.layout.automaton.element(place.state);
        let ruling = self.layout.rule(state, self.buffers.trail.name(), place.ruling);
        let fate = self.layout.fate(state, ruling);
        if fate == Fate::Keep {
            return Ok(());
        }
        self.buffers.trail.element();
        let mut at = start + 4;
        while at < end - 1 {
            let element = element(self.input, at, end - 1)?;
            match fate {
                // Elements cannot go: the others would change their places.
                Fate::Drop => self.null(element),
                Fate::Thin if !is_container(element.kind) => self.null(element),
                fate => self.value(element, state, ruling, fate, place.depth)?,
            }
            at = element.end;
        }
        self.buffers.trail.leave();
        Ok(())
    }

    fn fields(&mut self, start: usize, end: usize, place: Place) -> Result<(), Problem> {
        let naming = self.layout.naming(place.state, place.ruling);
        let masks =
            naming.is_some_and(|path| matches!(self.names.get(path), Some(Naming::Mask(_))));
        let seen = self.buffers.seen.begin();
        let mut at = start + 4;
        while at < end - 1 {
            let mut element = element(self.input, at, end - 1)?;
            at = element.end;
            let name = &self.input[element.name.0..element.name.1];
            let (state, spelled) = self.layout.automaton.field(place.state, name);
            let ruling = self.layout.rule(state, element.name, place.ruling);
            let fate = self.layout.fate(state, ruling);
            if fate == Fate::Drop || fate == Fate::Thin && !is_container(element.kind) {
                self.flush(element.start);
                self.copied = element.end;
                continue;
            }
            // Most fields of most documents.
            if fate == Fate::Keep && spelled && !masks {
                continue;
            }
            if !spelled {
                self.rename(&mut element, naming, fate)?;
            }
            if masks {
                let new = if element.head.is_some() { &self.buffers.name } else { name };
                self.buffers.seen.note(new, name);
            }
            self.buffers.trail.field(element.name, spelled);
            self.value(element, state, ruling, fate, place.depth)?;
            self.buffers.trail.leave();
        }
        if self.buffers.seen.clash(seen) {
            return Err(Problem::SameName { path: String::new() }.at(self.route()));
        }
        Ok(())
    }

    /// Does to a name that no rule spells out what the rules say.
    fn rename(
        &mut self,
        element: &mut Element,
        naming: Option<usize>,
        fate: Fate,
    ) -> Result<(), Problem> {
        let name = &self.input[element.name.0..element.name.1];
        self.buffers.name.clear();
        match naming.and_then(|path| self.names.get_mut(path)) {
            Some(Naming::Keep) => return Ok(()),
            Some(Naming::Mask(_)) if name.is_empty() => return Ok(()),
            Some(Naming::Mask(masker)) => {
                if let Err(problem) = new_name(masker, name, &mut self.buffers.name) {
                    return Err(problem.at(self.route()));
                }
            }
            Some(Naming::Shape) => {
                self.buffers.name.extend_from_slice(show_name(name, false, false).as_bytes());
            }
            // The value may have no rule either.
            Some(Naming::Unsaid) | None if fate == Fate::Uncovered => {
                self.buffers.trail.field(element.name, false);
                return Err(self.uncovered());
            }
            Some(Naming::Unsaid) | None => {
                return Err(Problem::Names { path: String::new() }.at(self.route()));
            }
        }
        self.flush(element.start);
        element.head = Some(self.out.len());
        self.out.push(element.kind);
        self.out.extend_from_slice(&self.buffers.name);
        self.out.push(0);
        self.copied = element.value;
        Ok(())
    }

    fn value(
        &mut self,
        element: Element,
        state: u32,
        ruling: Ruling,
        fate: Fate,
        depth: usize,
    ) -> Result<(), Problem> {
        let container = is_container(element.kind);
        match fate {
            Fate::Keep | Fate::Drop => Ok(()),
            Fate::Uncovered => Err(self.uncovered()),
            Fate::Null => {
                self.null(element);
                Ok(())
            }
            Fate::Whole(path) if container => self.whole(element, path),
            Fate::Json(path) if container => {
                Err(self.mismatch(path, Mismatch("it is not text that holds JSON")))
            }
            Fate::Descend | Fate::Thin if container => {
                let empty = element.end - element.value == 5;
                if empty && ruling.path.is_none() && !self.layout.automaton.on_the_way(state) {
                    return Err(self.uncovered());
                }
                let array = element.kind == ARRAY;
                let place = Place { state, ruling, array, depth: depth + 1 };
                self.document(element.value, element.end, place)
            }
            _ => self.scalar(element, ruling, state),
        }
    }

    fn null(&mut self, element: Element) {
        if element.kind != NULL {
            self.retype(element, NULL);
            self.copied = element.end;
        }
    }

    /// Copies up to the value, which is of another type now.
    fn retype(&mut self, element: Element, kind: u8) {
        if let Some(head) = element.head.and_then(|head| self.out.get_mut(head)) {
            *head = kind;
            return;
        }
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
        self.buffers.made.clear();
        let outcome = match self.actions.get_mut(path) {
            Some(Action::Whole(masker)) => masker.apply(b"x", form, &mut self.buffers.made),
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

    fn scalar(&mut self, element: Element, ruling: Ruling, state: u32) -> Result<(), Problem> {
        let nothing = matches!(element.kind, NULL | UNDEFINED);
        let decided = ruling.path.filter(|path| self.layout.kind(*path) != Kind::Undecided);
        let Some(path) = decided else {
            if nothing && self.layout.automaton.on_the_way(state) {
                return Ok(());
            }
            return Err(self.uncovered());
        };
        match self.layout.kind(path) {
            Kind::Keep | Kind::KeepValues => return Ok(()),
            Kind::Null => {
                self.null(element);
                return Ok(());
            }
            _ if nothing => return Ok(()),
            _ => {}
        }
        self.buffers.text.clear();
        let value = &self.input[element.value..element.end];
        let form = read(element.kind, value, &mut self.buffers.text).ok_or_else(broken)?;
        if self.buffers.text.is_empty() {
            return Ok(());
        }
        self.buffers.made.clear();
        self.records.enter(self.actions, by::BSON, self.input, path, element.value);
        match self.apply(path, ruling, form)? {
            Ok(outcome) => self.emit(element, outcome),
            Err(_) if form == Form::Other && self.layout.is_neutral(path) => {
                self.neutral(element);
                Ok(())
            }
            Err(mismatch) => Err(mismatch),
        }
        .map_err(|mismatch| self.mismatch(path, mismatch))
    }

    /// Writes the new value of the scalar that was read to its buffer.
    fn apply(
        &mut self,
        path: usize,
        ruling: Ruling,
        form: Form,
    ) -> Result<Result<Outcome, Mismatch>, Problem> {
        let Buffers { text, made, .. } = &mut *self.buffers;
        Ok(match self.actions.get_mut(path) {
            Some(Action::Leaf(masker) | Action::Whole(masker)) => {
                if self.layout.is_starred(path) {
                    let (start, end) = ruling.name;
                    masker.salt(self.input.get(start..end).unwrap_or_default());
                }
                masker.apply(text, form, made)
            }
            Some(Action::Json(rewriter)) if form == Form::Text => {
                match rewriter.rewrite_or_null(text, made) {
                    Err(Problem::Broken(reason)) => Err(Mismatch(reason)),
                    done => Ok(done.map_err(|problem| problem.at(self.route()))?),
                }
            }
            Some(Action::Json(_)) => Err(Mismatch("it is not text that holds JSON")),
            _ => Err(Mismatch("this rule is not for documents")),
        })
    }

    /// Writes the neutral value of a type that no transformer knows.
    fn neutral(&mut self, element: Element) {
        let Some(value) = neutral(element.kind) else { return self.null(element) };
        self.flush(element.value);
        self.out.extend_from_slice(value);
        self.copied = element.end;
    }

    fn emit(&mut self, element: Element, outcome: Outcome) -> Result<(), Mismatch> {
        let Outcome::Wrote(wrote) = outcome else {
            self.null(element);
            return Ok(());
        };
        let text = std::str::from_utf8(&self.buffers.made).map_err(|_| FIT)?;
        let kind = match wrote {
            Wrote::Same => element.kind,
            Wrote::Text => STRING,
            Wrote::Integer if text.parse::<i32>().is_ok() => INT32,
            Wrote::Integer => INT64,
            Wrote::Float => DOUBLE,
            Wrote::Bool => BOOL,
        };
        if kind == element.kind {
            self.flush(element.value);
        } else {
            self.retype(element, kind);
        }
        self.copied = element.end;
        let subtype = self.input.get(element.value + 4).copied().unwrap_or(0);
        let text = std::str::from_utf8(&self.buffers.made).map_err(|_| FIT)?;
        write(kind, subtype, text, self.out).ok_or(FIT)
    }

    fn mismatch(&self, path: usize, mismatch: Mismatch) -> Problem {
        let at = self.actions.get(path).and_then(Action::at).cloned();
        Problem::Mismatch { path: String::new(), at, reason: mismatch.0 }.at(self.route())
    }
}

fn is_container(kind: u8) -> bool {
    matches!(kind, OBJECT | ARRAY)
}

const FIT: Mismatch = Mismatch("the new value does not fit the type");

#[cfg(test)]
#[path = "bson_tests.rs"]
mod tests;
