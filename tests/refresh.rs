//! The main job, end to end: snapshot, refresh, rollback, restore, on real stores.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

mod common;

use common::{World, index};

#[test]
fn a_refresh_brings_every_row_and_no_original_address() {
    let world = World::new(500);
    let before = world.contents("dev");
    world.snapshot();
    let said = world.refresh().expect(0).json();
    assert_eq!(world.counts("dev"), world.counts("prod"));
    let after = world.contents("dev");
    assert!(!after.to_lowercase().contains("original.example"), "{after}");
    assert!(!after.contains("Name1"), "names are masked");

    // One person stays one person, in every store and kind of place.
    let email = world.sql("dev", "SELECT email FROM people WHERE id = 7");
    assert!(email.contains("@example."), "{email}");
    let nested = world.sql("dev", "SELECT about #>> '{contact,email}' FROM people WHERE id = 7");
    assert_eq!(nested, email);
    assert_eq!(world.sql("dev", "SELECT mails[1] FROM people WHERE id = 7"), email);
    assert_eq!(world.redis(index::DEV, &format!("HGET user:{email}:profile visits\n")), "7");
    assert_eq!(world.redis(index::DEV, &format!("HGET user:{email}:profile email\n")), email);
    assert!(world.redis(index::DEV, "GET cart:7\n").contains(&email));
    assert!(
        after.contains(&format!("\"_id\": Int64(7), \"email\": String(\"{email}\")")),
        "{email}"
    );
    assert_eq!(after.matches(&email).count(), 3 + 2 + 3, "{email} in {after}");

    // What was there before is kept and comes back.
    assert_eq!(said["previous_kept"], true);
    world.rollback().expect(0);
    assert_eq!(world.contents("dev"), before);
    // And the rollback can be rolled back.
    world.rollback().expect(0);
    assert_eq!(world.contents("dev"), after);
}

#[test]
fn a_raw_snapshot_comes_back_into_production_as_it_was() {
    let world = World::new(200);
    let before = world.contents("prod");
    let raw = world.snapshot_with(&["--raw"]);
    let id = raw["snapshot"].as_str().unwrap();
    assert_eq!(raw["clearance"], "raw");
    world.sql(
        "prod",
        "DELETE FROM people WHERE id % 2 = 0; ALTER TABLE people DROP COLUMN name CASCADE",
    );
    world.redis(index::PROD, "FLUSHDB\nSET new 1\n");
    world.restore(id).into("production").rollback_ready().expect(0);
    assert_eq!(world.contents("prod"), before);
    assert_eq!(world.sql("prod", "SELECT count(*) FROM names"), "200", "the view is back");
    let next = world.sql(
        "prod",
        "INSERT INTO people (email, name, about, mails) VALUES ('x', 'x', '{}', '{}') RETURNING id",
    );
    assert_eq!(next, "201", "identity columns go on where they were");
}

#[test]
fn the_target_is_queried_while_it_is_refreshed() {
    let world = World::new(300);
    world.snapshot();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut seen = std::collections::BTreeSet::new();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                // A connection may be ended by the swap; a wrong answer may not be given.
                if let Some(count) = world.try_sql("dev", "SELECT count(*) FROM people") {
                    seen.insert(count);
                }
            }
            assert!(seen.iter().all(|count| count == "3" || count == "300"), "{seen:?}");
        });
        let said = world.refresh();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        said.expect(0);
    });
    assert_eq!(world.counts("dev"), (300, 300, 600));
}

#[test]
fn stores_can_be_emptied_or_kept() {
    let world = World::new(50);
    world.edit_json("config/development.json", |config| {
        config["data"]["refresh"]["stores"] =
            serde_json::json!({ "postgres": "empty", "mongodb": "keep", "redis": "snapshot" });
    });
    world.snapshot();
    world.refresh().expect(0);
    assert_eq!(world.counts("dev"), (0, 3, 100));
    assert_eq!(world.sql("dev", "SELECT count(*) FROM names"), "0", "the structure is there");
}

