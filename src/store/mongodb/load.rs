//! Inserting documents as raw commands, each built once from the blocks that arrive.

use mongodb::Database;
use mongodb::bson::{Document, RawDocumentBuf};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Receiver;

use super::command::{BATCH, untold, within};
use super::raw::{self, ARRAY, DOCUMENT, Elements, TIMESTAMP};
use crate::error::{Error, Result};
use crate::pipeline::block::{Block, Cleared};
use crate::pipeline::digest::document_length;

/// How large an insert command is filled before it is sent, in bytes; one document may exceed
/// it (the server takes 16 MiB and 16 KiB in the body of a command). The driver holds a command
/// about four times while it sends it; larger ones load no faster.
const INSERT_BYTES: usize = 2 << 20;

/// How a collection is loaded.
pub(super) struct Load<'a> {
    pub database: &'a Database,
    /// The collection to insert into.
    pub into: &'a str,
    /// The name to tell the user.
    pub name: &'a str,
    /// Whether order matters: in capped collections.
    pub ordered: bool,
    /// Whether the server can be told to leave empty timestamps alone.
    pub keeps_empty_timestamps: bool,
    /// The most documents of one command.
    pub most: u32,
    /// One permit, shared by all loaders: for commands that are much larger than usual.
    pub large: &'a Semaphore,
}

impl Load<'_> {
    /// Inserts everything that arrives and says how many documents that was.
    pub async fn run(&self, mut blocks: Receiver<Block<Cleared>>) -> Result<u64> {
        let mut inserted = 0;
        let mut batch = Batch::new(self);
        while let Some(block) = blocks.recv().await {
            let mut rest = block.bytes();
            while !rest.is_empty() {
                let (document, after) = rest.split_at(document_length(rest)?);
                if batch.is_full(document.len(), self.most) {
                    inserted += self.send(std::mem::replace(&mut batch, Batch::new(self))).await?;
                }
                batch.push(document, self.keeps_empty_timestamps)?;
                rest = after;
            }
        }
        if batch.documents > 0 {
            inserted += self.send(batch).await?;
        }
        Ok(inserted)
    }

    async fn send(&self, batch: Batch) -> Result<u64> {
        let (documents, fixes) = (batch.documents, batch.fixes);
        let command = finished(batch.command, batch.array)?;
        // The driver's copies of a 16 MiB document are of one at a time.
        let _one = if command.as_bytes().len() > 2 * INSERT_BYTES {
            self.large.acquire().await.ok()
        } else {
            None
        };
        self.write(command, documents).await?;
        if !fixes.is_empty() {
            self.restore_timestamps(&fixes).await?;
        }
        Ok(u64::from(documents))
    }

    /// Runs a write command of `documents` documents, all of which must be written.
    async fn write(&self, command: RawDocumentBuf, documents: u32) -> Result<()> {
        let failed = || format!("loading collection `{}` failed", self.name);
        let reply = within(BATCH, async { self.database.run_raw_command(command).await })
            .await
            .map_err(|error| untold(failed(), &error))?;
        if let Some(error) = write_error(&reply, self.name, documents) {
            return Err(error);
        }
        let written = super::catalog::number(&reply, "n");
        if written != u64::from(documents) {
            return Err(Error::failed(failed())
                .because(format!("the server wrote {written} of {documents} documents")));
        }
        Ok(())
    }

    /// Sets the empty timestamps of the top level again, which the server replaced by the time
    /// of the insert; an update leaves them as they are.
    async fn restore_timestamps(&self, fixes: &[Fix]) -> Result<()> {
        let mut command = Vec::new();
        raw::begin(&mut command);
        raw::string(&mut command, b"update", self.into);
        raw::boolean(&mut command, b"ordered", false);
        raw::header(&mut command, ARRAY, b"updates");
        let array = raw::begin(&mut command);
        for (position, fix) in (0..).zip(fixes) {
            raw::item(&mut command, DOCUMENT, position);
            let update = raw::begin(&mut command);
            raw::header(&mut command, DOCUMENT, b"q");
            let query = raw::begin(&mut command);
            raw::element(&mut command, fix.id_kind, b"_id", &fix.id);
            raw::end(&mut command, query)?;
            raw::header(&mut command, DOCUMENT, b"u");
            let change = raw::begin(&mut command);
            raw::header(&mut command, DOCUMENT, b"$set");
            let fields = raw::begin(&mut command);
            for name in &fix.names {
                raw::element(&mut command, TIMESTAMP, name, &[0; 8]);
            }
            raw::end(&mut command, fields)?;
            raw::end(&mut command, change)?;
            raw::end(&mut command, update)?;
        }
        let count = u32::try_from(fixes.len()).unwrap_or(u32::MAX);
        self.write(finished(command, array)?, count).await
    }
}

