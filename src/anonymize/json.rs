//! JSON text, rewritten in one pass: what no rule changes is copied as it stands, byte by byte.

use super::action::{Action, Masker, Outcome};
use super::by::{self, Records};
use super::document::{Document, Fate, Layout, Ruling};
use super::forms::Form;
use super::json_scan::Scan;
use super::json_walk::{Buffers, Walk, emit};
use super::location::Location;
use super::problem::Problem;
use super::pseudonym::Key;
use super::rules::{JsonRule, OnError};
use super::transformers::{Mismatch, Wrote};
use crate::error::Result;

/// Rewrites JSON texts by paths.
#[derive(Clone)]
pub(crate) struct JsonRewriter {
    document: Document,
    on_error: OnError,
    at: Location,
    buffers: Buffers,
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
        let mut walk = Walk {
            scan: Scan { input, at: 0 },
            copied: 0,
            out,
            layout,
            actions,
            names,
            records,
            buffers,
        };
        let start = layout.automaton.start();
        let ruling = layout.rule(start, (0, 0), Ruling::default());
        walk.value(start, ruling, layout.fate(start, ruling), 0)?;
        walk.scan.space();
        if walk.scan.at != input.len() {
            return Err(Problem::Broken("there is more after the end of the JSON value"));
        }
        walk.flush(input.len());
        Ok(())
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
