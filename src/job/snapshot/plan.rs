//! What a snapshot will hold, decided before anything is touched.

use std::collections::{BTreeMap, BTreeSet};

use crate::anonymize::{Key, Reviewed, RuleSet};
use crate::config::sets::RAW;
use crate::config::{Environment, JobKind, SetSettings};
use crate::error::{Error, Result};
use crate::job::Plan;
use crate::job::classes::{self, Known};
use crate::job::confirmed::Guarded;
use crate::pipeline::codec::Compression;
use crate::policy::Class;
use crate::policy::{self, Clearance, Ruling};
use crate::repository::PREVIOUS_SET;
use crate::terms::StoreKind;

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The set, where one is named.
    pub set: Option<String>,
    /// Only these stores.
    pub stores: Option<Vec<StoreKind>>,
    /// Only collections of these names.
    pub only: Vec<String>,
    /// No collections of these names.
    pub exclude: Vec<String>,
    /// Tags for the manifest.
    pub tags: BTreeMap<String, String>,
    /// A note for the manifest.
    pub note: Option<String>,
    /// How many parts are read at once.
    pub jobs: Option<usize>,
    /// The codec of data parts.
    pub compression: Option<Compression>,
    /// The job id of a snapshot that belongs to a load, which has the lease already.
    pub within: Option<String>,
}

/// What no rule masks, said before it is stored; the manifest then names what there was.
const STRUCTURE: &str = "the structure is carried as it is: names of tables, columns, collections \
     and indexes; literals in views, rules, function bodies, defaults, checks, predicates of \
     indexes, policies, conditions and arguments of triggers, publication filters, partition \
     bounds, enum labels, comments and options of foreign objects; role names in grants; \
     validators, view pipelines, collations and filters of mongodb";

/// A snapshot that is decided on.
pub struct SnapshotPlan {
    /// What a dry run prints.
    pub view: Plan,
    /// The environment that is read.
    pub environment: Environment,
    pub(super) set: SetSettings,
    /// The stores that are read.
    pub stores: Vec<StoreKind>,
    pub(super) whole: bool,
    pub(super) ruled: Option<Ruled>,
    pub(super) jobs: usize,
    pub(super) codec: Compression,
    pub(super) request: Request,
    /// What was known of the stores when the plan was made.
    pub(super) known: Known,
    /// Whether the job handles raw data, as far as that is known: its files lie with the raw set.
    pub(super) raw: bool,
}

impl SnapshotPlan {
    /// Whether collections are left out.
    pub(super) fn is_partial(&self) -> bool {
        !self.request.only.is_empty() || !self.request.exclude.is_empty()
    }
}

impl Guarded for SnapshotPlan {
    fn environment(&self) -> &Environment {
        &self.environment
    }

    fn view(&mut self) -> &mut Plan {
        &mut self.view
    }

    /// What is read from a live environment is handled as live data, whoever else points there.
    fn stores(&self) -> Vec<StoreKind> {
        if self.environment.class == Class::Live { Vec::new() } else { self.stores.clone() }
    }
}

/// The rules and the key of a ruled set.
pub(super) struct Ruled {
    pub(super) rules: RuleSet,
    pub(super) key: Key,
    /// What was reviewed, where the set takes nothing else.
    pub(super) reviewed: Option<Reviewed>,
}

impl SnapshotPlan {
    /// Fails at places that a star keeps and nobody has reviewed, where the set asks for it.
    pub(super) fn require_reviewed(&self, starred: &BTreeSet<String>) -> Result<()> {
        match self.ruled.as_ref().and_then(|ruled| ruled.reviewed.as_ref()) {
            Some(reviewed) => reviewed.require(&self.environment.name, starred),
            None => Ok(()),
        }
    }

    /// Whether the set takes nothing that was not reviewed.
    pub(super) fn reviewed_only(&self) -> bool {
        self.ruled.as_ref().is_some_and(|ruled| ruled.reviewed.is_some())
    }
}

/// The default set: masked from a live environment, as it is from any other.
pub fn default_set(environment: &Environment) -> &'static str {
    if environment.class == policy::Class::Live { "anonymized" } else { "raw" }
}

