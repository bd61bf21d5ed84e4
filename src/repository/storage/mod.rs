//! Bytes under checked names: all that a repository needs of the place that it lies in.
//!
//! Called by the rooms of the repository only; knows nothing of manifests, leases or stores. What
//! each operation promises stands at [`Backend`], and `contract_tests.rs` asks it of every kind.
//! An object is there whole or not at all, and what an operation has said is there after a crash.

pub mod backend;
pub mod faulty;
pub mod local;
pub mod memory;
pub mod name;
#[cfg(debug_assertions)]
mod planned;

use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, Result};
use backend::exists;
pub use backend::{
    Backend, Created, Entry, HostLock, Level, NewObject, PAGE_OBJECTS, Page, Replaced,
    SMALL_BYTES_MAX, Sharing, Version,
};
use faulty::Faulty;
use local::Local;
use memory::Memory;
pub use name::Name;

/// A place for bytes. Clones are the same place.
#[derive(Debug, Clone, PartialEq)]
pub enum Storage {
    /// A folder of this host, or one that is mounted.
    Local(Local),
    /// The memory of this process, for tests.
    Memory(Memory),
    /// Another one that fails when it is told to, for tests.
    Faulty(Faulty),
}

impl Storage {
    /// The storage in a folder.
    pub fn local(root: &Path) -> Self {
        #[cfg(debug_assertions)]
        return planned::around(Local::new(root)).map_or_else(Self::Local, Self::Faulty);
        #[cfg(not(debug_assertions))]
        Self::Local(Local::new(root))
    }

    fn backend(&self) -> &dyn Backend {
        match self {
            Self::Local(local) => local,
            Self::Memory(memory) => memory,
            Self::Faulty(faulty) => faulty,
        }
    }

    /// See [`Backend::is_there`].
    pub fn is_there(&self) -> bool {
        self.backend().is_there()
    }

    /// See [`Backend::read`]; at most [`SMALL_BYTES_MAX`].
    pub fn read(&self, name: &Name) -> Result<Option<Vec<u8>>> {
        self.backend().read(name, SMALL_BYTES_MAX)
    }

    /// See [`Backend::create`].
    pub fn create(&self, name: &Name, bytes: &[u8]) -> Result<Created> {
        self.backend().create(name, bytes)
    }

    /// Creates an object; one that is there already is an error (exit 1).
    pub fn create_new(&self, name: &Name, bytes: &[u8]) -> Result<()> {
        match self.create(name, bytes)? {
            Created::New => Ok(()),
            Created::Exists => Err(exists(&self.describe(name))),
        }
    }

    /// See [`Backend::versioned`]; at most [`SMALL_BYTES_MAX`].
    pub fn versioned(&self, name: &Name) -> Result<Option<(Vec<u8>, Version)>> {
        self.backend().versioned(name, SMALL_BYTES_MAX)
    }

    /// See [`Backend::replace`].
    pub fn replace(&self, name: &Name, seen: Option<&Version>, bytes: &[u8]) -> Result<Replaced> {
        self.backend().replace(name, seen, bytes)
    }

    /// See [`Backend::size`].
    pub fn size(&self, name: &Name) -> Result<Option<u64>> {
        self.backend().size(name)
    }

    /// See [`Backend::list`].
    pub fn list(&self, under: &Name, after: Option<&Name>) -> Result<Page> {
        self.backend().list(under, after)
    }

    /// See [`Backend::level`].
    pub fn level(&self, under: &Name) -> Result<Level> {
        self.backend().level(under)
    }

    /// See [`Backend::remove`].
    pub fn remove(&self, name: &Name) -> Result<()> {
        self.backend().remove(name)
    }

    /// See [`Backend::remove_all`]. Never everything (exit 1): no job has a reason to.
    pub fn remove_all(&self, under: &Name) -> Result<()> {
        if under.is_root() {
            return Err(Error::failed("a whole repository is never removed"));
        }
        self.backend().remove_all(under)
    }

    /// See [`Backend::writer`].
    pub fn writer(&self, name: &Name) -> Result<Box<dyn NewObject>> {
        self.backend().writer(name)
    }

    /// See [`Backend::reader`].
    pub fn reader(&self, name: &Name) -> io::Result<Box<dyn Read + Send>> {
        self.backend().reader(name)
    }

    /// See [`Backend::host_lock`].
    pub fn host_lock(&self, name: &Name, sharing: Sharing) -> Result<HostLock> {
        self.backend().host_lock(name, sharing)
    }

    /// See [`Backend::room`].
    pub fn room(&self) -> Option<u64> {
        self.backend().room()
    }

    /// See [`Backend::probe`].
    pub fn probe(&self) -> io::Result<()> {
        self.backend().probe()
    }

    /// See [`Backend::describe`].
    pub fn describe(&self, name: &Name) -> String {
        self.backend().describe(name)
    }
}

#[cfg(test)]
mod contract_tests;
