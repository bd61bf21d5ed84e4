//! What of a schema a masked snapshot carries as it is: the kinds of things that hold literals.

use std::collections::{BTreeMap, BTreeSet};

use super::archive::Archive;
use super::entry::Entry;
use super::secrets::options;

/// What of a schema is carried as it is: one kind of thing that holds literals, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// `index predicates`, `policies`, …
    pub kind: &'static str,
    /// The objects, in the archive's order.
    pub names: Vec<String>,
}

impl Archive {
    /// What is carried as it is, with the literals in it.
    pub fn carried(&self) -> Vec<Carried> {
        let mut found: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for entry in self.entries() {
            for (index, (_, holds)) in KINDS.iter().enumerate() {
                if holds(entry) {
                    found.entry(index).or_default().push(entry.name());
                }
            }
        }
        let carried = |(index, names): (usize, Vec<String>)| {
            Some(Carried { kind: KINDS.get(index)?.0, names })
        };
        let mut all: Vec<Carried> = found.into_iter().filter_map(carried).collect();
        let owners: BTreeSet<&String> = self.entries().iter().map(|entry| &entry.owner).collect();
        let names: Vec<String> =
            owners.into_iter().filter(|owner| !owner.is_empty()).cloned().collect();
        if !names.is_empty() {
            all.push(Carried { kind: "role names of owners", names });
        }
        all
    }
}

type Holds = fn(&Entry) -> bool;

/// The kinds of things that hold literals.
const KINDS: [(&str, Holds); 17] = [
    ("views and rules", |entry| {
        matches!(entry.kind.as_str(), "VIEW" | "MATERIALIZED VIEW" | "RULE")
    }),
    ("function bodies", |entry| {
        matches!(entry.kind.as_str(), "FUNCTION" | "PROCEDURE" | "AGGREGATE")
    }),
    ("defaults", |entry| {
        entry.kind == "DEFAULT" || (has_columns(entry) && entry.definition.contains(" DEFAULT "))
    }),
    ("generated columns", |entry| {
        has_columns(entry) && entry.definition.contains(" GENERATED ALWAYS AS (")
    }),
    ("checks", |entry| {
        entry.kind == "CHECK CONSTRAINT"
            || (has_columns(entry) && entry.definition.contains(" CHECK ("))
    }),
    ("settings of functions", |entry| {
        matches!(entry.kind.as_str(), "FUNCTION" | "PROCEDURE")
            && entry.definition.contains("\n    SET ")
    }),
    ("index predicates", |entry| {
        // Exclusion constraints have them too.
        matches!(entry.kind.as_str(), "INDEX" | "CONSTRAINT")
            && entry.definition.contains(" WHERE (")
    }),
    ("extended statistics", |entry| {
        let what = entry.definition.split_once(" ON ").map(|(_, rest)| rest);
        entry.kind == "STATISTICS" && what.is_some_and(|rest| rest.contains('('))
    }),
    ("index expressions", |entry| entry.kind == "INDEX" && has_expression(&entry.definition)),
    ("policies", |entry| entry.kind == "POLICY"),
    ("conditions and arguments of triggers", |entry| {
        matches!(entry.kind.as_str(), "TRIGGER" | "EVENT TRIGGER")
    }),
    ("publication filters", |entry| {
        entry.kind.starts_with("PUBLICATION") && entry.definition.contains(" WHERE ")
    }),
    ("options of foreign objects", |entry| !options(&entry.definition).is_empty()),
    ("partition bounds", |entry| {
        matches!(entry.kind.as_str(), "TABLE" | "TABLE ATTACH")
            && entry.definition.contains("FOR VALUES ")
    }),
    ("enum labels", |entry| entry.kind == "TYPE" && entry.definition.contains(" AS ENUM (")),
    ("comments and labels", |entry| matches!(entry.kind.as_str(), "COMMENT" | "SECURITY LABEL")),
    ("role names in grants", |entry| {
        matches!(entry.kind.as_str(), "ACL" | "DEFAULT ACL" | "POLICY")
    }),
];

/// Whether the columns of an index are more than names.
fn has_expression(definition: &str) -> bool {
    let columns = definition.split_once(" USING ").and_then(|(_, rest)| rest.split_once('('));
    let Some((_, columns)) = columns else { return false };
    let end = [" INCLUDE (", " WHERE ("].iter().filter_map(|word| columns.find(word)).min();
    columns[..end.unwrap_or(columns.len())].contains('(')
}

/// Whether an entry defines columns, or what they are made of.
fn has_columns(entry: &Entry) -> bool {
    matches!(entry.kind.as_str(), "TABLE" | "FOREIGN TABLE" | "DOMAIN" | "TYPE")
}
