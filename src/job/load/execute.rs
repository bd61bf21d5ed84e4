//! Carrying a load out: verify, load beside, compare, SQL, seeds, swap.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;

use super::loading::Loading;
use super::plan::LoadPlan;
use super::request::fingerprint;
use super::{Summary, guard, mongodb, postgres, recover, redis, swap};
use crate::config::Environment;
use crate::error::Result;
use crate::job::classes::{self, Known};
use crate::job::history::forget_old_jobs;
use crate::job::history::{Command, Holds, How, Loaded, Ready, Record};
use crate::job::journal::{Journal, Journals, Outcome};
use crate::job::{Run, Step, repositories, snapshot, verify};
use crate::policy::{Class, Clearance};
use crate::repository::facts::Hold;
use crate::repository::id;
use crate::repository::lease::{Lease, Mode};
use crate::repository::process::Holder;
use crate::seed::Profile;
use crate::terms::StoreKind;

/// Carries the load out. Whatever ends it early leaves the environment as it was.
pub async fn execute(plan: LoadPlan, run: &Run) -> Result<Summary> {
    let started = Instant::now();
    let environment = plan.environment.clone();
    let seeds = seed_profiles(&plan)?;
    let main = repositories::open_main(&environment, true)?;
    let job = id::new_job_id(Timestamp::now());
    let command = format!("{} {}", plan.command.word(), environment.name);
    let holder = Holder::this(&job, &command);
    let _graceful = run.stop.graceful();
    let lease = Lease::acquire(main.root(), &environment.name, Mode::Exclusive, holder.clone())?;
    let live = environment.class == Class::Live;
    let root = repositories::journal_root(&environment, &main, live)?;
    let journals = repositories::journals(&environment, &main)?;
    let mut remarks = deal_with_the_past_of(&journals, &environment, &lease, run).await?;
    let known = Known::read(&environment)?;
    classes::settled(&known.shelf, &environment)?;
    // What a crashed load left may have been of another key.
    guard::one_key(&environment, &plan.snapshot.manifest, &plan.stores)?;
    let record = Record {
        kind: "load".to_owned(),
        command: plan.command,
        snapshot: Some(plan.snapshot.manifest.id.clone()),
        stores: plan.stores.clone(),
        plan: serde_json::to_value(&plan.view).unwrap_or_default(),
    };
    let _hold = Hold::take(&plan.snapshot.folder, &holder)?;
    let journal = Journal::begin(&root, &environment.name, &job, &record)?;

    let loaded = run.stop.unless(load_all(&plan, &journal, &seeds, run)).await;
    let (ready, mut summary) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            let outcome = recover::failed(
                &environment,
                &lease,
                &record,
                None,
                &journal,
                &journals,
                &run.progress,
            )
            .await;
            return Err(ended(&journal, outcome, error));
        }
    };
    match swap_all(&plan, &ready, &journal, &known, &lease).await {
        Ok(took) => summary.swap_ms = took,
        Err(error) => {
            let undone = recover::failed(
                &environment,
                &lease,
                &record,
                Some(&ready),
                &journal,
                &journals,
                &run.progress,
            )
            .await;
            return Err(ended(&journal, undone, error));
        }
    }
    journal.done(Outcome::Done, None)?;
    forget_old_jobs(&journals);
    if !plan.keep_previous {
        remarks.extend(drop_previous(&plan, &ready).await);
    }
    drop(lease);
    remarks.append(&mut summary.remarks);
    summary.remarks = remarks;
    summary.elapsed_ms = crate::job::milliseconds(started);
    Ok(summary)
}

/// Writes down how a failed job ended. Where even undoing failed the journal stays open, so that
/// `status` tells of it and the next job tries again.
pub(super) fn ended(
    journal: &Journal,
    undone: Result<Outcome>,
    error: crate::error::Error,
) -> crate::error::Error {
    match undone {
        Ok(outcome) => match journal.done(outcome, Some(error.message().to_owned())) {
            Ok(()) => error,
            Err(second) => error.because(second),
        },
        Err(second) => error.because(second).hint("what is left is dealt with by the next job"),
    }
}

