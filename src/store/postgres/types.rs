//! Types, resolved: domains down to what they are made of, arrays to their elements.

use std::collections::HashMap;

use tokio_postgres::Client;

use super::reason::OrPostgres;
use crate::error::Result;
use crate::store::shape::{BaseType, Digits, Spelling};

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
    /// How values are written, of the elements where it is an array.
    pub spelling: Spelling,
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
        let mut resolved = Resolved {
            base: BaseType::Other,
            array: false,
            not_null: false,
            max_chars: None,
            spelling: Spelling::Usual,
        };
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
                resolved.spelling = spelling(&definition.name, modifier);
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

/// The four bytes of a length header, which the server adds to modifiers (`VARHDRSZ`).
const HEADER: i32 = 4;

/// A modifier of varchar and char is the limit plus [`HEADER`] (the server's `varchar.c`).
fn limit(name: &str, modifier: i32) -> Option<u32> {
    let characters = modifier.checked_sub(HEADER)?;
    matches!(name, "varchar" | "bpchar").then(|| u32::try_from(characters).ok()).flatten()
}

fn spelling(name: &str, modifier: i32) -> Spelling {
    match name {
        "bpchar" if modifier > HEADER => Spelling::Padded,
        "numeric" => digits(modifier).map_or(Spelling::Usual, Spelling::Scaled),
        "float4" => Spelling::Single,
        "cidr" => Spelling::Network,
        _ => Spelling::Usual,
    }
}

/// A modifier of numeric is the precision in the upper half and the scale in the lowest 11 bits,
/// signed, plus [`HEADER`] (`make_numeric_typmod` in the server's `numeric.c`; before version 15
/// the scale had 16 bits and went up to 1000). A scale below zero fixes no digits.
fn digits(modifier: i32) -> Option<Digits> {
    let packed = modifier.checked_sub(HEADER).filter(|packed| *packed >= 0)?;
    let scale = u16::try_from(((packed & 0x7ff) ^ 0x400) - 0x400).ok()?;
    Some(Digits { precision: u16::try_from(packed >> 16).ok()?, scale })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(name: &str) -> Definition {
        Definition {
            name: name.to_owned(),
            kind: b'b',
            array: false,
            element: 0,
            base: 0,
            modifier: -1,
            not_null: false,
        }
    }

    fn domain(of: u32, modifier: i32) -> Definition {
        Definition { kind: b'd', base: of, modifier, ..base("a_domain") }
    }

    fn array(of: u32) -> Definition {
        Definition { array: true, element: of, ..base("_array") }
    }

    #[test]
    fn domains_and_arrays_are_spelled_as_what_they_are_made_of() {
        let numeric_14_2 = (14 << 16 | 2) + HEADER;
        let types = Types(HashMap::from([
            (1, base("numeric")),
            (2, base("bpchar")),
            (3, base("float4")),
            (4, base("cidr")),
            (11, domain(1, numeric_14_2)),
            (12, domain(11, -1)),
            (13, domain(2, 8 + HEADER)),
            (14, domain(3, -1)),
            (15, domain(4, -1)),
            (21, array(2)),
            (22, array(13)),
            (23, domain(21, 6 + HEADER)),
            (24, array(1)),
        ]));
        let spelled = |oid, modifier| types.resolve(oid, modifier).spelling;
        assert_eq!(spelled(1, -1), Spelling::Usual);
        assert_eq!(spelled(1, numeric_14_2), Spelling::Scaled(Digits { precision: 14, scale: 2 }));
        assert_eq!(spelled(11, -1), Spelling::Scaled(Digits { precision: 14, scale: 2 }));
        assert_eq!(spelled(12, -1), Spelling::Scaled(Digits { precision: 14, scale: 2 }));
        assert_eq!(
            spelled(24, (10 << 16) + HEADER),
            Spelling::Scaled(Digits { precision: 10, scale: 0 })
        );
        assert_eq!(spelled(14, -1), Spelling::Single);
        assert_eq!(spelled(15, -1), Spelling::Network);
        assert_eq!(spelled(2, -1), Spelling::Usual);
        for (oid, modifier, chars) in
            [(2, 3 + HEADER, 3), (13, -1, 8), (21, 6 + HEADER, 6), (22, -1, 8), (23, -1, 6)]
        {
            let resolved = types.resolve(oid, modifier);
            assert_eq!(resolved.spelling, Spelling::Padded, "{oid}");
            assert_eq!((resolved.base, resolved.max_chars), (BaseType::Text, Some(chars)), "{oid}");
        }
    }

    #[test]
    fn scales_are_read_from_modifiers_of_every_version() {
        let modifier = |precision: i32, scale: i32| (precision << 16 | (scale & 0x7ff)) + HEADER;
        assert_eq!(digits(-1).map(|digits| digits.scale), None);
        assert_eq!(digits(modifier(14, 2)).map(|digits| digits.scale), Some(2));
        assert_eq!(digits(modifier(1000, 1000)).map(|digits| digits.scale), Some(1000));
        assert_eq!(digits(modifier(5, 0)).map(|digits| digits.scale), Some(0));
        assert_eq!(digits(modifier(5, -2)).map(|digits| digits.scale), None);
    }
}
