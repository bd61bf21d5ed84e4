//! Loading MongoDB: collections under temporary names, then a rename each.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;
use std::time::Instant;

use super::loading::{Loading, StoreLoaded};
use super::{Counted, Verify, feed};
use crate::config::Environment;
use crate::error::{Error, OrFail, Result};
use crate::job::history::{How, MongoReady};
use crate::job::verify::parts_of;
use crate::job::{Queue, Step, endpoints, repositories};
use crate::pipeline::progress::Progress;
use crate::policy::Permit;
use crate::repository::id::SnapshotRef;
use crate::repository::manifest::{CollectionManifest, Part, PartKind, StoreManifest};
use crate::repository::part::read_small;
use crate::repository::snapshot::Snapshot;
use crate::repository::{PREVIOUS_SET, Stored};
use crate::seed::Profile;
use crate::store::mongodb::new_name;
use crate::store::mongodb::seed::seed_lines;
use crate::store::mongodb::swap::{self as store_swap, SwapPlan, SwapState};
use crate::store::mongodb::target::Target;
use crate::terms::StoreKind;

/// What is loaded, from where, and how.
struct Source<'a> {
    stored: &'a Stored,
    store: &'a StoreManifest,
    permit: &'a Permit,
    verify: Verify,
    jobs: usize,
    progress: &'a Progress,
}

/// Loads, compares, indexes and seeds collections beside the live ones.
pub(super) async fn load(loading: &Loading<'_>) -> Result<(MongoReady, StoreLoaded)> {
    let plan = loading.plan;
    let store = plan
        .snapshot
        .manifest
        .store(StoreKind::Mongodb)
        .ok_or_else(|| Error::not_found("the snapshot holds no mongodb"))?;
    let endpoint = endpoints::mongodb(&plan.environment)?;
    drop_previous(&plan.environment, None)?;
    let source = Source {
        stored: &plan.snapshot,
        store,
        permit: &plan.permit,
        verify: plan.verify,
        jobs: plan.jobs,
        progress: &loading.run.progress,
    };
    let target = Target::prepare(&endpoint, loading.job).await?;
    let (plan, loaded) = fill(&source, target, loading.how, loading.seeds).await?;
    Ok((MongoReady { plan, previous: None }, loaded))
}

/// Fails where a load would be refused. Changes nothing.
pub(super) async fn check(loading: &Loading<'_>) -> Result<()> {
    let held = loading.plan.snapshot.manifest.store(StoreKind::Mongodb);
    let data = held.into_iter().flat_map(|store| parts_of(store, PartKind::Data));
    let bytes = data.map(|part| part.bytes_plain).sum();
    let bytes = if loading.how == How::Snapshot { bytes } else { 0 };
    Target::check(&endpoints::mongodb(&loading.plan.environment)?, bytes).await
}

/// A database that is being filled: which temporary name each collection has.
struct Filling {
    target: Arc<Target>,
    numbers: BTreeMap<String, usize>,
}

impl Filling {
    fn number(&self, name: &str) -> Result<usize> {
        self.numbers.get(name).copied().ok_or_else(|| {
            Error::findings(format!("the snapshot lacks the metadata of collection `{name}`"))
        })
    }
}

async fn fill(
    source: &Source<'_>,
    target: Target,
    how: How,
    seeds: &[Profile],
) -> Result<(SwapPlan, StoreLoaded)> {
    let mut steps = Vec::new();
    let started = Instant::now();
    let mut filling = Filling { target: Arc::new(target), numbers: BTreeMap::new() };
    for (number, part) in parts_of(source.store, PartKind::Metadata).enumerate() {
        let json = read_small(&source.stored.snapshot, part, source.permit)?;
        let json = String::from_utf8(json)
            .or_fail(|| format!("the metadata of `{}` is damaged", part.name))?;
        filling.target.create(number, &json, &part.name).await?;
        filling.numbers.insert(part.name.clone(), number);
    }
    let mut counted = Vec::new();
    if how == How::Snapshot {
        data(source, &filling).await?;
        steps.push(load_step(source, started));
        let started = Instant::now();
        counted = compare(source, &filling).await?;
        steps.push(Step::since(started, "compare", Some(StoreKind::Mongodb)));
    }
    let started = Instant::now();
    let collections = filling.target.prepared()?;
    for collection in &collections {
        filling.target.finish(collection.n).await?;
    }
    steps.push(Step::since(started, "index", Some(StoreKind::Mongodb)));
    seed(&mut filling, seeds).await?;
    for collection in filling.target.prepared()? {
        filling.target.finish_ttl(collection.n).await?;
    }
    let plan = filling.target.swap_plan(true).await?;
    Ok((plan, StoreLoaded { counted, steps, remarks: filling.target.remarks() }))
}

