//! Where the keys of environments come from, which no child process may see.

use serde_json::Value;

use super::document::{Content, Node};
use super::interpolate::{Context, Segment, Template};
use super::known::folded;
use super::origin::Origin;
use super::strength;
use super::withheld::Withheld;

/// What the keys of all environments are taken from, given as the `data` block of each and what
/// its references resolve against.
pub(super) fn withheld<'a>(blocks: impl Iterator<Item = (&'a Node, &'a Context)>) -> Withheld {
    let mut keys = Keys(Withheld::default());
    for (data, context) in blocks {
        keys.below(data, context);
    }
    keys.0.values.retain(|value| value.len() >= strength::MIN_BYTES);
    keys.0
}

struct Keys(Withheld);

impl Keys {
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
                    self.0.values.insert(text);
                }
                Segment::Variable(name) => {
                    self.0
                        .values
                        .extend(context.variable(&name).map(|(value, _)| value.to_owned()));
                    self.0.names.insert(name);
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
