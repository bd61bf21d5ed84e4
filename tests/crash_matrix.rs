//! Every job, stopped or failed at operations of its storage, leaves an environment as it was or as
//! it was to be, and nothing in the next job's way. No sleeps: the program is told at which
//! operation it goes wrong (`src/repository/storage/planned.rs`).
//!
//! A few operations of each job are tried here; `scripts/crash-matrix` tries every one, and prints
//! the table.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::World;

/// How many operations are tried of each job and fault, where not all are.
const SOME: u64 = 2;

/// One job under test, in a world whose development holds `old` and may hold `new`.
struct Case<'a> {
    world: &'a World,
    job: &'static str,
    command: Vec<String>,
    /// The snapshot with which development has what it has first.
    first: &'a str,
    old: &'a str,
    new: &'a str,
}

/// What came of all faults of one kind.
#[derive(Default)]
struct Row {
    operations: u64,
    tried: u64,
    codes: BTreeMap<i32, u64>,
    kept_old: u64,
    has_new: u64,
}

impl Case<'_> {
    fn words(&self) -> Vec<&str> {
        self.command.iter().map(String::as_str).collect()
    }

    /// Runs the command under a plan, and says how it ended and what the watcher wrote.
    fn run(&self, plan: &str) -> (i32, Option<u64>) {
        let mark = self.world.path("mark");
        drop(fs::remove_file(&mark));
        let fault = format!("{plan}:{}", mark.display());
        let output = self.world.command(&self.words()).env("PFDATA_TEST_FAULT", fault).output();
        let seen = fs::read_to_string(&mark).ok().and_then(|seen| seen.parse().ok());
        (output.unwrap().status.code().unwrap_or(-6), seen)
    }

    /// Development has what this job begins with.
    fn begin(&self) {
        let now = self.world.contents("dev");
        match self.job {
            "rollback" if now != self.old => self.refresh("latest", self.old),
            "refresh" | "restore" if now != self.old => {
                self.refresh(self.first, self.old);
            }
            _ => {}
        }
        if self.job == "rollback" {
            self.refresh(self.first, self.new);
            self.refresh("latest", self.old);
        }
    }

    fn refresh(&self, from: &str, expected: &str) {
        let mut command = vec!["refresh", "development", "--confirm", "development"];
        if from != "latest" {
            command.extend(["--from", from]);
        }
        self.world.pfdata(&command).expect(0);
        assert_eq!(self.world.contents("dev"), expected);
    }

    /// One fault at one operation. What is left must be old or new, and the next job must do.
    fn one(&self, fault: &str, number: u64, row: &mut Row) {
        let place = format!("{} {fault} at operation {number}", self.job);
        self.begin();
        let before = self.world.listed().len();
        let (code, seen) = self.run(&format!("{fault}:{number}"));
        if seen.is_none() {
            return;
        }
        row.tried += 1;
        *row.codes.entry(code).or_default() += 1;
        if self.job == "snapshot" {
            let now = self.world.listed().len();
            assert!(now == before || now == before + 1, "{place}: {before} → {now} snapshots");
            assert!(code != 0 || now == before + 1, "{place}: it ended with 0");
            row.kept_old += u64::from(now == before);
            row.has_new += u64::from(now != before);
            self.world.pfdata(&["verify", "--all"]).expect(0);
            self.world.pfdata(&self.words()).expect(0);
            assert!(self.world.listed().len() > now, "{place}: the next job");
            return;
        }
        let now = self.world.contents("dev");
        assert!(now == self.old || now == self.new, "{place}: neither old nor new");
        assert!(code != 0 || now == self.new, "{place}: it ended with 0");
        row.kept_old += u64::from(now == self.old);
        row.has_new += u64::from(now == self.new);
        // Whatever was left is dealt with, also what `contents` does not see.
        self.refresh(self.first, if self.job == "rollback" { self.new } else { self.old });
    }

    fn all(&self, fault: &str) -> Row {
        self.begin();
        let (code, operations) = self.run("count:0");
        assert_eq!(code, 0, "{}", self.job);
        let mut row = Row { operations: operations.unwrap(), ..Row::default() };
        let whole = std::env::var_os("PFDATA_CRASH_MATRIX").is_some();
        let step = if whole { 1 } else { row.operations.div_ceil(SOME).max(1) };
        // Another start for each kind, so that together they try more.
        let start = 1 + fault.len() as u64 % step;
        for number in (start..=row.operations).step_by(usize::try_from(step).unwrap()) {
            self.one(fault, number, &mut row);
        }
        assert!(row.tried > 0, "{} {fault}: no fault was reached", self.job);
        row
    }
}

#[test]
fn whatever_operation_goes_wrong_a_job_leaves_old_or_new() {
    let world = World::new(20);
    let first_id = world.snapshot();
    world.refresh().expect(0);
    let first = world.contents("dev");
    world.fill("prod", 10, 1_000);
    let newest = world.snapshot();
    world.refresh().expect(0);
    let second = world.contents("dev");
    assert_ne!(first, second);
    let confirm = ["development", "--confirm", "development"];
    let case = |job: &'static str, words: &[&str]| {
        let (old, new) = if job == "rollback" { (&second, &first) } else { (&first, &second) };
        let command = [&[job], words].concat().iter().map(|word| (*word).to_owned()).collect();
        Case { world: &world, job, command, first: &first_id, old, new }
    };
    let cases = [
        case("refresh", &confirm),
        case("restore", &[&newest, "--to", "development", "--confirm", "development"]),
        case("rollback", &confirm),
        case("snapshot", &["production"]),
    ];
    println!("job       fault  operations  tried  old  new  exit codes");
    for case in &cases {
        for fault in ["abort", "fail", "tear", "lose"] {
            let row = case.all(fault);
            let codes: Vec<String> =
                row.codes.iter().map(|(code, count)| format!("{code} × {count}")).collect();
            println!(
                "{:<9} {fault:<6} {:>10} {:>6} {:>4} {:>4}  {}",
                case.job,
                row.operations,
                row.tried,
                row.kept_old,
                row.has_new,
                codes.join(", ")
            );
        }
    }
}
