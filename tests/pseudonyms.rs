//! Pseudonyms that fit: spellings that a unique index tells apart, draws per record, and what a
//! type or a check would refuse, over real stores and through a load.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

mod common;

use std::fs;

use common::{RULES, World};

/// Adds rules for Postgres to those of the world.
fn rule(world: &World, more: &str) {
    fs::write(world.path("anonymizers/people.toml"), RULES).unwrap();
    fs::write(world.path("anonymizers/more.toml"), format!("version = 1\n{more}")).unwrap();
}

const LOGINS: &str = "
    CREATE TABLE logins (email text PRIMARY KEY, at date);
    INSERT INTO logins VALUES ('Bob@X.com', '2026-01-01'), ('bob@x.com', '2026-01-02'),
        ('BOB@x.com', NULL), (' bob@x.com', NULL), ('jose\u{301}@x.com', NULL),
        ('jos\u{e9}@x.com', NULL), ('JOS\u{c9}@x.com', NULL), ('Single@x.com', NULL);
    CREATE TABLE visits (id int PRIMARY KEY, email text REFERENCES logins);
    INSERT INTO visits SELECT row_number() OVER (), email FROM logins;";

#[test]
fn spellings_of_one_value_survive_the_load_and_foreign_keys_follow() {
    let world = World::new(5);
    world.sql("prod", LOGINS);
    rule(
        &world,
        "[postgres.\"public.*\"]\nemail = { use = \"email\", link = \"person.email\", unique = true }\n\
         [postgres.\"public.logins\"]\nat = \"keep\"\n[postgres.\"public.visits\"]\nid = \"keep\"\n",
    );
    world.snapshot();
    world.refresh();
    assert_eq!(world.sql("dev", "SELECT count(*) FROM logins").trim(), "8");
    let joined = "SELECT count(*) FROM visits JOIN logins USING (email)";
    assert_eq!(world.sql("dev", joined).trim(), "8");
    let bobs = "SELECT count(*) FROM logins WHERE lower(btrim(email)) = \
                (SELECT email FROM logins WHERE at = '2026-01-02')";
    assert_eq!(world.sql("dev", bobs).trim(), "4", "they differ in case and spaces alone");
    let plain = "SELECT count(*) FROM logins WHERE email LIKE '%x.com'";
    assert_eq!(world.sql("dev", plain).trim(), "0");
}

#[test]
fn spellings_that_cannot_be_kept_apart_stop_the_snapshot_with_a_count() {
    let world = World::new(5);
    world.sql(
        "prod",
        "CREATE TABLE logins (email varchar(28) PRIMARY KEY);
         INSERT INTO logins VALUES ('bob@x.com'), (' bob@x.com'), ('  bob@x.com'), ('ann@x.com')",
    );
    rule(&world, "[postgres.\"public.logins\"]\nemail = { use = \"email\", unique = true }\n");
    let said = world.pfdata(&["snapshot", "production"]).expect(4);
    assert!(said.stderr.contains("`email` of public.logins holds 2 values"), "{}", said.stderr);
    assert!(!said.stderr.contains("bob"), "{}", said.stderr);
    assert!(world.listed().is_empty());
}

