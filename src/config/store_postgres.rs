//! The Postgres of an environment.

use std::time::Duration;

use super::address::Address;
use super::endpoint::{PostgresEndpoint, Tls};
use super::layers::Loaded;
use super::names;
use super::origin::Origin;
use super::overlay::{CONNECT_TIMEOUT, Overlay, Url};
use super::reader::Reader;
use super::secret::Secret;
use crate::error::{Error, Result};

/// Options that pfdata reads; see the libpq manual, "Connection URIs". `schema` is Prisma's,
/// `currentSchema` JDBC's.
const OPTIONS: [&str; 8] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "ssl_min_protocol_version",
    "connect_timeout",
    "schema",
    "currentSchema",
];

/// Reads the endpoint; `None` when the environment has no Postgres.
pub(crate) fn read(reader: Reader<'_>) -> Result<Option<PostgresEndpoint>> {
    let Some(overlay) = Overlay::new(reader, "postgres", &["postgres", "postgresql"], tidy)? else {
        return Ok(None);
    };
    for url in overlay.blocks.iter().filter_map(|block| block.url.as_ref()) {
        overlay.check_options(url, &OPTIONS)?;
    }
    let (host, port) = overlay.place()?;
    let (username, password) = overlay.login()?;
    let database = overlay.same_database()?;
    let password = match password {
        Some(password) => Some(password),
        None => last_resort(reader.loaded()).map(|(value, _)| value.to_owned()),
    };
    let timeout = match overlay.timeout()? {
        Some(time) => time,
        None => timeout_of_url(&overlay)?.unwrap_or(CONNECT_TIMEOUT),
    };
    Ok(Some(PostgresEndpoint {
        host,
        port,
        database: overlay.required(database, "database")?,
        username: overlay.required(username, "username")?,
        password: password.map(Secret::new),
        tls: overlay.tls(tls_of_url)?,
        schemas: schemas(&overlay)?,
        connect_timeout: timeout,
    }))
}

/// libpq takes host, port, user, password and database as options too.
fn tidy(address: &mut Address) {
    let mut take = |name: &str| {
        let at = address.options.iter().rposition(|(key, _)| key == name)?;
        Some(address.options.remove(at).1)
    };
    let (host, port) = (take("host"), take("port"));
    let (user, password, database) = (take("user"), take("password"), take("dbname"));
    if let Some(host) = host {
        let port = port.or_else(|| address.hosts.pop().and_then(|(_, port)| port));
        address.hosts = vec![(host, port)];
    }
    address.username = user.or_else(|| address.username.take());
    address.password = password.or_else(|| address.password.take());
    address.path = database.or_else(|| address.path.take());
}

/// What the old scripts did with a password that is nowhere else: `DEV_DB_PASSWORD` and its like.
pub(crate) fn last_resort(loaded: &Loaded) -> Option<(&str, Origin)> {
    let names = names::password_variables(&loaded.name);
    let found = names.iter().find_map(|name| loaded.context.variable(name));
    found.filter(|(value, _)| !value.is_empty())
}

fn schemas(overlay: &Overlay<'_>) -> Result<Vec<String>> {
    if let Some(schemas) = overlay.reader.texts("database.postgres.schemas")? {
        return Ok(schemas);
    }
    let Some(url) = overlay.blocks.last().and_then(|block| block.url.as_ref()) else {
        return Ok(Vec::new());
    };
    let named = match overlay.option(url, "schema")? {
        Some(schema) => Some(schema),
        None => overlay.option(url, "currentSchema")?,
    };
    let split = |text: String| text.split(',').map(|name| name.trim().to_owned()).collect();
    Ok(named.filter(|text| !text.is_empty()).map(split).unwrap_or_default())
}

fn timeout_of_url(overlay: &Overlay<'_>) -> Result<Option<Duration>> {
    for url in overlay.blocks.iter().filter_map(|block| block.url.as_ref()) {
        if let Some(text) = overlay.option(url, "connect_timeout")? {
            let seconds = text.parse().ok().filter(|seconds| *seconds <= 3_600_u64);
            let seconds = seconds.ok_or_else(|| {
                overlay
                    .reader
                    .wrong(&url.path, "a url whose connect_timeout is a number of seconds")
            })?;
            return Ok((seconds > 0).then(|| Duration::from_secs(seconds)));
        }
    }
    Ok(None)
}

/// libpq's `sslmode`. `verify-ca` is treated as `verify-full`, which is stricter.
fn tls_of_url(overlay: &Overlay<'_>, url: &Url) -> Result<Option<Tls>> {
    for key in ["sslcert", "sslkey"] {
        if overlay.reader.resolves() && overlay.option(url, key)?.is_some() {
            let origin = overlay.reader.origin(&url.path);
            return Err(Error::not_built(format!("{origin}: `{}` with {key}", url.path)));
        }
    }
    let Some(mode) = overlay.option(url, "sslmode")? else { return Ok(None) };
    let (required, verify) = match mode.as_str() {
        "disable" | "allow" | "prefer" => (false, false),
        "require" | "no-verify" => (true, false),
        "verify-ca" | "verify-full" => (true, true),
        _ => {
            let expected = "a url whose sslmode is one of libpq's: disable, prefer, require, \
                            verify-ca, verify-full";
            return Err(overlay.reader.wrong(&url.path, expected));
        }
    };
    let ca = overlay.option(url, "sslrootcert")?.filter(|ca| ca != "system");
    let newest = overlay.option(url, "ssl_min_protocol_version")?;
    Ok(Some(Tls {
        required,
        verify,
        ca: ca.map(|ca| overlay.file(&ca)),
        tls13_only: newest.as_deref() == Some("TLSv1.3"),
    }))
}
