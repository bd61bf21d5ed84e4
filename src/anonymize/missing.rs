//! `rules check --missing`: the rules that lack, as a file to complete.
//!
//! Keys that are numbers or uuids are kept, referencing columns follow what they refer to, and
//! everything else is a placeholder: somebody has to decide.

use std::collections::{BTreeMap, BTreeSet};

use super::coverage::{Coverage, Entry, Verdict};
use super::paste::{key_pattern, spelled_path, toml_text};
use super::paths::PathPattern;
use super::pattern::Pattern;
use super::postgres::{LARGE_OBJECTS, PostgresPlan};
use super::postgres_decide::Tables;
use super::proposals::{is_key, proposal};
use super::pseudonym::Key;
use crate::store::shape::{BaseType, Column, Table};
use crate::terms::StoreKind;

/// A section of the file.
#[derive(Default)]
struct Section {
    lines: Vec<Line>,
}

enum Line {
    Rule { key: String, value: String, comment: String },
    Note(String),
}

/// Makes a file of sections; nothing where there are none.
pub(crate) fn file(sections: &[String]) -> Option<String> {
    let sections: Vec<&str> =
        sections.iter().map(String::as_str).filter(|section| !section.is_empty()).collect();
    (!sections.is_empty()).then(|| {
        format!(
            "# Decide about every \"?\": `pfdata rules list` shows the transformers.\n\
             version = 1\n\n{}",
            sections.join("\n")
        )
    })
}

/// The sections that a database lacks.
pub(crate) fn postgres(tables: &[Table], plan: &PostgresPlan, key: &Key) -> String {
    let index = Tables::new(tables);
    let roots = roots(tables, &index, plan);
    // By the name that the section has, in the order of the catalog.
    let mut order: Vec<String> = Vec::new();
    let mut sections: BTreeMap<String, (BTreeSet<String>, Section)> = BTreeMap::new();
    for (at, table) in tables.iter().enumerate() {
        for &column_at in plan.lacking(at) {
            let Some(column) = table.columns.get(column_at) else { continue };
            let header = owner(&index, table, column);
            let (seen, section) = sections.entry(header.clone()).or_insert_with(|| {
                order.push(header);
                Default::default()
            });
            if !seen.insert(column.name.clone()) {
                continue;
            }
            let is_root = roots.contains(&(at, column_at));
            section.lines.push(line(&index, table, column, is_root, key));
        }
    }
    let section = |header: &String| sections.get(header).map(|(_, section)| section.text(header));
    let mut text: Vec<String> = order.iter().filter_map(section).collect();
    let objects = plan.coverage();
    if objects.uncovered().any(|entry| entry.place == LARGE_OBJECTS && entry.rule.is_none()) {
        text.push(
            "[postgres.pg_largeobject]\n\"*\" = \"?\"  # \"keep\", \"drop\" or \"redact\"\n"
                .to_owned(),
        );
    }
    text.join("\n")
}

impl Section {
    fn text(&self, header: &str) -> String {
        let width = |line: &Line| match line {
            Line::Rule { key, .. } => key.chars().count(),
            Line::Note(_) => 0,
        };
        let width = self.lines.iter().map(width).max().unwrap_or(0).min(40);
        let mut text = format!("[postgres.{}]\n", toml_text(header));
        for line in &self.lines {
            text.push_str(&match line {
                Line::Rule { key, value, comment } => {
                    format!("{key:width$} = {value:6}  # {comment}\n")
                }
                Line::Note(note) => format!("# {note}\n"),
            });
        }
        text
    }
}

/// Columns without a rule that do not follow another: those that refer to none, and of a circle
/// the first.
fn roots(tables: &[Table], index: &Tables<'_>, plan: &PostgresPlan) -> BTreeSet<(usize, usize)> {
    let mut roots = BTreeSet::new();
    let mut waiting = Vec::new();
    for (at, table) in tables.iter().enumerate() {
        for &column_at in plan.lacking(at) {
            let Some(column) = table.columns.get(column_at) else { continue };
            let targets: Vec<_> = index.targets(table, &column.name).map(|(to, _)| to).collect();
            let place = (at, column_at);
            match targets.iter().any(|target| *target != place) {
                true => waiting.push((place, targets)),
                false => {
                    roots.insert(place);
                }
            }
        }
    }
    let mut settled: BTreeSet<(usize, usize)> = roots.clone();
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|(place, targets)| {
            let follows = targets.iter().any(|target| settled.contains(target));
            if follows {
                settled.insert(*place);
            }
            !follows
        });
        if waiting.len() == before {
            let (place, _) = waiting.remove(0);
            roots.insert(place);
            settled.insert(place);
        }
    }
    roots
}

