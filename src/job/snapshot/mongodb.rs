//! Reading MongoDB into parts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::plan::SnapshotPlan;
use super::read::{StoreRead, WRITERS_PATIENCE, places};
use super::session::Session;
use crate::anonymize::mongodb::MongodbPlan;
use crate::anonymize::review;
use crate::error::{Error, OrFail, Result};
use crate::job::{Queue, coverage, endpoints};
use crate::pipeline::digest::{ContentDigest, RecordFormat};
use crate::pipeline::progress::Meter;
use crate::pipeline::transform::{BlockTransform, Unruled};
use crate::repository::layout;
use crate::repository::manifest::{
    CollectionManifest, Part, PartKind, Place, StoreManifest, Structure,
};
use crate::repository::part::PartSpec;
use crate::store::mongodb::kind::Kind;
use crate::store::mongodb::options::SourceOptions;
use crate::store::mongodb::source::{CollectionPart, Source};
use crate::store::mongodb::structure;
use crate::terms::{Level, StoreKind};

/// How often a store is read again when its catalog changed underneath.
const ATTEMPTS_MAX: usize = 3;

/// Takes the consistency point.
pub(super) async fn open(plan: &SnapshotPlan) -> Result<Source> {
    let endpoint = endpoints::mongodb(&plan.environment)?;
    let options = SourceOptions {
        only: plan.request.only.clone(),
        exclude: plan.request.exclude.clone(),
        ..SourceOptions::default()
    };
    Source::open(&endpoint, options).await
}

/// Reads everything; when a collection was dropped, renamed or recreated meanwhile, begins anew
/// at a later point, at most three times.
pub(super) async fn read(
    plan: &SnapshotPlan,
    session: &Session,
    source: Source,
    meter: Arc<Meter>,
) -> Result<StoreRead> {
    let started = Instant::now();
    let mut source = Arc::new(source);
    for number in 1..=ATTEMPTS_MAX {
        let attempt = session.attempt();
        let read = once(plan, &attempt, &source, &meter).await;
        let again = match &read {
            Ok(_) => !source.verify_unchanged().await?,
            Err(_) => source.lost().is_some(),
        };
        if !again {
            let (manifest, places) = read?;
            meter.finish();
            return Ok(StoreRead::new(manifest, started, places, session.jobs));
        }
        tracing::warn!(
            attempt = number,
            "the collections changed while they were read; reading them again"
        );
        let snapshot = session.snapshot.clone();
        crate::job::blocking(move || {
            // Writers of this attempt may still be at their last block.
            if !attempt.gate.close(WRITERS_PATIENCE) {
                return Err(Error::failed("a writer of an earlier attempt does not end"));
            }
            snapshot.remove_parts(layout::MONGODB)
        })
        .await?;
        source = Arc::new(open(plan).await?);
    }
    Err(Error::failed("the collections of mongodb changed during each of three attempts")
        .hint("take the snapshot when no migration runs"))
}

async fn once(
    plan: &SnapshotPlan,
    session: &Session,
    source: &Arc<Source>,
    meter: &Arc<Meter>,
) -> Result<(StoreManifest, Vec<Place>)> {
    let (shapes, positions) = source.with_documents();
    let rules = match &plan.ruled {
        Some(ruled) => {
            let mut masking = ruled.rules.mongodb(&shapes, &ruled.key)?;
            masking.coverage().require_complete()?;
            if plan.reviewed_only() {
                // The paths of a collection show only in its documents: a sample is looked at.
                let seen = coverage::observed(source, &masking, &positions, shapes.len()).await?;
                plan.require_reviewed(&review::starred(&seen))?;
            }
            tell_spellings_apart(source, &mut masking, &positions).await?;
            Some(Masking { plan: masking, positions })
        }
        None => None,
    };
    meter.expect(shapes.iter().map(|shape| shape.bytes).sum());
    let structure = if rules.is_some() { carried(source)? } else { Vec::new() };
    let mut parts = metadata(session, source).await?;
    let (data, digests) = data(session, source, rules.as_ref(), meter).await?;
    parts.extend(data);
    parts.sort_by_key(|part| part.number);
    let collections = source
        .catalog()
        .collections
        .iter()
        .enumerate()
        .filter(|(_, found)| found.kind != Kind::View);
    let manifest = StoreManifest {
        partial: plan.is_partial(),
        masked_with: session.masked_with(StoreKind::Mongodb),
        held: session.held(StoreKind::Mongodb),
        store: StoreKind::Mongodb,
        identity: source.identity().clone(),
        server_version: source.server_version().to_owned(),
        consistency: source.consistency().clone(),
        collections: collections
            .map(|(at, found)| {
                let (records, digest) = digests.get(&at).copied().unwrap_or_default();
                CollectionManifest {
                    namespace: source.database_name().to_owned(),
                    name: found.shape.name.clone(),
                    records,
                    expiring: None,
                    digest,
                    level: source.level(at),
                    columns: Vec::new(),
                }
            })
            .collect(),
        parts,
        remarks: remarks(source, &structure),
        structure,
    };
    let places = rules.map_or_else(Vec::new, |rules| places(&rules.plan.coverage()));
    Ok((manifest, places))
}

