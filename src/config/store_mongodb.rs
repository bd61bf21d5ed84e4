//! The MongoDB of an environment.

use std::time::Duration;

use super::address::{Address, percent_encoded};
use super::document::Content;
use super::endpoint::{MongoEndpoint, Tls};
use super::interpolate::Template;
use super::overlay::{Block, CONNECT_TIMEOUT, Overlay, Picked, Url};
use super::reader::Reader;
use super::secret::Secret;
use crate::error::{Error, Result};

/// Options that pfdata reads itself; the others stay in the url. See the MongoDB manual,
/// "Connection String Options".
const READ: [&str; 10] = [
    "authSource",
    "replicaSet",
    "tls",
    "ssl",
    "tlsCAFile",
    "tlsInsecure",
    "tlsAllowInvalidCertificates",
    "tlsAllowInvalidHostnames",
    "tlsCertificateKeyFile",
    "connectTimeoutMS",
];

const SCHEMES: [&str; 2] = ["mongodb", "mongodb+srv"];

/// Reads the endpoint; `None` when the environment has no MongoDB.
pub(crate) fn read(reader: Reader<'_>) -> Result<Option<MongoEndpoint>> {
    let Some(overlay) = Overlay::new(reader, "mongodb", &SCHEMES, |_| {})? else { return Ok(None) };
    for url in overlay.blocks.iter().filter_map(|block| block.url.as_ref()) {
        overlay.check_options(url, &READ)?;
    }
    refuse_cluster(reader)?;
    let (username, password) = overlay.login()?;
    let database = overlay.database()?;
    let hosts = Hosts::read(&overlay)?;
    let timeout = match overlay.timeout()? {
        Some(time) => time,
        None => timeout_of_url(&overlay)?.unwrap_or(CONNECT_TIMEOUT),
    };
    Ok(Some(MongoEndpoint {
        uri: Secret::new(hosts.uri(&overlay, username.as_deref(), password.as_deref())?),
        address: hosts.list.join(","),
        database: overlay.required(database, "database")?,
        auth_source: auth_source(&overlay, username.is_some())?,
        username,
        password: password.map(Secret::new),
        replica_set: overlay.text("replicaSet", |url| option(url, "replicaSet"))?,
        tls: overlay.tls(tls_of_url)?,
        connect_timeout: timeout,
    }))
}

fn option(address: &Address, name: &str) -> Option<Template> {
    let found = address.options.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, template)| template.clone())
}

/// The servers, and the url whose options come along.
struct Hosts {
    srv: bool,
    list: Vec<String>,
}

impl Hosts {
    fn read(overlay: &Overlay<'_>) -> Result<Self> {
        let many = |address: &Address| address.hosts.first().map(|(host, _)| host.clone());
        for block in &overlay.blocks {
            match overlay.pick_in(block, "host", many) {
                Some(Picked::Part(..)) => {
                    let Some(url) = &block.url else { continue };
                    return Self::of_url(overlay, url, block);
                }
                // A key beats the url: one server, whose port is found as everywhere else.
                Some(Picked::Key(_)) => break,
                None => {}
            }
        }
        let (host, port) = overlay.place()?;
        Ok(Self { srv: false, list: vec![joined(&host, Some(port))] })
    }

    fn of_url(overlay: &Overlay<'_>, url: &Url, block: &Block) -> Result<Self> {
        let srv = url.address.scheme == "mongodb+srv";
        if let [_] = url.address.hosts.as_slice()
            && !srv
        {
            // A `port` beside the url of one server overrides the url's.
            let (host, port) = overlay.place()?;
            return Ok(Self { srv, list: vec![joined(&host, Some(port))] });
        }
        let port_key = format!("{}.port", block.path);
        if overlay.reader.node(&port_key).is_some_and(|node| node.source.layer > url.layer) {
            let expected = "left out: the url has no single port that it could replace";
            return Err(overlay.reader.wrong(&port_key, expected));
        }
        let mut list = Vec::with_capacity(url.address.hosts.len());
        for (host, port) in &url.address.hosts {
            let Some(host) = overlay.resolved(host, &url.path)? else { continue };
            overlay.check_host(&host, &url.path)?;
            let port = match port {
                None => None,
                Some(port) => overlay.resolved(port, &url.path)?,
            };
            let wrong = || overlay.reader.wrong(&url.path, "a url whose ports are 1 to 65535");
            let port = port.map(|port| match port.parse::<u16>() {
                Ok(port) if port > 0 => Ok(port),
                _ => Err(wrong()),
            });
            let usual = if srv { None } else { Some(overlay.usual_port()) };
            list.push(joined(&host, port.transpose()?.or(usual)));
        }
        Ok(Self { srv, list })
    }

