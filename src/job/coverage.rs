//! What the rules say about a live environment: `rules check` and `rules preview`.
//!
//! Postgres is judged by its catalog. Documents and keys have no schema, so that a sample of them
//! is looked at; a snapshot judges every one. Original values do not leave this room: a preview
//! holds what the rules make of them, and a sign where they keep them, unless a terminal asks.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;
use tokio::sync::mpsc;

use super::{endpoints, rules};
use crate::anonymize::mongodb::MongodbPlan;
use crate::anonymize::redis_plan::functions_left_out;
use crate::anonymize::{Coverage, Key, Reviewed, RuleSet, missing, review};
use crate::config::Environment;
use crate::error::Result;
use crate::pipeline::block::{Block, Raw};
use crate::store::mongodb::options::SourceOptions;
use crate::store::mongodb::source as mongodb;
use crate::store::redis;
use crate::terms::StoreKind;

/// How many documents of a collection and how many keys `rules check` looks at.
const SAMPLE: usize = 2_000;

/// How many bytes of documents of a collection are enough, however few documents they are.
const SAMPLE_BYTES: u64 = 64 << 20;

/// What stands for a value that a rule keeps.
const KEPT: &str = "‹kept›";

/// A place before and after, as far as it may be shown.
#[derive(Debug, Clone, Serialize)]
pub struct Preview {
    /// The store.
    pub store: StoreKind,
    /// Table, collection or key.
    pub place: String,
    /// What the rules made of a row or a document.
    pub masked: serde_json::Value,
}

/// What the rules say about an environment.
#[derive(Debug, Default)]
pub struct Checked {
    /// By place.
    pub coverage: Coverage,
    /// The places that a star keeps, as `reviewed.toml` lists them.
    pub starred: BTreeSet<String>,
    /// Those of them that it does not list.
    pub unreviewed: Vec<String>,
    /// The rules that lack, as a file to complete.
    pub missing: Option<String>,
}

/// What `rules review` wrote.
#[derive(Debug, Serialize)]
pub struct Review {
    /// The file.
    pub file: PathBuf,
    /// How many places it lists for the environment.
    pub places: usize,
    /// Those that are new.
    pub added: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
}

/// Which places the rules cover.
pub async fn check(environment: &Environment) -> Result<Checked> {
    let (rules, key) = rules::load(environment)?;
    let (mut checked, mut sections) = (Checked::default(), Vec::new());
    for store in environment.stores() {
        let (coverage, starred) = match store {
            StoreKind::Postgres => {
                let (coverage, lacking) = check_postgres(environment, &rules, &key).await?;
                sections.push(lacking);
                let starred = review::starred(&coverage);
                (coverage, starred)
            }
            StoreKind::Mongodb => check_mongodb(environment, &rules, &key).await?,
            StoreKind::Redis => {
                let coverage = check_redis(environment, &rules, &key).await?;
                let starred = review::starred(&coverage);
                (coverage, starred)
            }
        };
        checked.coverage.merge(coverage);
        checked.starred.extend(starred);
    }
    sections.push(missing::mongodb(&checked.coverage));
    sections.push(missing::redis(&checked.coverage));
    checked.missing = missing::file(&sections);
    let listed = rules::reviewed(environment)?.of(&environment.name);
    checked.unreviewed = checked.starred.difference(&listed).cloned().collect();
    Ok(checked)
}

/// Lists the places that stars keep as reviewed; `write` says whether to write it down.
pub async fn review(environment: &Environment, write: bool) -> Result<Review> {
    let starred = check(environment).await?.starred;
    let folder = rules::folder(environment)?;
    let listed = Reviewed::load(&folder)?.of(&environment.name);
    let file = folder.join(review::FILE);
    let before = review::text(&folder)?;
    let after = review::rewritten(&before, &environment.name, &starred)?;
    if write && after != before {
        crate::files::replace(&file, after.as_bytes())?;
    }
    Ok(Review {
        file,
        places: starred.len(),
        added: starred.difference(&listed).cloned().collect(),
        removed: listed.difference(&starred).cloned().collect(),
    })
}

