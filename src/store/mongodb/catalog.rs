//! What a database holds: its collections, their options, indexes and sizes.

use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::bson::{Bson, Document, doc};
use mongodb::{Client, Database};

use super::command::{SHORT, code_of, told, within};
use super::is_new_name;
use super::kind::Kind;
use super::metadata::Metadata;
use crate::error::{Error, Result};
use crate::store::shape::Collection;

/// How many collections are asked about at a time; each answer costs the server a connection.
const FAN_OUT: usize = 4;

/// The collections and views of a database, by name; neither `system.*` nor pfdata's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalog {
    /// In the order of their names.
    pub collections: Vec<CollectionInfo>,
}

/// A collection or view.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectionInfo {
    /// Name, unique keys and size, as rules and plans see them.
    pub shape: Collection,
    /// `info.uuid` as 32 hex digits; empty for a view. It changes when the collection is
    /// dropped and made again.
    pub uuid: String,
    /// What it is.
    pub kind: Kind,
    /// The text of mongodump's `metadata.json`.
    pub metadata_json: String,
    /// Average size of a document in bytes; 0 where there are none.
    pub average_bytes: u64,
    /// Whether it can be read in ranges of `_id`.
    pub(super) splits_on_id: bool,
}

/// A namespace as listCollections tells it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listed {
    pub name: String,
    pub kind: Kind,
    pub uuid: String,
    pub options: Document,
}

/// Every namespace of the database except `system.*`, pfdata's own among them, by name.
pub(super) async fn list_all(database: &Database) -> Result<Vec<Listed>> {
    let failed = |error: &mongodb::error::Error| {
        told(
            format!("the collections of mongodb database `{}` cannot be listed", database.name()),
            error,
        )
    };
    let command = doc! { "listCollections": 1, "nameOnly": false };
    let cursor = within(SHORT, async { database.run_cursor_command(command).await })
        .await
        .map_err(|error| failed(&error))?;
    let found: Vec<Document> =
        within(SHORT, cursor.try_collect()).await.map_err(|error| failed(&error))?;
    let mut listed: Vec<Listed> = found.iter().filter_map(listed_of).collect();
    listed.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(listed)
}

/// As [`list_all`], without what is pfdata's own.
pub(super) async fn list(database: &Database) -> Result<Vec<Listed>> {
    let mut listed = list_all(database).await?;
    listed.retain(|one| !is_new_name(&one.name));
    Ok(listed)
}

fn listed_of(entry: &Document) -> Option<Listed> {
    let name = entry.get_str("name").ok()?;
    if name.starts_with("system.") {
        return None;
    }
    let options = entry.get_document("options").cloned().unwrap_or_default();
    let kind = match entry.get_str("type").unwrap_or("collection") {
        "view" => Kind::View,
        "timeseries" => Kind::TimeSeries,
        _ if options.get_bool("capped").unwrap_or(false) => Kind::Capped,
        _ => Kind::Collection,
    };
    let uuid = match entry.get_document("info").ok().and_then(|info| info.get("uuid")) {
        Some(Bson::Binary(uuid)) => uuid.bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        _ => String::new(),
    };
    Some(Listed { name: name.to_owned(), kind, uuid, options })
}

/// Whether both are the same collections: the same names, and nothing dropped and made again.
pub(super) fn same(before: &[Listed], after: &[Listed]) -> bool {
    let key = |listed: &Listed| (listed.name.clone(), listed.uuid.clone(), listed.kind);
    before.iter().map(key).eq(after.iter().map(key))
}

impl Catalog {
    /// Reads the whole catalog of `database`.
    ///
    /// # Errors
    /// Exit 2 for what this version cannot copy: time series and encrypted collections.
    pub async fn read(client: &Client, database: &str) -> Result<Self> {
        let database = client.database(database);
        let listed = list(&database).await?;
        Self::describe(&database, listed).await
    }

