//! What the rules say about each column, path and key pattern: masked, kept, or nothing.

use std::collections::BTreeMap;

use super::listing;
use super::rules::{Location, Rule};
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
            paste(first, proposal.map(String::as_str))
        )))
    }

    /// Adds the places of another store.
    pub fn merge(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.remarks.extend(other.remarks);
        self.proposals.extend(other.proposals);
    }
}

/// What a rule says of a place: one entry, or for JSON one for each of its paths. `entry` says
/// where it is, and in `starred` whether the rule found it by a pattern.
pub(crate) fn of_rule(entry: Entry, rule: &Rule, out: &mut Vec<Entry>) {
    match rule {
        Rule::Each(inner) if matches!(**inner, Rule::Json(_)) => {
            of_rule(Entry { item: format!("{}[]", entry.item), ..entry }, inner, out);
        }
        Rule::Json(json) => {
            let below = listing::json_entries(json, entry.store, &entry.place, &entry.item);
            out.extend(below.into_iter().map(|below| Entry {
                starred: below.verdict == Verdict::Kept && (below.starred || entry.starred),
                rule: entry.rule.clone().or(below.rule),
                ..below
            }));
        }
        rule => {
            let verdict = listing::verdict(rule);
            out.push(Entry {
                verdict,
                starred: entry.starred && verdict == Verdict::Kept,
                rule: entry.rule.or_else(|| Some(rule.to_string())),
                ..entry
            });
        }
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

/// A section that would cover the place, as it stands in a rule file: under a rule that fits, or
/// under a placeholder where none is known.
pub(crate) fn paste(entry: &Entry, proposal: Option<&str>) -> String {
    let place = toml_text(&entry.place);
    match entry.store {
        StoreKind::Redis => {
            let pattern = toml_text(&super::missing::key_pattern(&entry.place));
            format!("[redis.{pattern}]\naction = \"drop\"")
        }
        StoreKind::Postgres if entry.item == "*" => format!("[postgres.{place}]\n\"*\" = \"drop\""),
        store => {
            let item = match store {
                StoreKind::Mongodb => super::missing::spelled_path(&entry.item),
                _ => entry.item.clone(),
            };
            let item = if item.is_empty() { "*" } else { &item };
            let rule = proposal.unwrap_or("\"?\"");
            format!("[{store}.{place}]\n{} = {rule}", toml_text(item))
        }
    }
}

/// A text as TOML quotes it.
pub(crate) fn toml_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            letter if letter.is_control() => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
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

    #[test]
    fn what_is_pasted_is_toml_whatever_the_names() {
        for name in
            ["a", "a.b", "q\"t", "b\\s", "nl\nx", "ü€", "\u{7f}\u{85}", "*", ":json", " ", "#", "]"]
        {
            for store in [StoreKind::Postgres, StoreKind::Mongodb, StoreKind::Redis] {
                let place = format!("s.{name}");
                let item = match store {
                    StoreKind::Postgres => name.to_owned(),
                    StoreKind::Mongodb => "a.<…>.b[]".to_owned(),
                    StoreKind::Redis => "string".to_owned(),
                };
                if store == StoreKind::Mongodb && name == "*" {
                    continue;
                }
                let entry = Entry {
                    store,
                    place,
                    item,
                    verdict: Verdict::Uncovered,
                    rule: None,
                    at: None,
                    starred: false,
                };
                let text = format!("version = 1\n{}\n", paste(&entry, None));
                let rules = crate::anonymize::RuleSet::parse(&[("p".into(), text.clone())]);
                assert!(rules.is_ok(), "{text}");
            }
        }
    }
}
