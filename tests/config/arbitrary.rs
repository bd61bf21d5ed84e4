//! No configuration makes pfdata panic.

use proptest::prelude::*;

use super::*;

/// Words that lead arbitrary JSON into every corner of the contract.
fn key() -> impl Strategy<Value = String> {
    let known = [
        "database",
        "data",
        "postgres",
        "redis",
        "mongodb",
        "url",
        "host",
        "port",
        "db",
        "ssl",
        "cluster",
        "schemas",
        "username",
        "password",
        "connectionTimeout",
        "spareDb",
        "class",
        "refresh",
        "from",
        "snapshots",
        "raw",
        "retention",
        "keep_last",
        "limits",
        "rate",
        "hooks",
        "before",
        "connect",
        "repository",
        "anonymize",
        "key",
        "stores",
        "schedule",
        "ca",
    ];
    prop_oneof![8 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,6}"]
}

fn text() -> impl Strategy<Value = String> {
    let known = [
        "live",
        "synthetic",
        "${A}",
        "${file:/nonexistent}",
        "postgres://u:${A}@h/d",
        "7d",
        "redis://h/1",
        "mongodb+srv://h",
        "0 2 * * *",
        "zstd:1",
        "file:///x",
        "200MiB/s",
        "${",
        "postgres://[::1",
        "é://é@é/é?é",
        "mongodb://h,h:1/?w=1",
        "true",
        "1",
    ];
    let known = proptest::sample::select(known.to_vec()).prop_map(str::to_owned);
    prop_oneof![4 => known, 1 => ".{0,12}"].prop_map(|text| text.replace("${cmd:", ""))
}

fn arbitrary() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 48, 8, |inner| {
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            4 => proptest::collection::hash_map(key(), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_configuration_makes_it_panic(
        data in arbitrary(), database in arbitrary(), default in arbitrary(),
        variable in "(PFDATA_T?__[A-Z_]{0,20}|PFDATA__DATA__(CLASS|REFRESH|SNAPSHOTS__X))", value in text(),
    ) {
        let mut data = data;
        if let Some(data) = data.as_object_mut() {
            data.entry("class").or_insert_with(|| json!("live"));
        }
        let project = Project::new()
            .environment("t", json!({ "database": database, "data": data }))
            .environment("default", json!({ "database": default }))
            .variable(&variable, &value)
            .variable("A", "b");
        if let Ok(config) = project.load(Some("t")) {
            use_all(&config)?;
        }
    }

    #[test]
    fn no_text_makes_it_panic(json in ".{0,200}", env in "(.|\n){0,200}") {
        let project = Project::new()
            .file("config/t.json", &json)
            .file("config/u.json", r#"{"data": {"class": "live"}}"#)
            .file("config/secrets/u.env", &env)
            .file(".env", &env);
        if let Err(error) = project.load(None) {
            prop_assert_eq!(error.kind(), Kind::Usage);
        }
    }
}

/// Every kind of value at every place that pfdata reads.
const PATHS: [&str; 64] = [
    "database.postgres.url",
    "database.postgres.host",
    "database.postgres.port",
    "database.postgres.database",
    "database.postgres.username",
    "database.postgres.password",
    "database.postgres.ssl",
    "database.postgres.ssl.required",
    "database.postgres.ssl.ca",
    "database.postgres.ssl.minVersion",
    "database.postgres.schemas",
    "database.postgres.connectionTimeout",
    "database.redis.url",
    "database.redis.host",
    "database.redis.port",
    "database.redis.db",
    "database.redis.database",
    "database.redis.password",
    "database.redis.cluster",
    "database.redis.spareDb",
    "database.mongodb.url",
    "database.mongodb.host",
    "database.mongodb.port",
    "database.mongodb.database",
    "database.mongodb.username",
    "database.mongodb.authSource",
    "database.mongodb.replicaSet",
    "database.mongodb.ssl",
    "database.mongodb.cluster",
    "data.protected",
    "data.repository",
    "data.repository_id",
    "data.connect.postgres.url",
    "data.connect.postgres.username",
    "data.connect.redis.url",
    "data.connect.redis.port",
    "data.connect.mongodb.url",
    "data.connect.mongodb.host",
    "data.snapshots.raw.repository",
    "data.snapshots.raw.schedule",
    "data.snapshots.raw.jobs",
    "data.snapshots.raw.compression",
    "data.snapshots.raw.from_replica",
    "data.snapshots.raw.retention.keep_last",
    "data.snapshots.raw.retention.keep_within",
    "data.snapshots.x.anonymize",
    "data.limits.rate",
    "data.limits.duration",
    "data.migrate.require",
    "data.anonymize.rules",
    "data.anonymize.key",
    "data.anonymize.uncovered",
    "data.encryption.key",
    "data.objectives.rto",
    "data.schedules.drill",
    "data.refresh.from",
    "data.refresh.max_age",
    "data.refresh.mode",
    "data.refresh.migrate",
    "data.refresh.stores.redis",
    "data.refresh.sql",
    "data.refresh.seeds",
    "data.refresh.keep_previous",
    "data.refresh.hooks.before",
];

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => text().prop_map(Value::String),
        1 => any::<bool>().prop_map(Value::Bool),
        2 => (0_u64..70_000).prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => proptest::collection::vec(text(), 0..3).prop_map(Value::from),
    ]
}

