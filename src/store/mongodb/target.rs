//! Loading collections beside the live ones, under names that the swap then gives away.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use mongodb::bson::doc;
use mongodb::{Client, Database};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Receiver;

use super::catalog::{Listed, list_all};
use super::check::room;
use super::command::{SHORT, change, code_of, majority, run, told};
use super::connect::{Hello, connect, hello, identity, server_version};
use super::kind::Kind;
use super::load::Load;
use super::metadata::Metadata;
use super::swap::{self, Prepared, SwapPlan, SwapReport, View};
use super::{is_new_name, new_name};
use crate::config::endpoint::MongoEndpoint;
use crate::error::{Error, Result};
use crate::pipeline::block::{Block, Cleared};
use crate::terms::Identity;

/// How long `DATABASE.COLLECTION` may be, in bytes
/// (<https://www.mongodb.com/docs/manual/reference/limits/>, "Naming Restrictions").
const NAMESPACE_BYTES_MAX: usize = 255;

/// A database that is being loaded.
pub struct Target {
    pub(super) client: Client,
    pub(super) endpoint: MongoEndpoint,
    hello: Hello,
    keeps_empty_timestamps: bool,
    entries: Mutex<BTreeMap<usize, Arc<Entry>>>,
    remarks: Mutex<Vec<String>>,
    large: Semaphore,
}

/// A collection or view of the snapshot.
pub(super) struct Entry {
    pub metadata: Metadata,
    /// The name that the swap gives it.
    pub name: String,
    /// The uuid of the new collection; empty for a view.
    pub uuid: String,
}

impl Target {
    /// Connects and drops what earlier jobs that crashed have left. A job whose swap was
    /// interrupted must be [resumed](swap::resume) first: its collections would be dropped here.
    ///
    /// # Errors
    /// Exit 12 if the server cannot be reached; exit 1 if it takes no writes.
    pub async fn prepare(endpoint: &MongoEndpoint, job_id: &str) -> Result<Self> {
        let target = Self::open(endpoint).await?;
        let dropped = target.drop_new().await?;
        tracing::debug!(job = job_id, dropped, "the mongodb target is prepared");
        Ok(target)
    }

    /// Fails where a load of `bytes` of documents is bound to: no primary, or a disk that is too
    /// small. Changes nothing.
    ///
    /// # Errors
    /// Exit 12 if the server cannot be reached; exit 5 if there is no room; exit 1 if it takes no
    /// writes.
    pub async fn check(endpoint: &MongoEndpoint, bytes: u64) -> Result<()> {
        let target = Self::open(endpoint).await?;
        match room(&target.database()).await {
            Some(room) if room.free < room.needed(bytes) => Err(Error::refused(format!(
                "mongodb at {} has {} MiB free on its disk, and the new data needs some {} MiB",
                endpoint.address,
                room.free >> 20,
                room.needed(bytes) >> 20
            ))
            .hint("make room for the live and the new data together")),
            _ => Ok(()),
        }
    }

    async fn open(endpoint: &MongoEndpoint) -> Result<Self> {
        let client = connect(endpoint).await?;
        let hello = hello(&client, endpoint).await?;
        if !hello.writable {
            return Err(Error::failed(format!(
                "mongodb at {} takes no writes: it is not the primary",
                endpoint.address
            ))
            .hint("name the replica set in the url instead of connecting to one member"));
        }
        Ok(Self {
            keeps_empty_timestamps: keeps_empty_timestamps(&client, endpoint).await?,
            client,
            endpoint: endpoint.clone(),
            hello,
            entries: Mutex::default(),
            remarks: Mutex::default(),
            large: Semaphore::new(1),
        })
    }

    /// Which deployment and database it is.
    pub async fn identity(&self) -> Result<Identity> {
        identity(&self.client, &self.endpoint).await
    }

    /// The server's version.
    pub async fn server_version(&self) -> Result<String> {
        server_version(&self.client).await
    }

    /// The name of the database.
    pub fn database_name(&self) -> &str {
        &self.endpoint.database
    }

    /// The client, for seeds.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What is worth telling about the load.
    pub fn remarks(&self) -> Vec<String> {
        self.remarks.lock().map_or_else(|_| Vec::new(), |remarks| remarks.clone())
    }

    /// Creates the empty collection `pfdata.new.<n>` with the options of `metadata_json` that
    /// hold while it is loaded; `name` is what the swap will call it. A view is only noted: the
    /// swap creates it. A number that was used before is replaced.
    ///
    /// # Errors
    /// Exit 2 for kinds that are not built; exit 1 if the server refuses an option.
    pub async fn create(&self, n: usize, metadata_json: &str, name: &str) -> Result<()> {
        let metadata = Metadata::parse(metadata_json, name)?;
        if metadata.kind == Kind::TimeSeries {
            return Err(Error::not_built(format!(
                "mongodb time series collection `{name}`: restoring it"
            )));
        }
        if metadata.options.contains_key("encryptedFields") {
            return Err(Error::not_built(format!(
                "mongodb collection `{name}` with encrypted fields: restoring it"
            )));
        }
        let length = self.endpoint.database.len() + 1 + name.len();
        if length > NAMESPACE_BYTES_MAX {
            return Err(Error::failed(format!(
                "collection `{name}` does not fit database `{}`: together they are {length} bytes \
                 long, and mongodb allows {NAMESPACE_BYTES_MAX}",
                self.endpoint.database
            ))
            .hint("give the target's database a shorter name"));
        }
        let uuid = match metadata.kind {
            Kind::View => String::new(),
            _ => self.create_collection(n, &metadata, name).await?,
        };
        let entry = Entry { metadata, name: name.to_owned(), uuid };
        self.with_entries(|entries| entries.insert(n, Arc::new(entry)))?;
        Ok(())
    }

