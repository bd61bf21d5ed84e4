//! Rolling back: the data from before the last load is swapped back in.
//!
//! What is live now becomes the previous data, so that a rollback can itself be rolled back.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;

use super::attempt::Attempt;
use super::request::Request;
use super::{Summary, guard, mongodb, postgres, redis, swap};
use crate::config::{Environment, JobKind};
use crate::error::{Error, Result};
use crate::job::classes::{self, Known};
use crate::job::confirmed::{Confirmed, Guarded};
use crate::job::history::{self, Command, Holds, How, Loaded, Ready, Record};
use crate::job::journal::Journal;
use crate::job::undertaking::Start;
use crate::job::undertaking::Undertaking;
use crate::job::{Plan, Run, Step, apart, repositories, snapshot};
use crate::policy::{Class, Permit};
use crate::repository::Stored;
use crate::repository::lease::Mode;
use crate::terms::StoreKind;

/// A rollback that is decided on.
pub struct RollbackPlan {
    /// What a dry run prints.
    pub view: Plan,
    /// The environment that changes.
    pub environment: Environment,
    /// Whether `--rollback-ready` or `--discard-target` was given.
    pub guarded: bool,
    kept: Option<Kept>,
    request: Request,
}

impl Guarded for RollbackPlan {
    fn environment(&self) -> &Environment {
        &self.environment
    }

    fn view(&mut self) -> &mut Plan {
        &mut self.view
    }

    fn stores(&self) -> Vec<StoreKind> {
        self.environment.stores()
    }

    fn asks(&self) -> Option<&'static str> {
        Some(Command::Rollback.wording())
    }

    fn has_a_way_back(&self) -> bool {
        self.guarded
    }
}

/// Decides on a rollback: the stores of the last load that have something to go back to. What a
/// crashed load left is only known once it has been dealt with, which a plan must not do.
pub async fn plan(environment: Environment, request: &Request) -> Result<RollbackPlan> {
    environment.refuse_unbuilt(JobKind::Rollback, None)?;
    guard::discard(&environment, request)?;
    // Before its stores are asked for what they keep: they may be another's.
    apart::configured(&environment.config(), &environment, &environment.stores()).await?;
    let main = repositories::open_main(&environment, false)?;
    let mut plan = RollbackPlan {
        view: Plan::new("rollback", format!("rollback {}", environment.name)),
        guarded: request.rollback_ready || request.discard_target.is_some(),
        environment,
        kept: None,
        request: request.clone(),
    };
    let journals = repositories::journals(&plan.environment, &main)?;
    let crashed = history::crashed(&journals)?;
    if crashed.is_empty() {
        let known = Known::read(&plan.environment)?;
        let kept = kept(&plan.environment, &known).await?;
        describe(&kept, &mut plan.view);
        plan.kept = Some(kept);
    }
    for load in crashed {
        let job = load.journal.job();
        plan.view.action("recover", None, format!("finish or undo job {job}, which crashed"));
        plan.view.action("swap back", None, "what is kept from before the last load then");
    }
    Ok(plan)
}

/// What there is to go back to.
#[derive(Default)]
struct Kept {
    /// The load that is taken back.
    job: String,
    stores: Vec<(StoreKind, Option<String>)>,
    mongodb: Option<Stored>,
    /// For what `mongodb` holds.
    permit: Option<Permit>,
}

/// Refuses (5) to bring real data back into an environment that is not live any more.
fn may_come_back(
    environment: &Environment,
    known: &Known,
    store: StoreKind,
    held: &Holds,
) -> Result<()> {
    // Journals of older versions do not tell; what was there then is judged as if it were there now.
    let clearance = held.before.as_ref().and_then(|before| before.clearance);
    let clearance = clearance.unwrap_or_else(|| known.before(store));
    Permit::stored(clearance, environment.class).map(drop).map_err(|error| {
        error
            .context(format!(
                "what is kept of {store} from before the last load of `{}` is real data",
                environment.name
            ))
            .hint("refresh it from an anonymized snapshot")
    })
}

