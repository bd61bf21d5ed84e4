//! A small world for end-to-end tests: two databases, two collections' homes and a Redis of its
//! own, with a configuration that calls them production and development.
//!
//! The servers are real: `scripts/test` starts them and says where. Nothing here skips.
#![allow(dead_code, reason = "each test file uses what it needs")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod words;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use serde_json::{Value, json};

#[allow(unused_imports, reason = "each test file uses what it needs")]
pub use words::{Change, index};

/// The key of production, as `openssl rand -base64 32` makes them.
pub const KEY: &str = "kX2vB9qTzR4mWcL7sHdJ0yNfPgUa6eOi1KbV8xQwZtE=";

/// Another one.
pub const OTHER_KEY: &str = "Hq5nZ0tYw8LrKjC3xVbD7sGmPeFu2aIo9TkRz4WvXcM=";

static NUMBER: AtomicU32 = AtomicU32::new(0);

pub struct World {
    pub folder: tempfile::TempDir,
    pub name: String,
    pub redis_port: u16,
    redis: Child,
    runtime: tokio::runtime::Runtime,
}

/// What a finished command said.
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// The JSON document on stdout.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run scripts/test"))
}

pub fn postgres_url() -> String {
    variable("PFDATA_TEST_POSTGRES_URL")
}

pub fn mongodb_url() -> String {
    variable("PFDATA_TEST_MONGODB_URL")
}

impl World {
    /// A world whose production is filled with `people` people in every store.
    pub fn new(people: u32) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("pfe2e_{}_{number}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        let (redis, redis_port) = start_redis(folder.path());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let world = Self { folder, name, redis_port, redis, runtime };
        world.configure();
        world.fill("prod", people, 0);
        world.fill("dev", 3, 900_000);
        world
    }

    fn configure(&self) {
        for folder in ["config", "anonymizers", "backups", "seeds"] {
            fs::create_dir_all(self.path(folder)).unwrap();
        }
        let stores = |part: &str, db: u32| {
            json!({
                "postgres": { "url": postgres_url(), "database": self.database(part) },
                "redis": { "host": "127.0.0.1", "port": self.redis_port, "db": db },
                "mongodb": { "url": mongodb_url(), "database": self.database(part) },
            })
        };
        self.write_json(
            "config/default.json",
            &json!({ "data": {
                "repository": "file://./backups",
                "anonymize": { "rules": "anonymizers", "key": "${PFDATA_TEST_KEY}" },
            }}),
        );
        self.write_json(
            "config/production.json",
            &json!({ "database": stores("prod", index::PROD), "data": { "class": "live", "protected": true } }),
        );
        self.write_json(
            "config/development.json",
            &json!({ "database": stores("dev", index::DEV), "data": {
                "class": "synthetic",
                "refresh": { "from": "production/anonymized", "migrate": false },
            }}),
        );
        fs::write(self.path("anonymizers/people.toml"), RULES).unwrap();
    }

