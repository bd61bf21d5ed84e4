//! What the readers of all stores of one snapshot share: where parts go, and under which permits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{Semaphore, mpsc};

use super::plan::SnapshotPlan;
use crate::error::{Error, Result};
use crate::job::classes::{self, Known};
use crate::job::history::Holds;
use crate::job::journal::Journal;
use crate::pipeline::block::{Block, Cleared, Raw};
use crate::pipeline::codec::Compression;
use crate::pipeline::digest::{ContentDigest, RecordFormat};
use crate::pipeline::flow::{self, BlockSink};
use crate::pipeline::progress::Meter;
use crate::pipeline::transform::BlockTransform;
use crate::policy::{self, Clearance, Ruling, StructurePermit, UnruledPermit};
use crate::repository::gate::Gate;
use crate::repository::manifest::{Part, PartKind};
use crate::repository::part::{PartSpec, PartWriter};
use crate::repository::snapshot::Snapshot;
use crate::terms::{Identity, StoreKind};

/// What the readers of all stores share.
#[derive(Clone)]
pub(super) struct Session {
    /// What is written.
    pub(super) snapshot: Snapshot,
    /// Closed when the job is given up: nothing is written then.
    pub(super) gate: Gate,
    pub(super) codec: Compression,
    structure: StructurePermit,
    /// None in a snapshot that masks: no row passes there but through the rules.
    unruled: Option<UnruledPermit>,
    journal: Journal,
    numbers: Arc<AtomicU32>,
    pub(super) workers: Arc<Semaphore>,
    pub(super) jobs: usize,
    /// What the last loads brought; nothing in a snapshot that masks by itself.
    holds: BTreeMap<StoreKind, Holds>,
    /// The stores below a live environment that hold raw data; none in a snapshot that masks.
    raw: BTreeSet<StoreKind>,
}

impl Session {
    /// The permit for rows that no rule is applied to.
    pub(super) fn unruled(&self) -> Result<UnruledPermit> {
        self.unruled
            .clone()
            .ok_or_else(|| Error::failed("a snapshot that masks lets nothing pass without a rule"))
    }

    /// `raw` where a store below a live environment holds raw data.
    pub(super) fn held(&self, store: StoreKind) -> Option<Clearance> {
        self.raw.contains(&store).then_some(Clearance::Raw)
    }

    /// The fingerprint of the key that a store was masked with when it was last loaded; nothing
    /// where this snapshot masks it itself.
    pub(super) fn masked_with(&self, store: StoreKind) -> Option<String> {
        let holds = self.holds.get(&store).filter(|_| !self.raw.contains(&store));
        holds.and_then(|held| held.key_fingerprint.clone())
    }

    /// The next part's number.
    pub(super) fn number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The same for one attempt at a store, which can be given up alone.
    pub(super) fn attempt(&self) -> Self {
        Self { gate: self.gate.within(), ..self.clone() }
    }

    /// Begins a data part.
    pub(super) fn writer(&self, spec: PartSpec) -> Result<PartWriter> {
        PartWriter::create(&self.gate, &self.snapshot, spec, self.codec)
    }

    /// Reads one data part into its file, and gives back what the reader kept. What the source
    /// says that it sent must be what is stored: a part that is short is an error.
    pub(super) async fn part<T>(
        &self,
        spec: PartSpec,
        transform: Box<dyn BlockTransform>,
        meter: &Arc<Meter>,
        read: impl AsyncFnOnce(mpsc::Sender<Block<Raw>>) -> Result<(u64, T)>,
    ) -> Result<(Part, ContentDigest, T)> {
        let writer = self.writer(spec)?;
        let ((sent, kept), writer) = flow::run(read, transform, writer, Arc::clone(meter)).await?;
        let (part, digest) = self.finish(writer).await?;
        if sent != part.records {
            return Err(Error::failed(format!(
                "the server sent {sent} records of `{}.{}`, and {} were stored",
                part.namespace, part.name, part.records
            )));
        }
        Ok((part, digest, kept))
    }

