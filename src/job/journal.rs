//! The journal: what a job decided, stored and swapped, each in a file created once.
//!
//! The files of a job are `plan`, `part-<n>`, `step-<name>` and `done`. A job without `done` whose
//! process is gone has crashed; the next job of the environment reads its
//! journal and finishes or undoes it.
//!
//! The journals of jobs that handle raw data lie in the repository of the environment's raw set,
//! the others in its own. No journal holds a digest of what was read: one of few possible values
//! could be found from it.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{OrFail, Result};
use crate::repository::jobs::Jobs;
use crate::repository::manifest::{Part, PartKind};

/// How many ended jobs of an environment are kept to be looked at.
const ENDED_JOBS_KEPT: usize = 50;

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As planned.
    Done,
    /// It failed and cleaned up after itself.
    Failed,
    /// It crashed before anything was swapped; what it left was removed.
    Removed,
    /// It crashed during the swap and was finished by the next job.
    RolledForward,
    /// It crashed or failed during the swap and was undone.
    RolledBack,
}

/// `done.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    /// When it ended.
    pub at: Timestamp,
    /// Whether what it planned stands, or was undone.
    pub outcome: Outcome,
    /// The error's message, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The journal of one job.
#[derive(Debug, Clone)]
pub struct Journal {
    jobs: Jobs,
    job: String,
}

impl Journal {
    /// Begins the journal of a job with its plan.
    pub fn begin(jobs: &Jobs, job: &str, plan: &impl Serialize) -> Result<Self> {
        let journal = Self::at(jobs, job);
        journal.write("plan", plan)?;
        Ok(journal)
    }

    /// The journal of a job that may have begun earlier.
    pub fn at(jobs: &Jobs, job: &str) -> Self {
        Self { jobs: jobs.clone(), job: job.to_owned() }
    }

    /// The environment of the job.
    pub fn environment(&self) -> &str {
        self.jobs.environment()
    }

    /// The job's id.
    pub fn job(&self) -> &str {
        &self.job
    }

    /// A part has been stored: where, and how large it is.
    pub fn part(&self, part: &Part) -> Result<()> {
        #[derive(Serialize)]
        struct Written<'a> {
            number: u32,
            kind: PartKind,
            path: &'a str,
            bytes_stored: u64,
        }
        let Part { number, kind, path, bytes_stored, .. } = part;
        let (number, kind, bytes_stored) = (*number, *kind, *bytes_stored);
        self.write(&format!("part-{number}"), &Written { number, kind, path, bytes_stored })
    }

    /// A step has been taken.
    pub fn step(&self, name: &str, body: &impl Serialize) -> Result<()> {
        self.write(&format!("step-{name}"), body)
    }

    /// The job has ended; a second word about it is ignored.
    pub fn done(&self, outcome: Outcome, error: Option<String>) -> Result<()> {
        let done = Done { at: Timestamp::now(), outcome, error };
        let text = serde_json::to_vec_pretty(&done).or_fail(|| "cannot write the journal")?;
        self.jobs.create(&self.job, "done", &text).map(drop)
    }

    /// A file of the journal, if it was written: `plan`, `step-…`, `done`.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(bytes) = self.jobs.read(&self.job, name)? else { return Ok(None) };
        let place = self.jobs.place(&self.job, name)?;
        serde_json::from_slice(&bytes)
            .or_fail(|| format!("the journal `{place}` is damaged"))
            .map_err(|error| {
                error.hint("look at it, and remove it if its job has nothing to be undone")
            })
            .map(Some)
    }

    fn write(&self, name: &str, body: &impl Serialize) -> Result<()> {
        let text = serde_json::to_vec_pretty(body).or_fail(|| "cannot write the journal")?;
        self.jobs.create_new(&self.job, name, &text)
    }
}

/// Where the journals of an environment are.
#[derive(Debug, Clone)]
pub struct Journals {
    /// Those in the repository with the leases, which tell who is running.
    main: Jobs,
    /// Those in others.
    others: Vec<Jobs>,
}

impl Journals {
    /// Those in the repository with the environment's leases, and in the others.
    pub fn new(main: Jobs, others: impl IntoIterator<Item = Jobs>) -> Self {
        let mut apart: Vec<Jobs> = Vec::new();
        for jobs in others {
            if jobs != main && !apart.contains(&jobs) {
                apart.push(jobs);
            }
        }
        Self { main, others: apart }
    }

    /// Every job that is still known, oldest first.
    pub fn jobs(&self) -> Result<Vec<Journal>> {
        let mut found = Vec::new();
        for jobs in std::iter::once(&self.main).chain(&self.others) {
            found.extend(jobs.known()?.iter().map(|job| Journal::at(jobs, job)));
        }
        found.sort_by(|one, other| one.job.cmp(&other.job));
        Ok(found)
    }

    /// The journal of a job, wherever it is.
    pub fn find(&self, job: &str) -> Result<Option<Journal>> {
        Ok(self.jobs()?.into_iter().find(|journal| journal.job == job))
    }

    /// The jobs that have neither ended nor are running: they crashed.
    pub fn crashed(&self) -> Result<Vec<Journal>> {
        let mut found = Vec::new();
        for journal in self.jobs()? {
            let ended = journal.read::<Done>("done")?.is_some();
            if !ended && !self.main.is_running(&journal.job)? {
                found.push(journal);
            }
        }
        Ok(found)
    }

    /// Forgets the oldest ended jobs for which `needed` says that nothing depends on them.
    pub fn prune(&self, needed: impl Fn(&Journal) -> bool) -> Result<()> {
        let mut ended = Vec::new();
        for journal in self.jobs()? {
            if journal.read::<Done>("done")?.is_some() && !needed(&journal) {
                ended.push(journal);
            }
        }
        let surplus = ended.len().saturating_sub(ENDED_JOBS_KEPT);
        for journal in &ended[..surplus] {
            journal.jobs.forget(&journal.job)?;
        }
        Ok(())
    }
}