    /// Fills `prod` or `dev` with people numbered from `first`.
    pub fn fill(&self, part: &str, people: u32, first: u32) {
        let database = self.database(part);
        self.admin(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"));
        self.admin(&format!("CREATE DATABASE {database}"));
        self.sql(part, SCHEMA);
        self.sql(
            part,
            &format!(
                "INSERT INTO people (email, name, about, mails)
                 SELECT 'Person' || n || '@original.example', 'Name' || n,
                        jsonb_build_object('contact', jsonb_build_object('email', 'person' || n || '@original.example'), 'n', n),
                        ARRAY['person' || n || '@original.example']
                 FROM generate_series({}, {}) n",
                first + 1,
                first + people
            ),
        );
        let documents: Vec<Document> = (first + 1..=first + people)
            .map(|n| {
                doc! { "_id": i64::from(n), "email": format!("person{n}@original.example"),
                "contacts": [{ "email": format!("PERSON{n}@original.example"), "kind": "home" }] }
            })
            .collect();
        let collection = self.collection(part, "people");
        self.wait(async {
            collection.drop().await.unwrap();
            collection.insert_many(documents).await.unwrap();
        });
        let db = index::of(part);
        self.redis(db, "FLUSHDB\n");
        let mut commands = String::new();
        for n in first + 1..=first + people {
            commands.push_str(&format!(
                "HSET user:person{n}@original.example:profile email Person{n}@original.example visits {n}\n\
                 SET cart:{n} '{{\"email\":\"person{n}@original.example\"}}'\n"
            ));
        }
        self.redis(db, &commands);
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub fn database(&self, part: &str) -> String {
        format!("{}_{part}", self.name)
    }

    pub fn write_json(&self, below: &str, value: &Value) {
        fs::write(self.path(below), serde_json::to_string_pretty(value).unwrap()).unwrap();
    }

    pub fn edit_json(&self, below: &str, edit: impl FnOnce(&mut Value)) {
        let mut value =
            serde_json::from_str(&fs::read_to_string(self.path(below)).unwrap()).unwrap();
        edit(&mut value);
        self.write_json(below, &value);
    }

    /// The command, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pfdata"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("PFDATA_ENV")
            .env("PFDATA_TEST_KEY", KEY)
            .stdin(Stdio::null());
        command
    }

    /// Runs `pfdata` to its end.
    pub fn pfdata(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).output().unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// An anonymized snapshot of production; its id.
    pub fn snapshot(&self) -> String {
        let said = self.pfdata(&["snapshot", "production", "--json"]).expect(0);
        said.json()["snapshot"].as_str().unwrap().to_owned()
    }

    pub fn refresh(&self) -> Said {
        self.pfdata(&["refresh", "development", "--confirm", "development", "--json"])
    }

    fn psql(&self, database: &str, sql: &str) -> Said {
        let output = Command::new("psql")
            .args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .arg(format!("{}/{database}", postgres_url().trim_end_matches('/')))
            .output()
            .unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).trim_end().to_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub fn admin(&self, sql: &str) -> String {
        self.psql("postgres", sql).expect(0).stdout
    }

    /// Runs SQL in production (`prod`) or development (`dev`).
    pub fn sql(&self, part: &str, sql: &str) -> String {
        self.psql(&self.database(part), sql).expect(0).stdout
    }

    /// Like [`sql`](Self::sql), or nothing when it fails.
    pub fn try_sql(&self, part: &str, sql: &str) -> Option<String> {
        let said = self.psql(&self.database(part), sql);
        (said.code == 0).then_some(said.stdout)
    }

    /// Feeds lines to redis-cli and gives what it prints.
    pub fn redis(&self, db: u32, lines: &str) -> String {
        use std::io::Write;
        let mut child = Command::new("redis-cli")
            .args(["-p", &self.redis_port.to_string(), "-n", &db.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let text = lines.to_owned();
        let writer = std::thread::spawn(move || input.write_all(text.as_bytes()).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    pub fn collection(&self, part: &str, name: &str) -> mongodb::Collection<Document> {
        let database = self.database(part);
        let name = name.to_owned();
        self.wait(async move {
            let client = mongodb::Client::with_uri_str(mongodb_url()).await.unwrap();
            client.database(&database).collection(&name)
        })
    }

    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Everything that the three stores of `prod` or `dev` hold, as text to compare or search.
    pub fn contents(&self, part: &str) -> String {
        use futures_util::TryStreamExt;
        let rows = self.sql(part, "SELECT p.* FROM people p ORDER BY id");
        let collection = self.collection(part, "people");
        let documents: Vec<Document> = self.wait(async {
            collection
                .find(doc! {})
                .sort(doc! { "_id": 1 })
                .await
                .unwrap()
                .try_collect()
                .await
                .unwrap()
        });
        let db = index::of(part);
        let keys = self.redis(db, "KEYS *\n");
        let mut keys: Vec<&str> = keys.lines().filter(|key| !key.is_empty()).collect();
        keys.sort_unstable();
        let mut text = format!("{rows}\n{documents:?}\n");
        for key in keys {
            let read = if key.starts_with("user:") { "HGETALL" } else { "GET" };
            text.push_str(&format!("{key} = {}\n", self.redis(db, &format!("{read} {key}\n"))));
        }
        text
    }

    /// Rows, documents and keys of `prod` or `dev`.
    pub fn counts(&self, part: &str) -> (u64, u64, u64) {
        let collection = self.collection(part, "people");
        let db = index::of(part);
        (
            self.sql(part, "SELECT count(*) FROM people").parse().unwrap(),
            self.wait(async { collection.count_documents(doc! {}).await.unwrap() }),
            self.redis(db, "DBSIZE\n").parse().unwrap(),
        )
    }

    /// The snapshots that `pfdata list` shows.
    pub fn listed(&self) -> Vec<Value> {
        let said = self.pfdata(&["list", "--json"]).expect(0);
        said.json()["snapshots"].as_array().unwrap().clone()
    }

    /// Every file below a folder of the repository.
    pub fn files(&self, below: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.path(below)];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for entry in entries {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found.sort();
        found
    }

    /// The folder of a snapshot.
    pub fn snapshot_folder(&self, id: &str) -> PathBuf {
        let manifest = self
            .files("backups")
            .into_iter()
            .find(|path| path.ends_with(Path::new(id).join("manifest.json")));
        manifest.unwrap().parent().unwrap().to_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.redis.kill());
        drop(self.redis.wait());
        for part in ["prod", "dev"] {
            let database = self.database(part);
            for name in [
                database.clone(),
                format!("{database}_pfdata_new"),
                format!("{database}_pfdata_prev"),
            ] {
                drop(
                    self.psql("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")),
                );
            }
            let collection = self.collection(part, "people");
            self.wait(async {
                drop(collection.client().database(&database).drop().await);
            });
        }
    }
}

fn start_redis(folder: &Path) -> (Child, u16) {
    for _ in 0..20 {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--repl-diskless-sync-delay", "0", "--dir"])
            .arg(folder)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is on PATH: run scripts/test");
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(5) {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return (child, port);
            }
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(child.kill());
        drop(child.wait());
    }
    panic!("redis-server does not start");
}

const SCHEMA: &str = "
CREATE TABLE people (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL UNIQUE,
    name varchar(80) NOT NULL,
    about jsonb NOT NULL,
    mails text[] NOT NULL,
    mail_length int GENERATED ALWAYS AS (length(email)) STORED
);
CREATE INDEX people_name ON people (name);
CREATE VIEW names AS SELECT name FROM people;
";

pub const RULES: &str = r#"
version = 1

[postgres."public.people"]
id = "keep"
email = { use = "email", link = "person.email", unique = true }
name = "name"
about = { json = { "$.contact.email" = { use = "email", link = "person.email" }, "$.n" = "keep" } }
mails = { each = { use = "email", link = "person.email" } }

[mongodb.people]
_id = "keep"
email = { use = "email", link = "person.email", unique = true }
"contacts[].email" = { use = "email", link = "person.email" }
"contacts[].kind" = "keep"

[redis."user:{person.email}:profile"]
hash = { email = { use = "email", link = "person.email" }, visits = "keep" }

[redis."cart:*"]
names = "keep"
string = { json = { "$.email" = { use = "email", link = "person.email" } } }
"#;
