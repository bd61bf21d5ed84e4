//! The schema archive, read back by pg_restore in two halves, around the data.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use super::quote::{ident, qualified};
use super::reason::OrPostgres;
use super::target::Target;
use super::toc::{Pick, Toc};
use super::tools::{self, Tool};
use crate::error::{Error, OrFail, Result};

/// The first pg_restore that sets `transaction_timeout`, which older servers do not know.
const TRANSACTION_TIMEOUT_MAJOR: u32 = 17;
/// What each session of pg_restore may use for building an index.
const MAINTENANCE_WORK_MEM: &str = "256MB";

/// Which half of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    PreData,
    PostData,
}

impl Section {
    fn word(self) -> &'static str {
        match self {
            Self::PreData => "pre-data",
            Self::PostData => "post-data",
        }
    }
}

/// A schema archive that was opened.
struct Archive<'a> {
    path: &'a Path,
    tool: Tool,
    toc: Toc,
}

impl Target {
    /// Creates everything that must be there before the rows: schemas, types, functions, tables.
    ///
    /// Subscriptions and user mappings are left out and foreign servers lose their addresses;
    /// [`Target::remarks`] lists them.
    ///
    /// # Errors
    ///
    /// Exit 1 if an extension or a role is missing on the server, or pg_restore fails, with
    /// what it said; exit 12 if it cannot connect.
    pub async fn load_pre_data(&self, archive: &Path) -> Result<()> {
        let archive = self.open(archive).await?;
        self.check_extensions(&archive.toc).await?;
        for name in archive.toc.left_out() {
            self.remark(format!("not restored: {name}"));
        }
        // Extensions often need the rights of the role that logs in.
        let without_foundations = self.role().is_some();
        let has_public = self.options.database["public_schema"].as_bool() != Some(false);
        if without_foundations {
            self.restore(&archive, Section::PreData, Pick::Foundations, None, 1).await?;
            self.give_schemas_away().await?;
        }
        let pick = Pick::Main { without_foundations, has_public };
        self.restore(&archive, Section::PreData, pick, self.role(), 1).await?;
        self.disable_servers().await
    }

    /// Creates everything that comes after the rows, with up to `jobs` connections: indexes,
    /// constraints, triggers, policies; then fills the materialized views that the source had
    /// filled, and creates event triggers last.
    ///
    /// # Errors
    ///
    /// Exit 1 if a constraint does not hold or pg_restore fails, with what it said; exit 12 if
    /// it cannot connect.
    pub async fn load_post_data(&self, archive: &Path, jobs: usize) -> Result<()> {
        let archive = self.open(archive).await?;
        let pick = Pick::Main { without_foundations: self.role().is_some(), has_public: true };
        self.restore(&archive, Section::PostData, pick, self.role(), jobs).await?;
        self.refresh_views().await?;
        if archive.toc.has(Pick::EventTriggers) {
            self.restore(&archive, Section::PostData, Pick::EventTriggers, None, 1).await?;
            self.disable_event_triggers().await?;
        }
        Ok(())
    }