/// What earlier jobs left: crashed ones are finished or undone first.
pub(crate) async fn deal_with_the_past_of(
    journals: &Journals,
    environment: &Environment,
    lease: &Lease,
    run: &Run,
) -> Result<Vec<String>> {
    snapshot::clean_up_crashed(journals)?;
    let recovered = recover::crashed(journals, environment, lease, &run.progress).await?;
    let told = |past: &recover::Recovered| {
        let what = match past.outcome {
            Outcome::RolledForward => "was finished",
            Outcome::RolledBack => "was undone",
            _ => "was cleaned up",
        };
        format!("job {} had crashed and {what} first", past.job)
    };
    Ok(recovered.iter().map(told).collect())
}

fn seed_profiles(plan: &LoadPlan) -> Result<Vec<Profile>> {
    let folder = plan.environment.base().join("seeds");
    plan.seeds.iter().map(|name| Profile::load(&folder, name)).collect()
}

/// Everything up to the first swap: the live data is not touched.
async fn load_all(
    plan: &LoadPlan,
    journal: &Journal,
    seeds: &[Profile],
    run: &Run,
) -> Result<(Ready, Summary)> {
    let stores: Vec<StoreKind> = plan.stores.keys().copied().collect();
    let mut steps = Vec::new();
    let started = Instant::now();
    verify::stored_bytes(&plan.snapshot, &stores).await?;
    let mut checked = Step::since(started, "verify", None);
    let loaded = stores.iter().filter_map(|store| plan.snapshot.manifest.store(*store));
    checked.bytes_stored =
        loaded.flat_map(|store| &store.parts).map(|part| part.bytes_stored).sum();
    steps.push(checked);
    if plan.backup_first {
        let command = plan.command.word();
        steps.push(backup(&plan.environment, command, journal, run).await?);
    }
    let loading = |store: StoreKind| {
        let how = plan.stores.get(&store).copied();
        how.map(|how| Loading { plan, how, job: journal.job(), seeds, run })
    };
    // What is kept from before goes only once nothing is left that would refuse the load.
    if let Some(loading) = loading(StoreKind::Postgres) {
        postgres::check(&loading).await?;
    }
    if let Some(loading) = loading(StoreKind::Redis) {
        redis::check(&loading).await?;
    }
    if let Some(loading) = loading(StoreKind::Mongodb) {
        mongodb::check(&loading).await?;
    }
    journal.step("dropping", &stores)?;
    let (postgres, redis, mongodb) = tokio::try_join!(
        crate::job::when_some(loading(StoreKind::Postgres), async |loading| postgres::load(
            &loading
        )
        .await),
        crate::job::when_some(loading(StoreKind::Redis), async |loading| redis::load(&loading)
            .await),
        crate::job::when_some(loading(StoreKind::Mongodb), async |loading| mongodb::load(&loading)
            .await),
    )?;
    let (mut ready, mut all) = (Ready::default(), Vec::new());
    if let Some((swap, loaded)) = postgres {
        ready.postgres = Some(swap);
        all.push(loaded);
    }
    if let Some((swap, loaded)) = redis {
        ready.redis = Some(swap);
        all.push(loaded);
    }
    if let Some((mut swap, loaded)) = mongodb {
        let started = Instant::now();
        swap.previous = Some(keep_mongodb(plan, journal, run).await?);
        steps.push(Step::since(started, "keep previous", Some(StoreKind::Mongodb)));
        ready.mongodb = Some(swap);
        all.push(loaded);
    }
    let (mut collections, mut remarks) = (Vec::new(), Vec::new());
    for loaded in all {
        collections.extend(loaded.counted);
        steps.extend(loaded.steps);
        remarks.extend(loaded.remarks);
    }
    let summary = Summary {
        environment: plan.environment.name.clone(),
        snapshot: Some(plan.snapshot.manifest.id.clone()),
        job: journal.job().to_owned(),
        collections,
        swap_ms: BTreeMap::new(),
        previous_kept: plan.keep_previous
            && ready.postgres.as_ref().is_none_or(|swap| swap.was_live.is_some()),
        elapsed_ms: 0,
        steps,
        remarks,
    };
    Ok((ready, summary))
}

