//! What `rules check` and `rules preview` say of a live environment, and what they keep to
//! themselves.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

mod common;

use std::fs;

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
    world.wait(async { people.update_many(doc! { "_id": { "$gt": 6_i64 } }, more).await.unwrap() });
    world.redis(0, "SET token:kJhGfDsAqWeRtYuIoPzX 1");
    let said = world.pfdata(&["rules", "check", "production"]).expect(4);
    let text = format!("{}{}", said.stdout, said.stderr);
    assert!(text.contains("token:<…>"), "{text}");
    assert!(text.contains("contacts[].movedAt") && text.contains("contacts[].<…>"), "{text}");
    assert!(!text.contains("kJhGf"), "{text}");
}

/// Adds SQL to production and gives back what `rules check --missing` prints.
fn missing(world: &World, code: i32) -> String {
    world.pfdata(&["rules", "check", "production", "--missing"]).expect(code).stdout
}

#[test]
fn the_missing_rules_are_a_file_that_stops_only_at_its_placeholders() {
    let world = World::new(5);
    assert_eq!(missing(&world, 0), "");
    world.sql(
        "prod",
        "CREATE TABLE shops (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title varchar(40) NOT NULL,
             \"odd \"\"name.\\ü\n\" text, created_at timestamptz, UNIQUE (title));
         CREATE TABLE visits (id serial PRIMARY KEY, shop_id uuid REFERENCES shops, person bigint REFERENCES people (id));
         CREATE TABLE log (at date NOT NULL, what jsonb, mail text) PARTITION BY RANGE (at);
         CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
         INSERT INTO shops (title) VALUES ('A'), ('B');
         INSERT INTO visits (shop_id, person) SELECT id, 1 FROM shops;
         INSERT INTO log VALUES ('2026-02-01', '{}', 'ann@original.example');",
    );
    let orders = world.collection("prod", "orders");
    world.wait(async {
        orders.insert_one(doc! { "_id": 1, "mail": "x", "lines": [{ "n": 1 }] }).await.unwrap()
    });
    world.redis(0, "SET token:kJhGfDsAqWeRtYuIoPzX 1");
    world.redis(0, "HSET basket:77 a 1");
    let text = missing(&world, 4);
    assert!(text.contains("# shop_id uuid: follows public.shops.id"), "{text}");
    // The person follows a column that has a rule: nothing lacks there.
    assert!(!text.contains("person") || text.contains("person."), "{text}");
    assert!(text.contains("[postgres.\"public.log\"]") && !text.contains("log_1"), "{text}");
    assert!(!text.contains("kJhGf"), "{text}");
    fs::write(world.path("anonymizers/more.toml"), &text).unwrap();
    assert_eq!(missing(&world, 0), "");
    let said = world.pfdata(&["snapshot", "production", "--store", "postgres"]).expect(4);
    let placeholders = text.split("\n[mongodb").next().unwrap().matches("= \"?\"").count();
    assert!(
        said.stderr.contains(&format!("no rule covers {placeholders} places")),
        "{text}{}",
        said.stderr
    );
    // Decided as proposed, nothing is left.
    let mut decided = String::new();
    for line in text.split("\n[mongodb").next().unwrap().lines() {
        let proposal =
            line.split_once("; proposed: ").map(|(_, text)| text.split(" or {").next().unwrap());
        match (line.split_once("= \"?\""), proposal) {
            (Some((key, _)), Some(proposal)) => decided.push_str(&format!("{key}= {proposal}\n")),
            _ => decided.push_str(&format!("{line}\n")),
        }
    }
    fs::write(world.path("anonymizers/more.toml"), decided).unwrap();
    world.pfdata(&["snapshot", "production", "--store", "postgres"]).expect(0);
}

#[test]
fn what_an_uncovered_place_prints_can_be_pasted() {
    let world = World::new(2);
    world.sql(
        "prod",
        "CREATE TABLE shops (id integer PRIMARY KEY, mail text NOT NULL UNIQUE, \"a.\"\"b\" boolean)",
    );
    for _ in 0..3 {
        let said =
            world.pfdata(&["snapshot", "production", "--store", "postgres", "--json"]).expect(4);
        let error: serde_json::Value =
            serde_json::from_str(said.stderr.lines().last().unwrap()).unwrap();
        let hint = error["hint"].as_str().unwrap();
        let section = &hint[hint.find('[').unwrap()..];
        let number = world.files("anonymizers").len();
        let file = world.path(&format!("anonymizers/pasted{number}.toml"));
        fs::write(file, format!("version = 1\n{section}\n")).unwrap();
    }
    world.pfdata(&["snapshot", "production", "--store", "postgres"]).expect(0);
}

