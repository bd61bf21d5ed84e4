//! The typed view of one environment.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::data::Data;
use super::endpoint::{MongoEndpoint, PostgresEndpoint, RedisEndpoint};
use super::key::JobKind;
use super::layers::Loaded;
use super::reader::Reader;
use super::repository::{self, RepositoryLocation};
use super::resolved::{Resolved, once};
use super::secret::Secret;
use super::sets::{PREVIOUS, RAW, SetSettings};
use super::shared::{Config, Shared};
use super::strength;
use super::{kinds, known, store_mongodb, store_postgres, store_redis, table, unbuilt};
use crate::error::{Error, Result};
use crate::policy::Class;
use crate::terms::StoreKind;

/// Checks everything of an environment that can be checked without resolving a reference.
pub(crate) fn check(loaded: &Loaded) -> Result<()> {
    let reader = Reader::checking(loaded);
    Data::read(reader)?;
    let class = read_class(reader)?;
    if loaded.own_data && class.is_none() {
        return Err(class_missing(reader));
    }
    reader.flag("data.protected")?;
    kinds::check(reader)?;
    store_postgres::read(reader)?;
    store_redis::read(reader)?;
    store_mongodb::read(reader)?;
    Ok(())
}

/// The class, as it stands in a file: a reference would let somebody else say it.
fn read_class(reader: Reader<'_>) -> Result<Option<Class>> {
    let path = "data.class";
    let class = reader.word(path, &Class::WORDS)?;
    if reader.present(path) && reader.template(path)?.is_none_or(|text| text.as_literal().is_none())
    {
        let origin = reader.origin(path);
        return Err(Error::usage(format!("{origin}: `{path}` cannot be a reference"))
            .hint("write the word itself, so that who reviews the file sees it"));
    }
    Ok(class)
}

fn class_missing(reader: Reader<'_>) -> Error {
    let words: Vec<_> = Class::WORDS.iter().map(|(word, _)| *word).collect();
    let file = &reader.loaded().file;
    Error::usage(format!("{file}: class must be given (`data.class`)"))
        .hint(format!("one of {}", words.join(", ")))
}

/// The stores of an environment.
#[derive(Clone)]
pub struct Stores {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: usize,
    /// Where endpoints are kept, once they are resolved; `None` resolves them at every question.
    pub(crate) resolved: Option<Arc<Resolved>>,
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").field("name", &self.name()).field("kinds", &self.kinds()).finish()
    }
}

impl Stores {
    fn loaded(&self) -> &Loaded {
        &self.shared.environments[self.index]
    }

    fn reader(&self) -> Reader<'_> {
        Reader::using(self.loaded())
    }

    /// The environment's name.
    pub fn name(&self) -> &str {
        &self.loaded().name
    }

    /// Which stores the environment has, in the order of [`StoreKind::ALL`].
    pub fn kinds(&self) -> Vec<StoreKind> {
        let has = |kind: &StoreKind| {
            let node = self.reader().node(&format!("database.{kind}"));
            node.is_some_and(super::document::Node::is_branch)
        };
        StoreKind::ALL.into_iter().filter(has).collect()
    }

    /// The Postgres database; `None` when the environment has none. May run `${cmd:…}` and block
    /// for up to 30 s each.
    ///
    /// # Errors
    /// Exit 2 when a reference that it needs is not set, or a value is wrong.
    pub fn postgres(&self) -> Result<Option<PostgresEndpoint>> {
        let kept = self.resolved.as_ref().map(|resolved| &resolved.postgres);
        once(kept, || store_postgres::read(self.reader()))
    }

    /// The Redis index, with the indexes that other environments name on the same server.
    ///
    /// # Errors
    /// As [`Stores::postgres`].
    pub fn redis(&self) -> Result<Option<RedisEndpoint>> {
        let kept = self.resolved.as_ref().map(|resolved| &resolved.redis);
        let read = once(kept, || store_redis::read(self.reader()))?;
        let Some(mut endpoint) = read else { return Ok(None) };
        let all = self.shared.environments.iter().enumerate();
        let others = all.filter(|(index, _)| *index != self.index).map(|(_, loaded)| loaded);
        store_redis::taken(&mut endpoint, self.reader(), others)?;
        Ok(Some(endpoint))
    }

    /// The MongoDB database.
    ///
    /// # Errors
    /// As [`Stores::postgres`].
    pub fn mongodb(&self) -> Result<Option<MongoEndpoint>> {
        let kept = self.resolved.as_ref().map(|resolved| &resolved.mongodb);
        once(kept, || store_mongodb::read(self.reader()))
    }
}

