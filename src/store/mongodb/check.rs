//! The preflight: can this database be read, or loaded, before any byte moves.

use std::collections::HashSet;

use mongodb::bson::{Bson, Document, doc};
use mongodb::{Client, Database};

use super::catalog::{list, number};
use super::command::{SHORT, run};
use super::connect::{connect, hello, server_version};
use super::kind::Kind;
use crate::config::endpoint::MongoEndpoint;
use crate::store::finding::{self, Finding};

/// What reading needs on the database (<https://www.mongodb.com/docs/manual/reference/privilege-actions/>).
const READ: [&str; 4] = ["find", "listCollections", "listIndexes", "collStats"];
/// What loading needs besides.
const WRITE: [&str; 8] = [
    "insert",
    "update",
    "remove",
    "createCollection",
    "createIndex",
    "collMod",
    "dropCollection",
    "renameCollectionSameDB",
];

/// Looks at everything that a snapshot (or, `as_target`, a load) of this database stands on.
/// Never fails: what cannot be found out is a finding.
pub async fn check(endpoint: &MongoEndpoint, as_target: bool) -> Vec<Finding> {
    let place = format!("{}/{}", endpoint.address, endpoint.database);
    let client = match connect(endpoint).await {
        Ok(client) => client,
        Err(error) => return vec![Finding::connection(&place, Some(&error))],
    };
    let mut findings = vec![Finding::connection(&place, None)];
    findings.push(version(&client).await);
    topology(&client, endpoint, as_target, &mut findings).await;
    findings.push(database(&client, endpoint, as_target).await);
    findings.push(privileges(&client, endpoint, as_target).await);
    if as_target {
        findings.extend(space(&client, endpoint).await);
    }
    findings
}

async fn version(client: &Client) -> Finding {
    match server_version(client).await {
        Ok(version) => Finding::version(format!("mongodb {version}")),
        Err(error) => Finding::failed("version", &error),
    }
}

async fn topology(
    client: &Client,
    endpoint: &MongoEndpoint,
    as_target: bool,
    findings: &mut Vec<Finding>,
) {
    let hello = match hello(client, endpoint).await {
        Ok(hello) => hello,
        Err(error) => {
            let finding = Finding::bad("topology", error.to_string(), "use a replica set");
            return findings.push(finding);
        }
    };
    findings.push(match &hello.set {
        Some(set) => Finding::good("topology", format!("replica set {set}")),
        None if as_target => Finding::good("topology", "standalone"),
        None => Finding::bad(
            "topology",
            "standalone: a snapshot is best effort, not of one moment",
            "run it as a replica set of one member",
        ),
    });
    if as_target && !hello.writable {
        findings.push(Finding::bad(
            "writes",
            "this member is not the primary",
            "name the replica set in the url instead of one member",
        ));
    }
    if let Some(time) = hello.local_time {
        let server =
            std::time::Duration::from_millis(time.timestamp_millis().max(0).unsigned_abs());
        findings.push(Finding::clock(server.as_secs_f64(), finding::clock_here()));
    }
    if hello.replicated() && !as_target {
        findings.extend(window(client).await);
    }
}

/// How long the server keeps the history that a snapshot reads; telling needs a privilege that
/// reading does not.
async fn window(client: &Client) -> Option<Finding> {
    let command = doc! { "getParameter": 1, "minSnapshotHistoryWindowInSeconds": 1 };
    let reply = run(&client.database("admin"), command, SHORT).await.ok()?;
    let seconds = number(&reply, "minSnapshotHistoryWindowInSeconds");
    let detail = format!("{seconds} s: a snapshot that reads longer starts over");
    Some(if seconds >= 60 {
        Finding::good("snapshot window", detail)
    } else {
        let hint = "raise minSnapshotHistoryWindowInSeconds";
        Finding::bad("snapshot window", detail, hint)
    })
}

async fn database(client: &Client, endpoint: &MongoEndpoint, as_target: bool) -> Finding {
    let what = "database";
    let name = &endpoint.database;
    let listed = match list(&client.database(name)).await {
        Ok(listed) => listed,
        Err(error) => return Finding::bad(what, error.to_string(), "check the user's rights"),
    };
    let unbuilt = listed
        .iter()
        .find(|one| one.kind == Kind::TimeSeries || one.options.contains_key("encryptedFields"));
    match unbuilt {
        Some(one) if !as_target => Finding::bad(
            what,
            format!("collection `{}` is of a kind that this version cannot copy", one.name),
            "leave it out with --exclude",
        ),
        _ if listed.is_empty() && !as_target => {
            Finding::bad(what, format!("`{name}` holds no collection"), "check its name")
        }
        _ => Finding::good(what, format!("`{name}`, {} collections and views", listed.len())),
    }
}

