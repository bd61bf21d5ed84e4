//! What of an object's definition is a credential: options, texts, what code assigns.

use super::entry::Entry;
use super::literals::{Token, tokens};
use crate::store::credentials;

/// Functions of pgcrypto whose second argument is a key.
const KEYED: [&str; 5] = [
    "pgp_sym_encrypt",
    "pgp_sym_encrypt_bytea",
    "pgp_sym_decrypt",
    "pgp_sym_decrypt_bytea",
    "hmac",
];

/// Languages whose code is SQL, taken apart by [`tokens`]; any other is judged as a text.
const SQL: [&str; 2] = ["sql", "plpgsql"];

/// What of the entry is a credential, in a phrase that tells the place and never the value.
pub(super) fn credential(entry: &Entry) -> Option<String> {
    let what = format!("{} {}", entry.kind.to_lowercase(), entry.name());
    let text = &entry.definition;
    let secret =
        options(text).into_iter().find(|(name, value)| credentials::is_secret_option(name, value));
    if let Some((name, _)) = secret {
        return Some(format!("the option `{name}` of the {what}"));
    }
    if credentials::by_form(text) {
        return Some(format!("a password, a key or a token in a text of the {what}"));
    }
    let tokens = tokens(text);
    if is_foreign_code(&tokens) && credentials::in_text(text) {
        return Some(format!("a connection string with a password in the {what}"));
    }
    let texts = tokens.iter().filter_map(|token| match token {
        Token::Literal(text) | Token::Comment(text) => Some(text.as_str()),
        _ => None,
    });
    for found in texts {
        if credentials::connection_password(found, text) {
            return Some(format!("a connection string with a password in the {what}"));
        }
        if entry.kind.ends_with("TRIGGER") && credentials::is_secret_option("", found) {
            return Some(format!("an argument of the {what}"));
        }
    }
    assigned(&tokens).map(|name| format!("what the {what} gives `{name}`"))
}

/// Whether a function is written in a language other than SQL.
fn is_foreign_code(tokens: &[Token]) -> bool {
    tokens.windows(2).any(|pair| match pair {
        [Token::Word(keyword), Token::Word(language)] => {
            keyword == "language" && !SQL.contains(&language.as_str())
        }
        _ => false,
    })
}

/// What is given a secret by code: a variable, a setting, a role, a function that takes a key.
fn assigned(tokens: &[Token]) -> Option<String> {
    tokens.iter().enumerate().find_map(|(at, token)| {
        let Token::Literal(value) = token else { return None };
        let name = receiver(&tokens[..at])?;
        let keyed = KEYED.contains(&name.as_str()) && !value.is_empty();
        // A word of seven letters is rather the name of a state than a secret.
        let one_word = value.len() >= 8 && !value.contains(char::is_whitespace);
        let secret = credentials::is_secret_value(&name, value) && (name == "password" || one_word);
        (keyed || secret).then_some(name)
    })
}

/// The name that the literal behind these tokens is given to.
fn receiver(before: &[Token]) -> Option<String> {
    use Token::{Literal, Sign, Word};
    match before {
        // `set_config('app.key', '…')`
        [.., Word(function), Sign("("), Literal(name), Sign(",")] if function == "set_config" => {
            Some(name.clone())
        }
        // `SET "app.key" TO '…'`
        [.., Word(set), Word(name), Word(to)] if is_set(set) && to == "to" => Some(name.clone()),
        // `SET LOCAL app.key = '…'`
        [.., Word(set), Word(space), Sign("."), Word(name), last]
            if is_set(set) && (*last == Sign("=") || *last == Word("to".into())) =>
        {
            Some(format!("{space}.{name}"))
        }
        // `CREATE ROLE … PASSWORD '…'`
        [.., Word(word)] if word == "password" => Some(word.clone()),
        // `key => '…'`
        [.., Word(name), Sign("=>")] => Some(name.clone()),
        // `key constant text := '…'`, `key text DEFAULT '…'`
        [.., Sign(":=")] => declared(&before[..before.len() - 1]),
        [.., Word(word)] if word == "default" => declared(&before[..before.len() - 1]),
        [.., Sign(",")] => keyed(&before[..before.len() - 1]),
        _ => None,
    }
}

/// Whether a word comes before the name of a setting.
fn is_set(word: &str) -> bool {
    matches!(word, "set" | "local" | "session")
}

/// The first word of the declaration or assignment that ends here.
fn declared(before: &[Token]) -> Option<String> {
    const BEGINS: [&str; 6] = ["declare", "begin", "then", "else", "loop", "table"];
    let mut name = None;
    for token in before.iter().rev().take(8) {
        match token {
            Token::Word(word) if BEGINS.contains(&word.as_str()) => break,
            Token::Word(word) => name = Some(word.clone()),
            Token::Sign("." | ")") => {}
            _ => break,
        }
    }
    name
}

