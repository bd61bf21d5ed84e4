//! What a load refuses before it touches anything.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::request::Request;
use super::request::fingerprint;
use crate::config::{Config, Environment};
use crate::error::{Error, Result};
use crate::job::history::{How, holds};
use crate::job::repositories::{self, Shelf};
use crate::job::{apart, classes};
use crate::policy::Class;
use crate::repository::Stored;
use crate::repository::manifest::Manifest;
use crate::terms::{Identity, StoreKind};

/// Migrations are not run yet: a refresh that would have to run some is refused.
pub fn no_pending_migrations(config: &Config, environment: &Environment) -> Result<()> {
    let folder = config.base().join("sql").join("migrations");
    let migrations = crate::files::list(&folder)?;
    let any = migrations.iter().any(|name| name.ends_with(".up.sql"));
    if any && environment.data.refresh.migrate.is_none() {
        return Err(Error::not_built(format!(
            "`data.refresh.migrate` of `{}`, which is true where it is not given, with files in `{}`",
            environment.name,
            folder.display()
        ))
        .hint("set it to false; the snapshot brings the schema of its source"));
    }
    Ok(())
}

/// A source that has not been snapshotted for too long is refused.
pub fn fresh_enough(manifest: &Manifest, max_age: Option<Duration>) -> Result<()> {
    let Some(max_age) = max_age else { return Ok(()) };
    let age = Timestamp::now().duration_since(manifest.created);
    let too_old = age.as_secs().cast_unsigned() > max_age.as_secs() && !age.is_negative();
    if too_old {
        return Err(Error::refused(format!(
            "snapshot {} is {} old, and `refresh.max_age` is {}",
            manifest.id,
            span(age.as_secs().unsigned_abs()),
            span(max_age.as_secs())
        ))
        .hint("see why no newer snapshot was taken, or name one with --from and raise the limit"));
    }
    Ok(())
}

/// A span in the largest unit that keeps two digits of it.
fn span(seconds: u64) -> String {
    let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    let unit = units.into_iter().find(|(length, _)| seconds >= 2 * length);
    let (length, name) = unit.unwrap_or((1, "seconds"));
    format!("{} {name}", seconds / length)
}

/// `--discard-target` must name the environment that changes.
pub fn discard(environment: &Environment, request: &Request) -> Result<()> {
    match &request.discard_target {
        Some(name) if *name != environment.name => Err(Error::refused(format!(
            "--discard-target names `{name}`, and `{}` would change",
            environment.name
        ))),
        _ => Ok(()),
    }
}

/// One person stays one person: the stores of an environment are masked with one key.
pub fn one_key(
    environment: &Environment,
    manifest: &Manifest,
    stores: &BTreeMap<StoreKind, How>,
) -> Result<()> {
    let main = match repositories::open_main(environment, false) {
        Ok(main) => main,
        Err(error) if error.kind() == crate::error::Kind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let keys: Vec<_> = stores.keys().filter_map(|store| fingerprint(manifest, *store)).collect();
    for (store, held) in holds(&repositories::journals(environment, &main)?)? {
        let stays = !stores.contains_key(&store) && environment.stores().contains(&store);
        let other = |mine: &String| keys.iter().any(|key| key != mine);
        if stays && held.key_fingerprint.as_ref().is_some_and(other) {
            return Err(Error::refused(format!(
                "{store} of `{}` stays, and is masked with another key than snapshot {}",
                environment.name, manifest.id
            ))
            .hint("load all stores from one snapshot, so that one person stays one person"));
        }
    }
    Ok(())
}

/// The target's stores must belong to the target: not to another configured environment, and not
/// to an environment whose snapshots name the same server and database. Gives what could not be
/// judged, for the plan to say, and which stores they are.
pub async fn identities(
    config: &Config,
    shelf: &Shelf,
    environment: &Environment,
    snapshot: &Stored,
    stores: &BTreeMap<StoreKind, How>,
) -> Result<(Vec<String>, BTreeMap<StoreKind, Identity>)> {
    let changing: Vec<StoreKind> = stores.keys().copied().collect();
    classes::settled(shelf, environment)?;
    let unknown = apart::configured(config, environment, &changing).await?;
    let mut found = BTreeMap::new();
    for store in stores.keys() {
        let identity = apart::identity(environment, *store).await?;
        classes::not_live_elsewhere(shelf, environment, &identity)?;
        let all = || shelf.stored.iter().map(|(_, stored)| stored).chain([snapshot]);
        let is_here = |stored: &&Stored| {
            let held = stored.manifest.store(*store);
            held.is_some_and(|held| held.identity.same_data(&identity))
        };
        let (own, others): (Vec<_>, Vec<_>) = all()
            .filter(is_here)
            .partition(|stored| stored.manifest.environment == environment.name);
        for other in others {
            // A lower environment that once pointed here by mistake does not own a live store.
            let mistaken = environment.class == Class::Live
                && other.manifest.class != Class::Live
                && !own.is_empty();
            if !mistaken {
                return Err(Error::refused(format!(
                    "{store} of `{}` is the store that snapshot {} of `{}` was read from",
                    environment.name, other.manifest.id, other.manifest.environment
                ))
                .hint("two environments point at one database; correct the configuration"));
            }
        }
        found.insert(*store, identity);
    }
    Ok((unknown, found))
}
