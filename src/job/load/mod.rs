//! Loading a snapshot: what `restore`, `refresh` and `rollback` have in common.
//!
//! Everything is loaded and verified beside the live data; the swaps come last, one store after
//! the other, each journaled. [`recover`](recover::crashed) reads the journal of a job that did
//! not get to its end, and finishes or undoes it.

mod attempt;
pub mod execute;
mod feed;
pub mod guard;
mod loading;
mod mongodb;
pub mod plan;
mod postgres;
pub mod recover;
mod redis;
mod request;
pub mod rollback;
pub mod swap;

pub use request::{Request, Verify};

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::Step;
use crate::error::{Error, Result};
use crate::terms::StoreKind;

/// What a load did.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The environment that changed.
    pub environment: String,
    /// What it was loaded from.
    pub snapshot: Option<String>,
    /// The job's id.
    pub job: String,
    /// Rows, documents and keys per collection, as verified.
    pub collections: Vec<Counted>,
    /// How long writers were held back, per store, in milliseconds.
    pub swap_ms: BTreeMap<StoreKind, u64>,
    /// Whether the data from before is kept.
    pub previous_kept: bool,
    /// The whole job but for its plan: with waiting, verifying and the swaps.
    pub elapsed_ms: u64,
    /// What was done.
    pub steps: Vec<Step>,
    /// What is worth knowing.
    pub remarks: Vec<String>,
}

/// A collection as it was verified in the target, before SQL and seeds.
#[derive(Debug, Clone, Serialize)]
pub struct Counted {
    /// The store that holds it.
    pub store: StoreKind,
    /// Schema or database; empty for Redis.
    pub namespace: String,
    /// Table, collection or index.
    pub name: String,
    /// Rows, documents or keys.
    pub records: u64,
    /// Redis: keys that expired between the snapshot and the verification.
    pub expired: u64,
}

/// The `.sql` files of some folders (or files), in the order given and by name within each.
pub fn sql_files(places: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for place in places {
        if place.is_file() {
            found.push(place.clone());
            continue;
        }
        if !place.is_dir() {
            return Err(Error::usage(format!("`{}` of `refresh.sql` is missing", place.display())));
        }
        let names = crate::files::list(place)?;
        found.extend(
            names.iter().filter(|name| name.ends_with(".sql")).map(|name| place.join(name)),
        );
    }
    Ok(found)
}
