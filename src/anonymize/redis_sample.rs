//! Looks at sampled keys for `rules check`; fields are judged by a snapshot.

use std::collections::BTreeMap;

use super::coverage::{Coverage, Entry, Verdict};
use super::redis_plan::{Body, RedisPlan, find, kind_word, told, type_index};
use crate::pipeline::transform::KeyKind;
use crate::terms::StoreKind;

/// Collects which keys there are and what the rules say about each kind of them.
pub struct KeyObserver<'a> {
    plan: &'a RedisPlan,
    seen: BTreeMap<(String, KeyKind), (Verdict, Option<usize>)>,
}

/// The most shapes of keys that are told apart.
const MAX_SHAPES: usize = 10_000;

impl<'a> KeyObserver<'a> {
    /// Looks at keys under `plan`.
    pub(super) fn new(plan: &'a RedisPlan) -> Self {
        Self { plan, seen: BTreeMap::new() }
    }

    /// Looks at a key; nothing but its shape is kept. What its section leaves open about names
    /// is told by the plan's own coverage.
    pub fn observe(&mut self, key: &[u8], kind: KeyKind) {
        let index = find(&self.plan.sections, key);
        let section = index.and_then(|index| self.plan.sections.get(index));
        let verdict = match section.map(|section| &section.body) {
            Some(Body::Keep) => Verdict::Kept,
            Some(Body::Drop) => Verdict::Masked,
            Some(Body::Types(_)) if section.and_then(|s| type_index(s, kind)).is_some() => {
                Verdict::Masked
            }
            _ => Verdict::Uncovered,
        };
        let name = match section {
            Some(section) if verdict != Verdict::Uncovered => section.header.clone(),
            _ => told(&self.plan.sections, key),
        };
        let full = self.seen.len() >= MAX_SHAPES;
        let name = if full && !self.seen.contains_key(&(name.clone(), kind)) {
            "(more keys)".to_owned()
        } else {
            name
        };
        let known = self.seen.entry((name, kind)).or_insert((verdict, index));
        if verdict > known.0 {
            *known = (verdict, index);
        }
    }

    /// What was seen.
    pub fn finish(self) -> Coverage {
        let entries = self.seen.iter().map(|((name, kind), (verdict, index))| {
            let section = index.and_then(|index| self.plan.sections.get(index));
            Entry {
                store: StoreKind::Redis,
                place: name.clone(),
                item: kind_word(*kind).to_owned(),
                verdict: *verdict,
                rule: None,
                at: section.map(|section| section.at.clone()),
                starred: false,
            }
        });
        Coverage { entries: entries.collect(), ..Coverage::default() }
    }
}
