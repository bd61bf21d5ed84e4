//! No lock-in: what is stored comes back without pfdata, by the shell lines of the README, as they
//! stand there. They run `scripts/recover`, which needs the vendors' tools and nothing of pfdata.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Said, World, mongodb_url, postgres_url};
use futures_util::TryStreamExt;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::options::ReturnDocument;
use serde_json::Value;

/// How long a server of a test may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A collection name that a file cannot have, and that mongodump has to shorten.
fn long_name() -> String {
    format!("Größe/{}", "übergroß ".repeat(18))
}

// --- the README -----------------------------------------------------------------------------------

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The one line of the README's recovery block that runs this verb of `scripts/recover`.
fn line(verb: &str) -> String {
    let readme = readme();
    let parts: Vec<&str> = readme.split("<!-- recovery -->\n```bash\n").collect();
    assert_eq!(parts.len(), 2, "README.md holds one block of recovery lines");
    let (block, _) = parts[1].split_once("\n```\n").expect("the block ends");
    let begin = format!("scripts/recover {verb} ");
    let lines: Vec<&str> = block.lines().filter(|line| line.starts_with(&begin)).collect();
    assert_eq!(lines.len(), 1, "README.md holds one line `{verb}`");
    format!("{}\n", lines[0])
}

/// A shell that runs a line of the README, in the folder that the README lies in.
fn shell(before: &str, verb: &str, variables: &[(&str, &str)]) -> Command {
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(format!("{before}{}", line(verb))).current_dir(env!("CARGO_MANIFEST_DIR"));
    for name in ["DATABASE", "PGDATABASE", "PGHOST", "PGOPTIONS", "PGPORT", "PGUSER", "BASH_ENV"] {
        shell.env_remove(name);
    }
    shell.envs(variables.iter().copied()).stdin(Stdio::null());
    shell
}

fn finish(mut command: Command) -> Said {
    let output = command.output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[track_caller]
fn run(name: &str, variables: &[(&str, &str)]) -> Said {
    finish(shell("", name, variables)).expect(0)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What a recovery leaves on the servers that the tests share.
struct Leftovers<'a>(&'a World);

impl Leftovers<'_> {
    const PARTS: [&'static str; 2] = ["back", "one"];
}

impl Drop for Leftovers<'_> {
    fn drop(&mut self) {
        for part in Self::PARTS {
            self.0
                .admin(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.0.database(part)));
            let collection = self.0.collection(part, "people");
            self.0.wait(async {
                collection.client().database(&self.0.database(part)).drop().await.unwrap();
            });
        }
    }
}

// --- a production worth recovering ----------------------------------------------------------------

