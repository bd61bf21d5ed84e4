//! A few rows of a table, as text, for previews.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::quote::{ident, qualified};
use super::reason::OrPostgres;
use crate::error::Result;
use crate::store::shape::Table;

/// The first `limit` rows that the server comes upon, each value in its text form; the columns are
/// those of `table`, in order. A table without columns gives none.
///
/// # Errors
///
/// Exit 1 if the server refuses, exit 12 if the connection is lost.
pub async fn first_rows(
    client: &Client,
    table: &Table,
    limit: usize,
) -> Result<Vec<Vec<Option<String>>>> {
    if table.columns.is_empty() {
        return Ok(Vec::new());
    }
    let columns: Vec<String> = table.columns.iter().map(|column| ident(&column.name)).collect();
    let query = format!(
        "SELECT {} FROM ONLY {} LIMIT {limit}",
        columns.join(", "),
        qualified(&table.schema, &table.name)
    );
    let answer = client
        .simple_query(&query)
        .await
        .or_postgres(|| format!("{} cannot be read", table.full_name()))?;
    let rows = answer.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let values = |row: tokio_postgres::SimpleQueryRow| {
        (0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()
    };
    Ok(rows.map(values).collect())
}
