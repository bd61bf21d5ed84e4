//! Snapshots in a repository: manifest, parts, ids, leases, facts.
//!
//! A repository is a folder of files that are created whole and never overwritten. It knows
//! nothing of stores: what a part means is for those who wrote it.

pub mod class;
mod contradictions;
pub mod facts;
pub mod files;
pub mod gate;
pub mod id;
pub mod lease;
pub mod manifest;
pub mod names;
pub mod part;
pub mod process;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, OrFail, Result};
use id::{SnapshotRef, When};
use manifest::{FORMAT, Manifest};

const MARKER: &str = "pfdata.json";

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    format: u32,
    id: String,
    features: Vec<String>,
}

/// An open repository.
#[derive(Debug, Clone)]
pub struct Repository {
    root: PathBuf,
    id: String,
}

/// A snapshot that a repository holds.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its folder.
    pub folder: PathBuf,
}

/// A manifest that cannot be read, and why.
#[derive(Debug)]
pub struct Unreadable {
    /// The snapshot's folder below the repository, `ENV/SET/ID`; for a repository that cannot be
    /// looked into, whose it is: `ENV` or `ENV/SET`.
    pub path: String,
    /// What is wrong with it.
    pub error: Error,
    /// Whether the snapshots of its set are anonymized, where that is known.
    pub anonymized: Option<bool>,
}

/// `20261121T030000Z` of an id.
const SECOND_CHARS: usize = 16;

impl Unreadable {
    /// Whether this may be, or hold, a snapshot that `ENV[/SET]@WHEN` means and that is newer
    /// than `found`. Taking an older one instead would go unnoticed.
    fn may_be(&self, environment: &str, set: Option<&str>, when: &When, found: &str) -> bool {
        let mut steps = self.path.split('/');
        let (Some(first), Some(second)) = (steps.next(), steps.next()) else { return false };
        let of_set = match set {
            Some(set) => second == names::component(set),
            // Raw snapshots are no candidates for an anonymized one.
            None => *when != When::LatestAnonymized || self.anonymized.unwrap_or(second != "raw"),
        };
        if first != names::component(environment) || second == PREVIOUS_SET || !of_set {
            return false;
        }
        let Some(id) = steps.next() else { return true };
        let in_time = match when {
            When::At(date) => {
                id.get(..8).is_none_or(|day| *day <= *date.strftime("%Y%m%d").to_string())
            }
            When::Latest | When::LatestAnonymized => true,
        };
        // Ids tell seconds; which of two of one second came first is not known.
        in_time && id.get(..SECOND_CHARS) >= found.get(..SECOND_CHARS)
    }

    fn stands_before(&self, wanted: &SnapshotRef, found: &str) -> Error {
        let Self { path, error, .. } = self;
        Error::new(error.kind(), format!("`{wanted}` cannot be told: `{path}` cannot be read"))
            .because(error.message())
            .hint(format!("mend it, or name the snapshot to take instead: {found}"))
    }
}

impl Repository {
    /// Opens the repository at `root`. The folder must exist; an empty one becomes a repository
    /// if `create` says so and no id is expected. Another id than `expected` is exit 12, an
    /// unknown format or feature exit 5.
    pub fn open(root: &Path, expected: Option<&str>, create: bool) -> Result<Self> {
        if !root.is_dir() {
            return Err(Error::unreachable(format!(
                "repository `{}` is not there",
                root.display()
            ))
            .hint("create the folder, or mount what should be there"));
        }
        let path = root.join(MARKER);
        let marker = match files::read(&path)? {
            Some(bytes) => serde_json::from_slice::<Marker>(&bytes)
                .or_fail(|| format!("`{}` is damaged", path.display()))?,
            None => Self::make(root, expected, create)?,
        };
        if marker.format != FORMAT || !marker.features.is_empty() {
            return Err(Error::refused(format!(
                "repository `{}` has format {} and features {:?}, which this version does not know",
                root.display(),
                marker.format,
                marker.features
            ))
            .hint("use the version of pfdata that wrote it, or a newer one"));
        }
        if let Some(expected) = expected
            && expected != marker.id
        {
            return Err(Error::unreachable(format!(
                "repository `{}` has the id {}, and `repository_id` says {expected}",
                root.display(),
                marker.id
            ))
            .hint("another disk may be mounted there"));
        }
        Ok(Self { root: root.to_owned(), id: marker.id })
    }

