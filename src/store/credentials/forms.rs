//! Forms that give a credential away wherever they stand: in a URL, in JSON, on a command line.

use super::words::{
    SECRET_WORDS, after, has_token, is_given, is_made_up, is_secret_name, is_secret_value, is_token,
};

/// Addresses that open by themselves: who knows one may post there.
const WEBHOOKS: [&str; 5] = [
    "hooks.slack.com/",
    "discord.com/api/webhooks/",
    "discordapp.com/api/webhooks/",
    ".webhook.office.com/",
    "chat.googleapis.com/v1/spaces/",
];

/// Names in a query whose value opens what the URL names, besides those of secrets.
const SIGNATURES: [&str; 6] =
    ["sig", "signature", "x-amz-signature", "x-goog-signature", "code", "sas"];

/// Names of account keys in connection strings of Azure.
const ACCOUNT_KEYS: [&str; 3] = ["accountkey=", "sharedaccesskey=", "sharedaccesssignature="];

/// Programs, the flag behind which they take a password, and whether it must be joined to it.
const FLAGS: [(&str, &str, bool); 8] = [
    ("sshpass", " -p", false),
    ("mysql", " -p", true),
    ("mariadb", " -p", true),
    ("mongo", " -p", false),
    ("redis-cli", " -a", false),
    ("ldap", " -w", false),
    ("curl", " -b", false),
    ("curl", " --oauth2-bearer", false),
];

/// Whether a text holds a credential by one of these forms.
pub(super) fn any(text: &str, lower: &str) -> bool {
    urls(text).any(|url| has_password(url) || has_signed_query(url) || is_webhook(url))
        || ACCOUNT_KEYS.iter().any(|word| after(lower, word).any(is_given))
        || members(text).any(|(name, value)| {
            is_secret_name(name) && is_given(value) && (has_token(value) || is_made_up(value))
        })
}

/// Whether a command line, or JSON in an option, gives one.
pub(super) fn in_option(text: &str, lower: &str) -> bool {
    // `--token x`; with `=` it is an assignment.
    let long = |word: &&str| {
        after(lower, &format!("--{word} ")).any(|rest| is_word(rest) && is_given(rest))
    };
    SECRET_WORDS.iter().chain(&["passphrase", "cookie"]).any(long)
        || FLAGS.iter().any(|(program, flag, joined)| {
            lower.contains(program)
                && after(lower, flag).any(|rest| {
                    let rest = if *joined { rest } else { rest.trim_start_matches(['=', ' ']) };
                    let rest = rest.trim_start_matches(['\'', '"']);
                    // `curl -b FILE` reads cookies; `NAME=VALUE` is one.
                    let cookie = *flag != " -b" || word(rest).contains('=');
                    is_word(rest) && is_given(rest) && cookie
                })
        })
        || members(text).any(|(name, value)| {
            is_given(value) && (is_secret_value(name, value) || name.ends_with("private_key"))
        })
}

/// Whether a word begins here, and no other flag.
fn is_word(rest: &str) -> bool {
    rest.starts_with(|letter: char| !letter.is_whitespace() && letter != '-')
}

fn word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// What stands behind each `://`, up to a blank or a quote.
fn urls(text: &str) -> impl Iterator<Item = &str> {
    let ends = |letter: char| letter.is_whitespace() || "'\"`<>".contains(letter);
    after(text, "://").map(move |rest| &rest[..rest.find(ends).unwrap_or(rest.len())])
}

/// `user:password@host` where the password holds what should have been escaped: `/`, `?`, `#`.
fn has_password(url: &str) -> bool {
    let end = url.find(['/', '?', '#']).unwrap_or(url.len());
    let (before, behind) = url.split_at(end);
    let Some((_, password)) = before.split_once(':') else { return false };
    let is_port = password.bytes().all(|byte| byte.is_ascii_digit());
    !before.starts_with('[')
        && !before.contains('@')
        && !is_port
        && behind.contains('@')
        && is_given(password)
}

/// `?sig=…`, `&key=…`: of names that say so, and values that somebody or something made up.
fn has_signed_query(url: &str) -> bool {
    let Some((_, query)) = url.split_once('?') else { return false };
    query.split(['&', ';', '#']).filter_map(|pair| pair.split_once('=')).any(|(name, value)| {
        let signs = SIGNATURES.iter().any(|other| name.eq_ignore_ascii_case(other));
        is_given(value)
            && (is_secret_value(name, value) || (signs && (is_token(value) || is_made_up(value))))
    })
}

