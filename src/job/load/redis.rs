//! Loading Redis: the spare index, then one SWAPDB.

use std::time::Instant;

use tokio::sync::mpsc;

use super::loading::{Loading, StoreLoaded};
use super::{Counted, Verify, feed};
use crate::config::Environment;
use crate::error::{Error, Kind, OrFail, Result};
use crate::job::history::{Command, How, RedisReady};
use crate::job::verify::parts_of;
use crate::job::{Step, endpoints};
use crate::repository::manifest::{PartKind, StoreManifest};
use crate::store::redis::load::{Expiry, LoadReport};
use crate::store::redis::seed::parse_commands;
use crate::store::redis::swap::{self as store_swap, SpareState};
use crate::store::redis::target::{Back, Target};
use crate::terms::StoreKind;

/// Fails where a load would be refused. Changes nothing.
pub(super) async fn check(loading: &Loading<'_>) -> Result<()> {
    let environment = &loading.plan.environment;
    let held = loading.plan.snapshot.manifest.store(StoreKind::Redis);
    let data = held.into_iter().flat_map(|store| parts_of(store, PartKind::Data));
    let bytes = data.map(|part| part.bytes_plain).sum();
    let bytes = if loading.how == How::Snapshot { bytes } else { 0 };
    Target::check(&endpoints::redis(environment)?, &environment.name, bytes).await
}

/// Loads, compares and seeds the spare index.
pub(super) async fn load(loading: &Loading<'_>) -> Result<(RedisReady, StoreLoaded)> {
    let environment = &loading.plan.environment;
    let endpoint = endpoints::redis(environment)?;
    let started = Instant::now();
    let mut target = Target::prepare(&endpoint, &environment.name, loading.job).await?;
    let (mut steps, mut counted, mut remarks) = (Vec::new(), Vec::new(), Vec::new());
    match loading.how {
        How::Empty => {
            // A stream that ends before it begins is an empty index.
            let (_, nothing) = mpsc::channel(1);
            target.load(nothing, Expiry::Absolute).await?;
        }
        How::Snapshot => {
            let store = stored(loading)?;
            let report = data(loading, store, &mut target).await?;
            steps.push(load_step(store, started));
            let started = Instant::now();
            counted = compare(loading, store, &mut target, &report).await?;
            steps.push(Step::since(started, "compare", Some(StoreKind::Redis)));
            remarks = report.remarks;
        }
    }
    for file in loading.seeds.iter().flat_map(|profile| &profile.redis) {
        let text = std::fs::read(file).or_usage(|| format!("cannot read `{}`", file.display()))?;
        let told = |error: Error| not_in_part(error, &format!("`{}`", file.display()));
        target.run_commands(&parse_commands(&text).map_err(told)?).await.map_err(told)?;
    }
    let ready = RedisReady { spare: target.spare(), from_previous: false };
    Ok((ready, StoreLoaded { counted, steps, remarks }))
}

/// What the snapshot says of its Redis; it need not have one for an index to be emptied.
fn stored<'a>(loading: &Loading<'a>) -> Result<&'a StoreManifest> {
    let manifest = &loading.plan.snapshot.manifest;
    manifest.store(StoreKind::Redis).ok_or_else(|| Error::not_found("the snapshot holds no redis"))
}