async fn kept(environment: &Environment, known: &Known) -> Result<Kept> {
    classes::settled(&known.shelf, environment)?;
    let held = &known.holds;
    let (mut kept, mut gone) = (Kept::default(), Vec::new());
    // A rollback takes the last load back, and not those before it.
    let last = held.values().map(|held| held.job.clone()).max().unwrap_or_default();
    kept.job.clone_from(&last);
    for store in environment.stores() {
        let Some(held) = held.get(&store).filter(|held| held.job == last) else { continue };
        if !held.previous {
            gone.push(store);
            continue;
        }
        if held.previous_until.is_some_and(|until| until < Timestamp::now()) {
            return Err(Error::not_found(format!(
                "the previous data of {store} was kept for the time of `keep_previous`, which has passed"
            ))
            .hint("restore a snapshot with `pfdata restore`"));
        }
        let there = match store {
            StoreKind::Postgres => postgres::previous(environment).await?.is_some(),
            StoreKind::Redis => redis::previous(environment).await?.is_some(),
            StoreKind::Mongodb => {
                kept.mongodb = mongodb::previous(environment, held.previous_snapshot.as_deref())?;
                kept.mongodb.is_some()
            }
        };
        if !there {
            return Err(Error::not_found(format!("the previous data of {store} is gone"))
                .hint("restore a snapshot with `pfdata restore`"));
        }
        let identity = apart::identity(environment, store).await?;
        classes::not_live_elsewhere(&known.shelf, environment, &identity)?;
        may_come_back(environment, known, store, held)?;
        kept.stores.push((store, held.before.as_ref().and_then(|held| held.snapshot.clone())));
    }
    if let Some(stored) = &kept.mongodb {
        classes::refuse_contradictions(&known.shelf, &environment.config(), stored)?;
        kept.permit = Some(Permit::stored(stored.manifest.derived_clearance(), environment.class)?);
    }
    if let (Some(store), false) = (gone.first(), kept.stores.is_empty()) {
        return Err(Error::not_found(format!(
            "nothing is kept of {store} from before job {last}; with the other stores alone, \
             `{}` would be of two loads",
            environment.name
        ))
        .hint("restore a snapshot with `pfdata restore`"));
    }
    if kept.stores.is_empty() {
        let name = &environment.name;
        return Err(Error::not_found(format!(
            "nothing is kept from before the last load of `{name}`"
        ))
        .hint("restore a snapshot with `pfdata restore`"));
    }
    Ok(kept)
}

fn describe(kept: &Kept, view: &mut Plan) {
    for (store, snapshot) in &kept.stores {
        let what = match snapshot {
            Some(id) => format!("snapshot {id}"),
            None => "the data from before the last load".to_owned(),
        };
        view.action(
            "swap back",
            Some(*store),
            format!("{what}; what is live is kept in its place"),
        );
    }
}

/// Carries the rollback out.
pub async fn execute(plan: Confirmed<RollbackPlan>, run: &Run) -> Result<Summary> {
    let plan = plan.into_plan();
    let environment = &plan.environment;
    let start = Start {
        command: Command::Rollback.word(),
        mode: Mode::Exclusive,
        makes_repository: false,
        raw: environment.class == Class::Live,
    };
    let undertaking = Undertaking::begin(environment, run, start).await?;
    let known = Known::read(environment)?;
    let kept = &still_kept(&plan, &known).await?;
    let record = Record {
        kind: "load".to_owned(),
        command: Command::Rollback,
        snapshot: kept.mongodb.as_ref().map(|stored| stored.manifest.id.clone()),
        stores: kept.stores.iter().map(|(store, _)| (*store, How::Snapshot)).collect(),
        plan: serde_json::to_value(&plan.view).unwrap_or_default(),
    };
    let journal = undertaking.journal(&record)?;
    let attempt = Attempt {
        environment,
        undertaking: &undertaking,
        record: &record,
        journal: &journal,
        progress: &run.progress,
    };
    let prepared = run.stop.unless(prepare(&plan, kept, &journal, run)).await;
    let (ready, steps) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Err(attempt.undo(None, error).await),
    };
    let swapped = async {
        journal.step("result", &result(&known, kept, &ready, journal.job()))?;
        undertaking.lease.still_held()?;
        journal.step("ready", &ready)?;
        swap::all(environment, &ready, &journal, &undertaking.lease).await
    };
    let swap_ms = match swapped.await {
        Ok(took) => took,
        Err(error) => return Err(attempt.undo(Some(&ready), error).await),
    };
    let mut summary = Summary {
        environment: environment.name.clone(),
        snapshot: None,
        job: undertaking.job.clone(),
        collections: Vec::new(),
        swap_ms,
        previous_kept: true,
        elapsed_ms: undertaking.elapsed_ms(),
        steps,
        remarks: undertaking.past.clone(),
    };
    undertaking.done(&journal, &summary)?;
    if let Some(mongodb) = &ready.mongodb
        && let Err(error) = mongodb::drop_previous(environment, mongodb.previous.as_deref())
    {
        summary.remarks.push(format!("an older snapshot of mongodb stays: {error}"));
    }
    Ok(summary)
}

