//! What a masked snapshot carries besides rows: its structure, judged and told; and that nothing
//! stays of a job that failed or was killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod common;

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{RULES, World};
use mongodb::bson::doc;

const SECRET: &str = "s3cr3t-of-the-app-0815";
const ROLE_SECRET: &str = "it's a role's \\ own secret";

/// Settings of the database and of a role in it, which pg_dump writes into its archive.
fn set_secrets(world: &World, role: &str) {
    let database = world.database("prod");
    world.admin(&format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role}"));
    world.admin(&format!("ALTER DATABASE {database} SET \"app.jwt_secret\" TO '{SECRET}'"));
    world.admin(&format!(
        "ALTER ROLE {role} IN DATABASE {database} SET \"app.role_key\" TO '{}'",
        ROLE_SECRET.replace('\'', "''")
    ));
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn settings_with_secrets_stay_out_of_every_file_of_a_masked_snapshot() {
    let world = World::new(20);
    let role = format!("{}_role", world.name);
    set_secrets(&world, &role);
    let said = world.pfdata(&["snapshot", "production", "--compression", "none", "--json"]);
    let id = said.expect(0).json()["snapshot"].as_str().unwrap().to_owned();
    let folder = world.snapshot_folder(&id);
    let doubled = ROLE_SECRET.replace('\'', "''");
    let mut looked_at = 0;
    for path in world.files("backups") {
        let bytes = fs::read(&path).unwrap();
        looked_at += 1;
        for secret in [SECRET, ROLE_SECRET, &doubled, "own secret"] {
            assert!(!holds(&bytes, secret), "{} holds {secret}", path.display());
        }
    }
    assert!(looked_at > 5);
    // The archive is one that pg_restore reads, whole.
    let archive = folder.join("postgres/schema.dump");
    let listed = Command::new("pg_restore").arg("--list").arg(&archive).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("TABLE public people") && !listed.contains("DATABASE PROPERTIES"));
    let sql = Command::new("pg_restore").arg("--file=-").arg(&archive).output().unwrap();
    assert!(sql.status.success(), "{}", String::from_utf8_lossy(&sql.stderr));
    assert!(String::from_utf8_lossy(&sql.stdout).contains("CREATE VIEW public.names"));
    let told = fs::read_to_string(folder.join("postgres/database.json")).unwrap();
    assert!(told.contains("app.jwt_secret") && told.contains("app.role_key"));
    world.refresh().expect(0);
    // A raw snapshot is a backup: it holds them.
    let raw = world.pfdata(&["snapshot", "production", "--raw", "--compression", "none", "--json"]);
    let raw = raw.expect(0).json()["snapshot"].as_str().unwrap().to_owned();
    let archive = fs::read(world.snapshot_folder(&raw).join("postgres/schema.dump")).unwrap();
    assert!(holds(&archive, SECRET));
    world.admin(&format!("ALTER DATABASE {} RESET ALL", world.database("prod")));
    world.admin(&format!("ALTER ROLE {role} IN DATABASE {} RESET ALL", world.database("prod")));
    world.admin(&format!("DROP ROLE {role}"));
}

#[test]
fn a_withheld_value_that_stands_elsewhere_too_ends_the_snapshot() {
    let world = World::new(5);
    let database = world.database("prod");
    world.admin(&format!("ALTER DATABASE {database} SET \"app.key\" TO '{SECRET}'"));
    for (make, undo, place) in [
        (
            format!("CREATE FUNCTION leak() RETURNS text LANGUAGE sql AS $$ SELECT '{SECRET}' $$"),
            "DROP FUNCTION leak()",
            "function public.leak()",
        ),
        (
            format!(
                "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET \"app.key\" = '{SECRET}' AS 'SELECT 1'"
            ),
            "DROP FUNCTION f()",
            "function public.f()",
        ),
        (
            format!("COMMENT ON TABLE people IS 'key {SECRET}'"),
            "COMMENT ON TABLE people IS NULL",
            "comment",
        ),
        (format!("CREATE VIEW w AS SELECT '{SECRET}'::text AS x"), "DROP VIEW w", "view public.w"),
        (
            format!(
                "ALTER TABLE people ADD COLUMN k text DEFAULT '{SECRET}'; ALTER TABLE people ALTER k SET DEFAULT '{SECRET}'; UPDATE people SET k = NULL"
            ),
            "ALTER TABLE people DROP COLUMN k",
            "table public.people",
        ),
    ] {
        world.sql("prod", &make);
        let rules = RULES.replace("name = \"name\"", "name = \"name\"\n\"k*\" = \"null\"");
        fs::write(world.path("anonymizers/people.toml"), rules).unwrap();
        let said = world.pfdata(&["snapshot", "production"]).expect(4);
        assert!(said.stderr.contains(place) && said.stderr.contains("app.key"), "{}", said.stderr);
        assert!(!said.stderr.contains(SECRET), "{}", said.stderr);
        assert!(world.listed().is_empty());
        world.sql("prod", undo);
    }
    world.admin(&format!("ALTER DATABASE {database} RESET ALL"));
    world.pfdata(&["snapshot", "production"]).expect(0);
}

