//! Every document that `--json` gives on stdout.

use std::fs;

use serde_json::json;

use crate::common::World;
use crate::compare::{folder, golden};
use crate::steady::Steady;

/// Runs a command and compares its document.
#[track_caller]
fn pinned(world: &World, name: &str, words: &[&str], code: i32) -> String {
    let said = world.pfdata(&[words, &["--json"]].concat()).expect(code);
    assert_eq!(said.stderr, "", "{name}: with --json the document is all");
    let document = said.json();
    golden("documents", &format!("{name}.json"), &Steady::of(world).json(&document));
    document["snapshot"].as_str().unwrap_or_default().to_owned()
}

const CONFIRM: [&str; 2] = ["--confirm", "development"];

#[test]
fn snapshots_and_what_is_asked_of_them() {
    let world = World::new(5);
    pinned(&world, "list-empty", &["list"], 0);
    pinned(&world, "snapshot-plan", &["snapshot", "production", "--dry-run"], 0);
    let snapshot = ["snapshot", "production", "--note", "before the move", "--tag", "for=qa"];
    let id = pinned(&world, "snapshot", &snapshot, 0);
    pinned(&world, "show", &["show", &id], 0);
    pinned(&world, "verify", &["verify", &id], 0);
    pinned(&world, "list", &["list"], 0);
    let raw = ["snapshot", "production", "--raw", "--store", "postgres"];
    let raw = pinned(&world, "snapshot-raw", &raw, 0);
    pinned(&world, "show-raw", &["show", &raw], 0);
    // Damage is an answer too.
    let folder = world.snapshot_folder(&raw);
    let part = world.files("backups").into_iter().find(|path| {
        path.starts_with(&folder) && path.extension().is_some_and(|suffix| suffix == "zst")
    });
    fs::write(part.unwrap(), "").unwrap();
    fs::write(world.snapshot_folder(&id).join("manifest.json"), "{").unwrap();
    pinned(&world, "verify-damaged", &["verify", "--all"], 4);
    pinned(&world, "list-damaged", &["list"], 0);
}

#[test]
fn loads_and_the_way_back() {
    let world = World::new(5);
    world.snapshot();
    pinned(&world, "status-before", &["status"], 0);
    pinned(&world, "refresh-plan", &["refresh", "development", "--dry-run"], 0);
    pinned(&world, "refresh", &[&["refresh", "development"], &CONFIRM[..]].concat(), 0);
    pinned(&world, "status", &["status"], 0);
    pinned(&world, "rollback-plan", &["rollback", "development", "--dry-run"], 0);
    pinned(&world, "rollback", &[&["rollback", "development"], &CONFIRM[..]].concat(), 0);
    let raw = world.raw_snapshot();
    let restore = ["restore", &raw, "--to", "production"];
    pinned(&world, "restore-plan", &[&restore[..], &["--dry-run"]].concat(), 0);
    let ready = ["--confirm", "production", "--rollback-ready"];
    pinned(&world, "restore", &[&restore[..], &ready].concat(), 0);
}

#[test]
fn seeds() {
    let world = World::new(1);
    for store in ["postgres", "mongodb", "redis"] {
        fs::create_dir_all(world.path(&format!("seeds/base/{store}"))).unwrap();
    }
    let write = |below: &str, text: &str| fs::write(world.path(below), text).unwrap();
    write("seeds/base/postgres/10_names.sql", "UPDATE public.people SET name = 'Dev' WHERE id = 1");
    write("seeds/base/mongodb/people.jsonl", "{\"_id\": 7, \"email\": \"dev@local\"}\n");
    write("seeds/base/redis/10_flags.redis", "SET flag:dev \"on\"\n");
    pinned(&world, "seed-plan", &["seed", "development", "base", "--dry-run"], 0);
    pinned(&world, "seed", &["seed", "development", "base"], 0);
}

#[test]
fn rules() {
    let world = World::new(5);
    pinned(&world, "rules-check", &["rules", "check", "production"], 0);
    pinned(&world, "rules-missing-none", &["rules", "check", "production", "--missing"], 0);
    pinned(&world, "rules-preview", &["rules", "preview", "production", "--limit", "2"], 0);
    pinned(&world, "rules-list", &["rules", "list"], 0);
    pinned(&world, "rules-list-one", &["rules", "list", "email"], 0);
    world.sql("prod", "ALTER TABLE people ADD COLUMN phone text");
    pinned(&world, "rules-check-uncovered", &["rules", "check", "production"], 4);
    pinned(&world, "rules-missing", &["rules", "check", "production", "--missing"], 4);
    let kept =
        format!("{}\n[postgres.\"public.visits\"]\n\"*\" = \"keep\"\n", crate::common::RULES);
    fs::write(world.path("anonymizers/people.toml"), kept).unwrap();
    world.sql("prod", "CREATE TABLE visits (id int, shop text)");
    pinned(&world, "rules-review-plan", &["rules", "review", "production", "--dry-run"], 0);
    pinned(&world, "rules-review", &["rules", "review", "production"], 0);
}

#[test]
fn environments() {
    let world = World::new(1);
    pinned(&world, "config-show", &["config", "show", "production"], 0);
    world.snapshot();
    pinned(&world, "check", &["check", "production", "development"], 0);
    world.edit_json("config/development.json", |config| {
        config["database"]["redis"]["port"] = json!(1);
    });
    pinned(&world, "check-failing", &["check"], 4);
}

#[test]
fn a_class_that_changes() {
    let world = World::new(1);
    world.snapshot();
    world.refresh().expect(0);
    world.pfdata(&["snapshot", "development"]).expect(0);
    world.edit_json("config/development.json", |config| {
        config["data"]["class"] = json!("anonymized");
    });
    pinned(&world, "status-unsettled", &["status", "development"], 0);
    let init = ["init", "development", "--reclassify", "anonymized", "--reason", "filled anew"];
    pinned(&world, "init-plan", &[&init[..], &["--dry-run"]].concat(), 0);
    pinned(&world, "init", &[&init[..], &CONFIRM].concat(), 0);
    pinned(&world, "status-reclassified", &["status", "development"], 0);
}

#[test]
fn no_file_is_left_of_a_document_that_is_gone() {
    let tests = include_str!("documents.rs");
    for entry in fs::read_dir(folder("documents")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let asked =
            name.strip_suffix(".json").is_some_and(|name| tests.contains(&format!("\"{name}\"")));
        assert!(asked, "no test says what is in tests/golden/documents/{name}");
    }
}
