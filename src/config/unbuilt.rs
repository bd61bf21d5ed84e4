//! Keys of the contract that this version reads and checks but does not honour yet. A job that
//! would have to is refused: nothing is ignored silently.

use super::data::{Data, Mode, Uncovered};
use super::reader::Reader;
use crate::error::{Error, Result};

/// What a job does to an environment, as far as configuration is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// Reads its stores into a snapshot.
    Snapshot,
    /// Loads a snapshot into its stores.
    Restore,
    /// Loads a snapshot, seeds and more into its stores.
    Refresh,
    /// Swaps the previous data back in.
    Rollback,
    /// Applies seeds.
    Seed,
    /// Checks or previews rules.
    Rules,
    /// Reads the repository only: list, show, verify.
    Read,
}

/// Refuses the first key that `job` would have to honour.
pub(crate) fn refuse(
    data: &Data,
    reader: Reader<'_>,
    job: JobKind,
    set: Option<&str>,
) -> Result<()> {
    match unbuilt(data, reader, job, set).first() {
        Some(path) => Err(Error::not_built(format!("{}: `{path}`", reader.origin(path)))
            .hint("this version would not honour it; take it out to go on without it")),
        None => Ok(()),
    }
}

fn unbuilt(data: &Data, reader: Reader<'_>, job: JobKind, set: Option<&str>) -> Vec<String> {
    use JobKind::{Read, Refresh, Restore, Rollback, Rules, Seed, Snapshot};
    let mut paths = Vec::new();
    let mut add = |path: &str, set: bool| {
        if set {
            paths.push(path.to_owned());
        }
    };
    if matches!(job, Snapshot | Restore | Refresh | Rollback | Read) {
        add("data.encryption", data.encryption.is_some());
    }
    if matches!(job, Snapshot | Restore | Refresh | Rollback | Seed) {
        for key in ["rate", "duration", "replica_lag"] {
            let path = format!("data.limits.{key}");
            add(&path, reader.present(&path));
        }
    }
    if matches!(job, Restore | Refresh) {
        add("data.refresh.mode", matches!(data.refresh.mode, Mode::Schema | Mode::InPlace));
    }
    if job == Refresh {
        let hooks = &data.refresh.hooks;
        add("data.refresh.hooks.before", !hooks.before.is_empty());
        add("data.refresh.hooks.loaded", !hooks.loaded.is_empty());
        add("data.refresh.hooks.before_swap", !hooks.before_swap.is_empty());
        add("data.refresh.hooks.after_swap", !hooks.after_swap.is_empty());
        add("data.refresh.migrate", data.refresh.migrate == Some(true));
    }
    let chosen = data.sets.iter().find(|known| Some(known.name.as_str()) == set);
    if job == Snapshot
        && let Some(set) = chosen
    {
        let path = format!("data.snapshots.{}.from_replica", set.name);
        add(&path, set.from_replica);
    }
    let masks = chosen.is_none_or(|set| set.anonymize);
    if job == Rules || (job == Snapshot && masks) {
        add("data.anonymize.uncovered", data.uncovered == Uncovered::Redact);
    }
    paths
}
