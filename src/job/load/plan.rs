//! What a load will do, decided before anything is touched.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;

use super::request::Request;
use super::{Verify, guard};
use crate::config::{Config, Environment, JobKind, KeepPrevious, Treatment};
use crate::error::{Error, Result};
use crate::job::confirmed::Guarded;
use crate::job::history::{Command, How};
use crate::job::{Plan, classes, repositories};
use crate::policy::{Class, Clearance, Permit};
use crate::repository::Stored;
use crate::repository::id::{SnapshotRef, When};
use crate::repository::manifest::StoreManifest;
use crate::terms::{Identity, StoreKind};

/// A load that is decided on.
pub struct LoadPlan {
    /// What a dry run prints.
    pub view: Plan,
    /// Which command.
    pub command: Command,
    /// The environment that changes.
    pub environment: Environment,
    /// What it is loaded from.
    pub snapshot: Stored,
    /// What becomes of each store that changes.
    pub stores: BTreeMap<StoreKind, How>,
    /// How thoroughly to compare.
    pub verify: Verify,
    /// Permission for the snapshot's data to enter the environment.
    pub permit: Permit,
    /// Whether a snapshot of the target is taken first.
    pub backup_first: bool,
    /// SQL for the new database, in order.
    pub sql: Vec<PathBuf>,
    /// Seed profiles, in order.
    pub seeds: Vec<String>,
    /// How many parts are loaded at once.
    pub jobs: usize,
    /// Whether the previous data stays after the swap.
    pub keep_previous: bool,
    /// Until when, where a span is configured.
    pub previous_until: Option<Timestamp>,
    /// Whether `--rollback-ready` or `--discard-target` was given.
    pub guarded: bool,
    /// Which stores they are, as they said themselves.
    pub identities: BTreeMap<StoreKind, Identity>,
}

impl Guarded for LoadPlan {
    fn environment(&self) -> &Environment {
        &self.environment
    }

    fn view(&mut self) -> &mut Plan {
        &mut self.view
    }

    fn stores(&self) -> Vec<StoreKind> {
        self.stores.keys().copied().collect()
    }

    fn asks(&self) -> Option<&'static str> {
        Some(self.command.wording())
    }

    fn has_a_way_back(&self) -> bool {
        self.guarded
    }
}

/// Decides on a refresh of `environment`.
pub async fn refresh(
    config: &Config,
    environment: Environment,
    request: &Request,
) -> Result<LoadPlan> {
    if environment.class == Class::Live {
        return Err(Error::refused(format!(
            "`{}` is live and is never a refresh target",
            environment.name
        ))
        .hint("`pfdata restore` brings one of its own snapshots back"));
    }
    environment.refuse_unbuilt(JobKind::Refresh, None)?;
    guard::no_pending_migrations(config, &environment)?;
    let word = request.from.clone().or_else(|| environment.data.refresh.from.clone()).ok_or_else(
        || {
            Error::usage(format!("`{}` has no `data.refresh.from`", environment.name))
                .hint("name a source with --from ENV, ENV/SET or SNAPSHOT")
        },
    )?;
    let shelf = repositories::shelf(config)?;
    let snapshot = shelf.find(&source(config, &word)?, Some(&environment.name))?;
    guard::fresh_enough(&snapshot.manifest, environment.data.refresh.max_age)?;
    let sql = super::sql_files(&environment.sql_folders()?)?;
    let seeds = environment.data.refresh.seeds.clone();
    let mut stores = BTreeMap::new();
    for store in crate::job::snapshot::plan::chosen(
        &environment.stores(),
        request.stores.as_deref(),
        &environment.name,
    )? {
        match environment.data.refresh.treatment(store) {
            Treatment::Snapshot => stores.insert(store, How::Snapshot),
            Treatment::Empty => stores.insert(store, How::Empty),
            Treatment::Keep => None,
        };
    }
    build(config, &shelf, environment, Command::Refresh, snapshot, stores, request, sql, seeds)
        .await
}

/// Decides on a restore of a snapshot into `environment`.
pub async fn restore(
    config: &Config,
    environment: Environment,
    request: &Request,
) -> Result<LoadPlan> {
    environment.refuse_unbuilt(JobKind::Restore, None)?;
    let word = request.from.clone().unwrap_or_else(|| "latest".to_owned());
    let shelf = repositories::shelf(config)?;
    let snapshot = shelf.find(&repositories::parse(config, &word)?, Some(&environment.name))?;
    let all = environment.stores();
    let stores = match &request.stores {
        Some(_) => {
            crate::job::snapshot::plan::chosen(&all, request.stores.as_deref(), &environment.name)?
        }
        // A restore brings back what the snapshot holds.
        None => all.into_iter().filter(|store| snapshot.manifest.store(*store).is_some()).collect(),
    };
    let stores = stores.into_iter().map(|store| (store, How::Snapshot)).collect();
    build(
        config,
        &shelf,
        environment,
        Command::Restore,
        snapshot,
        stores,
        request,
        Vec::new(),
        Vec::new(),
    )
    .await
}

/// `ENV` means its newest whole anonymized snapshot, `ENV/SET` the newest of that set.
fn source(config: &Config, word: &str) -> Result<SnapshotRef> {
    let (name, set) = match word.split_once('/') {
        Some((name, set)) => (name, Some(set.to_owned())),
        None => (word, None),
    };
    let known = config.resolve_name(name);
    if word.contains('@') || known.is_err() {
        return repositories::parse(config, word);
    }
    let when = if set.is_some() { When::Latest } else { When::LatestAnonymized };
    Ok(SnapshotRef::Newest { environment: Some(known?), set, when })
}

