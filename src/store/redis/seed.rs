//! Redis commands from seed files: one a line, quoted as in redis-cli, in one transaction.

use super::connect::Connection;
use super::rdb::OWNER_KEY;
use super::reply::{Reply, put_command, refusal};
use super::target::Target;
use crate::config::endpoint::RedisEndpoint;
use crate::error::{Error, Kind, Result};

/// Commands that a seed may hold: those that change keys of the selected index and nothing else.
const ALLOWED: &[&str] = &[
    "APPEND",
    "BITFIELD",
    "COPY",
    "DECR",
    "DECRBY",
    "DEL",
    "EXPIRE",
    "EXPIREAT",
    "GEOADD",
    "GETDEL",
    "GETSET",
    "HDEL",
    "HINCRBY",
    "HINCRBYFLOAT",
    "HMSET",
    "HSET",
    "HSETNX",
    "INCR",
    "INCRBY",
    "INCRBYFLOAT",
    "LINSERT",
    "LPOP",
    "LPUSH",
    "LPUSHX",
    "LREM",
    "LSET",
    "LTRIM",
    "MSET",
    "MSETNX",
    "PERSIST",
    "PEXPIRE",
    "PEXPIREAT",
    "PFADD",
    "PFMERGE",
    "PSETEX",
    "RENAME",
    "RENAMENX",
    "RPOP",
    "RPUSH",
    "RPUSHX",
    "SADD",
    "SDIFFSTORE",
    "SET",
    "SETBIT",
    "SETEX",
    "SETNX",
    "SETRANGE",
    "SINTERSTORE",
    "SMOVE",
    "SREM",
    "SUNIONSTORE",
    "UNLINK",
    "XADD",
    "XDEL",
    "XGROUP",
    "XSETID",
    "XTRIM",
    "ZADD",
    "ZINCRBY",
    "ZINTERSTORE",
    "ZREM",
    "ZUNIONSTORE",
];

/// A command of a seed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedCommand {
    /// The line it stands in, from 1.
    pub line: usize,
    /// Its words.
    pub words: Vec<Vec<u8>>,
}

/// Reads a seed file: one command a line, empty lines and lines that begin with `#` left out.
/// Errors (exit 2) name the line: a quote that does not end, a command that is not allowed.
pub fn parse_commands(text: &[u8]) -> Result<Vec<SeedCommand>> {
    let mut commands = Vec::new();
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let (number, line) = (number + 1, line.trim_ascii());
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let words = split_words(line)
            .ok_or_else(|| Error::usage(format!("line {number}: a quote is not closed well")))?;
        let name = words.first().map(|word| String::from_utf8_lossy(word).to_uppercase());
        let name = name.unwrap_or_default();
        if !ALLOWED.contains(&name.as_str()) {
            let shown: String = name.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
            return Err(Error::usage(format!("line {number}: {shown} is not allowed in a seed"))
                .hint("seeds may change keys of their own index only"));
        }
        let elsewhere = name == "COPY" && words.iter().any(|word| word.eq_ignore_ascii_case(b"DB"));
        if elsewhere || words.iter().any(|word| word == OWNER_KEY) {
            return Err(Error::usage(format!("line {number}: this is not allowed in a seed")));
        }
        commands.push(SeedCommand { line: number, words });
    }
    Ok(commands)
}

/// Splits a line into words as redis-cli does (`sdssplitargs`): double quotes with `\xHH`, `\n`,
/// `\r`, `\t`, `\b`, `\a` and `\` before any character, single quotes with `\'`; a closing quote
/// must be followed by a space.
fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut words, mut rest) = (Vec::new(), line);
    loop {
        rest = rest.trim_ascii_start();
        let Some(&first) = rest.first() else {
            return Some(words);
        };
        let mut word = Vec::new();
        match first {
            quote @ (b'"' | b'\'') => {
                rest = quoted(quote, &rest[1..], &mut word)?;
                if rest.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
                    return None;
                }
            }
            _ => {
                let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
                word.extend_from_slice(&rest[..end]);
                rest = &rest[end..];
            }
        }
        words.push(word);
    }
}

