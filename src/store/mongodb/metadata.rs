//! A collection's metadata in the form of mongodump's `metadata.json`: written for a snapshot,
//! read for a restore, turned into the commands that make the same collection again.
//!
//! Form: mongo-tools `mongodump/metadata_dump.go`, `mongorestore/metadata.go`.

use mongodb::bson::{Bson, Document, doc};
use serde_json::{Map, Value, json};

use super::extended_json::{canonical_document, parse_document};
use super::kind::Kind;
use crate::error::{Error, OrFail, Result};
use crate::store::shape::Need;

/// What a collection is made of apart from its documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// The name it had.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// `options` of listCollections.
    pub options: Document,
    /// listIndexes, in its order, `_id_` among them; empty for a view.
    pub indexes: Vec<Document>,
    /// 32 hex digits; empty for a view.
    pub uuid: String,
}

/// What is applied only after the documents are there.
const LATER: [&str; 4] = ["validator", "validationLevel", "validationAction", "expireAfterSeconds"];

/// What a server reports or once reported and `create` does not take (from 8.2 on), or what
/// belongs to one server only.
const NEVER: [&str; 4] = ["autoIndexId", "recordIdsReplicated", "temp", "uuid"];

impl Metadata {
    /// The text of `metadata.json`: canonical Extended JSON, compact, without a line feed.
    pub fn to_json(&self) -> Result<String> {
        let mut fields = Map::new();
        if !self.options.is_empty() {
            fields.insert("options".to_owned(), canonical_document(&self.options)?);
        }
        let indexes = self.indexes.iter().map(canonical_document).collect::<Result<Vec<_>>>()?;
        fields.insert("indexes".to_owned(), Value::Array(indexes));
        fields.insert("uuid".to_owned(), json!(self.uuid));
        fields.insert("collectionName".to_owned(), json!(self.name));
        fields.insert("type".to_owned(), json!(self.kind.metadata_word()));
        Ok(Value::Object(fields).to_string())
    }

    /// Reads the text; old dumps may lack every field but `indexes`, then `name` is the name.
    ///
    /// # Errors
    /// Exit 1 if it is not such a text.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let wrong = || format!("the metadata of collection `{name}` cannot be read");
        let value: Value = serde_json::from_str(text).or_fail(wrong)?;
        let mut document = parse_document(&value).map_err(|error| error.context(wrong()))?;
        let options = match document.remove("options") {
            Some(Bson::Document(options)) => options,
            None | Some(Bson::Null) => Document::new(),
            Some(_) => return Err(Error::failed(wrong()).because("`options` is not an object")),
        };
        let mut indexes = Vec::new();
        if let Some(Bson::Array(items)) = document.remove("indexes") {
            for item in items {
                match item {
                    Bson::Document(index) => indexes.push(index),
                    _ => return Err(Error::failed(wrong()).because("an index is not an object")),
                }
            }
        }
        let word = document.get_str("type").unwrap_or("collection");
        let kind = match word {
            "view" => Kind::View,
            "timeseries" => Kind::TimeSeries,
            "collection" if options.contains_key("viewOn") => Kind::View,
            "collection" if options.contains_key("timeseries") => Kind::TimeSeries,
            "collection" if options.get_bool("capped").unwrap_or(false) => Kind::Capped,
            "collection" => Kind::Collection,
            _ => return Err(Error::failed(wrong()).because("its type is not known")),
        };
        let name = document.get_str("collectionName").unwrap_or(name).to_owned();
        let uuid = document.get_str("uuid").unwrap_or_default().to_owned();
        Ok(Self { name, kind, options, indexes, uuid })
    }

    /// The command that creates the collection or view as `name`: all options but those that are
    /// applied [later](Self::later).
    pub(super) fn create(&self, name: &str) -> Document {
        let mut command = doc! { "create": name };
        for (key, value) in &self.options {
            if !LATER.contains(&key.as_str()) && !NEVER.contains(&key.as_str()) {
                command.insert(key, value);
            }
        }
        let clustered = self.options.contains_key("clusteredIndex");
        if let Some(index) = self.indexes.iter().find(|index| is_id(index))
            && !clustered
            && self.kind != Kind::View
        {
            command.insert("idIndex", cleaned(index));
        }
        command
    }

    /// The options that `collMod` sets once the documents are there, `expireAfterSeconds` of a
    /// clustered collection not among them.
    pub(super) fn later(&self) -> Document {
        let wanted = |key: &String| LATER.contains(&key.as_str()) && key != "expireAfterSeconds";
        self.options.iter().filter(|(key, _)| wanted(key)).map(pair).collect()
    }

    /// `expireAfterSeconds` of a clustered collection.
    pub(super) fn expiry(&self) -> Option<&Bson> {
        self.options.get("expireAfterSeconds")
    }

    /// The secondary indexes, as createIndexes takes them: those that let documents expire
    /// (`true`) or the others.
    pub(super) fn secondary(&self, expiring: bool) -> Vec<Document> {
        self.indexes
            .iter()
            .filter(|index| !is_id(index) && !index.contains_key("clustered"))
            .filter(|index| index.contains_key("expireAfterSeconds") == expiring)
            .map(cleaned)
            .collect()
    }

    /// The key paths of the unique indexes other than that of `_id`.
    pub(super) fn unique(&self) -> Vec<Vec<String>> {
        self.indexes
            .iter()
            .filter(|index| !is_id(index) && index.get_bool("unique").unwrap_or(false))
            .filter_map(|index| index.get_document("key").ok())
            .map(|key| key.keys().cloned().collect())
            .collect()
    }

    /// What indexes and options need of the values of fields.
    pub(super) fn needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        for index in &self.indexes {
            let Ok(key) = index.get_document("key") else { continue };
            for (path, how) in key {
                if matches!(how.as_str(), Some("2dsphere" | "2d")) {
                    needs.push(Need::Point(path.clone()));
                }
            }
            if let Ok(weights) = index.get_document("weights") {
                let field = index.get_str("language_override").unwrap_or("language");
                // The field may stand in the document and in each that an indexed text is in.
                let above = |(at, _): (usize, &str)| at;
                for path in weights.keys().filter(|path| *path != "$**") {
                    let within = path.match_indices('.').map(above).map(|end| &path[..=end]);
                    needs.extend(within.map(|prefix| Need::Language(format!("{prefix}{field}"))));
                }
                let need = if weights.contains_key("$**") {
                    Need::LanguageAnywhere
                } else {
                    Need::Language
                };
                needs.push(need(field.to_owned()));
            }
        }
        if let Ok(series) = self.options.get_document("timeseries")
            && let Ok(field) = series.get_str("timeField")
        {
            needs.push(Need::Time(field.to_owned()));
        }
        needs
    }

    /// Whether ranges of `_id` can be read through an index in plain BSON order.
    pub(super) fn splits_on_id(&self) -> bool {
        let collated = self.options.get_document("collation").is_ok_and(|collation| {
            collation.get_str("locale").is_ok_and(|locale| locale != "simple")
        });
        self.kind == Kind::Collection
            && !collated
            && !self.options.contains_key("clusteredIndex")
            && self.indexes.iter().any(is_id)
    }
}

