//! A snapshot in a repository, by its place: also one that is being written, or was given up.
//!
//! Called by jobs, for everything that they read or write of a snapshot. Touches what lies under
//! the snapshot's name and nothing else.

use std::io::{self, Read};

use super::layout;
use super::manifest::{FORMAT, Manifest};
use super::names;
use super::storage::{Name, NewObject, Storage};
use crate::error::{Error, OrFail, Result};

/// The place of a snapshot. Equal where it is the same one of the same repository.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    storage: Storage,
    name: Name,
}

impl Snapshot {
    pub(super) fn at(storage: &Storage, name: Name) -> Self {
        Self { storage: storage.clone(), name }
    }

    pub(super) fn storage(&self) -> &Storage {
        &self.storage
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    /// Begins the part of a path.
    pub(super) fn part_writer(&self, path: &str) -> Result<Box<dyn NewObject>> {
        self.storage.writer(&self.name.join(path)?)
    }

    /// Reads the part of a path; the error of the storage where it cannot be opened.
    pub(super) fn part_reader(&self, path: &str) -> Result<io::Result<Box<dyn Read + Send>>> {
        names::check_relative(path)?;
        Ok(self.storage.reader(&self.name.join(path)?))
    }

    /// How large a part is in the repository, in bytes, if it is there.
    pub(crate) fn part_size(&self, path: &str) -> Result<Option<u64>> {
        self.storage.size(&self.name.join(path)?)
    }

    /// Removes the parts whose paths begin with the step `first`, and what was begun of them.
    pub(crate) fn remove_parts(&self, first: &str) -> Result<()> {
        self.storage.remove_all(&self.name.child(first)?)
    }

    /// Writes the manifest once all parts are there; from then on the snapshot exists.
    pub(crate) fn publish(&self, manifest: &Manifest) -> Result<()> {
        let text = serde_json::to_vec_pretty(manifest).or_fail(|| "cannot write a manifest")?;
        self.storage.create_new(&layout::manifest(&self.name)?, &text)
    }

    /// Whether it has a manifest, readable or not.
    pub(crate) fn exists(&self) -> Result<bool> {
        Ok(self.storage.size(&layout::manifest(&self.name)?)?.is_some())
    }

    /// Removes the snapshot: the manifest first, so that it never exists in part.
    pub(crate) fn remove(&self) -> Result<()> {
        self.storage.remove(&layout::manifest(&self.name)?)?;
        self.storage.remove_all(&self.name)
    }

    /// Its manifest, or nothing where it does not exist. A format that is not known is exit 5, one
    /// that cannot be understood exit 1.
    pub(super) fn manifest(&self) -> Result<Option<Manifest>> {
        let name = layout::manifest(&self.name)?;
        let Some(bytes) = self.storage.read(&name)? else { return Ok(None) };
        let place = self.storage.describe(&name);
        let damaged = || format!("manifest `{place}` is damaged");
        let value: serde_json::Value = serde_json::from_slice(&bytes).or_fail(damaged)?;
        let format = value.get("format").and_then(serde_json::Value::as_u64);
        if format != Some(u64::from(FORMAT)) {
            return Err(Error::refused(format!(
                "manifest `{place}` has format {}, and this version knows format {FORMAT}",
                format.map_or_else(|| "unknown".to_owned(), |format| format.to_string())
            ))
            .hint("use the version of pfdata that wrote it, or a newer one"));
        }
        let manifest: Manifest = serde_json::from_value(value).or_fail(damaged)?;
        for part in manifest.stores.iter().flat_map(|store| &store.parts) {
            names::check_relative(&part.path)?;
        }
        Ok(Some(manifest))
    }
}
