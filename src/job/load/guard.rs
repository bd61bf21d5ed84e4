//! What a load refuses before it touches anything.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::request::Request;
use super::request::fingerprint;
use crate::config::endpoint::{MongoEndpoint, PostgresEndpoint, RedisEndpoint};
use crate::config::{Config, Environment};
use crate::error::{Error, Result};
use crate::job::history::{How, holds};
use crate::job::repositories::{self, Shelf};
use crate::job::{self, classes};
use crate::policy::Class;
use crate::repository::Stored;
use crate::repository::manifest::Manifest;
use crate::store::{mongodb, postgres, redis};
use crate::terms::{Identity, StoreKind};

/// Migrations are not run yet: a refresh that would have to run some is refused.
pub fn no_pending_migrations(config: &Config, environment: &Environment) -> Result<()> {
    let folder = config.base().join("sql").join("migrations");
    let migrations = crate::repository::files::list(&folder)?;
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

/// Protected environments change only with a way back, or when there is nothing to go back to.
pub fn protection(environment: &Environment, guarded: bool) -> Result<()> {
    if environment.protected && !guarded {
        return Err(Error::refused(format!("`{}` is protected", environment.name)).hint(format!(
            "add --rollback-ready, which takes a snapshot of it first, or --discard-target {} if it is dead or empty",
            environment.name
        )));
    }
    Ok(())
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
    let unknown = configured_apart(config, environment, &changing).await?;
    let mut found = BTreeMap::new();
    for store in stores.keys() {
        let identity = identity(environment, *store).await?;
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

/// Where a store is, as far as the configuration tells: without connecting to anybody else's.
struct Place {
    host: String,
    port: u16,
    data: String,
    schemas: Vec<String>,
}

impl Place {
    /// Whether both may be the same data: the same port and name, schemas that overlap, and hosts
    /// that are spelled alike or lead to a common address.
    async fn overlaps(&self, other: &Self) -> bool {
        let schemas = self.schemas.is_empty()
            || other.schemas.is_empty()
            || self.schemas.iter().any(|schema| other.schemas.contains(schema));
        if self.port != other.port || self.data != other.data || !schemas {
            return false;
        }
        if self.host.eq_ignore_ascii_case(&other.host) {
            return true;
        }
        let (mine, theirs) = (addresses(&self.host).await, addresses(&other.host).await);
        mine.iter().any(|address| theirs.contains(address))
    }
}

async fn addresses(host: &str) -> Vec<std::net::IpAddr> {
    match tokio::net::lookup_host((host, 0)).await {
        Ok(found) => found.map(|address| address.ip().to_canonical()).collect(),
        Err(_) => Vec::new(),
    }
}

/// No other configured environment may have one of these stores. Gives what could not be judged.
/// Touches no store.
pub async fn configured_apart(
    config: &Config,
    environment: &Environment,
    stores: &[StoreKind],
) -> Result<Vec<String>> {
    job::resolve(environment, stores).await?;
    let mut unknown = Vec::new();
    for name in config.environments().into_iter().filter(|name| *name != environment.name) {
        let other = config.stores_of(&name)?;
        for store in stores {
            let Some(mine) = place(
                *store,
                || environment.postgres(),
                || environment.redis(),
                || environment.mongodb(),
            )?
            else {
                continue;
            };
            let (store, other) = (*store, other.clone());
            let theirs = job::blocking(move || {
                place(store, || other.postgres(), || other.redis(), || other.mongodb())
            });
            match theirs.await {
                Ok(Some(theirs)) if mine.overlaps(&theirs).await => {
                    return Err(Error::refused(format!(
                        "{store} of `{}` is configured as that of `{name}` too: {}:{}/{}",
                        environment.name, mine.host, mine.port, mine.data
                    ))
                    .hint("every environment needs data of its own"));
                }
                Ok(_) => {}
                Err(error) => unknown.push(format!(
                    "whether {store} of `{name}` is the same store is not known: {}",
                    error.message()
                )),
            }
        }
    }
    Ok(unknown)
}

fn place(
    store: StoreKind,
    postgres: impl Fn() -> Result<Option<PostgresEndpoint>>,
    redis: impl Fn() -> Result<Option<RedisEndpoint>>,
    mongodb: impl Fn() -> Result<Option<MongoEndpoint>>,
) -> Result<Option<Place>> {
    let plain = |host: String, port, data| Place { host, port, data, schemas: Vec::new() };
    Ok(match store {
        StoreKind::Postgres => postgres()?.map(|at| Place {
            host: at.host,
            port: at.port,
            data: at.database,
            schemas: at.schemas,
        }),
        StoreKind::Redis => redis()?.map(|at| plain(at.host, at.port, at.db.to_string())),
        StoreKind::Mongodb => mongodb()?.map(|at| {
            // Several members stand in one address; the first tells the deployment.
            let first = at.address.split(',').next().unwrap_or_default();
            let (host, port) = first.rsplit_once(':').unwrap_or((first, "27017"));
            plain(host.to_owned(), port.parse().unwrap_or(27017), at.database)
        }),
    })
}

/// What makes a store of an environment this one and no other, as the store itself says.
pub async fn identity(environment: &Environment, store: StoreKind) -> Result<Identity> {
    job::resolve(environment, &[store]).await?;
    let missing = || Error::usage(format!("`{}` has no {store}", environment.name));
    match store {
        StoreKind::Postgres => {
            postgres::swap::identity(&environment.postgres()?.ok_or_else(missing)?).await
        }
        StoreKind::Redis => {
            redis::catalog::identity(&environment.redis()?.ok_or_else(missing)?).await
        }
        StoreKind::Mongodb => {
            let endpoint = environment.mongodb()?.ok_or_else(missing)?;
            let client = mongodb::connect::connect(&endpoint).await?;
            mongodb::connect::identity(&client, &endpoint).await
        }
    }
}
