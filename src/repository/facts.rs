//! Facts: what became known of a snapshot after its manifest was written.
//!
//! A fact is an object of its own, so that nothing is ever rewritten. Called by `verify`, `list`
//! and by whoever reads a snapshot for long; touches what lies under the snapshot's facts.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::layout;
use super::process::Holder;
use super::snapshot::Snapshot;
use super::storage::Name;
use crate::error::{OrFail, Result};

const VERIFIED: &str = "verified";
const HOLD: &str = "hold";

/// How often a holder says that it is alive.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(15);

/// How often the holds of a snapshot are looked at again because one was renewed meanwhile.
const LOOKS_MAX: usize = 10;

/// `verified-*.json`: every part was read back and found as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// When the last part was read.
    pub at: Timestamp,
    /// Whether all was well.
    pub passed: bool,
    /// How many parts were read.
    pub parts: u64,
    /// `pfdata X.Y.Z`.
    pub tool: String,
}

/// Records the result of a verification.
pub fn verified(snapshot: &Snapshot, fact: &Verified) -> Result<()> {
    write(snapshot, VERIFIED, fact).map(drop)
}

/// The newest verification of a snapshot.
pub fn last_verified(snapshot: &Snapshot) -> Result<Option<Verified>> {
    let mut newest: Option<Verified> = None;
    for name in of_kind(snapshot, VERIFIED)? {
        let Some(bytes) = snapshot.storage().read(&name)? else { continue };
        let fact: Verified = match serde_json::from_slice(&bytes) {
            Ok(fact) => fact,
            Err(error) => {
                tracing::warn!(%name, %error, "a damaged fact is passed over");
                continue;
            }
        };
        if newest.as_ref().is_none_or(|other| fact.at > other.at) {
            newest = Some(fact);
        }
    }
    Ok(newest)
}

fn of_kind(snapshot: &Snapshot, kind: &str) -> Result<Vec<Name>> {
    let facts = layout::facts(snapshot.name())?;
    let objects = snapshot.storage().level(&facts)?.objects;
    objects
        .iter()
        .filter(|step| layout::is_fact(step, kind))
        .map(|step| facts.child(step))
        .collect()
}

fn write(snapshot: &Snapshot, kind: &str, fact: &impl Serialize) -> Result<Name> {
    let name = layout::new_fact(snapshot.name(), kind)?;
    let text = serde_json::to_vec_pretty(fact).or_fail(|| "cannot write a fact")?;
    snapshot.storage().create_new(&name, &text)?;
    Ok(name)
}

/// A hold: the snapshot is being read and must not be removed. Its holder says every quarter of a
/// minute that it is alive, for hosts that cannot see its process. Dropping it lets go.
#[derive(Debug)]
pub struct Hold {
    inner: Arc<Inner>,
    renewal: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Inner {
    snapshot: Snapshot,
    holder: Holder,
    /// The fact that holds now; none once it was let go.
    fact: Mutex<Option<Name>>,
}

impl Inner {
    /// Writes a new fact, then removes the one before it: facts are never rewritten, and there is
    /// one at any moment.
    fn renew(&self) -> Result<()> {
        let mut fact = self.fact.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = fact.clone() else { return Ok(()) };
        let holder = Holder { renewed: Timestamp::now(), ..self.holder.clone() };
        *fact = Some(write(&self.snapshot, HOLD, &holder)?);
        self.snapshot.storage().remove(&before)
    }

    fn let_go(&self) -> Result<()> {
        let mut fact = self.fact.lock().unwrap_or_else(PoisonError::into_inner);
        fact.take().map_or(Ok(()), |name| self.snapshot.storage().remove(&name))
    }
}

impl Hold {
    /// Holds a snapshot for `holder`. Must be called inside a tokio runtime: renewal is a task.
    ///
    /// # Errors
    ///
    /// Exit 1 where nothing can be written beside the snapshot.
    pub fn take(snapshot: &Snapshot, holder: &Holder) -> Result<Self> {
        Self::take_renewed(snapshot, holder, RENEWAL_INTERVAL)
    }

