//! Snapshot sets: `data.snapshots.<set>`.

use std::path::PathBuf;
use std::time::Duration;

use super::cron::{self, Cron};
use super::key::default_jobs;
use super::names;
use super::reader::Reader;
use super::repository::{self, RepositoryLocation};
use crate::error::{Error, Result};
use crate::pipeline::codec::{COMPRESSION, Compression};

/// The set of unmasked snapshots, there without being configured.
pub const RAW: &str = "raw";

/// The set of masked snapshots, there without being configured.
pub const ANONYMIZED: &str = "anonymized";

/// pfdata's own set: what a swap replaced.
pub const PREVIOUS: &str = "previous";

/// A set as it is configured, without its repository, which is resolved when it is used.
#[derive(Debug, Clone, PartialEq)]
pub struct SetOptions {
    /// Its name.
    pub name: String,
    /// Whether its snapshots are masked.
    pub anonymize: bool,
    /// When a snapshot is taken.
    pub schedule: Option<Cron>,
    /// How many workers read at once.
    pub jobs: usize,
    /// How parts are compressed.
    pub compression: Compression,
    /// Whether it stops at a place that a star keeps and `reviewed.toml` does not list.
    pub reviewed_only: bool,
    /// Whether a replica is read.
    pub from_replica: bool,
    /// How long its snapshots are kept; `None` keeps all.
    pub retention: Option<Retention>,
}

/// A set and the repository its snapshots go to.
#[derive(Debug, Clone, PartialEq)]
pub struct SetSettings {
    /// Name, workers, compression, retention, ….
    pub options: SetOptions,
    /// The set's own repository, else the environment's.
    pub repository: RepositoryLocation,
    /// The id that this repository must have, when configured beside its url.
    pub repository_id: Option<String>,
}

impl std::ops::Deref for SetSettings {
    type Target = SetOptions;

    fn deref(&self) -> &SetOptions {
        &self.options
    }
}

impl SetSettings {
    /// The folder of the repository.
    pub fn folder(&self) -> &PathBuf {
        &self.repository.path
    }
}

/// `retention`: what is kept. Numbers count snapshots; each `keep_*` adds to what the others keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// The newest N.
    pub keep_last: Option<u64>,
    /// One for each of the last N hours that have one.
    pub keep_hourly: Option<u64>,
    /// … days.
    pub keep_daily: Option<u64>,
    /// … weeks.
    pub keep_weekly: Option<u64>,
    /// … months.
    pub keep_monthly: Option<u64>,
    /// … years.
    pub keep_yearly: Option<u64>,
    /// Everything younger than this, counted from the newest.
    pub keep_within: Option<Duration>,
    /// Nothing older than this, counted from now.
    pub max_age: Option<Duration>,
}

/// Every set of an environment: the two that are always there, then the others in file order.
pub(crate) fn read(reader: Reader<'_>) -> Result<Vec<SetOptions>> {
    let configured = reader.names("data.snapshots");
    let mut names = vec![RAW, ANONYMIZED];
    names.extend(configured.into_iter().filter(|name| ![RAW, ANONYMIZED].contains(name)));
    names.into_iter().map(|name| read_set(reader, name)).collect()
}

fn read_set(reader: Reader<'_>, name: &str) -> Result<SetOptions> {
    let at = |key: &str| format!("data.snapshots.{name}.{key}");
    if !names::is_word(name) || name.contains('.') || [PREVIOUS, "latest"].contains(&name) {
        let origin = reader.origin("data.snapshots");
        let error = format!("{origin}: `data.snapshots` has a set whose name cannot be used");
        return Err(Error::usage(error)
            .hint("use letters, digits, `-` and `_`; `previous` and `latest` are pfdata's own"));
    }
    if !reader.resolves() {
        repository::check(reader, &at("repository"))?;
    }
    let anonymize = read_anonymize(reader, name, &at("anonymize"))?;
    let reviewed_only = reader.flag(&at("reviewed_only"))?.unwrap_or(false);
    if reviewed_only && !anonymize {
        return Err(reader.wrong(&at("reviewed_only"), "false: no rules are applied in this set"));
    }
    let compression = reader.parsed(&at("compression"), COMPRESSION, |text| text.parse().ok())?;
    let jobs = reader.number(&at("jobs"))?;
    Ok(SetOptions {
        name: name.to_owned(),
        anonymize,
        reviewed_only,
        schedule: cron::at(reader, &at("schedule"))?,
        jobs: jobs.and_then(|jobs| usize::try_from(jobs).ok()).unwrap_or_else(default_jobs),
        compression: compression.unwrap_or_default(),
        from_replica: reader.flag_or_preset(&at("from_replica"))?,
        retention: read_retention(reader, &at("retention"))?,
    })
}

fn read_anonymize(reader: Reader<'_>, name: &str, path: &str) -> Result<bool> {
    let given = reader.flag(path)?;
    let fixed = match name {
        RAW => false,
        ANONYMIZED => true,
        _ => {
            if !reader.present(path) {
                let origin = reader.origin(path);
                return Err(Error::usage(format!("{origin}: `{path}` must be given"))
                    .hint("true masks the set's snapshots, false does not"));
            }
            // A reference that is not resolved yet is looked at when it is.
            return Ok(given.unwrap_or(true));
        }
    };
    if given.is_some_and(|given| given != fixed) {
        return Err(reader.wrong(path, &format!("{fixed}: that is what the set `{name}` is")));
    }
    Ok(fixed)
}

fn read_retention(reader: Reader<'_>, path: &str) -> Result<Option<Retention>> {
    if !reader.present(path) {
        return Ok(None);
    }
    let count = |key: &str| reader.number(&format!("{path}.{key}"));
    let time = |key: &str| reader.duration(&format!("{path}.{key}"));
    let retention = Retention {
        keep_last: count("keep_last")?,
        keep_hourly: count("keep_hourly")?,
        keep_daily: count("keep_daily")?,
        keep_weekly: count("keep_weekly")?,
        keep_monthly: count("keep_monthly")?,
        keep_yearly: count("keep_yearly")?,
        keep_within: time("keep_within")?,
        max_age: time("max_age")?,
    };
    // A block without a rule says nothing, and nothing must not mean: keep nothing.
    Ok((retention != Retention::default()).then_some(retention))
}
