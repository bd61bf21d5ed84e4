//! Texts that look like credentials: what of a store's structure must not leave a live environment
//! in a masked snapshot. Judged by names and forms; a judgement errs on the side of stopping.

mod forms;
mod words;

pub use words::{is_secret_name, is_secret_value, is_token};

use words::{
    SECRET_WORDS, after, assigned, has_token, is_aws_key, is_given, is_jwt, is_known_token, words,
};

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
