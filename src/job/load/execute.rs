//! Carrying a load out: verify, load beside, compare, SQL, seeds, swap.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;

use super::attempt::Attempt;
use super::loading::Loading;
use super::plan::LoadPlan;
use super::request::fingerprint;
use super::{Summary, guard, mongodb, postgres, redis, swap};
use crate::config::Environment;
use crate::error::Result;
use crate::job::classes::Known;
use crate::job::confirmed::Confirmed;
use crate::job::history::{Holds, How, Loaded, Ready, Record};
use crate::job::journal::Journal;
use crate::job::undertaking::Start;
use crate::job::undertaking::Undertaking;
use crate::job::{Run, Step, repositories, snapshot, verify};
use crate::policy::{Class, Clearance};
use crate::repository::facts::Hold;
use crate::repository::lease::{Lease, Mode};
use crate::repository::process::Holder;
use crate::seed::Profile;
use crate::terms::StoreKind;

/// Carries the load out. Whatever ends it early leaves the environment as it was.
pub async fn execute(plan: Confirmed<LoadPlan>, run: &Run) -> Result<Summary> {
    let plan = plan.into_plan();
    let environment = &plan.environment;
    let seeds = seed_profiles(&plan)?;
    let start = Start {
        command: plan.command.word(),
        mode: Mode::Exclusive,
        makes_repository: true,
        raw: environment.class == Class::Live,
    };
    let undertaking = Undertaking::begin(environment, run, start).await?;
    let known = undertaking.known(environment)?;
    // What a crashed load left may have been of another key.
    guard::one_key(environment, &plan.snapshot.manifest, &plan.stores)?;
    let record = Record {
        kind: "load".to_owned(),
        command: plan.command,
        snapshot: Some(plan.snapshot.manifest.id.clone()),
        stores: plan.stores.clone(),
        plan: serde_json::to_value(&plan.view).unwrap_or_default(),
    };
    let (_hold, unheld) = hold(&plan, &undertaking.holder);
    let journal = undertaking.journal(&record)?;
    let attempt = Attempt {
        environment,
        undertaking: &undertaking,
        record: &record,
        journal: &journal,
        progress: &run.progress,
    };
    let loaded = run.stop.unless(load_all(&plan, &journal, &seeds, run)).await;
    let (ready, mut summary) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return Err(attempt.undo(None, error).await),
    };
    match swap_all(&plan, &ready, &journal, &known, &undertaking.lease).await {
        Ok(took) => summary.swap_ms = took,
        Err(error) => return Err(attempt.undo(Some(&ready), error).await),
    }
    let remarks = undertaking.past.iter().cloned().chain(unheld);
    summary.remarks = remarks.chain(summary.remarks).collect();
    summary.elapsed_ms = undertaking.elapsed_ms();
    undertaking.done(&journal, &summary)?;
    if !plan.keep_previous {
        summary.remarks.extend(drop_previous(&plan, &ready).await);
    }
    Ok(summary)
}

/// Holds the snapshot for as long as it is read. Where nothing may be written beside it, as with
/// another environment's repository that this host only reads, it is loaded all the same, and that
/// is told.
fn hold(plan: &LoadPlan, holder: &Holder) -> (Option<Hold>, Option<String>) {
    match Hold::take(&plan.snapshot.snapshot, holder) {
        Ok(hold) => (Some(hold), None),
        Err(error) => {
            let id = &plan.snapshot.manifest.id;
            let why = error.causes().first().map_or_else(|| error.message(), String::as_str);
            let unheld = format!(
                "snapshot {id} was read without a hold, which would keep others from removing it: \
                 {why}"
            );
            (None, Some(unheld))
        }
    }
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
    let taken = snapshot::execute(Confirmed::within(backup), run)
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
    let summary = snapshot::execute(Confirmed::within(previous), run).await.map_err(|error| {
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
