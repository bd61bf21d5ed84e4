//! What happens at a place: a rule, compiled with the key.

use super::json::JsonRewriter;
pub(crate) use super::masker::{Masker, Outcome};
use super::pseudonym::Key;
use super::rules::{Location, Rule};
use super::transformers::Effect;
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

    /// Calls `visit` for every transformer in it.
    pub(crate) fn each_masker(&mut self, visit: &mut dyn FnMut(&mut Masker)) {
        match self {
            Self::Whole(masker) | Self::Leaf(masker) => visit(masker),
            Self::Each(element) => element.each_masker(visit),
            Self::Json(rewriter) => rewriter.each_masker(visit),
            Self::Keep | Self::Null | Self::Drop => {}
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
