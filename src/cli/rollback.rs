//! `pfdata rollback ENV`.

use clap::Args;

use super::app::{App, Outcome};
use crate::error::Result;
use crate::job::load::{Request, rollback};

/// Flags of `rollback`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: Option<String>,
    /// The environment's name again, instead of typing it
    #[arg(long, value_name = "ENV")]
    confirm: Option<String>,
    /// Take and verify a snapshot of the environment first
    #[arg(long, conflicts_with = "discard_target")]
    rollback_ready: bool,
    /// What is live is worthless: its name, instead of --rollback-ready
    #[arg(long, value_name = "ENV")]
    discard_target: Option<String>,
    /// Print the plan and touch nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<Outcome> {
    let (_, environment) = app.environment(arguments.environment.as_deref())?;
    let request = Request {
        rollback_ready: arguments.rollback_ready,
        discard_target: arguments.discard_target,
        ..Request::default()
    };
    let plan = rollback::plan(environment, &request).await?;
    let given = arguments.confirm.as_deref();
    let Some(plan) = app.decide(plan, arguments.dry_run, given).await? else {
        return Ok(Outcome::Done);
    };
    let display = app.display();
    let summary = rollback::execute(plan, &app.run).await;
    drop(display);
    super::refresh::print(app, "rollback", &summary?)?;
    Ok(Outcome::Done)
}
