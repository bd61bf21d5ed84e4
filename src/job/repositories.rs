//! Which repositories there are, and which snapshot a word means.

use super::journal::Journals;
use crate::config::sets::RAW;
use crate::config::{Config, Environment, RepositoryLocation};
use crate::error::{Error, Kind, Result};
use crate::policy::Class;
use crate::repository::class::ClassRecord;
use crate::repository::id::SnapshotRef;
use crate::repository::jobs::Jobs;
use crate::repository::storage::Storage;
use crate::repository::{Repository, Stored, Unreadable, layout, resolve};

/// Opens the repository that an environment's leases and journals are in.
pub fn open_main(environment: &Environment, create: bool) -> Result<Repository> {
    open(&environment.repository()?, environment.repository_id.as_deref(), create)
}

/// The repository of the raw set of an environment, which also keeps everything else of jobs that
/// handle raw data.
fn open_raw(environment: &Environment, create: bool) -> Result<Repository> {
    let set = environment.set(RAW)?;
    open(&set.repository, set.repository_id.as_deref(), create)
}

/// Where the journals of an environment are: in its own repository, and in that of its raw set.
/// One that this host cannot name holds no journals that it could deal with.
pub fn journals(environment: &Environment, main: &Repository) -> Result<Journals> {
    let raw = match open_raw(environment, false) {
        Ok(raw) => Some(raw.jobs(&environment.name)),
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Usage) => {
            tracing::debug!(%error, "no journals of raw jobs");
            None
        }
        Err(error) => return Err(error),
    };
    Ok(Journals::new(main.jobs(&environment.name), raw))
}

/// Where the journal of a job goes: to the repository of the raw set for one that handles raw data.
pub fn jobs(environment: &Environment, main: &Repository, raw: bool) -> Result<Jobs> {
    if !raw {
        return Ok(main.jobs(&environment.name));
    }
    Ok(open_raw(environment, true)?.jobs(&environment.name))
}

/// The repositories of an environment and of its sets that can be opened now, each once.
pub fn reachable(environment: &Environment) -> Vec<Repository> {
    let mut found: Vec<Repository> = Vec::new();
    for Wanted { owner, place, .. } in of(environment) {
        let opened =
            place.and_then(|(location, expected)| open(&location, expected.as_deref(), false));
        match opened {
            Ok(repository) if found.iter().any(|other| other.storage() == repository.storage()) => {
            }
            Ok(repository) => found.push(repository),
            Err(error) => tracing::debug!(%owner, %error, "a repository is out of reach"),
        }
    }
    found
}

/// A repository and the id that it must have, where one is configured.
type Expected = (RepositoryLocation, Option<String>);

/// A repository that is wanted: by whom (`ENV` or `ENV/SET`), and where it is.
struct Wanted {
    owner: String,
    place: Result<Expected>,
    /// Whether the set's snapshots are anonymized.
    anonymized: Option<bool>,
}

/// The repositories of an environment and of its sets, with the ids they must have. One that is not
/// built or not configured well is told with its set.
fn of(environment: &Environment) -> Vec<Wanted> {
    let main = environment.repository().map(|main| (main, environment.repository_id.clone()));
    let mut found = vec![Wanted { owner: environment.name.clone(), place: main, anonymized: None }];
    for set in &environment.data.sets {
        let place = environment.set(&set.name).map(|set| (set.repository, set.repository_id));
        let owner = format!("{}/{}", environment.name, set.name);
        // Snapshots of what is masked already are anonymized without rules too.
        let anonymized = Some(set.anonymize || environment.class != Class::Live);
        found.push(Wanted { owner, place, anonymized });
    }
    found
}

/// Every repository that the configuration names, with whose it is, as far as it can be opened.
pub fn every(config: &Config) -> Vec<(String, Result<Repository>)> {
    let mut found = Vec::new();
    for name in config.environments() {
        match config.environment(&name) {
            Ok(environment) if environment.has_repository() => {
                found.extend(of(&environment).into_iter().map(
                    |Wanted { owner, place, .. }| {
                        let opened = place.and_then(|(location, expected)| {
                            open(&location, expected.as_deref(), false)
                        });
                        (owner, opened)
                    },
                ));
            }
            Ok(_) => {}
            Err(error) => found.push((name, Err(error))),
        }
    }
    found
}

/// Opens a repository by its location.
pub fn open(
    location: &RepositoryLocation,
    expected: Option<&str>,
    create: bool,
) -> Result<Repository> {
    Repository::open_in(storage(location), expected, create)
}

