//! Types, resolved: domains down to what they are made of, arrays to their elements.

use std::collections::HashMap;

use tokio_postgres::Client;

use super::reason::OrPostgres;
use crate::error::Result;
use crate::store::shape::BaseType;

/// How deep domains over domains are followed; more cannot be told from a loop.
const DEPTH: usize = 64;

/// All types of a database.
pub struct Types(HashMap<u32, Definition>);

struct Definition {
    name: String,
    /// `b`ase, `c`omposite, `d`omain, `e`num, `p`seudo, `r`ange, `m`ultirange.
    kind: u8,
    array: bool,
    element: u32,
    base: u32,
    modifier: i32,
    not_null: bool,
}

/// What a column's type comes down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// The family, of the elements where it is an array.
    pub base: BaseType,
    /// Whether it is an array.
    pub array: bool,
    /// Whether a domain on the way forbids nulls.
    pub not_null: bool,
    /// The limit of `varchar(n)` and `char(n)`.
    pub max_chars: Option<u32>,
}

impl Types {
    /// Reads `pg_type`.
    pub async fn read(client: &Client) -> Result<Self> {
        let query = include_str!("../../../sql/catalog/types.sql");
        let rows = client.query(query, &[]).await.or_postgres(|| "types cannot be read")?;
        let oid = |number: i64| u32::try_from(number).unwrap_or_default();
        let definition = |row: &tokio_postgres::Row| Definition {
            name: row.get("typname"),
            kind: row.get::<_, String>("typtype").bytes().next().unwrap_or(b'b'),
            array: row.get("is_array"),
            element: oid(row.get("typelem")),
            base: oid(row.get("typbasetype")),
            modifier: row.get("typtypmod"),
            not_null: row.get("typnotnull"),
        };
        Ok(Self(rows.iter().map(|row| (oid(row.get(0)), definition(row))).collect()))
    }

    /// Follows domains and one level of array, whichever comes first.
    pub fn resolve(&self, mut oid: u32, mut modifier: i32) -> Resolved {
        let mut resolved =
            Resolved { base: BaseType::Other, array: false, not_null: false, max_chars: None };
        for _ in 0..DEPTH {
            let Some(definition) = self.0.get(&oid) else { break };
            if definition.kind == b'd' {
                // The elements' domain does not speak for the array.
                resolved.not_null |= definition.not_null && !resolved.array;
                if modifier < 0 {
                    modifier = definition.modifier;
                }
                oid = definition.base;
            } else if definition.array && !resolved.array {
                resolved.array = true;
                oid = definition.element;
            } else {
                resolved.base = family(definition);
                resolved.max_chars = limit(&definition.name, modifier);
                break;
            }
        }
        resolved
    }
}

fn family(definition: &Definition) -> BaseType {
    if definition.kind == b'e' {
        return BaseType::Enum;
    }
    if definition.kind != b'b' {
        return BaseType::Other;
    }
    match definition.name.as_str() {
        "text" | "varchar" | "bpchar" | "name" | "citext" => BaseType::Text,
        "int2" => BaseType::Int2,
        "int4" => BaseType::Int4,
        "int8" => BaseType::Int8,
        "numeric" => BaseType::Numeric,
        "float4" | "float8" => BaseType::Float,
        "bool" => BaseType::Bool,
        "date" => BaseType::Date,
        "timestamp" => BaseType::Timestamp,
        "timestamptz" => BaseType::Timestamptz,
        "uuid" => BaseType::Uuid,
        "json" | "jsonb" => BaseType::Json,
        "inet" | "cidr" => BaseType::Inet,
        "bytea" => BaseType::Bytea,
        _ => BaseType::Other,
    }
}

/// A modifier of varchar and char is the limit plus the four bytes of a length header
/// (`VARHDRSZ` in the server's `varchar.c`).
fn limit(name: &str, modifier: i32) -> Option<u32> {
    let characters = modifier.checked_sub(4)?;
    matches!(name, "varchar" | "bpchar").then(|| u32::try_from(characters).ok()).flatten()
}
