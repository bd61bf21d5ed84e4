//! Temporary folders that nobody else can look into, and what is left of them after a kill.
//!
//! A folder goes with its handle. A process that was killed has no say, so that a folder's name
//! tells whose it is, and the next job removes those whose process is gone.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::error::{OrFail, Result};
use crate::repository::process;

/// How every name begins.
const PREFIX: &str = "pfdata-";

/// How many folders of such a name are looked at: a sweep is no job of its own.
const LOOKED_AT_MAX: usize = 1_000;

/// A temporary folder of this process; it goes with its handle.
pub(crate) fn folder() -> Result<tempfile::TempDir> {
    let mode = fs::Permissions::from_mode(0o700);
    let (host, process, started) = process::this();
    tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{host}-{process}-{started}-"))
        .permissions(mode)
        .tempdir()
        .or_fail(|| "cannot make a temporary folder")
}

/// Removes the folders of processes that are gone.
pub(crate) fn sweep() {
    sweep_in(&std::env::temp_dir());
}

fn sweep_in(place: &Path) {
    let Ok(entries) = fs::read_dir(place) else { return };
    let mine = rustix::process::geteuid().as_raw();
    let ours =
        |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes());
    for entry in entries.flatten().filter(ours).take(LOOKED_AT_MAX) {
        let name = entry.file_name();
        // A link is no folder here, and its target is nobody's business.
        let own = entry
            .path()
            .symlink_metadata()
            .is_ok_and(|found| found.is_dir() && found.uid() == mine);
        if !own || !name.to_str().is_some_and(is_orphan) {
            continue;
        }
        match fs::remove_dir_all(entry.path()) {
            Ok(()) => tracing::warn!("removed a temporary folder that a killed job left"),
            Err(error) => tracing::warn!(%error, "a temporary folder of a killed job stays"),
        }
    }
}

/// Whether the name is that of a folder whose process, on this host, is gone.
fn is_orphan(name: &str) -> bool {
    let mut parts = name.strip_prefix(PREFIX).unwrap_or_default().splitn(4, '-');
    let (Some(host), Some(process), Some(started), Some(_)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let (Ok(process), Ok(started)) = (process.parse(), started.parse()) else { return false };
    host == process::this().0 && !process::runs(process, started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_the_dead_are_removed() {
        let place = tempfile::tempdir().unwrap();
        let (host, process, started) = process::this();
        let make = |name: String| {
            let path = place.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("schema.dump"), "x").unwrap();
            path
        };
        let dead = [
            make(format!("pfdata-{host}-{process}-{}-abc", started + 1)),
            make(format!("pfdata-{host}-4294967294-1-abc")),
        ];
        let kept = [
            make(format!("pfdata-{host}-{process}-{started}-abc")),
            make(format!("pfdata-0-{process}-{}-abc", started + 1)),
            make("pfdata-abc".to_owned()),
            make("other".to_owned()),
        ];
        let link = place.path().join(format!("pfdata-{host}-{process}-{}-lnk", started + 1));
        std::os::unix::fs::symlink(&kept[3], &link).unwrap();
        sweep_in(place.path());
        assert!(dead.iter().all(|path| !path.exists()));
        assert!(kept.iter().all(|path| path.join("schema.dump").exists()));
        assert!(link.symlink_metadata().is_ok());
    }

    #[test]
    fn a_folder_is_its_owners_alone_and_is_known_as_alive() {
        let folder = folder().unwrap();
        let mode = folder.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let name = folder.path().file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with(PREFIX) && !is_orphan(name), "{name}");
    }
}
