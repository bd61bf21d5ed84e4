//! Why a document or a value could not be cleared.

use super::location::Location;
use super::route::{Part, Route};
use crate::error::Error;

/// Why a document or value could not be cleared. Paths are shapes: parts that may be data are
/// left out of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Problem {
    /// No rule covers this path.
    Uncovered {
        /// The path, empty for the value as a whole.
        path: String,
    },
    /// No rule says what becomes of the names of the fields at this path.
    Names {
        /// The path of the object.
        path: String,
    },
    /// Two names of one object become equal.
    SameName {
        /// The path of the object.
        path: String,
    },
    /// The rule there cannot handle the value.
    Mismatch {
        /// The path, empty for the value as a whole.
        path: String,
        /// The rule, where it is known.
        at: Option<Location>,
        /// What is wrong with it, without the value itself.
        reason: &'static str,
    },
    /// The bytes are not what they should be.
    Broken(&'static str),
    /// One of these, whose path is the route.
    Within(Box<(Route, Self)>),
}

impl Problem {
    /// The problem at a place of a document.
    pub(crate) fn at(self, route: Route) -> Self {
        match self {
            Self::Within(inner) => Self::Within(Box::new((route.join(inner.0), inner.1))),
            problem => Self::Within(Box::new((route, problem))),
        }
    }

    /// The problem with its path as text; `frequent` says whether so many documents have the
    /// field to which a route leads that its name is none of their data.
    pub(crate) fn told(self, frequent: &dyn Fn(&[Part]) -> bool) -> Self {
        let Self::Within(within) = self else { return self };
        let (route, problem) = *within;
        let path = route.show(frequent);
        match problem {
            Self::Uncovered { .. } => Self::Uncovered { path },
            Self::Names { .. } => Self::Names { path },
            Self::SameName { .. } => Self::SameName { path },
            Self::Mismatch { at, reason, .. } => Self::Mismatch { path, at, reason },
            other => other,
        }
    }

    /// The error for a place such as "column `email` of `public.users`".
    pub(crate) fn into_error(self, place: &str, paste: impl FnOnce(&str) -> String) -> Error {
        let of = |path: &str| {
            if path.is_empty() { String::new() } else { format!("`{path}` of ") }
        };
        match self.told(&|_| false) {
            Self::Uncovered { path } => {
                Error::findings(format!("no rule covers {}{place}", of(&path))).hint(paste(&path))
            }
            Self::Names { path } => {
                let what = of(&path);
                Error::findings(format!("no rule decides about names of fields in {what}{place}"))
                    .hint(
                        "names are data too: spell them out, or say what becomes of them in the \
                         rule that covers them, such as { use = …, names = \"hash\" } or names = \
                         \"keep\"",
                    )
            }
            Self::SameName { path } => {
                Error::failed(format!("two names of fields in {}{place} become equal", of(&path)))
                    .hint("names = \"hash\" keeps them apart")
            }
            Self::Mismatch { path, at, reason } => {
                let rule = at.map_or(String::new(), |at| format!("the rule at {at} "));
                let what = of(&path);
                Error::failed(format!("{rule}cannot replace a value in {what}{place}: {reason}"))
                    .hint("another transformer may fit it, or on_error = \"redact\"")
            }
            Self::Broken(reason) => {
                Error::failed(format!("a value in {place} cannot be read: {reason}"))
            }
            // What was told has no route any more.
            Self::Within(_) => Error::failed(format!("a value in {place} cannot be read")),
        }
    }
}
