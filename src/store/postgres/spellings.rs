//! Texts of one column that differ in case, spaces, normal form or, if asked for, punctuation
//! alone.

use super::quote::{ident, literal, qualified};
use super::reader::{Reader, Sink};
use super::reason::OrPostgres;
use crate::error::{Error, Result};
use crate::pipeline::copytext;
use crate::pipeline::spellings::{MOST, Next, Search};
use crate::store::shape::{ForeignKey, Spelled, Table};

impl Reader {
    /// Every text of a column of which another spelling is there too. What counts as one value
    /// here may be more than what a transformer takes for one, never less.
    ///
    /// The column is read as COPY text, once where no two spellings agree: the server's own
    /// `lower` and `normalize` take several times as long as sending the column does.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); exit 4 if there are too many.
    pub async fn spellings(&mut self, table: &Table, place: Spelled<'_>) -> Result<Vec<String>> {
        let statement = texts(table, place, self.encoding);
        let mut search = Search::new(place.folding);
        let mut plain = Vec::new();
        loop {
            let mut look = |field: &[u8]| {
                plain.clear();
                // What is no text has no spellings: its rule says what becomes of it.
                let read = if memchr::memchr(b'\\', field).is_none() {
                    std::str::from_utf8(field).ok()
                } else {
                    copytext::unescape(field, &mut plain)
                        .and_then(|()| std::str::from_utf8(&plain).ok())
                };
                if let Some(text) = read {
                    search.look(text);
                }
            };
            let read = self.copy(&statement, Sink::Fields(&mut look)).await;
            read.map_err(|error| {
                let column = format!("column `{}` of {}", place.name, table.full_name());
                error.context(format!("{column} cannot be read"))
            })?;
            match search.pass() {
                Ok(Next::Again) => {}
                Ok(Next::Done) => return Ok(search.found()),
                Err(_) => return Err(too_many(table, place)),
            }
        }
    }
}

impl Reader {
    /// The values of a foreign key's column (by its position) that are spelled otherwise than what
    /// they refer to, and what that is: equal to the server by citext or by a collation alone.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn references_spelled_otherwise(
        &mut self,
        table: &Table,
        key: &ForeignKey,
        position: usize,
    ) -> Result<Vec<(String, String)>> {
        self.idle()?;
        let failed =
            || format!("what {} of {} refers to cannot be read", key.name, table.full_name());
        let (Some(from), Some(to)) = (key.columns.get(position), key.target_columns.get(position))
        else {
            return Ok(Vec::new());
        };
        let collation = self.session.query_opt(FOLDS, &[&table.oid, &key.name, to]).await;
        let Some(collation) = collation.or_postgres(failed)? else { return Ok(Vec::new()) };
        // As the server compares the two ends itself: by the collation of the one referred to.
        let collation: String = collation.get(0);
        let operators = self.session.query(EQUALS, &[&table.oid, &key.name]).await;
        let operators = operators.or_postgres(failed)?;
        let columns = key.columns.iter().zip(&key.target_columns).zip(&operators);
        let joined: Vec<String> = columns
            .map(|((from, to), operator)| {
                let by = if *to == key.target_columns[position] { collation.as_str() } else { "" };
                let operator: String = operator.get(0);
                format!("f.{}{by} OPERATOR({operator}) t.{}", ident(from), ident(to))
            })
            .collect();
        let (from, to) = (ident(from), ident(to));
        let query = format!(
            "SELECT DISTINCT f.{from}::text COLLATE \"C\", t.{to}::text COLLATE \"C\" \
               FROM ONLY {} AS f JOIN {} AS t ON {} \
              WHERE f.{from}::text COLLATE \"C\" <> t.{to}::text COLLATE \"C\" LIMIT {}",
            qualified(&table.schema, &table.name),
            qualified(&key.target_schema, &key.target_table),
            joined.join(" AND "),
            MOST + 1
        );
        let rows = self.session.query(&query, &[]).await.or_postgres(failed)?;
        if rows.len() > MOST {
            let name = key.columns.get(position).map_or("?", String::as_str);
            let place = Spelled { name, ..Spelled::default() };
            return Err(too_many(table, place));
        }
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}

/// The collation of a column that a foreign key refers to, if texts that differ may be equal there:
/// by citext, or by a collation that folds.
const FOLDS: &str = "
    WITH RECURSIVE domains(oid) AS (
        SELECT a.atttypid FROM pg_catalog.pg_constraint AS k
          JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attname = $3::text
         WHERE k.conrelid = $1 AND k.conname = $2::text AND k.contype = 'f'
         UNION SELECT t.typbasetype FROM domains AS d
          JOIN pg_catalog.pg_type AS t ON t.oid = d.oid WHERE t.typbasetype <> 0)
    SELECT CASE WHEN c.oid IS NULL THEN ''
                ELSE ' COLLATE ' || pg_catalog.quote_ident(n.nspname) || '.'
                     || pg_catalog.quote_ident(c.collname) END
      FROM pg_catalog.pg_constraint AS k
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attname = $3::text
      LEFT JOIN pg_catalog.pg_collation AS c ON c.oid = a.attcollation
      LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.collnamespace
     WHERE k.conrelid = $1 AND k.conname = $2::text AND k.contype = 'f'
       AND (NOT c.collisdeterministic OR EXISTS (
            SELECT FROM domains AS d JOIN pg_catalog.pg_type AS t ON t.oid = d.oid
             WHERE t.typname = 'citext'))";

/// The operators by which the columns of a foreign key are compared, in their order.
const EQUALS: &str = "
    SELECT pg_catalog.quote_ident(n.nspname) || '.' || o.oprname
      FROM pg_catalog.pg_constraint AS k
     CROSS JOIN LATERAL pg_catalog.unnest(k.conpfeqop) WITH ORDINALITY AS e(oid, at)
      JOIN pg_catalog.pg_operator AS o ON o.oid = e.oid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace
     WHERE k.conrelid = $1 AND k.conname = $2::text AND k.contype = 'f' ORDER BY e.at";

fn texts(table: &Table, place: Spelled<'_>, encoding: &str) -> String {
    let rows = format!("FROM ONLY {}", qualified(&table.schema, &table.name));
    let column = ident(place.name);
    let texts = if place.elements {
        format!("SELECT e FROM (SELECT pg_catalog.unnest({column}::text[]) AS e {rows}) AS t")
    } else {
        format!("SELECT e FROM (SELECT {column}::text AS e {rows}) AS t")
    };
    format!(
        "COPY ({texts} WHERE e IS NOT NULL) TO STDOUT WITH (FORMAT text, ENCODING {})",
        literal(encoding)
    )
}

fn too_many(table: &Table, place: Spelled<'_>) -> Error {
    Error::findings(format!(
        "column `{}` of {} holds more than {MOST} values that differ in their spelling alone",
        place.name,
        table.full_name()
    ))
    .hint("keep the column, or bring its values to one spelling")
}
