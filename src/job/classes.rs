//! What environments and stores have been recorded to be, in any repository that is configured.
//!
//! The class in a file is believed only as long as no manifest and no record says otherwise: who
//! edits the file cannot make masked data of real data. All of this reads repositories and no
//! store.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::history::Holds;
use super::repositories::{self, Shelf};
use crate::config::{Config, Environment};
use crate::error::{Error, Kind, Result};
use crate::policy::{self, Class, Clearance};
use crate::repository::class::ClassRecord;
use crate::repository::manifest::Manifest;
use crate::repository::{Stored, Unreadable, layout};
use crate::terms::{Identity, StoreKind};

/// One thing that was said of an environment's class.
struct Said<'a> {
    environment: &'a str,
    class: Class,
    at: Timestamp,
    source: Source<'a>,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Manifest(&'a Manifest),
    Record(&'a ClassRecord),
}

impl<'a> Said<'a> {
    /// The stores of this kind that it is about.
    fn identities(&self, store: StoreKind) -> Vec<&'a Identity> {
        match self.source {
            Source::Manifest(manifest) => {
                manifest.store(store).map(|held| &held.identity).into_iter().collect()
            }
            Source::Record(record) => {
                record.identities.iter().filter(|found| found.kind() == store).collect()
            }
        }
    }

    fn is_of(&self, identity: &Identity) -> bool {
        self.identities(identity.kind()).iter().any(|found| found.same_data(identity))
    }

    /// Who says it, for messages.
    fn by(&self) -> String {
        match self.source {
            Source::Manifest(manifest) => format!("snapshot {}", manifest.id),
            Source::Record(record) => {
                format!("`{}/class-{}.json`", record.environment, record.number)
            }
        }
    }
}

/// Everything that was said, oldest first.
fn said(shelf: &Shelf) -> Vec<Said<'_>> {
    let manifests = shelf.stored.iter().map(|(_, stored)| &stored.manifest);
    let manifests = manifests.map(|manifest| Said {
        environment: &manifest.environment,
        class: manifest.class,
        at: manifest.created,
        source: Source::Manifest(manifest),
    });
    let records = shelf.records.iter().map(|record| Said {
        environment: &record.environment,
        class: record.to,
        at: record.at,
        source: Source::Record(record),
    });
    let mut all: Vec<_> = manifests.chain(records).collect();
    all.sort_by_key(|said| said.at);
    all
}

/// What an environment is recorded to be, and by what.
pub struct Recorded {
    /// The class with the most at stake of those that were recorded since the last change.
    pub class: Class,
    /// For messages.
    pub by: String,
}

/// What `environment` is recorded to be; nothing where there is neither a record nor a manifest.
pub fn recorded(shelf: &Shelf, environment: &str) -> Option<Recorded> {
    let all = said(shelf);
    let own: Vec<_> = all.iter().filter(|said| said.environment == environment).collect();
    let changed = own.iter().rposition(|said| matches!(said.source, Source::Record(_)));
    let since = &own[changed.unwrap_or(0)..];
    let strongest = since.iter().max_by_key(|said| said.class)?;
    Some(Recorded { class: strongest.class, by: strongest.by() })
}

/// The newest change of an environment's class.
pub fn newest_change<'a>(shelf: &'a Shelf, environment: &str) -> Option<&'a ClassRecord> {
    let own = shelf.records.iter().filter(|record| record.environment == environment);
    own.max_by_key(|record| record.number)
}

/// What a recorded change says, for messages and `status`.
pub fn told(record: &ClassRecord) -> String {
    format!(
        "reclassified from {} to {} at {} by {}: {}",
        record.from.word(),
        record.to.word(),
        record.at.strftime("%Y-%m-%d %H:%M UTC"),
        record.by,
        record.reason
    )
}

/// What could have said something of classes and cannot be read, for a plan to say.
pub fn unknown(shelf: &Shelf) -> Vec<String> {
    let told = |found: &Unreadable| {
        format!("what `{}` records of classes is not known: {}", found.path, found.error.message())
    };
    shelf.unreadable.iter().map(told).collect()
}

/// Refuses (5) an environment whose file calls it something else than what is recorded.
pub fn settled(shelf: &Shelf, environment: &Environment) -> Result<()> {
    readable(shelf, &environment.name)?;
    let Some(recorded) = recorded(shelf, &environment.name) else { return Ok(()) };
    if recorded.class == environment.class {
        return Ok(());
    }
    let (name, class) = (&environment.name, environment.class.word());
    Err(Error::refused(format!(
        "{} calls `{name}` `{class}`, and {} records it as `{}`",
        environment.file(),
        recorded.by,
        recorded.class.word()
    ))
    .hint(format!(
        "correct the file, or record the change: \
         pfdata init {name} --reclassify {class} --reason TEXT --confirm {name}"
    )))
}

