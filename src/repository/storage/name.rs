//! Names of objects: checked once, where they are made, so that nothing outside is ever reached.

use std::fmt;

use crate::error::{Error, Result};

/// The name of an object, or of what several lie under: steps with `/` between them.
///
/// No step is empty, `.` or `..`, and none holds a backslash or a zero byte. The empty name is that
/// of everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// What everything lies under.
    pub fn root() -> Self {
        Self(String::new())
    }

    /// The name that `text` writes.
    ///
    /// # Errors
    ///
    /// Exit 1 where it could lead out of its storage.
    pub fn new(text: &str) -> Result<Self> {
        if text.split('/').all(is_step) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::failed(format!("`{text}` is no name in a repository")))
    }

    /// The name one step below this one; the same errors as [`new`](Self::new), and where `step`
    /// is more than one.
    pub fn child(&self, step: &str) -> Result<Self> {
        if !is_step(step) {
            return Err(Error::failed(format!("`{step}` is no name in a repository")));
        }
        self.join(step)
    }

    /// The name that `below` writes, below this one; the same errors as [`new`](Self::new).
    pub fn join(&self, below: &str) -> Result<Self> {
        let below = Self::new(below)?;
        if self.is_root() { Ok(below) } else { Ok(Self(format!("{self}/{below}"))) }
    }

    /// Whether this is the name of everything.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its steps, the outermost first; none of the root's.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|step| !step.is_empty())
    }

    /// What is left of it below `under`, where it lies there.
    pub fn below(&self, under: &Self) -> Option<&str> {
        if under.is_root() {
            return Some(&self.0);
        }
        self.0.strip_prefix(under.as_str())?.strip_prefix('/')
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `text` may be one step of a name.
pub(super) fn is_step(text: &str) -> bool {
    !text.is_empty() && text != "." && text != ".." && !text.contains(['/', '\\', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for bad in
            ["", "/", "/etc/passwd", "..", "../x", "a/../b", "a//b", "a/", "./a", "a\\b", "\0"]
        {
            assert!(Name::new(bad).is_err(), "{bad}");
            assert!(Name::root().join(bad).is_err(), "{bad}");
            assert!(Name::new("a").unwrap().child(bad).is_err(), "{bad}");
        }
        assert!(Name::root().child("a/b").is_err());
        let name = Name::new("a/b").unwrap().child("..c").unwrap();
        assert_eq!(name.as_str(), "a/b/..c");
        assert_eq!(name.below(&Name::new("a").unwrap()), Some("b/..c"));
        assert_eq!(name.below(&Name::root()), Some("a/b/..c"));
        assert_eq!(Name::new("ab/c").unwrap().below(&Name::new("a").unwrap()), None);
        assert_eq!(name.steps().next_back(), Some("..c"));
    }
}
