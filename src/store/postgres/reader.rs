//! A connection that reads rows: one part after the other, as COPY text, in blocks.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::connect::Session;
use super::copy_out::{Copied, CopyOut};
use super::parts::Slice;
use super::quote::{column_list, ident, literal, qualified};
use super::reason::OrPostgres;
use crate::error::{Error, OrFail, Result};
use crate::pipeline::block::{Block, Raw};
use crate::pipeline::digest::{ContentDigest, RecordFormat};
use crate::store::shape::Table;

/// A table by name, with the columns that COPY carries, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRef {
    /// Schema name, as stored.
    pub schema: String,
    /// Table name, as stored.
    pub name: String,
    /// Columns, as stored; empty is a table without any.
    pub columns: Vec<String>,
}

impl From<&Table> for TableRef {
    fn from(table: &Table) -> Self {
        Self {
            schema: table.schema.clone(),
            name: table.name.clone(),
            columns: table.columns.iter().map(|column| column.name.clone()).collect(),
        }
    }
}

impl TableRef {
    /// `schema.table`, for messages.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// `COPY … TO STDOUT` of a slice, of this table's own rows only.
    fn copy_to(&self, slice: Slice, encoding: &str) -> String {
        let relation = qualified(&self.schema, &self.name);
        let from = match slice.condition() {
            None => format!("{relation}{}", column_list(&self.columns)),
            Some(condition) => {
                let columns: Vec<String> = self.columns.iter().map(|name| ident(name)).collect();
                format!("(SELECT {} FROM ONLY {relation} WHERE {condition})", columns.join(", "))
            }
        };
        format!("COPY {from} TO STDOUT WITH (FORMAT text, ENCODING {})", literal(encoding))
    }

    /// `COPY … FROM STDIN` into this table.
    pub(super) fn copy_from(&self, encoding: &str, freeze: bool) -> String {
        format!(
            "COPY {}{} FROM STDIN WITH (FORMAT text, ENCODING {}{})",
            qualified(&self.schema, &self.name),
            column_list(&self.columns),
            literal(encoding),
            if freeze { ", FREEZE" } else { "" }
        )
    }
}

/// The encoding of COPY text for a database: UTF-8, but bytes as they are where the database
/// does not know what they mean.
pub fn copy_encoding(server_encoding: &str) -> &'static str {
    if server_encoding == "SQL_ASCII" { "SQL_ASCII" } else { "UTF8" }
}

/// A connection that reads parts, one at a time.
pub struct Reader {
    pub(super) session: Session,
    /// The session that holds the snapshot and the locks; reading goes wrong silently without.
    keeper: Option<Arc<Session>>,
    pub(super) encoding: &'static str,
    busy: bool,
}

impl Reader {
    pub(super) fn new(
        session: Session,
        keeper: Option<Arc<Session>>,
        encoding: &'static str,
    ) -> Self {
        Self { session, keeper, encoding, busy: false }
    }

    /// Sends the rows of `slice` to `out`, in blocks of whole rows, and says how many there were.
    ///
    /// # Errors
    ///
    /// If the server refuses, the connection (this one or the one that holds the locks) is lost,
    /// or the receiver is gone. The reader cannot be used after an error.
    pub async fn read(
        &mut self,
        table: &TableRef,
        slice: Slice,
        out: &mpsc::Sender<Block<Raw>>,
    ) -> Result<u64> {
        let statement = table.copy_to(slice, self.encoding);
        self.copy(&statement, Sink::Channel(out)).await.map_err(|error| told(error, table, slice))
    }

    /// Reads the rows of `slice` and gives back their number and the sum of their hashes.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn digest(&mut self, table: &TableRef, slice: Slice) -> Result<(u64, ContentDigest)> {
        let statement = table.copy_to(slice, self.encoding);
        let mut digest = ContentDigest::default();
        let sink = Sink::Digest(&mut digest);
        let rows = self.copy(&statement, sink).await.map_err(|error| told(error, table, slice))?;
        Ok((rows, digest))
    }

    /// Counts the rows of a table, its own only.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn count(&mut self, table: &TableRef) -> Result<u64> {
        self.idle()?;
        let relation = qualified(&table.schema, &table.name);
        let row = self
            .session
            .query_one(&format!("SELECT count(*) FROM ONLY {relation}"), &[])
            .await
            .or_postgres(|| format!("rows of {} cannot be counted", table.full_name()))?;
        Ok(row.get::<_, i64>(0).unsigned_abs())
    }

    /// Fails where an earlier call was broken off, or the keeper of the snapshot is gone.
    pub(super) fn idle(&self) -> Result<()> {
        if self.busy {
            return Err(Error::failed("a reader was used again after it had failed"));
        }
        if self.keeper.as_ref().is_some_and(|keeper| keeper.is_closed()) {
            return Err(Error::unreachable(
                "the session that holds the snapshot and the table locks was lost",
            ));
        }
        Ok(())
    }

    pub(super) async fn copy(&mut self, statement: &str, mut sink: Sink<'_>) -> Result<u64> {
        self.idle()?;
        self.busy = true;
        let mut copy = CopyOut::begin(self.session.lend().await?, statement).await?;
        let mut rows = 0;
        let said = loop {
            match copy.block().await? {
                Copied::Block(bytes, rest) => {
                    rows += sink.take(bytes).await?;
                    copy = rest;
                }
                Copied::Last(bytes, said) => {
                    rows += sink.take(bytes).await?;
                    break said;
                }
            }
        };
        if rows != said {
            return Err(Error::failed(format!("the server sent {rows} rows and counted {said}")));
        }
        self.busy = false;
        self.idle()?;
        Ok(rows)
    }
}

/// Where blocks go.
pub(super) enum Sink<'a> {
    Channel(&'a mpsc::Sender<Block<Raw>>),
    Digest(&'a mut ContentDigest),
    /// The fields of rows of one column, escaped.
    Fields(&'a mut (dyn FnMut(&[u8]) + Send)),
}

impl Sink<'_> {
    /// Takes whole rows, and says how many there were.
    async fn take(&mut self, bytes: Vec<u8>) -> Result<u64> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if !bytes.ends_with(b"\n") {
            return Err(Error::failed("the server's COPY ended inside a row"));
        }
        match self {
            Self::Channel(out) => {
                // In COPY text a line feed ends a row and stands nowhere else.
                let rows = memchr::memchr_iter(b'\n', &bytes).count() as u64;
                let sent = out.send(Block::raw(bytes, rows)).await;
                sent.or_fail(|| "the pipeline behind the reader has stopped").map(|()| rows)
            }
            Self::Fields(look) => {
                let rows = bytes[..bytes.len() - 1].split(|byte| *byte == b'\n');
                Ok(rows.map(look).count() as u64)
            }
            Self::Digest(digest) => RecordFormat::CopyText.digest(&bytes, digest),
        }
    }
}

fn told(error: Error, table: &TableRef, slice: Slice) -> Error {
    error.context(format!("{} ({slice}) cannot be read", table.full_name()))
}
