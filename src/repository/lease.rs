//! Leases: one changing job per environment, across hosts.
//!
//! `leases/<env>.json` names the holders. Beside it, `leases/<env>.lock` is held through the
//! operating system for as long as the process lives, so that on one host a dead process can
//! never block anyone. A snapshot shares the lease with other snapshots; everything else has it
//! alone.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::files;
use super::process::Holder;
use crate::error::{Error, OrFail, Result};

/// How often a holder says that it is alive.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(15);

/// Whether others may hold the lease too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// With others that only read the environment.
    Shared,
    /// Alone.
    Exclusive,
}

#[derive(Debug, Serialize, Deserialize)]
struct LeaseFile {
    /// Counts every change of holders, so that a takeover can be told from a renewal.
    generation: u64,
    mode: Mode,
    holders: Vec<Holder>,
}

/// A held lease; dropping it gives it back.
#[derive(Debug)]
pub struct Lease {
    inner: Arc<Inner>,
    renewal: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    path: PathBuf,
    holder: Holder,
    _lock: File,
}

impl Lease {
    /// Takes the lease of `environment` in the repository at `root`, or says who has it (exit
    /// 11). Never waits. Must be called inside a tokio runtime: renewal is a task.
    pub fn acquire(root: &Path, environment: &str, mode: Mode, holder: Holder) -> Result<Self> {
        let folder = root.join("leases");
        files::create_folder(&folder)?;
        let path = folder.join(format!("{environment}.json"));
        let lock = open_lock(&folder.join(format!("{environment}.lock")))?;
        let locked = match mode {
            Mode::Shared => lock.try_lock_shared(),
            Mode::Exclusive => lock.try_lock(),
        };
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(environment, &holders(&path)?)),
            Err(TryLockError::Error(error)) => {
                return Err(error).or_fail(|| format!("cannot lock `{}`", path.display()));
            }
        }
        update(&path, |lease| {
            lease.holders.retain(|other| other.alive() && other.job != holder.job);
            let shareable = mode == Mode::Shared && lease.mode == Mode::Shared;
            if !lease.holders.is_empty() && !shareable {
                return Err(taken(environment, &lease.holders));
            }
            lease.mode = mode;
            lease.generation += 1;
            lease.holders.push(holder.clone());
            Ok(())
        })?;
        let inner = Arc::new(Inner { root: root.to_owned(), path, holder, _lock: lock });
        let renewal = tokio::spawn(renew(Arc::downgrade(&inner)));
        Ok(Self { inner, renewal })
    }

    /// The repository that it is of.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Fails (exit 11) when somebody else has taken the lease meanwhile, because this process did
    /// not say for too long that it is alive. To be asked before anything is made visible.
    pub fn still_held(&self) -> Result<()> {
        let holders = holders(&self.inner.path)?;
        if holders.iter().any(|holder| holder.job == self.inner.holder.job) {
            return Ok(());
        }
        Err(Error::locked("the lease was taken over by another job meanwhile")
            .hint("this process was not heard of for more than a minute; run it again"))
    }

    /// As [`still_held`](Self::still_held), but a lease that cannot be read is taken to be held:
    /// for moments in which giving up would do more harm than a repository that stalls.
    pub fn not_taken_over(&self) -> Result<()> {
        match self.still_held() {
            Err(error) if error.kind() == crate::error::Kind::Locked => Err(error),
            Err(error) => {
                tracing::warn!(%error, "the lease cannot be read; going on");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Those who hold the lease of `environment` now.
    pub fn holders(root: &Path, environment: &str) -> Result<Vec<Holder>> {
        let mut found = holders(&root.join("leases").join(format!("{environment}.json")))?;
        found.retain(Holder::alive);
        Ok(found)
    }

    /// Whether `job` is still running somewhere.
    pub fn is_running(root: &Path, environment: &str, job: &str) -> Result<bool> {
        Ok(Self::holders(root, environment)?.iter().any(|holder| holder.job == job))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
        let job = &self.inner.holder.job;
        let given_back = update(&self.inner.path, |lease| {
            lease.holders.retain(|holder| holder.job != *job);
            lease.generation += 1;
            Ok(())
        });
        if let Err(error) = given_back {
            tracing::warn!(%error, "the lease could not be given back; it lapses by itself");
        }
    }
}

async fn renew(lease: std::sync::Weak<Inner>) {
    loop {
        tokio::time::sleep(RENEWAL_INTERVAL).await;
        let Some(lease) = lease.upgrade() else { return };
        let renewed = tokio::task::spawn_blocking(move || {
            update(&lease.path, |file| {
                for holder in &mut file.holders {
                    if holder.job == lease.holder.job {
                        holder.renewed = Timestamp::now();
                    }
                }
                Ok(())
            })
        });
        match renewed.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease could not be renewed"),
            Err(error) => tracing::warn!(%error, "the lease could not be renewed"),
        }
    }
}

/// Changes the lease file while nobody else on this host does.
fn update(path: &Path, change: impl FnOnce(&mut LeaseFile) -> Result<()>) -> Result<()> {
    let guard = open_lock(&path.with_extension("mutex"))?;
    guard.lock().or_fail(|| format!("cannot lock `{}`", path.display()))?;
    let mut lease = load(path)?;
    change(&mut lease)?;
    let text = serde_json::to_vec_pretty(&lease).or_fail(|| "cannot write a lease")?;
    files::replace(path, &text)
}

fn load(path: &Path) -> Result<LeaseFile> {
    let empty = LeaseFile { generation: 0, mode: Mode::Shared, holders: Vec::new() };
    let Some(bytes) = files::read(path)? else { return Ok(empty) };
    // The lock of the operating system is what counts on this host, so that a damaged file may be
    // written anew.
    Ok(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
        tracing::warn!(path = %path.display(), %error, "a lease is damaged and counts as free");
        empty
    }))
}

