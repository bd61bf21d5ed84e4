//! The Postgres store against a real server: `PFDATA_TEST_POSTGRES_URL`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod check;
mod masking;
mod restore;
mod round_trip;
mod source;
mod spawn;
mod swap;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pfdata::config::endpoint::{PostgresEndpoint, Tls};
use pfdata::config::secret::Secret;
use pfdata::pipeline::block::{Block, Cleared, Raw};
use pfdata::policy::{Class, Clearance, Permit, UnruledPermit};
use pfdata::store::postgres::parts::Slice;
use pfdata::store::postgres::{
    Source, SourceOptions, TableRef, Target, TargetOptions, connect::connect, names::Names,
    quote::ident,
};
use tokio::sync::mpsc;
use tokio_postgres::Client;

/// The server, with a database of this name.
pub fn endpoint(database: &str) -> PostgresEndpoint {
    let text = std::env::var("PFDATA_TEST_POSTGRES_URL")
        .expect("PFDATA_TEST_POSTGRES_URL must name a Postgres server");
    let url = url::Url::parse(&text).expect("PFDATA_TEST_POSTGRES_URL is not a URL");
    PostgresEndpoint {
        host: url.host_str().unwrap_or("localhost").to_owned(),
        port: url.port().unwrap_or(5432),
        database: database.to_owned(),
        username: url.username().to_owned(),
        password: url.password().map(Secret::new),
        tls: Tls::default(),
        schemas: Vec::new(),
        connect_timeout: Duration::from_secs(10),
    }
}

/// A database of a test's own, dropped with what pfdata puts beside it, and roles.
pub struct Scratch {
    pub endpoint: PostgresEndpoint,
    roles: Vec<String>,
}

impl Scratch {
    /// Creates the database and runs `sql` in it.
    pub async fn new(sql: &str) -> Self {
        let scratch = Self::absent();
        let create = format!(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
            ident(scratch.name())
        );
        admin().await.batch_execute(&create).await.unwrap();
        scratch.run(sql).await;
        scratch
    }

    /// Only reserves the name.
    pub fn absent() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pfdata_room_pg_{}_{number}", std::process::id());
        Self { endpoint: endpoint(&name), roles: Vec::new() }
    }

    pub fn name(&self) -> &str {
        &self.endpoint.database
    }

    /// A role with a name of its own, to be dropped too; `{role}` in `sql` is its name.
    pub async fn role(&mut self, suffix: &str, sql: &str) -> String {
        let role = format!("{}_{suffix}", self.name());
        self.roles.push(role.clone());
        self.run(&sql.replace("{role}", &ident(&role))).await;
        role
    }

    pub async fn client(&self) -> Client {
        connect(&self.endpoint, None).await.unwrap()
    }

    pub async fn run(&self, sql: &str) {
        self.client().await.batch_execute(sql).await.unwrap();
    }

    /// The first column of the first row, as text.
    pub async fn value(&self, query: &str) -> String {
        value(&self.client().await, query).await
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let names = Names::of(self.name());
        let roles = std::mem::take(&mut self.roles);
        let cleanup = async move {
            let admin = admin().await;
            for name in [names.live, names.new, names.previous] {
                let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", ident(&name));
                if let Err(error) = admin.batch_execute(&drop).await {
                    eprintln!("left behind: {name}: {error}");
                }
            }
            for role in roles {
                let drop = format!("DROP ROLE IF EXISTS {}", ident(&role));
                if let Err(error) = admin.batch_execute(&drop).await {
                    eprintln!("left behind: {role}: {error}");
                }
            }
        };
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(cleanup);
        })
        .join()
        .unwrap();
    }
}

/// A session in the maintenance database.
pub async fn admin() -> Client {
    connect(&endpoint("postgres"), None).await.unwrap()
}

pub async fn value(client: &Client, query: &str) -> String {
    let rows = client.simple_query(query).await.unwrap();
    for message in rows {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
            return row.get(0).unwrap_or("NULL").to_owned();
        }
    }
    "no row".to_owned()
}

pub fn permit() -> Permit {
    UnruledPermit::new(Class::Synthetic, false, Clearance::Anonymized).unwrap().rows().clone()
}

