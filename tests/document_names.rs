//! Names of fields and map keys are data: through a whole snapshot and refresh, none that no rule
//! spells out arrives, and a keep by pattern opens no door beside a mask.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

mod common;

use std::fs;

use common::{RULES, World};
use mongodb::bson::{Document, doc};

/// What must not leave production, as names and as values.
const PLANTED: [&str; 5] = ["Ann Lee", "ann-tablet", "s3cret", "4111-9999", "Zoe"];

fn world(rules: &str) -> World {
    let world = World::new(4);
    fs::write(world.path("anonymizers/people.toml"), format!("{RULES}\n{rules}")).unwrap();
    let documents: Vec<Document> = (1..=200)
        .map(|n| {
            doc! {
                "_id": n,
                "devices": { "ann-tablet": { "ip": "10.0.0.1", "seen": n } },
                "profile": { "name": "s3cret", "Ann Lee": { "name": "s3cret", "x": [{ "Zoe": 1 }] } },
                "kind": "guest",
            }
        })
        .collect();
    let guests = world.collection("prod", "guests");
    world.wait(async { guests.insert_many(documents).await.unwrap() });
    world.sql(
        "prod",
        "CREATE TABLE settings (id int PRIMARY KEY, doc jsonb NOT NULL);
         INSERT INTO settings SELECT n, '{\"by\": {\"Ann Lee\": {\"pin\": \"4111-9999\", \"on\": true}}}' FROM generate_series(1, 5) n",
    );
    world
}

const COVERED: &str = r#"
[mongodb.guests]
_id = "keep"
"devices.*.ip" = { use = "ip", names = "hash" }
"devices.*.seen" = "keep"
profile = { use = "text", on_error = "null", names = "hash" }
"**.name" = "keep"
kind = "keep"
[postgres."public.settings"]
id = "keep"
doc = { json = { "$.by" = { use = "mask", on_error = "redact", names = "hash" }, "$..pin" = "keep", "$..on" = "keep" } }
"#;

#[test]
fn no_name_that_no_rule_spells_out_arrives() {
    let world = world(COVERED);
    world.snapshot();
    world.refresh().expect(0);
    let guests = world.collection("dev", "guests");
    let found = world.wait(async {
        let mut found = Vec::new();
        let mut cursor = guests.find(doc! {}).await.unwrap();
        while cursor.advance().await.unwrap() {
            found.push(cursor.deserialize_current().unwrap());
        }
        found
    });
    let settings = world.sql("dev", "SELECT doc FROM settings");
    let all = format!("{found:?}\n{settings}");
    for planted in PLANTED {
        assert!(!all.contains(planted), "{planted}: {all}");
    }
    assert_eq!(found.len(), 200);
    assert_eq!(found[0].get_str("kind").unwrap(), "guest");
    // One name stays one name, and what is below it stays where it was.
    let names: Vec<&String> =
        found.iter().flat_map(|guest| guest.get_document("devices").unwrap().keys()).collect();
    assert!(names.iter().all(|name| *name == names[0] && name.len() == 32), "{names:?}");
    let device = found[6].get_document("devices").unwrap().get_document(names[0]).unwrap();
    assert_eq!(device.get_i32("seen").unwrap(), found[6].get_i32("_id").unwrap());
    assert!(settings.contains("\"pin\"") && settings.lines().count() == 5, "{settings}");
}

#[test]
fn a_name_that_no_rule_decides_about_stops_the_job_and_is_not_told() {
    for open in [
        COVERED.replace("{ use = \"ip\", names = \"hash\" }", "\"ip\""),
        COVERED.replace("on_error = \"null\", names = \"hash\"", "on_error = \"null\""),
        COVERED.replace("on_error = \"redact\", names = \"hash\"", "on_error = \"redact\""),
    ] {
        let world = world(&open);
        let said =
            world.pfdata(&["snapshot", "production", "--store", "postgres,mongodb"]).expect(4);
        assert!(said.stderr.contains("names of fields"), "{}", said.stderr);
        for planted in PLANTED {
            assert!(!said.stderr.contains(planted), "{planted}: {}", said.stderr);
        }
    }
}
