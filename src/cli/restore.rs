//! `pfdata restore SNAPSHOT --to ENV`.

use clap::Args;

use super::app::{App, Outcome};
use super::refresh::{LoadFlags, carry_out};
use crate::error::{Error, Result};
use crate::job::load::plan;

/// Flags of `restore`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pfdata restore production/raw@latest --to production --confirm production --rollback-ready
  pfdata restore staging@2026-08-01 --to staging --dry-run")]
pub(super) struct Arguments {
    /// An id, a prefix of one, ENV@latest, ENV/SET@latest, ENV@2026-08-01
    #[arg(value_name = "SNAPSHOT")]
    snapshot: String,
    /// The environment to load into
    #[arg(long = "to", value_name = "ENV")]
    to: String,
    /// Load this table or collection alone (not built yet)
    #[arg(long, value_name = "NAME", hide = true)]
    only: Vec<String>,
    /// Load over what is live instead of beside it (not built yet)
    #[arg(long, hide = true)]
    in_place: bool,
    #[command(flatten)]
    flags: LoadFlags,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<Outcome> {
    if arguments.in_place {
        return Err(Error::not_built("`restore --in-place`"));
    }
    if !arguments.only.is_empty() {
        return Err(Error::not_built("`restore --only`"));
    }
    let (config, environment) = app.environment(Some(&arguments.to))?;
    let request = arguments.flags.request(Some(arguments.snapshot));
    let plan = plan::restore(&config, environment, &request).await?;
    carry_out(app, plan, &arguments.flags).await
}