/// Reads to the closing `quote` and returns what follows it.
fn quoted<'a>(quote: u8, mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [byte, after @ ..] if *byte == quote => return Some(after),
            [b'\\', b'\'', after @ ..] if quote == b'\'' => {
                word.push(b'\'');
                rest = after;
            }
            [b'\\', b'x', high, low, after @ ..]
                if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or(0) as u8;
                word.push(digit(high) << 4 | digit(low));
                rest = after;
            }
            [b'\\', byte, after @ ..] if quote == b'"' => {
                word.push(match byte {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}

/// Runs `commands` on index `db` in one transaction. Returns how many there were. Errors: a command
/// the server refuses (the line is named). If it refuses while it executes, those before and after
/// have taken effect (exit 3): Redis does not take a transaction back.
pub async fn run_commands(
    connection: &mut Connection,
    db: u32,
    commands: &[SeedCommand],
) -> Result<u64> {
    if commands.is_empty() {
        return Ok(0);
    }
    connection.select(db).await?;
    let mut bytes = Vec::new();
    connection.run("MULTI", &[b"MULTI"]).await?;
    let mut refused = None;
    // In portions: the server answers each command, and nobody reads while we write.
    for portion in commands.chunks(1000) {
        bytes.clear();
        for command in portion {
            let words: Vec<&[u8]> = command.words.iter().map(Vec::as_slice).collect();
            put_command(&mut bytes, &words);
        }
        connection.send(&bytes).await?;
        for command in portion {
            if let Reply::Failure(text) = connection.reply().await? {
                refused.get_or_insert((command.line, text));
            }
        }
    }
    if let Some((line, text)) = refused {
        connection.run("DISCARD", &[b"DISCARD"]).await?;
        return Err(refusal(&format!("the seed command in line {line}"), &text));
    }
    let replies = connection.run("EXEC", &[b"EXEC"]).await?.items().unwrap_or_default();
    for (command, reply) in commands.iter().zip(replies) {
        if let Reply::Failure(text) = reply {
            let cause = refusal(&format!("the seed command in line {}", command.line), &text);
            let message = "some seed commands were executed, at least one was not";
            return Err(Error::new(Kind::Partial, message).because(cause));
        }
    }
    Ok(commands.len() as u64)
}

/// As [`run_commands`], on the endpoint's live index.
pub async fn seed_live(endpoint: &RedisEndpoint, commands: &[SeedCommand]) -> Result<u64> {
    let mut connection = Connection::open(endpoint).await?;
    run_commands(&mut connection, endpoint.db, commands).await
}

impl Target {
    /// Runs seed commands on the spare index, before the swap.
    pub async fn run_commands(&mut self, commands: &[SeedCommand]) -> Result<u64> {
        self.require(super::swap::SpareState::Loaded, "seeding")?;
        let index = self.spare();
        run_commands(&mut self.connection, index, commands).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<Vec<Vec<u8>>> {
        split_words(line.as_bytes())
    }

    #[test]
    fn words_are_split_as_redis_cli_does() {
        let one = words(r#"SET "a b\x00\n\"" 'it\'s' plain"#).unwrap();
        assert_eq!(one[1], b"a b\0\n\"");
        assert_eq!(one[2], b"it's");
        assert_eq!(one[3], b"plain");
        assert_eq!(words(r#"SET "" ''"#).unwrap(), [b"SET".to_vec(), vec![], vec![]]);
        assert_eq!(words(r#"SET "a"#), None);
        assert_eq!(words(r#"SET "a"b"#), None);
        assert_eq!(words("SET 'a\\"), None);
    }

    #[test]
    fn only_what_changes_keys_of_the_index_is_allowed() {
        assert_eq!(parse_commands(b"# c\n\nset a 1\r\n").unwrap().len(), 1);
        for line in [
            "FLUSHALL",
            "flushdb",
            "SELECT 1",
            "SWAPDB 0 1",
            "CONFIG GET *",
            "SCRIPT FLUSH",
            "MOVE a 1",
            "EVAL x 0",
            "COPY a b DB 3",
            "SET pfdata:owner x",
            "MULTI",
            "SHUTDOWN",
            "MIGRATE h 1 k 0 1",
            "\"\"",
        ] {
            assert!(parse_commands(line.as_bytes()).is_err(), "{line}");
        }
    }
}
