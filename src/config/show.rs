//! `config show`: every value that pfdata reads, with its origin.

use serde::Serialize;
use serde_json::{Value, json};

use super::document::{Content, Node, join};
use super::known;
use super::layers::Loaded;
use super::origin::Origin;
use super::overlay::CONNECT_TIMEOUT;
use super::redact;
use super::sets::{ANONYMIZED, RAW, default_jobs};
use super::store_postgres;
use crate::pipeline::codec::Compression;
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

/// What is built in, for the keys that have a default.
fn defaults(loaded: &Loaded) -> Vec<(String, Value)> {
    let mut all: Vec<(String, Value)> = Vec::new();
    let mut add = |path: &str, value: Value| all.push((path.to_owned(), value));
    add("data.protected", json!(false));
    add("data.migrate.require", json!("none"));
    add("data.anonymize.rules", json!("anonymizers"));
    add("data.anonymize.uncovered", json!("fail"));
    add("data.refresh.mode", json!("auto"));
    add("data.refresh.migrate", json!(true));
    add("data.refresh.backup_before", json!(false));
    add("data.refresh.keep_previous", json!(true));
    for list in ["sql", "seeds", "hooks.before", "hooks.loaded", "hooks.before_swap"] {
        add(&format!("data.refresh.{list}"), json!([]));
    }
    add("data.refresh.hooks.after_swap", json!([]));
    let configured = loaded.tree.at("data.snapshots").map_or(&[][..], Node::members);
    let mut sets: Vec<&str> = configured.iter().map(|(name, _)| name.as_str()).collect();
    sets.extend([RAW, ANONYMIZED]);
    sets.sort_unstable();
    sets.dedup();
    for set in sets {
        let at = |key: &str| format!("data.snapshots.{set}.{key}");
        if [RAW, ANONYMIZED].contains(&set) {
            add(&at("anonymize"), json!(set == ANONYMIZED));
        }
        add(&at("jobs"), json!(default_jobs()));
        add(&at("compression"), json!(Compression::default().to_string()));
        add(&at("from_replica"), json!(false));
    }
    for store in StoreKind::ALL {
        let path = format!("database.{store}");
        let Some(node) = loaded.tree.at(&path).filter(|node| node.is_branch()) else { continue };
        add(&format!("data.refresh.stores.{store}"), json!("snapshot"));
        add(&join(&path, "connectionTimeout"), json!(CONNECT_TIMEOUT.as_millis()));
        let given = |key: &str| node.get(key).is_some_and(|node| !node.is_null());
        if given("url") || (store == StoreKind::Mongodb && given("cluster")) {
            continue;
        }
        let port = match store {
            StoreKind::Postgres => 5432,
            StoreKind::Redis => 6379,
            StoreKind::Mongodb => 27017,
        };
        add(&join(&path, "host"), json!("localhost"));
        add(&join(&path, "port"), json!(port));
        if store == StoreKind::Redis && !given("database") {
            add(&join(&path, "db"), json!(0));
        }
    }
    all
}
