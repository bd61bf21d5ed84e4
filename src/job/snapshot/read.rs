//! What reading one store gives.

use std::time::{Duration, Instant};

use crate::anonymize::Coverage;
use crate::job::Step;
use crate::pipeline::progress::Meter;
use crate::repository::manifest::{Part, Place, StoreManifest};

/// How long a job that is given up waits for its writers; each has one block at hand.
pub(super) const WRITERS_PATIENCE: Duration = Duration::from_secs(60);

/// What one store gave.
pub(super) struct StoreRead {
    pub(super) manifest: StoreManifest,
    pub(super) step: Step,
    pub(super) places: Vec<Place>,
}

impl StoreRead {
    pub(super) fn new(
        manifest: StoreManifest,
        started: Instant,
        places: Vec<Place>,
        jobs: usize,
    ) -> Self {
        let mut step = Step::since(started, "snapshot", Some(manifest.store));
        step.records = manifest.collections.iter().map(|collection| collection.records).sum();
        step.bytes_plain = manifest.parts.iter().map(|part| part.bytes_plain).sum();
        step.bytes_stored = manifest.parts.iter().map(|part| part.bytes_stored).sum();
        step.jobs = jobs;
        Self { manifest, step, places }
    }
}

/// The list of places of a manifest.
pub(super) fn places(coverage: &Coverage) -> Vec<Place> {
    let place = |entry: &crate::anonymize::coverage::Entry| Place {
        store: entry.store,
        place: entry.place.clone(),
        item: entry.item.clone(),
        verdict: entry.verdict.word().to_owned(),
        rule: entry.rule.clone(),
    };
    coverage.entries.iter().map(place).collect()
}

/// Counts into the store's meter what a writer takes; used by parts that are written by hand.
pub(super) fn count(meter: &Meter, part: &Part) {
    meter.add(part.bytes_plain, part.records);
}
