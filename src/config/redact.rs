//! What may be shown of a value.

use serde_json::Value;

use super::interpolate::{Segment, Template};
use super::known::folded;

/// What stands in place of a secret.
pub(crate) const HIDDEN: &str = "***";

/// Whether a key's name says that its value is a secret.
pub(crate) fn is_secret(key: &str) -> bool {
    let name = folded(key);
    const INSIDE: [&str; 8] =
        ["password", "passwd", "passphrase", "pwd", "secret", "token", "credential", "signature"];
    INSIDE.iter().any(|word| name.contains(word)) || name.ends_with("key") || name == "sig"
}

/// A url without the password of its user part and without options that look secret. What
/// cannot be told apart is hidden rather than shown.
pub(crate) fn url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (rest, options) = match rest.rsplit_once('@') {
        // The last `@` ends the user part even where a password was not encoded.
        Some((user, rest)) => {
            let user = user.split_once(':').map_or("", |(user, _)| user);
            let shown = if user.is_empty() || user.contains(['/', '?']) {
                format!("{HIDDEN}@")
            } else {
                format!("{user}:{HIDDEN}@")
            };
            split_options(rest, shown)
        }
        None => split_options(rest, String::new()),
    };
    format!("{scheme}://{rest}{}", options.unwrap_or_default())
}

fn split_options(rest: &str, before: String) -> (String, Option<String>) {
    let Some((place, options)) = rest.split_once('?') else {
        return (format!("{before}{rest}"), None);
    };
    let shown = options.split('&').map(|option| match option.split_once('=') {
        Some((key, _)) if is_secret(key) || key.eq_ignore_ascii_case("authMechanismProperties") => {
            format!("{key}={HIDDEN}")
        }
        _ => option.to_owned(),
    });
    (format!("{before}{place}"), Some(format!("?{}", shown.collect::<Vec<_>>().join("&"))))
}

/// A value of the configuration as it may be shown: references as they are written, secrets
/// hidden. The table says which keys hold one; a name that sounds like one is believed too.
pub(crate) fn value(path: &str, value: &Value, interpolated: bool) -> Value {
    let secret = super::table::row(path).is_some_and(|row| row.secret)
        || path.rsplit('.').next().is_some_and(is_secret);
    shown(value, secret, interpolated)
}

fn shown(value: &Value, secret: bool, interpolated: bool) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::String(text) => Value::String(string(text, secret, interpolated)),
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| shown(item, secret, interpolated)).collect())
        }
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                (key.clone(), shown(value, secret || is_secret(key), interpolated))
            };
            Value::Object(members.iter().map(member).collect())
        }
        _ if secret => Value::String(HIDDEN.to_owned()),
        other => other.clone(),
    }
}

/// A string with its commands hidden (they may hold a secret) and, where the key is a secret's,
/// its literal parts too.
fn string(text: &str, secret: bool, interpolated: bool) -> String {
    let template = if interpolated { Template::parse(text).ok() } else { None };
    let template = template.unwrap_or_else(|| Template::literal(text));
    let mut shown = String::new();
    for segment in &template.0 {
        match segment {
            Segment::Literal(literal) if literal.is_empty() => {}
            Segment::Literal(_) if secret => shown.push_str(HIDDEN),
            Segment::Literal(literal) => shown.push_str(literal),
            Segment::Variable(name) => shown.push_str(&format!("${{{name}}}")),
            Segment::File(path) => shown.push_str(&format!("${{file:{path}}}")),
            Segment::Command(_) => shown.push_str("${cmd:***}"),
        }
    }
    if shown.contains("://") { url_with_references(&shown) } else { shown }
}

/// A user part that is only a reference is shown; any other is treated as in [`url`].
fn url_with_references(text: &str) -> String {
    let Some((head, rest)) = text.split_once("://") else { return text.to_owned() };
    if let Some((user, _)) = rest.rsplit_once('@')
        && let Some((name, password)) = user.split_once(':')
        && let Ok(template) = Template::parse(password)
        && !template.0.iter().any(|segment| matches!(segment, Segment::Literal(_)))
    {
        let after = &rest[user.len() + 1..];
        return format!("{head}://{name}:{password}@{}", url(&format!("x://{after}")).split_off(4));
    }
    url(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        for secret in ["password", "PASSWORD", "apiKey", "key", "access_token", "clientSecret"] {
            assert!(is_secret(secret), "{secret}");
        }
        for open in ["host", "authSource", "keep_last", "keyspace", "username"] {
            assert!(!is_secret(open), "{open}");
        }
    }

    #[test]
    fn urls() {
        for (text, expected) in [
            ("postgres://u:pw@h:1/d", "postgres://u:***@h:1/d"),
            ("postgres://u:p/w@h/d", "postgres://u:***@h/d"),
            ("postgres://u:p@w@h/d?a=b", "postgres://u:***@h/d?a=b"),
            ("redis://:pw@h", "redis://***@h"),
            ("https://token@h", "https://***@h"),
            ("postgres://h/d?password=x&a=b", "postgres://h/d?password=***&a=b"),
            ("file:///backups", "file:///backups"),
            ("plain", "plain"),
        ] {
            assert_eq!(url(text), expected);
        }
    }

    #[test]
    fn strings_with_references() {
        for (path, text, expected) in [
            ("a.password", "pw", "***"),
            ("a.password", "${PW}", "${PW}"),
            ("a.password", "x${PW}", "***${PW}"),
            ("a.password", "", ""),
            ("a.host", "${cmd:curl -H secret}", "${cmd:***}"),
            ("a.url", "postgres://u:${PW}@h/d", "postgres://u:${PW}@h/d"),
            ("a.url", "postgres://u:a${PW}@h/d", "postgres://u:***@h/d"),
            ("a.url", "${URL}", "${URL}"),
        ] {
            let shown = value(path, &Value::String(text.to_owned()), true);
            assert_eq!(shown, Value::String(expected.to_owned()));
        }
        // The value of a variable holds no references.
        let shown = value("a.password", &Value::String("${PW}".to_owned()), false);
        assert_eq!(shown, Value::String(HIDDEN.to_owned()));
    }
}