    /// Finds a pg_restore that can read the archive, the target's own version first.
    async fn open<'a>(&self, path: &'a Path) -> Result<Archive<'a>> {
        let installed = tools::installed("pg_restore").await;
        let (older, newer): (Vec<Tool>, Vec<Tool>) =
            installed.into_iter().partition(|tool| tool.major < self.server.major());
        let mut refused =
            Error::failed("no pg_restore is installed").hint("install postgresql-client (apt)");
        for tool in newer.into_iter().chain(older.into_iter().rev()) {
            match list(&tool, path).await {
                Ok(listing) => return Ok(Archive { path, tool, toc: Toc::parse(&listing) }),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    async fn restore(
        &self,
        archive: &Archive<'_>,
        section: Section,
        pick: Pick,
        role: Option<&str>,
        jobs: usize,
    ) -> Result<()> {
        let entries = archive.toc.pick(pick);
        if entries.is_empty() {
            return Ok(());
        }
        // Beside the archive: the folder is the job's own, and is swept when the job was killed.
        let folder = archive.path.parent().unwrap_or(Path::new("."));
        let mut list =
            tempfile::NamedTempFile::new_in(folder).or_fail(|| "a list cannot be written")?;
        list.write_all(entries.as_bytes()).or_fail(|| "a list cannot be written")?;
        let doing = format!("restore the schema ({})", section.word());
        let mut command = tools::command(&archive.tool, &self.endpoint, &self.names.new)?;
        command
            .env("PGOPTIONS", self.session_options())
            .args(["--no-owner", "--no-acl", "--no-tablespaces", "--exit-on-error"])
            .arg(format!("--section={}", section.word()))
            .arg("--use-list")
            .arg(list.path());
        if let Some(role) = role {
            command.arg(format!("--role={role}"));
        }
        let old_server = self.server.major() < TRANSACTION_TIMEOUT_MAJOR;
        if old_server && archive.tool.major >= TRANSACTION_TIMEOUT_MAJOR {
            command.arg("--file=-").arg(archive.path);
            return self.restore_by_script(command, archive, &doing).await;
        }
        if jobs > 1 {
            command.arg(format!("--jobs={jobs}"));
        }
        command.arg("--dbname").arg(connection(&self.names.new)).arg(archive.path);
        tools::run(command, &archive.tool, &self.endpoint, &doing).await
    }

    /// A newer pg_restore sets what an older server does not know. So its script goes through
    /// here, loses that line, and is run by psql; without parallel jobs.
    async fn restore_by_script(
        &self,
        mut pg_restore: Command,
        archive: &Archive<'_>,
        doing: &str,
    ) -> Result<()> {
        let psql = tools::tool("psql", archive.tool.major).await?;
        let mut into = tools::command(&psql, &self.endpoint, &self.names.new)?;
        into.env("PGOPTIONS", self.session_options())
            .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-"])
            .stdin(Stdio::piped());
        pg_restore.stdout(Stdio::piped());
        let lost = || "pg_restore and psql cannot run together";
        let mut from = pg_restore.spawn().or_fail(lost)?;
        let mut into = into.spawn().or_fail(lost)?;
        let (output, input) = (from.stdout.take(), into.stdin.take());
        let (from_errors, into_errors) = (from.stderr.take(), into.stderr.take());
        let (copied, from_said, into_said) = tokio::join!(
            without_unknown_settings(output, input),
            tools::tail(from_errors),
            tools::tail(into_errors)
        );
        let from = from.wait().await.or_fail(lost)?;
        let into = into.wait().await.or_fail(lost)?;
        if !into.success() {
            return Err(tools::complaint(&psql, &self.endpoint, doing, &into_said));
        }
        if !from.success() {
            return Err(tools::complaint(&archive.tool, &self.endpoint, doing, &from_said));
        }
        copied.or_fail(lost)
    }

    fn session_options(&self) -> String {
        format!(
            "-c synchronous_commit=off -c maintenance_work_mem={MAINTENANCE_WORK_MEM} \
             -c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0 \
             -c default_tablespace="
        )
    }

    async fn check_extensions(&self, toc: &Toc) -> Result<()> {
        let names = toc.extensions();
        let query = "SELECT e FROM pg_catalog.unnest($1::text[]) e WHERE e NOT IN \
                     (SELECT name::text FROM pg_catalog.pg_available_extensions) ORDER BY 1";
        let session = self.login_session().await?;
        let rows = session
            .query(query, &[&names])
            .await
            .or_postgres(|| "the server's extensions cannot be listed")?;
        if rows.is_empty() {
            return Ok(());
        }
        let missing: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        Err(Error::failed(format!(
            "the target server lacks the extensions that the snapshot needs: {}",
            missing.join(", ")
        ))
        .hint("install their packages on the target's server"))
    }

    async fn give_schemas_away(&self) -> Result<()> {
        let Some(role) = self.role() else {
            return Ok(());
        };
        let session = self.login_session().await?;
        let query = "SELECT n.nspname::text FROM pg_catalog.pg_namespace n \
                     WHERE n.nspowner = (SELECT r.oid FROM pg_catalog.pg_roles r \
                                          WHERE r.rolname = current_user) \
                       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";
        let failed = || format!("schemas cannot be given to {role}");
        for row in session.query(query, &[]).await.or_postgres(failed)? {
            let schema: String = row.get(0);
            let statement = format!("ALTER SCHEMA {} OWNER TO {}", ident(&schema), ident(role));
            session.batch_execute(&statement).await.or_postgres(failed)?;
        }
        Ok(())
    }

    /// Takes every option, and with them host and database, from foreign servers: their tables
    /// stay, and cannot reach what the source reached.
    async fn disable_servers(&self) -> Result<()> {
        let session = self.session().await?;
        let query = "SELECT s.srvname::text, \
                            pg_catalog.array_agg(pg_catalog.split_part(o, '=', 1)) \
                       FROM pg_catalog.pg_foreign_server s, \
                            LATERAL pg_catalog.unnest(s.srvoptions) o GROUP BY 1 ORDER BY 1";
        let rows =
            session.query(query, &[]).await.or_postgres(|| "foreign servers cannot be listed")?;
        for row in rows {
            let (server, options): (String, Vec<String>) = (row.get(0), row.get(1));
            let drops: Vec<String> =
                options.iter().map(|option| format!("DROP {}", ident(option))).collect();
            let statement =
                format!("ALTER SERVER {} OPTIONS ({})", ident(&server), drops.join(", "));
            session
                .batch_execute(&statement)
                .await
                .or_postgres(|| format!("the foreign server {server} cannot be disabled"))?;
            self.remark(format!("disabled: the foreign server {server} lost its address"));
        }
        Ok(())
    }

    async fn disable_event_triggers(&self) -> Result<()> {
        let session = self.login_session().await?;
        let query = include_str!("../../../sql/catalog/risky_event_triggers.sql");
        let rows =
            session.query(query, &[]).await.or_postgres(|| "event triggers cannot be listed")?;
        for row in rows {
            let name: String = row.get(0);
            session
                .batch_execute(&format!("ALTER EVENT TRIGGER {} DISABLE", ident(&name)))
                .await
                .or_postgres(|| format!("the event trigger {name} cannot be disabled"))?;
            self.remark(format!(
                "disabled: the event trigger {name}, whose code could reach out of the database"
            ));
        }
        Ok(())
    }

    /// Fills materialized views, those that others read first.
    async fn refresh_views(&self) -> Result<()> {
        let listed = self.options.database["materialized_views"].as_array();
        let filled = |schema: &str, name: &str| {
            listed.is_none_or(|views| {
                views.iter().any(|view| {
                    view["schema"] == schema && view["name"] == name && view["populated"] == true
                })
            })
        };
        let session = self.session().await?;
        let query = include_str!("../../../sql/catalog/refresh_order.sql");
        let rows = session
            .query(query, &[])
            .await
            .or_postgres(|| "materialized views cannot be listed")?;
        for row in rows {
            let (schema, name): (String, String) = (row.get(0), row.get(1));
            if !filled(&schema, &name) {
                continue;
            }
            if row.get(2) {
                self.remark(format!(
                    "not filled: the materialized view {schema}.{name}, which reads a foreign table"
                ));
                continue;
            }
            let relation = qualified(&schema, &name);
            session
                .batch_execute(&format!("REFRESH MATERIALIZED VIEW {relation}"))
                .await
                .or_postgres(|| {
                    format!("the materialized view {schema}.{name} cannot be filled")
                })?;
        }
        Ok(())
    }
}

/// `dbname=…` as libpq reads it: pg_restore takes a bare name with `=` in it for such a string.
fn connection(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', "\\\\").replace('\'', "\\'"))
}

async fn list(tool: &Tool, archive: &Path) -> Result<String> {
    let output = tools::bare(&tool.path)
        .arg("--list")
        .arg(archive)
        .output()
        .await
        .or_fail(|| format!("{} cannot run", tool.path.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said.lines().next().unwrap_or_default().to_owned();
        return Err(Error::failed(format!(
            "pg_restore {} cannot read the schema archive",
            tool.major
        ))
        .because(line)
        .hint("install a pg_restore that is at least as new as the pg_dump that wrote it"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Copies a script and leaves out `SET transaction_timeout`, which stands above its first entry.
async fn without_unknown_settings(
    output: Option<tokio::process::ChildStdout>,
    input: Option<tokio::process::ChildStdin>,
) -> std::io::Result<()> {
    let (Some(output), Some(mut input)) = (output, input) else {
        return Ok(());
    };
    let mut output = BufReader::new(output);
    let (mut line, mut in_head) = (Vec::new(), true);
    while output.read_until(b'\n', &mut line).await? > 0 {
        in_head &= !line.starts_with(b"-- Name: ");
        if !(in_head && line.starts_with(b"SET transaction_timeout")) {
            input.write_all(&line).await?;
        }
        line.clear();
    }
    input.shutdown().await
}