/// A snapshot of the target as it is, read back before anything is replaced.
pub(super) async fn backup(
    environment: &Environment,
    command: &str,
    journal: &Journal,
    run: &Run,
) -> Result<Step> {
    let started = Instant::now();
    let request = snapshot::Request {
        set: Some("raw".to_owned()),
        note: Some(format!("before {command} {}", journal.job())),
        within: Some(format!("{}-backup", journal.job())),
        ..snapshot::Request::default()
    };
    let backup = snapshot::plan(environment.clone(), request).await?;
    let taken = snapshot::execute(backup, &run.progress)
        .await
        .map_err(|error| error.context("the target could not be backed up first"))?;
    let wanted = crate::repository::id::SnapshotRef::Id(taken.snapshot.clone());
    let stored = repositories::Shelf::open([environment])?.find(&wanted, None)?;
    let report = verify::snapshot(&stored, stored.contradictions()).await?;
    if !report.passed {
        return Err(crate::error::Error::findings(format!(
            "the backup {} of the target cannot be read back",
            taken.snapshot
        )));
    }
    let mut step = Step::since(started, "backup", None);
    step.records = taken.records;
    step.bytes_plain = taken.bytes_plain;
    step.bytes_stored = taken.bytes_stored;
    Ok(step)
}

/// MongoDB's renames replace what is live, so that it is kept as a snapshot.
async fn keep_mongodb(plan: &LoadPlan, journal: &Journal, run: &Run) -> Result<String> {
    let within = format!("{}-previous", journal.job());
    let previous = snapshot::previous(plan.environment.clone(), within)?;
    let summary = snapshot::execute(previous, &run.progress).await.map_err(|error| {
        error.context("what is live in mongodb could not be kept for a rollback")
    })?;
    Ok(summary.snapshot)
}

/// Writes down what is about to happen, then swaps.
async fn swap_all(
    plan: &LoadPlan,
    ready: &Ready,
    journal: &Journal,
    known: &Known,
    lease: &Lease,
) -> Result<BTreeMap<StoreKind, u64>> {
    let manifest = &plan.snapshot.manifest;
    let kept = |store: &StoreKind| match store {
        StoreKind::Postgres => ready.postgres.as_ref().is_some_and(|swap| swap.was_live.is_some()),
        StoreKind::Redis | StoreKind::Mongodb => true,
    };
    let now = |store: &StoreKind| Holds {
        job: journal.job().to_owned(),
        snapshot: Some(manifest.id.clone()),
        key_fingerprint: fingerprint(manifest, *store),
        previous: plan.keep_previous && kept(store),
        previous_snapshot: previous_snapshot(ready, *store),
        before: Some(Box::new(known.holds_now(*store, plan.identities.get(store)))),
        previous_until: plan.previous_until,
        clearance: Some(match plan.stores.get(store) {
            Some(How::Snapshot) => manifest.derived_clearance(),
            // A structure without data.
            Some(How::Empty) | None => Clearance::Anonymized,
        }),
        at: Some(Timestamp::now()),
    };
    let stores = plan.stores.keys().map(|store| (*store, now(store))).collect();
    journal.step("result", &Loaded { at: Some(Timestamp::now()), stores })?;
    lease.still_held()?;
    // From here on a crash is finished or undone by what the journal says.
    journal.step("ready", ready)?;
    swap::all(&plan.environment, ready, journal, lease).await
}

/// The snapshot that a load keeps the documents from before in.
pub(super) fn previous_snapshot(ready: &Ready, store: StoreKind) -> Option<String> {
    let mongodb = ready.mongodb.as_ref().filter(|_| store == StoreKind::Mongodb);
    mongodb.and_then(|swap| swap.previous.clone())
}

/// Drops what was live, where the configuration wants nothing kept. The load itself is done: a
/// failure here is only told.
async fn drop_previous(plan: &LoadPlan, ready: &Ready) -> Vec<String> {
    let environment = &plan.environment;
    let mut remarks = Vec::new();
    let mut note = |result: Result<()>, store: StoreKind| {
        if let Err(error) = result {
            remarks.push(format!("the previous data of {store} could not be dropped: {error}"));
        }
    };
    if ready.postgres.is_some() {
        note(postgres::drop_previous(environment).await, StoreKind::Postgres);
    }
    if ready.redis.is_some() {
        note(redis::drop_previous(environment).await, StoreKind::Redis);
    }
    if ready.mongodb.is_some() {
        note(mongodb::drop_previous(environment, None), StoreKind::Mongodb);
    }
    remarks
}

/// What a command is called when it asks for confirmation.
pub fn wording(command: Command) -> &'static str {
    match command {
        Command::Restore => "a restore",
        Command::Refresh => "a refresh",
        Command::Rollback => "a rollback",
    }
}
