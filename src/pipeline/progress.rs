//! How far a job is: counters that the data path bumps and that `output` reads.
//!
//! The library never prints; a meter is a few atomic numbers that cost nothing to update once a
//! block.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The meters of a job; cloning gives another handle to the same ones.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    meters: Arc<Mutex<Vec<Arc<Meter>>>>,
}

/// One thing that is under way, such as reading a store.
#[derive(Debug)]
pub struct Meter {
    /// What it is, such as `snapshot postgres`.
    pub label: String,
    /// How many bytes are expected; an estimate, 0 where unknown.
    total_bytes: AtomicU64,
    bytes: AtomicU64,
    records: AtomicU64,
    finished: AtomicBool,
}

impl Progress {
    /// Starts a meter; `total_bytes` is an estimate, 0 where unknown.
    pub fn meter(&self, label: impl Into<String>, total_bytes: u64) -> Arc<Meter> {
        let meter = Arc::new(Meter {
            label: label.into(),
            total_bytes: AtomicU64::new(total_bytes),
            bytes: AtomicU64::new(0),
            records: AtomicU64::new(0),
            finished: AtomicBool::new(false),
        });
        self.meters.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&meter));
        meter
    }

    /// Every meter that was started, in order.
    pub fn meters(&self) -> Vec<Arc<Meter>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Meter {
    /// Counts a block.
    pub fn add(&self, bytes: u64, records: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.records.fetch_add(records, Ordering::Relaxed);
    }

    /// Sets the estimate once it is known.
    pub fn expect(&self, total_bytes: u64) {
        self.total_bytes.store(total_bytes, Ordering::Relaxed);
    }

    /// Nothing more will come.
    pub fn finish(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }

    /// (bytes so far, bytes expected or 0, records so far, whether it has ended).
    pub fn reading(&self) -> (u64, u64, u64, bool) {
        (
            self.bytes.load(Ordering::Relaxed),
            self.total_bytes.load(Ordering::Relaxed),
            self.records.load(Ordering::Relaxed),
            self.finished.load(Ordering::Relaxed),
        )
    }
}
