//! Taking a snapshot: every store of an environment in one job and one manifest.
//!
//! The consistency points of all stores are taken first, together; then their parts are read by
//! `jobs` workers. The manifest is written last: without it there is no snapshot.

mod mongodb;
pub(crate) mod plan;
mod postgres;
mod read;
pub(crate) mod record;
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
use crate::job::Run;
use crate::job::confirmed::Confirmed;
use crate::job::undertaking::Start;
use crate::job::undertaking::Undertaking;
use crate::pipeline::progress::Progress;
use crate::policy;
use crate::repository::gate::Gate;
use crate::repository::id;
use crate::repository::lease::{Lease, Mode};
use crate::repository::manifest::{Anonymized, FORMAT, Manifest, Place};
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
    /// The whole job but for its plan.
    pub elapsed_ms: u64,
    /// What was done.
    pub steps: Vec<Step>,
    /// What is worth knowing.
    pub remarks: Vec<String>,
}

/// Takes the snapshot. Whatever ends it early (an error, a signal, a crash) leaves no snapshot.
pub async fn execute(plan: Confirmed<SnapshotPlan>, run: &Run) -> Result<Summary> {
    let plan = plan.into_plan();
    if plan.request.within.is_some() {
        return within(&plan, run).await;
    }
    let environment = &plan.environment;
    let start =
        Start { command: "snapshot", mode: Mode::Shared, makes_repository: true, raw: plan.raw };
    let undertaking = Undertaking::begin(environment, run, start).await?;
    // What was known when the plan was made may have changed until the lease was there.
    let known = undertaking.known(environment)?;
    let begun = begin(&plan)?;
    let journal = undertaking.journal(&begun.record)?;
    let read = async |gate| {
        run.stop.unless(read_all(&plan, &begun, gate, &journal, &known, &run.progress)).await
    };
    let taken = take(&journal, &begun.place, Some(&undertaking.lease), read).await;
    let (manifest, steps) = taken.map_err(|error| undertaking.failed(&journal, error))?;
    let mut summary = summarize(&manifest, steps);
    summary.elapsed_ms = undertaking.elapsed_ms();
    undertaking.done(&journal, &summary)?;
    Ok(summary)
}

/// The same as a step of another job, whose lease and stop it is under.
async fn within(plan: &SnapshotPlan, run: &Run) -> Result<Summary> {
    let started = Instant::now();
    let environment = &plan.environment;
    let main = repositories::open_main(environment, true)?;
    classes::settled(&plan.known.shelf, environment)?;
    let begun = begin(plan)?;
    let job = plan.request.within.clone().unwrap_or_default();
    let journal =
        Journal::begin(&repositories::jobs(environment, &main, plan.raw)?, &job, &begun.record)?;
    let read =
        async |gate| read_all(plan, &begun, gate, &journal, &plan.known, &run.progress).await;
    match take(&journal, &begun.place, None, read).await {
        Ok((manifest, steps)) => {
            journal.done(Outcome::Done, None)?;
            let mut summary = summarize(&manifest, steps);
            summary.elapsed_ms = super::milliseconds(started);
            Ok(summary)
        }
        Err(error) => {
            journal.done(Outcome::Failed, Some(error.message().to_owned()))?;
            Err(error)
        }
    }
}

/// A snapshot that is about to be.
struct Begun {
    id: String,
    created: Timestamp,
    place: Snapshot,
    /// What the next job needs to know of it.
    record: Record,
}

fn begin(plan: &SnapshotPlan) -> Result<Begun> {
    let repository =
        repositories::open(&plan.set.repository, plan.set.repository_id.as_deref(), true)?;
    let created = Timestamp::now();
    let id = id::new_id(created);
    let place = repository.snapshot(&plan.environment.name, &plan.set.name, &id)?;
    let view = serde_json::to_value(&plan.view).unwrap_or_default();
    let record = Record::new(repository.id(), &plan.set.name, &id, view);
    Ok(Begun { id, created, place, record })
}

/// Has `read` write the parts of a snapshot, and publishes it. An end before that leaves nothing
/// of it.
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
        Ok(_) => guard.disarm(),
        Err(_) => drop(guard),
    }
    taken
}

async fn read_all(
    plan: &SnapshotPlan,
    begun: &Begun,
    gate: Gate,
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
    let (session, clearance) =
        session::begin(plan, (begun.place.clone(), gate), journal, known, raw)?;
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
        id: begun.id.clone(),
        environment: plan.environment.name.clone(),
        set: plan.set.name.clone(),
        class: plan.environment.class,
        clearance,
        whole: plan.whole,
        created: begun.created,
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
