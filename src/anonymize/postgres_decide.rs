//! Which rule decides about a column of a Postgres table.
//!
//! 1. A rule that spells the place out wins: the section names the table itself (or a parent that
//!    the column is inherited from, the nearest first), and the key is the column's name.
//! 2. Of all others that match, a mask beats a keep, whatever their patterns. Only a section's own
//!    default, `"*"`, gives way to any other key of the same section.
//! 3. Among masks, and among keeps, the most specific pattern wins: first by how it names the
//!    column (its name, a pattern, a type, `"*"`), then by how its section names the table (the
//!    table itself, its nearest parent, a pattern). Two that are equally specific are an error.
//!
//! A referencing column of a foreign key that no rule matches follows the column it refers to.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::pattern::Pattern;
use super::postgres_types::{TypeKey, type_key};
use super::rules::{NameRule, PostgresSection};
use crate::error::Error;
use crate::store::shape::{Column, Table};

/// The rule that decides about a column.
#[derive(Debug, Clone)]
pub(crate) struct Decided<'a> {
    pub(crate) rule: &'a NameRule,
    /// Whether it spells out table and column.
    pub(crate) spelled: bool,
    /// The column that it is the rule of, where this one only follows it: `schema.table.column`.
    pub(crate) follows: Option<String>,
}

/// A decision, or none, for every column of every table.
pub(crate) type Decisions<'a> = Vec<Vec<Option<Decided<'a>>>>;

/// Tables by schema and name.
pub(crate) struct Tables<'a> {
    tables: &'a [Table],
    places: HashMap<(&'a str, &'a str), usize>,
}

impl<'a> Tables<'a> {
    pub(crate) fn new(tables: &'a [Table]) -> Self {
        let place =
            |(at, table): (usize, &'a Table)| ((table.schema.as_str(), table.name.as_str()), at);
        Self { tables, places: tables.iter().enumerate().map(place).collect() }
    }

    /// Whether a column comes from this parent. One whose table is not at hand is partitioned, and
    /// has every column of its partitions.
    pub(crate) fn inherits(&self, column: &Column, (schema, name): &(String, String)) -> bool {
        let parent = self.places.get(&(schema.as_str(), name.as_str()));
        let has = |at: &usize| self.tables.get(*at).is_some_and(|table| has(table, &column.name));
        column.inherited && parent.is_none_or(has)
    }

    /// The columns that a foreign key ties this one to, and what the foreign key calls each. The
    /// table that it names may be partitioned: then it is its leaves.
    pub(crate) fn targets(
        &self,
        table: &'a Table,
        column: &str,
    ) -> impl Iterator<Item = ((usize, usize), String)> {
        let pairs = table.foreign_keys.iter().flat_map(move |key| {
            let pairs = key.columns.iter().zip(&key.target_columns);
            pairs.filter(move |(from, _)| *from == column).map(move |(_, to)| (key, to))
        });
        pairs.flat_map(move |(key, to)| {
            let named = (key.target_schema.as_str(), key.target_table.as_str());
            let own = self.places.get(&named).copied();
            let leaves = self.tables.iter().enumerate().filter(move |(_, table)| {
                own.is_none()
                    && table.parents.iter().any(|(s, n)| (s.as_str(), n.as_str()) == named)
            });
            own.into_iter().chain(leaves.map(|(at, _)| at)).filter_map(move |at| {
                let column = self.tables.get(at)?.columns.iter().position(|c| c.name == *to)?;
                Some(((at, column), format!("{}.{}.{to}", named.0, named.1)))
            })
        })
    }
}

fn has(table: &Table, name: &str) -> bool {
    table.columns.iter().any(|column| column.name == name)
}

/// A section with its keys made ready to match.
pub(crate) struct Section<'a> {
    pub(crate) section: &'a PostgresSection,
    pub(crate) pattern: Pattern,
    keys: Vec<Key<'a>>,
}

struct Key<'a> {
    rule: &'a NameRule,
    kind: KeyKind,
    keeps: bool,
}

enum KeyKind {
    Default,
    Type(TypeKey),
    /// Also every name that has no `*`.
    Name(Pattern),
}

/// How specifically a header names a table.
type HeaderRank = (bool, usize, Reverse<usize>);
/// How specifically a key names a column, and its header the table.
type Rank = ((u8, usize), HeaderRank);

impl<'a> Section<'a> {
    pub(crate) fn new(section: &'a PostgresSection) -> Self {
        let key = |rule: &'a NameRule| {
            let kind = match rule.name.strip_prefix(':') {
                _ if rule.name == "*" => KeyKind::Default,
                Some(name) => KeyKind::Type(type_key(name)),
                None => KeyKind::Name(Pattern::name(&rule.name)),
            };
            Key { rule, kind, keeps: rule.rule.keeps() }
        };
        Self {
            section,
            pattern: Pattern::name(&section.header),
            keys: section.columns.iter().map(key).collect(),
        }
    }

    /// How specifically the header names the table: itself, a parent (nearest first), a pattern
    /// with more fixed characters.
    pub(crate) fn rank(&self, table: &Table) -> Option<HeaderRank> {
        let own = (0, table.full_name());
        let parents = table.parents.iter().enumerate();
        let parents = parents.map(|(at, (schema, name))| (at + 1, format!("{schema}.{name}")));
        let rank = |(distance, name): (usize, String)| {
            if name == self.section.header {
                return Some((true, 0, Reverse(distance)));
            }
            let matches = !self.pattern.is_exact() && self.pattern.matches(name.as_bytes());
            matches.then(|| (false, self.pattern.literal_bytes(), Reverse(distance)))
        };
        std::iter::once(own).chain(parents).filter_map(rank).max()
    }

    /// The rules that match no column of these tables.
    pub(crate) fn unmatched(&self, covered: &[&Table]) -> impl Iterator<Item = &'a NameRule> {
        let matches = |key: &Key<'_>| {
            let any = |table: &&Table| table.columns.iter().any(|own| key.rank(own).is_some());
            covered.iter().any(any)
        };
        self.keys.iter().filter(move |key| !matches(key)).map(|key| key.rule)
    }
}

