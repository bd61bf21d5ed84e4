//! The values of a store: `data.connect.<store>` over `database.<store>`, and in each of them the
//! keys over the parts of the `url`.
//!
//! A `url` of a higher layer beats a key of a lower one: with `"host": "localhost"` in
//! `default.json` and a `url` in `production.json`, the data of production is where the url says.

use std::path::PathBuf;
use std::time::Duration;

use super::address::{self, Address};
use super::document::Content;
use super::interpolate::{Segment, Template};
use super::origin::Layer;
use super::reader::Reader;
use super::{key, table};
use crate::error::{Error, Result};

/// How long a connection attempt may take where nothing is configured, or 0.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_millis(key::CONNECT_TIMEOUT);

/// A url, taken apart, and where it stands.
pub(crate) struct Url {
    pub(crate) address: Address,
    pub(crate) path: String,
    pub(crate) layer: Layer,
    /// Whether its hosts beat keys of its own layer: MongoDB's `cluster`.
    strong: bool,
}

/// One of the two blocks.
pub(crate) struct Block {
    pub(crate) path: String,
    pub(crate) url: Option<Url>,
}

/// Both blocks, the one that wins first.
pub(crate) struct Overlay<'a> {
    pub(crate) reader: Reader<'a>,
    pub(crate) blocks: Vec<Block>,
}

/// A value that was picked.
pub(crate) enum Picked<'o> {
    /// From a key, whose path this is.
    Key(String),
    /// From a part of a url, whose path this is.
    Part(Template, &'o str),
}

impl<'a> Overlay<'a> {
    /// The blocks of a store; `None` when the environment does not have it.
    pub(crate) fn new(
        reader: Reader<'a>,
        store: &str,
        schemes: &[&str],
        tidy: impl Fn(&mut Address),
    ) -> Result<Option<Self>> {
        let own = format!("database.{store}");
        match reader.node(&own).map(|node| &node.content) {
            None | Some(Content::Leaf(serde_json::Value::Bool(false))) => return Ok(None),
            Some(Content::Leaf(_)) => {
                return Err(reader
                    .wrong(&own, "an object")
                    .hint("a url goes in as `{\"url\": …}`"));
            }
            Some(Content::Branch(_)) => {}
        }
        let mut blocks = Vec::new();
        for path in [format!("data.connect.{store}"), own] {
            let mut urls = Vec::new();
            for (key, strong) in [("url", false), ("cluster", true)] {
                let at = format!("{path}.{key}");
                // Redis gives its cluster as a list, which is no url; so may anyone `false`.
                if strong && (store != "mongodb" || !is_text(reader, &at)) {
                    continue;
                }
                if let Some(mut url) = read_url(reader, &at, schemes, strong)? {
                    tidy(&mut url.address);
                    urls.push(url);
                }
            }
            let url = one_of(reader, urls)?;
            blocks.push(Block { path, url });
        }
        Ok(Some(Self { reader, blocks }))
    }

