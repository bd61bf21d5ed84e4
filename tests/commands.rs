//! A `${cmd:…}` of the configuration is run once by a command of pfdata, however often a job asks
//! where its stores are.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

mod common;

use std::fs;

use common::World;
use serde_json::{Value, json};

/// Prints `answer` and leaves a line in the file `calls`.
fn counted(answer: &str) -> Value {
    json!(format!("${{cmd:echo {answer} >> calls; echo {answer}}}"))
}

/// What was run since the last question, sorted.
fn calls(world: &World) -> Vec<String> {
    let text = fs::read_to_string(world.path("calls")).unwrap_or_default();
    if !text.is_empty() {
        fs::remove_file(world.path("calls")).unwrap();
    }
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A world whose databases are named by commands, with the host of both Redis indexes from one.
fn world() -> World {
    let world = World::new(5);
    for (environment, part) in [("production", "prod"), ("development", "dev")] {
        let database = world.database(part);
        world.edit_json(&format!("config/{environment}.json"), |config| {
            let stores = &mut config["database"];
            stores["postgres"]["database"] = counted(&database);
            stores["mongodb"]["database"] = counted(&database);
            stores["redis"]["host"] = counted("127.0.0.1");
        });
    }
    world
}

#[test]
fn a_command_runs_once_in_a_whole_job() {
    let world = world();
    let (prod, dev) = (world.database("prod"), world.database("dev"));
    world.pfdata(&["snapshot", "production", "--dry-run"]).expect(0);
    assert_eq!(calls(&world), ["127.0.0.1", &prod]);
    world.pfdata(&["snapshot", "production"]).expect(0);
    assert_eq!(calls(&world), ["127.0.0.1", &prod]);
    world.pfdata(&["check", "production", "development"]).expect(0);
    assert_eq!(calls(&world), ["127.0.0.1", &dev, &prod]);
    // Whether production has the same stores is asked too.
    world.pfdata(&["refresh", "development", "--confirm", "development"]).expect(0);
    assert_eq!(calls(&world), ["127.0.0.1", &dev, &prod]);
    world.pfdata(&["list"]).expect(0);
    assert_eq!(calls(&world), [""; 0]);
}

#[test]
fn a_command_that_fails_is_not_tried_again() {
    let world = World::new(1);
    for environment in ["production", "development"] {
        world.edit_json(&format!("config/{environment}.json"), |config| {
            let failing = json!("${cmd:echo tried >> calls; exit 1}");
            config["database"]["postgres"]["password"] = failing.clone();
            config["database"]["mongodb"]["password"] = failing;
        });
    }
    let said = world.pfdata(&["check", "production", "development"]).expect(4);
    assert!(said.stdout.contains("failed with exit code 1"), "{}", said.stdout);
    assert_eq!(calls(&world), ["tried"]);
}
