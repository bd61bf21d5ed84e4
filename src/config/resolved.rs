//! Endpoints that are resolved once and then kept: what a job was planned with, it runs with. Filled
//! by the methods of `Stores`; touches nothing itself.

use std::sync::OnceLock;

use super::endpoint::{MongoEndpoint, PostgresEndpoint, RedisEndpoint};
use crate::error::Result;

/// What became of one store: its endpoint, that there is none, or what is wrong with it.
type Once<T> = OnceLock<Result<Option<T>>>;

/// The endpoints of one environment, shared by the clones of it. Not `Debug`: they hold secrets.
#[derive(Default)]
pub(crate) struct Resolved {
    pub(crate) postgres: Once<PostgresEndpoint>,
    /// Without the indexes that others take: what is known of those may grow while a job is
    /// planned.
    pub(crate) redis: Once<RedisEndpoint>,
    pub(crate) mongodb: Once<MongoEndpoint>,
}

/// What is kept, or what `read` gives; with no place to keep it, `read` is asked every time.
pub(crate) fn once<T: Clone>(
    kept: Option<&Once<T>>,
    read: impl FnOnce() -> Result<Option<T>>,
) -> Result<Option<T>> {
    match kept {
        Some(kept) => kept.get_or_init(read).clone(),
        None => read(),
    }
}
