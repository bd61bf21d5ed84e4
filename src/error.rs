//! The one error type: what failed, why, and what to do about it.
//!
//! Every public function of the library that can fail returns [`Result`]. An error carries a
//! [`Kind`], which is the exit code, a message in lower case that names what failed and on what,
//! the causes below it, and at most one hint. Only `main` prints it, once.
//!
//! A message must never hold a secret or a value read from a store: say where, not what.

use std::fmt;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it is; each is one exit code of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something went wrong while doing what was asked (1).
    Failed,
    /// The command line or the configuration is wrong (2).
    Usage,
    /// Part of the work was done and part was not (3).
    Partial,
    /// The work was done and found something: a mismatch, an uncovered column (4).
    Findings,
    /// Policy or a missing confirmation forbids it (5).
    Refused,
    /// No such snapshot or environment (10).
    NotFound,
    /// Another job holds the environment (11).
    Locked,
    /// A store or the repository cannot be reached (12).
    Unreachable,
    /// Stopped by a signal (130).
    Interrupted,
}

impl Kind {
    /// The process exit code of the contract.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::Findings => 4,
            Self::Refused => 5,
            Self::NotFound => 10,
            Self::Locked => 11,
            Self::Unreachable => 12,
            Self::Interrupted => 130,
        }
    }

    /// The word that `--json` uses for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Partial => "partial",
            Self::Findings => "findings",
            Self::Refused => "refused",
            Self::NotFound => "not-found",
            Self::Locked => "locked",
            Self::Unreachable => "unreachable",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A failure: its kind, its message, the causes below it and a hint.
#[derive(Debug, Clone)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug, Clone)]
struct Inner {
    kind: Kind,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Error {
    /// An error of `kind`; `message` is lower case, without a full stop.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let inner = Inner { kind, message: message.into(), causes: Vec::new(), hint: None };
        Self { inner: Box::new(inner) }
    }

    /// Exit 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// Exit 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Exit 2: a key, flag or command of the contract that this version does not do yet.
    pub fn not_built(what: impl fmt::Display) -> Self {
        Self::usage(format!("{what} is not built yet"))
    }

    /// Exit 4.
    pub fn findings(message: impl Into<String>) -> Self {
        Self::new(Kind::Findings, message)
    }

    /// Exit 5.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message)
    }

    /// Exit 10.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// Exit 11.
    pub fn locked(message: impl Into<String>) -> Self {
        Self::new(Kind::Locked, message)
    }

    /// Exit 12.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unreachable, message)
    }

    /// Adds a cause: another [`Error`] with all of its causes, or any error with its sources.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.inner.causes.extend(cause.into().0);
        self
    }

    /// Sets the hint: what the user can do, one line.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// Puts a wider statement above this error; its kind and its hint stay.
    #[must_use]
    pub fn context(mut self, message: impl Into<String>) -> Self {
        let inner = std::mem::replace(&mut self.inner.message, message.into());
        self.inner.causes.insert(0, inner);
        self
    }

    /// The kind, which is the exit code.
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// The message without causes and hint.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The causes, outermost first.
    pub fn causes(&self) -> &[String] {
        &self.inner.causes
    }

    /// What the user can do.
    pub fn hint_text(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        for cause in &self.inner.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// The lines of a cause, outermost first.
pub struct Cause(Vec<String>);

impl From<Error> for Cause {
    fn from(error: Error) -> Self {
        let mut lines = vec![error.inner.message];
        lines.extend(error.inner.causes);
        Self(lines)
    }
}

impl From<String> for Cause {
    fn from(line: String) -> Self {
        Self(vec![line])
    }
}

impl From<&str> for Cause {
    fn from(line: &str) -> Self {
        Self(vec![line.to_owned()])
    }
}

/// The lines of any standard error and of its sources, without repeating a line that an outer
/// one already ends with.
pub fn lines_of(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let mut lines = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        let line = error.to_string();
        if !lines.iter().any(|outer| outer.ends_with(&line)) {
            lines.push(line);
        }
        source = error.source();
    }
    lines
}

/// Turns the error of another library into ours, with a message of ours above it.
pub trait OrFail<T> {
    /// Exit 1 with `message` above the error.
    fn or_fail<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T>;
    /// Exit 2 with `message` above the error.
    fn or_usage<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T>;
    /// Exit 12 with `message` above the error.
    fn or_unreachable<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T>;
}

fn wrap(kind: Kind, message: String, cause: &(dyn std::error::Error + 'static)) -> Error {
    let mut error = Error::new(kind, message);
    error.inner.causes = lines_of(cause);
    error
}

impl<T, E: std::error::Error + 'static> OrFail<T> for std::result::Result<T, E> {
    fn or_fail<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|cause| wrap(Kind::Failed, message().into(), &cause))
    }

    fn or_usage<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|cause| wrap(Kind::Usage, message().into(), &cause))
    }

    fn or_unreachable<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|cause| wrap(Kind::Unreachable, message().into(), &cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_keeps_kind_hint_and_order() {
        let inner = Error::unreachable("connection refused").hint("start the server");
        let outer = inner.context("postgres of `development` cannot be reached");
        assert_eq!(outer.kind(), Kind::Unreachable);
        assert_eq!(outer.hint_text(), Some("start the server"));
        assert_eq!(outer.causes(), ["connection refused"]);
        assert_eq!(
            outer.to_string(),
            "postgres of `development` cannot be reached: connection refused"
        );
    }
}
