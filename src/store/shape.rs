//! The shape of what a store holds, as far as rules, plans and manifests need to know it.

use serde::{Deserialize, Serialize};

use crate::pipeline::spellings::Folding;

/// A Postgres table that holds rows of its own: an ordinary table, a partition that is a leaf, a
/// parent of inheritance (its own rows only).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// `pg_class.oid`.
    pub oid: u32,
    /// Schema name, as stored.
    pub schema: String,
    /// Table name, as stored.
    pub name: String,
    /// The columns that COPY carries, in COPY order: neither dropped nor generated ones.
    pub columns: Vec<Column>,
    /// Partitioned or inheritance parents, nearest first, as (schema, name).
    pub parents: Vec<(String, String)>,
    /// Unique indexes (primary keys and exclusion constraints too): the names of the columns in
    /// each. A column inside an expression or predicate of such an index counts.
    pub unique: Vec<Vec<String>>,
    /// Those columns of such indexes that must hold no two nulls: `NULLS NOT DISTINCT`.
    pub nulls_equal: Vec<String>,
    /// The columns that decide which partition a row is in.
    pub partition_key: Vec<String>,
    /// The columns of the primary key.
    pub primary_key: Vec<String>,
    /// Foreign keys of this table.
    pub foreign_keys: Vec<ForeignKey>,
    /// CHECK constraints: name and the columns they mention.
    pub checks: Vec<(String, Vec<String>)>,
    /// Size of the main fork in 8 KiB pages.
    pub pages: u64,
    /// Size of the table with TOAST, without indexes, in bytes.
    pub bytes: u64,
    /// `pg_class.reltuples`, or 0 where the server does not know.
    pub rows_estimate: u64,
}

impl Table {
    /// `schema.table`, as rules and messages write it (not quoted for SQL).
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// A column of a Postgres table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name, as stored.
    pub name: String,
    /// `format_type(atttypid, atttypmod)`, such as `character varying(40)` or `text[]`.
    pub type_name: String,
    /// What the type is once domains are resolved.
    pub base: BaseType,
    /// Whether it is an array; `base` is then that of the elements.
    pub array: bool,
    /// NOT NULL, of the column or of its domain.
    pub not_null: bool,
    /// The limit of `varchar(n)` and `char(n)`, in characters.
    pub max_chars: Option<u32>,
    /// How the server writes the values, or the elements, of what the type comes down to.
    pub spelling: Spelling,
    /// Whether the table has it from a partitioned or inheritance parent.
    pub inherited: bool,
    /// Whether the server numbers it: an identity or serial column.
    pub serial: bool,
}

/// What a Postgres type says of how its values are written beyond their family: a value written
/// otherwise does not come back as it went in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spelling {
    /// As all of the family.
    Usual,
    /// `char(n)`: filled with spaces.
    Padded,
    /// `numeric(p,s)`.
    Scaled(Digits),
    /// `real`, of the floats.
    Single,
    /// `cidr`, of the addresses.
    Network,
}

/// How many digits a `numeric(p,s)` has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digits {
    /// In all.
    pub precision: u16,
    /// After the point.
    pub scale: u16,
}

/// Families of Postgres types, as far as transformers care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BaseType {
    /// text, varchar, char, name, citext.
    Text,
    /// smallint.
    Int2,
    /// integer.
    Int4,
    /// bigint.
    Int8,
    /// numeric.
    Numeric,
    /// real and double precision.
    Float,
    /// boolean.
    Bool,
    /// date.
    Date,
    /// timestamp without time zone.
    Timestamp,
    /// timestamp with time zone.
    Timestamptz,
    /// uuid.
    Uuid,
    /// json and jsonb.
    Json,
    /// inet and cidr.
    Inet,
    /// bytea.
    Bytea,
    /// An enum.
    Enum,
    /// Everything else.
    Other,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Constraint name.
    pub name: String,
    /// Referencing columns, in order.
    pub columns: Vec<String>,
    /// Referenced table.
    pub target_schema: String,
    /// Referenced table.
    pub target_table: String,
    /// Referenced columns, in the order of `columns`.
    pub target_columns: Vec<String>,
}

/// A column or a path of which the spellings are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spelled<'a> {
    /// The column's name, or the path with dots.
    pub name: &'a str,
    /// What makes no difference.
    pub folding: Folding,
    /// Whether the column is an array, whose elements are looked at.
    pub elements: bool,
}

/// Values that are tried in a column before anything is stored; null is one too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The column.
    pub column: String,
    /// Its type, as the server formats it.
    pub type_name: String,
    /// Where the decision stands that makes such values.
    pub at: String,
    /// The values.
    pub values: Vec<Option<String>>,
}

/// What an index or an option of a collection needs of the values of a field, by its path. A
/// document that does not have it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// A point or a shape, for a geospatial index.
    Point(String),
    /// The name of a language, for a text index.
    Language(String),
    /// The name of a language in each field of this name, for a text index on everything.
    LanguageAnywhere(String),
    /// A date, for a time series.
    Time(String),
}

/// A MongoDB collection (or view) of the environment's database.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    /// Name.
    pub name: String,
    /// Key paths of its unique indexes other than `_id`.
    pub unique: Vec<Vec<String>>,
    /// What its indexes and options need of the values of fields.
    pub needs: Vec<Need>,
    /// Estimated number of documents.
    pub documents_estimate: u64,
    /// Uncompressed size of the documents in bytes.
    pub bytes: u64,
}
