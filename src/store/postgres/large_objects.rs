//! Large objects, as SQL that psql replays: one statement a line, nothing else.
//!
//! ```sql
//! SELECT pg_catalog.lo_create(16403);
//! SELECT pg_catalog.lo_put(16403, 0, '\x89504e47');
//! ```
//! Owners, grants and comments of large objects are not carried.

use tokio::sync::mpsc;
use tokio_postgres::Client;

use super::reader::Reader;
use super::reason::OrPostgres;
use crate::error::{Error, OrFail, Result};
use crate::pipeline::block::{BLOCK_BYTES, Block, Cleared, Raw};

/// How many bytes of an object one statement carries; as hex it is twice that.
const PIECE_BYTES: i32 = 384 << 10;
/// How much of each object is read together with those of its neighbours.
const FIRST_BYTES: i32 = 8 << 10;
/// How many objects are looked at together.
const BATCH: i64 = 64;
/// How many statements are run in one transaction: each new object takes a lock.
const STATEMENTS: usize = 500;

const CREATE: &str = "SELECT pg_catalog.lo_create(";
const PUT: &str = "SELECT pg_catalog.lo_put(";

impl Reader {
    /// Sends every large object to `out` and says how many there were. A block holds whole
    /// statements; an object counts in the block that creates it.
    ///
    /// # Errors
    ///
    /// If the server refuses, a connection is lost, or the receiver is gone.
    pub async fn large_objects(&mut self, out: &mpsc::Sender<Block<Raw>>) -> Result<u64> {
        let failed = || "large objects cannot be read";
        self.idle()?;
        let mut writer = Writer { out, bytes: Vec::new(), objects: 0, total: 0 };
        let mut last: i64 = 0;
        loop {
            let query = "SELECT o.oid::int8, pg_catalog.lo_get(o.oid, 0, $3) \
                         FROM (SELECT m.oid FROM pg_catalog.pg_largeobject_metadata m \
                               WHERE m.oid > $1::int8::oid ORDER BY m.oid LIMIT $2) o ORDER BY 1";
            let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
                [&last, &BATCH, &FIRST_BYTES];
            let rows = self.session.query(query, &parameters).await.or_postgres(failed)?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                last = row.get(0);
                writer.create(last).await?;
                let first: &[u8] = row.get(1);
                writer.put(last, 0, first).await?;
                if first.len() == usize::try_from(FIRST_BYTES).unwrap_or_default() {
                    self.rest_of(last, &mut writer).await?;
                }
            }
        }
        self.idle()?;
        writer.finish().await
    }

    async fn rest_of(&self, oid: i64, writer: &mut Writer<'_>) -> Result<()> {
        let query = "SELECT pg_catalog.lo_get($1::int8::oid, $2, $3)";
        let statement =
            self.session.prepare(query).await.or_postgres(|| "large objects cannot be read")?;
        let mut offset = i64::from(FIRST_BYTES);
        loop {
            let row = self
                .session
                .query_one(&statement, &[&oid, &offset, &PIECE_BYTES])
                .await
                .or_postgres(|| format!("the large object {oid} cannot be read"))?;
            let piece: &[u8] = row.get(0);
            if piece.is_empty() {
                return Ok(());
            }
            writer.put(oid, offset, piece).await?;
            offset += i64::try_from(piece.len()).unwrap_or(i64::MAX);
        }
    }
}

struct Writer<'a> {
    out: &'a mpsc::Sender<Block<Raw>>,
    bytes: Vec<u8>,
    objects: u64,
    total: u64,
}

impl Writer<'_> {
    async fn create(&mut self, oid: i64) -> Result<()> {
        self.flush_before(64).await?;
        self.bytes.extend_from_slice(format!("{CREATE}{oid});\n").as_bytes());
        self.objects += 1;
        Ok(())
    }

    async fn put(&mut self, oid: i64, offset: i64, data: &[u8]) -> Result<()> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        if data.is_empty() {
            return Ok(());
        }
        self.flush_before(2 * data.len() + 64).await?;
        self.bytes.extend_from_slice(format!("{PUT}{oid}, {offset}, '\\x").as_bytes());
        for byte in data {
            self.bytes.push(DIGITS[usize::from(byte >> 4)]);
            self.bytes.push(DIGITS[usize::from(byte & 15)]);
        }
        self.bytes.extend_from_slice(b"');\n");
        Ok(())
    }

    async fn flush_before(&mut self, more: usize) -> Result<()> {
        if self.bytes.len() + more > BLOCK_BYTES && !self.bytes.is_empty() {
            self.flush().await?;
        }
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(BLOCK_BYTES);
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        let objects = std::mem::take(&mut self.objects);
        self.total += objects;
        let block = Block::raw(std::mem::take(&mut self.bytes), objects);
        self.out.send(block).await.or_fail(|| "the pipeline behind the reader has stopped")
    }

    async fn finish(mut self) -> Result<u64> {
        if !self.bytes.is_empty() {
            self.flush().await?;
        }
        Ok(self.total)
    }
}

/// Replays blocks of statements; only the two forms that [`Reader::large_objects`] writes.
pub(super) async fn load(
    client: &Client,
    blocks: &mut mpsc::Receiver<Block<Cleared>>,
    expected: u64,
) -> Result<u64> {
    let mut objects = 0;
    while let Some(block) = blocks.recv().await {
        let text = std::str::from_utf8(block.bytes()).ok().ok_or_else(malformed)?;
        let lines: Vec<&str> = text.lines().collect();
        for batch in lines.chunks(STATEMENTS) {
            if !batch.iter().all(|line| is_create(line) || is_put(line)) {
                return Err(malformed());
            }
            objects += batch.iter().filter(|line| is_create(line)).count() as u64;
            client
                .batch_execute(&batch.join("\n"))
                .await
                .or_postgres(|| "large objects cannot be loaded")?;
        }
    }
    if objects != expected {
        return Err(Error::failed(format!(
            "{objects} large objects arrived where the snapshot holds {expected}"
        )));
    }
    Ok(objects)
}

fn malformed() -> Error {
    Error::failed("a part with large objects holds something else than their statements")
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_create(line: &str) -> bool {
    line.strip_prefix(CREATE).and_then(|rest| rest.strip_suffix(");")).is_some_and(digits)
}

fn is_put(line: &str) -> bool {
    let Some(rest) = line.strip_prefix(PUT).and_then(|rest| rest.strip_suffix("');")) else {
        return false;
    };
    let mut fields = rest.splitn(3, ", ");
    fields.next().is_some_and(digits)
        && fields.next().is_some_and(digits)
        && fields
            .next()
            .and_then(|data| data.strip_prefix("'\\x"))
            .is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_statements_are_let_through() {
        assert!(is_create("SELECT pg_catalog.lo_create(16403);"));
        assert!(is_put("SELECT pg_catalog.lo_put(16403, 0, '\\x0aff');"));
        for line in [
            "SELECT pg_catalog.lo_create(1); DROP TABLE users;",
            "SELECT pg_catalog.lo_create();",
            "SELECT pg_catalog.lo_put(1, 0, '\\x00'); DROP TABLE users; --');",
            "SELECT pg_catalog.lo_put(1, 0, '00');",
            "DROP DATABASE live",
            "",
        ] {
            assert!(!is_create(line) && !is_put(line), "{line}");
        }
    }
}
