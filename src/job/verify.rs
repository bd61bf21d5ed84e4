//! Verifying snapshots: every stored byte is read back, unpacked and compared with the manifest.
//! Needs no database.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

use crate::error::Result;
use crate::pipeline::digest::ContentDigest;
use crate::policy::{Class, Clearance, Permit};
use crate::repository::Stored;
use crate::repository::facts::{self, Verified};
use crate::repository::manifest::{Part, PartKind, StoreManifest};
use crate::repository::part::{check_stored, read_blocks};
use crate::terms::StoreKind;

/// What verifying one snapshot found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The snapshot's id.
    pub snapshot: String,
    /// The environment.
    pub environment: String,
    /// The set.
    pub set: String,
    /// Whether all was as stored.
    pub passed: bool,
    /// How many parts were read.
    pub parts: u64,
    /// How many bytes of the repository were read.
    pub bytes_stored: u64,
    /// How long it took.
    pub elapsed_ms: u64,
    /// What is wrong, a line each.
    pub findings: Vec<String>,
}

/// Reads a snapshot back and records the result as a fact of it. `contradictions` is what is
/// wrong with its manifest alone.
pub async fn snapshot(stored: &Stored, contradictions: Vec<String>) -> Result<Report> {
    let copy = stored.clone();
    let report = super::blocking(move || check(&copy, contradictions)).await?;
    let fact = Verified {
        at: Timestamp::now(),
        passed: report.passed,
        parts: report.parts,
        tool: super::TOOL.to_owned(),
    };
    // A repository that is mounted read-only can still be verified.
    if let Err(error) = facts::verified(&stored.snapshot, &fact) {
        tracing::warn!(%error, "the verification could not be recorded");
    }
    Ok(report)
}

fn check(stored: &Stored, contradictions: Vec<String>) -> Result<Report> {
    let started = Instant::now();
    let manifest = &stored.manifest;
    // What is read here goes nowhere: it is hashed and dropped.
    let permit = Permit::stored(Clearance::Raw, Class::Live)?;
    let mut findings = contradictions;
    for store in &manifest.stores {
        let before = findings.len();
        let mut digests: BTreeMap<(&str, &str), (u64, ContentDigest)> = BTreeMap::new();
        for part in &store.parts {
            let format = part.format(store.store);
            match read_blocks(&stored.snapshot, part, format, &permit, |_| Ok(())) {
                Ok(digest) => {
                    let entry = digests.entry((&part.namespace, &part.name)).or_default();
                    if part.kind == PartKind::Data {
                        entry.0 += part.records;
                        entry.1.merge(digest);
                    }
                }
                Err(error) => findings.push(error.to_string()),
            }
        }
        if findings.len() == before {
            compare(store, &digests, &mut findings);
        }
    }
    Ok(Report {
        snapshot: manifest.id.clone(),
        environment: manifest.environment.clone(),
        set: manifest.set.clone(),
        passed: findings.is_empty(),
        parts: manifest.stores.iter().map(|store| store.parts.len() as u64).sum(),
        bytes_stored: manifest.bytes_stored(),
        elapsed_ms: super::milliseconds(started),
        findings,
    })
}

fn compare(
    store: &StoreManifest,
    digests: &BTreeMap<(&str, &str), (u64, ContentDigest)>,
    findings: &mut Vec<String>,
) {
    for collection in &store.collections {
        let place = (collection.namespace.as_str(), collection.name.as_str());
        let (records, digest) = digests.get(&place).copied().unwrap_or_default();
        // The digest of a Redis index is of its keys, which only the RDB codec can tell apart;
        // the part's SHA-256 has been checked above.
        let same_digest = store.store == StoreKind::Redis || digest == collection.digest;
        if records != collection.records || !same_digest {
            findings.push(format!(
                "the parts of {} `{}` add up to {records} records, and the manifest says {}{}",
                store.store,
                collection.name,
                collection.records,
                if same_digest { "" } else { "; their content digests differ" }
            ));
        }
    }
}

/// Checks the stored bytes of all parts of some stores, as a load does before it touches its
/// target; the first damaged part is the error.
pub async fn stored_bytes(stored: &Stored, stores: &[StoreKind]) -> Result<()> {
    let (stored, stores) = (stored.clone(), stores.to_vec());
    super::blocking(move || {
        let wanted = stored.manifest.stores.iter().filter(|store| stores.contains(&store.store));
        for part in wanted.flat_map(|store| &store.parts) {
            check_stored(&stored.snapshot, part)?;
        }
        Ok(())
    })
    .await
    .map_err(|error| {
        error
            .context("the snapshot is damaged; the target was not touched")
            .hint("choose another snapshot")
    })
}

/// The parts of a store of one kind.
pub fn parts_of(store: &StoreManifest, kind: PartKind) -> impl Iterator<Item = &Part> {
    store.parts.iter().filter(move |part| part.kind == kind)
}
