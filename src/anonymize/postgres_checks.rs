//! What would break at the restore is refused before the snapshot: types, lengths, NOT NULL,
//! unique indexes, foreign keys.

use std::collections::HashMap;

use super::action::Action;
use super::coverage::Coverage;
use super::forms::Form;
use super::masker::Site;
use super::problems::Problems;
use super::pseudonym::Key;
use super::rules::{NameRule, OnError, Rule, Spec};
use super::transformers::{Draws, Length};
use crate::error::{Error, Result};
use crate::store::shape::{BaseType, Column, Digits, ForeignKey, Spelling, Table};

type Decisions<'a> = [Vec<Option<&'a NameRule>>];

/// What the values of a column, or of its elements, are.
pub(crate) fn form(column: &Column) -> Form {
    match column.base {
        BaseType::Text => Form::Text,
        BaseType::Int2 => Form::Integer { bits: 16 },
        BaseType::Int4 => Form::Integer { bits: 32 },
        BaseType::Int8 => Form::Integer { bits: 64 },
        BaseType::Numeric => Form::Decimal { scale: scale(column.spelling) },
        BaseType::Float => Form::Float { single: column.spelling == Spelling::Single },
        BaseType::Bool => Form::Bool,
        BaseType::Date => Form::Date,
        BaseType::Timestamp => Form::Timestamp,
        BaseType::Timestamptz => Form::Timestamptz,
        BaseType::Uuid => Form::Uuid,
        BaseType::Json => Form::Object,
        BaseType::Inet => Form::Inet { cidr: column.spelling == Spelling::Network },
        BaseType::Bytea => Form::Bytes,
        BaseType::Enum => Form::Enum,
        BaseType::Other => Form::Other,
    }
}

fn scale(spelling: Spelling) -> Option<Digits> {
    if let Spelling::Scaled(digits) = spelling { Some(digits) } else { None }
}

/// How many characters a `char(n)`, or each element of a `char(n)[]`, is filled up to.
pub(crate) fn padded(column: &Column) -> Option<usize> {
    let fixed = column.spelling == Spelling::Padded;
    if fixed { column.max_chars.map(|chars| chars as usize) } else { None }
}

/// What no other column is called.
pub(crate) fn place(table: &Table, column: &Column) -> String {
    format!("postgres|{}|{}", table.full_name(), column.name)
}

/// The sentence above the reason why a rule does not fit.
pub(crate) fn refusal(table: &Table, column: &Column, rule: &NameRule) -> String {
    format!(
        "{}: `{}` does not fit column `{}` of {}",
        rule.at,
        rule.rule,
        column.name,
        table.full_name()
    )
}

/// Checks a rule against the type, the length and NOT NULL of its column.
pub(crate) fn column(
    table: &Table,
    column: &Column,
    rule: &NameRule,
    action: &Action,
) -> Result<()> {
    let refuse = |reason: &str, hint: &str| {
        let error = Error::usage(refusal(table, column, rule)).because(reason);
        Err(if hint.is_empty() { error } else { error.hint(hint) })
    };
    let nulls = rule
        .rule
        .spec()
        .is_some_and(|spec| spec.definition.nulls() || spec.on_error == OnError::Null);
    let element = matches!(action, Action::Each(_));
    if nulls && column.not_null && !element {
        return refuse("the column is NOT NULL", "redact gives a neutral value");
    }
    match action {
        Action::Keep | Action::Null => return Ok(()),
        Action::Drop => {
            return refuse("a column cannot be dropped", "null or redact empties it");
        }
        Action::Each(_) if !column.array => return refuse("the column is not an array", ""),
        Action::Each(inner) if matches!(**inner, Action::Each(_) | Action::Drop) => {
            return refuse("the elements of an array cannot be dropped or nested", "");
        }
        Action::Each(_) => {}
        Action::Json(_) | Action::Leaf(_) | Action::Whole(_) if column.array => {
            return refuse("the column is an array", "write { each = … } for its elements");
        }
        _ => {}
    }
    let inner = if let Action::Each(inner) = action { inner } else { action };
    if matches!(inner, Action::Json(_)) {
        if matches!(column.base, BaseType::Json | BaseType::Text) {
            return Ok(());
        }
        return refuse("the type cannot hold JSON", "");
    }
    let Some(masker) = inner.masker() else { return Ok(()) };
    if !masker.accepts(form(column)) {
        let hint = match column.base {
            BaseType::Json => "write { json = { \"$.path\" = … } } for what is inside",
            _ => "`pfdata rules list` shows what fits",
        };
        return refuse(&format!("it cannot make a value of type {}", column.type_name), hint);
    }
    match (masker.longest(), column.max_chars) {
        (Length::AtMost(longest), Some(room)) if longest > room as usize => refuse(
            &format!("it writes up to {longest} characters and the column holds {room}"),
            &format!("say max_length = {room} (of a hash: length) at every place of the link"),
        ),
        _ => Ok(()),
    }
}