#[test]
fn credentials_in_the_structure_end_a_masked_snapshot_and_not_a_raw_one() {
    let world = World::new(5);
    world.sql("prod", "CREATE FOREIGN DATA WRAPPER w");
    for (make, undo, told) in [
        (
            "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'db', \"api_key\" 'Zq8')",
            "DROP SERVER s",
            "option `api_key`",
        ),
        (
            "CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE ft (a text) SERVER s \
             OPTIONS (program 'curl -H \"Authorization: Bearer Zq8abcdefg\" https://rates')",
            "DROP SERVER s CASCADE",
            "option `program` of the foreign table public.ft",
        ),
        (
            "CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE ft (a text OPTIONS \
             (token 'Zq8')) SERVER s",
            "DROP SERVER s CASCADE",
            "option `token` of the foreign table",
        ),
        (
            "CREATE FUNCTION d() RETURNS text LANGUAGE sql AS \
             $$ SELECT 'host=10.0.0.9 dbname=x user=y password=Zq8' $$",
            "DROP FUNCTION d()",
            "function public.d()",
        ),
        (
            "COMMENT ON TABLE people IS 'see https://admin:Zq8@wiki.example/x'",
            "COMMENT ON TABLE people IS NULL",
            "comment",
        ),
    ] {
        world.sql("prod", make);
        let said = world.pfdata(&["snapshot", "production"]).expect(4);
        assert!(said.stderr.contains(told), "{told}: {}", said.stderr);
        assert!(!said.stderr.contains("Zq8"), "{}", said.stderr);
        world.pfdata(&["snapshot", "production", "--raw"]).expect(0);
        world.sql("prod", undo);
    }
    let view = "vault";
    let database = world.collection("prod", "people").client().database(&world.database("prod"));
    world.wait(async {
        let pipeline = vec![doc! { "$set": { "u": "mongodb://app:Zq8@db/x" } }];
        database.create_collection(view).view_on("people").pipeline(pipeline).await.unwrap();
    });
    let said = world.pfdata(&["snapshot", "production"]).expect(4);
    assert!(
        said.stderr.contains("view `vault`") && !said.stderr.contains("Zq8"),
        "{}",
        said.stderr
    );
    world
        .wait(async { database.collection::<mongodb::bson::Document>(view).drop().await.unwrap() });
    world.pfdata(&["snapshot", "production"]).expect(0);
}

#[test]
fn what_is_carried_as_it_is_is_named_in_plan_manifest_and_show() {
    let world = World::new(5);
    world.sql(
        "prod",
        "CREATE INDEX vip ON people (id) WHERE name = 'Jane Doe';
         ALTER TABLE people ADD CONSTRAINT no_bob CHECK (name <> 'Bob');
         CREATE POLICY p ON people USING (name <> 'Eve');
         CREATE TYPE mood AS ENUM ('sad');
         COMMENT ON TABLE people IS 'people';",
    );
    let plan = world.pfdata(&["snapshot", "production", "--dry-run"]).expect(0);
    let plan = format!("{}{}", plan.stdout, plan.stderr);
    assert!(plan.contains("predicates of indexes") && plan.contains("policies"), "{plan}");
    let id = world.snapshot();
    let shown = world.pfdata(&["show", &id, "--json"]).expect(0).json();
    let stores = shown["stores"].as_array().unwrap();
    let postgres = stores.iter().find(|store| store["store"] == "postgres").unwrap();
    let kinds: Vec<(&str, u64)> = postgres["structure"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| (found["kind"].as_str().unwrap(), found["count"].as_u64().unwrap()))
        .collect();
    for kind in ["index predicates", "checks", "policies", "enum labels", "views and rules"] {
        assert!(kinds.contains(&(kind, 1)), "{kind}: {kinds:?}");
    }
    let text = world.pfdata(&["show", &id]).expect(0).stdout;
    assert!(text.contains("public.vip") && text.contains("index predicates"), "{text}");
    let raw = world.pfdata(&["snapshot", "production", "--raw", "--json"]).expect(0).json();
    let shown = world.pfdata(&["show", raw["snapshot"].as_str().unwrap(), "--json"]).expect(0);
    assert!(!shown.stdout.contains("\"structure\""));
}

#[test]
fn a_masked_snapshot_that_fails_leaves_no_file_behind() {
    let world = World::new(10);
    let collection = world.collection("prod", "people");
    world.wait(async {
        for batch in 0..20_i64 {
            let documents: Vec<_> = (0..2_000_i64)
                .map(|n| {
                    let id = 1_000 + batch * 2_000 + n;
                    doc! { "_id": id, "email": format!("p{id}@original.example"),
                    "contacts": [{ "email": "x".repeat(300), "kind": "home" }] }
                })
                .collect();
            collection.insert_many(documents).await.unwrap();
        }
        // Far behind the others, so that much is being written when it is met.
        collection.insert_one(doc! { "_id": 20_000_i64 * 10, "secret": 1 }).await.unwrap();
    });
    for round in 0..10 {
        world.pfdata(&["snapshot", "production", "--jobs", "4"]).expect(4);
        let left: Vec<_> = world
            .files("backups/production")
            .into_iter()
            .filter(|path| path.components().any(|part| part.as_os_str() == "anonymized"))
            .collect();
        assert!(left.is_empty(), "round {round}: {left:?}");
    }
}

#[test]
fn a_folder_that_a_killed_load_left_is_removed_by_the_next_job() {
    let world = World::new(300);
    let temporary = world.path("tmp");
    fs::create_dir(&temporary).unwrap();
    world.snapshot();
    let folders = || {
        let found = fs::read_dir(&temporary).unwrap();
        found.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < deadline, "no load was killed with its folder there");
        let mut child = world
            .command(&["refresh", "development", "--confirm", "development"])
            .env("TMPDIR", &temporary)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while child.try_wait().unwrap().is_none() {
            if folders().iter().any(|folder| folder.join("schema.dump").exists()) {
                child.kill().unwrap();
                break;
            }
        }
        child.wait().unwrap();
        if !folders().is_empty() {
            break;
        }
    }
    let said = world.command(&["snapshot", "production"]).env("TMPDIR", &temporary).output();
    assert!(said.unwrap().status.success());
    assert!(folders().is_empty(), "{:?}", folders());
}
