//! A storage in a folder: every object is a file, created whole by [`crate::files`].
//!
//! Nobody on the same host can be blocked by a dead process: locks are the operating system's.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::backend::{
    Backend, Created, Entry, HostLock, Level, NewObject, Page, Replaced, SMALL_BYTES_MAX, Sharing,
    Version, page, too_large,
};
use super::name::{Name, is_step};
use crate::error::{OrFail, Result};
use crate::files::{self, NewFile, TEMPORARY_PREFIX};

/// A folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    root: PathBuf,
}

impl Local {
    /// The storage in `root`.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn path(&self, name: &Name) -> PathBuf {
        if name.is_root() { self.root.clone() } else { self.root.join(name.as_str()) }
    }

    /// The files in and below a folder, unfinished ones left out.
    fn walk(&self, under: &Name, found: &mut Vec<Entry>) -> Result<()> {
        let Level { folders, objects } = self.level(under)?;
        for object in objects {
            let name = under.child(&object)?;
            if let Some(bytes) = self.size(&name)? {
                found.push(Entry { name, bytes });
            }
        }
        folders.iter().try_for_each(|folder| self.walk(&under.child(folder)?, found))
    }
}

impl Backend for Local {
    fn is_there(&self) -> bool {
        self.root.is_dir()
    }

    fn read(&self, name: &Name, bytes_max: u64) -> Result<Option<Vec<u8>>> {
        let path = self.path(name);
        let read = File::open(&path).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        match read {
            Ok(bytes) if bytes.len() as u64 > bytes_max => {
                Err(too_large(&self.describe(name), bytes_max))
            }
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).or_unreachable(|| format!("cannot read `{}`", path.display())),
        }
    }

    fn create(&self, name: &Name, bytes: &[u8]) -> Result<Created> {
        let created = files::create_if_absent(&self.path(name), bytes)?;
        Ok(if created { Created::New } else { Created::Exists })
    }

    fn versioned(&self, name: &Name, bytes_max: u64) -> Result<Option<(Vec<u8>, Version)>> {
        let versioned = |bytes: Vec<u8>| {
            let version = Version(format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&bytes)));
            (bytes, version)
        };
        Ok(self.read(name, bytes_max)?.map(versioned))
    }

    /// Compares and replaces while nobody else on this host does.
    fn replace(&self, name: &Name, seen: Option<&Version>, bytes: &[u8]) -> Result<Replaced> {
        let path = self.path(name);
        let guard = open_lock(&path.with_extension("mutex"))?;
        guard.lock().or_fail(|| format!("cannot lock `{}`", path.display()))?;
        let now = self.versioned(name, SMALL_BYTES_MAX)?.map(|(_, version)| version);
        if now.as_ref() != seen {
            return Ok(Replaced::Changed);
        }
        files::replace(&path, bytes)?;
        Ok(Replaced::Done)
    }

    fn size(&self, name: &Name) -> Result<Option<u64>> {
        let path = self.path(name);
        match fs::metadata(&path) {
            Ok(found) => Ok(found.is_file().then_some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).or_unreachable(|| format!("cannot read `{}`", path.display())),
        }
    }

    fn list(&self, under: &Name, after: Option<&Name>) -> Result<Page> {
        let mut found = Vec::new();
        self.walk(under, &mut found)?;
        found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(page(found.into_iter(), after))
    }

    fn level(&self, under: &Name) -> Result<Level> {
        let folder = self.path(under);
        let mut level = Level::default();
        for name in files::list(&folder)? {
            if name.starts_with(TEMPORARY_PREFIX) || !is_step(&name) {
                continue;
            }
            let path = folder.join(&name);
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() => level.folders.push(name),
                Ok(_) => level.objects.push(name),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // A link to nowhere is there, and is told when it is read; else it is gone.
                    if fs::symlink_metadata(&path).is_ok() {
                        level.objects.push(name);
                    }
                }
                // What cannot be looked at may be anything: it is not passed over.
                Err(error) => {
                    return Err(error)
                        .or_unreachable(|| format!("cannot read `{}`", path.display()));
                }
            }
        }
        Ok(level)
    }

    fn remove(&self, name: &Name) -> Result<()> {
        files::remove(&self.path(name))
    }

    fn remove_all(&self, under: &Name) -> Result<()> {
        files::remove_folder(&self.path(under))
    }

    fn writer(&self, name: &Name) -> Result<Box<dyn NewObject>> {
        Ok(Box::new(Writing(NewFile::create(&self.path(name))?)))
    }

    fn reader(&self, name: &Name) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(self.path(name))?))
    }

    fn host_lock(&self, name: &Name, sharing: Sharing) -> Result<HostLock> {
        let path = self.path(name);
        let lock = open_lock(&path)?;
        let locked = match sharing {
            Sharing::Shared => lock.try_lock_shared(),
            Sharing::Exclusive => lock.try_lock(),
        };
        match locked {
            Ok(()) => Ok(HostLock::Held(Some(lock))),
            Err(TryLockError::WouldBlock) => Ok(HostLock::Taken),
            Err(TryLockError::Error(error)) => {
                Err(error).or_fail(|| format!("cannot lock `{}`", path.display()))
            }
        }
    }

    fn room(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(&self.root).ok()?;
        Some(stat.f_bavail * stat.f_frsize)
    }

    fn probe(&self) -> io::Result<()> {
        let probe = self.root.join(files::temporary_name());
        fs::write(&probe, b"probe")?;
        fs::remove_file(&probe)
    }

    fn describe(&self, name: &Name) -> String {
        self.path(name).display().to_string()
    }
}

/// A file that is being written.
struct Writing(NewFile);

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl NewObject for Writing {
    fn finish(self: Box<Self>) -> Result<()> {
        self.0.finish()
    }
}

fn open_lock(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        files::create_folder(folder)?;
    }
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| files::write_error(&error, path))
}
