//! The rules of one collection, laid over it.

use super::coverage::{Entry, Verdict};
use super::document::Document;
use super::rules::PathRule;
use crate::terms::StoreKind;

/// The rules of one collection.
pub(crate) struct CollectionPlan {
    pub(crate) name: String,
    pub(crate) document: Option<Document>,
    /// The paths of its unique indexes.
    pub(crate) unique: Vec<Vec<String>>,
    pub(crate) paths: Vec<PathRule>,
}

/// What is said about a path of a collection.
pub(crate) fn entry(
    collection: &str,
    item: &str,
    verdict: Verdict,
    path: Option<&PathRule>,
) -> Entry {
    Entry {
        store: StoreKind::Mongodb,
        place: collection.to_owned(),
        item: item.to_owned(),
        verdict,
        rule: path.map(|path| path.rule.to_string()),
        at: path.map(|path| path.at.clone()),
        starred: false,
    }
}
