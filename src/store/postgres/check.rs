//! What `pfdata check` looks at before a job has to find out.

use tokio_postgres::Row;

use super::connect::{NEWEST_MAJOR, OLDEST_MAJOR, Session};
use super::names::APPLICATION_NAME;
use super::reason::OrPostgres;
use super::tools::tool;
use crate::config::endpoint::PostgresEndpoint;
use crate::error::Result;
use crate::store::finding::{self, Finding};

/// Looks at a database as a source, and also as a target if `as_target`. Everything that is
/// found is a finding, unreachable servers too.
pub async fn check(endpoint: &PostgresEndpoint, as_target: bool) -> Vec<Finding> {
    let place = format!("{}:{}/{}", endpoint.host, endpoint.port, endpoint.database);
    let session = match open(endpoint, as_target).await {
        Ok(session) => session,
        Err(error) => return vec![Finding::connection(&place, Some(&error))],
    };
    let mut findings = vec![Finding::connection(&place, None)];
    for looked in [
        transport(endpoint, &session).await,
        version(&session).await,
        clock(&session).await,
        reading(endpoint, &session).await,
    ] {
        findings.push(looked.unwrap_or_else(|error| Finding::failed("check", &error)));
    }
    findings.push(client_tools(&session).await);
    if as_target {
        let looked = swapping(endpoint, &session).await;
        findings.extend(looked.unwrap_or_else(|error| vec![Finding::failed("privileges", &error)]));
    }
    findings
}

/// A target need not exist yet.
async fn open(endpoint: &PostgresEndpoint, as_target: bool) -> Result<Session> {
    match Session::open(endpoint, None).await {
        Ok(session) => Ok(session),
        Err(error) if as_target => super::swap::maintenance(endpoint).await.map_err(|_| error),
        Err(error) => Err(error),
    }
}

async fn one(session: &Session, query: &str) -> Result<Row> {
    session.query_one(query, &[]).await.or_postgres(|| "the server refused a question")
}

async fn transport(endpoint: &PostgresEndpoint, session: &Session) -> Result<Finding> {
    let query = "SELECT coalesce((SELECT s.version || ', ' || s.cipher \
                   FROM pg_catalog.pg_stat_ssl s \
                  WHERE s.pid = pg_catalog.pg_backend_pid() AND s.ssl), '')";
    let tls: String = one(session, query).await?.get(0);
    let local = endpoint.host.starts_with('/')
        || ["localhost", "127.0.0.1", "::1"].contains(&endpoint.host.as_str());
    Ok(match (tls.as_str(), local) {
        ("", true) => Finding::good("encryption", "none, on this host"),
        ("", false) => Finding::bad(
            "encryption",
            "the connection is in the clear",
            "set `ssl.required`, and `ssl` on the server",
        ),
        (tls, _) => Finding::good("encryption", tls),
    })
}

async fn version(session: &Session) -> Result<Finding> {
    let version: String =
        one(session, "SELECT pg_catalog.current_setting('server_version')").await?.get(0);
    let detail = format!("postgres {version}");
    Ok(if (OLDEST_MAJOR..=NEWEST_MAJOR).contains(&session.major()) {
        Finding::version(detail)
    } else {
        let hint = format!("pfdata has been tried with {OLDEST_MAJOR} to {NEWEST_MAJOR}");
        Finding::bad("version", detail, hint)
    })
}

async fn clock(session: &Session) -> Result<Finding> {
    let query = "SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8";
    let server: f64 = one(session, query).await?.get(0);
    Ok(Finding::clock(server, finding::clock_here()))
}

async fn client_tools(session: &Session) -> Finding {
    let (dump, restore) =
        tokio::join!(tool("pg_dump", session.major()), tool("pg_restore", session.major()));
    match (dump, restore) {
        (Ok(dump), Ok(_)) => {
            Finding::good("pg_dump", format!("{} ({})", dump.version, dump.path.display()))
        }
        (Err(error), _) | (_, Err(error)) => Finding::failed("pg_dump", &error),
    }
}

/// Whether everything can be read, and no policy would hide rows.
async fn reading(endpoint: &PostgresEndpoint, session: &Session) -> Result<Finding> {
    let query = include_str!("../../../sql/catalog/unreadable.sql");
    let rows = session
        .query(query, &[&endpoint.schemas])
        .await
        .or_postgres(|| "privileges cannot be looked up")?;
    if rows.is_empty() {
        return Ok(Finding::good("reading", "every table and sequence can be read"));
    }
    let names: Vec<String> = rows
        .iter()
        .take(5)
        .map(|row| format!("{} ({})", row.get::<_, &str>(0), row.get::<_, &str>(1)))
        .collect();
    let more = rows.len().saturating_sub(names.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Ok(Finding::bad(
        "reading",
        format!("not everything can be read: {}{more}", names.join(", ")),
        format!(
            "grant pg_read_all_data to {role} (14 and later), and alter role {role} bypassrls \
             where row security is used",
            role = super::quote::ident(&endpoint.username)
        ),
    ))
}

async fn swapping(endpoint: &PostgresEndpoint, session: &Session) -> Result<Vec<Finding>> {
    let query = "SELECT r.rolcreatedb OR r.rolsuper, \
                        r.rolsuper OR pg_catalog.pg_has_role('pg_signal_backend', 'MEMBER'), \
                        coalesce((SELECT pg_catalog.pg_has_role(d.datdba, 'MEMBER') \
                                    FROM pg_catalog.pg_database d WHERE d.datname = $1), true) \
                   FROM pg_catalog.pg_roles r WHERE r.rolname = current_user";
    let row = session
        .query_one(query, &[&endpoint.database])
        .await
        .or_postgres(|| "privileges cannot be looked up")?;
    let role = super::quote::ident(&endpoint.username);
    let finding = |ok: bool, what: &str, good: &str, bad: &str, hint: String| {
        if ok { Finding::good(what, good) } else { Finding::bad(what, bad, hint) }
    };
    Ok(vec![
        finding(
            row.get(0),
            "create database",
            "the role may create databases",
            "the role may not create databases",
            format!("alter role {role} createdb"),
        ),
        finding(
            row.get(1),
            "end sessions",
            "the role may end other sessions",
            "the role may only end its own sessions",
            format!("grant pg_signal_backend to {role}"),
        ),
        finding(
            row.get(2),
            "rename database",
            "the role owns the live database, or there is none",
            "the role does not own the live database",
            format!("grant the owner of the database to {role}; {APPLICATION_NAME} renames it"),
        ),
    ])
}