/// An environment.
#[derive(Clone)]
pub struct Environment {
    /// Its name: that of its file.
    pub name: String,
    /// What it is, which decides what may enter it.
    pub class: Class,
    /// Whether changing it needs `--rollback-ready`.
    pub protected: bool,
    /// The id that the repository of [`Environment::repository`] must have, when configured.
    pub repository_id: Option<String>,
    /// The `data` block.
    pub data: Data,
    stores: Stores,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("name", &self.name)
            .field("class", &self.class)
            .field("protected", &self.protected)
            .finish_non_exhaustive()
    }
}

impl Environment {
    pub(crate) fn new(stores: Stores) -> Result<Self> {
        let reader = stores.reader();
        let class = read_class(reader)?;
        Ok(Self {
            name: stores.name().to_owned(),
            class: class.ok_or_else(|| class_missing(reader))?,
            protected: reader.flag_or_preset("data.protected")?,
            repository_id: reader.filled("data.repository_id")?,
            data: Data::read(reader)?,
            stores,
        })
    }

    /// The same environment, which resolves the endpoint of a store once, for all its clones: a
    /// job runs with what it was planned with.
    pub(crate) fn settled(mut self) -> Self {
        self.stores.resolved = Some(Arc::default());
        self
    }

    /// Its file as the user would name it, for messages.
    pub fn file(&self) -> &str {
        &self.stores.loaded().file
    }

    /// The configuration that it is of.
    pub fn config(&self) -> Config {
        Config { shared: Arc::clone(&self.stores.shared) }
    }

    /// The folder that relative paths start from: the parent of the configuration folder.
    pub fn base(&self) -> &Path {
        &self.stores.shared.folders.base
    }

    /// Which stores it has, in the order of [`StoreKind::ALL`].
    pub fn stores(&self) -> Vec<StoreKind> {
        self.stores.kinds()
    }

    /// See [`Stores::postgres`].
    ///
    /// # Errors
    /// Exit 2 when a reference that it needs is not set, or a value is wrong.
    pub fn postgres(&self) -> Result<Option<PostgresEndpoint>> {
        self.stores.postgres()
    }

    /// See [`Stores::redis`].
    ///
    /// # Errors
    /// Exit 2 when a reference that it needs is not set, or a value is wrong.
    pub fn redis(&self) -> Result<Option<RedisEndpoint>> {
        self.stores.redis()
    }

    /// See [`Stores::mongodb`].
    ///
    /// # Errors
    /// Exit 2 when a reference that it needs is not set, or a value is wrong.
    pub fn mongodb(&self) -> Result<Option<MongoEndpoint>> {
        self.stores.mongodb()
    }

    /// Whether `data.repository` is given, rightly or not.
    pub fn has_repository(&self) -> bool {
        self.stores.reader().present("data.repository")
    }

    /// The environment's repository. Its folder need not exist.
    ///
    /// # Errors
    /// Exit 2 when none is configured, or it is not a `file://` one.
    pub fn repository(&self) -> Result<RepositoryLocation> {
        let found = repository::read(self.stores.reader(), "data.repository")?;
        found.ok_or_else(|| self.no_repository())
    }

    fn no_repository(&self) -> Error {
        Error::usage(format!("{}: `data.repository` must be given", self.file()))
            .hint("for example `\"repository\": \"file:///backups\"`")
    }

