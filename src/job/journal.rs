//! The journal: what a job decided, stored and swapped, each in a file created once.
//!
//! `jobs/<env>/<job-id>/plan.json · part-<n>.json · step-<name>.json · done.json`. A job without
//! `done.json` whose process is gone has crashed; the next job of the environment reads its
//! journal and finishes or undoes it.
//!
//! The journals of jobs that handle raw data lie in the repository of the environment's raw set,
//! the others in its own. No journal holds a digest of what was read: one of few possible values
//! could be found from it.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{OrFail, Result};
use crate::repository::files;
use crate::repository::lease::Lease;
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
    folder: PathBuf,
    job: String,
}

impl Journal {
    /// Begins the journal of a job with its plan.
    pub fn begin(root: &Path, environment: &str, job: &str, plan: &impl Serialize) -> Result<Self> {
        let journal = Self::at(root, environment, job);
        journal.write("plan", plan)?;
        Ok(journal)
    }

    /// The journal of a job that may have begun earlier.
    pub fn at(root: &Path, environment: &str, job: &str) -> Self {
        Self { folder: folder(root, environment).join(job), job: job.to_owned() }
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
        files::create_if_absent(&self.folder.join("done.json"), &text)?;
        Ok(())
    }

    /// A file of the journal, if it was written: `plan`, `step-…`, `done`.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.folder.join(format!("{name}.json"));
        let Some(bytes) = files::read(&path)? else { return Ok(None) };
        serde_json::from_slice(&bytes)
            .or_fail(|| format!("the journal `{}` is damaged", path.display()))
            .map_err(|error| {
                error.hint("look at it, and remove it if its job has nothing to be undone")
            })
            .map(Some)
    }

    fn write(&self, name: &str, body: &impl Serialize) -> Result<()> {
        let text = serde_json::to_vec_pretty(body).or_fail(|| "cannot write the journal")?;
        files::create(&self.folder.join(format!("{name}.json")), &text)
    }
}

/// Where the journals of an environment are.
#[derive(Debug, Clone)]
pub struct Journals {
    environment: String,
    /// The repository with the leases, which tell who is running, then the others.
    roots: Vec<PathBuf>,
}

impl Journals {
    /// Those of `environment` in the repository with its leases, and in the others.
    pub fn new(environment: &str, main: &Path, others: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut roots = vec![main.to_owned()];
        for root in others {
            if !roots.contains(&root) {
                roots.push(root);
            }
        }
        Self { environment: environment.to_owned(), roots }
    }

    /// Every job that is still known, oldest first.
    pub fn jobs(&self) -> Result<Vec<Journal>> {
        let mut found = Vec::new();
        for root in &self.roots {
            let names = files::list_folders(&folder(root, &self.environment))?;
            found.extend(names.iter().map(|job| Journal::at(root, &self.environment, job)));
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
            if !ended && !Lease::is_running(&self.roots[0], &self.environment, &journal.job)? {
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
            files::remove_folder(&journal.folder)?;
        }
        Ok(())
    }
}

fn folder(root: &Path, environment: &str) -> PathBuf {
    root.join("jobs").join(environment)
}
