//! The swap: one rename over the live collection each, then what is not in the snapshot is
//! dropped, then views. Every step can be repeated: what was done is told by the uuids, which
//! renames keep.

use mongodb::Database;
use mongodb::bson::doc;
use serde::{Deserialize, Serialize};

use super::catalog::{Listed, list, list_all};
use super::command::{SHORT, change, code_of, majority, told};
use super::connect::connect;
use super::kind::Kind;
use super::metadata::Metadata;
use super::new_name;
use crate::config::endpoint::MongoEndpoint;
use crate::error::{Error, Result};

/// How long one try of a rename may wait for the locks of the two collections, in milliseconds.
const RENAME_MILLIS: i64 = 30_000;

/// A loaded collection that waits for its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// It is called `pfdata.new.<n>`.
    pub n: usize,
    /// The name it is to have.
    pub name: String,
    /// Its uuid, 32 hex digits.
    pub uuid: String,
}

/// A view that the swap creates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Its name.
    pub name: String,
    /// Its definition, the text of mongodump's `metadata.json`.
    pub metadata_json: String,
}

/// A live collection or view that is not in the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// Its name.
    pub name: String,
    /// Its uuid; empty for a view. One that was made since has another and is left alone.
    pub uuid: String,
}

/// All that a swap does; made by [`super::target::Target::swap_plan`], kept in the job's journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapPlan {
    /// Collections to rename, in this order.
    pub prepared: Vec<Prepared>,
    /// Views to create, after everything else.
    pub views: Vec<View>,
    /// Collections and views to drop, after the renames.
    pub drop: Vec<Absent>,
}

/// What a swap did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapReport {
    /// Collections that were renamed into place now.
    pub renamed: Vec<String>,
    /// Collections that an earlier try had already put into place.
    pub already: Vec<String>,
    /// Collections and views that were dropped because they are not in the snapshot.
    pub dropped: Vec<String>,
    /// Views that were created or changed.
    pub views: Vec<String>,
}

/// How far a swap has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwapState {
    /// No collection has its new data yet.
    NotStarted,
    /// Some steps are done and some are not.
    Partly,
    /// Nothing is left to do.
    Done,
}

/// Completes a swap that was interrupted, in any process.
///
/// # Errors
/// Exit 1 if a collection of the plan is neither under its temporary nor under its final name.
pub async fn resume(endpoint: &MongoEndpoint, plan: &SwapPlan) -> Result<SwapReport> {
    let client = connect(endpoint).await?;
    perform(&client.database(&endpoint.database), plan).await
}

/// How far the swap of `plan` has come.
pub async fn state(endpoint: &MongoEndpoint, plan: &SwapPlan) -> Result<SwapState> {
    let client = connect(endpoint).await?;
    let listed = list_all(&client.database(&endpoint.database)).await?;
    let renamed = plan.prepared.iter().filter(|one| in_place(&listed, one)).count();
    let dropped = plan.drop.iter().filter(|one| !still_there(&listed, one)).count();
    let mut views = 0;
    for view in &plan.views {
        views += usize::from(view_in_place(&listed, &definition(view)?));
    }
    let done = renamed + dropped + views;
    let all = plan.prepared.len() + plan.drop.len() + plan.views.len();
    // Views and absent collections may be as they should be before anything was done.
    let started = renamed > 0 || (plan.prepared.is_empty() && done > 0);
    Ok(match (done == all, started) {
        (true, _) => SwapState::Done,
        (false, true) => SwapState::Partly,
        (false, false) => SwapState::NotStarted,
    })
}

/// Does what is left of `plan`.
pub(super) async fn perform(database: &Database, plan: &SwapPlan) -> Result<SwapReport> {
    let mut report = SwapReport::default();
    let listed = list_all(database).await?;
    check_all_there(&listed, plan)?;
    for prepared in &plan.prepared {
        if in_place(&listed, prepared) {
            report.already.push(prepared.name.clone());
        } else {
            // Nothing can be renamed over a view or a time series collection.
            let blocking = listed.iter().find(|one| {
                one.name == prepared.name && matches!(one.kind, Kind::View | Kind::TimeSeries)
            });
            if blocking.is_some() {
                drop_collection(database, &prepared.name).await?;
            }
            rename(database, prepared).await?;
            report.renamed.push(prepared.name.clone());
        }
    }
    let listed = list_all(database).await?;
    for absent in plan.drop.iter().filter(|one| still_there(&listed, one)) {
        drop_collection(database, &absent.name).await?;
        report.dropped.push(absent.name.clone());
    }
    for view in &plan.views {
        let metadata = definition(view)?;
        if !view_in_place(&listed, &metadata) {
            put_view(database, &listed, &metadata).await?;
            report.views.push(view.name.clone());
        }
    }
    Ok(report)
}

