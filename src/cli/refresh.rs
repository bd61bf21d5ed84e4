//! `pfdata refresh ENV`, and what it shares with `restore`.

use clap::{Args, ValueEnum};

use super::app::{App, Outcome, StoreArg, stores};
use crate::error::{Error, Result};
use crate::job::load::Request;
use crate::job::load::execute;
use crate::job::load::plan::{self, LoadPlan};
use crate::job::load::{Summary, Verify};
use crate::output::{count, duration};
use crate::terms::StoreKind;

/// Flags of `refresh`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pfdata refresh development --dry-run
  pfdata refresh development --confirm development
  pfdata refresh staging --from production/anonymized --confirm staging")]
pub(super) struct Arguments {
    /// The environment to refresh
    #[arg(value_name = "ENV")]
    environment: Option<String>,
    /// An environment (its newest anonymized snapshot), ENV/SET or a snapshot
    #[arg(long, value_name = "SOURCE")]
    from: Option<String>,
    /// Take a new snapshot of the source first (not built yet)
    #[arg(long, hide = true)]
    fresh: bool,
    #[command(flatten)]
    flags: LoadFlags,
}

/// Flags that every load takes.
#[derive(Debug, Args)]
pub(super) struct LoadFlags {
    /// Only these stores
    #[arg(long = "store", value_enum, value_delimiter = ',', value_name = "STORE")]
    stores: Vec<StoreArg>,
    /// How thoroughly what was loaded is compared with the manifest
    #[arg(long, value_enum, default_value = "digests", value_name = "HOW")]
    verify: VerifyArg,
    /// The environment's name again, instead of typing it
    #[arg(long, value_name = "ENV")]
    pub(super) confirm: Option<String>,
    /// Take and verify a snapshot of the target first
    #[arg(long, conflicts_with = "discard_target")]
    rollback_ready: bool,
    /// The target is dead or empty: its name, instead of --rollback-ready
    #[arg(long, value_name = "ENV")]
    discard_target: Option<String>,
    /// Print the plan and touch nothing
    #[arg(short = 'n', long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum VerifyArg {
    Digests,
    Counts,
}

impl LoadFlags {
    pub(super) fn request(&self, from: Option<String>) -> Request {
        Request {
            from,
            stores: stores(&self.stores),
            verify: match self.verify {
                VerifyArg::Digests => Verify::Digests,
                VerifyArg::Counts => Verify::Counts,
            },
            rollback_ready: self.rollback_ready,
            discard_target: self.discard_target.clone(),
        }
    }
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<Outcome> {
    if arguments.fresh {
        return Err(Error::not_built("`refresh --fresh`"));
    }
    let (config, environment) = app.environment(arguments.environment.as_deref())?;
    let request = arguments.flags.request(arguments.from);
    let plan = plan::refresh(&config, environment, &request).await?;
    carry_out(app, plan, &arguments.flags).await
}

/// Prints the plan, asks, loads, prints the result.
pub(super) async fn carry_out(app: &App, plan: LoadPlan, flags: &LoadFlags) -> Result<Outcome> {
    let command = plan.command;
    let given = flags.confirm.as_deref();
    let Some(plan) = app.decide(plan, flags.dry_run, given).await? else {
        return Ok(Outcome::Done);
    };
    let display = app.display();
    let summary = execute::execute(plan, &app.run).await;
    drop(display);
    print(app, command.word(), &summary?)?;
    Ok(Outcome::Done)
}

/// The result of a load.
pub(super) fn print(app: &App, command: &str, summary: &Summary) -> Result<()> {
    if app.printer.json {
        return app.printer.document(command, summary);
    }
    for remark in &summary.remarks {
        app.printer.note(&format!("note: {remark}"));
    }
    let mut text = app.printer.steps(&summary.steps);
    for store in StoreKind::ALL {
        let Some(took) = summary.swap_ms.get(&store) else { continue };
        let records: u64 = of(summary, store).map(|counted| counted.records).sum();
        let expired: u64 = of(summary, store).map(|counted| counted.expired).sum();
        text.push_str(&format!("\n{store}: "));
        if of(summary, store).next().is_some() {
            text.push_str(&format!("{} records verified, ", count(records)));
        }
        if expired > 0 {
            text.push_str(&format!("{} expired meanwhile, ", count(expired)));
        }
        text.push_str(&format!("swapped in {}", duration(*took)));
    }
    let from = summary.snapshot.as_deref().unwrap_or("the data kept from before");
    text.push_str(&format!(
        "\n\n{} now holds {from}, after {}",
        summary.environment,
        duration(summary.elapsed_ms)
    ));
    if summary.previous_kept {
        text.push_str(&format!("\ntake it back with: pfdata rollback {}", summary.environment));
    }
    app.printer.answer(&text)
}

fn of(summary: &Summary, store: StoreKind) -> impl Iterator<Item = &crate::job::load::Counted> {
    summary.collections.iter().filter(move |counted| counted.store == store)
}
