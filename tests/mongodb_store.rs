//! The MongoDB store against a real replica set of one member, `PFDATA_TEST_MONGODB_URL`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, RawDocumentBuf, Timestamp, doc};
use mongodb::{Client, Database};
use pfdata::config::endpoint::{MongoEndpoint, Tls};
use pfdata::config::secret::Secret;
use pfdata::error::{Kind as ErrorKind, Result};
use pfdata::pipeline::block::{Block, Cleared, Raw};
use pfdata::pipeline::digest::{ContentDigest, RecordFormat};
use pfdata::policy::{Class, Clearance, Permit, UnruledPermit};
use pfdata::store::mongodb::catalog::Catalog;
use pfdata::store::mongodb::kind::Kind;
use pfdata::store::mongodb::options::SourceOptions;
use pfdata::store::mongodb::source::Source;
use pfdata::store::mongodb::swap::{self, SwapState};
use pfdata::store::mongodb::target::Target;
use pfdata::store::mongodb::{check, connect, new_name, seed};
use pfdata::terms::{Identity, Level};
use tokio::sync::mpsc;

fn server_url() -> String {
    std::env::var("PFDATA_TEST_MONGODB_URL")
        .expect("PFDATA_TEST_MONGODB_URL must name a MongoDB replica set")
}

fn endpoint_at(url: &str, database: &str) -> MongoEndpoint {
    MongoEndpoint {
        uri: Secret::new(url),
        address: url.trim_start_matches("mongodb://").split('/').next().unwrap().to_owned(),
        database: database.to_owned(),
        username: None,
        password: None,
        auth_source: None,
        replica_set: None,
        tls: Tls::default(),
        connect_timeout: Duration::from_secs(5),
    }
}

/// A database of its own that is dropped at the end, even of a failed test.
struct Scratch {
    name: String,
}

impl Scratch {
    fn new(what: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { name: format!("mongo_room_{what}_{}_{number}", std::process::id()) }
    }

    fn endpoint(&self) -> MongoEndpoint {
        endpoint_at(&server_url(), &self.name)
    }

    async fn database(&self) -> Database {
        Client::with_uri_str(server_url()).await.unwrap().database(&self.name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let name = self.name.clone();
        let work = move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let client = Client::with_uri_str(server_url()).await.unwrap();
                client.database(&name).drop().await.unwrap();
            });
        };
        std::thread::spawn(work).join().unwrap();
    }
}

fn permit() -> Permit {
    UnruledPermit::new(Class::Synthetic, false, Clearance::Anonymized).unwrap().rows().clone()
}

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

/// Inserts raw bytes that no decoder has touched.
async fn insert_raw(database: &Database, collection: &str, documents: &[RawDocumentBuf]) {
    let documents: Vec<_> = documents.to_vec();
    database
        .collection::<RawDocumentBuf>(collection)
        .insert_many(documents)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
}

/// Reads one part: its documents, their digest, and the largest block.
async fn read(source: &Source, part: usize) -> Result<(u64, ContentDigest, Vec<Vec<u8>>)> {
    let (send, mut receive) = mpsc::channel::<Block<Raw>>(2);
    let part = source.parts()[part].clone();
    let collect = async {
        let mut blocks = Vec::new();
        while let Some(block) = receive.recv().await {
            blocks.push(block.into_bytes());
        }
        blocks
    };
    let (count, blocks) = tokio::join!(source.read(&part, send), collect);
    let mut digest = ContentDigest::default();
    let mut records = 0;
    for block in &blocks {
        records += RecordFormat::Bson.digest(block, &mut digest)?;
    }
    let count = count?;
    assert_eq!(count, records);
    Ok((count, digest, blocks))
}

/// Everything of a source, by collection name.
async fn read_all(source: &Source) -> Result<HashMap<String, (u64, ContentDigest)>> {
    let mut all: HashMap<String, (u64, ContentDigest)> = HashMap::new();
    for (number, part) in source.parts().iter().enumerate() {
        let (count, digest, _) = read(source, number).await?;
        let name = source.catalog().collections[part.collection].shape.name.clone();
        let entry = all.entry(name).or_default();
        entry.0 += count;
        entry.1.merge(digest);
    }
    Ok(all)
}

/// Streams every part of `source` into `target`, creating each collection under its number.
async fn copy(source: &Arc<Source>, target: &Target) -> Result<()> {
    for (n, info) in source.catalog().collections.iter().enumerate() {
        target.create(n, &info.metadata_json, &info.shape.name).await?;
    }
    for part in source.parts() {
        let (send, mut raws) = mpsc::channel::<Block<Raw>>(2);
        let (clear, cleared) = mpsc::channel::<Block<Cleared>>(2);
        let reader = tokio::spawn({
            let (source, part) = (Arc::clone(source), part.clone());
            async move { source.read(&part, send).await }
        });
        let pass = async move {
            while let Some(block) = raws.recv().await {
                clear.send(block.clear(&permit())).await.unwrap();
            }
        };
        let (loaded, ()) = tokio::join!(target.load_part(part.collection, cleared), pass);
        assert_eq!(reader.await.unwrap()?, loaded?);
    }
    for n in 0..source.catalog().collections.len() {
        target.finish(n).await?;
    }
    Ok(())
}

