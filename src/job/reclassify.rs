//! Recording that an environment is of another class from now on.
//!
//! The file says it, and this makes it hold: until then no snapshot is taken of the environment
//! and nothing is loaded into it. What was live becomes less only once nothing real is left in it.

use jiff::Timestamp;
use serde::Serialize;

use super::apart;
use super::classes::{self, Known};
use super::confirmed::{Confirmed, Guarded};
use super::history;
use super::repositories;
use super::{Plan, Run};
use crate::config::Environment;
use crate::error::{Error, Kind, Result};
use crate::policy::{Class, Clearance};
use crate::repository::Repository;
use crate::repository::class::ClassRecord;
use crate::repository::lease::{Lease, Mode};
use crate::repository::process::Holder;
use crate::terms::Identity;
use crate::terms::StoreKind;

/// A change that is decided on.
pub struct ReclassifyPlan {
    /// What a dry run prints.
    pub view: Plan,
    /// The environment.
    pub environment: Environment,
    reason: String,
}

impl Guarded for ReclassifyPlan {
    fn environment(&self) -> &Environment {
        &self.environment
    }

    fn view(&mut self) -> &mut Plan {
        &mut self.view
    }

    /// No store changes.
    fn stores(&self) -> Vec<StoreKind> {
        Vec::new()
    }

    fn asks(&self) -> Option<&'static str> {
        Some("a change of class")
    }
}

/// What was recorded.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The environment.
    pub environment: String,
    /// What it was recorded to be.
    pub from: Class,
    /// What it is recorded to be now.
    pub to: Class,
    /// The number of the record; none where there was nothing to change.
    pub number: Option<u32>,
    /// Where it was written.
    pub repositories: Vec<String>,
    /// What is worth knowing.
    pub remarks: Vec<String>,
}

/// Decides on a change to `class`, which the environment's file must say already.
pub async fn plan(environment: Environment, class: &str, reason: &str) -> Result<ReclassifyPlan> {
    let words = Class::WORDS;
    let Some((_, class)) = words.iter().find(|(word, _)| *word == class) else {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        return Err(Error::usage(format!("--reclassify {class} names no class"))
            .hint(format!("one of {}", words.join(", "))));
    };
    if *class != environment.class {
        let (file, now) = (environment.file(), environment.class.word());
        return Err(Error::usage(format!(
            "{file} says that `{}` is `{now}`, not `{}`",
            environment.name,
            class.word()
        ))
        .hint("change `data.class` there first: the file says what holds, and this records it"));
    }
    if reason.trim().is_empty() {
        return Err(Error::usage("--reason must say why"));
    }
    let title = format!("reclassify {} as {}", environment.name, class.word());
    let mut plan = ReclassifyPlan {
        view: Plan::new("init", title),
        environment,
        reason: reason.trim().to_owned(),
    };
    let known = Known::read(&plan.environment)?;
    let identities = judge(&plan.environment, &known).await?;
    let (places, remarks) = targets(&plan.environment)?;
    let from = classes::recorded(&known.shelf, &plan.environment.name);
    match from.filter(|from| from.class != plan.environment.class) {
        Some(from) => {
            let (from, to) = (from.class.word(), plan.environment.class.word());
            for place in &places {
                let place = place.place();
                plan.view.action("record", None, format!("{from} → {to}, in {place}"));
            }
            for identity in &identities {
                let store = identity.kind();
                plan.view.action("name", Some(store), super::place(&plan.environment, store)?);
            }
        }
        None => plan.view.remark(NOTHING_TO_CHANGE),
    }
    plan.view.remarks.extend(remarks);
    Ok(plan)
}

const NOTHING_TO_CHANGE: &str = "nothing else is recorded: there is nothing to change";

/// Refuses (5) to call less than live what may hold real data, and gives the stores.
async fn judge(environment: &Environment, known: &Known) -> Result<Vec<Identity>> {
    let mut identities = Vec::new();
    for store in environment.stores() {
        let identity = apart::identity(environment, store).await?;
        classes::not_live_elsewhere(&known.shelf, environment, &identity)?;
        let held = known.held(store, Some(&identity));
        if environment.class != Class::Live && held == Clearance::Raw {
            return Err(Error::refused(format!(
                "{store} of `{0}` holds real data: no masked snapshot was loaded into it since \
                 it was live",
                environment.name
            ))
            .hint(
                "set the class back to live, restore a masked snapshot into every store, and \
                 record the change then",
            ));
        }
        identities.push(identity);
    }
    Ok(identities)
}

/// Every repository that can be written to, the environment's own first, and what is told of those
/// that this host cannot name.
fn targets(environment: &Environment) -> Result<(Vec<Repository>, Vec<String>)> {
    let mut found = vec![repositories::open_main(environment, true)?];
    let mut remarks = Vec::new();
    for (owner, opened) in repositories::every(&environment.config()) {
        match opened {
            Ok(repository) if found.iter().any(|other| other.storage() == repository.storage()) => {
            }
            Ok(repository) => found.push(repository),
            // Nothing was ever stored there that could say otherwise.
            Err(error) if error.kind() == Kind::NotFound => {}
            Err(error) if error.kind() == Kind::Usage => {
                remarks.push(format!("not recorded in the repository of `{owner}`: {error}"));
            }
            Err(error) => {
                return Err(error.context(format!("the repository of `{owner}` must know too")));
            }
        }
    }
    Ok((found, remarks))
}

/// Records the change, in every repository. Records that a crash left out of some of them are
/// written there too.
pub async fn execute(plan: Confirmed<ReclassifyPlan>, run: &Run) -> Result<Summary> {
    let plan = plan.into_plan();
    let environment = &plan.environment;
    let main = repositories::open_main(environment, true)?;
    let now = Timestamp::now();
    let job = crate::repository::id::new_job_id(now);
    let _graceful = run.stop.graceful();
    let holder = Holder::this(&job, &format!("init {}", environment.name));
    let by = format!("{} on {}", user(), holder.host);
    let lease = Lease::acquire(main.storage(), &environment.name, Mode::Exclusive, holder)?;
    let journals = repositories::journals(environment, &main)?;
    history::refuse_half_swapped(&journals, &environment.name)?;
    let known = Known::read(environment)?;
    let identities = judge(environment, &known).await?;
    let (places, remarks) = targets(environment)?;
    let from = classes::recorded(&known.shelf, &environment.name);
    let newest = classes::newest_change(&known.shelf, &environment.name);
    let from = from.map_or(environment.class, |from| from.class);
    let record = if from == environment.class {
        newest.cloned()
    } else {
        Some(ClassRecord {
            environment: environment.name.clone(),
            number: newest.map_or(0, |newest| newest.number) + 1,
            from,
            to: environment.class,
            reason: plan.reason.clone(),
            at: now,
            by,
            tool: super::TOOL.to_owned(),
            identities,
        })
    };
    let mut summary = Summary {
        environment: environment.name.clone(),
        from,
        to: environment.class,
        number: None,
        repositories: Vec::new(),
        remarks,
    };
    lease.still_held()?;
    if let Some(record) = &record {
        for place in &places {
            if place.record_class(record)? {
                summary.number = Some(record.number);
                summary.repositories.push(place.place());
            }
        }
    }
    if summary.number.is_none() {
        summary.remarks.push(NOTHING_TO_CHANGE.to_owned());
    }
    Ok(summary)
}

/// The user as the operating system knows it: no variable can say another.
fn user() -> String {
    let id = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id.to_string()).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("user {id}"))
}
