//! Reads the spare index back and compares it with what was loaded.

use std::io::Read;

use tokio::sync::mpsc;

use super::catalog::{Server, clock};
use super::connect::Connection;
use super::rdb::OWNER_KEY;
use super::rdb::contents::{Contents, KeyHasher};
use super::rdb::file::{FileReader, Item};
use super::rdb::input::Input;
use super::rdb::value::{ValueReader, skip};
use super::reply::page_of;
use super::reply::{Reply, put_command};
use super::restore::{hash_value, open_payload};
use super::source::{Route, Source, route};
use super::target::Target;
use crate::error::{Error, Kind, OrFail, Result};

/// Keys asked for at once.
const PAGE: &[u8] = b"256";

/// What a verification found in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verified {
    /// Keys loaded.
    pub expected: u64,
    /// Keys found.
    pub found: u64,
    /// Keys that expired meanwhile, at least.
    pub expired: u64,
    /// Keys whose digest could not be compared since others in their minute have expired.
    pub uncertain: u64,
    /// Whether digests were compared, or only numbers.
    pub digests: bool,
}

impl Target {
    /// Compares the spare index with what [`Target::load`] sent: the number of keys, and with
    /// `digests` their content. Keys that may have expired meanwhile are not missed.
    ///
    /// Errors: a difference (exit 4); nothing loaded by this process.
    pub async fn verify(&mut self, digests: bool) -> Result<Verified> {
        let Some(report) = &self.report else {
            return Err(Error::failed("what was loaded into redis is not known any more")
                .hint("load again"));
        };
        let (contents, rebuilt) = (report.contents.clone(), report.rebuilt > 0);
        self.connection.select(self.spare()).await?;
        if !digests {
            let size = self.connection.run("DBSIZE", &[b"DBSIZE"]).await?.integer().unwrap_or(0);
            // The marker is one of them.
            let found = u64::try_from(size).unwrap_or(0).saturating_sub(1);
            let now = clock(&mut self.connection).await?;
            return check_counts(&contents, found, now);
        }
        let found = self.read_back(rebuilt).await?;
        let now = clock(&mut self.connection).await?;
        let mut verified = check_counts(&contents, found.keys(), now)?;
        let outcome = contents.compare(&found, now);
        if outcome.differences > 0 {
            return Err(Error::findings(format!(
                "what redis index {} holds is not what was loaded: the same number of keys, \
                 other content",
                self.spare()
            )));
        }
        verified.digests = true;
        verified.uncertain = outcome.uncertain;
        Ok(verified)
    }

    /// Digests the spare index: through SYNC where that is quick and mostly ours, else key by key.
    async fn read_back(&mut self, large_keys: bool) -> Result<Contents> {
        self.server = Server::read(&mut self.connection).await?;
        let mostly_ours = self.server.keys(self.spare()) * 2 >= self.server.all_keys();
        let quick = route(&mut self.connection).await? != Route::DelayedStream;
        let by_key = !large_keys && self.server.major_minor >= (7, 0);
        if !by_key || (quick && mostly_ours) {
            match self.read_by_sync().await {
                Err(error) if error.kind() == Kind::Usage && by_key => {
                    tracing::debug!(%error, "verifying redis key by key");
                }
                Err(error) if error.kind() == Kind::Usage => {
                    return Err(error
                        .context("large redis keys cannot be verified by digest without SYNC")
                        .hint("grant +sync +psync +replconf, or use --verify counts"));
                }
                done => return done,
            }
        }
        let mut connection = Connection::open_at(&self.endpoint, self.spare()).await?;
        read_by_key(&mut connection).await
    }

    async fn read_by_sync(&mut self) -> Result<Contents> {
        let mut endpoint = self.endpoint.clone();
        endpoint.db = self.spare();
        let db = u64::from(endpoint.db);
        let source = Source::open(&endpoint).await?;
        let (contents, _) = source.stream(move |reader| digest_index(reader, db)).await?;
        Ok(contents)
    }
}

fn check_counts(contents: &Contents, found: u64, now: u64) -> Result<Verified> {
    let expected = contents.keys();
    let may_be_gone = contents.may_have_expired(now);
    if found > expected || found + may_be_gone < expected {
        return Err(Error::findings(format!(
            "redis holds {found} keys where {expected} were loaded \
             ({may_be_gone} may have expired)"
        )));
    }
    let expired = expected - found;
    Ok(Verified { expected, found, expired, ..Verified::default() })
}

/// Digests index `db` of an RDB to its end, without the marker.
pub(super) fn digest_index<R: Read>(reader: &mut FileReader<R>, db: u64) -> Result<Contents> {
    let (mut contents, mut hasher) = (Contents::default(), KeyHasher::default());
    let mut values = ValueReader::default();
    loop {
        match reader.next_item()? {
            Item::Key => {
                let (key, input) = reader.key_and_input();
                if key.db != db || key.name == OWNER_KEY {
                    skip(input, key.kind)?;
                    continue;
                }
                let hash = hash_value(&mut values, &mut hasher, &key.name, key.kind, input)?;
                contents.add(hash, key.expires);
            }
            Item::End => return Ok(contents),
            Item::Aux | Item::Function | Item::ModuleAux => {}
        }
    }
}

/// A page of keys: name, payload, expiry.
type Page = Vec<(Vec<u8>, Vec<u8>, Option<u64>)>;

/// Digests the selected index with SCAN, DUMP and PEXPIRETIME (7.0), hashing on a blocking thread.
async fn read_by_key(connection: &mut Connection) -> Result<Contents> {
    let (pages, mut queue) = mpsc::channel::<Page>(2);
    let hashing = tokio::task::spawn_blocking(move || {
        let (mut contents, mut hasher) = (Contents::default(), KeyHasher::default());
        let (mut values, mut seen) = (ValueReader::default(), super::rdb::Seen::default());
        while let Some(page) = queue.blocking_recv() {
            for (name, payload, expires) in page {
                // SCAN may show a key twice while a hash table is being resized.
                if !seen.insert(super::restore::name_hash(&name)) {
                    continue;
                }
                let (kind, value) = open_payload(&payload)?;
                let mut input = Input::small(value);
                let hash = hash_value(&mut values, &mut hasher, &name, kind, &mut input)?;
                contents.add(hash, expires);
            }
        }
        Ok(contents)
    });
    let mut cursor = b"0".to_vec();
    loop {
        let reply = connection.run("SCAN", &[b"SCAN", &cursor, b"COUNT", PAGE]).await?;
        let (next, names) = page_of(reply)?;
        let page = read_page(connection, names).await?;
        if pages.send(page).await.is_err() || next == b"0" {
            break;
        }
        cursor = next;
    }
    drop(pages);
    hashing.await.or_fail(|| "verifying redis broke off")?
}

async fn read_page(connection: &mut Connection, names: Vec<Vec<u8>>) -> Result<Page> {
    let mut commands = Vec::new();
    for name in &names {
        put_command(&mut commands, &[b"DUMP", name]);
        put_command(&mut commands, &[b"PEXPIRETIME", name]);
    }
    connection.send(&commands).await?;
    let mut page = Page::with_capacity(names.len());
    for name in names {
        let payload = connection.reply().await?.checked("DUMP")?;
        let expires = connection.reply().await?.checked("PEXPIRETIME")?;
        // Nothing if it has expired between the two; -1 if it never does.
        if let (Reply::Bulk(Some(payload)), true) = (payload, name != OWNER_KEY) {
            page.push((name, payload, expires.integer().and_then(|at| at.try_into().ok())));
        }
    }
    Ok(page)
}