/// Before the first rename: everything must be there, so that a swap does not stop half way for
/// a reason that was known.
fn check_all_there(listed: &[Listed], plan: &SwapPlan) -> Result<()> {
    for prepared in &plan.prepared {
        let waiting =
            listed.iter().any(|one| one.name == new_name(prepared.n) && one.uuid == prepared.uuid);
        if !waiting && !in_place(listed, prepared) {
            return Err(Error::failed(format!(
                "the new data of collection `{}` is gone: `{}` was dropped or replaced",
                prepared.name,
                new_name(prepared.n)
            )));
        }
    }
    for view in &plan.views {
        definition(view)?;
    }
    Ok(())
}

fn in_place(listed: &[Listed], prepared: &Prepared) -> bool {
    listed.iter().any(|one| one.name == prepared.name && one.uuid == prepared.uuid)
}

fn still_there(listed: &[Listed], absent: &Absent) -> bool {
    listed.iter().any(|one| one.name == absent.name && one.uuid == absent.uuid)
}

fn definition(view: &View) -> Result<Metadata> {
    let metadata = Metadata::parse(&view.metadata_json, &view.name)?;
    Ok(Metadata { name: view.name.clone(), ..metadata })
}

fn view_in_place(listed: &[Listed], view: &Metadata) -> bool {
    let same = |one: &Listed| one.kind == Kind::View && one.options == view.options;
    listed.iter().any(|one| one.name == view.name && same(one))
}

async fn rename(database: &Database, prepared: &Prepared) -> Result<()> {
    let command = doc! {
        "renameCollection": format!("{}.{}", database.name(), new_name(prepared.n)),
        "to": format!("{}.{}", database.name(), prepared.name),
        "dropTarget": true,
        "maxTimeMS": RENAME_MILLIS,
        "writeConcern": majority(),
    };
    let admin = database.client().database("admin");
    let done = || async { Ok(list_all(database).await.is_ok_and(|now| in_place(&now, prepared))) };
    change(&admin, &command, SHORT, done).await.map_err(|error| {
        told(format!("collection `{}` cannot be swapped in", prepared.name), &error)
    })
}

/// Creates a view, or gives an existing one its definition.
async fn put_view(database: &Database, listed: &[Listed], view: &Metadata) -> Result<()> {
    let live = listed.iter().find(|one| one.name == view.name);
    let same_collation =
        |one: &Listed| one.options.get("collation") == view.options.get("collation");
    let mut command = match live {
        // A change of the definition leaves no moment without the view.
        Some(one) if one.kind == Kind::View && same_collation(one) => {
            let mut command = doc! { "collMod": &view.name };
            let parts = view.options.iter().filter(|(key, _)| *key != "collation");
            command.extend(parts.map(|(key, value)| (key.clone(), value.clone())));
            command
        }
        live => {
            if live.is_some() {
                drop_collection(database, &view.name).await?;
            }
            view.create(&view.name)
        }
    };
    command.insert("writeConcern", majority());
    let done = || async { Ok(list_all(database).await.is_ok_and(|now| view_in_place(&now, view))) };
    change(database, &command, SHORT, done)
        .await
        .map_err(|error| told(format!("view `{}` cannot be created", view.name), &error))
}

/// Drops a collection or view; one that does not exist is fine.
pub(super) async fn drop_collection(database: &Database, name: &str) -> Result<()> {
    let command = doc! { "drop": name, "writeConcern": majority() };
    let done = || async {
        Ok(list_all(database).await.is_ok_and(|now| !now.iter().any(|one| one.name == name)))
    };
    match change(database, &command, SHORT, done).await {
        Ok(()) => Ok(()),
        Err(error) if code_of(&error) == Some(26) => Ok(()),
        Err(error) => Err(told(format!("collection `{name}` cannot be dropped"), &error)),
    }
}

/// The live collections and views that a swap of these would leave behind.
pub(super) async fn absent(
    database: &Database,
    prepared: &[Prepared],
    views: &[View],
) -> Result<Vec<Absent>> {
    let named = |name: &str| {
        prepared.iter().any(|one| one.name == name) || views.iter().any(|one| one.name == name)
    };
    let live = list(database).await?;
    Ok(live
        .into_iter()
        .filter(|one| !named(&one.name))
        .map(|one| Absent { name: one.name, uuid: one.uuid })
        .collect())
}