#[test]
fn a_star_covers_only_what_was_reviewed() {
    let world = World::new(5);
    world.sql(
        "prod",
        "CREATE TABLE settings (key text PRIMARY KEY, value text);
        CREATE TABLE base (id int); CREATE TABLE child (note text) INHERITS (base)",
    );
    let people = world.collection("prod", "people");
    let open = "version = 1\n[postgres.\"public.settings\"]\n\"*\" = \"keep\"\n[postgres.\"public.base\"]\n\"*\" = \"keep\"\nid = \"keep\"\n[mongodb.people]\n\"*\" = { use = \"keep\", names = \"keep\" }\n";
    fs::write(world.path("anonymizers/open.toml"), open).unwrap();
    let set = serde_json::json!({ "reviewed_only": true });
    let path = world.path("config/production.json");
    let mut config: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    config["data"]["snapshots"] = serde_json::json!({ "anonymized": set });
    fs::write(&path, config.to_string()).unwrap();
    let stars = ["public.settings key", "public.settings value", "public.child note"];
    let said = world.pfdata(&["rules", "check", "production", "--strict"]).expect(4);
    for place in stars {
        assert!(
            said.stdout.contains(&format!("not reviewed: postgres {place}")),
            "{}",
            said.stdout
        );
    }
    assert!(!said.stdout.contains("not reviewed: postgres public.child id"), "{}", said.stdout);
    let said = world.pfdata(&["snapshot", "production"]).expect(4);
    assert!(said.stderr.contains("postgres public.settings key"), "{}", said.stderr);
    // A dry run writes nothing.
    world.pfdata(&["rules", "review", "production", "-n"]).expect(0);
    assert!(!world.path("anonymizers/reviewed.toml").exists());
    let other = "# mine\n[reviewed.staging]\nplaces = [\"x\"]\n";
    fs::write(world.path("anonymizers/reviewed.toml"), other).unwrap();
    world.pfdata(&["rules", "review", "production"]).expect(0);
    let file = fs::read_to_string(world.path("anonymizers/reviewed.toml")).unwrap();
    assert!(file.starts_with(other) && file.contains("\"postgres public.child note\""), "{file}");
    world.pfdata(&["rules", "check", "production", "--strict"]).expect(0);
    world.pfdata(&["snapshot", "production"]).expect(0);
    // What comes later stops both, and is named.
    world.sql("prod", "ALTER TABLE settings ADD secret text");
    for arguments in
        [&["rules", "check", "production", "--strict"][..], &["snapshot", "production"]]
    {
        let said = world.pfdata(arguments).expect(4);
        let text = format!("{}{}", said.stdout, said.stderr);
        assert!(text.contains("postgres public.settings secret"), "{text}");
    }
    world.sql("prod", "ALTER TABLE settings DROP secret");
    world.wait(async {
        people.update_many(doc! {}, doc! { "$set": { "nickname": "Bo" } }).await.unwrap()
    });
    for arguments in
        [&["rules", "check", "production", "--strict"][..], &["snapshot", "production"]]
    {
        let said = world.pfdata(arguments).expect(4);
        let text = format!("{}{}", said.stdout, said.stderr);
        assert!(text.contains("mongodb people nickname"), "{text}");
    }
}

#[test]
fn a_preview_shows_no_kept_original() {
    let world = World::new(3);
    let said = world.pfdata(&["rules", "preview", "production", "--json"]).expect(0);
    let previews = said.json()["previews"].as_array().unwrap().clone();
    let of =
        |store: &str| previews.iter().find(|one| one["store"] == store).unwrap()["masked"].clone();
    assert_eq!(of("postgres")["id"], "‹kept›");
    assert!(of("postgres")["about"].as_str().unwrap().contains("‹kept›"), "{}", of("postgres"));
    assert_eq!(of("mongodb")["_id"], "‹kept›");
    let said = world.pfdata(&["rules", "preview", "production", "--show-kept"]).expect(5);
    assert!(!said.stdout.contains("‹kept›") && said.stdout.is_empty(), "{}", said.stdout);
}

#[test]
fn the_plan_says_what_a_star_keeps_and_which_file_masks_nothing() {
    let world = World::new(1);
    let open = "version = 1\n[postgres.\"public.settings\"]\n\"*\" = \"keep\"\n";
    fs::write(world.path("anonymizers/open.toml"), open).unwrap();
    let said = world.pfdata(&["snapshot", "production", "-n"]).expect(0);
    let text = format!("{}{}", said.stdout, said.stderr);
    assert!(text.contains("no rule of open.toml masks anything"), "{text}");
    assert!(
        text.contains("open.toml:3 keeps every text column of public.settings by a star"),
        "{text}"
    );
}
