//! Loading from a repository that this host may only read.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

mod common;

use std::fs;

use common::World;

/// Permissions do not bind whoever runs the tests as root, so that a file stands where the facts
/// would be written.
#[test]
fn a_load_needs_no_right_to_write_beside_its_snapshot() {
    let world = World::new(20);
    let id = world.snapshot();
    let facts = world.snapshot_folder(&id).join("facts");
    assert!(!facts.exists());
    fs::write(&facts, "").unwrap();
    let said = world.refresh().expect(0).json();
    assert_eq!(world.counts("dev"), world.counts("prod"));
    let told = said["remarks"].to_string();
    assert!(told.contains(&id) && told.contains("without a hold"), "{told}");
}

#[test]
fn a_load_lets_go_of_its_snapshot_at_its_end() {
    let world = World::new(20);
    let id = world.snapshot();
    let said = world.refresh().expect(0).json();
    assert!(!said["remarks"].to_string().contains("without a hold"));
    let facts = fs::read_dir(world.snapshot_folder(&id).join("facts")).unwrap();
    let names: Vec<_> = facts.map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with("hold")), "{names:?}");
}
