//! Loads data beside an environment's index and swaps it in.
//!
//! In order: [`Target::prepare`], [`Target::load`], [`Target::verify`], seeds with
//! [`Target::run_commands`], [`Target::swap`]. Until the swap the live index is not touched. After
//! a crash, [`super::swap::state`] says what was left, and [`Target::attach`] goes on with it.

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::catalog::{Server, clock, setting};
use super::connect::Connection;
use super::load::{Blocks, Expiry, LoadReport, Loader, lanes, run_lanes};
use super::reply::Reply;
use super::restore::rdb_version_of;
use super::room;
use super::swap::{self, Marker, Spare, SpareState};
use crate::config::endpoint::RedisEndpoint;
use crate::error::{Error, OrFail, Result};
use crate::pipeline::block::{Block, Cleared};
use crate::terms::Identity;

/// `databases` where the server does not tell: its default.
const DEFAULT_INDEXES: u32 = 16;

/// A spare index beside an environment's live one.
#[derive(Debug)]
pub struct Target {
    pub(super) endpoint: RedisEndpoint,
    pub(super) connection: Connection,
    pub(super) server: Server,
    job: String,
    spare: u32,
    marker: Marker,
    pub(super) report: Option<LoadReport>,
}

/// What a swap back is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// This job takes its own swap back: the spare index holds again what it held before, and its
    /// marker says so.
    Undo,
    /// The previous data is wanted: what was live becomes the previous data.
    Rollback,
}

/// Connects, and refuses a server into which nothing should be loaded.
async fn open(endpoint: &RedisEndpoint) -> Result<(Connection, Server)> {
    let mut connection = Connection::open(endpoint).await?;
    let server = Server::read(&mut connection).await?;
    let address = connection.address();
    server.refuse_loading(address)?;
    if server.replica {
        return Err(Error::refused(format!("redis at {address} is a replica"))
            .hint("give the primary's address"));
    }
    Ok((connection, server))
}

/// Refuses a server that would remove keys to make room: they could be the neighbours'.
pub(super) fn refuse_eviction(server: &Server) -> Result<()> {
    if !server.evicts() {
        return Ok(());
    }
    Err(Error::refused(format!(
        "this redis evicts keys when its memory is full (maxmemory-policy {}): loading beside \
         the live data could remove keys of any index",
        server.policy
    ))
    .hint("set maxmemory 0 or maxmemory-policy noeviction while it is loaded"))
}

/// How many indexes the server has.
pub(super) async fn indexes(connection: &mut Connection) -> Result<u32> {
    let told = setting(connection, "databases").await?;
    Ok(told.and_then(|number| number.parse().ok()).unwrap_or(DEFAULT_INDEXES))
}

/// The index to load into, and the marker that it carries if it is not empty. Changes nothing.
pub(super) async fn choose_spare(
    connection: &mut Connection,
    server: &Server,
    endpoint: &RedisEndpoint,
    environment: &str,
) -> Result<(u32, Option<Marker>)> {
    let count = indexes(connection).await?;
    if endpoint.db >= count {
        return Err(Error::usage(format!("redis has no index {} ({count} in all)", endpoint.db)));
    }
    connection.select(endpoint.db).await?;
    if let Some(found) = swap::marker(connection, endpoint.db).await? {
        return Err(Error::refused(format!(
            "redis index {} is the spare index of `{}`",
            endpoint.db, found.environment
        ))
        .hint("give the environments of one server indexes and spare indexes of their own"));
    }
    if let Some(index) = endpoint.spare_db {
        let reason = if index == endpoint.db {
            "it is the live index"
        } else if index >= count {
            "the server has no such index"
        } else if endpoint.taken.contains(&index) {
            "another environment uses it"
        } else {
            match ours(connection, server, endpoint, environment, index).await? {
                Some(marker) => return Ok((index, marker)),
                None => "it holds data that is not this environment's spare data",
            }
        };
        return Err(Error::refused(format!("redis index {index} cannot be the spare: {reason}"))
            .hint("set `spareDb` to an index that is empty, or leave it out"));
    }
    let kept = swap::spares(connection, server, endpoint, environment).await?;
    if let Some(Spare { index, marker }) = kept.into_iter().next_back() {
        return Ok((index, Some(marker)));
    }
    let free = |index: &u32| *index != endpoint.db && !endpoint.taken.contains(index);
    for index in (0..count).rev().filter(free) {
        if let Some(marker) = ours(connection, server, endpoint, environment, index).await? {
            return Ok((index, marker));
        }
    }
    Err(Error::refused("no redis index is free to load beside the live one")
        .hint("empty an index that no environment uses, or raise `databases` of the server"))
}

/// Whether `index` is empty (`Some(None)`) or carries this environment's marker.
async fn ours(
    connection: &mut Connection,
    server: &Server,
    endpoint: &RedisEndpoint,
    environment: &str,
    index: u32,
) -> Result<Option<Option<Marker>>> {
    connection.select(index).await?;
    if server.keys(index) == 0 && connection.run("DBSIZE", &[b"DBSIZE"]).await? == Reply::Integer(0)
    {
        return Ok(Some(None));
    }
    Ok(swap::own_marker(connection, endpoint, environment, index).await?.map(Some))
}

