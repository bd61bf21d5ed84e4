//! What the tests of this folder share.

use mongodb::bson::Document;

use super::pseudonym::Key;
use super::rules::RuleSet;
use crate::config::secret::Secret;
use crate::error::{Error, Result};
use crate::pipeline::block::Block;
use crate::pipeline::transform::{BlockTransform, ElementVerdict, KeyKind, KeyTransform};
use crate::store::shape::{BaseType, Collection, Column, Digits, ForeignKey, Spelling, Table};

/// The key of every test.
pub(crate) fn key() -> Key {
    Key::new(&Secret::new("0fT3vLq8YbXw2RzKc6HnUe9MsAj5DgPi7WkQo1VtSrE")).unwrap()
}

/// A rule set of one file, without its version line.
pub(crate) fn try_rules(text: &str) -> Result<RuleSet> {
    RuleSet::parse(&[("t.toml".to_owned(), format!("version = 1\n{text}"))])
}

/// The same, which must be right.
pub(crate) fn rules(text: &str) -> RuleSet {
    try_rules(text).unwrap_or_else(|error| panic!("{error}"))
}

/// The whole of an error on one line.
pub(crate) fn told(error: &Error) -> String {
    format!("{error} [{}]", error.hint_text().unwrap_or_default())
}

/// A column by name and type as Postgres formats it.
pub(crate) fn column(name: &str, type_name: &str) -> Column {
    let element = type_name.strip_suffix("[]").unwrap_or(type_name);
    let base = match element.split('(').next().unwrap_or_default() {
        "text" | "character varying" | "character" => BaseType::Text,
        "smallint" => BaseType::Int2,
        "integer" => BaseType::Int4,
        "bigint" => BaseType::Int8,
        "numeric" => BaseType::Numeric,
        "real" | "double precision" => BaseType::Float,
        "boolean" => BaseType::Bool,
        "date" => BaseType::Date,
        "timestamp" => BaseType::Timestamp,
        "timestamptz" => BaseType::Timestamptz,
        "uuid" => BaseType::Uuid,
        "json" | "jsonb" => BaseType::Json,
        "inet" | "cidr" => BaseType::Inet,
        "bytea" => BaseType::Bytea,
        "plan" => BaseType::Enum,
        _ => BaseType::Other,
    };
    let length = element.split_once('(').map(|(_, rest)| rest.trim_end_matches(')'));
    let max_chars = if base == BaseType::Text { length.and_then(|n| n.parse().ok()) } else { None };
    Column {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        base,
        array: type_name.ends_with("[]"),
        not_null: false,
        max_chars,
        spelling: spelling(element),
        inherited: false,
        serial: false,
    }
}

/// What the catalog says of a type that Postgres formats so.
fn spelling(type_name: &str) -> Spelling {
    let (name, arguments) = type_name.split_once('(').unwrap_or((type_name, ""));
    let arguments = arguments.trim_end_matches(')');
    let (precision, scale) = arguments.split_once(',').unwrap_or((arguments, "0"));
    match name {
        "character" => Spelling::Padded,
        "numeric" if !arguments.is_empty() => Spelling::Scaled(Digits {
            precision: precision.parse().unwrap(),
            scale: scale.parse().unwrap(),
        }),
        "real" => Spelling::Single,
        "cidr" => Spelling::Network,
        _ => Spelling::Usual,
    }
}

/// A table `public.<name>` with columns given as (name, type).
pub(crate) fn table(name: &str, columns: &[(&str, &str)]) -> Table {
    Table {
        oid: 1,
        schema: "public".to_owned(),
        name: name.to_owned(),
        columns: columns.iter().map(|(name, type_name)| column(name, type_name)).collect(),
        parents: Vec::new(),
        unique: Vec::new(),
        nulls_equal: Vec::new(),
        partition_key: Vec::new(),
        primary_key: Vec::new(),
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        pages: 0,
        bytes: 0,
        rows_estimate: 0,
    }
}

/// A foreign key on one column.
pub(crate) fn foreign_key(column: &str, target: &str, target_column: &str) -> ForeignKey {
    ForeignKey {
        name: "fk".to_owned(),
        columns: vec![column.to_owned()],
        target_schema: "public".to_owned(),
        target_table: target.to_owned(),
        target_columns: vec![target_column.to_owned()],
    }
}

/// A collection without indexes of its own.
pub(crate) fn collection(name: &str) -> Collection {
    Collection {
        name: name.to_owned(),
        unique: Vec::new(),
        needs: Vec::new(),
        documents_estimate: 0,
        bytes: 0,
    }
}

/// Sends text through a transform.
pub(crate) fn pass(transform: &mut dyn BlockTransform, bytes: &[u8]) -> Result<Vec<u8>> {
    Ok(transform.apply(Block::raw(bytes.to_vec(), 1))?.into_bytes())
}

/// COPY rows of one table under rules.
pub(crate) fn copy(text: &str, table: &Table, rows: &str) -> Result<String> {
    let plan = try_rules(text)?.postgres(std::slice::from_ref(table), false, &key())?;
    let out = pass(plan.transform(0)?.as_mut(), rows.as_bytes())?;
    Ok(String::from_utf8(out).unwrap())
}

/// A document of the collection `c` under rules.
pub(crate) fn mongo(text: &str, document: &Document) -> Result<Document> {
    let plan = try_rules(text)?.mongodb(&[collection("c")], &key())?;
    let out = pass(plan.transform(0)?.as_mut(), &document.to_vec().unwrap())?;
    Ok(Document::from_reader(out.as_slice()).unwrap())
}

/// One key with its elements under rules: the new name and elements, `None` when dropped.
pub(crate) fn redis(
    text: &str,
    name: &str,
    kind: KeyKind,
    elements: &[(Option<&str>, &str)],
) -> Result<Option<(String, Vec<String>)>> {
    let plan = try_rules(text)?.redis(&key())?;
    redis_with(plan.transform()?.as_mut(), name, kind, elements)
}

/// The same with a transform at hand.
pub(crate) fn redis_with(
    transform: &mut dyn KeyTransform,
    name: &str,
    kind: KeyKind,
    elements: &[(Option<&str>, &str)],
) -> Result<Option<(String, Vec<String>)>> {
    use crate::pipeline::transform::KeyVerdict;
    let mut renamed = Vec::new();
    let verdict = transform.key(name.as_bytes(), kind, &mut renamed)?;
    if verdict == KeyVerdict::Drop {
        return Ok(None);
    }
    let mut values = Vec::new();
    for (field, value) in elements {
        if verdict == KeyVerdict::Keep {
            values.push((*value).to_owned());
            continue;
        }
        let mut out = Vec::new();
        match transform.element(field.map(str::as_bytes), value.as_bytes(), &mut out)? {
            ElementVerdict::Write => values.push(String::from_utf8(out).unwrap()),
            ElementVerdict::Keep => values.push((*value).to_owned()),
            ElementVerdict::Drop => assert!(transform.may_drop_elements()),
        }
    }
    Ok(Some((String::from_utf8(renamed).unwrap(), values)))
}
