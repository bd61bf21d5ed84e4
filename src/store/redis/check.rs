//! Whether pfdata can work with a server: reachable, new enough, the rights, room, a spare index.

use super::catalog::{Server, clock, setting};
use super::connect::{Connection, address};
use super::reply::Reply;
use super::source::{Route, route};
use super::target::{choose_spare, refuse_eviction};
use crate::config::endpoint::RedisEndpoint;
use crate::error::{Error, Result};
use crate::store::finding::Finding;

/// Commands that reading needs.
const READING: &[&str] = &["sync", "psync", "replconf", "info"];

/// Commands that loading needs.
const LOADING: &[&str] = &[
    "restore", "select", "swapdb", "flushdb", "multi", "exec", "watch", "get", "set", "del",
    "scan", "dbsize", "info", "time", "dump",
];

/// Clocks may differ by that much, milliseconds.
const CLOCK_SKEW: u64 = 5_000;

/// Looks at the server, and with `as_target` also at what loading into it needs. Changes nothing.
/// `environment` is whose spare index is looked for.
pub async fn check(endpoint: &RedisEndpoint, environment: &str, as_target: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(error) = examine(endpoint, environment, as_target, &mut findings).await {
        findings.push(failed("redis", &error));
    }
    findings
}

fn good(what: &str, detail: impl Into<String>) -> Finding {
    Finding { ok: true, what: what.to_owned(), detail: detail.into(), hint: None }
}

fn failed(what: &str, error: &Error) -> Finding {
    Finding {
        ok: false,
        what: what.to_owned(),
        detail: error.to_string(),
        hint: error.hint_text().map(str::to_owned),
    }
}

async fn examine(
    endpoint: &RedisEndpoint,
    environment: &str,
    as_target: bool,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let mut connection = match Connection::open(endpoint).await {
        Ok(connection) => connection,
        Err(error) => {
            findings.push(failed("redis connection", &error));
            return Ok(());
        }
    };
    let secured = if endpoint.tls.required { "tls" } else { "not encrypted" };
    findings.push(good("redis connection", format!("{}, {secured}", address(endpoint))));
    let server = Server::read(&mut connection).await?;
    findings.push(good("redis version", server.product()));
    connection.select(endpoint.db).await?;
    findings.push(good(
        "redis index",
        format!("index {} holds {} keys", endpoint.db, server.keys(endpoint.db)),
    ));
    findings.push(check_clock(&mut connection).await?);
    findings.push(check_rights(&mut connection, if as_target { LOADING } else { READING }).await?);
    if as_target {
        check_target(&mut connection, &server, endpoint, environment, findings).await;
    } else {
        check_source(&mut connection, &server, findings).await?;
    }
    Ok(())
}

async fn check_clock(connection: &mut Connection) -> Result<Finding> {
    let theirs = clock(connection).await?;
    let ours = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0);
    let apart = theirs.abs_diff(ours);
    Ok(Finding {
        ok: apart <= CLOCK_SKEW,
        what: "redis clock".to_owned(),
        detail: format!("{apart} ms from ours"),
        hint: (apart > CLOCK_SKEW).then(|| "keys expire by the server's clock: set both".into()),
    })
}

/// Asks the server which of `commands` the user may run, without running them (7.0: `ACL DRYRUN`).
async fn check_rights(connection: &mut Connection, commands: &[&str]) -> Result<Finding> {
    let user = connection.command(&[b"ACL", b"WHOAMI"]).await?;
    let what = "redis rights";
    let Some(user) = user.text().map(str::to_owned) else {
        return Ok(good(what, "the server does not tell"));
    };
    let mut missing = Vec::new();
    for command in commands {
        // Arguments do not matter here but their number does.
        let arguments: &[&[u8]] = match *command {
            "restore" => &[b"k", b"0", b"v"],
            "set" | "swapdb" => &[b"k", b"0"],
            "select" | "get" | "del" | "watch" | "scan" | "dump" => &[b"k"],
            "psync" => &[b"?", b"-1"],
            "replconf" => &[b"rdb-only", b"1"],
            _ => &[],
        };
        let mut line: Vec<&[u8]> = vec![b"ACL", b"DRYRUN", user.as_bytes(), command.as_bytes()];
        line.extend(arguments);
        match connection.command(&line).await? {
            Reply::Failure(_) => return Ok(good(what, format!("user `{user}` (not checked)"))),
            reply if reply.text() == Some("OK") => {}
            _ => missing.push(format!("+{command}")),
        }
    }
    Ok(Finding {
        ok: missing.is_empty(),
        what: what.to_owned(),
        detail: match missing.len() {
            0 => format!("user `{user}` may do all that is needed"),
            count => format!("user `{user}` lacks {count} commands"),
        },
        hint: (!missing.is_empty()).then(|| format!("ACL SETUSER {user} {}", missing.join(" "))),
    })
}

async fn check_source(
    connection: &mut Connection,
    server: &Server,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let way = match route(connection).await? {
        Route::Stream => "a snapshot is streamed from memory at once",
        Route::File => "a snapshot goes through the server's own rdb file",
        Route::DelayedStream => "a snapshot waits for repl-diskless-sync-delay first",
    };
    let mut finding = good("redis snapshot", way);
    if server.link_down {
        finding.ok = false;
        finding.detail = "this replica has lost its primary".to_owned();
    }
    findings.push(finding);
    if let Some(timeout) = setting(connection, "repl-timeout").await? {
        findings.push(good("redis patience", format!("a stalled stream ends after {timeout} s")));
    }
    Ok(())
}

async fn check_target(
    connection: &mut Connection,
    server: &Server,
    endpoint: &RedisEndpoint,
    environment: &str,
    findings: &mut Vec<Finding>,
) {
    findings.push(match refuse_eviction(server) {
        Ok(()) => good("redis eviction", "the server does not evict"),
        Err(error) => failed("redis eviction", &error),
    });
    if server.replica {
        findings.push(failed("redis role", &Error::refused("the server is a replica")));
    }
    findings.push(match choose_spare(connection, server, endpoint, environment).await {
        Ok((index, None)) => good("redis spare index", format!("index {index}, empty")),
        Ok((index, Some(marker))) => good(
            "redis spare index",
            format!("index {index}, {} by job {}", marker.state.word(), marker.job),
        ),
        Err(error) => failed("redis spare index", &error),
    });
}
