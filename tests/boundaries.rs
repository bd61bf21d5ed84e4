//! The rooms of the code and the doors between them.
//!
//! Reads the sources as text: what a file of one room may name of another is a table here, and a
//! new `use` that is not in it fails.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

use std::fs;
use std::path::{Path, PathBuf};

/// Room → the rooms it may name with `crate::…`. `error` is everybody's.
const ALLOWED: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("hardening", &[]),
    (
        "cli",
        &["config", "hardening", "job", "output", "pipeline", "repository", "store", "anonymize"],
    ),
    ("output", &["job", "pipeline", "store"]),
    ("config", &["anonymize", "pipeline", "store"]),
    ("job", &["anonymize", "config", "pipeline", "repository", "seed", "store"]),
    ("store", &["config", "pipeline"]),
    ("anonymize", &["config", "pipeline", "store"]),
    ("pipeline", &["config"]),
    ("repository", &["config", "pipeline", "store"]),
    ("seed", &["repository", "store"]),
];

/// (what a line must not hold, in which files it may, why).
const RESERVED: &[(&str, &[&str], &str)] = &[
    ("println!(", &["src/output/"], "only output prints"),
    ("eprint", &["src/output/"], "only output prints"),
    ("clap", &["src/cli/"], "only cli uses clap"),
    ("process::exit", &[], "only main exits, by returning"),
    ("Permit(())", &["src/config/policy.rs"], "only the policy hands permits out"),
    ("Applied(())", &["src/anonymize/"], "only the rules engine proves that rules were applied"),
    ("unsafe ", &[], "there is no unsafe code"),
];

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|suffix| suffix == "rs") {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(found.len() > 40, "the sources are read");
    found
}

/// The code of a file without comments and without its tests.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("#[cfg(test)]").unwrap_or(text.len());
    let lines = text[..end].lines().enumerate();
    lines.filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(at, line)| (at + 1, line))
}

fn room(file: &str) -> &str {
    let below = file.strip_prefix("src/").unwrap();
    below.split('/').next().unwrap().trim_end_matches(".rs")
}

#[test]
fn rooms_name_only_the_rooms_they_may() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let room = room(&file);
        if room == "lib" || room == "main" {
            continue;
        }
        let allowed = ALLOWED.iter().find(|(name, _)| *name == room);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{file} is in a room nobody knows"));
        for (line, text) in code(&text) {
            for named in text.split("crate::").skip(1) {
                let named: String =
                    named.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if named != room
                    && named != "error"
                    && !named.is_empty()
                    && !allowed.contains(&&*named)
                {
                    wrong.push(format!("{file}:{line}: {room} must not name {named}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn what_is_reserved_stays_in_its_room() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        for (line, text) in code(&text) {
            for (word, rooms, why) in RESERVED {
                if text.contains(word) && !rooms.iter().any(|room| file.starts_with(room)) {
                    wrong.push(format!("{file}:{line}: {why}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn stores_share_nothing_but_their_shape() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let Some(below) = file.strip_prefix("src/store/") else { continue };
        let Some((own, _)) = below.split_once('/') else { continue };
        for other in ["postgres", "mongodb", "redis"] {
            for (line, text) in code(&text) {
                if other != own && text.contains(&format!("store::{other}")) {
                    wrong.push(format!("{file}:{line}: {own} must not name {other}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_store_has_the_same_files() {
    for store in ["postgres", "mongodb", "redis"] {
        for file in ["mod", "connect", "catalog", "source", "target", "swap", "check"] {
            let path =
                Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/store/{store}/{file}.rs"));
            assert!(path.is_file(), "{}", path.display());
        }
    }
}