/// The table that a column's rule belongs to: the farthest parent that it comes from.
fn owner(index: &Tables<'_>, table: &Table, column: &Column) -> String {
    let parents = table.parents.iter().rev();
    let mut from = parents.filter(|parent| index.inherits(column, parent));
    from.next().map_or_else(|| table.full_name(), |(schema, name)| format!("{schema}.{name}"))
}

fn line(index: &Tables<'_>, table: &Table, column: &Column, is_root: bool, key: &Key) -> Line {
    let what = describe(table, column);
    if !is_root && let Some((_, target)) = index.targets(table, &column.name).next() {
        return Line::Note(comment(&format!("{} {what}: follows {target}", column.name)));
    }
    let proposal = proposal(table, column, key);
    let kept = is_key(table, column);
    let value = if kept { "\"keep\"" } else { "\"?\"" }.to_owned();
    let proposed = match column.base {
        _ if kept => String::new(),
        BaseType::Json if !column.array => {
            format!("; proposed: {proposal} or {{ json = {{ \"$.…\" = … }} }}")
        }
        _ => format!("; proposed: {proposal}"),
    };
    let comment = format!("{}{proposed}", comment(&what));
    Line::Rule { key: toml_key(&column.name), value, comment }
}

/// What a column is: `character varying(120) not null unique`.
fn describe(table: &Table, column: &Column) -> String {
    let mut what = column.type_name.clone();
    if column.not_null {
        what.push_str(" not null");
    }
    let alone = |names: &Vec<String>| names.as_slice() == [column.name.as_str()];
    if table.primary_key.contains(&column.name) {
        what.push_str(" primary key");
    } else if table.unique.iter().any(alone) {
        what.push_str(" unique");
    }
    what
}

/// A text that can stand in a comment.
fn comment(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '·' } else { letter }).collect()
}

fn toml_key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { toml_text(name) }
}

/// The sections that the collections lack, as far as a sample of documents shows it.
pub(crate) fn mongodb(coverage: &Coverage) -> String {
    let mut sections: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for entry in lacking(coverage, StoreKind::Mongodb) {
        let paths = sections.entry(&entry.place).or_default();
        if !entry.item.is_empty() {
            paths.insert(spelled_path(&entry.item));
        }
    }
    let section = |(collection, paths): (&str, BTreeSet<String>)| {
        let mut text = format!("[mongodb.{}]\n", toml_text(collection));
        let all = BTreeSet::from(["*".to_owned()]);
        for path in if paths.is_empty() { &all } else { &paths } {
            let proposed = if path == "_id" { "  # proposed: \"keep\"" } else { "" };
            match PathPattern::mongodb(path) {
                Ok(_) => text.push_str(&format!("{} = \"?\"{proposed}\n", toml_text(path))),
                Err(_) => text.push_str(&format!("# no path says {}\n", comment(path))),
            }
        }
        text
    };
    sections.into_iter().map(section).collect::<Vec<_>>().join("\n")
}

/// The sections that the keys lack, as far as a sample of them shows it.
pub(crate) fn redis(coverage: &Coverage) -> String {
    let mut sections: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for entry in lacking(coverage, StoreKind::Redis) {
        let kind = entry.item.split(' ').next().unwrap_or_default();
        sections.entry(key_pattern(&entry.place)).or_default().insert(kind);
    }
    let mut told: Vec<Pattern> = Vec::new();
    let mut text = Vec::new();
    for (header, kinds) in sections {
        let Ok(pattern) = Pattern::redis(&header) else { continue };
        let header = toml_text(&header);
        let ties = |other: &Pattern| other.rank() == pattern.rank() && other.overlaps(&pattern);
        if told.iter().any(ties) {
            text.push(format!("# {} would tie with another pattern\n", comment(&header)));
            continue;
        }
        told.push(pattern);
        let line = |kind: &&str| match *kind {
            "hash" | "stream" => format!("{kind} = {{ \"*\" = \"?\" }}\n"),
            kind => format!("{kind} = \"?\"\n"),
        };
        let lines: String = kinds.iter().map(line).collect();
        text.push(format!("[redis.{header}]\n{lines}"));
    }
    text.join("\n")
}

/// What no rule matches, also no placeholder.
fn lacking(coverage: &Coverage, store: StoreKind) -> impl Iterator<Item = &Entry> {
    coverage.entries.iter().filter(move |entry| {
        entry.store == store && entry.verdict == Verdict::Uncovered && entry.rule.is_none()
    })
}

#[cfg(test)]
#[path = "missing_tests.rs"]
mod tests;
