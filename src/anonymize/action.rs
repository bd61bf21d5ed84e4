//! What happens at a place: a rule, compiled with the key.

use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::json::JsonRewriter;
use super::pseudonym::{Digest, Domain, Key, Keyed};
use super::recent::{Recent, SLOTS};
use super::rules::{Location, OnError, Rule, Spec};
use super::transformers::redact::neutral;
use super::transformers::{Effect, Form, Length, Mismatch, Transformer, Value, Wrote};
use crate::error::{Error, Result};

/// What happens at a place. Cloning gives an independent worker with caches of its own.
#[derive(Clone)]
pub(crate) enum Action {
    /// The value passes.
    Keep,
    /// It becomes null.
    Null,
    /// It goes.
    Drop,
    /// It is replaced, whatever it is.
    Whole(Masker),
    /// It is replaced if it is a scalar, else each scalar below.
    Leaf(Masker),
    /// It is text that holds JSON.
    Json(Box<JsonRewriter>),
    /// It is a Postgres array, and this happens to its elements.
    Each(Box<Action>),
}

/// The place that a rule is compiled for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    /// What no other place is called: pseudonyms without a link belong to it alone.
    pub(crate) place: &'a str,
    /// The most characters that it holds.
    pub(crate) room: Option<usize>,
}

impl Action {
    /// Compiles a rule for a place. What nobody has decided about has no action.
    pub(crate) fn compile(rule: &Rule, key: &Key, site: Site<'_>) -> Result<Self> {
        match rule {
            Rule::Use(spec) => Ok(match spec.definition.effect {
                Effect::Keep => Self::Keep,
                Effect::Null => Self::Null,
                Effect::Drop => Self::Drop,
                Effect::Whole => Self::Whole(Masker::new(spec, key, site)?),
                Effect::Leaf => Self::Leaf(Masker::new(spec, key, site)?),
            }),
            Rule::Json(json) => Ok(Self::Json(Box::new(JsonRewriter::new(json, key, site.place)?))),
            Rule::Each(element) => Ok(Self::Each(Box::new(Self::compile(element, key, site)?))),
            Rule::Undecided(at) => Err(Error::findings(format!("{at}: \"?\" decides nothing"))),
        }
    }

    /// The transformer at work, where there is one.
    pub(crate) fn masker(&self) -> Option<&Masker> {
        match self {
            Self::Whole(masker) | Self::Leaf(masker) => Some(masker),
            Self::Each(element) => element.masker(),
            _ => None,
        }
    }
}

/// What came of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A new value was written.
    Wrote(Wrote),
    /// The value becomes null, because a transformer could not handle it and the rule says so.
    Null,
}

/// A transformer with its key and its memory.
#[derive(Clone)]
pub(crate) struct Masker {
    transformer: Arc<dyn Transformer>,
    keyed: Option<Keyed>,
    on_error: OnError,
    room: Option<usize>,
    at: Location,
    scratch: String,
    recent: Recent,
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masker({})", self.at)
    }
}

impl Masker {
    /// Compiles a rule. A linked rule does not adapt to the room of its place: every place of
    /// the link must get the same value.
    pub(crate) fn new(spec: &Spec, key: &Key, site: Site<'_>) -> Result<Self> {
        let room = site.room;
        let adapts = if spec.link.is_none() { room } else { None };
        let transformer = spec.build(adapts)?;
        let domain = match &spec.link {
            Some(link) => Domain::Link(link.clone()),
            None => Domain::Place(site.place.to_owned()),
        };
        Ok(Self {
            transformer: Arc::from(transformer),
            keyed: spec.definition.keyed.then(|| key.domain(&domain)),
            on_error: spec.on_error,
            room,
            at: spec.at.clone(),
            scratch: String::new(),
            recent: Recent::default(),
        })
    }

    /// The rule's place in its file.
    pub(crate) fn at(&self) -> &Location {
        &self.at
    }

    /// Whether it can replace a value of this form.
    pub(crate) fn accepts(&self, form: Form) -> bool {
        self.transformer.accepts(form)
    }

    /// The longest text it writes.
    pub(crate) fn longest(&self) -> Length {
        self.transformer.longest()
    }