#[test]
fn seeds_come_on_top_and_by_hand() {
    let world = World::new(20);
    for folder in ["postgres", "mongodb", "redis"] {
        std::fs::create_dir_all(world.path(&format!("seeds/base/{folder}"))).unwrap();
    }
    let write = |below: &str, text: &str| std::fs::write(world.path(below), text).unwrap();
    write(
        "seeds/base/postgres/10_login.sql",
        "INSERT INTO public.people (email, name, about, mails) VALUES ('dev@local', 'Dev', '{}', '{}') ON CONFLICT (email) DO NOTHING;",
    );
    write(
        "seeds/base/mongodb/people.jsonl",
        "{\"_id\": {\"$numberLong\": \"77777\"}, \"email\": \"dev@local\"}\n",
    );
    write("seeds/base/redis/10_flags.redis", "SET flag:dev \"on\"\n");
    world.edit_json("config/development.json", |config| {
        config["data"]["refresh"]["seeds"] = serde_json::json!(["base"]);
    });
    world.snapshot();
    world.refresh().expect(0);
    assert_eq!(world.counts("dev"), (21, 21, 41));
    world.redis(index::DEV, "DEL flag:dev\n");
    world.sql("dev", "DELETE FROM people WHERE email = 'dev@local'");
    world.pfdata(&["seed", "development", "base"]).expect(0);
    world.pfdata(&["seed", "development"]).expect(0);
    assert_eq!(world.counts("dev"), (21, 21, 41), "twice is as once");
    world.pfdata(&["seed", "production", "base"]).expect(5);
    // A file that fails leaves nothing of itself.
    write("seeds/base/postgres/20_wrong.sql", "DELETE FROM public.people; SELECT 1/0;");
    world.pfdata(&["seed", "development"]).expect(1);
    assert_eq!(world.counts("dev"), (21, 21, 41));
}

#[test]
fn keys_keep_the_time_they_had_left() {
    let world = World::new(5);
    let set = std::time::Instant::now();
    world.redis(index::PROD, "SET cart:t1 '{\"email\":\"a@b.example\"}' EX 1000\nSET cart:t2 '{\"email\":\"a@b.example\"}' PX 3000\n");
    let raw = world.raw_snapshot();
    world.snapshot();
    std::thread::sleep(std::time::Duration::from_secs(4));
    world.refresh().expect(0);
    let left: i64 = world.redis(index::DEV, "TTL cart:t1\n").parse().unwrap();
    let gone = || i64::try_from(set.elapsed().as_secs()).unwrap();
    // Of the time since then, the four seconds between snapshot and refresh do not count.
    assert!(left >= 1000 - gone() + 3, "a refresh gives the time that was left: {left}");
    // The moment of an RDB is told in whole seconds.
    assert!(left <= 1001, "{left}");
    let said = world.restore(&raw).into("production").rollback_ready().json();
    let left: i64 = world.redis(index::PROD, "TTL cart:t1\n").parse().unwrap();
    assert!((left - (1000 - gone())).abs() <= 2, "a restore keeps the moment: {left}");
    let redis =
        said["collections"].as_array().unwrap().iter().find(|one| one["store"] == "redis").unwrap();
    assert_eq!((redis["records"].as_u64(), redis["expired"].as_u64()), (Some(11), Some(1)));
}

#[test]
fn a_partial_snapshot_is_found_by_its_id_only() {
    let world = World::new(40);
    world.sql("prod", "CREATE TABLE other (id int); INSERT INTO other VALUES (1)");
    let rules = format!("{}\n[postgres.\"public.other\"]\nid = \"keep\"\n", common::RULES);
    std::fs::write(world.path("anonymizers/people.toml"), rules).unwrap();
    let whole = world.snapshot();
    let partial = world.snapshot_with(&["--store", "postgres", "--only", "public.people"]);
    let id = partial["snapshot"].as_str().unwrap();
    assert_eq!(partial["records"], 40);
    let latest = world.pfdata(&["show", "production@latest", "--json"]).expect(0).json();
    assert_eq!(latest["id"], whole.as_str());
    world.refresh_of("development").from(id).expect(2);
    // Loading it would drop the tables that it left out.
    world.refresh_of("development").from(id).store("postgres").expect(2);
    assert_eq!(world.counts("dev"), (3, 3, 6));
    let redis = world.snapshot_with(&["--store", "redis"]);
    let redis = redis["snapshot"].as_str().unwrap();
    world.refresh_of("development").from(redis).store("redis").expect(0);
    assert_eq!(world.counts("dev"), (3, 3, 80));
}