/// A record that cannot be read may be the one that counts.
fn readable(shelf: &Shelf, environment: &str) -> Result<()> {
    let is_own = |found: &&Unreadable| layout::is_told_class_record(&found.path, environment);
    match shelf.unreadable.iter().find(is_own) {
        None => Ok(()),
        Some(found) => Err(Error::new(
            found.error.kind(),
            format!("what `{environment}` is cannot be told: `{}` cannot be read", found.path),
        )
        .because(found.error.message())
        .hint("bring the file back as it was written")),
    }
}

/// Refuses (5) a store of an environment below `live` that is recorded as that of a live one.
pub fn not_live_elsewhere(
    shelf: &Shelf,
    environment: &Environment,
    identity: &Identity,
) -> Result<()> {
    if environment.class == Class::Live {
        return Ok(());
    }
    let all = said(shelf);
    match live_elsewhere(&all, &environment.name, identity, None) {
        None => Ok(()),
        Some(live) => Err(Error::refused(format!(
            "{} of `{}` is the store that {} of the live `{}` was read from",
            identity.kind(),
            environment.name,
            live.by(),
            live.environment
        ))
        .hint("two environments point at one database; correct the configuration")),
    }
}

/// Of every other environment the newest live word about a store of that kind counts: a store that
/// it has left may be anyone's, and so are those of one that is recorded to be live no more.
fn live_elsewhere<'a, 'b>(
    all: &'b [Said<'a>],
    environment: &str,
    identity: &Identity,
    until: Option<Timestamp>,
) -> Option<&'b Said<'a>> {
    let mut seen = std::collections::BTreeSet::new();
    let decides = |said: &&Said<'_>| match said.source {
        Source::Record(_) if said.class != Class::Live => true,
        _ => said.class == Class::Live && !said.identities(identity.kind()).is_empty(),
    };
    let others = all.iter().rev().filter(|said| {
        said.environment != environment && until.is_none_or(|until| said.at <= until)
    });
    let mut newest = others.filter(decides).filter(|said| seen.insert(said.environment));
    newest.find(|said| said.class == Class::Live && said.is_of(identity))
}

/// When a store, or the environment that has it, was last said to be live.
fn live_at(all: &[Said<'_>], environment: &str, identity: Option<&Identity>) -> Option<Timestamp> {
    let mine = |said: &&Said<'_>| {
        said.class == Class::Live
            && (said.environment == environment
                || identity.is_some_and(|identity| said.is_of(identity)))
    };
    all.iter().filter(mine).map(|said| said.at).max()
}

/// What the stores of an environment hold, as far as repositories and journals tell.
pub struct Known {
    /// Every repository.
    pub shelf: Shelf,
    /// What was loaded last.
    pub holds: BTreeMap<StoreKind, Holds>,
    environment: String,
}

impl Known {
    /// Reads the repositories of the whole configuration, and the journals of `environment`.
    pub fn read(environment: &Environment) -> Result<Self> {
        let shelf = repositories::shelf(&environment.config())?;
        let holds = match repositories::open_main(environment, false) {
            Ok(main) => super::history::holds(&repositories::journals(environment, &main)?)?,
            Err(error) if error.kind() == Kind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { shelf, holds, environment: environment.name.clone() })
    }

    /// What an unmasked snapshot of `store` would hold if its environment were not live. Without
    /// its identity the newest snapshot of the environment tells which store it is.
    pub fn held(&self, store: StoreKind, identity: Option<&Identity>) -> Clearance {
        let all = said(&self.shelf);
        let newest = all.iter().rev().filter(|said| said.environment == self.environment);
        let guess = newest.flat_map(|said| said.identities(store)).next();
        let live = live_at(&all, &self.environment, identity.or(guess));
        policy::held(live, self.holds.get(&store).and_then(|held| self.loaded(held)))
    }

    /// What `store` holds now, to be remembered as what was there before a load.
    pub fn holds_now(&self, store: StoreKind, identity: Option<&Identity>) -> Holds {
        let clearance = self.held(store, identity);
        match self.holds.get(&store) {
            Some(held) => Holds { before: None, clearance: Some(clearance), ..held.clone() },
            None => Holds::unknown(clearance),
        }
    }

