//! What tells records apart, for values that are drawn per record: the field that `by` names, or
//! the record's own identity.
//!
//! A `by` that begins with `$` is a path of the JSON value that holds the drawn one; any other is
//! a path of the MongoDB document, a column of the row or a field of the hash around it. Inside
//! an array the path leads through the same element.

use std::borrow::Cow;

use super::action::{Action, Masker};

use super::bsonvalue::{self, ARRAY, NULL, OBJECT};
use super::jsontext;
use super::paths::{PathPattern, Step};
use crate::error::{Error, Result};

/// The fields of `by` in the rules of one kind of document.
#[derive(Debug, Clone, Default)]
pub(crate) struct Records(Vec<Drawn>);

/// One field for one path's transformers.
#[derive(Debug, Clone)]
struct Drawn {
    action: usize,
    /// Nothing where the record's own identity tells it apart.
    field: Option<(String, Vec<Step>)>,
    /// Whether it depends on the element of an array.
    relative: bool,
    /// Whether it is a path of a JSON value.
    json: bool,
}

impl Records {
    /// Finds the transformers that draw per record.
    pub(crate) fn new(actions: &mut [Action]) -> Result<Self> {
        let mut records = Self::default();
        for (index, action) in actions.iter_mut().enumerate() {
            let nested = matches!(action, Action::Json(_));
            let mut failed = Ok(());
            action.each_masker(&mut |masker| {
                if let Err(error) = records.note(index, nested, masker) {
                    failed = Err(error);
                }
            });
            failed?;
        }
        Ok(records)
    }

    fn note(&mut self, action: usize, nested: bool, masker: &Masker) -> Result<()> {
        if !masker.needs_record() {
            return Ok(());
        }
        let Some(by) = masker.by() else {
            self.0.push(Drawn { action, field: None, relative: false, json: false });
            return Ok(());
        };
        let json = by.field.starts_with('$');
        if json && nested {
            // The JSON value inside sees to it; here it has the record's own identity alone.
            self.0.push(Drawn { action, field: None, relative: false, json: false });
            return Ok(());
        }
        let parsed =
            if json { PathPattern::json(&by.field) } else { PathPattern::mongodb(&by.field) };
        let steps = parsed.map(|path| path.steps).and_then(|steps| {
            let known = |step: &Step| matches!(step, Step::Key(_) | Step::Element);
            let plain = !steps.is_empty() && steps.iter().all(known);
            plain.then_some(steps).ok_or_else(|| "it must lead to one field".to_owned())
        });
        // A column or a hash field may be called what no path is; they are judged elsewhere.
        let steps = match steps {
            Ok(steps) => steps,
            Err(reason) if json => {
                let at = masker.at();
                return Err(Error::usage(format!("{at}: `by = \"{}\"`: {reason}", by.field)));
            }
            Err(_) => vec![Step::Key(by.field.clone())],
        };
        let relative = steps.contains(&Step::Element);
        self.0.push(Drawn { action, field: Some((by.field.clone(), steps)), relative, json });
        Ok(())
    }

    /// Begins a document: its own identity, where it has one, and the fields that are the same
    /// for all of it.
    pub(crate) fn begin(&self, actions: &mut [Action], tree: Tree, input: &[u8]) {
        if self.0.is_empty() {
            return;
        }
        let identity = if tree.json { None } else { id(tree, input) };
        for drawn in &self.0 {
            let Some(action) = actions.get_mut(drawn.action) else { continue };
            if let Some(identity) = &identity {
                action.each_masker(&mut |masker| masker.own_record(identity));
            }
        }
        for drawn in self.0.iter().filter(|drawn| !drawn.relative && tree.sees(drawn)) {
            drawn.tell(actions, tree, input, 0);
        }
        for drawn in self.0.iter().filter(|drawn| drawn.relative && tree.sees(drawn)) {
            drawn.each(actions, |masker| masker.record_in(None, usize::MAX - 1));
        }
    }

    /// Comes to a value at `offset` that the action `path` decides about.
    pub(crate) fn enter(
        &self,
        actions: &mut [Action],
        tree: Tree,
        input: &[u8],
        path: usize,
        offset: usize,
    ) {
        for drawn in &self.0 {
            if drawn.relative && drawn.action == path && tree.sees(drawn) {
                drawn.tell(actions, tree, input, offset);
            }
        }
    }
}

impl Drawn {
    /// Calls `visit` for the transformers that this field is for.
    fn each(&self, actions: &mut [Action], mut visit: impl FnMut(&mut Masker)) {
        let (Some((field, _)), Some(action)) = (&self.field, actions.get_mut(self.action)) else {
            return;
        };
        action.each_masker(&mut |masker| {
            if masker.by().is_some_and(|by| by.field == *field) {
                visit(masker);
            }
        });
    }

    /// Looks the field up and tells the transformers.
    fn tell(&self, actions: &mut [Action], tree: Tree, input: &[u8], offset: usize) {
        let Some((_, steps)) = &self.field else { return };
        let (found, unit) = find(tree, input, steps, offset);
        let mut text = Vec::new();
        let by = found.and_then(|found| (tree.text)(input, found, &mut text)).map(|()| text);
        let by = by.as_deref().filter(|by| !by.is_empty());
        if self.relative {
            self.each(actions, |masker| masker.record_in(by, unit));
        } else if let Some(by) = by {
            self.each(actions, |masker| masker.record(by));
        } else {
            self.each(actions, |masker| masker.record_in(None, unit));
        }
    }
}

/// A value inside a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    kind: u8,
    start: usize,
    end: usize,
}