/// The rules laid over the collections, and where each collection of the catalog stands in them.
/// Views hold no documents and need no rule.
struct Masking {
    plan: MongodbPlan,
    positions: Vec<usize>,
}

/// What the collections' metadata carries, with its literals; credentials in it end the snapshot.
fn carried(source: &Source) -> Result<Vec<Structure>> {
    let metadata = structure::read(source.catalog())?;
    let found = structure::credentials(&metadata);
    if !found.is_empty() {
        return Err(Error::findings(format!(
            "the structure of mongodb holds credentials that no rule can mask: {}",
            found.join(", ")
        ))
        .hint("take them out of there, or leave the collection out with --exclude"));
    }
    let carried = structure::carried(&metadata);
    Ok(carried.into_iter().map(|(kind, names)| Structure::of(kind, names)).collect())
}

/// Finds the values of unique paths that differ in their spelling alone, so that their
/// pseudonyms do too.
async fn tell_spellings_apart(
    source: &Source,
    plan: &mut MongodbPlan,
    positions: &[usize],
) -> Result<()> {
    let mut found = Vec::new();
    for (at, info) in source.catalog().collections.iter().enumerate() {
        let Some(position) = positions.get(at).filter(|_| info.kind != Kind::View) else {
            continue;
        };
        for place in plan.spelled(*position)? {
            let texts = source.spellings(at, place.spelled()).await?;
            if !texts.is_empty() {
                found.push((place, texts));
            }
        }
    }
    plan.tell_apart(&found)
}

async fn metadata(session: &Session, source: &Source) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for found in &source.catalog().collections {
        let (database, name) = (source.database_name(), &found.shape.name);
        let path = layout::collection(database, name);
        let bytes = found.metadata_json.clone().into_bytes();
        parts.push(session.small(PartKind::Metadata, path, (database, name), bytes).await?);
    }
    Ok(parts)
}

type Digests = BTreeMap<usize, (u64, ContentDigest)>;

async fn data(
    session: &Session,
    source: &Arc<Source>,
    rules: Option<&Masking>,
    meter: &Arc<Meter>,
) -> Result<(Vec<Part>, Digests)> {
    let work = async |queue| worker(session, source, rules, meter, queue).await;
    let made = crate::job::share(source.parts(), session.jobs, work).await?;
    let (mut parts, mut digests) = (Vec::new(), Digests::new());
    for (collection, part, digest) in made {
        let entry = digests.entry(collection).or_default();
        entry.0 += part.records;
        entry.1.merge(digest);
        parts.push(part);
    }
    Ok((parts, digests))
}

async fn worker(
    session: &Session,
    source: &Arc<Source>,
    rules: Option<&Masking>,
    meter: &Arc<Meter>,
    queue: Queue<CollectionPart>,
) -> Result<Vec<(usize, Part, ContentDigest)>> {
    let mut done = Vec::new();
    while let Ok(slice) = queue.recv().await {
        let _worker = session.workers.acquire().await.or_fail(|| "the workers have stopped")?;
        let name = &source.catalog().collections[slice.collection].shape.name;
        let number = session.number();
        let spec = PartSpec {
            number,
            kind: PartKind::Data,
            path: layout::documents(source.database_name(), name, number, session.codec),
            namespace: source.database_name().to_owned(),
            name: name.clone(),
            slice: slice.slice.to_string(),
            format: RecordFormat::Bson,
        };
        let transform: Box<dyn BlockTransform> = match rules {
            Some(Masking { plan, positions }) => plan.transform(positions[slice.collection])?,
            None => Box::new(Unruled(session.unruled()?)),
        };
        let (reading, collection) = (Arc::clone(source), slice.collection);
        let read = async |blocks| {
            let sent = crate::job::apart(async move { reading.read(&slice, blocks).await });
            Ok((sent.await??, ()))
        };
        let (part, digest, ()) = session
            .part(spec, transform, meter, read)
            .await
            .map_err(|error| error.context(format!("collection `{name}` could not be read")))?;
        done.push((collection, part, digest));
    }
    Ok(done)
}

fn remarks(source: &Source, structure: &[Structure]) -> Vec<String> {
    let mut remarks: Vec<String> = Structure::told(structure).into_iter().collect();
    if source.stored_functions() {
        remarks.push("the functions in `system.js` are not in the snapshot".to_owned());
    }
    if source.consistency().level == Level::BestEffort {
        remarks.push(
            "a standalone server has no snapshots: each collection is as it was when it was read"
                .to_owned(),
        );
    }
    for (at, found) in source.catalog().collections.iter().enumerate() {
        if source.level(at) == Some(Level::BestEffort) {
            remarks
                .push(format!("`{}` is capped and was read without a snapshot", found.shape.name));
        }
    }
    remarks
}