fn pair((key, value): (&String, &Bson)) -> (String, Bson) {
    (key.clone(), value.clone())
}

/// Whether it is the ordinary index of `_id` (a hashed one is not).
fn is_id(index: &Document) -> bool {
    let Ok(key) = index.get_document("key") else { return false };
    let ascending = match key.get("_id") {
        Some(Bson::Int32(1) | Bson::Int64(1)) => true,
        Some(Bson::Double(direction)) => *direction == 1.0,
        _ => false,
    };
    key.len() == 1 && ascending && !index.contains_key("clustered")
}

/// An index without what servers no longer take back: its namespace, the manner in which it was
/// built, and the simple collation, which v1 indexes must not name.
fn cleaned(index: &Document) -> Document {
    let simple = index
        .get_document("collation")
        .is_ok_and(|collation| collation.get_str("locale").is_ok_and(|locale| locale == "simple"));
    let drop = |key: &String| match key.as_str() {
        "ns" | "background" => true,
        "collation" => simple,
        _ => false,
    };
    index.iter().filter(|(key, _)| !drop(key)).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Metadata {
        Metadata {
            name: "people".to_owned(),
            kind: Kind::Collection,
            options: doc! { "validator": { "a": { "$type": "int" } }, "collation": { "locale": "simple" } },
            indexes: vec![
                doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" },
                doc! { "v": 2, "key": { "f": 1.0 }, "name": "f_1", "expireAfterSeconds": 1000 },
                doc! { "v": 2, "key": { "e": 1, "g": -1 }, "name": "u", "unique": true, "ns": "d.c" },
            ],
            uuid: "00".to_owned(),
        }
    }

    #[test]
    fn the_text_is_that_of_mongodump_and_comes_back() {
        let text = sample().to_json().unwrap();
        assert!(text.starts_with(r#"{"options":{"validator":"#), "{text}");
        assert!(text.contains(
            r#"{"v":{"$numberInt":"2"},"key":{"f":{"$numberDouble":"1.0"}},"name":"f_1","expireAfterSeconds":{"$numberInt":"1000"}}"#
        ));
        assert!(text.ends_with(r#""uuid":"00","collectionName":"people","type":"collection"}"#));
        assert_eq!(Metadata::parse(&text, "x").unwrap(), sample());
    }

    #[test]
    fn old_and_broken_texts() {
        let old = Metadata::parse(r#"{"indexes":[{"key":{"_id":1},"name":"_id_"}]}"#, "c").unwrap();
        assert_eq!((old.name.as_str(), old.kind), ("c", Kind::Collection));
        for text in ["", "[]", r#"{"options":1}"#, r#"{"indexes":[1]}"#, r#"{"type":"x"}"#] {
            assert!(Metadata::parse(text, "c").is_err(), "{text}");
        }
    }

    #[test]
    fn indexes_and_options_are_applied_at_their_time() {
        let metadata = sample();
        assert!(!metadata.create("n").contains_key("validator"));
        assert!(metadata.later().contains_key("validator"));
        assert_eq!(metadata.secondary(true).len(), 1);
        let others = metadata.secondary(false);
        assert_eq!(others.len(), 1);
        assert!(!others[0].contains_key("ns"));
        assert_eq!(metadata.unique(), [["e".to_owned(), "g".to_owned()]]);
        assert!(metadata.splits_on_id());
    }
}