/// What looks at a part and its name; says whether it is content.
type Visit<'a> = dyn FnMut(Option<&[u8]>, Node) -> bool + 'a;

/// How the parts of a document are found.
#[derive(Clone, Copy)]
pub(crate) struct Tree {
    json: bool,
    root: fn(&[u8]) -> Node,
    /// Calls the function for each part, with its name unless it is an element, until it is
    /// content.
    parts: fn(&[u8], Node, &mut Visit<'_>) -> Option<()>,
    /// Writes the text of a scalar that is not null.
    text: fn(&[u8], Node, &mut Vec<u8>) -> Option<()>,
}

impl Tree {
    /// Whether a field is one of this document and not of what is around it.
    fn sees(self, drawn: &Drawn) -> bool {
        drawn.json || !self.json
    }
}

/// Follows a path; at an array into the element that holds `offset`. Says too where the
/// innermost of those elements begins.
fn find(tree: Tree, input: &[u8], steps: &[Step], offset: usize) -> (Option<Node>, usize) {
    let mut node = (tree.root)(input);
    let mut unit = node.start;
    for step in steps {
        let mut next = None;
        let whole = (tree.parts)(input, node, &mut |name, part| {
            let here = match (step, name) {
                (Step::Key(key), Some(name)) => key.as_bytes() == name,
                (Step::Element, None) => (part.start..part.end).contains(&offset),
                _ => false,
            };
            next = here.then_some(part);
            here
        });
        let (Some(part), Some(())) = (next, whole) else { return (None, unit) };
        if *step == Step::Element {
            unit = part.start;
        }
        node = part;
    }
    (Some(node), unit)
}

/// The identity of a MongoDB document.
fn id(tree: Tree, input: &[u8]) -> Option<Vec<u8>> {
    let (found, _) = find(tree, input, &[Step::Key("_id".to_owned())], 0);
    let node = found?;
    let mut text = vec![node.kind];
    if (tree.text)(input, node, &mut text).is_none() {
        text.extend_from_slice(input.get(node.start..node.end)?);
    }
    Some(text)
}

/// BSON.
pub(crate) const BSON: Tree = Tree {
    json: false,
    root: |input| Node { kind: OBJECT, start: 0, end: input.len() },
    parts: |input, node, visit| {
        if !matches!(node.kind, OBJECT | ARRAY) {
            return Some(());
        }
        let (mut at, limit) = (node.start + 4, node.end.checked_sub(1)?);
        while at < limit {
            let element = bsonvalue::element(input, at, limit).ok()?;
            at = element.end;
            let name = input.get(element.name.0..element.name.1)?;
            let name = (node.kind == OBJECT).then_some(name);
            let part = Node { kind: element.kind, start: element.value, end: element.end };
            if visit(name, part) {
                break;
            }
        }
        Some(())
    },
    text: |input, node, out| {
        if matches!(node.kind, OBJECT | ARRAY | NULL) {
            return None;
        }
        bsonvalue::read(node.kind, input.get(node.start..node.end)?, out).map(drop)
    },
};

/// JSON text.
pub(crate) const JSON: Tree = Tree {
    json: true,
    root: |input| Node { kind: 0, start: space(input, 0), end: input.len() },
    parts: |input, node, visit| {
        let close = match input.get(node.start)? {
            b'{' => b'}',
            b'[' => b']',
            _ => return Some(()),
        };
        let mut at = space(input, node.start + 1);
        while *input.get(at)? != close {
            let mut name = None;
            if close == b'}' {
                let end = skip(input, at)?;
                name = Some(plain(input.get(at + 1..end.checked_sub(1)?)?)?);
                at = space(input, space(input, end) + 1);
            }
            let end = skip(input, at)?;
            if visit(name.as_deref(), Node { kind: 0, start: at, end }) {
                break;
            }
            at = space(input, end);
            if input.get(at) == Some(&b',') {
                at = space(input, at + 1);
            }
        }
        Some(())
    },
    text: |input, node, out| {
        let raw = input.get(node.start..node.end)?;
        match raw.first()? {
            b'{' | b'[' | b'n' => return None,
            b'"' => out.extend_from_slice(&plain(raw.get(1..raw.len() - 1)?)?),
            b't' | b'f' => out.extend_from_slice(&raw[..1]),
            _ => out.extend_from_slice(raw.trim_ascii_end()),
        }
        Some(())
    },
};

/// What stands between the quotes of a JSON string.
fn plain(raw: &[u8]) -> Option<Cow<'_, [u8]>> {
    if memchr::memchr(b'\\', raw).is_none() {
        return Some(Cow::Borrowed(raw));
    }
    let mut out = Vec::new();
    jsontext::unescape(raw, &mut out).ok()?;
    Some(Cow::Owned(out))
}

fn space(input: &[u8], mut at: usize) -> usize {
    while matches!(input.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Where the JSON value ends that begins at `at`; what is no JSON is found by the rewriter.
fn skip(input: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0usize;
    loop {
        at += match *input.get(at)? {
            b'"' => string(input.get(at..)?)?,
            b'{' | b'[' => {
                depth += 1;
                1
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                1
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => 1,
            _ => {
                let rest = input.get(at..)?;
                let ends = |byte: &u8| b",:]} \t\n\r".contains(byte);
                rest.iter().position(ends).unwrap_or(rest.len())
            }
        };
        if depth == 0 {
            return Some(at);
        }
    }
}

/// The length of the JSON string that a text begins with, quotes and all.
fn string(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        let found = memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        at += found + 1;
        if text.get(at - 1) == Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
#[path = "by_tests.rs"]
mod tests;