    /// The first block that has a value, as a key or as a part of its url.
    pub(crate) fn pick(
        &self,
        key: &str,
        part: impl Fn(&Address) -> Option<Template>,
    ) -> Option<Picked<'_>> {
        self.blocks.iter().find_map(|block| self.pick_in(block, key, &part))
    }

    /// A value of one block.
    pub(crate) fn pick_in<'o>(
        &self,
        block: &'o Block,
        key: &str,
        part: impl Fn(&Address) -> Option<Template>,
    ) -> Option<Picked<'o>> {
        let path = format!("{}.{key}", block.path);
        let given = self.reader.node(&path).map(|node| node.source.layer);
        if let Some(url) = &block.url
            && let Some(template) = part(&url.address)
            && given.is_none_or(|layer| {
                let place = matches!(key, "host" | "port");
                url.layer > layer || (place && url.strong && url.layer == layer)
            })
        {
            return Some(Picked::Part(template, &url.path));
        }
        given.map(|_| Picked::Key(path))
    }

    /// Text; an empty one counts as none.
    pub(crate) fn text(
        &self,
        key: &str,
        part: impl Fn(&Address) -> Option<Template>,
    ) -> Result<Option<String>> {
        let picked = self.pick(key, part);
        self.text_of(picked)
    }

    /// The text of what was picked; an empty one counts as none. At load references are not
    /// resolved, so that a part with references reads as none too.
    pub(crate) fn text_of(&self, picked: Option<Picked<'_>>) -> Result<Option<String>> {
        let text = match picked {
            None => None,
            Some(Picked::Key(path)) => self.reader.text(&path)?,
            Some(Picked::Part(template, path)) => self.resolved(&template, path)?,
        };
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// The text of a part of a url.
    pub(crate) fn resolved(&self, template: &Template, path: &str) -> Result<Option<String>> {
        match template.as_literal() {
            Some(literal) => Ok(Some(literal.to_owned())),
            None if self.reader.resolves() => self.reader.resolve(template, path).map(Some),
            None => Ok(None),
        }
    }

    /// The text, or exit 2 naming the key that must be given. At load nothing is required.
    pub(crate) fn required(&self, text: Option<String>, key: &str) -> Result<String> {
        match text {
            Some(text) => Ok(text),
            None if !self.reader.resolves() => Ok(String::new()),
            None => {
                let path = self.blocks.last().map_or("", |block| block.path.as_str());
                let origin = self.reader.origin(path);
                Err(Error::usage(format!("{origin}: `{path}.{key}` must be given")))
            }
        }
    }

    /// Host and port of a store that has one server. A url that brings the host brings the port
    /// too, its own or the usual one.
    pub(crate) fn place(&self) -> Result<(String, u16)> {
        let usual = self.usual_port();
        let first = |address: &Address| address.hosts.first().map(|(host, _)| host.clone());
        let mut port = None;
        for block in &self.blocks {
            if let Some(url) = &block.url
                && url.address.hosts.len() > 1
            {
                let origin = self.reader.origin(&url.path);
                let error = format!("{origin}: `{}` names more than one server", url.path);
                return Err(Error::usage(error).hint("name the primary"));
            }
            let host = self.pick_in(block, "host", first);
            let from_url = matches!(host, Some(Picked::Part(..)));
            if port.is_none() {
                port = self.port(block, from_url)?;
            }
            if let Some(host) = host {
                let at = match &host {
                    Picked::Key(path) => path.clone(),
                    Picked::Part(_, path) => (*path).to_owned(),
                };
                let Some(host) = self.text_of(Some(host))? else {
                    if self.reader.resolves() {
                        return Err(self.reader.wrong(&at, "a host name"));
                    }
                    return Ok((String::new(), usual));
                };
                self.check_host(&host, &at)?;
                // The port of an outer block, else of this one, else of the block below.
                if port.is_none() && !from_url {
                    port = self.lower_port(block)?;
                }
                return Ok((host, port.unwrap_or(usual)));
            }
        }
        Ok((table::preset_text(&self.own("host")).to_owned(), port.unwrap_or(usual)))
    }

    /// A key of the `database` block.
    fn own(&self, key: &str) -> String {
        let block = self.blocks.last().map_or("", |block| block.path.as_str());
        format!("{block}.{key}")
    }

    /// The port of the store where none is given.
    pub(crate) fn usual_port(&self) -> u16 {
        let port = table::preset_number(&self.own("port"));
        port.and_then(|port| u16::try_from(port).ok()).unwrap_or_default()
    }

    fn lower_port(&self, above: &Block) -> Result<Option<u16>> {
        let below = self.blocks.iter().skip_while(|block| block.path != above.path).skip(1);
        for block in below {
            if let Some(port) = self.port(block, false)? {
                return Ok(Some(port));
            }
        }
        Ok(None)
    }

    /// The port of a block. Where the host is the url's, a key of a lower layer is another host's.
    pub(crate) fn port(&self, block: &Block, from_url: bool) -> Result<Option<u16>> {
        let part =
            |address: &Address| address.hosts.first().and_then(|(_, port)| port.as_ref()).cloned();
        let wrong = |path: &str| self.reader.wrong(path, "a port from 1 to 65535");
        match self.pick_in(block, "port", part) {
            None => Ok(None),
            Some(Picked::Key(path)) => {
                let layer = self.reader.node(&path).map(|node| node.source.layer);
                if let Some(url) = &block.url
                    && from_url
                    && layer.is_some_and(|layer| {
                        layer < url.layer || (url.strong && layer == url.layer)
                    })
                {
                    return Ok(None);
                }
                let port = self.reader.number(&path)?;
                Ok(port.and_then(|port| u16::try_from(port).ok()))
            }
            Some(Picked::Part(template, path)) => match self.resolved(&template, path)? {
                None => Ok(None),
                Some(text) => {
                    let port = text.parse().ok().filter(|port| *port != 0);
                    port.map(Some).ok_or_else(|| wrong(path))
                }
            },
        }
    }

    /// A host name with anything else in it would be sent somewhere unexpected.
    pub(crate) fn check_host(&self, host: &str, path: &str) -> Result<()> {
        let bad = host.contains([',', '@', '?', '#', '%', '\\'])
            || host.contains(char::is_whitespace)
            || host.contains("//")
            || host.bytes().filter(|byte| *byte == b':').count() == 1;
        if bad {
            let error = self.reader.wrong(path, "a host name or an address");
            return Err(error.hint("the port goes into `port`, a list of hosts into `url`"));
        }
        Ok(())
    }

    /// The login. A password stays with its user: that of the `database` block is not sent for a
    /// user that `data.connect` names.
    pub(crate) fn login(&self) -> Result<(Option<String>, Option<String>)> {
        let mut password = None;
        for block in &self.blocks {
            let picked = self.pick_in(block, "username", |url| url.username.clone());
            let username = self.text_of(picked)?;
            if password.is_none() {
                let picked = self.pick_in(block, "password", |url| url.password.clone());
                password = self.text_of(picked)?;
            }
            if username.is_some() {
                return Ok((username, password));
            }
        }
        Ok((None, password))
    }

    /// The database that holds the data. Only `database.<store>` says which.
    pub(crate) fn database(&self) -> Result<Option<String>> {
        let Some(own) = self.blocks.last() else { return Ok(None) };
        self.text_of(self.pick_in(own, "database", |url| url.path.clone()))
    }

    /// The same; a url of `data.connect` may name this database and no other.
    pub(crate) fn same_database(&self) -> Result<Option<String>> {
        let database = self.database()?;
        let connect = self.blocks.first().and_then(|block| block.url.as_ref());
        if let Some((url, path)) = connect.and_then(|url| Some((url, url.address.path.as_ref()?)))
            && let (Some(own), Some(named)) = (&database, self.resolved(path, &url.path)?)
            && *own != named
        {
            let expected = "a url with the database of the `database` block or none";
            return Err(self.reader.wrong(&url.path, expected));
        }
        Ok(database)
    }

    /// `connectionTimeout` in milliseconds, as the application has it.
    pub(crate) fn timeout(&self) -> Result<Option<Duration>> {
        for block in &self.blocks {
            let path = format!("{}.connectionTimeout", block.path);
            if let Some(time) = self.reader.number(&path)? {
                return Ok((time > 0).then(|| Duration::from_millis(time)));
            }
        }
        Ok(None)
    }

    /// A file of the configuration: relative paths start beside the config folder.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.reader.loaded().context.base.join(path)
    }
}