async fn check_postgres(
    environment: &Environment,
    rules: &RuleSet,
    key: &Key,
) -> Result<(Coverage, String)> {
    super::resolve(environment, &[StoreKind::Postgres]).await?;
    let endpoint = endpoints::postgres(environment)?;
    let client = crate::store::postgres::connect::connect(&endpoint, None).await?;
    let catalog = crate::store::postgres::catalog::read(&client, &endpoint.schemas).await?;
    let plan = rules.postgres(&catalog.tables, catalog.large_objects > 0, key)?;
    Ok((plan.coverage(), missing::postgres(&catalog.tables, &plan, key)))
}

async fn check_mongodb(
    environment: &Environment,
    rules: &RuleSet,
    key: &Key,
) -> Result<(Coverage, BTreeSet<String>)> {
    super::resolve(environment, &[StoreKind::Mongodb]).await?;
    let endpoint = endpoints::mongodb(environment)?;
    let source = mongodb::Source::open(&endpoint, SourceOptions::default()).await?;
    let (shapes, positions) = source.with_documents();
    let plan = rules.mongodb(&shapes, key)?;
    let mut coverage = plan.coverage();
    let seen = observed(&source, &plan, &positions, shapes.len()).await?;
    // The rules tell what they cover; the documents tell what they do not.
    coverage.entries.extend(seen.uncovered().cloned());
    Ok((coverage, review::starred(&seen)))
}

/// What the rules say about the paths of a sample of documents.
pub async fn observed(
    source: &mongodb::Source,
    plan: &MongodbPlan,
    positions: &[usize],
    collections: usize,
) -> Result<Coverage> {
    let mut seen = Coverage::default();
    for (at, &position) in positions.iter().enumerate().filter(|(_, at)| **at < collections) {
        let mut observer = plan.observer(position)?;
        sample(source, at, SAMPLE, |block| observer.observe(block.bytes())).await?;
        seen.merge(observer.finish());
    }
    Ok(seen)
}

/// How much of a collection has been looked at.
struct Sample {
    /// How many documents are enough.
    wanted: u64,
    documents: u64,
    bytes: u64,
}

impl Sample {
    fn of(wanted: usize) -> Self {
        Self { wanted: wanted as u64, documents: 0, bytes: 0 }
    }

    /// Counts a block and tells whether that is enough.
    fn take(&mut self, block: &Block<Raw>) -> bool {
        self.documents += block.records();
        self.bytes += block.bytes().len() as u64;
        self.documents >= self.wanted || self.bytes >= SAMPLE_BYTES
    }
}

/// Shows `look` the first documents of a collection, about `wanted` of them, block by block: none
/// is kept, since 2,000 documents can be 32 GiB.
async fn sample(
    source: &mongodb::Source,
    collection: usize,
    wanted: usize,
    mut look: impl FnMut(&Block<Raw>) -> Result<()>,
) -> Result<()> {
    let Some(part) = source.parts().into_iter().find(|part| part.collection == collection) else {
        return Ok(());
    };
    let (sender, mut receiver) = mpsc::channel(1);
    let reading = source.read(&part, sender);
    let looking = async {
        let mut seen = Sample::of(wanted);
        while let Some(block) = receiver.recv().await {
            look(&block)?;
            if seen.take(&block) {
                break;
            }
        }
        Ok(())
    };
    tokio::pin!(looking);
    // Enough is enough: dropping the reader ends its cursor.
    tokio::select! {
        looked = &mut looking => looked,
        read = reading => {
            read?;
            looking.await
        }
    }
}

async fn check_redis(environment: &Environment, rules: &RuleSet, key: &Key) -> Result<Coverage> {
    super::resolve(environment, &[StoreKind::Redis]).await?;
    let endpoint = endpoints::redis(environment)?;
    let plan = rules.redis(key)?;
    let mut coverage = plan.coverage();
    let mut observer = plan.observer();
    for (key, kind) in redis::catalog::sample_keys(&endpoint, SAMPLE).await? {
        observer.observe(&key, kind);
    }
    let seen = observer.finish();
    coverage.entries.extend(seen.uncovered().cloned());
    if !plan.keeps_functions() && redis::catalog::has_functions(&endpoint).await? {
        coverage.entries.push(functions_left_out());
    }
    Ok(coverage)
}

