//! A storage that does what another does until it is told to fail: for tests of what a job leaves
//! behind when its storage, its network or its process gives up at the worst moment.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::backend::{
    Backend, Created, HostLock, Level, NewObject, Page, Replaced, Sharing, Version,
};
use super::name::Name;
use crate::error::{Error, Result};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The operation does nothing, and says that it failed.
    Fail,
    /// It is done in part where it may be, and says that it failed.
    Tear,
    /// It is done, and says that it failed.
    LoseAcknowledgement,
    /// It does nothing, and neither does any after it: the process is gone.
    Die,
    /// The process is gone indeed.
    Abort,
}

/// What happened so far, and what is to go wrong.
#[derive(Default)]
pub(super) struct State {
    /// How many operations there were.
    seen: u64,
    /// Which operation fails, counted from one, and how.
    planned: Option<(u64, Fault)>,
    /// Is told of every operation: its number, and whether it is the one that fails.
    watch: Option<Watch>,
    dead: bool,
}

type Watch = Box<dyn Fn(u64, bool) + Send>;

impl State {
    /// With a fault, if there is one, and somebody who watches.
    pub(super) fn watched(planned: Option<(u64, Fault)>, watch: Watch) -> Self {
        Self { planned, watch: Some(watch), ..Self::default() }
    }
}

/// Another storage, with the faults that are planned. Clones count together.
#[derive(Clone)]
pub struct Faulty {
    inner: Arc<dyn Backend>,
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Faulty").field(&self.inner).finish()
    }
}

impl PartialEq for Faulty {
    /// Both are the same place.
    fn eq(&self, other: &Self) -> bool {
        self.inner.describe(&Name::root()) == other.inner.describe(&Name::root())
    }
}

impl Faulty {
    /// `inner`, without a fault so far.
    pub fn new(inner: impl Backend + 'static) -> Self {
        Self { inner: Arc::new(inner), state: Arc::default() }
    }

    /// `inner`, whose operations count together with those of others.
    pub(super) fn sharing(inner: impl Backend + 'static, state: &Arc<Mutex<State>>) -> Self {
        Self { inner: Arc::new(inner), state: Arc::clone(state) }
    }

    /// Has the operation of this number, counted from one, go wrong.
    pub fn plan(self, number: u64, fault: Fault) -> Self {
        self.with(|state| state.planned = Some((number, fault)));
        self
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        self.with(|state| state.seen)
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The fault of the operation that begins now, if it has one.
    fn begin(&self) -> Option<Fault> {
        self.with(|state| {
            if state.dead {
                return Some(Fault::Die);
            }
            state.seen += 1;
            let now = state.seen;
            let fault = state.planned.filter(|(number, _)| *number == now).map(|(_, fault)| fault);
            state.dead = fault == Some(Fault::Die);
            if let Some(watch) = &state.watch {
                watch(now, fault.is_some());
            }
            if fault == Some(Fault::Abort) {
                std::process::abort();
            }
            fault
        })
    }

    /// Does `whole`, or `part` of it, or nothing.
    fn operation<T>(
        &self,
        whole: impl FnOnce(&dyn Backend) -> Result<T>,
        part: impl FnOnce(&dyn Backend) -> Result<()>,
    ) -> Result<T> {
        let failed = || Error::unreachable("the storage failed, as it was told to");
        match self.begin() {
            None => whole(&*self.inner),
            Some(Fault::Fail | Fault::Die | Fault::Abort) => Err(failed()),
            Some(Fault::Tear) => part(&*self.inner).and_then(|()| Err(failed())),
            Some(Fault::LoseAcknowledgement) => whole(&*self.inner).and_then(|_| Err(failed())),
        }
    }
}

/// For what is done whole or not at all.
fn nothing(_: &dyn Backend) -> Result<()> {
    Ok(())
}

impl Backend for Faulty {
    fn is_there(&self) -> bool {
        self.inner.is_there()
    }

    fn read(&self, name: &Name, bytes_max: u64) -> Result<Option<Vec<u8>>> {
        self.operation(|inner| inner.read(name, bytes_max), nothing)
    }

    fn create(&self, name: &Name, bytes: &[u8]) -> Result<Created> {
        self.operation(|inner| inner.create(name, bytes), nothing)
    }

    fn versioned(&self, name: &Name, bytes_max: u64) -> Result<Option<(Vec<u8>, Version)>> {
        self.operation(|inner| inner.versioned(name, bytes_max), nothing)
    }

    fn replace(&self, name: &Name, seen: Option<&Version>, bytes: &[u8]) -> Result<Replaced> {
        self.operation(|inner| inner.replace(name, seen, bytes), nothing)
    }

    fn size(&self, name: &Name) -> Result<Option<u64>> {
        self.operation(|inner| inner.size(name), nothing)
    }

    fn list(&self, under: &Name, after: Option<&Name>) -> Result<Page> {
        self.operation(|inner| inner.list(under, after), nothing)
    }

    fn level(&self, under: &Name) -> Result<Level> {
        self.operation(|inner| inner.level(under), nothing)
    }

    fn remove(&self, name: &Name) -> Result<()> {
        self.operation(|inner| inner.remove(name), nothing)
    }

    fn remove_all(&self, under: &Name) -> Result<()> {
        let half = |inner: &dyn Backend| {
            let entries = inner.list(under, None)?.entries;
            let half = entries.len() / 2;
            entries[half..].iter().try_for_each(|entry| inner.remove(&entry.name))
        };
        self.operation(|inner| inner.remove_all(under), half)
    }

    fn writer(&self, name: &Name) -> Result<Box<dyn NewObject>> {
        let inner = self.operation(|inner| inner.writer(name), nothing)?;
        Ok(Box::new(Writing { faulty: self.clone(), inner }))
    }

    fn reader(&self, name: &Name) -> io::Result<Box<dyn Read + Send>> {
        match self.begin() {
            None => self.inner.reader(name),
            Some(_) => Err(told()),
        }
    }

    fn host_lock(&self, name: &Name, sharing: Sharing) -> Result<HostLock> {
        self.operation(|inner| inner.host_lock(name, sharing), nothing)
    }

    fn room(&self) -> Option<u64> {
        self.inner.room()
    }

    fn probe(&self) -> io::Result<()> {
        self.inner.probe()
    }

    fn describe(&self, name: &Name) -> String {
        self.inner.describe(name)
    }
}

/// An object that is being written; each write is an operation, and so is its end.
struct Writing {
    faulty: Faulty,
    inner: Box<dyn NewObject>,
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.faulty.begin() {
            None => self.inner.write(bytes),
            Some(Fault::Fail | Fault::Die | Fault::Abort) => Err(told()),
            Some(Fault::Tear) => {
                self.inner.write_all(&bytes[..bytes.len() / 2]).and_then(|()| Err(told()))
            }
            Some(Fault::LoseAcknowledgement) => {
                self.inner.write_all(bytes).and_then(|()| Err(told()))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl NewObject for Writing {
    fn finish(self: Box<Self>) -> Result<()> {
        let Self { faulty, inner } = *self;
        faulty.operation(|_| inner.finish(), nothing)
    }
}

fn told() -> io::Error {
    io::Error::other("the storage failed, as it was told to")
}