/// Whether different originals of a column stay different, or are null.
pub(crate) fn stays_unique(column: &Column, rule: &NameRule, key: &Key) -> Result<bool> {
    let room = column.max_chars.map(|chars| chars as usize);
    let site = Site { place: "", room };
    Ok(match Action::compile(&rule.rule, key, site)? {
        Action::Keep | Action::Null | Action::Drop | Action::Undecided => true,
        Action::Leaf(masker) | Action::Whole(masker) => masker.injective(),
        Action::Json(_) => rule.rule.keeps(),
        Action::Each(inner) => match *inner {
            Action::Keep => true,
            inner => inner.masker().is_some_and(super::action::Masker::injective),
        },
    })
}

/// Whether a rule writes nulls where there were none.
fn may_null(rule: &Rule) -> bool {
    rule.spec().is_some_and(|spec| spec.definition.nulls() || spec.on_error == OnError::Null)
}

/// Rows are loaded into the partition that they were read from: what it is chosen by must stay.
pub(crate) fn partition_keys(tables: &[Table], decisions: &Decisions<'_>, problems: &mut Problems) {
    for (table, rules) in tables.iter().zip(decisions) {
        for (column, rule) in table.columns.iter().zip(rules) {
            let Some(rule) = rule.filter(|_| table.partition_key.contains(&column.name)) else {
                continue;
            };
            if !is_keep(&rule.rule) && !rule.rule.is_undecided() {
                problems.add(
                    Error::usage(refusal(table, column, rule))
                        .because(
                            "it belongs to the partition key: rows would leave their partition",
                        )
                        .hint("keep the column"),
                );
            }
        }
    }
}

/// A unique index needs every column to stay unique, unless those that do hold another unique
/// index between them.
pub(crate) fn unique(
    tables: &[Table],
    decisions: &Decisions<'_>,
    key: &Key,
    problems: &mut Problems,
) {
    for (table, rules) in tables.iter().zip(decisions) {
        let mut safe: HashMap<&str, bool> = HashMap::new();
        for (column, rule) in table.columns.iter().zip(rules) {
            // A rule that cannot be compiled has been told already.
            let unique = rule.is_none_or(|rule| {
                let nulls = table.nulls_equal.contains(&column.name) && may_null(&rule.rule);
                stays_unique(column, rule, key).unwrap_or(true) && !nulls
            });
            safe.insert(&column.name, unique);
        }
        let is_safe = |name: &String| safe.get(name.as_str()).copied().unwrap_or(true);
        for index in &table.unique {
            let Some(broken) = index.iter().find(|name| !is_safe(name)) else { continue };
            let held = table.unique.iter().any(|other| {
                !other.is_empty() && other.iter().all(|name| index.contains(name) && is_safe(name))
            });
            if held {
                continue;
            }
            let place = table.columns.iter().position(|column| column.name == *broken);
            let rule = place.and_then(|place| rules.get(place).copied().flatten());
            let (Some(place), Some(rule)) = (place, rule) else { continue };
            let Some(column) = table.columns.get(place) else { continue };
            problems.add(
                Error::usage(refusal(table, column, rule))
                    .because(format!("the unique index on ({}) would break", index.join(", ")))
                    .hint("say unique = true where the transformer can, or keep the column"),
            );
        }
    }
}

/// Columns tied by a foreign key get one decision; the referencing one may be nulled instead.
pub(crate) fn foreign_keys(tables: &[Table], decisions: &Decisions<'_>, problems: &mut Problems) {
    for (table, rules) in tables.iter().zip(decisions) {
        for foreign_key in &table.foreign_keys {
            for (target, target_rules) in tables.iter().zip(decisions) {
                if references(foreign_key, target) {
                    foreign_key_pair(table, rules, foreign_key, target, target_rules, problems);
                }
            }
        }
    }
}

fn references(foreign_key: &ForeignKey, target: &Table) -> bool {
    let names = |schema: &str, name: &str| {
        schema == foreign_key.target_schema && name == foreign_key.target_table
    };
    names(&target.schema, &target.name)
        || target.parents.iter().any(|(schema, name)| names(schema, name))
}