impl Key<'_> {
    /// By name, by pattern, by type, as the rest. A name is itself before it is a pattern.
    fn rank(&self, column: &Column) -> Option<(u8, usize)> {
        let is_name = self.rule.name == column.name;
        match &self.kind {
            KeyKind::Default => Some((0, 0)),
            _ if is_name => Some((3, 0)),
            KeyKind::Type(key) => key.matches(column).then(|| (1, key.is_whole().into())),
            KeyKind::Name(pattern) if pattern.is_exact() => None,
            KeyKind::Name(pattern) => {
                pattern.matches(column.name.as_bytes()).then(|| (2, pattern.literal_bytes()))
            }
        }
    }
}

struct Candidate<'a> {
    rank: Rank,
    rule: &'a NameRule,
    header: &'a str,
    spelled: bool,
    keeps: bool,
}

/// Decides about every column of a table; of what cannot be decided `refuse` is told.
pub(crate) fn table<'a>(
    sections: &[Section<'a>],
    tables: &Tables<'_>,
    table: &Table,
    mut refuse: impl FnMut(Error),
) -> Vec<Option<Decided<'a>>> {
    let covering: Vec<(&Section<'a>, HeaderRank)> =
        sections.iter().filter_map(|section| Some((section, section.rank(table)?))).collect();
    let decide = |column: &Column| {
        let candidates = covering.iter().flat_map(|(section, header)| {
            let Reverse(distance) = header.2;
            let of_table = header.0
                && match distance.checked_sub(1).and_then(|at| table.parents.get(at)) {
                    Some(parent) => tables.inherits(column, parent),
                    None => true,
                };
            section.keys.iter().filter_map(move |key| {
                let rank = (key.rank(column)?, *header);
                let spelled = of_table && rank.0 == (3, 0);
                let header = section.section.header.as_str();
                Some(Candidate { rank, rule: key.rule, header, spelled, keeps: key.keeps })
            })
        });
        choose(candidates.collect()).map_err(|(first, second)| {
            Error::usage(format!(
                "the rules at {} and {} are equally specific for column `{}` of {}",
                first.at,
                second.at,
                column.name,
                table.full_name()
            ))
        })
    };
    let mut decided = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        decided.push(decide(column).unwrap_or_else(|error| {
            refuse(error);
            None
        }));
    }
    decided
}

/// The candidate that wins, or two that are equally specific.
fn choose<'a>(
    mut candidates: Vec<Candidate<'a>>,
) -> std::result::Result<Option<Decided<'a>>, (&'a NameRule, &'a NameRule)> {
    if candidates.iter().any(|candidate| candidate.spelled) {
        candidates.retain(|candidate| candidate.spelled);
    } else {
        let others: Vec<&str> = candidates
            .iter()
            .filter(|candidate| candidate.rank.0.0 > 0)
            .map(|candidate| candidate.header)
            .collect();
        candidates.retain(|one| one.rank.0.0 > 0 || !others.contains(&one.header));
        if candidates.iter().any(|candidate| !candidate.keeps) {
            candidates.retain(|candidate| !candidate.keeps);
        }
    }
    let Some(best) = candidates.iter().map(|candidate| candidate.rank).max() else {
        return Ok(None);
    };
    let mut equal = candidates.iter().filter(|candidate| candidate.rank == best);
    match (equal.next(), equal.next()) {
        (Some(first), Some(second)) => Err((first.rule, second.rule)),
        (first, _) => Ok(first.map(|first| Decided {
            rule: first.rule,
            spelled: first.spelled,
            follows: None,
        })),
    }
}

/// A table and a column of it, by their positions.
type Position = (usize, usize);

/// Gives referencing columns without a rule that of the column they refer to, and so on along the
/// keys; a circle in which nobody has a rule stays without.
pub(crate) fn follow(tables: &Tables<'_>, decisions: &mut Decisions<'_>) {
    let mut waiting: Vec<(Position, Vec<(Position, String)>)> = Vec::new();
    for (at, (table, decided)) in tables.tables.iter().zip(&*decisions).enumerate() {
        let columns = table.columns.iter().zip(decided).enumerate();
        for (index, (column, _)) in columns.filter(|(_, (_, decided))| decided.is_none()) {
            let targets: Vec<_> = tables.targets(table, &column.name).collect();
            if !targets.is_empty() {
                waiting.push(((at, index), targets));
            }
        }
    }
    loop {
        let before = waiting.len();
        waiting.retain(|((at, index), targets)| {
            let found = targets.iter().find_map(|((table, column), name)| {
                let decided = decisions.get(*table)?.get(*column)?.as_ref()?;
                let follows = decided.follows.clone().unwrap_or_else(|| name.clone());
                Some(Decided { follows: Some(follows), ..decided.clone() })
            });
            let place = decisions.get_mut(*at).and_then(|table| table.get_mut(*index));
            match (found, place) {
                (Some(found), Some(place)) => {
                    *place = Some(found);
                    false
                }
                _ => true,
            }
        });
        if waiting.len() == before {
            return;
        }
    }
}

#[cfg(test)]
#[path = "postgres_decide_tests.rs"]
mod tests;
