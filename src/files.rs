//! Files that are created whole or not at all.
//!
//! A file is written beside its final name, synced, renamed without replacing, and its folder is
//! synced: after a crash it is there with all of its bytes or it is not there.
//!
//! Called by the local storage of repositories, and by whoever reads or writes the operator's own
//! files: seeds, rules, migrations. Touches only the paths that it is given.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::error::{Error, Kind, OrFail, Result};

/// Others have no business with what may be customers' data; the umask takes away more.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;

/// What every name of an unfinished file begins with.
pub const TEMPORARY_PREFIX: &str = ".tmp-";

/// A file being written under a temporary name; dropping it removes it.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    finished: bool,
}

impl NewFile {
    /// Begins `target`; its folder is created when it is missing.
    pub fn create(target: &Path) -> Result<Self> {
        let folder = parent(target);
        create_folder(folder)?;
        let temporary = folder.join(temporary_name());
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&temporary)
            .map_err(|error| write_error(&error, target))?;
        Ok(Self { file, temporary, target: target.to_owned(), finished: false })
    }

    /// Syncs the file and gives it its name; an existing file of that name is an error.
    pub fn finish(self) -> Result<()> {
        let target = self.target.clone();
        if self.publish()? {
            return Ok(());
        }
        Err(Error::failed(format!("`{}` exists already", target.display())))
    }

    /// Like [`finish`](Self::finish), but says `false` when the name is taken.
    fn publish(mut self) -> Result<bool> {
        self.file.sync_all().map_err(|error| write_error(&error, &self.target))?;
        match renameat_with(CWD, &self.temporary, CWD, &self.target, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) => return Ok(false),
            // Some file systems know no RENAME_NOREPLACE; a hard link never replaces either.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                match fs::hard_link(&self.temporary, &self.target) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
                    Err(error) => return Err(write_error(&error, &self.target)),
                }
                fs::remove_file(&self.temporary)
                    .map_err(|error| write_error(&error, &self.target))?;
            }
            Err(error) => return Err(write_error(&error.into(), &self.target)),
        }
        self.finished = true;
        sync_folder(parent(&self.target))?;
        Ok(true)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = fs::remove_file(&self.temporary)
        {
            tracing::debug!(path = %self.temporary.display(), %error, "temporary file stays");
        }
    }
}

/// Creates `target` with `bytes`; an existing file of that name is an error.
pub fn create(target: &Path, bytes: &[u8]) -> Result<()> {
    written(target, bytes)?.finish()
}

/// Creates `target` with `bytes`, or says `false` when there is one already.
pub fn create_if_absent(target: &Path, bytes: &[u8]) -> Result<bool> {
    written(target, bytes)?.publish()
}

/// Writes `target` whole, replacing what is there. Only leases are ever replaced.
pub fn replace(target: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = written(target, bytes)?;
    file.file.sync_all().map_err(|error| write_error(&error, target))?;
    fs::rename(&file.temporary, target).map_err(|error| write_error(&error, target))?;
    file.finished = true;
    sync_folder(parent(target))
}

fn written(target: &Path, bytes: &[u8]) -> Result<NewFile> {
    let mut file = NewFile::create(target)?;
    file.write_all(bytes).map_err(|error| write_error(&error, target))?;
    Ok(file)
}

/// Creates a folder and the folders above it, each synced into its parent.
pub fn create_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = parent(folder);
    create_folder(above)?;
    match fs::DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Ok(()) => sync_folder(above),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(write_error(&error, folder)),
    }
}

/// Makes renames and removals inside `folder` survive a crash.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(|error| write_error(&error, folder))
}

/// Removes a folder with all that is in it; one that is gone already is fine.
pub fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Ok(()) => sync_folder(parent(folder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).or_fail(|| format!("cannot remove `{}`", folder.display())),
    }
}

/// Removes a file; one that is gone already is fine.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(parent(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).or_fail(|| format!("cannot remove `{}`", path.display())),
    }
}

/// The names in a folder, sorted; none when there is no such folder.
pub fn list(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).or_unreachable(|| format!("cannot list `{}`", folder.display()));
        }
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.or_unreachable(|| format!("cannot list `{}`", folder.display()))?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push(name);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The names of the folders in a folder, sorted; none when there is no such folder.
pub fn list_folders(folder: &Path) -> Result<Vec<String>> {
    let mut found = if folder.is_dir() { list(folder)? } else { Vec::new() };
    found.retain(|name| folder.join(name).is_dir());
    Ok(found)
}

/// A small file's bytes, or nothing when it is not there.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).or_unreachable(|| format!("cannot read `{}`", path.display())),
    }
}

/// The error of a write to `path`; a full disk gets a hint of its own.
pub fn write_error(error: &io::Error, path: &Path) -> Error {
    let failed = Error::new(Kind::Failed, format!("cannot write `{}`", path.display()))
        .because(error.to_string());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            failed.hint("free space in the repository; nothing of the unfinished job is listed")
        }
        io::ErrorKind::PermissionDenied => failed.hint("the repository must be writable"),
        _ => failed,
    }
}

/// A name for an unfinished file that no other has.
pub(crate) fn temporary_name() -> String {
    format!("{TEMPORARY_PREFIX}{:016x}", rand::random::<u64>())
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_created_once_and_unfinished_ones_vanish() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/c.json");
        create(&path, b"one").unwrap();
        assert!(create(&path, b"two").is_err());
        assert!(!create_if_absent(&path, b"two").unwrap());
        assert_eq!(read(&path).unwrap().unwrap(), b"one");
        drop(NewFile::create(&path).unwrap());
        assert_eq!(list(path.parent().unwrap()).unwrap(), ["c.json"]);
        replace(&path, b"three").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"three");
    }
}
