//! The command line: one file per subcommand, each flags → plan → confirm → job → print.

mod app;
mod check;
mod completions;
mod config;
mod init;
mod list;
mod man;
mod refresh;
mod restore;
mod rollback;
mod rules;
mod seed;
mod show;
mod snapshot;
mod status;
mod unbuilt;
mod verify;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};

use app::{App, Outcome};

use crate::config::Answers;
use crate::error::{Error, Kind, OrFail, Result};
use crate::hardening;
use crate::job::Run;
use crate::job::stop::{Stop, interrupted};
use crate::output::logging::{self, LogFormat};
use crate::output::stderr::tell_panics;
use crate::output::{Color, Printer};

const EXAMPLES: &str = "Examples:
  pfdata snapshot production                  an anonymized snapshot of production
  pfdata refresh development --dry-run        what a refresh would do
  pfdata refresh development                  replace development with masked production data
  pfdata rollback development                 take that back
  pfdata status                               every environment at a glance";

/// Snapshots, anonymizes, restores, seeds and refreshes the Postgres, Redis and MongoDB data of an
/// environment.
#[derive(Debug, Parser)]
#[command(name = "pfdata", version, about, after_help = EXAMPLES, propagate_version = true)]
#[command(infer_subcommands = false, infer_long_args = false, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Args)]
struct Globals {
    /// The folder with the environments' files
    #[arg(
        long,
        global = true,
        env = "PFDATA_CONFIG_DIR",
        default_value = "config",
        value_name = "DIR"
    )]
    config_dir: PathBuf,
    /// Answer with one JSON document on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Only errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// More log lines; repeat for more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// No bars, no progress lines
    #[arg(long, global = true)]
    no_progress: bool,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    color: ColorArg,
    /// How log lines look
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    log_format: LogFormatArg,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ColorArg {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormatArg {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Record that an environment is of another class
    Init(init::Arguments),
    /// Take a snapshot of an environment's stores
    Snapshot(snapshot::Arguments),
    /// Load a snapshot into an environment and swap it in
    Restore(restore::Arguments),
    /// Replace an environment's data with an anonymized snapshot of another's
    Refresh(refresh::Arguments),
    /// Swap the data from before the last restore or refresh back in
    Rollback(rollback::Arguments),
    /// Apply seed files to an environment
    Seed(seed::Arguments),
    /// Look at the rules: coverage, preview, transformers
    Rules(rules::Arguments),
    /// List snapshots
    #[command(alias = "ls")]
    List(list::Arguments),
    /// Show what a snapshot holds
    Show(show::Arguments),
    /// Read snapshots back and compare them with their manifests
    Verify(verify::Arguments),
    /// Check the stores, the tools, the rules and the repository
    Check(check::Arguments),
    /// Every environment at a glance
    Status(status::Arguments),
    /// Look at the configuration
    Config(config::Arguments),
    /// Print shell completions
    Completions(completions::Arguments),
    /// Write man pages
    Man(man::Arguments),
    #[command(flatten)]
    Unbuilt(unbuilt::Command),
}

/// Runs the process: everything but the exit itself.
pub fn main() -> ExitCode {
    tell_panics();
    // Before anything is read; what came of it is told once it is known how.
    let hardened = hardening::no_core_dumps();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let globals = &cli.globals;
    let printer = Printer {
        json: globals.json || wants_json(&cli.command),
        quiet: globals.quiet,
        no_progress: globals.no_progress,
        color: match globals.color {
            ColorArg::Auto => Color::Auto,
            ColorArg::Always => Color::Always,
            ColorArg::Never => Color::Never,
        },
    };
    let format = match globals.log_format {
        LogFormatArg::Text => LogFormat::Text,
        LogFormatArg::Json => LogFormat::Json,
    };
    logging::start(format, globals.verbose, printer.color);
    let app = App {
        printer,
        config_dir: globals.config_dir.clone(),
        run: Run::default(),
        answers: Answers::default(),
    };
    // What a panic says was told where it happened.
    let ran = catch_unwind(AssertUnwindSafe(|| hardened.and_then(|()| run(&app, cli.command))));
    let Ok(outcome) = ran else { return ExitCode::from(Kind::Failed.exit_code()) };
    let code = match outcome {
        Ok(Outcome::Done) => 0,
        Ok(Outcome::Findings) => Kind::Findings.exit_code(),
        Err(error) => {
            printer.error(&error);
            error.kind().exit_code()
        }
    };
    ExitCode::from(code)
}

/// What is not built takes every flag for its own, this one too.
fn wants_json(command: &Command) -> bool {
    matches!(command, Command::Unbuilt(_)) && std::env::args_os().any(|word| word == "--json")
}

/// clap's own message: help and version go to stdout and are no error, the rest is exit 2.
fn usage(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|argument| argument == "--json");
    if json && error.use_stderr() {
        let text = error.render().to_string();
        let lines = text.lines().take_while(|line| !line.starts_with("Usage:"));
        let lines: Vec<&str> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
        let message = lines.join(" ").trim_start_matches("error: ").to_owned();
        Printer { json, ..Printer::default() }.error(&Error::usage(message));
    } else if error.print().is_err() && !error.use_stderr() {
        // The reader of our help has gone; there is nobody left to tell.
        return ExitCode::from(Kind::Failed.exit_code());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Kind::Usage.exit_code()))
}

