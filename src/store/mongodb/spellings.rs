//! Texts at one path that differ in case, spaces, normal form or, if asked for, punctuation
//! alone.

use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::{AggregateOptions, ReadConcern, ReadPreference, SelectionCriteria};

use super::command::{BATCH, within};
use super::scan::{Moment, session};
use super::source::Source;
use crate::error::{Error, Result};
use crate::store::shape::Spelled;

/// More spellings than anyone has; they are held in memory.
const MOST: usize = 100_000;

impl Source {
    /// Every text at a path of which another spelling may be there too. What counts as one value
    /// here may be more than what a transformer takes for one, never less.
    ///
    /// # Errors
    ///
    /// As [`Source::read`]; exit 4 if there are too many.
    pub async fn spellings(&self, collection: usize, place: Spelled<'_>) -> Result<Vec<String>> {
        let Some(info) = self.catalog().collections.get(collection) else { return Ok(Vec::new()) };
        // The server cannot follow such names in an expression.
        let strange = |name: &str| name.is_empty() || name.starts_with('$');
        if place.name.split('.').any(strange) {
            return Ok(Vec::new());
        }
        let name = &info.shape.name;
        let mut texts = Vec::new();
        // The server folds the case of ASCII letters alone: texts with others are all looked at.
        for pipeline in [same(place), wide(place)] {
            let run = self.texts(name, self.moment_of(info), pipeline);
            let found = within(BATCH, run).await.map_err(|error| self.failed(name, &error))?;
            texts.extend(found);
        }
        if texts.len() > MOST {
            return Err(Error::findings(format!(
                "`{}` of `{name}` holds more than {MOST} values that may differ in their spelling \
                 alone",
                place.name
            ))
            .hint("keep the field, or bring its values to one spelling"));
        }
        texts.sort_unstable();
        texts.dedup();
        Ok(texts)
    }

    async fn texts(
        &self,
        name: &str,
        moment: Moment,
        pipeline: Vec<Document>,
    ) -> mongodb::error::Result<Vec<String>> {
        let mut session = session(self.client(), moment).await?;
        let mut options = AggregateOptions::default();
        options.allow_disk_use = Some(true);
        match moment {
            Moment::At(_) => {}
            Moment::Majority => options.read_concern = Some(ReadConcern::majority()),
            Moment::Primary => {
                options.read_concern = Some(ReadConcern::local());
                let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
                options.selection_criteria = Some(primary);
            }
        }
        let collection = self.database().collection::<Document>(name);
        let aggregate = collection.aggregate(pipeline).with_options(options);
        let mut cursor = aggregate.session(&mut session).await?;
        let found: Vec<Document> = cursor.stream(&mut session).try_collect().await?;
        let text = |one: &Document| one.get_str("_id").map(str::to_owned).ok();
        Ok(found.iter().filter_map(text).collect())
    }
}

/// The strings at a path, through arrays as well, as `v`.
fn strings(place: Spelled<'_>) -> Vec<Document> {
    let mut pipeline = Vec::new();
    let ends = place.name.match_indices('.').map(|(at, _)| at).chain([place.name.len()]);
    for end in ends {
        let path = format!("${}", place.name.get(..end).unwrap_or_default());
        pipeline.push(doc! { "$unwind": path });
    }
    pipeline.push(doc! { "$project": { "_id": 0, "v": format!("${}", place.name) } });
    pipeline.push(doc! { "$match": { "v": { "$type": "string" } } });
    pipeline
}

/// Texts that are equal but for case, spaces and, if asked for, punctuation.
fn same(place: Spelled<'_>) -> Vec<Document> {
    let mut key = Bson::from(doc! { "$toLower": { "$trim": { "input": "$v" } } });
    let mut without = vec![" ", "\t", "\n", "\r"];
    if place.ignores_punctuation {
        without.extend(["-", "{", "}"]);
    }
    for gone in without {
        key = Bson::from(doc! {
            "$replaceAll": { "input": key, "find": gone, "replacement": "" }
        });
    }
    let mut pipeline = strings(place);
    pipeline.extend([
        doc! { "$group": { "_id": key, "v": { "$addToSet": "$v" } } },
        doc! { "$match": { "v.1": { "$exists": true } } },
        doc! { "$unwind": "$v" },
        doc! { "$project": { "_id": "$v" } },
        doc! { "$limit": limit() },
    ]);
    pipeline
}

/// Texts that are not ASCII.
fn wide(place: Spelled<'_>) -> Vec<Document> {
    let mut pipeline = strings(place);
    let is_wide = doc! { "$ne": [{ "$strLenBytes": "$v" }, { "$strLenCP": "$v" }] };
    pipeline.extend([
        doc! { "$match": { "$expr": is_wide } },
        doc! { "$group": { "_id": "$v" } },
        doc! { "$limit": limit() },
    ]);
    pipeline
}

fn limit() -> i64 {
    MOST as i64 + 1
}