    /// A snapshot set with its own repository, else the environment's. `previous`, pfdata's own
    /// set, is there too: it is unmasked, and that of a live environment lies where its raw set lies.
    ///
    /// # Errors
    /// Exit 2 when there is no such set or no repository for it.
    pub fn set(&self, name: &str) -> Result<SetSettings> {
        let reader = self.stores.reader();
        let stands_for = if name == PREVIOUS { RAW } else { name };
        let found = self.data.sets.iter().find(|set| set.name == stands_for);
        let mut options = found.cloned().ok_or_else(|| {
            let names = self.data.sets.iter().map(|set| set.name.as_str());
            Error::usage(format!("`{}` has no snapshot set `{name}`", self.name))
                .hint(known::suggest(name, names))
        })?;
        if name == PREVIOUS {
            options.name = PREVIOUS.to_owned();
            (options.schedule, options.retention) = (None, None);
            if self.class != Class::Live {
                let (repository, repository_id) = (self.repository()?, self.repository_id.clone());
                return Ok(SetSettings { options, repository, repository_id });
            }
        }
        let at = |key: &str| format!("data.snapshots.{stands_for}.{key}");
        let own_id = reader.filled(&at("repository_id"))?;
        let (repository, repository_id) = match repository::read(reader, &at("repository"))? {
            Some(own) => (own, own_id),
            None => (self.repository()?, own_id.or_else(|| self.repository_id.clone())),
        };
        Ok(SetSettings { options, repository, repository_id })
    }

    /// The names of the sets.
    pub fn set_names(&self) -> Vec<String> {
        self.data.sets.iter().map(|set| set.name.clone()).collect()
    }

    /// The key of the pseudonyms: to be used through HKDF, never decoded. `None` when none is
    /// configured.
    ///
    /// # Errors
    /// Exit 2 when it is too [weak](strength), or a reference that it needs is not set.
    pub fn anonymize_key(&self) -> Result<Option<Secret>> {
        let path = "data.anonymize.key";
        let reader = self.stores.reader();
        let Some(key) = reader.text(path)?.map(Secret::new) else { return Ok(None) };
        strength::check(&key, &format!("{}: `{path}`", reader.origin(path)))?;
        Ok(Some(key))
    }

    /// The folder of rule files; `None` when it was not configured and is not there, which means
    /// that there are no rules.
    ///
    /// # Errors
    /// Exit 2 when a configured folder is missing.
    pub fn rules_folder(&self) -> Result<Option<PathBuf>> {
        let path = "data.anonymize.rules";
        match self.stores.reader().filled(path)? {
            Some(folder) => self.existing(path, &folder).map(Some),
            None => {
                Ok(Some(self.base().join(table::preset_text(path)))
                    .filter(|folder| folder.is_dir()))
            }
        }
    }

    /// The folders of `data.refresh.sql`, in order.
    ///
    /// # Errors
    /// Exit 2 when one of them is missing.
    pub fn sql_folders(&self) -> Result<Vec<PathBuf>> {
        let path = "data.refresh.sql";
        self.data.refresh.sql.iter().map(|folder| self.existing(path, folder)).collect()
    }

    fn existing(&self, path: &str, folder: &str) -> Result<PathBuf> {
        let full = self.base().join(folder);
        if full.is_dir() {
            return Ok(full);
        }
        let origin = self.stores.reader().origin(path);
        Err(Error::usage(format!(
            "{origin}: the folder {} of `{path}` does not exist",
            full.display()
        )))
    }

    /// Refuses, by name, the keys that a job of this kind would have to honour and that this
    /// version does not. `set` is the snapshot set that a snapshot goes to.
    ///
    /// # Errors
    /// Exit 2 naming file and key.
    pub fn refuse_unbuilt(&self, job: JobKind, set: Option<&str>) -> Result<()> {
        unbuilt::refuse(&self.data, self.stores.reader(), job, set)
    }
}
