//! Seeds: Extended JSON lines written into a collection, all or nothing where the server can.

use std::collections::HashMap;
use std::io::BufRead;
use std::time::Duration;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::error::{TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::options::{Acknowledgment, ReadConcern, WriteConcern};
use mongodb::{Client, ClientSession, Database};
use xxhash_rust::xxh3::xxh3_128;

use super::command::{BATCH, SHORT, majority, run, told, untold, within};
use super::extended_json::parse_document;
use super::load::write_error;
use crate::error::{Error, OrFail, Result};

/// The most text of one seed: it is held in memory so that its transaction can be repeated.
pub const SEED_BYTES: u64 = 32 << 20;

/// How many documents one command carries, and how many bytes.
const COMMAND_DOCUMENTS: usize = 1000;
const COMMAND_BYTES: usize = 4 << 20;

/// How often a transaction that failed in passing is tried.
const TRIES: u32 = 5;

/// Reads Extended JSON (canonical or relaxed), one document a line, and puts each into
/// `collection` in place of the one with the same `_id`; says how many lines there were. A
/// document without `_id` gets one made of its contents, so that seeding twice is the same as
/// once. On a replica set it is one transaction, otherwise batches. Blank lines are skipped.
///
/// # Errors
/// Exit 2 naming the line that cannot be read, exit 1 if the server refuses a document; no
/// message quotes a document.
pub async fn seed_lines(
    client: &Client,
    database: &str,
    collection: &str,
    lines: impl BufRead,
) -> Result<u64> {
    let updates = read(lines, collection)?;
    let database = client.database(database);
    let commands = commands(&updates, collection)?;
    let hello = run(&client.database("admin"), doc! { "hello": 1 }, SHORT)
        .await
        .map_err(|error| told("mongodb does not say what it is", &error))?;
    if hello.contains_key("setName") || hello.contains_key("msg") {
        in_transaction(client, &database, &commands, collection).await?;
    } else {
        for command in &commands {
            let mut command = command.clone();
            command.insert("writeConcern", majority());
            let reply = run(&database, command, BATCH)
                .await
                .map_err(|error| untold(failed(collection), &error))?;
            refused(&reply, collection)?;
        }
    }
    Ok(updates.len() as u64)
}

fn failed(collection: &str) -> String {
    format!("seeding collection `{collection}` failed")
}

/// The update of each line, with its size.
fn read(lines: impl BufRead, collection: &str) -> Result<Vec<(Document, usize)>> {
    let mut lines = lines.take(SEED_BYTES + 1);
    let mut seen: HashMap<u128, u64> = HashMap::new();
    let mut updates = Vec::new();
    let (mut line, mut read) = (Vec::new(), 0);
    for number in 1_u64.. {
        line.clear();
        let at = || format!("line {number} of the seed for collection `{collection}`");
        let length =
            lines.read_until(b'\n', &mut line).or_fail(|| format!("{} cannot be read", at()))?;
        read += length as u64;
        if read > SEED_BYTES {
            let what = format!("a seed of more than {} MiB for one collection", SEED_BYTES >> 20);
            return Err(Error::not_built(what).hint("split the file"));
        }
        if length == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        // serde_json's messages tell a position and no text of the line.
        let value =
            serde_json::from_slice(&line).or_usage(|| format!("{} is not a JSON object", at()))?;
        let mut document = parse_document(&value).map_err(|error| error.context(at()))?;
        let id = match document.get("_id") {
            Some(id) => id.clone(),
            None => {
                let raw = RawDocumentBuf::try_from(&document).or_usage(at)?;
                let hash = xxh3_128(raw.as_bytes());
                let repeated = seen.entry(hash).or_default();
                *repeated += 1;
                let id = made_id(hash.wrapping_add(u128::from(*repeated - 1)));
                document.insert("_id", id);
                Bson::ObjectId(id)
            }
        };
        // `$eq` keeps an `_id` that is itself a document from being read as operators.
        let update = doc! { "q": { "_id": { "$eq": id } }, "u": document, "upsert": true };
        updates.push((update, length));
    }
    Ok(updates)
}

fn made_id(hash: u128) -> ObjectId {
    let mut bytes = [0; 12];
    bytes.copy_from_slice(&hash.to_le_bytes()[..12]);
    ObjectId::from_bytes(bytes)
}

fn commands(updates: &[(Document, usize)], collection: &str) -> Result<Vec<Document>> {
    let mut commands = Vec::new();
    let mut rest = updates;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take(COMMAND_DOCUMENTS).take_while(|(_, length)| {
            bytes += length;
            bytes <= COMMAND_BYTES
        });
        let count = fits.count().max(1);
        let (now, after) = rest.split_at(count);
        let updates: Vec<&Document> = now.iter().map(|(update, _)| update).collect();
        commands.push(doc! { "update": collection, "updates": updates, "ordered": true });
        rest = after;
    }
    Ok(commands)
}

