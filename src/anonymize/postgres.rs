//! Rules laid over the tables of a Postgres database.
//!
//! Which rule decides about a column: of all keys in all sections that match, the one that names
//! the column most specifically (its name, a pattern, a type, `"*"`), and of equally specific
//! keys the one whose header names the table most specifically (the table itself, its nearest
//! parent, a pattern). So a general rule for a named column is not undone by a `"*" = "keep"`
//! of one table: that takes a rule for the column there.

use std::cmp::Reverse;

use super::action::{Action, Site};
use super::coverage::{Coverage, Entry, Verdict};
use super::pattern::{Pattern, suggest};
use super::places;
use super::postgres_checks as checks;
use super::pseudonym::Key;
use super::rows::{Buffers, RowRecord, RowTransform, RuledColumn, mask_field};
use super::rules::{NameRule, PostgresSection, Rule, RuleSet};
use super::transformers::Effect;
use super::{Applied, copytext};
use crate::config::policy::Permit;
use crate::error::{Error, Result};
use crate::pipeline::block::{Block, Cleared, Raw};
use crate::pipeline::transform::BlockTransform;
use crate::store::StoreKind;
use crate::store::shape::{Column, Table};

/// The header of the rules for large objects, and their table in coverage.
pub const LARGE_OBJECTS: &str = "pg_largeobject";

/// What happens to large objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LargeObjects {
    /// They pass, by an explicit rule.
    Keep,
    /// They are left out.
    Drop,
    /// They stay, empty, so that what refers to them finds them.
    Redact,
}

/// The rules of a database, resolved for every column.
pub struct PostgresPlan {
    pub(super) tables: Vec<TablePlan>,
    large_objects: Option<LargeObjects>,
    coverage: Coverage,
}

pub(super) struct TablePlan {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// The columns of its unique indexes.
    pub(super) unique: Vec<Vec<String>>,
    uncovered: usize,
    pub(super) ruled: Vec<RuledColumn>,
}

impl RuleSet {
    /// Lays the rules over `tables`, which must be all tables of the database: a rule that names
    /// another one is an error. `large_objects` says whether the database has any. Columns
    /// without a rule are not an error here but in [`Coverage::require_complete`].
    pub fn postgres(
        &self,
        tables: &[Table],
        large_objects: bool,
        key: &Key,
    ) -> Result<PostgresPlan> {
        let mut coverage = Coverage::default();
        self.check_names(tables, &mut coverage)?;
        let mut decisions: Vec<Vec<Option<&NameRule>>> = Vec::with_capacity(tables.len());
        for table in tables {
            let columns: Result<Vec<_>> =
                table.columns.iter().map(|column| self.decide(table, column)).collect();
            decisions.push(columns?);
        }
        let mut plans = Vec::with_capacity(tables.len());
        let places = places::of(tables);
        for ((table, decisions), places) in tables.iter().zip(&decisions).zip(&places) {
            plans.push(plan_table(table, decisions, places, key, &mut coverage)?);
        }
        checks::unique(tables, &decisions, key)?;
        checks::foreign_keys(tables, &decisions)?;
        checks::constraints(tables, &decisions, &mut coverage);
        let large_objects = self.large_objects(large_objects, &mut coverage)?;
        Ok(PostgresPlan { tables: plans, large_objects, coverage })
    }

    fn sections(&self) -> impl Iterator<Item = &PostgresSection> {
        self.postgres.iter().filter(|section| section.header != LARGE_OBJECTS)
    }

