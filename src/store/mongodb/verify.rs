//! Counting and digesting what was loaded.

use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::bson::doc;

use super::catalog::{number, size_of};
use super::command::{BATCH, run, told};
use super::kind::Kind;
use super::new_name;
use super::ranges::{RANGE_BYTES, Slice, Whole, split};
use super::raw::Elements;
use super::scan::{Broken, Scan, Sink, scan};
use super::session::Moment;
use super::target::Target;
use crate::error::Result;
use crate::pipeline::digest::ContentDigest;

/// How many ranges of a collection are digested at a time.
const DIGEST_READERS: usize = 2;

impl Target {
    /// How many documents collection `n` holds, by the server's counter: exact unless the server
    /// has crashed since [`Target::create`]. 0 for a view.
    pub async fn count(&self, n: usize) -> Result<u64> {
        let entry = self.entry(n)?;
        if entry.metadata.kind == Kind::View {
            return Ok(0);
        }
        let command = doc! { "count": new_name(n) };
        let reply = run(&self.database(), command, BATCH).await.map_err(|error| {
            told(format!("the documents of collection `{}` cannot be counted", entry.name), &error)
        })?;
        Ok(number(&reply, "n"))
    }

    /// Reads collection `n` back from the primary: how many documents there are, and their
    /// digest. Large ones are read by two readers.
    pub async fn digest(&self, n: usize) -> Result<(u64, ContentDigest)> {
        let entry = self.entry(n)?;
        if entry.metadata.kind == Kind::View {
            return Ok((0, ContentDigest::default()));
        }
        let new = new_name(n);
        let size = size_of(&self.database(), &new).await?;
        let failed = |error: &mongodb::error::Error| {
            told(format!("reading collection `{}` back failed", entry.name), error)
        };
        let slices = if entry.metadata.splits_on_id() {
            let whole = Whole {
                client: &self.client,
                database: &self.endpoint.database,
                collection: &new,
                documents: size.documents,
                bytes: size.bytes,
                moment: Moment::Primary,
            };
            split(&whole, RANGE_BYTES).await.map_err(|error| failed(&error))?
        } else {
            vec![Slice::All]
        };
        let (new, failed) = (&new, &failed);
        stream::iter(slices)
            .map(|slice| async move {
                let mut sum = Sum(ContentDigest::default());
                let work = Scan {
                    only: None,
                    client: &self.client,
                    database: &self.endpoint.database,
                    collection: new,
                    slice: &slice,
                    average: size.average,
                    moment: Moment::Primary,
                };
                let documents = scan(&work, &mut sum).await.map_err(|broken| match broken {
                    Broken::Ours(error) => error,
                    Broken::Server(error) => failed(&error),
                })?;
                Ok((documents, sum.0))
            })
            .buffer_unordered(DIGEST_READERS)
            .try_fold(
                (0, ContentDigest::default()),
                |(count, mut all), (documents, one)| async move {
                    all.merge(one);
                    Ok((count + documents, all))
                },
            )
            .await
    }
}

/// Sums the hashes of documents.
struct Sum(ContentDigest);

impl Sink for Sum {
    async fn take(&mut self, documents: Elements<'_>) -> Result<u64> {
        let mut count = 0;
        for document in documents {
            self.0.add(document?.value);
            count += 1;
        }
        Ok(count)
    }
}
