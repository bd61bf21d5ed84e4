//! The journals of an environment's jobs in one repository, as bytes.
//!
//! Called by [`crate::job::journal`], which knows what is in them. Touches `jobs/<env>/` alone.

use super::layout;
use super::lease::Lease;
use super::storage::{Created, Storage};
use crate::error::Result;

/// The jobs of an environment. Equal where they are those of the same repository.
#[derive(Debug, Clone, PartialEq)]
pub struct Jobs {
    storage: Storage,
    environment: String,
}

impl Jobs {
    pub(super) fn of(storage: &Storage, environment: &str) -> Self {
        Self { storage: storage.clone(), environment: environment.to_owned() }
    }

    /// The environment.
    pub(crate) fn environment(&self) -> &str {
        &self.environment
    }

    /// The ids of those that are remembered, oldest first.
    pub(crate) fn known(&self) -> Result<Vec<String>> {
        Ok(self.storage.level(&layout::jobs(&self.environment)?)?.folders)
    }

    /// A file of a job's journal, by its name without the suffix, if it was written.
    pub(crate) fn read(&self, job: &str, file: &str) -> Result<Option<Vec<u8>>> {
        self.storage.read(&layout::journal(&self.environment, job, file)?)
    }

    /// Writes a file of a job's journal, unless there is one.
    pub(crate) fn create(&self, job: &str, file: &str, bytes: &[u8]) -> Result<Created> {
        self.storage.create(&layout::journal(&self.environment, job, file)?, bytes)
    }

    /// Writes a file of a job's journal; one that is there already is an error (exit 1).
    pub(crate) fn create_new(&self, job: &str, file: &str, bytes: &[u8]) -> Result<()> {
        self.storage.create_new(&layout::journal(&self.environment, job, file)?, bytes)
    }

    /// Where a file of a job's journal is, for messages.
    pub(crate) fn place(&self, job: &str, file: &str) -> Result<String> {
        Ok(self.storage.describe(&layout::journal(&self.environment, job, file)?))
    }

    /// Removes a job's journal.
    pub(crate) fn forget(&self, job: &str) -> Result<()> {
        self.storage.remove_all(&layout::jobs(&self.environment)?.child(job)?)
    }

    /// Whether a job still runs somewhere; only the repository with the leases can tell.
    pub(crate) fn is_running(&self, job: &str) -> Result<bool> {
        Lease::is_running(&self.storage, &self.environment, job)
    }
}
