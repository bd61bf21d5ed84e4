//! How an error reads: its text, and its document.

use serde_json::{Value, json};

use crate::common::{RULES, World};
use crate::compare::{golden, nothing_else};
use crate::steady::Steady;

/// A command that fails: the name of its files, its words, its exit code.
const FAILURES: &[(&str, &[&str], i32)] = &[
    ("unreachable", &["snapshot", "production", "--store", "redis"], 12),
    ("not-found", &["show", "20260101T000000Z-abcdef"], 10),
    ("no-such-environment", &["snapshot", "nowhere"], 10),
    ("refused", &["refresh", "production", "--confirm", "production"], 5),
    ("not-built", &["refresh", "development", "--fresh"], 2),
    ("not-built-command", &["migrate", "development"], 2),
    ("usage", &["restore", "latest"], 2),
    ("configuration", &["rules", "check", "production"], 2),
];

#[test]
fn errors_read_as_they_did() {
    let world = World::new(1);
    world.edit_json("config/production.json", |config| {
        config["database"]["redis"]["port"] = json!(1)
    });
    let steady = Steady::of(&world);
    let mut names = Vec::new();
    for (name, words, code) in FAILURES {
        if *name == "configuration" {
            let rules = RULES.replace("name = \"name\"", "name = \"nmae\"");
            std::fs::write(world.path("anonymizers/people.toml"), rules).unwrap();
        }
        let said = world.pfdata(&[&["--quiet"], *words].concat()).expect(*code);
        assert_eq!(said.stdout, "", "{name}: an error is no answer");
        let text = format!("{name}.txt");
        golden("errors", &text, &steady.text(&said.stderr));
        let said = world.pfdata(&[&["--json"], *words].concat()).expect(*code);
        let document: Value = serde_json::from_str(&said.stderr).unwrap();
        assert_eq!((said.stdout.as_str(), &document["exit_code"]), ("", &json!(code)), "{name}");
        let json = format!("{name}.json");
        golden("errors", &json, &steady.json(&document));
        names.extend([text, json]);
    }
    nothing_else("errors", &names);
}
