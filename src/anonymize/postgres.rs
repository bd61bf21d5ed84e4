//! Rules laid over the tables of a Postgres database.

use super::action::Action;
use super::arrays;
use super::coverage::{Coverage, Entry, Verdict};
use super::listing;
use super::masker::Site;
use super::pattern::suggest;
use super::places;
use super::postgres_checks as checks;
use super::postgres_decide::{self as decide, Decided, Decisions, Section, Tables};
use super::problems::Problems;
use super::proposals;
use super::pseudonym::Key;
use super::rows::{Buffers, RowRecord, RowTransform, RuledColumn, mask_field};
use super::rules::{NameRule, PostgresSection, RuleSet};
use super::transformers::Effect;
use crate::error::{Error, Result};
use crate::pipeline::block::{Block, Cleared, Raw};
use crate::pipeline::copytext;
use crate::pipeline::transform::BlockTransform;
use crate::policy::Applied;
use crate::policy::Permit;
use crate::store::shape::{Column, Table};
use crate::terms::StoreKind;

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

#[derive(Clone)]
pub(super) struct TablePlan {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// The columns of its unique indexes.
    pub(super) unique: Vec<Vec<String>>,
    /// The columns that nobody has decided about.
    open: Vec<usize>,
    /// Those of them that no rule matches: they have no placeholder either.
    lacking: Vec<usize>,
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
        let (mut coverage, mut problems) = (Coverage::default(), Problems::default());
        let sections: Vec<Section<'_>> = self.sections().map(Section::new).collect();
        check_names(&sections, tables, &mut coverage, &mut problems);
        let index = Tables::new(tables);
        let decide = |table| decide::table(&sections, &index, table, |error| problems.add(error));
        let mut decisions: Decisions<'_> = tables.iter().map(decide).collect();
        decide::follow(&index, &mut decisions);
        let places = places::of(tables);
        let mut plans = Vec::with_capacity(tables.len());
        for ((table, decisions), places) in tables.iter().zip(&decisions).zip(&places) {
            let planning = Planning { table, key, places };
            plans.push(planning.plan(decisions, &mut coverage, &mut problems));
        }
        let rules: Vec<Vec<Option<&NameRule>>> = decisions.iter().map(|of| decided(of)).collect();
        checks::unique(tables, &rules, key, &mut problems);
        checks::partition_keys(tables, &rules, &mut problems);
        checks::foreign_keys(tables, &rules, &mut problems);
        checks::constraints(tables, &rules, &mut coverage);
        let large_objects = self.large_objects(large_objects, &mut coverage, &mut problems);
        problems.finish()?;
        Ok(PostgresPlan { tables: plans, large_objects, coverage })
    }

    fn sections(&self) -> impl Iterator<Item = &PostgresSection> {
        self.postgres.iter().filter(|section| section.header != LARGE_OBJECTS)
    }

    fn large_objects(
        &self,
        any: bool,
        coverage: &mut Coverage,
        problems: &mut Problems,
    ) -> Option<LargeObjects> {
        let mut decision: Option<(Option<LargeObjects>, &NameRule)> = None;
        let sections = self.postgres.iter().filter(|section| section.header == LARGE_OBJECTS);
        for rule in sections.flat_map(|section| &section.columns) {
            let Some(word) = problems.note(large_objects_word(rule)) else { continue };
            if let Some((_, other)) = decision.replace((word, rule)) {
                problems.add(Error::usage(format!(
                    "the rules at {} and {} are equally specific for large objects",
                    other.at, rule.at
                )));
            }
        }
        let word = decision.and_then(|(word, _)| word);
        if any {
            coverage.entries.push(Entry {
                store: StoreKind::Postgres,
                place: LARGE_OBJECTS.to_owned(),
                item: "*".to_owned(),
                verdict: match word {
                    Some(LargeObjects::Keep) => Verdict::Kept,
                    Some(LargeObjects::Drop | LargeObjects::Redact) => Verdict::Masked,
                    None => Verdict::Uncovered,
                },
                rule: decision.map(|(_, rule)| rule.rule.to_string()),
                at: decision.map(|(_, rule)| rule.at.clone()),
                starred: false,
            });
        }
        word
    }
}