    /// Tables and columns that a rule names must exist.
    fn check_names(&self, tables: &[Table], coverage: &mut Coverage) -> Result<()> {
        for section in self.sections() {
            let pattern = Pattern::name(&section.header);
            let covered: Vec<&Table> = tables
                .iter()
                .filter(|table| header_rank(section, &pattern, table).is_some())
                .collect();
            if covered.is_empty() && !pattern.is_exact() {
                let remark = format!("{}: no table matches `{}`", section.at, section.header);
                coverage.remarks.push(remark);
                continue;
            }
            if covered.is_empty() {
                let error =
                    Error::usage(format!("{}: there is no table `{}`", section.at, section.header));
                let names: Vec<String> = tables.iter().map(Table::full_name).collect();
                let similar = suggest(&section.header, names.iter().map(String::as_str));
                return Err(match similar {
                    Some(similar) => error.hint(format!("did you mean `{similar}`?")),
                    None => error,
                });
            }
            for rule in &section.columns {
                let matches = |column: &Column| column_rank(&rule.name, column).is_some();
                if covered.iter().any(|table| table.columns.iter().any(matches)) {
                    continue;
                }
                let named = !rule.name.contains('*') && !rule.name.starts_with(':');
                if !(named && pattern.is_exact()) {
                    let remark = format!("{}: no column matches `{}`", rule.at, rule.name);
                    coverage.remarks.push(remark);
                    continue;
                }
                let error = Error::usage(format!(
                    "{}: `{}` has no column `{}` with data of its own",
                    rule.at, section.header, rule.name
                ));
                let columns = covered.iter().flat_map(|table| &table.columns);
                let names = columns.map(|column| column.name.as_str());
                return Err(match suggest(&rule.name, names) {
                    Some(similar) => error.hint(format!("did you mean `{similar}`?")),
                    None => error.hint("generated columns follow from the others and need no rule"),
                });
            }
        }
        Ok(())
    }

    fn decide(&self, table: &Table, column: &Column) -> Result<Option<&NameRule>> {
        let mut found: Vec<(Rank, &NameRule)> = Vec::new();
        for section in self.sections() {
            let pattern = Pattern::name(&section.header);
            let Some(header) = header_rank(section, &pattern, table) else { continue };
            let ranked = section
                .columns
                .iter()
                .filter_map(|rule| Some(((column_rank(&rule.name, column)?, header), rule)));
            found.extend(ranked);
        }
        let Some(best) = found.iter().map(|(rank, _)| *rank).max() else { return Ok(None) };
        let mut equal = found.iter().filter(|(rank, _)| *rank == best).map(|(_, rule)| *rule);
        let first = equal.next();
        if let (Some(first), Some(second)) = (first, equal.next()) {
            return Err(Error::usage(format!(
                "the rules at {} and {} are equally specific for column `{}` of {}",
                first.at,
                second.at,
                column.name,
                table.full_name()
            )));
        }
        Ok(first)
    }

    fn large_objects(&self, any: bool, coverage: &mut Coverage) -> Result<Option<LargeObjects>> {
        let mut decision = None;
        let sections = self.postgres.iter().filter(|section| section.header == LARGE_OBJECTS);
        for rule in sections.flat_map(|section| &section.columns) {
            if !matches!(rule.name.as_str(), "*" | "data") {
                return Err(Error::usage(format!(
                    "{}: `{LARGE_OBJECTS}` has nothing but `*` and `data`",
                    rule.at
                )));
            }
            let definition = rule.rule.spec().map(|spec| spec.definition);
            let word = match definition.map(|found| (found.effect, found.name)) {
                Some((Effect::Keep, _)) => LargeObjects::Keep,
                Some((Effect::Drop, _)) => LargeObjects::Drop,
                Some((_, "redact")) => LargeObjects::Redact,
                _ => {
                    return Err(Error::usage(format!(
                        "{}: large objects can be kept, dropped or redacted (emptied), nothing else",
                        rule.at
                    )));
                }
            };
            if let Some((_, other)) = decision.replace((word, &rule.at)) {
                return Err(Error::usage(format!(
                    "the rules at {other} and {} are equally specific for large objects",
                    rule.at
                )));
            }
        }
        if any {
            coverage.entries.push(Entry {
                store: StoreKind::Postgres,
                place: LARGE_OBJECTS.to_owned(),
                item: "*".to_owned(),
                verdict: match decision {
                    Some((LargeObjects::Keep, _)) => Verdict::Kept,
                    Some((LargeObjects::Drop | LargeObjects::Redact, _)) => Verdict::Masked,
                    None => Verdict::Uncovered,
                },
                rule: decision.map(|(word, _)| format!("{word:?}").to_lowercase()),
                at: decision.map(|(_, at)| at.clone()),
                starred: false,
            });
        }
        Ok(decision.map(|(word, _)| word))
    }
}

