//! The rooms of the code and the doors between them.
//!
//! Reads the sources as text: what a file of one room may name of another is a table here, and a
//! new `use` that is not in it fails.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The floors of the house, lowest first; rooms on one floor know nothing of each other. A file may
/// import from lower floors and from its own room, never from above.
const FLOORS: &[&[&str]] = &[
    &["error"],
    &["terms", "files"],
    &["policy"],
    &["pipeline"],
    &["config", "hardening"],
    &["store", "repository"],
    &["anonymize", "seed"],
    &["job"],
    &["output"],
    &["cli"],
];

/// What a room leaves alone though it lies below.
const APART: &[(&str, &str, &str)] = &[
    ("anonymize", "repository", "rules know nothing of where data is kept"),
    ("output", "store", "output prints words, not stores"),
    ("output", "repository", "output prints words, not files"),
    ("cli", "store", "a subcommand asks a job"),
];

/// Groups of files that import each other in a circle, each for a reason.
const RECURSIONS: &[(&[&str], &str)] = &[(
    &["action", "by", "document", "json", "json_walk"],
    "a rule for JSON holds rules for what is in it",
)];

/// (what a line must not hold, in which files it may, why).
const RESERVED: &[(&str, &[&str], &str)] = &[
    ("println!(", &["src/output/"], "only output prints"),
    ("eprint", &["src/output/"], "only output prints"),
    ("clap", &["src/cli/"], "only cli uses clap"),
    ("process::exit", &[], "only main exits, by returning"),
    ("Permit(())", &["src/policy.rs"], "only the policy hands permits out"),
    ("Applied(())", &["src/policy.rs"], "only the policy knows what a proof is"),
    (
        "by_the_rules()",
        &["src/anonymize/", "src/policy.rs"],
        "only the rules engine proves that rules were applied",
    ),
    ("unsafe ", &[], "there is no unsafe code"),
    (
        "manifest.json",
        &[
            "src/repository/layout.rs",
            "src/repository/storage/contract_tests.rs",
            "src/job/snapshot/record_tests.rs",
        ],
        "only the layout spells a repository's names",
    ),
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

/// An import: the file that has it, its line, and the file that it names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Import {
    from: String,
    line: usize,
    to: String,
}

/// The module path of a file, without `crate`.
fn module(file: &str) -> Vec<String> {
    let below = file.strip_prefix("src/").unwrap().trim_end_matches(".rs");
    let mut parts: Vec<String> = below.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    if parts == ["lib"] || parts == ["main"] { Vec::new() } else { parts }
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn spread(tree: &str) -> Vec<String> {
    let Some((head, rest)) = tree.split_once('{') else { return vec![tree.trim().to_owned()] };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for letter in inner.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(letter);
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| spread(&format!("{}{}", head.trim(), part.trim()))).collect()
}

/// The paths that a file names: those of `use` and those in its code, with their lines. Texts are
/// no code.
fn paths(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let (mut tree, mut begun): (String, usize) = (String::new(), 0);
    for (line, text) in code(text) {
        let text: String = text.split('"').step_by(2).collect::<Vec<_>>().join(" ");
        let trimmed = text.trim_start().trim_start_matches("pub(crate) ");
        let trimmed = trimmed.trim_start_matches("pub(super) ").trim_start_matches("pub ");
        if tree.is_empty() {
            match trimmed.strip_prefix("use ") {
                Some(rest) => (tree, begun) = (rest.to_owned(), line),
                None => {
                    let named = text.split(|c: char| !(c.is_alphanumeric() || "_:".contains(c)));
                    found.extend(named.filter(|n| n.contains("::")).map(|n| (line, n.to_owned())));
                    continue;
                }
            }
        } else {
            tree.push_str(trimmed);
        }
        if let Some(whole) = tree.strip_suffix(';').map(str::to_owned) {
            found.extend(spread(&whole).into_iter().map(|path| (begun, path)));
            tree.clear();
        }
    }
    found
}

/// Every import of one file from another.
fn imports(sources: &[(String, String)]) -> Vec<Import> {
    let files: BTreeMap<Vec<String>, &str> = sources
        .iter()
        .filter(|(file, _)| !file.ends_with("tests.rs") && !file.ends_with("testing.rs"))
        .map(|(file, _)| (module(file), file.as_str()))
        .collect();
    let mut found = BTreeSet::new();
    for (file, text) in sources.iter().filter(|(file, _)| files.values().any(|f| f == file)) {
        let own = module(file);
        for (line, path) in paths(text) {
            let mut words = path.split("::").map(|w| w.split(" as ").next().unwrap().trim());
            let mut words: Vec<&str> = words.by_ref().filter(|word| !word.is_empty()).collect();
            let mut at = match words.first() {
                Some(&"crate") => Vec::new(),
                Some(&("super" | "self")) => own.clone(),
                Some(child) if files.contains_key(&[&own[..], &[(*child).to_owned()]].concat()) => {
                    words.insert(0, "self");
                    own.clone()
                }
                _ => continue,
            };
            let mut words = words.into_iter().peekable();
            while let Some(word) = words.next_if(|w| matches!(*w, "crate" | "self" | "super")) {
                if word == "super" {
                    at.pop();
                }
            }
            for word in words {
                at.push(word.to_owned());
                if !files.contains_key(&at) {
                    at.pop();
                    break;
                }
            }
            if let Some(to) = files.get(&at).filter(|to| **to != file && **to != "src/lib.rs") {
                found.insert(Import { from: file.clone(), line, to: (*to).to_owned() });
            }
        }
    }
    found.into_iter().collect()
}

