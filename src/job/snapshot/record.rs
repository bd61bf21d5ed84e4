//! What the journal says of a snapshot that is being taken: enough to clean up after it.
//!
//! Written by the job itself; read by the next job of the environment, maybe on another host. A
//! journal is data, not trusted: it names what to remove by ids, and only below repositories that
//! the configuration names.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::read::WRITERS_PATIENCE;
use crate::config::Environment;
use crate::error::{Error, Result};
use crate::job::journal::{Journal, Journals, Outcome};
use crate::job::repositories;
use crate::repository::gate::Gate;
use crate::repository::snapshot::Snapshot;

const KIND: &str = "snapshot";

/// `plan.json` of a snapshot job.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// Always `snapshot`.
    kind: String,
    /// The id of the repository that it writes to. Older versions wrote a path, which counts for
    /// nothing.
    repository: String,
    /// The set; none in the journals of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set: Option<String>,
    /// The snapshot's id.
    snapshot: String,
    /// Where older versions wrote it. Only the name of the set is taken from it.
    #[serde(default, skip_serializing)]
    folder: Option<PathBuf>,
    /// What the user saw.
    plan: serde_json::Value,
}

impl Record {
    /// Of a snapshot that begins now, in the repository of an id.
    pub(super) fn new(
        repository: &str,
        set: &str,
        snapshot: &str,
        plan: serde_json::Value,
    ) -> Self {
        Self {
            kind: KIND.to_owned(),
            repository: repository.to_owned(),
            set: Some(set.to_owned()),
            snapshot: snapshot.to_owned(),
            folder: None,
            plan,
        }
    }

    /// The record in a journal, if its job is a snapshot.
    fn of(journal: &Journal) -> Result<Option<Self>> {
        let Some(plan) = journal.read::<serde_json::Value>("plan")? else { return Ok(None) };
        if plan.get("kind").and_then(serde_json::Value::as_str) != Some(KIND) {
            return Ok(None);
        }
        Ok(serde_json::from_value(plan).ok())
    }

    /// The set, where it is told.
    pub(crate) fn set(&self) -> Option<&str> {
        let of_folder = || self.folder.as_ref()?.parent()?.file_name()?.to_str();
        self.set.as_deref().or_else(of_folder)
    }

    /// Where the snapshot may be: in the repository of that id, if the environment has it.
    ///
    /// # Errors
    ///
    /// Exit 12 where that repository cannot be reached now, exit 1 where the record names none of
    /// the environment's snapshots.
    pub(crate) fn places(&self, environment: &Environment) -> Result<Vec<Snapshot>> {
        let set = self.set().ok_or_else(|| Error::failed("the plan of a snapshot names no set"))?;
        let of_older_version = self.set.is_none();
        let mut found = repositories::reachable(environment);
        found.retain(|repository| of_older_version || repository.id() == self.repository);
        if found.is_empty() {
            return Err(Error::unreachable(format!(
                "no repository of `{}` has the id {}",
                environment.name, self.repository
            )));
        }
        found.iter().map(|found| found.snapshot(&environment.name, set, &self.snapshot)).collect()
    }
}

/// Removes what snapshot jobs left that crashed.
pub fn clean_up_crashed(journals: &Journals, environment: &Environment) -> Result<()> {
    crate::job::temporary::sweep();
    for journal in journals.crashed()? {
        let Some(record) = Record::of(&journal)? else { continue };
        tracing::warn!(job = journal.job(), "removing what a crashed snapshot left");
        match record.places(environment) {
            Ok(places) => abandon(&journal, &places, Outcome::Removed),
            Err(error) => tracing::warn!(%error, job = journal.job(), "what it left stays for now"),
        }
    }
    Ok(())
}

/// Stops what still writes, and removes it.
pub(super) fn give_up(gate: &Gate, journal: &Journal, snapshot: &Snapshot) {
    if !gate.close(WRITERS_PATIENCE) {
        tracing::warn!("a writer of the snapshot does not end; its file may stay");
    }
    abandon(journal, std::slice::from_ref(snapshot), Outcome::Failed);
}

/// Removes the parts of a snapshot that has no manifest, and says so in its journal.
fn abandon(journal: &Journal, places: &[Snapshot], outcome: Outcome) {
    let removed = remove(places)
        .and_then(|complete| journal.done(if complete { Outcome::Done } else { outcome }, None));
    if let Err(error) = removed {
        tracing::warn!(%error, job = journal.job(), "an unfinished snapshot could not be cleaned up");
    }
}

/// Whether the snapshot is complete in one of these places, and so stays; it goes from the others.
fn remove(places: &[Snapshot]) -> Result<bool> {
    let mut complete = false;
    for place in places {
        if place.exists()? {
            complete = true;
        } else {
            place.remove()?;
        }
    }
    Ok(complete)
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
