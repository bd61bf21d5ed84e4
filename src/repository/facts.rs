//! Facts: what became known of a snapshot after its manifest was written.
//!
//! A fact is a file of its own, `facts/<kind>-<unique>.json`, so that nothing is ever rewritten.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::files;
use super::names;
use super::process::Holder;
use crate::error::{OrFail, Result};

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
pub fn verified(folder: &Path, fact: &Verified) -> Result<()> {
    let text = serde_json::to_vec_pretty(fact).or_fail(|| "cannot write a fact")?;
    files::create(&fact_path(folder, "verified"), &text)
}

/// The newest verification of a snapshot.
pub fn last_verified(folder: &Path) -> Result<Option<Verified>> {
    let mut newest: Option<Verified> = None;
    for name in files::list(&folder.join("facts"))? {
        if !name.starts_with("verified-") {
            continue;
        }
        let Some(bytes) = files::read(&folder.join("facts").join(&name))? else { continue };
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

/// A hold: the snapshot is being read and must not be removed. Dropping it lets go.
#[derive(Debug)]
pub struct Hold {
    path: PathBuf,
}

impl Hold {
    /// Holds a snapshot for `holder`.
    pub fn take(folder: &Path, holder: &Holder) -> Result<Self> {
        let path = fact_path(folder, "hold");
        let text = serde_json::to_vec_pretty(holder).or_fail(|| "cannot write a fact")?;
        files::create(&path, &text)?;
        Ok(Self { path })
    }

    /// Whether anything that still runs holds the snapshot; holds of the dead are removed.
    pub fn is_held(folder: &Path) -> Result<bool> {
        let mut held = false;
        for name in files::list(&folder.join("facts"))? {
            if !name.starts_with("hold-") {
                continue;
            }
            let path = folder.join("facts").join(&name);
            let Some(bytes) = files::read(&path)? else { continue };
            match serde_json::from_slice::<Holder>(&bytes) {
                Ok(holder) if !holder.alive() => files::remove(&path)?,
                // A damaged hold is still a hold.
                _ => held = true,
            }
        }
        Ok(held)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Err(error) = files::remove(&self.path) {
            tracing::warn!(%error, "a hold stays; it lapses with this process");
        }
    }
}

fn fact_path(folder: &Path, kind: &str) -> PathBuf {
    folder.join("facts").join(format!("{kind}-{}.json", names::random_hex(6)))
}
