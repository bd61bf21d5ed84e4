//! What can go wrong while a job runs: the target stays whole, and the next job succeeds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

mod common;

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::World;

fn kill_after(world: &World, arguments: &[&str], delay: Duration) {
    let mut child =
        world.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    sleep(delay);
    drop(child.kill());
    child.wait().unwrap();
}

fn wait_for(what: &str, mut seen: impl FnMut() -> bool) {
    let started = Instant::now();
    while !seen() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what} does not happen");
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_killed_snapshot_is_never_listed_and_is_cleaned_up() {
    let world = World::new(20_000);
    for delay in [30, 80, 150, 250, 400] {
        kill_after(&world, &["snapshot", "production"], Duration::from_millis(delay));
    }
    let listed = world.listed();
    for snapshot in &listed {
        let id = snapshot["snapshot"].as_str().unwrap();
        world.pfdata(&["verify", id]).expect(0);
    }
    let id = world.snapshot();
    assert_eq!(world.listed().len(), listed.len() + 1);
    let folders = world.files("backups/production");
    assert!(
        folders.iter().all(|path| path.components().any(|part| {
            let part = part.as_os_str().to_string_lossy();
            part == id || listed.iter().any(|snapshot| snapshot["snapshot"] == *part)
        })),
        "what crashed snapshots left is gone: {folders:?}"
    );
}

#[test]
fn a_refresh_killed_at_any_moment_leaves_old_or_new_data() {
    let world = World::new(2_000);
    let first = world.snapshot();
    world.fill("prod", 1_000, 500_000);
    let second = world.snapshot();
    let known = [(3, 3, 6), (2_000, 2_000, 4_000), (1_000, 1_000, 2_000)];
    let started = Instant::now();
    world.refresh().expect(0);
    let usual = started.elapsed();
    for round in 0..20_u32 {
        let id = if round % 2 == 0 { &first } else { &second };
        let delay = usual.mul_f64(f64::from(round * 7 % 20 + 1) / 19.0);
        kill_after(
            &world,
            &["refresh", "development", "--from", id, "--confirm", "development"],
            delay,
        );
        let (rows, documents, keys) = world.counts("dev");
        let has = |index: usize, count: u64| {
            known.iter().any(|known| [known.0, known.1, known.2][index] == count)
        };
        assert!(has(0, rows) && has(1, documents) && has(2, keys), "{rows} {documents} {keys}");
    }
    world.refresh().expect(0);
    assert_eq!(world.counts("dev"), (1_000, 1_000, 2_000));
    let leftovers = world.admin(&format!(
        "SELECT datname FROM pg_database WHERE datname LIKE '{}%\\_new'",
        world.database("dev")
    ));
    assert_eq!(leftovers, "");
}

