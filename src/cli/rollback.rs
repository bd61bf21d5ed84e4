//! `pfdata rollback ENV`.

use clap::Args;

use super::app::{App, Outcome};
use crate::error::Result;
use crate::job::history::Command;
use crate::job::load::execute::wording;
use crate::job::load::{Request, guard, rollback};

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
    let (config, environment) = app.environment(arguments.environment.as_deref())?;
    let name = environment.name.clone();
    let request = Request {
        rollback_ready: arguments.rollback_ready,
        discard_target: arguments.discard_target,
        ..Request::default()
    };
    let unknown = guard::configured_apart(&config, &environment, &environment.stores()).await?;
    let mut plan = rollback::plan(environment, &request).await?;
    plan.view.remarks.extend(unknown);
    app.printer.plan(&plan.view, arguments.dry_run)?;
    if arguments.dry_run {
        return Ok(Outcome::Done);
    }
    guard::protection(&plan.environment, plan.guarded)?;
    app.confirm(&name, arguments.confirm.as_deref(), wording(Command::Rollback)).await?;
    let display = app.display();
    let summary = rollback::execute(plan, &app.run).await;
    drop(display);
    super::refresh::print(app, "rollback", &summary?)?;
    Ok(Outcome::Done)
}
