//! `pfdata list [ENV]`.

use clap::Args;
use serde::Serialize;

use super::app::{App, Outcome};
use crate::error::Result;
use crate::job::{classes, repositories};
use crate::output::table::Table;
use crate::output::{bytes, count};
use crate::repository::manifest::Manifest;
use crate::repository::{Stored, facts};

/// Flags of `list`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only snapshots of this environment
    #[arg(value_name = "ENV")]
    environment: Option<String>,
}

#[derive(Serialize)]
struct Document {
    snapshots: Vec<Row>,
    unreadable: Vec<Broken>,
}

#[derive(Serialize)]
struct Row {
    snapshot: String,
    environment: String,
    set: String,
    clearance: &'static str,
    whole: bool,
    created: jiff::Timestamp,
    stores: Vec<&'static str>,
    records: u64,
    bytes_plain: u64,
    bytes_stored: u64,
    verified: Option<jiff::Timestamp>,
    damaged: bool,
    contradicts: bool,
    note: Option<String>,
}

#[derive(Serialize)]
struct Broken {
    path: String,
    error: String,
}

pub(super) fn run(app: &App, arguments: &Arguments) -> Result<Outcome> {
    let config = app.config(arguments.environment.as_deref())?;
    let only = match &arguments.environment {
        Some(name) => Some(config.environment(name)?.name),
        None => None,
    };
    let shelf = repositories::shelf(&config)?;
    let wanted =
        |manifest: &Manifest| only.as_ref().is_none_or(|name| manifest.environment == *name);
    let mut rows = Vec::new();
    for (_, stored) in shelf.stored.iter().rev().filter(|(_, stored)| wanted(&stored.manifest)) {
        let contradicts = !classes::contradictions(&shelf, &config, stored).is_empty();
        rows.push(row(stored, contradicts)?);
    }
    if app.printer.json {
        let broken = |found: &crate::repository::Unreadable| Broken {
            path: found.path.clone(),
            error: found.error.to_string(),
        };
        let unreadable = shelf.unreadable.iter().map(broken).collect();
        app.printer.document("list", &Document { snapshots: rows, unreadable })?;
        return Ok(Outcome::Done);
    }
    for broken in &shelf.unreadable {
        app.printer.note(&format!("warning: {} cannot be read: {}", broken.path, broken.error));
    }
    let headings = [
        "SNAPSHOT",
        "ENVIRONMENT",
        "SET",
        "CLEARANCE",
        "STORES",
        "RECORDS",
        "RAW",
        "STORED",
        "VERIFIED",
    ];
    let mut table = Table::new(&headings);
    for row in &rows {
        let stores = row.stores.join(",");
        table.row([
            row.snapshot.clone(),
            row.environment.clone(),
            row.set.clone(),
            row.clearance.to_owned(),
            if row.whole { stores } else { format!("{stores} (partial)") },
            count(row.records),
            bytes(row.bytes_plain),
            bytes(row.bytes_stored),
            match (row.damaged, row.verified) {
                (true, _) => "DAMAGED".to_owned(),
                (false, _) if row.contradicts => "CONTRADICTS".to_owned(),
                (false, Some(at)) => at.strftime("%Y-%m-%d").to_string(),
                (false, None) => "—".to_owned(),
            },
        ]);
    }
    table.right(&[5, 6, 7]);
    app.printer.answer(&table.render())?;
    Ok(Outcome::Done)
}

fn row(stored: &Stored, contradicts: bool) -> Result<Row> {
    let manifest = &stored.manifest;
    let verified = facts::last_verified(&stored.snapshot)?;
    let collections = manifest.stores.iter().flat_map(|store| &store.collections);
    Ok(Row {
        snapshot: manifest.id.clone(),
        environment: manifest.environment.clone(),
        set: manifest.set.clone(),
        clearance: manifest.clearance.word(),
        whole: manifest.whole,
        created: manifest.created,
        stores: manifest.stores.iter().map(|store| store.store.word()).collect(),
        records: collections.map(|collection| collection.records).sum(),
        bytes_plain: manifest.bytes_plain(),
        bytes_stored: manifest.bytes_stored(),
        contradicts,
        damaged: verified.as_ref().is_some_and(|fact| !fact.passed),
        verified: verified.filter(|fact| fact.passed).map(|fact| fact.at),
        note: manifest.note.clone(),
    })
}
