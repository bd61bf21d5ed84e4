//! `pfdata verify SNAPSHOT… | --all`.

use clap::Args;
use serde::Serialize;

use super::app::{App, Outcome};
use crate::error::{Error, Result};
use crate::job::verify::{self, Report};
use crate::job::{classes, repositories};
use crate::output::table::Table;
use crate::output::{bytes, count, duration};

/// Flags of `verify`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Snapshots, by id or by word
    #[arg(value_name = "SNAPSHOT", required_unless_present = "all")]
    snapshots: Vec<String>,
    /// Every snapshot of every repository
    #[arg(long, conflicts_with = "snapshots")]
    all: bool,
    /// Compare with what an environment holds now instead (not built yet)
    #[arg(long, value_name = "ENV", hide = true)]
    against: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    passed: bool,
    snapshots: &'a [Report],
    unreadable: Vec<String>,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<Outcome> {
    if arguments.against.is_some() {
        return Err(Error::not_built("`verify --against`"));
    }
    let config = app.config(None)?;
    let shelf = repositories::shelf(&config)?;
    let mut wanted = Vec::new();
    if arguments.all {
        wanted.extend(shelf.stored.iter().map(|(_, stored)| stored.clone()));
    }
    for word in &arguments.snapshots {
        wanted.push(shelf.find(&repositories::parse(&config, word)?, None)?);
    }
    let mut reports = Vec::new();
    for stored in &wanted {
        let contradictions = classes::contradictions(&shelf, &config, stored);
        reports.push(verify::snapshot(stored, contradictions).await?);
    }
    let broken = if arguments.all { shelf.unreadable.as_slice() } else { &[] };
    let unreadable: Vec<String> =
        broken.iter().map(|found| format!("{}: {}", found.path, found.error)).collect();
    let passed = unreadable.is_empty() && reports.iter().all(|report| report.passed);
    if app.printer.json {
        let document = Document { passed, snapshots: &reports, unreadable };
        app.printer.document("verify", &document)?;
    } else {
        app.printer.answer(&text(&reports, &unreadable))?;
    }
    Ok(if passed { Outcome::Done } else { Outcome::Findings })
}

fn text(reports: &[Report], unreadable: &[String]) -> String {
    let mut table = Table::new(&["SNAPSHOT", "OF", "PARTS", "STORED", "TIME", "RESULT"]);
    for report in reports {
        table.row([
            report.snapshot.clone(),
            format!("{}/{}", report.environment, report.set),
            count(report.parts),
            bytes(report.bytes_stored),
            duration(report.elapsed_ms),
            if report.passed { "as stored".to_owned() } else { "DAMAGED".to_owned() },
        ]);
    }
    let mut text = table.render();
    for report in reports {
        for finding in &report.findings {
            text.push_str(&format!("\n  {}: {finding}", report.snapshot));
        }
    }
    for broken in unreadable {
        text.push_str(&format!("\n  {broken}"));
    }
    text
}
