//! The contract's own example, its defaults, and what is refused by name.

use super::*;

#[test]
fn the_example_of_the_contract_loads_as_it_is() {
    let project = contract();
    let config = project.config();
    assert_eq!(config.environments(), ["development", "production"]);
    let production = config.environment("prod").unwrap();
    assert_eq!((production.class, production.protected), (Class::Live, true));
    assert_eq!(production.stores(), StoreKind::ALL);
    assert_eq!(production.repository().unwrap().path, Path::new("/backups"));
    let raw = &production.data.sets[0];
    assert_eq!((raw.name.as_str(), raw.anonymize, raw.jobs), ("raw", false, 4));
    assert_eq!((raw.compression, raw.from_replica), (Compression::Zstd(1), true));
    let kept = raw.retention.unwrap();
    assert_eq!((kept.keep_within, kept.keep_monthly), (Some(days(30)), Some(12)));
    assert_eq!((kept.max_age, kept.keep_last), (Some(days(366)), None));
    let set = production.set("anonymized").unwrap();
    assert!(set.anonymize);
    assert_eq!(set.repository.url, "file:///backups");
    assert_eq!(set.schedule.as_ref().unwrap().as_str(), "0 4 * * 0");
    assert_eq!(production.data.limits.rate, Some(200 << 20));
    assert_eq!(production.data.limits.replica_lag, Some(Duration::from_secs(60)));
    assert_eq!(production.data.migrate, Require::Confirm);
    assert_eq!(production.data.objectives.rto, Some(Duration::from_secs(3600)));
    assert_eq!(production.data.schedules.drill.as_ref().unwrap().as_str(), "0 7 1 */3 *");

    let development = config.environment("dev").unwrap();
    let refresh = &development.data.refresh;
    assert_eq!(refresh.from.as_deref(), Some("production/anonymized"));
    assert_eq!(refresh.max_age, Some(days(8)));
    assert_eq!((refresh.mode, refresh.migrate), (Mode::Auto, Some(true)));
    assert_eq!(refresh.treatment(StoreKind::Redis), Treatment::Empty);
    assert_eq!(refresh.treatment(StoreKind::Postgres), Treatment::Snapshot);
    assert_eq!(refresh.keep_previous, KeepPrevious::For(days(7)));
    assert_eq!(refresh.hooks.before, [["scripts/wake"]]);
    assert_eq!(refresh.seeds, ["development"]);
    usage(
        &project.tidy(development.repository().unwrap_err()),
        "config/development.json: `data.repository` must be given",
    );
}

#[test]
fn the_endpoints_of_the_example() {
    let project = contract()
        .variable("PFDATA_PG_PASSWORD", "own")
        .variable("PROD_DB_PASSWORD", "the-applications");
    let config = project.config();
    let production = config.environment("production").unwrap();
    let postgres = production.postgres().unwrap().unwrap();
    assert_eq!((postgres.host.as_str(), postgres.port), ("prod-postgres.internal", 5432));
    assert_eq!(postgres.username, "pfdata");
    assert_eq!(postgres.password.unwrap().expose(), "own");
    assert_eq!(postgres.schemas, ["public"]);
    assert_eq!(postgres.connect_timeout, Duration::from_secs(10));
    assert!(postgres.tls.required && postgres.tls.verify && postgres.tls.tls13_only);
    assert_eq!(postgres.tls.ca.unwrap(), project.path().join("certs/ca.pem"));
    usage(
        &project.tidy(production.redis().unwrap_err()),
        "config/production.json: `database.redis.cluster` is not built yet",
    );
    let development = config.environment("development").unwrap();
    let mongodb = development.mongodb().unwrap().unwrap();
    assert_eq!(mongodb.uri.expose(), "mongodb://localhost:27017/");
    assert_eq!(
        (mongodb.address.as_str(), mongodb.database.as_str()),
        ("localhost:27017", "app_dev")
    );
    assert_eq!(development.redis().unwrap().unwrap().db, 3);
}

#[test]
fn a_development_host_needs_no_secret_of_production() {
    let project = contract();
    let config = project.load(Some("development")).unwrap();
    assert!(config.environment("development").unwrap().postgres().unwrap().is_some());
    let production = config.environment("production").unwrap();
    assert!(production.repository().is_ok());
    assert!(production.set("anonymized").is_ok());
    let error = project.tidy(production.postgres().unwrap_err());
    usage(
        &error,
        "config/production.json: `data.connect.postgres.password` needs ${PFDATA_PG_PASSWORD}, \
         which is not set",
    );
    assert_eq!(
        error.hint_text(),
        Some("set it in the process environment, in config/secrets/production.env or in .env")
    );
    usage(
        &project.tidy(production.anonymize_key().unwrap_err()),
        "config/production.json: `data.anonymize.key` needs ${PFDATA_ANONYMIZE_KEY}, which is not \
         set",
    );
}

