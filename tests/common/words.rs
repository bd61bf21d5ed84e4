//! What lets the body of a test read like its name: loads in words, and indexes by name.

use serde_json::Value;

use super::{Said, World};

/// The Redis indexes of a world.
pub mod index {
    /// Production's.
    pub const PROD: u32 = 0;
    /// Development's.
    pub const DEV: u32 = 4;
    /// The highest of the server, which a load fills before it swaps.
    pub const SPARE: u32 = 15;

    /// The index of `prod` or `dev`.
    pub fn of(part: &str) -> u32 {
        if part == "prod" { PROD } else { DEV }
    }
}

/// A command that changes an environment, confirmed unless it is told otherwise.
pub struct Change<'a> {
    world: &'a World,
    command: Vec<String>,
    confirm: Option<String>,
}

impl<'a> Change<'a> {
    fn new(world: &'a World, command: &[&str], confirm: Option<&str>) -> Self {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Self { world, command, confirm: confirm.map(str::to_owned) }
    }

    /// `--to`, and with it what is confirmed.
    pub fn into(mut self, environment: &str) -> Self {
        self.confirm = Some(environment.to_owned());
        self.with(&["--to", environment])
    }

    pub fn from(self, source: &str) -> Self {
        self.with(&["--from", source])
    }

    pub fn store(self, store: &str) -> Self {
        self.with(&["--store", store])
    }

    pub fn rollback_ready(self) -> Self {
        self.with(&["--rollback-ready"])
    }

    /// `--discard-target` with the name that is confirmed.
    pub fn discarding(self) -> Self {
        let target = self.confirm.clone().unwrap();
        self.with(&["--discard-target", &target])
    }

    pub fn confirmed_as(mut self, name: &str) -> Self {
        self.confirm = Some(name.to_owned());
        self
    }

    pub fn unconfirmed(mut self) -> Self {
        self.confirm = None;
        self
    }

    /// Flags that have no word of their own here.
    pub fn with(mut self, flags: &[&str]) -> Self {
        self.command.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    pub fn dry_run(self) -> Self {
        self.unconfirmed().with(&["--dry-run"])
    }

    pub fn run(self) -> Said {
        let mut words: Vec<&str> = self.command.iter().map(String::as_str).collect();
        if let Some(name) = &self.confirm {
            words.extend(["--confirm", name]);
        }
        self.world.pfdata(&words)
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Said {
        self.run().expect(code)
    }

    /// Runs it to its good end; its document.
    #[track_caller]
    pub fn json(self) -> Value {
        self.with(&["--json"]).run().expect(0).json()
    }
}

impl World {
    /// A snapshot of production with these flags; its document.
    #[track_caller]
    pub fn snapshot_with(&self, flags: &[&str]) -> Value {
        let command = [&["snapshot", "production", "--json"], flags].concat();
        self.pfdata(&command).expect(0).json()
    }

    /// A snapshot of production as it is; its id.
    #[track_caller]
    pub fn raw_snapshot(&self) -> String {
        self.snapshot_with(&["--raw"])["snapshot"].as_str().unwrap().to_owned()
    }

    /// `pfdata restore`; it still needs an environment to go `into`.
    pub fn restore(&self, snapshot: &str) -> Change<'_> {
        Change::new(self, &["restore", snapshot], None)
    }

    /// `pfdata refresh` of any environment; [`World::refresh`] is the plain one of development.
    pub fn refresh_of(&self, environment: &str) -> Change<'_> {
        Change::new(self, &["refresh", environment], Some(environment))
    }

    pub fn rollback_of(&self, environment: &str) -> Change<'_> {
        Change::new(self, &["rollback", environment], Some(environment))
    }

    /// Development as it was before its last load.
    pub fn rollback(&self) -> Said {
        self.rollback_of("development").run()
    }
}
