//! `pfdata status`: every environment at a glance. Reads configuration and repositories only.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::app::{App, Outcome};
use crate::config::Environment;
use crate::error::Result;
use crate::job::classes::{self, Known};
use crate::job::{history, repositories};
use crate::output::table::Table;
use crate::policy::Class;
use crate::repository::Repository;
use crate::repository::lease::Lease;
use crate::terms::StoreKind;

/// Flags of `status`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only this environment
    #[arg(value_name = "ENV")]
    environment: Option<String>,
}

#[derive(Serialize)]
struct Document {
    environments: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    environment: String,
    class: &'static str,
    protected: bool,
    stores: Vec<&'static str>,
    newest_snapshot: Option<Newest>,
    holds: BTreeMap<StoreKind, history::Holds>,
    running: Vec<String>,
    crashed: Vec<Crash>,
    /// The stores of an environment below `live` that hold real data.
    raw: Vec<StoreKind>,
    /// Why snapshots of it and loads into it are refused: its file says another class.
    unsettled: Option<String>,
    /// The newest change of its class.
    reclassified: Option<Change>,
    problem: Option<String>,
}

#[derive(Serialize)]
struct Change {
    from: Class,
    to: Class,
    reason: String,
    at: jiff::Timestamp,
    by: String,
    #[serde(skip)]
    told: String,
}

#[derive(Serialize)]
struct Newest {
    snapshot: String,
    set: String,
    created: jiff::Timestamp,
    age_s: i64,
}

#[derive(Serialize)]
struct Crash {
    job: String,
    command: &'static str,
    swapping: bool,
}

pub(super) async fn run(app: &App, arguments: &Arguments) -> Result<Outcome> {
    let config = app.config(arguments.environment.as_deref())?;
    let names = match &arguments.environment {
        Some(name) => vec![config.environment(name)?.name],
        None => config.environments(),
    };
    // Every repository has a say in what each environment is.
    let shelf = repositories::shelf(&config).ok();
    let mut rows = Vec::new();
    for name in names {
        rows.push(row(&config, &name, shelf.as_ref())?);
    }
    if app.printer.json {
        app.printer.document("status", &Document { environments: rows })?;
        return Ok(Outcome::Done);
    }
    app.printer.answer(&text(&rows))?;
    Ok(Outcome::Done)
}

fn row(
    config: &crate::config::Config,
    name: &str,
    shelf: Option<&repositories::Shelf>,
) -> Result<Row> {
    let environment = config.environment(name)?;
    let mut row = Row {
        environment: environment.name.clone(),
        class: environment.class.word(),
        protected: environment.protected,
        stores: environment.stores().iter().map(|store| store.word()).collect(),
        newest_snapshot: None,
        holds: BTreeMap::new(),
        running: Vec::new(),
        crashed: Vec::new(),
        raw: Vec::new(),
        unsettled: None,
        reclassified: None,
        problem: None,
    };
    if let Some(shelf) = shelf {
        row.unsettled = classes::settled(shelf, &environment).err().map(|error| error.to_string());
        row.reclassified = classes::newest_change(shelf, &environment.name).map(|record| Change {
            from: record.from,
            to: record.to,
            reason: record.reason.clone(),
            at: record.at,
            by: record.by.clone(),
            told: classes::told(record),
        });
    }
    let main = match repositories::open_main(&environment, false) {
        Ok(main) => main,
        Err(error) => {
            row.problem = Some(error.message().to_owned());
            return Ok(row);
        }
    };
    match repositories::Shelf::open([&environment]) {
        Ok(shelf) => row.newest_snapshot = newest(&shelf, &environment.name),
        Err(error) => row.problem = Some(error.message().to_owned()),
    }
    if let Err(error) = look(&mut row, &environment, &main) {
        row.problem = Some(error.to_string());
    }
    Ok(row)
}