    /// Ends a part on a blocking thread: the file is synced there.
    pub(super) async fn finish(&self, writer: PartWriter) -> Result<(Part, ContentDigest)> {
        let (journal, gate) = (self.journal.clone(), self.gate.clone());
        crate::job::blocking(move || {
            let _pass = gate.enter()?;
            let (part, digest) = writer.finish()?;
            journal.part(&part)?;
            Ok((part, digest))
        })
        .await
    }

    /// Stores a small file uncompressed: schema, settings, metadata.
    pub(super) async fn small(
        &self,
        kind: PartKind,
        path: String,
        place: (&str, &str),
        bytes: Vec<u8>,
    ) -> Result<Part> {
        let spec = PartSpec {
            number: self.number(),
            kind,
            path,
            namespace: place.0.to_owned(),
            name: place.1.to_owned(),
            slice: "all".to_owned(),
            format: RecordFormat::Opaque,
        };
        let mut writer = PartWriter::create(&self.gate, &self.snapshot, spec, Compression::None)?;
        let block: Block<Cleared> = Block::structure(bytes, &self.structure);
        writer.write(&block)?;
        Ok(self.finish(writer).await?.0)
    }
}

/// The stores that hold raw data although their environment is not live. A store that is another's
/// live one is refused.
pub(super) fn raw_stores(
    plan: &SnapshotPlan,
    known: &Known,
    identities: impl Iterator<Item = Identity>,
) -> Result<BTreeSet<StoreKind>> {
    let mut raw = BTreeSet::new();
    for identity in identities {
        classes::not_live_elsewhere(&known.shelf, &plan.environment, &identity)?;
        let held = known.held(identity.kind(), Some(&identity));
        if plan.environment.class != policy::Class::Live && held == Clearance::Raw {
            raw.insert(identity.kind());
        }
    }
    Ok(raw)
}

