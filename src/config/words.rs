//! The words that some keys choose from, and what they mean. Read by `data`, listed by the table
//! of keys; touches nothing.

/// `data.refresh.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What fits the target.
    Auto,
    /// A new database beside the live one.
    Database,
    /// Shadow schemas.
    Schema,
    /// Over the live data.
    InPlace,
}

impl Mode {
    pub(crate) const WORDS: [(&str, Self); 4] = [
        ("auto", Self::Auto),
        ("database", Self::Database),
        ("schema", Self::Schema),
        ("in-place", Self::InPlace),
    ];
}

/// `data.refresh.stores.<store>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// Loaded from the snapshot.
    Snapshot,
    /// Emptied.
    Empty,
    /// Left as it is.
    Keep,
}

impl Treatment {
    pub(crate) const WORDS: [(&str, Self); 3] =
        [("snapshot", Self::Snapshot), ("empty", Self::Empty), ("keep", Self::Keep)];
}

/// `data.migrate.require`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Require {
    /// No approval.
    None,
    /// Validation first.
    Validate,
    /// `--confirm --rollback-ready`.
    Confirm,
}

impl Require {
    pub(crate) const WORDS: [(&str, Self); 3] =
        [("none", Self::None), ("validate", Self::Validate), ("confirm", Self::Confirm)];
}

/// `data.anonymize.uncovered`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uncovered {
    /// The job stops.
    Fail,
    /// A neutral value is written and the job ends with 3.
    Redact,
}

impl Uncovered {
    pub(crate) const WORDS: [(&str, Self); 2] = [("fail", Self::Fail), ("redact", Self::Redact)];
}

/// `data.encryption.algorithm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// AES-256-GCM.
    Aes256Gcm,
}

impl Algorithm {
    pub(crate) const WORDS: [(&str, Self); 1] = [("aes-256-gcm", Self::Aes256Gcm)];
}

/// `ssl.minVersion`, and whether TLS 1.2 is refused.
pub(crate) const TLS_VERSIONS: [(&str, bool); 4] =
    [("1.2", false), ("1.3", true), ("TLSv1.2", false), ("TLSv1.3", true)];

/// The words alone.
pub(crate) fn names<T>(words: &[(&'static str, T)]) -> Vec<&'static str> {
    words.iter().map(|(word, _)| *word).collect()
}
