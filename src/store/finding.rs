//! What a preflight check found: one line of `pfdata check`.

use serde::Serialize;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was looked at, in a few words.
    pub what: String,
    /// What was found.
    pub detail: String,
    /// What the user can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    /// Something that is as it should be.
    pub fn good(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { ok: true, what: what.into(), detail: detail.into(), hint: None }
    }

    /// Something that is not, and what to do about it.
    pub fn bad(
        what: impl Into<String>,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { ok: false, what: what.into(), detail: detail.into(), hint: Some(hint.into()) }
    }
}