    fn take_renewed(snapshot: &Snapshot, holder: &Holder, every: Duration) -> Result<Self> {
        let fact = Mutex::new(Some(write(snapshot, HOLD, holder)?));
        let inner = Inner { snapshot: snapshot.clone(), holder: holder.clone(), fact };
        let inner = Arc::new(inner);
        let renewal = tokio::spawn(renew(Arc::downgrade(&inner), every));
        Ok(Self { inner, renewal })
    }

    /// Whether anything that still runs holds the snapshot; holds of the dead are removed.
    pub fn is_held(snapshot: &Snapshot) -> Result<bool> {
        for _ in 0..LOOKS_MAX {
            let (mut held, mut renewed) = (false, false);
            for name in of_kind(snapshot, HOLD)? {
                let Some(bytes) = snapshot.storage().read(&name)? else {
                    // Let go meanwhile, or renewed under another name.
                    renewed = true;
                    continue;
                };
                match serde_json::from_slice::<Holder>(&bytes) {
                    Ok(holder) if !holder.alive() => snapshot.storage().remove(&name)?,
                    // A damaged hold is still a hold.
                    _ => held = true,
                }
            }
            if held || !renewed {
                return Ok(held);
            }
        }
        Ok(true)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.renewal.abort();
        if let Err(error) = self.inner.let_go() {
            tracing::warn!(%error, "a hold stays; it lapses with this process");
        }
    }
}

async fn renew(hold: Weak<Inner>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(hold) = hold.upgrade() else { return };
        let renewed = tokio::task::spawn_blocking(move || hold.renew()).await;
        match renewed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a hold could not be renewed"),
            Err(error) => tracing::warn!(%error, "a hold could not be renewed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::storage::Storage;
    use crate::repository::storage::memory::Memory;

    fn snapshot() -> Snapshot {
        let name = layout::snapshot("production", "raw", "20261121T030000Z-7f3a9c").unwrap();
        Snapshot::at(&Storage::Memory(Memory::default()), name)
    }

    /// As a process of another host that was last heard of so many seconds ago.
    fn elsewhere(seconds: i64) -> Holder {
        let renewed = Timestamp::from_second(Timestamp::now().as_second() - seconds).unwrap();
        let here = Holder::this("job", "restore production");
        Holder { host: "elsewhere".to_owned(), renewed, ..here }
    }

    #[tokio::test]
    async fn a_hold_of_another_host_lives_as_long_as_its_job() {
        let snapshot = snapshot();
        let hold =
            Hold::take_renewed(&snapshot, &elsewhere(3_600), Duration::from_millis(5)).unwrap();
        let renewed = || {
            let names = of_kind(&snapshot, HOLD).unwrap();
            let bytes = names.iter().find_map(|name| snapshot.storage().read(name).unwrap());
            let holder = bytes.and_then(|bytes| serde_json::from_slice::<Holder>(&bytes).ok());
            holder.is_some_and(|holder| holder.alive())
        };
        for _ in 0..1_000 {
            if renewed() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(renewed() && Hold::is_held(&snapshot).unwrap());
        assert!(of_kind(&snapshot, HOLD).unwrap().len() <= 2, "what it replaces goes");
        drop(hold);
        assert!(!Hold::is_held(&snapshot).unwrap());
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(of_kind(&snapshot, HOLD).unwrap().is_empty(), "nothing comes back");
    }

    #[tokio::test]
    async fn a_hold_of_another_host_lapses_when_nobody_renews_it() {
        let snapshot = snapshot();
        write(&snapshot, HOLD, &elsewhere(61)).unwrap();
        assert!(!Hold::is_held(&snapshot).unwrap());
        assert!(of_kind(&snapshot, HOLD).unwrap().is_empty(), "it is removed");
        write(&snapshot, HOLD, &elsewhere(5)).unwrap();
        assert!(Hold::is_held(&snapshot).unwrap());
        write(&snapshot, HOLD, &"damaged").unwrap();
        assert!(Hold::is_held(&snapshot).unwrap());
    }
}
