//! Names of environments: the short ones, and which of two names mean the same.

use super::known::folded;
use crate::error::{Error, Result};

/// The short names and what they stand for.
pub(crate) const SHORT: [(&str, &str); 4] = [
    ("dev", "development"),
    ("preprod", "preproduction"),
    ("prod", "production"),
    ("stage", "staging"),
];

/// The long form of a name.
fn long(name: &str) -> &str {
    SHORT.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| long)
}

/// The configured name that `asked` means.
pub(crate) fn find<'a>(names: &'a [String], asked: &str) -> Option<&'a str> {
    names
        .iter()
        .find(|name| *name == asked)
        .or_else(|| names.iter().find(|name| long(name) == long(asked)))
        .map(String::as_str)
}

/// The configured name that a part of a variable's name means: without case and `_`.
pub(crate) fn find_folded<'a>(names: &'a [String], part: &str) -> Option<&'a str> {
    let wanted = folded(part);
    names
        .iter()
        .find(|name| folded(name) == wanted)
        .or_else(|| names.iter().find(|name| folded(long(name)) == long(&wanted)))
        .map(String::as_str)
}

/// Two names that a user or a variable could not tell apart are an error.
pub(crate) fn distinct(names: &[String]) -> Result<()> {
    for (at, name) in names.iter().enumerate() {
        if let Some(other) =
            names[..at].iter().find(|other| folded(long(other)) == folded(long(name)))
        {
            return Err(Error::usage(format!(
                "the environments `{other}` and `{name}` cannot be told apart"
            ))
            .hint("keep one of the two files"));
        }
    }
    Ok(())
}

/// Whether a word can name an environment or a snapshot set: letters, digits, `-`, `_` and,
/// inside, `.`; at most 64 bytes.
pub(crate) fn is_word(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() <= 64
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// Checks an environment's name, which stands in paths and in `ENV/SET@latest`.
pub(crate) fn check(name: &str, file: &str) -> Result<()> {
    // The repository has folders of its own beside those of the environments.
    if matches!(name, "latest" | "jobs" | "leases") || !is_word(name) {
        return Err(Error::usage(format!("{file}: its name cannot name an environment"))
            .hint("use letters, digits, `-` and `_`"));
    }
    Ok(())
}

/// Names of the variable that the old scripts took an environment's Postgres password from.
pub(crate) fn password_variables(name: &str) -> Vec<String> {
    let upper = |name: &str| {
        let word: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        format!("{word}_DB_PASSWORD")
    };
    match long(name) {
        "development" => vec![upper("dev")],
        "preproduction" => vec![upper("preprod")],
        "production" => vec![upper("prod")],
        "staging" => vec![upper("staging"), upper("stage")],
        other => vec![upper(other)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_folded_names() {
        let names = ["development", "pre-production", "prod", "staging"].map(str::to_owned);
        assert_eq!(find(&names, "dev"), Some("development"));
        assert_eq!(find(&names, "production"), Some("prod"));
        assert_eq!(find(&names, "stage"), Some("staging"));
        assert_eq!(find(&names, "Staging"), None);
        assert_eq!(find_folded(&names, "PRE_PRODUCTION"), Some("pre-production"));
        assert_eq!(find_folded(&names, "PRODUCTION"), Some("prod"));
        assert_eq!(find_folded(&names, "DEV"), Some("development"));
        assert!(distinct(&names).is_ok());
        assert!(distinct(&["prod", "production"].map(str::to_owned)).is_err());
        assert!(distinct(&["a_b", "a-b"].map(str::to_owned)).is_err());
    }

    #[test]
    fn password_names() {
        assert_eq!(password_variables("development"), ["DEV_DB_PASSWORD"]);
        assert_eq!(password_variables("prod"), ["PROD_DB_PASSWORD"]);
        assert_eq!(password_variables("qa-2"), ["QA_2_DB_PASSWORD"]);
    }
}
