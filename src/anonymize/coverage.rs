//! What the rules say about each column, path and key pattern: masked, kept, or nothing.

use std::collections::BTreeMap;

use super::location::Location;
use super::paste::paste;
use crate::error::{Error, Result};
use crate::terms::StoreKind;

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
    /// Whether it is kept by a star, a pattern, a type or a default: no rule spells it out.
    pub starred: bool,
}

/// Every place of a plan, or of a sample.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Coverage {
    /// In the order of the store's catalog.
    pub entries: Vec<Entry>,
    /// What is worth knowing: rules that match nothing, constraints that cannot be judged.
    pub remarks: Vec<String>,
    /// Rules that would fit uncovered places, by place and item: for some of them.
    pub proposals: BTreeMap<(String, String), String>,
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
        // A column that only follows another is decided about there.
        let follows =
            |entry: &&Entry| entry.rule.as_deref().is_some_and(|rule| rule.starts_with("follows "));
        let mut uncovered: Vec<&Entry> = self.uncovered().collect();
        if !uncovered.iter().all(follows) {
            uncovered.retain(|entry| !follows(entry));
        }
        let Some(first) = uncovered.first() else { return Ok(()) };
        let names = if uncovered.len() > SHOWN {
            grouped(&uncovered)
        } else {
            uncovered.iter().map(|entry| name(entry)).collect::<Vec<_>>().join(", ")
        };
        let what = if uncovered.len() == 1 { "place" } else { "places" };
        let message = format!("no rule covers {} {what}: {names}", uncovered.len());
        let proposal = self.proposals.get(&(first.place.clone(), first.item.clone()));
        Err(Error::findings(message).hint(format!(
            "`pfdata rules check ENV --missing` writes all that lack; for example:\n{}",
            paste(first.store, &first.place, &first.item, proposal.map(String::as_str))
        )))
    }

    /// Adds the places of another store.
    pub fn merge(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.remarks.extend(other.remarks);
        self.proposals.extend(other.proposals);
    }
}

fn name(entry: &Entry) -> String {
    match entry.store {
        StoreKind::Redis => format!("redis key {} ({})", entry.place, entry.item),
        store if entry.item.is_empty() => format!("{store} {}", entry.place),
        store => format!("{store} {} {}", entry.place, entry.item),
    }
}

/// Many places, those of a table or collection behind its name.
fn grouped(entries: &[&Entry]) -> String {
    let mut text = String::new();
    let mut last = None;
    for entry in entries {
        let place = (entry.store, entry.place.as_str());
        if last == Some(place) && !entry.item.is_empty() {
            text.push_str(&format!(", {}", entry.item));
            continue;
        }
        if last.is_some() {
            text.push_str("; ");
        }
        text.push_str(&name(entry));
        last = Some(place);
    }
    text
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
        assert!(hint.ends_with("[postgres.\"public.users\"]\n\"email\" = \"?\""), "{hint}");
        let place = ("public.users".to_owned(), "email".to_owned());
        coverage.proposals.insert(place, "\"email\"".to_owned());
        let error = coverage.require_complete().unwrap_err();
        let hint = error.hint_text().unwrap();
        assert!(hint.ends_with("[postgres.\"public.users\"]\n\"email\" = \"email\""), "{hint}");
        assert_eq!((coverage.count(Verdict::Kept), coverage.count(Verdict::Masked)), (1, 0));
        // All are named, however many.
        for number in 0..1000 {
            coverage.entries.push(entry(&format!("c{number}"), Verdict::Uncovered));
        }
        let error = coverage.require_complete().unwrap_err();
        assert!(error.message().contains("1001 places: postgres public.users email, c0, c1, "));
        assert!(error.message().ends_with(", c999"), "{error}");
    }
}
