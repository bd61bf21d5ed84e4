//! What a child process never inherits: the keys, and whatever is pfdata's own.
//!
//! A secret manager needs its own variables (`AWS_…`, `VAULT_…`), so that a `${cmd:…}` gets the
//! environment of this process but for: every `PFDATA_…`, every `${NAME}` that a key of any
//! environment is taken from, and every variable, however it is named, that holds a key's value.
//! PostgreSQL's tools get less still: see `store/postgres/tools.rs`.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use memchr::memmem;

/// What pfdata's own variables begin with.
const OWN: &[u8] = b"PFDATA_";

/// What is withheld. Not `Debug`: it holds the keys.
#[derive(Default)]
pub(crate) struct Withheld {
    /// Of variables.
    pub(super) names: HashSet<String>,
    /// Of keys. What is shorter is none, and may stand in any other value by chance.
    pub(super) values: HashSet<String>,
}

impl Withheld {
    /// Whether a variable of this process is kept from its children.
    pub(crate) fn hides(&self, name: &OsStr, value: &OsStr) -> bool {
        let holds = |key: &String| memmem::find(value.as_bytes(), key.as_bytes()).is_some();
        name.as_bytes().starts_with(OWN)
            || name.to_str().is_some_and(|name| self.names.contains(name))
            || self.values.iter().any(holds)
    }
}
