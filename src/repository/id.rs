//! Snapshot and job ids, and the words that name a snapshot on the command line.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::names;
use crate::error::{Error, Result};

/// A new id, sortable by time: `20261121T030000Z-7f3a9c` (UTC).
pub fn new_id(now: Timestamp) -> String {
    format!("{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), names::random_hex(3))
}

/// A new job id, `20261121T030000.123Z-7f3a9c`: the jobs of an environment sort in the order in
/// which they began, also within a second.
pub fn new_job_id(now: Timestamp) -> String {
    format!("{}-{}", now.strftime("%Y%m%dT%H%M%S.%3fZ"), names::random_hex(3))
}

/// Whether `text` has the shape of an id.
pub fn is_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 23
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 => *byte == b'T',
            15 => *byte == b'Z',
            16 => *byte == b'-',
            17.. => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            _ => byte.is_ascii_digit(),
        })
}

/// Whether `text` is an id that a snapshot begun at `created` can have.
pub fn is_of(text: &str, created: Timestamp) -> bool {
    is_id(text) && text.starts_with(&created.strftime("%Y%m%dT%H%M%SZ-").to_string())
}

/// Which of several snapshots is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// The newest.
    Latest,
    /// The newest anonymized one.
    LatestAnonymized,
    /// The newest of that day (UTC) or before.
    At(Date),
}

/// How a snapshot was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotRef {
    /// An id or the beginning of one.
    Id(String),
    /// `[ENV[/SET]@]WHEN`: a whole snapshot.
    Newest {
        /// The environment; `None` where it is clear from elsewhere.
        environment: Option<String>,
        /// The set; `None` for any.
        set: Option<String>,
        /// Which of them.
        when: When,
    },
}

impl FromStr for SnapshotRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (place, word) = match text.rsplit_once('@') {
            Some((place, word)) => (Some(place), word),
            None => (None, text),
        };
        let when = match word {
            "latest" => Some(When::Latest),
            "latest-anonymized" => Some(When::LatestAnonymized),
            _ => word.parse::<Date>().ok().filter(|_| word.contains('-')).map(When::At),
        };
        match (place, when) {
            (None, Some(when)) => Ok(Self::Newest { environment: None, set: None, when }),
            (Some(place), Some(when)) => {
                let (environment, set) = match place.split_once('/') {
                    Some((environment, set)) => (environment, Some(set.to_owned())),
                    None => (place, None),
                };
                if environment.is_empty() || set.as_deref() == Some("") {
                    return Err(not_a_snapshot(text));
                }
                Ok(Self::Newest { environment: Some(environment.to_owned()), set, when })
            }
            (None, None) if text.len() >= 4 && text.starts_with(|c: char| c.is_ascii_digit()) => {
                Ok(Self::Id(text.to_owned()))
            }
            _ => Err(not_a_snapshot(text)),
        }
    }
}

impl fmt::Display for SnapshotRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => f.write_str(id),
            Self::Newest { environment, set, when } => {
                if let Some(environment) = environment {
                    f.write_str(environment)?;
                    if let Some(set) = set {
                        write!(f, "/{set}")?;
                    }
                    f.write_str("@")?;
                }
                match when {
                    When::Latest => f.write_str("latest"),
                    When::LatestAnonymized => f.write_str("latest-anonymized"),
                    When::At(date) => write!(f, "{date}"),
                }
            }
        }
    }
}

/// The UTC day of a moment.
pub fn day_of(moment: Timestamp) -> Date {
    moment.to_zoned(TimeZone::UTC).date()
}

fn not_a_snapshot(text: &str) -> Error {
    Error::not_found(format!("`{text}` does not name a snapshot")).hint(
        "write an id, a prefix of one, ENV@latest, ENV/SET@latest, ENV@latest-anonymized or ENV@2026-08-01",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_have_their_shape() {
        let id = new_id("2026-11-21T03:00:00Z".parse().unwrap());
        assert!(id.starts_with("20261121T030000Z-"), "{id}");
        assert!(is_id(&id));
        assert!(!is_id("20261121T030000Z-7f3a9"));
        assert!(!is_id("20261121T030000Z-7f3a9G"));
    }

    #[test]
    fn references_are_read_and_written_alike() {
        for text in [
            "latest",
            "production@latest",
            "production/raw@latest",
            "production@latest-anonymized",
            "production@2026-08-01",
            "20261121T030000Z-7f3a9c",
            "20261121T03",
        ] {
            assert_eq!(text.parse::<SnapshotRef>().unwrap().to_string(), text);
        }
        for bad in ["", "production", "production@", "@latest", "production/@latest", "../x", "12"]
        {
            assert!(bad.parse::<SnapshotRef>().is_err(), "{bad}");
        }
    }
}
