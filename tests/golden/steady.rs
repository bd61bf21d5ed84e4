//! Placeholders for what differs between two runs, two machines and two versions of a server.

use serde_json::{Map, Value};

use crate::common::{self, World};

/// Writes what a world said so that the next world says the same.
pub struct Steady {
    /// What this world calls its places, and what they are called instead.
    names: Vec<(String, &'static str)>,
}

/// The host and port of a URL.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['/', '?']).next().unwrap();
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}

impl Steady {
    pub fn of(world: &World) -> Self {
        let redis = format!("127.0.0.1:{}", world.redis_port);
        let folder = world.folder.path();
        let resolved = folder.canonicalize().unwrap();
        let (postgres, mongodb) = (common::postgres_url(), common::mongodb_url());
        let options = mongodb.split_once(host(&mongodb)).unwrap().1.to_owned();
        let names = vec![
            (resolved.to_string_lossy().into_owned(), "<folder>"),
            (folder.to_string_lossy().into_owned(), "<folder>"),
            (redis.replace('.', "%2E").replace(':', "%3A"), "<redis>"),
            (redis, "<redis>"),
            (host(&postgres).to_owned(), "<postgres>"),
            (host(&mongodb).to_owned(), "<mongodb>"),
            (options, ""),
            (world.name.clone(), "<world>"),
            (format!("pfdata {}", env!("CARGO_PKG_VERSION")), "pfdata <version>"),
        ];
        let names = names.into_iter().filter(|(name, _)| name.len() > 1).collect();
        Self { names }
    }

    /// A text, with placeholders.
    pub fn text(&self, text: &str) -> String {
        self.with(text, &mut Vec::new())
    }

    /// A document, written out, with placeholders. Snapshots and jobs are numbered as they come.
    pub fn json(&self, document: &Value) -> String {
        let mut document = document.clone();
        self.walk(&mut document, &mut Vec::new());
        serde_json::to_string_pretty(&document).unwrap()
    }

    fn walk(&self, value: &mut Value, ids: &mut Vec<String>) {
        match value {
            Value::String(text) => *text = self.with(text, ids),
            Value::Array(values) => values.iter_mut().for_each(|value| self.walk(value, ids)),
            Value::Object(fields) => {
                let told = self.told(fields);
                for (name, value) in fields {
                    match told.iter().find(|(told, _)| told == name) {
                        Some((_, instead)) => *value = Value::String(instead.clone()),
                        None => self.walk(value, ids),
                    }
                }
            }
            _ => {}
        }
    }

    /// The fields of an object that are told by their names, or by what stands beside them.
    fn told(&self, fields: &Map<String, Value>) -> Vec<(String, String)> {
        let is_part = fields.contains_key("sha256_plain");
        let word = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let setting = word("key").ends_with(".jobs") || word("key").ends_with(".port");
        let of_server = word("what").ends_with("version") || word("what") == "pg_dump";
        let placeholder = |name: &str, value: &Value| match name {
            "point" | "exported" | "system_identifier" | "server_version" | "run_id" | "by"
            | "age_s" => true,
            "number" => is_part,
            "value" => setting,
            "detail" => of_server,
            // How long is never the same; that there was nothing to store always is.
            "jobs" => value != &Value::from(0),
            name if name.starts_with("bytes_") => value != &Value::from(0),
            name => name.ends_with("_ms"),
        };
        let mut told = Vec::new();
        for (name, value) in fields {
            if value.is_number() || value.is_string() {
                if placeholder(name, value) {
                    told.push((name.clone(), format!("<{name}>")));
                }
            } else if name == "swap_ms" {
                let stores = value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
                told.push((name.clone(), format!("<ms> of {}", stores.join(", "))));
            }
        }
        told
    }

    fn with(&self, text: &str, ids: &mut Vec<String>) -> String {
        let mut text = text.to_owned();
        for (name, instead) in &self.names {
            text = text.replace(name, instead);
        }
        let (mut out, mut rest, mut inside) = (String::new(), text.as_str(), false);
        while let Some(next) = rest.chars().next() {
            let found = if inside { None } else { placeholder(rest, ids) };
            let (length, written) =
                found.unwrap_or_else(|| (next.len_utf8(), rest[..next.len_utf8()].to_owned()));
            out.push_str(&written);
            inside = rest[..length].ends_with(|c: char| c.is_ascii_alphanumeric());
            rest = &rest[length..];
        }
        out
    }
}

/// What a text begins with that is never the same: how long it is, and what stands for it.
fn placeholder(text: &str, ids: &mut Vec<String>) -> Option<(usize, String)> {
    for (shape, kind) in
        [("ddddddddTddddddZ-xxxxxx", "snapshot"), ("ddddddddTdddddd.dddZ-xxxxxx", "job")]
    {
        if fits(text, shape) {
            let id = &text[..shape.len()];
            let at = ids.iter().position(|known| known == id).unwrap_or_else(|| {
                ids.push(id.to_owned());
                ids.len() - 1
            });
            return Some((id.len(), format!("<{kind} {}>", at + 1)));
        }
    }
    for shape in ["dddd-dd-ddTdd:dd:dd", "dddd-dd-dd dd:dd UTC"] {
        if fits(text, shape) {
            let rest = &text[shape.len()..];
            let fraction =
                rest.find(|c: char| !(c == '.' || c.is_ascii_digit())).unwrap_or(rest.len());
            let zulu = usize::from(rest[fraction..].starts_with('Z'));
            return Some((shape.len() + fraction + zulu, "<time>".to_owned()));
        }
    }
    let hex = text.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len());
    if hex >= 12 && ends_there(&text[hex..]) {
        return Some((hex, "<hex>".to_owned()));
    }
    let number = text.find(|c: char| !(c == '.' || c.is_ascii_digit())).unwrap_or(text.len());
    let number = text[..number].trim_end_matches('.').len();
    let unit = [" ms", " s", " MiB", " KiB", " B", " jobs", ".copy", ".bson"]
        .into_iter()
        .find(|unit| text[number..].strip_prefix(unit).is_some_and(ends_there));
    (number > 0 && unit.is_some()).then(|| (number, "<n>".to_owned()))
}

fn ends_there(rest: &str) -> bool {
    !rest.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Whether a text begins with digits where `shape` has `d`, hexadecimal ones where it has `x`.
fn fits(text: &str, shape: &str) -> bool {
    let fits = |(byte, shape): (u8, u8)| match shape {
        b'd' => byte.is_ascii_digit(),
        b'x' => byte.is_ascii_hexdigit(),
        other => byte == other,
    };
    text.len() >= shape.len() && text.bytes().zip(shape.bytes()).all(fits)
}

#[test]
fn placeholders_stand_for_what_changes_alone() {
    let steady = Steady { names: Vec::new() };
    for (said, held) in [
        ("restored 20261121T030000Z-7f3a9c", "restored <snapshot 1>"),
        ("job 20261121T030000.123Z-7f3a9c", "job <job 1>"),
        ("at 2026-11-21T03:00:00.5Z, and", "at <time>, and"),
        ("(raw, 2026-11-21 03:00 UTC)", "(raw, <time>)"),
        ("key v2-f03b02ef191ef6f1", "key v2-<hex>"),
        ("took 0.3 s of 12 s", "took <n> s of <n> s"),
        ("people.3.bson.zst, 5.", "people.<n>.bson.zst, 5."),
        ("5 rows, 10 keys, facade", "5 rows, 10 keys, facade"),
    ] {
        assert_eq!(steady.text(said), held);
    }
}
