//! Applying seed files to a live environment by hand.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use super::apart;
use super::confirmed::{Confirmed, Guarded};
use super::undertaking::Start;
use super::undertaking::Undertaking;
use super::{Plan, Run, Step, classes, repositories};
use crate::config::endpoint::MongoEndpoint;
use crate::config::{Environment, JobKind};
use crate::error::{Error, OrFail, Result};
use crate::policy::Class;
use crate::repository::lease::Mode;
use crate::seed::Profile;
use crate::store::{mongodb, postgres, redis};
use crate::terms::StoreKind;

/// Seeds that will be applied.
pub struct SeedPlan {
    /// What a dry run prints.
    pub view: Plan,
    /// The environment that changes.
    pub environment: Environment,
    profiles: Vec<Profile>,
}

/// What a seed job did.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The environment.
    pub environment: String,
    /// The profiles, in order.
    pub profiles: Vec<String>,
    /// Every profile in every store.
    pub elapsed_ms: u64,
    /// What was done.
    pub steps: Vec<Step>,
}

impl Guarded for SeedPlan {
    fn environment(&self) -> &Environment {
        &self.environment
    }

    fn view(&mut self) -> &mut Plan {
        &mut self.view
    }

    /// The stores that some profile has seeds for.
    fn stores(&self) -> Vec<StoreKind> {
        let mut stores = self.environment.stores();
        stores.retain(|store| self.profiles.iter().any(|profile| profile.has(*store)));
        stores
    }
}

/// Decides which files are applied. A live environment is refused: seeds are made-up data.
pub async fn plan(environment: Environment, profiles: &[String]) -> Result<SeedPlan> {
    if environment.class == Class::Live {
        return Err(Error::refused(format!("`{}` is live and is never seeded", environment.name)));
    }
    environment.refuse_unbuilt(JobKind::Seed, None)?;
    classes::settled(&repositories::shelf(&environment.config())?, &environment)?;
    let names = if profiles.is_empty() { &environment.data.refresh.seeds } else { profiles };
    if names.is_empty() {
        return Err(Error::usage(format!(
            "`{}` has no seeds in `data.refresh.seeds`",
            environment.name
        ))
        .hint("name a profile: a folder below `seeds`"));
    }
    let folder = environment.base().join("seeds");
    let profiles =
        names.iter().map(|name| Profile::load(&folder, name)).collect::<Result<Vec<_>>>()?;
    let mut seeded = environment.stores();
    seeded.retain(|store| profiles.iter().any(|profile| profile.has(*store)));
    super::resolve(&environment, &seeded).await?;
    let title = format!("seed {} with {}", environment.name, names.join(", "));
    let mut view = Plan::new("seed", title);
    for profile in &profiles {
        for store in [StoreKind::Postgres, StoreKind::Mongodb, StoreKind::Redis] {
            if !profile.has(store) {
                continue;
            }
            if !environment.stores().contains(&store) {
                return Err(Error::usage(format!(
                    "profile `{}` has seeds for {store}, which `{}` does not have",
                    profile.name, environment.name
                )));
            }
            view.action(
                "seed",
                Some(store),
                format!("{} ({})", super::place(&environment, store)?, files(profile, store)),
            );
        }
    }
    Ok(SeedPlan { view, environment, profiles })
}

fn files(profile: &Profile, store: StoreKind) -> String {
    let name = |path: &PathBuf| {
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let names: Vec<String> = match store {
        StoreKind::Postgres => profile.postgres.iter().map(name).collect(),
        StoreKind::Mongodb => profile.mongodb.iter().map(|(_, path)| name(path)).collect(),
        StoreKind::Redis => profile.redis.iter().map(name).collect(),
    };
    names.join(", ")
}

/// Applies them, profile by profile; within one, Postgres, MongoDB, Redis.
pub async fn execute(plan: Confirmed<SeedPlan>, run: &Run) -> Result<Summary> {
    let plan = plan.into_plan();
    let start =
        Start { command: "seed", mode: Mode::Exclusive, makes_repository: true, raw: false };
    let undertaking = Undertaking::begin(&plan.environment, run, start).await?;
    refuse_what_is_live(&plan).await?;
    let record = serde_json::json!({ "kind": "seed", "plan": &plan.view });
    let journal = undertaking.journal(&record)?;
    let mut steps = Vec::new();
    if let Err(error) = run.stop.unless(apply(&plan, &mut steps)).await {
        return Err(undertaking.failed(&journal, error));
    }
    let summary = Summary {
        environment: plan.environment.name.clone(),
        profiles: plan.profiles.iter().map(|profile| profile.name.clone()).collect(),
        elapsed_ms: undertaking.elapsed_ms(),
        steps,
    };
    undertaking.done(&journal, &summary)?;
    Ok(summary)
}

/// What a store says of itself is compared with what is recorded, before it is changed.
async fn refuse_what_is_live(plan: &SeedPlan) -> Result<()> {
    let shelf = repositories::shelf(&plan.environment.config())?;
    classes::settled(&shelf, &plan.environment)?;
    for store in plan.stores() {
        let identity = apart::identity(&plan.environment, store).await?;
        classes::not_live_elsewhere(&shelf, &plan.environment, &identity)?;
    }
    Ok(())
}

async fn apply(plan: &SeedPlan, steps: &mut Vec<Step>) -> Result<()> {
    for profile in &plan.profiles {
        let doing = |error: Error| error.context(format!("seed profile `{}` failed", profile.name));
        if let Some(endpoint) =
            plan.environment.postgres()?.filter(|_| profile.has(StoreKind::Postgres))
        {
            let started = Instant::now();
            postgres::script::apply(&endpoint, &endpoint.database, &profile.postgres)
                .await
                .map_err(doing)?;
            steps.push(Step::since(
                started,
                &format!("seed {}", profile.name),
                Some(StoreKind::Postgres),
            ));
        }
        if let Some(endpoint) =
            plan.environment.mongodb()?.filter(|_| profile.has(StoreKind::Mongodb))
        {
            let started = Instant::now();
            let mut step_records = 0;
            for (collection, file) in &profile.mongodb {
                step_records += documents(&endpoint, collection, file).await.map_err(doing)?;
            }
            let mut step =
                Step::since(started, &format!("seed {}", profile.name), Some(StoreKind::Mongodb));
            step.records = step_records;
            steps.push(step);
        }
        if let Some(endpoint) = plan.environment.redis()?.filter(|_| profile.has(StoreKind::Redis))
        {
            let started = Instant::now();
            for file in &profile.redis {
                let text =
                    std::fs::read(file).or_usage(|| format!("cannot read `{}`", file.display()))?;
                let commands = redis::seed::parse_commands(&text).map_err(doing)?;
                redis::seed::seed_live(&endpoint, &commands).await.map_err(doing)?;
            }
            steps.push(Step::since(
                started,
                &format!("seed {}", profile.name),
                Some(StoreKind::Redis),
            ));
        }
    }
    Ok(())
}

async fn documents(endpoint: &MongoEndpoint, collection: &str, file: &PathBuf) -> Result<u64> {
    let lines = File::open(file).or_usage(|| format!("cannot read `{}`", file.display()))?;
    let client = mongodb::connect::connect(endpoint).await?;
    mongodb::seed::seed_lines(&client, &endpoint.database, collection, BufReader::new(lines)).await
}