fn floor(room: &str) -> usize {
    FLOORS
        .iter()
        .position(|floor| floor.contains(&room))
        .unwrap_or_else(|| panic!("`{room}` is a room that nobody knows: give it a floor"))
}

/// Imports that lead upward, to a neighbour, or where a room does not go.
fn climbing(imports: &[Import]) -> Vec<String> {
    let mut wrong = Vec::new();
    for import in imports {
        let (from, to) = (room(&import.from), room(&import.to));
        if matches!(from, "lib" | "main") || from == to {
            continue;
        }
        let place = format!("{}:{}: {from} must not name {to}", import.from, import.line);
        if floor(to) >= floor(from) {
            wrong.push(format!("{place}, which is not below it"));
        }
        for (_, _, why) in APART.iter().filter(|(a, b, _)| *a == from && *b == to) {
            wrong.push(format!("{place}: {why}"));
        }
    }
    wrong
}

/// Groups of files that import each other in a circle.
fn circles(imports: &[Import]) -> Vec<Vec<String>> {
    let mut to: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for import in imports {
        to.entry(&import.from).or_default().insert(&import.to);
    }
    let reach = |from: &str| {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> = to.get(from).into_iter().flatten().copied().collect();
        while let Some(file) = open.pop() {
            if seen.insert(file) {
                open.extend(to.get(file).into_iter().flatten());
            }
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        to.keys().map(|file| (*file, reach(file))).collect();
    let mut groups: BTreeSet<Vec<String>> = BTreeSet::new();
    for (file, below) in &reached {
        let mutual = |other: &&&str| reached.get(**other).is_some_and(|back| back.contains(file));
        let group: Vec<String> = below.iter().filter(mutual).map(|f| (*f).to_owned()).collect();
        if group.len() > 1 {
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

#[test]
fn no_file_imports_from_above() {
    let wrong = climbing(&imports(&sources()));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let known = |group: &Vec<String>| {
        RECURSIONS.iter().any(|(files, _)| {
            let is_named =
                |file: &String| files.iter().any(|name| file.ends_with(&format!("/{name}.rs")));
            group.len() == files.len() && group.iter().all(is_named)
        })
    };
    let mut found = circles(&imports(&sources()));
    let count = found.len();
    found.retain(|group| !known(group));
    assert!(found.is_empty(), "{found:#?}");
    assert_eq!(count, RECURSIONS.len(), "a recursion that is named is no longer there");
}

#[test]
fn a_planted_import_upward_and_a_planted_circle_are_found() {
    let plant = |file: &str, line: &str| {
        let mut sources = sources();
        let (_, text) = sources.iter_mut().find(|(name, _)| name == file).unwrap();
        *text = format!("{line}\n{text}");
        imports(&sources)
    };
    for (file, line) in [
        ("src/pipeline/flow.rs", "use crate::config::Environment;"),
        (
            "src/store/redis/source.rs",
            "use crate::{error::Error, repository::{self, manifest::Part}};",
        ),
        ("src/terms.rs", "fn planted() { crate::policy::held(); }"),
        ("src/config/sets.rs", "use super::super::job::Run;"),
    ] {
        let wrong = climbing(&plant(file, line));
        let told = !wrong.is_empty() && wrong.iter().all(|one| one.starts_with(file));
        assert!(told, "{file} {line}: {wrong:?}");
    }
    for (file, line) in [
        ("src/pipeline/block.rs", "use super::flow;"),
        ("src/store/postgres/quote.rs", "use super::source::{\n    Source,\n};"),
    ] {
        let found = circles(&plant(file, line));
        assert_eq!(found.len(), RECURSIONS.len() + 1, "{file} {line}: {found:#?}");
    }
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
fn a_storage_knows_nothing_of_what_is_stored() {
    let place = "src/repository/storage/";
    let found = imports(&sources());
    let inside: Vec<_> = found.iter().filter(|import| import.from.starts_with(place)).collect();
    assert!(!inside.is_empty(), "the storage is read");
    let knows = |import: &&&Import| {
        !import.to.starts_with(place) && !matches!(room(&import.to), "error" | "files")
    };
    let wrong: Vec<_> = inside.iter().filter(knows).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_repository_reaches_its_bytes_through_its_storage() {
    // The kind that is a folder, the lock that is a file, who this process is, and what a test plans.
    let may = ["storage/local.rs", "storage/backend.rs", "storage/planned.rs", "process.rs"];
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let Some(below) = file.strip_prefix("src/repository/") else { continue };
        if may.contains(&below) || below.ends_with("tests.rs") {
            continue;
        }
        for (line, text) in code(&text) {
            if text.contains("std::fs") || text.contains("fs::") && !text.contains("files::") {
                wrong.push(format!("{file}:{line}: {text}"));
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