#[test]
fn defaults() {
    let project = Project::new().environment("test", json!({ "data": { "class": "synthetic" } }));
    let test = project.config().environment("test").unwrap();
    assert_eq!(test.stores(), []);
    assert!(!test.protected && test.repository_id.is_none());
    assert_eq!(test.set_names(), ["raw", "anonymized"]);
    assert_eq!(test.data.sets[1].compression, Compression::Zstd(1));
    assert!((1..=8).contains(&test.data.sets[1].jobs));
    assert_eq!(test.data.sets[0].retention, None);
    let refresh = &test.data.refresh;
    assert_eq!((refresh.keep_previous, refresh.migrate), (KeepPrevious::UntilNextJob, None));
    assert!(!refresh.backup_before && refresh.sql.is_empty() && refresh.seeds.is_empty());
    assert_eq!((test.data.migrate, test.data.uncovered), (Require::None, Uncovered::Fail));
    assert_eq!(test.data.encryption, None);
    assert!(test.postgres().unwrap().is_none());
    assert!(test.redis().unwrap().is_none());
    assert!(test.mongodb().unwrap().is_none());
    assert_eq!(test.rules_folder().unwrap(), None);
    assert!(test.anonymize_key().unwrap().is_none());
}

#[test]
fn sets_and_their_repositories() {
    let data = json!({
        "class": "live", "repository": "file://./store", "repository_id": "one",
        "snapshots": {
            "weekly": { "anonymize": true, "repository": "file:///other%20place" },
            "far": { "anonymize": false, "repository": "s3://bucket" }
        }
    });
    let project = Project::new().environment("t", json!({ "data": data }));
    let t = project.config().environment("t").unwrap();
    assert_eq!(t.set_names(), ["raw", "anonymized", "weekly", "far"]);
    let raw = t.set("raw").unwrap();
    assert_eq!(raw.repository.path, project.path().join("store"));
    assert_eq!(raw.repository_id.as_deref(), Some("one"));
    let weekly = t.set("weekly").unwrap();
    assert_eq!(weekly.repository.path, Path::new("/other place"));
    assert_eq!((weekly.repository_id.as_deref(), weekly.anonymize), (None, true));
    let previous = t.set("previous").unwrap();
    assert_eq!((previous.name.as_str(), previous.anonymize), ("previous", false));
    // What was real lies with what is real; below live it is not.
    for (class, raw) in [("live", true), ("anonymized", false), ("synthetic", false)] {
        let data = json!({ "class": class, "repository": "file://./store", "repository_id": "one",
            "snapshots": { "raw": { "repository": "file:///vault", "repository_id": "two" } } });
        let project = Project::new().environment("t", json!({ "data": data }));
        let previous = project.config().environment("t").unwrap().set("previous").unwrap();
        let (place, id) =
            if raw { ("/vault".into(), "two") } else { (project.path().join("store"), "one") };
        assert_eq!(
            (previous.repository.path, previous.repository_id.as_deref()),
            (place, Some(id))
        );
    }
    usage(
        &project.tidy(t.set("far").unwrap_err()),
        "config/t.json: `data.snapshots.far.repository` with s3:// is not built yet",
    );
    let error = t.set("weakly").unwrap_err();
    assert_eq!((error.kind(), error.hint_text()), (Kind::Usage, Some("did you mean `weekly`?")));
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    use JobKind::{Read, Refresh, Restore, Rollback, Rules, Seed, Snapshot};
    for (data, job, set, refused) in [
        (json!({ "encryption": { "key": "k" } }), Snapshot, Some("raw"), Some("data.encryption")),
        (json!({ "encryption": { "key": "k" } }), Read, None, Some("data.encryption")),
        (json!({ "encryption": { "key": "k" } }), Seed, None, None),
        (json!({ "limits": { "rate": "1MB/s" } }), Restore, None, Some("data.limits.rate")),
        (json!({ "limits": { "duration": "1h" } }), Rollback, None, Some("data.limits.duration")),
        (json!({ "limits": { "replica_lag": "1h" } }), Seed, None, Some("data.limits.replica_lag")),
        (json!({ "limits": {} }), Snapshot, None, None),
        (
            json!({ "refresh": { "hooks": { "loaded": [["x"]] } } }),
            Refresh,
            None,
            Some("data.refresh.hooks.loaded"),
        ),
        (json!({ "refresh": { "hooks": { "loaded": [] } } }), Refresh, None, None),
        (json!({ "refresh": { "migrate": true } }), Refresh, None, Some("data.refresh.migrate")),
        (json!({ "refresh": { "migrate": false } }), Refresh, None, None),
        (json!({}), Refresh, None, None),
        (json!({ "refresh": { "mode": "schema" } }), Refresh, None, Some("data.refresh.mode")),
        (json!({ "refresh": { "mode": "in-place" } }), Restore, None, Some("data.refresh.mode")),
        (json!({ "refresh": { "mode": "database" } }), Refresh, None, None),
        (
            json!({ "snapshots": { "raw": { "from_replica": true } } }),
            Snapshot,
            Some("raw"),
            Some("data.snapshots.raw.from_replica"),
        ),
        (
            json!({ "snapshots": { "raw": { "from_replica": true } } }),
            Snapshot,
            Some("anonymized"),
            None,
        ),
        (
            json!({ "anonymize": { "uncovered": "redact" } }),
            Snapshot,
            Some("anonymized"),
            Some("data.anonymize.uncovered"),
        ),
        (json!({ "anonymize": { "uncovered": "redact" } }), Snapshot, Some("raw"), None),
        (
            json!({ "anonymize": { "uncovered": "redact" } }),
            Rules,
            None,
            Some("data.anonymize.uncovered"),
        ),
    ] {
        let mut data = data;
        data["class"] = json!("live");
        let project = Project::new().environment("t", json!({ "data": data }));
        let result = project.config().environment("t").unwrap().refuse_unbuilt(job, set);
        match refused {
            None => assert!(result.is_ok(), "{data} {job:?}"),
            Some(path) => usage(
                &project.tidy(result.unwrap_err()),
                &format!("config/t.json: `{path}` is not built yet"),
            ),
        }
    }
}

