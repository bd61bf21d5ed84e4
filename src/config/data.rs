//! The `data` block, typed. Every field has its default; `Option` is `None` where the contract
//! knows no default.

use std::time::Duration;

use super::cron::{self, Cron};
use super::reader::Reader;
use super::sets::{self, SetOptions};
use super::{repository, units};

pub use super::words::{Algorithm, Mode, Require, Treatment, Uncovered};

use crate::error::{Error, Result};
use crate::terms::StoreKind;

/// Everything of the `data` block that holds no secret. Secrets and repositories are read by
/// methods of [`Environment`](super::Environment) when they are used.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    /// The snapshot sets: `raw` and `anonymized`, then the configured ones in file order.
    pub sets: Vec<SetOptions>,
    /// How the environment is refreshed.
    pub refresh: Refresh,
    /// Bounds on jobs.
    pub limits: Limits,
    /// What migrations need.
    pub migrate: Require,
    /// What happens to what no rule covers.
    pub uncovered: Uncovered,
    /// The algorithm of an `encryption` block; `None` without the block.
    pub encryption: Option<Algorithm>,
    /// What recovery may cost.
    pub objectives: Objectives,
    /// When jobs over all snapshots run.
    pub schedules: Schedules,
}

/// `data.refresh`.
#[derive(Debug, Clone, PartialEq)]
pub struct Refresh {
    /// `ENV`, `ENV/SET` or a snapshot.
    pub from: Option<String>,
    /// When it runs.
    pub schedule: Option<Cron>,
    /// A snapshot older than this is refused.
    pub max_age: Option<Duration>,
    /// How Postgres is swapped.
    pub mode: Mode,
    /// Whether pending migrations run; `None` is the default, true.
    pub migrate: Option<bool>,
    /// What happens to each store: (store, treatment), for the stores that are named.
    pub stores: Vec<(StoreKind, Treatment)>,
    /// Whether the environment is snapshotted first.
    pub backup_before: bool,
    /// Folders of SQL files, relative to [`Environment::base`](super::Environment::base).
    pub sql: Vec<String>,
    /// Seed profiles, in order.
    pub seeds: Vec<String>,
    /// How long the previous data is kept.
    pub keep_previous: KeepPrevious,
    /// Commands to run.
    pub hooks: Hooks,
}

impl Refresh {
    /// What happens to `store`: what is configured, else it comes from the snapshot.
    pub fn treatment(&self, store: StoreKind) -> Treatment {
        let named = self.stores.iter().find(|(kind, _)| *kind == store);
        named.map_or(Treatment::Snapshot, |(_, treatment)| *treatment)
    }
}

/// `data.refresh.keep_previous`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepPrevious {
    /// `false`: dropped after the swap.
    No,
    /// `true`: until the next job.
    UntilNextJob,
    /// At most this long.
    For(Duration),
}

/// `data.refresh.hooks`: each a list of program and arguments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hooks {
    /// Before anything is touched.
    pub before: Vec<Vec<String>>,
    /// After the load.
    pub loaded: Vec<Vec<String>>,
    /// Before the swap.
    pub before_swap: Vec<Vec<String>>,
    /// After the swap.
    pub after_swap: Vec<Vec<String>>,
}

/// `data.limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes per second.
    pub rate: Option<u64>,
    /// The longest that a job may take.
    pub duration: Option<Duration>,
    /// The longest that a replica may lag.
    pub replica_lag: Option<Duration>,
}

/// `data.objectives`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Objectives {
    /// How long a recovery may take.
    pub rto: Option<Duration>,
    /// How much recent data may be lost.
    pub rpo: Option<Duration>,
}

/// `data.schedules`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedules {
    /// Enforcement of retention.
    pub retention: Option<Cron>,
    /// Verification of stored snapshots.
    pub verify: Option<Cron>,
    /// Recovery drills.
    pub drill: Option<Cron>,
}

