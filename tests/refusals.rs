//! What is refused, with the exit code of the contract and without touching anything.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

mod common;

use std::fs;

use common::{World, index};
use serde_json::json;

#[test]
fn real_data_never_enters_development() {
    let world = World::new(10);
    let raw = world.raw_snapshot();
    let before = world.contents("dev");
    for from in [raw.as_str(), "production/raw", "production@latest"] {
        world.refresh_of("development").from(from).expect(5);
        world.restore(&raw).into("development").discarding().expect(5);
    }
    assert_eq!(world.contents("dev"), before);
    world.refresh_of("development").expect(10);
    world.refresh_of("production").from(&raw).expect(5);
    // Not even when the manifest lies about where it came from.
    let manifest = world.snapshot_folder(&raw).join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"set\": \"raw\"", "\"set\": \"anonymized\"")).unwrap();
    world.refresh_of("development").from(&raw).expect(5);
}

#[test]
fn what_no_rule_covers_stops_the_snapshot() {
    let world = World::new(10);
    let refused = |what: &str| {
        let said = world.pfdata(&["snapshot", "production"]).expect(4);
        assert!(said.stderr.contains(what), "{}", said.stderr);
        assert!(!said.stderr.contains("leaked"), "values are never shown: {}", said.stderr);
        assert!(world.listed().is_empty());
        assert!(world.files("backups/production").is_empty());
    };
    world.sql("prod", "ALTER TABLE people ADD COLUMN phone text DEFAULT 'leaked'");
    refused("phone");
    world.sql("prod", "ALTER TABLE people DROP COLUMN phone");
    world.sql(
        "prod",
        "UPDATE people SET about = about || '{\"secret\": \"leaked\"}' WHERE id IN (5, 6)",
    );
    refused("secret");
    world.sql("prod", "UPDATE people SET about = about - 'secret'");
    let people = world.collection("prod", "people");
    world.wait(async {
        use mongodb::bson::doc;
        people
            .update_many(
                doc! { "_id": { "$in": [3, 4] } },
                doc! { "$set": { "contacts.0.phone": "leaked" } },
            )
            .await
            .unwrap();
    });
    refused("contacts[].phone");
    world.wait(async {
        use mongodb::bson::doc;
        people.update_many(doc! {}, doc! { "$unset": { "contacts.0.phone": "" } }).await.unwrap();
    });
    world.redis(index::PROD, "SET token:1 leaked\n");
    refused("token");
    world.redis(index::PROD, "DEL token:1\nLPUSH cart:1000 leaked\n");
    refused("list");
    world.redis(index::PROD, "DEL cart:1000\n");
    world.snapshot();
}

#[test]
fn rules_that_cannot_hold_are_configuration_errors() {
    let world = World::new(5);
    let with = |from: &str, to: &str, code: i32, what: &str| {
        fs::write(world.path("anonymizers/people.toml"), common::RULES.replace(from, to)).unwrap();
        let said = world.pfdata(&["snapshot", "production"]).expect(code);
        assert!(said.stderr.contains(what), "{}", said.stderr);
    };
    with("name = \"name\"", "name = \"name\"\nnickname = \"keep\"", 2, "nickname");
    with("name = \"name\"", "name = \"nmae\"", 2, "name");
    with("name = \"name\"\n", "", 4, "name");
    with("id = \"keep\"", "id = \"email\"", 2, "id");
    with("name = \"name\"", "name = \"null\"", 2, "name");
    with(
        "link = \"person.email\", unique = true }\nname",
        "link = \"person.email\" }\nname",
        0,
        "",
    );
    with(
        "email = { use = \"email\", link = \"person.email\", unique = true }\nname",
        "email = \"name\"\nname",
        2,
        "unique",
    );
    with("version = 1", "version = 2", 2, "version");
    with("[postgres", "[postgers", 2, "postgers");
}