/// The whole way: copy, verify, TTL indexes, swap.
async fn copy_and_swap(from: &Scratch, to: &Scratch) {
    let source = Arc::new(Source::open(&from.endpoint(), SourceOptions::default()).await.unwrap());
    let target = Target::prepare(&to.endpoint(), "job").await.unwrap();
    copy(&source, &target).await.unwrap();
    let expected = read_all(&source).await.unwrap();
    for (n, info) in source.catalog().collections.iter().enumerate() {
        if info.kind != Kind::View {
            let found = target.digest(n).await.unwrap();
            assert_eq!(found, expected[&info.shape.name], "{}", info.shape.name);
            assert_eq!(target.count(n).await.unwrap(), found.0);
        }
        let early = expiring(&to.database().await, &new_name(n)).await;
        assert!(!early, "{} could lose documents before it is verified", info.shape.name);
        target.finish_ttl(n).await.unwrap();
    }
    assert!(source.verify_unchanged().await.unwrap());
    let plan = target.swap_plan(true).await.unwrap();
    target.swap(&plan).await.unwrap();
    assert_eq!(swap::state(&to.endpoint(), &plan).await.unwrap(), SwapState::Done);
}

/// Whether the server deletes documents of a collection by itself.
async fn expiring(database: &Database, collection: &str) -> bool {
    let list = doc! { "listCollections": 1, "filter": { "name": collection } };
    let listed = database.run_command(list).await.unwrap();
    let indexes = database.run_command(doc! { "listIndexes": collection }).await;
    let text = format!("{listed} {}", indexes.unwrap_or_default());
    text.contains("expireAfterSeconds")
}

/// The catalog without uuids, which differ between databases.
async fn shapes(scratch: &Scratch) -> Vec<(String, Kind, String)> {
    let client = connect::connect(&scratch.endpoint()).await.unwrap();
    let catalog = Catalog::read(&client, &scratch.name).await.unwrap();
    let without = |info: &pfdata::store::mongodb::catalog::CollectionInfo| {
        let json = info.metadata_json.replace(&info.uuid, "");
        (
            info.shape.name.clone(),
            info.kind,
            if info.uuid.is_empty() { info.metadata_json.clone() } else { json },
        )
    };
    catalog.collections.iter().map(without).collect()
}

/// A document of raw elements, which may be such as no decoder keeps.
fn handmade(elements: &[&[u8]]) -> RawDocumentBuf {
    let mut bytes = vec![0; 4];
    bytes.extend(elements.concat());
    bytes.push(0);
    let length = i32::try_from(bytes.len()).unwrap();
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    RawDocumentBuf::from_bytes(bytes).unwrap()
}

fn every_type() -> Vec<RawDocumentBuf> {
    let binary = |subtype: u8, bytes: &[u8]| Binary {
        subtype: BinarySubtype::from(subtype),
        bytes: bytes.to_vec(),
    };
    let mut nested = doc! { "end": true };
    for _ in 0..90 {
        nested = doc! { "n": nested };
    }
    let mut documents = vec![
        raw(
            &doc! { "_id": 1, "double": 1.5, "minus": -0.0, "nan": f64::NAN, "inf": f64::NEG_INFINITY,
            "text": "é\u{0}\n", "doc": { "z": 1, "a": 2 }, "array": [1, "x", null], "true": true },
        ),
        raw(&doc! { "_id": 2, "legacy_uuid": binary(3, &[7; 16]), "uuid": binary(4, &[8; 16]),
        "old": binary(2, b"old"), "column": binary(7, &[1, 2]), "user": binary(0x80, b"") }),
        raw(&doc! { "_id": 3, "undefined": Bson::Undefined, "symbol": Bson::Symbol("s".into()),
        "code": Bson::JavaScriptCode("f()".into()),
        "scoped": mongodb::bson::JavaScriptCodeWithScope { code: "c".into(), scope: doc! { "x": 1 } },
        "min": Bson::MinKey, "max": Bson::MaxKey, "date": DateTime::from_millis(-5),
        "decimal": "1.10".parse::<mongodb::bson::Decimal128>().unwrap(),
        "long": i64::MIN, "id": ObjectId::new() }),
        raw(&doc! { "_id": 4, "empty_stamp": Timestamp { time: 0, increment: 0 },
        "inner": { "stamp": Timestamp { time: 0, increment: 0 } },
        "stamp": Timestamp { time: u32::MAX, increment: 1 } }),
        raw(
            &doc! { "_id": 5, "": "no name", "a.b": 1, "$c": 2, "d": { "$e": 1, "f.g": 2, "": 3 } },
        ),
        raw(&doc! { "_id": 6, "deep": nested }),
        // NaN with a payload, a decimal that is not canonical, a name twice, text that is no UTF-8.
        handmade(&[
            b"\x10_id\0\x07\0\0\0",
            b"\x01nan\0\x01\0\0\0\0\0\xf8\x7f",
            b"\x13dec\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x6f",
            b"\x10twice\0\x01\0\0\0",
            b"\x10twice\0\x02\0\0\0",
            b"\x02bad\0\x03\0\0\0\xff\xfe\0",
            b"\x0cptr\0\x02\0\0\0x\0aaaaaaaaaaaa",
            b"\x0bre\0^a.*\0imsx\0",
        ]),
    ];
    documents.extend([
        raw(&doc! { "_id": "text" }),
        raw(&doc! { "_id": ObjectId::new() }),
        raw(&doc! { "_id": { "composite": 1, "key": "x" } }),
        raw(&doc! { "_id": DateTime::from_millis(0) }),
        raw(&doc! { "_id": binary(3, &[1; 16]) }),
        raw(&doc! { "_id": null }),
        raw(&doc! { "_id": true }),
        raw(&doc! { "_id": Timestamp { time: 0, increment: 0 } }),
        raw(&doc! { "_id": 1.5 }),
        raw(&doc! { "_id": Bson::MinKey }),
    ]);
    documents
}

