//! What a journal of a crashed snapshot may have removed, and what it may not.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::repository::Repository;

const ID: &str = "20261121T030000Z-7f3a9c";

/// A configuration with one environment, a repository, and a folder that is none of pfdata's.
struct Desk {
    folder: tempfile::TempDir,
    repository: Repository,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["config", "backups", "outside/raw"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let repository = Repository::open(&folder.path().join("backups"), None, true).unwrap();
        let data = json!({ "data": { "repository": "file://./backups", "class": "synthetic" } });
        fs::write(folder.path().join("config/development.json"), data.to_string()).unwrap();
        fs::write(folder.path().join("config/default.json"), "{}").unwrap();
        let desk = Self { folder, repository };
        desk.fill("outside/raw");
        desk
    }

    fn path(&self, below: &str) -> std::path::PathBuf {
        self.folder.path().join(below)
    }

    /// Something that looks like a part.
    fn fill(&self, below: &str) {
        let folder = self.path(below).join(ID);
        fs::create_dir_all(folder.join("redis")).unwrap();
        fs::write(folder.join("redis/x.rdb"), "x").unwrap();
    }

    /// Has the next job find a crashed one with this plan; gives how that one ended.
    fn clean_up(&self, plan: &Value) -> Option<Outcome> {
        let config = Config::load_with(&self.path("config"), None, HashMap::new()).unwrap();
        let environment = config.environment("development").unwrap();
        let jobs = self.repository.jobs("development");
        let journal = Journal::begin(&jobs, "crashed", plan).unwrap();
        clean_up_crashed(&Journals::new(jobs, []), &environment).unwrap();
        journal.read::<crate::job::journal::Done>("done").unwrap().map(|done| done.outcome)
    }
}

fn plan(repository: &str, set: &str, snapshot: &str) -> Value {
    serde_json::to_value(Record::new(repository, set, snapshot, Value::Null)).unwrap()
}

/// As versions wrote it that believed paths.
fn older(repository: &Path, folder: &Path) -> Value {
    json!({ "kind": "snapshot", "repository": repository, "folder": folder, "snapshot": ID,
        "plan": null })
}

#[test]
fn what_a_crashed_snapshot_left_is_removed_by_what_it_is_called() {
    let desk = Desk::new();
    desk.fill("backups/development/raw");
    let told = desk.clean_up(&plan(desk.repository.id(), "raw", ID));
    assert_eq!(told, Some(Outcome::Removed));
    assert!(!desk.path("backups/development/raw").join(ID).exists());
}

#[test]
fn a_plan_of_an_older_version_removes_what_lies_in_the_repository() {
    let desk = Desk::new();
    desk.fill("backups/development/raw");
    // The host that crashed had the repository mounted elsewhere.
    let elsewhere = Path::new("/mnt/elsewhere");
    let folder = elsewhere.join("development/raw").join(ID);
    assert_eq!(desk.clean_up(&older(elsewhere, &folder)), Some(Outcome::Removed));
    assert!(!desk.path("backups/development/raw").join(ID).exists());
}

#[test]
fn a_doctored_plan_removes_nothing_outside() {
    let outside = |desk: &Desk| desk.path("outside/raw").join(ID);
    for plan in [
        |desk: &Desk| older(&desk.path("outside"), &desk.path("outside/raw").join(ID)),
        |desk: &Desk| older(&desk.path("outside"), &desk.path("outside")),
        |desk: &Desk| plan(desk.repository.id(), "../../outside/raw", ID),
        |desk: &Desk| plan(desk.repository.id(), "..", &format!("../outside/raw/{ID}")),
        |desk: &Desk| plan(desk.repository.id(), "raw", ".."),
        |desk: &Desk| plan(desk.repository.id(), "raw", "../../../outside"),
        |desk: &Desk| plan(desk.repository.id(), "raw", desk.path("outside").to_str().unwrap()),
        |desk: &Desk| plan(desk.path("outside").to_str().unwrap(), "raw", ID),
    ] {
        let desk = Desk::new();
        desk.fill("backups/development/raw");
        let kept = desk.path("backups/development/raw").join(ID).join("manifest.json");
        fs::write(&kept, "{}").unwrap();
        let plan = plan(&desk);
        desk.clean_up(&plan);
        assert!(outside(&desk).join("redis/x.rdb").exists(), "{plan}");
        assert!(kept.exists(), "{plan}: what has a manifest stays");
    }
}

#[test]
fn what_lies_in_another_repository_waits_until_that_is_there() {
    let desk = Desk::new();
    desk.fill("backups/development/raw");
    let elsewhere = plan("2f1b0c5e-0000-4000-a000-000000000000", "raw", ID);
    assert_eq!(desk.clean_up(&elsewhere), None);
    assert!(desk.path("backups/development/raw").join(ID).exists());
}
