//! Subcommands of the contract that this version does not have: refused by name with exit 2.

use std::ffi::OsString;

use clap::Subcommand;

use super::app::Outcome;
use crate::error::{Error, Result};

/// Each takes anything, so that what is refused is the command and not one of its flags.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an anonymized copy of a raw snapshot, without a database (not built yet)
    #[command(hide = true)]
    Anonymize(Rest),
    /// Bring the stores of an environment to the newest version of their schema (not built yet)
    #[command(hide = true)]
    Migrate(Rest),
    /// Delete the snapshots that no rule of retention keeps, and say why each goes or stays (not built yet)
    #[command(hide = true)]
    Retention(Rest),
    /// Keep a snapshot whatever the rules of retention say (not built yet)
    #[command(hide = true)]
    Pin(Rest),
    /// Leave a pinned snapshot to the rules of retention again (not built yet)
    #[command(hide = true)]
    Unpin(Rest),
    /// Bring a snapshot back that retention deleted (not built yet)
    #[command(hide = true)]
    Undelete(Rest),
    /// Restore the newest snapshot into scratch stores and report how long recovery takes (not built yet)
    #[command(hide = true)]
    Drill(Rest),
    /// Write a snapshot in the format of the stores' own tools (not built yet)
    #[command(hide = true)]
    Export(Rest),
    /// Take files of the stores' own tools as a snapshot (not built yet)
    #[command(hide = true)]
    Import(Rest),
    /// Print a part of a snapshot (not built yet)
    #[command(hide = true)]
    Cat(Rest),
    /// Say whether one environment may be promoted to another (not built yet)
    #[command(hide = true)]
    Gate(Rest),
    /// Print the schedules of the configuration for cron, systemd or Kubernetes (not built yet)
    #[command(hide = true)]
    Schedule(Rest),
    /// Report on snapshots, loads and recovery times (not built yet)
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
    /// Names the command in the refusal, as it was typed.
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
