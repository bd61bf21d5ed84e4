//! What the structure of a database carries beyond its documents: literals in validators, views
//! and filters, and names.

use mongodb::bson::{Bson, Document};

use super::catalog::Catalog;
use super::kind::Kind;
use super::metadata::Metadata;
use crate::error::Result;
use crate::store::credentials;

/// A kind of thing that holds literals, and the collections and indexes that have it.
pub type Carried = (&'static str, Vec<String>);

/// What of a collection's options holds literals, and what it is called.
const OPTIONS: [(&str, &str); 3] =
    [("validator", "validators"), ("pipeline", "view pipelines"), ("collation", "collations")];

/// What of an index holds literals.
const FILTER: &str = "partialFilterExpression";

/// The structure of all collections.
///
/// # Errors
/// Exit 1 if the metadata cannot be read back.
pub fn read(catalog: &Catalog) -> Result<Vec<Metadata>> {
    let collections = catalog.collections.iter();
    collections.map(|found| Metadata::parse(&found.metadata_json, &found.shape.name)).collect()
}

/// What is carried as it is, by kind.
pub fn carried(all: &[Metadata]) -> Vec<Carried> {
    let mut kinds: Vec<Carried> = Vec::new();
    let mut note =
        |kind: &'static str, name: String| match kinds.iter_mut().find(|(known, _)| *known == kind)
        {
            Some((_, names)) => names.push(name),
            None => kinds.push((kind, vec![name])),
        };
    for found in all {
        for (_, kind) in OPTIONS.iter().filter(|(option, _)| found.options.contains_key(option)) {
            note(kind, found.name.clone());
        }
        for index in found.indexes.iter().filter(|index| index.contains_key(FILTER)) {
            let name = index.get_str("name").unwrap_or_default();
            note("filters of indexes", format!("{}.{name}", found.name));
        }
    }
    kinds
}

/// What looks like a credential, one phrase each, never the value.
pub fn credentials(all: &[Metadata]) -> Vec<String> {
    let mut found = Vec::new();
    for one in all {
        let what = if one.kind == Kind::View { "view" } else { "collection" };
        if holds_credential(&one.options) {
            found.push(format!("the options of the {what} `{}`", one.name));
        }
        for index in one.indexes.iter().filter(|index| holds_credential(index)) {
            let name = index.get_str("name").unwrap_or_default();
            found.push(format!("the index `{name}` of the collection `{}`", one.name));
        }
    }
    found
}

/// Operators whose operand is a value of the field that they stand under.
const COMPARES: [&str; 9] = ["$eq", "$ne", "$in", "$nin", "$gt", "$gte", "$lt", "$lte", "$literal"];

fn holds_credential(document: &Document) -> bool {
    holds_under("", document)
}

/// `name` is that of the field whose value the document is.
fn holds_under(name: &str, document: &Document) -> bool {
    document.iter().any(|(key, value)| {
        let compares = COMPARES.contains(&key.as_str());
        is_credential(if compares { name } else { key }, value)
    })
}

fn is_credential(name: &str, value: &Bson) -> bool {
    match value {
        Bson::String(text) | Bson::Symbol(text) => is_secret(name, text),
        Bson::RegularExpression(regex) => credentials::in_text(regex.pattern.as_str()),
        Bson::JavaScriptCode(code) => credentials::in_text(code),
        Bson::JavaScriptCodeWithScope(code) => {
            credentials::in_text(&code.code) || holds_credential(&code.scope)
        }
        Bson::Document(document) => holds_under(name, document),
        Bson::Array(values) => {
            // `[ "$token", "…" ]` compares the field with what stands beside it.
            let path = values.iter().find_map(|value| value.as_str()?.strip_prefix('$'));
            let name = path.unwrap_or(name);
            values.iter().any(|value| is_credential(name, value))
        }
        _ => false,
    }
}

/// A text that begins with `$` is an expression; what a field is *called* is no secret.
fn is_secret(name: &str, text: &str) -> bool {
    let literal = !text.is_empty() && !text.starts_with('$');
    credentials::in_text(text) || (literal && credentials::is_secret_value(name, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    fn metadata(name: &str, options: Document, indexes: Vec<Document>) -> Metadata {
        let kind = if options.contains_key("pipeline") { Kind::View } else { Kind::Collection };
        Metadata { name: name.to_owned(), kind, options, indexes, uuid: String::new() }
    }

    #[test]
    fn what_holds_literals_is_named() {
        let all = [
            metadata(
                "a",
                doc! { "validator": { "x": { "$gt": 1 } } },
                vec![
                    doc! { "name": "i", "key": { "x": 1 }, "partialFilterExpression": { "x": "y" } },
                    doc! { "name": "_id_", "key": { "_id": 1 } },
                ],
            ),
            metadata("v", doc! { "viewOn": "a", "pipeline": [{ "$match": { "x": 1 } }] }, vec![]),
        ];
        assert_eq!(
            carried(&all),
            [
                ("validators", vec!["a".to_owned()]),
                ("filters of indexes", vec!["a.i".to_owned()]),
                ("view pipelines", vec!["v".to_owned()]),
            ]
        );
        assert!(credentials(&all).is_empty());
    }

    #[test]
    fn credentials_are_found_at_any_depth_and_never_told() {
        for stage in [
            doc! { "$match": { "password": { "$eq": "hunter" } } },
            doc! { "$match": { "$expr": { "$eq": ["$api.token", "abc123def"] } } },
            doc! { "$match": { "api_key": { "$in": ["x", "y"] } } },
            doc! { "$set": { "x": { "$function": { "lang": "js", "args": [],
            "body": "function() { return get('https://a:b@c/d') }" } } } },
        ] {
            let view = metadata("v", doc! { "viewOn": "a", "pipeline": [stage.clone()] }, vec![]);
            assert_eq!(credentials(&[view]).len(), 1, "{stage}");
        }
        let about = doc! { "$match": { "password": { "$type": "string", "$ne": "" }, "auth.provider": "google", "tokenType": "refresh" } };
        let about = metadata("about", doc! { "viewOn": "a", "pipeline": [about] }, vec![]);
        assert!(credentials(&[about]).is_empty());
        let schema = doc! { "$jsonSchema": { "properties": { "password": { "bsonType": "string" } },
        "required": ["password", "token"] } };
        let fine = metadata("fine", doc! { "validator": schema }, vec![]);
        assert!(credentials(&[fine]).is_empty());
        let secret = "https://bot:hunter22@example.com";
        let all = [
            metadata(
                "v",
                doc! { "viewOn": "a", "pipeline": [
                { "$match": { "token": "abc123def" } }, { "$project": { "password": "$pwd" } }] },
                vec![],
            ),
            metadata(
                "w",
                doc! { "viewOn": "a", "pipeline": [{ "$set": { "u": secret } }] },
                vec![],
            ),
            metadata(
                "c",
                doc! {},
                vec![doc! { "name": "i", "key": { "a": 1 },
                "partialFilterExpression": { "auth": { "secret": "s" } } }],
            ),
        ];
        let told = credentials(&all);
        assert_eq!(
            told,
            [
                "the options of the view `v`",
                "the options of the view `w`",
                "the index `i` of the collection `c`",
            ]
        );
    }
}
