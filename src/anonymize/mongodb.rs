//! Rules laid over the collections of a MongoDB database.

use std::collections::BTreeMap;

use super::Applied;
use super::action::{Action, Masker};
use super::bson::{self, BsonRewriter};
use super::bsonvalue::{ARRAY, NULL, OBJECT};
use super::coverage::{Coverage, Entry, Verdict};
use super::document::{Document, Fate, MAX_DEPTH};
use super::pattern::shape;
use super::pseudonym::Key;
use super::rules::{PathRule, RuleSet};
use crate::config::policy::Permit;
use crate::error::{Error, Result};
use crate::pipeline::block::{self, Block, Cleared, Raw};
use crate::pipeline::digest::document_length;
use crate::pipeline::transform::BlockTransform;
use crate::store::StoreKind;
use crate::store::shape::Collection;

/// The rules of a database, by collection.
pub struct MongodbPlan {
    collections: Vec<CollectionPlan>,
    coverage: Coverage,
}

struct CollectionPlan {
    name: String,
    document: Option<Document>,
    paths: Vec<PathRule>,
}

impl RuleSet {
    /// Lays the rules over `collections`. A collection without any rule is uncovered; which paths
    /// documents have is known only when they are read. A rule for a collection that does not
    /// exist (yet) is a remark: MongoDB creates collections when they are first written to.
    pub fn mongodb(&self, collections: &[Collection], key: &Key) -> Result<MongodbPlan> {
        let mut coverage = Coverage::default();
        for section in &self.mongodb {
            if !collections.iter().any(|collection| collection.name == section.collection) {
                coverage.remarks.push(format!(
                    "{}: there is no collection `{}`",
                    section.at, section.collection
                ));
            }
        }
        let mut plans = Vec::with_capacity(collections.len());
        for collection in collections {
            let sections =
                self.mongodb.iter().filter(|section| section.collection == collection.name);
            let paths: Vec<PathRule> =
                sections.flat_map(|section| &section.paths).cloned().collect();
            let name = collection.name.clone();
            if paths.is_empty() {
                coverage.entries.push(entry(&name, "", Verdict::Uncovered, None));
                plans.push(CollectionPlan { name, document: None, paths });
                continue;
            }
            for path in &paths {
                let verdict = if path.rule.keeps() { Verdict::Kept } else { Verdict::Masked };
                coverage.entries.push(entry(&name, &path.path.text, verdict, Some(path)));
            }
            let document = Document::compile(&paths, key, &format!("mongodb|{name}"))?;
            check_id(collection, &document, &paths)?;
            check_unique(collection, &document, &paths)?;
            plans.push(CollectionPlan { name, document: Some(document), paths });
        }
        Ok(MongodbPlan { collections: plans, coverage })
    }
}

fn entry(collection: &str, item: &str, verdict: Verdict, path: Option<&PathRule>) -> Entry {
    Entry {
        store: StoreKind::Mongodb,
        place: collection.to_owned(),
        item: item.to_owned(),
        verdict,
        rule: path.map(|path| path.rule.to_string()),
        at: path.map(|path| path.at.clone()),
    }
}

/// Every document needs an `_id` of its own.
fn check_id(collection: &Collection, document: &Document, paths: &[PathRule]) -> Result<()> {
    if matches!(action_at(document, "_id"), Some(Action::Null | Action::Drop)) {
        let at = paths.first().map_or(String::new(), |path| format!("{}: ", path.at));
        let name = &collection.name;
        return Err(Error::usage(format!("{at}`_id` of `{name}` cannot be dropped or null"))
            .hint("add a rule for _id, such as _id = \"keep\""));
    }
    Ok(())
}

