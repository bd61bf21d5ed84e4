//! What every kind of storage promises.
//!
//! Calls block, and come from threads that may be those of the caller's runtime: a storage whose
//! client is asynchronous has a runtime of its own.
//!
//! Called by [`super::Storage`], which is one of the kinds; `contract_tests.rs` asks it of each.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read, Write};

use super::name::Name;
use crate::error::{Error, Result};

/// No object that is read whole is larger: manifests, facts, journals, leases. In bytes.
pub const SMALL_BYTES_MAX: u64 = 256 << 20;

/// How many objects one page of a listing holds.
pub const PAGE_OBJECTS: usize = 1_000;

/// What came of creating an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is there, and was not before.
    New,
    /// There is one of that name already, which stays as it is.
    Exists,
}

/// What came of replacing an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// It holds the new bytes.
    Done,
    /// It is not what was seen any more, and stays as it is.
    Changed,
}

/// What tells one content of an object from the next; means something only to its storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(pub(super) String);

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: Name,
    /// How large it is, in bytes.
    pub bytes: u64,
}

/// A page of a listing.
#[derive(Debug, Default)]
pub struct Page {
    /// At most [`PAGE_OBJECTS`], in the order of their names' bytes.
    pub entries: Vec<Entry>,
    /// Whether there are more.
    pub more: bool,
}

/// What lies one step below a name, each sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Steps that more lies under.
    pub folders: Vec<String>,
    /// Steps that are objects.
    pub objects: Vec<String>,
}

/// Whether others on this host may hold a lock too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// With others that share it.
    Shared,
    /// Alone.
    Exclusive,
}

/// A lock that the operating system takes back when its process ends.
#[derive(Debug)]
pub enum HostLock {
    /// It is held for as long as this lives. A storage that no host can lock gives none: leases
    /// are all that stands between its jobs.
    Held(Option<File>),
    /// Another process on this host has it.
    Taken,
}

/// An object that is being written. Dropping it leaves nothing behind.
pub trait NewObject: Write + Send {
    /// Gives it its name, and returns once it is there for good.
    ///
    /// # Errors
    ///
    /// Exit 1 where there is an object of that name, or it cannot be written.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// What a kind of storage can do. Every call may block.
///
/// # Errors
///
/// Where nothing else is said: exit 12 for what cannot be read, exit 1 for what cannot be written.
pub trait Backend: Debug + Send + Sync {
    /// Whether the place is there at all.
    fn is_there(&self) -> bool;

    /// An object's bytes, or nothing when there is none. One of more than `bytes_max` is an error.
    fn read(&self, name: &Name, bytes_max: u64) -> Result<Option<Vec<u8>>>;

    /// Creates an object, unless there is one. Of several who try at once, one creates it.
    fn create(&self, name: &Name, bytes: &[u8]) -> Result<Created>;

    /// As [`read`](Self::read), with what to show to [`replace`](Self::replace).
    fn versioned(&self, name: &Name, bytes_max: u64) -> Result<Option<(Vec<u8>, Version)>>;

    /// Replaces an object if it is still of the version that was `seen`, or creates it if none
    /// was. Of several who saw the same, one succeeds. For leases only: nothing else is rewritten.
    fn replace(&self, name: &Name, seen: Option<&Version>, bytes: &[u8]) -> Result<Replaced>;

    /// How large an object is, in bytes, or nothing when there is none.
    fn size(&self, name: &Name) -> Result<Option<u64>>;

    /// The objects below a name, however deep, that come after `after`.
    fn list(&self, under: &Name, after: Option<&Name>) -> Result<Page>;

    /// What lies one step below a name; nothing when there is nothing.
    fn level(&self, under: &Name) -> Result<Level>;

    /// Removes an object for good; one that is gone already is fine.
    fn remove(&self, name: &Name) -> Result<()>;

    /// Removes what lies below a name, unfinished objects too. Not atomic.
    fn remove_all(&self, under: &Name) -> Result<()>;

    /// Begins an object of any size.
    fn writer(&self, name: &Name) -> Result<Box<dyn NewObject>>;

    /// Reads an object of any size from its beginning.
    fn reader(&self, name: &Name) -> io::Result<Box<dyn Read + Send>>;

    /// Takes a lock among the processes of this host, without waiting.
    fn host_lock(&self, name: &Name, sharing: Sharing) -> Result<HostLock>;

    /// How many bytes are free, where that is known.
    fn room(&self) -> Option<u64>;

    /// Writes something and removes it.
    fn probe(&self) -> io::Result<()>;

    /// An object's place for messages.
    fn describe(&self, name: &Name) -> String;
}

pub(super) fn exists(place: &str) -> Error {
    Error::failed(format!("`{place}` exists already"))
}

pub(super) fn too_large(place: &str, bytes_max: u64) -> Error {
    Error::failed(format!(
        "`{place}` is larger than {bytes_max} bytes, which no file of its kind is"
    ))
}

/// A page of all that there is, which must be sorted.
pub(super) fn page(all: impl Iterator<Item = Entry>, after: Option<&Name>) -> Page {
    let mut rest = all.skip_while(|entry| after.is_some_and(|after| entry.name <= *after));
    let entries = rest.by_ref().take(PAGE_OBJECTS).collect();
    Page { entries, more: rest.next().is_some() }
}
