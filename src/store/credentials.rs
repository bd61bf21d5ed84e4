//! Texts that look like credentials: what of a store's structure must not leave a live environment
//! in a masked snapshot. Judged by names and forms; a judgement errs on the side of stopping.

mod forms;

/// Parts of an option's name that say that its value is a secret.
const SECRET_PARTS: [&str; 21] = [
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
    "pass",
    "sas",
    "cookie",
];

/// Words that make `key` harmless: what a column or an index is, not what opens something.
const HARMLESS_KEYS: [&str; 8] =
    ["primary", "foreign", "partition", "sort", "row", "public", "shard", "cluster"];

/// Words after which `=` or `:` introduces a secret in an option's value.
const SECRET_WORDS: [&str; 13] = [
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
    "cookie",
];

/// Whether an option of this name and value may hold a credential.
pub fn is_secret_option(name: &str, value: &str) -> bool {
    let plain =
        matches!(value.trim().to_ascii_lowercase().as_str(), "" | "true" | "false" | "none");
    let found = || {
        is_secret_name(name)
            || assigns_secret(value)
            || forms::in_option(value, &value.to_ascii_lowercase())
            || in_text(value)
            || has_token(value)
    };
    !plain && found()
}

/// Whether a name says that what it names is a secret: `sslPassword`, `api_key`, `x-auth-token`.
pub fn is_secret_name(name: &str) -> bool {
    let parts = parts(name);
    let has = |word: &str| parts.iter().any(|part| part == word);
    let joined = parts.concat();
    let compound = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "apikey",
        "accesskey",
        "token",
        "dbpass",
        "userpass",
    ];
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
            rest.strip_prefix(['=', ':']).is_some_and(|value| is_given(value.trim_start()))
        })
    };
    // What names a user and a password behind `-u`, joined to it or not.
    let named_user = |flag: &str| {
        after(&lower, flag).any(|rest| {
            let rest = rest.trim_start_matches(['=', ' ', '"', '\'']);
            let word = rest.split_whitespace().next().unwrap_or_default();
            word.split_once(':').is_some_and(|(name, secret)| !name.is_empty() && is_given(secret))
        })
    };
    SECRET_WORDS.iter().any(assigned) || named_user(" -u") || named_user(" --user")
}

/// What stands behind each occurrence of `word`.
fn after<'a>(text: &'a str, word: &str) -> impl Iterator<Item = &'a str> {
    let length = word.len();
    text.match_indices(word).filter_map(move |(at, _)| text.get(at + length..))
}

/// Whether a text of any kind (a comment, a script, a literal) holds what is a credential by its
/// form: a URL or a connection string with a password, a private key, a token.
pub fn in_text(text: &str) -> bool {
    by_form(text) || connection_password(text, text)
}

/// The same without connection strings, which code can look like.
pub fn by_form(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    has_url_password(text)
        || text.contains("-----BEGIN ") && lower.contains("private key")
        || forms::any(text, &lower)
        // A token may stand behind a name (`token=…`) or in a path.
        || words(text)
            .flat_map(|word| word.split(['=', '/']))
            .any(|word| is_aws_key(word) || is_jwt(word) || is_known_token(word))
        || after(&lower, "bearer ").any(|rest| words(rest).next().is_some_and(|w| w.len() >= 12))
        || after(&lower, "basic ").any(|rest| {
            words(rest).next().is_some_and(|word| word.len() >= 16 && word.ends_with('='))
        })
}

/// Whether a text assigns a password as connection strings do (`password=…` of libpq, `Pwd=…;` of
/// others), and what is around it speaks of a connection.
pub fn connection_password(text: &str, around: &str) -> bool {
    const PASSWORDS: [&str; 5] = ["password", "passwd", "pwd", "sslpassword", "passphrase"];
    const CONNECTION: [&str; 9] =
        ["host", "hostaddr", "dbname", "port", "server", "user", "uid", "data source", "username"];
    let (lower, around) = (text.to_ascii_lowercase(), around.to_ascii_lowercase());
    let password = PASSWORDS.iter().any(|word| assigned(&lower, word).any(is_given));
    password
        && (around.contains("dblink")
            || CONNECTION.iter().any(|word| assigned(&around, word).next().is_some()))
}

/// What stands behind `word =`.
fn assigned<'a>(text: &'a str, word: &str) -> impl Iterator<Item = &'a str> {
    after(text, word).filter_map(|rest| {
        let value = rest.trim_start_matches(' ').strip_prefix('=')?;
        Some(value.trim_start_matches(' '))
    })
}

/// Whether a value stands there, and neither nothing, nor a place for one, nor an expression.
fn is_given(text: &str) -> bool {
    let text = text.strip_prefix('\'').unwrap_or(text);
    let ends = |letter: char| letter.is_whitespace() || "'\";&|,".contains(letter);
    let value = &text[..text.find(ends).unwrap_or(text.len())];
    let place = value.starts_with(['$', '%', ':', '{', '<', '?', '*']);
    let expression = value.contains('(') || value.starts_with("new.") || value.starts_with("old.");
    !value.is_empty() && value != "null" && !place && !expression
}

/// Runs of what tokens are made of.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let outside = |letter: char| !(letter.is_ascii_alphanumeric() || "._-+/=~".contains(letter));
    text.split(outside).filter(|word| !word.is_empty())
}

