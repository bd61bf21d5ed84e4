//! What happens at a place: a rule, compiled with the key.

use std::collections::BTreeMap;

use super::json::JsonRewriter;
use super::location::Location;
use super::masker::Site;
pub(crate) use super::masker::{Masker, Outcome};
use super::pseudonym::Key;
use super::rules::{OnError, Rule, Spec};
use super::transformers;
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

impl Action {
    /// Compiles a rule for a place. What nobody has decided about has no action.
    pub(crate) fn compile(rule: &Rule, key: &Key, site: Site<'_>) -> Result<Self> {
        match rule {
            Rule::Use(spec) => Ok(match spec.definition.effect {
                Effect::Keep => Self::Keep,
                Effect::Null => Self::Null,
                Effect::Drop => Self::Drop,
                Effect::Whole(_) => Self::Whole(Masker::new(spec, key, site)?),
                Effect::Leaf(_) => Self::Leaf(Masker::new(spec, key, site)?),
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
    let Some((definition, _)) = transformers::find("constant") else {
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
