//! Reading a database as of one cluster time.

use std::sync::Mutex;

use mongodb::{Client, Database};
use tokio::sync::mpsc::Sender;

use super::catalog::{Catalog, CollectionInfo, Listed, list};
use super::command::{code_of, told};
use super::connect::{connect, hello, identity, server_version};
use super::kind::Kind;
use super::moment::{consistency, settle};
use super::options::SourceOptions;
use super::ranges::{Slice, Whole, split};
use super::raw::Elements;
use super::scan::{Broken, Scan, Sink, scan};
use super::session::Moment;
use crate::config::endpoint::MongoEndpoint;
use crate::error::{Error, Result};
use crate::pipeline::block::{self, BLOCK_BYTES, Block, Raw};
use crate::store::shape::Collection;
use crate::terms::{Consistency, Identity, Level};

/// A piece of the data that any worker can read.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectionPart {
    /// The collection's position in [`Catalog::collections`].
    pub collection: usize,
    /// Which of its documents; `to_string` gives the manifest's `slice`.
    pub slice: Slice,
    /// About how many bytes of documents it holds.
    pub bytes_estimate: u64,
}

/// Why the data of the chosen moment can no longer be read: the store is to be started over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotLoss {
    /// The moment is further back than the server keeps history (code 239): reading took longer
    /// than `minSnapshotHistoryWindowInSeconds`.
    TooOld,
    /// A collection or an index of it was changed after the moment (code 246).
    Unavailable,
    /// A collection was dropped or renamed while it was read.
    CollectionGone,
    /// A capped collection was written faster than it was read (code 136).
    Overtaken,
}

/// A database opened for reading.
pub struct Source {
    client: Client,
    endpoint: MongoEndpoint,
    catalog: Catalog,
    listed: Vec<Listed>,
    options: SourceOptions,
    identity: Identity,
    version: String,
    consistency: Consistency,
    moment: Moment,
    parts: Vec<CollectionPart>,
    stored_functions: bool,
    lost: Mutex<Option<SnapshotLoss>>,
}

impl Source {
    /// Connects, chooses the moment and reads the catalog as of it.
    ///
    /// On a replica set the moment is a cluster time that all readers share. On a standalone
    /// there is none: [`Consistency::level`] says best effort.
    ///
    /// # Errors
    /// Exit 12 if the server cannot be reached, exit 2 for what is not built (sharded clusters,
    /// time series), exit 1 if the catalog does not stay the same for a moment.
    pub async fn open(endpoint: &MongoEndpoint, options: SourceOptions) -> Result<Self> {
        let client = connect(endpoint).await?;
        let hello = hello(&client, endpoint).await?;
        let database = client.database(&endpoint.database);
        let (listed, catalog, time) = settle(&database, &hello, &options).await?;
        let moment = match time {
            Some(time) => Moment::At(time),
            None if hello.replicated() => Moment::Majority,
            None => Moment::Primary,
        };
        let mut source = Self {
            identity: identity(&client, endpoint).await?,
            version: server_version(&client).await?,
            consistency: consistency(&hello, time),
            endpoint: endpoint.clone(),
            parts: Vec::new(),
            stored_functions: has_stored_functions(&database).await,
            lost: Mutex::new(None),
            client,
            catalog,
            listed,
            options,
            moment,
        };
        source.parts = source.plan().await?;
        Ok(source)
    }

    /// Which deployment and database it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The moment, as `T.I` (seconds and increment of the cluster time).
    pub fn consistency(&self) -> &Consistency {
        &self.consistency
    }

    /// Where a collection is less consistent than the store.
    pub fn level(&self, collection: usize) -> Option<Level> {
        let capped = self.catalog.collections.get(collection)?.kind == Kind::Capped;
        (capped && self.consistency.level == Level::PointInTime).then_some(Level::BestEffort)
    }

    /// Whether the database has functions of its own in `system.js`, which are not copied: no
    /// collection of that name can be loaded beside the live one and renamed.
    pub fn stored_functions(&self) -> bool {
        self.stored_functions
    }