/// `scheme://user:password@host`, or a token for a user.
fn has_url_password(text: &str) -> bool {
    after(text, "://").any(|rest| {
        let end = rest.find(|letter: char| letter.is_whitespace() || "/'\"`?#".contains(letter));
        let authority = &rest[..end.unwrap_or(rest.len())];
        let Some((user, _host)) = authority.rsplit_once('@') else { return false };
        match user.split_once(':') {
            Some((_, password)) => is_given(password),
            None => is_token(user),
        }
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
    const PREFIXES: [&str; 26] = [
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "npm_",
        "pypi-",
        "AIza",
        "ya29.",
        "GOCSPX-",
        "whsec_",
        "sk-ant-",
        "sk-proj-",
        "shpat_",
        "shpss_",
        "dop_v1_",
        "xapp-",
        "xoxa-",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "xoxp-",
        "sk_live_",
        "rk_live_",
        "hvs.",
        "SG.",
    ];
    let random = word.bytes().any(|byte| byte.is_ascii_digit());
    word.len() >= 20 && random && PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}

/// Whether a random-looking run stands in a text: a path, an address or a sentence is none.
fn has_token(text: &str) -> bool {
    let outside = |letter: char| !(letter.is_ascii_alphanumeric() || "_-+=".contains(letter));
    text.split(outside).any(is_token)
}

/// Whether a word is a random-looking run of letters and digits: so long that nobody made it up,
/// and going from one kind of letter to another far more often than words do.
pub fn is_token(word: &str) -> bool {
    let kind = |byte: u8| match byte {
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        b'0'..=b'9' => 3,
        _ => 0,
    };
    // Parts of compound names, and of UUIDs, are looked at one by one.
    word.split(['_', '-', '+', '=']).any(|part| {
        let bytes = part.as_bytes();
        let has = |wanted: u8| bytes.iter().any(|byte| kind(*byte) == wanted);
        let mixed = (has(1) || has(2)) && (has(3) || (has(1) && has(2)));
        let turns = bytes.windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count();
        let hex = bytes.len() >= 32 && bytes.iter().all(u8::is_ascii_hexdigit);
        hex || (bytes.len() >= TOKEN_MIN && mixed && turns * 3 >= bytes.len())
    })
}

/// The shortest run that is taken for a token for its looks alone.
const TOKEN_MIN: usize = 20;

/// Whether a literal that is compared or assigned under this name is a secret: `password`,
/// `auth.token`. What a password is *about* (`passwordStatus`) is one only if it looks like one.
pub fn is_secret_value(name: &str, value: &str) -> bool {
    const OPENS: [&str; 8] =
        ["password", "passwd", "pwd", "passphrase", "secret", "apikey", "accesskey", "credential"];
    let parts = parts(name);
    let last = parts.last().map(String::as_str).unwrap_or_default();
    let joined = parts.concat();
    let opens = OPENS.iter().any(|word| last == *word || joined.ends_with(word));
    let plain = value.is_empty() || matches!(value, "true" | "false");
    !plain && (opens || (is_secret_name(name) && (has_token(value) || is_made_up(value))))
}

/// One word with letters and digits, such as somebody makes up for a secret.
fn is_made_up(value: &str) -> bool {
    let any = |kind: fn(&u8) -> bool| value.as_bytes().iter().any(kind);
    value.len() >= 8
        && any(u8::is_ascii_digit)
        && any(u8::is_ascii_alphabetic)
        && !value.contains(char::is_whitespace)
        && !value.starts_with(['$', '%', '{', '/'])
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
            ("program", "curl -uadmin:hunter2 https://x"),
            ("program", "curl 'https://x/y?api_key=hunter2'"),
            ("program", "curl -H 'X-Api-Key: hunter2' https://x"),
            ("program", "curl https://x/k3J9x0A8f7D6s5A4q2W1z/rates"),
            ("program", "wget --password=x https://x"),
            ("url", "https://k3j9x0a8f7d6s5a4q2w1@example.com/x"),
            ("url", "https://bot:s3cret@example.com/x"),
            ("format", "Zx81kQp0aB7vYc3dE5fG"),
            ("x", "0123456789abcdef0123456789abcdef"),
            ("secret", "x"),
        ] {
            assert!(is_secret_option(name, value), "{name} {value}");
        }
        for (name, value) in [
            ("filename", "/srv/Export2024/Customers.csv"),
            ("filename", "/srv/CustomersExportFinal2024.csv"),
            ("filename", "customers_2024_q3_export_v2_final"),
            ("id", "6f1c1c2e-8a57-4a0e-9c3b-7d2b9a1f0e55"),
            ("host", "ip-10-0-0-12.eu-west-1.compute.internal"),
            ("program", "curl -u ${USER}:${PASS} https://x"),
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
            "host=10.0.0.1 user=a password=b",
            "Server=db;Uid=a;Pwd=b;",
            "dbname=x password = 'b c'",
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
            "host=db user=a password=",
            "host=%s user=%s password=%s",
            "postgres://%s:%s@db/x and https://$1:$2@db/x",
            "password=changeme",
        ] {
            assert!(!in_text(text), "{text}");
        }
    }

    #[test]
    fn literals_are_judged_by_what_they_are_called() {
        for (name, value) in [
            ("password", "hunter"),
            ("smtp.password", "x"),
            ("token", "abc123def"),
            ("app.jwt_key", "k3J9x0A8f7"),
        ] {
            assert!(is_secret_value(name, value), "{name} {value}");
        }
        for (name, value) in [
            ("auth.provider", "google"),
            ("tokenType", "refresh"),
            ("passwordStatus", "expired"),
            ("password", ""),
            ("status", "abc123def"),
        ] {
            assert!(!is_secret_value(name, value), "{name} {value}");
        }
    }
}