const AWKWARD_SQL: &str = r#"
CREATE SCHEMA "odd ""schema"" é";
CREATE SEQUENCE standalone START 1000 INCREMENT 7;
SELECT nextval('standalone'), nextval('standalone');
CREATE TABLE "odd ""schema"" é"."Ta ble's, ""x"" é" (
    "tab	here" text, "line
feed" int PRIMARY KEY, "from" bytea, taken interval, at timestamptz,
    person bigint REFERENCES people ON DELETE CASCADE,
    twice int GENERATED ALWAYS AS ("line
feed" * 2) STORED
);
INSERT INTO "odd ""schema"" é"."Ta ble's, ""x"" é"
SELECT E'a\tb\\N \\. ' || n, n, decode('00ff5c0a', 'hex'), '-1 day -02:03:04.5', '-infinity', n
FROM generate_series(1, 20) n;
INSERT INTO "odd ""schema"" é"."Ta ble's, ""x"" é" VALUES (NULL, 21, '', NULL, '2026-01-01 BC', NULL);
CREATE TABLE measured (at date, value numeric) PARTITION BY RANGE (at);
CREATE TABLE measured_1 PARTITION OF measured FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE measured_rest PARTITION OF measured DEFAULT;
INSERT INTO measured SELECT '2026-01-20'::date + n, n / 7.0 FROM generate_series(1, 40) n;
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
INSERT INTO nothing DEFAULT VALUES;
CREATE TABLE empty (id serial PRIMARY KEY, name text);
CREATE MATERIALIZED VIEW domains AS SELECT split_part(email, '@', 2) AS domain, count(*) FROM people GROUP BY 1;
CREATE MATERIALIZED VIEW domain_count AS SELECT count(*) AS n FROM domains;
CREATE INDEX domain_index ON domains (domain);
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''fired''; END';
CREATE TRIGGER no_inserts BEFORE INSERT ON measured_rest FOR EACH ROW EXECUTE FUNCTION shout();
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
ALTER TABLE people FORCE ROW LEVEL SECURITY;
SELECT lo_from_bytea(0, decode(repeat('00ff27', 500000), 'hex')), lo_from_bytea(0, 'small'), lo_create(0);
"#;

const AWKWARD_RULES: &str = r#"
version = 1

[postgres.'odd "schema" é.*']
"*" = "keep"
[postgres."public.measured"]
"*" = "keep"
[postgres."public.empty"]
"*" = "keep"
[postgres."pg_largeobject"]
data = "redact"

[mongodb."events.of/the day"]
_id = "keep"
email = { use = "email", link = "person.email" }
at = "keep"
[mongodb.capped]
"*" = "keep"
[mongodb.vacant]
"*" = "keep"
[mongodb.seen]
"*" = "keep"
[mongodb.LONG]
"*" = "keep"

[redis."kept:*"]
action = "keep"
"#;

const AWKWARD_KEYS: &str = r##"
SET kept:binary "\x00\xff\r\n\"quoted\" \xc3\xa9"
SET kept:number -9223372036854775808
SET kept:expiring soon PX 900000
SET "kept:a key\twith \"all\"" x EXAT 4102444800
RPUSH kept:list 1 -300 70000 "" "two words"
SADD kept:numbers 3 1 2 70000 5000000000
SADD kept:set a b "c d" ""
ZADD kept:zset -inf low 1.5 mid 1.5 also +inf high
HSET kept:hash field value other "" third 3
GEOADD kept:geo -9.139 38.722 Lisboa
PFADD kept:hll a b c
XADD kept:stream 1-1 field value
XADD kept:stream 1-2 field value other 2
XADD kept:stream 5-0 field last
XGROUP CREATE kept:stream readers 0
XREADGROUP GROUP readers one COUNT 2 STREAMS kept:stream >
XACK kept:stream readers 1-1
XDEL kept:stream 5-0
FUNCTION LOAD REPLACE "#!lua name=recovery\nredis.register_function('recovered', function() return 1 end)"
"##;

/// A world whose production has what recoveries stumble over.
fn awkward() -> World {
    let world = World::new(60);
    world.sql("prod", AWKWARD_SQL);
    // A row that COPY could take for its end, and large keys that are not packed.
    let large: String = (0..2000)
        .map(|n| format!("HSET kept:large:hash f{n} v{n}\nRPUSH kept:large:list item{n}\n"))
        .collect();
    let said = world.redis(0, &format!("{AWKWARD_KEYS}{large}"));
    assert!(!said.contains("ERR"), "{said}");
    let people = world.collection("prod", "people");
    let database = people.client().database(&world.database("prod"));
    let long = long_name();
    world.wait(async {
        let events = "events.of/the day";
        let steps = [
            doc! { "create": events, "validator": { "at": { "$type": "date" } },
            "collation": { "locale": "de", "strength": 2 } },
            doc! { "createIndexes": events, "indexes": [
                { "key": { "email": 1, "at": -1 }, "name": "by email", "unique": true, "collation": { "locale": "simple" } },
                { "key": { "at": 1 }, "name": "ttl", "expireAfterSeconds": 86400 * 3650 },
            ] },
            doc! { "insert": events, "documents": (0..50).map(|n| doc! {
                "_id": if n % 2 == 0 { Bson::Int32(n) } else { Bson::String(format!("n{n}")) },
                "email": format!("person{n}@original.example"),
                "at": DateTime::from_millis(1_767_225_600_000 + i64::from(n)),
            }).collect::<Vec<_>>() },
            doc! { "create": "capped", "capped": true, "size": 65536, "max": 100 },
            doc! { "insert": "capped", "documents": [{ "_id": 1, "n": 1.5 }, { "_id": 2, "n": [1, "two", null] }] },
            doc! { "create": "vacant" },
            doc! { "create": "seen", "viewOn": "people", "pipeline": [{ "$match": { "_id": { "$lt": 5 } } }] },
            doc! { "insert": &long, "documents": [{ "_id": "long", "name": &long }] },
        ];
        for step in steps {
            database.run_command(step).await.unwrap();
        }
    });
    let rules = AWKWARD_RULES.replace("LONG", &format!("\"{long}\""));
    fs::write(world.path("anonymizers/awkward.toml"), rules).unwrap();
    world
}

/// A snapshot of production; its folder.
fn snapshot(world: &World, arguments: &[&str]) -> PathBuf {
    let arguments = [&["snapshot", "production", "--json"], arguments].concat();
    let said = world.pfdata(&arguments).expect(0).json();
    world.snapshot_folder(said["snapshot"].as_str().unwrap())
}

/// A raw snapshot of a store in each compression; the parts below `parts` end so.
fn raw_snapshots(world: &World, store: &str, parts: &str, format: &str) -> Vec<PathBuf> {
    let codecs = [("zstd", ".zst"), ("gzip", ".gz"), ("none", "")];
    codecs
        .into_iter()
        .map(|(codec, suffix)| {
            let folder = snapshot(world, &["--raw", "--store", store, "--compression", codec]);
            let files = world.files(text(&folder.join(parts)));
            let data = files.iter().filter(|file| !text(file).contains(".metadata."));
            let data: Vec<&PathBuf> = data.collect();
            let ending = format!("{format}{suffix}");
            assert!(!data.is_empty(), "{files:?}");
            assert!(data.iter().all(|file| text(file).ends_with(&ending)), "{data:?}");
            folder
        })
        .collect()
}

// --- PostgreSQL -----------------------------------------------------------------------------------

fn server() -> String {
    postgres_url().trim_end_matches('/').to_owned()
}

fn recover_postgres(world: &World, snapshot: &Path) {
    let database = world.database("back");
    world.admin(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"));
    let server = server();
    let variables =
        [("SNAPSHOT", text(snapshot)), ("SERVER", server.as_str()), ("DATABASE", &database)];
    run("postgres", &variables);
}

/// All of a database as pg_dump tells it: schema, rows, sequences, large objects. Lines are sorted:
/// the rows of a table have no order.
fn dumped(world: &World, part: &str) -> Vec<String> {
    let mut dump = Command::new("pg_dump");
    dump.args(["--no-owner", "--no-acl"]);
    dump.arg(format!("{}/{}", server(), world.database(part)));
    let said = finish(dump).expect(0);
    // A random word of every dump.
    let word = |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
    let mut lines: Vec<String> = said.stdout.lines().filter(word).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

#[track_caller]
fn assert_same_database(world: &World, one: &str, other: &str) {
    let (one_lines, other_lines) = (dumped(world, one), dumped(world, other));
    assert!(one_lines.iter().any(|line| line.starts_with("COPY public.people")), "it is a dump");
    if one_lines != other_lines {
        let set = |lines: &[String]| lines.iter().cloned().collect::<BTreeSet<_>>();
        let (one_set, other_set) = (set(&one_lines), set(&other_lines));
        let shown = |lines: Vec<&String>| {
            let cut = |line: &&String| line.chars().take(200).collect::<String>();
            lines.iter().take(20).map(cut).collect::<Vec<_>>().join("\n")
        };
        panic!(
            "only in {one}:\n{}\nonly in {other}:\n{}",
            shown(one_set.difference(&other_set).collect()),
            shown(other_set.difference(&one_set).collect())
        );
    }
    for view in ["domains", "domain_count"] {
        let rows = format!("SELECT v FROM {view} v ORDER BY 1");
        assert_eq!(world.sql(one, &rows), world.sql(other, &rows), "{view}");
    }
}

#[test]
fn postgres_comes_back_by_the_lines_of_the_readme() {
    let world = awkward();
    let _leftovers = Leftovers(&world);
    for folder in raw_snapshots(&world, "postgres", "postgres/data", ".copy") {
        recover_postgres(&world, &folder);
        assert_same_database(&world, "prod", "back");
        let next = "SELECT nextval('standalone')";
        assert_eq!(world.sql("back", next), "1014");
    }
    // Masked, it is what pfdata itself loads.
    let folder = snapshot(&world, &["--anonymize"]);
    world.refresh().expect(0);
    recover_postgres(&world, &folder);
    assert_same_database(&world, "dev", "back");
    assert!(!dumped(&world, "back").concat().to_lowercase().contains("original.example"));
    assert_eq!(world.sql("back", "SELECT count(*) FROM people"), "60");
}

#[test]
fn one_table_comes_back_by_the_line_of_the_readme() {
    let world = World::new(40);
    let _leftovers = Leftovers(&world);
    let folder = snapshot(&world, &["--raw"]);
    let database = world.database("one");
    world.admin(&format!("CREATE DATABASE {database}"));
    world.sql(
        "one",
        "CREATE TABLE people (id int, email text, name text, about text, mails text[])",
    );
    let server = server();
    run(
        "table",
        &[
            ("SNAPSHOT", text(&folder)),
            ("SERVER", &server),
            ("DATABASE", &database),
            ("TABLE", "public.people"),
        ],
    );
    let rows = "SELECT id, email, name, about::text, mails FROM people ORDER BY id";
    assert_eq!(world.sql("one", rows), world.sql("prod", rows));
}

fn manifest(folder: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join("manifest.json")).unwrap()).unwrap()
}

// --- MongoDB --------------------------------------------------------------------------------------

/// Runs the line and gives the folder that mongorestore is pointed at.
fn recover_mongodb(world: &World, snapshot: &Path) -> PathBuf {
    let dump = world.path(&format!("dump-{}", snapshot.file_name().unwrap().to_str().unwrap()));
    // A stand-in says what mongorestore is told.
    let told = "mongorestore() { printf '%s\\n' \"$@\"; }\n";
    let uri = mongodb_url();
    let variables =
        [("SNAPSHOT", text(snapshot)), ("DUMP", text(&dump)), ("MONGODB_URL", uri.as_str())];
    let said = finish(shell(told, "mongodb", &variables));
    assert_eq!(said.expect(0).stdout, format!("--uri={uri}\n--dir={}\n", text(&dump)));
    dump
}

/// Files of a dumped database: the name of the collection as mongorestore reads it, and the ending.
fn dumped_files(folder: &Path) -> BTreeMap<(String, &'static str), PathBuf> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        let ending = if file.ends_with(".bson") { ".bson" } else { ".metadata.json" };
        let stem = file.strip_suffix(ending).expect("nothing else is in a dump");
        let name = if stem.len() == 238 && stem.contains("%24") {
            let metadata = folder.join(format!("{stem}.metadata.json"));
            let metadata: Value = serde_json::from_slice(&fs::read(metadata).unwrap()).unwrap();
            metadata["collectionName"].as_str().unwrap().to_owned()
        } else {
            unescaped(stem)
        };
        assert!(found.insert((name, ending), path).is_none());
    }
    found
}

