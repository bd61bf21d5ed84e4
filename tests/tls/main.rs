//! What a connection over TLS trusts is one question with one answer for all three stores, asked of
//! real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod servers;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

/// What `pfdata check` said of reaching a store: whether it does, and the words with the hint.
type Reached = BTreeMap<String, (bool, String)>;

/// Three servers that speak TLS and one configuration.
struct World {
    folder: tempfile::TempDir,
    ports: [(&'static str, u16); 3],
    _servers: [servers::Server; 3],
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        servers::certificates(folder.path());
        let started = [
            servers::postgres(folder.path()),
            servers::redis(folder.path()),
            servers::mongodb(folder.path()),
        ];
        let ports = ["postgres", "redis", "mongodb"];
        let ports = std::array::from_fn(|at| (ports[at], started[at].port));
        fs::create_dir(folder.path().join("config")).unwrap();
        Self { folder, ports, _servers: started }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Reaches the stores with `ssl` in each, and `bundle` as `SSL_CERT_FILE`.
    fn reach(&self, ssl: &Value, bundle: Option<&str>) -> Reached {
        let store = |(name, port): (&str, u16)| {
            let mut block = json!({ "host": "127.0.0.1", "port": port, "ssl": ssl,
                "connectionTimeout": 2000 });
            match name {
                "redis" => block["db"] = json!(0),
                _ => block["database"] = json!("app"),
            }
            if name == "postgres" {
                block["username"] = json!("postgres");
            }
            (name.to_owned(), block)
        };
        let stores: serde_json::Map<String, Value> = self.ports.into_iter().map(store).collect();
        let config = json!({ "database": stores,
            "data": { "class": "synthetic", "repository": "file://./backups" } });
        let file = self.folder.path().join("config/development.json");
        fs::write(file, config.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pfdata"));
        command
            .args(["check", "development", "--json"])
            .current_dir(self.folder.path())
            .env_remove("SSL_CERT_FILE");
        if let Some(bundle) = bundle {
            command.env("SSL_CERT_FILE", self.folder.path().join(bundle));
        }
        reached(command)
    }
}

/// The first finding of each store is whether it is reached.
fn reached(mut command: Command) -> Reached {
    let output = command.output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let mut reached = Reached::new();
    for found in document["findings"].as_array().unwrap() {
        let on = found["on"].as_str().unwrap();
        if ["postgres", "redis", "mongodb"].contains(&on) {
            let told = format!("{} {}", found["detail"], found["hint"]);
            reached.entry(on.to_owned()).or_insert((found["ok"] == true, told));
        }
    }
    assert_eq!(reached.len(), 3, "{document}");
    reached
}

#[track_caller]
fn expect(reached: &Reached, ok: bool, words: &str) {
    for (store, (reaches, told)) in reached {
        assert!(*reaches == ok && told.contains(words), "{store}: {reaches}, {told}");
    }
}

#[test]
fn the_same_authorities_are_trusted_or_refused_in_every_store() {
    let world = World::new();
    let required = json!({ "required": true });
    let with = |ca: &str| json!({ "required": true, "ca": world.path(ca) });
    expect(&world.reach(&with("ca.pem"), None), true, "");
    expect(&world.reach(&required, Some("ca.pem")), true, "");
    // What the configuration names beats what the host names, both ways.
    expect(&world.reach(&with("ca.pem"), Some("other.pem")), true, "");
    let advice = "set `ssl.ca` to the authority";
    expect(&world.reach(&with("other.pem"), Some("ca.pem")), false, advice);
    expect(&world.reach(&required, Some("other.pem")), false, advice);
    // A file that is not there, or is none, does not mean the authorities of the system.
    fs::write(world.path("empty.pem"), "no certificate\n").unwrap();
    for (name, words) in [("absent.pem", "cannot be read"), ("empty.pem", "holds no certificate")] {
        expect(&world.reach(&with(name), Some("ca.pem")), false, words);
        expect(&world.reach(&required, Some(name)), false, words);
    }
    // Only the word for it turns the check off, and then it needs no authorities.
    let unchecked = json!({ "required": true, "rejectUnauthorized": false });
    expect(&world.reach(&unchecked, Some("absent.pem")), true, "");
}

#[test]
fn tls_that_is_required_is_never_given_up() {
    let plain = ["POSTGRES", "REDIS", "MONGODB"].map(|store| {
        let name = format!("PFDATA_TEST_{store}_URL");
        let url = std::env::var(&name).unwrap_or_else(|_| panic!("{name} is not set"));
        url::Url::parse(&url).unwrap().port().unwrap()
    });
    let mut in_the_clear = World::new();
    let with = json!({ "required": true, "ca": in_the_clear.path("ca.pem") });
    for (at, port) in plain.into_iter().enumerate() {
        in_the_clear.ports[at].1 = port;
    }
    expect(&in_the_clear.reach(&with, None), false, "");
    let unchecked = json!({ "required": true, "rejectUnauthorized": false });
    expect(&in_the_clear.reach(&unchecked, None), false, "");
}
