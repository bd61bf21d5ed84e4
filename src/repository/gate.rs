//! The gate that every write of a snapshot passes, so that a job can be given up for good.
//!
//! Parts are written on threads that outlive the task that began them: an error elsewhere drops
//! the task, and the thread goes on with what it has. Whoever removes the folder closes the gate
//! first: who is inside ends what he does, and nobody comes in any more.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};

/// A gate; clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    left: Condvar,
    /// A gate that must be passed before this one.
    outer: Option<Gate>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    inside: usize,
}

/// While this lives, a write is under way.
#[derive(Debug)]
pub struct Pass {
    gate: Gate,
    _outer: Option<Box<Pass>>,
}

impl Gate {
    /// An open gate behind this one: it closes by itself, and with this one.
    pub fn within(&self) -> Self {
        Self(Arc::new(Inner { outer: Some(self.clone()), ..Inner::default() }))
    }

    /// Lets a write begin.
    ///
    /// # Errors
    ///
    /// Exit 1 once the gate, or one before it, is closed.
    pub fn enter(&self) -> Result<Pass> {
        let outer = match &self.0.outer {
            Some(outer) => Some(Box::new(outer.enter()?)),
            None => None,
        };
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(Error::failed("what was being stored has been given up"));
        }
        state.inside += 1;
        Ok(Pass { gate: self.clone(), _outer: outer })
    }

    /// Lets nobody in any more, and waits until nobody is inside. Says `false` where somebody
    /// still is after `patience`.
    pub fn close(&self, patience: Duration) -> bool {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        let waited = self.0.left.wait_timeout_while(state, patience, |state| state.inside > 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.inside == 0
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.inside -= 1;
        self.gate.0.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::mpsc;
    use std::thread;

    use crate::pipeline::block::Block;
    use crate::pipeline::codec::Compression;
    use crate::pipeline::digest::RecordFormat;
    use crate::pipeline::flow::BlockSink;
    use crate::policy::{Class, Clearance, StructurePermit};
    use crate::repository::manifest::PartKind;
    use crate::repository::part::{PartSpec, PartWriter};
    use crate::repository::snapshot::Snapshot;
    use crate::repository::storage::{Name, Storage};

    const SOON: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn who_is_inside_ends_and_nobody_comes_in() {
        let gate = Gate::default();
        let pass = gate.enter().unwrap();
        assert!(!gate.close(SOON), "somebody is inside");
        assert!(gate.enter().is_err());
        let waiting = thread::spawn({
            let gate = gate.clone();
            move || gate.close(LONG)
        });
        drop(pass);
        assert!(waiting.join().unwrap());
    }

    #[test]
    fn a_gate_within_closes_alone_and_with_the_outer_one() {
        let outer = Gate::default();
        let (first, second) = (outer.within(), outer.within());
        assert!(first.close(SOON));
        assert!(first.enter().is_err() && second.enter().is_ok() && outer.enter().is_ok());
        let pass = second.enter().unwrap();
        assert!(!outer.close(SOON), "who is inside the inner one is inside the outer one");
        drop(pass);
        assert!(outer.close(LONG));
        assert!(second.enter().is_err());
    }

    /// Threads that begin, fill and end parts as fast as they can while the folder is removed.
    #[test]
    fn nothing_is_written_after_the_gate_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path());
        for round in 0..20 {
            let name = Name::new(&format!("set/{round}")).unwrap();
            let set = folder.path().join(name.as_str());
            let snapshot = Snapshot::at(&storage, name.clone());
            let gate = Gate::default();
            let (began, begun) = mpsc::channel();
            let writers: Vec<_> = (0..4_u32)
                .map(|thread| {
                    let (set, gate, began) = (snapshot.clone(), gate.clone(), began.clone());
                    thread::spawn(move || {
                        let mut parts = 0;
                        for number in 0.. {
                            if write_part(&gate, &set, thread, number).is_err() {
                                break;
                            }
                            parts += 1;
                            began.send(()).unwrap();
                        }
                        parts
                    })
                })
                .collect();
            begun.recv().unwrap();
            assert!(gate.close(LONG));
            storage.remove_all(&name).unwrap();
            assert!(!set.exists());
            let parts: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
            assert!(parts > 0 && !set.exists(), "round {round}: {parts} parts");
        }
        assert_eq!(fs::read_dir(folder.path().join("set")).unwrap().count(), 0);
    }

    fn write_part(gate: &Gate, set: &Snapshot, thread: u32, number: u64) -> Result<()> {
        let spec = PartSpec {
            number: thread,
            kind: PartKind::Data,
            path: format!("{thread}/{number}"),
            namespace: String::new(),
            name: String::new(),
            slice: "all".to_owned(),
            format: RecordFormat::Opaque,
        };
        let mut writer = PartWriter::create(gate, set, spec, Compression::None)?;
        let permit = StructurePermit::unruled(Class::Live, false, Clearance::Raw)?;
        writer.write(&Block::structure(vec![7; 4096], &permit))?;
        writer.finish().map(drop)
    }
}