/// Sets the empty timestamps that the server replaced while the test filled the source.
async fn empty_stamp(database: &Database, collection: &str) {
    let empty = Timestamp { time: 0, increment: 0 };
    let set = doc! { "$set": { "empty_stamp": empty } };
    database.collection::<Document>(collection).update_one(doc! { "_id": 4 }, set).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bson_type_survives_byte_for_byte() {
    let (from, to) = (Scratch::new("types"), Scratch::new("types"));
    let database = from.database().await;
    insert_raw(&database, "all", &every_type()).await;
    empty_stamp(&database, "all").await;
    copy_and_swap(&from, &to).await;

    let source = Source::open(&to.endpoint(), SourceOptions::default()).await.unwrap();
    let (count, _, blocks) = read(&source, 0).await.unwrap();
    assert_eq!(count, every_type().len() as u64);
    let all = blocks.concat();
    for needle in [
        &b"\x01nan\0\x01\0\0\0\0\0\xf8\x7f"[..],
        b"\x02bad\0\x03\0\0\0\xff\xfe\0",
        b"\x10twice\0\x01\0\0\0\x10twice\0\x02\0\0\0",
        b"\x11empty_stamp\0\0\0\0\0\0\0\0\0",
    ] {
        assert!(memchr::memmem::find(&all, needle).is_some(), "{needle:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_16_mebibytes_pass() {
    let (from, to) = (Scratch::new("large"), Scratch::new("large"));
    let database = from.database().await;
    // `{_id: i32, b: binary}` takes 27 bytes besides the payload; 16 MiB is the server's limit.
    let largest = 16 * 1024 * 1024 - 27;
    for (id, size) in [(1, largest), (2, 10), (3, largest - 1), (4, 9 << 20)] {
        let payload = Binary { subtype: BinarySubtype::Generic, bytes: vec![7; size] };
        insert_raw(&database, "big", &[raw(&doc! { "_id": id, "b": payload })]).await;
    }
    copy_and_swap(&from, &to).await;
    assert_eq!(
        to.database().await.collection::<Document>("big").count_documents(doc! {}).await.unwrap(),
        4
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_over_mixed_types_of_id_lose_nothing() {
    let scratch = Scratch::new("ranges");
    let database = scratch.database().await;
    let filler = "x".repeat(200);
    let mut documents = every_type();
    for number in 0..3000_i32 {
        let id = match number % 6 {
            0 => Bson::Int32(number + 100),
            1 => Bson::Double(f64::from(number) + 0.25),
            2 => Bson::String(format!("s{number}")),
            3 => Bson::ObjectId(ObjectId::new()),
            4 => Bson::DateTime(DateTime::from_millis(i64::from(number) * 1000)),
            _ => Bson::Document(doc! { "a": number }),
        };
        documents.push(raw(&doc! { "_id": id, "filler": &filler }));
    }
    insert_raw(&database, "mixed", &documents).await;

    let whole = Source::open(&scratch.endpoint(), SourceOptions::default()).await.unwrap();
    assert_eq!(whole.parts().len(), 1);
    assert_eq!(whole.parts()[0].slice.to_string(), "all");
    for range_bytes in [400_000, 50_000, 20_000] {
        let options = SourceOptions { range_bytes, ..SourceOptions::default() };
        let source = Source::open(&scratch.endpoint(), options).await.unwrap();
        let parts = source.parts();
        assert!(parts.len() > 1, "{range_bytes}");
        assert!(parts.iter().all(|part| part.slice.to_string().starts_with("_id range ")));
        assert_eq!(read_all(&source).await.unwrap(), read_all(&whole).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_collection_is_sampled_into_ranges() {
    let scratch = Scratch::new("sample");
    let database = scratch.database().await;
    for start in 0..8 {
        let documents: Vec<_> = (0..5000)
            .map(|number| raw(&doc! { "_id": start * 5000 + number, "v": number }))
            .collect();
        insert_raw(&database, "many", &documents).await;
    }
    let options = SourceOptions { range_bytes: 300_000, ..SourceOptions::default() };
    let source = Source::open(&scratch.endpoint(), options).await.unwrap();
    assert!(source.parts().len() > 2, "{:?}", source.parts().len());
    let all = read_all(&source).await.unwrap();
    assert_eq!(all["many"].0, 40_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_during_the_snapshot_is_not_seen() {
    let scratch = Scratch::new("moment");
    let database = scratch.database().await;
    let collection = database.collection::<Document>("c");
    let documents: Vec<_> = (0..500).map(|number| raw(&doc! { "_id": number, "v": 1 })).collect();
    insert_raw(&database, "c", &documents).await;
    insert_raw(&database, "d", &documents[..3]).await;
    let options = SourceOptions { range_bytes: 5_000, ..SourceOptions::default() };
    let source = Source::open(&scratch.endpoint(), options).await.unwrap();
    assert_eq!(source.consistency().level, Level::PointInTime);
    assert_eq!(source.consistency().point.split('.').count(), 2);
    let before = read_all(&source).await.unwrap();

    collection.insert_one(doc! { "_id": 1000 }).await.unwrap();
    collection.update_many(doc! {}, doc! { "$set": { "v": 2 } }).await.unwrap();
    collection.delete_one(doc! { "_id": 5 }).await.unwrap();
    database.collection::<Document>("d").delete_many(doc! {}).await.unwrap();
    // A collection that appears later is no reason to start over.
    database.create_collection("later").await.unwrap();
    assert_eq!(read_all(&source).await.unwrap(), before);
    assert!(source.verify_unchanged().await.unwrap());
    assert_eq!(before["c"].0, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_made_again_means_starting_over() {
    let scratch = Scratch::new("again");
    let database = scratch.database().await;
    insert_raw(&database, "c", &[raw(&doc! { "_id": 1 })]).await;
    insert_raw(&database, "other", &[raw(&doc! { "_id": 1 })]).await;
    let source = Source::open(&scratch.endpoint(), SourceOptions::default()).await.unwrap();
    assert!(source.verify_unchanged().await.unwrap());
    database.collection::<Document>("c").drop().await.unwrap();
    assert!(!source.verify_unchanged().await.unwrap());
    insert_raw(&database, "c", &[raw(&doc! { "_id": 1 })]).await;
    assert!(!source.verify_unchanged().await.unwrap());
    // Reading it now is either refused with the loss told, or returns nothing.
    let part = source
        .parts()
        .iter()
        .position(|part| source.catalog().collections[part.collection].shape.name == "c");
    match read(&source, part.unwrap()).await {
        Ok((count, _, _)) => assert_eq!(count, 0),
        Err(_) => assert!(source.lost().is_some()),
    }
    let again = Source::open(&scratch.endpoint(), SourceOptions::default()).await.unwrap();
    assert_eq!(read_all(&again).await.unwrap()["c"].0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_change_during_the_snapshot_is_told() {
    let scratch = Scratch::new("ddl");
    let database = scratch.database().await;
    insert_raw(&database, "c", &[raw(&doc! { "_id": 1, "a": 1 })]).await;
    let source = Source::open(&scratch.endpoint(), SourceOptions::default()).await.unwrap();
    let index = mongodb::IndexModel::builder().keys(doc! { "a": 1 }).build();
    database.collection::<Document>("c").create_index(index).await.unwrap();
    // Before 7.0 the server answers SnapshotUnavailable; later ones read on.
    match read(&source, 0).await {
        Ok((count, _, _)) => assert_eq!(count, 1),
        Err(error) => {
            assert!(source.lost().is_some(), "{error}");
            assert!(!source.verify_unchanged().await.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn options_indexes_and_views_come_back() {
    let (from, to) = (Scratch::new("catalog"), Scratch::new("catalog"));
    let database = from.database().await;
    let run = |command: Document| {
        let database = database.clone();
        async move { database.run_command(command).await.unwrap_or_else(|error| panic!("{error}")) }
    };
    run(doc! { "create": "checked", "validator": { "$or": [
        { "name": { "$regex": "^a", "$options": "i" } }, { "$jsonSchema": { "required": ["kept"] } } ] },
        "validationLevel": "moderate", "validationAction": "error" }).await;
    run(doc! { "insert": "checked", "bypassDocumentValidation": true,
    "documents": [{ "_id": 1, "name": "does not pass" }, { "_id": 2, "name": "Anna" }] })
    .await;
    run(doc! { "create": "collated", "collation": { "locale": "de", "strength": 2 } }).await;
    run(doc! { "insert": "collated", "documents": [{ "_id": "ä" }, { "_id": "b" }] }).await;
    run(doc! { "create": "capped", "capped": true, "size": 65536, "max": 100 }).await;
    for n in 0..120 {
        run(doc! { "insert": "capped", "documents": [{ "_id": 1000 - n, "n": n }] }).await;
    }
    run(doc! { "create": "clustered", "expireAfterSeconds": 1_000_000_000_i64,
    "clusteredIndex": { "key": { "_id": 1 }, "unique": true, "name": "by id" } })
    .await;
    run(doc! { "insert": "clustered", "documents": [{ "_id": DateTime::now() }, { "_id": 2 }] })
        .await;
    run(doc! { "create": "images", "changeStreamPreAndPostImages": { "enabled": true } }).await;
    run(doc! { "create": "empty" }).await;
    run(doc! { "create": "view", "viewOn": "checked", "pipeline": [
    { "$match": { "z": 1, "a": 2 } }, { "$sort": { "y": 1, "b": -1 } } ],
    "collation": { "locale": "fr" } })
    .await;
    run(doc! { "create": "indexed", "storageEngine": { "wiredTiger": { "configString": "block_compressor=zstd" } } }).await;
    run(doc! { "insert": "indexed", "documents": [{ "_id": 1, "email": "a", "t": DateTime::from_millis(0),
        "place": { "type": "Point", "coordinates": [1, 2] }, "text": "hello", "list": [1, 2] }] }).await;
    run(doc! { "createIndexes": "indexed", "indexes": [
        { "key": { "email": 1 }, "name": "unique", "unique": true, "sparse": true },
        { "key": { "b": 1, "a": -1 }, "name": "order matters" },
        { "key": { "f": 1.0 }, "name": "double key" },
        { "key": { "h": "hashed" }, "name": "hashed" },
        { "key": { "_id": "hashed" }, "name": "hashed id" },
        { "key": { "place": "2dsphere" }, "name": "sphere" },
        { "key": { "flat": "2d" }, "name": "flat", "min": -10, "max": 10 },
        { "key": { "text": "text" }, "name": "words", "default_language": "german",
            "weights": { "text": 5 } },
        { "key": { "any.$**": 1 }, "name": "wild" },
        { "key": { "$**": 1 }, "name": "wilder", "wildcardProjection": { "secret": 0 } },
        { "key": { "hide": 1 }, "name": "hidden", "hidden": true },
        { "key": { "part": 1 }, "name": "partial", "partialFilterExpression": { "part": { "$gt": 5 } } },
        { "key": { "all": 1 }, "name": "partial of all", "partialFilterExpression": {} },
        { "key": { "c": 1 }, "name": "collated", "collation": { "locale": "en", "strength": 1 } },
        { "key": { "t": 1 }, "name": "expires", "expireAfterSeconds": 60 },
        { "key": { "list": 1 }, "name": "multi", "v": 1 },
    ] }).await;

    let names = |documents: Vec<Document>| -> Vec<i32> {
        documents.iter().map(|one| one.get_i32("n").unwrap()).collect()
    };
    copy_and_swap(&from, &to).await;
    let (before, after) = (shapes(&from).await, shapes(&to).await);
    assert_eq!(before.len(), after.len());
    for (one, other) in before.iter().zip(&after) {
        let sorted = |text: &str| {
            let mut value: serde_json::Value = serde_json::from_str(text).unwrap();
            // The one difference: an index that expires documents is built last.
            if let Some(indexes) = value["indexes"].as_array_mut() {
                indexes.sort_by_key(|index| index["name"].to_string());
            }
            if let Some(options) = value["options"].as_object_mut() {
                options.sort_keys();
            }
            value
        };
        assert_eq!((&one.0, one.1), (&other.0, other.1));
        assert_eq!(sorted(&one.2), sorted(&other.2), "{}", one.0);
    }
    use futures_util::TryStreamExt;
    let restored = to.database().await;
    let capped: Vec<Document> =
        restored.collection("capped").find(doc! {}).await.unwrap().try_collect().await.unwrap();
    assert_eq!(names(capped), (20..120).collect::<Vec<_>>(), "in the order of insertion");
    let checked = restored.collection::<Document>("checked");
    let bad = checked.insert_one(doc! { "_id": 9, "name": "b" }).await;
    assert!(bad.is_err(), "the validator is back");

    let source = Source::open(&from.endpoint(), SourceOptions::default()).await.unwrap();
    let level = |name: &str| source.level(source.catalog().position(name).unwrap());
    assert_eq!((level("capped"), level("indexed")), (Some(Level::BestEffort), None));
    assert!(expiring(&restored, "indexed").await && expiring(&restored, "clustered").await);
    let indexed = &source.catalog().collections[source.catalog().position("indexed").unwrap()];
    assert_eq!(indexed.shape.unique, [["email".to_owned()]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_any_kind() {
    let (from, to) = (Scratch::new("names"), Scratch::new("names"));
    let database = from.database().await;
    let long = "n".repeat(200);
    let names = [
        "a/b",
        "per%20cent",
        "new\nline",
        "ünïcødé 🎉",
        "dots.in.it",
        " space ",
        "quote\"'",
        "-",
        &long,
    ];
    for (n, name) in (0..).zip(names) {
        insert_raw(&database, name, &[raw(&doc! { "_id": n })]).await;
    }
    copy_and_swap(&from, &to).await;
    let mut found = to.database().await.list_collection_names().await.unwrap();
    found.sort();
    let mut expected = names.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_and_exclude_choose_collections_and_time_series_are_refused() {
    let scratch = Scratch::new("choose");
    let database = scratch.database().await;
    for name in ["users", "user_log", "audit"] {
        insert_raw(&database, name, &[raw(&doc! { "_id": 1 })]).await;
    }
    database
        .run_command(doc! { "create": "metrics", "timeseries": { "timeField": "t" } })
        .await
        .unwrap();
    let open = |only: &[&str], exclude: &[&str]| {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let options =
            SourceOptions { only: own(only), exclude: own(exclude), ..SourceOptions::default() };
        let endpoint = scratch.endpoint();
        async move { Source::open(&endpoint, options).await }
    };
    let error = open(&[], &[]).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("`metrics`") && error.to_string().contains("not built"));
    let names = |source: Source| -> Vec<String> {
        source.catalog().collections.iter().map(|one| one.shape.name.clone()).collect()
    };
    assert_eq!(names(open(&[], &["metrics"]).await.unwrap()), ["audit", "user_log", "users"]);
    assert_eq!(names(open(&["user*"], &["*log"]).await.unwrap()), ["users"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_and_an_absent_database_are_fine() {
    let (from, to) = (Scratch::new("empty"), Scratch::new("empty"));
    let source = Source::open(&from.endpoint(), SourceOptions::default()).await.unwrap();
    assert!(source.parts().is_empty());
    assert!(source.verify_unchanged().await.unwrap());
    insert_raw(&to.database().await, "old", &[raw(&doc! { "_id": 1 })]).await;
    copy_and_swap(&from, &to).await;
    assert!(to.database().await.list_collection_names().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_swap_is_atomic_for_readers_and_writers() {
    let (from, to) = (Scratch::new("swap"), Scratch::new("swap"));
    let fill = async |database: &Database, version: i32| {
        for name in ["a", "b"] {
            let documents: Vec<_> =
                (0..200).map(|n| raw(&doc! { "_id": n, "version": version })).collect();
            insert_raw(database, name, &documents).await;
        }
    };
    fill(&from.database().await, 2).await;
    let live = to.database().await;
    fill(&live, 1).await;
    insert_raw(&live, "stale", &[raw(&doc! { "_id": 1 })]).await;
    live.run_command(doc! { "create": "stale view", "viewOn": "a", "pipeline": [] }).await.unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for name in ["a", "b"] {
        let (live, halt, seen) = (live.clone(), Arc::clone(&stop), Arc::clone(&seen));
        tasks.push(tokio::spawn(async move {
            let collection = live.collection::<Document>(name);
            while !halt.load(Ordering::Relaxed) {
                // One answer is all of the old or all of the new data.
                let stages = [
                    doc! { "$match": { "_id": { "$gte": 0 } } },
                    doc! { "$group": { "_id": "$version", "n": { "$sum": 1 } } },
                ];
                use futures_util::TryStreamExt;
                let Ok(cursor) = collection.aggregate(stages).await else { continue };
                let Ok(groups) = cursor.try_collect::<Vec<Document>>().await else { continue };
                assert_eq!(groups.len(), 1, "{groups:?}");
                assert_eq!(groups[0].get_i32("n").unwrap(), 200);
                seen.fetch_add(1, Ordering::Relaxed);
            }
        }));
        let (live, halt) = (to.database().await, Arc::clone(&stop));
        tasks.push(tokio::spawn(async move {
            let mut id = -1;
            while !halt.load(Ordering::Relaxed) {
                let insert = doc! { "_id": id, "version": 0 };
                live.collection::<Document>(name).insert_one(insert).await.unwrap();
                id -= 1;
            }
        }));
    }
    while seen.load(Ordering::Relaxed) < 5 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    copy_and_swap_now(&from, &to).await;
    let then = seen.load(Ordering::Relaxed);
    while seen.load(Ordering::Relaxed) < then + 5 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let mut names = live.list_collection_names().await.unwrap();
    names.retain(|name| name != "system.views");
    names.sort();
    assert_eq!(names, ["a", "b"]);
    let new =
        live.collection::<Document>("a").count_documents(doc! { "version": 2 }).await.unwrap();
    assert_eq!(new, 200);
}

async fn copy_and_swap_now(from: &Scratch, to: &Scratch) {
    let source = Arc::new(Source::open(&from.endpoint(), SourceOptions::default()).await.unwrap());
    let target = Target::prepare(&to.endpoint(), "job").await.unwrap();
    copy(&source, &target).await.unwrap();
    let plan = target.swap_plan(true).await.unwrap();
    let report = target.swap(&plan).await.unwrap();
    assert_eq!(report.renamed, ["a", "b"]);
    assert_eq!(report.dropped.len(), 2, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_swap_is_completed_by_another_process() {
    let (from, to) = (Scratch::new("resume"), Scratch::new("resume"));
    let database = from.database().await;
    for name in ["a", "b", "c", "was a view"] {
        insert_raw(&database, name, &[raw(&doc! { "_id": 1, "new": true })]).await;
    }
    database
        .run_command(doc! { "create": "view", "viewOn": "a", "pipeline": [{ "$limit": 1 }] })
        .await
        .unwrap();
    let live = to.database().await;
    for name in ["a", "b", "view", "stale"] {
        insert_raw(&live, name, &[raw(&doc! { "_id": 1, "new": false })]).await;
    }
    live.run_command(doc! { "create": "was a view", "viewOn": "a", "pipeline": [] }).await.unwrap();

    let source = Arc::new(Source::open(&from.endpoint(), SourceOptions::default()).await.unwrap());
    let target = Target::prepare(&to.endpoint(), "job").await.unwrap();
    copy(&source, &target).await.unwrap();
    let plan = target.swap_plan(true).await.unwrap();
    // What the journal keeps is text.
    let text = serde_json::to_string(&plan).unwrap();
    let plan: swap::SwapPlan = serde_json::from_str(&text).unwrap();
    assert_eq!(swap::state(&to.endpoint(), &plan).await.unwrap(), SwapState::NotStarted);
    assert_eq!(
        live.collection::<Document>("a").count_documents(doc! { "new": true }).await.unwrap(),
        0
    );

    // A crash after the first rename.
    let first = swap::SwapPlan { prepared: plan.prepared[..1].to_vec(), ..Default::default() };
    target.swap(&first).await.unwrap();
    drop(target);
    assert_eq!(swap::state(&to.endpoint(), &plan).await.unwrap(), SwapState::Partly);
    let report = swap::resume(&to.endpoint(), &plan).await.unwrap();
    assert_eq!(report.already, ["a"]);
    assert_eq!(report.renamed, ["b", "c", "was a view"]);
    assert_eq!(report.dropped, ["stale"]);
    assert_eq!(report.views, ["view"]);
    assert_eq!(swap::state(&to.endpoint(), &plan).await.unwrap(), SwapState::Done);
    // Once more changes nothing, even after the application wrote and made a collection.
    live.create_collection("made since").await.unwrap();
    let again = swap::resume(&to.endpoint(), &plan).await.unwrap();
    assert!(again.renamed.is_empty() && again.dropped.is_empty() && again.views.is_empty());
    for name in ["a", "b", "c", "was a view", "view"] {
        let found = live.collection::<Document>(name).count_documents(doc! { "new": true }).await;
        assert_eq!(found.unwrap(), 1, "{name}");
    }
    // A plan whose data is gone is refused before anything is touched.
    let mut gone = plan.clone();
    gone.prepared[0].uuid = "00".repeat(16);
    assert!(swap::resume(&to.endpoint(), &gone).await.unwrap_err().to_string().contains("is gone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_of_a_crashed_job_are_dropped_and_never_copied() {
    let scratch = Scratch::new("leftover");
    let database = scratch.database().await;
    insert_raw(&database, &new_name(7), &[raw(&doc! { "_id": 1 })]).await;
    insert_raw(&database, "live", &[raw(&doc! { "_id": 1 })]).await;
    let source = Source::open(&scratch.endpoint(), SourceOptions::default()).await.unwrap();
    assert_eq!(source.catalog().collections.len(), 1);
    let target = Target::prepare(&scratch.endpoint(), "job").await.unwrap();
    assert_eq!(database.list_collection_names().await.unwrap(), ["live"]);
    target.create(1, r#"{"indexes":[]}"#, "x").await.unwrap();
    target.create(1, r#"{"indexes":[]}"#, "x").await.unwrap();
    assert_eq!(target.drop_new().await.unwrap(), 1);
    assert_eq!(database.list_collection_names().await.unwrap(), ["live"]);
}

/// Sends documents into `load_part`.
async fn load(target: &Target, n: usize, documents: &[Document]) -> Result<u64> {
    let (send, receive) = mpsc::channel(1);
    let bytes: Vec<u8> = documents.iter().flat_map(|one| raw(one).into_bytes()).collect();
    let block = Block::raw(bytes, documents.len() as u64).clear(&permit());
    send.send(block).await.unwrap();
    drop(send);
    target.load_part(n, receive).await
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_documents_and_indexes_fail_without_quoting_data() {
    let scratch = Scratch::new("refused");
    let target = Target::prepare(&scratch.endpoint(), "job").await.unwrap();
    let metadata = r#"{"indexes":[{"v":2,"key":{"_id":1},"name":"_id_"},
        {"v":2,"key":{"email":1},"name":"email_1","unique":true}]}"#;
    target.create(0, metadata, "people").await.unwrap();
    let twice = doc! { "_id": "secret@example.org", "email": "secret@example.org" };
    let error = load(&target, 0, &[twice.clone(), twice.clone()]).await.unwrap_err();
    assert!(error.to_string().contains("1 of 2 documents of collection `people`"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    let other = doc! { "_id": 2, "email": "secret@example.org" };
    assert_eq!(load(&target, 0, &[other]).await.unwrap(), 1);
    let error = target.finish(0).await.unwrap_err();
    assert!(error.to_string().contains("index `email_1` of collection `people`"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    // A block that ends inside a document.
    let (send, receive) = mpsc::channel(1);
    send.send(Block::raw(vec![9, 0, 0, 0, 0], 1).clear(&permit())).await.unwrap();
    drop(send);
    assert!(target.load_part(0, receive).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_called_like_pfdatas_own_is_the_applications() {
    let (from, to) = (Scratch::new("own_names"), Scratch::new("own_names_to"));
    let database = from.database().await;
    for name in ["pfdata.notes", "pfdata.new", "pfdata.new.x1"] {
        insert_raw(&database, name, &[raw(&doc! { "_id": name })]).await;
    }
    let function = raw(&doc! { "_id": "one", "value": "function () {}" });
    insert_raw(&database, "system.js", &[function]).await;
    copy_and_swap(&from, &to).await;
    let mut names = to.database().await.list_collection_names().await.unwrap();
    names.sort();
    assert_eq!(names, ["pfdata.new", "pfdata.new.x1", "pfdata.notes"]);
    let source = Source::open(&from.endpoint(), SourceOptions::default()).await.unwrap();
    assert!(source.stored_functions(), "they are left out, and that is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_does_not_fit_is_told_before_anything_is_loaded() {
    let scratch = Scratch::new("long_names");
    let target = Target::prepare(&scratch.endpoint(), "job").await.unwrap();
    let name = "n".repeat(255 - target.database_name().len());
    let error = target.create(0, r#"{"indexes":[]}"#, &name).await.unwrap_err();
    assert!(error.to_string().contains("256 bytes"), "{error}");
    target.create(0, r#"{"indexes":[]}"#, &name[1..]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn seeds_are_repeatable_and_all_or_nothing() {
    let scratch = Scratch::new("seed");
    let database = scratch.database().await;
    let client = database.client().clone();
    let text = "{\"_id\":{\"$oid\":\"507f1f77bcf86cd799439011\"},\"n\":{\"$numberLong\":\"1\"}}\n\
        {\"_id\":{\"a\":1},\"when\":{\"$date\":\"2026-01-01T00:00:00Z\"}}\n{\"plain\":1}\n";
    let target = Target::prepare(&scratch.endpoint(), "job").await.unwrap();
    target.create(3, r#"{"indexes":[]}"#, "seeded").await.unwrap();
    for _ in 0..2 {
        let lines = text.as_bytes();
        let count = seed::seed_lines(target.client(), &scratch.name, &new_name(3), lines).await;
        assert_eq!(count.unwrap(), 3);
        assert_eq!(target.count(3).await.unwrap(), 3);
    }
    // Into a collection that does not exist yet, more than one command long.
    let many: String = (0..2500).map(|n| format!("{{\"_id\":{n}}}\n")).collect();
    seed::seed_lines(&client, &scratch.name, "fresh", many.as_bytes()).await.unwrap();
    let fresh = database.collection::<Document>("fresh");
    assert_eq!(fresh.count_documents(doc! {}).await.unwrap(), 2500);
    // The last line is refused: none of the others stays.
    database
        .run_command(doc! { "collMod": "fresh", "validator": { "bad": { "$exists": false } } })
        .await
        .unwrap();
    let bad =
        format!("{}{{\"_id\":9999,\"bad\":\"secret\"}}\n", many.replace("_id\":", "_id\":10"));
    let error =
        seed::seed_lines(&client, &scratch.name, "fresh", bad.as_bytes()).await.unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(fresh.count_documents(doc! {}).await.unwrap(), 2500);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_fail_say_where_and_not_with_what() {
    let scratch = Scratch::new("connect");
    let mut endpoint = endpoint_at("mongodb://127.0.0.1:1/?directConnection=true", "d");
    endpoint.connect_timeout = Duration::from_millis(500);
    let error = connect::connect(&endpoint).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    let mut endpoint = scratch.endpoint();
    endpoint.username = Some("nobody".to_owned());
    endpoint.password = Some(Secret::new("verysecret"));
    let error = connect::connect(&endpoint).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(!format!("{error:?}").contains("verysecret"), "{error:?}");
    assert!(error.to_string().contains("password"), "{error}");
    let findings = check::check(&endpoint, true).await;
    assert!(findings.len() == 1 && !findings[0].ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_identity_is_that_of_the_replica_set() {
    let scratch = Scratch::new("identity");
    insert_raw(&scratch.database().await, "c", &[raw(&doc! { "_id": 1 })]).await;
    let source = Source::open(&scratch.endpoint(), SourceOptions::default()).await.unwrap();
    let target = Target::prepare(&scratch.endpoint(), "job").await.unwrap();
    let mut elsewhere = scratch.endpoint();
    elsewhere.uri = Secret::new(server_url().replace("127.0.0.1", "localhost"));
    let client = connect::connect(&elsewhere).await.unwrap();
    let by_name = connect::identity(&client, &elsewhere).await.unwrap();
    assert!(source.identity().same_data(&by_name));
    assert!(source.identity().same_data(&target.identity().await.unwrap()));
    let Identity::Mongodb { deployment, database } = by_name else { panic!("mongodb") };
    assert_eq!((deployment.len(), database), (24, scratch.name.clone()));
    for as_target in [false, true] {
        let findings = check::check(&scratch.endpoint(), as_target).await;
        assert!(findings.iter().all(|one| one.ok), "{findings:?}");
        assert!(findings.len() >= 6, "{findings:?}");
    }
}