#[test]
fn a_rollback_takes_the_last_load_back_and_no_other() {
    let world = World::new(30);
    world.snapshot();
    world.refresh().expect(0);
    world.redis(index::PROD, "SET cart:999 '{\"email\":\"new@original.example\"}'\n");
    world.snapshot();
    world.refresh_of("development").store("redis").expect(0);
    assert_eq!(world.counts("dev"), (30, 30, 61));
    world.rollback_of("development").confirmed_as("dev").expect(0);
    assert_eq!(world.counts("dev"), (30, 30, 60), "postgres and mongodb stay");
    world.rollback_of("development").confirmed_as("dev").expect(0);
    assert_eq!(world.counts("dev"), (30, 30, 61));
}

#[test]
fn the_first_load_into_nothing_has_nothing_to_go_back_to() {
    let world = World::new(20);
    world.snapshot();
    world.admin(&format!("DROP DATABASE {}", world.database("dev")));
    let said = world.refresh().expect(0).json();
    assert_eq!(said["previous_kept"], false);
    assert_eq!(world.counts("dev"), (20, 20, 40));
    // The other two stores alone would be of another load than this one.
    let said = world.rollback().expect(10);
    assert!(said.stderr.contains("nothing is kept of postgres"), "{}", said.stderr);
    assert_eq!(world.counts("dev"), (20, 20, 40));
    world.refresh().expect(0);
    world.rollback().expect(0);
    assert_eq!(world.counts("dev"), (20, 20, 40));
}

#[test]
fn a_load_that_is_refused_leaves_the_way_back() {
    let world = World::new(20);
    world.snapshot();
    let before = world.contents("dev");
    world.refresh().expect(0);
    world.redis(index::PROD, "CONFIG SET maxmemory 1gb\nCONFIG SET maxmemory-policy allkeys-lru\n");
    let said = world.refresh().expect(5);
    assert!(said.stderr.contains("evicts"), "{}", said.stderr);
    world.redis(index::PROD, "CONFIG SET maxmemory 0\n");
    world.rollback().expect(0);
    assert_eq!(world.contents("dev"), before);
}

#[test]
fn a_redis_without_room_is_refused_while_there_is_a_way_back() {
    let world = World::new(20);
    world.snapshot();
    let before = world.contents("dev");
    world.refresh().expect(0);
    let loaded = world.contents("dev");
    let carts: String = (0..20_000)
        .map(|n| format!("SET cart:9{n} '{{\"email\":\"person{n}@original.example\"}}'\n"))
        .collect();
    world.redis(0, &carts);
    world.snapshot();
    let info = world.redis(0, "INFO memory\n");
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    let used: u64 = used.trim().parse().unwrap();
    world.redis(0, &format!("CONFIG SET maxmemory {}\n", used + (1 << 20)));
    let said = world.refresh().expect(5);
    assert!(said.stderr.contains("redis has no room"), "{}", said.stderr);
    assert_eq!(world.contents("dev"), loaded);
    world.pfdata(&["rollback", "development", "--confirm", "development"]).expect(0);
    assert_eq!(world.contents("dev"), before);
    // With room it goes on, and what is kept from before does not count twice.
    world.redis(0, &format!("CONFIG SET maxmemory {}\n", 4 * used));
    for _ in 0..3 {
        world.refresh().expect(0);
    }
}

#[test]
fn large_objects_of_any_size_come_back() {
    let world = World::new(3);
    world.sql(
        "prod",
        "SELECT lo_from_bytea(77000, convert_to(repeat('0123456789', 300000), 'UTF8'));
         SELECT lo_from_bytea(77001, '')",
    );
    let digest = "SELECT md5(lo_get(77000)), length(lo_get(77001))";
    let before = world.sql("prod", digest);
    let raw = world.raw_snapshot();
    world.sql("prod", "SELECT lo_unlink(77000)");
    world.restore(&raw).into("production").discarding().expect(0);
    assert_eq!(world.sql("prod", digest), before);
    let uncovered = world.pfdata(&["snapshot", "production"]).expect(4);
    assert!(uncovered.stderr.contains("pg_largeobject"), "{}", uncovered.stderr);
}

