//! Reading a collection in raw batches, whichever way it is read.

use std::future::Future;

use futures_util::StreamExt;
use mongodb::Client;
use mongodb::bson::{Bson, RawDocumentBuf, doc};
use mongodb::options::Hint;
use mongodb::options::{ReadConcern, ReadPreference, SelectionCriteria};

use super::command::{BATCH, within};
use super::ranges::Slice;
use super::raw::{Elements, batch_of};
use super::session::Moment;
use super::session::session;
use crate::error::Error;

/// How many bytes of documents a batch should hold. The server fills a batch up to 16 MiB if the
/// count allows it, and the driver holds each reply twice while it reads it.
const BATCH_BYTES: u64 = 1 << 20;

/// The size taken for a document of a collection whose average is not known, in bytes.
const UNKNOWN_AVERAGE: u64 = 1024;

/// What is read.
pub(super) struct Scan<'a> {
    pub client: &'a Client,
    pub database: &'a str,
    pub collection: &'a str,
    pub slice: &'a Slice,
    /// The one path that is read, of documents that have a string there; or else all.
    pub only: Option<&'a str>,
    /// Average size of a document in bytes; 0 where it is not known.
    pub average: u64,
    pub moment: Moment,
}

/// Takes the documents of one batch after the other.
pub(super) trait Sink: Send {
    /// Takes all documents of a batch and says how many there were.
    fn take(
        &mut self,
        documents: Elements<'_>,
    ) -> impl Future<Output = crate::error::Result<u64>> + Send;
}

/// Why a read failed.
pub(super) enum Broken {
    /// The driver or the server said so.
    Server(mongodb::error::Error),
    /// We said so.
    Ours(Error),
}

impl From<mongodb::error::Error> for Broken {
    fn from(error: mongodb::error::Error) -> Self {
        Self::Server(error)
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

/// How many documents a batch may hold so that it stays near [`BATCH_BYTES`].
fn batch_size(average: u64) -> u32 {
    let average = if average == 0 { UNKNOWN_AVERAGE } else { average };
    u32::try_from((BATCH_BYTES / average).clamp(1, 50_000)).unwrap_or(1)
}

/// Reads the slice to its end and says how many documents it held. A cursor that ends without
/// the server saying that it is at its end is an error, never a short read.
pub(super) async fn scan(scan: &Scan<'_>, sink: &mut impl Sink) -> Result<u64, Broken> {
    let mut session = session(scan.client, scan.moment).await?;
    let collection =
        scan.client.database(scan.database).collection::<RawDocumentBuf>(scan.collection);
    let filter = scan.only.map(|path| doc! { path: { "$type": "string" } });
    let mut find = collection
        .find(filter.unwrap_or_default())
        .batch_size(batch_size(scan.average))
        .no_cursor_timeout(true)
        .session(&mut session);
    if let Some(path) = scan.only {
        let mut fields = doc! { path: 1 };
        fields.entry("_id".to_owned()).or_insert(Bson::Int32(0));
        find = find.projection(fields);
    }
    match scan.slice {
        // The index alone answers.
        Slice::All if scan.only == Some("_id") => find = find.hint(Hint::Keys(doc! { "_id": 1 })),
        Slice::All => find = find.hint(Hint::Keys(doc! { "$natural": 1 })),
        Slice::Range(range) => {
            find = find.hint(Hint::Keys(doc! { "_id": 1 }));
            let bound = |value: &Bson| doc! { "_id": value };
            if let Some(min) = &range.min {
                find = find.min(bound(min));
            }
            if let Some(max) = &range.max {
                find = find.max(bound(max));
            }
        }
    }
    match scan.moment {
        Moment::At(_) => {}
        Moment::Majority => find = find.read_concern(ReadConcern::majority()),
        Moment::Primary => {
            find = find
                .read_concern(ReadConcern::local())
                .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        }
    }
    let mut cursor = within(BATCH, find.batch()).await?;
    let mut batches = cursor.stream(&mut session);
    let mut documents = 0;
    loop {
        let next = async { Ok(batches.next().await) };
        let Some(batch) = within(BATCH, next).await? else {
            return Err(Error::failed("the server ended the read before its end").into());
        };
        let batch = batch?;
        let (elements, ended) = batch_of(batch.as_raw_document().as_bytes())?;
        documents += sink.take(elements).await?;
        if ended {
            return Ok(documents);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_about_a_mebibyte() {
        assert_eq!(batch_size(512), 2048);
        assert_eq!(batch_size(16 << 20), 1);
        assert_eq!(batch_size(0), 1024);
        assert_eq!(batch_size(1), 50_000);
    }
}