/// All rows of one table of a source, and their number.
pub async fn rows_of(source: &Source, name: &str) -> (u64, String) {
    let mut reader = source.reader().await.unwrap();
    let table = source.catalog().tables.iter().find(|table| table.name == name).unwrap();
    let (sender, mut receiver) = mpsc::channel::<Block<Raw>>(4);
    let collect = async {
        let mut bytes = Vec::new();
        while let Some(block) = receiver.recv().await {
            bytes.extend_from_slice(block.bytes());
        }
        String::from_utf8(bytes).unwrap()
    };
    let table = TableRef::from(table);
    let read = async move { reader.read(&table, Slice::All, &sender).await.unwrap() };
    tokio::join!(read, collect)
}

/// What a snapshot holds, taken and carried without a repository in between.
pub struct Carried {
    pub source: Source,
    pub archive: tempfile::TempDir,
    pub database: serde_json::Value,
}

impl Carried {
    pub async fn from(endpoint: &PostgresEndpoint) -> Self {
        let source = Source::open(endpoint, SourceOptions::default()).await.unwrap();
        let archive = tempfile::tempdir().unwrap();
        std::fs::write(
            archive.path().join("schema.dump"),
            source.schema_archive().await.unwrap().archive,
        )
        .unwrap();
        let database = source.database_json().await.unwrap();
        Self { source, archive, database }
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.archive.path().join("schema.dump")
    }

    pub fn options(&self) -> TargetOptions {
        TargetOptions {
            job_id: "test".to_owned(),
            owner: None,
            source_schemas: self.source.schemas(),
            database: self.database.clone(),
        }
    }

    /// Everything up to the swap.
    pub async fn load(&self, target: &Target) {
        target.load_pre_data(&self.path()).await.unwrap();
        self.load_rows(target).await;
        target.load_sequences(&self.source.sequences_sql()).await.unwrap();
        self.load_large_objects(target).await;
        target.load_post_data(&self.path(), 2).await.unwrap();
        target.analyze(2).await.unwrap();
        target.apply_settings(&self.database).await.unwrap();
        target.apply_grants_of_live().await.unwrap();
    }

    pub async fn load_rows(&self, target: &Target) {
        let mut reader = self.source.reader().await.unwrap();
        let loader = target.loader().await.unwrap();
        for part in self.source.parts() {
            let table = self.source.table(&part).unwrap();
            // Read once for the number, which a manifest would tell.
            let expected = reader.digest(&table, part.slice).await.unwrap().0;
            let (sender, mut raw) = mpsc::channel(2);
            let (forward, mut cleared) = mpsc::channel::<Block<Cleared>>(2);
            let clear = async move {
                while let Some(block) = raw.recv().await {
                    forward.send(Block::clear(block, &permit())).await.unwrap();
                }
            };
            let read = async {
                let rows = reader.read(&table, part.slice, &sender).await.unwrap();
                drop(sender);
                rows
            };
            let whole = part.slice == Slice::All;
            let load = loader.load(&table, &mut cleared, expected, whole);
            let (read, (), loaded) = tokio::join!(read, clear, load);
            assert_eq!(read, expected);
            assert_eq!(loaded.unwrap(), expected);
        }
    }

    pub async fn load_large_objects(&self, target: &Target) {
        let mut reader = self.source.reader().await.unwrap();
        let loader = target.loader().await.unwrap();
        let (sender, mut raw) = mpsc::channel(2);
        let (forward, mut cleared) = mpsc::channel::<Block<Cleared>>(2);
        let clear = async move {
            while let Some(block) = raw.recv().await {
                forward.send(Block::clear(block, &permit())).await.unwrap();
            }
        };
        let read = async {
            let objects = reader.large_objects(&sender).await.unwrap();
            drop(sender);
            objects
        };
        let expected = self.source.catalog().large_objects;
        let load = loader.load_large_objects(&mut cleared, expected);
        let (read, (), loaded) = tokio::join!(read, clear, load);
        assert_eq!((read, loaded.unwrap()), (expected, expected));
    }
}
