//! `pfdata check [ENV]…`.

use clap::Args;
use serde::Serialize;

use super::app::{App, Outcome};
use crate::error::{Error, Result};
use crate::job::check::{self, Checked};
use crate::output::table::Table;

/// Flags of `check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environments
    #[arg(value_name = "ENV")]
    environments: Vec<String>,
    /// Print the SQL and the ACLs that the roles of pfdata need (not built yet)
    #[arg(long, hide = true)]
    grants: bool,
}

#[derive(Serialize)]
struct Document {
    passed: bool,
    findings: Vec<Checked>,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<Outcome> {
    if arguments.grants {
        return Err(Error::not_built("`check --grants`"));
    }
    let mut findings = Vec::new();
    if arguments.environments.is_empty() {
        let (_, environment) = app.environment(None)?;
        findings.extend(check::environment(&environment).await?);
    }
    for name in &arguments.environments {
        let (_, environment) = app.environment(Some(name))?;
        findings.extend(check::environment(&environment).await?);
    }
    let passed = findings.iter().all(|found| found.ok);
    if app.printer.json {
        app.printer.document("check", &Document { passed, findings })?;
    } else {
        app.printer.answer(&text(&findings))?;
    }
    Ok(if passed { Outcome::Done } else { Outcome::Findings })
}

fn text(findings: &[Checked]) -> String {
    let mut table = Table::new(&["", "ENVIRONMENT", "ON", "WHAT", "FOUND"]);
    for found in findings {
        table.row([
            if found.ok { "ok" } else { "FAIL" }.to_owned(),
            found.environment.clone(),
            found.on.clone(),
            found.what.clone(),
            found.detail.replace('\n', " "),
        ]);
    }
    let mut text = table.render();
    for found in findings {
        if let Some(hint) = found.hint.as_ref().filter(|_| !found.ok) {
            text.push_str(&format!("\nhint: {} {}: {hint}", found.environment, found.on));
        }
    }
    text
}