    fn make(root: &Path, expected: Option<&str>, create: bool) -> Result<Marker> {
        if let Some(expected) = expected {
            return Err(Error::unreachable(format!(
                "repository `{}` has no id, and `repository_id` says {expected}",
                root.display()
            ))
            .hint("another disk may be mounted there"));
        }
        let others = files::list(root)?;
        let foreign = others.iter().any(|name| !name.starts_with('.') && name != "lost+found");
        if foreign {
            return Err(Error::usage(format!(
                "`{}` holds files and is not a pfdata repository",
                root.display()
            ))
            .hint("give an empty folder; it becomes a repository with the first snapshot"));
        }
        if !create {
            return Err(Error::not_found(format!(
                "repository `{}` is empty: no snapshot was ever taken into it",
                root.display()
            )));
        }
        let raw = names::random_hex(16);
        // Version 4 and variant 1 of RFC 9562.
        let id = format!(
            "{}-{}-4{}-a{}-{}",
            &raw[..8],
            &raw[8..12],
            &raw[13..16],
            &raw[17..20],
            &raw[20..]
        );
        let marker = Marker { format: FORMAT, id, features: Vec::new() };
        let text =
            serde_json::to_vec(&marker).or_fail(|| "cannot write the repository's marker")?;
        let path = root.join(MARKER);
        if files::create_if_absent(&path, &text)? {
            return Ok(marker);
        }
        let bytes = files::read(&path)?.unwrap_or_default();
        serde_json::from_slice(&bytes).or_fail(|| format!("`{}` is damaged", path.display()))
    }

    /// The repository's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The repository's own id, a UUID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder of a snapshot, whether it exists or not.
    pub fn snapshot_folder(&self, environment: &str, set: &str, id: &str) -> PathBuf {
        self.root.join(names::component(environment)).join(names::component(set)).join(id)
    }

    /// Writes the manifest of a snapshot whose parts are all there; from then on it exists.
    pub fn publish(&self, manifest: &Manifest) -> Result<()> {
        let folder = self.snapshot_folder(&manifest.environment, &manifest.set, &manifest.id);
        let text = serde_json::to_vec_pretty(manifest).or_fail(|| "cannot write a manifest")?;
        files::create(&folder.join("manifest.json"), &text)
    }

    /// Every snapshot, oldest first, and what looks like one and cannot be read.
    pub fn snapshots(&self) -> Result<(Vec<Stored>, Vec<Unreadable>)> {
        let (mut found, mut unreadable) = (Vec::new(), Vec::new());
        for environment in self.environment_folders()? {
            for set in files::list_folders(&self.root.join(&environment))? {
                for id in files::list_folders(&self.root.join(&environment).join(&set))? {
                    let folder = self.root.join(&environment).join(&set).join(&id);
                    match load(&folder) {
                        Ok(Some(manifest)) => found.push(Stored { manifest, folder }),
                        Ok(None) => {}
                        Err(error) => {
                            let path = format!("{environment}/{set}/{id}");
                            unreadable.push(Unreadable { path, error, anonymized: None });
                        }
                    }
                }
            }
        }
        found.sort_by(|one, other| {
            let key = |stored: &Stored| (stored.manifest.created, stored.manifest.id.clone());
            key(one).cmp(&key(other))
        });
        Ok((found, unreadable))
    }

    /// The names of the folders of environments.
    fn environment_folders(&self) -> Result<Vec<String>> {
        let mut found = files::list_folders(&self.root)?;
        found.retain(|name| name != "jobs" && name != "leases");
        Ok(found)
    }

    /// Removes a snapshot: the manifest first, so that it never exists in part.
    pub fn remove(&self, folder: &Path) -> Result<()> {
        files::remove(&folder.join("manifest.json"))?;
        files::remove_folder(folder)
    }
}

