//! What follows the load of a collection: its indexes, its validator, and the wait for a majority.

use mongodb::bson::{Document, doc};

use super::command::{BATCH, BUILD, change, code_of, majority, told, untold};
use super::kind::Kind;
use super::new_name;
use super::target::{Entry, Target};
use crate::error::{Error, Result};

impl Target {
    /// Builds all indexes that do not expire documents in one pass, sets the validator, and
    /// waits until a majority of the members has all of it.
    ///
    /// # Errors
    /// Exit 1, naming the index where the server does.
    pub async fn finish(&self, n: usize) -> Result<()> {
        let entry = self.entry(n)?;
        if entry.metadata.kind == Kind::View {
            return Ok(());
        }
        self.build(n, &entry, entry.metadata.secondary(false)).await?;
        let later = entry.metadata.later();
        if !later.is_empty() {
            let mut command = doc! { "collMod": new_name(n) };
            command.extend(later);
            self.modify(command, &entry).await?;
        }
        self.settle(n, &entry).await
    }

    /// Waits until a majority has every insert so far: they were acknowledged by the primary
    /// alone. A write that changes nothing waits for all that was written before it, and needs
    /// no other privilege than loading does (`LastOpFixer` in `write_ops_exec.cpp`).
    async fn settle(&self, n: usize, entry: &Entry) -> Result<()> {
        let nothing = doc! { "q": { "_id": { "$in": [] } }, "limit": 1 };
        let mut command = doc! { "delete": new_name(n), "deletes": [nothing] };
        command.insert("writeConcern", majority());
        let again = || async { Ok(false) };
        change(&self.database(), &command, BATCH, again).await.map_err(|error| {
            told(format!("collection `{}` is not known to be replicated", entry.name), &error)
        })
    }

    /// Builds the indexes that expire documents. To be called when the documents have been
    /// verified: the server deletes old ones within a minute.
    pub async fn finish_ttl(&self, n: usize) -> Result<()> {
        let entry = self.entry(n)?;
        self.build(n, &entry, entry.metadata.secondary(true)).await?;
        match entry.metadata.expiry() {
            None => Ok(()),
            Some(seconds) => {
                let command = doc! { "collMod": new_name(n), "expireAfterSeconds": seconds };
                self.modify(command, &entry).await
            }
        }
    }

    async fn modify(&self, mut command: Document, entry: &Entry) -> Result<()> {
        command.insert("writeConcern", majority());
        let again = || async { Ok(false) };
        change(&self.database(), &command, BATCH, again).await.map_err(|error| {
            told(format!("the options of collection `{}` cannot be set", entry.name), &error)
        })
    }

    async fn build(&self, n: usize, entry: &Entry, indexes: Vec<Document>) -> Result<()> {
        if indexes.is_empty() {
            return Ok(());
        }
        let mut command = doc! { "createIndexes": new_name(n), "indexes": indexes };
        command.insert("writeConcern", majority());
        let database = self.database();
        let again = || async { Ok(false) };
        let mut result = change(&database, &command, BUILD, again).await;
        // Servers report options of old indexes that they no longer take.
        if result.as_ref().is_err_and(|error| code_of(error) == Some(197)) {
            command.insert("ignoreUnknownIndexOptions", true);
            result = change(&database, &command, BUILD, again).await;
            if result.is_ok() {
                self.remark(format!(
                    "collection `{}`: index options that this server does not know were left out",
                    entry.name
                ));
            }
        }
        result.map_err(|error| index_error(&error, entry))
    }
}

/// The error of an index build. The server's text is told only where it speaks of the index and
/// not of the documents.
fn index_error(error: &mongodb::error::Error, entry: &Entry) -> Error {
    let mut what = format!("an index of collection `{}` cannot be built", entry.name);
    if let mongodb::error::ErrorKind::Command(command) = error.kind.as_ref() {
        let names = entry.metadata.indexes.iter().filter_map(|index| index.get_str("name").ok());
        for name in names {
            if command.message.contains(&format!("index: {name} dup key")) {
                what = format!("index `{name}` of collection `{}` cannot be built", entry.name);
            }
        }
    }
    match code_of(error) {
        Some(11000) => Error::failed(what).because("documents share a value that must be unique"),
        // Unauthorized, CannotCreateIndex, InvalidOptions, IndexOptionsConflict,
        // IndexKeySpecsConflict, InvalidIndexSpecificationOption.
        Some(13 | 67 | 72 | 85 | 86 | 197) => told(what, error),
        _ => untold(what, error),
    }
}