/// Empties what else carries this environment's marker, such as the index that was `spareDb`
/// before: only one previous set is kept, and nothing may be taken for it later.
async fn clear_all_but(
    chosen: u32,
    connection: &mut Connection,
    server: &Server,
    endpoint: &RedisEndpoint,
    environment: &str,
) -> Result<()> {
    for Spare { index, marker } in swap::spares(connection, server, endpoint, environment).await? {
        if index != chosen {
            swap::clear(connection, index, Some(&marker), None).await?;
        }
    }
    connection.select(chosen).await
}

impl Target {
    /// Fails where [`prepare`](Self::prepare), or a load of new data whose RDB is `bytes` long,
    /// would be refused. Changes nothing: the way back is still there.
    pub async fn check(endpoint: &RedisEndpoint, environment: &str, bytes: u64) -> Result<()> {
        let (mut connection, server) = open(endpoint).await?;
        refuse_eviction(&server)?;
        choose_spare(&mut connection, &server, endpoint, environment).await?;
        let spares = swap::spares(&mut connection, &server, endpoint, environment).await?;
        let indexes = spares.iter().map(|spare| spare.index);
        let freed = room::freed(&mut connection, &server, indexes).await?;
        room::require(&server, bytes, freed)
    }

    /// Chooses the spare index, empties it (only if it is this environment's) and marks it as being
    /// loaded by `job`. Data kept for a rollback goes, there and in every other index that carries
    /// this environment's marker: the caller's plan has said so.
    ///
    /// Errors: a server that evicts or is a replica, no free index (exit 5), a cluster (not built).
    pub async fn prepare(endpoint: &RedisEndpoint, environment: &str, job: &str) -> Result<Self> {
        let (mut connection, server) = open(endpoint).await?;
        refuse_eviction(&server)?;
        let (spare, before) = choose_spare(&mut connection, &server, endpoint, environment).await?;
        let marker = Marker {
            environment: environment.to_owned(),
            live: endpoint.db,
            job: job.to_owned(),
            state: SpareState::Loading,
            before: None,
        };
        match &before {
            Some(_) => {
                swap::clear(&mut connection, spare, before.as_ref(), Some(&marker)).await?;
            }
            None => swap::claim(&mut connection, spare, &marker).await?,
        }
        clear_all_but(spare, &mut connection, &server, endpoint, environment).await?;
        let endpoint = endpoint.clone();
        let job = job.to_owned();
        Ok(Self { endpoint, connection, server, job, spare, marker, report: None })
    }

    /// Takes up the spare index that carries the environment's marker, as it is, of several the
    /// newest; `None` if there is none.
    pub async fn attach(
        endpoint: &RedisEndpoint,
        environment: &str,
        job: &str,
    ) -> Result<Option<Self>> {
        match swap::state(endpoint, environment).await? {
            Some(Spare { index, .. }) => Self::attach_to(index, endpoint, environment, job).await,
            None => Ok(None),
        }
    }

    /// Takes up the spare index `spare`, as it is; `None` if it does not carry the environment's
    /// marker.
    pub async fn attach_to(
        spare: u32,
        endpoint: &RedisEndpoint,
        environment: &str,
        job: &str,
    ) -> Result<Option<Self>> {
        let (mut connection, server) = open(endpoint).await?;
        let found = swap::own_marker(&mut connection, endpoint, environment, spare).await?;
        let (endpoint, job) = (endpoint.clone(), job.to_owned());
        Ok(found.map(|marker| Self {
            endpoint,
            connection,
            server,
            job,
            spare,
            marker,
            report: None,
        }))
    }

    /// The index beside the live one.
    pub fn spare(&self) -> u32 {
        self.spare
    }

    /// What the spare index's marker says.
    pub fn marker(&self) -> &Marker {
        &self.marker
    }

    /// Which server and (live) index.
    pub fn identity(&self) -> Identity {
        self.server.identity(&self.endpoint)
    }

    /// `redis 7.0.15`.
    pub fn server_version(&self) -> String {
        self.server.product()
    }

    /// Refuses (exit 5) when the server has no room for new data whose RDB is `bytes` long beside
    /// what it holds.
    pub async fn require_room(&mut self, bytes: u64) -> Result<()> {
        room::require(&Server::read(&mut self.connection).await?, bytes, 0)
    }

