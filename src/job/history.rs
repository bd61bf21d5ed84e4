//! What the jobs of an environment have left in its journals: what each store holds since its last
//! load, and which loads crashed before their end. Read by every job and by `status`; written by
//! loads.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::journal::{Done, Journal, Journals, Outcome};
use crate::error::{Error, OrFail, Result};
use crate::policy::Clearance;
use crate::terms::StoreKind;

/// Which command loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    /// A snapshot as it was: keys expire when they did, no seeds, no environment SQL.
    Restore,
    /// A snapshot made at home: remaining times to live, environment SQL, seeds.
    Refresh,
    /// The data from before the last load.
    Rollback,
}

impl Command {
    /// The subcommand.
    pub fn word(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Refresh => "refresh",
            Self::Rollback => "rollback",
        }
    }

    /// What a message calls it.
    pub(crate) fn wording(self) -> &'static str {
        match self {
            Self::Restore => "a restore",
            Self::Refresh => "a refresh",
            Self::Rollback => "a rollback",
        }
    }
}

/// What becomes of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// It gets the snapshot's data.
    Snapshot,
    /// It gets the snapshot's structure without data.
    Empty,
}

/// `plan.json` of a load.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// Always `load`.
    pub kind: String,
    /// Which command.
    pub command: Command,
    /// What it loads; for a rollback, the MongoDB snapshot, if any.
    pub snapshot: Option<String>,
    /// Which stores it changes.
    pub stores: BTreeMap<StoreKind, How>,
    /// What the user saw.
    pub plan: serde_json::Value,
}

/// `step-ready.json`: everything is loaded and verified; what the swaps will do, in terms that
/// another process can check.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Ready {
    /// The Postgres databases that change places.
    pub postgres: Option<PostgresReady>,
    /// The Redis indexes that change places.
    pub redis: Option<RedisReady>,
    /// The MongoDB collections that get their names.
    pub mongodb: Option<MongoReady>,
}

/// The databases that change places, by oid: names are what the swap changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PostgresReady {
    /// The database that becomes live.
    pub becomes_live: u32,
    /// The database that is live until then, if there is one.
    pub was_live: Option<u32>,
    /// Whether the new data is the previous one (a rollback), which an undo must keep.
    pub from_previous: bool,
}

/// The index that was loaded; the marker in it says whether the swap has happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RedisReady {
    /// The index that the data was loaded into.
    pub spare: u32,
    /// Whether the new data is the previous one (a rollback), which an undo must keep.
    pub from_previous: bool,
}

/// The collections that were loaded under temporary names.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MongoReady {
    /// What the store needs to know to finish the swap in another process.
    pub plan: crate::store::mongodb::swap::SwapPlan,
    /// The snapshot of what was live, in the environment's repository.
    pub previous: Option<String>,
}

/// `step-result.json`: what each store holds after the load.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Loaded {
    /// When this was written, which is before the swap.
    pub at: Option<Timestamp>,
    /// By store.
    pub stores: BTreeMap<StoreKind, Holds>,
}

/// What a store holds since a load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holds {
    /// The job that brought it.
    pub job: String,
    /// The snapshot; `None` after a rollback to data that no load brought.
    pub snapshot: Option<String>,
    /// The fingerprint of the key it is masked with; `None` when it is not masked.
    pub key_fingerprint: Option<String>,
    /// Whether the data from before can be swapped back in.
    pub previous: bool,
    /// MongoDB: the snapshot that this data from before is kept in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_snapshot: Option<String>,
    /// What the store held before, for a rollback to say so again.
    #[serde(default)]
    pub before: Option<Box<Holds>>,
    /// When `keep_previous` has passed.
    #[serde(default)]
    pub previous_until: Option<Timestamp>,
    /// Whether it is real data; not in the journals of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clearance: Option<Clearance>,
    /// When it was brought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl Holds {
    /// What a store holds that no load brought.
    pub fn unknown(clearance: Clearance) -> Self {
        Self {
            job: String::new(),
            snapshot: None,
            key_fingerprint: None,
            previous: true,
            previous_snapshot: None,
            before: None,
            previous_until: None,
            clearance: Some(clearance),
            at: None,
        }
    }
}

/// What every store of an environment holds, as far as its loads are remembered.
pub fn holds(journals: &Journals) -> Result<BTreeMap<StoreKind, Holds>> {
    let mut holds: BTreeMap<StoreKind, Holds> = BTreeMap::new();
    for journal in journals.jobs()? {
        let ended = journal.read::<Done>("done")?;
        // Whatever became of that job, it dropped what was kept before it.
        for store in journal.read::<Vec<StoreKind>>("step-dropping")?.unwrap_or_default() {
            if let Some(held) = holds.get_mut(&store) {
                held.previous = false;
            }
        }
        let happened = |done: &Done| matches!(done.outcome, Outcome::Done | Outcome::RolledForward);
        if ended.as_ref().is_some_and(happened)
            && let Some(loaded) = journal.read::<Loaded>("step-result")?
        {
            let dated = |(store, held): (StoreKind, Holds)| {
                let at = held.at.or(loaded.at);
                (store, Holds { at, ..held })
            };
            holds.extend(loaded.stores.into_iter().map(dated));
        }
    }
    Ok(holds)
}

/// A load that crashed, for `status` to tell and the next job to deal with.
#[derive(Debug)]
pub struct Crashed {
    /// Its journal.
    pub journal: Journal,
    /// Its plan.
    pub record: Record,
    /// What it was about to swap, if it got that far.
    pub ready: Option<Ready>,
}

/// The loads of an environment that crashed and were not dealt with yet.
pub fn crashed(journals: &Journals) -> Result<Vec<Crashed>> {
    let mut found = Vec::new();
    for journal in journals.crashed()? {
        let Some(plan) = journal.read::<serde_json::Value>("plan")? else { continue };
        if plan.get("kind").and_then(serde_json::Value::as_str) != Some("load") {
            continue;
        }
        let record = serde_json::from_value::<Record>(plan)
            .or_fail(|| format!("the plan of job {} cannot be understood", journal.job()))?;
        let ready = journal.read::<Ready>("step-ready")?;
        found.push(Crashed { journal, record, ready });
    }
    Ok(found)
}

/// Refuses to read an environment whose stores may be of two different loads.
pub fn refuse_half_swapped(journals: &Journals, environment: &str) -> Result<()> {
    match crashed(journals)?.iter().find(|load| load.ready.is_some()) {
        None => Ok(()),
        Some(load) => Err(Error::failed(format!(
            "job {} of `{environment}` crashed while it swapped the stores; they may be of two loads",
            load.journal.job()
        ))
        .hint(format!("run `pfdata refresh {environment}` or `pfdata rollback {environment}`; it is dealt with first"))),
    }
}

/// Forgets the journals of old jobs, but for those that say what the stores hold. Housekeeping: a
/// failure is only logged.
pub(crate) fn forget_old_jobs(journals: &Journals) {
    let forgotten = holds(journals).and_then(|holds| {
        journals.prune(|journal| holds.values().any(|held| held.job == journal.job()))
    });
    if let Err(error) = forgotten {
        tracing::warn!(%error, "old journals stay");
    }
}
