//! Each setting, lock and check of a source guards against losing rows without an error.

use std::time::Duration;

use pfdata::error::Kind;
use pfdata::store::postgres::{Slice, Source, SourceOptions, TableRef};
use pfdata::terms::{Identity, Level};
use tokio::sync::mpsc;

use crate::{Scratch, rows_of};

fn options() -> SourceOptions {
    SourceOptions { lock_timeout: Duration::from_secs(5), ..SourceOptions::default() }
}

/// Runs `sql`, which begins with a strong lock, in a transaction that commits only after the
/// source has its snapshot and waits.
async fn meanwhile(scratch: &Scratch, sql: &str) -> pfdata::error::Result<Source> {
    let rival = scratch.client().await;
    rival.batch_execute("BEGIN; LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let open = Source::open(&scratch.endpoint, options());
    let interfere = async {
        let observer = scratch.client().await;
        for _ in 0..200 {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                           AND wait_event_type = 'Lock' AND application_name = 'pfdata'";
            if crate::value(&observer, waiting).await != "0" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        rival.batch_execute(sql).await.unwrap();
        rival.batch_execute("COMMIT").await.unwrap();
    };
    tokio::join!(open, interfere).0
}

#[tokio::test]
async fn a_truncate_between_snapshot_and_lock_starts_over() {
    let scratch = Scratch::new("CREATE TABLE public.t AS SELECT 1 AS id").await;
    let source = meanwhile(&scratch, "TRUNCATE public.t; INSERT INTO public.t VALUES (2), (3)")
        .await
        .unwrap();
    assert_eq!(source.attempts(), 2);
    assert_eq!(rows_of(&source, "t").await, (2, "2\n3\n".to_owned()));
}

#[tokio::test]
async fn a_rewrite_a_rename_and_a_drop_start_over() {
    for (sql, table, expected) in [
        ("ALTER TABLE public.t ALTER id TYPE bigint", "t", "1\n"),
        ("ALTER TABLE public.t RENAME COLUMN id TO number", "t", "1\n"),
        ("ALTER TABLE public.t RENAME TO u; CREATE TABLE public.t AS SELECT 9", "u", "1\n"),
        ("DROP TABLE public.t; CREATE TABLE public.t AS SELECT 7", "t", "7\n"),
    ] {
        let scratch = Scratch::new("CREATE TABLE public.t AS SELECT 1 AS id").await;
        let source = meanwhile(&scratch, sql).await.unwrap();
        assert_eq!(source.attempts(), 2, "{sql}");
        assert_eq!(rows_of(&source, table).await.1, expected, "{sql}");
    }
}

#[tokio::test]
async fn a_truncate_after_the_locks_waits() {
    let scratch = Scratch::new("CREATE TABLE public.t AS SELECT 1 AS id").await;
    let source = Source::open(&scratch.endpoint, options()).await.unwrap();
    let rival = scratch.client().await;
    rival.batch_execute("SET lock_timeout = '300ms'").await.unwrap();
    assert!(rival.batch_execute("TRUNCATE public.t").await.is_err());
    scratch.run("INSERT INTO public.t VALUES (2)").await;
    assert_eq!(rows_of(&source, "t").await.0, 1);
    source.finish().await.unwrap();
    rival.batch_execute("TRUNCATE public.t").await.unwrap();
}

#[tokio::test]
async fn a_migration_that_waits_for_the_snapshot_ends_it() {
    let scratch = Scratch::new("CREATE TABLE public.t AS SELECT 1 AS id").await;
    let options = SourceOptions { lock_timeout: Duration::from_millis(300), ..options() };
    let source = Source::open(&scratch.endpoint, options).await.unwrap();
    let rival = scratch.client().await;
    let truncate = tokio::spawn(async move { rival.batch_execute("TRUNCATE public.t").await });
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted
                   AND relation = 'public.t'::pg_catalog.regclass";
    let client = scratch.client().await;
    while client.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The reader's lock would queue behind the rival's, and the rival's behind the keeper's.
    let mut reader = source.reader().await.unwrap();
    let table = source.table(&source.parts()[0]).unwrap();
    let (blocks, _kept) = tokio::sync::mpsc::channel(4);
    let read = reader.read(&table, Slice::All, &blocks);
    let error = tokio::time::timeout(Duration::from_secs(20), read).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.to_string().contains("lock"), "{error}");
    drop((reader, source));
    tokio::time::timeout(Duration::from_secs(20), truncate).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_lock_that_is_not_granted_is_an_error_in_time() {
    let scratch = Scratch::new("CREATE TABLE public.t AS SELECT 1 AS id").await;
    let rival = scratch.client().await;
    rival.batch_execute("BEGIN; LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let options = SourceOptions { lock_timeout: Duration::from_millis(200), ..options() };
    let error = Source::open(&scratch.endpoint, options).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.to_string().contains("lock"), "{error}");
}

#[tokio::test]
async fn row_security_fails_instead_of_hiding_rows() {
    let mut scratch = Scratch::new(
        "CREATE TABLE public.t AS SELECT generate_series(1, 9) AS id;
         ALTER TABLE public.t ENABLE ROW LEVEL SECURITY;
         CREATE POLICY few ON public.t USING (id < 3)",
    )
    .await;
    let role = scratch
        .role(
            "reader",
            "CREATE ROLE {role} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
        )
        .await;
    let mut endpoint = scratch.endpoint.clone();
    endpoint.username = role.clone();
    scratch.run("REVOKE ALL ON SCHEMA public FROM PUBLIC").await;
    let error = Source::open(&endpoint, options()).await.err().unwrap();
    assert!(error.to_string().contains("permission denied"), "{error}");

    scratch.run(&format!("GRANT USAGE ON SCHEMA public TO {role}")).await;
    let source = Source::open(&endpoint, options()).await.unwrap();
    let mut reader = source.reader().await.unwrap();
    let table = TableRef::from(&source.catalog().tables[0]);
    let error = reader.digest(&table, Slice::All).await.unwrap_err();
    assert!(error.to_string().contains("row-level security"), "{error}");
    scratch.run(&format!("DROP OWNED BY {role}")).await;
}

#[tokio::test]
async fn settings_of_role_and_database_do_not_change_what_is_read() {
    let mut scratch = Scratch::new(
        "CREATE TABLE public.t AS SELECT 0.1::float8 + 0.2 AS sum, timestamptz '2026-01-02 03:04:05+00' AS at,
           interval '1 day 2 hours' AS wait, '\\x00ff'::bytea AS bytes, 12.5::numeric::money AS price,
           pg_sleep(0)::text AS nothing;
         CREATE SCHEMA evil;
         CREATE FUNCTION evil.format_type(oid, int) RETURNS text LANGUAGE sql AS $$ SELECT 'hijacked'::text $$;
         CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT '0'::text $$;
         CREATE TABLE evil.pg_class (oid oid); CREATE TABLE evil.pg_attribute (oid oid)",
    )
    .await;
    let role = scratch.role("odd", "CREATE ROLE {role} SUPERUSER LOGIN").await;
    for setting in [
        "\"DateStyle\" = 'German, DMY'",
        "\"IntervalStyle\" = 'iso_8601'",
        "\"TimeZone\" = 'Asia/Kolkata'",
        "extra_float_digits = -10",
        "bytea_output = 'escape'",
        "search_path = evil, pg_catalog, public",
        "statement_timeout = '1ms'",
        "lock_timeout = '1ms'",
        "idle_in_transaction_session_timeout = '1ms'",
        "default_transaction_read_only = on",
        "row_security = on",
        "standard_conforming_strings = off",
        "client_encoding = 'LATIN1'",
    ] {
        scratch.run(&format!("ALTER ROLE {role} SET {setting}")).await;
    }
    let database = scratch.name().to_owned();
    scratch.run(&format!("ALTER DATABASE {database} SET extra_float_digits = 0")).await;
    let mut endpoint = scratch.endpoint.clone();
    endpoint.username = role;
    let source = Source::open(&endpoint, options()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (_, text) = rows_of(&source, "t").await;
    assert_eq!(
        text,
        "0.30000000000000004\t2026-01-02 03:04:05+00\t1 day 02:00:00\t\\\\x00ff\t$12.50\t\n"
    );
    assert!(
        source
            .catalog()
            .tables
            .iter()
            .all(|table| { table.columns.iter().all(|column| column.type_name != "hijacked") })
    );
    let archive = tempfile::tempdir().unwrap();
    std::fs::write(
        archive.path().join("schema.dump"),
        source.schema_archive().await.unwrap().archive,
    )
    .unwrap();
    source.finish().await.unwrap();
}

#[tokio::test]
async fn a_lost_reader_or_keeper_is_an_error_not_the_end() {
    let scratch = Scratch::new(
        "CREATE TABLE public.t AS SELECT i AS id, repeat('x', 500) AS filler FROM generate_series(1, 200000) i",
    )
    .await;
    let source = Source::open(&scratch.endpoint, options()).await.unwrap();
    let mut reader = source.reader().await.unwrap();
    let table = TableRef::from(&source.catalog().tables[0]);
    let (sender, mut receiver) = mpsc::channel(1);
    let kill = async {
        receiver.recv().await.unwrap();
        let query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                     WHERE datname = current_database() AND query LIKE 'COPY%' AND application_name = 'pfdata'";
        let killer = scratch.client().await;
        assert_eq!(crate::value(&killer, query).await, "1");
        while receiver.recv().await.is_some() {}
    };
    let read = async move { reader.read(&table, Slice::All, &sender).await };
    let (read, ()) = tokio::join!(read, kill);
    assert_eq!(read.unwrap_err().kind(), Kind::Unreachable);

    let mut reader = source.reader().await.unwrap();
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks JOIN pg_class c ON c.oid = relation \
                WHERE c.relname = 't' AND mode = 'AccessShareLock'";
    scratch.value(kill).await;
    let table = TableRef::from(&source.catalog().tables[0]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(reader.digest(&table, Slice::All).await.is_err());
    assert_eq!(source.finish().await.unwrap_err().kind(), Kind::Unreachable);
}

#[tokio::test]
async fn a_receiver_that_is_gone_stops_the_reader_for_good() {
    let scratch = Scratch::new(
        "CREATE TABLE public.t AS SELECT repeat('x', 500) AS filler FROM generate_series(1, 50000) i",
    )
    .await;
    let source = Source::open(&scratch.endpoint, options()).await.unwrap();
    let mut reader = source.reader().await.unwrap();
    let table = TableRef::from(&source.catalog().tables[0]);
    let (sender, receiver) = mpsc::channel(1);
    drop(receiver);
    assert!(reader.read(&table, Slice::All, &sender).await.is_err());
    assert!(reader.digest(&table, Slice::All).await.unwrap_err().to_string().contains("again"));
}

#[tokio::test]
async fn identity_consistency_and_filters() {
    let scratch = Scratch::new(
        "CREATE TABLE public.a (); CREATE TABLE public.b (); CREATE SCHEMA x; CREATE TABLE x.a ()",
    )
    .await;
    let source = Source::open(&scratch.endpoint, options()).await.unwrap();
    let Identity::Postgres { database, system_identifier, .. } = source.identity() else {
        panic!("not postgres");
    };
    assert_eq!(database, scratch.name());
    assert!(system_identifier.parse::<u64>().is_ok());
    let consistency = source.consistency();
    assert_eq!(consistency.level, Level::PointInTime);
    assert!(consistency.point.contains('/') && consistency.exported.is_some());

    let tables = async |only: &[&str], exclude: &[&str]| {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let options = SourceOptions { only: owned(only), exclude: owned(exclude), ..options() };
        Source::open(&scratch.endpoint, options).await.map(|source| {
            let tables = &source.catalog().tables;
            tables.iter().map(|table| table.full_name()).collect::<Vec<_>>().join(" ")
        })
    };
    assert_eq!(tables(&[], &[]).await.unwrap(), "public.a public.b x.a");
    assert_eq!(tables(&["a"], &[]).await.unwrap(), "public.a x.a");
    assert_eq!(tables(&["public.*"], &["b"]).await.unwrap(), "public.a");
    assert_eq!(tables(&["typo"], &[]).await.unwrap_err().kind(), Kind::Usage);

    let mut endpoint = scratch.endpoint.clone();
    endpoint.schemas = vec!["x".to_owned()];
    let source = Source::open(&endpoint, options()).await.unwrap();
    assert_eq!(source.catalog().tables.len(), 1);
    endpoint.schemas = vec!["nope".to_owned()];
    assert_eq!(Source::open(&endpoint, options()).await.err().unwrap().kind(), Kind::Usage);
}
