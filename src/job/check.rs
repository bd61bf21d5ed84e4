//! Checking an environment without changing it: stores, tools, rules, repository.

use serde::Serialize;

use super::{repositories, rules};
use crate::config::Environment;
use crate::error::{Error, Kind, Result};
use crate::policy::Class;
use crate::repository::names;
use crate::store::finding::Finding;
use crate::store::{mongodb, postgres, redis};
use crate::terms::StoreKind;

/// A finding and where it was made.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// The environment.
    pub environment: String,
    /// The store, `repository` or `rules`.
    pub on: String,
    /// Whether all is well.
    pub ok: bool,
    /// What was looked at.
    pub what: String,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Checks everything that the jobs of an environment need.
pub async fn environment(environment: &Environment) -> Result<Vec<Checked>> {
    let mut found = Vec::new();
    let mut add = |on: &str, findings: Vec<Finding>| {
        found.extend(findings.into_iter().map(|finding| Checked {
            environment: environment.name.clone(),
            on: on.to_owned(),
            ok: finding.ok,
            what: finding.what,
            detail: finding.detail,
            hint: finding.hint,
        }));
    };
    add("repository", vec![repository(environment)]);
    if environment.class == Class::Live {
        add("rules", vec![rule_files(environment).await]);
    }
    // A live environment is only read, unless somebody restores into it.
    let as_target = environment.class != Class::Live;
    for store in environment.stores() {
        let findings = match of_store(environment, store, as_target).await {
            Ok(findings) => findings,
            Err(error) => vec![failed("configuration", &error)],
        };
        add(store.word(), findings);
    }
    Ok(found)
}

async fn of_store(
    environment: &Environment,
    store: StoreKind,
    as_target: bool,
) -> Result<Vec<Finding>> {
    super::resolve(environment, &[store]).await?;
    let missing = || Error::usage(format!("`{}` has no {store}", environment.name));
    Ok(match store {
        StoreKind::Postgres => {
            postgres::check::check(&environment.postgres()?.ok_or_else(missing)?, as_target).await
        }
        StoreKind::Redis => {
            let endpoint = environment.redis()?.ok_or_else(missing)?;
            redis::check::check(&endpoint, &environment.name, as_target).await
        }
        StoreKind::Mongodb => {
            mongodb::check::check(&environment.mongodb()?.ok_or_else(missing)?, as_target).await
        }
    })
}

fn repository(environment: &Environment) -> Finding {
    let what = "repository".to_owned();
    let opened = repositories::open_main(environment, false);
    let location = match &opened {
        Ok(repository) => repository.root().to_owned(),
        Err(error) if error.kind() == Kind::NotFound => {
            let detail = "empty; the first snapshot makes it a repository".to_owned();
            return Finding { ok: true, what, detail, hint: None };
        }
        Err(error) => return failed(&what, error),
    };
    let probe = location.join(format!(".tmp-{}", names::random_hex(8)));
    match std::fs::write(&probe, b"probe").and_then(|()| std::fs::remove_file(&probe)) {
        Err(error) => Finding {
            ok: false,
            what,
            detail: format!("`{}` cannot be written: {error}", location.display()),
            hint: Some("jobs need to write into the repository".to_owned()),
        },
        Ok(()) => {
            let free = rustix::fs::statvfs(&location).map(|stat| stat.f_bavail * stat.f_frsize);
            let free =
                free.map_or_else(|_| "unknown".to_owned(), |free| format!("{} MiB", free >> 20));
            Finding {
                ok: true,
                what,
                detail: format!("`{}`, {free} free", location.display()),
                hint: None,
            }
        }
    }
}

async fn rule_files(environment: &Environment) -> Finding {
    let found = async {
        let (rules, key) = rules::load(environment)?;
        Ok((rules, super::blocking(move || key.fingerprint()).await?))
    };
    match found.await {
        Ok((rules, key)) => Finding {
            ok: true,
            what: "rules".to_owned(),
            detail: format!("digest {}, key {key}", &rules.digest()[..12]),
            hint: None,
        },
        Err(error) => failed("rules", &error),
    }
}

fn failed(what: &str, error: &Error) -> Finding {
    Finding {
        ok: false,
        what: what.to_owned(),
        detail: error.to_string(),
        hint: error.hint_text().map(str::to_owned),
    }
}