fn put(root: &mut Value, path: &str, value: Value) {
    let mut node = root;
    for part in path.split('.') {
        if !node.is_object() {
            *node = json!({});
        }
        node = &mut node[part];
    }
    *node = value;
}

/// Values that a place accepts, most of the time, so that what comes after it is reached.
fn fitting(path: &'static str) -> BoxedStrategy<Value> {
    let store = path.split('.').find(|part| ["postgres", "redis", "mongodb"].contains(part));
    let names = ["h", "${A}", "é", "::1", "/run/x", "x_y", "a b"];
    let name = proptest::sample::select(names.to_vec()).prop_map(Value::from);
    let good = match path.rsplit('.').next().unwrap_or("") {
        "url" | "cluster" => url(store.unwrap_or("redis")).boxed(),
        "host" | "username" | "password" | "authSource" | "replicaSet" | "ca" => name.boxed(),
        "port" => prop_oneof![(1_u64..65_536).prop_map(Value::from), Just(json!("${P}"))].boxed(),
        "db" | "database" => prop_oneof![Just(json!("1")), Just(json!("${P}"))].boxed(),
        "spareDb" => (0_u64..16).prop_map(Value::from).boxed(),
        _ => return leaf().boxed(),
    };
    prop_oneof![8 => good, 1 => leaf()].boxed()
}

fn url(store: &str) -> impl Strategy<Value = Value> + use<> {
    let schemes = match store {
        "postgres" => ["postgres", "postgresql", "${S}"],
        "redis" => ["redis", "rediss", "valkey"],
        _ => ["mongodb", "mongodb+srv", "${S}"],
    };
    let pick = |parts: &[&'static str]| proptest::sample::select(parts.to_vec());
    let users = ["", "u@", "u:p@", "${A}:${A}@", ":%41@", "u:é%@", "${S}@"];
    let hosts = ["", "h", "h:1", "[::1]:2", "h,i:3", "${A}", "h:${P}", "[", "h:0", ":"];
    let paths = ["", "/", "/1", "/${P}", "/a%20b", "/%ff"];
    let options =
        ["", "?a=b", "?db=2", "?sslmode=require", "?tls=true&w=majority", "?w=${A}", "?x"];
    (pick(&schemes), pick(&users), pick(&hosts), pick(&paths), pick(&options)).prop_map(
        |(scheme, user, host, path, option)| {
            Value::from(format!("{scheme}://{user}{host}{path}{option}"))
        },
    )
}

fn placed() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let stores: Vec<_> = PATHS
        .into_iter()
        .filter(|path| path.starts_with("database") || path.contains("connect"))
        .collect();
    let path = prop_oneof![
        6 => proptest::sample::select(stores),
        1 => proptest::sample::select(PATHS.to_vec()),
    ];
    let pair = path.prop_flat_map(|path| fitting(path).prop_map(move |value| (path, value)));
    proptest::collection::vec(pair, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_value_at_a_known_place_makes_it_panic(
        own in placed(), default in placed(), neighbour in placed(), variables in placed(),
    ) {
        let file = |values: Vec<(&str, Value)>| {
            let mut root = json!({ "data": { "class": "synthetic" } });
            for store in StoreKind::ALL {
                put(&mut root, &format!("database.{store}"), json!({ "database": "0" }));
            }
            for (path, value) in values {
                put(&mut root, path, value);
            }
            root
        };
        let mut project = Project::new()
            .environment("t", file(own))
            .environment("default", file(default))
            .environment("u", file(neighbour))
            .variable("A", "b/@:?#%")
            .variable("P", "7")
            .variable("S", "x://y");
        for (path, value) in variables {
            let name = path.replace('.', "__").to_uppercase();
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            project = project.variable(&format!("PFDATA_T__{name}"), &text);
        }
        match project.load(Some("t")) {
            Ok(config) => use_all(&config)?,
            Err(error) => prop_assert_eq!(error.kind(), Kind::Usage),
        }
    }
}

/// Uses everything of `t`; whatever is wrong is exit 2.
fn use_all(config: &Config) -> Result<(), TestCaseError> {
    if config.environments().is_empty() {
        return Ok(());
    }
    prop_assert!(!config.show("t").unwrap().is_empty());
    let t = match config.environment("t") {
        Ok(t) => t,
        Err(error) => {
            prop_assert_eq!(error.kind(), Kind::Usage);
            return Ok(());
        }
    };
    for result in [
        t.postgres().map(drop),
        t.redis().map(drop),
        t.mongodb().map(drop),
        t.repository().map(drop),
        t.set("raw").map(drop),
        t.anonymize_key().map(drop),
        t.rules_folder().map(drop),
        t.sql_folders().map(drop),
        t.refuse_unbuilt(JobKind::Refresh, None),
    ] {
        if let Err(error) = result {
            prop_assert_eq!(error.kind(), Kind::Usage);
        }
    }
    Ok(())
}
