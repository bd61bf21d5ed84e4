//! The schema archive: written by pg_dump in the source's own snapshot.

use super::quote::ident;
use super::source::Source;
use super::tools::{self, tool};
use crate::error::Result;

/// The largest schema archive that is read, in bytes: 20,000 tables take some 20 MiB.
const ARCHIVE_BYTES_MAX: usize = 1 << 30;

/// A schema archive, and who wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaDump {
    /// The bytes of the file.
    pub archive: Vec<u8>,
    /// What pg_dump says of itself, such as `pg_dump (PostgreSQL) 15.18`.
    pub tool: String,
    /// Its major version: pg_restore must be at least as new.
    pub major: u32,
}

impl Source {
    /// The schema in pg_dump's custom format, as of the snapshot. It never touches a disk here.
    ///
    /// The archive holds definitions only; `SET` lines are made by pg_restore when it reads it.
    ///
    /// # Errors
    ///
    /// Exit 1 if no pg_dump is new enough or it fails, with what it said; exit 12 if it cannot
    /// connect.
    pub async fn schema_archive(&self) -> Result<SchemaDump> {
        let pg_dump = tool("pg_dump", self.catalog().server.major()).await?;
        let database = &self.endpoint.database;
        let mut command = tools::command(&pg_dump, &self.endpoint, database)?;
        command
            .args(["--format=custom", "--schema-only", "--compress=0"])
            .arg(format!("--lock-wait-timeout={}", self.lock_timeout.as_millis().max(1)))
            .arg(format!("--snapshot={}", self.snapshot));
        for schema in &self.endpoint.schemas {
            // A name in double quotes is no pattern.
            command.arg(format!("--schema={}", ident(schema)));
        }
        if !self.endpoint.schemas.is_empty() && pg_dump.major >= 14 {
            for extension in self.extensions_in_schemas().await? {
                command.arg(format!("--extension={}", ident(&extension)));
            }
        }
        let doing = "write the schema";
        let archive =
            tools::capture(command, &pg_dump, &self.endpoint, doing, ARCHIVE_BYTES_MAX).await?;
        Ok(SchemaDump { tool: pg_dump.version, major: pg_dump.major, archive })
    }

    /// With `--schema`, pg_dump leaves extensions out unless they are named.
    async fn extensions_in_schemas(&self) -> Result<Vec<String>> {
        use super::reason::OrPostgres;
        let query = "SELECT e.extname::text FROM pg_catalog.pg_extension e \
                     JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace \
                     WHERE n.nspname::text = ANY ($1) OR n.nspname = 'pg_catalog'";
        let rows = self
            .keeper()
            .query(query, &[&self.endpoint.schemas])
            .await
            .or_postgres(|| "extensions cannot be read")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}
