//! Where a rule stands.

use std::fmt;
use std::sync::Arc;

/// A line of a rule file; prints as `people.toml:12`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    file: Arc<str>,
    line: usize,
}

impl Location {
    /// A line, from 1 on, of a file named relative to the rules folder.
    pub fn new(file: &str, line: usize) -> Self {
        Self { file: file.into(), line }
    }

    /// The file, relative to the rules folder.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1 on.
    pub fn line(&self) -> usize {
        self.line
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
