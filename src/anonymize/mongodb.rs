//! Rules laid over the collections of a MongoDB database.

use super::bson::BsonRewriter;
use super::bsonvalue::{self, ARRAY, OBJECT};
use super::coverage::{Coverage, Verdict};
use super::document::Document;
use super::listing;
use super::mongodb_indexes as indexes;
use super::mongodb_plan::{CollectionPlan, entry};
pub use super::observer::PathObserver;
use super::problems::Problems;
use super::pseudonym::Key;
use super::route::{Part, is_frequent};
use super::rules::{PathRule, RuleSet};
use crate::error::{Error, Result};
use crate::pipeline::block::{self, Block, Cleared, Raw};
use crate::pipeline::digest::document_length;
use crate::pipeline::transform::BlockTransform;
use crate::policy::Applied;
use crate::policy::Permit;
use crate::store::shape::Collection;
use crate::terms::StoreKind;

/// The rules of a database, by collection.
pub struct MongodbPlan {
    pub(super) collections: Vec<CollectionPlan>,
    coverage: Coverage,
}

/// The names of the uppermost fields that MongoDB gives itself.
const SCHEMA: &[&str] = &["_id"];

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
        let mut problems = Problems::default();
        for collection in collections {
            let sections =
                self.mongodb.iter().filter(|section| section.collection == collection.name);
            let paths: Vec<PathRule> =
                sections.flat_map(|section| &section.paths).cloned().collect();
            let name = collection.name.clone();
            if paths.is_empty() {
                coverage.entries.push(entry(&name, "", Verdict::Uncovered, None));
                let unique = collection.unique.clone();
                plans.push(CollectionPlan { name, document: None, unique, paths });
                continue;
            }
            coverage.entries.extend(listing::entries(&paths, StoreKind::Mongodb, &name, ""));
            let compiled = Document::compile(&paths, key, &format!("mongodb|{name}"), SCHEMA);
            let document = problems.note(compiled);
            if let Some(document) = &document {
                problems.note(indexes::check_id(collection, document, &paths));
                problems.note(indexes::check_unique(collection, document, &paths));
                for need in &collection.needs {
                    problems.note(indexes::check_need(collection, need, document, &paths));
                }
            }
            let unique = collection.unique.clone();
            plans.push(CollectionPlan { name, document, unique, paths });
        }
        problems.finish()?;
        Ok(MongodbPlan { collections: plans, coverage })
    }
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
        self.collection(collection)?.transform(None)
    }

    /// Collects the paths of sampled documents for `rules check`; see [`PathObserver`].
    pub fn observer(&self, collection: usize) -> Result<PathObserver<'_>> {
        Ok(PathObserver::new(self.collection(collection)?))
    }

    /// One document under the rules of its collection, as `rules preview` shows it.
    pub fn apply_one(&self, collection: usize, document: &[u8]) -> Result<Vec<u8>> {
        let mut transform = self.transform(collection)?;
        Ok(transform.apply(Block::raw(document.to_vec(), 1))?.into_bytes())
    }

    /// One document as `rules preview` shows it: under the rules of its collection, with a sign
    /// in place of what they keep and the shapes of names that they do not spell out.
    pub fn preview_one(&self, collection: usize, document: &[u8], key: &Key) -> Result<Vec<u8>> {
        let plan = self.collection(collection)?;
        let mut transform = plan.transform(Some(key))?;
        Ok(transform.apply(Block::raw(document.to_vec(), 1))?.into_bytes())
    }

    pub(super) fn collection(&self, collection: usize) -> Result<&CollectionPlan> {
        self.collections.get(collection).ok_or_else(|| {
            Error::failed(format!("the rules know no collection number {collection}"))
        })
    }
}

impl CollectionPlan {
    /// The transform for its documents; with a key that of a preview.
    fn transform(&self, preview: Option<&Key>) -> Result<Box<dyn BlockTransform>> {
        let Some(document) = &self.document else {
            let error = Error::findings(format!("no rule covers collection `{}`", self.name));
            return Err(error.hint(format!("decide: [mongodb.\"{}\"] \"*\" = …", self.name)));
        };
        let document = match preview {
            Some(key) => document.preview(key)?,
            None => document.clone(),
        };
        Ok(Box::new(DocumentTransform {
            collection: self.name.clone(),
            rewriter: BsonRewriter::new(document),
            permit: Permit::ruled(&Applied::by_the_rules()),
        }))
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
                let problem = problem.told(&|parts| frequent(block.bytes(), parts));
                problem.into_error(&place, |path| {
                    format!("decide: [mongodb.\"{}\"] \"{path}\" = …", self.collection)
                })
            })?;
            rest = tail;
        }
        Ok(Block::cleared(out, records, &self.permit))
    }
}

/// Whether so many of the documents of a block have a field that its name is none of their data.
fn frequent(documents: &[u8], parts: &[Part]) -> bool {
    let (mut having, mut looked_at) = (0, 0);
    let mut rest = documents;
    while let Ok(length) = document_length(rest) {
        let Some((document, tail)) = rest.split_at_checked(length) else { break };
        looked_at += 1;
        having += u64::from(has(document, (0, document.len()), parts));
        rest = tail;
    }
    is_frequent(having, looked_at)
}

/// Whether a document has the field that `parts` lead to.
fn has(input: &[u8], (start, end): (usize, usize), parts: &[Part]) -> bool {
    let Some((part, rest)) = parts.split_first() else { return true };
    let Ok(end) = bsonvalue::document_end(input, start, end) else { return false };
    let mut at = start + 4;
    while at < end - 1 {
        let Ok(element) = bsonvalue::element(input, at, end - 1) else { return false };
        at = element.end;
        let here = match part {
            Part::Element(_) => true,
            Part::Name { name, .. } => {
                input.get(element.name.0..element.name.1) == Some(name.as_slice())
            }
        };
        let array = element.kind == ARRAY;
        let fits = |next: &Part| match next {
            Part::Element(_) => array,
            Part::Name { .. } => element.kind == OBJECT,
        };
        let below = (element.value, element.end);
        if here && rest.first().is_none_or(|next| fits(next) && has(input, below, rest)) {
            return true;
        }
    }
    false
}

#[cfg(test)]
#[path = "mongodb_tests.rs"]
mod tests;
