//! Texts that look like credentials: what of a store's structure must not leave a live environment
//! in a masked snapshot. Judged by names and forms; a judgement errs on the side of stopping.

/// Parts of an option's name that say that its value is a secret.
const SECRET_PARTS: [&str; 18] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "passcode",
    "secret",
    "secrets",
    "token",
    "tokens",
    "apikey",
    "authorization",
    "auth",
    "credential",
    "credentials",
    "private",
    "accesskey",
    "jwt",
    "bearer",
];

/// Words that make `key` harmless: what a column or an index is, not what opens something.
const HARMLESS_KEYS: [&str; 8] =
    ["primary", "foreign", "partition", "sort", "row", "public", "shard", "cluster"];

/// Words after which `=` or `:` introduces a secret in an option's value.
const SECRET_WORDS: [&str; 12] = [
    "password",
    "passwd",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "accesskey",
    "authorization",
    "x-api-key",
];

/// Whether an option of this name and value may hold a credential.
pub fn is_secret_option(name: &str, value: &str) -> bool {
    let plain =
        matches!(value.trim().to_ascii_lowercase().as_str(), "" | "true" | "false" | "none");
    !plain && (is_secret_name(name) || assigns_secret(value) || in_text(value) || is_token(value))
}

/// Whether a name says that what it names is a secret: `sslPassword`, `api_key`, `x-auth-token`.
pub fn is_secret_name(name: &str) -> bool {
    let parts = parts(name);
    let has = |word: &str| parts.iter().any(|part| part == word);
    let joined = parts.concat();
    let compound = ["password", "passwd", "passphrase", "secret", "apikey", "accesskey", "token"];
    SECRET_PARTS.iter().any(|word| has(word))
        || compound.iter().any(|word| joined.contains(word))
        || (has("key") && !HARMLESS_KEYS.iter().any(|word| has(word)))
        || joined == "sslkey"
}

/// The words of a name, in lower case: split at what is no letter or digit, and at capitals.
fn parts(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = vec![String::new()];
    let mut lower_before = false;
    for letter in name.chars() {
        let breaks = !letter.is_alphanumeric() || (letter.is_uppercase() && lower_before);
        if breaks {
            parts.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(last) = parts.last_mut()
        {
            last.extend(letter.to_lowercase());
        }
        lower_before = letter.is_lowercase() || letter.is_ascii_digit();
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Whether a value assigns a secret: `password=…`, `token: …`, `-u name:secret`.
fn assigns_secret(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let assigned = |word: &&str| {
        after(&lower, word).any(|rest| {
            let rest = rest.trim_start_matches(['"', '\'', ' ']);
            let value = rest.strip_prefix(['=', ':']).unwrap_or_default().trim_start();
            value.starts_with(|letter: char| !letter.is_whitespace())
        })
    };
    let named_user = |flag: &str| {
        after(&lower, flag).any(|rest| {
            let word = rest.trim_start().split_whitespace().next().unwrap_or_default();
            word.split_once(':')
                .is_some_and(|(name, secret)| !name.is_empty() && !secret.is_empty())
        })
    };
    SECRET_WORDS.iter().any(|word| assigned(&word)) || named_user(" -u ") || named_user(" --user ")
}

/// What stands behind each occurrence of `word`.
fn after<'a>(text: &'a str, word: &str) -> impl Iterator<Item = &'a str> {
    let length = word.len();
    text.match_indices(word).filter_map(move |(at, _)| text.get(at + length..))
}

/// Whether a text of any kind (a function's body, a comment, a view) holds what is a credential by
/// its form: a URL or a connection string with a password, a private key, a token.
pub fn in_text(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    has_url_password(text)
        || has_connection_string(&lower)
        || text.contains("-----BEGIN ") && lower.contains("private key")
        || words(text).any(|word| is_aws_key(word) || is_jwt(word) || is_known_token(word))
        || after(&lower, "bearer ").any(|rest| words(rest).next().is_some_and(|w| w.len() >= 12))
        || after(&lower, "basic ").any(|rest| {
            words(rest).next().is_some_and(|word| word.len() >= 16 && word.ends_with('='))
        })
}

/// Runs of what tokens are made of.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let outside = |letter: char| !(letter.is_ascii_alphanumeric() || "._-+/=~".contains(letter));
    text.split(outside).filter(|word| !word.is_empty())
}

/// `scheme://user:password@host`.
fn has_url_password(text: &str) -> bool {
    after(text, "://").any(|rest| {
        let end = rest.find(|letter: char| letter.is_whitespace() || "/'\"`?#".contains(letter));
        let authority = &rest[..end.unwrap_or(rest.len())];
        let Some((user, _host)) = authority.rsplit_once('@') else { return false };
        user.split_once(':').is_some_and(|(_, password)| !password.is_empty())
    })
}

