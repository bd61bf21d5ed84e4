//! Every name in a repository, format 1; no other file spells one.
//!
//! ```text
//! pfdata.json                                       what makes a place a repository
//! <env>/<set>/<id>/manifest.json                    written last: with it the snapshot exists
//!                  postgres/… mongodb/… redis/…     parts, whose paths the manifest tells
//!                  facts/<kind>-<unique>.json       what became known of it later
//! <env>/class-<n>.json                              changes of an environment's class
//! jobs/<env>/<job>/<file>.json                      what a job decided, stored and swapped
//! leases/<env>.json · <env>.lock · <env>.mutex      who works on an environment; the last is the
//!                                                   local storage's own
//! ```
//!
//! Called by the handles of this room, and for paths of parts by the readers of stores. Touches
//! nothing.

use super::names::{self, component};
use super::storage::Name;
use crate::error::Result;
use crate::pipeline::codec::Compression;

const MARKER: &str = "pfdata.json";
const MANIFEST: &str = "manifest.json";
const FACTS: &str = "facts";
const JOBS: &str = "jobs";
const LEASES: &str = "leases";

/// What every path of a part of MongoDB begins with.
pub(crate) const MONGODB: &str = "mongodb";
/// The part with the archive of a Postgres schema.
pub(crate) const POSTGRES_SCHEMA: &str = "postgres/schema.dump";
/// The part with the statements that set the sequences of Postgres.
pub(crate) const POSTGRES_SEQUENCES: &str = "postgres/sequences.sql";
/// The part with the settings of a Postgres database.
pub(crate) const POSTGRES_DATABASE: &str = "postgres/database.json";

/// The part of a slice of a table.
pub(crate) fn table(schema: &str, table: &str, number: u32, codec: Compression) -> String {
    let (schema, table, suffix) = (component(schema), component(table), codec.suffix());
    format!("postgres/data/{schema}.{table}.{number}.copy{suffix}")
}

/// The part of the large objects of Postgres.
pub(crate) fn large_objects(number: u32, codec: Compression) -> String {
    format!("postgres/large_objects/{number}{}", codec.suffix())
}

/// The part of a slice of a collection.
pub(crate) fn documents(database: &str, name: &str, number: u32, codec: Compression) -> String {
    let (database, name, suffix) = (component(database), component(name), codec.suffix());
    format!("{MONGODB}/{database}/{name}.{number}.bson{suffix}")
}

/// The part of the options and indexes of a collection.
pub(crate) fn collection(database: &str, name: &str) -> String {
    format!("{MONGODB}/{}/{}.metadata.json", component(database), component(name))
}

/// The part of the keys of a Redis server.
pub(crate) fn keys(host: &str, port: u16, codec: Compression) -> String {
    format!("redis/{}.rdb{}", component(&format!("{host}:{port}")), codec.suffix())
}

/// What makes a place a repository.
pub(super) fn marker() -> Result<Name> {
    Name::new(MARKER)
}

/// Whether a folder of the root is that of an environment.
pub(super) fn is_environment(folder: &str) -> bool {
    folder != JOBS && folder != LEASES
}

/// What all snapshots of an environment lie under.
pub(super) fn environment(name: &str) -> Result<Name> {
    Name::new(&component(name))
}

/// What a snapshot lies under.
pub(super) fn snapshot(environment: &str, set: &str, id: &str) -> Result<Name> {
    self::environment(environment)?.child(&component(set))?.child(id)
}

/// A snapshot's manifest.
pub(super) fn manifest(snapshot: &Name) -> Result<Name> {
    snapshot.child(MANIFEST)
}

/// What the facts of a snapshot lie under.
pub(super) fn facts(snapshot: &Name) -> Result<Name> {
    snapshot.child(FACTS)
}

/// A fact that nobody has written yet.
pub(super) fn new_fact(snapshot: &Name, kind: &str) -> Result<Name> {
    facts(snapshot)?.child(&format!("{kind}-{}.json", names::random_hex(6)))
}

