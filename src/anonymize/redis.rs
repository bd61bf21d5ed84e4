//! Rules for the keys of a Redis index.

use std::collections::BTreeMap;

use super::Applied;
use super::action::{Action, Masker, Outcome, Problem, Site};
use super::coverage::{Coverage, Entry, Verdict};
use super::pattern::{Pattern, key_shape, shape};
use super::pseudonym::Key;
use super::rules::{Location, NameRule, RedisBody, RuleSet, TypeRules};
use super::transformers::{Form, Mismatch};
use crate::config::policy::Permit;
use crate::error::{Error, Result};
use crate::pipeline::transform::{ElementVerdict, KeyKind, KeyTransform, KeyVerdict};
use crate::store::StoreKind;

/// The rules of a Redis index.
pub struct RedisPlan {
    sections: Vec<Section>,
    coverage: Coverage,
}

#[derive(Clone)]
struct Section {
    header: String,
    pattern: Pattern,
    at: Location,
    /// The maskers of the links in the key, by name.
    links: Vec<(String, Masker)>,
    body: Body,
}

#[derive(Clone)]
enum Body {
    Keep,
    Drop,
    Types(Vec<(KeyKind, Vec<Field>)>),
}

/// A rule for the fields that match; a value without fields has one whose pattern is empty.
#[derive(Clone)]
struct Field {
    pattern: Pattern,
    at: Location,
    action: Action,
}

/// The word that rules use for a kind of value.
pub fn kind_word(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::String => "string",
        KeyKind::List => "list",
        KeyKind::Set => "set",
        KeyKind::SortedSet => "zset",
        KeyKind::Hash => "hash",
        KeyKind::Stream => "stream",
    }
}

impl RuleSet {
    /// Compiles the rules for Redis. Which keys there are is known only when they are read.
    pub fn redis(&self, key: &Key) -> Result<RedisPlan> {
        let mut sections = Vec::with_capacity(self.redis.len());
        let mut coverage = Coverage::default();
        for section in &self.redis {
            let mut links = Vec::new();
            for piece in section.pattern.pieces() {
                if let super::pattern::Piece::Link(name) = piece
                    && let Some(spec) = self.links.get(name)
                {
                    let spec = super::rules::Spec { at: section.at.clone(), ..spec.clone() };
                    let site = Site { place: &section.header, room: None };
                    links.push((name.clone(), Masker::new(&spec, key, site)?));
                }
            }
            let mut note = |item: &str, verdict, rule: String, at: &Location| {
                coverage.entries.push(Entry {
                    store: StoreKind::Redis,
                    place: section.header.clone(),
                    item: item.to_owned(),
                    verdict,
                    rule: Some(rule),
                    at: Some(at.clone()),
                    starred: false,
                });
            };
            let body = match &section.body {
                RedisBody::Keep => {
                    note("*", Verdict::Kept, "keep".to_owned(), &section.at);
                    Body::Keep
                }
                RedisBody::Drop => {
                    note("*", Verdict::Masked, "drop".to_owned(), &section.at);
                    Body::Drop
                }
                RedisBody::Types(types) => {
                    let mut compiled = Vec::with_capacity(types.len());
                    for TypeRules { kind, fields: rules, .. } in types {
                        let compile = |rule| field(&section.header, *kind, rule, key);
                        let fields: Result<Vec<Field>> = rules.iter().map(compile).collect();
                        let fields = sorted(fields?, |field| (&field.pattern, &field.at), "field")?;
                        compiled.push((*kind, fields));
                        for rule in rules {
                            let keeps = rule.rule.keeps();
                            let verdict = if keeps { Verdict::Kept } else { Verdict::Masked };
                            let item = format!("{} {}", kind_word(*kind), rule.name);
                            note(item.trim_end(), verdict, rule.rule.to_string(), &rule.at);
                        }
                    }
                    Body::Types(compiled)
                }
            };
            let (header, pattern) = (section.header.clone(), section.pattern.clone());
            sections.push(Section { header, pattern, at: section.at.clone(), links, body });
        }
        let sections = sorted(sections, |section| (&section.pattern, &section.at), "key")?;
        Ok(RedisPlan { sections, coverage })
    }
}

fn field(header: &str, kind: KeyKind, rule: &NameRule, key: &Key) -> Result<Field> {
    let place = format!("redis|{header}|{}|{}", kind_word(kind), rule.name);
    let action = Action::compile(&rule.rule, key, Site { place: &place, room: None })?;
    let members = matches!(kind, KeyKind::Set | KeyKind::SortedSet);
    let distinct = match &action {
        Action::Keep | Action::Drop => true,
        Action::Json(_) => rule.rule.keeps(),
        action => action.masker().is_some_and(Masker::injective),
    };
    if members && !distinct {
        return Err(Error::usage(format!(
            "{}: `{}` may make two members of a {} equal",
            rule.at,
            rule.rule,
            kind_word(kind)
        ))
        .hint("say unique = true where the transformer can, or drop the key"));
    }
    Ok(Field { pattern: Pattern::name(&rule.name), at: rule.at.clone(), action })
}

