//! Splitting a large collection into ranges of `_id` that several readers take.
//!
//! Ranges are bounds on the `_id` index (`min`, `max` and a hint), not comparisons in a filter:
//! those see only values of the bound's own type, and a collection of mixed types would lose
//! documents.

use std::fmt;

use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::{AggregateOptions, Hint};
use mongodb::{Client, ClientSession, Collection};

use super::command::{BATCH, within};
use super::session::Moment;
use super::session::session;

/// How large a range should be, in bytes of documents.
pub const RANGE_BYTES: u64 = 64 << 20;

/// The most ranges of one collection; beyond, ranges grow.
const MOST_RANGES: u64 = 64;

/// How many sampled values stand behind each range: enough to even out the sample.
const SAMPLES_PER_RANGE: u64 = 20;

/// Which documents of a collection a part holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Slice {
    /// All of them.
    All,
    /// Those whose `_id` is in a range, in the order of the index.
    Range(Box<Range>),
}

/// A range of `_id`: at least `min` and less than `max`.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    /// Lower bound, inclusive; `None` for the first range.
    pub min: Option<Bson>,
    /// Upper bound, exclusive; `None` for the last range.
    pub max: Option<Bson>,
    /// Which range it is, from 1.
    pub number: usize,
    /// How many ranges the collection has.
    pub of: usize,
}

impl fmt::Display for Slice {
    /// `all` or `_id range 2 of 5`: bounds are values of documents and are not told.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Range(range) => write!(f, "_id range {} of {}", range.number, range.of),
        }
    }
}

/// What is split.
pub(super) struct Whole<'a> {
    pub client: &'a Client,
    pub database: &'a str,
    pub collection: &'a str,
    pub documents: u64,
    pub bytes: u64,
    pub moment: Moment,
}

/// The slices of a collection with an ordinary `_id` index: one, or ranges of about
/// `range_bytes` each. Together they hold every document exactly once.
pub(super) async fn split(
    whole: &Whole<'_>,
    range_bytes: u64,
) -> mongodb::error::Result<Vec<Slice>> {
    let ranges = whole.bytes.div_ceil(range_bytes.max(1)).min(MOST_RANGES).min(whole.documents);
    if ranges < 2 {
        return Ok(vec![Slice::All]);
    }
    match sample(whole, ranges * SAMPLES_PER_RANGE).await {
        Ok(sample) => Ok(between(&sample, usize::try_from(ranges).unwrap_or(1))),
        // An `_id` that is not valid text cannot be a bound; the collection is read in one part.
        Err(error) if undecodable(&error) => Ok(vec![Slice::All]),
        Err(error) => Err(error),
    }
}

fn undecodable(error: &mongodb::error::Error) -> bool {
    use mongodb::error::ErrorKind;
    matches!(error.kind.as_ref(), ErrorKind::Bson(_) | ErrorKind::BsonDeserialization(_))
}

/// Values of `_id` in the order of its index: all of a small collection, a sample of a large one.
async fn sample(whole: &Whole<'_>, wanted: u64) -> mongodb::error::Result<Vec<Bson>> {
    let mut session = session(whole.client, whole.moment).await?;
    let collection = whole.client.database(whole.database).collection(whole.collection);
    // The server takes a sample of less than a twentieth from a random cursor; a larger one is a
    // sort of everything, and reading the index alone is cheaper.
    let documents = if whole.documents > wanted.saturating_mul(25) {
        random(&collection, &mut session, wanted).await?
    } else {
        of_index(&collection, &mut session).await?
    };
    Ok(documents.into_iter().filter_map(|mut one| one.remove("_id")).collect())
}

async fn random(
    collection: &Collection<Document>,
    session: &mut ClientSession,
    wanted: u64,
) -> mongodb::error::Result<Vec<Document>> {
    let size = i64::try_from(wanted).unwrap_or(i64::MAX);
    let stages = [
        doc! { "$sample": { "size": size } },
        doc! { "$project": { "_id": 1 } },
        doc! { "$sort": { "_id": 1 } },
    ];
    let options = AggregateOptions::builder().allow_disk_use(false).build();
    let aggregate = collection.aggregate(stages).with_options(options).session(&mut *session);
    let mut cursor = within(BATCH, async { aggregate.await }).await?;
    within(BATCH, cursor.stream(session).try_collect()).await
}

async fn of_index(
    collection: &Collection<Document>,
    session: &mut ClientSession,
) -> mongodb::error::Result<Vec<Document>> {
    let find = collection
        .find(doc! {})
        .projection(doc! { "_id": 1 })
        .sort(doc! { "_id": 1 })
        .hint(Hint::Keys(doc! { "_id": 1 }))
        .session(&mut *session);
    let mut cursor = within(BATCH, async { find.await }).await?;
    within(BATCH, cursor.stream(session).try_collect()).await
}

/// At most `ranges` ranges whose bounds are evenly spread over the sorted `sample`.
fn between(sample: &[Bson], ranges: usize) -> Vec<Slice> {
    let mut bounds: Vec<&Bson> = Vec::new();
    for number in 1..ranges {
        // The first value of all is no bound: nothing would be below it.
        let Some(bound) = sample.get((number * sample.len() / ranges).max(1)) else { continue };
        if bounds.last() != Some(&bound) {
            bounds.push(bound);
        }
    }
    if bounds.is_empty() {
        return vec![Slice::All];
    }
    let of = bounds.len() + 1;
    (0..of)
        .map(|place| Range {
            min: place.checked_sub(1).map(|before| bounds[before].clone()),
            max: bounds.get(place).map(|bound| (*bound).clone()),
            number: place + 1,
            of,
        })
        .map(|range| Slice::Range(Box::new(range)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_without_gap_and_without_repeated_bounds() {
        let sample: Vec<Bson> = [1, 1, 1, 5, 5, 9, 12].map(Bson::Int32).to_vec();
        let ranges = between(&sample, 5);
        let mut below = None;
        for slice in &ranges {
            let Slice::Range(range) = slice else { panic!("a range") };
            assert_eq!(range.min, below);
            assert!(range.max.is_none() || range.min != range.max);
            below = range.max.clone();
        }
        assert_eq!(below, None);
        assert_eq!(ranges[0].to_string(), format!("_id range 1 of {}", ranges.len()));
        assert_eq!(between(&[], 4), [Slice::All]);
        assert_eq!(between(&sample[..1], 4), [Slice::All]);
    }
}
