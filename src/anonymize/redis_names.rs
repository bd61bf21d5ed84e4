//! What the rules decide about what is not a value: names and scores.

use std::collections::BTreeMap;

use super::location::Location;
use super::pattern::Pattern;
use super::rules::{NameRule, OnError, RedisBody, RedisSection, Rule, Spec, TypeRules};
use super::transformers;
use super::transformers::Effect;
use crate::pipeline::transform::KeyKind;

/// What is decided about a name or a score.
pub(super) enum Decision {
    /// It needs none: the rules say it themselves, or nothing of it remains.
    SpelledOut,
    /// It stays, by the rule there.
    Keep(Location),
    /// It is replaced.
    Use(Spec),
    /// Nobody has decided.
    Undecided,
}

/// What the rules of a section do to values, as far as names depend on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Keep,
    Whole,
    Drop,
    Other,
}

fn fate(rule: &Rule) -> Fate {
    match rule {
        Rule::Use(spec) => match spec.definition.effect {
            Effect::Keep => Fate::Keep,
            Effect::Whole(_) => Fate::Whole,
            Effect::Drop => Fate::Drop,
            _ => Fate::Other,
        },
        // A json rule that only keeps may still leave something uncovered.
        _ => Fate::Other,
    }
}

/// Whether a field stays with its name.
pub(super) fn keeps(rule: &NameRule) -> bool {
    fate(&rule.rule) == Fate::Keep
        && rule.names.as_ref().is_none_or(|names| names.definition.keeps())
}

fn said(spec: &Spec) -> Decision {
    if spec.definition.keeps() {
        return Decision::Keep(spec.at.clone());
    }
    Decision::Use(spec.clone())
}

/// What becomes of names whose values are replaced as a whole.
fn hash(at: &Location) -> Decision {
    let Some((definition, _)) = transformers::find("hash") else { return Decision::Undecided };
    Decision::Use(Spec {
        definition,
        literals: BTreeMap::new(),
        link: None,
        by: None,
        unique: true,
        on_error: OnError::default(),
        at: at.clone(),
    })
}

/// The text under the stars of a key.
pub(super) fn of_key(section: &RedisSection) -> Decision {
    if !section.pattern.has_star() {
        return Decision::SpelledOut;
    }
    let types = match &section.body {
        RedisBody::Drop => return Decision::SpelledOut,
        _ if let Some(spec) = &section.names => return said(spec),
        RedisBody::Keep => return Decision::Keep(section.at.clone()),
        RedisBody::Types(types) => types,
    };
    let mut fates = Vec::new();
    for rules in types {
        fates.extend(rules.fields.iter().map(|rule| match fate(&rule.rule) {
            Fate::Keep if !keeps(rule) => Fate::Other,
            fate => fate,
        }));
        if rules.score.as_ref().is_some_and(|spec| !spec.definition.keeps()) {
            fates.push(Fate::Other);
        }
    }
    // What a field's value says may stand in the key too: a field that is dropped is no keep.
    if !fates.is_empty() && fates.iter().all(|fate| *fate == Fate::Keep) {
        return Decision::Keep(section.at.clone());
    }
    let nothing_stays = fates.iter().all(|fate| matches!(fate, Fate::Whole | Fate::Drop));
    if nothing_stays { hash(&section.at) } else { Decision::Undecided }
}

/// The names of the fields that match a rule of a hash or a stream.
pub(super) fn of_field(rule: &NameRule) -> Decision {
    if Pattern::name(&rule.name).is_exact() {
        return Decision::SpelledOut;
    }
    match (&rule.names, fate(&rule.rule)) {
        (_, Fate::Drop) => Decision::SpelledOut,
        (Some(spec), _) => said(spec),
        (None, Fate::Keep) => Decision::Keep(rule.at.clone()),
        (None, Fate::Whole) => hash(&rule.at),
        (None, Fate::Other) => Decision::Undecided,
    }
}

/// The names of a stream's groups and consumers; `None` is to be told only of a stream that has
/// some.
pub(super) fn of_groups(section: &RedisSection, rules: &TypeRules) -> Option<Decision> {
    let any = rules.fields.iter().find(|rule| Pattern::name(&rule.name).is_any());
    let spec = any.and_then(|rule| rule.names.as_ref()).or(section.names.as_ref());
    if let Some(spec) = spec {
        return Some(said(spec));
    }
    if rules.fields.iter().all(keeps) {
        return Some(Decision::Keep(rules.at.clone()));
    }
    match any.map(|rule| fate(&rule.rule)) {
        Some(Fate::Whole) => Some(hash(&rules.at)),
        _ => None,
    }
}

/// The scores of a sorted set.
pub(super) fn of_score(rules: &TypeRules) -> Decision {
    debug_assert_eq!(rules.kind, KeyKind::SortedSet);
    let member = rules.fields.first();
    match (&rules.score, member.map(|rule| fate(&rule.rule))) {
        (_, Some(Fate::Drop)) => Decision::SpelledOut,
        (Some(spec), _) => said(spec),
        (None, Some(Fate::Keep)) => Decision::Keep(rules.at.clone()),
        _ => Decision::Undecided,
    }
}