impl RedisPlan {
    /// What the rules say, by key pattern, type and field.
    pub fn coverage(&self) -> Coverage {
        self.coverage.clone()
    }

    /// A transform for all keys; it fails with
    /// [`Kind::Findings`](crate::error::Kind::Findings) at the first key, type or field without a
    /// rule.
    pub fn transform(&self) -> Box<dyn KeyTransform> {
        Box::new(RedisTransform {
            sections: self.sections.clone(),
            current: None,
            spans: Vec::new(),
            permit: Permit::ruled(&Applied(())),
        })
    }

    /// Collects sampled keys for `rules check`.
    pub fn observer(&self) -> KeyObserver<'_> {
        KeyObserver { plan: self, seen: BTreeMap::new() }
    }
}

/// The section that decides about a key, and the rules of its type.
fn find(sections: &[Section], key: &[u8]) -> Option<usize> {
    sections.iter().position(|section| section.pattern.matches(key))
}

fn type_index(section: &Section, kind: KeyKind) -> Option<usize> {
    match &section.body {
        Body::Types(types) => types.iter().position(|(known, _)| *known == kind),
        _ => None,
    }
}

/// A key for messages: what of it no rule says itself may be data.
fn told(sections: &[Section], key: &[u8]) -> String {
    key_shape(key, |part| sections.iter().any(|section| section.pattern.names(part)))
}

fn uncovered(sections: &[Section], key: &[u8], kind: KeyKind, section: Option<&Section>) -> Error {
    let (shape, kind) = (told(sections, key), kind_word(kind));
    let error = Error::findings(format!("no rule covers redis key `{shape}` of type {kind}"));
    match section {
        Some(section) => error.hint(format!(
            "the section `{}` at {} says nothing of a {kind}",
            section.header, section.at
        )),
        None => error.hint("decide: [redis.\"PATTERN\"] action = \"drop\", or rules by type"),
    }
}

struct RedisTransform {
    sections: Vec<Section>,
    /// The section, type and shape of the current key, where its elements are looked at.
    current: Option<(usize, usize)>,
    spans: Vec<(usize, (usize, usize))>,
    permit: Permit,
}

impl RedisTransform {
    /// Writes the key with the parts that belong to links replaced.
    fn rename(&mut self, index: usize, key: &[u8], name: &mut Vec<u8>) -> Result<bool> {
        let Some(section) = self.sections.get_mut(index) else { return Ok(false) };
        if section.links.is_empty() {
            name.extend_from_slice(key);
            return Ok(false);
        }
        self.spans.clear();
        let spans = &mut self.spans;
        section.pattern.find(key, |_, span| spans.push((spans.len(), span)));
        let mut copied = 0;
        for &(link, (start, end)) in &*spans {
            name.extend_from_slice(&key[copied..start]);
            copied = end;
            let outcome = match section.links.get_mut(link) {
                Some((_, masker)) => masker.apply(&key[start..end], Form::Text, name),
                None => Err(Mismatch("its link is not known")),
            };
            match outcome {
                Ok(Outcome::Wrote(_)) => {}
                Ok(Outcome::Null) | Err(_) => {
                    let reason = outcome.err().map_or("it would be null", |mismatch| mismatch.0);
                    let at = Some(section.at.clone());
                    let path = String::new();
                    let place = format!("the name of redis key `{}`", told(&self.sections, key));
                    return Err(Problem::Mismatch { path, at, reason }
                        .into_error(&place, |_| String::new()));
                }
            }
        }
        name.extend_from_slice(&key[copied..]);
        Ok(true)
    }
}

impl KeyTransform for RedisTransform {
    fn key(&mut self, key: &[u8], kind: KeyKind, name: &mut Vec<u8>) -> Result<KeyVerdict> {
        self.current = None;
        let Some(index) = find(&self.sections, key) else {
            return Err(uncovered(&self.sections, key, kind, None));
        };
        let section = &self.sections[index];
        match &section.body {
            Body::Drop => return Ok(KeyVerdict::Drop),
            Body::Keep => {
                self.rename(index, key, name)?;
                return Ok(KeyVerdict::Keep);
            }
            Body::Types(_) => {}
        }
        let Some(of_type) = type_index(section, kind) else {
            return Err(uncovered(&self.sections, key, kind, Some(section)));
        };
        self.rename(index, key, name)?;
        self.current = Some((index, of_type));
        let kept = match &self.sections[index].body {
            Body::Types(types) => types.get(of_type).is_some_and(|(_, fields)| keep_all(fields)),
            Body::Keep | Body::Drop => false,
        };
        Ok(if kept { KeyVerdict::Keep } else { KeyVerdict::Rewrite })
    }

