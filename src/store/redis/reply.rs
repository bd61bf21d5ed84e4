//! What a Redis server answers (RESP 2), and commands as it wants them.

use crate::error::{Error, Kind, Result};

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// `+OK`, `+QUEUED`.
    Status(String),
    /// `-ERR …`: its code and text, without what it may quote of the command.
    Failure(String),
    /// A number.
    Integer(i64),
    /// A byte string, or nothing.
    Bulk(Option<Vec<u8>>),
    /// Several answers, or nothing (a transaction that did not happen).
    Array(Option<Vec<Reply>>),
}

impl Reply {
    /// Itself, unless it is an error; `what` was being done.
    pub fn checked(self, what: &str) -> Result<Self> {
        match self {
            Self::Failure(text) => Err(refusal(what, &text)),
            other => Ok(other),
        }
    }

    /// The number.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Bulk(Some(bytes)) => std::str::from_utf8(bytes).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bulk(Some(bytes)) => Some(bytes),
            Self::Status(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// The bytes as text.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// The answers in an array.
    pub fn items(self) -> Option<Vec<Self>> {
        match self {
            Self::Array(items) => items,
            _ => None,
        }
    }
}

/// The error for a command that the server refused while `what` was being done.
pub fn refusal(what: &str, text: &str) -> Error {
    let code = text.split(' ').next();
    // Such a server cannot say anything about its keys yet.
    let kind = if code == Some("LOADING") { Kind::Unreachable } else { Kind::Failed };
    let error = Error::new(kind, format!("redis refused {what}")).because(text);
    match code {
        Some("LOADING") => error.hint("try again when the server has loaded its data"),
        Some("OOM") => error.hint("the server's maxmemory is reached: raise it or free memory"),
        Some("NOPERM") => error.hint("grant the user the command: `ACL SETUSER … +…`"),
        Some("MISCONF") => error.hint("the server cannot save to its disk and refuses writes"),
        Some("READONLY") => error.hint("this server is a replica; give the primary's address"),
        Some("BUSYKEY") => error
            .hint("two keys have the same name after their rules: give their link `unique = true`"),
        _ => error,
    }
}

/// A server's error text without what it quotes of the arguments, which may be data.
pub fn without_arguments(text: &str) -> String {
    let cut = [", with args beginning", " with args", " '", " `", " \""]
        .iter()
        .filter_map(|mark| text.find(mark))
        .min()
        .unwrap_or(text.len());
    text[..cut].chars().take(200).collect()
}

/// Appends a command with its arguments as RESP.
pub fn put_command(out: &mut Vec<u8>, arguments: &[&[u8]]) {
    put_count(out, b'*', arguments.len());
    for argument in arguments {
        put_argument(out, argument);
    }
}

/// Appends the head of a command of `count` arguments, which follow with [`put_argument`].
pub fn put_command_head(out: &mut Vec<u8>, count: usize) {
    put_count(out, b'*', count);
}

/// Appends an argument.
pub fn put_argument(out: &mut Vec<u8>, argument: &[u8]) {
    put_count(out, b'$', argument.len());
    out.extend_from_slice(argument);
    out.extend_from_slice(b"\r\n");
}

fn put_count(out: &mut Vec<u8>, mark: u8, count: usize) {
    out.push(mark);
    out.extend_from_slice(super::rdb::Decimal::of(count as i64).text());
    out.extend_from_slice(b"\r\n");
}

/// Cursor and keys of an answer to SCAN.
pub fn page_of(reply: Reply) -> Result<(Vec<u8>, Vec<Vec<u8>>)> {
    let mut parts = reply.items().unwrap_or_default().into_iter();
    match (parts.next(), parts.next()) {
        (Some(Reply::Bulk(Some(cursor))), Some(Reply::Array(Some(keys)))) => {
            let keys = keys.into_iter().filter_map(|key| match key {
                Reply::Bulk(bytes) => bytes,
                _ => None,
            });
            Ok((cursor, keys.collect()))
        }
        _ => Err(Error::failed("redis answers SCAN in an unknown way")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_on_the_wire() {
        let mut out = Vec::new();
        put_command(&mut out, &[b"SET", b"key", b""]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$0\r\n\r\n");
    }

    #[test]
    fn a_server_that_loads_its_data_is_not_reached() {
        let kind = |text| refusal("GET", text).kind();
        assert_eq!(kind("LOADING Redis is loading the dataset in memory"), Kind::Unreachable);
        assert_eq!(kind("NOPERM this user has no permissions"), Kind::Failed);
    }

    #[test]
    fn errors_do_not_quote_arguments() {
        let text = "ERR unknown command 'FOO', with args beginning with: 'a@b.example' ";
        assert_eq!(without_arguments(text), "ERR unknown command");
        assert_eq!(without_arguments("BUSYKEY Target key"), "BUSYKEY Target key");
    }
}
