//! `pfdata init ENV --reclassify CLASS`: the rest of `init` is not built yet.

use clap::Args;

use super::app::{App, Outcome};
use crate::error::{Error, Result};
use crate::job::reclassify;

/// Flags of `init`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  pfdata init staging --reclassify production-like --reason 'full volume from May' --confirm staging")]
pub(super) struct Arguments {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: Option<String>,
    /// Record that the environment is of this class from now on, as its file says already
    #[arg(long, value_name = "CLASS")]
    reclassify: Option<String>,
    /// Why the class changes: recorded, and shown by `status`
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The environment's name again, instead of typing it
    #[arg(long, value_name = "ENV")]
    confirm: Option<String>,
    /// Print the plan and touch nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<Outcome> {
    let Some(class) = &arguments.reclassify else {
        return Err(Error::not_built("`pfdata init` without --reclassify"));
    };
    let reason = arguments.reason.as_deref().ok_or_else(|| {
        Error::usage("--reclassify needs --reason TEXT")
            .hint("it is recorded and shown by `status`")
    })?;
    let (_, environment) = app.environment(arguments.environment.as_deref())?;
    let name = environment.name.clone();
    let plan = reclassify::plan(environment, class, reason).await?;
    let given = arguments.confirm.as_deref();
    let Some(plan) = app.decide(plan, arguments.dry_run, given).await? else {
        return Ok(Outcome::Done);
    };
    let summary = reclassify::execute(plan, &app.run).await?;
    if app.printer.json {
        app.printer.document("init", &summary)?;
        return Ok(Outcome::Done);
    }
    for remark in &summary.remarks {
        app.printer.note(&format!("note: {remark}"));
    }
    if let Some(number) = summary.number {
        app.printer.answer(&format!(
            "{name} is recorded as {}, which was {} (class-{number}.json in {})",
            summary.to.word(),
            summary.from.word(),
            summary.repositories.join(", ")
        ))?;
    }
    Ok(Outcome::Done)
}