fn load_step(source: &Source<'_>, started: Instant) -> Step {
    let parts = || parts_of(source.store, PartKind::Data);
    let mut step = Step::since(started, "load", Some(StoreKind::Mongodb));
    step.records = source.store.collections.iter().map(|found| found.records).sum();
    step.bytes_plain = parts().map(|part| part.bytes_plain).sum();
    step.bytes_stored = parts().map(|part| part.bytes_stored).sum();
    step.jobs = source.jobs;
    step
}

/// Seeds go into the new collections; one that the snapshot does not have is created.
async fn seed(filling: &mut Filling, seeds: &[Profile]) -> Result<()> {
    for (collection, file) in seeds.iter().flat_map(|profile| &profile.mongodb) {
        let collections = filling.target.prepared()?;
        let number = match filling.numbers.get(collection) {
            Some(number) if !collections.iter().any(|made| made.n == *number) => {
                return Err(Error::usage(format!("`{collection}` is a view and cannot be seeded")));
            }
            Some(number) => *number,
            None => {
                let number = filling.numbers.len();
                let plain = format!(
                    "{{\"indexes\":[],\"uuid\":\"\",\"collectionName\":{},\"type\":\"collection\"}}",
                    serde_json::Value::from(collection.as_str())
                );
                filling.target.create(number, &plain, collection).await?;
                filling.numbers.insert(collection.clone(), number);
                number
            }
        };
        let lines = File::open(file).or_usage(|| format!("cannot read `{}`", file.display()))?;
        let name = new_name(number);
        let client = filling.target.client();
        seed_lines(client, filling.target.database_name(), &name, BufReader::new(lines))
            .await
            .map_err(|error| error.context(format!("`{}` could not be applied", file.display())))?;
    }
    Ok(())
}

/// Every data part, largest first, by `jobs` loaders.
async fn data(source: &Source<'_>, filling: &Filling) -> Result<()> {
    let mut parts: Vec<&Part> = parts_of(source.store, PartKind::Data).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.bytes_plain));
    let total = parts.iter().map(|part| part.bytes_plain).sum();
    let meter = source.progress.meter("load mongodb", total);
    let work = async |queue: Queue<&Part>| -> Result<Vec<()>> {
        while let Ok(part) = queue.recv().await {
            let number = filling.number(&part.name)?;
            let format = part.format(StoreKind::Mongodb);
            let from = &source.stored.snapshot;
            let target = Arc::clone(&filling.target);
            let loaded = feed::part(from, part, format, source.permit, &meter, async |blocks| {
                crate::job::apart(async move { target.load_part(number, blocks).await }).await?
            })
            .await?;
            if loaded != part.records {
                let what = format!("collection `{}`", part.name);
                return Err(feed::miscounted(&what, part.records, loaded));
            }
        }
        Ok(Vec::new())
    };
    crate::job::share(parts, source.jobs, work).await?;
    meter.finish();
    Ok(())
}

/// Reads the new collections back: what came in equals what the manifest says.
async fn compare(source: &Source<'_>, filling: &Filling) -> Result<Vec<Counted>> {
    let work = async |queue: Queue<&CollectionManifest>| -> Result<Vec<Counted>> {
        let mut counted = Vec::new();
        while let Ok(collection) = queue.recv().await {
            let what = format!("collection `{}`", collection.name);
            let number = filling.number(&collection.name)?;
            let records = match source.verify {
                Verify::Counts => filling.target.count(number).await?,
                Verify::Digests => {
                    let (records, digest) = filling.target.digest(number).await?;
                    if records == collection.records && digest != collection.digest {
                        return Err(Error::findings(format!(
                            "the documents of {what} are not those of the snapshot"
                        ))
                        .hint("the target was not touched"));
                    }
                    records
                }
            };
            if records != collection.records {
                return Err(feed::miscounted(&what, collection.records, records));
            }
            counted.push(Counted {
                store: StoreKind::Mongodb,
                namespace: collection.namespace.clone(),
                name: collection.name.clone(),
                records,
                expired: 0,
            });
        }
        Ok(counted)
    };
    let mut counted = crate::job::share(&source.store.collections, source.jobs, work).await?;
    counted.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(counted)
}

