//! Where a value came from, for messages and for `config show --origin`.

use std::fmt;

use serde::{Serialize, Serializer};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// A JSON file, as the user would name it.
    File(String),
    /// A variable: of the process, or of a `.env` file.
    Variable {
        /// Its name.
        name: String,
        /// The `.env` file it stands in; `None` is the process environment.
        file: Option<String>,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(file) => f.write_str(file),
            Self::Variable { name, file: None } => f.write_str(name),
            Self::Variable { name, file: Some(file) } => write!(f, "{name} in {file}"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The layers of the contract, lowest first; a value of a higher one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    /// `config/default.json`.
    DefaultFile,
    /// `config/<env>.json`.
    EnvironmentFile,
    /// `.env`.
    DotEnv,
    /// `config/secrets/<env>.env`.
    SecretsFile,
    /// The process environment.
    Process,
}