#[test]
fn an_index_is_emptied_with_a_snapshot_that_has_no_redis() {
    let world = World::new(20);
    world.edit_json("config/development.json", |config| {
        config["data"]["refresh"]["stores"] =
            serde_json::json!({ "postgres": "keep", "mongodb": "keep", "redis": "empty" });
    });
    let postgres = world.snapshot_with(&["--store", "postgres"]);
    let refresh = || world.refresh_of("development").from(postgres["snapshot"].as_str().unwrap());
    refresh().with(&["--dry-run"]).expect(0);
    assert_eq!(world.counts("dev"), (3, 3, 6));
    refresh().expect(0);
    assert_eq!(world.counts("dev"), (3, 3, 0));
    world.rollback().expect(0);
    assert_eq!(world.counts("dev"), (3, 3, 6));
}

#[test]
fn a_redis_seed_that_fails_fails_the_refresh() {
    let world = World::new(10);
    std::fs::create_dir_all(world.path("seeds/base/redis")).unwrap();
    // Redis finds this only while it executes, and does not take the first command back.
    std::fs::write(world.path("seeds/base/redis/10.redis"), "SET flag 1\nLPUSH flag x\n").unwrap();
    world.edit_json("config/development.json", |config| {
        config["data"]["refresh"]["seeds"] = serde_json::json!(["base"]);
    });
    world.snapshot();
    let before = world.contents("dev");
    let said = world.refresh().expect(1);
    assert!(said.stderr.contains("10.redis") && said.stderr.contains("line 2"), "{}", said.stderr);
    assert_eq!(world.contents("dev"), before);
    assert_eq!(world.redis(index::SPARE, "DBSIZE\n"), "0", "nothing of it is left");
    // By hand it is the live index that was changed in part.
    world.pfdata(&["seed", "development", "base"]).expect(3);
}

#[test]
fn names_of_groups_and_functions_do_not_pass_a_mask() {
    let world = World::new(5);
    let with = |names: &str| {
        let rules = format!(
            "{}\n[redis.\"events:*\"]\nstream = {{ email = {{ use = \"email\", link = \"person.email\" }} }}\n\
             {names}\n[redis.\"kept:*\"]\nstream = {{ \"*\" = \"keep\" }}\n\
             [redis.\"left:*\"]\naction = \"keep\"\n",
            common::RULES
        );
        std::fs::write(world.path("anonymizers/people.toml"), rules).unwrap();
    };
    let streams = ["events:a", "events:b", "kept:a", "left:a"];
    for stream in streams {
        world.redis(
            index::PROD,
            &format!(
                "XADD {stream} * email a@original.example\nXGROUP CREATE {stream} workers 0\n\
                 XREADGROUP GROUP workers annes-laptop COUNT 1 STREAMS {stream} >\n"
            ),
        );
    }
    world.redis(
        index::PROD,
        "FUNCTION LOAD REPLACE \"#!lua name=billing\\nredis.register_function('f', function() return 1 end)\"\n",
    );
    with("");
    let told = world.pfdata(&["snapshot", "production", "--anonymize"]).expect(4).stderr;
    assert!(told.contains("redis key events:* (names)"), "{told}");
    with("names = \"hash\"");
    let id = world.snapshot();
    let shown = world.pfdata(&["show", &id, "--json"]).expect(0).stdout;
    assert!(shown.contains("1 function libraries were left out: billing"), "{shown}");
    world.refresh().expect(0);
    // The keys of the masked streams have other names now.
    let groups = |stream: &str| world.redis(index::DEV, &format!("XINFO GROUPS {stream}\n"));
    assert!(groups("kept:a").contains("workers") && groups("left:a").contains("workers"));
    let keys = world.redis(index::DEV, "KEYS events:*\n");
    assert_eq!(keys.lines().count(), 2, "{keys}");
    for key in keys.lines() {
        assert!(key != "events:a" && key != "events:b", "{key}");
        let group = groups(key);
        assert!(group.contains("pending") && !group.contains("workers"), "{group}");
        let name = group.lines().nth(1).unwrap();
        let consumers = world.redis(index::DEV, &format!("XINFO CONSUMERS {key} {name}\n"));
        assert!(
            consumers.contains("pending") && !consumers.contains("annes-laptop"),
            "{consumers}"
        );
    }
}