    /// The server's version.
    pub fn server_version(&self) -> &str {
        &self.version
    }

    /// The collections and views, those of `only` and `exclude` applied.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The parts to read, largest first. Every collection has at least one; views have none.
    pub fn parts(&self) -> Vec<CollectionPart> {
        self.parts.clone()
    }

    /// Why the moment can no longer be read, once a read has found out. The error of that read
    /// says it in words; the store can be started over from [`Source::open`].
    pub fn lost(&self) -> Option<SnapshotLoss> {
        self.lost.lock().map_or(None, |lost| *lost)
    }

    /// Whether every collection that was read still is the one it was: none was dropped, made
    /// again or renamed, and no read lost its moment. `false` means that the store is to be
    /// started over. To be asked after the last part was read: a snapshot read of a dropped
    /// collection returns no documents and no error.
    pub async fn verify_unchanged(&self) -> Result<bool> {
        if self.lost().is_some() {
            return Ok(false);
        }
        let now = list(&self.database()).await?;
        // What was made since is not part of the moment; what was there must still be the same.
        let kept = |then: &Listed| {
            now.iter()
                .any(|one| one.name == then.name && one.uuid == then.uuid && one.kind == then.kind)
        };
        Ok(self.listed.iter().all(kept))
    }

    /// Reads a part to its end, sending blocks of about [`BLOCK_BYTES`], and says how many
    /// documents it held.
    ///
    /// # Errors
    /// Any failure of the cursor, an end that the server did not announce, and a receiver that
    /// went away. If [`Source::lost`] then holds something, the store can be started over.
    pub async fn read(&self, part: &CollectionPart, out: Sender<Block<Raw>>) -> Result<u64> {
        let Some(info) = self.catalog.collections.get(part.collection) else {
            return Err(Error::failed("a part belongs to no collection of the catalog"));
        };
        let mut blocks = Blocks::new(out);
        let work = Scan {
            only: None,
            client: &self.client,
            database: &self.endpoint.database,
            collection: &info.shape.name,
            slice: &part.slice,
            average: info.average_bytes,
            moment: self.moment_of(info),
        };
        let name = &info.shape.name;
        let documents = scan(&work, &mut blocks).await.map_err(|broken| match broken {
            Broken::Ours(error) => error.context(format!("reading collection `{name}` failed")),
            Broken::Server(error) => self.failed(name, &error),
        })?;
        blocks.flush().await?;
        Ok(documents)
    }

    pub(super) fn failed(&self, name: &str, error: &mongodb::error::Error) -> Error {
        let Some(loss) = loss_of(error) else {
            return told(format!("reading collection `{name}` failed"), error);
        };
        if let Ok(mut lost) = self.lost.lock() {
            lost.get_or_insert(loss);
        }
        match loss {
            SnapshotLoss::TooOld => Error::failed(format!(
                "collection `{name}` can no longer be read as of the snapshot's moment"
            ))
            .because("reading took longer than the server keeps history")
            .hint(
                "raise minSnapshotHistoryWindowInSeconds on the server, or read fewer collections",
            ),
            SnapshotLoss::Unavailable => Error::failed(format!(
                "collection `{name}` or an index of it was changed while it was read"
            )),
            SnapshotLoss::Overtaken => Error::failed(format!(
                "capped collection `{name}` was overwritten faster than it was read"
            )),
            SnapshotLoss::CollectionGone => Error::failed(format!(
                "collection `{name}` was dropped or renamed while it was read"
            )),
        }
    }

    /// The shapes of what holds documents, all but the views, and for each of
    /// [`Catalog::collections`] where it stands among them (a view: nowhere, `usize::MAX`).
    pub fn with_documents(&self) -> (Vec<Collection>, Vec<usize>) {
        let (mut shapes, mut positions) = (Vec::new(), Vec::new());
        for found in &self.catalog.collections {
            if found.kind == Kind::View {
                positions.push(usize::MAX);
            } else {
                positions.push(shapes.len());
                shapes.push(found.shape.clone());
            }
        }
        (shapes, positions)
    }

