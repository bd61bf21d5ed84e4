//! Subcommands of the contract that this version does not have: refused by name with exit 2.

use std::ffi::OsString;

use clap::Subcommand;

use super::app::Outcome;
use crate::error::{Error, Result};

/// Each takes anything, so that what is refused is the command and not one of its flags.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Not built yet
    #[command(hide = true)]
    Anonymize(Rest),
    /// Not built yet
    #[command(hide = true)]
    Migrate(Rest),
    /// Not built yet
    #[command(hide = true)]
    Retention(Rest),
    /// Not built yet
    #[command(hide = true)]
    Pin(Rest),
    /// Not built yet
    #[command(hide = true)]
    Unpin(Rest),
    /// Not built yet
    #[command(hide = true)]
    Undelete(Rest),
    /// Not built yet
    #[command(hide = true)]
    Drill(Rest),
    /// Not built yet
    #[command(hide = true)]
    Export(Rest),
    /// Not built yet
    #[command(hide = true)]
    Import(Rest),
    /// Not built yet
    #[command(hide = true)]
    Cat(Rest),
    /// Not built yet
    #[command(hide = true)]
    Gate(Rest),
    /// Not built yet
    #[command(hide = true)]
    Schedule(Rest),
    /// Not built yet
    #[command(hide = true)]
    Report(Rest),
}

/// Whatever follows.
#[derive(Debug, clap::Args)]
pub(super) struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _rest: Vec<OsString>,
}

impl Command {
    /// Refuses.
    pub(super) fn run(&self) -> Result<Outcome> {
        let name = match self {
            Self::Anonymize(_) => "anonymize",
            Self::Migrate(_) => "migrate",
            Self::Retention(_) => "retention",
            Self::Pin(_) => "pin",
            Self::Unpin(_) => "unpin",
            Self::Undelete(_) => "undelete",
            Self::Drill(_) => "drill",
            Self::Export(_) => "export",
            Self::Import(_) => "import",
            Self::Cat(_) => "cat",
            Self::Gate(_) => "gate",
            Self::Schedule(_) => "schedule",
            Self::Report(_) => "report",
        };
        Err(Error::not_built(format!("`pfdata {name}`")))
    }
}
