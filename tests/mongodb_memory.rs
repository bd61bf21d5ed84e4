//! Memory of a MongoDB snapshot and restore: bounded, and the same at ten times the data.
//! A test binary of its own, since what is measured is the whole process.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use mongodb::Client;
use mongodb::bson::{Document, doc};
use pfdata::config::endpoint::{MongoEndpoint, Tls};
use pfdata::config::secret::Secret;
use pfdata::pipeline::block::{Block, Cleared, Raw};
use pfdata::policy::{Class, Clearance, UnruledPermit};
use pfdata::store::mongodb::options::SourceOptions;
use pfdata::store::mongodb::source::Source;
use pfdata::store::mongodb::target::Target;
use tokio::sync::mpsc;

/// The most that this process ever had resident, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn endpoint(url: &str, database: &str) -> MongoEndpoint {
    MongoEndpoint {
        uri: Secret::new(url),
        address: "the test server".to_owned(),
        database: database.to_owned(),
        username: None,
        password: None,
        auth_source: None,
        replica_set: None,
        tls: Tls::default(),
        connect_timeout: Duration::from_secs(5),
    }
}

/// Fills `docs` with `thousands` thousand documents of about 500 bytes, on the server.
async fn fill(client: &Client, database: &str, thousands: i32) {
    let database = client.database(database);
    let filler = "abcdefghij".repeat(38);
    let seeds: Vec<Document> = (0..thousands)
        .map(|n| doc! { "_id": n, "name": format!("name {n}"), "a": { "b": { "c": &filler } } })
        .collect();
    database.collection("seeds").insert_many(seeds).await.unwrap();
    let stages = [
        doc! { "$set": { "r": { "$range": [0, 1000] }, "s": "$_id" } },
        doc! { "$unwind": "$r" },
        doc! { "$set": { "_id": { "$add": [{ "$multiply": ["$s", 1000] }, "$r"] } } },
        doc! { "$out": "docs" },
    ];
    let cursor = database.collection::<Document>("seeds").aggregate(stages).await.unwrap();
    cursor.try_collect::<Vec<Document>>().await.unwrap();
    database.collection::<Document>("seeds").drop().await.unwrap();
}

/// Reads with two readers, each loading what it reads when there is a target.
async fn copy(source: &Arc<Source>, target: Option<&Arc<Target>>) -> u64 {
    let parts = Arc::new(std::sync::Mutex::new(source.parts()));
    let mut workers = Vec::new();
    for _ in 0..2 {
        let (source, target, parts) = (Arc::clone(source), target.cloned(), Arc::clone(&parts));
        workers.push(tokio::spawn(async move {
            let permit = UnruledPermit::new(Class::Synthetic, false, Clearance::Anonymized)
                .unwrap()
                .rows()
                .clone();
            let mut documents = 0;
            loop {
                let Some(part) = parts.lock().unwrap().pop() else { return documents };
                let (send, mut raws) = mpsc::channel::<Block<Raw>>(2);
                let (clear, mut cleared) = mpsc::channel::<Block<Cleared>>(2);
                let pass = async {
                    let clear = clear;
                    while let Some(block) = raws.recv().await {
                        clear.send(block.clear(&permit)).await.unwrap();
                    }
                };
                let load = async {
                    match &target {
                        Some(target) => target.load_part(part.collection, cleared).await.unwrap(),
                        None => {
                            let mut count = 0;
                            while let Some(block) = cleared.recv().await {
                                count += block.records();
                            }
                            count
                        }
                    }
                };
                let (read, (), loaded) = tokio::join!(source.read(&part, send), pass, load);
                assert_eq!(read.unwrap(), loaded);
                documents += loaded;
            }
        }));
    }
    let mut documents = 0;
    for worker in workers {
        documents += worker.await.unwrap();
    }
    documents
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_the_collection() {
    let url = std::env::var("PFDATA_TEST_MONGODB_URL")
        .expect("PFDATA_TEST_MONGODB_URL must name a MongoDB replica set");
    let client = Client::with_uri_str(&url).await.unwrap();
    let name = |what: &str| format!("mongo_room_memory_{what}_{}", std::process::id());
    let thousands: i32 =
        std::env::var("PFDATA_TEST_MONGODB_THOUSANDS").map_or(400, |text| text.parse().unwrap());
    let mut peaks = Vec::new();
    for (what, thousands) in [("small", thousands / 10), ("large", thousands)] {
        fill(&client, &name(what), thousands).await;
        let place = endpoint(&url, &name(what));
        let started = Instant::now();
        let options = SourceOptions { range_bytes: 16 << 20, ..SourceOptions::default() };
        let source = Arc::new(Source::open(&place, options).await.unwrap());
        let opened = started.elapsed();
        let documents = copy(&source, None).await;
        assert_eq!(documents, u64::try_from(thousands).unwrap() * 1000);
        let (read, read_peak) = (started.elapsed(), peak());
        let started = Instant::now();
        let into = endpoint(&url, &name("target"));
        let target = Arc::new(Target::prepare(&into, "job").await.unwrap());
        let metadata = &source.catalog().collections[0].metadata_json;
        target.create(0, metadata, "docs").await.unwrap();
        assert_eq!(copy(&source, Some(&target)).await, documents);
        target.finish(0).await.unwrap();
        let loaded = started.elapsed();
        let started = Instant::now();
        assert_eq!(target.count(0).await.unwrap(), documents);
        let counted = started.elapsed();
        assert_eq!(target.digest(0).await.unwrap().0, documents);
        let digested = started.elapsed();
        peaks.push(peak());
        println!(
            "{what}: {documents} documents, {} parts; opened {opened:?}, read {read:?} (peak {} MiB), \
             loaded {loaded:?}, counted {counted:?}, digested {digested:?} (peak {} MiB)",
            source.parts().len(),
            read_peak >> 10,
            peak() >> 10
        );
        target.drop_new().await.unwrap();
    }
    for what in ["small", "large", "target"] {
        client.database(&name(what)).drop().await.unwrap();
    }
    assert!(peaks[1] < 128 << 10, "{} MiB", peaks[1] >> 10);
    assert!(peaks[1] < peaks[0] + (32 << 10), "{} and {} MiB", peaks[0] >> 10, peaks[1] >> 10);
}