    /// Whether different originals stay different.
    pub(crate) fn injective(&self) -> bool {
        self.transformer.injective()
    }

    /// Writes the new value of `original` behind what `out` holds; an empty one stays empty.
    pub(crate) fn apply(
        &mut self,
        original: &[u8],
        form: Form,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Mismatch> {
        if original.is_empty() {
            return Ok(Outcome::Wrote(Wrote::Same));
        }
        let start = out.len();
        let mismatch = match self.write(original, form, out) {
            Ok(wrote) => return Ok(Outcome::Wrote(wrote)),
            Err(mismatch) => mismatch,
        };
        out.truncate(start);
        match self.on_error {
            OnError::Fail => Err(mismatch),
            OnError::Null => Ok(Outcome::Null),
            OnError::Redact => neutral(form, self.room, out).map(Outcome::Wrote),
        }
    }

    fn write(&mut self, original: &[u8], form: Form, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        if !self.transformer.accepts(form) && !self.transformer.retypes() {
            return Err(Mismatch("it is of a type that the transformer does not take"));
        }
        let Some(keyed) = &self.keyed else {
            let text = as_text(original)?;
            return self.transformer.write(&Value { text, form, digest: &[0; 32] }, out);
        };
        let remembers = self.recent.wants(original);
        let index = if remembers { xxh3_64(original) as usize % SLOTS } else { 0 };
        if remembers && let Some(slot) = self.recent.find(index, original, form) {
            out.extend_from_slice(&slot.pseudonym);
            return Ok(slot.wrote);
        }
        let text = as_text(original)?;
        self.scratch.clear();
        let normalized = self.transformer.normalize(text, form, &mut self.scratch)?;
        let digest: Digest = keyed.digest(normalized.as_bytes());
        let start = out.len();
        let wrote = self.transformer.write(&Value { text, form, digest: &digest }, out)?;
        if remembers {
            self.recent.keep(index, original, form, wrote, &out[start..]);
        }
        Ok(wrote)
    }
}

fn as_text(bytes: &[u8]) -> Result<&str, Mismatch> {
    std::str::from_utf8(bytes).map_err(|_| Mismatch("it is not valid UTF-8"))
}

/// Why a document or value could not be cleared. Paths are shapes: parts that look like data
/// are left out of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Problem {
    /// No rule covers this path.
    Uncovered {
        /// The path, empty for the value as a whole.
        path: String,
    },
    /// The rule there cannot handle the value.
    Mismatch {
        /// The path, empty for the value as a whole.
        path: String,
        /// The rule, where it is known.
        at: Option<Location>,
        /// Why.
        reason: &'static str,
    },
    /// The bytes are not what they should be.
    Broken(&'static str),
}

impl Problem {
    /// The error for a place such as "column `email` of `public.users`".
    pub(crate) fn into_error(self, place: &str, paste: impl FnOnce(&str) -> String) -> Error {
        match self {
            Self::Uncovered { path } => {
                let what = if path.is_empty() { String::new() } else { format!("`{path}` of ") };
                Error::findings(format!("no rule covers {what}{place}")).hint(paste(&path))
            }
            Self::Mismatch { path, at, reason } => {
                let what = if path.is_empty() { String::new() } else { format!("`{path}` of ") };
                let rule = at.map_or(String::new(), |at| format!("the rule at {at} "));
                Error::failed(format!("{rule}cannot replace a value in {what}{place}: {reason}"))
                    .hint("another transformer may fit it, or on_error = \"redact\"")
            }
            Self::Broken(reason) => {
                Error::failed(format!("a value in {place} cannot be read: {reason}"))
            }
        }
    }

    /// The same problem below a path.
    pub(crate) fn below(self, outer: &str) -> Self {
        let join = |path: String| {
            let path = path.strip_prefix('$').unwrap_or(&path).to_owned();
            format!("{outer}{path}")
        };
        match self {
            Self::Uncovered { path } => Self::Uncovered { path: join(path) },
            Self::Mismatch { path, at, reason } => Self::Mismatch { path: join(path), at, reason },
            broken => broken,
        }
    }
}
