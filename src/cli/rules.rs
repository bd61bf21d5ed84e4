//! `pfdata rules check | review | preview | list`.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::app::{App, Outcome};
use crate::anonymize::coverage::Entry;
use crate::anonymize::transformers::{self, Definition};
use crate::anonymize::{Coverage, Verdict};
use crate::config::JobKind;
use crate::error::{Error, Result};
use crate::job::coverage;
use crate::output::table::Table;

/// Flags of `rules`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say which columns, paths and keys are masked, kept or uncovered
    Check {
        /// The environment
        #[arg(value_name = "ENV")]
        environment: String,
        /// Rules that match nothing are findings too, and places that a star keeps and
        /// reviewed.toml does not list
        #[arg(long)]
        strict: bool,
        /// Print the rules that lack, as a file in which every "?" is yours to decide
        #[arg(long, conflicts_with = "strict")]
        missing: bool,
    },
    /// List the places that stars keep as reviewed, in reviewed.toml
    ///
    /// A column, path or key that comes later is then a finding of `rules check --strict`, and
    /// stops a snapshot of a set with "reviewed_only". Columns are judged by the catalog, the
    /// paths of MongoDB by a sample of 2,000 documents of each collection, and the stars of Redis
    /// sections and of JSON paths by themselves: what they find is not listed one by one.
    Review {
        /// The environment
        #[arg(value_name = "ENV")]
        environment: String,
        /// Show what would change and write nothing
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
    /// Show what the rules make of the first rows and documents
    Preview {
        /// The environment
        #[arg(value_name = "ENV")]
        environment: String,
        /// How many of each table and collection
        #[arg(long, value_name = "N", default_value = "3")]
        limit: usize,
        /// Only this table or collection
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
        /// Show the values that rules keep; only on a terminal
        #[arg(long)]
        show_kept: bool,
    },
    /// List the transformers, their parameters and what they preserve
    List {
        /// Only this one
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Propose rules from names, types and sampled values (not built yet)
    #[command(hide = true)]
    Scan {
        /// The environment
        #[arg(value_name = "ENV")]
        _environment: Option<String>,
        /// The file to write them to
        #[arg(short = 'o', value_name = "FILE")]
        _out: Option<PathBuf>,
    },
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<Outcome> {
    match arguments.command {
        Command::Check { environment, missing: true, .. } => missing(app, &environment).await,
        Command::Check { environment, strict, .. } => check(app, &environment, strict).await,
        Command::Review { environment, dry_run } => review(app, &environment, dry_run).await,
        Command::Preview { environment, limit, only, show_kept } => {
            if show_kept && !std::io::stdout().is_terminal() {
                return Err(Error::refused("--show-kept shows real data, and only to a terminal")
                    .hint("without it, kept values show as ‹kept›"));
            }
            let (_, environment) = app.environment(Some(&environment))?;
            environment.refuse_unbuilt(JobKind::Rules, None)?;
            preview(app, &coverage::preview(&environment, limit, &only, show_kept).await?)
        }
        Command::List { name } => list(app, name.as_deref()),
        Command::Scan { .. } => Err(Error::not_built("`rules scan`")),
    }
}

#[derive(Serialize)]
struct CheckDocument<'a> {
    environment: &'a str,
    passed: bool,
    masked: u64,
    kept: u64,
    uncovered: u64,
    places: Vec<Place<'a>>,
    unreviewed: &'a [String],
    remarks: &'a [String],
}

#[derive(Serialize)]
struct Place<'a> {
    store: &'static str,
    place: &'a str,
    item: &'a str,
    verdict: &'static str,
    rule: Option<&'a str>,
    at: Option<String>,
}

impl<'a> Place<'a> {
    fn of(entry: &'a Entry) -> Self {
        Self {
            store: entry.store.word(),
            place: &entry.place,
            item: &entry.item,
            verdict: entry.verdict.word(),
            rule: entry.rule.as_deref(),
            at: entry.at.as_ref().map(ToString::to_string),
        }
    }
}

async fn check(app: &App, name: &str, strict: bool) -> Result<Outcome> {
    let (_, environment) = app.environment(Some(name))?;
    environment.refuse_unbuilt(JobKind::Rules, None)?;
    let checked = coverage::check(&environment).await?;
    let (coverage, unreviewed) = (&checked.coverage, &checked.unreviewed);
    let complete = coverage.uncovered().next().is_none();
    let passed = complete && (!strict || (coverage.remarks.is_empty() && unreviewed.is_empty()));
    if app.printer.json {
        let document = CheckDocument {
            environment: &environment.name,
            passed,
            masked: coverage.count(Verdict::Masked),
            kept: coverage.count(Verdict::Kept),
            uncovered: coverage.count(Verdict::Uncovered),
            places: coverage.entries.iter().map(Place::of).collect(),
            unreviewed,
            remarks: &coverage.remarks,
        };
        app.printer.document("rules-check", &document)?;
    } else {
        let unreviewed: &[String] = if strict { unreviewed } else { &[] };
        app.printer.answer(&text(coverage, unreviewed))?;
    }
    Ok(if passed { Outcome::Done } else { Outcome::Findings })
}