    fn element(
        &mut self,
        field: Option<&[u8]>,
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<ElementVerdict> {
        let Some((index, of_type)) = self.current else {
            return Err(Error::failed("an element of a redis key came without its key"));
        };
        let Some(section) = self.sections.get_mut(index) else { return Err(lost()) };
        let Body::Types(types) = &mut section.body else { return Err(lost()) };
        let Some((kind, fields)) = types.get_mut(of_type) else { return Err(lost()) };
        let kind = *kind;
        let Some(found) = choose(fields, field.unwrap_or_default()) else {
            let field = shape(field.unwrap_or_default());
            return Err(Error::findings(format!(
                "no rule covers field `{field}` of a {} under `{}`",
                kind_word(kind),
                section.header
            ))
            .hint(format!("add it at {}, or a rule for \"*\"", section.at)));
        };
        match &mut found.action {
            Action::Keep => return Ok(ElementVerdict::Keep),
            Action::Drop => return Ok(ElementVerdict::Drop),
            _ if value.is_empty() => return Ok(ElementVerdict::Keep),
            Action::Leaf(masker) | Action::Whole(masker) => {
                match masker.apply(value, Form::Text, out) {
                    Ok(Outcome::Wrote(_)) => return Ok(ElementVerdict::Write),
                    Ok(Outcome::Null) => Err(Mismatch("Redis has no null")),
                    Err(mismatch) => Err(mismatch),
                }
                .map_err(|Mismatch(reason)| Problem::Mismatch {
                    path: String::new(),
                    at: Some(found.at.clone()),
                    reason,
                })
            }
            Action::Json(rewriter) => match rewriter.rewrite(value, out) {
                Ok(()) => return Ok(ElementVerdict::Write),
                Err(problem) => Err(problem),
            },
            Action::Null | Action::Each(_) | Action::Undecided => {
                Err(Problem::Broken("the rule does not fit Redis"))
            }
        }
        .map_err(|problem: Problem| {
            let place = format!("a {} under `{}`", kind_word(kind), section.header);
            problem.into_error(&place, |path| {
                format!("add \"{path}\" to the json rule at {}", found.at)
            })
        })
    }

    fn may_drop_elements(&self) -> bool {
        let Some((index, of_type)) = self.current else { return false };
        match self.sections.get(index).map(|section| &section.body) {
            Some(Body::Types(types)) => types.get(of_type).is_some_and(|(_, fields)| {
                fields.iter().any(|field| matches!(field.action, Action::Drop))
            }),
            _ => false,
        }
    }

    fn permit(&self) -> &Permit {
        &self.permit
    }
}

fn lost() -> Error {
    Error::failed("the rules of the current redis key are gone")
}

/// The rule for a field: its name, then the most specific pattern. Fields are sorted so, and
/// those that could tie have been refused.
/// Whether every element stays as it is, whatever its name.
fn keep_all(fields: &[Field]) -> bool {
    fields.iter().any(|field| field.pattern.is_any())
        && fields.iter().all(|field| matches!(field.action, Action::Keep))
}

fn choose<'a>(fields: &'a mut [Field], name: &[u8]) -> Option<&'a mut Field> {
    fields.iter_mut().find(|field| field.pattern.matches(name))
}

/// Sorts what has a pattern by how specific it is, the most specific first, and refuses two that
/// are equally specific and can match the same name.
fn sorted<T>(
    mut items: Vec<T>,
    pattern: fn(&T) -> (&Pattern, &Location),
    what: &str,
) -> Result<Vec<T>> {
    items.sort_by_key(|item| std::cmp::Reverse(pattern(item).0.rank()));
    for (index, item) in items.iter().enumerate() {
        let (first, at) = pattern(item);
        for other in &items[index + 1..] {
            let (second, other_at) = pattern(other);
            if first.rank() == second.rank() && first.overlaps(second) {
                let (a, b) = if at <= other_at { (at, other_at) } else { (other_at, at) };
                return Err(Error::usage(format!(
                    "the rules at {a} and {b} are equally specific and can match the same {what}"
                )));
            }
        }
    }
    Ok(items)
}

/// Collects which keys there are and what the rules say about each kind of them.
pub struct KeyObserver<'a> {
    plan: &'a RedisPlan,
    seen: BTreeMap<(String, KeyKind), (Verdict, Option<usize>)>,
}

/// The most shapes of keys that are told apart.
const MAX_SHAPES: usize = 10_000;

impl KeyObserver<'_> {
    /// Looks at a key; nothing but its shape is kept.
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
        Coverage { entries: entries.collect(), remarks: Vec::new() }
    }
}

#[cfg(test)]
#[path = "redis_tests.rs"]
mod tests;
