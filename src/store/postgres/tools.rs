//! The vendor's own programs: pg_dump and pg_restore, found, run and listened to.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::connect::place;
use super::names::APPLICATION_NAME;
use super::tls;
use crate::config::endpoint::PostgresEndpoint;
use crate::error::{Error, OrFail, Result};

/// Folders whose children hold one version each.
const VERSIONED: [&str; 2] = ["/usr/lib/postgresql", "/opt/homebrew/opt"];

/// A program of PostgreSQL's client tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Where it is.
    pub path: PathBuf,
    /// Its major version.
    pub major: u32,
    /// What it says of itself, such as `pg_dump (PostgreSQL) 15.18`.
    pub version: String,
}

/// Finds `name` (`pg_dump`, `pg_restore`, `psql`) in the lowest version that is at least
/// `at_least`: an older pg_dump refuses the server, a newer one writes what older servers do
/// not know.
///
/// # Errors
///
/// Exit 1, naming the versions that are installed.
pub async fn tool(name: &str, at_least: u32) -> Result<Tool> {
    let found = installed(name).await;
    let installed: Vec<String> = found.iter().map(|tool| tool.major.to_string()).collect();
    if let Some(tool) = found.into_iter().find(|tool| tool.major >= at_least) {
        return Ok(tool);
    }
    let why = if installed.is_empty() {
        format!("{name} is not installed")
    } else {
        format!("{name} {at_least} or later is not installed, only {}", installed.join(", "))
    };
    Err(Error::failed(why)
        .hint(format!("install postgresql-client-{at_least} (apt), or put a newer {name} on PATH")))
}

/// Every installed version of `name`, the oldest first.
pub async fn installed(name: &str) -> Vec<Tool> {
    let mut found: BTreeMap<u32, Tool> = BTreeMap::new();
    for path in candidates(name) {
        if let Some(tool) = version_of(&path).await {
            found.entry(tool.major).or_insert(tool);
        }
    }
    found.into_values().collect()
}

fn candidates(name: &str) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for base in VERSIONED {
        let children = std::fs::read_dir(base).into_iter().flatten().flatten();
        folders.extend(children.map(|child| child.path().join("bin")));
    }
    folders.sort();
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&on_path));
    folders
        .into_iter()
        .map(|folder| folder.join(name))
        .filter(|path| path.is_file() && !is_debian_wrapper(path))
        .collect()
}

/// Debian's `/usr/bin/pg_dump` chooses a version by itself, by rules of its own.
fn is_debian_wrapper(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|real| real.file_name().is_some_and(|name| name == "pg_wrapper"))
}

/// Variables that a tool may inherit: how to find its libraries, its messages' language, the
/// time zone, where temporary files go. Nothing else: what else this process was given, a key or
/// another store's password, is no business of a child, whose environment stands in `/proc`.
const INHERITED: [&str; 15] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TZDIR",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
];

/// Begins a command: it inherits only what is harmless, and speaks English.
pub fn bare(tool: &Path) -> Command {
    let mut command = Command::new(tool);
    command.env_clear();
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn version_of(path: &Path) -> Option<Tool> {
    let mut command = bare(path);
    command.arg("--version");
    let output =
        tokio::time::timeout(Duration::from_secs(10), command.output()).await.ok()?.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    let number = line.split(") ").nth(1)?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    Some(Tool { path: path.to_owned(), major: digits.parse().ok()?, version: line.to_owned() })
}

/// A command that talks to `database` of the endpoint. Neither the password nor anything else
/// of the connection stands on the command line, and no `PG…` variable of the caller counts.
pub fn command(tool: &Tool, endpoint: &PostgresEndpoint, database: &str) -> Result<Command> {
    let mut command = bare(&tool.path);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let seconds = endpoint.connect_timeout.as_secs().max(2);
    command
        .env("PGHOST", &endpoint.host)
        .env("PGPORT", endpoint.port.to_string())
        .env("PGUSER", &endpoint.username)
        .env("PGDATABASE", database)
        .env("PGAPPNAME", APPLICATION_NAME)
        .env("PGCONNECT_TIMEOUT", seconds.to_string())
        // Only the configured password counts, as for our own connections.
        .env("PGPASSFILE", "/nonexistent")
        .env("PGSERVICEFILE", "/nonexistent")
        .arg("--no-password");
    if let Some(password) = &endpoint.password {
        command.env("PGPASSWORD", password.expose());
    }
    for (name, value) in tls::libpq(&endpoint.tls)? {
        command.env(name, value);
    }
    Ok(command)
}

/// Runs a command to its end. What it complains about becomes the error's causes.
pub async fn run(
    mut command: Command,
    tool: &Tool,
    endpoint: &PostgresEndpoint,
    doing: &str,
) -> Result<()> {
    let mut child = command.spawn().or_fail(|| format!("{} cannot run", tool.path.display()))?;
    let complaints = tail(child.stderr.take()).await;
    let status = child.wait().await.or_fail(|| format!("{} was lost", tool.path.display()))?;
    if status.success() {
        return Ok(());
    }
    Err(complaint(tool, endpoint, doing, &complaints))
}

/// Runs a command to its end and gives what it wrote, which is an error beyond `limit` bytes.
pub async fn capture(
    mut command: Command,
    tool: &Tool,
    endpoint: &PostgresEndpoint,
    doing: &str,
    limit: usize,
) -> Result<Vec<u8>> {
    let lost = || format!("{} was lost", tool.path.display());
    command.stdout(Stdio::piped());
    let mut child = command.spawn().or_fail(|| format!("{} cannot run", tool.path.display()))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let answer = async {
        let mut written = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(limit as u64 + 1).read_to_end(&mut written).await.or_fail(lost)?;
        }
        if written.len() > limit {
            let mebibytes = limit >> 20;
            return Err(Error::failed(format!(
                "{} could not {doing}: it is larger than {mebibytes} MiB",
                tool.path.display()
            )));
        }
        Ok(written)
    };
    let (written, complaints) = tokio::join!(answer, tail(stderr));
    let written = written?;
    let status = child.wait().await.or_fail(lost)?;
    if status.success() { Ok(written) } else { Err(complaint(tool, endpoint, doing, &complaints)) }
}

