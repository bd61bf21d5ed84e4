//! The swaps of a load, and what undoes them: one store after the other, each journaled.
//!
//! Each step works from the journal alone, so that the process that finishes or undoes a swap
//! need not be the one that began it.

use std::collections::BTreeMap;

use super::{mongodb, postgres, redis};
use crate::config::Environment;
use crate::error::{Error, Result};
use crate::job::history::Ready;
use crate::job::journal::Journal;
use crate::pipeline::progress::Progress;
use crate::repository::lease::Lease;
use crate::terms::StoreKind;

/// Swaps every store that is ready and has not been swapped, in order. When one fails, those
/// before it are swapped back. Gives the milliseconds each took.
pub async fn all(
    environment: &Environment,
    ready: &Ready,
    journal: &Journal,
    lease: &Lease,
) -> Result<BTreeMap<StoreKind, u64>> {
    let mut took = BTreeMap::new();
    for store in StoreKind::ALL {
        if !involves(ready, store) {
            continue;
        }
        lease.not_taken_over()?;
        match one(environment, ready, store, journal).await {
            Ok(milliseconds) => {
                took.insert(store, milliseconds);
                // Best effort: what counts is the state of the store itself.
                if let Err(error) = journal.step(&format!("swapped-{store}"), &milliseconds) {
                    tracing::warn!(%error, "a swap could not be journaled");
                }
            }
            Err(error) => return Err(error.context(format!("the swap of {store} failed"))),
        }
    }
    Ok(took)
}

/// Whether a load has this store to swap.
pub fn involves(ready: &Ready, store: StoreKind) -> bool {
    match store {
        StoreKind::Postgres => ready.postgres.is_some(),
        StoreKind::Redis => ready.redis.is_some(),
        StoreKind::Mongodb => ready.mongodb.is_some(),
    }
}

async fn one(
    environment: &Environment,
    ready: &Ready,
    store: StoreKind,
    journal: &Journal,
) -> Result<u64> {
    match store {
        StoreKind::Postgres => match &ready.postgres {
            Some(ready) => postgres::swap(environment, ready).await,
            None => Ok(0),
        },
        StoreKind::Redis => match &ready.redis {
            Some(ready) => redis::swap(environment, ready, journal.job()).await,
            None => Ok(0),
        },
        StoreKind::Mongodb => match &ready.mongodb {
            Some(ready) => mongodb::swap(environment, ready).await,
            None => Ok(0),
        },
    }
}

/// Which stores of a load have been swapped, as the stores themselves show; a MongoDB of which
/// only some collections have been renamed counts as swapped.
pub async fn swapped(
    environment: &Environment,
    ready: &Ready,
    job: &str,
) -> Result<Vec<StoreKind>> {
    let mut found = Vec::new();
    if let Some(ready) = &ready.postgres
        && postgres::is_swapped(environment, ready).await?
    {
        found.push(StoreKind::Postgres);
    }
    if let Some(ready) = &ready.redis
        && redis::is_swapped(environment, ready, job).await?
    {
        found.push(StoreKind::Redis);
    }
    if let Some(ready) = &ready.mongodb
        && mongodb::is_swapped(environment, ready).await?
    {
        found.push(StoreKind::Mongodb);
    }
    Ok(found)
}

/// Takes every swap of a load back and removes what it loaded. All stores are tried; the first
/// error is given.
pub async fn undo(
    environment: &Environment,
    ready: &Ready,
    job: &str,
    progress: &Progress,
) -> Result<()> {
    let mut first: Option<Error> = None;
    let mut note = |result: Result<()>, store: StoreKind| {
        if let Err(error) = result {
            let error = error.context(format!("{store} could not be swapped back"));
            tracing::error!(%error, "undoing a load");
            first.get_or_insert(error);
        }
    };
    if let Some(ready) = &ready.mongodb {
        note(mongodb::undo(environment, ready, progress).await, StoreKind::Mongodb);
    }
    if let Some(ready) = &ready.redis {
        note(redis::undo(environment, ready, job).await, StoreKind::Redis);
    }
    if let Some(ready) = &ready.postgres {
        note(postgres::undo(environment, ready).await, StoreKind::Postgres);
    }
    first.map_or(Ok(()), Err)
}
