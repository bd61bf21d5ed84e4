//! The rules of a Redis index: sections of key patterns, and what happens to each kind of value.

use super::action::{Action, Masker};
use super::coverage::{Coverage, Entry, Verdict};
use super::location::Location;
use super::pattern::{Pattern, key_shape};
use crate::pipeline::transform::KeyKind;
use crate::terms::StoreKind;

/// The place under which functions are told.
pub(crate) const FUNCTIONS: &str = ":functions";

/// The rules of a Redis index.
pub struct RedisPlan {
    pub(super) sections: Vec<Section>,
    pub(super) coverage: Coverage,
    pub(super) keep_functions: bool,
}

#[derive(Clone)]
pub(super) struct Section {
    pub(super) header: String,
    pub(super) pattern: Pattern,
    pub(super) at: Location,
    /// What becomes of the texts that links and stars of the key stand for, in order.
    /// `None` where nobody has decided.
    pub(super) wild: Vec<Option<Name>>,
    pub(super) body: Body,
}

#[derive(Clone)]
pub(super) enum Body {
    Keep,
    Drop,
    Types(Vec<Type>),
}

/// What happens to the keys of one kind.
#[derive(Clone)]
pub(super) struct Type {
    pub(super) kind: KeyKind,
    pub(super) fields: Vec<Field>,
    /// Sorted sets: what happens to the scores.
    pub(super) score: Option<Masker>,
    /// Streams: what becomes of the names of groups and consumers, where that is decided.
    pub(super) groups: Option<Name>,
    /// Whether everything of such a key but its name stays as it is.
    pub(super) kept: bool,
    /// The fields that rules tell records apart by, each with its value in the current record.
    pub(super) by: Vec<(String, Option<Vec<u8>>)>,
}

/// A rule for the fields that match; a value without fields has one whose pattern is empty.
#[derive(Clone)]
pub(super) struct Field {
    pub(super) pattern: Pattern,
    pub(super) at: Location,
    pub(super) action: Action,
    pub(super) names: Name,
    /// Whether values are drawn per record.
    pub(super) draws: bool,
    /// The fields whose values tell its records apart.
    pub(super) by: Vec<String>,
}

/// What becomes of a name.
#[derive(Clone)]
pub(super) enum Name {
    Keep,
    Mask(Box<Masker>),
}

/// The word that rules use for a kind of value.
pub(crate) fn kind_word(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::String => "string",
        KeyKind::List => "list",
        KeyKind::Set => "set",
        KeyKind::SortedSet => "zset",
        KeyKind::Hash => "hash",
        KeyKind::Stream => "stream",
    }
}

/// The entry for functions that the rules leave out.
pub(crate) fn functions_left_out() -> Entry {
    Entry {
        store: StoreKind::Redis,
        place: FUNCTIONS.to_owned(),
        item: String::new(),
        verdict: Verdict::Masked,
        rule: Some("drop".to_owned()),
        at: None,
        starred: false,
    }
}

/// The section that decides about a key.
pub(super) fn find(sections: &[Section], key: &[u8]) -> Option<usize> {
    sections.iter().position(|section| section.pattern.matches(key))
}

pub(super) fn type_index(section: &Section, kind: KeyKind) -> Option<usize> {
    match &section.body {
        Body::Types(types) => types.iter().position(|known| known.kind == kind),
        _ => None,
    }
}

/// A key for messages: what of it no rule says itself may be data.
pub(super) fn told(sections: &[Section], key: &[u8]) -> String {
    key_shape(key, |part| sections.iter().any(|section| section.pattern.names(part)))
}
