//! Jobs: one file each, `plan() → execute() → Summary`, and what they share.

pub(crate) mod apart;
pub mod check;
pub mod classes;
pub mod confirmed;
pub mod coverage;
pub(crate) mod endpoints;
pub mod history;
pub mod journal;
pub mod load;
mod past;
pub mod reclassify;
pub mod repositories;
pub mod rules;
pub mod seed;
pub mod snapshot;
pub mod stop;
pub(crate) mod temporary;
mod undertaking;
pub mod verify;

use std::time::Instant;

use serde::Serialize;

use crate::config::Environment;
use crate::error::{Error, OrFail, Result};
use crate::pipeline::progress::Progress;
use crate::terms::StoreKind;
use stop::Stop;

/// What manifests and facts say of who wrote them.
pub const TOOL: &str = concat!("pfdata ", env!("CARGO_PKG_VERSION"));

/// What every running job gets: somewhere to tell its progress, and the wish to stop.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Progress meters.
    pub progress: Progress,
    /// Interruption.
    pub stop: Stop,
}

/// What a job will do, in order; a dry run prints it and a run follows it.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// The subcommand.
    pub command: String,
    /// One line: `refresh development from 20261121T030000Z-7f3a9c`.
    pub title: String,
    /// What will be done.
    pub actions: Vec<Action>,
    /// What is worth knowing before it is done.
    pub remarks: Vec<String>,
}

/// One thing that a plan does.
#[derive(Debug, Clone, Serialize)]
pub struct Action {
    /// A word: `read`, `load`, `swap`, `drop`.
    pub verb: String,
    /// Where, when it is in one store.
    pub store: Option<StoreKind>,
    /// What exactly.
    pub detail: String,
}

impl Plan {
    /// An empty plan.
    pub fn new(command: &str, title: impl Into<String>) -> Self {
        Self {
            command: command.to_owned(),
            title: title.into(),
            actions: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Adds an action.
    pub fn action(&mut self, verb: &str, store: Option<StoreKind>, detail: impl Into<String>) {
        self.actions.push(Action { verb: verb.to_owned(), store, detail: detail.into() });
    }

    /// Adds a remark.
    pub fn remark(&mut self, text: impl Into<String>) {
        self.remarks.push(text.into());
    }
}

/// A line of the table at the end of a job.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// Where, when it was in one store.
    pub store: Option<StoreKind>,
    /// Rows, documents or keys.
    pub records: u64,
    /// Bytes before compression.
    pub bytes_plain: u64,
    /// Bytes in the repository.
    pub bytes_stored: u64,
    /// Wall-clock time.
    pub elapsed_ms: u64,
    /// How many workers took part.
    pub jobs: usize,
}

impl Step {
    /// A step that began at `started` and ends now.
    pub fn since(started: Instant, name: &str, store: Option<StoreKind>) -> Self {
        let elapsed_ms = milliseconds(started);
        Self {
            name: name.to_owned(),
            store,
            records: 0,
            bytes_plain: 0,
            bytes_stored: 0,
            elapsed_ms,
            jobs: 0,
        }
    }
}

/// Resolves where `stores` are, where that may block: a `${cmd:…}` may take 30 seconds, in which
/// others work and signals are heard. What is wrong with one is told where it is asked for.
pub(crate) async fn resolve(environment: &Environment, stores: &[StoreKind]) -> Result<()> {
    let (environment, stores) = (environment.clone(), stores.to_vec());
    blocking(move || {
        for store in stores {
            drop(place(&environment, store));
        }
        Ok(())
    })
    .await
}

/// A store of an environment for people: `prod-postgres.internal:5432/app`.
pub fn place(environment: &Environment, store: StoreKind) -> Result<String> {
    Ok(match store {
        StoreKind::Postgres => {
            let at = endpoints::postgres(environment)?;
            format!("{}:{}/{}", at.host, at.port, at.database)
        }
        StoreKind::Redis => {
            let at = endpoints::redis(environment)?;
            format!("{}:{}/{}", at.host, at.port, at.db)
        }
        StoreKind::Mongodb => {
            let at = endpoints::mongodb(environment)?;
            format!("{}/{}", at.address, at.database)
        }
    })
}

/// Milliseconds since `started`.
pub fn milliseconds(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Runs `work` where it may block.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.or_fail(|| "a worker ended unexpectedly")?
}

/// What a worker takes its work from.
type Queue<T> = async_channel::Receiver<T>;

/// Has `jobs` workers take `items` from one queue, in order, and gives all that they made. The
/// first error ends the others.
async fn share<T, R>(
    items: impl IntoIterator<Item = T>,
    jobs: usize,
    work: impl AsyncFn(Queue<T>) -> Result<Vec<R>>,
) -> Result<Vec<R>> {
    let (sender, queue) = async_channel::unbounded();
    for item in items {
        if sender.try_send(item).is_err() {
            return Err(Error::failed("the queue of a job is closed"));
        }
    }
    sender.close();
    let workers = (0..jobs).map(|_| work(queue.clone()));
    let made = futures_util::future::try_join_all(workers).await?;
    Ok(made.into_iter().flatten().collect())
}

/// Runs `work` as a task of its own, so that it can use another core than its caller, and stops it
/// when the caller is dropped.
async fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let mut task = tokio::task::JoinSet::new();
    task.spawn(work);
    match task.join_next().await {
        Some(done) => done.or_fail(|| "a worker ended unexpectedly"),
        None => Err(Error::failed("a worker never began")),
    }
}

/// Awaits `make` only if `wanted`.
async fn when<T>(wanted: bool, make: impl AsyncFnOnce() -> Result<T>) -> Result<Option<T>> {
    if wanted { make().await.map(Some) } else { Ok(None) }
}

/// Awaits `make` with a value that is there.
async fn when_some<A, T>(
    value: Option<A>,
    make: impl AsyncFnOnce(A) -> Result<T>,
) -> Result<Option<T>> {
    match value {
        Some(value) => make(value).await.map(Some),
        None => Ok(None),
    }
}

/// Does something when it is dropped, unless it was disarmed: the way in which a job that is
/// interrupted cleans up after itself.
struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    fn new(action: F) -> Self {
        Self(Some(action))
    }

    fn disarm(mut self) {
        self.0 = None;
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(action) = self.0.take() {
            action();
        }
    }
}