fn foreign_key_pair(
    table: &Table,
    rules: &[Option<&NameRule>],
    foreign_key: &ForeignKey,
    target: &Table,
    target_rules: &[Option<&NameRule>],
    problems: &mut Problems,
) {
    for (name, target_name) in foreign_key.columns.iter().zip(&foreign_key.target_columns) {
        let find = |table: &Table, name: &String| {
            table.columns.iter().position(|column| column.name == *name)
        };
        let (Some(from), Some(to)) = (find(table, name), find(target, target_name)) else {
            continue;
        };
        let rule = rules.get(from).copied().flatten();
        let target_rule = target_rules.get(to).copied().flatten();
        let (Some(rule), Some(target_rule)) = (rule, target_rule) else { continue };
        let room = |table: &Table, at: usize| table.columns.get(at).and_then(|c| c.max_chars);
        let same_room = room(table, from) == room(target, to);
        if let (Some(spec), Some(column)) =
            (drawn(&rule.rule, &target_rule.rule, foreign_key), table.columns.get(from))
        {
            problems.add(
                Error::usage(refusal(table, column, rule))
                    .because(format!(
                        "`{}` draws for each row, and foreign key `{}` needs equal values in both \
                         tables",
                        spec.definition.name, foreign_key.name
                    ))
                    .hint(
                        "keep the column, or say by = { field = …, link = … } in both tables, of \
                           fields that the same foreign key ties",
                    ),
            );
        } else if !agree(&rule.rule, &target_rule.rule, same_room) {
            problems.add(
                Error::usage(format!(
                "column `{name}` of {} ({} at {}) and column `{target_name}` of {} ({} at {}) are \
                 tied by foreign key `{}` and need one decision",
                table.full_name(),
                rule.rule,
                rule.at,
                target.full_name(),
                target_rule.rule,
                target_rule.at,
                foreign_key.name
            ))
            .hint("use the same transformer and link for both"));
        }
    }
}

/// The rule of a referencing column that draws for each row, and so differs from what it refers to.
fn drawn<'a>(rule: &'a Rule, target: &Rule, foreign_key: &ForeignKey) -> Option<&'a Spec> {
    let (spec, target) = (rule.spec()?, target.spec()?);
    let draws = match spec.definition.draws {
        Draws::Original => return None,
        Draws::Record => return Some(spec),
        Draws::Shift => spec.by.is_some(),
    };
    let tied = |from: &String, to: &String| {
        let by = |spec: &Spec| spec.by.as_ref().map(|by| (by.field.clone(), by.link.clone()));
        matches!((by(spec), by(target)), (Some((own, Some(a))), Some((other, Some(b))))
            if own == *from && other == *to && a == b)
    };
    let mut pairs = foreign_key.columns.iter().zip(&foreign_key.target_columns);
    (draws && !pairs.any(|(from, to)| tied(from, to))).then_some(spec)
}

fn agree(rule: &Rule, target: &Rule, same_room: bool) -> bool {
    // Nothing is decided, and the job stops there.
    if rule.is_undecided() || target.is_undecided() {
        return true;
    }
    if is_keep(rule) && is_keep(target) || rule.spec().is_some_and(|spec| spec.definition.nulls()) {
        return true;
    }
    match (rule, target) {
        // Without a link a value adapts to the length of its column.
        (Rule::Use(a), Rule::Use(b)) => a.same_mapping(b) && (a.link.is_some() || same_room),
        _ => false,
    }
}

/// CHECK constraints cannot be judged without running them: they are named, and the restore,
/// which runs them, fails before anything is swapped.
pub(crate) fn constraints(tables: &[Table], decisions: &Decisions<'_>, coverage: &mut Coverage) {
    for (table, rules) in tables.iter().zip(decisions) {
        for (name, columns) in &table.checks {
            let masked = table.columns.iter().zip(rules).find(|(column, rule)| {
                columns.contains(&column.name)
                    && rule.is_some_and(|rule| !rule.rule.keeps() && !rule.rule.is_undecided())
            });
            if let Some((column, _)) = masked {
                coverage.remarks.push(format!(
                    "masked values of column `{}` of {} must satisfy the check `{name}`, or the \
                     restore fails",
                    column.name,
                    table.full_name()
                ));
            }
        }
    }
}

/// Whether a rule leaves a column as it is.
pub(crate) fn is_keep(rule: &Rule) -> bool {
    rule.spec().is_some_and(|spec| spec.definition.keeps()) && matches!(rule, Rule::Use(_))
}