/// The function whose first argument ends here, if it is one that takes a key next.
fn keyed(before: &[Token]) -> Option<String> {
    let mut depth = 0_usize;
    for (at, token) in before.iter().enumerate().rev().take(64) {
        match token {
            Token::Sign(")") => depth += 1,
            Token::Sign("(") if depth > 0 => depth -= 1,
            Token::Sign("(") => {
                let Token::Word(name) = before[..at].last()? else { return None };
                return KEYED.contains(&name.as_str()).then(|| name.clone());
            }
            Token::Sign("," | ";") if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The options of `OPTIONS ( name 'value', … )`, wherever they stand in a definition.
pub(super) fn options(definition: &str) -> Vec<(String, String)> {
    use Token::{Literal, Sign, Word};
    if !definition.contains("OPTIONS (") {
        return Vec::new();
    }
    let tokens = tokens(definition);
    let mut found = Vec::new();
    let mut rest = tokens.as_slice();
    while let [token, tail @ ..] = rest {
        rest = tail;
        if *token != Word("options".to_owned()) {
            continue;
        }
        let [Sign("("), tail @ ..] = rest else { continue };
        rest = tail;
        while let [Word(name), Literal(value), tail @ ..] = rest {
            found.push((name.clone(), value.clone()));
            rest = tail;
            if let [Sign(","), tail @ ..] = rest {
                rest = tail;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(kind: &str, definition: &str) -> Option<String> {
        credential(&Entry::of(kind, "public", "f()", definition))
    }

    #[test]
    fn secrets_in_code_are_found_in_every_form() {
        for body in [
            "perform dblink_connect('host=10.0.0.1 user=a password=b')",
            "perform dblink_connect('a', 'host=10.0.0.1 user=a' || ' password=b')",
            "execute 'select dblink(''dbname=x password=y'', ''select 1'')'",
            "-- host=a user=b password=c",
            "v_secret constant text := 'k3J9x0A8f7';",
            "declare api_token text := 'k3J9x0A8f7'; begin end",
            "perform call(1, token => 'k3J9x0A8f7')",
            "perform set_config('app.jwt_secret', 'hunter22', true)",
            "execute 'create role x'; alter role x password 'hunter2'",
            "return pgp_sym_decrypt(coalesce(new.ssn, ''), 'the key')",
            "return public.hmac(x::text, 'k', 'sha256')",
            "set local app.api_key = 'k3J9x0A8f7'",
        ] {
            for text in [
                format!("CREATE FUNCTION f() LANGUAGE plpgsql AS $$ begin {body}; end $$;"),
                format!(
                    "CREATE FUNCTION f() LANGUAGE plpgsql AS $_$ begin {body}; x := $$a$$; end $_$;"
                ),
            ] {
                let told = judge("FUNCTION", &text).unwrap_or_else(|| panic!("{text}"));
                for value in ["password=b", "k3J9", "hunter", "the key"] {
                    assert!(!told.contains(value), "{told}");
                }
            }
        }
        let set = "CREATE FUNCTION f() RETURNS int LANGUAGE sql\n SET \"app.jwt_secret\" TO 'hunter22'\n AS 'SELECT 1';";
        assert_eq!(
            judge("FUNCTION", set).as_deref(),
            Some("what the function public.f() gives `app.jwt_secret`")
        );
        let python = "CREATE FUNCTION f() LANGUAGE plpython3u AS $$ # don't\nconnect(\"host=a password=b\") $$;";
        assert!(judge("FUNCTION", python).is_some());
        let column = "CREATE TABLE public.t (\n a int,\n api_key text DEFAULT 'k3J9x0A8f7'::text);";
        assert!(judge("TABLE", column).is_some());
        let trigger =
            "CREATE TRIGGER t AFTER INSERT ON x EXECUTE FUNCTION notify('k3J9x0A8f7D6s5A4q2W1')";
        assert!(judge("TRIGGER", trigger).is_some());
    }

    #[test]
    fn ordinary_code_is_no_secret() {
        for body in [
            "update u set password = crypt(new.password, gen_salt('bf')) where user = new.user",
            "select 1 from u where user='a' and password=new.password and host='b'",
            "perform dblink_connect('host=' || h || ' user=' || u || ' password=' || p)",
            "perform dblink_connect(format('host=%s user=%s password=%s', h, u, p))",
            "if password = '' then raise exception 'the password is empty'; end if",
            "v_token_type text := 'refresh_token'",
            "return hmac(x, current_setting('app.key'), 'sha256')",
            "return translate(x, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', '0123456789')",
            "alphabet text := 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789'",
            "perform set_config('search_path', 'a1b2c3d4', true)",
            "raise exception using errcode = 'invalid_password'",
        ] {
            let text = format!("CREATE FUNCTION f() LANGUAGE plpgsql AS $$ begin {body}; end $$;");
            assert_eq!(judge("FUNCTION", &text), None, "{body}");
        }
        for (kind, text) in [
            ("TABLE", "CREATE TABLE t (\n token_kind text DEFAULT 'access'::text, password text);"),
            ("TRIGGER", "CREATE TRIGGER t AFTER INSERT ON x EXECUTE FUNCTION log('people', 'id')"),
            ("COMMENT", "COMMENT ON COLUMN u.password IS 'bcrypt, 12 rounds; never shown';"),
            ("VIEW", "CREATE VIEW v AS SELECT 'password=' AS hint FROM x WHERE (host = 'a');"),
        ] {
            assert_eq!(judge(kind, text), None, "{text}");
        }
    }

    #[test]
    fn options_are_read_wherever_they_stand() {
        let text = "CREATE FOREIGN TABLE t (\n a text OPTIONS (column_name 'it''s')\n) SERVER s \
                    OPTIONS (\n \"Api Key\" E'a\\\\b',\n format 'csv'\n);";
        let pairs = [("column_name", "it's"), ("Api Key", "a\\b"), ("format", "csv")];
        let expected: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(options(text), expected);
    }
}
