//! Whether pfdata can work with a server: reachable, new enough, the rights, room, a spare index.

use std::time::Duration;

use super::catalog::{Server, clock, setting};
use super::connect::{Connection, address};
use super::reply::Reply;
use super::source::{Route, route};
use super::target::{choose_spare, refuse_eviction};
use crate::config::endpoint::RedisEndpoint;
use crate::error::Result;
use crate::store::finding::{self, Finding};

/// Commands that reading needs.
const READING: &[&str] = &["sync", "psync", "replconf", "info"];

/// Commands that loading needs.
const LOADING: &[&str] = &[
    "restore", "select", "swapdb", "flushdb", "multi", "exec", "watch", "get", "set", "del",
    "scan", "dbsize", "info", "time", "dump",
];

/// Looks at the server, and with `as_target` also at what loading into it needs. Changes nothing.
/// `environment` is whose spare index is looked for.
pub async fn check(endpoint: &RedisEndpoint, environment: &str, as_target: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(error) = examine(endpoint, environment, as_target, &mut findings).await {
        findings.push(Finding::failed("check", &error));
    }
    findings
}

async fn examine(
    endpoint: &RedisEndpoint,
    environment: &str,
    as_target: bool,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let place = format!("{}/{}", address(endpoint), endpoint.db);
    let opened = Connection::open(endpoint).await;
    findings.push(Finding::connection(&place, opened.as_ref().err()));
    let Ok(mut connection) = opened else { return Ok(()) };
    let secured = if endpoint.tls.required { "TLS" } else { "none" };
    findings.push(Finding::good("encryption", secured));
    let server = Server::read(&mut connection).await?;
    findings.push(Finding::version(server.product()));
    connection.select(endpoint.db).await?;
    findings.push(Finding::good(
        "index",
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
    let server = Duration::from_millis(clock(connection).await?);
    Ok(Finding::clock(server.as_secs_f64(), finding::clock_here()))
}

/// Asks the server which of `commands` the user may run, without running them (7.0: `ACL DRYRUN`).
async fn check_rights(connection: &mut Connection, commands: &[&str]) -> Result<Finding> {
    let user = connection.command(&[b"ACL", b"WHOAMI"]).await?;
    let what = "privileges";
    let Some(user) = user.text().map(str::to_owned) else {
        return Ok(Finding::good(what, "the server does not tell"));
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
            Reply::Failure(_) => {
                return Ok(Finding::good(what, format!("user `{user}` (not checked)")));
            }
            reply if reply.text() == Some("OK") => {}
            _ => missing.push(format!("+{command}")),
        }
    }
    if missing.is_empty() {
        return Ok(Finding::good(what, format!("user `{user}` may do all that is needed")));
    }
    let detail = format!("user `{user}` lacks {} commands", missing.len());
    Ok(Finding::bad(what, detail, format!("ACL SETUSER {user} {}", missing.join(" "))))
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
    findings.push(if server.link_down {
        let hint = "see to the replica's connection, or read from its primary";
        Finding::bad("snapshot", "this replica has lost its primary", hint)
    } else {
        Finding::good("snapshot", way)
    });
    if let Some(timeout) = setting(connection, "repl-timeout").await? {
        findings
            .push(Finding::good("patience", format!("a stalled stream ends after {timeout} s")));
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
        Ok(()) => Finding::good("eviction", "the server does not evict"),
        Err(error) => Finding::failed("eviction", &error),
    });
    if server.replica {
        findings.push(Finding::bad(
            "writes",
            "the server is a replica",
            "give the primary's address",
        ));
    }
    findings.push(match choose_spare(connection, server, endpoint, environment).await {
        Ok((index, None)) => Finding::good("spare index", format!("index {index}, empty")),
        Ok((index, Some(marker))) => Finding::good(
            "spare index",
            format!("index {index}, {} by job {}", marker.state.word(), marker.job),
        ),
        Err(error) => Finding::failed("spare index", &error),
    });
}
