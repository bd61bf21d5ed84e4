//! Real data does not leave production: what an environment is, what a snapshot holds and where
//! it lies is decided by what is recorded, whatever a variable, a file or a manifest says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use common::World;
use serde_json::{Value, json};

fn class(world: &World, environment: &str, class: &str) {
    world.edit_json(&format!("config/{environment}.json"), |config| {
        config["data"]["class"] = class.into();
    });
}

fn raw_snapshot(world: &World, environment: &str) -> Value {
    world.pfdata(&["snapshot", environment, "--raw", "--json"]).expect(0).json()
}

fn id(summary: &Value) -> String {
    summary["snapshot"].as_str().unwrap().to_owned()
}

fn status(world: &World, environment: &str) -> Value {
    let said = world.pfdata(&["status", environment, "--json"]).expect(0).json();
    said["environments"][0].clone()
}

/// What is changed in a manifest, and to what.
type Edit<'a> = (&'a str, Value);

/// A repository of its own for the raw set of production.
fn with_vault(world: &World) {
    fs::create_dir_all(world.path("vault")).unwrap();
    world.edit_json("config/production.json", |config| {
        config["data"]["snapshots"] = json!({ "raw": { "repository": "file://./vault" } });
    });
}

// --- what an environment is -----------------------------------------------------------------------

