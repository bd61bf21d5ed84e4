//! Checking an environment without changing it: stores, tools, rules, repository.

use serde::Serialize;

use super::{endpoints, repositories, rules};
use crate::config::Environment;
use crate::error::{Kind, Result};
use crate::policy::Class;
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
            Err(error) => vec![Finding::failed("configuration", &error)],
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
    Ok(match store {
        StoreKind::Postgres => {
            postgres::check::check(&endpoints::postgres(environment)?, as_target).await
        }
        StoreKind::Redis => {
            let endpoint = endpoints::redis(environment)?;
            redis::check::check(&endpoint, &environment.name, as_target).await
        }
        StoreKind::Mongodb => {
            mongodb::check::check(&endpoints::mongodb(environment)?, as_target).await
        }
    })
}

fn repository(environment: &Environment) -> Finding {
    let what = "repository";
    let opened = repositories::open_main(environment, false);
    let repository = match &opened {
        Ok(repository) => repository,
        Err(error) if error.kind() == Kind::NotFound => {
            return Finding::good(what, "empty; the first snapshot makes it a repository");
        }
        Err(error) => return Finding::failed(what, error),
    };
    let place = repository.place();
    match repository.storage().probe() {
        Err(error) => Finding::bad(
            what,
            format!("`{place}` cannot be written: {error}"),
            "jobs need to write into the repository",
        ),
        Ok(()) => {
            let free = repository.storage().room();
            let free =
                free.map_or_else(|| "unknown".to_owned(), |free| format!("{} MiB", free >> 20));
            Finding::good(what, format!("`{place}`, {free} free"))
        }
    }
}

async fn rule_files(environment: &Environment) -> Finding {
    let found = async {
        let (rules, key) = rules::load(environment)?;
        Ok((rules, super::blocking(move || key.fingerprint()).await?))
    };
    match found.await {
        Ok((rules, key)) => {
            Finding::good("rules", format!("digest {}, key {key}", &rules.digest()[..12]))
        }
        Err(error) => Finding::failed("rules", &error),
    }
}