/// What is wrong with a write, if its reply tells of errors: how many and their code, never the
/// server's text, which quotes documents.
pub(super) fn write_error(reply: &Document, name: &str, documents: u32) -> Option<Error> {
    let errors = reply.get_array("writeErrors").ok().filter(|errors| !errors.is_empty())?;
    let first = errors.first().and_then(|error| error.as_document());
    let code = first.and_then(|error| error.get_i32("code").ok()).unwrap_or(0);
    let error = Error::failed(format!(
        "the server refused {} of {documents} documents of collection `{name}`",
        errors.len()
    ));
    Some(error.because(match code {
        11000 => "two documents have the same `_id` or the same unique key (code 11000)".to_owned(),
        121 => "they do not pass the collection's validator (code 121)".to_owned(),
        10334 | 17419 | 17280 => format!("they are too large (code {code})"),
        13 => "the user may not write to it (code 13)".to_owned(),
        code => format!("code {code}"),
    }))
}

fn finished(mut command: Vec<u8>, array: usize) -> Result<RawDocumentBuf> {
    raw::end(&mut command, array)?;
    raw::end(&mut command, 0)?;
    RawDocumentBuf::from_bytes(command)
        .map_err(|_| Error::failed("a write command could not be built"))
}

/// An insert command that is being filled.
struct Batch {
    command: Vec<u8>,
    /// Where the array of documents begins.
    array: usize,
    documents: u32,
    fixes: Vec<Fix>,
}

/// A document whose empty timestamps have to be set again.
struct Fix {
    id_kind: u8,
    id: Vec<u8>,
    names: Vec<Vec<u8>>,
}

impl Batch {
    fn new(load: &Load<'_>) -> Self {
        let mut command = Vec::with_capacity(INSERT_BYTES + 1024);
        raw::begin(&mut command);
        raw::string(&mut command, b"insert", load.into);
        raw::boolean(&mut command, b"ordered", load.ordered);
        if load.keeps_empty_timestamps {
            raw::boolean(&mut command, b"bypassEmptyTsReplacement", true);
        }
        raw::header(&mut command, DOCUMENT, b"writeConcern");
        command.extend_from_slice(&[12, 0, 0, 0, 0x10, b'w', 0, 1, 0, 0, 0, 0]);
        raw::header(&mut command, ARRAY, b"documents");
        let array = raw::begin(&mut command);
        Self { command, array, documents: 0, fixes: Vec::new() }
    }

    /// Whether a document of `length` bytes belongs into the next command.
    fn is_full(&self, length: usize, most: u32) -> bool {
        self.documents > 0 && (self.command.len() + length > INSERT_BYTES || self.documents >= most)
    }

    fn push(&mut self, document: &[u8], keeps_empty_timestamps: bool) -> Result<()> {
        raw::item(&mut self.command, DOCUMENT, self.documents);
        self.command.extend_from_slice(document);
        self.documents += 1;
        if !keeps_empty_timestamps {
            self.fixes.extend(fix_of(document)?);
        }
        Ok(())
    }
}

/// The empty timestamps at the top level of a document, apart from its `_id`.
fn fix_of(document: &[u8]) -> Result<Option<Fix>> {
    let mut id = None;
    let mut names = Vec::new();
    for element in Elements::of(document)? {
        let element = element?;
        if element.name == b"_id" {
            id = id.or(Some(element));
        } else if element.kind == TIMESTAMP && element.value == [0; 8] {
            names.push(element.name.to_vec());
        }
    }
    let (Some(id), false) = (id, names.is_empty()) else { return Ok(None) };
    let plain = |name: &Vec<u8>| {
        !name.is_empty() && name[0] != b'$' && memchr::memchr(b'.', name).is_none()
    };
    if !names.iter().all(plain) {
        return Err(Error::not_built(
            "on a mongodb server without bypassEmptyTsReplacement, an empty timestamp in a field \
             whose name is empty, holds a dot or begins with a dollar sign",
        ));
    }
    Ok(Some(Fix { id_kind: id.kind, id: id.value.to_vec(), names }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{Timestamp, doc};

    #[test]
    fn empty_timestamps_of_the_top_level_are_found() {
        let empty = Timestamp { time: 0, increment: 0 };
        let of = |document: Document| {
            fix_of(RawDocumentBuf::try_from(&document).unwrap().as_bytes()).map(|fix| {
                fix.map(|fix| fix.names.iter().map(|n| String::from_utf8_lossy(n).into()).collect())
            })
        };
        let names: Option<Vec<String>> =
            of(doc! { "_id": 1, "a": empty, "b": { "c": empty } }).unwrap();
        assert_eq!(names, Some(vec!["a".to_owned()]));
        assert_eq!(of(doc! { "_id": empty, "b": 1 }).unwrap(), None);
        assert!(of(doc! { "_id": 1, "a.b": empty }).is_err());
    }

    #[test]
    fn write_errors_tell_the_code_and_not_the_document() {
        let reply = doc! { "ok": 1, "n": 1, "writeErrors": [
        { "index": 0, "code": 11000, "errmsg": "dup key: { email: \"a@b.c\" }" } ] };
        let error = write_error(&reply, "people", 2).unwrap();
        assert!(error.to_string().contains("1 of 2 documents of collection `people`"));
        assert!(!error.to_string().contains("a@b.c"));
        assert!(write_error(&doc! { "ok": 1, "n": 1 }, "people", 1).is_none());
    }
}