#[test]
fn references_spelled_otherwise_than_their_target_stay_joined_or_stop_the_snapshot() {
    let world = World::new(5);
    world.sql(
        "prod",
        "CREATE EXTENSION citext;
         CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE users (\"na'me\" citext PRIMARY KEY);
         CREATE TABLE tags (tag text COLLATE folding, n int, PRIMARY KEY (tag, n));
         CREATE TABLE visits (id int PRIMARY KEY, \"na'me\" citext REFERENCES users);
         CREATE TABLE tagged (id int PRIMARY KEY, tag text COLLATE folding, n int,
             FOREIGN KEY (tag, n) REFERENCES tags);
         INSERT INTO users VALUES ('Bob'), ('ann');
         INSERT INTO visits VALUES (1, 'bob'), (2, 'ann'), (3, 'BOB');
         INSERT INTO tags VALUES ('Red', 1), ('blue', 1);
         INSERT INTO tagged VALUES (1, 'red', 1), (2, 'blue', 1);",
    );
    let rules = |name: &str, tag: &str| {
        rule(
            &world,
            &format!(
                "[postgres.\"public.users\"]\n\"na'me\" = {name}\n[postgres.\"public.visits\"]\nid = \"keep\"\n\
                 [postgres.\"public.tags\"]\ntag = {tag}\nn = \"keep\"\n\
                 [postgres.\"public.tagged\"]\nid = \"keep\"\nn = \"keep\"\n"
            ),
        );
    };
    let folds = "{ use = \"email\", unique = true }";
    for (name, tag, told) in [
        ("\"hash\"", folds, "`na'me` of public.visits refers to 2 values"),
        (folds, "\"hash\"", "`tag` of public.tagged refers to 1 values"),
    ] {
        rules(name, tag);
        let said = world.pfdata(&["snapshot", "production"]).expect(4);
        assert!(said.stderr.contains(told), "{}", said.stderr);
        assert!(!said.stderr.to_lowercase().contains("bob"), "{}", said.stderr);
    }
    rules(folds, folds);
    world.snapshot();
    world.refresh();
    let joined = "SELECT count(*) FROM visits JOIN users USING (\"na'me\")";
    assert_eq!(world.sql("dev", joined).trim(), "3");
    assert_eq!(
        world.sql("dev", "SELECT count(*) FROM tagged JOIN tags USING (tag, n)").trim(),
        "2"
    );
}

#[test]
fn what_a_domain_a_check_or_a_type_refuses_is_told_before_the_first_row() {
    let world = World::new(5);
    world.sql(
        "prod",
        "CREATE DOMAIN code AS text CHECK (VALUE ~ '^[A-Z]{3}-[0-9]+$');
         CREATE DOMAIN grade AS int CONSTRAINT is_grade CHECK (VALUE BETWEEN 1 AND 6);
         CREATE TYPE mood AS ENUM ('good', 'bad');
         CREATE TABLE things (id int PRIMARY KEY, code code, grade grade, mood mood,
             mail text CONSTRAINT is_mail CHECK (mail LIKE '%@%'),
             note text CONSTRAINT told CHECK (note IS NOT NULL), span tsrange, bits bit(4));
         INSERT INTO things VALUES (1, 'ABC-1', 2, 'good', 'a@b', 'n', 'empty', '1010')",
    );
    let fit = [
        ("code", "{ use = \"constant\", value = \"AAA-0\" }"),
        ("grade", "{ use = \"choice\", values = [1, 2, 3] }"),
        ("mood", "{ use = \"choice\", values = [\"good\", \"bad\"] }"),
        ("mail", "\"email\""),
        ("note", "\"redact\""),
        ("span", "{ use = \"constant\", value = \"empty\" }"),
        ("bits", "{ use = \"constant\", value = \"0000\" }"),
    ];
    let with = |column: &str, rule_text: &str| {
        let mut text = "[postgres.\"public.things\"]\nid = \"keep\"\n".to_owned();
        for (name, known) in fit {
            let chosen = if name == column { rule_text } else { known };
            text.push_str(&format!("{name} = {chosen}\n"));
        }
        rule(&world, &text);
    };
    for (column, rule_text, what) in [
        ("code", "\"redact\"", "code_check"),
        ("code", "\"hash\"", "code_check"),
        ("grade", "\"redact\"", "is_grade"),
        ("grade", "{ use = \"choice\", values = [1, 2, 3, 4, 5, 6, 7] }", "is_grade"),
        ("mood", "{ use = \"constant\", value = \"glad\" }", "mood refuses"),
        ("mail", "\"redact\"", "is_mail"),
        ("mail", "\"name\"", "is_mail"),
        ("note", "\"null\"", "told"),
        ("span", "{ use = \"constant\", value = \"x\" }", "tsrange refuses"),
        ("span", "\"redact\"", "tsrange"),
        ("bits", "{ use = \"constant\", value = \"12\" }", "bit(4) refuses"),
    ] {
        with(column, rule_text);
        let said = world.pfdata(&["snapshot", "production"]).expect(2);
        assert!(said.stderr.contains(what), "{column} {rule_text}: {}", said.stderr);
        assert!(said.stderr.contains(column), "{column}: {}", said.stderr);
    }
    with("", "");
    world.snapshot();
    world.refresh();
    assert_eq!(world.sql("dev", "SELECT count(*) FROM things").trim(), "1");
}

#[test]
fn spellings_in_documents_survive_the_load() {
    use mongodb::bson::{Document, doc};
    let world = World::new(5);
    let logins = world.collection("prod", "logins");
    world.wait(async {
        let index = |keys: Document| {
            let unique = mongodb::options::IndexOptions::builder().unique(true).build();
            mongodb::IndexModel::builder().keys(keys).options(unique).build()
        };
        let indexes = [
            index(doc! { "email": 1 }),
            index(doc! { "all.email": 1 }),
            index(doc! { "list.0": 1 }),
            index(doc! { "_id.mail": 1 }),
        ];
        logins.create_indexes(indexes).await.unwrap();
        let texts = [
            "Bob@x.com",
            "bob@x.com",
            "BOB@x.com ",
            "jos\u{e9}@x.com",
            "JOS\u{c9}@x.com",
            "jose\u{301}@x.com",
            "Single@x.com",
        ];
        let documents = texts.iter().enumerate().map(|(id, text)| {
            doc! {
                "_id": { "n": id as i32, "mail": *text }, "email": *text, "all": [{ "email": *text }], "list": [*text],
            }
        });
        logins.insert_many(documents).await.unwrap();
    });
    rule(
        &world,
        "[mongodb.logins]\n\"_id.n\" = \"keep\"\n\
         \"_id.mail\" = { use = \"email\", unique = true }\n\
         \"list[]\" = { use = \"email\", unique = true }\n\
         email = { use = \"email\", link = \"person.email\", unique = true }\n\
         \"all[].email\" = { use = \"email\", link = \"person.email\", unique = true }\n",
    );
    world.snapshot();
    world.refresh();
    let made = world.collection("dev", "logins");
    world.wait(async {
        assert_eq!(made.count_documents(doc! {}).await.unwrap(), 7);
        let single = made.find_one(doc! { "_id.n": 6 }).await.unwrap().unwrap();
        let single = single.get_str("email").unwrap().to_owned();
        assert_eq!(single, single.to_lowercase(), "without a rival it stays");
        let same = doc! { "$expr": { "$ne": [{ "$first": "$all.email" }, "$email"] } };
        assert_eq!(made.count_documents(same).await.unwrap(), 0);
    });
}

#[test]
fn records_draw_and_move_alike_over_tables_and_stores() {
    let world = World::new(5);
    world.sql(
        "prod",
        "CREATE TABLE patients (id int PRIMARY KEY, born date, sex char(1));
         INSERT INTO patients SELECT n, '1980-02-29', CASE WHEN n % 2 = 0 THEN 'm' ELSE 'f' END
           FROM generate_series(1, 200) n;
         CREATE TABLE stays (id int PRIMARY KEY, patient int, came timestamptz, went timestamptz);
         INSERT INTO stays SELECT n, n, '2026-03-28 23:30:00+00', '2026-03-29 01:30:00+00'
           FROM generate_series(1, 200) n",
    );
    let shift = |field: &str| {
        format!("{{ use = \"date_shift\", by = {{ field = \"{field}\", link = \"patient\" }} }}")
    };
    rule(
        &world,
        &format!(
            "[postgres.\"public.patients\"]\nid = \"keep\"\nborn = {}\n\
             sex = {{ use = \"choice\", values = [\"m\", \"f\"] }}\n\
             [postgres.\"public.stays\"]\nid = \"keep\"\npatient = \"keep\"\ncame = {}\nwent = {}\n",
            shift("id"),
            shift("patient"),
            shift("patient")
        ),
    );
    world.snapshot();
    world.refresh();
    let one = |sql: &str| world.sql("dev", sql).trim().to_owned();
    assert_eq!(one("SELECT count(*) FROM stays WHERE went - came = '2 hours'"), "200");
    let together = "SELECT count(*) FROM patients p JOIN stays s ON s.patient = p.id \
                    WHERE p.born - date '1980-02-29' = (s.came AT TIME ZONE 'UTC')::date - date '2026-03-28'";
    assert_eq!(one(together), "200");
    let apart: u32 = one("SELECT count(DISTINCT born) FROM patients").parse().unwrap();
    assert!(apart > 20, "{apart}");
    let same = "SELECT count(*) FROM patients WHERE (sex = 'm') = (id % 2 = 0)";
    let same: u32 = one(same).parse().unwrap();
    assert!((60..140).contains(&same), "{same}: a draw agrees with half of the originals");
}

#[test]
fn redacted_json_keeps_its_kind() {
    let world = World::new(5);
    world.sql(
        "prod",
        "CREATE TABLE docs (id int PRIMARY KEY, j jsonb CHECK (jsonb_typeof(j) <> 'x'), k json);
         INSERT INTO docs SELECT row_number() OVER (), v::jsonb, v::json FROM unnest(ARRAY[
             '{\"a\": 1}', '[1, {\"a\": 2}]', '\"text\"', '-5.5', 'true', 'null', '[]', '{}']) v",
    );
    rule(&world, "[postgres.\"public.docs\"]\nid = \"keep\"\nj = \"redact\"\nk = \"redact\"\n");
    world.snapshot();
    world.refresh();
    let kinds = |part: &str, column: &str| {
        world.sql(
            part,
            &format!("SELECT string_agg(jsonb_typeof({column}::jsonb), ' ' ORDER BY id) FROM docs"),
        )
    };
    for column in ["j", "k"] {
        assert_eq!(kinds("dev", column), kinds("prod", column));
        let made = world
            .sql("dev", &format!("SELECT string_agg({column}::text, ' ' ORDER BY id) FROM docs"));
        assert_eq!(made.trim(), "{} [] \"[redacted]\" 0 false null [] {}");
    }
}

/// Rules that a load would break on, each with what the refusal says.
#[test]
fn what_partitions_foreign_keys_and_unique_indexes_would_refuse_stops_the_snapshot() {
    let world = World::new(5);
    world.sql(
        "prod",
        "CREATE TABLE days (id int NOT NULL, day date NOT NULL, tag text) PARTITION BY RANGE (day);
         CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2020-01-01') TO ('2020-02-01')
             PARTITION BY HASH (lower(tag));
         CREATE TABLE days_2 PARTITION OF days_1 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
         INSERT INTO days VALUES (1, '2020-01-02', 'a');
         CREATE TABLE homes (id int PRIMARY KEY, land text NOT NULL, since date NOT NULL,
             UNIQUE (id, land), UNIQUE (id, since));
         INSERT INTO homes VALUES (1, 'de', '2020-01-01'), (2, 'fr', '2020-01-01');
         CREATE TABLE stays (id int PRIMARY KEY, home int, land text, since date,
             FOREIGN KEY (home, land) REFERENCES homes (id, land),
             FOREIGN KEY (home, since) REFERENCES homes (id, since));
         INSERT INTO stays VALUES (9, 1, 'de', '2020-01-01');
         CREATE TABLE logins (id int PRIMARY KEY, mail text,
             folded text GENERATED ALWAYS AS (lower(mail)) STORED UNIQUE,
             one text, UNIQUE NULLS NOT DISTINCT (one));
         INSERT INTO logins (id, mail, one) VALUES (1, 'a@x', 'a'), (2, 'b@x', NULL);
         CREATE DOMAIN mail AS text CONSTRAINT is_mail CHECK (VALUE LIKE '%@%');
         CREATE TABLE lists (id int PRIMARY KEY, mails mail[]);
         INSERT INTO lists VALUES (1, '{a@x}')",
    );
    let rules =
        |day: &str, tag: &str, land: &str, since: &str, mail: &str, one: &str, mails: &str| {
            format!(
                "[postgres.\"public.days\"]\nid = \"keep\"\nday = {day}\ntag = {tag}\n\
             [postgres.\"public.homes\"]\nid = \"keep\"\nland = {land}\nsince = {since}\n\
             [postgres.\"public.stays\"]\nid = \"keep\"\n\
             [postgres.\"public.logins\"]\nid = \"keep\"\nmail = {mail}\none = {one}\n\
             [postgres.\"public.lists\"]\nid = \"keep\"\nmails = {mails}\n"
            )
        };
    let keep = "\"keep\"";
    let unique = "{ use = \"email\", unique = true }";
    rule(
        &world,
        &rules(
            "{ use = \"date_shift\", by = \"id\" }",
            "\"redact\"",
            "\"country\"",
            "{ use = \"date_shift\", by = \"id\" }",
            "\"email\"",
            "\"null\"",
            keep,
        ),
    );
    let said = world.pfdata(&["snapshot", "production"]).expect(2).stderr;
    for told in [
        "column `day` of public.days_2: it belongs to the partition key",
        "column `tag` of public.days_2: it belongs to the partition key",
        "column `land` of public.stays: `country` draws for each row",
        "column `since` of public.stays: `date_shift` draws for each row",
        "column `mail` of public.logins: the unique index on",
        "column `one` of public.logins: the unique index on",
    ] {
        assert!(said.contains(told), "{told}\n{said}");
    }
    assert!(said.contains("6 problems"), "{said}");

    rule(&world, &rules(keep, keep, keep, keep, unique, keep, "{ each = \"redact\" }"));
    let said = world.pfdata(&["snapshot", "production"]).expect(2).stderr;
    assert!(said.contains("the check `is_mail` of its type"), "{said}");

    rule(
        &world,
        &rules(keep, keep, "\"hash\"", "\"redact\"", unique, keep, "{ each = \"email\" }"),
    );
    world.snapshot();
    world.refresh();
    let joined =
        "SELECT count(*) FROM stays JOIN homes ON homes.id = home AND homes.land = stays.land";
    assert_eq!(world.sql("dev", joined).trim(), "1");
}

#[test]
fn what_an_index_of_documents_refuses_is_told_before_the_first_document() {
    use mongodb::bson::{Document, doc};
    let world = World::new(5);
    let places = world.collection("prod", "places");
    world.wait(async {
        let index = |keys: Document| mongodb::IndexModel::builder().keys(keys).build();
        let texts = doc! { "title": "text", "parts.text": "text" };
        places
            .create_indexes([index(doc! { "at.point": "2dsphere" }), index(texts)])
            .await
            .unwrap();
        let point = doc! { "type": "Point", "coordinates": [179.9, 51.5] };
        places
            .insert_one(doc! { "_id": 1, "title": "dogs", "language": "english",
            "parts": [{ "text": "perros", "language": "spanish" }], "at": { "point": point } })
            .await
            .unwrap();
    });
    let rules = |at: &str, language: &str, part: &str| {
        let text = format!(
            "[mongodb.places]\n_id = \"keep\"\ntitle = \"redact\"\n{at}\nlanguage = {language}\n\
             \"parts[].text\" = \"redact\"\n\"parts[].language\" = {part}\n"
        );
        rule(&world, &text);
    };
    let languages = "{ use = \"choice\", values = [\"french\", \"none\"] }";
    let (keep, redact) = ("\"keep\"", "\"redact\"");
    let kept = "at = \"keep\"";
    for (at, language, part, place) in [
        (
            "\"at.point.coordinates[]\" = { use = \"number_noise\", ratio = 0.1 }\n\
          \"at.point.type\" = \"keep\"",
            keep,
            keep,
            "at.point.coordinates",
        ),
        ("at = \"hash\"", keep, keep, "at.point"),
        ("\"at.point\" = { use = \"constant\", value = \"x\" }", keep, keep, "at.point"),
        ("\"**.coordinates\" = \"null\"\nat = \"keep\"", keep, keep, "at.point.coordinates"),
        (kept, redact, keep, "language"),
        (kept, "\"null\"", keep, "language"),
        (kept, keep, redact, "parts.language"),
        (kept, keep, "{ use = \"choice\", values = [\"french\", \"klingon\"] }", "parts.language"),
    ] {
        rules(at, language, part);
        let said = world.pfdata(&["snapshot", "production"]).expect(2);
        assert!(said.stderr.contains(&format!("`{place}` of `places`")), "{at}: {}", said.stderr);
    }
    for (at, language, part) in [
        (kept, keep, languages),
        ("\"at.point\" = \"null\"", "\"drop\"", keep),
        ("at = \"redact\"", keep, keep),
        ("\"at.point\" = \"keep\"\n\"at.note\" = \"redact\"", keep, keep),
    ] {
        rules(at, language, part);
        world.snapshot();
        world.refresh();
        let places = world.collection("dev", "places");
        let count = world.wait(async { places.count_documents(doc! {}).await });
        assert_eq!(count.unwrap(), 1);
    }
}

#[test]
fn spellings_inside_of_unique_arrays_stay_apart() {
    let world = World::new(5);
    world.sql(
        "prod",
        "CREATE TABLE lists (id int PRIMARY KEY, mails text[] UNIQUE);
         INSERT INTO lists VALUES (1, '{Bob@x.com}'), (2, '{bob@x.com}'), (3, '{{ bob@x.com},{a@x}}'),
             (4, '{}'), (5, NULL), (6, '{NULL}')",
    );
    rule(
        &world,
        "[postgres.\"public.lists\"]\nid = \"keep\"\n\
         mails = { each = { use = \"email\", unique = true } }\n",
    );
    world.snapshot();
    world.refresh();
    assert_eq!(world.sql("dev", "SELECT count(DISTINCT mails) FROM lists").trim(), "5");
    let folded = "SELECT count(DISTINCT lower(mails::text)) FROM lists WHERE id < 3";
    assert_eq!(world.sql("dev", folded).trim(), "1");
}
