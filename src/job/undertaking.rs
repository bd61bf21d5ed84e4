//! The frame of a job that needs the environment for itself or must not be disturbed: the opening
//! of the repository, the lease, the past, the journal, the end. Every such job is written inside
//! it; what differs is the work between [`Undertaking::begin`] and [`Undertaking::done`].

use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

use super::classes::{self, Known};
use super::journal::{Journal, Journals, Outcome};
use super::stop::Graceful;
use super::{Run, history, milliseconds, past, repositories};
use crate::config::Environment;
use crate::error::{Error, Result};
use crate::repository::id;
use crate::repository::jobs::Jobs;
use crate::repository::lease::{Lease, Mode};
use crate::repository::process::Holder;

/// What a job says of itself before it begins.
pub(super) struct Start<'a> {
    /// Its subcommand, for whoever finds the environment held.
    pub(super) command: &'a str,
    /// Whether it needs the environment for itself alone.
    pub(super) mode: Mode,
    /// Whether a repository that is not there yet is made.
    pub(super) makes_repository: bool,
    /// Whether it handles raw data, so that its journal lies where that does.
    pub(super) raw: bool,
}

/// A job under way. Dropping it gives the lease back; its journal then tells of a crash.
pub(super) struct Undertaking {
    /// The job's id.
    pub(super) job: String,
    /// Who holds the lease.
    pub(super) holder: Holder,
    /// The right to do what it does.
    pub(super) lease: Lease,
    /// The journals of the environment.
    pub(super) journals: Journals,
    /// What was done about the past, in a line each.
    pub(super) past: Vec<String>,
    jobs: Jobs,
    started: Instant,
    _graceful: Graceful,
}

impl Undertaking {
    /// Opens the environment's repository, takes the lease, and deals with the past.
    ///
    /// # Errors
    ///
    /// Exit 11 while another job has the environment, exit 12 if the repository cannot be reached,
    /// and whatever keeps the past from being dealt with.
    pub(super) async fn begin(
        environment: &Environment,
        run: &Run,
        start: Start<'_>,
    ) -> Result<Self> {
        let started = Instant::now();
        let main = repositories::open_main(environment, start.makes_repository)?;
        let job = id::new_job_id(Timestamp::now());
        let graceful = run.stop.graceful();
        let holder = Holder::this(&job, &format!("{} {}", start.command, environment.name));
        let lease = Lease::acquire(main.storage(), &environment.name, start.mode, holder.clone())?;
        let jobs = repositories::jobs(environment, &main, start.raw)?;
        let journals = repositories::journals(environment, &main)?;
        let past = match start.mode {
            Mode::Exclusive => {
                past::of_a_changer(&journals, environment, &lease, &run.progress).await?
            }
            Mode::Shared => past::of_a_reader(&journals, environment).map(|()| Vec::new())?,
        };
        Ok(Self { job, holder, lease, journals, past, jobs, started, _graceful: graceful })
    }

    /// What is known of the environment's stores now that nobody else changes them.
    ///
    /// # Errors
    ///
    /// Exit 5 where its class is not what is recorded.
    pub(super) fn known(&self, environment: &Environment) -> Result<Known> {
        let known = Known::read(environment)?;
        classes::settled(&known.shelf, environment)?;
        Ok(known)
    }

    /// Begins the journal with what the next job needs to know if this one crashes.
    pub(super) fn journal(&self, record: &impl Serialize) -> Result<Journal> {
        Journal::begin(&self.jobs, &self.job, record)
    }

    /// How long the job has taken, in milliseconds.
    pub(super) fn elapsed_ms(&self) -> u64 {
        milliseconds(self.started)
    }

    /// Writes down that the job has done what it planned, and what: `summary` is kept for whoever
    /// reports on it later. Journals that nothing depends on are forgotten.
    pub(super) fn done(&self, journal: &Journal, summary: &impl Serialize) -> Result<()> {
        if let Err(error) = journal.step("summary", summary) {
            // The work is done, and that is what must be written down.
            tracing::warn!(%error, "the summary of the job is not kept");
        }
        journal.done(Outcome::Done, None)?;
        history::forget_old_jobs(&self.journals);
        Ok(())
    }

    /// Writes down that the job failed and left nothing.
    pub(super) fn failed(&self, journal: &Journal, error: Error) -> Error {
        let written = journal.done(Outcome::Failed, Some(error.message().to_owned()));
        history::forget_old_jobs(&self.journals);
        match written {
            Ok(()) => error,
            Err(second) => error.because(second),
        }
    }
}