fn refused(reply: &Document, collection: &str) -> Result<()> {
    let count = reply.get_i32("n").unwrap_or(0).unsigned_abs();
    match write_error(reply, collection, count + 1) {
        None => Ok(()),
        Some(error) => Err(error.context(failed(collection))),
    }
}

async fn in_transaction(
    client: &Client,
    database: &Database,
    commands: &[Document],
    collection: &str,
) -> Result<()> {
    let mut session =
        client.start_session().await.map_err(|error| told(failed(collection), &error))?;
    let mut pause = Duration::from_millis(50);
    for tried in 1.. {
        match attempt(&mut session, database, commands, collection).await {
            Ok(()) => return Ok(()),
            Err(Attempt::Refused(error)) => {
                abort(&mut session).await;
                return Err(error);
            }
            Err(Attempt::Server(error)) => {
                abort(&mut session).await;
                if tried == TRIES || !error.contains_label(TRANSIENT_TRANSACTION_ERROR) {
                    return Err(untold(failed(collection), &error));
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause *= 3;
    }
    Ok(())
}

enum Attempt {
    Server(mongodb::error::Error),
    Refused(Error),
}

impl From<mongodb::error::Error> for Attempt {
    fn from(error: mongodb::error::Error) -> Self {
        Self::Server(error)
    }
}

async fn attempt(
    session: &mut ClientSession,
    database: &Database,
    commands: &[Document],
    collection: &str,
) -> Result<(), Attempt> {
    let concern = WriteConcern::builder().w(Acknowledgment::Majority).build();
    session
        .start_transaction()
        .read_concern(ReadConcern::snapshot())
        .write_concern(concern)
        .await?;
    for command in commands {
        let run = async { database.run_command(command.clone()).session(&mut *session).await };
        let reply = within(BATCH, run).await?;
        refused(&reply, collection).map_err(Attempt::Refused)?;
    }
    for tried in 1.. {
        match within(BATCH, async { session.commit_transaction().await }).await {
            Err(error)
                if tried < TRIES && error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => {}
            result => return Ok(result?),
        }
    }
    Ok(())
}

/// Ends a transaction that failed. The server ends it by itself too, only later.
async fn abort(session: &mut ClientSession) {
    if within(SHORT, async { session.abort_transaction().await }).await.is_err() {
        tracing::debug!("a failed transaction could not be aborted; the server will end it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_updates_and_identical_ones_stay_apart() {
        let text = b"{\"_id\":1,\"a\":2}\n\n{\"a\":1}\n{\"a\":1}\n";
        let updates = read(&text[..], "c").unwrap();
        assert_eq!(updates.len(), 3);
        let again = read(&text[..], "c").unwrap();
        assert_eq!(updates, again);
        assert_ne!(updates[1].0, updates[2].0);
    }

    #[test]
    fn a_bad_line_is_named_and_not_quoted() {
        for text in ["{\"a\":1}\n{\"a\":\"geheim\n", "{\"a\":1}\n[\"geheim\"]\n"] {
            let error = read(text.as_bytes(), "c").unwrap_err();
            assert!(error.to_string().contains("line 2"), "{error}");
            assert!(!error.to_string().contains("geheim"), "{error}");
        }
    }
}