/// Decides what a snapshot of `environment` will hold. Touches no store.
pub async fn plan(environment: Environment, request: Request) -> Result<SnapshotPlan> {
    let set_name = request.set.clone().unwrap_or_else(|| default_set(&environment).to_owned());
    if set_name == PREVIOUS_SET {
        return Err(Error::usage(
            "the set `previous` is pfdata's own: it keeps what a load replaced",
        )
        .hint("name another set, or take --raw"));
    }
    environment.refuse_unbuilt(JobKind::Snapshot, Some(&set_name))?;
    let set = environment.set(&set_name)?;
    let all = environment.stores();
    let stores = chosen(&all, request.stores.as_deref(), &environment.name)?;
    let partial = !request.only.is_empty() || !request.exclude.is_empty();
    if partial && stores.contains(&StoreKind::Redis) {
        return Err(Error::not_built("--only or --exclude for redis")
            .hint("name the other stores with --store"));
    }
    let whole = stores.len() == all.len() && request.only.is_empty() && request.exclude.is_empty();
    let known = Known::read(&environment)?;
    classes::settled(&known.shelf, &environment)?;
    let ruled = if set.anonymize { Some(rules_of(&environment, &set)?) } else { None };
    let jobs = request.jobs.unwrap_or(set.jobs);
    let codec = request.compression.unwrap_or(set.compression);
    let held_raw = stores.iter().filter(|store| known.held(**store, None) == Clearance::Raw);
    let held_raw: Vec<&str> = held_raw.map(|store| store.word()).collect();
    let ruling = if ruled.is_some() { Ruling::Whole } else { Ruling::Without };
    let clearance = policy::clearance(environment.class, ruling, !held_raw.is_empty());

    crate::job::resolve(&environment, &stores).await?;
    let title = format!("snapshot {}/{set_name} ({})", environment.name, clearance.word());
    let mut view = Plan::new("snapshot", title);
    for store in &stores {
        view.action("read", Some(*store), crate::job::place(&environment, *store)?);
    }
    match &ruled {
        Some(ruled) => view.action("mask", None, format!("rules {}", &ruled.rules.digest()[..12])),
        None => view.action("keep", None, "no rules are applied"),
    }
    for warning in ruled.iter().flat_map(|ruled| ruled.rules.warnings()) {
        view.remark(warning);
    }
    if ruled.is_some() {
        view.remark(STRUCTURE);
    }
    let place = set.repository.path.display();
    view.action("store", None, format!("{place}, {codec}, {jobs} jobs"));
    if environment.class != policy::Class::Live && !held_raw.is_empty() {
        view.remark(format!(
            "{} of `{}` holds real data: what is stored without rules is raw",
            held_raw.join(", "),
            environment.name
        ));
    }
    view.remarks.extend(classes::unknown(&known.shelf));
    if !whole {
        view.remark("a partial snapshot: it is found by its id only");
    }
    let raw = clearance == Clearance::Raw;
    Ok(SnapshotPlan {
        view,
        environment,
        set,
        stores,
        whole,
        ruled,
        jobs,
        codec,
        request,
        known,
        raw,
    })
}

/// Decides on keeping what is live in MongoDB before a load replaces it: unruled, in the set
/// `previous`.
pub fn previous(environment: Environment, within: String) -> Result<SnapshotPlan> {
    environment.refuse_unbuilt(JobKind::Snapshot, Some(PREVIOUS_SET))?;
    let known = Known::read(&environment)?;
    let mut set = environment.set(PREVIOUS_SET)?;
    let raw = environment.class == policy::Class::Live
        || known.held(StoreKind::Mongodb, None) == Clearance::Raw;
    if raw {
        let with_raw = environment.set(RAW)?;
        (set.repository, set.repository_id) = (with_raw.repository, with_raw.repository_id);
    }
    let request = Request { within: Some(within), ..Request::default() };
    Ok(SnapshotPlan {
        view: Plan::new("snapshot", format!("keep mongodb of {}", environment.name)),
        jobs: set.jobs,
        codec: set.compression,
        environment,
        set,
        stores: vec![StoreKind::Mongodb],
        whole: false,
        ruled: None,
        request,
        known,
        raw,
    })
}

/// The stores that a job acts on.
pub fn chosen(
    all: &[StoreKind],
    wanted: Option<&[StoreKind]>,
    environment: &str,
) -> Result<Vec<StoreKind>> {
    let Some(wanted) = wanted else {
        if all.is_empty() {
            return Err(Error::usage(format!(
                "`{environment}` has no store in its database block"
            )));
        }
        return Ok(all.to_vec());
    };
    for store in wanted {
        if !all.contains(store) {
            return Err(crate::job::endpoints::missing(environment, *store));
        }
    }
    Ok(all.iter().copied().filter(|store| wanted.contains(store)).collect())
}

fn rules_of(environment: &Environment, set: &SetSettings) -> Result<Ruled> {
    let (rules, key) = crate::job::rules::load(environment)?;
    let reviewed = match set.reviewed_only {
        true => Some(crate::job::rules::reviewed(environment)?),
        false => None,
    };
    Ok(Ruled { rules, key, reviewed })
}