/// Renames what has not been renamed yet.
pub(super) async fn swap(environment: &Environment, ready: &MongoReady) -> Result<u64> {
    let started = Instant::now();
    store_swap::resume(&endpoints::mongodb(environment)?, &ready.plan).await?;
    Ok(crate::job::milliseconds(started))
}

/// Whether at least one collection has been renamed.
pub(super) async fn is_swapped(environment: &Environment, ready: &MongoReady) -> Result<bool> {
    let state = store_swap::state(&endpoints::mongodb(environment)?, &ready.plan).await?;
    Ok(state != SwapState::NotStarted)
}

/// Brings the old documents back: from the snapshot that was taken before the first rename, where
/// there was one.
pub(super) async fn undo(
    environment: &Environment,
    ready: &MongoReady,
    progress: &Progress,
) -> Result<()> {
    if is_swapped(environment, ready).await? {
        let Some(previous) = &ready.previous else {
            return Err(Error::failed("nothing was kept of what mongodb held before"));
        };
        let wanted = SnapshotRef::Id(previous.clone());
        let stored = repositories::Shelf::open([environment])?.find(&wanted, None)?;
        let permit = Permit::undone(&stored.manifest.environment, &environment.name)?;
        let job = format!("undo-{previous}");
        let again = beside(environment, &stored, &permit, &job, progress).await?;
        swap(environment, &again).await?;
    }
    drop_new(environment).await
}

/// Loads a kept snapshot beside the live collections, ready for the renames.
pub(super) async fn beside(
    environment: &Environment,
    stored: &Stored,
    permit: &Permit,
    job: &str,
    progress: &Progress,
) -> Result<MongoReady> {
    let store = stored
        .manifest
        .store(StoreKind::Mongodb)
        .ok_or_else(|| Error::not_found("the kept snapshot holds no mongodb"))?;
    let source = Source {
        stored,
        store,
        permit,
        verify: Verify::Digests,
        jobs: crate::config::default_jobs(),
        progress,
    };
    let target = Target::prepare(&endpoints::mongodb(environment)?, job).await?;
    let (plan, _) = fill(&source, target, How::Snapshot, &[]).await?;
    Ok(MongoReady { plan, previous: None })
}

/// Drops what was loaded beside the live collections.
pub(super) async fn drop_new(environment: &Environment) -> Result<()> {
    // Preparing a target drops what earlier loads left.
    Target::prepare(&endpoints::mongodb(environment)?, "clean-up").await.map(drop)
}

/// The snapshot that is kept for a rollback.
pub(super) fn previous(environment: &Environment, id: Option<&str>) -> Result<Option<Stored>> {
    let Some(id) = id else { return Ok(None) };
    let shelf = repositories::Shelf::open([environment])?;
    let kept = |stored: &&Stored| {
        stored.manifest.environment == environment.name
            && stored.manifest.set == PREVIOUS_SET
            && stored.manifest.id == id
    };
    Ok(shelf.stored.iter().map(|(_, stored)| stored).find(kept).cloned())
}

/// Removes what is kept from before, except the snapshot of the id `except`.
pub(super) fn drop_previous(environment: &Environment, except: Option<&str>) -> Result<()> {
    let shelf = repositories::Shelf::open([environment])?;
    // The same snapshot may be found through several sets.
    let mut gone: Vec<&Snapshot> = Vec::new();
    for (_, stored) in &shelf.stored {
        let manifest = &stored.manifest;
        if manifest.environment == environment.name
            && manifest.set == PREVIOUS_SET
            && Some(manifest.id.as_str()) != except
            && !gone.contains(&&stored.snapshot)
        {
            gone.push(&stored.snapshot);
        }
    }
    gone.into_iter().try_for_each(Snapshot::remove)
}