type HeaderRank = (bool, usize, Reverse<usize>);
type Rank = ((u8, usize), HeaderRank);

/// How specifically a header names a table: itself, a parent (nearest first), a pattern with
/// more fixed characters.
fn header_rank(section: &PostgresSection, pattern: &Pattern, table: &Table) -> Option<HeaderRank> {
    let own = (0, table.full_name());
    let parents = table.parents.iter().enumerate();
    let parents = parents.map(|(index, (schema, name))| (index + 1, format!("{schema}.{name}")));
    let exact = pattern.is_exact();
    std::iter::once(own)
        .chain(parents)
        .filter(
            |(_, name)| {
                if exact { *name == section.header } else { pattern.matches(name.as_bytes()) }
            },
        )
        .map(|(distance, _)| {
            let fixed = if exact { 0 } else { pattern.literal_bytes() };
            (exact, fixed, Reverse(distance))
        })
        .max()
}

/// How specifically a key names a column: by name, by pattern, by type, as the rest.
fn column_rank(key: &str, column: &Column) -> Option<(u8, usize)> {
    if let Some(type_name) = key.strip_prefix(':') {
        return checks::is_type(type_name, column).then_some((1, 0));
    }
    if key == "*" {
        return Some((0, 0));
    }
    if !key.contains('*') {
        return (key == column.name).then_some((3, 0));
    }
    let pattern = Pattern::name(key);
    pattern.matches(column.name.as_bytes()).then(|| (2, pattern.literal_bytes()))
}

fn plan_table(
    table: &Table,
    decisions: &[Option<&NameRule>],
    places: &[String],
    key: &Key,
    coverage: &mut Coverage,
) -> Result<TablePlan> {
    let mut ruled = Vec::new();
    let mut uncovered = 0;
    for (index, (column, decision)) in table.columns.iter().zip(decisions).enumerate() {
        let entry = |verdict, rule: Option<&NameRule>| Entry {
            store: StoreKind::Postgres,
            place: table.full_name(),
            item: column.name.clone(),
            verdict,
            rule: rule.map(|rule| rule.rule.to_string()),
            at: rule.map(|rule| rule.at.clone()),
            starred: false,
        };
        let Some(rule) = decision else {
            uncovered += 1;
            coverage.entries.push(entry(Verdict::Uncovered, None));
            continue;
        };
        let verdict = if rule.rule.keeps() { Verdict::Kept } else { Verdict::Masked };
        coverage.entries.push(entry(verdict, Some(rule)));
        let room = column.max_chars.map(|chars| chars as usize);
        let place = places.get(index).map_or("", String::as_str);
        let mut action = Action::compile(&rule.rule, key, Site { place, room })
            .map_err(|error| error.context(checks::refusal(table, column, rule)))?;
        checks::column(table, column, rule, &action)?;
        let record = RowRecord::of(table, column, &mut action)?;
        if !matches!(action, Action::Keep) {
            ruled.push(RuledColumn {
                index,
                name: column.name.clone(),
                action,
                kind: copytext::Kind { form: checks::form(column), padded: checks::padded(column) },
                record,
            });
        }
    }
    Ok(TablePlan {
        name: table.full_name(),
        columns: table.columns.clone(),
        unique: table.unique.clone(),
        uncovered,
        ruled,
    })
}

impl PostgresPlan {
    /// What the rules say about every column, and about large objects if there are any.
    pub fn coverage(&self) -> Coverage {
        self.coverage.clone()
    }

    /// The transform for the rows of a table, by its position in what the plan was made of. Fails
    /// with [`Kind::Findings`](crate::error::Kind::Findings) if one of its columns is uncovered.
    pub fn transform(&self, table: usize) -> Result<Box<dyn BlockTransform>> {
        let plan = self.table(table)?;
        if plan.uncovered > 0 {
            self.coverage_of(&plan.name).require_complete()?;
            return Err(Error::findings(format!("no rule covers all of {}", plan.name)));
        }
        let columns = plan.columns.len();
        Ok(Box::new(RowTransform::new(plan.name.clone(), columns, plan.ruled.clone())))
    }

