//! JSON with its origins: every value remembers the layer and the file or variable it came from.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use super::origin::{Layer, Origin};
use crate::error::{Error, OrFail, Result};

/// JSON as written: the order of keys, and keys that are written twice, are kept.
pub(crate) enum Document {
    /// Anything that is not an object.
    Leaf(Value),
    /// An object.
    Object(Vec<(String, Document)>),
}

impl Document {
    /// Reads JSON text; `file` is for messages. The message names line and column, never content.
    pub(crate) fn parse(text: &str, file: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        serde_json::from_str(text).or_usage(|| format!("{file} is not valid JSON"))
    }

    /// The value under `key` of an object.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Leaf(_) => None,
            Self::Object(members) => {
                members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
            }
        }
    }

    /// Whether it is an object.
    pub(crate) fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    fn into_value(self) -> Value {
        match self {
            Self::Leaf(value) => value,
            Self::Object(members) => Value::Object(
                members.into_iter().map(|(key, value)| (key, value.into_value())).collect(),
            ),
        }
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document::Leaf(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Document, E> {
        Ok(Document::Leaf(Value::Bool(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Document, E> {
        Ok(Document::Leaf(Value::Number(value.into())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Document, E> {
        Ok(Document::Leaf(Value::Number(value.into())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Document, E> {
        Ok(Document::Leaf(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Document, E> {
        Ok(Document::Leaf(Value::String(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Document, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element::<Document>()? {
            items.push(item.into_value());
        }
        Ok(Document::Leaf(Value::Array(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Document, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry::<String, Document>()? {
            members.push(member);
        }
        Ok(Document::Object(members))
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DocumentVisitor)
    }
}

/// The layer and the place that a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// Which layer: decides between a `url` and the keys beside it.
    pub(crate) layer: Layer,
    /// Which file or variable.
    pub(crate) origin: Origin,
}

/// A value with its source. Not `Debug`: a leaf may hold a secret.
#[derive(Clone)]
pub(crate) struct Node {
    /// Where the leaf, or the newest layer of the branch, came from.
    pub(crate) source: Arc<Source>,
    /// What it is.
    pub(crate) content: Content,
}

/// What a [`Node`] holds.
#[derive(Clone)]
pub(crate) enum Content {
    /// A scalar, a list or null. Lists are replaced as a whole, never merged.
    Leaf(Value),
    /// An object; layers are merged key by key.
    Branch(Vec<(String, Node)>),
}

impl Node {
    /// A document with every value marked as coming from `source`. A key written twice inside an
    /// object is an error: which of the two counts would be a guess.
    pub(crate) fn from_document(
        document: &Document,
        source: &Arc<Source>,
        path: &str,
    ) -> Result<Self> {
        let content = match document {
            Document::Leaf(value) => Content::Leaf(value.clone()),
            Document::Object(members) => {
                let mut branch: Vec<(String, Self)> = Vec::with_capacity(members.len());
                for (key, value) in members {
                    let path = join(path, key);
                    if branch.iter().any(|(name, _)| name == key) {
                        return Err(Error::usage(format!(
                            "{}: `{path}` is given twice",
                            source.origin
                        )));
                    }
                    branch.push((key.clone(), Self::from_document(value, source, &path)?));
                }
                Content::Branch(branch)
            }
        };
        Ok(Self { source: Arc::clone(source), content })
    }

    /// An object without keys.
    pub(crate) fn empty(source: &Arc<Source>) -> Self {
        Self { source: Arc::clone(source), content: Content::Branch(Vec::new()) }
    }

    /// The value under `key` of a branch.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.content {
            Content::Leaf(_) => None,
            Content::Branch(members) => {
                members.iter().find(|(name, _)| name == key).map(|(_, node)| node)
            }
        }
    }

    /// The value at a dotted path.
    pub(crate) fn at(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |node, key| node.get(key))
    }

    /// Whether it is `null`, which means: as if it were not given.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.content, Content::Leaf(Value::Null))
    }

    /// Whether it is an object.
    pub(crate) fn is_branch(&self) -> bool {
        matches!(self.content, Content::Branch(_))
    }

    /// The keys of a branch; none of a leaf.
    pub(crate) fn members(&self) -> &[(String, Self)] {
        match &self.content {
            Content::Leaf(_) => &[],
            Content::Branch(members) => members,
        }
    }

    /// Lays a higher layer over this one: objects key by key, anything else replaces.
    pub(crate) fn merge(&mut self, over: Self) {
        match (&mut self.content, over.content) {
            (Content::Branch(below), Content::Branch(above)) => {
                self.source = over.source;
                for (key, node) in above {
                    match below.iter_mut().find(|(name, _)| *name == key) {
                        Some((_, existing)) => existing.merge(node),
                        None => below.push((key, node)),
                    }
                }
            }
            (content, above) => {
                *content = above;
                self.source = over.source;
            }
        }
    }

    /// Lays `node` over what is at `path`, making the objects on the way.
    pub(crate) fn set(&mut self, path: &[String], node: Self) {
        let source = Arc::clone(&node.source);
        let wrapped = path.iter().rev().fold(node, |inner, key| Self {
            source: Arc::clone(&source),
            content: Content::Branch(vec![(key.clone(), inner)]),
        });
        self.merge(wrapped);
    }
}

/// A dotted path with one more key.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(layer: Layer, text: &str) -> Node {
        let source = Arc::new(Source { layer, origin: Origin::File(format!("{layer:?}")) });
        Node::from_document(&Document::parse(text, "x.json").unwrap(), &source, "").unwrap()
    }

    #[test]
    fn layers_merge_key_by_key_and_keep_their_origin() {
        let mut merged = node(Layer::DefaultFile, r#"{"a": {"x": 1, "y": [1, 2]}, "b": {"z": 1}}"#);
        merged.merge(node(Layer::EnvironmentFile, r#"{"a": {"y": [3]}, "b": null}"#));
        assert_eq!(merged.at("a.x").unwrap().source.layer, Layer::DefaultFile);
        let list = merged.at("a.y").unwrap();
        assert_eq!(list.source.layer, Layer::EnvironmentFile);
        assert!(matches!(&list.content, Content::Leaf(Value::Array(items)) if items.len() == 1));
        assert!(merged.at("b").unwrap().is_null());
        assert!(merged.at("b.z").is_none());
    }

    #[test]
    fn broken_json_names_line_and_column() {
        let Err(error) = Document::parse("{\n  \"a\": secret\n}", "config/x.json") else {
            panic!()
        };
        assert_eq!(
            error.to_string(),
            "config/x.json is not valid JSON: expected value at line 2 column 8"
        );
    }

    #[test]
    fn a_key_given_twice_is_an_error() {
        let source = Arc::new(Source {
            layer: Layer::EnvironmentFile,
            origin: Origin::File("config/x.json".into()),
        });
        let document = Document::parse(r#"{"data": {"class": 1, "class": 2}}"#, "").unwrap();
        let error = Node::from_document(&document, &source, "").err().unwrap();
        assert_eq!(error.to_string(), "config/x.json: `data.class` is given twice");
    }

    #[test]
    fn a_byte_order_mark_is_skipped_and_depth_is_bounded() {
        assert!(Document::parse("\u{feff}{}", "x").is_ok());
        assert!(Document::parse(&"[".repeat(100_000), "x").is_err());
    }
}
