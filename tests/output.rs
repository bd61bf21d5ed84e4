//! Standard error that cannot be written ends no job.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

mod common;

use std::fs::OpenOptions;
use std::process::Stdio;

use common::World;

/// How a command ends whose standard error is this.
fn code(world: &World, arguments: &[&str], stderr: Stdio) -> Option<i32> {
    let mut child = world.command(arguments).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
    // Where it is a pipe, nobody reads it.
    drop(child.stderr.take());
    child.wait().unwrap().code()
}

fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn nobody_need_hear_what_a_job_says() {
    let world = World::new(20);
    let snapshot = ["snapshot", "production", "-vvv"];
    assert_eq!(code(&world, &snapshot, full()), Some(0));
    assert_eq!(code(&world, &snapshot, Stdio::piped()), Some(0));
    assert_eq!(world.listed().len(), 2);
    let refresh = ["refresh", "development", "--confirm", "development", "-vvv"];
    assert_eq!(code(&world, &refresh, full()), Some(0));
    assert_eq!(code(&world, &refresh, Stdio::piped()), Some(0));
    assert_eq!(world.counts("dev"), world.counts("prod"));
    // Errors have their exit codes, told or not.
    assert_eq!(code(&world, &["refresh", "development"], full()), Some(5));
    assert_eq!(code(&world, &["snapshot", "nowhere"], Stdio::piped()), Some(10));
    assert_eq!(code(&world, &["no-such-command"], full()), Some(2));
}

#[test]
fn a_job_that_is_to_outlive_its_session_does() {
    let world = World::new(500);
    let inner = world.command(&["snapshot", "production"]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(inner.get_program());
    shell.args(inner.get_args()).current_dir(inner.get_current_dir().unwrap());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let mut child = shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    for _ in 0..20 {
        std::thread::sleep(std::time::Duration::from_millis(20));
        // It may have ended by now.
        if rustix::process::kill_process(pid, rustix::process::Signal::HUP).is_err() {
            break;
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(world.listed().len(), 1);
}
