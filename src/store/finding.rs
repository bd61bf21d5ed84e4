//! What a preflight check found: one line of `pfdata check`.
//!
//! Made by each store's `check` and by `job::check`. A question that every store is asked has its
//! label and its words here; which store it is stands in a column of its own.

use serde::Serialize;

use crate::error::Error;

/// How far the clocks of this host and a server may be apart, in seconds.
const CLOCK_SECONDS: f64 = 5.0;

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
    /// Something that could not be found out, or that is refused.
    pub fn failed(what: impl Into<String>, error: &Error) -> Self {
        let hint = error.hint_text().map(str::to_owned);
        Self { ok: false, what: what.into(), detail: error.to_string(), hint }
    }

    /// `connection`: that the server at `place` answers, or why it does not.
    pub fn connection(place: &str, error: Option<&Error>) -> Self {
        match error {
            None => Self::good("connection", format!("{place} answers")),
            Some(error) => Self::failed("connection", error),
        }
    }

    /// `version`: what a server says that it is, such as `redis 7.0.15`.
    pub fn version(product: impl Into<String>) -> Self {
        Self::good("version", product)
    }

    /// `clock`: how far a server's clock, which says `server` seconds, is from this host's `here`.
    pub fn clock(server: f64, here: f64) -> Self {
        let apart = (server - here).abs();
        let detail = format!("{apart:.1} s apart");
        if apart <= CLOCK_SECONDS {
            Self::good("clock", detail)
        } else {
            Self::bad("clock", detail, "run a time service on both hosts")
        }
    }
}

/// What this host's clock says, in seconds since 1970.
pub fn clock_here() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_told_in_seconds_whichever_is_ahead() {
        assert_eq!(Finding::clock(100.04, 100.0), Finding::good("clock", "0.0 s apart"));
        assert_eq!(Finding::clock(95.5, 100.0).detail, "4.5 s apart");
        let apart = Finding::clock(105.25, 100.0);
        assert!(!apart.ok && apart.hint.is_some() && apart.detail == "5.2 s apart", "{apart:?}");
    }
}
