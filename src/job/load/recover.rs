//! What a load left that did not get to its end: finished or undone, never left.

use super::{mongodb, postgres, redis, swap};
use crate::config::Environment;
use crate::error::{Kind, Result};
use crate::job::history::crashed as crashed_loads;
use crate::job::history::{Command, Crashed, How, Ready, Record};
use crate::job::journal::{Journal, Journals, Outcome};
use crate::job::snapshot::record;
use crate::pipeline::progress::Progress;
use crate::repository::PREVIOUS_SET;
use crate::repository::lease::Lease;
use crate::repository::snapshot::Snapshot;
use crate::terms::StoreKind;

/// What was done about a crashed load.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Its job id.
    pub job: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// Deals with every crashed load of an environment. The caller holds its lease alone.
pub async fn crashed(
    journals: &Journals,
    environment: &Environment,
    lease: &Lease,
    progress: &Progress,
) -> Result<Vec<Recovered>> {
    let mut done = Vec::new();
    for Crashed { journal, record, ready } in crashed_loads(journals)? {
        tracing::warn!(job = journal.job(), "dealing with a load that crashed");
        let outcome = match &ready {
            None => remove(environment, &record, &journal).await.map(|()| Outcome::Removed)?,
            Some(ready) => finish_or_undo(environment, ready, &journal, lease, progress).await?,
        };
        if outcome != Outcome::RolledForward {
            forget_kept(environment, journals, journal.job())?;
        }
        journal.done(outcome, None)?;
        done.push(Recovered { job: journal.job().to_owned(), outcome });
    }
    Ok(done)
}

/// A load that crashed before the first swap is undone: nobody has seen its data. One that
/// crashed between two swaps is finished, for everything was verified before the first; when a
/// store cannot be swapped any more, it is undone.
async fn finish_or_undo(
    environment: &Environment,
    ready: &Ready,
    journal: &Journal,
    lease: &Lease,
    progress: &Progress,
) -> Result<Outcome> {
    if swap::swapped(environment, ready, journal.job()).await?.is_empty() {
        swap::undo(environment, ready, journal.job(), progress).await?;
        return Ok(Outcome::RolledBack);
    }
    match swap::all(environment, ready, journal, lease).await {
        Ok(_) => Ok(Outcome::RolledForward),
        // Nothing can be decided about a store that does not answer, or by who has no say.
        Err(error) if matches!(error.kind(), Kind::Unreachable | Kind::Locked) => Err(error),
        Err(error) => {
            tracing::warn!(%error, "the crashed load cannot be finished; undoing it");
            swap::undo(environment, ready, journal.job(), progress).await?;
            Ok(Outcome::RolledBack)
        }
    }
}

/// Undoes a load of this process that failed or was interrupted: before it was ready its new data
/// is dropped, later its swaps are taken back.
///
/// # Errors
///
/// Also when the lease was lost: whoever has it now deals with this load as with a crashed one,
/// and what stands beside the live data may already be theirs.
pub async fn failed(
    environment: &Environment,
    lease: &Lease,
    record: &Record,
    ready: Option<&Ready>,
    journal: &Journal,
    journals: &Journals,
    progress: &Progress,
) -> Result<Outcome> {
    lease.not_taken_over()?;
    let outcome = match ready {
        None => remove(environment, record, journal).await.map(|()| Outcome::Failed)?,
        Some(ready) => {
            swap::undo(environment, ready, journal.job(), progress).await?;
            Outcome::RolledBack
        }
    };
    forget_kept(environment, journals, journal.job())?;
    Ok(outcome)
}

/// Removes the snapshot of MongoDB that an undone job took before its swap: what it holds is live
/// again, and a rollback must not take it for the data from before the last load.
fn forget_kept(environment: &Environment, journals: &Journals, job: &str) -> Result<()> {
    let Some(taking) = journals.find(&format!("{job}-previous"))? else { return Ok(()) };
    let Some(record) = taking.read::<record::Record>("plan")? else { return Ok(()) };
    if record.set() != Some(PREVIOUS_SET) {
        tracing::warn!(
            job = taking.job(),
            "its plan names another set, of which nothing is removed"
        );
        return Ok(());
    }
    let removed =
        record.places(environment).and_then(|places| places.iter().try_for_each(Snapshot::remove));
    removed.map_err(|error| {
        error
            .context(format!("what job {job} kept of mongodb, which is live again, stays"))
            .hint("make its repository reachable again: until then it would be taken for previous")
    })
}

/// Drops what was loaded beside the live data. A rollback's "new" data is the previous one of
/// Postgres and Redis, which stays; only what it loaded of MongoDB goes.
async fn remove(environment: &Environment, record: &Record, journal: &Journal) -> Result<()> {
    let configured = environment.stores();
    // A store that is no longer configured is out of reach, and so is what is left in it.
    let loaded = |store: StoreKind| match record.stores.get(&store) {
        _ if !configured.contains(&store) => false,
        Some(How::Snapshot | How::Empty) => {
            record.command != Command::Rollback || store == StoreKind::Mongodb
        }
        None => false,
    };
    if loaded(StoreKind::Postgres) {
        postgres::drop_new(environment).await?;
    }
    if loaded(StoreKind::Redis) {
        redis::drop_new(environment, journal.job()).await?;
    }
    if loaded(StoreKind::Mongodb) {
        mongodb::drop_new(environment).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::config::Config;
    use crate::repository::Repository;

    const ID: &str = "20261121T030000Z-7f3a9c";

    /// What is left of a stored snapshot of `set` once a load is undone whose journal says that it
    /// kept MongoDB in `told`.
    fn left(set: &str, told: &str) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let path = |below: &str| folder.path().join(below);
        fs::create_dir(path("config")).unwrap();
        fs::create_dir(path("backups")).unwrap();
        let data = json!({ "data": { "repository": "file://./backups", "class": "synthetic" } });
        fs::write(path("config/development.json"), data.to_string()).unwrap();
        fs::write(path("config/default.json"), "{}").unwrap();
        let config = Config::load_with(&path("config"), None, HashMap::new()).unwrap();
        let repository = Repository::open(&path("backups"), None, true).unwrap();
        let stored = path("backups/development").join(set).join(ID);
        fs::create_dir_all(&stored).unwrap();
        fs::write(stored.join("manifest.json"), "{}").unwrap();
        let jobs = repository.jobs("development");
        let plan = json!({ "kind": "snapshot", "repository": repository.id(), "set": told,
            "snapshot": ID, "plan": null });
        Journal::begin(&jobs, "load-previous", &plan).unwrap();
        let environment = config.environment("development").unwrap();
        forget_kept(&environment, &Journals::new(jobs, []), "load").unwrap();
        stored.exists()
    }

    #[test]
    fn an_undone_load_forgets_what_it_kept_and_no_other_snapshot() {
        assert!(!left("previous", "previous"));
        assert!(left("raw", "previous"));
        assert!(left("raw", "raw"), "whoever writes a journal removes no backup");
    }
}
