//! Loading Redis: the spare index, then one SWAPDB.

use std::time::Instant;

use tokio::sync::mpsc;

use super::execute::{Loading, StoreLoaded};
use super::{Command, Counted, How, RedisReady, Verify, feed};
use crate::config::Environment;
use crate::config::endpoint::RedisEndpoint;
use crate::error::{Error, OrFail, Result};
use crate::job::Step;
use crate::job::verify::parts_of;
use crate::pipeline::digest::RecordFormat;
use crate::repository::manifest::{PartKind, StoreManifest};
use crate::store::StoreKind;
use crate::store::redis::load::{Expiry, LoadReport};
use crate::store::redis::seed::parse_commands;
use crate::store::redis::swap::{self as store_swap, Spare, SpareState};
use crate::store::redis::target::{Back, Target};

/// Loads, compares and seeds the spare index.
pub(super) async fn load(loading: &Loading<'_>) -> Result<(RedisReady, StoreLoaded)> {
    let environment = &loading.plan.environment;
    let manifest = &loading.plan.snapshot.manifest;
    let store = manifest
        .store(StoreKind::Redis)
        .ok_or_else(|| Error::not_found("the snapshot holds no redis"))?;
    let endpoint = endpoint(environment)?;
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
        let told =
            |error: Error| error.context(format!("`{}` could not be applied", file.display()));
        target.run_commands(&parse_commands(&text).map_err(told)?).await.map_err(told)?;
    }
    let ready = RedisReady { spare: target.spare(), from_previous: false };
    Ok((ready, StoreLoaded { counted, steps, remarks }))
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
    let (folder, permit) = (&loading.plan.snapshot.folder, &loading.plan.permit);
    let report = feed::part(folder, part, RecordFormat::Opaque, permit, &meter, async |blocks| {
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

fn endpoint(environment: &Environment) -> Result<RedisEndpoint> {
    environment.redis()?.ok_or_else(|| Error::usage(format!("`{}` has no redis", environment.name)))
}

/// The spare index that carries the environment's marker.
async fn attach(environment: &Environment, job: &str) -> Result<Option<Target>> {
    Target::attach(&endpoint(environment)?, &environment.name, job).await
}

fn gone(environment: &Environment) -> Error {
    Error::failed(format!("the spare redis index of `{}` has gone", environment.name))
}

/// Swaps, unless it has happened already.
pub(super) async fn swap(environment: &Environment, ready: &RedisReady, job: &str) -> Result<u64> {
    let started = Instant::now();
    let mut target = attach(environment, job).await?.ok_or_else(|| gone(environment))?;
    if ready.from_previous {
        target.swap_back(Back::Rollback).await?;
    } else {
        target.swap().await?;
    }
    Ok(crate::job::milliseconds(started))
}

/// Whether the marker in the spare index says that this job's swap has happened.
pub(super) async fn is_swapped(environment: &Environment, job: &str) -> Result<bool> {
    let spare = store_swap::state(&endpoint(environment)?, &environment.name).await?;
    Ok(spare.is_some_and(|Spare { marker, .. }| {
        marker.job == job && marker.state == SpareState::Previous
    }))
}

/// Brings the old keys back, and drops the new ones unless they are the previous ones.
pub(super) async fn undo(environment: &Environment, ready: &RedisReady, job: &str) -> Result<()> {
    if ready.from_previous {
        if !is_swapped(environment, job).await? {
            return Ok(());
        }
        // Under another name, so that the marker does not claim that this job has swapped.
        let undo = format!("{job}-undo");
        let mut target = attach(environment, &undo).await?.ok_or_else(|| gone(environment))?;
        return target.swap_back(Back::Rollback).await;
    }
    if is_swapped(environment, job).await? {
        let mut target = attach(environment, job).await?.ok_or_else(|| gone(environment))?;
        target.swap_back(Back::Undo).await?;
    }
    drop_new(environment, job).await
}

/// Drops what was loaded into the spare index.
pub(super) async fn drop_new(environment: &Environment, job: &str) -> Result<()> {
    match attach(environment, job).await? {
        Some(target) if target.marker().state != SpareState::Previous => target.drop_new().await,
        _ => Ok(()),
    }
}

/// Drops what is kept from before.
pub(super) async fn drop_previous(environment: &Environment) -> Result<()> {
    match attach(environment, "clean-up").await? {
        Some(target) if target.marker().state == SpareState::Previous => {
            target.drop_previous().await
        }
        _ => Ok(()),
    }
}

/// What a rollback would swap, if there is anything.
pub(super) async fn previous(environment: &Environment) -> Result<Option<RedisReady>> {
    let spare = store_swap::state(&endpoint(environment)?, &environment.name).await?;
    let kept = spare.filter(|spare| spare.marker.state == SpareState::Previous);
    Ok(kept.map(|spare| RedisReady { spare: spare.index, from_previous: true }))
}
