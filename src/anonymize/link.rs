//! Links: one identity, one mapping, in every store.

use std::collections::BTreeMap;

use super::pattern::{Piece, suggest};
use super::problems::Problems;
use super::rules::{RedisSection, RuleSet, Spec};
use super::transformers::Uniqueness;
use crate::error::{Error, Result};

/// Each link with its one definition.
pub(crate) type Links = BTreeMap<String, Spec>;

/// Brings the places of every link together: the same transformer and parameters, and `unique`
/// everywhere if anywhere. Links in Redis keys must exist and keep different keys different.
pub(crate) fn unite(rules: &mut RuleSet, problems: &mut Problems) -> Links {
    let mut links = Links::new();
    let mut shared = Shared::new();
    rules.visit(&mut |spec| {
        problems.note(join(&mut links, spec));
        problems.note(share(&mut shared, spec));
    });
    rules.visit_mut(&mut |spec| {
        if let Some(known) = spec.link.as_ref().and_then(|link| links.get(link)) {
            spec.unique = known.unique;
        }
    });
    for section in &rules.redis {
        for piece in section.pattern.pieces() {
            if let Piece::Link(link) = piece {
                problems.note(in_key(&links, link, section));
            }
        }
    }
    links
}

/// What is drawn together, by transformer and link of `by`.
type Shared = BTreeMap<(&'static str, String), Spec>;

/// Adds a place to those that draw together: the same parameters at each.
fn share(shared: &mut Shared, spec: &Spec) -> Result<()> {
    let Some(link) = spec.by.as_ref().and_then(|by| by.link.clone()) else { return Ok(()) };
    let name = spec.definition.name;
    let known = shared.entry((name, link)).or_insert_with(|| spec.clone());
    if known.literals == spec.literals {
        return Ok(());
    }
    let link = spec.by.as_ref().and_then(|by| by.link.as_deref()).unwrap_or_default();
    Err(Error::usage(format!(
        "`{name}` by the link `{link}` has different parameters at {} and {}",
        known.at, spec.at
    ))
    .hint("every place of a link needs the same ones"))
}

/// Adds a place to its link.
fn join(links: &mut Links, spec: &Spec) -> Result<()> {
    let Some(link) = &spec.link else { return Ok(()) };
    let Some(known) = links.get_mut(link) else {
        links.insert(link.clone(), spec.clone());
        return Ok(());
    };
    if known.definition.name != spec.definition.name {
        return Err(Error::usage(format!(
            "link `{link}` is `{}` at {} and `{}` at {}",
            known.definition.name, known.at, spec.definition.name, spec.at
        )));
    }
    if known.literals != spec.literals {
        return Err(Error::usage(format!(
            "link `{link}` has different parameters at {} and {}",
            known.at, spec.at
        ))
        .hint("every place of a link needs the same ones, max_length too"));
    }
    known.unique |= spec.unique;
    Ok(())
}

/// A link in a Redis key must exist and keep different keys different.
fn in_key(links: &Links, link: &str, section: &RedisSection) -> Result<()> {
    let Some(known) = links.get(link) else {
        let error =
            Error::usage(format!("{}: no rule has the link `{link}` of this key", section.at));
        return Err(match suggest(link, links.keys().map(String::as_str)) {
            Some(similar) => error.hint(format!("did you mean `{similar}`?")),
            None => error,
        });
    };
    let injective = known.unique || known.definition.unique == Uniqueness::Always;
    if !injective && !known.build(None)?.injective() {
        return Err(Error::usage(format!(
            "{}: link `{link}` may give two keys the same name",
            section.at
        ))
        .hint(format!("say unique = true at {}", known.at)));
    }
    Ok(())
}
