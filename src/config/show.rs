//! `config show`: every value that pfdata reads, with its origin.

use serde::Serialize;
use serde_json::{Value, json};

use super::document::{Content, Node, join};
use super::key::Preset;
use super::known;
use super::layers::Loaded;
use super::origin::Origin;
use super::redact;
use super::sets::{ANONYMIZED, RAW};
use super::{store_postgres, table};
use crate::terms::StoreKind;

/// A value as it may be shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// Dotted path.
    pub path: String,
    /// As written, references unresolved, secrets hidden.
    pub value: Value,
    /// Where it came from; serialized as text.
    pub origin: Origin,
}

/// Every value of an environment, sorted by path, the `data` block first. Keys of the `database`
/// block that pfdata does not read are the application's and are not shown.
pub(crate) fn show(loaded: &Loaded) -> Vec<Shown> {
    let mut shown = Vec::new();
    collect(&loaded.tree, "", &mut shown);
    for (path, value) in defaults(loaded) {
        let exists = loaded.tree.at(&path).is_some_and(|node| !node.is_null());
        if !exists {
            shown.push(Shown { path, value, origin: Origin::Default });
        }
    }
    shown.extend(last_resort(loaded));
    shown.sort_by(|a, b| (block(&a.path), &a.path).cmp(&(block(&b.path), &b.path)));
    shown
}

/// The Postgres password that is taken from `DEV_DB_PASSWORD` and its like, where no key and no
/// url holds one.
fn last_resort(loaded: &Loaded) -> Option<Shown> {
    loaded.tree.at("database.postgres").filter(|node| node.is_branch())?;
    let text = |path: &str| match &loaded.tree.at(path)?.content {
        Content::Leaf(Value::String(text)) => Some(text.clone()).filter(|text| !text.is_empty()),
        _ => None,
    };
    for path in ["database.postgres", "data.connect.postgres"] {
        let url = text(&join(path, "url")).is_some_and(|url| {
            let user = url.rsplit_once('@').map_or("", |(user, _)| user);
            url.starts_with("${") || user.matches(':').count() > 1
        });
        if url || text(&join(path, "password")).is_some() {
            return None;
        }
    }
    let (_, origin) = store_postgres::last_resort(loaded)?;
    let path = "database.postgres.password".to_owned();
    Some(Shown { path, value: json!(redact::HIDDEN), origin })
}

fn block(path: &str) -> u8 {
    u8::from(path.starts_with("database"))
}

fn collect(node: &Node, path: &str, shown: &mut Vec<Shown>) {
    match &node.content {
        Content::Leaf(Value::Null) => {}
        Content::Leaf(value) => {
            let interpolated = matches!(node.source.origin, Origin::File(_));
            let value = redact::value(path, value, interpolated);
            let origin = node.source.origin.clone();
            shown.push(Shown { path: path.to_owned(), value, origin });
        }
        Content::Branch(members) => {
            for (key, node) in members {
                let path = join(path, key);
                if known::kind_at(&path).is_some() {
                    collect(node, &path, shown);
                }
            }
        }
    }
}

/// What is built in, for the keys that have a default. A store that the environment does not have
/// has none.
fn defaults(loaded: &Loaded) -> Vec<(String, Value)> {
    let given = |path: &str| loaded.tree.at(path).is_some_and(|node| !node.is_null());
    let here = |path: &str| loaded.tree.at(path).is_some_and(Node::is_branch);
    let configured = loaded.tree.at("data.snapshots").map_or(&[][..], Node::members);
    let mut sets: Vec<&str> = configured.iter().map(|(name, _)| name.as_str()).collect();
    sets.extend([RAW, ANONYMIZED].iter().filter(|name| !sets.contains(name)).collect::<Vec<_>>());
    let mut stores = StoreKind::ALL.to_vec();
    stores.retain(|store| here(&format!("database.{store}")));
    let mut all = Vec::new();
    for row in table::rows() {
        for path in table::paths(row, &sets, &stores) {
            let Some((outer, _)) = path.rsplit_once('.') else { continue };
            let absent = outer.starts_with("database.") && !here(outer);
            if absent || row.unless.iter().any(|key| given(&join(outer, key))) {
                continue;
            }
            let value = match row.preset {
                Preset::OfSet => of_set(outer),
                preset => preset.value(),
            };
            all.extend(value.map(|value| (path, value)));
        }
    }
    all
}

/// Whether a built-in set is masked.
fn of_set(path: &str) -> Option<Value> {
    match path.rsplit('.').next() {
        Some(RAW) => Some(json!(false)),
        Some(ANONYMIZED) => Some(json!(true)),
        _ => None,
    }
}
