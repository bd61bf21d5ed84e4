//! The contract of a store, asked of all three: what one promises the others keep too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::World;
use pfdata::config::endpoint::{MongoEndpoint, PostgresEndpoint, RedisEndpoint, Tls};
use pfdata::config::secret::Secret;
use pfdata::error::{Error, Kind, Result};
use pfdata::pipeline::transform::UnruledKeys;
use pfdata::policy::{Class, Clearance, UnruledPermit};
use pfdata::store::finding::Finding;
use pfdata::store::postgres::{Slice, SourceOptions, TableRef};
use pfdata::store::redis::connect::Connection;
use pfdata::store::{mongodb, postgres, redis};
use pfdata::terms::StoreKind;
use tokio::sync::mpsc;

/// What no message may hold.
const SECRET: &str = "hunter2-is-secret";

/// How long something that must end by itself may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The stores of production in one world, spoken to below the command line.
struct Store<'a> {
    kind: StoreKind,
    world: &'a World,
    /// Logged in with a password that is not the right one.
    wrong_password: bool,
}

fn with_every_store(world: &World, test: impl Fn(&Store<'_>)) {
    for kind in StoreKind::ALL {
        test(&Store { kind, world, wrong_password: false });
    }
}

impl Store<'_> {
    fn postgres(&self) -> PostgresEndpoint {
        let url = url::Url::parse(&common::postgres_url()).unwrap();
        PostgresEndpoint {
            host: url.host_str().unwrap().to_owned(),
            port: url.port().unwrap(),
            database: self.world.database("prod"),
            // `scripts/sandbox` asks this role for a password.
            username: if self.wrong_password { "locked_out" } else { url.username() }.to_owned(),
            password: self.wrong_password.then(|| Secret::new(SECRET)),
            tls: Tls::default(),
            schemas: Vec::new(),
            connect_timeout: Duration::from_secs(5),
        }
    }

    fn redis(&self) -> RedisEndpoint {
        RedisEndpoint {
            host: "127.0.0.1".to_owned(),
            port: self.world.redis_port,
            db: 0,
            username: self.wrong_password.then(|| "nobody".to_owned()),
            password: self.wrong_password.then(|| Secret::new(SECRET)),
            tls: Tls::default(),
            spare_db: None,
            taken: vec![4],
            connect_timeout: Duration::from_secs(5),
        }
    }

    fn mongodb(&self) -> MongoEndpoint {
        let url = common::mongodb_url();
        MongoEndpoint {
            address: url.trim_start_matches("mongodb://").split('/').next().unwrap().to_owned(),
            uri: Secret::new(url),
            database: self.world.database("prod"),
            username: self.wrong_password.then(|| "nobody".to_owned()),
            password: self.wrong_password.then(|| Secret::new(SECRET)),
            auth_source: None,
            replica_set: None,
            tls: Tls::default(),
            connect_timeout: Duration::from_secs(5),
        }
    }

    async fn check(&self) -> Vec<Finding> {
        match self.kind {
            StoreKind::Postgres => postgres::check::check(&self.postgres(), true).await,
            StoreKind::Redis => redis::check::check(&self.redis(), "production", true).await,
            StoreKind::Mongodb => mongodb::check::check(&self.mongodb(), true).await,
        }
    }

    async fn connect(&self) -> Result<()> {
        match self.kind {
            StoreKind::Postgres => {
                postgres::connect::connect(&self.postgres(), None).await.map(drop)
            }
            StoreKind::Redis => Connection::open(&self.redis()).await.map(drop),
            StoreKind::Mongodb => mongodb::connect::connect(&self.mongodb()).await.map(drop),
        }
    }

    /// Reads what there is for a receiver that has gone.
    async fn read_for_nobody(&self) -> Result<()> {
        match self.kind {
            StoreKind::Postgres => {
                let options = SourceOptions::default();
                let source = postgres::Source::open(&self.postgres(), options).await?;
                let table = TableRef::from(&source.catalog().tables[0]);
                let (out, _) = mpsc::channel(1);
                source.reader().await?.read(&table, Slice::All, &out).await.map(drop)
            }
            StoreKind::Redis => {
                let source = redis::source::Source::open(&self.redis()).await?;
                let (class, clearance) = (Class::Synthetic, Clearance::Anonymized);
                let permit = UnruledPermit::new(class, false, clearance)?;
                let (out, _) = mpsc::channel(1);
                source.read(Box::new(UnruledKeys(permit)), out).await.map(drop)
            }
            StoreKind::Mongodb => {
                let options = mongodb::options::SourceOptions::default();
                let source = mongodb::source::Source::open(&self.mongodb(), options).await?;
                let (out, _) = mpsc::channel(1);
                source.read(&source.parts()[0], out).await.map(drop)
            }
        }
    }
}

