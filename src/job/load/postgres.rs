//! Loading Postgres: a new database beside the live one, then two renames in one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::loading::{Loading, StoreLoaded};
use super::{Counted, Verify, feed};
use crate::config::Environment;
use crate::error::{Error, OrFail, Result};
use crate::job::history::{How, PostgresReady};
use crate::job::verify::parts_of;
use crate::job::{Queue, Step, endpoints};
use crate::pipeline::digest::ContentDigest;
use crate::repository::manifest::{CollectionManifest, Part, PartKind, StoreManifest};
use crate::repository::part::read_small;
use crate::store::postgres::catalog::Catalog;
use crate::store::postgres::parts::{Slice, TablePart};
use crate::store::postgres::reader::TableRef;
use crate::store::postgres::swap as store_swap;
use crate::store::postgres::target::{Target, TargetOptions};
use crate::terms::{Identity, StoreKind};

/// Loads, compares, indexes, analyzes and seeds the new database.
pub(super) async fn load(loading: &Loading<'_>) -> Result<(PostgresReady, StoreLoaded)> {
    let store = held(loading)?;
    let endpoint = endpoints::postgres(&loading.plan.environment)?;
    let archive = Archive::fetch(loading, store)?;
    store_swap::drop_previous(&endpoint).await?;
    let target = Target::prepare(&endpoint, options(loading, store, &archive)).await?;
    let mut steps = Vec::new();

    let started = Instant::now();
    target.load_pre_data(&archive.path()).await?;
    let mut step = Step::since(started, "load", Some(StoreKind::Postgres));
    let mut counted = Vec::new();
    if loading.how == How::Snapshot {
        data(loading, store, &target).await?;
        target.load_sequences(&archive.sequences).await?;
        large_objects(loading, store, &target).await?;
        step = Step::since(started, "load", Some(StoreKind::Postgres));
        step.records = store.collections.iter().map(|collection| collection.records).sum();
        step.bytes_plain = parts_of(store, PartKind::Data).map(|part| part.bytes_plain).sum();
        step.bytes_stored = parts_of(store, PartKind::Data).map(|part| part.bytes_stored).sum();
    }
    step.jobs = loading.plan.jobs;
    steps.push(step);

    let started = Instant::now();
    if loading.how == How::Snapshot {
        counted = compare(loading, store, &target).await?;
    }
    steps.push(Step::since(started, "compare", Some(StoreKind::Postgres)));

    let started = Instant::now();
    target.load_post_data(&archive.path(), loading.plan.jobs).await?;
    steps.push(Step::since(started, "index", Some(StoreKind::Postgres)));
    let started = Instant::now();
    target.analyze(loading.plan.jobs).await?;
    steps.push(Step::since(started, "analyze", Some(StoreKind::Postgres)));
    finish(loading, &target, &archive, &mut steps).await?;

    let state = store_swap::state(&endpoint).await?;
    let becomes_live =
        state.new.ok_or_else(|| Error::failed("the new database has gone before the swap"))?;
    let ready = PostgresReady { becomes_live, was_live: state.live, from_previous: false };
    Ok((ready, StoreLoaded { counted, steps, remarks: target.remarks() }))
}

/// Fails where a load would be refused. Changes nothing.
pub(super) async fn check(loading: &Loading<'_>) -> Result<()> {
    let store = held(loading)?;
    let archive = Archive::fetch(loading, store)?;
    let endpoint = endpoints::postgres(&loading.plan.environment)?;
    Target::check(&endpoint, &options(loading, store, &archive)).await
}

fn options(loading: &Loading<'_>, store: &StoreManifest, archive: &Archive) -> TargetOptions {
    TargetOptions {
        job_id: loading.job.to_owned(),
        owner: None,
        source_schemas: source_schemas(store),
        database: archive.settings.clone(),
    }
}

async fn finish(
    loading: &Loading<'_>,
    target: &Target,
    archive: &Archive,
    steps: &mut Vec<Step>,
) -> Result<()> {
    target.apply_settings(&archive.settings).await?;
    target.apply_grants_of_live().await?;
    let started = Instant::now();
    target.run_sql(&loading.plan.sql).await?;
    for profile in loading.seeds {
        target.run_sql(&profile.postgres).await?;
    }
    if !loading.plan.sql.is_empty() || !loading.seeds.is_empty() {
        steps.push(Step::since(started, "sql, seeds", Some(StoreKind::Postgres)));
    }
    Ok(())
}

/// What pg_restore and the target need from the repository, in a folder that goes with it.
struct Archive {
    folder: tempfile::TempDir,
    sequences: String,
    settings: serde_json::Value,
}