    /// Loads the stored RDB whose blocks come through `blocks` into the spare index. Nothing at all
    /// coming through means an empty index.
    ///
    /// Errors: a damaged RDB, a server that refuses a key, a lost connection. The spare index then
    /// holds a part of the data and stays marked as being loaded.
    pub async fn load(
        &mut self,
        blocks: mpsc::Receiver<Block<Cleared>>,
        expiry: Expiry,
    ) -> Result<LoadReport> {
        self.require(SpareState::Loading, "loading")?;
        let now = clock(&mut self.connection).await?;
        let newest = rdb_version_of(self.server.major_minor);
        let (lanes, ends) = lanes();
        let parser = spawn_blocking(move || {
            let loader = Loader::new(lanes, expiry, now, newest);
            let mut blocks = std::io::BufReader::new(Blocks::new(blocks));
            if std::io::BufRead::fill_buf(&mut blocks)
                .or_fail(|| "the stored rdb cannot be read")?
                .is_empty()
            {
                return Ok((LoadReport::default(), Vec::new()));
            }
            loader.run(blocks)
        });
        // Both are waited for: when the connections fail the parser stops by itself.
        let sent = run_lanes(&self.endpoint, self.spare, ends).await;
        let parsed = parser.await.or_fail(|| "loading redis broke off")?;
        sent?;
        let (mut report, functions) = parsed?;
        self.load_functions(functions, &mut report).await?;
        self.set_state(SpareState::Loaded).await?;
        self.report = Some(report.clone());
        Ok(report)
    }

    pub(super) fn require(&self, state: SpareState, what: &str) -> Result<()> {
        if self.marker.state == state && self.marker.job == self.job {
            return Ok(());
        }
        Err(Error::failed(format!(
            "{what} does not fit redis index {}: it is {} by job {}",
            self.spare,
            self.marker.state.word(),
            self.marker.job
        )))
    }

    async fn set_state(&mut self, state: SpareState) -> Result<()> {
        let after = Marker { state, ..self.marker.clone() };
        let value = after.encode()?;
        self.connection.select(self.spare).await?;
        let set: &[&[u8]] = &[b"SET", super::rdb::OWNER_KEY, &value];
        let connection = &mut self.connection;
        swap::guarded(connection, self.spare, Some(&self.marker), "SET", &[set]).await?;
        self.marker = after;
        Ok(())
    }

    /// Swaps the loaded index with the live one, atomically; what was live is then in the spare
    /// index, marked as previous. Does nothing if this job has swapped already.
    ///
    /// If the connection breaks meanwhile it is not known whether it happened:
    /// [`super::swap::state`] tells.
    pub async fn swap(&mut self) -> Result<()> {
        if self.require(SpareState::Previous, "").is_ok() {
            return Ok(());
        }
        self.require(SpareState::Loaded, "swapping")?;
        self.exchange(SpareState::Previous).await
    }

    async fn exchange(&mut self, state: SpareState) -> Result<()> {
        let before = Some((self.marker.job.clone(), self.marker.state));
        let after = Marker { state, job: self.job.clone(), before, ..self.marker.clone() };
        self.exchange_to(after).await
    }

    async fn exchange_to(&mut self, after: Marker) -> Result<()> {
        swap::swap(&mut self.connection, self.spare, &self.marker, &after).await?;
        self.marker = after;
        self.report = None;
        Ok(())
    }

    /// Swaps the previous data back in: see [`Back`]. Does nothing if this job has done so already,
    /// and, to undo, if this job's swap has not happened.
    ///
    /// Errors: nothing kept to roll back to (exit 10).
    pub async fn swap_back(&mut self, back: Back) -> Result<()> {
        let previous = self.marker.state == SpareState::Previous;
        let mine = self.marker.job == self.job;
        match (back, previous, mine) {
            (Back::Undo, true, true) => {
                let Some((job, state)) = self.marker.before.clone() else {
                    return Err(Error::failed("the redis swap does not say what was before it"));
                };
                let after = Marker { job, state, before: None, ..self.marker.clone() };
                self.exchange_to(after).await
            }
            (Back::Undo, ..) | (Back::Rollback, true, true) => Ok(()),
            (Back::Rollback, true, false) => self.exchange(SpareState::Previous).await,
            (Back::Rollback, false, _) => Err(Error::not_found(format!(
                "no previous data is kept for redis index {}",
                self.endpoint.db
            ))),
        }
    }

    /// Removes the previous data and the marker. Errors if the spare index holds anything else.
    pub async fn drop_previous(mut self) -> Result<()> {
        if self.marker.state != SpareState::Previous {
            return Err(Error::failed(format!(
                "redis index {} holds new data, not the previous",
                self.spare
            )));
        }
        swap::clear(&mut self.connection, self.spare, Some(&self.marker), None).await
    }

    /// Removes this job's new data that was not swapped in, and the marker. Errors if the spare
    /// index holds anything else: the previous data, or what another job is loading.
    pub async fn drop_new(mut self) -> Result<()> {
        if !self.marker.is_new_of(&self.job) {
            return Err(Error::failed(format!(
                "redis index {} does not hold new data of job {}: it is {} by job {}",
                self.spare,
                self.job,
                self.marker.state.word(),
                self.marker.job
            )));
        }
        swap::clear(&mut self.connection, self.spare, Some(&self.marker), None).await
    }
}
