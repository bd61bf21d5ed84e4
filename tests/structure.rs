//! What a masked snapshot carries besides rows: its structure, judged and told; and that nothing
//! stays of a job that failed or was killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{RULES, World};
use mongodb::bson::doc;

const SECRET: &str = "s3cr3t's \"of\" the-app\\0815";
const ROLE_SECRET: &str = "it's a role's \\ own secret";

/// Settings of the database and of a role in it, which pg_dump writes into its archive.
fn set_secrets(world: &World, role: &str) {
    let database = world.database("prod");
    world.admin(&format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role}"));
    let secret = SECRET.replace('\'', "''");
    world.admin(&format!("ALTER DATABASE {database} SET \"app.jwt_secret\" TO '{secret}'"));
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
        for secret in ["the-app", ROLE_SECRET, &doubled, "own secret"] {
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
    assert!(holds(&archive, "the-app"));
    world.admin(&format!("ALTER DATABASE {} RESET ALL", world.database("prod")));
    world.admin(&format!("ALTER ROLE {role} IN DATABASE {} RESET ALL", world.database("prod")));
    world.admin(&format!("DROP ROLE {role}"));
}

#[test]
fn a_withheld_value_that_stands_elsewhere_too_ends_the_snapshot() {
    let world = World::new(5);
    let database = world.database("prod");
    let quoted = SECRET.replace('\'', "''");
    // As it looks in a literal within a literal.
    let deep = quoted.replace('\'', "''");
    let no_comment = format!("COMMENT ON DATABASE {database} IS NULL");
    world.admin(&format!("ALTER DATABASE {database} SET \"app.key\" TO '{quoted}'"));
    for (make, undo, place) in [
        (
            format!("CREATE FUNCTION leak() RETURNS text LANGUAGE sql AS $$ SELECT '{quoted}' $$"),
            "DROP FUNCTION leak()",
            "function public.leak()",
        ),
        (
            format!(
                "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET \"app.key\" = '{quoted}' AS 'SELECT 1'"
            ),
            "DROP FUNCTION f()",
            "function public.f()",
        ),
        (
            format!("COMMENT ON TABLE people IS 'key {quoted}'"),
            "COMMENT ON TABLE people IS NULL",
            "comment",
        ),
        (format!("CREATE VIEW w AS SELECT '{quoted}'::text AS x"), "DROP VIEW w", "view public.w"),
        (
            format!(
                "CREATE FUNCTION deep() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN \
                 EXECUTE 'SELECT ''{deep}'' '; END $f$"
            ),
            "DROP FUNCTION deep()",
            "function public.deep()",
        ),
        (format!("COMMENT ON DATABASE {database} IS 'the key: {quoted}'"), &no_comment, "comment"),
        (
            format!(
                "ALTER TABLE people ADD COLUMN k text DEFAULT '{quoted}'; ALTER TABLE people ALTER k SET DEFAULT '{quoted}'; UPDATE people SET k = NULL"
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
        (
            "CREATE FUNCTION d() RETURNS int LANGUAGE sql SET \"app.jwt_secret\" = 'Zq8Zq8Zq8' AS 'SELECT 1'",
            "DROP FUNCTION d()",
            "function public.d() gives `app.jwt_secret`",
        ),
        (
            "CREATE FUNCTION d() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
             CREATE TRIGGER t AFTER INSERT ON people EXECUTE FUNCTION d('Zq8k3J9x0A8f7D6s5A4q2W1')",
            "DROP FUNCTION d() CASCADE",
            "argument of the trigger",
        ),
        (
            "CREATE FUNCTION d(x bytea) RETURNS text LANGUAGE plpgsql AS \
             $$ BEGIN RETURN pgp_sym_decrypt(x, 'Zq8 key'); END $$",
            "DROP FUNCTION d(bytea)",
            "gives `pgp_sym_decrypt`",
        ),
        (
            "CREATE FUNCTION d() RETURNS event_trigger LANGUAGE plpgsql AS \
             $$ DECLARE api_token text := 'Zq8k3J9x0'; BEGIN END $$",
            "DROP FUNCTION d()",
            "function public.d() gives `api_token`",
        ),
        (
            "ALTER TABLE people ADD COLUMN api_key text DEFAULT 'Zq8k3J9x0'",
            "ALTER TABLE people DROP COLUMN api_key",
            "table public.people gives `api_key`",
        ),
    ] {
        world.sql("prod", make);
        let rules = RULES.replace("name = \"name\"", "name = \"name\"\n\"api*\" = \"null\"");
        fs::write(world.path("anonymizers/people.toml"), rules).unwrap();
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
         COMMENT ON TABLE people IS 'people';
         CREATE EXTENSION btree_gist;
         CREATE TABLE slots (id int PRIMARY KEY, during tsrange, state text DEFAULT 'Jane' NOT NULL,
             upper text GENERATED ALWAYS AS (state || 'Doe') STORED,
             CONSTRAINT apart EXCLUDE USING gist (during WITH &&) WHERE (state <> 'Jane'));
         CREATE TABLE parts (id int, who text) PARTITION BY LIST (who);
         CREATE TABLE parts_jane PARTITION OF parts FOR VALUES IN ('Jane');
         CREATE INDEX shouted ON people ((lower(name) || 'Jane'));
         CREATE INDEX lower_name ON people (lower(name));
         CREATE STATISTICS st ON (name || 'Jane'), (lower(name)) FROM people;
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql SET app.tenant = 'jane' AS
             'BEGIN RETURN NEW; END';
         CREATE TRIGGER tr BEFORE INSERT ON people FOR EACH ROW WHEN (NEW.name <> 'Jane')
             EXECUTE FUNCTION f('Jane');
         CREATE PUBLICATION pub FOR TABLE slots WHERE (id <> 7);
         CREATE FOREIGN DATA WRAPPER fw;
         CREATE SERVER fs FOREIGN DATA WRAPPER fw OPTIONS (host 'jane.example');
         GRANT SELECT ON people TO pg_monitor;",
    );
    let rules = "[postgres.\"public.slots\"]\n\"*\" = \"keep\"\n[postgres.\"public.parts\"]\n\"*\" = \"keep\"\n";
    fs::write(world.path("anonymizers/people.toml"), format!("{RULES}{rules}")).unwrap();
    let people = world.collection("prod", "people");
    let database = people.client().database(&world.database("prod"));
    world.wait(async {
        let command = doc! { "collMod": "people", "validator": { "email": { "$ne": "jane" } } };
        database.run_command(command).await.unwrap();
        let index = doc! { "key": { "email": 1 }, "name": "some",
        "partialFilterExpression": { "email": { "$gt": "jane" } } };
        let command = doc! { "createIndexes": "people", "indexes": [index] };
        database.run_command(command).await.unwrap();
        let view = [doc! { "$match": { "email": "jane" } }];
        let command = doc! { "create": "janes", "viewOn": "people", "pipeline": view.to_vec() };
        database.run_command(command).await.unwrap();
    });
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
    for (kind, count) in [
        ("views and rules", 1),
        ("function bodies", 1),
        ("settings of functions", 1),
        ("generated columns", 2),
        ("checks", 1),
        ("index predicates", 2),
        ("index expressions", 2),
        ("extended statistics", 1),
        ("policies", 1),
        ("conditions and arguments of triggers", 1),
        ("publication filters", 1),
        ("options of foreign objects", 1),
        ("partition bounds", 1),
        ("enum labels", 1),
        ("role names of owners", 1),
    ] {
        assert!(kinds.contains(&(kind, count)), "{kind}: {kinds:?}");
    }
    for kind in ["defaults", "comments and labels", "role names in grants"] {
        assert!(kinds.iter().any(|(found, _)| *found == kind), "{kind}: {kinds:?}");
    }
    let mongodb = stores.iter().find(|store| store["store"] == "mongodb").unwrap();
    let told = mongodb["structure"].to_string();
    for kind in ["validators", "filters of indexes", "view pipelines"] {
        assert!(told.contains(kind), "{kind}: {told}");
    }
    for told in [postgres, mongodb] {
        let told = format!("{}{}", told["structure"], told["remarks"]);
        assert!(!told.contains("Jane"), "{told}");
        assert!(told.contains("the structure is stored as it is"), "{told}");
    }
    let text = world.pfdata(&["show", &id]).expect(0).stdout;
    assert!(text.contains("public.vip") && text.contains("index predicates"), "{text}");
    let raw = world.pfdata(&["snapshot", "production", "--raw", "--json"]).expect(0).json();
    let shown = world.pfdata(&["show", raw["snapshot"].as_str().unwrap(), "--json"]).expect(0);
    assert!(!shown.stdout.contains("\"structure\""));
}

/// Production with so much in each store that a snapshot of it takes a while.
fn large() -> World {
    let world = World::new(10);
    world.sql(
        "prod",
        "INSERT INTO people (email, name, about, mails)
         SELECT 'p' || n || '@original.example', 'N' || n, jsonb_build_object('n', n), '{}'
         FROM generate_series(1000, 60000) n",
    );
    let mut commands = String::new();
    for n in 1000..30_000 {
        commands.push_str(&format!("SET cart:{n} '{{\"email\":\"p{n}@original.example\"}}'\n"));
    }
    world.redis(0, &commands);
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
    });
    world
}

/// What is left of masked snapshots in the repository.
fn left(world: &World) -> Vec<PathBuf> {
    let mut files = world.files("backups/production");
    files.retain(|path| path.components().any(|part| part.as_os_str() == "anonymized"));
    files
}

#[track_caller]
fn nothing_is_left(world: &World, when: &str) {
    let files = left(world);
    assert!(files.is_empty(), "{when}: {files:?}");
}

#[test]
fn a_masked_snapshot_that_fails_leaves_no_file_behind() {
    let world = large();
    let fails = |rounds: usize, what: &str| {
        for round in 0..rounds {
            world.pfdata(&["snapshot", "production", "--jobs", "4", "--store", what]).expect(4);
            nothing_is_left(&world, &format!("{what}, round {round}"));
        }
        std::thread::sleep(Duration::from_secs(1));
        nothing_is_left(&world, &format!("{what}, a second later"));
    };
    // Many parts, which end all the time, and in the middle of them what no rule covers.
    let mut rules = RULES.to_owned();
    for number in 0..60_i64 {
        rules.push_str(&format!("[mongodb.c{number:03}]\n_id = \"keep\"\nn = \"keep\"\n"));
        let collection = world.collection("prod", &format!("c{number:03}"));
        let name = if number == 40 { "hidden" } else { "n" };
        world.wait(async { collection.insert_one(doc! { "_id": 1, name: 1 }).await.unwrap() });
    }
    fs::write(world.path("anonymizers/people.toml"), &rules).unwrap();
    fails(20, "mongodb");
    let hidden = world.collection("prod", "c040");
    world.wait(async { hidden.drop().await.unwrap() });
    fs::write(
        world.path("anonymizers/people.toml"),
        rules.replace("[mongodb.c040]\n_id = \"keep\"\nn = \"keep\"\n", ""),
    )
    .unwrap();
    // Far behind the others, so that much is being written when it is met.
    world.sql(
        "prod",
        "INSERT INTO people (email, name, about, mails)
         VALUES ('a@b.c', 'x', '{\"hidden\": 1}', '{}')",
    );
    fails(3, "postgres");
    world.sql("prod", "DELETE FROM people WHERE email = 'a@b.c'");
    world.redis(0, "SET nobody:knows 1\n");
    fails(3, "redis");
    world.redis(0, "DEL nobody:knows\n");
    world.pfdata(&["snapshot", "production"]).expect(0);
}

#[test]
fn a_masked_snapshot_that_is_interrupted_leaves_no_file_behind() {
    let world = large();
    let (mut interrupted, mut rounds) = (0, 0);
    while interrupted < 10 {
        rounds += 1;
        assert!(rounds < 60, "no snapshot was interrupted while it wrote");
        let mut child = world
            .command(&["snapshot", "production", "--jobs", "4"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        let writing = loop {
            if left(&world).iter().any(|path| path.to_string_lossy().contains("mongodb")) {
                break true;
            }
            if child.try_wait().unwrap().is_some() || started.elapsed() > Duration::from_secs(30) {
                break false;
            }
        };
        let signal = if rounds % 2 == 0 { "-INT" } else { "-TERM" };
        drop(Command::new("kill").args([signal, &child.id().to_string()]).output().unwrap());
        let code = child.wait().unwrap().code();
        if !writing || code == Some(0) {
            fs::remove_dir_all(world.path("backups/production/anonymized")).unwrap();
            continue;
        }
        assert!(matches!(code, Some(130 | 143)), "{code:?}");
        nothing_is_left(&world, &format!("round {rounds}"));
        interrupted += 1;
    }
    std::thread::sleep(Duration::from_secs(1));
    nothing_is_left(&world, "a second later");
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