/// `host=… password=…` of libpq, or `Server=…;Password=…` of others: a password, beside another
/// word of a connection.
fn has_connection_string(lower: &str) -> bool {
    let passwords = ["password=", "password =", "pwd="];
    passwords.iter().any(|word| {
        lower.match_indices(word).any(|(at, _)| {
            let from = lower[..at].rfind(['\n', '$']).map_or(0, |start| start + 1);
            let to = lower[at..].find('\n').map_or(lower.len(), |end| at + end);
            let line = &lower[from..to];
            let value = lower[at + word.len()..].trim_start();
            let connection = ["host=", "hostaddr=", "dbname=", "port=", "server=", "user=", "uid="];
            connection.iter().any(|word| line.contains(word))
                && value.starts_with(|letter: char| !letter.is_whitespace() && letter != '|')
        })
    })
}

/// Access keys of AWS: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>.
fn is_aws_key(word: &str) -> bool {
    let upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    word.len() == 20
        && (word.starts_with("AKIA") || word.starts_with("ASIA"))
        && word.bytes().all(upper)
}

/// A JSON Web Token (RFC 7519): the Base64 of `{"` in front of two of its three parts.
fn is_jwt(word: &str) -> bool {
    let mut parts = word.split('.');
    matches!((parts.next(), parts.next(), parts.next()), (Some(head), Some(body), Some(_))
        if head.starts_with("eyJ") && body.starts_with("eyJ"))
}

/// Tokens that say by their beginning what they are.
fn is_known_token(word: &str) -> bool {
    const PREFIXES: [&str; 10] = [
        "ghp_",
        "gho_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "xoxp-",
        "sk_live_",
        "rk_live_",
        "hvs.",
        "SG.",
    ];
    word.len() >= 20 && PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}

/// A value that is nothing but a random-looking run of letters and digits.
fn is_token(value: &str) -> bool {
    let value = value.trim();
    let fits = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte));
    let any = |kind: fn(&u8) -> bool| value.as_bytes().iter().any(kind);
    let classes =
        [any(u8::is_ascii_lowercase), any(u8::is_ascii_uppercase), any(u8::is_ascii_digit)];
    let mixed = classes.iter().filter(|class| **class).count();
    let hex = value.len() >= 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits && !value.starts_with('/') && ((value.len() >= 20 && mixed == 3) || hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_in_every_spelling() {
        for name in [
            "password",
            "sslPassword",
            "api_key",
            "APIKEY",
            "x-auth-token",
            "client.secret",
            "pwd",
            "aws_secret_access_key",
            "key",
            "sslkey",
            "privateKey",
            "userpassword",
            "Authorization",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "host",
            "dbname",
            "filename",
            "program",
            "primary_key",
            "partition_key",
            "author",
            "port",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn options_are_judged_by_name_and_by_value() {
        for (name, value) in [
            ("program", "curl -H 'Authorization: Bearer abc' https://x"),
            ("program", "curl -s -u admin:hunter2 https://x"),
            ("program", "wget --password=x https://x"),
            ("url", "https://bot:s3cret@example.com/x"),
            ("format", "Zx81kQp0aB7vYc3dE5fG"),
            ("x", "0123456789abcdef0123456789abcdef"),
            ("secret", "x"),
        ] {
            assert!(is_secret_option(name, value), "{name} {value}");
        }
        for (name, value) in [
            ("filename", "/srv/Export2024/Customers.csv"),
            ("host", "db-2.Internal.example.com"),
            ("delimiter", ","),
            ("password_required", "false"),
            ("program", "gunzip -c /data/x.csv.gz"),
            ("url", "https://example.com:8080/path"),
        ] {
            assert!(!is_secret_option(name, value), "{name} {value}");
        }
    }

    #[test]
    fn texts_are_judged_by_form() {
        for text in [
            "SELECT dblink_connect('host=10.0.0.1 user=a password=b')",
            "perform dblink('postgres://app:pw@db/x', 'select 1')",
            "-- key AKIAIOSFODNN7EXAMPLE here",
            "'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc'",
            "-----BEGIN RSA PRIVATE KEY-----",
            "header 'Bearer abcdefghijklmnop'",
            "ghp_0123456789abcdefghijABCDEFGHIJ012345",
        ] {
            assert!(in_text(text), "{text}");
        }
        for text in [
            "UPDATE users SET password = crypt(NEW.password, gen_salt('bf')) WHERE user_id = 1",
            "IF password = '' THEN RAISE 'empty password'; END IF;",
            "see https://wiki/x:y for the bearer of news",
            "host = inet_client_addr()",
        ] {
            assert!(!in_text(text), "{text}");
        }
    }
}