#[test]
fn a_change_needs_its_confirmation() {
    let world = World::new(5);
    let id = world.snapshot();
    let before = world.contents("dev");
    let started = std::time::Instant::now();
    let said = world.refresh_of("development").unconfirmed().expect(5);
    assert!(said.stderr.contains("--confirm development"), "{}", said.stderr);
    assert!(started.elapsed().as_secs() < 5, "never a wait");
    world.refresh_of("development").confirmed_as("staging").expect(5);
    world.restore(&id).into("development").unconfirmed().expect(5);
    world.restore(&id).into("production").expect(5);
    world.refresh_of("development").unconfirmed().with(&["--yes"]).expect(2);
    world.rollback().expect(10);
    assert_eq!(world.contents("dev"), before);
    let files = world.files("backups");
    let plan = world.refresh_of("development").dry_run().expect(0);
    assert!(plan.stdout.contains("swap") && plan.stdout.contains(&id), "{}", plan.stdout);
    world.pfdata(&["snapshot", "production", "-n"]).expect(0);
    assert_eq!(world.files("backups"), files, "a dry run touches nothing");
    assert_eq!(world.contents("dev"), before);
}

#[test]
fn live_is_only_acted_on_by_name() {
    let world = World::new(5);
    let output = world.command(&["refresh"]).env("PFDATA_ENV", "production").output().unwrap();
    assert_eq!(output.status.code(), Some(5));
}

#[test]
fn two_environments_never_share_a_store() {
    let world = World::new(5);
    world.snapshot();
    world.edit_json("config/development.json", |config| {
        config["database"]["postgres"]["database"] = json!(world.database("prod"));
    });
    world.refresh().expect(5);
    // Nor does anything else touch it, or call what is in it masked.
    fs::create_dir_all(world.path("seeds/one/postgres")).unwrap();
    fs::write(world.path("seeds/one/postgres/1.sql"), "DELETE FROM people").unwrap();
    for command in [
        &["snapshot", "development"][..],
        &["seed", "development", "one"],
        &["rollback", "development", "--confirm", "development"],
    ] {
        let said = world.pfdata(command).expect(5);
        assert!(said.stderr.contains("postgres of `development` is configured"), "{}", said.stderr);
    }
    // Production's own backup does not depend on what others have in their files.
    world.snapshot();
    // Nor when production is not configured here, and only its snapshot tells.
    fs::remove_file(world.path("config/production.json")).unwrap();
    let id = world.listed()[0]["snapshot"].as_str().unwrap().to_owned();
    world.refresh_of("development").from(&id).expect(5);
    world.pfdata(&["snapshot", "development"]).expect(5);
    assert_eq!(world.listed().len(), 2);
    assert_eq!(world.counts("prod"), (5, 5, 10));
}

#[test]
fn an_older_snapshot_is_never_taken_for_the_newest_one() {
    let world = World::new(5);
    let older = world.snapshot();
    // Ids tell seconds.
    let next_second = || std::thread::sleep(std::time::Duration::from_millis(1100));
    next_second();
    let newer = world.snapshot();
    let before = world.contents("dev");
    fs::write(world.snapshot_folder(&newer).join("manifest.json"), "{\"format\": 1}").unwrap();
    let said = world.refresh().expect(1);
    assert!(said.stderr.contains(&newer) && said.stderr.contains(&older), "{}", said.stderr);
    assert_eq!(world.contents("dev"), before);
    world.refresh_of("development").from(&older).expect(0);
    // One that is older than what is taken stands in nobody's way.
    next_second();
    world.snapshot();
    world.refresh().expect(0);
}

#[test]
fn a_repository_that_cannot_be_told_is_not_passed_over() {
    let world = World::new(5);
    world.snapshot();
    let staging = json!({ "data": { "class": "anonymized", "repository": "${NOBODY_SET_THIS}" } });
    world.write_json("config/staging.json", &staging);
    let said = world.pfdata(&["verify", "--all"]).expect(4);
    assert!(said.stderr.contains("staging") || said.stdout.contains("staging"), "{}", said.stderr);
    let said = world.pfdata(&["list"]).expect(0);
    assert!(said.stderr.contains("staging"), "{}", said.stderr);
    world.refresh().expect(0);
}