    /// Reads metadata and sizes of what was listed.
    pub(super) async fn describe(database: &Database, listed: Vec<Listed>) -> Result<Self> {
        if let Some(series) = listed.iter().find(|one| one.kind == Kind::TimeSeries) {
            let what = format!("mongodb time series collection `{}`: copying it", series.name);
            return Err(Error::not_built(what).hint("leave it out with --exclude"));
        }
        if let Some(secret) = listed.iter().find(|one| one.options.contains_key("encryptedFields"))
        {
            let what =
                format!("mongodb collection `{}` with encrypted fields: copying it", secret.name);
            return Err(Error::not_built(what).hint("leave it out with --exclude"));
        }
        let collections: Vec<CollectionInfo> = stream::iter(listed)
            .map(|listed| describe_one(database, listed))
            .buffered(FAN_OUT)
            .try_collect()
            .await?;
        Ok(Self { collections })
    }

    /// The position of a collection by its name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.collections.iter().position(|info| info.shape.name == name)
    }
}

async fn describe_one(database: &Database, listed: Listed) -> Result<CollectionInfo> {
    let (indexes, size) = if listed.kind == Kind::View {
        (Vec::new(), Size::default())
    } else {
        (indexes_of(database, &listed.name).await?, size_of(database, &listed.name).await?)
    };
    let Listed { name, kind, uuid, options } = listed;
    let metadata = Metadata { name, kind, options, indexes, uuid };
    let metadata_json = metadata.to_json()?;
    Ok(CollectionInfo {
        metadata_json,
        kind,
        splits_on_id: metadata.splits_on_id(),
        average_bytes: size.average,
        shape: Collection {
            unique: metadata.unique(),
            needs: metadata.needs(),
            documents_estimate: size.documents,
            bytes: size.bytes,
            name: metadata.name,
        },
        uuid: metadata.uuid,
    })
}

async fn indexes_of(database: &Database, name: &str) -> Result<Vec<Document>> {
    let failed = |error: &mongodb::error::Error| {
        told(format!("the indexes of collection `{name}` cannot be listed"), error)
    };
    let command = doc! { "listIndexes": name };
    match within(SHORT, async { database.run_cursor_command(command).await }).await {
        Ok(cursor) => within(SHORT, cursor.try_collect()).await.map_err(|error| failed(&error)),
        // Dropped since it was listed; the caller lists again and sees it.
        Err(error) if code_of(&error) == Some(26) => Ok(Vec::new()),
        Err(error) => Err(failed(&error)),
    }
}

/// How large a collection is, by the server's own counters.
#[derive(Debug, Default)]
pub(super) struct Size {
    pub documents: u64,
    pub bytes: u64,
    pub average: u64,
}

/// Reads the counters; zero for a collection that does not exist.
pub(super) async fn size_of(database: &Database, name: &str) -> Result<Size> {
    let failed = |error: &mongodb::error::Error| {
        told(format!("the size of collection `{name}` cannot be read"), error)
    };
    let stages = [doc! { "$collStats": { "storageStats": {} } }];
    let collection = database.collection::<Document>(name);
    let cursor = match within(SHORT, async { collection.aggregate(stages).await }).await {
        Err(error) if code_of(&error) == Some(26) => return Ok(Size::default()),
        result => result.map_err(|error| failed(&error))?,
    };
    let found: Vec<Document> =
        within(SHORT, cursor.try_collect()).await.map_err(|error| failed(&error))?;
    let Some(stats) = found.first().and_then(|one| one.get_document("storageStats").ok()) else {
        return Ok(Size::default());
    };
    Ok(Size {
        documents: number(stats, "count"),
        bytes: number(stats, "size"),
        average: number(stats, "avgObjSize"),
    })
}

/// A count or size, whichever number type the server chose for it; 0 where there is none.
pub(super) fn number(document: &Document, key: &str) -> u64 {
    match document.get(key) {
        Some(Bson::Int32(number)) => u64::try_from(*number).unwrap_or(0),
        Some(Bson::Int64(number)) => u64::try_from(*number).unwrap_or(0),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        Some(Bson::Double(number)) => *number as u64,
        _ => 0,
    }
}
