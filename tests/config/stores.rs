//! Endpoints: urls, keys beside them, `data.connect`, neighbours.

use super::*;

#[test]
fn keys_beside_a_url_override_its_parts_but_a_lower_layer_does_not() {
    let url = "postgres://u:p%40w@h:6000/d?sslmode=verify-full&connect_timeout=3";
    let project = Project::new()
        .file(
            "config/default.json",
            r#"{"database": {"postgres": {"host": "localhost", "port": 5433, "database": "dev"}}}"#,
        )
        .environment("a", synthetic(json!({ "postgres": { "url": url } })))
        .environment(
            "b",
            synthetic(json!({ "postgres": { "url": url, "host": "i", "database": "e", "password": "q", "ssl": false } })),
        )
        .environment("c", synthetic(json!({ "postgres": { "url": "postgres://u@h" } })))
        .variable("PFDATA_C__DATABASE__POSTGRES__PORT", "7000")
        .environment("d", synthetic(json!({ "postgres": { "username": "x" } })))
        .environment("e", synthetic(json!({ "postgres": { "url": "postgresql:///d?host=/run/pg&user=v&schema=s" } })));
    let config = project.config();
    let read = |name: &str| config.environment(name).unwrap().postgres().unwrap().unwrap();
    let a = read("a");
    assert_eq!((a.host.as_str(), a.port, a.database.as_str()), ("h", 6000, "d"));
    assert_eq!((a.username.as_str(), a.password.unwrap().expose()), ("u", "p@w"));
    assert!(a.tls.required && a.tls.verify);
    assert_eq!(a.connect_timeout, Duration::from_secs(3));
    let b = read("b");
    assert_eq!((b.host.as_str(), b.port, b.database.as_str()), ("i", 6000, "e"));
    assert_eq!(b.password.unwrap().expose(), "q");
    assert!(!b.tls.required);
    let c = read("c");
    assert_eq!((c.host.as_str(), c.port, c.database.as_str()), ("h", 7000, "dev"));
    let d = read("d");
    assert_eq!((d.host.as_str(), d.port), ("localhost", 5433));
    let e = read("e");
    assert_eq!((e.host.as_str(), e.username.as_str(), e.database.as_str()), ("/run/pg", "v", "d"));
    assert_eq!(e.schemas, ["s"]);
}

#[test]
fn references_in_a_url_keep_to_their_part() {
    let project = Project::new()
        .environment("a", synthetic(json!({ "postgres": { "url": "postgres://u:${PW}@h/d" } })))
        .environment("b", synthetic(json!({ "postgres": { "url": "${URL}" } })))
        .variable("PW", "a/b@c?d%41:${X}")
        .variable("URL", "postgres://u:p%41@h:1/d");
    let config = project.config();
    let read = |name: &str| config.environment(name).unwrap().postgres().unwrap().unwrap();
    assert_eq!(read("a").host, "h");
    assert_eq!(read("a").password.unwrap().expose(), "a/b@c?d%41:${X}");
    assert_eq!(read("b").password.unwrap().expose(), "pA");
    assert_eq!(read("b").port, 1);
    let broken = project.variable("URL", "postgres://u:hu/sh@h/d").config();
    let error = broken.environment("b").unwrap().postgres().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("sh@"), "{error}");
}

#[test]
fn connect_lies_over_the_database_block() {
    let postgres =
        json!({ "url": "postgres://app:secret@pooler:6432/d?sslmode=require", "schemas": ["s"] });
    let environment = |connect: Value| json!({ "database": { "postgres": postgres }, "data": { "class": "live", "connect": { "postgres": connect } } });
    let project = Project::new()
        .environment("a", environment(json!({ "username": "pfdata" })))
        .environment("b", environment(json!({ "url": "postgres://pfdata:own@direct" })))
        .environment("c", environment(json!({ "host": "direct", "port": 5555 })))
        .environment("d", environment(json!({})));
    let config = project.config();
    let read = |name: &str| config.environment(name).unwrap().postgres();
    let a = read("a").unwrap().unwrap();
    assert_eq!((a.host.as_str(), a.port, a.username.as_str()), ("pooler", 6432, "pfdata"));
    assert!(a.password.is_none(), "the application's password is not sent for another user");
    let b = read("b").unwrap().unwrap();
    assert_eq!((b.host.as_str(), b.port, b.database.as_str()), ("direct", 5432, "d"));
    assert_eq!(b.password.unwrap().expose(), "own");
    assert!(b.tls.required && b.schemas == ["s"]);
    let c = read("c").unwrap().unwrap();
    assert_eq!((c.host.as_str(), c.port, c.username.as_str()), ("direct", 5555, "app"));
    assert_eq!(c.password.unwrap().expose(), "secret");
    let project = project.environment("d", environment(json!({ "url": "postgres://h/other" })));
    usage(
        &project.error(),
        "config/d.json: `data.connect.postgres.url` must be a url with the database of the \
         `database` block or none",
    );
}

