//! A storage in the memory of this process: what the others promise, without a disk. For tests.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::backend::{
    Backend, Created, Entry, HostLock, Level, NewObject, Page, Replaced, Sharing, Version, exists,
    page, too_large,
};
use super::name::Name;
use crate::error::Result;

/// Objects by name; clones are the same memory.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    objects: BTreeMap<Name, Object>,
    written: u64,
}

#[derive(Debug)]
struct Object {
    bytes: Vec<u8>,
    /// Counts every write, as a server's entity tag does.
    version: u64,
}

impl Held {
    fn put(&mut self, name: &Name, bytes: &[u8]) {
        self.written += 1;
        let object = Object { bytes: bytes.to_owned(), version: self.written };
        self.objects.insert(name.clone(), object);
    }
}

impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Memory {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Memory {
    fn is_there(&self) -> bool {
        true
    }

    fn read(&self, name: &Name, bytes_max: u64) -> Result<Option<Vec<u8>>> {
        Ok(self.versioned(name, bytes_max)?.map(|(bytes, _)| bytes))
    }

    fn create(&self, name: &Name, bytes: &[u8]) -> Result<Created> {
        let mut held = self.held();
        if held.objects.contains_key(name) {
            return Ok(Created::Exists);
        }
        held.put(name, bytes);
        Ok(Created::New)
    }

    fn versioned(&self, name: &Name, bytes_max: u64) -> Result<Option<(Vec<u8>, Version)>> {
        let held = self.held();
        let Some(found) = held.objects.get(name) else { return Ok(None) };
        if found.bytes.len() as u64 > bytes_max {
            return Err(too_large(&self.describe(name), bytes_max));
        }
        Ok(Some((found.bytes.clone(), Version(found.version.to_string()))))
    }

    fn replace(&self, name: &Name, seen: Option<&Version>, bytes: &[u8]) -> Result<Replaced> {
        let mut held = self.held();
        let now = held.objects.get(name).map(|found| Version(found.version.to_string()));
        if now.as_ref() != seen {
            return Ok(Replaced::Changed);
        }
        held.put(name, bytes);
        Ok(Replaced::Done)
    }

    fn size(&self, name: &Name) -> Result<Option<u64>> {
        Ok(self.held().objects.get(name).map(|found| found.bytes.len() as u64))
    }

    fn list(&self, under: &Name, after: Option<&Name>) -> Result<Page> {
        let held = self.held();
        let below = held.objects.iter().filter(|(name, _)| name.below(under).is_some());
        let entries = below
            .map(|(name, object)| Entry { name: name.clone(), bytes: object.bytes.len() as u64 });
        Ok(page(entries, after))
    }

    fn level(&self, under: &Name) -> Result<Level> {
        let mut level = Level::default();
        for below in self.held().objects.keys().filter_map(|name| name.below(under)) {
            match below.split_once('/') {
                None => level.objects.push(below.to_owned()),
                Some((folder, _)) if level.folders.iter().any(|found| found == folder) => {}
                Some((folder, _)) => level.folders.push(folder.to_owned()),
            }
        }
        level.folders.sort_unstable();
        level.objects.sort_unstable();
        Ok(level)
    }

    fn remove(&self, name: &Name) -> Result<()> {
        self.held().objects.remove(name);
        Ok(())
    }

    fn remove_all(&self, under: &Name) -> Result<()> {
        self.held().objects.retain(|name, _| name.below(under).is_none());
        Ok(())
    }

    fn writer(&self, name: &Name) -> Result<Box<dyn NewObject>> {
        Ok(Box::new(Writing { memory: self.clone(), name: name.clone(), bytes: Vec::new() }))
    }

    fn reader(&self, name: &Name) -> io::Result<Box<dyn Read + Send>> {
        let held = self.held();
        let found = held.objects.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(found.bytes.clone())))
    }

    fn host_lock(&self, _: &Name, _: Sharing) -> Result<HostLock> {
        Ok(HostLock::Held(None))
    }

    fn room(&self) -> Option<u64> {
        None
    }

    fn probe(&self) -> io::Result<()> {
        Ok(())
    }

    fn describe(&self, name: &Name) -> String {
        format!("memory:{name}")
    }
}

/// An object that is being written.
struct Writing {
    memory: Memory,
    name: Name,
    bytes: Vec<u8>,
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewObject for Writing {
    fn finish(self: Box<Self>) -> Result<()> {
        match self.memory.create(&self.name, &self.bytes)? {
            Created::New => Ok(()),
            Created::Exists => Err(exists(&self.memory.describe(&self.name))),
        }
    }
}
