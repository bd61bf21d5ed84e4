//! What a restore keeps, leaves out, disables and refuses.

use pfdata::error::Kind;
use pfdata::pipeline::block::{Block, Cleared};
use pfdata::store::postgres::{TableRef, Target, swap};
use tokio::sync::mpsc;

use crate::{Carried, Scratch, permit};

#[tokio::test]
async fn rows_that_do_not_all_arrive_are_not_committed() {
    let source = Scratch::new("CREATE TABLE public.t (id int)").await;
    let carried = Carried::from(&source.endpoint).await;
    let target = Scratch::absent();
    let loaded = Target::prepare(&target.endpoint, carried.options()).await.unwrap();
    loaded.load_pre_data(&carried.path()).await.unwrap();
    let loader = loaded.loader().await.unwrap();
    let table = TableRef::from(&carried.source.catalog().tables[0]);
    let load = async |rows: &[u8], count: u64, expected: u64| {
        let (sender, mut blocks) = mpsc::channel::<Block<Cleared>>(1);
        sender.send(Block::cleared(rows.to_vec(), count, &permit())).await.unwrap();
        drop(sender);
        loader.load(&table, &mut blocks, expected, expected.is_multiple_of(2)).await
    };
    // The sender gave up after one of two rows.
    let error = load(b"1\n", 1, 2).await.unwrap_err();
    assert!(error.to_string().contains("1 rows arrived where the snapshot holds 2"), "{error}");
    assert_eq!(loaded.count(&table).await.unwrap(), 0);
    // The block lies about its rows.
    assert!(load(b"1\n", 3, 3).await.is_err());
    // A value that is no integer: told without the value.
    let error = load(b"secret-value\n", 1, 1).await.unwrap_err();
    assert!(error.to_string().contains("line 1, column id"), "{error}");
    assert!(!error.to_string().contains("secret-value"), "{error}");
    assert_eq!(loaded.count(&table).await.unwrap(), 0);
    assert_eq!(load(b"1\n2\n", 2, 2).await.unwrap(), 2);
    assert_eq!(loaded.count(&table).await.unwrap(), 2);
}