fn load(folder: &Path) -> Result<Option<Manifest>> {
    let path = folder.join("manifest.json");
    let Some(bytes) = files::read(&path)? else { return Ok(None) };
    let damaged = || format!("manifest `{}` is damaged", path.display());
    let value: serde_json::Value = serde_json::from_slice(&bytes).or_fail(damaged)?;
    let format = value.get("format").and_then(serde_json::Value::as_u64);
    if format != Some(u64::from(FORMAT)) {
        return Err(Error::refused(format!(
            "manifest `{}` has format {}, and this version knows format {FORMAT}",
            path.display(),
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

/// Finds the one snapshot that `wanted` names among those of several repositories.
///
/// Words and dates mean whole snapshots; `environment` is used where `wanted` names none. Nothing
/// found is exit 10; an id's prefix that several share is exit 2.
pub fn resolve(
    stored: &[Stored],
    unreadable: &[Unreadable],
    wanted: &SnapshotRef,
    environment: Option<&str>,
) -> Result<Stored> {
    match wanted {
        SnapshotRef::Id(prefix) => by_id(stored, unreadable, prefix),
        SnapshotRef::Newest { environment: named, set, when } => {
            let Some(environment) = named.as_deref().or(environment) else {
                return Err(Error::usage(format!("`{wanted}` does not say of which environment"))
                    .hint(format!("write ENV@{wanted}")));
            };
            let fits = |manifest: &Manifest| {
                manifest.environment == environment
                    && manifest.whole
                    // What is kept for a rollback is not a backup.
                    && manifest.set != PREVIOUS_SET
                    && set.as_ref().is_none_or(|set| *set == manifest.set)
                    && match when {
                        When::Latest => true,
                        When::LatestAnonymized => {
                            manifest.clearance == crate::policy::Clearance::Anonymized
                        }
                        When::At(date) => id::day_of(manifest.created) <= *date,
                    }
            };
            let found = stored.iter().rev().find(|stored| fits(&stored.manifest));
            let found = found.cloned().ok_or_else(|| no_such(wanted, unreadable))?;
            let newer = |hidden: &&Unreadable| {
                hidden.may_be(environment, set.as_deref(), when, &found.manifest.id)
            };
            if let Some(hidden) = unreadable.iter().find(newer) {
                return Err(hidden.stands_before(wanted, &found.manifest.id));
            }
            // One that was edited may be the newest too, whatever it says of itself now.
            let others = stored.iter().filter(|other| other.folder != found.folder);
            let edited = others.filter(|other| other.lies_at_or_after(&found.manifest.id));
            match edited.filter_map(Stored::doubted).find(|hidden| newer(&hidden)) {
                None => Ok(found),
                Some(hidden) => Err(hidden.stands_before(wanted, &found.manifest.id)),
            }
        }
    }
}

/// The set that the previous MongoDB data of a load is kept in.
pub const PREVIOUS_SET: &str = "previous";

fn by_id(stored: &[Stored], unreadable: &[Unreadable], prefix: &str) -> Result<Stored> {
    let mut fitting = stored.iter().filter(|stored| stored.manifest.id.starts_with(prefix));
    let wanted = SnapshotRef::Id(prefix.to_owned());
    let Some(found) = fitting.next() else {
        let broken = |unreadable: &&Unreadable| {
            unreadable.path.rsplit('/').next().is_some_and(|id| id.starts_with(prefix))
        };
        return Err(match unreadable.iter().find(broken) {
            Some(Unreadable { error, .. }) => {
                let mut copy = Error::new(error.kind(), error.message());
                for cause in error.causes() {
                    copy = copy.because(cause.as_str());
                }
                copy.hint(error.hint_text().unwrap_or("`pfdata list` shows what is there"))
            }
            None => no_such(&wanted, unreadable),
        });
    };
    // The same snapshot may stand in two repositories.
    if fitting.any(|other| other.manifest != found.manifest) {
        return Err(Error::usage(format!("`{prefix}` is the beginning of several snapshot ids"))
            .hint("write more of the id"));
    }
    Ok(found.clone())
}

fn no_such(wanted: &SnapshotRef, unreadable: &[Unreadable]) -> Error {
    // Where a repository could not be looked into, it may well be there.
    let out_of_reach = unreadable.iter().find(|found| found.error.kind() == Kind::Unreachable);
    let kind = out_of_reach.map_or(Kind::NotFound, |found| found.error.kind());
    let mut error = Error::new(kind, format!("there is no snapshot `{wanted}`"));
    for Unreadable { path, error: why, .. } in unreadable {
        error = error.because(format!("`{path}` cannot be read: {why}"));
    }
    error.hint("`pfdata list` shows what is there")
}
