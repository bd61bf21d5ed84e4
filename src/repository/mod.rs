//! Snapshots in a repository: manifest, parts, ids, leases, facts.
//!
//! A repository is a storage of objects that are created whole and never overwritten. It knows
//! nothing of stores: what a part means is for those who wrote it. Called by jobs and by `list` and
//! `status`; what it touches is named by [`layout`] and reached through [`storage`].

pub mod class;
mod contradictions;
pub mod facts;
pub mod gate;
pub mod id;
pub mod jobs;
pub mod layout;
pub mod lease;
pub mod manifest;
pub mod names;
pub mod part;
pub mod process;
pub mod snapshot;
pub mod storage;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, OrFail, Result};
use id::{SnapshotRef, When};
use jobs::Jobs;
use manifest::{FORMAT, Manifest};
use snapshot::Snapshot;
use storage::{Created, Level, Name, Storage};

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    format: u32,
    id: String,
    features: Vec<String>,
}

/// An open repository.
#[derive(Debug, Clone)]
pub struct Repository {
    storage: Storage,
    id: String,
}

/// A snapshot that a repository holds.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its place.
    pub snapshot: Snapshot,
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
        Self::open_in(Storage::local(root), expected, create)
    }

    /// As [`open`](Self::open), in any storage.
    pub fn open_in(storage: Storage, expected: Option<&str>, create: bool) -> Result<Self> {
        let place = storage.describe(&Name::root());
        if !storage.is_there() {
            return Err(Error::unreachable(format!("repository `{place}` is not there"))
                .hint("create the folder, or mount what should be there"));
        }
        let marker = match read_marker(&storage)? {
            Some(marker) => marker,
            None => make(&storage, expected, create)?,
        };
        if marker.format != FORMAT || !marker.features.is_empty() {
            return Err(Error::refused(format!(
                "repository `{place}` has format {} and features {:?}, which this version does not \
                 know",
                marker.format, marker.features
            ))
            .hint("use the version of pfdata that wrote it, or a newer one"));
        }
        if let Some(expected) = expected
            && expected != marker.id
        {
            return Err(Error::unreachable(format!(
                "repository `{place}` has the id {}, and `repository_id` says {expected}",
                marker.id
            ))
            .hint("another disk may be mounted there"));
        }
        Ok(Self { storage, id: marker.id })
    }

    /// Where it is, for messages.
    pub fn place(&self) -> String {
        self.storage.describe(&Name::root())
    }

    /// The bytes that it stands on.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The repository's own id, a UUID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The place of a snapshot, whether it exists or not.
    ///
    /// # Errors
    ///
    /// Exit 1 where `id` is none and would lead elsewhere.
    pub fn snapshot(&self, environment: &str, set: &str, id: &str) -> Result<Snapshot> {
        Ok(Snapshot::at(&self.storage, layout::snapshot(environment, set, id)?))
    }

    /// The jobs of an environment.
    pub fn jobs(&self, environment: &str) -> Jobs {
        Jobs::of(&self.storage, environment)
    }

    /// Every snapshot, oldest first, and what looks like one and cannot be read.
    pub fn snapshots(&self) -> Result<(Vec<Stored>, Vec<Unreadable>)> {
        let (mut found, mut unreadable) = (Vec::new(), Vec::new());
        for environment in self.environment_folders()? {
            for set in self.storage.level(&environment)?.folders {
                let set = environment.child(&set)?;
                for id in self.storage.level(&set)?.folders {
                    let snapshot = Snapshot::at(&self.storage, set.child(&id)?);
                    match snapshot.manifest() {
                        Ok(Some(manifest)) => found.push(Stored { manifest, snapshot }),
                        Ok(None) => {}
                        Err(error) => {
                            let path = snapshot.name().to_string();
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

    /// What the snapshots of each environment lie under.
    fn environment_folders(&self) -> Result<Vec<Name>> {
        let mut found = self.storage.level(&Name::root())?.folders;
        found.retain(|name| layout::is_environment(name));
        found.iter().map(|name| Name::new(name)).collect()
    }
}

fn read_marker(storage: &Storage) -> Result<Option<Marker>> {
    let name = layout::marker()?;
    let Some(bytes) = storage.read(&name)? else { return Ok(None) };
    let damaged = || format!("`{}` is damaged", storage.describe(&name));
    serde_json::from_slice(&bytes).or_fail(damaged).map(Some)
}

/// Makes an empty storage a repository, if that is wanted.
fn make(storage: &Storage, expected: Option<&str>, create: bool) -> Result<Marker> {
    let place = storage.describe(&Name::root());
    if let Some(expected) = expected {
        return Err(Error::unreachable(format!(
            "repository `{place}` has no id, and `repository_id` says {expected}"
        ))
        .hint("another disk may be mounted there"));
    }
    let Level { folders, objects } = storage.level(&Name::root())?;
    let foreign = |name: &String| !name.starts_with('.') && name != "lost+found";
    if folders.iter().chain(&objects).any(foreign) {
        return Err(Error::usage(format!("`{place}` holds files and is not a pfdata repository"))
            .hint("give an empty folder; it becomes a repository with the first snapshot"));
    }
    if !create {
        return Err(Error::not_found(format!(
            "repository `{place}` is empty: no snapshot was ever taken into it"
        )));
    }
    let marker = Marker { format: FORMAT, id: new_id(), features: Vec::new() };
    let text = serde_json::to_vec(&marker).or_fail(|| "cannot write the repository's marker")?;
    let name = layout::marker()?;
    if storage.create(&name, &text)? == Created::New {
        return Ok(marker);
    }
    // Another job was first.
    read_marker(storage)?
        .ok_or_else(|| Error::failed(format!("`{}` has gone", storage.describe(&name))))
}

/// Version 4 and variant 1 of RFC 9562.
fn new_id() -> String {
    let raw = names::random_hex(16);
    format!("{}-{}-4{}-a{}-{}", &raw[..8], &raw[8..12], &raw[13..16], &raw[17..20], &raw[20..])
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
            let others = stored.iter().filter(|other| other.snapshot != found.snapshot);
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
