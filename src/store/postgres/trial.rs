//! Values tried against the types, domains and checks of the tables that would hold them.

use tokio_postgres::Client;

use super::connect::Session;
use super::quote::{ident, literal};
use super::reason::OrPostgres;
use super::source::Source;
use crate::error::{Error, Result};
use crate::store::shape::{Sample, Table};

/// A session of its own: a value that is refused must not end the snapshot's transaction.
pub struct Trial(Session);

impl Source {
    /// Opens the session.
    ///
    /// # Errors
    ///
    /// Exit 12 if the server cannot be reached.
    pub async fn trial(&self) -> Result<Trial> {
        let session = Session::open(&self.endpoint, None).await?;
        let limits = "SET default_transaction_read_only = on; SET statement_timeout = '10s'";
        session.batch_execute(limits).await.or_postgres(|| "a setting was refused")?;
        Ok(Trial(session))
    }
}

impl Trial {
    /// Refuses a sample of which one value does not fit its column. Nothing but what rules say
    /// and what was made of originals that nobody has is sent.
    ///
    /// # Errors
    ///
    /// Exit 2 naming the rule, the column and what refuses it; exit 12 if the connection is
    /// lost.
    pub async fn judge(&self, table: &Table, sample: &Sample) -> Result<()> {
        judge(&self.0, table, sample).await
    }

    /// Ends the session.
    ///
    /// # Errors
    ///
    /// None.
    pub async fn finish(self) -> Result<()> {
        self.0.close().await;
        Ok(())
    }
}

async fn judge(client: &Client, table: &Table, sample: &Sample) -> Result<()> {
    let refuse = |what: String| {
        let at = if sample.at.is_empty() { String::new() } else { format!("{}: ", sample.at) };
        let (column, table) = (&sample.column, table.full_name());
        Error::usage(format!("{at}the rule does not fit column `{column}` of {table}"))
            .because(what)
            .hint("another transformer or value may fit it, or keep the column")
    };
    for value in &sample.values {
        let value = value.as_deref().map_or("NULL".to_owned(), literal);
        let cast = format!("CAST({value} AS {})", sample.type_name);
        let query = format!("SELECT {cast} IS NULL");
        if let Err(error) = client.simple_query(&query).await {
            // The session is gone, or the value is refused.
            let Some(refused) = error.as_db_error() else {
                return Err(error).or_postgres(|| "values cannot be tried");
            };
            let by = refused.constraint().map_or_else(
                || format!("its type {} refuses what it writes", sample.type_name),
                |name| format!("the check `{name}` of its type {} fails", sample.type_name),
            );
            return Err(refuse(by));
        }
    }
    for (name, columns) in &table.checks {
        if *columns != [sample.column.clone()] {
            continue;
        }
        for value in &sample.values {
            if fails(client, table, name, sample, value.as_deref()).await? {
                return Err(refuse(format!("the check `{name}` fails")));
            }
        }
    }
    Ok(())
}

/// Whether a check of one column says no to a value. What cannot be judged is no refusal.
async fn fails(
    client: &Client,
    table: &Table,
    check: &str,
    sample: &Sample,
    value: Option<&str>,
) -> Result<bool> {
    let query = "SELECT pg_catalog.pg_get_expr(k.conbin, k.conrelid) FROM pg_catalog.pg_constraint k \
                 WHERE k.conrelid = $1::int8::oid AND k.conname = $2 AND k.contype = 'c'";
    let found = client
        .query_opt(query, &[&i64::from(table.oid), &check])
        .await
        .or_postgres(|| format!("the checks of {} cannot be read", table.full_name()))?;
    let Some(expression) = found.and_then(|row| row.get::<_, Option<String>>(0)) else {
        return Ok(false);
    };
    let value = value.map_or("NULL".to_owned(), literal);
    let trial = format!(
        "SELECT ({expression}) IS FALSE FROM (SELECT CAST({value} AS {}) AS {}) AS {}",
        sample.type_name,
        ident(&sample.column),
        ident(&table.name)
    );
    let judged = client.query_opt(&trial, &[]).await;
    Ok(judged.is_ok_and(|row| row.is_some_and(|row| row.get(0))))
}
