//! `pfdata man --out DIR`.

use std::path::PathBuf;

use clap::{Args, Command};

use super::app::{App, Outcome};
use crate::error::{OrFail, Result};

/// Flags of `man`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Writes a page for `command` and one for each of its subcommands.
pub(super) fn run(app: &App, arguments: &Arguments, command: Command) -> Result<Outcome> {
    let folder = &arguments.out;
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command, folder))
        .or_fail(|| format!("cannot write man pages to `{}`", folder.display()))?;
    app.printer.note(&format!("man pages are in {}", folder.display()));
    Ok(Outcome::Done)
}