#[test]
fn unreachable_stores_are_exit_12_and_tell_no_secret() {
    let world = World::new(5);
    let secret = "hunter2-is-no-secret";
    let with = |path: &[&str], value: serde_json::Value, what: &str| {
        let before = fs::read_to_string(world.path("config/production.json")).unwrap();
        world.edit_json("config/production.json", |config| {
            let mut place = &mut config["database"];
            for key in path {
                place = &mut place[*key];
            }
            *place = value;
        });
        let said = world.pfdata(&["snapshot", "production", "-vvv"]).expect(12);
        assert!(said.stderr.contains(what), "{}", said.stderr);
        assert!(said.stderr.contains("hint:"), "{}", said.stderr);
        assert!(!said.stderr.contains(secret), "{}", said.stderr);
        assert!(world.listed().is_empty());
        fs::write(world.path("config/production.json"), before).unwrap();
    };
    with(&["postgres", "port"], json!(1), "postgres");
    with(&["postgres", "database"], json!("does not exist"), "does not exist");
    with(
        &["postgres"],
        json!({ "url": common::postgres_url(), "database": "postgres", "username": "locked_out", "password": secret }),
        "locked_out",
    );
    with(&["redis", "port"], json!(1), "redis");
    world.redis(index::PROD, "CONFIG SET requirepass right\n");
    with(&["redis", "password"], json!(secret), "redis");
    world.redis(index::PROD, "AUTH right\nCONFIG SET requirepass \"\"\n");
    with(
        &["mongodb"],
        json!({ "host": "127.0.0.1", "port": 1, "database": "x", "connectionTimeout": 2000 }),
        "mongodb",
    );
    world.snapshot();
}

#[test]
fn the_repository_is_checked_before_it_is_trusted() {
    let world = World::new(5);
    let id = world.snapshot();
    let manifest = world.snapshot_folder(&id).join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen("\"format\": 1", "\"format\": 2", 1)).unwrap();
    let said = world.pfdata(&["show", &id]).expect(5);
    assert!(said.stderr.contains("format 2"), "{}", said.stderr);
    assert!(world.listed().is_empty());
    fs::write(&manifest, &text).unwrap();
    world.pfdata(&["show", &id]).expect(0);
    let marker = world.path("backups/pfdata.json");
    let whole = fs::read_to_string(&marker).unwrap();
    fs::write(&marker, whole.replace("\"features\":[]", "\"features\":[\"deduplication\"]"))
        .unwrap();
    world.pfdata(&["list"]).expect(5);
    fs::write(&marker, whole).unwrap();
    world.edit_json("config/default.json", |config| {
        config["data"]["repository_id"] = json!("00000000-0000-4000-8000-000000000000");
    });
    world.pfdata(&["snapshot", "production"]).expect(12);
    world.edit_json("config/default.json", |config| {
        config["data"].as_object_mut().unwrap().remove("repository_id");
        config["data"]["repository"] = json!("file://./nowhere");
    });
    world.pfdata(&["snapshot", "production"]).expect(12);
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let world = World::new(5);
    for arguments in [&["init"][..], &["init", "production"]] {
        let said = world.pfdata(arguments).expect(2);
        assert!(
            said.stderr.contains("init") && said.stderr.contains("not built"),
            "{}",
            said.stderr
        );
    }
    for command in ["anonymize", "migrate", "retention", "drill", "export", "report"] {
        let said = world.pfdata(&[command, "production", "--flag"]).expect(2);
        assert!(
            said.stderr.contains(command) && said.stderr.contains("not built"),
            "{}",
            said.stderr
        );
    }
    for arguments in [
        &["refresh", "development", "--fresh"][..],
        &["restore", "latest", "--to", "development", "--in-place"],
        &["seed", "development", "--scale", "2"],
        &["verify", "--all", "--against", "development"],
    ] {
        let said = world.pfdata(arguments).expect(2);
        assert!(said.stderr.contains("not built"), "{}", said.stderr);
    }
    let keys = [
        (
            "encryption",
            json!({ "algorithm": "aes-256-gcm", "key": "0123456789012345678901234567890123456789" }),
        ),
        ("limits", json!({ "rate": "200MiB/s" })),
    ];
    for (key, value) in keys {
        world.edit_json("config/production.json", |config| config["data"][key] = value);
        let said = world.pfdata(&["snapshot", "production"]).expect(2);
        assert!(said.stderr.contains(key), "{}", said.stderr);
        world.edit_json("config/production.json", |config| {
            config["data"].as_object_mut().unwrap().remove(key);
        });
    }
    world.snapshot();
    world.edit_json("config/development.json", |config| {
        config["data"]["refresh"]["hooks"] = json!({ "before": [["true"]] });
    });
    world.refresh().expect(2);
}

