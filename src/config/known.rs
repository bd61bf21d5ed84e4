//! Which keys there are, and what to say of those that there are not. Asked by `layers` for every
//! file and variable; what it knows is the table of keys.

use super::document::{Content, Node, join};
use super::key::Holds;
use super::table;
use crate::error::{Error, Result};

/// How a key is walked through, and how the text of a variable is read.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Text, or something that is written as text (a duration, a schedule).
    Text,
    /// A number, a flag, a list, or one of several: text that reads as JSON is taken as JSON.
    Parsed,
    /// An object.
    Object,
    /// An object, or a flag.
    FlagOrObject,
    /// An object whose keys are names of snapshot sets.
    Sets,
}

impl From<Holds> for Kind {
    fn from(holds: Holds) -> Self {
        match holds {
            Holds::Object => Self::Object,
            Holds::FlagOrObject => Self::FlagOrObject,
            Holds::Sets => Self::Sets,
            Holds::Text
            | Holds::Filled
            | Holds::Repository
            | Holds::Compression
            | Holds::Source
            | Holds::Word(_)
            | Holds::Duration
            | Holds::Rate
            | Holds::Cron => Self::Text,
            Holds::Flag
            | Holds::FlagOrDuration
            | Holds::Number(..)
            | Holds::Texts
            | Holds::Commands
            | Holds::Foreign => Self::Parsed,
        }
    }
}

/// The blocks of a file that pfdata reads.
pub(crate) fn blocks() -> Vec<&'static str> {
    table::names_below(&[])
}

/// What a key of the contract holds, by its dotted path.
pub(crate) fn kind_at(path: &str) -> Option<Kind> {
    table::row(path).map(|row| row.holds.into())
}

/// Checks the keys of one file or variable: every key of `data`, and those of `database` that
/// look like a slip of a key that pfdata reads.
pub(crate) fn check(root: &Node) -> Result<()> {
    for block in blocks() {
        if let Some(node) = root.get(block) {
            check_node(node, &mut vec![block], block, block == "data")?;
        }
    }
    Ok(())
}

/// `at` is `path` in its parts: the name of a set may hold a dot.
fn check_node<'n>(node: &'n Node, at: &mut Vec<&'n str>, path: &str, strict: bool) -> Result<()> {
    let Some(kind) = table::row_at(at).map(|row| Kind::from(row.holds)) else { return Ok(()) };
    let origin = &node.source.origin;
    if node.is_null() {
        return Ok(());
    }
    match (kind, &node.content) {
        // A store that is `false` is a store that is switched off.
        (Kind::Object, Content::Leaf(serde_json::Value::Bool(false))) if !strict => return Ok(()),
        (Kind::Object | Kind::Sets, Content::Leaf(_)) => {
            return Err(Error::usage(format!("{origin}: `{path}` must be an object")));
        }
        (Kind::Object | Kind::FlagOrObject | Kind::Sets, Content::Branch(_)) => {}
        _ => return Ok(()),
    }
    let known = table::names_below(at);
    for (name, below) in node.members() {
        let path = join(path, name);
        if !matches!(kind, Kind::Sets) && !known.contains(&name.as_str()) {
            check_stranger(name, &known, &path, node, strict)?;
            continue;
        }
        at.push(name);
        check_node(below, at, &path, strict)?;
        at.pop();
    }
    Ok(())
}

/// A key that pfdata does not read: in its own block an error, elsewhere one only if it is a slip.
fn check_stranger(name: &str, known: &[&str], path: &str, node: &Node, strict: bool) -> Result<()> {
    let origin = &node.source.origin;
    if strict {
        let error = Error::usage(format!("{origin}: unknown key `{path}`"));
        return Err(error.hint(suggest(name, known.iter().copied())));
    }
    match slip(name, known.iter().copied()) {
        None => Ok(()),
        Some(meant) => {
            let error = format!("{origin}: unknown key `{path}`, one slip from `{meant}`");
            Err(Error::usage(error).hint(format!("did you mean `{meant}`?")))
        }
    }
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
    let mut kind = Kind::Object;
    let mut path: Vec<String> = Vec::new();
    for part in parts {
        let wanted = folded(part);
        let at = path.join(".");
        if wanted.is_empty() {
            return Err("a part of its name is empty".to_owned());
        }
        let above: Vec<&str> = path.iter().map(String::as_str).collect();
        let name = match kind {
            Kind::Object | Kind::FlagOrObject => {
                let names = table::names_below(&above);
                let key = names.iter().find(|name| folded(name) == wanted);
                let key = key.ok_or_else(|| {
                    let bad = join(&at, &part.to_lowercase());
                    let hint = suggest(part, names.iter().copied());
                    format!("`{bad}` is no key that pfdata reads; {hint}")
                })?;
                (*key).to_owned()
            }
            Kind::Sets => {
                let existing = tree.at(&at).map_or(&[][..], Node::members);
                let known = existing.iter().map(|(name, _)| name.as_str());
                let name = known.chain(["raw", "anonymized"]).find(|name| folded(name) == wanted);
                name.map_or_else(|| part.to_lowercase(), str::to_owned)
            }
            Kind::Text | Kind::Parsed => return Err(format!("`{at}` has no keys below it")),
        };
        path.push(name);
        let whole: Vec<&str> = path.iter().map(String::as_str).collect();
        kind = table::row_at(&whole).map_or(Kind::Text, |row| row.holds.into());
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