/// What `%XX` stands for; mongorestore unescapes file names so.
fn unescaped(stem: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = stem.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            let digits = std::str::from_utf8(&tail[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &tail[2..];
        } else {
            assert_ne!(*first, b'+', "`+` would be read as a space");
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// The documents of a `.bson` file: each says its length, and nothing is between them.
fn documents(path: &Path) -> Vec<Document> {
    let bytes = fs::read(path).unwrap();
    let mut rest = bytes.as_slice();
    let mut found = Vec::new();
    while !rest.is_empty() {
        found.push(Document::from_reader(&mut rest).unwrap());
    }
    found
}

async fn all_of(collection: &mongodb::Collection<Document>) -> Vec<Document> {
    collection.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap().try_collect().await.unwrap()
}

/// Checks the dump against the database that it should be: documents through the driver, metadata
/// by its fields. Gives the collections that were compared.
fn compare_mongodb(world: &World, dump: &Path, part: &str) -> BTreeSet<String> {
    let folders: Vec<_> = fs::read_dir(dump).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(folders, [dump.join(world.database("prod"))], "a folder for the database");
    let files = dumped_files(&folders[0]);
    let mut names = BTreeSet::new();
    for ((name, ending), path) in &files {
        if *ending == ".metadata.json" {
            let metadata: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            let documented = files.contains_key(&(name.clone(), ".bson"));
            check_metadata(&metadata, name, documented);
            continue;
        }
        assert!(files.contains_key(&(name.clone(), ".metadata.json")), "{name}");
        let documents = documents(path);
        let (source, back) = (world.collection(part, name), world.collection("back", name));
        world.wait(async {
            back.drop().await.unwrap();
            if !documents.is_empty() {
                back.insert_many(documents).await.unwrap();
            }
            assert_eq!(all_of(&back).await, all_of(&source).await, "{name}");
        });
        names.insert(name.clone());
    }
    names
}

fn check_metadata(metadata: &Value, name: &str, documented: bool) {
    let fields: Vec<&str> = metadata.as_object().unwrap().keys().map(String::as_str).collect();
    let known = ["options", "indexes", "uuid", "collectionName", "type"];
    assert!(fields.iter().all(|field| known.contains(field)), "{fields:?}");
    assert_eq!(metadata["collectionName"], name);
    assert_eq!(metadata["type"], if documented { "collection" } else { "view" });
    let uuid = metadata["uuid"].as_str().unwrap();
    let indexes = metadata["indexes"].as_array().unwrap();
    if !documented {
        assert_eq!(metadata["options"]["viewOn"], "people");
        assert!(uuid.is_empty() && indexes.is_empty());
        return;
    }
    assert_eq!(uuid.len(), 32, "{uuid}");
    assert!(uuid.bytes().all(|byte| byte.is_ascii_hexdigit()), "{uuid}");
    assert_eq!(indexes[0]["name"], "_id_");
    assert!(indexes[0]["key"]["_id"]["$numberInt"] == "1", "{}", indexes[0]);
    match name {
        "events.of/the day" => {
            assert_eq!(metadata["options"]["collation"]["locale"], "de");
            assert_eq!(metadata["options"]["validator"]["at"]["$type"], "date");
            let ttl = indexes.iter().find(|index| index["name"] == "ttl").unwrap();
            assert_eq!(ttl["expireAfterSeconds"]["$numberInt"], "315360000");
            let unique = indexes.iter().find(|index| index["name"] == "by email").unwrap();
            assert_eq!(unique["unique"], true);
        }
        "capped" => assert_eq!(metadata["options"]["capped"], true),
        _ => {}
    }
}

#[test]
fn mongodb_comes_back_by_the_lines_of_the_readme() {
    let world = awkward();
    let _leftovers = Leftovers(&world);
    let long = long_name();
    let expected: BTreeSet<String> =
        ["people", "events.of/the day", "capped", "vacant", long.as_str()]
            .into_iter()
            .map(str::to_owned)
            .collect();
    for folder in raw_snapshots(&world, "mongodb", "mongodb", ".bson") {
        let dump = recover_mongodb(&world, &folder);
        assert_eq!(compare_mongodb(&world, &dump, "prod"), expected);
    }
    let folder = snapshot(&world, &["--anonymize"]);
    world.refresh().expect(0);
    let dump = recover_mongodb(&world, &folder);
    assert_eq!(compare_mongodb(&world, &dump, "dev"), expected);
    let people = world.collection("back", "people");
    let one = world.wait(async { people.find_one(doc! { "_id": 7 }).await.unwrap().unwrap() });
    assert!(!one.to_string().to_lowercase().contains("original.example"), "{one}");
}

// --- Redis ----------------------------------------------------------------------------------------

/// A server that a line of the README started.
struct Server {
    shell: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // The shell and the server are a process group of their own.
        let kill = format!("kill -KILL -- -{}", self.shell.id());
        drop(Command::new("bash").args(["-c", &kill]).stderr(Stdio::null()).status());
        drop(self.shell.wait());
    }
}

fn recover_redis(world: &World, snapshot: &Path) -> Server {
    for attempt in 0..20 {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let id = snapshot.file_name().unwrap().to_str().unwrap();
        let folder = world.path(&format!("redis-{id}-{attempt}"));
        let port_text = port.to_string();
        let variables = [
            ("SNAPSHOT", text(snapshot)),
            ("REDIS_DIR", text(&folder)),
            ("REDIS_PORT", port_text.as_str()),
        ];
        let mut shell = shell("", "redis", &variables);
        let shell = shell.process_group(0).stdout(Stdio::null()).spawn().unwrap();
        let mut server = Server { shell, port };
        let started = Instant::now();
        while started.elapsed() < PATIENCE && server.shell.try_wait().unwrap().is_none() {
            if redis(port, 0, "PING\n") == "PONG" {
                return server;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    panic!("redis-server does not start from the snapshot");
}

/// What redis-cli prints for some lines: values quoted, so that nothing in them can mislead.
fn redis(port: u16, db: u32, lines: &str) -> String {
    use std::io::Write;
    let mut child = Command::new("redis-cli")
        .args(["--no-raw", "-p", &port.to_string(), "-n", &db.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines = lines.to_owned();
    let writer = std::thread::spawn(move || drop(input.write_all(lines.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The items of an answer: `1) "…"`.
fn items(answer: &str) -> Vec<String> {
    let item = |line: &str| line.split_once(") ").map(|(_, item)| item.to_owned());
    answer.lines().filter_map(item).collect()
}

/// The answers to some commands, one session for all.
fn answers(port: u16, db: u32, commands: &[String]) -> Vec<String> {
    const END: &str = "\"\\x01end\"";
    let lines: String = commands.iter().map(|line| format!("{line}\nECHO {END}\n")).collect();
    let said = format!("{}\n", redis(port, db, &lines));
    let answers: Vec<String> = said
        .split_terminator(&format!("{END}\n"))
        .map(|answer| answer.trim_end().to_owned())
        .collect();
    assert_eq!(answers.len(), commands.len());
    answers
}

/// Every key of an index with its type, its value, and the moment it expires.
fn keys(port: u16, db: u32) -> BTreeMap<String, (String, String)> {
    let names = items(&redis(port, db, "KEYS *\n"));
    let ask = |command: &dyn Fn(usize) -> String| {
        answers(port, db, &(0..names.len()).map(command).collect::<Vec<_>>())
    };
    let kinds = ask(&|at| format!("TYPE {}", names[at]));
    let expires = ask(&|at| format!("PEXPIRETIME {}", names[at]));
    let values = ask(&|at| {
        let key = &names[at];
        match kinds[at].as_str() {
            "string" => format!("GET {key}"),
            "list" => format!("LRANGE {key} 0 -1"),
            "zset" => format!("ZRANGE {key} 0 -1 WITHSCORES"),
            "set" => format!("SMEMBERS {key}"),
            "hash" => format!("HGETALL {key}"),
            "stream" => format!("XINFO STREAM {key} FULL COUNT 0"),
            other => panic!("{key} is a {other}"),
        }
    });
    let mut found = BTreeMap::new();
    for (at, key) in names.iter().enumerate() {
        let (kind, value) = (&kinds[at], &values[at]);
        assert!(!value.contains("(error)"), "{key}: {value}");
        let value = comparable(kind, value);
        found.insert(key.clone(), (format!("{kind} {value}"), expires[at].clone()));
    }
    found
}

/// An answer without what may differ between two servers that hold the same value.
fn comparable(kind: &str, answer: &str) -> String {
    let mut parts = match kind {
        "string" => return answer.to_owned(),
        // Fields and their values come in turn.
        "hash" => items(answer).chunks(2).map(|pair| pair.join("=")).collect(),
        // How the server's memory is laid out is not the value.
        "stream" => {
            let mut lines = answer.lines();
            let mut kept = Vec::new();
            while let Some(line) = lines.next() {
                if line.contains("radix-tree") {
                    lines.next();
                } else {
                    kept.push(line.to_owned());
                }
            }
            kept
        }
        _ => items(answer),
    };
    if matches!(kind, "set" | "hash") {
        parts.sort_unstable();
    }
    parts.join("\n")
}

#[test]
fn redis_comes_back_by_the_lines_of_the_readme() {
    let world = awkward();
    let source = keys(world.redis_port, 0);
    let kinds: BTreeSet<&str> =
        source.values().map(|(value, _)| value.split(' ').next().unwrap()).collect();
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    let functions = redis(world.redis_port, 0, "FUNCTION LIST WITHCODE\n");
    assert!(functions.contains("recovered"), "{functions}");
    for folder in raw_snapshots(&world, "redis", "redis", ".rdb") {
        let server = recover_redis(&world, &folder);
        assert_eq!(keys(server.port, 0), source);
        assert_eq!(redis(server.port, 0, "FUNCTION LIST WITHCODE\n"), functions);
        assert!(redis(server.port, 0, "INFO keyspace\n").matches("db").count() == 1);
    }
    let folder = snapshot(&world, &["--anonymize"]);
    world.refresh().expect(0);
    let server = recover_redis(&world, &folder);
    let values = |port, db| {
        let keys = keys(port, db).into_iter();
        keys.map(|(key, (value, expires))| (key, value, expires.starts_with("(integer) -1")))
            .collect::<Vec<_>>()
    };
    let masked = values(server.port, 0);
    assert_eq!(masked, values(world.redis_port, 4), "what pfdata itself loads");
    assert_eq!(masked.len(), source.len());
    assert!(!format!("{masked:?}").to_lowercase().contains("original.example"));
}

// --- all of them ----------------------------------------------------------------------------------

#[test]
fn damage_is_found_by_the_lines_of_the_readme() {
    let world = World::new(10);
    let folder = snapshot(&world, &["--raw"]);
    let check = || finish(shell("", "check", &[("SNAPSHOT", text(&folder))]));
    check().expect(0);
    let part = world.files(text(&folder.join("redis"))).pop().unwrap();
    let mut bytes = fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&part, bytes).unwrap();
    let said = check();
    assert_ne!(said.code, 0);
    assert!(said.stdout.contains(".rdb.zst: FAILED"), "{}{}", said.stdout, said.stderr);
}

#[test]
fn a_line_that_fails_ends_the_recovery() {
    let world = World::new(10);
    let _leftovers = Leftovers(&world);
    let folder = snapshot(&world, &["--raw"]);
    let part = world.files(text(&folder.join("postgres/data"))).pop().unwrap();
    fs::write(&part, b"not what it was").unwrap();
    let (server, database) = (server(), world.database("back"));
    let variables =
        [("SNAPSHOT", text(&folder)), ("SERVER", server.as_str()), ("DATABASE", &database)];
    assert_ne!(finish(shell("", "postgres", &variables)).code, 0);
}

#[test]
fn what_was_read_in_several_parts_comes_back_whole() {
    let world = World::new(5);
    let _leftovers = Leftovers(&world);
    // Beyond 64 MiB a table is read in ranges of pages and a collection in ranges of `_id`.
    world.sql(
        "prod",
        "CREATE TABLE large (id int PRIMARY KEY, body text);
         ALTER TABLE large ALTER COLUMN body SET STORAGE EXTERNAL;
         INSERT INTO large SELECT n, repeat(md5(n::text), 3200) FROM generate_series(1, 900) n;
         CREATE MATERIALIZED VIEW domains AS SELECT 1 AS n;
         CREATE MATERIALIZED VIEW domain_count AS SELECT 1 AS n;",
    );
    let collection = world.collection("prod", "large");
    world.wait(async {
        for block in 0..9 {
            let body = format!("{block}").repeat(1 << 20);
            let documents = (0..10).map(|n| doc! { "_id": block * 10 + n, "body": &body });
            collection.insert_many(documents).await.unwrap();
        }
        let update = doc! { "$set": { "changed": true } };
        let changed = collection
            .find_one_and_update(doc! { "_id": 42 }, update)
            .return_document(ReturnDocument::After);
        assert!(changed.await.unwrap().is_some());
    });
    let folder = snapshot(&world, &["--raw", "--store", "postgres,mongodb"]);
    let manifest = manifest(&folder);
    for store in manifest["stores"].as_array().unwrap() {
        let parts = store["parts"].as_array().unwrap();
        let of_large =
            parts.iter().filter(|part| part["name"] == "large" && part["kind"] == "data");
        assert!(of_large.count() > 1, "{}", store["store"]);
    }
    recover_postgres(&world, &folder);
    assert_same_database(&world, "prod", "back");
    let dump = recover_mongodb(&world, &folder);
    assert!(compare_mongodb(&world, &dump, "prod").contains("large"));
}
