//! Snapshots that earlier versions of repository format 1 wrote stay readable: those here name
//! neither a codec nor a record format in their parts. Needs no server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

const WHOLE: &str = "20261125T094711Z-222ee3";
const GZIP: &str = "20261125T094712Z-aae4b3";

/// A copy of the stored repository, and a configuration that knows it.
struct Shelf(tempfile::TempDir);

impl Shelf {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-1/backups");
        copy(&stored, &folder.path().join("backups"));
        fs::create_dir(folder.path().join("config")).unwrap();
        let write = |name: &str, body: &Value| {
            fs::write(folder.path().join("config").join(name), body.to_string()).unwrap();
        };
        write("default.json", &json!({ "data": { "repository": "file://./backups" } }));
        write(
            "sample.json",
            &json!({ "data": { "class": "synthetic" }, "database": {
                "redis": { "host": "127.0.0.1", "port": 1, "db": 7 } } }),
        );
        Self(folder)
    }

    fn path(&self, id: &str, below: &str) -> std::path::PathBuf {
        self.0.path().join("backups/sample/raw").join(id).join(below)
    }

    fn pfdata(&self, arguments: &[&str]) -> (i32, Value) {
        let said = Command::new(env!("CARGO_BIN_EXE_pfdata"))
            .current_dir(self.0.path())
            .args(arguments)
            .arg("--json")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&said.stdout);
        let document = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{error}: {text}{}", String::from_utf8_lossy(&said.stderr))
        });
        (said.status.code().unwrap(), document)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy(&from, &to) } else { fs::copy(&from, &to).map(drop).unwrap() }
    }
}

#[test]
fn what_an_earlier_version_stored_is_listed() {
    let (code, listed) = Shelf::new().pfdata(&["list"]);
    assert_eq!(code, 0, "{listed}");
    let rows = listed["snapshots"].as_array().unwrap();
    let ids: Vec<_> = rows.iter().map(|row| row["snapshot"].as_str().unwrap()).collect();
    assert_eq!(ids, [GZIP, WHOLE]);
    assert_eq!(rows[1]["records"], 24);
    assert_eq!(listed["unreadable"], json!([]));
}

#[test]
fn what_an_earlier_version_stored_is_verified() {
    for id in [WHOLE, GZIP] {
        let shelf = Shelf::new();
        let manifest = fs::read_to_string(shelf.path(id, "manifest.json")).unwrap();
        assert!(!manifest.contains("\"codec\"") && !manifest.contains("\"format\": \""));
        let (code, said) = shelf.pfdata(&["verify", id]);
        assert_eq!(code, 0, "{said}");
    }
}

#[test]
fn a_damaged_part_of_an_earlier_version_shows() {
    for part in ["postgres/data/public.people.7.copy.zst", "mongodb/fxsample/things.3.bson.zst"] {
        let shelf = Shelf::new();
        let path = shelf.path(WHOLE, part);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        let (code, said) = shelf.pfdata(&["verify", WHOLE]);
        assert_ne!(code, 0, "{part}: {said}");
        assert!(said.to_string().contains(part), "{part}: {said}");
    }
}
