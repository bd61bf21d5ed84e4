//! An object of the schema, as the archive of pg_dump lists it.

use std::ops::Range;

/// An object of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub(super) span: Range<usize>,
    /// `TABLE`, `INDEX`, `FUNCTION`, …
    pub kind: String,
    /// Its schema, where it has one.
    pub schema: String,
    /// Its name, with that of its table before it where it has one.
    pub tag: String,
    /// The role that owns it, where it has one.
    pub owner: String,
    /// The statements that make it.
    pub definition: String,
}

impl Entry {
    #[cfg(test)]
    pub(super) fn of(kind: &str, schema: &str, tag: &str, definition: &str) -> Self {
        Self {
            span: 0..0,
            kind: kind.to_owned(),
            schema: schema.to_owned(),
            tag: tag.to_owned(),
            owner: String::new(),
            definition: definition.to_owned(),
        }
    }

    /// `schema.name` for messages.
    pub fn name(&self) -> String {
        if self.schema.is_empty() {
            self.tag.clone()
        } else {
            format!("{}.{}", self.schema, self.tag)
        }
    }
}
