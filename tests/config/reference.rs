//! The reference of keys in `config/README.md`, and that it says what is so.

use super::*;

const BEGIN: &str = "<!-- The reference: made from the table of keys. -->\n";
const END: &str = "<!-- The end of the reference. -->\n";

#[test]
fn the_reference_is_the_table_of_keys() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the mark where the reference begins");
    let (reference, after) = rest.split_once(END).expect("the mark where it ends");
    let made = format!("\n{}\n", pfdata::config::reference());
    if reference == made {
        assert!(text.len() < 20_000, "nobody reads {} bytes", text.len());
        return;
    }
    if std::env::var_os("WRITE_REFERENCE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
        return;
    }
    panic!(
        "config/README.md is older than the table of keys (src/config/table_*.rs); write it with\n\
         WRITE_REFERENCE=1 cargo test --test config the_reference"
    );
}

#[test]
fn a_text_beside_the_environments_is_no_environment() {
    let project = Project::new()
        .environment("test", json!({ "data": { "class": "synthetic" } }))
        .file("config/README.md", "{\"data\": {\"class\": \"live\"}}");
    assert_eq!(project.config().environments(), ["test"]);
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let own = Config::load_with(&own, None, HashMap::new()).unwrap();
    assert_eq!(
        own.environments(),
        ["development", "preproduction", "production", "staging", "test"]
    );
}

fn set(document: &mut Value, path: &str, value: Value) {
    let place = path.split('.').fold(document, |at, key| &mut at[key]);
    *place = value;
}

/// Every default that is shown, written out, changes nothing.
#[test]
fn what_is_shown_as_a_default_is_what_counts() {
    let mut document = json!({
        "database": {
            "postgres": { "database": "d", "username": "u" },
            "redis": {},
            "mongodb": { "database": "d" },
        },
        "data": { "class": "synthetic", "snapshots": { "nightly": { "anonymize": true } } },
    });
    let project =
        Project::new().environment("t", document.clone()).file("anonymizers/people.toml", "");
    let terse = project.config();
    let defaults = terse.show("t").unwrap();
    let defaults: Vec<_> =
        defaults.into_iter().filter(|shown| shown.origin.to_string() == "default").collect();
    for (path, value) in [
        ("data.protected", json!(false)),
        ("data.refresh.stores.redis", json!("snapshot")),
        ("data.snapshots.raw.anonymize", json!(false)),
        ("data.snapshots.nightly.compression", json!("zstd:1")),
        ("database.redis.db", json!(0)),
        ("database.mongodb.port", json!(27017)),
    ] {
        let shown = defaults.iter().find(|shown| shown.path == path);
        assert_eq!(shown.map(|shown| &shown.value), Some(&value), "{path}");
    }
    assert!(defaults.iter().all(|shown| shown.path != "data.snapshots.nightly.anonymize"));
    for shown in defaults {
        // Given or not makes a difference here: a refresh with migrations is refused only then.
        if shown.path != "data.refresh.migrate" {
            set(&mut document, &shown.path, shown.value);
        }
    }
    let other = Project::new().environment("t", document).file("anonymizers/people.toml", "");
    let written = other.config();
    let (terse, written) = (terse.environment("t").unwrap(), written.environment("t").unwrap());
    let (terse_data, mut written_data) = (&terse.data, written.data.clone());
    let treatments = std::mem::take(&mut written_data.refresh.stores);
    assert_eq!(terse_data, &written_data);
    for (store, treatment) in treatments {
        assert_eq!(terse_data.refresh.treatment(store), treatment);
    }
    assert_eq!(terse.protected, written.protected);
    let stores = |of: &pfdata::config::Environment| {
        format!("{:?} {:?} {:?}", of.postgres(), of.redis(), of.mongodb())
    };
    assert_eq!(stores(&terse), stores(&written));
    let rules = |of: &pfdata::config::Environment| {
        of.rules_folder().unwrap().map(|folder| folder.strip_prefix(of.base()).unwrap().to_owned())
    };
    assert_eq!(rules(&terse), rules(&written));
}

/// A default has no meaning where a url says it.
#[test]
fn a_url_leaves_host_and_port_without_a_default() {
    let project = Project::new().environment(
        "t",
        synthetic(json!({
            "postgres": { "url": "postgres://u@h/d" },
            "redis": { "database": 3 },
            "mongodb": { "cluster": "mongodb://h/d" },
        })),
    );
    let shown = project.config().show("t").unwrap();
    let has = |path: &str| shown.iter().any(|shown| shown.path == path);
    for path in ["database.postgres.host", "database.mongodb.port", "database.redis.db"] {
        assert!(!has(path), "{path}");
    }
    assert!(has("database.redis.host") && has("database.mongodb.connectionTimeout"));
}