fn is_text(reader: Reader<'_>, path: &str) -> bool {
    let content = reader.node(path).map(|node| &node.content);
    matches!(content, Some(Content::Leaf(serde_json::Value::String(text))) if !text.is_empty())
}

fn read_url(reader: Reader<'_>, path: &str, schemes: &[&str], strong: bool) -> Result<Option<Url>> {
    let (Some(node), Some(mut template)) = (reader.node(path), reader.template(path)?) else {
        return Ok(None);
    };
    if template.as_literal() == Some("") {
        return Ok(None);
    }
    let literal =
        |segment: &Segment| matches!(segment, Segment::Literal(text) if text.contains("://"));
    if !template.0.iter().any(literal) && template.as_literal().is_none() {
        // The url itself is what the reference stands for: `${DATABASE_URL}`.
        if !reader.resolves() {
            return Ok(None);
        }
        template = Template::literal(reader.resolve(&template, path)?);
    }
    let origin = &node.source.origin;
    let address = address::parse(&template)
        .map_err(|why| Error::usage(format!("{origin}: `{path}` {why}")))?;
    if !schemes.contains(&address.scheme.as_str()) {
        let list = schemes.join("://, ");
        return Err(Error::usage(format!("{origin}: `{path}` must begin with {list}://")));
    }
    Ok(Some(Url { address, path: path.to_owned(), layer: node.source.layer, strong }))
}

/// Of `url` and `cluster` the one of the higher layer.
fn one_of(reader: Reader<'_>, mut urls: Vec<Url>) -> Result<Option<Url>> {
    if let [url, cluster] = urls.as_slice() {
        if url.layer == cluster.layer {
            let error = format!("{}: `{}` is given", reader.origin(&url.path), url.path);
            return Err(Error::usage(format!("{error} and `{}` too", cluster.path))
                .hint("keep one of the two"));
        }
        urls.sort_by_key(|url| url.layer);
    }
    Ok(urls.pop())
}
