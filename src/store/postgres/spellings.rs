//! Texts of one column that differ in case, spaces, normal form or, if asked for, punctuation
//! alone.

use super::quote::{ident, literal, qualified};
use super::reader::{Reader, Sink};
use crate::error::{Error, Result};
use crate::pipeline::copytext;
use crate::pipeline::spellings::{MOST, Next, Search};
use crate::store::shape::{Spelled, Table};

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
        let mut search = Search::new(place.ignores_punctuation);
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
