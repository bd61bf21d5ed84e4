//! The commands that look and print: what they give, to whom, and with which exit code.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

mod common;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;
use common::{KEY, Said, World};
use pfdata::cli::Cli;
use serde_json::json;

/// Runs `pfdata` where there is no configuration.
fn bare(words: &[&str]) -> Said {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pfdata"));
    let output = command.args(words).current_dir(nowhere.path()).output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The subcommands that help shows.
fn commands() -> Vec<String> {
    let cli = Cli::command();
    let shown = cli.get_subcommands().filter(|command| !command.is_hide_set());
    shown.map(|command| command.get_name().to_owned()).collect()
}

#[test]
fn every_shell_gets_completions_for_every_command() {
    let shells = Shell::value_variants();
    assert!(shells.len() >= 5, "{shells:?}");
    for shell in shells {
        let said = bare(&["completions", &shell.to_string()]).expect(0);
        assert_eq!(said.stderr, "", "{shell}");
        for command in commands() {
            assert!(said.stdout.contains(&command), "{command} in the completions of {shell}");
        }
        assert!(said.stdout.contains("--rollback-ready"), "{shell}");
    }
    bare(&["completions", "tcsh"]).expect(2);
    bare(&["completions"]).expect(2);
}

#[test]
fn bash_understands_its_completions() {
    let script = bare(&["completions", "bash"]).expect(0).stdout;
    let asked = format!(
        "{script}\nCOMP_WORDS=(pfdata roll); COMP_CWORD=1; _pfdata pfdata roll pfdata; echo \"${{COMPREPLY[@]}}\""
    );
    let mut bash = Command::new("bash")
        .args(["--norc", "-s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    bash.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let output = bash.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "rollback");
}

#[test]
fn every_command_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/man");
    let said = bare(&["man", "--out", out.to_str().unwrap()]).expect(0);
    assert_eq!(said.stdout, "", "the pages are the answer");
    assert!(said.stderr.contains("new/man"), "{}", said.stderr);
    let page = |name: &str| fs::read_to_string(out.join(name)).unwrap_or_default();
    assert!(page("pfdata.1").contains("replace development"), "examples are in the page");
    for command in commands() {
        let page = page(&format!("pfdata-{command}.1"));
        assert!(page.contains(".TH") && page.contains(".SH NAME"), "{command}: {page}");
    }
    assert!(page("pfdata-rules-check.1").contains("uncovered"));
    for entry in fs::read_dir(&out).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(!page(&name).contains("not built yet"), "{name} is of this version");
    }
    bare(&["man"]).expect(2);
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let said = bare(&["man", "--out", file.join("below").to_str().unwrap()]).expect(1);
    assert!(said.stderr.contains("cannot write man pages"), "{}", said.stderr);
}

#[test]
fn the_configuration_is_shown_without_its_secrets() {
    let world = World::new(1);
    world.edit_json("config/production.json", |config| {
        config["database"]["redis"]["password"] = json!("hunter2-is-no-secret");
    });
    for words in [&[][..], &["--origin"], &["--json"], &["-vvv"]] {
        let said = world.pfdata(&[&["config", "show", "production"], words].concat()).expect(0);
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(!all.contains("hunter2") && !all.contains(KEY), "{all}");
        assert!(all.contains("database.redis.password") && all.contains("data.class"), "{all}");
        let origin = all.contains("config/production.json");
        assert_eq!(origin, !words.is_empty() && words != ["-vvv"], "{words:?}: {all}");
    }
    // Short names are those of the other commands, and so is the one that needs no name.
    let prod = world.pfdata(&["config", "show", "prod"]).expect(0).stdout;
    assert_eq!(prod, world.pfdata(&["config", "show", "production"]).expect(0).stdout);
    let unnamed = world.pfdata(&["config", "show"]).expect(0).stdout;
    assert_eq!(unnamed, world.pfdata(&["config", "show", "development"]).expect(0).stdout);
    world.pfdata(&["config", "show", "nowhere"]).expect(10);
    world.pfdata(&["config"]).expect(2);
    fs::write(world.path("config/production.json"), "{").unwrap();
    let said = world.pfdata(&["config", "show", "production"]).expect(2);
    assert!(said.stderr.contains("production.json"), "{}", said.stderr);
}

#[test]
fn a_check_says_what_is_well_and_what_is_not() {
    let world = World::new(1);
    world.snapshot();
    let before = (world.contents("dev"), world.files("backups"));
    let said = world.pfdata(&["check", "production", "development"]).expect(0).stdout;
    for word in ["production", "development", "repository", "rules", "postgres", "redis", "mongodb"]
    {
        assert!(said.contains(word), "{word} in {said}");
    }
    assert!(!said.contains("FAIL"), "{said}");
    let unnamed = world.pfdata(&["check"]).expect(0).stdout;
    assert!(unnamed.contains("development") && !unnamed.contains("production"), "{unnamed}");
    assert_eq!((world.contents("dev"), world.files("backups")), before, "a check changes nothing");

    world.edit_json("config/development.json", |config| {
        config["database"]["redis"]["port"] = json!(1);
    });
    let said = world.pfdata(&["check", "production", "development"]).expect(4).stdout;
    let failed: Vec<&str> = said.lines().filter(|line| line.contains("FAIL")).collect();
    assert!(failed.len() == 1 && failed[0].contains("redis"), "{said}");
    assert!(said.contains("hint: development redis: "), "{said}");
    world.pfdata(&["check", "production"]).expect(0);

    fs::write(world.path("anonymizers/people.toml"), "version = 2\n").unwrap();
    let said = world.pfdata(&["check", "production"]).expect(4).stdout;
    assert!(said.lines().any(|line| line.contains("FAIL") && line.contains("rules")), "{said}");
    world.pfdata(&["check", "nowhere"]).expect(10);
    world.pfdata(&["check", "production", "--grants"]).expect(2);
}
