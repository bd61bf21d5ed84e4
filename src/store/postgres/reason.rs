//! What an error of the server may say: what failed, never a value that it failed on.

use tokio_postgres::error::{DbError, SqlState};

use crate::error::{Error, Kind, OrFail, Result};

/// What the server says of an error, from the driver or from the wire.
#[derive(Debug, Default)]
pub(super) struct Told<'a> {
    code: &'a str,
    message: &'a str,
    table: Option<&'a str>,
    column: Option<&'a str>,
    datatype: Option<&'a str>,
    constraint: Option<&'a str>,
    context: Option<&'a str>,
}

impl<'a> From<&'a DbError> for Told<'a> {
    fn from(error: &'a DbError) -> Self {
        Self {
            code: error.code().code(),
            message: error.message(),
            table: error.table(),
            column: error.column(),
            datatype: error.datatype(),
            constraint: error.constraint(),
            context: error.where_(),
        }
    }
}

impl<'a> Told<'a> {
    /// The body of an ErrorResponse: fields of a letter and a text that ends with a zero byte
    /// (frontend/backend protocol, "Error and Notice Message Fields"). What is not UTF-8 is
    /// left out, as a server that has no encoding yet may say it.
    pub(super) fn from_fields(body: &'a [u8]) -> Self {
        let mut told = Self::default();
        for field in body.split(|byte| *byte == 0) {
            let Some((&letter, text)) = field.split_first() else { continue };
            let Ok(text) = std::str::from_utf8(text) else { continue };
            match letter {
                b'C' => told.code = text,
                b'M' => told.message = text,
                b't' => told.table = Some(text),
                b'c' => told.column = Some(text),
                b'd' => told.datatype = Some(text),
                b'n' => told.constraint = Some(text),
                b'W' => told.context = Some(text),
                _ => {}
            }
        }
        told
    }

    /// Why the server refused, without any value of the data.
    ///
    /// Messages of class 22 (data exception) and 23 (integrity constraint) and those that user
    /// code raises quote values, as `DETAIL` and the end of a `CONTEXT` line do: of these only
    /// the SQLSTATE, its meaning and the place are told.
    fn reason(&self) -> String {
        let mut text = match meaning(self.code) {
            Some(meaning) => format!("{meaning} (SQLSTATE {})", self.code),
            None => self.message.to_owned(),
        };
        for (word, name) in [
            ("table", self.table),
            ("column", self.column),
            ("constraint", self.constraint),
            ("type", self.datatype),
        ] {
            if let Some(name) = name {
                text.push_str(&format!(", {word} `{name}`"));
            }
        }
        if let Some(place) = self.context.and_then(copy_place) {
            text.push_str(&format!(", {place}"));
        }
        text
    }

    /// The error that this is: exit 12 where the server or an administrator ended the session
    /// (class 57P; 57014 is a cancel), else exit 1.
    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        let lost = self.code.starts_with("57P");
        let kind = if lost { Kind::Unreachable } else { Kind::Failed };
        let failed = Error::new(kind, message).because(self.reason());
        match self.hint() {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self.code {
            "42501" if self.message.contains("row-level security") => {
                Some("read as a role with BYPASSRLS or as the table's owner")
            }
            "42501" => Some("grant the role what it lacks, or log in as another one"),
            "55P03" => Some("a session holds a stronger lock: end it or try again later"),
            "53100" => Some("free space on the server's disk"),
            "53200" => Some("raise max_locks_per_transaction on the server"),
            "53300" => Some("raise max_connections on the server, or use fewer jobs"),
            _ => None,
        }
    }
}

/// Why the server refused, without any value of the data.
pub fn reason(error: &DbError) -> String {
    Told::from(error).reason()
}

fn meaning(code: &str) -> Option<&'static str> {
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
        Err(Told::from(db).error(message()))
    }
}

/// Whether a statement failed because what it names was dropped or renamed meanwhile.
pub(super) fn is_gone(error: &tokio_postgres::Error) -> bool {
    [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME, SqlState::WRONG_OBJECT_TYPE]
        .iter()
        .any(|state| error.code() == Some(state))
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
