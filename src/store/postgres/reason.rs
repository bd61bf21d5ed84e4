//! What an error of the server may say: what failed, never a value that it failed on.

use tokio_postgres::error::{DbError, SqlState};

use crate::error::{Error, Kind, OrFail, Result};

/// Why the server refused, without any value of the data.
///
/// Messages of class 22 (data exception) and 23 (integrity constraint) and those that user code
/// raises quote values, as `DETAIL` and the end of a `CONTEXT` line do: of these only the
/// SQLSTATE, its meaning and the place are told.
pub fn reason(error: &DbError) -> String {
    let code = error.code();
    let mut text = match meaning(code) {
        Some(meaning) => format!("{meaning} (SQLSTATE {})", code.code()),
        None => error.message().to_owned(),
    };
    for (word, name) in [
        ("table", error.table()),
        ("column", error.column()),
        ("constraint", error.constraint()),
        ("type", error.datatype()),
    ] {
        if let Some(name) = name {
            text.push_str(&format!(", {word} `{name}`"));
        }
    }
    if let Some(place) = error.where_().and_then(copy_place) {
        text.push_str(&format!(", {place}"));
    }
    text
}

fn meaning(code: &SqlState) -> Option<&'static str> {
    let code = code.code();
    Some(match code {
        "22001" => "a value is too long for its type",
        "22003" => "a number is out of range",
        "22007" | "22008" => "a date or time is not valid",
        "22021" => "a character is not valid in the encoding",
        "22P02" => "a value does not have the syntax of its type",
        "22P04" => "the COPY data does not have the right form",
        "23502" => "a null in a column that is not nullable",
        "23503" => "a foreign key has no counterpart",
        "23505" => "a value occurs twice under a unique constraint",
        "23514" => "a check constraint does not hold",
        "23P01" => "an exclusion constraint does not hold",
        "P0001" => "code of the database raised an exception",
        _ if code.starts_with("22") => "a value is not valid",
        _ if code.starts_with("23") => "a constraint does not hold",
        _ if code.starts_with("P0") => "code of the database failed",
        _ => return None,
    })
}

/// `line 3, column age` of `COPY people, line 3, column age: "value"`.
fn copy_place(context: &str) -> Option<String> {
    let rest = context.strip_prefix("COPY ")?;
    let start = rest.find(", line ")? + 2;
    let place = &rest[start..];
    let end = place.find(':').unwrap_or(place.len());
    let place = place[..end].trim();
    // Names of columns are free text; a line of data after them never is told.
    (place.len() < 100 && !place.contains('\n')).then(|| place.to_owned())
}

/// Whether a database error has this SQLSTATE.
pub fn is_state(error: &tokio_postgres::Error, state: &SqlState) -> bool {
    error.code() == Some(state)
}

/// Turns the driver's errors into ours.
pub trait OrPostgres<T> {
    /// Exit 1 for what the server refused, exit 12 where the connection was lost.
    fn or_postgres<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T>;
}

impl<T> OrPostgres<T> for Result<T, tokio_postgres::Error> {
    fn or_postgres<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        let error = match self {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let Some(db) = error.as_db_error() else {
            return if error.is_closed() || error.code().is_none() {
                Err(error).or_unreachable(message)
            } else {
                Err(error).or_fail(message)
            };
        };
        // Class 57: the server or an administrator ended the session (but 57014 is a cancel).
        let lost = db.code().code().starts_with("57P");
        let kind = if lost { Kind::Unreachable } else { Kind::Failed };
        let failed = Error::new(kind, message()).because(reason(db));
        Err(match hint(db) {
            Some(hint) => failed.hint(hint),
            None => failed,
        })
    }
}

fn hint(error: &DbError) -> Option<String> {
    match error.code().code() {
        "42501" if error.message().contains("row-level security") => {
            Some("read as a role with BYPASSRLS or as the table's owner".to_owned())
        }
        "42501" => Some("grant the role what it lacks, or log in as another one".to_owned()),
        "55P03" => Some("a session holds a stronger lock: end it or try again later".to_owned()),
        "53100" => Some("free space on the server's disk".to_owned()),
        "53200" => Some("raise max_locks_per_transaction on the server".to_owned()),
        "53300" => Some("raise max_connections on the server, or use fewer jobs".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_told_and_the_value_is_not() {
        assert_eq!(
            copy_place("COPY people, line 3, column age: \"secret\"").as_deref(),
            Some("line 3, column age")
        );
        assert_eq!(copy_place("COPY people, line 3: \"secret\"").as_deref(), Some("line 3"));
        assert_eq!(copy_place("PL/pgSQL function f() line 3"), None);
    }
}