#[test]
fn folders_that_are_configured_must_exist() {
    let data = json!({ "class": "synthetic", "anonymize": { "rules": "rules" }, "refresh": { "sql": ["sql/a"] } });
    let project = Project::new().environment("t", json!({ "data": data }));
    let t = project.config().environment("t").unwrap();
    usage(
        &project.tidy(t.sql_folders().unwrap_err()),
        "config/t.json: the folder sql/a of `data.refresh.sql` does not exist",
    );
    assert_eq!(t.rules_folder().unwrap_err().kind(), Kind::Usage);
    std::fs::create_dir_all(project.path().join("sql/a")).unwrap();
    std::fs::create_dir_all(project.path().join("rules")).unwrap();
    assert_eq!(t.sql_folders().unwrap(), [project.path().join("sql/a")]);
    assert_eq!(t.rules_folder().unwrap(), Some(project.path().join("rules")));
}

#[test]
fn weak_keys_are_refused_where_they_are_used() {
    let blank = " ".repeat(32);
    for (key, told) in [
        ("hush-hush", "config/t.json: `data.anonymize.key` must be at least 32 bytes long"),
        (
            &*blank,
            "config/t.json: `data.anonymize.key` is worth an estimated 0 bits and must be worth at least 128",
        ),
        (
            "hush-hush-hush-hush-hush-hush-hush-hush",
            "config/t.json: `data.anonymize.key` is worth an estimated 18 bits and must be worth at least 128",
        ),
    ] {
        let data = json!({ "class": "live", "anonymize": { "key": key } });
        let project = Project::new().environment("t", json!({ "data": data }));
        let t = project.config().environment("t").unwrap();
        let error = project.tidy(t.anonymize_key().unwrap_err());
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().starts_with(told), "{error}");
        assert_eq!(error.hint_text(), Some("make one with: openssl rand -base64 32"));
        assert!(!format!("{error:?}").contains("hush"));
    }
}

#[test]
fn relative_paths_start_beside_the_config_folder_however_it_is_named() {
    let data = json!({ "class": "synthetic", "repository": "file://store" });
    let project = Project::new().environment("t", json!({ "data": data }));
    let real = project.path().canonicalize().unwrap();
    for folder in ["config", "config/", "./config", "config/secrets/.."] {
        let config = Config::load_with(&project.path().join(folder), None, HashMap::new()).unwrap();
        let path = config.environment("t").unwrap().repository().unwrap().path;
        assert!(path == project.path().join("store") || path == real.join("store"), "{path:?}");
    }
}

#[test]
fn a_configuration_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<Config>();
    shared::<pfdata::config::Environment>();
    shared::<pfdata::config::Stores>();
}
