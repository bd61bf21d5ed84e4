//! A connection that loads rows: one part after the other, whole blocks of COPY text.

use bytes::Bytes;
use futures_util::SinkExt;
use tokio::sync::mpsc;
use tokio_postgres::CopyInSink;

use super::connect::Session;
use super::large_objects;
use super::quote::qualified;
use super::reader::TableRef;
use super::reason::OrPostgres;
use crate::error::{Error, Result};
use crate::pipeline::block::{Block, Cleared};

/// A connection to the new database that loads parts, one at a time.
pub struct Loader {
    session: Session,
    encoding: &'static str,
}

impl Loader {
    pub(super) fn new(session: Session, encoding: &'static str) -> Self {
        Self { session, encoding }
    }

    /// Loads the blocks that arrive until the sender is dropped, and commits them only if they
    /// held `expected` rows and the server took as many: a sender that gave up cannot be told
    /// from one that has finished in any other way.
    ///
    /// `whole` says that this part is all of the table: it is emptied in the same transaction,
    /// which lets the server store the rows as already frozen.
    ///
    /// # Errors
    ///
    /// Exit 1 if the number differs or the server refuses a row, exit 12 if the connection is
    /// lost. Nothing of the part is there then.
    pub async fn load(
        &self,
        table: &TableRef,
        blocks: &mut mpsc::Receiver<Block<Cleared>>,
        expected: u64,
        whole: bool,
    ) -> Result<u64> {
        let failed = || format!("{} cannot be loaded", table.full_name());
        let relation = qualified(&table.schema, &table.name);
        let mut begin = "BEGIN".to_owned();
        if whole {
            begin.push_str(&format!("; TRUNCATE ONLY {relation}"));
        }
        self.session.batch_execute(&begin).await.or_postgres(failed)?;
        let loaded = self.copy(table, blocks, expected, whole).await;
        let end = if loaded.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.session.batch_execute(end).await.or_postgres(failed);
        let rows = loaded.map_err(|error| error.context(failed()))?;
        ended?;
        Ok(rows)
    }

    async fn copy(
        &self,
        table: &TableRef,
        blocks: &mut mpsc::Receiver<Block<Cleared>>,
        expected: u64,
        whole: bool,
    ) -> Result<u64> {
        let refused = || "the server refused the rows";
        let statement = table.copy_from(self.encoding, whole);
        let sink: CopyInSink<Bytes> =
            self.session.copy_in(&statement).await.or_postgres(refused)?;
        let mut sink = std::pin::pin!(sink);
        let mut arrived = 0;
        while let Some(block) = blocks.recv().await {
            arrived += block.records();
            if !block.bytes().is_empty() {
                let bytes = Bytes::from_owner(block);
                // `feed` does not wait for the socket to be flushed; its queue holds one block.
                if let Err(error) = sink.feed(bytes).await {
                    // The server's own reason comes with the end of the copy.
                    return match sink.finish().await {
                        Err(reason) => Err(reason).or_postgres(refused),
                        Ok(_) => Err(error).or_postgres(refused),
                    };
                }
            }
        }
        if arrived != expected {
            // Dropping the sink aborts the copy.
            return Err(Error::failed(format!(
                "{arrived} rows arrived where the snapshot holds {expected}"
            )));
        }
        let rows = sink.finish().await.or_postgres(refused)?;
        if rows != expected {
            return Err(Error::failed(format!("the server took {rows} rows of {expected}")));
        }
        Ok(rows)
    }

    /// Replays large objects; `expected` is their number.
    ///
    /// # Errors
    ///
    /// Exit 1 if the number differs, a block holds anything but the two statements of the
    /// format, or the server refuses; exit 12 if the connection is lost. Objects may be there
    /// already then: the new database is of no use.
    pub async fn load_large_objects(
        &self,
        blocks: &mut mpsc::Receiver<Block<Cleared>>,
        expected: u64,
    ) -> Result<u64> {
        large_objects::load(&self.session, blocks, expected).await
    }
}
