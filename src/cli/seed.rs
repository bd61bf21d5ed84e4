//! `pfdata seed ENV [PROFILE]…`.

use clap::Args;

use super::app::{App, Outcome};
use crate::error::{Error, Result};
use crate::job::seed;
use crate::output::duration;

/// Flags of `seed`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: String,
    /// Folders below `seeds`; those of `data.refresh.seeds` where none is named
    #[arg(value_name = "PROFILE")]
    profiles: Vec<String>,
    /// Make this many times the rows that the profile asks for (not built yet)
    #[arg(long, value_name = "F", hide = true)]
    scale: Option<String>,
    /// Make the same rows again for the same number (not built yet)
    #[arg(long, value_name = "N", hide = true)]
    rng_seed: Option<String>,
    /// Empty the stores first; needs --confirm (not built yet)
    #[arg(long, hide = true)]
    reset: bool,
    /// The environment's name again; needed by --reset only
    #[arg(long, value_name = "ENV")]
    confirm: Option<String>,
    /// Print the plan and touch nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<Outcome> {
    let unbuilt = [
        ("--scale", arguments.scale.is_some()),
        ("--rng-seed", arguments.rng_seed.is_some()),
        ("--reset", arguments.reset),
    ];
    if let Some((flag, _)) = unbuilt.iter().find(|(_, given)| *given) {
        return Err(Error::not_built(format!("`seed {flag}`")));
    }
    let (_, environment) = app.environment(Some(&arguments.environment))?;
    if let Some(name) = arguments.confirm.filter(|name| *name != environment.name) {
        return Err(Error::refused(format!("--confirm names `{name}`")));
    }
    let plan = seed::plan(environment, &arguments.profiles).await?;
    let Some(plan) = app.decide(plan, arguments.dry_run, None).await? else {
        return Ok(Outcome::Done);
    };
    let summary = seed::execute(plan, &app.run).await?;
    if app.printer.json {
        app.printer.document("seed", &summary)?;
    } else {
        app.printer.answer(&format!(
            "{}\n\n{} has the seeds {}, after {}",
            app.printer.steps(&summary.steps),
            summary.environment,
            summary.profiles.join(", "),
            duration(summary.elapsed_ms)
        ))?;
    }
    Ok(Outcome::Done)
}