/// What the leases and journals of an environment tell.
fn look(row: &mut Row, environment: &Environment, main: &Repository) -> Result<()> {
    let journals = repositories::journals(environment, main)?;
    row.holds = history::holds(&journals)?;
    if environment.class != Class::Live {
        row.raw = Known::read(environment)?.raw(environment);
    }
    let running = Lease::holders(main.storage(), &row.environment)?;
    row.running = running.iter().map(crate::repository::process::Holder::describe).collect();
    for crashed in history::crashed(&journals)? {
        row.crashed.push(Crash {
            job: crashed.journal.job().to_owned(),
            command: crashed.record.command.word(),
            swapping: crashed.ready.is_some(),
        });
    }
    Ok(())
}

fn newest(shelf: &repositories::Shelf, environment: &str) -> Option<Newest> {
    let whole = shelf
        .stored
        .iter()
        .map(|(_, stored)| &stored.manifest)
        .rfind(|manifest| manifest.environment == environment && manifest.whole)?;
    Some(Newest {
        snapshot: whole.id.clone(),
        set: whole.set.clone(),
        created: whole.created,
        age_s: jiff::Timestamp::now().as_second() - whole.created.as_second(),
    })
}

fn text(rows: &[Row]) -> String {
    let mut table =
        Table::new(&["ENVIRONMENT", "CLASS", "STORES", "NEWEST SNAPSHOT", "AGE", "HOLDS", "STATE"]);
    let dash = || "—".to_owned();
    for row in rows {
        let class =
            if row.protected { format!("{}, protected", row.class) } else { row.class.to_owned() };
        let newest = row.newest_snapshot.as_ref();
        table.row([
            row.environment.clone(),
            class,
            row.stores.join(","),
            newest.map_or_else(dash, |newest| format!("{} ({})", newest.snapshot, newest.set)),
            newest.map_or_else(dash, |newest| age(newest.age_s)),
            held(&row.holds),
            state(row),
        ]);
    }
    let mut text = table.render();
    for row in rows {
        if !row.raw.is_empty() {
            text.push_str(&format!(
                "\n{}: ALARM: {} holds real data, and the environment is {}; refresh it from an \
                 anonymized snapshot",
                row.environment,
                row.raw.iter().map(|store| store.word()).collect::<Vec<_>>().join(", "),
                row.class
            ));
        }
        if let Some(unsettled) = &row.unsettled {
            text.push_str(&format!("\n{}: {unsettled}", row.environment));
        }
        if let Some(change) = &row.reclassified {
            text.push_str(&format!("\n{}: {}", row.environment, change.told));
        }
        for running in &row.running {
            text.push_str(&format!("\n{}: running: {running}", row.environment));
        }
        for crash in &row.crashed {
            let what = if crash.swapping {
                "crashed while it swapped the stores: they may be of two loads"
            } else {
                "crashed before anything was swapped: the data is untouched"
            };
            text.push_str(&format!(
                "\n{}: {} {} {what}; the next refresh, restore, rollback or seed deals with it first",
                row.environment, crash.command, crash.job
            ));
        }
        if let Some(problem) = &row.problem {
            text.push_str(&format!("\n{}: {problem}", row.environment));
        }
    }
    text
}

fn held(holds: &BTreeMap<StoreKind, history::Holds>) -> String {
    let mut ids: Vec<&str> = holds.values().filter_map(|held| held.snapshot.as_deref()).collect();
    ids.sort_unstable();
    ids.dedup();
    match ids.as_slice() {
        [] => "—".to_owned(),
        ids => ids.join(", "),
    }
}

fn state(row: &Row) -> String {
    if !row.raw.is_empty() {
        "RAW DATA".to_owned()
    } else if row.unsettled.is_some() {
        "CLASS DIFFERS".to_owned()
    } else if row.crashed.iter().any(|crash| crash.swapping) {
        "HALF-SWAPPED".to_owned()
    } else if !row.crashed.is_empty() {
        "crashed job".to_owned()
    } else if !row.running.is_empty() {
        "busy".to_owned()
    } else if row.problem.is_some() {
        "see below".to_owned()
    } else {
        "idle".to_owned()
    }
}

fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