/// What a rule says of large objects; nothing where it is a placeholder.
fn large_objects_word(rule: &NameRule) -> Result<Option<LargeObjects>> {
    if !matches!(rule.name.as_str(), "*" | "data") {
        return Err(Error::usage(format!(
            "{}: `{LARGE_OBJECTS}` has nothing but `*` and `data`",
            rule.at
        )));
    }
    let definition = rule.rule.spec().map(|spec| spec.definition);
    match definition.map(|found| (found.effect, found.name)) {
        None if rule.rule.is_undecided() => Ok(None),
        Some((Effect::Keep, _)) => Ok(Some(LargeObjects::Keep)),
        Some((Effect::Drop, _)) => Ok(Some(LargeObjects::Drop)),
        Some((_, "redact")) => Ok(Some(LargeObjects::Redact)),
        _ => Err(Error::usage(format!(
            "{}: large objects can be kept, dropped or redacted (emptied), nothing else",
            rule.at
        ))),
    }
}

fn decided<'a>(decisions: &[Option<Decided<'a>>]) -> Vec<Option<&'a NameRule>> {
    decisions.iter().map(|decided| decided.as_ref().map(|decided| decided.rule)).collect()
}

/// Tables and columns that a rule names must exist.
fn check_names(
    sections: &[Section<'_>],
    tables: &[Table],
    coverage: &mut Coverage,
    problems: &mut Problems,
) {
    for section in sections {
        let (header, at) = (&section.section.header, &section.section.at);
        let covered: Vec<&Table> =
            tables.iter().filter(|table| section.rank(table).is_some()).collect();
        let exact = section.pattern.is_exact();
        if covered.is_empty() && !exact {
            coverage.remarks.push(format!("{at}: no table matches `{header}`"));
        } else if covered.is_empty() {
            let error = Error::usage(format!("{at}: there is no table `{header}`"));
            let names: Vec<String> = tables.iter().map(Table::full_name).collect();
            problems.add(match suggest(header, names.iter().map(String::as_str)) {
                Some(similar) => error.hint(format!("did you mean `{similar}`?")),
                None => error,
            });
        } else {
            for rule in section.unmatched(&covered) {
                let named = !rule.name.contains('*') && !rule.name.starts_with(':');
                if named && exact {
                    problems.add(no_column(rule, header, &covered));
                } else {
                    coverage
                        .remarks
                        .push(format!("{}: no column matches `{}`", rule.at, rule.name));
                }
            }
        }
    }
}

fn no_column(rule: &NameRule, header: &str, covered: &[&Table]) -> Error {
    let error = Error::usage(format!(
        "{}: `{header}` has no column `{}` with data of its own",
        rule.at, rule.name
    ));
    let columns = covered.iter().flat_map(|table| &table.columns);
    match suggest(&rule.name, columns.map(|column| column.name.as_str())) {
        Some(similar) => error.hint(format!("did you mean `{similar}`?")),
        None => error.hint("generated columns follow from the others and need no rule"),
    }
}

/// What the plan of one table is made of.
struct Planning<'a> {
    table: &'a Table,
    key: &'a Key,
    /// What the place of each column is called.
    places: &'a [String],
}

