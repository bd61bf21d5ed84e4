//! Seeds: known data that an environment gets on top, as files reviewed like code.
//!
//! `seeds/<profile>/postgres/*.sql`, `mongodb/<collection>.jsonl` (Extended JSON, a document a
//! line) and `redis/*.redis` (a command a line), each folder in name order.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files;
use crate::terms::StoreKind;

/// The files of a profile.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// SQL, each file one transaction.
    pub postgres: Vec<PathBuf>,
    /// Collections and their files.
    pub mongodb: Vec<(String, PathBuf)>,
    /// Redis commands.
    pub redis: Vec<PathBuf>,
}

impl Profile {
    /// Finds the files of a profile below `folder`; one that does not exist, or that holds a file
    /// that nothing would read, is exit 2.
    pub fn load(folder: &Path, name: &str) -> Result<Self> {
        let plain = !name.is_empty() && !name.contains(['/', '\\']) && !name.starts_with('.');
        let place = folder.join(name);
        if !plain || !place.is_dir() {
            let known = files::list_folders(folder)?.join(", ");
            return Err(Error::usage(format!("there is no seed profile `{name}`"))
                .hint(format!("`{}` holds: {known}", folder.display())));
        }
        for found in files::list(&place)? {
            if !matches!(found.as_str(), "postgres" | "mongodb" | "redis")
                && !found.starts_with('.')
            {
                return Err(Error::usage(format!(
                    "nothing reads `{}`",
                    place.join(&found).display()
                ))
                .hint("a profile holds the folders postgres, mongodb and redis"));
            }
        }
        let mongodb = of(&place.join("mongodb"), ".jsonl")?;
        Ok(Self {
            name: name.to_owned(),
            postgres: of(&place.join("postgres"), ".sql")?,
            mongodb: mongodb.into_iter().filter_map(collection).collect(),
            redis: of(&place.join("redis"), ".redis")?,
        })
    }

    /// Whether the profile has something for a store.
    pub fn has(&self, store: StoreKind) -> bool {
        match store {
            StoreKind::Postgres => !self.postgres.is_empty(),
            StoreKind::Mongodb => !self.mongodb.is_empty(),
            StoreKind::Redis => !self.redis.is_empty(),
        }
    }
}

fn collection(path: PathBuf) -> Option<(String, PathBuf)> {
    let name = path.file_stem()?.to_string_lossy().into_owned();
    Some((name, path))
}

fn of(folder: &Path, suffix: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for name in files::list(folder)? {
        if name.ends_with(suffix) {
            found.push(folder.join(name));
        } else if !name.starts_with('.') {
            return Err(Error::usage(format!("nothing reads `{}`", folder.join(&name).display()))
                .hint(format!("files in this folder end with `{suffix}`")));
        }
    }
    Ok(found)
}