/// What was shown may have been answered late: what there is now must still be that.
async fn still_kept(plan: &RollbackPlan, known: &Known) -> Result<Kept> {
    let kept = kept(&plan.environment, known).await?;
    if plan.kept.as_ref().is_some_and(|shown| shown.job != kept.job) {
        return Err(Error::refused(format!(
            "job {} has changed `{}` since the plan was made",
            kept.job, plan.environment.name
        ))
        .hint("run the rollback again, and read its plan"));
    }
    Ok(kept)
}

async fn prepare(
    plan: &RollbackPlan,
    kept: &Kept,
    journal: &Journal,
    run: &Run,
) -> Result<(Ready, Vec<Step>)> {
    let environment = &plan.environment;
    let has = |store| kept.stores.iter().any(|(kept, _)| *kept == store);
    let (mut ready, mut steps) = (Ready::default(), Vec::new());
    if plan.request.rollback_ready {
        steps.push(super::execute::backup(environment, "rollback", journal, run).await?);
    }
    if has(StoreKind::Postgres) {
        ready.postgres = postgres::previous(environment).await?;
    }
    if has(StoreKind::Redis) {
        ready.redis = redis::previous(environment).await?;
    }
    if let (Some(stored), Some(permit)) = (&kept.mongodb, &kept.permit) {
        let started = Instant::now();
        let mut swap =
            mongodb::beside(environment, stored, permit, journal.job(), &run.progress).await?;
        let within = format!("{}-previous", journal.job());
        let keep = snapshot::previous(environment.clone(), within)?;
        swap.previous = Some(snapshot::execute(Confirmed::within(keep), run).await?.snapshot);
        let mut step = Step::since(started, "load", Some(StoreKind::Mongodb));
        step.records = stored
            .manifest
            .stores
            .iter()
            .flat_map(|store| &store.collections)
            .map(|found| found.records)
            .sum();
        step.bytes_plain = stored.manifest.bytes_plain();
        step.bytes_stored = stored.manifest.bytes_stored();
        steps.push(step);
        ready.mongodb = Some(swap);
    }
    Ok((ready, steps))
}

/// What the stores hold afterwards: what they held before the last load, and the other way round.
fn result(known: &Known, kept: &Kept, ready: &Ready, job: &str) -> Loaded {
    let mut stores = BTreeMap::new();
    for (store, _) in &kept.stores {
        let Some(now) = known.holds.get(store) else { continue };
        let unknown = || Holds::unknown(known.before(*store));
        let mut back = now.before.as_deref().cloned().unwrap_or_else(unknown);
        back.clearance = back.clearance.or_else(|| Some(known.before(*store)));
        back.at = Some(Timestamp::now());
        back.previous = true;
        job.clone_into(&mut back.job);
        back.previous_snapshot = super::execute::previous_snapshot(ready, *store);
        back.previous_until = now.previous_until;
        back.before = Some(Box::new(known.holds_now(*store, None)));
        stores.insert(*store, back);
    }
    Loaded { at: Some(Timestamp::now()), stores }
}