async fn privileges(client: &Client, endpoint: &MongoEndpoint, as_target: bool) -> Finding {
    let what = "privileges";
    let command = doc! { "connectionStatus": 1, "showPrivileges": true };
    let reply = match run(&client.database("admin"), command, SHORT).await {
        Ok(reply) => reply,
        Err(_) => return Finding::good(what, "the server does not tell them"),
    };
    let Ok(info) = reply.get_document("authInfo") else {
        return Finding::good(what, "the server does not tell them");
    };
    let anonymous = info.get_array("authenticatedUsers").is_ok_and(Vec::is_empty);
    if anonymous {
        // With access control on, listing the collections has failed above.
        return Finding::good(what, "not logged in as any user");
    }
    let held = held(info, &endpoint.database);
    let wanted = READ.iter().chain(if as_target { &WRITE[..] } else { &[] });
    let missing: Vec<&str> = wanted.filter(|action| !held.contains(**action)).copied().collect();
    if missing.is_empty() {
        return Finding::good(what, "all that is needed");
    }
    let roles = if as_target { "readWrite and dbAdmin" } else { "read" };
    Finding::bad(
        what,
        format!("missing on `{}`: {}", endpoint.database, missing.join(", ")),
        format!("grant the roles {roles} on `{}`", endpoint.database),
    )
}

/// The actions that the user may do on every collection of `database`.
fn held(info: &Document, database: &str) -> HashSet<String> {
    let mut held = HashSet::new();
    let Ok(privileges) = info.get_array("authenticatedUserPrivileges") else { return held };
    for privilege in privileges.iter().filter_map(Bson::as_document) {
        let Ok(resource) = privilege.get_document("resource") else { continue };
        let any = resource.get_bool("anyResource").unwrap_or(false);
        let here = resource.get_str("db").is_ok_and(|db| db.is_empty() || db == database)
            && resource.get_str("collection").is_ok_and(str::is_empty);
        if any || here {
            let actions = privilege.get_array("actions").into_iter().flatten();
            held.extend(actions.filter_map(Bson::as_str).map(str::to_owned));
        }
    }
    held
}

/// Whether the live data fits beside itself.
async fn space(client: &Client, endpoint: &MongoEndpoint) -> Option<Finding> {
    let room = room(&client.database(&endpoint.database)).await?;
    let needed = room.live;
    let detail = format!("{} MiB free, the live data takes {} MiB", room.free >> 20, needed >> 20);
    Some(if room.free >= needed {
        Finding::good("disk", detail)
    } else {
        Finding::bad("disk", detail, "make room for the live and the new data together")
    })
}

/// The disk below a database, in bytes.
pub(super) struct Room {
    /// What is free.
    pub(super) free: u64,
    /// What the database takes, compressed and with its indexes.
    live: u64,
    /// The documents of it, as BSON.
    documents: u64,
}

/// Below so much data the share that compression saves says nothing about other data.
const TELLING_BYTES: u64 = 64 << 20;

impl Room {
    /// About how much `bytes` of documents will take: as much as the live ones do, but no more than
    /// they are (files do not shrink with their contents), or, where there are too few to tell, half.
    pub(super) fn needed(&self, bytes: u64) -> u64 {
        if self.documents < TELLING_BYTES {
            return bytes / 2;
        }
        let scaled = u128::from(bytes) * u128::from(self.live) / u128::from(self.documents);
        u64::try_from(scaled).unwrap_or(u64::MAX).min(bytes)
    }
}

/// `None` where the server does not tell, or not this user.
pub(super) async fn room(database: &Database) -> Option<Room> {
    let reply = run(database, doc! { "dbStats": 1 }, SHORT).await.ok()?;
    let total = number(&reply, "fsTotalSize");
    let room = Room {
        free: total.saturating_sub(number(&reply, "fsUsedSize")),
        live: number(&reply, "storageSize") + number(&reply, "indexSize"),
        documents: number(&reply, "dataSize"),
    };
    (total > 0).then_some(room)
}
