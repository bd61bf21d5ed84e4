//! `pfdata config show ENV`.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::app::{App, Outcome};
use crate::error::Result;
use crate::output::table::Table;

/// Flags of `config`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print every value of an environment, secrets redacted
    Show {
        /// The environment
        #[arg(value_name = "ENV")]
        environment: Option<String>,
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
    },
}

#[derive(Serialize)]
struct Document<'a> {
    environment: &'a str,
    values: Vec<Value>,
}

#[derive(Serialize)]
struct Value {
    key: String,
    value: serde_json::Value,
    origin: String,
}

pub(super) fn run(app: &App, arguments: &Arguments) -> Result<Outcome> {
    let Command::Show { environment, origin } = &arguments.command;
    let (config, environment) = app.environment(environment.as_deref())?;
    let shown = config.show(&environment.name)?;
    if app.printer.json {
        let values = shown
            .into_iter()
            .map(|shown| Value {
                key: shown.path,
                value: shown.value,
                origin: shown.origin.to_string(),
            })
            .collect();
        let document = Document { environment: &environment.name, values };
        app.printer.document("config", &document)?;
        return Ok(Outcome::Done);
    }
    let mut table = Table::new(if *origin { &["KEY", "VALUE", "FROM"] } else { &["KEY", "VALUE"] });
    for shown in shown {
        let mut row = vec![shown.path, shown.value.to_string()];
        if *origin {
            row.push(shown.origin.to_string());
        }
        table.row(row);
    }
    app.printer.answer(&table.render())?;
    Ok(Outcome::Done)
}