    /// What `store` held before its last load, where the journal of that does not tell.
    pub fn before(&self, store: StoreKind) -> Clearance {
        let all = said(&self.shelf);
        let guess = all.iter().rev().filter(|said| said.environment == self.environment);
        let guess = guess.flat_map(|said| said.identities(store)).next();
        let held = self.holds.get(&store).and_then(|held| held.before.as_deref());
        policy::held(
            live_at(&all, &self.environment, guess),
            held.and_then(|held| self.loaded(held)),
        )
    }

    /// When the last load was, and of what. Journals of older versions name the snapshot only.
    fn loaded(&self, held: &Holds) -> Option<(Timestamp, Clearance)> {
        let of_snapshot = || {
            let id = held.snapshot.as_ref()?;
            let mut found = self.shelf.stored.iter().map(|(_, stored)| &stored.manifest);
            let manifest = found.find(|manifest| manifest.id == *id);
            let masked = held.key_fingerprint.as_ref().map(|_| Clearance::Anonymized);
            manifest.map(Manifest::derived_clearance).or(masked)
        };
        Some((held.at?, held.clearance.or_else(of_snapshot)?))
    }

    /// The stores that hold raw data, of those that the environment has.
    pub fn raw(&self, environment: &Environment) -> Vec<StoreKind> {
        let stores = environment.stores().into_iter();
        stores.filter(|store| self.held(*store, None) == Clearance::Raw).collect()
    }
}

/// What a snapshot's manifest says against itself, its folder, and what everything else says of
/// its environment at that time.
pub fn contradictions(shelf: &Shelf, config: &Config, stored: &Stored) -> Vec<String> {
    let mut found = stored.contradictions();
    let manifest = &stored.manifest;
    let all = said(shelf);
    let own = || all.iter().filter(|said| said.environment == manifest.environment);
    let is_record = |said: &&Said<'_>| matches!(said.source, Source::Record(_));
    let before = own().filter(is_record).rfind(|said| said.at <= manifest.created);
    let after = own().filter(is_record).find(|said| said.at > manifest.created);
    let within = |said: &&Said<'_>| after.is_none_or(|change| said.at < change.at);
    let mut against = |class: Class, by: String| {
        found.push(format!(
            "it calls `{}` `{}`, which {by} records as `{}`",
            manifest.environment,
            manifest.class.word(),
            class.word()
        ));
    };
    if let Some(change) = before {
        if change.class != manifest.class {
            against(change.class, change.by());
        }
    } else if let Some(other) = own().filter(within).find(|said| said.class > manifest.class) {
        against(other.class, other.by());
    } else if let Some(Source::Record(change)) = after.map(|change| change.source)
        && change.from > manifest.class
    {
        against(change.from, format!("`{}/class-{}.json`", change.environment, change.number));
    } else if after.is_none()
        && let Ok(environment) = config.environment(&manifest.environment)
        && environment.name == manifest.environment
        && environment.class > manifest.class
    {
        against(environment.class, environment.file().to_owned());
    }
    found.extend(read_from_live(&all, manifest));
    found
}

/// What was stored as it is must not have been read from what was another's live store then.
fn read_from_live(all: &[Said<'_>], manifest: &Manifest) -> Option<String> {
    if manifest.class == Class::Live || manifest.anonymized.is_some() {
        return None;
    }
    manifest.stores.iter().find_map(|store| {
        let until = Some(manifest.finished);
        let live = live_elsewhere(all, &manifest.environment, &store.identity, until)?;
        Some(format!(
            "its {} is the store that {} of the live `{}` was read from",
            store.store,
            live.by(),
            live.environment
        ))
    })
}

/// Refuses (5) to load a snapshot whose manifest cannot be true.
pub fn refuse_contradictions(shelf: &Shelf, config: &Config, stored: &Stored) -> Result<()> {
    let found = contradictions(shelf, config, stored);
    if found.is_empty() {
        return Ok(());
    }
    let error = Error::refused(format!(
        "the manifest of snapshot {} contradicts itself or what else is recorded",
        stored.manifest.id
    ));
    let error = found.into_iter().fold(error, |error, line| error.because(line));
    Err(error.hint("see who edited it; take a new snapshot"))
}

/// Refuses (5) a masked snapshot of an older version below `live`: it may hold names, or what a
/// star let through, and does not tell.
pub fn refuse_untold(stored: &Stored, target: Class) -> Result<()> {
    if target == Class::Live || !stored.manifest.lacks_places() {
        return Ok(());
    }
    Err(Error::refused(format!(
        "snapshot {} does not tell what was decided on each place",
        stored.manifest.id
    ))
    .hint(format!("take a new one: pfdata snapshot {}", stored.manifest.environment)))
}

#[cfg(test)]
#[path = "classes_tests.rs"]
mod tests;