#[test]
fn what_is_asked_of_every_store_is_told_alike() {
    let world = World::new(3);
    with_every_store(&world, |store| {
        let found = world.wait(store.check());
        for what in ["connection", "version", "clock"] {
            let named: Vec<_> = found.iter().filter(|one| one.what == what).collect();
            assert!(named.len() == 1 && named[0].ok, "{} {what}: {found:?}", store.kind);
        }
        assert!(found[0].detail.ends_with(" answers"), "{found:?}");
        let product = format!("{} ", store.kind);
        let told = |what: &str| &found.iter().find(|one| one.what == what).unwrap().detail;
        assert!(told("version").starts_with(&product), "{found:?}");
        assert!(told("clock").ends_with(" s apart") && told("clock").contains('.'), "{found:?}");
        assert!(found.iter().all(|one| !one.what.contains(store.kind.word())), "{found:?}");
    });
}

#[test]
fn a_receiver_that_is_gone_stops_the_reader() {
    let world = World::new(500);
    with_every_store(&world, |store| {
        let read = async { tokio::time::timeout(PATIENCE, store.read_for_nobody()).await };
        let read = world.wait(read).unwrap_or_else(|_| panic!("{} reads on", store.kind));
        let error = read.expect_err(store.kind.word());
        assert!(!error.to_string().contains("original.example"), "{error}");
        // The store itself is none the worse.
        world.wait(store.connect()).unwrap();
    });
}

#[test]
fn a_login_that_is_refused_is_told_without_the_password() {
    let world = World::new(1);
    world.admin("DO $$ BEGIN CREATE ROLE locked_out LOGIN PASSWORD 'x'; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$");
    with_every_store(&world, |store| {
        let store = Store { wrong_password: true, kind: store.kind, world: store.world };
        let error: Error = world.wait(store.connect()).expect_err(store.kind.word());
        assert_eq!(error.kind(), Kind::Unreachable, "{}: {error}", store.kind);
        let found = world.wait(store.check());
        assert!(!found[0].ok && found[0].what == "connection", "{found:?}");
        let told = format!("{error} {error:?} {:?} {found:?}", error.hint_text());
        assert!(!told.contains(SECRET), "{told}");
        assert!(error.hint_text().is_some(), "{error}");
    });
}

/// What a client of development sees of the person 900001, whom only the old data has, and of the
/// person 1, whom only the new data has.
fn seen(world: &World, kind: StoreKind) -> Option<(bool, bool)> {
    match kind {
        StoreKind::Postgres => {
            // A login while the database is renamed is refused; the client asks again.
            let counts = "SELECT count(*) FROM people";
            let rows = world.try_sql("dev", counts)?;
            Some((rows == "3", rows == "40"))
        }
        StoreKind::Redis => {
            let told = world.redis(4, "EXISTS cart:900001 cart:1\nMGET cart:900001 cart:1\n");
            let mut lines = told.lines().skip(1);
            let full = |line: Option<&str>| line.is_some_and(|line| !line.is_empty());
            Some((full(lines.next()), full(lines.next())))
        }
        StoreKind::Mongodb => {
            use ::mongodb::bson::doc;
            let people = world.collection("dev", "people");
            let count = world.wait(async { people.count_documents(doc! {}).await }).ok()?;
            Some((count == 3, count == 40))
        }
    }
}

#[test]
fn a_reader_sees_the_old_or_the_new_data_and_never_neither() {
    let world = World::new(40);
    world.snapshot();
    let stop = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        let readers = StoreKind::ALL.map(|kind| {
            let (world, stop) = (&world, Arc::clone(&stop));
            scope.spawn(move || {
                let mut answers = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    if let Some(answer) = seen(world, kind)
                        && answers.last() != Some(&answer)
                    {
                        answers.push(answer);
                    }
                }
                answers
            })
        });
        let refreshed = world.refresh();
        std::thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
        refreshed.expect(0);
        for (kind, reader) in StoreKind::ALL.into_iter().zip(readers) {
            assert_eq!(reader.join().unwrap(), [(true, false), (false, true)], "{kind}");
        }
    });
}