impl Archive {
    fn fetch(loading: &Loading<'_>, store: &StoreManifest) -> Result<Self> {
        let folder = crate::job::temporary::folder()?;
        let read = |kind| -> Result<Vec<u8>> {
            let part = parts_of(store, kind)
                .next()
                .ok_or_else(|| Error::findings("the snapshot lacks a part of the schema"))?;
            read_small(&loading.plan.snapshot.snapshot, part, &loading.plan.permit)
        };
        std::fs::write(folder.path().join("schema.dump"), read(PartKind::Schema)?)
            .or_fail(|| "cannot write the schema to a temporary folder")?;
        let sequences = String::from_utf8(read(PartKind::Sequences)?)
            .or_fail(|| "the stored sequences are damaged")?;
        let settings = serde_json::from_slice(&read(PartKind::Database)?)
            .or_fail(|| "the stored settings of the database are damaged")?;
        Ok(Self { folder, sequences, settings })
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("schema.dump")
    }
}

/// Every data part, largest first, by `jobs` loaders with a connection each.
async fn data(loading: &Loading<'_>, store: &StoreManifest, target: &Target) -> Result<()> {
    let mut parts: Vec<&Part> = parts_of(store, PartKind::Data).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.bytes_plain));
    let total = parts.iter().map(|part| part.bytes_plain).sum();
    let meter = loading.run.progress.meter("load postgres", total);
    let work = async |queue: Queue<&Part>| -> Result<Vec<()>> {
        let loader = Arc::new(target.loader().await?);
        while let Ok(part) = queue.recv().await {
            let columns = &collection(store, part)?.columns;
            let (from, permit) = (&loading.plan.snapshot.snapshot, &loading.plan.permit);
            let format = part.format(StoreKind::Postgres);
            let table = TableRef {
                schema: part.namespace.clone(),
                name: part.name.clone(),
                columns: columns.clone(),
            };
            let whole = part.slice == Slice::All.to_string();
            let (loader, records) = (Arc::clone(&loader), part.records);
            feed::part(from, part, format, permit, &meter, async |mut blocks| {
                crate::job::apart(
                    async move { loader.load(&table, &mut blocks, records, whole).await },
                )
                .await?
            })
            .await?;
        }
        Ok(Vec::new())
    };
    crate::job::share(parts, loading.plan.jobs, work).await?;
    meter.finish();
    Ok(())
}

fn collection<'a>(store: &'a StoreManifest, part: &Part) -> Result<&'a CollectionManifest> {
    let found = store
        .collections
        .iter()
        .find(|found| found.namespace == part.namespace && found.name == part.name);
    found.ok_or_else(|| {
        Error::findings(format!("part `{}` belongs to no table of its manifest", part.path))
    })
}

async fn large_objects(
    loading: &Loading<'_>,
    store: &StoreManifest,
    target: &Target,
) -> Result<()> {
    for part in parts_of(store, PartKind::LargeObjects) {
        let meter = loading.run.progress.meter("load large objects", part.bytes_plain);
        let (from, permit) = (&loading.plan.snapshot.snapshot, &loading.plan.permit);
        let loader = target.loader().await?;
        let format = part.format(StoreKind::Postgres);
        feed::part(from, part, format, permit, &meter, async |mut blocks| {
            loader.load_large_objects(&mut blocks, part.records).await
        })
        .await?;
        meter.finish();
    }
    Ok(())
}

/// Reads the new database back, large tables in slices: what came in equals what the manifest
/// says.
async fn compare(
    loading: &Loading<'_>,
    store: &StoreManifest,
    target: &Target,
) -> Result<Vec<Counted>> {
    let catalog = target.catalog().await?;
    let work = async |queue: Queue<TablePart>| -> Result<Vec<_>> {
        let mut found = Vec::new();
        let mut reader = target.reader().await?;
        while let Ok(part) = queue.recv().await {
            let table = &catalog.tables[part.table];
            let Some(held) = store
                .collections
                .iter()
                .find(|held| held.namespace == table.schema && held.name == table.name)
            else {
                continue;
            };
            let (schema, name) = (table.schema.clone(), table.name.clone());
            let table = TableRef { schema, name, columns: held.columns.clone() };
            found.push((
                part.table,
                match loading.plan.verify {
                    Verify::Counts => (reader.count(&table).await?, held.digest),
                    Verify::Digests => {
                        let digested = crate::job::apart(async move {
                            let digest = reader.digest(&table, part.slice).await?;
                            Ok((digest, reader))
                        });
                        let (digest, same) = digested.await??;
                        reader = same;
                        digest
                    }
                },
            ));
        }
        Ok(found)
    };
    let pieces = pieces(loading.plan.verify, &catalog);
    let found = crate::job::share(pieces, loading.plan.jobs, work).await?;
    let mut sums: BTreeMap<(&str, &str), (u64, ContentDigest)> = BTreeMap::new();
    for (table, (rows, digest)) in found {
        let table = &catalog.tables[table];
        let sum = sums.entry((&table.schema, &table.name)).or_default();
        sum.0 += rows;
        sum.1.merge(digest);
    }
    store.collections.iter().map(|held| judge(held, &sums)).collect()
}