/// Starts a command that nobody listens to, to be killed.
fn begin(world: &World, arguments: &[&str]) -> std::process::Child {
    let mut command = world.command(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// How many files of the journals end so.
fn journaled(world: &World, ending: &str) -> usize {
    let files = world.files("backups/jobs");
    files.iter().filter(|path| path.to_string_lossy().ends_with(ending)).count()
}

/// Stops Redis from the moment everything is ready to be swapped, so that the process can be
/// killed after Postgres and before Redis.
fn kill_between_the_swaps(world: &World) {
    let mut child = begin(world, &["refresh", "development", "--confirm", "development"]);
    // What is live in MongoDB is kept once all stores are loaded, right before the first swap.
    let keeping = || journaled(world, "-previous/plan.json");
    let before = keeping();
    wait_for("the end of loading", || keeping() > before);
    world.redis(0, "CLIENT PAUSE 60000 WRITE\n");
    wait_for("postgres's swap", || {
        world.try_sql("dev", "SELECT count(*) FROM people").as_deref() == Some("400")
    });
    drop(child.kill());
    child.wait().unwrap();
    world.redis(0, "CLIENT UNPAUSE\n");
}

#[test]
fn a_crash_between_two_swaps_is_told_and_finished_by_the_next_job() {
    let world = World::new(400);
    world.snapshot();
    kill_between_the_swaps(&world);
    assert_eq!(world.counts("dev"), (400, 3, 6), "postgres is swapped, the others are not");
    let status = world.pfdata(&["status", "--json"]).expect(0).json();
    let development = status["environments"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["environment"] == "development")
        .unwrap();
    assert_eq!(development["crashed"][0]["swapping"], true, "{status}");
    assert!(world.pfdata(&["status"]).expect(0).stdout.contains("HALF-SWAPPED"));
    world.pfdata(&["snapshot", "development"]).expect(1);
    // Any job that changes the environment deals with it first: a rollback finishes the load and
    // then takes it back.
    world.pfdata(&["rollback", "development", "--confirm", "development"]).expect(0);
    assert_eq!(world.counts("dev"), (3, 3, 6));
    world.refresh().expect(0);
    assert_eq!(world.counts("dev"), (400, 400, 800));
}

#[test]
fn a_swap_that_fails_takes_the_earlier_ones_back() {
    let world = World::new(400);
    world.snapshot();
    let before = world.contents("dev");
    // SWAPDB inside of a transaction is refused when the transaction is executed.
    world.redis(0, "ACL SETUSER default -swapdb\n");
    let said = world.refresh();
    assert_eq!(said.code, 1, "{}", said.stderr);
    world.redis(0, "ACL SETUSER default +swapdb\n");
    assert_eq!(world.contents("dev"), before);
    assert_eq!(
        world.pfdata(&["status", "--json"]).json()["environments"][0]["crashed"],
        serde_json::json!([])
    );
    world.refresh().expect(0);
    assert_eq!(world.counts("dev"), (400, 400, 800));
}

#[test]
fn an_interrupted_refresh_undoes_itself() {
    let world = World::new(3_000);
    world.snapshot();
    let before = world.contents("dev");
    use rustix::process::Signal;
    for (delay, signal) in [
        (50, Signal::INT),
        (200, Signal::INT),
        (400, Signal::INT),
        (200, Signal::TERM),
        (100, Signal::HUP),
        (300, Signal::HUP),
    ] {
        let mut child = world
            .command(&["refresh", "development", "--confirm", "development"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sleep(Duration::from_millis(delay));
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, signal).unwrap();
        let code = child.wait().unwrap().code();
        if code == Some(0) {
            world.pfdata(&["rollback", "development", "--confirm", "development"]).expect(0);
        } else {
            assert_eq!(code, Some(130));
        }
        assert_eq!(world.contents("dev"), before);
    }
}

#[test]
fn a_damaged_part_is_found_before_the_target_is_touched() {
    let world = World::new(300);
    let first = world.contents("dev");
    world.snapshot();
    world.refresh().expect(0);
    let before = world.contents("dev");
    for damage in ["flip", "cut", "gone"] {
        let id = world.snapshot();
        let folder = world.snapshot_folder(&id);
        for below in ["postgres/data", "mongodb", "redis"] {
            let parts = world.files(
                folder.join(below).strip_prefix(world.folder.path()).unwrap().to_str().unwrap(),
            );
            let part = parts.iter().find(|path| path.to_string_lossy().ends_with(".zst")).unwrap();
            let whole = fs::read(part).unwrap();
            match damage {
                "flip" => {
                    let mut bytes = whole.clone();
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                    fs::write(part, bytes).unwrap();
                }
                "cut" => fs::write(part, &whole[..whole.len() - 3]).unwrap(),
                _ => fs::remove_file(part).unwrap(),
            }
            world.pfdata(&["verify", &id]).expect(4);
            world.refresh().expect(4);
            assert_eq!(world.contents("dev"), before, "{damage} in {below}");
            fs::write(part, whole).unwrap();
        }
        world.pfdata(&["verify", &id]).expect(0);
    }
    // Not even what is kept from before the last good load was dropped for a damaged one.
    world.pfdata(&["rollback", "development", "--confirm", "development"]).expect(0);
    assert_eq!(world.contents("dev"), first);
}

#[test]
fn two_jobs_of_one_environment_do_not_run_at_once() {
    let world = World::new(20_000);
    world.snapshot();
    let mut child = world
        .command(&["refresh", "development", "--confirm", "development"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the lease", || {
        fs::read_to_string(world.path("backups/leases/development.json"))
            .is_ok_and(|text| text.contains("refresh"))
    });
    let said = world.refresh();
    assert_eq!(said.code, 11, "{}", said.stderr);
    assert!(said.stderr.contains("refresh development"), "{}", said.stderr);
    assert!(child.wait().unwrap().success());
    world.refresh().expect(0);
}

#[test]
fn a_full_disk_ends_a_snapshot_cleanly() {
    let world = World::new(30_000);
    world.sql("prod", "UPDATE people SET about = about || jsonb_build_object('n', n) FROM generate_series(1, 1) n");
    let command = world.command(&["snapshot", "production", "--compression", "none"]);
    // A limit on the size of files is the full disk that a test can make without a mount.
    let arguments: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
    let output = std::process::Command::new("bash")
        .args([
            "-c",
            "ulimit -f 512; trap '' XFSZ; exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_pfdata"),
        ])
        .args(arguments)
        .current_dir(world.folder.path())
        .env("PFDATA_TEST_KEY", common::KEY)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot write"), "{stderr}");
    assert!(world.listed().is_empty());
    assert!(world.files("backups/production").is_empty(), "nothing is left");
    world.snapshot();
}

#[test]
fn other_content_of_the_same_number_is_found_before_the_swap() {
    let world = World::new(100);
    let before = world.contents("dev");
    let id = world.snapshot();
    let manifest = world.snapshot_folder(&id).join("manifest.json");
    let whole = fs::read_to_string(&manifest).unwrap();
    let value: serde_json::Value = serde_json::from_str(&whole).unwrap();
    for (at, store) in value["stores"].as_array().unwrap().iter().enumerate() {
        let mut lie = value.clone();
        let digest = &mut lie["stores"][at]["collections"][0]["digest"];
        let last = digest.as_str().unwrap().ends_with('0');
        let mut text = digest.as_str().unwrap().to_owned();
        text.replace_range(31.., if last { "1" } else { "0" });
        *digest = text.into();
        fs::write(&manifest, lie.to_string()).unwrap();
        world.refresh().expect(4);
        assert_eq!(world.contents("dev"), before, "{}", store["store"]);
    }
    fs::write(&manifest, whole).unwrap();
    world.refresh().expect(0);
}

#[test]
fn a_job_that_dies_leaves_the_previous_data_to_the_one_before() {
    let world = World::new(50);
    world.snapshot();
    world.refresh().expect(0);
    world.fill("prod", 40, 0);
    world.snapshot();
    world.refresh().expect(0);
    assert_eq!(world.counts("dev"), (40, 40, 80));
    // Keeps Postgres from swapping for long enough to be killed there.
    let lock = format!("{}/postgres", common::postgres_url().trim_end_matches('/'));
    let mut locker = std::process::Command::new("psql")
        .args([
            "-X",
            "-q",
            &lock,
            "-c",
            "BEGIN; LOCK TABLE pg_database IN SHARE MODE; SELECT pg_sleep(3); COMMIT",
        ])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = begin(&world, &["rollback", "development", "--confirm", "development"]);
    let ready = || journaled(&world, "/step-ready.json");
    wait_for("the swap of the rollback", || ready() == 3);
    drop(child.kill());
    child.wait().unwrap();
    locker.wait().unwrap();
    world.pfdata(&["rollback", "development", "--confirm", "development"]).expect(0);
    assert_eq!(world.counts("dev"), (50, 50, 100));
}

/// The indexes that carry the marker of development.
fn marked(world: &World) -> Vec<u32> {
    let marker = |index| world.redis(index, "GET pfdata:owner\n");
    (0..16).filter(|index| marker(*index).contains("\"development\"")).collect()
}

#[test]
fn a_crashed_swap_is_finished_with_the_index_that_was_loaded() {
    let world = World::new(400);
    world.snapshot();
    // Indexes 14 and 15 are not free.
    world.redis(14, "SET other 1\n");
    world.redis(15, "SET stale 1\n");
    kill_between_the_swaps(&world);
    assert_eq!(marked(&world), [13]);
    // An index that was the spare once, such as a configuration of before leaves behind.
    let stale = "{\"environment\":\"development\",\"live\":4,\"job\":\"20200101T000000.000Z-000000\",\
                 \"state\":\"previous\"}";
    world.redis(15, &format!("SET pfdata:owner '{stale}'\n"));
    world.pfdata(&["rollback", "development", "--confirm", "development"]).expect(0);
    assert_eq!(world.counts("dev"), (3, 3, 6), "finished, and then taken back");
    world.pfdata(&["rollback", "development", "--confirm", "development"]).expect(0);
    assert_eq!(world.counts("dev"), (400, 400, 800));
    assert_eq!(marked(&world), [13, 15]);
    world.refresh().expect(0);
    assert_eq!(marked(&world).len(), 1, "a load keeps one previous set");
    assert_eq!(world.redis(14, "DBSIZE\n"), "1");
    world.pfdata(&["rollback", "development", "--confirm", "development"]).expect(0);
    assert_eq!(world.counts("dev"), (400, 400, 800));
}

#[test]
fn a_crashed_rollback_is_not_undone_blindly() {
    let world = World::new(50);
    world.snapshot();
    world.refresh().expect(0);
    assert_eq!(marked(&world), [15]);
    // Keeps Postgres from swapping for long enough to be killed there.
    let lock = format!("{}/postgres", common::postgres_url().trim_end_matches('/'));
    let hold = "BEGIN; LOCK TABLE pg_database IN SHARE MODE; SELECT pg_sleep(3); COMMIT";
    let mut locker = std::process::Command::new("psql")
        .args(["-X", "-q", &lock, "-c", hold])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = world
        .command(&["rollback", "development", "--confirm", "development"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ready = || {
        let files = world.files("backups/jobs/development");
        files.iter().filter(|path| path.ends_with("step-ready.json")).count()
    };
    wait_for("the swap of the rollback", || ready() == 2);
    drop(child.kill());
    child.wait().unwrap();
    locker.wait().unwrap();
    let marker = world.redis(15, "GET pfdata:owner\n");
    world.redis(15, "DEL pfdata:owner\n");
    let said = world.pfdata(&["rollback", "development", "--confirm", "development"]).expect(1);
    assert!(said.stderr.contains("redis index 15"), "{}", said.stderr);
    assert!(said.stderr.contains("step-ready.json"), "{}", said.stderr);
    assert_eq!(world.counts("dev"), (50, 50, 100));
    world.redis(15, &format!("SET pfdata:owner '{marker}'\n"));
    world.pfdata(&["rollback", "development", "--confirm", "development"]).expect(0);
    assert_eq!(world.counts("dev"), (3, 3, 6));
}
