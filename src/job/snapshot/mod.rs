//! Taking a snapshot: every store of an environment in one job and one manifest.
//!
//! The consistency points of all stores are taken first, together; then their parts are read by
//! `jobs` workers. The manifest is written last: without it there is no snapshot.

mod mongodb;
mod plan;
mod postgres;
mod read;
mod record;
mod redis;
mod session;

use plan::Ruled;
pub use plan::{Request, SnapshotPlan, chosen, default_set, plan, previous};
use read::StoreRead;
pub use record::{Record, clean_up_crashed};

use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

use super::classes::{self, Known};
use super::journal::{Journal, Outcome};
use super::{Step, repositories};
use crate::error::{Error, OrFail, Result};
use crate::pipeline::progress::Progress;
use crate::policy;
use crate::repository::gate::Gate;
use crate::repository::id;
use crate::repository::lease::{Lease, Mode};
use crate::repository::manifest::{Anonymized, FORMAT, Manifest, Place};
use crate::repository::process::Holder;
use crate::repository::snapshot::Snapshot;
use crate::terms::StoreKind;

/// What a snapshot job did.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The snapshot's id.
    pub snapshot: String,
    /// The environment.
    pub environment: String,
    /// The set.
    pub set: String,
    /// `raw` or `anonymized`.
    pub clearance: policy::Clearance,
    /// Whether it holds all stores whole.
    pub whole: bool,
    /// Rows, documents and keys.
    pub records: u64,
    /// Before compression.
    pub bytes_plain: u64,
    /// In the repository.
    pub bytes_stored: u64,
    /// All of it.
    pub elapsed_ms: u64,
    /// What was done.
    pub steps: Vec<Step>,
    /// What is worth knowing.
    pub remarks: Vec<String>,
}

/// Takes the snapshot. Whatever ends it early (an error, a signal, a crash) leaves no snapshot.
pub async fn execute(plan: SnapshotPlan, progress: &Progress) -> Result<Summary> {
    let started = Instant::now();
    let created = Timestamp::now();
    let main = repositories::open_main(&plan.environment, true)?;
    let repository =
        repositories::open(&plan.set.repository, plan.set.repository_id.as_deref(), true)?;
    let snapshot = id::new_id(created);
    let job = plan.request.within.clone().unwrap_or_else(|| id::new_job_id(created));
    let environment = plan.environment.name.clone();
    let holder = Holder::this(&job, &format!("snapshot {environment}"));
    let lease = match plan.request.within {
        Some(_) => None,
        None => Some(Lease::acquire(main.storage(), &environment, Mode::Shared, holder)?),
    };
    let jobs = repositories::jobs(&plan.environment, &main, plan.raw)?;
    let journals = repositories::journals(&plan.environment, &main)?;
    let fresh = match plan.request.within {
        Some(_) => None,
        None => {
            clean_up_crashed(&journals, &plan.environment)?;
            super::history::refuse_half_swapped(&journals, &environment)?;
            Some(Known::read(&plan.environment)?)
        }
    };
    // What was known when the plan was made may have changed until the lease was there.
    let known = fresh.as_ref().unwrap_or(&plan.known);
    classes::settled(&known.shelf, &plan.environment)?;
    let place = repository.snapshot(&environment, &plan.set.name, &snapshot)?;
    let view = serde_json::to_value(&plan.view).unwrap_or_default();
    let record = Record::new(repository.id(), &plan.set.name, &snapshot, view);
    let journal = Journal::begin(&jobs, &job, &record)?;
    let read = async |gate| {
        let into = (place.clone(), gate);
        read_all(&plan, into, &snapshot, created, &journal, known, progress).await
    };
    let taken = take(&journal, &place, lease.as_ref(), read).await;
    super::history::forget_old_jobs(&journals);
    let (manifest, steps) = taken?;
    let mut summary = summarize(&manifest, steps);
    summary.elapsed_ms = super::milliseconds(started);
    Ok(summary)
}

/// Has `read` write the parts of a snapshot, and publishes it. An end before that leaves nothing
/// of it, and both ends are written down.
async fn take(
    journal: &Journal,
    place: &Snapshot,
    lease: Option<&Lease>,
    read: impl AsyncFnOnce(Gate) -> Result<(Manifest, Vec<Step>)>,
) -> Result<(Manifest, Vec<Step>)> {
    let gate = Gate::default();
    let guard = super::OnDrop::new({
        let (gate, journal, place) = (gate.clone(), journal.clone(), place.clone());
        move || record::give_up(&gate, &journal, &place)
    });
    let taken = read(gate).await.and_then(|(manifest, steps)| {
        // Whoever took the lease over meanwhile has taken this job for dead, and its parts away.
        lease.map_or(Ok(()), Lease::still_held)?;
        refuse_to_contradict(&manifest)?;
        all_parts_are_there(place, &manifest)?;
        place.publish(&manifest)?;
        Ok((manifest, steps))
    });
    match &taken {
        Ok(_) => {
            guard.disarm();
            journal.done(Outcome::Done, None)?;
        }
        Err(error) => {
            drop(guard);
            journal.done(Outcome::Failed, Some(error.message().to_owned()))?;
        }
    }
    taken
}

