//! What is said of wrong keys, values and files.

use super::*;

#[test]
fn unknown_keys_of_data_are_errors_with_a_suggestion() {
    for (data, message, hint) in [
        (json!({ "retention": {} }), "unknown key `data.retention`", "known are"),
        (json!({ "protectd": true }), "unknown key `data.protectd`", "did you mean `protected`?"),
        (
            json!({ "refresh": { "hooks": { "befor": [] } } }),
            "unknown key `data.refresh.hooks.befor`",
            "did you mean `before`?",
        ),
        (
            json!({ "snapshots": { "raw": { "retension": {} } } }),
            "unknown key `data.snapshots.raw.retension`",
            "did you mean `retention`?",
        ),
        (
            json!({ "connect": { "postgres": { "database": "x" } } }),
            "unknown key `data.connect.postgres.database`",
            "known are",
        ),
    ] {
        let mut data = data;
        data["class"] = json!("synthetic");
        let error = Project::new().environment("test", json!({ "data": data })).error();
        usage(&error, &format!("config/test.json: {message}"));
        assert!(error.hint_text().unwrap().starts_with(hint), "{:?}", error.hint_text());
    }
}

#[test]
fn wrong_values_name_file_path_and_what_is_expected() {
    for (data, message) in [
        (
            json!({ "class": "prod" }),
            "`data.class` must be one of `live`, `production-like`, `anonymized`, `synthetic`",
        ),
        (
            json!({ "class": 1 }),
            "`data.class` must be one of `live`, `production-like`, `anonymized`, `synthetic`",
        ),
        (json!({ "protected": "true" }), "`data.protected` must be true or false"),
        (
            json!({ "refresh": { "max_age": "8" } }),
            "`data.refresh.max_age` must be a duration such as `60s`, `5m`, `6h`, `8d` or `2w`",
        ),
        (
            json!({ "refresh": { "max_age": 8 } }),
            "`data.refresh.max_age` must be a duration such as `60s`, `5m`, `6h`, `8d` or `2w`",
        ),
        (
            json!({ "refresh": { "mode": "inplace" } }),
            "`data.refresh.mode` must be one of `auto`, `database`, `schema`, `in-place`",
        ),
        (
            json!({ "refresh": { "migrate": "yes" } }),
            "`data.refresh.migrate` must be true or false",
        ),
        (
            json!({ "refresh": { "stores": { "redis": "flush" } } }),
            "`data.refresh.stores.redis` must be one of `snapshot`, `empty`, `keep`",
        ),
        (
            json!({ "refresh": { "keep_previous": "0s" } }),
            "`data.refresh.keep_previous` must be true, false or a duration such as `60s`, `5m`, `6h`, `8d` or `2w`",
        ),
        (json!({ "refresh": { "sql": "x" } }), "`data.refresh.sql` must be a list of strings"),
        (
            json!({ "refresh": { "hooks": { "before": ["x"] } } }),
            "`data.refresh.hooks.before` must be a list of commands, each a list of strings such as [\"scripts/wake\"]",
        ),
        (
            json!({ "refresh": { "from": "a/b/c" } }),
            "`data.refresh.from` must be an environment, `ENV/SET` or a snapshot",
        ),
        (json!({ "refresh": true }), "`data.refresh` must be an object"),
        (
            json!({ "limits": { "rate": "200MiB" } }),
            "`data.limits.rate` must be a rate such as `200MiB/s` or `1GB/s`",
        ),
        (
            json!({ "migrate": { "require": "yes" } }),
            "`data.migrate.require` must be one of `none`, `validate`, `confirm`",
        ),
        (
            json!({ "anonymize": { "uncovered": "ignore" } }),
            "`data.anonymize.uncovered` must be one of `fail`, `redact`",
        ),
        (
            json!({ "encryption": { "algorithm": "rot13", "key": "k" } }),
            "`data.encryption.algorithm` must be one of `aes-256-gcm`",
        ),
        (json!({ "encryption": {} }), "`data.encryption.key` must be given"),
        (
            json!({ "schedules": { "verify": "@daily" } }),
            "`data.schedules.verify` must be a cron expression of five fields, such as `0 2 * * *`: it has 1 fields instead of five",
        ),
        (
            json!({ "snapshots": { "raw": { "jobs": "4" } } }),
            "`data.snapshots.raw.jobs` must be a whole number from 1 to 256",
        ),
        (
            json!({ "snapshots": { "raw": { "jobs": 0 } } }),
            "`data.snapshots.raw.jobs` must be a whole number from 1 to 256",
        ),
        (
            json!({ "snapshots": { "raw": { "compression": "lz4" } } }),
            "`data.snapshots.raw.compression` must be `zstd[:1-22]`, `gzip[:1-9]` or `none`",
        ),
        (
            json!({ "snapshots": { "raw": { "retention": { "keep_last": -1 } } } }),
            "`data.snapshots.raw.retention.keep_last` must be a whole number, 0 or more",
        ),
        (
            json!({ "snapshots": { "raw": { "anonymize": true } } }),
            "`data.snapshots.raw.anonymize` must be false: that is what the set `raw` is",
        ),
        (
            json!({ "snapshots": { "nightly": {} } }),
            "`data.snapshots.nightly.anonymize` must be given",
        ),
        (
            json!({ "snapshots": { "a b": {} } }),
            "`data.snapshots` has a set whose name cannot be used",
        ),
        (
            json!({ "snapshots": { "previous": { "anonymize": true } } }),
            "`data.snapshots` has a set whose name cannot be used",
        ),
        (
            json!({ "repository": "/backups" }),
            "`data.repository` must be a file://, s3://, gs:// or az:// url",
        ),
        (json!({ "repository": "${A" }), "`data.repository` holds `${` without `}`"),
        (json!({ "class": null }), "class must be given (`data.class`)"),
    ] {
        let mut data = data;
        if data.get("class").is_none() {
            data["class"] = json!("synthetic");
        }
        let error = Project::new().environment("test", json!({ "data": data })).error();
        usage(&error, &format!("config/test.json: {message}"));
    }
}

