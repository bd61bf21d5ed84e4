//! Texts of one column that differ in case, spaces, normal form or, if asked for, punctuation
//! alone.

use super::quote::{ident, qualified};
use super::reason::OrPostgres;
use super::source::Source;
use crate::error::{Error, Result};
use crate::store::shape::{Spelled, Table};

/// More spellings than anyone has; they are held in memory.
const MOST: usize = 100_000;

/// What Unicode counts as spaces beyond ASCII, in a bracket expression of the server.
const SPACES: &str = "\\s\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

impl Source {
    /// Every text of a column of which another spelling is there too. What counts as one value
    /// here may be more than what a transformer takes for one, never less.
    ///
    /// # Errors
    ///
    /// Exit 1 if the server refuses, exit 12 if the connection is lost, exit 4 if there are too
    /// many.
    pub async fn spellings(&self, table: &Table, place: Spelled<'_>) -> Result<Vec<String>> {
        let failed = || format!("column `{}` of {} cannot be read", place.name, table.full_name());
        let rows = format!("FROM ONLY {}", qualified(&table.schema, &table.name));
        let (column, from) = if place.elements {
            let element = format!("pg_catalog.unnest({}::text[])", ident(place.name));
            ("element".to_owned(), format!("FROM (SELECT {element} AS element {rows}) AS elements"))
        } else {
            (ident(place.name), rows)
        };
        let text = format!("{column}::text COLLATE \"C\"");
        // One cheap pass says whether there can be any, and what the second has to look at.
        let odd = format!(
            "SELECT coalesce(bool_or(lower(v) <> v), false),\
                    coalesce(bool_or(v <> btrim(v) OR strpos(v, '  ') > 0 \
                                     OR v ~ '[\\t\\n\\r\\v\\f]'), false),\
                    coalesce(bool_or(octet_length(v) <> length(v)), false)\
               FROM (SELECT {text} AS v {from}) AS t"
        );
        let row = self.keeper().query_one(&odd, &[]).await.or_postgres(failed)?;
        let (cased, spaced, wide): (bool, bool, bool) = (row.get(0), row.get(1), row.get(2));
        let utf8 = self.catalog().server.encoding == "UTF8";
        if !(cased || spaced || wide || place.ignores_punctuation) {
            return Ok(Vec::new());
        }
        let mut key = "v".to_owned();
        if spaced || wide {
            let spaces = if wide && utf8 { SPACES } else { "\\s" };
            key = format!("regexp_replace({key}, '[{spaces}]+', '', 'g')");
        }
        if place.ignores_punctuation {
            key = format!("translate({key}, '{{}}-', '')");
        }
        key = if wide && utf8 {
            let lower = format!("lower(normalize({key}) COLLATE \"und-x-icu\")");
            format!("normalize(translate({lower}, '\u{3c2}', '\u{3c3}'))")
        } else {
            format!("lower({key})")
        };
        // Two spellings of one value are never both plain: only what is not has its key made, and
        // is looked for among itself and what is plain.
        let punctuation = if place.ignores_punctuation { "-{}" } else { "" };
        let query = format!(
            "WITH texts AS NOT MATERIALIZED (SELECT {text} AS v {from}),\
                  odd AS MATERIALIZED (\
                    SELECT v, ({key}) COLLATE \"C\" AS k FROM texts \
                     WHERE lower(v) <> v OR octet_length(v) <> length(v) \
                        OR v ~ '[{punctuation}\\s]'),\
                  found AS (SELECT v, k FROM odd \
                            UNION SELECT v, v FROM texts WHERE v IN (SELECT k FROM odd))\
             SELECT unnest(array_agg(v)) FROM found GROUP BY k HAVING count(*) > 1 LIMIT {}",
            MOST + 1
        );
        let rows = self.keeper().query(&query, &[]).await.or_postgres(failed)?;
        if rows.len() > MOST {
            return Err(Error::findings(format!(
                "column `{}` of {} holds more than {MOST} values that differ in their spelling \
                 alone",
                place.name,
                table.full_name()
            ))
            .hint("keep the column, or bring its values to one spelling"));
        }
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}