/// What the rules make of the first rows and documents of each place.
pub async fn preview(
    environment: &Environment,
    limit: usize,
    only: &[String],
    show_kept: bool,
) -> Result<Vec<Preview>> {
    let (rules, key) = rules::load(environment)?;
    let (mut shown, wanted) = (Vec::new(), Wanted { limit, only, show_kept });
    if environment.stores().contains(&StoreKind::Postgres) {
        preview_postgres(environment, &rules, &key, wanted, &mut shown).await?;
    }
    if environment.stores().contains(&StoreKind::Mongodb) {
        preview_mongodb(environment, &rules, &key, wanted, &mut shown).await?;
    }
    Ok(shown)
}

/// What a preview was asked for.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    limit: usize,
    only: &'a [String],
    show_kept: bool,
}

impl Wanted<'_> {
    fn names(&self, place: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == place)
    }
}

async fn preview_postgres(
    environment: &Environment,
    rules: &RuleSet,
    key: &Key,
    wanted: Wanted<'_>,
    shown: &mut Vec<Preview>,
) -> Result<()> {
    super::resolve(environment, &[StoreKind::Postgres]).await?;
    let endpoint = endpoints::postgres(environment)?;
    let client = crate::store::postgres::connect::connect(&endpoint, None).await?;
    let catalog = crate::store::postgres::catalog::read(&client, &endpoint.schemas).await?;
    let plan = rules.postgres(&catalog.tables, catalog.large_objects > 0, key)?;
    for (at, table) in catalog.tables.iter().enumerate() {
        let place = table.full_name();
        if !wanted.names(&place) && !wanted.names(&table.name) {
            continue;
        }
        let rows = crate::store::postgres::sample::first_rows(&client, table, wanted.limit).await?;
        for row in rows {
            let mut masked = serde_json::Map::new();
            for (column, value) in row.iter().enumerate() {
                let value = match value.as_deref() {
                    Some(_) if !wanted.show_kept && plan.keeps(at, column) => Some(KEPT.to_owned()),
                    value if wanted.show_kept => plan.apply_one(at, column, value)?,
                    value => plan.preview_one(at, column, value, key)?,
                };
                masked.insert(table.columns[column].name.clone(), value.into());
            }
            shown.push(Preview {
                store: StoreKind::Postgres,
                place: place.clone(),
                masked: masked.into(),
            });
        }
    }
    Ok(())
}

async fn preview_mongodb(
    environment: &Environment,
    rules: &RuleSet,
    key: &Key,
    wanted: Wanted<'_>,
    shown: &mut Vec<Preview>,
) -> Result<()> {
    super::resolve(environment, &[StoreKind::Mongodb]).await?;
    let endpoint = endpoints::mongodb(environment)?;
    let source = mongodb::Source::open(&endpoint, SourceOptions::default()).await?;
    let (shapes, positions) = source.with_documents();
    let plan = rules.mongodb(&shapes, key)?;
    for (at, position) in positions.into_iter().enumerate().filter(|(_, at)| *at < shapes.len()) {
        let place = &shapes[position].name;
        if !wanted.names(place) {
            continue;
        }
        let mut left = wanted.limit;
        sample(&source, at, wanted.limit, |block| {
            for document in documents(block.bytes()).take(left) {
                left -= 1;
                let masked = match wanted.show_kept {
                    true => plan.apply_one(position, document?)?,
                    false => plan.preview_one(position, document?, key)?,
                };
                let masked = crate::store::mongodb::extended_json::of_bytes(&masked)?;
                shown.push(Preview { store: StoreKind::Mongodb, place: place.clone(), masked });
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// The documents of a block, one by one.
fn documents(bytes: &[u8]) -> impl Iterator<Item = Result<&[u8]>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = crate::pipeline::digest::document_length(rest);
        Some(length.map(|length| {
            let (document, tail) = rest.split_at(length);
            rest = tail;
            document
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_ends_at_its_documents_or_its_bytes() {
        let mut seen = Sample::of(3);
        assert!(!seen.take(&Block::raw(vec![0; 8], 2)));
        assert!(seen.take(&Block::raw(vec![0; 8], 1)));
        let mut seen = Sample::of(SAMPLE);
        let large = Block::raw(vec![0; 16 << 20], 1);
        assert!((0..3).all(|_| !seen.take(&large)));
        assert!(seen.take(&large));
    }
}
