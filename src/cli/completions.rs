//! `pfdata completions SHELL`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{App, Cli, Outcome};
use crate::error::Result;

/// Flags of `completions`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

/// Runs it.
pub(super) fn run(app: &App, arguments: &Arguments) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "pfdata", &mut script);
    app.printer.answer(&String::from_utf8_lossy(&script))?;
    Ok(Outcome::Done)
}