#[tokio::test]
async fn what_could_reach_the_source_is_disabled_and_listed() {
    let source = Scratch::new(
        "CREATE EXTENSION postgres_fdw WITH SCHEMA public;
         CREATE SERVER remote FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'production.internal', dbname 'x');
         CREATE USER MAPPING FOR CURRENT_USER SERVER remote OPTIONS (user 'u', password 'hunter2');
         CREATE FOREIGN TABLE public.far (id int) SERVER remote;
         CREATE MATERIALIZED VIEW public.near AS SELECT * FROM public.far WITH NO DATA;
         CREATE FUNCTION public.call_home() RETURNS event_trigger LANGUAGE plpgsql
             AS $$ BEGIN PERFORM dblink_exec('host=production', 'select 1'); END $$;
         CREATE FUNCTION public.note() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
         CREATE EVENT TRIGGER harmless ON ddl_command_end EXECUTE FUNCTION public.note();
         CREATE EVENT TRIGGER risky ON ddl_command_end EXECUTE FUNCTION public.call_home();
         ALTER EVENT TRIGGER risky DISABLE;
         CREATE SUBSCRIPTION pfdata_room_pg_sub CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p
             WITH (connect = false, slot_name = NONE)",
    )
    .await;
    source.run("ALTER EVENT TRIGGER risky ENABLE").await;
    let carried = Carried::from(&source.endpoint).await;
    source.run("ALTER EVENT TRIGGER risky DISABLE").await;
    source.run("DROP SUBSCRIPTION pfdata_room_pg_sub").await;
    let target = Scratch::absent();
    let loaded = Target::prepare(&target.endpoint, carried.options()).await.unwrap();
    carried.load(&loaded).await;
    let remarks = loaded.remarks().join("\n");
    for part in ["subscription", "user mapping", "foreign server remote", "event trigger risky"] {
        assert!(remarks.to_lowercase().contains(part), "{part}: {remarks}");
    }
    swap::swap(&target.endpoint).await.unwrap();
    for (query, expected) in [
        (
            "SELECT count(*) FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid \
          WHERE datname = current_database()",
            "0",
        ),
        ("SELECT count(*) FROM pg_user_mappings", "0"),
        ("SELECT coalesce(srvoptions::text, 'none') FROM pg_foreign_server", "none"),
        (
            "SELECT string_agg(evtname || evtenabled::text, ' ' ORDER BY evtname) FROM pg_event_trigger",
            "harmlessO riskyD",
        ),
    ] {
        assert_eq!(target.value(query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn grants_and_settings_of_the_live_database_win() {
    let mut target = Scratch::new(
        "CREATE TABLE public.t (id int, note text); CREATE TABLE public.gone ();
         CREATE SEQUENCE public.s; CREATE FUNCTION public.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    .await;
    let role = target
        .role(
            "app",
            "CREATE ROLE {role} LOGIN;
             GRANT SELECT, INSERT ON public.t TO {role}; GRANT UPDATE (note) ON public.t TO {role};
             GRANT USAGE ON SEQUENCE public.s TO {role} WITH GRANT OPTION;
             REVOKE EXECUTE ON FUNCTION public.f(int) FROM PUBLIC;
             REVOKE USAGE ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO {role};
             ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {role}",
        )
        .await;
    let live = target.name().to_owned();
    target
        .run(&format!(
            "ALTER DATABASE {live} SET search_path = '$user', public;
             ALTER DATABASE {live} SET work_mem = '7MB'; ALTER DATABASE {live} CONNECTION LIMIT 50;
             COMMENT ON DATABASE {live} IS 'it''s mine';
             REVOKE CONNECT ON DATABASE {live} FROM PUBLIC; GRANT CONNECT ON DATABASE {live} TO {role};
             ALTER ROLE {role} IN DATABASE {live} SET statement_timeout = '9s'"
        ))
        .await;
    let source = Scratch::new(
        "CREATE TABLE public.t (id int, note text); CREATE TABLE public.added ();
         CREATE SEQUENCE public.s; CREATE FUNCTION public.f(int) RETURNS int LANGUAGE sql AS 'SELECT 2'",
    )
    .await;
    let name = source.name();
    source
        .run(&format!(
            "ALTER DATABASE {name} SET work_mem = '9MB'; ALTER DATABASE {name} SET app.secret = 'hunter2';
             ALTER DATABASE {name} SET random_page_cost = 2"
        ))
        .await;
    let carried = Carried::from(&source.endpoint).await;
    assert!(!carried.database.to_string().contains("hunter2"));
    let loaded = Target::prepare(&target.endpoint, carried.options()).await.unwrap();
    carried.load(&loaded).await;
    swap::swap(&target.endpoint).await.unwrap();
    let has = |what: &str| format!("SELECT {}", what.replace("ROLE", &format!("'{role}'")));
    for (query, expected) in [
        (has("has_table_privilege(ROLE, 'public.t', 'INSERT')"), "t"),
        (has("has_table_privilege(ROLE, 'public.t', 'DELETE')"), "f"),
        (has("has_column_privilege(ROLE, 'public.t', 'note', 'UPDATE')"), "t"),
        (has("has_column_privilege(ROLE, 'public.t', 'id', 'UPDATE')"), "f"),
        (has("has_table_privilege(ROLE, 'public.added', 'SELECT')"), "t"),
        (has("has_sequence_privilege(ROLE, 'public.s', 'USAGE WITH GRANT OPTION')"), "t"),
        (has("has_function_privilege(ROLE, 'public.f(int)', 'EXECUTE')"), "f"),
        (has("has_schema_privilege(ROLE, 'public', 'USAGE')"), "t"),
        (has("has_schema_privilege('pg_monitor', 'public', 'USAGE')"), "f"),
        (has("has_database_privilege('pg_monitor', current_database(), 'CONNECT')"), "f"),
        (has("has_database_privilege(ROLE, current_database(), 'CONNECT')"), "t"),
        (has("count(*) FROM pg_default_acl"), "1"),
        (has("datconnlimit FROM pg_database WHERE datname = current_database()"), "50"),
        (
            has(
                "shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()",
            ),
            "it's mine",
        ),
        (
            has("string_agg(c, ' ; ' ORDER BY c) FROM pg_db_role_setting, unnest(setconfig) c \
              WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())"),
            "random_page_cost=2 ; search_path=\"$user\", public ; statement_timeout=9s ; work_mem=7MB",
        ),
        (has("public.f(1)"), "2"),
    ] {
        assert_eq!(target.value(&query).await, expected, "{query}");
    }
    assert!(loaded.remarks().iter().any(|remark| remark.contains("app.secret")));
    let previous = pfdata::store::postgres::names::Names::of(target.name()).previous;
    for database in [target.name(), &previous] {
        let mut endpoint = target.endpoint.clone();
        database.clone_into(&mut endpoint.database);
        let client = pfdata::store::postgres::connect::connect(&endpoint, None).await.unwrap();
        client.batch_execute(&format!("DROP OWNED BY {role}")).await.unwrap();
    }
}

#[tokio::test]
async fn another_owner_owns_everything() {
    let source = Scratch::new(
        "CREATE EXTENSION hstore WITH SCHEMA public; CREATE SCHEMA app; CREATE TYPE app.e AS ENUM ('a');
         CREATE TABLE app.t (id serial PRIMARY KEY, e app.e); INSERT INTO app.t (e) VALUES ('a');
         CREATE MATERIALIZED VIEW app.m AS SELECT count(*) FROM app.t",
    )
    .await;
    let carried = Carried::from(&source.endpoint).await;
    let mut target = Scratch::new("").await;
    let role = target.role("owner", "CREATE ROLE {role} LOGIN").await;
    let mut options = carried.options();
    options.owner = Some(role.clone());
    let loaded = Target::prepare(&target.endpoint, options).await.unwrap();
    carried.load(&loaded).await;
    swap::swap(&target.endpoint).await.unwrap();
    let owners = "SELECT string_agg(DISTINCT pg_get_userbyid(relowner), ',') FROM pg_class \
                  WHERE relnamespace = 'app'::regnamespace";
    assert_eq!(target.value(owners).await, role);
    assert_eq!(
        target
            .value("SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'app'")
            .await,
        role
    );
    assert_eq!(target.value("SELECT count FROM app.m").await, "1");
    assert!(loaded.remarks().is_empty(), "{:?}", loaded.remarks());
}

#[tokio::test]
async fn a_locale_that_is_missing_here_is_remarked() {
    let source = Scratch::new("CREATE TABLE public.t ()").await;
    let carried = Carried::from(&source.endpoint).await;
    for (key, value) in [("collate", "xx_XX.UTF-8"), ("provider", "b")] {
        let target = Scratch::absent();
        let mut options = carried.options();
        options.database[key] = value.into();
        options.database["locale"] = "nowhere".into();
        let loaded = Target::prepare(&target.endpoint, options).await.unwrap();
        let remarks = loaded.remarks().join("\n");
        assert!(remarks.contains("locale"), "{remarks}");
    }
}

#[tokio::test]
async fn schema_mode_is_refused_by_name() {
    let source = Scratch::new("CREATE SCHEMA app; CREATE TABLE app.t ()").await;
    let mut limited = source.endpoint.clone();
    limited.schemas = vec!["app".to_owned()];
    let carried = Carried::from(&limited).await;

    let shared =
        Scratch::new("CREATE SCHEMA app; CREATE SCHEMA other; CREATE TABLE other.t ()").await;
    let mut endpoint = shared.endpoint.clone();
    endpoint.schemas = vec!["app".to_owned()];
    let error = Target::prepare(&endpoint, carried.options()).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("refresh.mode = schema"), "{error}");
    assert!(swap::state(&endpoint).await.unwrap().new.is_none());

    let own = Scratch::new("CREATE SCHEMA app").await;
    let mut endpoint = own.endpoint.clone();
    endpoint.schemas = vec!["app".to_owned()];
    let loaded = Target::prepare(&endpoint, carried.options()).await.unwrap();
    carried.load(&loaded).await;
    swap::swap(&endpoint).await.unwrap();
    assert_eq!(own.value("SELECT count(*) FROM app.t").await, "0");
}

#[tokio::test]
async fn environment_sql_runs_as_one_transaction_each() {
    let source = Scratch::new("CREATE TABLE public.t (id int)").await;
    let carried = Carried::from(&source.endpoint).await;
    let target = Scratch::absent();
    let loaded = Target::prepare(&target.endpoint, carried.options()).await.unwrap();
    carried.load(&loaded).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, sql: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, sql).unwrap();
        path
    };
    // The search path is an application's.
    let good = file("1.sql", "INSERT INTO t VALUES (1);\nINSERT INTO t VALUES (2);");
    loaded.run_sql(&[good]).await.unwrap();
    let bad = file("2.sql", "INSERT INTO t VALUES (3);\n\nINSERT INTO nowhere VALUES (1);");
    let error = loaded.run_sql(&[bad]).await.unwrap_err();
    assert!(error.to_string().contains("2.sql failed at line 3"), "{error}");
    let cheat = file("3.sql", "COMMIT; BEGIN;");
    let error = loaded.run_sql(&[cheat]).await.unwrap_err();
    assert!(error.to_string().contains("ends its transaction"), "{error}");
    let table = TableRef::from(&carried.source.catalog().tables[0]);
    assert_eq!(loaded.count(&table).await.unwrap(), 2);
}

#[tokio::test]
async fn a_constraint_that_does_not_hold_is_told_without_its_values() {
    let source = Scratch::new("CREATE TABLE public.t (email text UNIQUE)").await;
    let carried = Carried::from(&source.endpoint).await;
    let target = Scratch::absent();
    let loaded = Target::prepare(&target.endpoint, carried.options()).await.unwrap();
    loaded.load_pre_data(&carried.path()).await.unwrap();
    let loader = loaded.loader().await.unwrap();
    let table = TableRef::from(&carried.source.catalog().tables[0]);
    let (sender, mut blocks) = mpsc::channel::<Block<Cleared>>(1);
    let rows = b"jane@example.com\njane@example.com\n".to_vec();
    sender.send(Block::cleared(rows, 2, &permit())).await.unwrap();
    drop(sender);
    loader.load(&table, &mut blocks, 2, true).await.unwrap();
    let error = loaded.load_post_data(&carried.path(), 2).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("t_email_key"), "{text}");
    assert!(!text.contains("jane"), "{text}");
}

#[tokio::test]
async fn a_missing_role_and_a_broken_archive_are_clear() {
    let mut source = Scratch::new("CREATE TABLE public.t (id int)").await;
    let role = source.role("policy", "CREATE ROLE {role}").await;
    source.run(&format!("CREATE POLICY p ON public.t TO {role} USING (true)")).await;
    let carried = Carried::from(&source.endpoint).await;
    let (path, options) = (carried.path(), carried.options());
    carried.source.finish().await.unwrap();
    source.run(&format!("DROP POLICY p ON public.t; DROP ROLE {role}")).await;
    let target = Scratch::absent();
    let loaded = Target::prepare(&target.endpoint, options).await.unwrap();
    loaded.load_pre_data(&path).await.unwrap();
    let error = loaded.load_post_data(&path, 1).await.unwrap_err();
    assert!(error.hint_text().is_some_and(|hint| hint.contains(&role)), "{error}");

    let broken = carried.archive.path().join("broken.dump");
    std::fs::write(&broken, b"PGDMP nonsense").unwrap();
    let error = loaded.load_pre_data(&broken).await.unwrap_err();
    assert!(error.to_string().contains("cannot read the schema archive"), "{error}");
}
