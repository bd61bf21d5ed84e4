//! Files of SQL, each in one transaction.

use std::path::{Path, PathBuf};

use super::connect::Session;
use super::reason::OrPostgres;
use crate::config::endpoint::PostgresEndpoint;
use crate::error::{Error, OrFail, Result};

/// Gives back what pfdata's own sessions change and an application's SQL relies on.
const AS_AN_APPLICATION: &str = "RESET search_path; RESET \"DateStyle\"; \
     RESET \"IntervalStyle\"; RESET \"TimeZone\"; RESET bytea_output; RESET lc_monetary";

/// Runs files in a database, in order, each in one transaction; one that fails ends the rest.
///
/// # Errors
///
/// Exit 2 if a file cannot be read, exit 1 naming file and line if the server refuses.
pub async fn apply(endpoint: &PostgresEndpoint, database: &str, files: &[PathBuf]) -> Result<()> {
    run_files(&Session::open(endpoint, Some(database)).await?, files).await
}

pub(super) async fn run_files(session: &Session, files: &[PathBuf]) -> Result<()> {
    session
        .batch_execute(AS_AN_APPLICATION)
        .await
        .or_postgres(|| "the application's settings cannot be restored")?;
    for file in files {
        let sql = tokio::fs::read_to_string(file)
            .await
            .or_usage(|| format!("{} cannot be read", file.display()))?;
        run(session, file, &sql).await?;
    }
    Ok(())
}

async fn run(session: &Session, file: &Path, sql: &str) -> Result<()> {
    let failed = || format!("{} failed", file.display());
    session.batch_execute("BEGIN").await.or_postgres(failed)?;
    let begun = transaction(session).await.or_postgres(failed)?;
    let done = session.batch_execute(sql).await;
    if let Err(error) = done {
        let line = line_of(&error, sql);
        let failed = Err(error).or_postgres(|| match line {
            Some(line) => format!("{} failed at line {line}", file.display()),
            None => failed(),
        });
        if let Err(error) = session.batch_execute("ROLLBACK").await {
            tracing::debug!(%error, "the transaction could not be rolled back");
        }
        return failed;
    }
    let ended = transaction(session).await.or_postgres(failed)?;
    if begun != ended {
        return Err(Error::failed(failed())
            .because("it ends its transaction by itself")
            .hint("take BEGIN, COMMIT and ROLLBACK out of it: each file is one transaction"));
    }
    session.batch_execute("COMMIT").await.or_postgres(failed)
}

async fn transaction(session: &Session) -> Result<String, tokio_postgres::Error> {
    let query = "SELECT pg_catalog.pg_current_xact_id()::text";
    session.query_one(query, &[]).await.map(|row| row.get(0))
}

/// The line that the server points at.
fn line_of(error: &tokio_postgres::Error, sql: &str) -> Option<usize> {
    use tokio_postgres::error::ErrorPosition;
    match error.as_db_error()?.position()? {
        ErrorPosition::Original(position) => {
            let before = sql.chars().take((*position as usize).saturating_sub(1));
            Some(before.filter(|character| *character == '\n').count() + 1)
        }
        ErrorPosition::Internal { .. } => None,
    }
}
