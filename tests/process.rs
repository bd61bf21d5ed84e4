//! What the process keeps to itself: its keys, its environment, its memory.
//!
//! Real children are looked at: what they found in their environment, and what `/proc` tells of
//! them and of pfdata from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{KEY, OTHER_KEY, World};
use serde_json::{Value, json};

const THIRD_KEY: &str = "Vb6tQ1nXz8KcWm3RyJfLs9HdGpAu5eTo0Ik2ZvYwNqM=";

/// The number that Linux gives to the user `nobody`.
const NOBODY: u32 = 65534;

/// A project without stores that can be reached: `pfdata check` resolves everything all the same.
struct Project {
    folder: tempfile::TempDir,
    pfdata: PathBuf,
}

impl Project {
    /// One whose production takes its database's password from a command.
    fn new(line: &str, key: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path();
        for name in ["config/secrets", "anonymizers", "backups"] {
            fs::create_dir_all(below.join(name)).unwrap();
        }
        fs::write(below.join("anonymizers/a.toml"), "version = 1\n").unwrap();
        let project = Self { pfdata: below.join("pfdata"), folder };
        fs::copy(env!("CARGO_BIN_EXE_pfdata"), &project.pfdata).unwrap();
        project.environment(
            "production",
            json!({
                "database": { "postgres": { "host": "127.0.0.1", "port": 1, "database": "d", "username": "u",
                                            "password": format!("${{cmd:{line}}}") } },
                "data": { "class": "live", "repository": "file://./backups", "anonymize": { "key": key } },
            }),
        );
        project
    }

    fn environment(&self, name: &str, value: Value) {
        self.write(&format!("config/{name}.json"), &value.to_string());
    }

    fn write(&self, below: &str, text: &str) {
        fs::write(self.folder.path().join(below), text).unwrap();
    }

    fn read(&self, below: &str) -> String {
        fs::read_to_string(self.folder.path().join(below)).unwrap()
    }

