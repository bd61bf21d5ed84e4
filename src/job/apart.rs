//! Whether the stores of an environment are its own: as the configuration tells, which touches no
//! store, and as each store says itself. Called by [`confirmed`](super::confirmed) for every job,
//! and by what changes stores.

use super::endpoints;
use crate::config::endpoint::{MongoEndpoint, PostgresEndpoint, RedisEndpoint};
use crate::config::{Config, Environment};
use crate::error::{Error, Result};
use crate::store::{mongodb, postgres, redis};
use crate::terms::{Identity, StoreKind};

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
pub(crate) async fn configured(
    config: &Config,
    environment: &Environment,
    stores: &[StoreKind],
) -> Result<Vec<String>> {
    super::resolve(environment, stores).await?;
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
            let theirs = super::blocking(move || {
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
pub(crate) async fn identity(environment: &Environment, store: StoreKind) -> Result<Identity> {
    super::resolve(environment, &[store]).await?;
    match store {
        StoreKind::Postgres => postgres::swap::identity(&endpoints::postgres(environment)?).await,
        StoreKind::Redis => redis::catalog::identity(&endpoints::redis(environment)?).await,
        StoreKind::Mongodb => {
            let endpoint = endpoints::mongodb(environment)?;
            let client = mongodb::connect::connect(&endpoint).await?;
            mongodb::connect::identity(&client, &endpoint).await
        }
    }
}