#[test]
fn an_unset_name_is_told_with_its_file_and_key() {
    let world = World::new(5);
    let output =
        world.command(&["snapshot", "production"]).env_remove("PFDATA_TEST_KEY").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    for word in ["PFDATA_TEST_KEY", "default.json", "anonymize.key"] {
        assert!(stderr.contains(word), "{word} in {stderr}");
    }
}

#[test]
fn another_spelling_of_a_host_is_the_same_store() {
    let world = World::new(5);
    world.snapshot();
    let mut staging: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(world.path("config/development.json")).unwrap())
            .unwrap();
    let url = common::postgres_url().replace("127.0.0.1", "localhost");
    staging["database"] = json!({ "postgres": { "url": url, "database": world.database("dev") } });
    world.write_json("config/staging.json", &staging);
    let said = world.refresh().expect(5);
    assert!(said.stderr.contains("staging"), "{}", said.stderr);
    staging["database"]["postgres"]["url"] = "${NOT_SET_HERE}".into();
    world.write_json("config/staging.json", &staging);
    let said = world.refresh_of("development").dry_run().expect(0);
    assert!(said.stdout.contains("not known"), "{}", said.stdout);
}

#[test]
fn stores_masked_with_two_keys_never_meet() {
    let world = World::new(10);
    world.snapshot();
    world.refresh().expect(0);
    // Its own unruled snapshot is masked still.
    let own = world.pfdata(&["snapshot", "development", "--json"]).expect(0).json();
    let own = own["snapshot"].as_str().unwrap().to_owned();
    world.restore(&own).into("development").expect(0);
    world.edit_json("config/default.json", |config| {
        config["data"]["anonymize"]["key"] = common::OTHER_KEY.into();
    });
    world.snapshot();
    let said = world.refresh_of("development").store("redis").expect(5);
    assert!(said.stderr.contains("another key"));
    world.refresh().expect(0);
}

#[test]
fn what_belongs_to_pfdata_is_not_for_users() {
    let world = World::new(5);
    world.pfdata(&["snapshot", "development", "--set", "previous"]).expect(2);
    fs::copy(world.path("config/development.json"), world.path("config/jobs.json")).unwrap();
    world.pfdata(&["list"]).expect(2);
}

#[test]
fn credentials_in_the_schema_stop_a_masked_snapshot() {
    let world = World::new(5);
    world.sql(
        "prod",
        "CREATE FOREIGN DATA WRAPPER wrapper; CREATE SERVER other FOREIGN DATA WRAPPER wrapper;
         CREATE USER MAPPING FOR CURRENT_USER SERVER other OPTIONS (password 'hunter2-in-the-schema')",
    );
    let said = world.pfdata(&["snapshot", "production"]).expect(4);
    assert!(said.stderr.contains("other") && !said.stderr.contains("hunter2"), "{}", said.stderr);
    world.pfdata(&["snapshot", "production", "--raw"]).expect(0);
}

#[test]
fn one_damaged_file_does_not_stop_the_rest() {
    let world = World::new(5);
    let id = world.snapshot();
    world.refresh().expect(0);
    fs::write(world.path("backups/leases/development.json"), "").unwrap();
    fs::write(world.snapshot_folder(&id).join("facts/verified-x.json"), "{").unwrap();
    assert_eq!(world.listed().len(), 2, "with what is kept of mongodb");
    world.refresh().expect(0);
    world.edit_json("config/production.json", |config| {
        config["data"]["snapshots"] = json!({ "raw": { "repository": "s3://prod-backups" } });
    });
    world.refresh().expect(0);
    world.pfdata(&["snapshot", "production", "--raw"]).expect(2);
    let done = world
        .files("backups/jobs/development")
        .into_iter()
        .find(|path| path.ends_with("done.json"));
    fs::write(done.unwrap(), "").unwrap();
    let status = world.pfdata(&["status"]).expect(0);
    assert!(status.stdout.contains("damaged"), "{}", status.stdout);
    let refused = world.refresh().expect(1);
    assert!(refused.stderr.contains("done.json"), "{}", refused.stderr);
}
