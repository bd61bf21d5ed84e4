//! What `rules check` and `rules preview` say of a live environment, and what they keep to
//! themselves.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

mod common;

use common::World;
use mongodb::bson::doc;

#[test]
fn a_preview_shows_as_much_as_was_asked_for_and_nothing_real() {
    let world = World::new(10);
    for (limit, expected) in [("1", 1), ("4", 4), ("50", 10)] {
        let arguments =
            ["rules", "preview", "production", "--limit", limit, "--only", "people", "--json"];
        let said = world.pfdata(&arguments).expect(0);
        assert!(!said.stdout.contains("original.example"), "{}", said.stdout);
        let previews = said.json()["previews"].as_array().unwrap().clone();
        for store in ["postgres", "mongodb"] {
            let shown = previews.iter().filter(|preview| preview["store"] == store).count();
            assert_eq!(shown, expected, "{store}: {}", said.stdout);
        }
    }
}

#[test]
fn a_check_finds_what_no_rule_covers_and_tells_no_data() {
    let world = World::new(10);
    world.pfdata(&["rules", "check", "production"]).expect(0);
    let people = world.collection("prod", "people");
    let more = doc! { "$push": { "contacts": { "kJhGf7sAq": 1, "movedAt": 2 } } };
    world.wait(async { people.update_one(doc! { "_id": 7_i64 }, more).await.unwrap() });
    // A name that one document alone has may be data; one that many have is none.
    let more = doc! { "$push": { "contacts": { "movedAt": 2 } } };
    world.wait(async { people.update_one(doc! { "_id": 8_i64 }, more).await.unwrap() });
    world.redis(0, "SET token:kJhGfDsAqWeRtYuIoPzX 1");
    let said = world.pfdata(&["rules", "check", "production"]).expect(4);
    let text = format!("{}{}", said.stdout, said.stderr);
    assert!(text.contains("token:<…>"), "{text}");
    assert!(text.contains("contacts[].movedAt") && text.contains("contacts[].<…>"), "{text}");
    assert!(!text.contains("kJhGf"), "{text}");
}