    async fn create_collection(&self, n: usize, metadata: &Metadata, name: &str) -> Result<String> {
        let new = new_name(n);
        let database = self.database();
        let failed = |error: &mongodb::error::Error| {
            told(format!("collection `{name}` cannot be created"), error)
        };
        swap::drop_collection(&database, &new).await?;
        let mut command = metadata.create(&new);
        command.insert("writeConcern", majority());
        let exists = || async { Ok(exists(&database, &new).await) };
        change(&database, &command, SHORT, exists).await.map_err(|error| failed(&error))?;
        let listed = list_all(&database).await?;
        let found = listed.into_iter().find(|one| one.name == new);
        found.map(|one| one.uuid).ok_or_else(|| {
            Error::failed(format!("collection `{name}` was created and then not found"))
        })
    }

    /// Inserts the documents that arrive into collection `n` and says how many there were.
    /// Several may run for one collection, except for a capped one.
    ///
    /// # Errors
    /// Exit 1 if the server refuses a document; the message tells the collection and the code.
    pub async fn load_part(&self, n: usize, blocks: Receiver<Block<Cleared>>) -> Result<u64> {
        let entry = self.entry(n)?;
        if entry.metadata.kind == Kind::View {
            return Err(Error::failed(format!("`{}` is a view: it has no documents", entry.name)));
        }
        let load = Load {
            database: &self.database(),
            into: &new_name(n),
            name: &entry.name,
            ordered: entry.metadata.kind == Kind::Capped,
            keeps_empty_timestamps: self.keeps_empty_timestamps,
            most: self.hello.max_write_batch,
            large: &self.large,
        };
        load.run(blocks).await
    }

    /// The collections that were created, with their uuids.
    pub fn prepared(&self) -> Result<Vec<Prepared>> {
        self.with_entries(|entries| {
            let collections = entries.iter().filter(|(_, entry)| entry.metadata.kind != Kind::View);
            let prepared = |(n, entry): (&usize, &Arc<Entry>)| Prepared {
                n: *n,
                name: entry.name.clone(),
                uuid: entry.uuid.clone(),
            };
            collections.map(prepared).collect()
        })
    }

    /// What the swap will do, to be written to the job's journal before [`Target::swap`]: the
    /// renames, the views, and, with `drop_absent`, the live collections and views that are not
    /// in the snapshot.
    pub async fn swap_plan(&self, drop_absent: bool) -> Result<SwapPlan> {
        let prepared = self.prepared()?;
        let views: Vec<View> = self.with_entries(|entries| {
            let views = entries.values().filter(|entry| entry.metadata.kind == Kind::View);
            views
                .map(|entry| {
                    let metadata_json = entry.metadata.to_json()?;
                    Ok(View { name: entry.name.clone(), metadata_json })
                })
                .collect::<Result<_>>()
        })??;
        let drop = if drop_absent {
            swap::absent(&self.database(), &prepared, &views).await?
        } else {
            Vec::new()
        };
        Ok(SwapPlan { prepared, views, drop })
    }

    /// Does what `plan` says, or what is left of it.
    pub async fn swap(&self, plan: &SwapPlan) -> Result<SwapReport> {
        swap::perform(&self.database(), plan).await
    }

    /// Drops every collection that was being loaded, by this job or an earlier one, and says how
    /// many there were.
    pub async fn drop_new(&self) -> Result<u64> {
        let database = self.database();
        let mut dropped = 0;
        for Listed { name, .. } in list_all(&database).await? {
            if is_new_name(&name) {
                swap::drop_collection(&database, &name).await?;
                dropped += 1;
            }
        }
        Ok(dropped)
    }

    pub(super) fn database(&self) -> Database {
        self.client.database(&self.endpoint.database)
    }

    pub(super) fn remark(&self, remark: String) {
        if let Ok(mut remarks) = self.remarks.lock() {
            remarks.push(remark);
        }
    }

    fn with_entries<T>(
        &self,
        work: impl FnOnce(&mut BTreeMap<usize, Arc<Entry>>) -> T,
    ) -> Result<T> {
        let mut entries =
            self.entries.lock().map_err(|_| Error::failed("a worker of the load has crashed"))?;
        Ok(work(&mut entries))
    }

    pub(super) fn entry(&self, n: usize) -> Result<Arc<Entry>> {
        let found = self.with_entries(|entries| entries.get(&n).cloned())?;
        found.ok_or_else(|| Error::failed(format!("collection number {n} was not created")))
    }
}

async fn exists(database: &Database, name: &str) -> bool {
    let listed = list_all(database).await.unwrap_or_default();
    listed.iter().any(|one| one.name == name)
}

/// Whether the server knows `bypassEmptyTsReplacement` (5.0.29, 6.0.17, 7.0.13, 8.0 and later;
/// SERVER-88750): an insert of nothing is refused for the field or, knowing it, for being empty.
async fn keeps_empty_timestamps(client: &Client, endpoint: &MongoEndpoint) -> Result<bool> {
    let probe = doc! { "insert": new_name(0), "documents": [], "bypassEmptyTsReplacement": true };
    let database = client.database(&endpoint.database);
    match run(&database, probe, SHORT).await {
        Ok(_) => Ok(true),
        Err(error) => match code_of(&error) {
            // IDLUnknownField, and what servers before it said.
            Some(40415 | 9) => Ok(false),
            Some(16) => Ok(true),
            _ => Err(told(
                format!("mongodb database `{}` takes no inserts", endpoint.database),
                &error,
            )),
        },
    }
}
