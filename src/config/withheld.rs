//! What a child process never inherits: the keys, and whatever is pfdata's own.
//!
//! A secret manager needs its own variables (`AWS_…`, `VAULT_…`), so that a `${cmd:…}` gets the
//! environment of this process but for: every `PFDATA_…`, every `${NAME}` that a key of any
//! environment is taken from, and every variable, however it is named, that holds a key's value.
//! PostgreSQL's tools get less still: see `store/postgres/tools.rs`.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use memchr::memmem;
use serde_json::Value;

use super::document::{Content, Node};
use super::interpolate::{Context, Segment, Template};
use super::known::folded;
use super::layers::Loaded;
use super::origin::Origin;
use super::strength;

/// What pfdata's own variables begin with.
const OWN: &[u8] = b"PFDATA_";

/// What is withheld. Not `Debug`: it holds the keys.
#[derive(Default)]
pub(crate) struct Withheld {
    /// Of variables.
    names: HashSet<String>,
    /// Of keys. What is shorter is none, and may stand in any other value by chance.
    values: HashSet<String>,
}

impl Withheld {
    /// What the keys of all environments are taken from.
    pub(crate) fn of(environments: &[Loaded]) -> Self {
        let mut withheld = Self::default();
        for loaded in environments {
            if let Some(data) = loaded.tree.at("data") {
                withheld.below(data, &loaded.context);
            }
        }
        withheld.values.retain(|value| value.len() >= strength::MIN_BYTES);
        withheld
    }

    /// Whether a variable of this process is kept from its children.
    pub(crate) fn hides(&self, name: &OsStr, value: &OsStr) -> bool {
        let holds = |key: &String| memmem::find(value.as_bytes(), key.as_bytes()).is_some();
        name.as_bytes().starts_with(OWN)
            || name.to_str().is_some_and(|name| self.names.contains(name))
            || self.values.iter().any(holds)
    }

    fn below(&mut self, node: &Node, context: &Context) {
        // How to reach a store is no key of the `data` block: `connect.….ssl.key` is a path.
        for (name, node) in node.members().iter().filter(|(name, _)| name != "connect") {
            match &node.content {
                Content::Branch(_) => self.below(node, context),
                Content::Leaf(value) if is_key(name) => self.key(value, node, context),
                Content::Leaf(_) => {}
            }
        }
    }

    fn key(&mut self, value: &Value, node: &Node, context: &Context) {
        match value {
            Value::String(text) => self.text(text, node, context),
            Value::Array(keys) => keys.iter().for_each(|key| self.key(key, node, context)),
            _ => {}
        }
    }

    fn text(&mut self, text: &str, node: &Node, context: &Context) {
        let template = match node.source.origin {
            Origin::File(_) => Template::parse(text).unwrap_or_default(),
            _ => Template::literal(text),
        };
        for segment in template.0 {
            match segment {
                Segment::Literal(text) => {
                    self.values.insert(text);
                }
                Segment::Variable(name) => {
                    self.values.extend(context.variable(&name).map(|(value, _)| value.to_owned()));
                    self.names.insert(name);
                }
                Segment::File(_) | Segment::Command(_) => {}
            }
        }
    }
}

/// `key`, `old_keys`.
fn is_key(name: &str) -> bool {
    let name = folded(name);
    name.ends_with("key") || name.ends_with("keys")
}