/// What is read back: slices for digests, whole tables for counts.
fn pieces(verify: Verify, catalog: &Catalog) -> Vec<TablePart> {
    let mut pieces = Target::parts(catalog);
    if verify == Verify::Counts {
        let mut seen = std::collections::BTreeSet::new();
        pieces.retain(|piece| seen.insert(piece.table));
    }
    pieces
}

fn judge(
    held: &CollectionManifest,
    sums: &BTreeMap<(&str, &str), (u64, ContentDigest)>,
) -> Result<Counted> {
    let what = format!("table `{}.{}`", held.namespace, held.name);
    let Some((records, digest)) = sums.get(&(held.namespace.as_str(), held.name.as_str())) else {
        return Err(Error::findings(format!("{what} is not in the new database")));
    };
    if *records != held.records {
        return Err(feed::miscounted(&what, held.records, *records));
    }
    if *digest != held.digest {
        return Err(Error::findings(format!("the rows of {what} are not those of the snapshot"))
            .hint("the target was not touched"));
    }
    Ok(Counted {
        store: StoreKind::Postgres,
        namespace: held.namespace.clone(),
        name: held.name.clone(),
        records: *records,
        expired: 0,
    })
}

/// The schemas that the snapshot was limited to; none means all.
fn source_schemas(store: &StoreManifest) -> Vec<String> {
    match &store.identity {
        Identity::Postgres { schemas, .. } => schemas.clone(),
        _ => Vec::new(),
    }
}

fn held<'a>(loading: &Loading<'a>) -> Result<&'a StoreManifest> {
    let manifest = &loading.plan.snapshot.manifest;
    manifest
        .store(StoreKind::Postgres)
        .ok_or_else(|| Error::not_found("the snapshot holds no postgres"))
}

/// Swaps, unless it has happened already.
pub(super) async fn swap(environment: &Environment, ready: &PostgresReady) -> Result<u64> {
    if is_swapped(environment, ready).await? {
        return Ok(0);
    }
    let endpoint = endpoints::postgres(environment)?;
    let state = store_swap::state(&endpoint).await?;
    let waiting = if ready.from_previous { state.previous } else { state.new };
    if waiting != Some(ready.becomes_live) {
        return Err(Error::failed("the database that was to be swapped in is not there any more")
            .hint("another job may have replaced it; see `pfdata status`"));
    }
    let report = if ready.from_previous {
        store_swap::swap_back(&endpoint, false).await?
    } else {
        store_swap::swap(&endpoint).await?
    };
    Ok(report.blocked_ms)
}

/// Whether the database that was to become live is.
pub(super) async fn is_swapped(environment: &Environment, ready: &PostgresReady) -> Result<bool> {
    let state = store_swap::state(&endpoints::postgres(environment)?).await?;
    Ok(state.live == Some(ready.becomes_live))
}

/// Brings the old database back, and drops the new one unless it is itself the previous one.
pub(super) async fn undo(environment: &Environment, ready: &PostgresReady) -> Result<()> {
    let endpoint = endpoints::postgres(environment)?;
    let swapped = is_swapped(environment, ready).await?;
    match (swapped, ready.from_previous) {
        (true, true) => store_swap::swap_back(&endpoint, false).await.map(drop),
        (true, false) => store_swap::undo(&endpoint, ready.was_live.is_some()).await.map(drop),
        (false, true) => Ok(()),
        (false, false) => store_swap::drop_new(&endpoint).await,
    }
}

/// Drops what was loaded beside the live database.
pub(super) async fn drop_new(environment: &Environment) -> Result<()> {
    store_swap::drop_new(&endpoints::postgres(environment)?).await
}

/// Drops what is kept from before.
pub(super) async fn drop_previous(environment: &Environment) -> Result<()> {
    store_swap::drop_previous(&endpoints::postgres(environment)?).await
}

/// What a rollback would swap, if there is anything.
pub(super) async fn previous(environment: &Environment) -> Result<Option<PostgresReady>> {
    let state = store_swap::state(&endpoints::postgres(environment)?).await?;
    Ok(state.previous.map(|becomes_live| PostgresReady {
        becomes_live,
        was_live: state.live,
        from_previous: true,
    }))
}