#[test]
fn a_class_that_is_given_anywhere_else_stops_every_command() {
    let world = World::new(5);
    let raw = id(&raw_snapshot(&world, "production"));
    fs::create_dir_all(world.path("config/secrets")).unwrap();
    let (files, before) = (world.files("backups"), world.contents("dev"));
    let commands: &[&[&str]] = &[
        &["snapshot", "production"],
        &["snapshot", "production", "--raw"],
        &["refresh", "development", "--confirm", "development"],
        &["restore", &raw, "--to", "development", "--confirm", "development"],
        &["rules", "check", "production"],
        &["status"],
        &["list"],
        &["verify", "--all"],
    ];
    let refused = |said: &common::Said, what: &[&str]| {
        assert_eq!(said.code, 2, "{what:?}: {} {}", said.stdout, said.stderr);
        assert!(said.stderr.contains("data.class"), "{}", said.stderr);
    };
    for what in commands {
        for name in ["PFDATA_PRODUCTION__DATA__CLASS", "PFDATA_prod__data__cla_ss"] {
            let output = world.command(what).env(name, "synthetic").output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            let code = output.status.code().unwrap();
            refused(&common::Said { code, stdout: String::new(), stderr }, what);
        }
    }
    for (variable, what) in [
        (("PFDATA__DATA__CLASS", "synthetic"), commands[0]),
        (("PFDATA__DATA__CLASS", "live"), commands[3]),
        (("PFDATA__DATA", r#"{"class": "live"}"#), commands[3]),
    ] {
        let output = world.command(what).env(variable.0, variable.1).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{variable:?} {what:?}");
    }
    for (file, line) in [
        ("config/secrets/production.env", "PFDATA__DATA__CLASS=synthetic\n"),
        (".env", "PFDATA_PRODUCTION__DATA__CLASS=synthetic\n"),
        ("config/secrets/development.env", "PFDATA_DEVELOPMENT__DATA__CLASS=live\n"),
    ] {
        fs::write(world.path(file), line).unwrap();
        for what in commands {
            let said = world.pfdata(what);
            refused(&said, what);
            assert!(said.stderr.contains(file), "{}", said.stderr);
        }
        fs::remove_file(world.path(file)).unwrap();
    }
    class(&world, "production", "${CLASS}");
    for what in commands {
        let output = world.command(what).env("CLASS", "synthetic").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{what:?}");
    }
    assert_eq!(world.files("backups"), files, "nothing was stored");
    assert_eq!(world.contents("dev"), before);
    class(&world, "production", "live");
    world.snapshot();
}

#[test]
fn a_class_that_was_edited_holds_only_once_it_is_recorded() {
    let world = World::new(5);
    fs::create_dir_all(world.path("elsewhere")).unwrap();
    world.edit_json("config/development.json", |config| {
        config["data"]["repository"] = "file://./elsewhere".into();
    });
    world.pfdata(&["snapshot", "development"]).expect(0);
    let masked = world.snapshot();
    fs::create_dir_all(world.path("seeds/one/postgres")).unwrap();
    fs::write(world.path("seeds/one/postgres/1.sql"), "DELETE FROM people").unwrap();
    let init = |more: &[&str]| {
        let mut arguments = vec!["init", "production", "--reclassify", "synthetic"];
        arguments.extend(more);
        world.pfdata(&arguments)
    };
    let all = ["--reason", "sold", "--confirm", "production"];
    let into = ["--confirm", "production", "--discard-target", "production"];

    class(&world, "production", "synthetic");
    let before = world.contents("prod");
    let stored = world.files("backups");
    let load = |command: &str| {
        let mut arguments = match command {
            "refresh" => vec!["refresh", "production", "--from", &masked],
            "restore" => vec!["restore", &masked, "--to", "production"],
            _ => vec!["rollback", "production"],
        };
        arguments.extend(into);
        world.pfdata(&arguments)
    };
    for said in [
        world.pfdata(&["snapshot", "production"]),
        world.pfdata(&["snapshot", "production", "--raw", "-n"]),
        world.pfdata(&["snapshot", "production", "--anonymize"]),
        world.pfdata(&["seed", "production", "one"]),
        load("refresh"),
        load("restore"),
        load("rollback"),
    ] {
        let said = said.expect(5);
        assert!(said.stderr.contains("pfdata init production --reclassify"), "{}", said.stderr);
    }
    assert_eq!(status(&world, "production")["raw"], json!(["postgres", "redis", "mongodb"]));
    assert!(status(&world, "production")["unsettled"].is_string());
    // Nothing masked was ever loaded into it: it cannot become less than live.
    init(&all).expect(5);
    world.pfdata(&["init", "production", "--reclassify", "synthetic"]).expect(2);
    world.pfdata(&["init", "production", "--reclassify", "live", "--reason", "x"]).expect(2);
    assert_eq!(world.contents("prod"), before);
    assert_eq!(world.files("backups"), stored);

    class(&world, "production", "live");
    // With one store that stays real it is not less than live either.
    let mut one = vec!["restore", &masked, "--to", "production", "--store", "postgres"];
    one.extend(into);
    world.pfdata(&one).expect(0);
    class(&world, "production", "synthetic");
    let said = init(&all).expect(5);
    assert!(said.stderr.contains("redis") || said.stderr.contains("mongodb"), "{}", said.stderr);
    class(&world, "production", "live");
    load("restore").expect(0);
    class(&world, "production", "synthetic");
    world.pfdata(&["snapshot", "production"]).expect(5);
    let stored = world.files("backups");
    let plan = init(&["--reason", "sold", "-n"]).expect(0);
    assert!(plan.stdout.contains("live → synthetic"), "{}", plan.stdout);
    init(&["--reason", "sold"]).expect(5);
    init(&["--reason", "sold", "--confirm", "development"]).expect(5);
    init(&["--reason", " ", "--confirm", "production"]).expect(2);
    init(&["--confirm", "production"]).expect(2);
    assert_eq!(world.files("backups"), stored);
    init(&all).expect(0);
    for repository in ["backups", "elsewhere"] {
        let record = fs::read(world.path(&format!("{repository}/production/class-1.json")));
        let record: Value = serde_json::from_slice(&record.unwrap()).unwrap();
        assert_eq!((&record["from"], &record["to"]), (&json!("live"), &json!("synthetic")));
        assert_eq!(record["reason"], "sold");
        assert_eq!(record["identities"].as_array().unwrap().len(), 3);
        assert!(record["by"].as_str().unwrap().contains(" on "), "{record}");
    }
    let told = world.pfdata(&["status"]).expect(0).stdout;
    assert!(told.contains("reclassified from live to synthetic"), "{told}");
    let row = status(&world, "production");
    assert_eq!((&row["reclassified"]["reason"], &row["raw"]), (&json!("sold"), &json!([])));

    // It works as what it is now, and what is kept from when it was live does not come back.
    assert_eq!(raw_snapshot(&world, "production")["clearance"], "anonymized");
    let said = load("rollback").expect(5);
    assert!(said.stderr.contains("real data"), "{}", said.stderr);
    load("refresh").expect(0);
    // Once is enough, and a copy that is lost comes back.
    fs::remove_file(world.path("elsewhere/production/class-1.json")).unwrap();
    init(&all).expect(0);
    assert!(world.path("elsewhere/production/class-1.json").is_file());
    assert!(!world.path("backups/production/class-2.json").exists());
    // The way up is recorded too.
    class(&world, "production", "live");
    world.pfdata(&["snapshot", "production"]).expect(5);
    let up =
        ["init", "production", "--reclassify", "live", "--reason", "bought", "--confirm", "prod"];
    world.pfdata(&up).expect(0);
    assert!(world.path("backups/production/class-2.json").is_file());
    assert_eq!(raw_snapshot(&world, "production")["clearance"], "raw");
    // Two records of one number with two texts: none of them counts.
    let path = world.path("elsewhere/production/class-2.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("bought", "nothing")).unwrap();
    world.pfdata(&["snapshot", "production"]).expect(5);
}

#[test]
fn a_store_that_another_repository_records_as_live_is_refused() {
    let world = World::new(5);
    fs::create_dir_all(world.path("elsewhere")).unwrap();
    world.edit_json("config/production.json", |config| {
        config["data"]["repository"] = "file://./elsewhere".into();
    });
    world.snapshot();
    // Production has moved, says its file, and development has come in its place.
    world.edit_json("config/production.json", |config| {
        for store in ["postgres", "mongodb"] {
            config["database"][store]["database"] = "moved_away".into();
        }
        config["database"]["redis"]["db"] = json!(9);
    });
    let development = fs::read(world.path("config/development.json")).unwrap();
    fs::create_dir_all(world.path("seeds/one/postgres")).unwrap();
    fs::create_dir_all(world.path("seeds/one/mongodb")).unwrap();
    fs::create_dir_all(world.path("seeds/one/redis")).unwrap();
    fs::write(world.path("seeds/one/postgres/1.sql"), "DELETE FROM people").unwrap();
    fs::write(world.path("seeds/one/mongodb/people.jsonl"), "{}\n").unwrap();
    fs::write(world.path("seeds/one/redis/1.redis"), "FLUSHDB\n").unwrap();
    let before = world.contents("prod");
    for store in ["postgres", "mongodb", "redis"] {
        world.edit_json("config/development.json", |config| match store {
            "redis" => config["database"]["redis"]["db"] = json!(0),
            _ => config["database"][store]["database"] = world.database("prod").into(),
        });
        let confirm = ["--store", store, "--confirm", "development"];
        let mut refresh = vec!["refresh", "development"];
        refresh.extend(confirm);
        for said in [
            world.pfdata(&["snapshot", "development", "--store", store]),
            world.pfdata(&["snapshot", "development", "--anonymize", "--store", store]),
            world.pfdata(&refresh),
            world.pfdata(&["seed", "development", "one"]),
        ] {
            let said = said.expect(5);
            assert!(said.stderr.contains("production"), "{store}: {}", said.stderr);
        }
        fs::write(world.path("config/development.json"), &development).unwrap();
    }
    assert!(world.files("backups/development").is_empty());
    assert_eq!(world.contents("prod"), before);
}

// --- what a store holds ---------------------------------------------------------------------------

#[test]
fn raw_data_below_live_stays_raw_and_raises_an_alarm() {
    let world = World::new(5);
    world.snapshot();
    let raw = id(&raw_snapshot(&world, "production"));
    // How it got there: the file said so for an hour, and what was recorded then is lost.
    class(&world, "development", "live");
    world.pfdata(&["restore", &raw, "--to", "development", "--confirm", "development"]).expect(0);
    class(&world, "development", "synthetic");
    world.pfdata(&["snapshot", "development"]).expect(5);
    fs::remove_dir_all(world.path("backups/development")).unwrap();

    let alarmed = |world: &World| {
        let row = status(world, "development");
        assert_eq!(row["raw"], json!(["postgres", "redis", "mongodb"]));
        let told = world.pfdata(&["status"]).expect(0).stdout;
        assert!(told.contains("RAW DATA") && told.contains("ALARM"), "{told}");
    };
    alarmed(&world);
    let own = raw_snapshot(&world, "development");
    assert_eq!(own["clearance"], "raw");
    let own = id(&own);
    let manifest = fs::read(world.snapshot_folder(&own).join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    for store in manifest["stores"].as_array().unwrap() {
        assert_eq!((&store["held"], &store["masked_with"]), (&json!("raw"), &Value::Null));
    }
    world.pfdata(&["verify", &own]).expect(0);
    let back = ["restore", &own, "--to", "development", "--confirm", "development"];
    world.pfdata(&back).expect(5);
    // A journal of an older version does not tell: its snapshot does.
    for path in world.files("backups/jobs/development") {
        if path.ends_with("step-result.json") {
            let text = fs::read_to_string(&path).unwrap();
            let mut value: Value = serde_json::from_str(&text).unwrap();
            for held in value["stores"].as_object_mut().unwrap().values_mut() {
                held.as_object_mut().unwrap().remove("clearance");
                held.as_object_mut().unwrap().remove("at");
            }
            fs::write(&path, value.to_string()).unwrap();
        }
    }
    alarmed(&world);
    // Masked, it leaves as masked; and a refresh is the cure, which a rollback does not undo.
    let said = world.pfdata(&["snapshot", "development", "--anonymize", "--json"]).expect(0);
    assert_eq!(said.json()["clearance"], "anonymized");
    world.refresh().expect(0);
    assert_eq!(status(&world, "development")["raw"], json!([]));
    assert_eq!(raw_snapshot(&world, "development")["clearance"], "anonymized");
    world.pfdata(&["rollback", "development", "--confirm", "development"]).expect(5);
    world.refresh().expect(0);
    world.pfdata(&["rollback", "development", "--confirm", "development"]).expect(0);
    assert_eq!(status(&world, "development")["raw"], json!([]));
}

// --- what a manifest says -------------------------------------------------------------------------

#[test]
fn a_manifest_with_one_word_changed_is_found_and_refused() {
    let world = World::new(5);
    let masked = world.snapshot();
    let raw = id(&raw_snapshot(&world, "production"));
    let own = id(&raw_snapshot(&world, "development"));
    let digest = "0".repeat(64);
    let table: &[(&str, &[Edit<'_>])] = &[
        (&raw, &[("/clearance", json!("anonymized"))]),
        (&raw, &[("/class", json!("synthetic"))]),
        (&raw, &[("/class", json!("synthetic")), ("/clearance", json!("anonymized"))]),
        (&raw, &[("/class", json!("anonymized")), ("/clearance", json!("anonymized"))]),
        (
            &raw,
            &[
                ("/clearance", json!("anonymized")),
                (
                    "/anonymized",
                    json!({
            "rules_digest": digest, "key_fingerprint": "v1-0123456789abcdef", "masked": 0, "kept": 0 }),
                ),
            ],
        ),
        (
            &raw,
            &[
                ("/environment", json!("development")),
                ("/class", json!("synthetic")),
                ("/clearance", json!("anonymized")),
            ],
        ),
        (&raw, &[("/set", json!("anonymized"))]),
        (&raw, &[("/id", json!("20200101T000000Z-000000"))]),
        (&raw, &[("/created", json!("2020-01-01T00:00:00Z"))]),
        (&masked, &[("/clearance", json!("raw"))]),
        (&masked, &[("/class", json!("synthetic"))]),
        (&masked, &[("/set", json!("raw"))]),
        (&masked, &[("/anonymized", Value::Null)]),
        (&masked, &[("/anonymized/rules_digest", json!("none"))]),
        (&masked, &[("/anonymized/key_fingerprint", json!("none"))]),
        (&masked, &[("/anonymized/masked", json!(1_000))]),
        (&masked, &[("/anonymized/kept", json!(0))]),
        (&masked, &[("/anonymized/places", json!([]))]),
        (&masked, &[("/anonymized/places/0/verdict", json!("uncovered"))]),
        (
            &masked,
            &[
                ("/anonymized/places/0/store", json!("redis")),
                ("/anonymized/places/0/verdict", json!("uncovered")),
            ],
        ),
        (&own, &[("/clearance", json!("raw"))]),
        (&own, &[("/environment", json!("production"))]),
        (&own, &[("/stores/0/held", json!("raw"))]),
    ];
    let before = world.contents("dev");
    for (id, edits) in table {
        let path = world.snapshot_folder(id).join("manifest.json");
        let text = fs::read_to_string(&path).unwrap();
        let mut manifest: Value = serde_json::from_str(&text).unwrap();
        for (pointer, value) in *edits {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            let parent = manifest.pointer_mut(parent).unwrap();
            match key.parse::<usize>() {
                Ok(index) => parent[index] = value.clone(),
                Err(_) => parent[key] = value.clone(),
            }
        }
        fs::write(&path, manifest.to_string()).unwrap();
        let found = manifest["id"].as_str().unwrap();
        let said = world.pfdata(&["verify", found]);
        assert_eq!(said.code, 4, "{edits:?}: {}", said.stdout);
        let into = ["--confirm", "development"];
        for mut load in [
            vec!["refresh", "development", "--from", found],
            vec!["restore", found, "--to", "development"],
            vec!["restore", found, "--to", "production", "-n"],
        ] {
            load.extend(into);
            let said = world.pfdata(&load);
            assert_eq!(said.code, 5, "{edits:?} {load:?}: {}{}", said.stdout, said.stderr);
            assert!(said.stderr.contains("contradicts"), "{edits:?}: {}", said.stderr);
        }
        assert!(world.pfdata(&["show", found]).expect(0).stdout.contains("CONTRADICTS"));
        let listed = world.listed();
        let row = listed.iter().find(|row| row["snapshot"] == found).unwrap();
        assert_eq!(row["contradicts"], true, "{edits:?}");
        fs::write(&path, text).unwrap();
    }
    assert_eq!(world.contents("dev"), before);
    for id in [&masked, &raw, &own] {
        world.pfdata(&["verify", id]).expect(0);
        assert!(!world.pfdata(&["show", id]).expect(0).stdout.contains("CONTRADICTS"));
    }
    world.refresh().expect(0);
}

#[test]
fn an_edited_manifest_does_not_make_an_older_snapshot_the_newest() {
    let world = World::new(5);
    let older = world.snapshot();
    sleep(Duration::from_millis(1_100));
    let newer = world.snapshot();
    let path = world.snapshot_folder(&newer).join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    for (key, value) in [
        ("clearance", "raw"),
        ("set", "raw"),
        ("environment", "elsewhere"),
        ("created", "2020-01-01T00:00:00Z"),
        ("id", "20200101T000000Z-000000"),
    ] {
        let mut manifest: Value = serde_json::from_str(&text).unwrap();
        manifest[key] = value.into();
        fs::write(&path, manifest.to_string()).unwrap();
        for from in ["production", "production/anonymized", "production@latest-anonymized"] {
            let refresh = ["refresh", "development", "--from", from, "--confirm", "development"];
            let said = world.pfdata(&refresh);
            assert_eq!(said.code, 5, "{key} {from}: {}{}", said.stdout, said.stderr);
            assert!(said.stderr.contains("contradicts"), "{key}: {}", said.stderr);
        }
        let named = ["refresh", "development", "--from", &older, "-n"];
        world.pfdata(&named).expect(0);
    }
    fs::write(&path, text).unwrap();
    world.refresh().expect(0);
}

#[test]
fn a_repository_that_cannot_be_asked_is_told() {
    let world = World::new(5);
    world.snapshot();
    let staging = json!({ "data": { "class": "anonymized", "repository": "file://./nowhere" } });
    world.write_json("config/staging.json", &staging);
    for plan in [&["snapshot", "production", "-n"][..], &["refresh", "development", "-n"]] {
        let said = world.pfdata(plan).expect(0);
        assert!(said.stdout.contains("what `staging` records"), "{}", said.stdout);
    }
}

#[test]
fn a_masked_manifest_lists_its_places_and_without_them_enters_nothing_below_live() {
    let world = World::new(5);
    let masked = world.snapshot();
    let path = world.snapshot_folder(&masked).join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut manifest: Value = serde_json::from_str(&text).unwrap();
    let places = manifest["anonymized"]["places"].as_array().unwrap().clone();
    let checked = world.pfdata(&["rules", "check", "production", "--json"]).expect(0).json();
    for store in ["postgres", "redis", "mongodb"] {
        assert!(places.iter().any(|place| place["store"] == store), "{store}");
    }
    let email = places.iter().find(|place| {
        place["store"] == "postgres"
            && place["place"] == "public.people"
            && place["item"] == "email"
    });
    let email = email.unwrap();
    assert_eq!(email["verdict"], "masked");
    let twin = checked["places"].as_array().unwrap().iter().find(|place| {
        place["store"] == "postgres"
            && place["place"] == "public.people"
            && place["item"] == "email"
    });
    assert_eq!(twin.unwrap()["rule"], email["rule"]);
    assert!(!text.contains("original.example"));

    manifest["anonymized"].as_object_mut().unwrap().remove("places");
    fs::write(&path, manifest.to_string()).unwrap();
    world.pfdata(&["verify", &masked]).expect(0);
    let said = world.refresh().expect(5);
    assert!(said.stderr.contains("pfdata snapshot production"), "{}", said.stderr);
    let restore = ["restore", &masked, "--to", "development", "--confirm", "development"];
    world.pfdata(&restore).expect(5);
    world.pfdata(&["restore", &masked, "--to", "production", "-n"]).expect(0);
    sleep(Duration::from_millis(1_100));
    world.snapshot();
    world.refresh().expect(0);
}

// --- where it lies --------------------------------------------------------------------------------

/// The files of journals.
fn journals(world: &World, repository: &str) -> Vec<PathBuf> {
    world.files(&format!("{repository}/jobs"))
}

#[test]
fn everything_of_a_raw_job_lies_with_the_raw_set() {
    let world = World::new(5);
    with_vault(&world);
    world.sql("prod", "CREATE TABLE pins (pin text); INSERT INTO pins VALUES ('4711')");
    let raw = raw_snapshot(&world, "production");
    let raw = id(&raw);
    world.pfdata(&["snapshot", "production", "--raw", "--compression", "none"]).expect(0);
    let before = world.contents("prod");
    world.sql("prod", "DELETE FROM people WHERE id > 2");
    let restore = ["restore", &raw, "--to", "production", "--confirm", "production"];
    let ready = [&restore[..], &["--rollback-ready"]].concat();
    world.pfdata(&ready).expect(0);
    assert_eq!(world.contents("prod"), before);
    let shared = world.files("backups");
    for path in &shared {
        let below = path.strip_prefix(world.path("backups")).unwrap();
        assert!(
            below.starts_with("leases") || below.ends_with("pfdata.json"),
            "the shared repository holds {}",
            below.display()
        );
    }
    for below in ["jobs/production", "production/raw", "production/previous"] {
        assert!(!world.files(&format!("vault/{below}")).is_empty(), "{below}");
    }
    // The way back is found there, and so is what the stores hold.
    assert_eq!(status(&world, "production")["holds"]["postgres"]["snapshot"], raw.as_str());
    let back =
        ["rollback", "production", "--confirm", "production", "--discard-target", "production"];
    world.pfdata(&back).expect(0);
    assert_eq!(world.sql("prod", "SELECT count(*) FROM people"), "2");
    assert_eq!(world.files("backups"), shared);
    // Masked jobs stay where everybody may see them.
    world.sql("prod", "DROP TABLE pins");
    let masked = world.snapshot();
    world.pfdata(&["refresh", "development", "--confirm", "development"]).expect(0);
    assert!(!world.files(&format!("backups/production/anonymized/{masked}")).is_empty());
    for repository in ["backups", "vault"] {
        let files = journals(&world, repository);
        assert!(files.iter().any(|path| path.to_string_lossy().contains("part-")));
        for path in files {
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains("sha256") && !text.contains("digest\""), "{}", path.display());
            if path.file_name().unwrap().to_string_lossy().starts_with("part-") {
                let part: Value = serde_json::from_str(&text).unwrap();
                let keys: Vec<_> = part.as_object().unwrap().keys().cloned().collect();
                assert_eq!(keys, ["number", "kind", "path", "bytes_stored"]);
            }
        }
    }
}

#[test]
fn a_crashed_raw_job_is_cleaned_up_wherever_its_journal_is() {
    let world = World::new(20_000);
    with_vault(&world);
    let done = id(&raw_snapshot(&world, "production"));
    let unfinished = || {
        let folders = world.files("vault/production/raw");
        let of = |path: &PathBuf| {
            let below = path.strip_prefix(world.path("vault/production/raw")).unwrap().to_owned();
            below.components().next().unwrap().as_os_str().to_string_lossy().into_owned()
        };
        folders.iter().map(of).filter(|id| *id != done).count()
    };
    let mut child = world
        .command(&["snapshot", "production", "--raw"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while unfinished() == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it wrote");
        sleep(Duration::from_millis(1));
    }
    drop(child.kill());
    child.wait().unwrap();
    assert_eq!(world.listed().len(), 1);
    assert!(unfinished() > 0);
    // A masked job, whose own journal is in the shared repository, finds it.
    world.snapshot();
    assert_eq!(unfinished(), 0);
}

#[test]
fn a_load_into_production_that_crashed_is_told_and_dealt_with() {
    let world = World::new(3_000);
    with_vault(&world);
    let raw = id(&raw_snapshot(&world, "production"));
    let rows = "SELECT md5(string_agg(p::text, '' ORDER BY id)) FROM people p";
    let before = (world.counts("prod"), world.sql("prod", rows));
    let into = ["--confirm", "production", "--discard-target", "production"];
    let restore = [&["restore", &raw, "--to", "production"][..], &into].concat();
    let mut child =
        world.command(&restore).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // What is kept from before is dropped right before the load begins.
    let begun = || {
        let mut files = journals(&world, "vault").into_iter();
        files.any(|path| path.ends_with("step-dropping.json"))
    };
    while !begun() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it loaded");
        sleep(Duration::from_millis(1));
    }
    drop(child.kill());
    child.wait().unwrap();
    let crashed = status(&world, "production")["crashed"].clone();
    assert_eq!(crashed[0]["command"], "restore", "{crashed}");
    world.pfdata(&restore).expect(0);
    assert_eq!(status(&world, "production")["crashed"], json!([]));
    assert_eq!((world.counts("prod"), world.sql("prod", rows)), before);
    assert!(world.files("backups/jobs/production").is_empty());
}
