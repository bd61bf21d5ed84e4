//! What happens at a place: a rule, compiled with the key.

use std::collections::BTreeMap;

use super::json::JsonRewriter;
pub(crate) use super::masker::{Masker, Outcome};
use super::pseudonym::Key;
use super::registry;
use super::route::{Part, Route};
use super::rules::{Location, OnError, Rule, Spec};
use super::transformers::{Effect, Literal};
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
    /// Nobody has decided: the place counts as uncovered.
    Undecided,
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
            Self::Keep | Self::Null | Self::Drop | Self::Undecided => {}
        }
    }

    /// Turns it into what a preview does: what is kept shows as `‹kept›`.
    pub(crate) fn preview(&mut self, key: &Key) -> Result<()> {
        match self {
            Self::Keep => *self = Self::Whole(kept(key)?),
            Self::Json(rewriter) => rewriter.preview(key)?,
            Self::Each(element) => element.preview(key)?,
            _ => {}
        }
        Ok(())
    }

    /// Where its rule stands, if it can fail.
    pub(crate) fn at(&self) -> Option<&Location> {
        match self {
            Self::Json(rewriter) => Some(rewriter.at()),
            action => action.masker().map(Masker::at),
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

/// What writes the sign of a value that is kept.
fn kept(key: &Key) -> Result<Masker> {
    let Some((definition, _)) = registry::find("constant") else {
        return Err(Error::failed("there is no transformer `constant`"));
    };
    let value = ("value".to_owned(), Literal::Text(KEPT.to_owned()));
    let spec = Spec {
        definition,
        literals: BTreeMap::from([value]),
        link: None,
        by: None,
        unique: false,
        on_error: OnError::Fail,
        at: Location::new("preview", 1),
    };
    Masker::new(&spec, key, Site { place: "preview", room: None })
}

/// What a preview shows for a value that a rule keeps.
pub(crate) const KEPT: &str = "\u{2039}kept\u{203a}";

/// Why a document or value could not be cleared. Paths are shapes: parts that may be data are
/// left out of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Problem {
    /// No rule covers this path.
    Uncovered {
        /// The path, empty for the value as a whole.
        path: String,
    },
    /// No rule says what becomes of the names of the fields at this path.
    Names {
        /// The path of the object.
        path: String,
    },
    /// Two names of one object become equal.
    SameName {
        /// The path of the object.
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
    /// One of these, whose path is the route.
    Within(Box<(Route, Self)>),
}

impl Problem {
    /// The problem at a place of a document.
    pub(crate) fn at(self, route: Route) -> Self {
        match self {
            Self::Within(inner) => Self::Within(Box::new((route.join(inner.0), inner.1))),
            problem => Self::Within(Box::new((route, problem))),
        }
    }

    /// The problem with its path as text; `frequent` says whether so many documents have the
    /// field to which a route leads that its name is none of their data.
    pub(crate) fn told(self, frequent: &dyn Fn(&[Part]) -> bool) -> Self {
        let Self::Within(within) = self else { return self };
        let (route, problem) = *within;
        let path = route.show(frequent);
        match problem {
            Self::Uncovered { .. } => Self::Uncovered { path },
            Self::Names { .. } => Self::Names { path },
            Self::SameName { .. } => Self::SameName { path },
            Self::Mismatch { at, reason, .. } => Self::Mismatch { path, at, reason },
            other => other,
        }
    }

    /// The error for a place such as "column `email` of `public.users`".
    pub(crate) fn into_error(self, place: &str, paste: impl FnOnce(&str) -> String) -> Error {
        let of = |path: &str| {
            if path.is_empty() { String::new() } else { format!("`{path}` of ") }
        };
        match self.told(&|_| false) {
            Self::Uncovered { path } => {
                Error::findings(format!("no rule covers {}{place}", of(&path))).hint(paste(&path))
            }
            Self::Names { path } => {
                let what = of(&path);
                Error::findings(format!("no rule decides about names of fields in {what}{place}"))
                    .hint(
                        "names are data too: spell them out, or say what becomes of them in the \
                         rule that covers them, such as { use = …, names = \"hash\" } or names = \
                         \"keep\"",
                    )
            }
            Self::SameName { path } => {
                Error::failed(format!("two names of fields in {}{place} become equal", of(&path)))
                    .hint("names = \"hash\" keeps them apart")
            }
            Self::Mismatch { path, at, reason } => {
                let rule = at.map_or(String::new(), |at| format!("the rule at {at} "));
                let what = of(&path);
                Error::failed(format!("{rule}cannot replace a value in {what}{place}: {reason}"))
                    .hint("another transformer may fit it, or on_error = \"redact\"")
            }
            Self::Broken(reason) => {
                Error::failed(format!("a value in {place} cannot be read: {reason}"))
            }
            // What was told has no route any more.
            Self::Within(_) => Error::failed(format!("a value in {place} cannot be read")),
        }
    }
}