#[test]
fn mongodb_urls_and_clusters() {
    let of = |store: Value| {
        let project = Project::new().environment("t", synthetic(json!({ "mongodb": store })));
        project.config().environment("t").unwrap().mongodb().unwrap().unwrap()
    };
    let url = "mongodb://u%40:p%2F@h1:1,[::1]:2,h3/auth?replicaSet=rs&retryWrites=true&w=majority&tls=true&tlsCAFile=ca.pem";
    let endpoint = of(json!({ "url": url, "database": "d" }));
    assert_eq!(
        endpoint.uri.expose(),
        "mongodb://u%40:p%2F@h1:1,[::1]:2,h3:27017/?retryWrites=true&w=majority"
    );
    assert_eq!((endpoint.database.as_str(), endpoint.auth_source.as_deref()), ("d", Some("auth")));
    assert_eq!(
        (endpoint.username.as_deref(), endpoint.replica_set.as_deref()),
        (Some("u@"), Some("rs"))
    );
    assert_eq!(endpoint.password.unwrap().expose(), "p/");
    assert!(endpoint.tls.required && endpoint.tls.verify && endpoint.tls.ca.is_some());

    let endpoint = of(
        json!({ "host": "ignored", "port": 1, "database": "d", "username": "u", "password": "p",
                              "cluster": "mongodb+srv://c.example.net/x?appName=y" }),
    );
    assert_eq!(endpoint.uri.expose(), "mongodb+srv://u:p@c.example.net/?appName=y");
    assert_eq!((endpoint.address.as_str(), endpoint.database.as_str()), ("c.example.net", "d"));
    assert!(endpoint.tls.required && endpoint.auth_source.is_none());

    let endpoint =
        of(json!({ "url": "mongodb://127.0.0.1:27117/d?replicaSet=rs0&directConnection=true" }));
    assert_eq!(endpoint.uri.expose(), "mongodb://127.0.0.1:27117/?directConnection=true");
    assert_eq!(endpoint.address, "127.0.0.1:27117");
    assert!(!endpoint.tls.required);

    let endpoint = of(
        json!({ "host": "::1", "database": "d", "authSource": "admin", "ssl": { "rejectUnauthorized": false } }),
    );
    assert_eq!(endpoint.uri.expose(), "mongodb://[::1]:27017/");
    assert!(endpoint.tls.required && !endpoint.tls.verify);
}

#[test]
fn a_variable_for_the_host_beats_a_cluster_of_the_file() {
    let store = json!({ "mongodb": { "database": "d", "cluster": "mongodb+srv://c.example.net/?srvMaxHosts=2" } });
    let project = Project::new()
        .environment("t", synthetic(store))
        .variable("PFDATA_T__DATABASE__MONGODB__HOST", "127.0.0.1");
    let endpoint = project.config().environment("t").unwrap().mongodb().unwrap().unwrap();
    assert_eq!(endpoint.uri.expose(), "mongodb://127.0.0.1:27017/");
}

#[test]
fn redis_knows_the_indexes_of_its_neighbours() {
    let project = Project::new()
        .environment(
            "a",
            synthetic(json!({ "redis": { "host": "localhost", "db": 1, "spareDb": 15 } })),
        )
        .environment("b", synthetic(json!({ "redis": { "url": "redis://127.0.0.1/2" } })))
        .environment(
            "c",
            synthetic(json!({ "redis": { "url": "rediss://:pw@127.0.0.1:6379/?db=9" } })),
        )
        .environment("d", synthetic(json!({ "redis": { "host": "elsewhere", "db": 3 } })))
        .environment("e", synthetic(json!({ "redis": { "host": "${UNSET}", "db": 4 } })))
        .environment(
            "f",
            synthetic(json!({ "redis": { "host": "${cmd:touch ran; echo localhost}", "db": 5 } })),
        )
        .environment("g", synthetic(json!({ "redis": { "port": 7000, "db": 6, "spareDb": 2 } })))
        .environment("h", synthetic(json!({ "redis": { "database": 8, "spareDb": 2 } })));
    let config = project.config();
    let read = |name: &str| config.environment(name).unwrap().redis();
    let a = read("a").unwrap().unwrap();
    assert_eq!((a.db, a.spare_db, a.taken), (1, Some(15), vec![2, 8, 9]));
    let c = read("c").unwrap().unwrap();
    assert_eq!((c.db, c.tls.required, c.tls.verify), (9, true, true));
    assert_eq!(c.password.unwrap().expose(), "pw");
    assert_eq!(c.taken, [1, 2, 8, 15]);
    assert!(!project.path().join("ran").exists(), "a neighbour's command was run");
    assert_eq!(read("g").unwrap().unwrap().taken, [] as [u32; 0]);
    usage(
        &project.tidy(read("h").unwrap_err()),
        "config/h.json: `database.redis.spareDb` must be an index of its own: this is the data of \
         `b`",
    );
}

#[test]
fn required_keys_of_a_store_are_asked_for_when_it_is_used() {
    let project =
        Project::new().environment("t", synthetic(json!({ "postgres": {}, "mongodb": {} })));
    let t = project.config().environment("t").unwrap();
    usage(
        &project.tidy(t.postgres().unwrap_err()),
        "config/t.json: `database.postgres.database` must be given",
    );
    usage(
        &project.tidy(t.mongodb().unwrap_err()),
        "config/t.json: `database.mongodb.database` must be given",
    );
}