fn holders(path: &Path) -> Result<Vec<Holder>> {
    Ok(load(path)?.holders)
}

fn open_lock(path: &Path) -> Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| files::write_error(&error, path))
}

fn taken(environment: &str, holders: &[Holder]) -> Error {
    let mut error = Error::locked(format!("`{environment}` is locked by another job"));
    for holder in holders {
        error = error.because(holder.describe());
    }
    error.hint("wait for it to end; `pfdata status` shows running jobs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(root: &Path, mode: Mode, job: &str) -> Result<Lease> {
        Lease::acquire(root, "development", mode, Holder::this(job, "test"))
    }

    #[tokio::test]
    async fn shared_leases_share_and_exclusive_ones_do_not() {
        let root = tempfile::tempdir().unwrap();
        let one = take(root.path(), Mode::Shared, "1").unwrap();
        let two = take(root.path(), Mode::Shared, "2").unwrap();
        let refused = take(root.path(), Mode::Exclusive, "3").unwrap_err();
        assert_eq!(refused.kind(), crate::error::Kind::Locked);
        assert_eq!(refused.causes().len(), 2, "names both holders: {refused}");
        drop((one, two));
        let alone = take(root.path(), Mode::Exclusive, "3").unwrap();
        assert!(take(root.path(), Mode::Shared, "4").is_err());
        assert!(Lease::is_running(root.path(), "development", "3").unwrap());
        drop(alone);
        assert!(!Lease::is_running(root.path(), "development", "3").unwrap());
    }

    #[tokio::test]
    async fn a_dead_holder_is_taken_over_at_once_and_one_elsewhere_is_not() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("leases/development.json");
        let mut dead = Holder::this("dead", "test");
        dead.started += 1;
        let write = |holder: &Holder| {
            let file =
                LeaseFile { generation: 7, mode: Mode::Exclusive, holders: vec![holder.clone()] };
            files::replace(&path, &serde_json::to_vec(&file).unwrap()).unwrap();
        };
        write(&dead);
        drop(take(root.path(), Mode::Exclusive, "new").unwrap());
        dead.host = "elsewhere".into();
        write(&dead);
        assert!(take(root.path(), Mode::Exclusive, "new").is_err());
        dead.renewed = Timestamp::from_second(Timestamp::now().as_second() - 61).unwrap();
        write(&dead);
        take(root.path(), Mode::Exclusive, "new").unwrap();
    }

    #[tokio::test]
    async fn a_lease_that_somebody_took_over_is_not_held() {
        let root = tempfile::tempdir().unwrap();
        let lease = take(root.path(), Mode::Exclusive, "slow").unwrap();
        lease.still_held().unwrap();
        let file = LeaseFile {
            generation: 9,
            mode: Mode::Exclusive,
            holders: vec![Holder::this("successor", "test")],
        };
        let path = root.path().join("leases/development.json");
        files::replace(&path, &serde_json::to_vec(&file).unwrap()).unwrap();
        assert_eq!(lease.still_held().unwrap_err().kind(), crate::error::Kind::Locked);
        assert_eq!(lease.not_taken_over().unwrap_err().kind(), crate::error::Kind::Locked);
        let file = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_ne!(lease.still_held().unwrap_err().kind(), crate::error::Kind::Locked);
        lease.not_taken_over().unwrap();
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, file).unwrap();
        drop(lease);
        assert!(Lease::is_running(root.path(), "development", "successor").unwrap());
    }
}
