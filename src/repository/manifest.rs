//! The manifest: what a snapshot holds, written last, never changed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::pipeline::codec::Codec;
use crate::pipeline::digest::{ContentDigest, RecordFormat};
use crate::policy::{Class, Clearance};
use crate::terms::{Consistency, Identity, StoreKind};

/// The repository format this version reads and writes.
pub const FORMAT: u32 = 1;

/// A snapshot's manifest, `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The snapshot's id, `20261121T030000Z-7f3a9c`.
    pub id: String,
    /// The environment it was read from.
    pub environment: String,
    /// The snapshot set it belongs to.
    pub set: String,
    /// The environment's class when it was read.
    pub class: Class,
    /// Whether it holds real data.
    pub clearance: Clearance,
    /// Whether it holds all of every store that the environment has.
    pub whole: bool,
    /// When the job began to read.
    pub created: Timestamp,
    /// When the last part was stored.
    pub finished: Timestamp,
    /// `pfdata X.Y.Z`.
    pub tool: String,
    /// The job that made it.
    pub job: String,
    /// `--tag K=V`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// `--note`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The rules it was taken under, or null.
    pub anonymized: Option<Anonymized>,
    /// The codec of the data parts: `zstd:1`, `gzip:6`, `none`.
    pub compression: String,
    /// The id of the encryption key, or null.
    pub encryption: Option<String>,
    /// What was read from each store.
    pub stores: Vec<StoreManifest>,
}

/// The rules a snapshot was taken under.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Anonymized {
    /// SHA-256 of the rule files, in name order.
    pub rules_digest: String,
    /// What tells two keys apart without telling the key; holds the mapping's version.
    pub key_fingerprint: String,
    /// How many columns, paths and key patterns were masked.
    pub masked: u64,
    /// How many were kept by an explicit rule.
    pub kept: u64,
    /// What was decided on every place, for whoever asks later; none in the manifests of older
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<Vec<Place>>,
}

/// A column, path or key pattern and what the rules did with it, in the words of
/// `rules check --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The store.
    pub store: StoreKind,
    /// Table, collection or key pattern.
    pub place: String,
    /// Column, path, type and field.
    pub item: String,
    /// `masked` or `kept`: a snapshot with any other is not taken.
    pub verdict: String,
    /// The rule in short.
    pub rule: Option<String>,
}

/// What was read from one store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoreManifest {
    /// Which store.
    pub store: StoreKind,
    /// Which server and database.
    pub identity: Identity,
    /// The server's version, as it says it.
    pub server_version: String,
    /// The moment the data is of.
    pub consistency: Consistency,
    /// Whether `--only` or `--exclude` left collections out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The fingerprint of the key that the data was masked with before it was read here; null
    /// where it is not known to be masked. For what this snapshot masked itself, see `anonymized`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked_with: Option<String>,
    /// `raw` where the store held real data although its environment is not live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Clearance>,
    /// Tables, collections, or the index, with their counts and digests.
    pub collections: Vec<CollectionManifest>,
    /// Every file of this store.
    pub parts: Vec<Part>,
    /// What of the structure a masked snapshot carries as it is, with the literals in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub structure: Vec<Structure>,
    /// What is worth knowing about it: what was left out and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// One kind of thing in a store's structure that holds literals or names, which no rule masks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structure {
    /// `index predicates`, `policies`, `validators`, …
    pub kind: String,
    /// How many there are.
    pub count: u64,
    /// The objects, the first [`NAMES_MAX`](Self::NAMES_MAX) of them.
    pub names: Vec<String>,
}

impl Structure {
    /// How many names are told of each kind.
    pub const NAMES_MAX: usize = 20;

    /// Of all the objects of a kind.
    pub fn of(kind: &str, mut names: Vec<String>) -> Self {
        let count = names.len() as u64;
        names.truncate(Self::NAMES_MAX);
        Self { kind: kind.to_owned(), count, names }
    }

    /// What is carried, in a sentence.
    pub fn told(all: &[Self]) -> Option<String> {
        let kinds: Vec<String> =
            all.iter().map(|found| format!("{} {}", found.count, found.kind)).collect();
        let names = "names, and literals in";
        (!kinds.is_empty()).then(|| {
            format!("the structure is stored as it is, with its {names} {}", kinds.join(", "))
        })
    }
}

/// A table, a collection or a Redis index: what must be there again after a restore.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollectionManifest {
    /// The Postgres schema or MongoDB database; empty for Redis.
    pub namespace: String,
    /// The table, collection or, for Redis, the index number.
    pub name: String,
    /// Rows, documents or keys.
    pub records: u64,
    /// Redis: how many of the keys expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiring: Option<u64>,
    /// The sum of the records' hashes.
    pub digest: ContentDigest,
    /// Where this collection is less consistent than its store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<crate::terms::Level>,
    /// Postgres: the columns that COPY carries, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

/// What a file of a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartKind {
    /// Rows, documents or keys.
    Data,
    /// The pg_dump archive of the schema.
    Schema,
    /// Statements that set sequences.
    Sequences,
    /// Settings of the database.
    Database,
    /// Large objects of Postgres.
    LargeObjects,
    /// Options and indexes of a MongoDB collection.
    Metadata,
}

/// A stored file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// A number unique in the snapshot.
    pub number: u32,
    /// What it is.
    pub kind: PartKind,
    /// Path below the snapshot's folder.
    pub path: String,
    /// The Postgres schema or MongoDB database it belongs to; empty where it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The table or collection, by its true name; empty where it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Which slice of it: `all`, `ctid 0..4096`, a range of `_id`.
    pub slice: String,
    /// What it is unpacked with; see [`codec`](Self::codec).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<Codec>,
    /// How its records are delimited; see [`format`](Self::format).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<RecordFormat>,
    /// Rows, documents, keys or large objects in it.
    pub records: u64,
    /// Bytes before compression.
    pub bytes_plain: u64,
    /// SHA-256 before compression, hex.
    pub sha256_plain: String,
    /// Bytes in the repository.
    pub bytes_stored: u64,
    /// SHA-256 of the file in the repository, hex.
    pub sha256_stored: String,
}

impl Part {
    /// What it is unpacked with. Manifests of older versions leave that to the path.
    pub fn codec(&self) -> Codec {
        self.codec.unwrap_or_else(|| Codec::of_path(&self.path))
    }

    /// How its records are delimited, as a part of `store`. Manifests of older versions do not
    /// tell; there it followed from what the part is.
    pub fn format(&self, store: StoreKind) -> RecordFormat {
        self.format.unwrap_or(match (store, self.kind) {
            (StoreKind::Postgres, PartKind::Data) => RecordFormat::CopyText,
            (StoreKind::Postgres, PartKind::LargeObjects) => RecordFormat::Lines,
            (StoreKind::Mongodb, PartKind::Data) => RecordFormat::Bson,
            _ => RecordFormat::Opaque,
        })
    }
}

impl Manifest {
    /// What was read from `store`, if it was.
    pub fn store(&self, store: StoreKind) -> Option<&StoreManifest> {
        self.stores.iter().find(|found| found.store == store)
    }

    /// Bytes of all parts in the repository.
    pub fn bytes_stored(&self) -> u64 {
        self.stores.iter().flat_map(|store| &store.parts).map(|part| part.bytes_stored).sum()
    }

    /// Bytes of all parts before compression.
    pub fn bytes_plain(&self) -> u64 {
        self.stores.iter().flat_map(|store| &store.parts).map(|part| part.bytes_plain).sum()
    }
}
