//! What of a database is read.

use super::ranges::RANGE_BYTES;

/// What of a database is read.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// Names of the collections and views to read, `*` standing for any characters; empty means
    /// all.
    pub only: Vec<String>,
    /// Names of those to leave out.
    pub exclude: Vec<String>,
    /// How large a range of a split collection should be, in bytes of documents.
    pub range_bytes: u64,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self { only: Vec::new(), exclude: Vec::new(), range_bytes: RANGE_BYTES }
    }
}