/// Unique indexes, the one on `_id` too, need fields whose different values stay different; null
/// and nothing are values to an index like any other.
fn check_unique(collection: &Collection, document: &Document, paths: &[PathRule]) -> Result<()> {
    let id = vec!["_id".to_owned()];
    for index in std::iter::once(&id).chain(&collection.unique) {
        let stays = |path: &str| match action_at(document, path) {
            Some(Action::Leaf(masker) | Action::Whole(masker)) => masker.injective(),
            Some(Action::Null | Action::Drop) => false,
            _ => true,
        };
        // An index that contains `_id` is unique by that alone.
        let held = index.iter().any(|path| path == "_id") && stays("_id");
        let Some(broken) = index.iter().find(|path| !stays(path)).filter(|_| !held) else {
            continue;
        };
        let masker = action_at(document, broken).and_then(Action::masker);
        let at = masker.map(Masker::at).or(paths.first().map(|path| &path.at));
        let at = at.map_or(String::new(), |at| format!("{at}: "));
        return Err(Error::usage(format!(
            "{at}the rule for `{broken}` of `{}` would break the unique index on ({})",
            collection.name,
            index.join(", ")
        ))
        .hint("say unique = true where the transformer can, or keep the field"));
    }
    Ok(())
}

/// What happens at a dotted path of an index, through arrays as well.
fn action_at<'a>(document: &'a Document, path: &str) -> Option<&'a Action> {
    let automaton = &document.automaton;
    let mut state = automaton.start();
    let mut decision = None;
    for name in path.split('.') {
        state = automaton.field(state, name.as_bytes());
        decision = automaton.decision(state).or(decision);
        let element = automaton.element(state);
        if let Some(inner) = automaton.decision(element) {
            decision = Some(inner);
        }
        // An index path does not say where arrays are: follow elements where rules do.
        if automaton.on_the_way(element) {
            state = element;
        }
    }
    decision.and_then(|decision| document.actions.get(decision))
}

impl MongodbPlan {
    /// What the rules say, by collection and rule.
    pub fn coverage(&self) -> Coverage {
        self.coverage.clone()
    }

    /// The transform for the documents of a collection, by its position in what the plan was
    /// made of. Fails with [`Kind::Findings`](crate::error::Kind::Findings) for a collection
    /// without rules; the transform fails so at the first path without one.
    pub fn transform(&self, collection: usize) -> Result<Box<dyn BlockTransform>> {
        let plan = self.collection(collection)?;
        let Some(document) = &plan.document else {
            let error = Error::findings(format!("no rule covers collection `{}`", plan.name));
            return Err(error.hint(format!("decide: [mongodb.\"{}\"] \"*\" = …", plan.name)));
        };
        Ok(Box::new(DocumentTransform {
            collection: plan.name.clone(),
            rewriter: BsonRewriter::new(document.clone()),
            permit: Permit::ruled(&Applied(())),
        }))
    }

    /// Collects the paths of sampled documents for `rules check`; see [`PathObserver`].
    pub fn observer(&self, collection: usize) -> Result<PathObserver<'_>> {
        Ok(PathObserver { plan: self.collection(collection)?, paths: BTreeMap::new() })
    }

    /// One document under the rules of its collection, as `rules preview` shows it.
    pub fn apply_one(&self, collection: usize, document: &[u8]) -> Result<Vec<u8>> {
        let mut transform = self.transform(collection)?;
        Ok(transform.apply(Block::raw(document.to_vec(), 1))?.into_bytes())
    }

    fn collection(&self, collection: usize) -> Result<&CollectionPlan> {
        self.collections.get(collection).ok_or_else(|| {
            Error::failed(format!("the rules know no collection number {collection}"))
        })
    }
}

struct DocumentTransform {
    collection: String,
    rewriter: BsonRewriter,
    permit: Permit,
}

impl BlockTransform for DocumentTransform {
    fn apply(&mut self, block: Block<Raw>) -> Result<Block<Cleared>> {
        let records = block.records();
        let mut out = block::buffer();
        out.reserve(block.bytes().len() + block.bytes().len() / 8);
        let mut rest = block.bytes();
        while !rest.is_empty() {
            let (document, tail) = rest.split_at(document_length(rest)?);
            self.rewriter.rewrite(document, &mut out).map_err(|problem| {
                let place = format!("collection `{}`", self.collection);
                problem.into_error(&place, |path| {
                    format!("decide: [mongodb.\"{}\"] \"{path}\" = …", self.collection)
                })
            })?;
            rest = tail;
        }
        Ok(Block::cleared(out, records, &self.permit))
    }
}

