//! The keys that pfdata reads, and what to say of those that it does not.

use super::document::{Content, Node, join};
use crate::error::{Error, Result};

/// What a key holds; decides how the text of a variable is read.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Text, or something that is written as text (a duration, a schedule).
    Text,
    /// A number, a flag, a list, or one of several: text that reads as JSON is taken as JSON.
    Parsed,
    /// An object with these keys.
    Object(&'static [Key]),
    /// An object with these keys, or a flag.
    FlagOrObject(&'static [Key]),
    /// An object whose keys are names of snapshot sets, each with these keys.
    Sets(&'static [Key]),
}

/// A key and what it holds.
pub(crate) struct Key {
    /// As it is written in JSON.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) kind: Kind,
}

const fn text(name: &'static str) -> Key {
    Key { name, kind: Kind::Text }
}

const fn parsed(name: &'static str) -> Key {
    Key { name, kind: Kind::Parsed }
}

const fn object(name: &'static str, keys: &'static [Key]) -> Key {
    Key { name, kind: Kind::Object(keys) }
}

const SSL: &[Key] = &[
    parsed("required"),
    parsed("rejectUnauthorized"),
    text("ca"),
    text("cert"),
    text("key"),
    text("minVersion"),
];
const SSL_KEY: Key = Key { name: "ssl", kind: Kind::FlagOrObject(SSL) };

const POSTGRES: &[Key] = &[
    text("url"),
    text("host"),
    parsed("port"),
    text("database"),
    text("username"),
    text("password"),
    SSL_KEY,
    parsed("schemas"),
    parsed("readReplicas"),
    parsed("connectionTimeout"),
];
const REDIS: &[Key] = &[
    text("url"),
    text("host"),
    parsed("port"),
    parsed("db"),
    // What some Redis clients call `db`: ignoring it would mean index 0.
    parsed("database"),
    text("username"),
    text("password"),
    SSL_KEY,
    parsed("cluster"),
    parsed("spareDb"),
    parsed("connectionTimeout"),
];
const MONGODB: &[Key] = &[
    text("url"),
    text("host"),
    parsed("port"),
    text("database"),
    text("username"),
    text("password"),
    text("authSource"),
    text("replicaSet"),
    SSL_KEY,
    parsed("cluster"),
    parsed("connectionTimeout"),
];
const DATABASE: &[Key] =
    &[object("postgres", POSTGRES), object("redis", REDIS), object("mongodb", MONGODB)];

/// pfdata's own way in. Which data it is stays with the `database` block.
const CONNECT_STORE: &[Key] = &[
    text("url"),
    text("host"),
    parsed("port"),
    text("username"),
    text("password"),
    SSL_KEY,
    parsed("connectionTimeout"),
];
const CONNECT_MONGODB: &[Key] = &[
    text("url"),
    text("host"),
    parsed("port"),
    text("username"),
    text("password"),
    text("authSource"),
    text("replicaSet"),
    SSL_KEY,
    parsed("connectionTimeout"),
];

const SET: &[Key] = &[
    parsed("anonymize"),
    text("repository"),
    text("repository_id"),
    text("schedule"),
    parsed("jobs"),
    text("compression"),
    parsed("from_replica"),
    parsed("reviewed_only"),
    object(
        "retention",
        &[
            parsed("keep_last"),
            parsed("keep_hourly"),
            parsed("keep_daily"),
            parsed("keep_weekly"),
            parsed("keep_monthly"),
            parsed("keep_yearly"),
            text("keep_within"),
            text("max_age"),
        ],
    ),
];
const REFRESH: &[Key] = &[
    text("from"),
    text("schedule"),
    text("max_age"),
    text("mode"),
    parsed("migrate"),
    object("stores", &[text("postgres"), text("redis"), text("mongodb")]),
    parsed("backup_before"),
    parsed("sql"),
    parsed("seeds"),
    parsed("keep_previous"),
    object(
        "hooks",
        &[parsed("before"), parsed("loaded"), parsed("before_swap"), parsed("after_swap")],
    ),
];
const DATA: &[Key] = &[
    text("class"),
    parsed("protected"),
    text("repository"),
    text("repository_id"),
    object(
        "connect",
        &[
            object("postgres", CONNECT_STORE),
            object("redis", CONNECT_STORE),
            object("mongodb", CONNECT_MONGODB),
        ],
    ),
    Key { name: "snapshots", kind: Kind::Sets(SET) },
    object("limits", &[text("rate"), text("duration"), text("replica_lag")]),
    object("migrate", &[text("require")]),
    object("anonymize", &[text("rules"), text("key"), text("uncovered")]),
    object("encryption", &[text("algorithm"), text("key")]),
    object("objectives", &[text("rto"), text("rpo")]),
    object("schedules", &[text("retention"), text("verify"), text("drill")]),
    object("refresh", REFRESH),
];

/// The blocks of a file that pfdata reads.
pub(crate) const ROOT: &[Key] = &[object("database", DATABASE), object("data", DATA)];

/// What a key of the contract holds, by its dotted path.
pub(crate) fn kind_at(path: &str) -> Option<Kind> {
    let mut kind = Kind::Object(ROOT);
    for part in path.split('.') {
        kind = match kind {
            Kind::Object(keys) | Kind::FlagOrObject(keys) => {
                keys.iter().find(|key| key.name == part)?.kind
            }
            Kind::Sets(keys) => Kind::Object(keys),
            Kind::Text | Kind::Parsed => return None,
        };
    }
    Some(kind)
}

/// Checks the keys of one file or variable: every key of `data`, and those of `database` that
/// look like a slip of a key that pfdata reads.
pub(crate) fn check(root: &Node) -> Result<()> {
    for key in ROOT {
        if let Some(node) = root.get(key.name) {
            check_node(node, key.kind, key.name, key.name == "data")?;
        }
    }
    Ok(())
}

fn check_node(node: &Node, kind: Kind, path: &str, strict: bool) -> Result<()> {
    let origin = &node.source.origin;
    if node.is_null() {
        return Ok(());
    }
    let keys = match (kind, &node.content) {
        // A store that is `false` is a store that is switched off.
        (Kind::Object(_), Content::Leaf(serde_json::Value::Bool(false))) if !strict => {
            return Ok(());
        }
        (Kind::Object(_) | Kind::Sets(_), Content::Leaf(_)) => {
            return Err(Error::usage(format!("{origin}: `{path}` must be an object")));
        }
        (Kind::Object(keys) | Kind::FlagOrObject(keys), Content::Branch(_)) => keys,
        (Kind::Sets(keys), Content::Branch(members)) => {
            for (name, node) in members {
                check_node(node, Kind::Object(keys), &join(path, name), strict)?;
            }
            return Ok(());
        }
        _ => return Ok(()),
    };
    for (name, node) in node.members() {
        match keys.iter().find(|key| key.name == name) {
            Some(key) => check_node(node, key.kind, &join(path, name), strict)?,
            None if strict => {
                let path = join(path, name);
                let error = Error::usage(format!("{origin}: unknown key `{path}`"));
                return Err(error.hint(suggest(name, keys.iter().map(|key| key.name))));
            }
            None => {
                if let Some(meant) = slip(name, keys.iter().map(|key| key.name)) {
                    let path = join(path, name);
                    return Err(Error::usage(format!(
                        "{origin}: unknown key `{path}`, one slip from `{meant}`"
                    ))
                    .hint(format!("did you mean `{meant}`?")));
                }
            }
        }
    }
    Ok(())
}

/// The known name that `name` is one typing slip (a letter missing, added, wrong, or two
/// swapped) from; only names of four letters or more are looked at.
pub(crate) fn slip<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.chars().count() < 4 {
        return None;
    }
    known.into_iter().find(|known| strsim::damerau_levenshtein(name, known) == 1)
}

/// `did you mean …?` for a name that is close to a known one, else the list of the known ones.
pub(crate) fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = nearest(name, &known) {
        return format!("did you mean `{near}`?");
    }
    match known.as_slice() {
        [] => "there are none".to_owned(),
        known => format!("known are {}", known.join(", ")),
    }
}

fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let allowed = (lower.chars().count() / 3).max(1);
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&lower, &known.to_lowercase()), *known))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, known)| known)
}

/// A name without case and anything but letters and digits: how variables are matched.
pub(crate) fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Finds the path that the parts of a variable's name mean. Names of snapshot sets that the
/// configuration does not hold yet are taken in lower case.
pub(crate) fn find(parts: &[&str], tree: &Node) -> Result<(Vec<String>, Kind), String> {
    let mut kind = Kind::Object(ROOT);
    let mut path: Vec<String> = Vec::new();
    for part in parts {
        let wanted = folded(part);
        let at = path.join(".");
        if wanted.is_empty() {
            return Err("a part of its name is empty".to_owned());
        }
        match kind {
            Kind::Object(keys) | Kind::FlagOrObject(keys) => {
                let names = || keys.iter().map(|key| key.name);
                let key = keys.iter().find(|key| folded(key.name) == wanted).ok_or_else(|| {
                    let bad = join(&at, &part.to_lowercase());
                    format!("`{bad}` is no key that pfdata reads; {}", suggest(part, names()))
                })?;
                path.push(key.name.to_owned());
                kind = key.kind;
            }
            Kind::Sets(keys) => {
                let existing = tree.at(&at).map_or(&[][..], Node::members);
                let known = existing.iter().map(|(name, _)| name.as_str());
                let name = known.chain(["raw", "anonymized"]).find(|name| folded(name) == wanted);
                path.push(name.map_or_else(|| part.to_lowercase(), str::to_owned));
                kind = Kind::Object(keys);
            }
            Kind::Text | Kind::Parsed => return Err(format!("`{at}` has no keys below it")),
        }
    }
    Ok((path, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips() {
        let known = ["password", "port", "url", "schemas", "connectionTimeout"];
        for (name, expected) in [
            ("passwrod", Some("password")),
            ("pasword", Some("password")),
            ("Password", Some("password")),
            ("prot", Some("port")),
            ("schema", Some("schemas")),
            ("connectionTimeouts", Some("connectionTimeout")),
            ("uri", None),
            ("connection_timeout", None),
            ("idleTimeout", None),
            ("pool", None),
        ] {
            assert_eq!(slip(name, known), expected, "{name}");
        }
    }

    #[test]
    fn suggestions() {
        assert_eq!(suggest("retenton", ["retention", "schedule"]), "did you mean `retention`?");
        assert_eq!(suggest("zzz", ["a", "b"]), "known are a, b");
    }

    #[test]
    fn kinds_by_path() {
        assert!(matches!(kind_at("data.snapshots.x.jobs"), Some(Kind::Parsed)));
        assert!(matches!(kind_at("database.redis.ssl.ca"), Some(Kind::Text)));
        assert!(kind_at("data.snapshots.x.y").is_none());
        assert!(kind_at("data.class.x").is_none());
    }
}
