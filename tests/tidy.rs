//! How large a file and a function may grow, and comments that say nothing.
//!
//! Reads the sources as text, as rustfmt leaves them. What was larger before there was a limit is
//! listed with its size: it may shrink and leave the list, nothing may come onto it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

use std::fs;
use std::path::Path;

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 80;

/// Files that are longer, with the lines that they may have.
const LONG_FILES: &[(&str, usize)] =
    &[("tests/mongodb_store.rs", 881), ("tests/policy.rs", 624), ("tests/recovery.rs", 734)];

/// Functions that are longer, with the lines that they may have.
const LONG_FUNCTIONS: &[(&str, usize)] = &[
    ("src/anonymize/detect.rs: of_text", 96),
    ("src/job/snapshot/redis.rs: read", 85),
    ("tests/config/errors.rs: wrong_values_name_file_path_and_what_is_expected", 113),
    ("tests/config/errors.rs: wrong_values_of_a_store", 108),
    ("tests/mongodb_store.rs: options_indexes_and_views_come_back", 90),
    ("tests/policy.rs: a_class_that_was_edited_holds_only_once_it_is_recorded", 109),
    ("tests/policy.rs: a_manifest_with_one_word_changed_is_found_and_refused", 95),
    ("tests/postgres_store/restore.rs: grants_and_settings_of_the_live_database_win", 83),
    (
        "tests/structure.rs: credentials_in_the_structure_end_a_masked_snapshot_and_not_a_raw_one",
        86,
    ),
    ("tests/structure.rs: what_is_carried_as_it_is_is_named_in_plan_manifest_and_show", 93),
];

/// Doc comments that a reader knows no more after.
const EMPTY_COMMENTS: &[&str] = &[
    "All of it.",
    "How.",
    "Refuses.",
    "Runs it.",
    "What.",
    "When.",
    "Where.",
    "Who.",
    "Why",
    "Why.",
    "Not built yet",
    "Not built yet.",
];

/// Every file of the crate and of its tests, by its path from the root.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut folders) = (Vec::new(), vec![root.join("src"), root.join("tests")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|suffix| suffix == "rs") {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(found.len() > 100, "the sources are read");
    found.sort();
    found
}

/// The name of the function that a line begins.
fn begins(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let before = |word: &str| {
        matches!(word, "pub" | "const" | "async" | "unsafe" | "in") || word.starts_with("pub(")
    };
    let word = words.find(|word| !before(word))?;
    let name = (word == "fn").then(|| words.next())??;
    name.split(['(', '<']).next()
}

/// The functions with a body of their own lines, and how many lines each has: up to the brace that
/// stands where the function began.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = begins(line) else { continue };
        if line.ends_with(['}', ';']) {
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = lines[at..].iter().position(|line| {
            let declared = |rest: &str| rest.starts_with(')') && rest.ends_with(['}', ';']);
            line.strip_prefix(indent).is_some_and(|rest| rest == "}" || declared(rest))
        });
        found.push((name, end.unwrap_or_else(|| panic!("{name} has no end")) + 1));
    }
    found
}

/// What is larger than `limit` and not known to be, and what is known and need not be.
fn judge(sizes: &[(String, usize)], limit: usize, known: &[(&str, usize)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, size) in sizes.iter().filter(|(_, size)| *size > limit) {
        match known.iter().find(|(known, _)| known == name) {
            None => wrong.push(format!("{name} has {size} lines, more than {limit}: part it")),
            Some((_, had)) if size > had => {
                wrong.push(format!("{name} had {had} lines, too many, and has {size}: part it"));
            }
            Some(_) => {}
        }
    }
    for (name, _) in known {
        if !sizes.iter().any(|(other, size)| other == name && *size > limit) {
            wrong.push(format!("{name} is no longer over {limit} lines: take it off the list"));
        }
    }
    wrong
}

fn empty_comments(file: &str, text: &str) -> Vec<String> {
    let told = |line: &str| {
        let line = line.trim();
        line.strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"))
            .map(|said| said.trim().to_owned())
    };
    let lines = text.lines().enumerate();
    let said = lines.filter_map(|(at, line)| told(line).map(|said| (at + 1, said)));
    said.filter(|(_, said)| EMPTY_COMMENTS.contains(&said.as_str()))
        .map(|(at, said)| {
            format!("{file}:{at}: `{said}` says nothing: say something or leave it out")
        })
        .collect()
}

#[test]
fn no_file_grows_too_long() {
    let sizes: Vec<_> =
        sources().into_iter().map(|(file, text)| (file, text.lines().count())).collect();
    let wrong = judge(&sizes, FILE_LINES, LONG_FILES);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_function_grows_too_long() {
    let mut sizes = Vec::new();
    for (file, text) in sources() {
        sizes
            .extend(functions(&text).iter().map(|(name, size)| (format!("{file}: {name}"), *size)));
    }
    assert!(sizes.len() > 1000, "the functions are found");
    let wrong = judge(&sizes, FUNCTION_LINES, LONG_FUNCTIONS);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_comment_says_nothing() {
    let wrong: Vec<String> =
        sources().iter().flat_map(|(file, text)| empty_comments(file, text)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn what_is_planted_is_found() {
    let body = "        work();\n".repeat(FUNCTION_LINES);
    let planted = format!(
        "impl A {{\n    pub(crate) async fn long(\n        &self,\n    ) {{\n{body}    }}\n}}\n"
    );
    assert_eq!(functions(&planted), [("long", FUNCTION_LINES + 4)]);
    assert_eq!(
        functions("trait A {\n    fn a(&self);\n    fn b(\n        &self,\n    );\n}\n"),
        [("b", 3)]
    );
    let sizes = [("a".to_owned(), 12), ("b".to_owned(), 12), ("c".to_owned(), 12)];
    let wrong = judge(&sizes, 10, &[("b", 11), ("c", 12), ("d", 12)]);
    let about: Vec<&str> = wrong.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(about, ["a", "b", "d"]);
    assert_eq!(empty_comments("a.rs", "fn a() {}\n    /// When.\n/// When it ended.\n").len(), 1);
}
