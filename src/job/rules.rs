//! Loading an environment's rules and key.

use std::path::PathBuf;

use crate::anonymize::{Key, Reviewed, RuleSet};
use crate::config::Environment;
use crate::error::{Error, Result};

/// The rules and the key that a masked snapshot of `environment` is taken under.
pub fn load(environment: &Environment) -> Result<(RuleSet, Key)> {
    let rules = RuleSet::load(&folder(environment)?)?;
    Ok((rules, key(environment)?))
}

/// The folder of the rules.
pub fn folder(environment: &Environment) -> Result<PathBuf> {
    environment.rules_folder()?.ok_or_else(|| {
        Error::usage(format!("`{}` has no rules", environment.name))
            .hint("write them to `anonymizers/*.toml`, or name a folder as `data.anonymize.rules`")
    })
}

/// What was reviewed.
pub fn reviewed(environment: &Environment) -> Result<Reviewed> {
    Reviewed::load(&folder(environment)?)
}

/// The key alone.
pub fn key(environment: &Environment) -> Result<Key> {
    let secret = environment.anonymize_key()?.ok_or_else(|| {
        Error::usage(format!("`{}` has no `data.anonymize.key`", environment.name)).hint(
            "set it to ${PFDATA_ANONYMIZE_KEY}, and that to what `openssl rand -base64 32` prints",
        )
    })?;
    Key::new(&secret)
}