    /// The name of the database.
    pub fn database_name(&self) -> &str {
        &self.endpoint.database
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn database(&self) -> Database {
        self.client.database(&self.endpoint.database)
    }

    /// Capped collections cannot be read at a cluster time.
    pub(super) fn moment_of(&self, info: &CollectionInfo) -> Moment {
        match self.moment {
            Moment::At(_) if info.kind == Kind::Capped => Moment::Majority,
            moment => moment,
        }
    }

    async fn plan(&self) -> Result<Vec<CollectionPart>> {
        let mut parts = Vec::new();
        for (collection, info) in self.catalog.collections.iter().enumerate() {
            if info.kind == Kind::View {
                continue;
            }
            let slices = self.slices(info).await?;
            let bytes_estimate = info.shape.bytes / slices.len().max(1) as u64;
            parts.extend(slices.into_iter().map(|slice| CollectionPart {
                collection,
                slice,
                bytes_estimate,
            }));
        }
        parts.sort_by_key(|part| std::cmp::Reverse(part.bytes_estimate));
        Ok(parts)
    }

    async fn slices(&self, info: &CollectionInfo) -> Result<Vec<Slice>> {
        // Without one moment, documents could move between ranges while they are read.
        if !info.splits_on_id || !matches!(self.moment, Moment::At(_)) {
            return Ok(vec![Slice::All]);
        }
        let whole = Whole {
            client: &self.client,
            database: &self.endpoint.database,
            collection: &info.shape.name,
            documents: info.shape.documents_estimate,
            bytes: info.shape.bytes,
            moment: self.moment,
        };
        split(&whole, self.options.range_bytes).await.map_err(|error| {
            told(format!("collection `{}` cannot be split into ranges", info.shape.name), &error)
        })
    }
}

/// A role that may not look is taken to have none: what it cannot see it could not copy either.
async fn has_stored_functions(database: &Database) -> bool {
    let functions = database.collection::<mongodb::bson::RawDocumentBuf>("system.js");
    matches!(functions.find_one(mongodb::bson::doc! {}).await, Ok(Some(_)))
}

/// Whether an error means that the moment is lost.
fn loss_of(error: &mongodb::error::Error) -> Option<SnapshotLoss> {
    match code_of(error)? {
        239 => Some(SnapshotLoss::TooOld),
        246 => Some(SnapshotLoss::Unavailable),
        136 => Some(SnapshotLoss::Overtaken),
        // NamespaceNotFound, QueryPlanKilled, CommandNotSupportedOnView (dropped, and a view made
        // in its place). CursorNotFound is none of them: it says nothing of the collection.
        26 | 175 | 166 => Some(SnapshotLoss::CollectionGone),
        _ => None,
    }
}

/// Collects documents into blocks and sends the full ones.
struct Blocks {
    out: Sender<Block<Raw>>,
    bytes: Vec<u8>,
    records: u64,
}

impl Blocks {
    fn new(out: Sender<Block<Raw>>) -> Self {
        Self { out, bytes: Vec::new(), records: 0 }
    }

    async fn flush(&mut self) -> Result<()> {
        if self.records == 0 {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.bytes);
        let block = Block::raw(bytes, std::mem::take(&mut self.records));
        self.out.send(block).await.map_err(|_| Error::failed("the reader of the blocks is gone"))
    }
}

impl Sink for Blocks {
    async fn take(&mut self, documents: Elements<'_>) -> Result<u64> {
        let mut count = 0;
        for document in documents {
            let document = document?.value;
            if self.records > 0 && self.bytes.len() + document.len() > BLOCK_BYTES {
                self.flush().await?;
            }
            if self.bytes.capacity() == 0 {
                self.bytes = block::buffer();
            }
            self.bytes.extend_from_slice(document);
            self.records += 1;
            count += 1;
        }
        Ok(count)
    }
}
