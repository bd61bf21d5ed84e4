//! `reviewed.toml`: the places that stars were reviewed for, one sorted list per environment.
//!
//! It is no rule file: it decides nothing about a value, and the digest of the rules leaves it
//! out. It only says which places under a star somebody has looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::coverage::{Coverage, Entry};
use super::paste::toml_text;
use crate::error::{Error, OrFail, Result};
use crate::terms::StoreKind;

/// The file's name in the rules folder.
pub(crate) const FILE: &str = "reviewed.toml";

const HEAD: &str = "# The places that stars were reviewed for: `pfdata rules review ENV` writes the \
                    list of ENV.\n";

/// The lists of all environments.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reviewed(BTreeMap<String, BTreeSet<String>>);

impl Reviewed {
    /// Reads the file of a rules folder; one that is missing lists nothing.
    pub fn load(folder: &Path) -> Result<Self> {
        Self::parse(&text(folder)?)
    }

    fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| Error::usage(format!("{FILE}: {what}"));
        let table = DeTable::parse(text).map_err(|error| wrong(error.message()))?;
        let mut lists = BTreeMap::new();
        for (key, value) in table.get_ref() {
            let environments = value.get_ref().as_table().filter(|_| key.get_ref() == "reviewed");
            let environments =
                environments.ok_or_else(|| wrong("it holds `[reviewed.ENV]` and nothing else"))?;
            for (environment, body) in environments {
                let places = body.get_ref().as_table().and_then(places).ok_or_else(|| {
                    wrong(&format!("`reviewed.{}` needs a list `places`", environment.get_ref()))
                })?;
                lists.insert(environment.get_ref().to_string(), places);
            }
        }
        Ok(Self(lists))
    }

    /// The list of an environment.
    pub fn of(&self, environment: &str) -> BTreeSet<String> {
        self.0.get(environment).cloned().unwrap_or_default()
    }

    /// Fails with [`Kind::Findings`](crate::error::Kind::Findings), naming them all, if a star
    /// covers places that the environment's list does not hold.
    pub fn require(&self, environment: &str, starred: &BTreeSet<String>) -> Result<()> {
        let listed = self.of(environment);
        let new: Vec<&str> =
            starred.iter().filter(|place| !listed.contains(*place)).map(String::as_str).collect();
        if new.is_empty() {
            return Ok(());
        }
        let what = if new.len() == 1 { "place" } else { "places" };
        Err(Error::findings(format!(
            "nobody has reviewed {} {what} that a star keeps: {}",
            new.len(),
            new.join(", ")
        ))
        .hint(format!(
            "give them rules, or look at them and run `pfdata rules review {environment}`"
        )))
    }
}

fn places(body: &DeTable<'_>) -> Option<BTreeSet<String>> {
    let mut found = None;
    for (key, value) in body {
        let DeValue::Array(list) = value.get_ref() else { return None };
        let texts = list.iter().map(|place| place.get_ref().as_str().map(str::to_owned));
        found = (key.get_ref() == "places").then(|| texts.collect::<Option<_>>()).flatten();
    }
    found
}

/// The text of the file; empty where it is missing.
pub(crate) fn text(folder: &Path) -> Result<String> {
    let path = folder.join(FILE);
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        other => other.or_usage(|| format!("{} cannot be read", path.display())),
    }
}

/// The places that a star keeps.
pub(crate) fn starred(coverage: &Coverage) -> BTreeSet<String> {
    coverage.entries.iter().filter(|entry| entry.starred).map(place).collect()
}

/// A place as the list has it: store, table or collection or key, column or path. A name that a
/// message may not show stands there as `*`.
pub(crate) fn place(entry: &Entry) -> String {
    let hidden = |name: &str| name.contains(['<', '>']) || name.contains('…');
    let item = match entry.store {
        StoreKind::Postgres | StoreKind::Redis => entry.item.clone(),
        StoreKind::Mongodb => {
            let step = |step: &str| {
                let name = step.trim_end_matches("[]");
                if hidden(name) { format!("*{}", &step[name.len()..]) } else { step.to_owned() }
            };
            entry.item.split('.').map(step).collect::<Vec<_>>().join(".")
        }
    };
    format!("{} {} {item}", entry.store, entry.place).trim_end().to_owned()
}