/// The error of a seed that could not be applied. Seeds that are executed in part are so in the
/// spare index only, which goes with the rest of the load: nothing is done in part.
fn not_in_part(error: Error, seed: &str) -> Error {
    let message = format!("{seed} could not be applied");
    if error.kind() != Kind::Partial {
        return error.context(message);
    }
    let hint = error.hint_text().map(str::to_owned);
    let failed = Error::failed(message).because(error);
    match hint {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

fn load_step(store: &StoreManifest, started: Instant) -> Step {
    let mut step = Step::since(started, "load", Some(StoreKind::Redis));
    step.records = store.collections.iter().map(|index| index.records).sum();
    step.bytes_plain = parts_of(store, PartKind::Data).map(|part| part.bytes_plain).sum();
    step.bytes_stored = parts_of(store, PartKind::Data).map(|part| part.bytes_stored).sum();
    step.jobs = 1;
    step
}

async fn data(
    loading: &Loading<'_>,
    store: &StoreManifest,
    target: &mut Target,
) -> Result<LoadReport> {
    let part = parts_of(store, PartKind::Data)
        .next()
        .ok_or_else(|| Error::findings("the snapshot lacks its RDB"))?;
    target.require_room(part.bytes_plain).await?;
    let expiry = match loading.plan.command {
        Command::Refresh => Expiry::Remaining,
        Command::Restore | Command::Rollback => Expiry::Absolute,
    };
    let meter = loading.run.progress.meter("load redis", part.bytes_plain);
    let (from, permit) = (&loading.plan.snapshot.snapshot, &loading.plan.permit);
    let format = part.format(StoreKind::Redis);
    let report = feed::part(from, part, format, permit, &meter, async |blocks| {
        target.load(blocks, expiry).await
    })
    .await?;
    meter.finish();
    Ok(report)
}

async fn compare(
    loading: &Loading<'_>,
    store: &StoreManifest,
    target: &mut Target,
    report: &LoadReport,
) -> Result<Vec<Counted>> {
    let index = store
        .collections
        .first()
        .ok_or_else(|| Error::findings("the manifest tells no count of keys"))?;
    if report.stored.keys != index.records {
        return Err(feed::miscounted("the stored RDB", index.records, report.stored.keys));
    }
    if report.stored.digest != index.digest {
        return Err(Error::findings("the keys of the stored RDB are not those of the manifest"));
    }
    let verified = target.verify(loading.plan.verify == Verify::Digests).await?;
    Ok(vec![Counted {
        store: StoreKind::Redis,
        namespace: String::new(),
        name: index.name.clone(),
        records: verified.found,
        expired: index.records.saturating_sub(verified.found),
    }])
}

/// The spare index `spare`, if it carries the environment's marker.
async fn attach(environment: &Environment, spare: u32, job: &str) -> Result<Option<Target>> {
    Target::attach_to(spare, &endpoints::redis(environment)?, &environment.name, job).await
}

fn gone(environment: &Environment, spare: u32) -> Error {
    Error::failed(format!(
        "redis index {spare} is not the spare index of `{}` any more",
        environment.name
    ))
}

/// Swaps, unless it has happened already.
pub(super) async fn swap(environment: &Environment, ready: &RedisReady, job: &str) -> Result<u64> {
    let started = Instant::now();
    let target = attach(environment, ready.spare, job).await?;
    let mut target = target.ok_or_else(|| gone(environment, ready.spare))?;
    if ready.from_previous {
        target.swap_back(Back::Rollback).await?;
    } else {
        target.swap().await?;
    }
    Ok(crate::job::milliseconds(started))
}

/// Whether the marker in the index that was loaded says that this job's swap has happened.
pub(super) async fn is_swapped(
    environment: &Environment,
    ready: &RedisReady,
    job: &str,
) -> Result<bool> {
    let spare =
        store_swap::at(&endpoints::redis(environment)?, &environment.name, ready.spare).await?;
    Ok(spare
        .is_some_and(|spare| spare.marker.job == job && spare.marker.state == SpareState::Previous))
}

/// Brings the old keys back, and drops the new ones unless they are the previous ones.
pub(super) async fn undo(environment: &Environment, ready: &RedisReady, job: &str) -> Result<()> {
    if ready.from_previous {
        return undo_rollback(environment, ready, job).await;
    }
    // Without a marker it was undone before, by a process that did not live to say so.
    let Some(mut target) = attach(environment, ready.spare, job).await? else { return Ok(()) };
    target.swap_back(Back::Undo).await?;
    if target.marker().is_new_of(job) { target.drop_new().await } else { Ok(()) }
}

/// Both sides of a rollback's swap are kept and marked, whether it has happened, has not or was
/// undone: an index without the marker does not tell which data is live.
async fn undo_rollback(environment: &Environment, ready: &RedisReady, job: &str) -> Result<()> {
    // Under another name, so that the marker does not claim that this job has swapped.
    let target = attach(environment, ready.spare, &format!("{job}-undo")).await?;
    match target.filter(|target| target.marker().state == SpareState::Previous) {
        Some(mut target) if target.marker().job == job => target.swap_back(Back::Rollback).await,
        Some(_) => Ok(()),
        None => Err(gone(environment, ready.spare).hint(format!(
            "see to it that what is live in redis is right; then remove `step-ready.json` of job {job}"
        ))),
    }
}

/// Drops what the job loaded into the spare index. What another job is loading there stays.
pub(super) async fn drop_new(environment: &Environment, job: &str) -> Result<()> {
    let spares = store_swap::all(&endpoints::redis(environment)?, &environment.name).await?;
    for spare in spares.iter().filter(|spare| spare.marker.is_new_of(job)) {
        if let Some(target) = attach(environment, spare.index, job).await?
            && target.marker().is_new_of(job)
        {
            target.drop_new().await?;
        }
    }
    Ok(())
}

/// Drops what is kept from before.
pub(super) async fn drop_previous(environment: &Environment) -> Result<()> {
    let Some(ready) = previous(environment).await? else { return Ok(()) };
    match attach(environment, ready.spare, "clean-up").await? {
        Some(target) => target.drop_previous().await,
        None => Ok(()),
    }
}

/// What a rollback would swap, if there is anything.
pub(super) async fn previous(environment: &Environment) -> Result<Option<RedisReady>> {
    let kept = store_swap::previous(&endpoints::redis(environment)?, &environment.name).await?;
    Ok(kept.map(|spare| RedisReady { spare: spare.index, from_previous: true }))
}
