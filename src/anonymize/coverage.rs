//! What the rules say about each column, path and key pattern: masked, kept, or nothing.

use super::rules::Location;
use crate::error::{Error, Result};
use crate::store::StoreKind;

/// What the rules say about a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Values are replaced, nulled or dropped.
    Masked,
    /// Values pass, by an explicit rule.
    Kept,
    /// Nothing: a job stops here.
    Uncovered,
}

impl Verdict {
    /// The word that `rules check` shows.
    pub fn word(self) -> &'static str {
        match self {
            Self::Masked => "masked",
            Self::Kept => "kept",
            Self::Uncovered => "uncovered",
        }
    }
}

/// A place and what the rules say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The store it is in.
    pub store: StoreKind,
    /// The table, collection or, for Redis, the key pattern.
    pub place: String,
    /// The column, path, or type and field. Names that look like data are left out.
    pub item: String,
    /// What the rules say.
    pub verdict: Verdict,
    /// The rule in short, such as `email link=person.email unique`.
    pub rule: Option<String>,
    /// Where the rule stands.
    pub at: Option<Location>,
    /// Whether it is kept by a star, a pattern or a default: nobody has spelled it out.
    pub starred: bool,
}

/// Every place of a plan, or of a sample.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Coverage {
    /// In the order of the store's catalog.
    pub entries: Vec<Entry>,
    /// What is worth knowing: rules that match nothing, constraints that cannot be judged.
    pub remarks: Vec<String>,
}

impl Coverage {
    /// How many places have this verdict.
    pub fn count(&self, verdict: Verdict) -> u64 {
        self.entries.iter().filter(|entry| entry.verdict == verdict).count() as u64
    }

    /// The places without a rule.
    pub fn uncovered(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.verdict == Verdict::Uncovered)
    }

    /// Fails with [`Kind::Findings`](crate::error::Kind::Findings) if anything is uncovered,
    /// naming the first of it and giving rules to paste.
    pub fn require_complete(&self) -> Result<()> {
        const SHOWN: usize = 20;
        let uncovered: Vec<&Entry> = self.uncovered().collect();
        let Some(first) = uncovered.first() else { return Ok(()) };
        let mut names: Vec<String> =
            uncovered.iter().take(SHOWN).map(|entry| name(entry)).collect();
        if uncovered.len() > SHOWN {
            names.push(format!("and {} more", uncovered.len() - SHOWN));
        }
        let what = if uncovered.len() == 1 { "place" } else { "places" };
        let message = format!("no rule covers {} {what}: {}", uncovered.len(), names.join(", "));
        Err(Error::findings(message)
            .hint(format!("decide in a rule file, such as: {}", paste(first))))
    }

    /// Adds the places of another store.
    pub fn merge(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.remarks.extend(other.remarks);
    }
}

fn name(entry: &Entry) -> String {
    match entry.store {
        StoreKind::Redis => format!("redis key {} ({})", entry.place, entry.item),
        store if entry.item.is_empty() => format!("{store} {}", entry.place),
        store => format!("{store} {} {}", entry.place, entry.item),
    }
}

/// A rule that would cover the place, on one line.
pub(crate) fn paste(entry: &Entry) -> String {
    match entry.store {
        StoreKind::Redis => {
            format!("[redis.{}] action = \"drop\"", toml_text(&entry.place))
        }
        store => {
            let item = if entry.item.is_empty() { "*" } else { &entry.item };
            format!("[{store}.{}] {} = \"redact\"", toml_text(&entry.place), toml_text(item))
        }
    }
}

fn toml_text(text: &str) -> String {
    let mut quoted = Vec::new();
    super::jsontext::quote(text.as_bytes(), &mut quoted);
    String::from_utf8(quoted).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn what_is_uncovered_is_named_with_a_rule_to_paste() {
        let entry = |item: &str, verdict| Entry {
            store: StoreKind::Postgres,
            place: "public.users".into(),
            item: item.into(),
            verdict,
            rule: None,
            at: None,
            starred: false,
        };
        let mut coverage = Coverage::default();
        coverage.entries.push(entry("id", Verdict::Kept));
        assert!(coverage.require_complete().is_ok());
        coverage.entries.push(entry("email", Verdict::Uncovered));
        let error = coverage.require_complete().unwrap_err();
        assert_eq!(error.kind(), Kind::Findings);
        assert_eq!(error.message(), "no rule covers 1 place: postgres public.users email");
        let hint = error.hint_text().unwrap();
        assert!(hint.ends_with(r#"[postgres."public.users"] "email" = "redact""#), "{hint}");
        assert_eq!((coverage.count(Verdict::Kept), coverage.count(Verdict::Masked)), (1, 0));
    }
}