/// Where the bytes of a repository are.
fn storage(location: &RepositoryLocation) -> Storage {
    Storage::local(&location.path)
}

/// Every snapshot of every repository that the configuration names.
#[derive(Default)]
pub struct Shelf {
    /// What can be read, oldest first within each repository.
    pub stored: Vec<(Repository, Stored)>,
    /// What cannot.
    pub unreadable: Vec<Unreadable>,
    /// The changes of classes, each once.
    pub records: Vec<ClassRecord>,
}

impl Shelf {
    /// Reads the manifests of all repositories of `environments`; an empty folder that will become
    /// one is an empty repository. One that cannot be opened is told as unreadable, unless all are.
    pub fn open<'a>(environments: impl IntoIterator<Item = &'a Environment>) -> Result<Self> {
        let mut shelf = Self::default();
        let (mut seen, mut opened): (Vec<Storage>, _) = (Vec::new(), 0);
        for Wanted { owner, place, anonymized } in environments.into_iter().flat_map(of) {
            let added = place.and_then(|(location, expected)| {
                let storage = storage(&location);
                if seen.contains(&storage) {
                    return Ok(());
                }
                match open(&location, expected.as_deref(), false) {
                    Ok(repository) => shelf.add(&repository)?,
                    Err(error) if error.kind() == Kind::NotFound => {}
                    // Tried again for each set that is kept there, so that each is told.
                    Err(error) => return Err(error),
                }
                opened += 1;
                seen.push(storage);
                Ok(())
            });
            if let Err(error) = added {
                shelf.unreadable.push(Unreadable { path: owner, error, anonymized });
            }
        }
        if opened == 0 && !shelf.unreadable.is_empty() {
            return Err(shelf.unreadable.swap_remove(0).error);
        }
        shelf.stored.sort_by(|one, other| {
            let key = |stored: &Stored| (stored.manifest.created, stored.manifest.id.clone());
            key(&one.1).cmp(&key(&other.1))
        });
        Ok(shelf)
    }

    fn add(&mut self, repository: &Repository) -> Result<()> {
        let (stored, unreadable) = repository.snapshots()?;
        self.stored.extend(stored.into_iter().map(|stored| (repository.clone(), stored)));
        self.unreadable.extend(unreadable);
        let (records, unreadable) = repository.class_records()?;
        self.unreadable.extend(unreadable);
        for record in records {
            self.add_record(record);
        }
        Ok(())
    }

    /// A record stands in every repository, and in each with the same words.
    fn add_record(&mut self, record: ClassRecord) {
        let same = |other: &&ClassRecord| {
            other.environment == record.environment && other.number == record.number
        };
        match self.records.iter().find(same) {
            None => self.records.push(record),
            Some(other) if *other == record => {}
            Some(_) => {
                let path = layout::told_class_record(&record.environment, record.number);
                let error = Error::refused(format!("`{path}` differs between repositories"));
                self.unreadable.push(Unreadable { path, error, anonymized: None });
            }
        }
    }

    /// The snapshot that `wanted` names; `environment` is used where it names none.
    pub fn find(&self, wanted: &SnapshotRef, environment: Option<&str>) -> Result<Stored> {
        let stored: Vec<Stored> = self.stored.iter().map(|(_, stored)| stored.clone()).collect();
        resolve(&stored, &self.unreadable, wanted, environment)
    }
}

/// Every configured environment that has a repository. One whose configuration cannot be read,
/// or does not say where its repository is, is told as unreadable.
pub fn shelf(config: &Config) -> Result<Shelf> {
    let (mut environments, mut unreadable) = (Vec::new(), Vec::new());
    for name in config.environments() {
        match config.environment(&name) {
            Ok(environment) if environment.has_repository() => environments.push(environment),
            Ok(_) => {}
            Err(error) => unreadable.push(Unreadable { path: name, error, anonymized: None }),
        }
    }
    if environments.is_empty() {
        let none = || Error::usage("no environment has a `data.repository`");
        return Err(unreadable.pop().map_or_else(none, |found| found.error));
    }
    let mut shelf = Shelf::open(&environments)?;
    shelf.unreadable.append(&mut unreadable);
    Ok(shelf)
}

/// Reads `word` as a snapshot's name, with the short names of environments written out.
pub fn parse(config: &Config, word: &str) -> Result<SnapshotRef> {
    let mut wanted: SnapshotRef = word.parse()?;
    // An environment that is configured no more can still have snapshots.
    if let SnapshotRef::Newest { environment: Some(name), .. } = &mut wanted
        && let Ok(full) = config.resolve_name(name)
    {
        *name = full;
    }
    Ok(wanted)
}
