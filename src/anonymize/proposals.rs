//! Rules that a column's name and type suggest.

use super::action::Action;
use super::detect;
use super::masker::Site;
use super::postgres_checks as checks;
use super::pseudonym::Key;
use super::rows::RowRecord;
use super::rules::RuleSet;
use crate::store::shape::{BaseType, Column, Table};

/// Keys that say nothing of anyone: numbers and uuids that the database gives.
pub(super) fn is_key(table: &Table, column: &Column) -> bool {
    let number = matches!(column.base, BaseType::Int2 | BaseType::Int4 | BaseType::Int8);
    let primary = table.primary_key.contains(&column.name);
    !column.array
        && ((number && (primary || column.serial)) || (primary && column.base == BaseType::Uuid))
}

/// The rule that a column's name and type suggest, and that fits it.
pub(crate) fn proposal(table: &Table, column: &Column, key: &Key) -> String {
    if is_key(table, column) || table.partition_key.contains(&column.name) {
        return "\"keep\"".to_owned();
    }
    // An index that holds a unique key of kept columns between others stays unique by that.
    let kept = |name: &String| {
        table
            .columns
            .iter()
            .any(|other| other.name == *name && other.name != column.name && is_key(table, other))
    };
    let unique = table.unique.iter().any(|index| {
        let within = |other: &Vec<String>| {
            !other.is_empty() && other.iter().all(|name| index.contains(name) && kept(name))
        };
        index.contains(&column.name) && !table.unique.iter().any(within)
    });
    let fitting = detect::candidates(table, column, unique);
    let fits = |rule: &&String| fits(table, column, rule, unique, key);
    fitting.iter().find(fits).cloned().unwrap_or_else(|| "\"?\"".to_owned())
}

fn fits(table: &Table, column: &Column, rule: &str, unique: bool, key: &Key) -> bool {
    if rule == "\"null\"" && table.nulls_equal.contains(&column.name) {
        return false;
    }
    let text = format!("version = 1\n[postgres.\"a.b\"]\nc = {rule}\n");
    let Ok(rules) = RuleSet::parse(&[("proposal".to_owned(), text)]) else { return false };
    let Some(rule) = rules.postgres.first().and_then(|section| section.columns.first()) else {
        return false;
    };
    let room = column.max_chars.map(|chars| chars as usize);
    let action = Action::compile(&rule.rule, key, Site { place: "proposal", room });
    let fits = |mut action: Action| {
        checks::column(table, column, rule, &action).is_ok()
            && RowRecord::of(table, column, &mut action).is_ok()
    };
    action.is_ok_and(fits) && (!unique || checks::stays_unique(column, rule, key).unwrap_or(false))
}
