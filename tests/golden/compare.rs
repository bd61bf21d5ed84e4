//! Golden files: what was said is compared with a file below `tests/golden/`, or written to it.

use std::fs;
use std::path::{Path, PathBuf};

/// How to renew them; every failure says so.
const RENEW: &str = "PFDATA_GOLDEN=renew scripts/test --test golden";

/// Where golden files live.
pub fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(kind)
}

/// Compares `said` with `tests/golden/KIND/NAME`.
#[track_caller]
pub fn golden(kind: &str, name: &str, said: &str) {
    let path = folder(kind).join(name);
    let said = format!("{}\n", said.trim_end());
    if std::env::var("PFDATA_GOLDEN").is_ok_and(|word| word == "renew") {
        fs::create_dir_all(folder(kind)).unwrap();
        fs::write(path, said).unwrap();
        return;
    }
    let held = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        held == said,
        "tests/golden/{kind}/{name} holds something else:\n{}\nif that is meant, renew the files \
         with: {RENEW}\nand read what git says has changed: others rely on it",
        difference(&held, &said)
    );
}

/// Every file of a kind must be one that a test asked for.
#[track_caller]
pub fn nothing_else(kind: &str, names: &[String]) {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder(kind)).unwrap() {
        found.push(entry.unwrap().file_name().to_string_lossy().into_owned());
    }
    found.retain(|name| !names.contains(name));
    assert!(found.is_empty(), "no test says what is in tests/golden/{kind}: {found:?}");
}

/// The lines from the first to the last that differ, `-` as held and `+` as said.
fn difference(held: &str, said: &str) -> String {
    let (held, said): (Vec<&str>, Vec<&str>) = (held.lines().collect(), said.lines().collect());
    let begin = held.iter().zip(&said).take_while(|(a, b)| a == b).count();
    let ends = held[begin..].iter().rev().zip(said[begin..].iter().rev());
    let end = ends.take_while(|(a, b)| a == b).count();
    let lines = |sign: &'static str, lines: &[&str]| -> Vec<String> {
        lines[begin..lines.len() - end].iter().map(|line| format!("{sign}{line}")).collect()
    };
    let before = held[begin.saturating_sub(3)..begin].iter().map(|line| format!(" {line}"));
    let mut told: Vec<String> = before.collect();
    told.extend(lines("-", &held));
    told.extend(lines("+", &said));
    told.join("\n")
}