/// What the readers share, with the permits of this snapshot, and its clearance.
pub(super) fn begin(
    plan: &SnapshotPlan,
    (snapshot, gate): (Snapshot, Gate),
    journal: &Journal,
    known: &Known,
    raw: BTreeSet<StoreKind>,
) -> Result<(Session, Clearance)> {
    let (class, held_raw) = (plan.environment.class, !raw.is_empty());
    let masks = plan.ruled.is_some();
    // That the rules cover every place is seen when they are laid over the stores.
    let ruling = if masks { Ruling::Whole } else { Ruling::Without };
    let clearance = policy::clearance(class, ruling, held_raw);
    let (structure, unruled) = match &plan.ruled {
        Some(ruled) => (ruled.rules.permit_for_structure(), None),
        None => (
            StructurePermit::unruled(class, held_raw, clearance)?,
            Some(UnruledPermit::new(class, held_raw, clearance)?),
        ),
    };
    let session = Session {
        snapshot,
        gate,
        codec: plan.codec,
        structure,
        unruled,
        journal: journal.clone(),
        numbers: Arc::new(AtomicU32::new(0)),
        workers: Arc::new(Semaphore::new(plan.jobs)),
        jobs: plan.jobs,
        holds: if masks { BTreeMap::new() } else { known.holds.clone() },
        raw: if masks { BTreeSet::new() } else { raw },
    };
    Ok((session, clearance))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::snapshot::record::give_up;
    use crate::pipeline::progress::Progress;
    use crate::pipeline::transform::Unruled;
    use crate::policy::Class;
    use crate::repository::Repository;
    use std::time::{Duration, Instant};

    fn session(repository: &Repository, unruled: Option<UnruledPermit>) -> Session {
        let (class, clearance) = (Class::Synthetic, Clearance::Anonymized);
        Session {
            gate: Gate::default(),
            snapshot: repository.snapshot("development", "set", "snapshot").unwrap(),
            codec: Compression::None,
            structure: StructurePermit::unruled(class, false, clearance).unwrap(),
            unruled,
            journal: Journal::at(&repository.jobs("development"), "job"),
            numbers: Arc::new(AtomicU32::new(0)),
            workers: Arc::new(Semaphore::new(1)),
            jobs: 1,
            holds: BTreeMap::new(),
            raw: BTreeSet::new(),
        }
    }

    #[test]
    fn a_snapshot_that_masks_has_no_permit_for_rows() {
        let folder = tempfile::tempdir().unwrap();
        let (class, clearance) = (Class::Synthetic, Clearance::Anonymized);
        let repository = Repository::open(folder.path(), None, true).unwrap();
        let session = |unruled| session(&repository, unruled);
        assert!(session(None).unruled().is_err());
        let permit = UnruledPermit::new(class, false, clearance).unwrap();
        assert!(session(Some(permit)).unruled().is_ok());
    }

    /// Sources that say of two rows, and of two documents, that there were two, or another number.
    #[tokio::test]
    async fn a_part_that_holds_less_than_the_source_sent_is_an_error() {
        let (class, clearance) = (Class::Synthetic, Clearance::Anonymized);
        let document = [5, 0, 0, 0, 0];
        for (format, bytes) in [
            (RecordFormat::CopyText, b"1\n2\n".to_vec()),
            (RecordFormat::Bson, [document, document].concat()),
        ] {
            for (sent, whole) in [(2, true), (3, false), (1, false)] {
                let folder = tempfile::tempdir().unwrap();
                let permit = UnruledPermit::new(class, false, clearance).unwrap();
                let repository = Repository::open(folder.path(), None, true).unwrap();
                let session = session(&repository, Some(permit));
                let spec = PartSpec {
                    number: session.number(),
                    kind: PartKind::Data,
                    path: "store/people.1".to_owned(),
                    namespace: "app".to_owned(),
                    name: "people".to_owned(),
                    slice: "all".to_owned(),
                    format,
                };
                let transform = Box::new(Unruled(session.unruled().unwrap()));
                let meter = Progress::default().meter("snapshot", 0);
                let read = async |blocks: mpsc::Sender<Block<Raw>>| {
                    blocks.send(Block::raw(bytes.clone(), 2)).await.unwrap();
                    Ok((sent, ()))
                };
                match session.part(spec, transform, &meter, read).await {
                    Ok((part, ..)) => assert!(whole && part.records == 2),
                    Err(error) => {
                        assert!(!whole, "{error}");
                        let told =
                            format!("sent {sent} records of `app.people`, and 2 were stored");
                        assert!(error.to_string().contains(&told), "{error}");
                    }
                }
            }
        }
    }

    /// Writers that no error reaches: they go on until they are refused.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_snapshot_that_is_given_up_is_gone_and_nothing_of_it_comes_back() {
        for attempts in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let repository = Repository::open(folder.path(), None, true).unwrap();
            let whole = session(&repository, None);
            let below = folder.path().join("development/set/snapshot");
            let writers: Vec<_> = (0..4)
                .map(|place| {
                    let session = if attempts { whole.attempt() } else { whole.clone() };
                    tokio::spawn(async move {
                        for number in 0.. {
                            let path = format!("mongodb/{place}.{number}");
                            let stored = session.small(PartKind::Metadata, path, ("", ""), vec![1]);
                            if stored.await.is_err() {
                                return number;
                            }
                        }
                        0
                    })
                })
                .collect();
            let begun = Instant::now();
            while !below.join("mongodb/3.2").exists() {
                assert!(begun.elapsed() < Duration::from_secs(30), "nothing is written");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            give_up(&whole.gate, &whole.journal, &whole.snapshot);
            assert!(!below.exists());
            for writer in writers {
                let stored = tokio::time::timeout(Duration::from_secs(30), writer).await;
                assert!(stored.unwrap().unwrap() > 0);
            }
            assert!(!below.exists());
        }
    }
}
