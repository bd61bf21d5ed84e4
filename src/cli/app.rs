//! What every subcommand is run with.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::config::{Answers, Config, Environment};
use crate::error::{Error, Result};
use crate::job::Run;
use crate::job::confirmed::{Checked, Confirmed, Guarded};
use crate::output::progress::Display;
use crate::output::{Printer, confirm};
use crate::policy::Class;
use crate::terms::StoreKind;

/// How a command ended, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 0.
    Done,
    /// 4: it found something and has said what.
    Findings,
}

/// What every command gets.
pub(super) struct App {
    pub(super) printer: Printer,
    pub(super) config_dir: PathBuf,
    pub(super) run: Run,
    /// What the commands of the configuration have answered.
    pub(super) answers: Answers,
}

impl App {
    /// The configuration, with overrides for the environment acted on.
    pub(super) fn config(&self, target: Option<&str>) -> Result<Config> {
        Config::load_asking(&self.config_dir, target, &self.answers)
    }

    /// The configuration and the environment acted on: the one named, else `PFDATA_ENV`, else
    /// development. One that was not named must not be live.
    pub(super) fn environment(&self, named: Option<&str>) -> Result<(Config, Environment)> {
        let fallback = std::env::var("PFDATA_ENV").ok().filter(|name| !name.is_empty());
        let name =
            named.map(str::to_owned).or(fallback).unwrap_or_else(|| "development".to_owned());
        let config = self.config(Some(&name))?;
        let environment = config.environment(&name)?.settled();
        if named.is_none() && environment.class == Class::Live {
            return Err(Error::refused(format!(
                "`{}` is live and was not named",
                environment.name
            ))
            .hint("name it on the command line"));
        }
        Ok((config, environment))
    }

    /// Makes sure that `environment` is meant; `given` may be one of its short names. Waits for a
    /// terminal on a thread of its own, so that signals are heard meanwhile.
    async fn confirm(
        &self,
        environment: &str,
        given: Option<&str>,
        what: &'static str,
    ) -> Result<()> {
        let config = self.config(None)?;
        let given = given.map(|name| config.resolve_name(name).unwrap_or_else(|_| name.to_owned()));
        let (printer, environment) = (self.printer, environment.to_owned());
        crate::job::blocking(move || {
            confirm::environment(&printer, &environment, given.as_deref(), what)
        })
        .await
    }

    /// Takes a plan through its guards: shows it, and asks what is to be asked; `given` is the value
    /// of `--confirm`. Nothing for a dry run.
    pub(super) async fn decide<P: Guarded>(
        &self,
        plan: P,
        dry_run: bool,
        given: Option<&str>,
    ) -> Result<Option<Confirmed<P>>> {
        let mut plan = Checked::new(plan).await?;
        self.printer.plan(plan.view(), dry_run)?;
        if dry_run {
            return Ok(None);
        }
        let plan = plan.ask()?;
        let wanted = plan.wants();
        if let Some((name, what)) = &wanted {
            self.confirm(name, given, what).await?;
        }
        plan.confirm(wanted.as_ref().map(|(name, _)| name.as_str())).map(Some)
    }

    /// Shows progress while a job runs.
    pub(super) fn display(&self) -> Display {
        Display::start(&self.printer, &self.run.progress)
    }
}

/// `--store postgres,redis,mongodb`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum StoreArg {
    Postgres,
    Redis,
    Mongodb,
}

impl From<StoreArg> for StoreKind {
    fn from(store: StoreArg) -> Self {
        match store {
            StoreArg::Postgres => Self::Postgres,
            StoreArg::Redis => Self::Redis,
            StoreArg::Mongodb => Self::Mongodb,
        }
    }
}

pub(super) fn stores(given: &[StoreArg]) -> Option<Vec<StoreKind>> {
    (!given.is_empty()).then(|| given.iter().map(|store| (*store).into()).collect())
}
