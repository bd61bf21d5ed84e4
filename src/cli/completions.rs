//! `pfdata completions SHELL`.

use clap::{Args, Command};
use clap_complete::Shell;

use super::app::{App, Outcome};
use crate::error::Result;

/// Flags of `completions`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

/// Prints the script that completes `command` in a shell.
pub(super) fn run(app: &App, arguments: &Arguments, mut command: Command) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "pfdata", &mut script);
    app.printer.answer(&String::from_utf8_lossy(&script))?;
    Ok(Outcome::Done)
}