impl Data {
    /// Reads and checks the whole block.
    pub(crate) fn read(reader: Reader<'_>) -> Result<Self> {
        if reader.present("data") && reader.node("data").is_some_and(|node| !node.is_branch()) {
            return Err(reader.wrong("data", "an object"));
        }
        for path in ["data.repository_id", "data.anonymize.rules"] {
            reader.filled(path)?;
        }
        if !reader.resolves() {
            repository::check(reader, "data.repository")?;
        }
        for path in ["data.anonymize.key", "data.encryption.key"] {
            reader.template(path)?;
        }
        Ok(Self {
            sets: sets::read(reader)?,
            refresh: Refresh::read(reader)?,
            limits: Limits {
                rate: reader.parsed("data.limits.rate", units::RATE, |text| {
                    units::parse_rate(text).filter(|rate| *rate > 0)
                })?,
                duration: reader.duration("data.limits.duration")?,
                replica_lag: reader.duration("data.limits.replica_lag")?,
            },
            migrate: reader.word_or_preset("data.migrate.require", &Require::WORDS)?,
            uncovered: reader.word_or_preset("data.anonymize.uncovered", &Uncovered::WORDS)?,
            encryption: read_encryption(reader)?,
            objectives: Objectives {
                rto: reader.duration("data.objectives.rto")?,
                rpo: reader.duration("data.objectives.rpo")?,
            },
            schedules: Schedules {
                retention: cron::at(reader, "data.schedules.retention")?,
                verify: cron::at(reader, "data.schedules.verify")?,
                drill: cron::at(reader, "data.schedules.drill")?,
            },
        })
    }
}

fn read_encryption(reader: Reader<'_>) -> Result<Option<Algorithm>> {
    if !reader.present("data.encryption") {
        return Ok(None);
    }
    let algorithm = reader.word("data.encryption.algorithm", &Algorithm::WORDS)?;
    if !reader.present("data.encryption.key") {
        let origin = reader.origin("data.encryption");
        return Err(Error::usage(format!("{origin}: `data.encryption.key` must be given")));
    }
    Ok(Some(algorithm.unwrap_or(Algorithm::Aes256Gcm)))
}

impl Refresh {
    fn read(reader: Reader<'_>) -> Result<Self> {
        let mut stores = Vec::new();
        for store in StoreKind::ALL {
            let path = format!("data.refresh.stores.{store}");
            if let Some(treatment) = reader.word(&path, &Treatment::WORDS)? {
                stores.push((store, treatment));
            }
        }
        let hook = |key: &str| -> Result<Vec<Vec<String>>> {
            Ok(reader.command_lines(&format!("data.refresh.hooks.{key}"))?.unwrap_or_default())
        };
        Ok(Self {
            from: read_from(reader)?,
            schedule: cron::at(reader, "data.refresh.schedule")?,
            max_age: reader.duration("data.refresh.max_age")?,
            mode: reader.word_or_preset("data.refresh.mode", &Mode::WORDS)?,
            migrate: reader.flag("data.refresh.migrate")?,
            stores,
            backup_before: reader.flag_or_preset("data.refresh.backup_before")?,
            sql: reader.texts("data.refresh.sql")?.unwrap_or_default(),
            seeds: reader.texts("data.refresh.seeds")?.unwrap_or_default(),
            keep_previous: read_keep_previous(reader)?,
            hooks: Hooks {
                before: hook("before")?,
                loaded: hook("loaded")?,
                before_swap: hook("before_swap")?,
                after_swap: hook("after_swap")?,
            },
        })
    }
}

fn read_from(reader: Reader<'_>) -> Result<Option<String>> {
    let path = "data.refresh.from";
    let expected = "an environment, `ENV/SET` or a snapshot";
    reader.parsed(path, expected, |text| {
        let word = |c: char| c.is_ascii_alphanumeric() || "-_.@/".contains(c);
        let parts = text.split('/').collect::<Vec<_>>();
        let good = text.chars().all(word) && parts.len() <= 2 && !parts.contains(&"");
        good.then(|| text.to_owned())
    })
}

fn read_keep_previous(reader: Reader<'_>) -> Result<KeepPrevious> {
    let path = "data.refresh.keep_previous";
    let expected = format!("true, false or {}", units::DURATION);
    if let Ok(flag) = reader.flag(path) {
        return Ok(match flag {
            Some(false) => KeepPrevious::No,
            Some(true) | None => KeepPrevious::UntilNextJob,
        });
    }
    let parse = |text: &str| units::parse_duration(text).filter(|time| !time.is_zero());
    let time = reader.parsed(path, &expected, parse)?;
    Ok(time.map_or(KeepPrevious::UntilNextJob, KeepPrevious::For))
}