#[expect(clippy::too_many_arguments, reason = "the two commands differ in exactly these")]
async fn build(
    config: &Config,
    shelf: &repositories::Shelf,
    environment: Environment,
    command: Command,
    snapshot: Stored,
    stores: BTreeMap<StoreKind, How>,
    request: &Request,
    sql: Vec<PathBuf>,
    seeds: Vec<String>,
) -> Result<LoadPlan> {
    let manifest = &snapshot.manifest;
    classes::refuse_contradictions(shelf, config, &snapshot)?;
    classes::refuse_untold(&snapshot, environment.class)?;
    let permit =
        Permit::stored(manifest.derived_clearance(), environment.class).map_err(|error| {
            error.context(format!("snapshot {} cannot enter `{}`", manifest.id, environment.name))
        })?;
    if stores.is_empty() {
        return Err(
            Error::usage("no store would change").hint("see --store and `data.refresh.stores`")
        );
    }
    for store in stores.keys() {
        let needed = !(*store == StoreKind::Redis && stores.get(store) == Some(&How::Empty));
        if manifest.store(*store).is_some_and(|held| held.partial) {
            return Err(Error::not_built(format!(
                "loading a store of which snapshot {} holds only some collections",
                manifest.id
            )));
        }
        if needed && manifest.store(*store).is_none() {
            return Err(Error::refused(format!(
                "snapshot {} holds no {store}, which `{}` has",
                manifest.id, environment.name
            ))
            .hint("name the other stores with --store"));
        }
    }
    guard::discard(&environment, request)?;
    let (unknown, identities) =
        guard::identities(config, shelf, &environment, &snapshot, &stores).await?;
    guard::one_key(&environment, manifest, &stores)?;
    let backup_first = request.rollback_ready
        || (command == Command::Refresh
            && environment.data.refresh.backup_before
            && request.discard_target.is_none());
    let mut plan = LoadPlan {
        view: Plan::new(command.word(), ""),
        command,
        verify: request.verify,
        permit,
        backup_first,
        sql,
        seeds,
        jobs: crate::config::default_jobs(),
        keep_previous: environment.data.refresh.keep_previous != KeepPrevious::No,
        previous_until: previous_until(environment.data.refresh.keep_previous),
        guarded: request.rollback_ready || request.discard_target.is_some(),
        identities,
        environment,
        snapshot,
        stores,
    };
    plan.view = view(&plan)?;
    plan.view.remarks.extend(unknown);
    plan.view.remarks.extend(classes::unknown(shelf));
    Ok(plan)
}

/// The plan as it is printed: every change, in the order in which it is made.
fn view(plan: &LoadPlan) -> Result<Plan> {
    let (environment, manifest) = (&plan.environment, &plan.snapshot.manifest);
    let title = format!(
        "{} {} from {} ({}/{}, {}, {})",
        plan.command.word(),
        environment.name,
        manifest.id,
        manifest.environment,
        manifest.set,
        manifest.clearance.word(),
        manifest.created.strftime("%Y-%m-%d %H:%M UTC"),
    );
    let mut view = Plan::new(plan.command.word(), title);
    view.action("verify", None, "the stored bytes of every part that is loaded");
    if plan.backup_first {
        view.action("backup", None, format!("a snapshot of {}, verified", environment.name));
    }
    for (store, how) in &plan.stores {
        let place = crate::job::place(environment, *store)?;
        view.action(
            "drop",
            Some(*store),
            format!("what is kept from before the last load of {place}"),
        );
        let Some(held) = manifest.store(*store) else {
            view.action("empty", Some(*store), format!("beside {place}"));
            continue;
        };
        view.action("load", Some(*store), format!("{} beside {place}", amount(held, *how)));
    }
    if !plan.sql.is_empty() && plan.stores.contains_key(&StoreKind::Postgres) {
        view.action("sql", Some(StoreKind::Postgres), names(&plan.sql));
    }
    if !plan.seeds.is_empty() {
        view.action("seed", None, plan.seeds.join(", "));
    }
    for store in StoreKind::ALL.iter().filter(|store| plan.stores.contains_key(store)) {
        let kept = if plan.keep_previous {
            "what is live is kept for `pfdata rollback`"
        } else {
            "what is live is dropped"
        };
        view.action(
            "swap",
            Some(*store),
            format!("{}; {kept}", crate::job::place(environment, *store)?),
        );
    }
    if manifest.clearance == Clearance::Anonymized && environment.class == Class::Live {
        view.remark(
            "the snapshot is anonymized, and the environment is live: its data will be made up",
        );
    }
    if environment.protected && !plan.guarded {
        view.remark(
            "the environment is protected: the run needs --rollback-ready or --discard-target",
        );
    }
    for store in environment.stores() {
        if !plan.stores.contains_key(&store) {
            view.remark(format!("{store} stays as it is"));
        }
    }
    Ok(view)
}

fn amount(held: &StoreManifest, how: How) -> String {
    if how == How::Empty {
        return "its structure without data".to_owned();
    }
    let records: u64 = held.collections.iter().map(|collection| collection.records).sum();
    let bytes: u64 = held.parts.iter().map(|part| part.bytes_plain).sum();
    let (what, unit) = match held.store {
        StoreKind::Postgres => ("tables", "rows"),
        StoreKind::Mongodb => ("collections", "documents"),
        StoreKind::Redis => ("index", "keys"),
    };
    format!("{} {what}, {records} {unit}, {} MiB", held.collections.len(), bytes.div_ceil(1 << 20))
}

fn names(files: &[PathBuf]) -> String {
    let shown: Vec<String> = files
        .iter()
        .filter_map(|file| file.file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    shown.join(", ")
}

fn previous_until(keep: KeepPrevious) -> Option<Timestamp> {
    let KeepPrevious::For(span) = keep else { return None };
    Timestamp::now().checked_add(span).ok()
}
