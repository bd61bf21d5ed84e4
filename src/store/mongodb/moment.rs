//! Choosing the moment that is read, and the catalog of that moment.

use mongodb::Database;
use mongodb::bson::{Document, Timestamp, doc};
use mongodb::options::{ReadPreference, SelectionCriteria};

use super::catalog::{Catalog, Listed, list, same};
use super::command::{SHORT, told, within};
use super::connect::Hello;
use super::kind::Kind;
use super::options::SourceOptions;
use crate::error::{Error, Result};
use crate::terms::{Consistency, Level};

/// How often the catalog is read until it does not change around the choice of the cluster time.
const CATALOG_TRIES: u32 = 5;

/// Lists, takes the time, describes and lists again, until both lists are the same: then the
/// catalog is that of the time.
pub(super) async fn settle(
    database: &Database,
    hello: &Hello,
    options: &SourceOptions,
) -> Result<(Vec<Listed>, Catalog, Option<Timestamp>)> {
    for _ in 0..CATALOG_TRIES {
        let before = selected(list(database).await?, options);
        let time = clock(database, hello, &before).await?;
        let catalog = Catalog::describe(database, before.clone()).await?;
        let after = selected(list(database).await?, options);
        if same(&before, &after) {
            return Ok((after, catalog, time));
        }
    }
    Err(Error::failed(format!(
        "the collections of mongodb database `{}` keep being created and dropped",
        database.name()
    ))
    .hint("leave those that come and go out with --exclude"))
}

fn selected(listed: Vec<Listed>, options: &SourceOptions) -> Vec<Listed> {
    let any = |patterns: &[String], name: &str| patterns.iter().any(|one| matches(one, name));
    let wanted = |one: &Listed| {
        (options.only.is_empty() || any(&options.only, &one.name))
            && !any(&options.exclude, &one.name)
    };
    listed.into_iter().filter(wanted).collect()
}

/// Whether `name` matches `pattern`, in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(place) => rest = &rest[place + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The cluster time that all readers share: that of a snapshot read of any ordinary collection,
/// taken on the primary so that no catalog can be newer. `None` on a standalone.
async fn clock(database: &Database, hello: &Hello, listed: &[Listed]) -> Result<Option<Timestamp>> {
    if !hello.replicated() {
        return Ok(None);
    }
    let Some(any) = listed.iter().find(|one| one.kind == Kind::Collection) else {
        // Nothing is read at a cluster time then; the moment only says when that was so.
        return Ok(hello.operation_time);
    };
    let failed = |error: &mongodb::error::Error| {
        told(
            format!("mongodb database `{}` cannot be read at a cluster time", database.name()),
            error,
        )
    };
    let mut session =
        database.client().start_session().snapshot(true).await.map_err(|error| failed(&error))?;
    let collection = database.collection::<Document>(&any.name);
    let find = collection
        .find(doc! {})
        .limit(1)
        .projection(doc! { "_id": 1 })
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .session(&mut session);
    within(SHORT, find.batch()).await.map_err(|error| failed(&error))?;
    session
        .snapshot_time()
        .map(Some)
        .ok_or_else(|| Error::failed("the server read at a cluster time and did not say which"))
}

pub(super) fn consistency(hello: &Hello, time: Option<Timestamp>) -> Consistency {
    let (level, point) = match time {
        Some(time) => (Level::PointInTime, format!("{}.{}", time.time, time.increment)),
        None => {
            let millis = hello.local_time.map_or(0, |time| time.timestamp_millis());
            (Level::BestEffort, format!("{}.0", millis.div_euclid(1000)))
        }
    };
    Consistency { level, point, exported: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_patterns() {
        for (pattern, name, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("*", "", true),
            ("ab*b", "ab", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