fn text(coverage: &Coverage, unreviewed: &[String]) -> String {
    let mut table = Table::new(&["STORE", "PLACE", "ITEM", "VERDICT", "RULE", "AT"]);
    let places: Vec<Place<'_>> = coverage.entries.iter().map(Place::of).collect();
    for place in places {
        table.row([
            place.store.to_owned(),
            place.place.to_owned(),
            place.item.to_owned(),
            if place.verdict == "uncovered" {
                "UNCOVERED".to_owned()
            } else {
                place.verdict.to_owned()
            },
            place.rule.unwrap_or("—").to_owned(),
            place.at.unwrap_or_else(|| "—".to_owned()),
        ]);
    }
    let mut text = table.render();
    for remark in &coverage.remarks {
        text.push_str(&format!("\nnote: {remark}"));
    }
    for place in unreviewed {
        text.push_str(&format!("\nnot reviewed: {place} is kept by a star"));
    }
    text.push_str(&format!(
        "\n\n{} masked, {} kept, {} uncovered",
        coverage.count(Verdict::Masked),
        coverage.count(Verdict::Kept),
        coverage.count(Verdict::Uncovered)
    ));
    text
}

/// Prints the rules that lack.
async fn missing(app: &App, name: &str) -> Result<Outcome> {
    let (_, environment) = app.environment(Some(name))?;
    environment.refuse_unbuilt(JobKind::Rules, None)?;
    let missing = coverage::check(&environment).await?.missing;
    if app.printer.json {
        #[derive(Serialize)]
        struct Document<'a> {
            environment: &'a str,
            missing: Option<&'a str>,
        }
        let document = Document { environment: &environment.name, missing: missing.as_deref() };
        app.printer.document("rules-missing", &document)?;
    } else if let Some(text) = &missing {
        app.printer.answer(text)?;
    }
    Ok(if missing.is_none() { Outcome::Done } else { Outcome::Findings })
}

/// Writes down what was reviewed.
async fn review(app: &App, name: &str, dry_run: bool) -> Result<Outcome> {
    let (_, environment) = app.environment(Some(name))?;
    environment.refuse_unbuilt(JobKind::Rules, None)?;
    let review = coverage::review(&environment, !dry_run).await?;
    if app.printer.json {
        app.printer.document("rules-review", &review)?;
        return Ok(Outcome::Done);
    }
    let mut text = String::new();
    for (sign, places) in [("+", &review.added), ("-", &review.removed)] {
        for place in places {
            text.push_str(&format!("{sign} {place}\n"));
        }
    }
    let (file, places) = (review.file.display(), review.places);
    let would = if dry_run { "would list" } else { "lists" };
    text.push_str(&format!("{file} {would} {places} places of {}", environment.name));
    app.printer.answer(&text)?;
    Ok(Outcome::Done)
}

fn preview(app: &App, shown: &[coverage::Preview]) -> Result<Outcome> {
    #[derive(Serialize)]
    struct Document<'a> {
        previews: &'a [coverage::Preview],
    }
    if app.printer.json {
        app.printer.document("rules-preview", &Document { previews: shown })?;
        return Ok(Outcome::Done);
    }
    let mut text = String::new();
    let mut last = "";
    for preview in shown {
        if preview.place != last {
            text.push_str(&format!("{} {}\n", preview.store, preview.place));
            last = &preview.place;
        }
        text.push_str(&format!("  {}\n", preview.masked));
    }
    app.printer.answer(&text)?;
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Transformer {
    name: &'static str,
    aliases: Vec<&'static str>,
    summary: &'static str,
    unique: &'static str,
    keyed: bool,
    parameters: Vec<Parameter>,
    example: &'static str,
}

#[derive(Serialize)]
struct Parameter {
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    summary: &'static str,
}

impl From<&'static Definition> for Transformer {
    fn from(definition: &'static Definition) -> Self {
        let parameters = definition.parameters.iter().map(|parameter| Parameter {
            name: parameter.name,
            kind: parameter.kind.word(),
            default: parameter.default,
            summary: parameter.summary,
        });
        Self {
            name: definition.name,
            aliases: definition.aliases.iter().map(|(alias, _)| *alias).collect(),
            summary: definition.summary,
            unique: definition.unique.word(),
            keyed: definition.keyed,
            parameters: parameters.collect(),
            example: definition.example,
        }
    }
}

fn list(app: &App, name: Option<&str>) -> Result<Outcome> {
    let chosen: Vec<&'static Definition> = match name {
        None => transformers::list().iter().collect(),
        Some(name) => {
            vec![transformers::find(name).map(|(definition, _)| definition).ok_or_else(|| {
                Error::not_found(format!("there is no transformer `{name}`"))
                    .hint("`pfdata rules list` shows all")
            })?]
        }
    };
    let rows: Vec<Transformer> = chosen.into_iter().map(Transformer::from).collect();
    if app.printer.json {
        #[derive(Serialize)]
        struct Document {
            transformers: Vec<Transformer>,
        }
        app.printer.document("rules-list", &Document { transformers: rows })?;
        return Ok(Outcome::Done);
    }
    let mut text = String::new();
    if name.is_none() {
        let mut table = Table::new(&["NAME", "UNIQUE", "WHAT IT DOES"]);
        for row in &rows {
            table.row([row.name.to_owned(), row.unique.to_owned(), row.summary.to_owned()]);
        }
        text.push_str(&table.render());
    }
    for row in rows.iter().filter(|_| name.is_some()) {
        text.push_str(&format!(
            "{}: {}\nkeeps originals apart: {}\n",
            row.name, row.summary, row.unique
        ));
        if !row.aliases.is_empty() {
            text.push_str(&format!("also called: {}\n", row.aliases.join(", ")));
        }
        for parameter in &row.parameters {
            text.push_str(&format!(
                "  {} ({}{}): {}\n",
                parameter.name,
                parameter.kind,
                if parameter.default.is_empty() {
                    ", required".to_owned()
                } else {
                    format!(", default {}", parameter.default)
                },
                parameter.summary
            ));
        }
        text.push_str(&format!("for example: {}\n", row.example));
    }
    app.printer.answer(&text)?;
    Ok(Outcome::Done)
}
