//! The Redis of an environment.

use super::address::Address;
use super::document::Content;
use super::endpoint::{RedisEndpoint, Tls};
use super::key::HIGHEST_INDEX;
use super::layers::Loaded;
use super::overlay::{CONNECT_TIMEOUT, Overlay, Picked, Url};
use super::reader::Reader;
use super::secret::Secret;
use crate::error::{Error, Result};

const SCHEMES: [&str; 4] = ["redis", "rediss", "valkey", "valkeys"];

/// Reads the endpoint; `None` when the environment has no Redis. [`RedisEndpoint::taken`] stays
/// empty: see [`taken`].
pub(crate) fn read(reader: Reader<'_>) -> Result<Option<RedisEndpoint>> {
    let Some(overlay) = Overlay::new(reader, "redis", &SCHEMES, tidy)? else { return Ok(None) };
    for url in overlay.blocks.iter().filter_map(|block| block.url.as_ref()) {
        overlay.check_options(url, &["db"])?;
    }
    refuse_cluster(reader)?;
    let place = Place::read(&overlay)?;
    let (username, password) = overlay.login()?;
    if place.spare_db == Some(place.db) {
        return Err(reader.wrong("database.redis.spareDb", "another index than `db`"));
    }
    Ok(Some(RedisEndpoint {
        host: place.host,
        port: place.port,
        db: place.db,
        username,
        password: password.map(Secret::new),
        tls: overlay.tls(tls_of_url)?,
        spare_db: place.spare_db,
        taken: Vec::new(),
        connect_timeout: overlay.timeout()?.unwrap_or(CONNECT_TIMEOUT),
    }))
}

/// Adds the indexes that `others` name on the same server. Those of an environment whose address
/// does not resolve here are left out; pfdata only ever takes an index that is empty or its own.
///
/// # Errors
/// Exit 2 when the configured spare index holds another environment's data.
pub(crate) fn taken<'a>(
    endpoint: &mut RedisEndpoint,
    reader: Reader<'_>,
    others: impl Iterator<Item = &'a Loaded>,
) -> Result<()> {
    for other in others {
        let read = || -> Result<Option<Place>> {
            let reader = Reader::comparing(other);
            let overlay = Overlay::new(reader, "redis", &SCHEMES, tidy)?;
            overlay.map(|overlay| Place::read(&overlay)).transpose()
        };
        let Ok(Some(place)) = read() else { continue };
        if place.port != endpoint.port || !same_host(&place.host, &endpoint.host) {
            continue;
        }
        if endpoint.spare_db == Some(place.db) {
            let expected = format!("an index of its own: this is the data of `{}`", other.name);
            return Err(reader.wrong("database.redis.spareDb", &expected));
        }
        for index in [Some(place.db), place.spare_db].into_iter().flatten() {
            if index != endpoint.db && !endpoint.taken.contains(&index) {
                endpoint.taken.push(index);
            }
        }
    }
    endpoint.taken.sort_unstable();
    Ok(())
}

/// Whether two host names are one server's, as far as names tell.
fn same_host(a: &str, b: &str) -> bool {
    let local = |host: &str| {
        host.eq_ignore_ascii_case("localhost") || host.starts_with("127.") || host == "::1"
    };
    a.eq_ignore_ascii_case(b) || (local(a) && local(b))
}

/// Where an environment's keys are.
struct Place {
    host: String,
    port: u16,
    db: u32,
    spare_db: Option<u32>,
}

impl Place {
    fn read(overlay: &Overlay<'_>) -> Result<Self> {
        let (host, port) = overlay.place()?;
        let spare = overlay.reader.number("database.redis.spareDb")?;
        let spare_db = spare.and_then(|index| u32::try_from(index).ok());
        Ok(Self { host, port, db: index(overlay)?, spare_db })
    }
}

fn index(overlay: &Overlay<'_>) -> Result<u32> {
    let reader = overlay.reader;
    let Some(block) = overlay.blocks.last() else { return Ok(0) };
    let picked = overlay.pick_in(block, "db", |url| url.path.clone());
    let number = match &picked {
        Some(Picked::Part(template, path)) => match overlay.resolved(template, path)? {
            None => None,
            Some(text) => {
                let number = text.parse().ok().filter(|number| *number <= HIGHEST_INDEX);
                let expected = "a url whose path is the index of a Redis database, such as /0";
                Some(number.ok_or_else(|| reader.wrong(path, expected))?)
            }
        },
        Some(Picked::Key(path)) => reader.number(path)?,
        None => None,
    };
    // Some clients call it `database`; a word there is the application's own.
    let is_word = match reader.node("database.redis.database").map(|node| &node.content) {
        Some(Content::Leaf(serde_json::Value::String(text))) => {
            !text.contains("${") && text.parse::<u64>().is_err()
        }
        _ => false,
    };
    let other = if is_word { None } else { reader.number("database.redis.database")? };
    if let (Some(number), Some(other)) = (number, other)
        && number != other
    {
        return Err(reader.wrong("database.redis.database", "the same index as `db`"));
    }
    if let (Some(own), Some(connect)) = (number.or(other), connect_index(overlay)?)
        && own != connect
    {
        let expected = "a url with the index of `database.redis` or none";
        return Err(reader.wrong("data.connect.redis.url", expected));
    }
    let number = number.or(other).unwrap_or(0);
    u32::try_from(number).map_err(|_| reader.wrong("database.redis.db", "an index"))
}

/// The index that the url of `data.connect` names.
fn connect_index(overlay: &Overlay<'_>) -> Result<Option<u64>> {
    let url = overlay.blocks.first().and_then(|block| block.url.as_ref());
    let Some((url, template)) = url.and_then(|url| Some((url, url.address.path.as_ref()?))) else {
        return Ok(None);
    };
    match overlay.resolved(template, &url.path)? {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            overlay.reader.wrong(&url.path, "a url whose path is the index of a Redis database")
        }),
    }
}

/// `redis://host/?db=2` is the same as `redis://host/2`.
fn tidy(address: &mut Address) {
    if let Some(at) = address.options.iter().rposition(|(key, _)| key == "db") {
        address.path = Some(address.options.remove(at).1);
    }
}

fn refuse_cluster(reader: Reader<'_>) -> Result<()> {
    let path = "database.redis.cluster";
    let Some(node) = reader.node(path).filter(|_| reader.resolves()) else { return Ok(()) };
    let off = match &node.content {
        Content::Leaf(serde_json::Value::Bool(on)) => !on,
        Content::Leaf(serde_json::Value::Array(items)) => items.is_empty(),
        Content::Leaf(serde_json::Value::String(text)) => text.is_empty(),
        Content::Leaf(_) => false,
        Content::Branch(members) => members.is_empty(),
    };
    if off {
        return Ok(());
    }
    Err(Error::not_built(format!("{}: `{path}`", reader.origin(path))))
}

fn tls_of_url(_overlay: &Overlay<'_>, url: &Url) -> Result<Option<Tls>> {
    let tls = ["rediss", "valkeys"].contains(&url.address.scheme.as_str());
    Ok(tls.then(|| Tls { required: true, verify: true, ..Tls::default() }))
}