    /// `pfdata check production` with an environment of its own, as a user who is not root.
    fn check(&self) -> Command {
        let mut command = unprivileged(&self.pfdata, self.folder.path());
        command.args(["check", "production"]).current_dir(self.folder.path()).env_clear();
        command.env("PATH", std::env::var("PATH").unwrap());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

/// A command of `nobody` where the tests run as root, who may look at everything; `folder` is
/// given to it.
fn unprivileged(program: &Path, folder: &Path) -> Command {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return Command::new(program);
    }
    let mut paths = vec![folder.to_owned()];
    while let Some(path) = paths.pop() {
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        if path.is_dir() {
            paths.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("setpriv");
    let nobody = NOBODY.to_string();
    command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups", "--"]).arg(program);
    command
}

fn variables(text: &str, between: char) -> BTreeMap<String, String> {
    let lines = text.split(between).filter_map(|line| line.split_once('='));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn a_command_of_the_configuration_sees_no_key_and_nothing_of_pfdatas_own() {
    let project = Project::new("env > seen; echo password", "${SHOP_ANON}");
    // Of other environments, by an override and by an old name.
    project.environment(
        "staging",
        json!({ "data": { "class": "anonymized", "anonymize": { "key": "pre${STAGING_SALT}fix" },
                          "encryption": { "key": "${STAGING_CIPHER}" } } }),
    );
    project.environment(
        "test",
        json!({ "data": { "class": "synthetic", "anonymize": { "key": "${FROM_A_FILE}" } } }),
    );
    project.write("config/secrets/test.env", &format!("FROM_A_FILE={THIRD_KEY}\n"));
    let kept = [
        ("VAULT_TOKEN", "s.4711"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI"),
        ("HOME", "/nonexistent"),
        ("PFDATUM", "not ours"),
    ];
    let hidden = [
        ("SHOP_ANON", KEY.to_owned()),
        ("STAGING_SALT", "salt".to_owned()),
        ("STAGING_CIPHER", OTHER_KEY.to_owned()),
        ("A_COPY", KEY.to_owned()),
        ("A_COPY_IN_JSON", format!("{{\"cipher\": \"{OTHER_KEY}\"}}")),
        ("A_COPY_OF_A_FILES", THIRD_KEY.to_owned()),
        ("PFDATA_TEST__DATA__ANONYMIZE__KEY", THIRD_KEY.to_owned()),
        ("PFDATA__DATABASE__POSTGRES__USERNAME", "pfdata".to_owned()),
        ("PFDATA_ENV", "production".to_owned()),
        ("PFDATA_ANONYMIZE_KEY", "unused".to_owned()),
    ];
    let mut command = project.check();
    command.envs(kept).envs(hidden.iter().map(|(name, value)| (name, value)));
    command.status().unwrap();
    let text = project.read("seen");
    let seen = variables(&text, '\n');
    for (name, value) in kept {
        assert_eq!(seen.get(name).map(String::as_str), Some(value), "{text}");
    }
    assert!(seen.contains_key("PATH"));
    for (name, _) in hidden {
        assert!(!seen.contains_key(name), "{name} in {text}");
    }
    assert!(!seen.contains_key("FROM_A_FILE"), "{text}");
    for key in [KEY, OTHER_KEY, THIRD_KEY] {
        assert!(!text.contains(key), "{text}");
    }
}

/// What the tools of PostgreSQL find in their environment while `command` runs.
fn of_tools(mut command: Command) -> BTreeMap<String, String> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut found = BTreeMap::new();
    let ended = loop {
        for entry in fs::read_dir("/proc").unwrap() {
            let process = entry.unwrap().path();
            let read = |file: &str| fs::read_to_string(process.join(file)).unwrap_or_default();
            let name = read("comm").trim().to_owned();
            let ours = read("stat").rsplit_once(')').is_some_and(|(_, rest)| {
                rest.split_ascii_whitespace().nth(1) == Some(&child.id().to_string())
            });
            let environment =
                if ours && name.starts_with("pg_") { read("environ") } else { String::new() };
            // One that is on its way in or out has none.
            if !environment.is_empty() {
                let limits = read("limits");
                let limit = limits.lines().find(|line| line.starts_with("Max core file size"));
                found.insert(name, format!("{environment}LIMIT={}\0", limit.unwrap_or_default()));
            }
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
    };
    let mut told = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut told).unwrap();
    assert!(ended.success(), "{told}");
    found
}

#[test]
fn the_tools_of_postgres_inherit_only_what_is_harmless() {
    let world = World::new(5);
    // Enough to do that the tools are seen at work.
    for number in 0..60 {
        world.sql("prod", &format!("CREATE TABLE t{number} (id bigint PRIMARY KEY)"));
    }
    let rules = fs::read_to_string(world.path("anonymizers/people.toml")).unwrap();
    let more = "\n[postgres.\"public.t*\"]\nid = \"keep\"\n";
    fs::write(world.path("anonymizers/people.toml"), rules + more).unwrap();
    let secrets = format!("A_STORES_PASSWORD=hush-1\nOTHER={OTHER_KEY}\n");
    fs::write(world.path(".env"), secrets).unwrap();
    let jobs: [&[&str]; 2] =
        [&["snapshot", "production"], &["refresh", "development", "--confirm", "development"]];
    let mut seen = BTreeMap::new();
    for job in jobs {
        let mut command = world.command(job);
        command
            .env("A_COPY", KEY)
            .env("AWS_SECRET_ACCESS_KEY", "hush-2")
            .env("PGOPTIONS", "-c application_name=hush-5");
        command
            .env("PFDATA_UNUSED", "hush-3")
            .env("STAGING_DB_PASSWORD", "hush-4")
            .env("TZ", "UTC");
        seen.extend(of_tools(command));
    }
    let tools: Vec<&String> = seen.keys().collect();
    assert_eq!(tools, ["pg_dump", "pg_restore"], "both were seen at work");
    let allowed: BTreeSet<&str> =
        "PATH HOME USER LOGNAME LANG LANGUAGE LC_ALL LC_CTYPE TZ TMPDIR LD_LIBRARY_PATH LIMIT"
            .split(' ')
            .collect();
    for (tool, text) in &seen {
        assert!(
            !text.contains("hush") && !text.contains(KEY) && !text.contains(OTHER_KEY),
            "{text}"
        );
        let variables = variables(text, '\0');
        let strange: Vec<&String> = variables
            .keys()
            .filter(|name| !allowed.contains(name.as_str()) && !name.starts_with("PG"))
            .collect();
        assert!(strange.is_empty(), "{tool} has {strange:?}");
        assert_eq!(variables.get("TZ").map(String::as_str), Some("UTC"), "{text}");
        assert!(no_core(&variables["LIMIT"]), "{text}");
    }
}

/// Whether a line of `/proc/PID/limits` allows neither a file nor a program a core dump: one byte
/// at most.
fn no_core(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace().skip(4).take(2);
    words.clone().count() == 2 && words.all(|limit| ["0", "1"].contains(&limit))
}

/// Waits until a file is there and whole.
fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_secs(30), "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A `pfdata` that is at work, waiting for a command that ends when it is told to; its number.
fn at_work(project: &Project) -> (Child, u32) {
    let mut command = Command::new("prlimit");
    let check = project.check();
    command.arg("--core=unlimited:unlimited").arg(check.get_program()).args(check.get_args());
    command.current_dir(project.folder.path()).env("SHOP_ANON", KEY);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().unwrap();
    wait_for(&project.folder.path().join("begun"));
    let parent = project.read("parent").trim().parse().unwrap();
    (child, parent)
}

const WAITS: &str = "echo $PPID > parent; cat /proc/self/limits > limits; (cat /proc/$PPID/environ || echo no) > read; \
                     touch begun; while test -e begun && ! test -e end; do sleep 0.02; done; echo password";

#[test]
fn no_core_is_dumped_and_nobody_of_the_same_user_reads_the_process() {
    let project = Project::new(WAITS, "${SHOP_ANON}");
    let (mut child, process) = at_work(&project);
    let proc = PathBuf::from(format!("/proc/{process}"));
    assert!(fs::read_to_string(proc.join("comm")).unwrap().starts_with("pfdata"));
    // What cannot be dumped belongs to root in /proc; a plain child of the same user does not.
    assert_eq!(fs::metadata(proc.join("environ")).unwrap().uid(), 0);
    let status = fs::read_to_string(proc.join("status")).unwrap();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    assert_ne!(user.split_ascii_whitespace().next(), Some("0"), "the test says something");
    assert_eq!(project.read("read").trim(), "no", "its child, of the same user, has read it");
    let limit = |text: &str| {
        text.lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned()
    };
    assert!(no_core(&limit(&fs::read_to_string(proc.join("limits")).unwrap())));
    assert!(no_core(&limit(&project.read("limits"))), "its children inherit that");
    let abort = rustix::process::Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    rustix::process::kill_process(abort, rustix::process::Signal::ABORT).unwrap();
    let ended = child.wait().unwrap();
    project.write("end", "");
    assert_eq!(ended.signal(), Some(6), "{ended:?}");
    assert!(!ended.core_dumped());
    let names = fs::read_dir(project.folder.path()).unwrap();
    let cores = names
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("core"));
    assert_eq!(cores.count(), 0);
}

#[test]
fn jobs_of_an_ordinary_user_see_each_other() {
    let world = World::new(5);
    let pfdata = world.path("pfdata");
    fs::copy(env!("CARGO_BIN_EXE_pfdata"), &pfdata).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = unprivileged(&pfdata, world.folder.path());
        command.args(arguments).current_dir(world.folder.path()).env("PFDATA_TEST_KEY", KEY);
        command.env("HOME", "/nonexistent").stdin(Stdio::null());
        command
    };
    let taken = run(&["snapshot", "production"]).output().unwrap();
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    // A job that stands still, by its password's command, holds development: another one sees that
    // it lives, and when it is killed that it does not.
    world.edit_json("config/development.json", |config| {
        config["data"]["refresh"]["sql"] = json!(["sql"]);
    });
    fs::create_dir(world.path("sql")).unwrap();
    fs::write(world.path("sql/wait.sql"), "SELECT pg_sleep(120)").unwrap();
    let refresh = ["refresh", "development", "--confirm", "development"];
    let mut first = run(&refresh).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(120)'";
    let start = Instant::now();
    while world.admin(asleep) == "0" {
        assert!(start.elapsed() < Duration::from_secs(60), "the refresh never came to its SQL");
        assert_eq!(first.try_wait().unwrap(), None);
    }
    let second = run(&refresh).output().unwrap();
    assert_eq!(second.status.code(), Some(11), "{}", String::from_utf8_lossy(&second.stderr));
    first.kill().unwrap();
    first.wait().unwrap();
    fs::remove_file(world.path("sql/wait.sql")).unwrap();
    let third = run(&refresh).output().unwrap();
    assert!(third.status.success(), "{}", String::from_utf8_lossy(&third.stderr));
}

#[test]
fn nothing_of_the_key_is_stored_or_told_but_its_fingerprint() {
    let world = World::new(5);
    let id = world.snapshot();
    world.refresh().expect(0);
    let mut texts = Vec::new();
    let commands: [&[&str]; 9] = [
        &["snapshot", "production", "--dry-run", "--json"],
        &["refresh", "development", "--dry-run", "--json"],
        &["status", "--json"],
        &["check", "--json", "-vv"],
        &["rules", "check", "production", "--json"],
        &["rules", "preview", "production", "--json"],
        &["config", "show", "production", "--origin", "--json"],
        &["list", "--json"],
        &["show", "production@latest", "--json"],
    ];
    for command in commands {
        let said = world.pfdata(command);
        assert!(!said.stdout.is_empty(), "{command:?}: {}", said.stderr);
        texts.push((command.join(" "), (said.stdout + &said.stderr).into_bytes()));
    }
    for file in world.files("backups") {
        texts.push((file.display().to_string(), fs::read(file).unwrap()));
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let manifest = world.snapshot_folder(&id).join("manifest.json");
    let manifest = fs::read_to_string(manifest).unwrap();
    let fingerprint = manifest.split('"').find(|text| text.starts_with("v2-")).unwrap();
    assert_eq!(fingerprint.len(), 19);
    // What takes one hash only, or none.
    let cheap = {
        use sha2::{Digest, Sha256, Sha512};
        let root = hkdf::Hkdf::<Sha256>::new(Some(b"pfdata anonymize v2"), KEY.as_bytes());
        let mut derived = [0u8; 32];
        root.expand(b"fingerprint", &mut derived).unwrap();
        [hex(KEY.as_bytes()), hex(&Sha256::digest(KEY)), hex(&Sha512::digest(KEY)), hex(&derived)]
    };
    for (place, bytes) in texts {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(&KEY[..16]), "{place}");
        for cheap in &cheap {
            assert!(!text.contains(&cheap[..12]), "{place}");
            assert_ne!(fingerprint[3..], cheap[..16]);
        }
    }
}