    pub(super) fn coverage_of(&self, table: &str) -> Coverage {
        let entries = self.coverage.entries.iter().filter(|entry| entry.place == table);
        Coverage { entries: entries.cloned().collect(), remarks: Vec::new() }
    }

    pub(super) fn table(&self, table: usize) -> Result<&TablePlan> {
        self.tables
            .get(table)
            .ok_or_else(|| Error::failed(format!("the rules know no table number {table}")))
    }

    /// What happens to large objects; `None` where no rule says it.
    pub fn large_objects(&self) -> Option<LargeObjects> {
        self.large_objects
    }

    /// The transform for blocks of large objects: all or none of their records pass.
    pub fn large_object_transform(&self) -> Result<Box<dyn BlockTransform>> {
        let Some(decision) = self.large_objects else {
            return Err(Error::findings("no rule covers large objects")
                .hint(format!("decide: [postgres.\"{LARGE_OBJECTS}\"] \"*\" = \"drop\"")));
        };
        Ok(Box::new(LargeObjectTransform(decision, Permit::ruled(&Applied(())))))
    }

    /// Applies the rule of one column to one value in its text form, as `rules preview` shows
    /// it; `None` is null. Table and column are positions in what the plan was made of.
    pub fn apply_one(
        &self,
        table: usize,
        column: usize,
        value: Option<&str>,
    ) -> Result<Option<String>> {
        let plan = self.table(table)?;
        let Some(value) = value else { return Ok(None) };
        let Some(ruled) = plan.ruled.iter().find(|ruled| ruled.index == column) else {
            let name = plan.columns.get(column).map_or("?", |column| column.name.as_str());
            let coverage = self.coverage_of(&plan.name);
            if coverage.uncovered().any(|entry| entry.item == name) {
                return Err(Error::findings(format!(
                    "no rule covers column `{name}` of {}",
                    plan.name
                )));
            }
            return Ok(Some(value.to_owned()));
        };
        let (mut field, mut out) = (Vec::new(), Vec::new());
        copytext::escape(value.as_bytes(), &mut field);
        if field.is_empty() && !matches!(ruled.action, Action::Null) {
            return Ok(Some(String::new()));
        }
        let mut ruled = ruled.clone();
        // What is drawn per row is shown for a row that does not exist.
        ruled.action.each_masker(&mut |masker| masker.own_record(b"preview"));
        mask_field(&mut ruled, &mut Buffers::new(), &field, &mut out).map_err(|problem| {
            let place = format!("column `{}` of {}", ruled.name, plan.name);
            problem.into_error(&place, |path| format!("add \"{path}\" to its json rule"))
        })?;
        if out == copytext::NULL {
            return Ok(None);
        }
        let mut plain = Vec::new();
        copytext::unescape(&out, &mut plain)
            .map_err(|_| Error::failed("a masked value cannot be read back"))?;
        Ok(Some(String::from_utf8_lossy(&plain).into_owned()))
    }
}

/// How the line begins that creates a large object.
const CREATE_LARGE_OBJECT: &[u8] = b"SELECT pg_catalog.lo_create(";

struct LargeObjectTransform(LargeObjects, Permit);

impl BlockTransform for LargeObjectTransform {
    fn apply(&mut self, block: Block<Raw>) -> Result<Block<Cleared>> {
        Ok(match self.0 {
            LargeObjects::Keep => block.clear(&self.1),
            LargeObjects::Drop => Block::cleared(Vec::new(), 0, &self.1),
            LargeObjects::Redact => {
                // One statement a line: those that create objects stay, those with contents go.
                let lines = block.bytes().split_inclusive(|byte| *byte == b'\n');
                let creating = lines.filter(|line| line.starts_with(CREATE_LARGE_OBJECT));
                Block::cleared(creating.collect::<Vec<_>>().concat(), block.records(), &self.1)
            }
        })
    }
}

/// Whether a rule leaves a column as it is.
pub(crate) fn is_keep(rule: &Rule) -> bool {
    rule.spec().is_some_and(|spec| spec.definition.effect == Effect::Keep)
        && matches!(rule, Rule::Use(_))
}

#[cfg(test)]
#[path = "postgres_tests.rs"]
mod tests;
