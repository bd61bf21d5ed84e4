//! Where the stores of an environment are, for jobs that cannot do without one.
//!
//! Called by every job. Resolves references, and so may run `${cmd:…}`; connects to nothing.

use crate::config::Environment;
use crate::config::endpoint::{MongoEndpoint, PostgresEndpoint, RedisEndpoint};
use crate::error::{Error, Result};
use crate::terms::StoreKind;

/// The Postgres of an environment.
pub(crate) fn postgres(environment: &Environment) -> Result<PostgresEndpoint> {
    environment.postgres()?.ok_or_else(|| missing(&environment.name, StoreKind::Postgres))
}

/// The Redis of an environment.
pub(crate) fn redis(environment: &Environment) -> Result<RedisEndpoint> {
    environment.redis()?.ok_or_else(|| missing(&environment.name, StoreKind::Redis))
}

/// The MongoDB of an environment.
pub(crate) fn mongodb(environment: &Environment) -> Result<MongoEndpoint> {
    environment.mongodb()?.ok_or_else(|| missing(&environment.name, StoreKind::Mongodb))
}

/// That an environment lacks a store which it was asked for.
pub(crate) fn missing(environment: &str, store: StoreKind) -> Error {
    Error::usage(format!("`{environment}` has no {store}"))
        .hint("the stores of an environment are those in its `database` block")
}
