//! A snapshot whose storage fails, tears, loses an acknowledgement or dies at any one of its
//! operations is there whole or not at all, and the next job finds nothing in its way.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::*;
use crate::config::{Config, Environment};
use crate::job::journal::Journals;
use crate::pipeline::block::Block;
use crate::pipeline::codec::Compression;
use crate::pipeline::digest::RecordFormat;
use crate::pipeline::flow::BlockSink;
use crate::policy::{Class, Clearance, StructurePermit};
use crate::repository::Repository;
use crate::repository::lease::{Lease, Mode};
use crate::repository::manifest::{Part, PartKind};
use crate::repository::part::{PartSpec, PartWriter, check_stored};
use crate::repository::process::Holder;
use crate::repository::storage::Storage;
use crate::repository::storage::faulty::{Fault, Faulty};
use crate::repository::storage::local::Local;

const ENVIRONMENT: &str = "production";
const FIRST: &str = "20261121T030000Z-7f3a9c";
const SECOND: &str = "20261121T030000Z-000002";
const PARTS: u32 = 2;

/// A configuration and its repository.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["config", "backups"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let data = json!({ "data": { "repository": "file://./backups", "class": "live" } });
        fs::write(folder.path().join("config/production.json"), data.to_string()).unwrap();
        fs::write(folder.path().join("config/default.json"), "{}").unwrap();
        Self(folder)
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("backups")
    }

    fn environment(&self) -> Environment {
        let config = Config::load_with(&self.0.path().join("config"), None, HashMap::new());
        config.unwrap().environment(ENVIRONMENT).unwrap()
    }
}

/// Stores one part as the readers of stores do.
fn store(gate: &Gate, place: &Snapshot, number: u32, journal: &Journal) -> Result<Part> {
    let spec = PartSpec {
        number,
        kind: PartKind::Data,
        path: format!("redis/{number}.rdb"),
        namespace: String::new(),
        name: "0".to_owned(),
        slice: "all".to_owned(),
        format: RecordFormat::Opaque,
    };
    let mut writer = PartWriter::create(gate, place, spec, Compression::None)?;
    let permit = StructurePermit::unruled(Class::Live, false, Clearance::Raw)?;
    writer.write(&Block::structure(vec![7; 300 << 10], &permit))?;
    let (part, _) = writer.finish()?;
    journal.part(&part)?;
    Ok(part)
}

fn manifest(id: &str, parts: &[Part]) -> Manifest {
    let digest = "0".repeat(32);
    serde_json::from_value(json!({
        "format": 1, "id": id, "environment": ENVIRONMENT, "set": "raw", "class": "live",
        "clearance": "raw", "whole": true, "created": "2026-11-21T03:00:00Z",
        "finished": "2026-11-21T03:00:01Z", "tool": "t", "job": "j", "compression": "none",
        "encryption": null, "anonymized": null,
        "stores": [{
            "store": "redis", "server_version": "7.0.0",
            "identity": { "store": "redis", "server": "h:1", "run_id": "r", "db": 0 },
            "consistency": { "level": "point-in-time", "point": "1" },
            "collections": [{ "namespace": "", "name": "0", "records": 1, "digest": digest }],
            "parts": parts
        }]
    }))
    .unwrap()
}

/// A whole job without a server, as a process that nobody will find alive afterwards.
async fn snapshot(storage: Storage, id: &str) -> Result<()> {
    let repository = Repository::open_in(storage, None, true)?;
    let mut holder = Holder::this(id, "snapshot production");
    holder.started += 1;
    let lease = Lease::acquire(repository.storage(), ENVIRONMENT, Mode::Shared, holder)?;
    let place = repository.snapshot(ENVIRONMENT, "raw", id)?;
    let record = Record::new(repository.id(), "raw", id, serde_json::Value::Null);
    let journal = Journal::begin(&repository.jobs(ENVIRONMENT), id, &record)?;
    let read = async |gate| {
        let parts = (1..=PARTS).map(|number| store(&gate, &place, number, &journal));
        let parts: Vec<Part> = parts.collect::<Result<_>>()?;
        Ok((manifest(id, &parts), Vec::new()))
    };
    match take(&journal, &place, Some(&lease), read).await {
        Ok(_) => journal.done(Outcome::Done, None),
        Err(error) => match journal.done(Outcome::Failed, None) {
            Ok(()) => Err(error),
            Err(second) => Err(error.because(second)),
        },
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// What the next job finds, which takes a snapshot of its own in the end.
async fn next_job(desk: &Desk, told: &Result<()>, case: &str) {
    let storage = Storage::local(&desk.root());
    let repository = Repository::open_in(storage.clone(), None, true).unwrap();
    let holder = Holder::this("next", "test");
    let lease = Lease::acquire(&storage, ENVIRONMENT, Mode::Exclusive, holder);
    let lease = lease.unwrap_or_else(|error| panic!("{case}: {error}"));
    let journals = Journals::new(repository.jobs(ENVIRONMENT), []);
    clean_up_crashed(&journals, &desk.environment()).unwrap();
    assert!(journals.crashed().unwrap().is_empty(), "{case}: the job has an end");
    let (stored, unreadable) = repository.snapshots().unwrap();
    assert!(unreadable.is_empty(), "{case}");
    match stored.as_slice() {
        [] => {
            assert!(told.is_err(), "{case}: said to be there");
            assert_eq!(files(&desk.root().join(ENVIRONMENT)), [""; 0].map(PathBuf::from), "{case}");
        }
        [one] => {
            let parts = &one.manifest.stores[0].parts;
            assert_eq!(parts.len(), PARTS as usize, "{case}");
            parts.iter().for_each(|part| check_stored(&one.snapshot, part).unwrap());
        }
        more => panic!("{case}: {} snapshots", more.len()),
    }
    let unfinished = |path: &&PathBuf| path.to_string_lossy().contains("/.tmp-");
    assert_eq!(files(&desk.root()).iter().find(unfinished), None, "{case}");
    drop(lease);
    snapshot(storage, SECOND).await.unwrap();
    assert_eq!(repository.snapshots().unwrap().0.len(), stored.len() + 1, "{case}");
}

#[tokio::test]
async fn a_snapshot_is_whole_or_not_there_whatever_operation_goes_wrong() {
    for fault in [Fault::Fail, Fault::Tear, Fault::LoseAcknowledgement, Fault::Die] {
        let mut number = 1;
        loop {
            let desk = Desk::new();
            let faulty = Faulty::new(Local::new(&desk.root())).plan(number, fault);
            let told = snapshot(Storage::Faulty(faulty.clone()), FIRST).await;
            let case = format!("{fault:?} at operation {number}: {told:?}");
            next_job(&desk, &told, &case).await;
            if faulty.operations() < number {
                assert!(told.is_ok(), "{case}");
                break;
            }
            number += 1;
        }
        assert!(number > 20, "{fault:?}: only {number} operations");
    }
}
