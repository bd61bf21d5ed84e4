//! `pfdata snapshot ENV`.

use std::collections::BTreeMap;

use clap::Args;

use super::app::{App, Outcome, StoreArg, stores};
use crate::config::MOST_JOBS;
use crate::error::{Error, Result};
use crate::job::snapshot::{self, Request, Summary};
use crate::output::{bytes, count, duration};
use crate::pipeline::codec::Compression;

/// Flags of `snapshot`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pfdata snapshot production                     masked by the rules, into the set `anonymized`
  pfdata snapshot production --raw               as it is; can only be restored into production
  pfdata snapshot staging --store postgres       one store; found by its id only")]
pub(super) struct Arguments {
    /// The environment to read
    #[arg(value_name = "ENV")]
    environment: String,
    /// The snapshot set
    #[arg(long, value_name = "NAME", conflicts_with_all = ["raw", "anonymize"])]
    set: Option<String>,
    /// The set `raw`: no rules
    #[arg(long, conflicts_with = "anonymize")]
    raw: bool,
    /// The set `anonymized`: masked by the rules
    #[arg(long)]
    anonymize: bool,
    /// Only these stores
    #[arg(long = "store", value_enum, value_delimiter = ',', value_name = "STORE")]
    stores: Vec<StoreArg>,
    /// Only tables and collections of this name (SCHEMA.TABLE or a collection)
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Leave tables and collections of this name out
    #[arg(long, value_name = "NAME")]
    exclude: Vec<String>,
    /// A tag for the manifest
    #[arg(long = "tag", value_name = "K=V")]
    tags: Vec<String>,
    /// A note for the manifest
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// How many parts are read at once
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// zstd[:L], gzip[:L] or none
    #[arg(long, value_name = "CODEC")]
    compression: Option<String>,
    /// Print the plan and touch nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<Outcome> {
    let (_, environment) = app.environment(Some(&arguments.environment))?;
    let dry_run = arguments.dry_run;
    let plan = snapshot::plan(environment, request(arguments)?).await?;
    let Some(plan) = app.decide(plan, dry_run, None).await? else { return Ok(Outcome::Done) };
    let display = app.display();
    let summary = snapshot::execute(plan, &app.run).await;
    drop(display);
    print(app, &summary?)?;
    Ok(Outcome::Done)
}

fn request(arguments: Arguments) -> Result<Request> {
    let set = match (arguments.set, arguments.raw, arguments.anonymize) {
        (Some(set), _, _) => Some(set),
        (None, true, _) => Some("raw".to_owned()),
        (None, _, true) => Some("anonymized".to_owned()),
        _ => None,
    };
    let mut tags = BTreeMap::new();
    for tag in &arguments.tags {
        let (key, value) =
            tag.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
                Error::usage(format!("`{tag}` is not a tag")).hint("write --tag KEY=VALUE")
            })?;
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(Error::usage(format!("the tag `{key}` is given twice")));
        }
    }
    if arguments.jobs.is_some_and(|jobs| jobs == 0 || jobs as u64 > MOST_JOBS) {
        return Err(Error::usage(format!("--jobs must be from 1 to {MOST_JOBS}")));
    }
    let compression = arguments.compression.as_deref().map(compression).transpose()?;
    Ok(Request {
        set,
        stores: stores(&arguments.stores),
        only: arguments.only,
        exclude: arguments.exclude,
        tags,
        note: arguments.note,
        jobs: arguments.jobs,
        compression,
        within: None,
    })
}

fn compression(text: &str) -> Result<Compression> {
    text.parse().map_err(|problem: String| {
        Error::usage(format!("`{text}` is not a compression")).hint(problem)
    })
}

fn print(app: &App, summary: &Summary) -> Result<()> {
    if app.printer.json {
        return app.printer.document("snapshot", summary);
    }
    for remark in &summary.remarks {
        app.printer.note(&format!("note: {remark}"));
    }
    app.printer.answer(&format!(
        "{}\n\nsnapshot {} of {}/{} ({}): {} records, {} stored as {}, {}",
        app.printer.steps(&summary.steps),
        summary.snapshot,
        summary.environment,
        summary.set,
        summary.clearance.word(),
        count(summary.records),
        bytes(summary.bytes_plain),
        bytes(summary.bytes_stored),
        duration(summary.elapsed_ms),
    ))
}
