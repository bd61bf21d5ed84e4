//! Configuration: layers, environments, secrets, and the policy over classes.
//!
//! [`Config::load`] reads and checks every environment; [`Environment`] is the typed view of one.
//! What may need a secret (endpoints, repositories, keys) is resolved by a method when it is
//! used, so that a development host needs no production password.
//!
//! Inside, top-down: `layers` reads the files and lays them over each other into a tree of
//! `document` nodes with an `origin` each. A key is a row of the table (`table_data` and
//! `table_database`; `key` says what a row can say): from it follow what `known` knows, the ranges
//! and defaults of `reader`, what `kinds` checks, `show` shows, `redact` hides and `unbuilt`
//! refuses, and the `reference`. `reader` reads the tree and `interpolate` puts references in;
//! `data`, `sets` and `repository` are the `data` block; `overlay`, `address`, `wire` and `store_*`
//! make endpoints of the `database` block, which `resolved` keeps for a job.

mod address;
pub mod cron;
pub mod data;
mod document;
mod dotenv;
pub mod endpoint;
mod environment;
mod interpolate;
mod key;
mod keys;
mod kinds;
mod known;
mod layers;
mod names;
mod origin;
mod outside;
mod overlay;
mod reader;
mod redact;
mod reference;
pub mod repository;
mod resolved;
pub mod secret;
pub mod sets;
mod shared;
mod show;
mod store_mongodb;
mod store_postgres;
mod store_redis;
pub mod strength;
#[cfg(test)]
mod strength_tests;
mod table;
mod table_data;
mod table_database;
mod unbuilt;
pub mod units;
mod wire;
mod withheld;
mod words;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

pub use cron::Cron;
pub use data::{Data, KeepPrevious, Treatment};
pub use environment::{Environment, Stores};
pub(crate) use interpolate::Answers;
pub(crate) use key::MOST_JOBS;
pub use key::{JobKind, default_jobs};
pub use origin::Origin;
pub use reference::reference;
pub use repository::RepositoryLocation;
pub use sets::{Retention, SetOptions, SetSettings};
pub use shared::Config;
pub use show::Shown;

use layers::Folders;
pub(crate) use shared::Shared;

use crate::error::{Error, Result};

impl Config {
    /// Reads `folder` with the environment of this process. `target` is the environment acted on,
    /// by its name or a short one: variables `PFDATA__…` apply to it and to no other.
    ///
    /// # Errors
    /// Exit 2 when a file cannot be read, is no JSON, or breaks the contract: it names file and
    /// path. No value of any environment is resolved yet.
    pub fn load(folder: &Path, target: Option<&str>) -> Result<Self> {
        Self::load_asking(folder, target, &Answers::default())
    }

    /// The same, with what commands have answered before: a process that reads its configuration
    /// again does not ask again.
    pub(crate) fn load_asking(
        folder: &Path,
        target: Option<&str>,
        answers: &Answers,
    ) -> Result<Self> {
        let mut process = HashMap::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => {
                    process.insert(name, value);
                }
                Err(_) if name.starts_with("PFDATA_") => {
                    return Err(Error::usage(format!("{name} is not UTF-8 text")));
                }
                Err(_) => {}
            }
        }
        Self::read(folder, target, process, answers)
    }

    /// The same with a process environment that is given.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_with(
        folder: &Path,
        target: Option<&str>,
        process: HashMap<String, String>,
    ) -> Result<Self> {
        Self::read(folder, target, process, &Answers::default())
    }

    fn read(
        folder: &Path,
        target: Option<&str>,
        process: HashMap<String, String>,
        answers: &Answers,
    ) -> Result<Self> {
        let folders = Folders::new(folder)?;
        let environments = layers::load(&folders, target, process, answers)?;
        for loaded in &environments {
            environment::check(loaded)?;
        }
        Ok(Self { shared: Arc::new(Shared { folders, environments }) })
    }

    /// The names of the environments, sorted.
    pub fn environments(&self) -> Vec<String> {
        self.shared.environments.iter().map(|loaded| loaded.name.clone()).collect()
    }

    /// The folder that relative paths start from: the parent of the configuration folder.
    pub fn base(&self) -> &Path {
        &self.shared.folders.base
    }

    /// The configured name that `name`, maybe a short one, means.
    ///
    /// # Errors
    /// Exit 10 with a suggestion when there is none.
    pub fn resolve_name(&self, name: &str) -> Result<String> {
        self.index(name).map(|index| self.shared.environments[index].name.clone())
    }

    /// The environment of that name, or of that short name.
    ///
    /// # Errors
    /// Exit 10 with a suggestion when there is none; exit 2 when it has no class, or a reference
    /// in a part of the `data` block that is no secret, url or credential is not set.
    pub fn environment(&self, name: &str) -> Result<Environment> {
        Environment::new(self.stores_of(name)?)
    }

    /// The stores of an environment, which may lack a class: for telling whether two environments
    /// are the same data.
    ///
    /// # Errors
    /// Exit 10 with a suggestion when there is no such environment.
    pub fn stores_of(&self, name: &str) -> Result<Stores> {
        Ok(Stores { shared: Arc::clone(&self.shared), index: self.index(name)?, resolved: None })
    }

    /// Every value of an environment with its origin, secrets hidden, sorted as in the contract.
    ///
    /// # Errors
    /// Exit 10 with a suggestion when there is no such environment.
    pub fn show(&self, name: &str) -> Result<Vec<Shown>> {
        Ok(show::show(&self.shared.environments[self.index(name)?]))
    }

    fn index(&self, name: &str) -> Result<usize> {
        let names = self.environments();
        let found = names::find(&names, name);
        let index = names.iter().position(|known| Some(known.as_str()) == found);
        index.ok_or_else(|| {
            let folder = &self.shared.folders.config;
            let hint = if names::is_word(name) && folder.join(format!("{name}.json")).is_file() {
                format!("{name}.json has neither a `database` nor a `data` block")
            } else {
                known::suggest(name, names.iter().map(String::as_str))
            };
            let folder = folder.display();
            Error::not_found(format!("there is no environment `{name}` in {folder}")).hint(hint)
        })
    }
}
