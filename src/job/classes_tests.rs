//! What is recorded decides, and the newest record over what is older.

use std::collections::HashMap;

use serde_json::json;

use super::*;
use crate::repository::Repository;

struct Desk {
    folder: tempfile::TempDir,
    shelf: Shelf,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn mongodb(database: &str) -> Identity {
    Identity::Mongodb { deployment: "d".to_owned(), database: database.to_owned() }
}

impl Desk {
    fn new(class: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        std::fs::create_dir_all(&config).unwrap();
        std::fs::create_dir_all(folder.path().join("backups")).unwrap();
        for (name, class) in [("production", class), ("development", "synthetic")] {
            let data = json!({ "data": { "class": class, "repository": "file://./backups" } });
            std::fs::write(config.join(format!("{name}.json")), data.to_string()).unwrap();
        }
        Self { folder, shelf: Shelf::default() }
    }

    fn config(&self) -> Config {
        Config::load_with(&self.folder.path().join("config"), None, HashMap::new()).unwrap()
    }

    fn environment(&self, name: &str) -> Environment {
        self.config().environment(name).unwrap()
    }

    /// An unmasked snapshot of `database` at `second`.
    fn snapshot(&mut self, environment: &str, class: Class, second: i64, database: &str) -> Stored {
        let created = at(second);
        let id = created.strftime("%Y%m%dT%H%M%SZ-7f3a9c").to_string();
        let clearance = if class == Class::Live { "raw" } else { "anonymized" };
        let manifest = serde_json::from_value(json!({
            "format": 1, "id": id, "environment": environment, "set": "raw", "class": class,
            "clearance": clearance, "whole": true, "created": created, "finished": created,
            "tool": "t", "job": "j", "anonymized": null, "compression": "none", "encryption": null,
            "stores": [{ "store": "mongodb", "identity": mongodb(database), "server_version": "7",
                "consistency": { "level": "point-in-time", "point": "1" },
                "collections": [], "parts": [] }]
        }))
        .unwrap();
        let root = self.folder.path().join("backups");
        let repository = Repository::open(&root, None, true).unwrap();
        let snapshot = repository.snapshot(environment, "raw", &id).unwrap();
        let stored = Stored { manifest, snapshot };
        self.shelf.stored.push((repository, stored.clone()));
        self.shelf.stored.sort_by_key(|(_, stored)| stored.manifest.created);
        stored
    }

    fn record(&mut self, environment: &str, from: Class, to: Class, second: i64) {
        let number = u32::try_from(self.shelf.records.len()).unwrap() + 1;
        self.shelf.records.push(ClassRecord {
            environment: environment.to_owned(),
            number,
            from,
            to,
            reason: "r".to_owned(),
            at: at(second),
            by: "b".to_owned(),
            tool: "t".to_owned(),
            identities: vec![mongodb("app")],
        });
    }

    fn is_settled(&self, name: &str) -> bool {
        let settled = settled(&self.shelf, &self.environment(name));
        if let Err(error) = &settled {
            assert_eq!(error.kind(), Kind::Refused);
            assert!(error.hint_text().unwrap().contains("--reclassify"), "{error}");
        }
        settled.is_ok()
    }

    fn is_doubted(&self, stored: &Stored) -> bool {
        !contradictions(&self.shelf, &self.config(), stored).is_empty()
    }

    fn known(&self, loaded: Option<(i64, Clearance)>) -> Known {
        let mut shelf = Shelf::default();
        shelf.stored.clone_from(&self.shelf.stored);
        shelf.records.clone_from(&self.shelf.records);
        let holds = loaded.map(|(second, clearance)| {
            let held = Holds { at: Some(at(second)), ..Holds::unknown(clearance) };
            (StoreKind::Mongodb, held)
        });
        Known { shelf, holds: holds.into_iter().collect(), environment: "production".to_owned() }
    }

