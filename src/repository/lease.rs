//! Leases: one changing job per environment, across hosts.
//!
//! The lease names its holders, and is changed by comparing and setting alone. Beside it, a lock is
//! held through the operating system for as long as the process lives, so that on one host a dead
//! process can never block anyone. A snapshot shares the lease with other snapshots; everything
//! else has it alone. Called by jobs, and by `status`; touches what lies under `leases/`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::layout;
use super::process::Holder;
use super::storage::{HostLock, Name, Replaced, Sharing, Storage};
use crate::error::{Error, OrFail, Result};

/// How often a holder says that it is alive.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(15);

/// How often a change is tried anew because somebody else's came between, and how much longer each
/// waits than the one before.
const CHANGES_MAX: u32 = 60;
const CHANGE_PATIENCE: Duration = Duration::from_millis(2);

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

impl LeaseFile {
    fn free() -> Self {
        Self { generation: 0, mode: Mode::Shared, holders: Vec::new() }
    }
}

/// A held lease; dropping it gives it back.
#[derive(Debug)]
pub struct Lease {
    inner: Arc<Inner>,
    renewal: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Inner {
    storage: Storage,
    name: Name,
    holder: Holder,
    _lock: HostLock,
}

impl Lease {
    /// Takes the lease of `environment` in a repository's storage, or says who has it (exit 11).
    /// Never waits for it. Must be called inside a tokio runtime: renewal is a task.
    pub fn acquire(
        storage: &Storage,
        environment: &str,
        mode: Mode,
        holder: Holder,
    ) -> Result<Self> {
        let name = layout::lease(environment)?;
        let sharing = match mode {
            Mode::Shared => Sharing::Shared,
            Mode::Exclusive => Sharing::Exclusive,
        };
        let lock = storage.host_lock(&layout::host_lock(environment)?, sharing)?;
        if matches!(lock, HostLock::Taken) {
            return Err(taken(environment, &holders(storage, &name)?));
        }
        update(storage, &name, |lease| {
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
        let inner = Arc::new(Inner { storage: storage.clone(), name, holder, _lock: lock });
        let renewal = tokio::spawn(renew(Arc::downgrade(&inner)));
        Ok(Self { inner, renewal })
    }

    /// Fails (exit 11) when somebody else has taken the lease meanwhile, because this process did
    /// not say for too long that it is alive. To be asked before anything is made visible.
    pub fn still_held(&self) -> Result<()> {
        let holders = holders(&self.inner.storage, &self.inner.name)?;
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
    pub fn holders(storage: &Storage, environment: &str) -> Result<Vec<Holder>> {
        let mut found = holders(storage, &layout::lease(environment)?)?;
        found.retain(Holder::alive);
        Ok(found)
    }

    /// Whether `job` is still running somewhere.
    pub fn is_running(storage: &Storage, environment: &str, job: &str) -> Result<bool> {
        Ok(Self::holders(storage, environment)?.iter().any(|holder| holder.job == job))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
        let job = &self.inner.holder.job;
        let given_back = update(&self.inner.storage, &self.inner.name, |lease| {
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
            update(&lease.storage, &lease.name, |file| {
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

/// Changes the lease, again until nobody else's change came between.
fn update(
    storage: &Storage,
    name: &Name,
    change: impl Fn(&mut LeaseFile) -> Result<()>,
) -> Result<()> {
    for attempt in 0..CHANGES_MAX {
        let seen = storage.versioned(name)?;
        let mut lease = match &seen {
            Some((bytes, _)) => parse(bytes, name),
            None => LeaseFile::free(),
        };
        change(&mut lease)?;
        let text = serde_json::to_vec_pretty(&lease).or_fail(|| "cannot write a lease")?;
        let seen = seen.as_ref().map(|(_, version)| version);
        if storage.replace(name, seen, &text)? == Replaced::Done {
            return Ok(());
        }
        std::thread::sleep(CHANGE_PATIENCE * attempt);
    }
    Err(Error::failed(format!("`{}` is changed by others without end", storage.describe(name))))
}

fn parse(bytes: &[u8], name: &Name) -> LeaseFile {
    // The lock of the operating system is what counts on this host, so that a damaged file may be
    // written anew.
    serde_json::from_slice(bytes).unwrap_or_else(|error| {
        tracing::warn!(%name, %error, "a lease is damaged and counts as free");
        LeaseFile::free()
    })
}

fn holders(storage: &Storage, name: &Name) -> Result<Vec<Holder>> {
    Ok(storage.read(name)?.map_or_else(Vec::new, |bytes| parse(&bytes, name).holders))
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
    use crate::files;
    use std::path::Path;

    fn is_running(root: &Path, job: &str) -> bool {
        Lease::is_running(&Storage::local(root), "development", job).unwrap()
    }

    fn take(root: &Path, mode: Mode, job: &str) -> Result<Lease> {
        let storage = Storage::local(root);
        Lease::acquire(&storage, "development", mode, Holder::this(job, "test"))
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
        assert!(is_running(root.path(), "3"));
        drop(alone);
        assert!(!is_running(root.path(), "3"));
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
        assert!(is_running(root.path(), "successor"));
    }
}