/// Reads to the end and keeps the last 64 KiB.
pub async fn tail(stream: Option<impl AsyncRead + Unpin>) -> String {
    const KEEP: usize = 64 << 10;
    let mut kept: Vec<u8> = Vec::new();
    let Some(mut stream) = stream else {
        return String::new();
    };
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        kept.extend_from_slice(&buffer[..read]);
        if kept.len() > 2 * KEEP {
            kept.drain(..kept.len() - KEEP);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// What a tool said on its way out, as an error: the lines that say what, none that quote data.
pub fn complaint(tool: &Tool, endpoint: &PostgresEndpoint, doing: &str, text: &str) -> Error {
    let name = tool.path.file_name().map(OsString::from).unwrap_or_default();
    let name = name.to_string_lossy();
    let message = format!("{name} {} could not {doing}", tool.major);
    let unreachable = text.contains("connection to server") && text.contains("failed");
    let mut error = if unreachable {
        Error::unreachable(message).because(place(endpoint, &endpoint.database))
    } else {
        Error::failed(message)
    };
    for line in told(&name, text) {
        error = error.because(line);
    }
    match text.split_once("ERROR:  role \"").and_then(|(_, rest)| rest.split_once('"')) {
        Some((role, rest)) if rest.starts_with(" does not exist") => {
            error.hint(format!("create the role on the target: create role \"{role}\" nologin"))
        }
        _ => error,
    }
}

/// At most eight lines. `DETAIL` and `CONTEXT` quote values, and so does what follows them.
fn told(name: &str, text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut quoting = false;
    for line in text.lines() {
        let own = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
        let starts = own.is_some() || line.starts_with("HINT:") || line.starts_with("Command was");
        if starts {
            quoting = false;
        } else if line.starts_with("DETAIL:") || line.starts_with("CONTEXT:") {
            quoting = true;
        }
        let line = own.unwrap_or(line).trim();
        if !quoting && !line.is_empty() && !line.starts_with("while ") {
            lines.push(line.to_owned());
        }
        // The rest of a statement may hold what only its author should read.
        quoting |= line.starts_with("Command was");
        if lines.len() == 8 {
            break;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_a_complaint_are_left_out() {
        let text = "pg_restore: while PROCESSING TOC:\n\
                    pg_restore: from TOC entry 3; 1 2 CONSTRAINT t t_pkey x\n\
                    pg_restore: error: could not execute query: ERROR:  could not create unique index\n\
                    DETAIL:  Key (email)=(jane@example.com) is duplicated.\n\
                    Command was: ALTER TABLE t ADD CONSTRAINT u UNIQUE (email);\n";
        let lines = told("pg_restore", text);
        assert!(lines.iter().any(|line| line.contains("could not create unique index")));
        assert!(lines.iter().any(|line| line.starts_with("Command was")));
        assert!(!lines.concat().contains("jane"));
    }

    #[tokio::test]
    async fn a_version_that_nobody_has_is_a_clear_error() {
        let error = tool("pg_dump", 999).await.unwrap_err();
        assert!(error.message().starts_with("pg_dump"), "{error}");
        assert!(error.hint_text().is_some());
    }
}