    fn held(&self, database: &str, loaded: Option<(i64, Clearance)>) -> Clearance {
        self.known(loaded).held(StoreKind::Mongodb, Some(&mongodb(database)))
    }
}

#[test]
fn what_nobody_recorded_the_file_decides() {
    for class in ["live", "synthetic"] {
        let desk = Desk::new(class);
        assert!(desk.is_settled("production"));
    }
}

#[test]
fn the_file_is_believed_only_while_nothing_says_otherwise() {
    for (file, settled) in [("live", true), ("synthetic", false), ("production-like", false)] {
        let mut desk = Desk::new(file);
        desk.snapshot("production", Class::Live, 1, "app");
        assert_eq!(desk.is_settled("production"), settled, "{file}");
        // Later words of less do not make it less: only a record does.
        desk.snapshot("production", Class::Synthetic, 2, "app");
        assert_eq!(desk.is_settled("production"), settled, "{file}");
    }
    // Nor is more believed without a record.
    let mut desk = Desk::new("live");
    desk.snapshot("production", Class::Synthetic, 1, "app");
    assert!(!desk.is_settled("production"));
    desk.record("production", Class::Synthetic, Class::Live, 2);
    assert!(desk.is_settled("production"));
}

#[test]
fn a_record_holds_over_older_manifests_and_not_over_newer_ones() {
    let mut desk = Desk::new("synthetic");
    desk.snapshot("production", Class::Live, 1, "app");
    desk.record("production", Class::Live, Class::Synthetic, 5);
    assert!(desk.is_settled("production"));
    desk.snapshot("production", Class::Live, 9, "app");
    assert!(!desk.is_settled("production"));
    let mut back = Desk::new("synthetic");
    back.record("production", Class::Live, Class::Synthetic, 5);
    back.record("production", Class::Synthetic, Class::Live, 6);
    assert!(!back.is_settled("production"));
}

#[test]
fn a_record_that_cannot_be_read_may_be_the_one_that_counts() {
    let mut desk = Desk::new("live");
    let error = Error::failed("damaged");
    let path = "production/class-1.json".to_owned();
    desk.shelf.unreadable.push(crate::repository::Unreadable { path, error, anonymized: None });
    assert!(settled(&desk.shelf, &desk.environment("production")).is_err());
    assert!(settled(&desk.shelf, &desk.environment("development")).is_ok());
}

#[test]
fn a_live_store_is_nobody_elses() {
    let mut desk = Desk::new("live");
    desk.snapshot("production", Class::Live, 1, "app");
    let (development, production) =
        (desk.environment("development"), desk.environment("production"));
    let refused = |desk: &Desk, environment: &Environment, database: &str| {
        not_live_elsewhere(&desk.shelf, environment, &mongodb(database)).is_err()
    };
    assert!(refused(&desk, &development, "app"));
    assert!(!refused(&desk, &development, "other"));
    assert!(!refused(&desk, &production, "app"));
    // An environment that is configured no more still counts.
    desk.snapshot("gone", Class::Live, 2, "old");
    assert!(refused(&desk, &development, "old"));
    // A later snapshot that calls it less does not make it less.
    desk.snapshot("gone", Class::Synthetic, 3, "old");
    assert!(refused(&desk, &development, "old"));
    // A store that was left may be anyone's, and so may those of what is live no more.
    desk.snapshot("gone", Class::Live, 4, "new");
    assert!(!refused(&desk, &development, "old"));
    desk.record("production", Class::Live, Class::Anonymized, 5);
    assert!(!refused(&desk, &development, "app"));
    desk.record("elsewhere", Class::Anonymized, Class::Live, 6);
    assert!(refused(&desk, &development, "app"), "a record names stores too");
}

#[test]
fn a_store_that_was_live_holds_real_data_until_a_masked_load() {
    use Clearance::{Anonymized, Raw};
    let mut desk = Desk::new("synthetic");
    assert_eq!(desk.held("app", None), Anonymized);
    desk.snapshot("production", Class::Live, 5, "app");
    assert_eq!(desk.held("app", None), Raw);
    assert_eq!(desk.held("moved", None), Raw, "the environment itself was live");
    assert_eq!(desk.held("app", Some((9, Anonymized))), Anonymized);
    assert_eq!(desk.held("app", Some((3, Anonymized))), Raw);
    assert_eq!(desk.held("app", Some((9, Raw))), Raw);
    // A record that ends being live is no word of being live.
    desk.record("production", Class::Live, Class::Synthetic, 12);
    assert_eq!(desk.held("app", Some((9, Anonymized))), Anonymized);
    // The store of another environment that was live.
    let mut desk = Desk::new("synthetic");
    desk.snapshot("old", Class::Live, 5, "app");
    desk.snapshot("old", Class::Live, 6, "new");
    assert_eq!(desk.held("app", None), Raw);
    assert_eq!(desk.held("another", None), Anonymized);
}

#[test]
fn journals_that_do_not_tell_are_judged_by_their_snapshot() {
    let mut desk = Desk::new("synthetic");
    let raw = desk.snapshot("other", Class::Live, 1, "other");
    let clean = desk.snapshot("other", Class::Synthetic, 2, "other");
    let held = |snapshot: &str, key: Option<&str>| {
        let mut known = desk.known(Some((9, Clearance::Anonymized)));
        let held = known.holds.get_mut(&StoreKind::Mongodb).unwrap();
        held.clearance = None;
        held.snapshot = Some(snapshot.to_owned());
        held.key_fingerprint = key.map(str::to_owned);
        known.held(StoreKind::Mongodb, Some(&mongodb("app")))
    };
    assert_eq!(held(&raw.manifest.id, None), Clearance::Raw);
    assert_eq!(held(&clean.manifest.id, None), Clearance::Anonymized);
    assert_eq!(held("gone", Some("v1-0123456789abcdef")), Clearance::Anonymized);
}

#[test]
fn a_manifest_is_held_against_what_else_was_recorded_at_its_time() {
    let mut desk = Desk::new("live");
    let live = desk.snapshot("production", Class::Live, 1, "app");
    let edited = desk.snapshot("production", Class::Synthetic, 3, "app");
    assert!(!desk.is_doubted(&live));
    assert!(desk.is_doubted(&edited));
    // Alone, only the configuration tells.
    for (file, doubted) in [("live", true), ("synthetic", false)] {
        let mut desk = Desk::new(file);
        let edited = desk.snapshot("production", Class::Synthetic, 3, "app");
        assert_eq!(desk.is_doubted(&edited), doubted, "{file}");
    }
    // What is older than a change is judged by what it changed from.
    let mut desk = Desk::new("synthetic");
    let live = desk.snapshot("production", Class::Live, 1, "app");
    let edited = desk.snapshot("production", Class::Synthetic, 3, "app");
    desk.record("production", Class::Live, Class::Synthetic, 5);
    let after = desk.snapshot("production", Class::Synthetic, 7, "app");
    let untrue = desk.snapshot("production", Class::ProductionLike, 8, "app");
    let doubted = [&live, &edited, &after, &untrue].map(|stored| desk.is_doubted(stored));
    assert_eq!(doubted, [false, true, false, true]);
    desk.shelf.stored.retain(|(_, stored)| stored.manifest.id != live.manifest.id);
    assert!(desk.is_doubted(&edited), "the record tells what it was");
    // What was stored as it is from a store that was another's live one.
    let mut desk = Desk::new("live");
    let before = desk.snapshot("development", Class::Synthetic, 1, "app");
    desk.snapshot("production", Class::Live, 2, "app");
    let wrong = desk.snapshot("development", Class::Synthetic, 3, "app");
    assert!(!desk.is_doubted(&before));
    assert!(desk.is_doubted(&wrong));
}