/// An address of a webhook with the secret part of its path.
fn is_webhook(url: &str) -> bool {
    let lower = url.to_ascii_lowercase();
    let longest = |rest: &str| rest.split(['/', '?', '&', '=']).map(str::len).max();
    WEBHOOKS
        .iter()
        .any(|place| after(&lower, place).any(|rest| longest(rest).is_some_and(|most| most >= 16)))
}

/// The members of JSON objects that are texts: `"name": "value"`.
fn members(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices('"').filter_map(|(at, _)| {
        let value =
            text[at + 1..].trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
        let name = text[..at].rsplit('"').next()?;
        Some((name, value.split('"').next()?))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{by_form, is_secret_option};

    #[test]
    fn what_opens_something_is_known_wherever_it_stands() {
        for text in [
            "redis://:Zq8#ab?c@cache.example:6379/0",
            "see postgres://app:p/w@db/x",
            "SELECT 'https://maps.example/x?a=1&key=AIzaSyA1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tU1v'",
            "https://x.blob.core.windows.net/c?sv=2020&sig=Zq8%2FabCD12%3D",
            "https://api.example/x?access_token=ghp_0123456789abcdefghijABCDEFGHIJ012345",
            "aws_access_key_id=AKIAIOSFODNN7EXAMPLE",
            "https://x/y?id_token=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
            "AIzaSyA1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tU1v",
            "npm_0123456789abcdefghijABCDEFGHIJ012345",
            "sk-ant-api03-0123456789abcdefghij",
            "whsec_0123456789abcdefghijABCD",
            "'https://hooks.slack.com/services/T0AB12CD3/B0EF45GH6/aBcDeFgHiJkLmNoPqRsTuVwX'",
            "https://discord.com/api/webhooks/123456789012345678/abcDEF_ghi-jkl",
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=Zq8abcdefghijklmnopqrstuv==",
            r#"'{"x-api-key": "Zq8abcdefghijklmnop", "a": "b"}'"#,
        ] {
            assert!(by_form(text), "{text}");
        }
        for text in [
            "https://example.com:8080/path?mail=a@b.example",
            "http://[::1]:8080/x@y",
            "https://example.com/x?page=2&key=name&code=nl",
            "'https://example.com/x?token=' || token",
            "https://example.com/x?api_key=%s&sig={signature}",
            "https://hooks.slack.com/services/",
            "https://discord.com/api/webhooks/${ID}",
            r#"{"type": "object", "required": ["password"], "token": {"type": "string"}}"#,
            r#"{"password": "required", "key": "value"}"#,
            "npm_config_registry_of_the_whole_company",
        ] {
            assert!(!by_form(text), "{text}");
        }
    }

    #[test]
    fn command_lines_that_give_a_password_are_known() {
        for (name, value) in [
            ("program", "sshpass -p Zq8 ssh x cat f"),
            ("program", "mysql -uroot -pZq8 -e q"),
            ("program", "mongoexport -u a -p Zq8"),
            ("program", "redis-cli -a Zq8 get x"),
            ("program", "curl -b session=Zq8a https://x"),
            ("program", "curl --oauth2-bearer Zq8 https://x"),
            ("program", "gpg --batch --passphrase Zq8 -d f"),
            ("program", "vault read --token Zq8 x"),
            ("program", "curl -H 'Cookie: session=Zq8' https://x"),
            ("account", r#"{"private_key": "Zq8"}"#),
            ("account", r#"{"password": "Zq8"}"#),
            ("dbpass", "Zq8"),
            ("pass", "Zq8"),
            ("sas", "sv=2020"),
        ] {
            assert!(is_secret_option(name, value), "{name} {value}");
        }
        for (name, value) in [
            ("program", "mysql -p sales -e q"),
            ("program", "curl -b cookies.txt https://x"),
            ("program", "cut -b 1-4 /data/x"),
            ("program", "gpg --passphrase --batch -d f"),
            ("program", "vault read --token $TOKEN x"),
            ("program", "redis-cli -a ${SECRET} get x"),
            ("bypass", "always"),
            ("compass", "north"),
        ] {
            assert!(!is_secret_option(name, value), "{name} {value}");
        }
    }
}
