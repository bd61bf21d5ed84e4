//! `pfdata show SNAPSHOT`.

use clap::Args;
use serde::Serialize;

use super::app::{App, Outcome};
use crate::error::Result;
use crate::job::{classes, repositories};
use crate::output::table::Table;
use crate::output::{bytes, count};
use crate::repository::manifest::Manifest;
use crate::terms::Level;

/// Flags of `show`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// An id, a prefix of one, ENV@latest, ENV/SET@latest, ENV@2026-08-01
    #[arg(value_name = "SNAPSHOT")]
    snapshot: String,
}

pub(super) fn run(app: &App, arguments: &Arguments) -> Result<Outcome> {
    let config = app.config(None)?;
    let wanted = repositories::parse(&config, &arguments.snapshot)?;
    let shelf = repositories::shelf(&config)?;
    let stored = shelf.find(&wanted, None)?;
    let contradictions = classes::contradictions(&shelf, &config, &stored);
    if app.printer.json {
        let document = Document { manifest: &stored.manifest, contradictions: &contradictions };
        app.printer.document("show", &document)?;
    } else {
        app.printer.answer(&text(&stored.manifest, &contradictions))?;
    }
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    manifest: &'a Manifest,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    contradictions: &'a [String],
}

fn text(manifest: &Manifest, contradictions: &[String]) -> String {
    let mut head = Table::new(&[]);
    let mut line = |name: &str, value: String| head.row([name.to_owned(), value]);
    line("snapshot", manifest.id.clone());
    line("of", format!("{}/{} ({})", manifest.environment, manifest.set, manifest.class.word()));
    line("clearance", manifest.clearance.word().to_owned());
    line("created", manifest.created.to_string());
    line("finished", manifest.finished.to_string());
    line("holds", if manifest.whole { "every store, whole".into() } else { "a part".into() });
    line(
        "size",
        format!("{} stored as {}", bytes(manifest.bytes_plain()), bytes(manifest.bytes_stored())),
    );
    if let Some(rules) = &manifest.anonymized {
        let digest = rules.rules_digest.get(..12).unwrap_or(&rules.rules_digest);
        line("rules", format!("{digest}, {} masked, {} kept", rules.masked, rules.kept));
        line("key", rules.key_fingerprint.clone());
        if manifest.lacks_places() {
            line("places", "not told: below live it is loaded nowhere".to_owned());
        }
    }
    if let Some(note) = &manifest.note {
        line("note", note.clone());
    }
    for (key, value) in &manifest.tags {
        line("tag", format!("{key}={value}"));
    }
    for contradiction in contradictions {
        line("CONTRADICTS", contradiction.clone());
    }
    let mut text = head.render();
    for store in &manifest.stores {
        let level = match store.consistency.level {
            Level::PointInTime => "point in time",
            Level::BestEffort => "best effort",
        };
        text.push_str(&format!(
            "\n\n{} {} ({level}, {}), {} parts\n",
            store.store,
            store.server_version,
            store.consistency.point,
            store.parts.len()
        ));
        let mut table = Table::new(&["COLLECTION", "RECORDS", "RAW", "STORED", "DIGEST"]);
        for collection in &store.collections {
            let parts = store.parts.iter().filter(|part| {
                part.name == collection.name && part.namespace == collection.namespace
            });
            let (plain, stored) = parts.fold((0, 0), |(plain, stored), part| {
                (plain + part.bytes_plain, stored + part.bytes_stored)
            });
            let name = if collection.namespace.is_empty() {
                collection.name.clone()
            } else {
                format!("{}.{}", collection.namespace, collection.name)
            };
            table.row([
                name,
                count(collection.records),
                bytes(plain),
                bytes(stored),
                collection.digest.to_string(),
            ]);
        }
        table.right(&[1, 2, 3]);
        text.push_str(&table.render());
        for found in &store.structure {
            let more = if found.count > found.names.len() as u64 { ", …" } else { "" };
            let names = found.names.join(", ");
            text.push_str(&format!("\n  carried: {} {}: {names}{more}", found.count, found.kind));
        }
        for remark in &store.remarks {
            text.push_str(&format!("\n  note: {remark}"));
        }
    }
    text
}