impl Planning<'_> {
    fn plan(
        &self,
        decisions: &[Option<Decided<'_>>],
        coverage: &mut Coverage,
        problems: &mut Problems,
    ) -> TablePlan {
        let table = self.table;
        let (name, columns) = (table.full_name(), table.columns.clone());
        let mut plan = TablePlan {
            name,
            columns,
            unique: table.unique.clone(),
            open: Vec::new(),
            lacking: Vec::new(),
            ruled: Vec::new(),
        };
        for (index, (column, decision)) in table.columns.iter().zip(decisions).enumerate() {
            let mut entry = Entry {
                store: StoreKind::Postgres,
                place: plan.name.clone(),
                item: column.name.clone(),
                verdict: Verdict::Uncovered,
                rule: None,
                at: None,
                starred: false,
            };
            let Some(decided) = decision else {
                if plan.open.is_empty() {
                    let place = (plan.name.clone(), column.name.clone());
                    let proposal = proposals::proposal(table, column, self.key);
                    coverage.proposals.insert(place, proposal);
                }
                plan.open.push(index);
                plan.lacking.push(index);
                coverage.entries.push(entry);
                continue;
            };
            let rule = decided.rule;
            entry.starred = !decided.spelled;
            entry.at = Some(rule.at.clone());
            entry.rule = decided.follows.as_ref().map(|other| format!("follows {other}"));
            listing::of_place(entry, &rule.rule, &mut coverage.entries);
            if rule.rule.is_undecided() {
                plan.open.push(index);
            } else if let Some(Some(ruled)) = problems.note(self.ruled(index, column, rule)) {
                plan.ruled.push(ruled);
            }
        }
        plan
    }

    /// What happens to a column that is not kept.
    fn ruled(&self, index: usize, column: &Column, rule: &NameRule) -> Result<Option<RuledColumn>> {
        let room = column.max_chars.map(|chars| chars as usize);
        let place = self.places.get(index).map_or("", String::as_str);
        let mut action = Action::compile(&rule.rule, self.key, Site { place, room })
            .map_err(|error| error.context(checks::refusal(self.table, column, rule)))?;
        checks::column(self.table, column, rule, &action)?;
        let record = RowRecord::of(self.table, column, &mut action)?;
        Ok((!matches!(action, Action::Keep)).then(|| RuledColumn {
            index,
            name: column.name.clone(),
            action,
            kind: arrays::Kind { form: checks::form(column), padded: checks::padded(column) },
            record,
        }))
    }
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
        if !plan.open.is_empty() {
            self.coverage_of(&plan.name).require_complete()?;
            return Err(Error::findings(format!("no rule covers all of {}", plan.name)));
        }
        let columns = plan.columns.len();
        Ok(Box::new(RowTransform::new(plan.name.clone(), columns, plan.ruled.clone())))
    }

    pub(super) fn coverage_of(&self, table: &str) -> Coverage {
        let entries = self.coverage.entries.iter().filter(|entry| entry.place == table);
        let proposals = self.coverage.proposals.clone();
        Coverage { entries: entries.cloned().collect(), remarks: Vec::new(), proposals }
    }

    /// The columns of a table that no rule matches, also no placeholder, and that follow none.
    pub(crate) fn lacking(&self, table: usize) -> &[usize] {
        self.tables.get(table).map_or(&[], |table| &table.lacking)
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
        Ok(Box::new(LargeObjectTransform(decision, Permit::ruled(&Applied::by_the_rules()))))
    }

    /// The same as `rules preview` shows it: with a sign for what is kept inside of the value.
    pub fn preview_one(
        &self,
        table: usize,
        column: usize,
        value: Option<&str>,
        key: &Key,
    ) -> Result<Option<String>> {
        let mut plan = self.table(table)?.clone();
        for ruled in plan.ruled.iter_mut().filter(|ruled| ruled.index == column) {
            ruled.action.preview(key)?;
        }
        plan.apply_one(column, value)
    }

    /// Whether the values of a column pass as they are.
    pub fn keeps(&self, table: usize, column: usize) -> bool {
        self.tables.get(table).is_some_and(|plan| {
            !plan.open.contains(&column) && !plan.ruled.iter().any(|ruled| ruled.index == column)
        })
    }

    /// Applies the rule of one column to one value in its text form, as `rules preview` shows
    /// it; `None` is null. Table and column are positions in what the plan was made of.
    pub fn apply_one(
        &self,
        table: usize,
        column: usize,
        value: Option<&str>,
    ) -> Result<Option<String>> {
        self.table(table)?.apply_one(column, value)
    }
}

impl TablePlan {
    fn apply_one(&self, column: usize, value: Option<&str>) -> Result<Option<String>> {
        let plan = self;
        let Some(value) = value else { return Ok(None) };
        let Some(ruled) = plan.ruled.iter().find(|ruled| ruled.index == column) else {
            let name = plan.columns.get(column).map_or("?", |column| column.name.as_str());
            if plan.open.contains(&column) {
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
            .ok_or_else(|| Error::failed("a masked value cannot be read back"))?;
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

#[cfg(test)]
#[path = "postgres_tests.rs"]
mod tests;