async fn read_all(
    plan: &SnapshotPlan,
    place: (Snapshot, Gate),
    snapshot: &str,
    created: Timestamp,
    journal: &Journal,
    known: &Known,
    progress: &Progress,
) -> Result<(Manifest, Vec<Step>)> {
    // It takes a while: beside the connecting and the reading.
    let fingerprint = plan.ruled.as_ref().map(|ruled| {
        let key = ruled.key.clone();
        tokio::task::spawn_blocking(move || key.fingerprint())
    });
    let has = |store| plan.stores.contains(&store);
    let meter = |store: StoreKind| progress.meter(format!("snapshot {store}"), 0);
    // All three consistency points are taken before the first byte is read.
    let (postgres, mongodb, redis) = tokio::try_join!(
        super::when(has(StoreKind::Postgres), || postgres::open(plan)),
        super::when(has(StoreKind::Mongodb), || mongodb::open(plan)),
        super::when(has(StoreKind::Redis), || redis::open(plan)),
    )?;
    let identities = [
        postgres.as_ref().map(|source| source.identity()),
        mongodb.as_ref().map(|source| source.identity().clone()),
        redis.as_ref().map(|source| source.identity()),
    ];
    let raw = session::raw_stores(plan, known, identities.into_iter().flatten())?;
    let (session, clearance) = session::begin(plan, place, journal, known, raw)?;
    let read = tokio::try_join!(
        super::when_some(postgres, |source| postgres::read(
            plan,
            &session,
            source,
            meter(StoreKind::Postgres)
        )),
        super::when_some(redis, |source| redis::read(
            plan,
            &session,
            source,
            meter(StoreKind::Redis)
        )),
        super::when_some(mongodb, |source| mongodb::read(
            plan,
            &session,
            source,
            meter(StoreKind::Mongodb)
        )),
    )?;
    let read: Vec<StoreRead> = [read.0, read.1, read.2].into_iter().flatten().collect();
    let steps = read.iter().map(|read| read.step.clone()).collect();
    let anonymized = match plan.ruled.as_ref().zip(fingerprint) {
        Some((ruled, fingerprint)) => {
            let fingerprint = fingerprint.await.or_fail(|| "a worker ended unexpectedly")??;
            Some(anonymized(ruled, fingerprint, &read))
        }
        None => None,
    };
    let manifest = Manifest {
        format: FORMAT,
        id: snapshot.to_owned(),
        environment: plan.environment.name.clone(),
        set: plan.set.name.clone(),
        class: plan.environment.class,
        clearance,
        whole: plan.whole,
        created,
        finished: Timestamp::now(),
        tool: super::TOOL.to_owned(),
        job: journal.job().to_owned(),
        tags: plan.request.tags.clone(),
        note: plan.request.note.clone(),
        anonymized,
        compression: plan.codec.to_string(),
        encryption: None,
        stores: read.into_iter().map(|read| read.manifest).collect(),
    };
    Ok((manifest, steps))
}

/// What the rules decided, place by place.
fn anonymized(ruled: &Ruled, key_fingerprint: String, read: &[StoreRead]) -> Anonymized {
    let places: Vec<Place> = read.iter().flat_map(|read| read.places.iter().cloned()).collect();
    let count = |word: &str| places.iter().filter(|place| place.verdict == word).count() as u64;
    Anonymized {
        rules_digest: ruled.rules.digest(),
        key_fingerprint,
        masked: count("masked"),
        kept: count("kept"),
        places: Some(places),
    }
}

/// A manifest that every reader would refuse is not written.
fn refuse_to_contradict(manifest: &Manifest) -> Result<()> {
    match manifest.contradictions().first() {
        None => Ok(()),
        Some(line) => Err(Error::failed("the manifest of the snapshot would contradict itself")
            .because(line.as_str())),
    }
}

/// A manifest is written only for parts that are all there, as large as they were written.
fn all_parts_are_there(snapshot: &Snapshot, manifest: &Manifest) -> Result<()> {
    for part in manifest.stores.iter().flat_map(|store| &store.parts) {
        if snapshot.part_size(&part.path)? != Some(part.bytes_stored) {
            return Err(Error::failed(format!(
                "part `{}` has gone since it was stored",
                part.path
            ))
            .hint("see who else writes to the repository, and take the snapshot again"));
        }
    }
    Ok(())
}

fn summarize(manifest: &Manifest, steps: Vec<Step>) -> Summary {
    let collections = manifest.stores.iter().flat_map(|store| &store.collections);
    let mut remarks = Vec::new();
    for store in &manifest.stores {
        remarks.extend(store.remarks.iter().map(|remark| format!("{}: {remark}", store.store)));
    }
    Summary {
        snapshot: manifest.id.clone(),
        environment: manifest.environment.clone(),
        set: manifest.set.clone(),
        clearance: manifest.clearance,
        whole: manifest.whole,
        records: collections.map(|collection| collection.records).sum(),
        bytes_plain: manifest.bytes_plain(),
        bytes_stored: manifest.bytes_stored(),
        elapsed_ms: 0,
        steps,
        remarks,
    }
}

#[cfg(test)]
mod crash_tests;