/// The file with the list of one environment written anew; all else stays as it stands.
pub(crate) fn rewritten(
    text: &str,
    environment: &str,
    places: &BTreeSet<String>,
) -> Result<String> {
    Reviewed::parse(text)?;
    let header = format!("[reviewed.{environment}]");
    let mut list = format!("{header}\nplaces = [\n");
    for place in places {
        list.push_str(&format!("  {},\n", toml_text(place)));
    }
    list.push_str("]\n");
    if text.trim().is_empty() {
        return Ok(format!("{HEAD}\n{list}"));
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_header = |line: &&str| line.starts_with('[');
    let is_own = |line: &&str| {
        let name: String =
            line.chars().filter(|letter| !matches!(letter, '"' | '\'' | ' ')).collect();
        name.trim_end().split('#').next() == Some(header.as_str())
    };
    let Some(begin) = lines.iter().position(is_own) else {
        let gap = if text.ends_with('\n') { "\n" } else { "\n\n" };
        return check(format!("{text}{gap}{list}"));
    };
    let rest = lines.get(begin + 1..).unwrap_or_default();
    let length = rest.iter().position(is_header).unwrap_or(rest.len());
    // What stands above the next list belongs to that one.
    let body = rest.get(..length).unwrap_or_default();
    let own = body.iter().rposition(|line| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    });
    let after = begin + 1 + own.map_or(0, |last| last + 1);
    let (before, after) = (lines.get(..begin), lines.get(after..));
    check(format!(
        "{}{list}{}",
        before.unwrap_or_default().concat(),
        after.unwrap_or_default().concat()
    ))
}

fn check(text: String) -> Result<String> {
    Reviewed::parse(&text).map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(places: &[&str]) -> BTreeSet<String> {
        places.iter().map(|place| (*place).to_owned()).collect()
    }

    #[test]
    fn one_list_is_written_and_the_others_stay_as_they_are() {
        let first =
            rewritten("", "production", &set(&["postgres a.b c", "mongodb \"x\" *"])).unwrap();
        assert!(first.starts_with("# "), "{first}");
        let second = rewritten(&first, "staging", &set(&[])).unwrap();
        let odd =
            second.replace("[reviewed.staging]\n", "# staging is odd\n[reviewed.staging] # x\n");
        let third = rewritten(&odd, "production", &set(&["new"])).unwrap();
        assert_eq!(
            third,
            format!(
                "{HEAD}\n[reviewed.production]\nplaces = [\n  \"new\",\n]\n\n# staging is odd\n[reviewed.staging] # x\nplaces = [\n]\n"
            )
        );
        assert_eq!(rewritten(&third, "production", &set(&["new"])).unwrap(), third);
        let last = rewritten(&third, "staging", &set(&["s"])).unwrap();
        let lists = Reviewed::parse(&last).unwrap();
        assert_eq!((lists.of("production"), lists.of("staging")), (set(&["new"]), set(&["s"])));
        assert_eq!(lists.of("other"), set(&[]));
        for text in
            ["x = 1", "[reviewed.a]\n", "[reviewed.a]\nplaces = [1]\n", "[reviewed", "reviewed = 2"]
        {
            assert!(rewritten(text, "a", &set(&[])).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_listed_is_named() {
        let lists = Reviewed::parse("[reviewed.a]\nplaces = [\"x\", \"y\"]\n").unwrap();
        assert!(lists.require("a", &set(&["x"])).is_ok());
        let error = lists.require("a", &set(&["x", "z"])).unwrap_err();
        assert!(error.message().ends_with("1 place that a star keeps: z"), "{error}");
        assert!(lists.require("b", &set(&["x"])).is_err());
    }

    #[test]
    fn names_that_may_be_data_stand_as_stars() {
        let entry = |item: &str| Entry {
            store: StoreKind::Mongodb,
            place: "people".into(),
            item: item.into(),
            verdict: super::super::Verdict::Kept,
            rule: None,
            at: None,
            starred: true,
        };
        assert_eq!(place(&entry("devices.<…>[].name")), "mongodb people devices.*[].name");
        assert_eq!(place(&entry("<email>")), "mongodb people *");
    }
}
