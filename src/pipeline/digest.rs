//! Order-independent content digests: what came back equals what went in.
//!
//! The digest of a table, collection or index is the sum, modulo 2^128, of one XXH3-128 hash per
//! row (its COPY text without the line feed), document (its BSON) or key. A sum does not depend
//! on the order in which parallel readers meet the records, and, unlike an exclusive or, counts
//! duplicates. It proves equality against accident; the SHA-256 of the stored parts stands
//! against tampering.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, Result};

/// The name that manifests use for this digest.
pub const ALGORITHM: &str = "sum-xxh3-128";

/// A sum of 128-bit hashes; written as 32 hex digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContentDigest(pub u128);

impl ContentDigest {
    /// Adds one record.
    pub fn add(&mut self, record: &[u8]) {
        self.add_hash(xxh3_128(record));
    }

    /// Adds the hash of one record, where the caller had to compute it in pieces.
    pub fn add_hash(&mut self, hash: u128) {
        self.0 = self.0.wrapping_add(hash);
    }

    /// Adds the records that another reader has met.
    pub fn merge(&mut self, other: Self) {
        self.add_hash(other.0);
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for ContentDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self).map_err(<D::Error as serde::de::Error>::custom)
    }
}

/// How the records of a part are delimited, for counting and digesting them as they flow by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordFormat {
    /// COPY text: every row ends with a line feed, which never stands inside a row.
    CopyText,
    /// BSON: every document begins with its own length, a little-endian i32.
    Bson,
    /// Statements, one a line: blocks end at line ends; not counted or digested here.
    Lines,
    /// Bytes without records of their own (an RDB, a large object's pages): not digested here.
    Opaque,
}

impl RecordFormat {
    /// Adds the records in `bytes`, which must be whole, and says how many there were.
    pub fn digest(self, bytes: &[u8], digest: &mut ContentDigest) -> Result<u64> {
        match self {
            Self::CopyText => digest_rows(bytes, digest),
            Self::Bson => digest_documents(bytes, digest),
            Self::Lines | Self::Opaque => Ok(0),
        }
    }
}

fn digest_rows(bytes: &[u8], digest: &mut ContentDigest) -> Result<u64> {
    let (mut rows, mut start) = (0, 0);
    for end in memchr::memchr_iter(b'\n', bytes) {
        digest.add(&bytes[start..end]);
        start = end + 1;
        rows += 1;
    }
    if start != bytes.len() {
        return Err(Error::failed("a block of COPY text ends inside a row"));
    }
    Ok(rows)
}

fn digest_documents(mut bytes: &[u8], digest: &mut ContentDigest) -> Result<u64> {
    let mut documents = 0;
    while !bytes.is_empty() {
        let length = document_length(bytes)?;
        let (document, rest) = bytes.split_at(length);
        digest.add(document);
        documents += 1;
        bytes = rest;
    }
    Ok(documents)
}

/// The length of the BSON document that `bytes` begins with, checked against what is there.
pub fn document_length(bytes: &[u8]) -> Result<usize> {
    let torn = || Error::failed("a block of BSON ends inside a document");
    let head = bytes.first_chunk::<4>().ok_or_else(torn)?;
    let length = usize::try_from(i32::from_le_bytes(*head)).map_err(|_| torn())?;
    if length < 5 || length > bytes.len() {
        return Err(torn());
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_duplicates_count() {
        let digest = |text: &[u8]| {
            let mut digest = ContentDigest::default();
            let rows = RecordFormat::CopyText.digest(text, &mut digest).unwrap();
            (rows, digest)
        };
        assert_eq!(digest(b"a\nb\n"), digest(b"b\na\n"));
        assert_ne!(digest(b"a\na\n"), digest(b"b\nb\n"));
        assert_ne!(digest(b"a\na\n").1, digest(b"").1);
    }

    #[test]
    fn torn_records_are_errors() {
        let mut digest = ContentDigest::default();
        assert!(RecordFormat::CopyText.digest(b"a\nb", &mut digest).is_err());
        assert!(RecordFormat::Bson.digest(&[6, 0, 0, 0, 0], &mut digest).is_err());
        assert!(RecordFormat::Bson.digest(&[4, 0, 0, 0], &mut digest).is_err());
    }
}
