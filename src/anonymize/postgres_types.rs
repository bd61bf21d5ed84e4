//! Types of Postgres as rules name them: `:jsonb`, `:varchar(40)`, `:text[]`, `:enum`.

use crate::store::shape::{BaseType, Column};

/// A key `:type`, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeKey {
    name: String,
    /// What stands in its brackets; none is any.
    arguments: Option<String>,
    array: bool,
}

/// Reads what stands behind the `:`, or a type as the server formats it.
pub(crate) fn type_key(text: &str) -> TypeKey {
    let (text, array) = match text.strip_suffix("[]") {
        Some(element) => (element, true),
        None => (text, false),
    };
    // `timestamp(3) without time zone` has its argument in the middle.
    let opened = text.find('(').and_then(|open| Some((open, open + text[open..].find(')')?)));
    let (name, arguments) = match opened.filter(|_| !text.starts_with('"')) {
        Some((open, close)) => {
            let name = format!("{}{}", &text[..open], &text[close + 1..]);
            (name, Some(text[open + 1..close].replace(' ', "")))
        }
        None => (text.to_owned(), None),
    };
    TypeKey { name: standard(name.trim()).to_owned(), arguments, array }
}

impl TypeKey {
    /// The name that the server writes, without length and precision.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it says the length or precision too.
    pub(crate) fn is_whole(&self) -> bool {
        self.arguments.is_some()
    }

    /// Whether the column has exactly this type: `json` is not `jsonb`, `timestamp` not
    /// `timestamptz`, `text` not `varchar`, and a domain is none of its base type. The one word for
    /// a kind of types is `enum`.
    pub(crate) fn matches(&self, column: &Column) -> bool {
        if self.array != column.array {
            return false;
        }
        if self.name == "enum" && column.base == BaseType::Enum {
            return true;
        }
        let own = type_key(&column.type_name);
        self.name == own.name && (self.arguments.is_none() || self.arguments == own.arguments)
    }
}

/// The name that the server writes, of the other names of a type.
fn standard(name: &str) -> &str {
    match name {
        "int2" => "smallint",
        "int" | "int4" => "integer",
        "int8" => "bigint",
        "decimal" => "numeric",
        "float4" => "real",
        "float" | "float8" => "double precision",
        "bool" => "boolean",
        "varchar" => "character varying",
        "char" | "bpchar" => "character",
        "varbit" => "bit varying",
        "timestamptz" => "timestamp with time zone",
        "timestamp" => "timestamp without time zone",
        "timetz" => "time with time zone",
        "time" => "time without time zone",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anonymize::testing::column;

    #[test]
    fn types_match_exactly() {
        for (key, type_name, expected) in [
            ("json", "json", true),
            ("json", "jsonb", false),
            ("jsonb", "json", false),
            ("timestamp", "timestamp without time zone", true),
            ("timestamp", "timestamp(3) without time zone", true),
            ("timestamp(3)", "timestamp(6) without time zone", false),
            ("timestamp", "timestamp with time zone", false),
            ("timestamptz", "timestamp(3) with time zone", true),
            ("text", "text", true),
            ("text", "character varying(40)", false),
            ("text", "citext", false),
            ("varchar", "character varying(40)", true),
            ("varchar(40)", "character varying(40)", true),
            ("varchar(4)", "character varying(40)", false),
            ("char", "character(2)", true),
            ("inet", "cidr", false),
            ("int", "integer", true),
            ("int", "bigint", false),
            ("numeric", "numeric(10,2)", true),
            ("numeric(10, 2)", "numeric(10,2)", true),
            ("float", "real", false),
            ("text", "text[]", false),
            ("text[]", "text[]", true),
            ("varchar[]", "character varying(40)[]", true),
            ("enum", "plan", true),
            ("plan", "plan", true),
            ("public.mail", "public.mail", true),
            ("text", "public.mail", false),
        ] {
            assert_eq!(
                type_key(key).matches(&column("c", type_name)),
                expected,
                "{key} {type_name}"
            );
        }
    }
}
