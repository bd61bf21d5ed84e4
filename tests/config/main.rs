//! The configuration as a user meets it: files in a folder, variables, and what is said of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use pfdata::config::data::{KeepPrevious, Mode, Require, Treatment, Uncovered};
use pfdata::config::{Config, JobKind};
use pfdata::error::{Error, Kind, Result};
use pfdata::pipeline::codec::Compression;
use pfdata::policy::Class;
use pfdata::terms::StoreKind;
use serde_json::{Value, json};
use tempfile::TempDir;

mod arbitrary;
mod contract;
mod errors;
mod layers;
mod reference;
mod stores;

/// A project folder with a `config` folder.
struct Project {
    root: TempDir,
    process: HashMap<String, String>,
}

impl Project {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("config/secrets")).unwrap();
        Self { root, process: HashMap::new() }
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.root.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn environment(self, name: &str, value: Value) -> Self {
        self.file(&format!("config/{name}.json"), &value.to_string())
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.process.insert(name.to_owned(), value.to_owned());
        self
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn load(&self, target: Option<&str>) -> Result<Config> {
        Config::load_with(&self.path().join("config"), target, self.process.clone())
    }

    fn config(&self) -> Config {
        self.load(None).unwrap()
    }

    fn error(&self) -> Error {
        self.tidy(self.load(None).unwrap_err())
    }

    /// The error with the folder of the test taken out of its text.
    fn tidy(&self, error: Error) -> Error {
        let root = format!("{}/", self.path().display());
        let tidied = Error::new(error.kind(), error.to_string().replace(&root, ""));
        match error.hint_text() {
            Some(hint) => tidied.hint(hint.replace(&root, "")),
            None => tidied,
        }
    }

    fn origin(&self, environment: &str, path: &str) -> String {
        let shown = self.load(Some(environment)).unwrap().show(environment).unwrap();
        let found = shown.into_iter().find(|shown| shown.path == path);
        let origin = found.unwrap_or_else(|| panic!("{path} is not shown")).origin.to_string();
        origin.replace(&format!("{}/", self.path().display()), "")
    }
}

fn synthetic(database: Value) -> Value {
    json!({ "database": database, "data": { "class": "synthetic" } })
}

fn usage(error: &Error, message: &str) {
    assert_eq!(error.kind(), Kind::Usage, "{error}");
    assert_eq!(error.to_string(), message);
}

const PRODUCTION: &str = r#"{
  "environment": "production",
  "database": {
    "postgres": { "host": "prod-postgres.internal", "port": 5432, "database": "progressive_framework_v5_prod",
                  "username": "prod_user", "password": "${PROD_DB_PASSWORD}",
                  "ssl": { "required": true, "rejectUnauthorized": true, "ca": "certs/ca.pem", "minVersion": "1.3" },
                  "schemas": ["public"], "readReplicas": ["replica1.internal"],
                  "pool": { "min": 10, "max": 50 }, "connectionTimeout": 10000 },
    "redis":    { "host": "prod-redis.internal", "port": 6379, "db": 0, "password": "…", "ssl": true,
                  "cluster": ["h1:6379", "h2:6379"], "spareDb": 15 },
    "mongodb":  { "host": "prod-mongodb.internal", "port": 27017, "database": "progressive_mongo_prod",
                  "username": "…", "password": "…", "authSource": "admin", "replicaSet": "rs0", "ssl": true,
                  "cluster": "mongodb+srv://…" }
  },
  "data": {
    "class": "live",
    "protected": true,
    "repository": "file:///backups",
    "connect":   { "postgres": { "username": "pfdata", "password": "${PFDATA_PG_PASSWORD}" } },
    "snapshots": {
      "raw":        { "repository": "s3://prod-backups", "schedule": "0 2 * * *", "jobs": 4, "compression": "zstd:1",
                      "from_replica": true, "retention": { "keep_within": "30d", "keep_monthly": 12, "max_age": "366d" } },
      "anonymized": { "schedule": "0 4 * * 0", "retention": { "keep_last": 4 } }
    },
    "limits":    { "rate": "200MiB/s", "duration": "6h", "replica_lag": "60s" },
    "migrate":   { "require": "confirm" },
    "anonymize": { "rules": "anonymizers", "key": "${PFDATA_ANONYMIZE_KEY}", "uncovered": "fail" },
    "encryption":{ "algorithm": "aes-256-gcm", "key": "${PFDATA_ENCRYPTION_KEY}" },
    "objectives":{ "rto": "1h", "rpo": "5m" },
    "schedules": { "retention": "30 5 * * *", "verify": "0 6 * * *", "drill": "0 7 1 */3 *" }
  }
}"#;

const DEVELOPMENT: &str = r#"{
  "database": { "postgres": { "host": "localhost", "database": "app_dev", "username": "dev", "logging": true },
                "mongodb": { "database": "app_dev", "cluster": false }, "redis": { "db": 3, "ttl": 60, "maxRetries": 3 } },
  "data": {
    "class": "synthetic",
    "refresh": { "from": "production/anonymized", "schedule": "0 3 * * 1", "max_age": "8d", "mode": "auto", "migrate": true,
                 "stores": { "postgres": "snapshot", "mongodb": "snapshot", "redis": "empty" },
                 "backup_before": false, "sql": ["sql/environments/development"], "seeds": ["development"], "keep_previous": "7d",
                 "hooks": { "before": [["scripts/wake"]], "loaded": [], "before_swap": [], "after_swap": [] } }
  }
}"#;

fn contract() -> Project {
    Project::new()
        .file("config/production.json", PRODUCTION)
        .file("config/development.json", DEVELOPMENT)
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}
