//! Words and names that say that a value is a secret, and values that look like one.

/// Words after which `=` or `:` introduces a secret in an option's value.
pub(super) const SECRET_WORDS: [&str; 13] = [
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

/// Parts of an option's name that say that its value is a secret.
pub(super) const SECRET_PARTS: [&str; 21] = [
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
pub(super) const HARMLESS_KEYS: [&str; 8] =
    ["primary", "foreign", "partition", "sort", "row", "public", "shard", "cluster"];

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
pub(super) fn parts(name: &str) -> Vec<String> {
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

/// What stands behind each occurrence of `word`.
pub(super) fn after<'a>(text: &'a str, word: &str) -> impl Iterator<Item = &'a str> {
    let length = word.len();
    text.match_indices(word).filter_map(move |(at, _)| text.get(at + length..))
}

/// What stands behind `word =`.
pub(super) fn assigned<'a>(text: &'a str, word: &str) -> impl Iterator<Item = &'a str> {
    after(text, word).filter_map(|rest| {
        let value = rest.trim_start_matches(' ').strip_prefix('=')?;
        Some(value.trim_start_matches(' '))
    })
}

/// Whether a value stands there, and neither nothing, nor a place for one, nor an expression.
pub(super) fn is_given(text: &str) -> bool {
    let text = text.strip_prefix('\'').unwrap_or(text);
    let ends = |letter: char| letter.is_whitespace() || "'\";&|,".contains(letter);
    let value = &text[..text.find(ends).unwrap_or(text.len())];
    let place = value.starts_with(['$', '%', ':', '{', '<', '?', '*']);
    let expression = value.contains('(') || value.starts_with("new.") || value.starts_with("old.");
    !value.is_empty() && value != "null" && !place && !expression
}

/// Runs of what tokens are made of.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let outside = |letter: char| !(letter.is_ascii_alphanumeric() || "._-+/=~".contains(letter));
    text.split(outside).filter(|word| !word.is_empty())
}

/// Access keys of AWS: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>.
pub(super) fn is_aws_key(word: &str) -> bool {
    let upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    word.len() == 20
        && (word.starts_with("AKIA") || word.starts_with("ASIA"))
        && word.bytes().all(upper)
}

/// A JSON Web Token (RFC 7519): the Base64 of `{"` in front of two of its three parts.
pub(super) fn is_jwt(word: &str) -> bool {
    let mut parts = word.split('.');
    matches!((parts.next(), parts.next(), parts.next()), (Some(head), Some(body), Some(_))
        if head.starts_with("eyJ") && body.starts_with("eyJ"))
}

/// Tokens that say by their beginning what they are.
pub(super) fn is_known_token(word: &str) -> bool {
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
pub(super) fn has_token(text: &str) -> bool {
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
pub(super) const TOKEN_MIN: usize = 20;

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
pub(super) fn is_made_up(value: &str) -> bool {
    let any = |kind: fn(&u8) -> bool| value.as_bytes().iter().any(kind);
    value.len() >= 8
        && any(u8::is_ascii_digit)
        && any(u8::is_ascii_alphabetic)
        && !value.contains(char::is_whitespace)
        && !value.starts_with(['$', '%', '{', '/'])
}