/// Whether this is the last step of a fact of that kind.
pub(super) fn is_fact(step: &str, kind: &str) -> bool {
    step.strip_prefix(kind).is_some_and(|rest| rest.starts_with('-'))
}

/// The last step of the record of a change of class.
pub(super) fn class_record(number: u32) -> String {
    format!("class-{number}.json")
}

/// The number of a record of a change of class, where `step` is the last of one.
pub(super) fn class_number(step: &str) -> Option<u32> {
    let number = step.strip_prefix("class-")?.strip_suffix(".json")?;
    number.parse().ok().filter(|found| class_record(*found) == step)
}

/// The place of a record for messages: `ENV/class-N.json`.
pub(crate) fn told_class_record(environment: &str, number: u32) -> String {
    format!("{}/{}", component(environment), class_record(number))
}

/// Whether `told` is the place of a record of an environment.
pub(crate) fn is_told_class_record(told: &str, environment: &str) -> bool {
    told.starts_with(&format!("{}/class-", component(environment)))
}

/// What the journals of an environment lie under.
pub(super) fn jobs(environment: &str) -> Result<Name> {
    Name::new(JOBS)?.child(environment)
}

/// A file of a job's journal.
pub(super) fn journal(environment: &str, job: &str, file: &str) -> Result<Name> {
    jobs(environment)?.child(job)?.child(&format!("{file}.json"))
}

/// Who holds the lease of an environment.
pub(super) fn lease(environment: &str) -> Result<Name> {
    Name::new(LEASES)?.child(&format!("{environment}.json"))
}

/// What the processes of one host lock for as long as they hold the lease.
pub(super) fn host_lock(environment: &str) -> Result<Name> {
    Name::new(LEASES)?.child(&format!("{environment}.lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Format 1: none of these may ever change.
    #[test]
    fn names_are_those_of_format_1() {
        let id = "20261121T030000Z-7f3a9c";
        let snapshot = snapshot("my env", "raw", id).unwrap();
        assert_eq!(snapshot.as_str(), format!("my%20env/raw/{id}"));
        assert_eq!(manifest(&snapshot).unwrap().as_str(), format!("{snapshot}/manifest.json"));
        let fact = new_fact(&snapshot, "hold").unwrap();
        assert!(fact.as_str().starts_with(&format!("{snapshot}/facts/hold-")));
        assert_eq!(
            journal("dev", "j1", "step-ready").unwrap().as_str(),
            "jobs/dev/j1/step-ready.json"
        );
        assert_eq!(lease("dev").unwrap().as_str(), "leases/dev.json");
        assert_eq!(host_lock("dev").unwrap().as_str(), "leases/dev.lock");
        let codec = Compression::Zstd(1);
        assert_eq!(table("public", "a.b", 3, codec), "postgres/data/public.a%2Eb.3.copy.zst");
        assert_eq!(large_objects(4, Compression::Gzip(6)), "postgres/large_objects/4.gz");
        assert_eq!(documents("app", "people", 5, Compression::None), "mongodb/app/people.5.bson");
        assert_eq!(collection("app", "people"), "mongodb/app/people.metadata.json");
        assert_eq!(keys("h", 6379, codec), "redis/h%3A6379.rdb.zst");
    }

    #[test]
    fn what_is_named_by_others_leads_nowhere_else() {
        for bad in ["..", "../x", "/etc", "a/b", ""] {
            assert!(snapshot("dev", "raw", bad).is_err(), "{bad}");
            assert!(jobs(bad).is_err(), "{bad}");
            assert!(journal("dev", bad, "plan").is_err(), "{bad}");
        }
        assert_eq!(snapshot("..", "../..", "x").unwrap().as_str(), "%2E%2E/%2E%2E%2F%2E%2E/x");
    }
}