#[test]
fn wrong_values_of_a_store() {
    for (store, value, message) in [
        ("postgres", json!("postgres://h/d"), "`database.postgres` must be an object"),
        (
            "postgres",
            json!({ "port": 0 }),
            "`database.postgres.port` must be a whole number from 1 to 65535",
        ),
        (
            "postgres",
            json!({ "port": "x" }),
            "`database.postgres.port` must be a whole number from 1 to 65535",
        ),
        ("postgres", json!({ "host": 1 }), "`database.postgres.host` must be a string"),
        ("postgres", json!({ "password": 12345 }), "`database.postgres.password` must be a string"),
        (
            "postgres",
            json!({ "schemas": "public" }),
            "`database.postgres.schemas` must be a list of strings",
        ),
        (
            "postgres",
            json!({ "host": "u:p@h" }),
            "`database.postgres.host` must be a host name or an address",
        ),
        ("postgres", json!({ "ssl": "yes" }), "`database.postgres.ssl` must be true or false"),
        (
            "postgres",
            json!({ "ssl": { "minVersion": "1.1" } }),
            "`database.postgres.ssl.minVersion` must be one of `1.2`, `1.3`, `TLSv1.2`, `TLSv1.3`",
        ),
        (
            "postgres",
            json!({ "passwrod": "hush" }),
            "unknown key `database.postgres.passwrod`, one slip from `password`",
        ),
        (
            "postgres",
            json!({ "ssl": { "requird": true } }),
            "unknown key `database.postgres.ssl.requird`, one slip from `required`",
        ),
        (
            "postgres",
            json!({ "url": "mysql://u:hush@h" }),
            "`database.postgres.url` must begin with postgres://, postgresql://",
        ),
        (
            "postgres",
            json!({ "url": "postgres://u:hu/sh@h/d" }),
            "`database.postgres.url` holds `@` after the host; in a password write `/`, `?`, `@` as `%2F`, `%3F`, `%40`",
        ),
        (
            "postgres",
            json!({ "url": "postgres://h/d?sslmod=require" }),
            "`database.postgres.url` has the unknown option sslmod, one slip from sslmode",
        ),
        (
            "postgres",
            json!({ "url": "postgres://h/d?options=-c%20x" }),
            "`database.postgres.url` has the option options, which would weaken consistency",
        ),
        (
            "redis",
            json!({ "db": -1 }),
            "`database.redis.db` must be a whole number from 0 to 2147483647",
        ),
        (
            "redis",
            json!({ "db": 3, "spareDb": 3 }),
            "`database.redis.spareDb` must be another index than `db`",
        ),
        (
            "redis",
            json!({ "db": 3, "database": 4 }),
            "`database.redis.database` must be the same index as `db`",
        ),
        (
            "redis",
            json!({ "url": "redis://h/x" }),
            "`database.redis.url` must be a url whose path is the index of a Redis database, such as /0",
        ),
        (
            "mongodb",
            json!({ "url": "mongodb://h/d?readConcernLevel=local" }),
            "`database.mongodb.url` has the option readConcernLevel, which would weaken consistency",
        ),
        (
            "mongodb",
            json!({ "cluster": "mongodb+srv://h/d?w=1" }),
            "`database.mongodb.cluster` has the option w, which would weaken consistency",
        ),
        (
            "mongodb",
            json!({ "url": "mongodb://h/d?readPreference=secondary" }),
            "`database.mongodb.url` has the option readPreference, which would weaken consistency",
        ),
        (
            "mongodb",
            json!({ "url": "mongodb://h", "cluster": "mongodb://h" }),
            "`database.mongodb.url` is given and `database.mongodb.cluster` too",
        ),
    ] {
        let project = Project::new().environment("test", synthetic(json!({ store: value })));
        let error = project.error();
        usage(&error, &format!("config/test.json: {message}"));
        assert!(!format!("{error} {error:?}").contains("hush"));
    }
}

#[test]
fn broken_files_are_told_with_their_place() {
    let error = Project::new().file("config/test.json", "{\n \"data\": {,}\n}").error();
    usage(&error, "config/test.json is not valid JSON: key must be a string at line 2 column 11");
    let error = Project::new()
        .file("config/test.json", r#"{"data": {"class": "live", "class": "synthetic"}}"#)
        .error();
    usage(&error, "config/test.json: `data.class` is given twice");
    let error = Project::new()
        .environment("test", synthetic(json!({})))
        .file("config/secrets/test.env", "A=1\nhush hush\n")
        .error();
    usage(&error, "config/secrets/test.env: line 2 is not NAME=value");
    let error = Project::new()
        .environment("prod", synthetic(json!({})))
        .environment("production", synthetic(json!({})))
        .error();
    usage(&error, "the environments `prod` and `production` cannot be told apart");
    let project = Project::new();
    let error = Config::load_with(&project.path().join("none"), None, HashMap::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("does not exist"));
}

#[test]
fn an_unknown_environment_is_exit_10_with_a_suggestion() {
    let config = contract().config();
    let error = config.environment("prodution").unwrap_err();
    assert_eq!(error.kind().exit_code(), 10);
    assert_eq!(error.hint_text(), Some("did you mean `production`?"));
    let error = config.show("x").unwrap_err();
    assert_eq!(error.hint_text(), Some("known are development, production"));
}