fn run(app: &App, command: Command) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .or_fail(|| "cannot start the runtime")?;
    let work = interruptible(app.run.stop.clone(), dispatch(app, command));
    let outcome = runtime.block_on(work);
    // Blocking threads whose channels have closed end by themselves; do not wait for slow ones.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}

/// Runs `work` until it ends or a signal asks to stop. A job that can undo what it did gets the
/// time to do so; anything else is dropped, and a second signal drops that too.
async fn interruptible(stop: Stop, work: impl Future<Output = Result<Outcome>>) -> Result<Outcome> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).or_fail(|| "cannot watch for signals")?;
    let mut terminate = signal(SignalKind::terminate()).or_fail(|| "cannot watch for signals")?;
    // A session that ends under a job takes it along, as the other two do; under `nohup` it lets
    // the job be.
    let mut hangup = match hardening::ignores_hangup() {
        true => None,
        false => Some(signal(SignalKind::hangup()).or_fail(|| "cannot watch for signals")?),
    };
    let hung_up = async {
        match &mut hangup {
            Some(hangup) => drop(hangup.recv().await),
            None => std::future::pending().await,
        }
    };
    let (mut work, mut hung_up) = (std::pin::pin!(work), std::pin::pin!(hung_up));
    let (mut asked, mut heard) = (false, false);
    loop {
        tokio::select! {
            outcome = &mut work => return outcome,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            // One end of a session may send it twice, or behind another: it asks, and never insists.
            () = &mut hung_up, if !heard => {
                heard = true;
                if asked {
                    continue;
                }
            }
        }
        if asked || !stop.ask() {
            break;
        }
        asked = true;
    }
    Err(interrupted().hint("nothing half-done is visible; the next job cleans up what is left"))
}

async fn dispatch(app: &App, command: Command) -> Result<Outcome> {
    match command {
        Command::Init(arguments) => init::run(app, arguments).await,
        Command::Snapshot(arguments) => snapshot::run(app, arguments).await,
        Command::Restore(arguments) => restore::run(app, arguments).await,
        Command::Refresh(arguments) => refresh::run(app, arguments).await,
        Command::Rollback(arguments) => rollback::run(app, arguments).await,
        Command::Seed(arguments) => seed::run(app, arguments).await,
        Command::Rules(arguments) => rules::run(app, arguments).await,
        Command::List(arguments) => list::run(app, &arguments),
        Command::Show(arguments) => show::run(app, &arguments),
        Command::Verify(arguments) => verify::run(app, arguments).await,
        Command::Check(arguments) => check::run(app, arguments).await,
        Command::Status(arguments) => status::run(app, &arguments).await,
        Command::Config(arguments) => config::run(app, &arguments),
        Command::Completions(arguments) => completions::run(app, &arguments, Cli::command()),
        Command::Man(arguments) => man::run(app, &arguments, Cli::command()),
        Command::Unbuilt(command) => command.run(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