    /// The connection string: login, servers and the options that pfdata does not read itself.
    /// The login is in it because a driver refuses `authMechanism`, and the `authSource` that a
    /// `+srv` name's DNS record gives, without a user.
    fn uri(
        &self,
        overlay: &Overlay<'_>,
        username: Option<&str>,
        password: Option<&str>,
    ) -> Result<String> {
        let scheme = if self.srv { "mongodb+srv" } else { "mongodb" };
        let mut uri = format!("{scheme}://");
        if let Some(username) = username {
            uri.push_str(&percent_encoded(username));
            if let Some(password) = password {
                uri.push_str(&format!(":{}", percent_encoded(password)));
            }
            uri.push('@');
        }
        uri.push_str(&format!("{}/", self.list.join(",")));
        let url = overlay.blocks.iter().find_map(|block| block.url.as_ref());
        let mut separator = '?';
        for (key, template) in url.map_or(&[][..], |url| &url.address.options) {
            // `srvMaxHosts` and its like are errors in a url that is not `+srv`.
            let srv_only = key.to_ascii_lowercase().starts_with("srv") && !self.srv;
            if READ.iter().any(|read| read.eq_ignore_ascii_case(key)) || srv_only {
                continue;
            }
            let path = url.map_or("", |url| url.path.as_str());
            if let Some(value) = overlay.resolved(template, path)? {
                uri.push(separator);
                separator = '&';
                uri.push_str(&format!("{}={}", percent_encoded(key), encoded_value(&value)));
            }
        }
        Ok(uri)
    }
}

/// Option values hold lists such as `SERVICE_NAME:x,CANONICALIZE_HOST_NAME:y`.
fn encoded_value(value: &str) -> String {
    percent_encoded(value).replace("%3A", ":").replace("%2C", ",")
}

fn joined(host: &str, port: Option<u16>) -> String {
    let host = match host {
        // A socket's path; the url escapes it and there is no port.
        socket if socket.contains('/') => return percent_encoded(socket),
        address if address.contains(':') => format!("[{address}]"),
        name => name.to_owned(),
    };
    port.map_or(host.clone(), |port| format!("{host}:{port}"))
}

/// The database that knows the user: `authSource`, else the one in the url, as drivers do.
/// `None` is the driver's own choice (`admin`, or what the DNS record of a `+srv` url says).
fn auth_source(overlay: &Overlay<'_>, with_user: bool) -> Result<Option<String>> {
    let given = overlay.text("authSource", |url| option(url, "authSource"))?;
    if given.is_some() || !with_user {
        return Ok(given);
    }
    let url = overlay.blocks.iter().find_map(|block| block.url.as_ref());
    match url.and_then(|url| Some((url, url.address.path.as_ref()?))) {
        Some((url, path)) if url.address.scheme == "mongodb" => overlay.resolved(path, &url.path),
        _ => Ok(None),
    }
}

fn timeout_of_url(overlay: &Overlay<'_>) -> Result<Option<Duration>> {
    for url in overlay.blocks.iter().filter_map(|block| block.url.as_ref()) {
        if let Some(text) = overlay.option(url, "connectTimeoutMS")? {
            let time = text.parse().ok().filter(|time| *time <= 3_600_000_u64);
            let expected = "a url whose connectTimeoutMS is a number of milliseconds";
            let time = time.ok_or_else(|| overlay.reader.wrong(&url.path, expected))?;
            return Ok((time > 0).then(|| Duration::from_millis(time)));
        }
    }
    Ok(None)
}

/// `cluster` is a url; `false`, null and "" mean that there is none.
fn refuse_cluster(reader: Reader<'_>) -> Result<()> {
    let path = "database.mongodb.cluster";
    let Some(node) = reader.node(path).filter(|_| reader.resolves()) else { return Ok(()) };
    match &node.content {
        Content::Leaf(serde_json::Value::Bool(false) | serde_json::Value::String(_)) => Ok(()),
        _ => Err(Error::not_built(format!("{}: `{path}` without a url", reader.origin(path)))),
    }
}

/// A `+srv` url means TLS unless it says otherwise.
fn tls_of_url(overlay: &Overlay<'_>, url: &Url) -> Result<Option<Tls>> {
    let flag = |name: &str| -> Result<Option<bool>> {
        match overlay.option(url, name)?.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => {
                let expected = format!("a url whose {name} is true or false");
                Err(overlay.reader.wrong(&url.path, &expected))
            }
        }
    };
    if overlay.reader.resolves() && overlay.option(url, "tlsCertificateKeyFile")?.is_some() {
        let origin = overlay.reader.origin(&url.path);
        let what = format!("{origin}: `{}` with tlsCertificateKeyFile", url.path);
        return Err(Error::not_built(what));
    }
    let ca = overlay.option(url, "tlsCAFile")?.map(|ca| overlay.file(&ca));
    let given = flag("tls")?.or(flag("ssl")?);
    let srv = url.address.scheme == "mongodb+srv";
    let Some(required) = given.or((srv || ca.is_some()).then_some(true)) else { return Ok(None) };
    let mut open = false;
    for name in ["tlsInsecure", "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames"] {
        open |= flag(name)?.unwrap_or(false);
    }
    Ok(Some(Tls { required, verify: required && !open, ca, tls13_only: false }))
}
