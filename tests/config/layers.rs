//! Layers, variables, references, origins and redaction.

use super::*;

#[test]
fn the_priority_of_the_layers() {
    let path = "data.limits.rate";
    let block = |rate: &str| json!({ "database": {}, "data": { "class": "anonymized", "limits": { "rate": rate } } });
    let project = Project::new()
        .file("config/default.json", r#"{ "data": { "limits": { "rate": "1MiB/s" } } }"#)
        .environment("staging", json!({ "data": { "class": "anonymized" } }));
    let rate = |project: &Project| {
        let config = project.load(Some("staging")).unwrap();
        let rate = config.environment("staging").unwrap().data.limits.rate.unwrap();
        (rate >> 20, project.origin("staging", path))
    };
    assert_eq!(rate(&project), (1, "config/default.json".into()));
    let project = project.environment("staging", block("2MiB/s"));
    assert_eq!(rate(&project), (2, "config/staging.json".into()));
    let project = project.file(".env", "PFDATA_STAGING__DATA__LIMITS__RATE=3MiB/s");
    assert_eq!(rate(&project), (3, "PFDATA_STAGING__DATA__LIMITS__RATE in .env".into()));
    let project = project
        .file("config/secrets/staging.env", "export PFDATA_STAGING__DATA__LIMITS__RATE=4MiB/s");
    let origin = "PFDATA_STAGING__DATA__LIMITS__RATE in config/secrets/staging.env";
    assert_eq!(rate(&project), (4, origin.into()));
    let project = project.variable("PFDATA_STAGING__DATA__LIMITS__RATE", "5MiB/s");
    assert_eq!(rate(&project), (5, "PFDATA_STAGING__DATA__LIMITS__RATE".into()));
    let project = project.variable("PFDATA__DATA__LIMITS__RATE", "6MiB/s");
    assert_eq!(rate(&project), (6, "PFDATA__DATA__LIMITS__RATE".into()));
    assert_eq!(project.origin("staging", "data.migrate.require"), "default");
}

#[test]
fn a_reference_is_taken_from_the_process_then_the_secrets_then_dot_env() {
    let project = Project::new().environment(
        "staging",
        synthetic(json!({ "postgres": { "database": "d", "username": "u", "password": "${PW}" } })),
    );
    let password = |project: &Project| {
        let endpoint = project.config().environment("staging").unwrap().postgres();
        endpoint.map(|endpoint| endpoint.unwrap().password.unwrap().expose().to_owned())
    };
    assert!(password(&project).is_err());
    let project = project.file(".env", "PW=\"from .env\"");
    assert_eq!(password(&project).unwrap(), "from .env");
    let project = project.file("config/secrets/staging.env", "PW='from ${secrets}'");
    assert_eq!(password(&project).unwrap(), "from ${secrets}");
    let project = project.variable("PW", "from process");
    assert_eq!(password(&project).unwrap(), "from process");
}

#[test]
fn variables_for_the_environment_acted_on_reach_no_other() {
    let store = |host: &str| synthetic(json!({ "redis": { "host": host } }));
    let project = Project::new()
        .environment("development", store("a"))
        .environment("staging", store("b"))
        .variable("PFDATA__DATABASE__REDIS__HOST", "c")
        .variable("PFDATA_ENV", "staging")
        .variable("PFDATA_CONFIG_DIR", "elsewhere")
        .variable("PFDATA_SANDBOX_PORT", "1");
    let host = |target: Option<&str>, name: &str| {
        let config = project.load(target).unwrap();
        config.environment(name).unwrap().redis().unwrap().unwrap().host
    };
    assert_eq!(host(Some("dev"), "development"), "c");
    assert_eq!(host(Some("dev"), "staging"), "b");
    assert_eq!(host(Some("staging"), "development"), "a");
    assert_eq!(host(None, "development"), "a");
    assert_eq!(host(Some("nowhere"), "development"), "a");
}

#[test]
fn variables_are_matched_without_case_and_underscore_and_read_as_json() {
    let project = Project::new()
        .environment("pre-production", synthetic(json!({ "postgres": {}, "redis": {} })))
        .environment("production", json!({ "data": { "class": "live" } }))
        .variable("PFDATA_PRE_PRODUCTION__DATABASE__POSTGRES__CONNECTIONTIMEOUT", "1500")
        .variable("PFDATA_PREPRODUCTION__database__postgres__SCHEMAS", r#"["a", "b"]"#)
        .variable("PFDATA_PREPRODUCTION__DATABASE__POSTGRES__PASSWORD", "0123")
        .variable("PFDATA_PREPRODUCTION__DATABASE__POSTGRES__USERNAME", "${U}")
        .variable("PFDATA_PREPRODUCTION__DATABASE__POSTGRES__DATABASE", "d")
        .variable("PFDATA_PREPRODUCTION__DATABASE__REDIS__SPARE_DB", "7")
        .variable("PFDATA_PREPRODUCTION__DATA__REFRESH__KEEP_PREVIOUS", "false")
        .variable("PFDATA_PREPRODUCTION__DATA__SNAPSHOTS__NIGHTLY", r#"{"anonymize": false}"#)
        .variable("PFDATA_PREPRODUCTION__DATA__SNAPSHOTS__NIGHTLY__JOBS", "3")
        .variable("PFDATA_PROD__DATA__PROTECTED", "true");
    let config = project.config();
    let environment = config.environment("pre-production").unwrap();
    let postgres = environment.postgres().unwrap().unwrap();
    assert_eq!(postgres.connect_timeout, Duration::from_millis(1500));
    assert_eq!(postgres.schemas, ["a", "b"]);
    assert_eq!(postgres.password.unwrap().expose(), "0123");
    assert_eq!(postgres.username, "${U}");
    assert_eq!(environment.redis().unwrap().unwrap().spare_db, Some(7));
    assert_eq!(environment.data.refresh.keep_previous, KeepPrevious::No);
    let nightly = environment.data.sets.iter().find(|set| set.name == "nightly").unwrap();
    assert_eq!((nightly.anonymize, nightly.jobs), (false, 3));
    assert!(config.environment("production").unwrap().protected);
}

#[test]
fn variables_that_lead_nowhere_are_errors() {
    let project = || {
        Project::new()
            .environment("staging", synthetic(json!({ "postgres": {} })))
            .environment("production", synthetic(json!({})))
    };
    for (name, value, message) in [
        (
            "PFDATA_STAGING__DATA__CLAS",
            "live",
            "PFDATA_STAGING__DATA__CLAS cannot be applied: `data.clas` is no key that pfdata reads; \
             did you mean `class`?",
        ),
        (
            "PFDATA_STAGING__DATABASE__POSTGRES__PASSWROD",
            "hush",
            "PFDATA_STAGING__DATABASE__POSTGRES__PASSWROD cannot be applied: \
             `database.postgres.passwrod` is no key that pfdata reads; did you mean `password`?",
        ),
        ("PFDATA_STAGNG__DATA__CLASS", "live", "PFDATA_STAGNG__DATA__CLASS names no environment"),
        (
            "PFDATA_STAGING__DATA__PROTECTED",
            "hush",
            "PFDATA_STAGING__DATA__PROTECTED: `data.protected` must be true or false",
        ),
        (
            "PFDATA_STAGING__DATA__REFRESH",
            "hush",
            "PFDATA_STAGING__DATA__REFRESH: `data.refresh` must be a JSON object",
        ),
        (
            "PFDATA_STAGING__DATA__REFRESH",
            r#"{"form": "hush"}"#,
            "PFDATA_STAGING__DATA__REFRESH: unknown key `data.refresh.form`",
        ),
        (
            "PFDATA_STAGING__DATA__CLASS__X",
            "hush",
            "PFDATA_STAGING__DATA__CLASS__X cannot be applied: `data.class` has no keys below it",
        ),
    ] {
        let error = project().variable(name, value).error();
        usage(&error, message);
        assert!(!format!("{error} {error:?}").contains("hush"));
    }
    let error = project()
        .variable("PFDATA_STAGING__DATA__REFRESH__FROM", "a")
        .variable("PFDATA_STAGING__DATA__REFRESH__FR_OM", "b")
        .error();
    assert!(error.to_string().ends_with("set the same value"), "{error}");
    let error =
        project().file("config/secrets/staging.env", "PFDATA_PRODUCTION__DATA__CLASS=live").error();
    assert!(error.to_string().ends_with("is for `production`, but the file is for `staging`"));
}

#[test]
fn no_variable_says_what_an_environment_is() {
    let production = json!({ "data": { "class": "live", "protected": true } });
    let project = || {
        Project::new()
            .environment("production", production.clone())
            .environment("dev-elopment", synthetic(json!({})))
    };
    let variables = [
        ("PFDATA_PRODUCTION__DATA__CLASS", "synthetic"),
        ("PFDATA_PROD__DATA__CLASS", "live"),
        ("PFDATA_prod__data__CLASS", "synthetic"),
        ("PFDATA_PRODUCTION__DATA__C_LASS", "synthetic"),
        ("PFDATA_PRODUCTION__DATA", r#"{"class": "synthetic"}"#),
        ("PFDATA_PRODUCTION__DA_TA", r#"{"class": null}"#),
        ("PFDATA_PRODUCTION__DATA__CLASS", ""),
        ("PFDATA__DATA__CLASS", "synthetic"),
        ("PFDATA__data__class", "synthetic"),
        ("PFDATA__DATA", r#"{"protected": true, "class": "live"}"#),
        ("PFDATA_DEVELOPMENT__DATA__CLASS", "live"),
    ];
    let refused = |project: Project, name: &str, place: &str| {
        let error = project.load(Some("prod")).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        let error = project.tidy(error);
        assert_eq!(error.to_string(), format!("{name}{place}: `data.class` cannot be given here"));
        assert!(error.hint_text().unwrap().contains("config/<env>.json"));
    };
    for (name, value) in variables {
        refused(project().variable(name, value), name, "");
        let line = format!("{name}='{value}'\n");
        refused(project().file(".env", &line), name, " in .env");
        let development = name.contains("DEVELOPMENT");
        let file = if development { "dev-elopment" } else { "production" };
        let file = format!("config/secrets/{file}.env");
        refused(project().file(&file, &line), name, &format!(" in {file}"));
    }
    // A weaker layer below a stronger one that says nothing of it is no better.
    let both = project().file(".env", "PFDATA_PROD__DATA__CLASS=synthetic\n");
    let both = both.variable("PFDATA_PRODUCTION__DATA", r#"{"protected": true}"#);
    refused(both, "PFDATA_PROD__DATA__CLASS", " in .env");
    // Variables of other environments, and without one that is acted on, say nothing.
    let other = project().variable("PFDATA__DATA__CLASS", "synthetic");
    assert_eq!(other.config().environment("production").unwrap().class, Class::Live);
}

#[test]
fn a_class_is_no_reference() {
    for reference in ["${CLASS}", "${file:class}", "${cmd:echo live}", "li${VE}", "${CLASS}live"] {
        let project = Project::new()
            .file("class", "live")
            .environment("t", json!({ "data": { "class": reference } }))
            .variable("CLASS", "live")
            .variable("VE", "ve");
        usage(&project.error(), "config/t.json: `data.class` cannot be a reference");
        let project = Project::new()
            .file("config/default.json", &json!({ "data": { "class": reference } }).to_string())
            .environment("t", json!({ "database": {} }))
            .variable("CLASS", "live");
        usage(&project.error(), "config/default.json: `data.class` cannot be a reference");
    }
    let default = Project::new()
        .file("config/default.json", r#"{"data": {"class": "live"}}"#)
        .environment("t", json!({ "database": {} }));
    assert_eq!(default.config().environment("t").unwrap().class, Class::Live);
}

#[test]
fn a_variable_protects_and_never_takes_protection_away() {
    let project = || {
        Project::new()
            .environment("production", json!({ "data": { "class": "live", "protected": true } }))
    };
    for (name, value) in [
        ("PFDATA_PRODUCTION__DATA__PROTECTED", "false"),
        ("PFDATA_PRODUCTION__DATA__PROTECTED", "null"),
        ("PFDATA__DATA", r#"{"protected": false}"#),
    ] {
        let error = project().variable(name, value).load(Some("production")).unwrap_err();
        usage(&error, &format!("{name}: `data.protected` can only be set to true here"));
    }
}

#[test]
fn files_and_commands_are_read_when_they_are_used() {
    let project = Project::new()
        .file("run/port", "6543\n")
        .file("run/password", "line one\n\n")
        .environment(
            "t",
            json!({
                "database": { "postgres": {
                    "port": "${file:run/port}", "database": "d", "username": "${cmd:echo u >> calls; echo user}",
                    "password": "${file:run/password}" } },
                "data": { "class": "anonymized", "protected": "${PROTECTED}",
                          "anonymize": { "key": "${cmd:printf Zp9xV2mQ7tLr0sWbNc4KfJhYd8EuGa1i3oTnR6XMzPk}" },
                          "refresh": { "max_age": "${AGE}" } }
            }),
        )
        .variable("PROTECTED", "true")
        .variable("AGE", "9d");
    let config = project.config();
    assert!(!project.path().join("calls").exists(), "a command was run at load");
    let t = config.environment("t").unwrap();
    assert_eq!((t.class, t.protected), (Class::Anonymized, true));
    assert_eq!(t.data.refresh.max_age, Some(days(9)));
    let postgres = t.postgres().unwrap().unwrap();
    assert_eq!((postgres.port, postgres.username.as_str()), (6543, "user"));
    assert_eq!(postgres.password.unwrap().expose(), "line one");
    assert!(t.postgres().is_ok());
    let calls = std::fs::read_to_string(project.path().join("calls")).unwrap();
    assert_eq!(calls, "u\n", "the secret manager is asked once");
    let key = t.anonymize_key().unwrap().unwrap();
    assert_eq!(key.expose(), "Zp9xV2mQ7tLr0sWbNc4KfJhYd8EuGa1i3oTnR6XMzPk");
    std::fs::remove_file(project.path().join("run/port")).unwrap();
    let error = project.tidy(t.postgres().unwrap_err());
    assert!(
        error.to_string().starts_with(
            "config/t.json: `database.postgres.port` cannot be resolved: cannot read run/port"
        ),
        "{error}"
    );
}

#[test]
fn a_store_can_be_switched_off_and_null_takes_a_value_back() {
    let project = Project::new()
        .file(
            "config/default.json",
            r#"{"database": {"redis": {"host": "r", "spareDb": 9}, "mongodb": {"database": "d"}},
                "data": {"refresh": {"from": "production"}}}"#,
        )
        .environment(
            "t",
            json!({ "database": { "redis": { "spareDb": null }, "mongodb": false },
                    "data": { "class": "synthetic", "refresh": { "from": null } } }),
        )
        .environment("shared", json!({ "database": { "redis": { "db": 2 } } }));
    let config = project.config();
    let t = config.environment("t").unwrap();
    assert_eq!(t.stores(), [StoreKind::Redis]);
    assert_eq!(t.redis().unwrap().unwrap().spare_db, None);
    assert!(t.mongodb().unwrap().is_none());
    assert_eq!(t.data.refresh.from, None);
    // A file without a class loads as long as nobody acts on it.
    assert_eq!(config.environment("shared").unwrap_err().kind(), Kind::Usage);
    assert_eq!(config.stores_of("shared").unwrap().redis().unwrap().unwrap().db, 2);
}

#[test]
fn no_secret_is_ever_shown() {
    let project = contract()
        .file(
            "config/staging.json",
            &json!({
                "database": {
                    "postgres": { "url": "postgres://u:HUSH-1@h/d?sslpassword=HUSH-2", "password": "HUSH-3",
                                  "apiKey": "HUSH-4", "ssl": { "key": "HUSH-5" } },
                    "redis": { "url": "redis://:HUSH-6@h", "password": "${cmd:echo HUSH-7}" },
                    "mongodb": { "cluster": "mongodb://u:HUSH/8@h/d" }
                },
                "data": { "class": "anonymized", "repository": "s3://HUSH-9@b",
                          "anonymize": { "key": "HUSH-10-${X}" },
                          "encryption": { "key": "HUSH-11" } }
            })
            .to_string()
            .replace("HUSH/8", "HUSH-8"),
        )
        .file("config/secrets/staging.env", "X=HUSH-12\nPFDATA__DATA__CONNECT__REDIS__PASSWORD=HUSH-13")
        .variable("PFDATA_STAGING__DATA__CONNECT__POSTGRES__PASSWORD", "HUSH-14")
        .variable("PFDATA_STAGING__DATA__CONNECT__MONGODB__URL", "mongodb://u:HUSH-15@h");
    let config = project.load(Some("staging")).unwrap();
    let shown = config.show("staging").unwrap();
    let environment = config.environment("staging").unwrap();
    let stores = config.stores_of("staging").unwrap();
    let text = format!(
        "{} {shown:?} {config:?} {environment:?} {:?} {stores:?} {:?} {:?} {:?} {:?}",
        serde_json::to_string(&shown).unwrap(),
        environment.data,
        environment.postgres(),
        environment.redis(),
        environment.mongodb(),
        environment.repository(),
    );
    assert!(!text.contains("HUSH"), "{}", &text[text.find("HUSH").unwrap().saturating_sub(200)..]);
    let value = |path: &str| {
        let found = shown.iter().find(|shown| shown.path == path);
        found.map(|shown| shown.value.clone()).unwrap_or_default()
    };
    assert_eq!(value("database.postgres.url"), "postgres://u:***@h/d?sslpassword=***");
    assert_eq!(value("database.redis.password"), "${cmd:***}");
    assert_eq!(value("data.anonymize.key"), "***${X}");
    assert_eq!(value("data.connect.postgres.password"), "***");
    assert_eq!(value("database.postgres.apiKey"), Value::Null);
    assert_eq!(value("data.class"), "anonymized");

    let shown = config.show("production").unwrap();
    let value = |path: &str| shown.iter().find(|shown| shown.path == path).unwrap();
    assert_eq!(value("database.postgres.password").value, "${PROD_DB_PASSWORD}");
    assert_eq!(value("database.redis.password").value, "***");
    assert_eq!(value("database.postgres.ssl.ca").value, "certs/ca.pem");
    let default = value("data.refresh.keep_previous");
    assert_eq!((&default.value, default.origin.to_string()), (&json!(true), "default".to_owned()));
    assert_eq!(value("data.snapshots.anonymized.compression").value, "zstd:1");
    assert!(shown.iter().all(|shown| !shown.path.starts_with("database.postgres.pool")));
}

#[test]
fn an_applications_own_file_loads_as_it_is() {
    let file = r#"{
      "app": { "name": "x", "data": [1] }, "logging": { "level": "debug" }, "port": 3000,
      "database": {
        "type": "postgres", "migrations": ["a"],
        "postgres": { "host": "localhost", "port": "5432", "database": "app", "username": "app", "password": "",
                      "logging": false, "idleTimeout": 30000, "synchronize": false, "pool": { "min": 1, "hostt": 2 },
                      "connectionTimeout": 0, "readReplicas": [], "ssl": false },
        "redis": { "host": "localhost", "port": 6379, "db": 1, "ttl": 3600, "maxRetries": 3, "cluster": false, "keyPrefix": "x:" },
        "mongodb": { "host": "localhost", "port": 27017, "database": "app", "cluster": false, "options": { "useNewUrlParser": true } },
        "elasticsearch": { "node": "http://localhost:9200" }
      }
    }"#;
    let project = Project::new()
        .file("config/development.json", file)
        .file(
            "config/custom-environment-variables.json",
            r#"{"database": {"postgres": {"port": "PG_PORT"}}}"#,
        )
        .file("config/features.json", r#"{"flags": ["a"]}"#)
        .file("config/list.json", "[1, 2]")
        .file("config/.hidden.json", "{ broken")
        .file(".env", "JUNK LINE\nDEV_DB_PASSWORD=last\n");
    let config = project.config();
    assert_eq!(config.environments(), ["development"]);
    let error = project.tidy(config.environment("development").unwrap_err());
    usage(&error, "config/development.json: class must be given (`data.class`)");
    let stores = config.stores_of("dev").unwrap();
    assert_eq!(stores.kinds(), StoreKind::ALL);
    let postgres = stores.postgres().unwrap().unwrap();
    assert_eq!(postgres.port, 5432);
    assert_eq!(postgres.connect_timeout, Duration::from_secs(10));
    // The password that is nowhere else, as the old scripts had it.
    assert_eq!(postgres.password.unwrap().expose(), "last");
    assert!(!postgres.tls.required);
    assert_eq!(stores.redis().unwrap().unwrap().db, 1);
    assert!(stores.mongodb().unwrap().is_some());
}

#[test]
fn an_empty_password_and_a_missing_one_are_the_same() {
    let project = Project::new()
        .environment(
            "staging",
            synthetic(json!({ "postgres": { "database": "d", "username": "u" } })),
        )
        .environment("qa", synthetic(json!({ "postgres": { "url": "postgres://u:own@h/d" } })))
        .file("config/secrets/staging.env", "STAGING_DB_PASSWORD=x\nQA_DB_PASSWORD=y")
        .variable("QA_DB_PASSWORD", "y");
    let path = "database.postgres.password";
    let origin = "STAGING_DB_PASSWORD in config/secrets/staging.env";
    assert_eq!(project.origin("staging", path), origin);
    let config = project.config();
    let qa = config.environment("qa").unwrap().postgres().unwrap().unwrap();
    assert_eq!(qa.password.unwrap().expose(), "own");
    assert!(config.show("qa").unwrap().iter().all(|shown| shown.path != path));
}

#[test]
fn unnamed_variables_of_a_secrets_file_are_for_its_environment() {
    let store = || synthetic(json!({ "redis": { "host": "a", "database": "cache" } }));
    let project = Project::new()
        .environment("development", store())
        .environment("production", store())
        .file("config/secrets/production.env", "PFDATA__DATABASE__REDIS__HOST=b")
        .file(".env", "PFDATA__DATABASE__REDIS__HOST=c\nPFDATA__DATABASE__REDIS__DB=4");
    let place = |target: &str, name: &str| {
        let config = project.load(Some(target)).unwrap();
        let redis = config.environment(name).unwrap().redis().unwrap().unwrap();
        (redis.host, redis.db)
    };
    assert_eq!(place("development", "development"), ("c".to_owned(), 4));
    assert_eq!(place("development", "production"), ("b".to_owned(), 0));
    assert_eq!(place("production", "production"), ("b".to_owned(), 4));
    assert_eq!(place("production", "development"), ("a".to_owned(), 0));
}

#[test]
fn the_process_environment_itself_is_read() {
    let project = Project::new().environment("t", synthetic(json!({})));
    let config = Config::load(&project.path().join("config"), Some("t")).unwrap();
    assert_eq!(config.environments(), ["t"]);
    assert_eq!(config.base(), project.path());
    assert_eq!(config.resolve_name("t").unwrap(), "t");
}