/// The most different paths that are told apart; the rest counts as one.
const MAX_PATHS: usize = 10_000;

/// Collects which paths sampled documents have and what the rules say about each.
pub struct PathObserver<'a> {
    plan: &'a CollectionPlan,
    paths: BTreeMap<String, (Verdict, Option<usize>)>,
}

impl PathObserver<'_> {
    /// Looks at whole documents; nothing but their paths is kept.
    pub fn observe(&mut self, documents: &[u8]) -> Result<()> {
        let mut rest = documents;
        while !rest.is_empty() {
            let (document, tail) = rest.split_at(document_length(rest)?);
            let walked = self.walk(document, (0, document.len()), Spot::top(self.plan), "", 0);
            walked.map_err(|problem| {
                let place = format!("collection `{}`", self.plan.name);
                problem.into_error(&place, str::to_owned)
            })?;
            rest = tail;
        }
        Ok(())
    }

    fn walk(
        &mut self,
        input: &[u8],
        (start, end): (usize, usize),
        spot: Spot,
        path: &str,
        depth: usize,
    ) -> Result<(), super::action::Problem> {
        if depth > MAX_DEPTH {
            return Err(super::action::Problem::Broken("it nests too deep"));
        }
        let end = bson::document_end(input, start, end)?;
        let mut at = start + 4;
        while at < end - 1 {
            let element = bson::element(input, at, end - 1)?;
            at = element.end;
            let name = input.get(element.name.0..element.name.1).unwrap_or_default();
            let here = match (spot.array, path) {
                (true, path) => format!("{path}[]"),
                (false, "") => shape(name),
                (false, path) => format!("{path}.{}", shape(name)),
            };
            let Some(document) = &self.plan.document else {
                self.note(here, Verdict::Uncovered, None);
                continue;
            };
            let automaton = &document.automaton;
            let state = if spot.array {
                automaton.element(spot.state)
            } else {
                automaton.field(spot.state, name)
            };
            let fate = document.fate(state, spot.decision);
            let container = matches!(element.kind, OBJECT | ARRAY);
            if let (Fate::Descend(decision), true) = (fate, container) {
                let below = Spot { state, decision, array: element.kind == ARRAY };
                self.walk(input, (element.value, element.end), below, &here, depth + 1)?;
                continue;
            }
            let nothing = element.kind == NULL && automaton.on_the_way(state);
            let decision = automaton.decision(state).or(spot.decision);
            let verdict = match decision.and_then(|decision| document.actions.get(decision)) {
                None if nothing => continue,
                None => Verdict::Uncovered,
                Some(Action::Keep) => Verdict::Kept,
                Some(_) => Verdict::Masked,
            };
            self.note(here, verdict, decision);
        }
        Ok(())
    }

    fn note(&mut self, path: String, verdict: Verdict, decision: Option<usize>) {
        let path = if self.paths.len() < MAX_PATHS || self.paths.contains_key(&path) {
            path
        } else {
            "(more paths)".to_owned()
        };
        let known = self.paths.entry(path).or_insert((verdict, decision));
        if verdict > known.0 {
            *known = (verdict, decision);
        }
    }

    /// What was seen.
    pub fn finish(self) -> Coverage {
        let entries = self.paths.iter().map(|(path, (verdict, decision))| {
            let rule = decision.and_then(|decision| self.plan.paths.get(decision));
            entry(&self.plan.name, path, *verdict, rule)
        });
        Coverage { entries: entries.collect(), remarks: Vec::new() }
    }
}

/// Where a document stands while its paths are collected.
#[derive(Clone, Copy)]
struct Spot {
    state: u32,
    decision: Option<usize>,
    array: bool,
}

impl Spot {
    fn top(plan: &CollectionPlan) -> Self {
        let state = plan.document.as_ref().map_or(0, |document| document.automaton.start());
        Self { state, decision: None, array: false }
    }
}

#[cfg(test)]
#[path = "mongodb_tests.rs"]
mod tests;
