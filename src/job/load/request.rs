//! What a load was asked for.

use crate::repository::manifest::Manifest;
use crate::terms::StoreKind;

/// How thoroughly what was loaded is compared with the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// Counts and content digests, read back from the target.
    #[default]
    Digests,
    /// Counts only.
    Counts,
}

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The snapshot, an environment or a set of one; for a refresh, `None` means `refresh.from`.
    pub from: Option<String>,
    /// Only these stores.
    pub stores: Option<Vec<StoreKind>>,
    /// How thoroughly to compare.
    pub verify: Verify,
    /// Take and verify a snapshot of the target first.
    pub rollback_ready: bool,
    /// The target's data is lost or worthless: its name.
    pub discard_target: Option<String>,
}

/// The fingerprint of the key that a snapshot is masked with, if it is.
pub(super) fn fingerprint(manifest: &Manifest, store: StoreKind) -> Option<String> {
    match &manifest.anonymized {
        Some(rules) => Some(rules.key_fingerprint.clone()),
        // Taken without rules from an environment that holds masked data.
        None => manifest.store(store).and_then(|held| held.masked_with.clone()),
    }
}
