//! Whether new data fits beside what a server holds.
//!
//! [`super::target`] asks before anything is given up, knowing what that will free, and once more
//! when it is gone. Nothing is changed here.

use super::catalog::Server;
use super::connect::Connection;
use super::reply::{Reply, page_of};
use crate::error::{Error, Result};

/// How much memory the data of an RDB takes, in lengths of the RDB: two to four were seen.
const MEMORY_PER_BYTE: u64 = 3;

/// About how many keys of an index are measured, as an argument of SCAN.
const SAMPLE: &[u8] = b"200";

/// Refuses (exit 5) new data whose RDB is `bytes` long where, once `freed` bytes of what the
/// server holds are gone, there is no room for it.
pub(super) fn require(server: &Server, bytes: u64, freed: u64) -> Result<()> {
    let (limit, what) = match (server.max_memory, server.system_memory) {
        (0, 0) => return Ok(()),
        (0, memory) => (memory, "the machine's memory"),
        (limit, _) => (limit, "maxmemory"),
    };
    let stays = server.used_memory.saturating_sub(freed);
    let needed = stays.saturating_add(bytes.saturating_mul(MEMORY_PER_BYTE));
    if needed <= limit {
        return Ok(());
    }
    Err(Error::refused(format!(
        "redis has no room for the new data beside the live: about {} MiB of {} MiB ({what})",
        needed >> 20,
        limit >> 20
    ))
    .hint("raise maxmemory, or free memory on the server"))
}

/// About how many bytes emptying the spare indexes `indexes` frees.
pub(super) async fn freed(
    connection: &mut Connection,
    server: &Server,
    indexes: impl Iterator<Item = u32>,
) -> Result<u64> {
    let mut freed = 0_u64;
    for index in indexes {
        freed = freed.saturating_add(held(connection, server, index).await?);
    }
    Ok(freed)
}

/// About how many bytes an index holds, by a sample of its keys. A large key that the sample
/// misses is room that is not counted on: the refusal comes early rather than late.
async fn held(connection: &mut Connection, server: &Server, index: u32) -> Result<u64> {
    connection.select(index).await?;
    let (mut cursor, mut keys) = (b"0".to_vec(), Vec::new());
    // A page may be empty though there are keys.
    while keys.is_empty() {
        let page = connection.run("SCAN", &[b"SCAN", &cursor, b"COUNT", SAMPLE]).await?;
        (cursor, keys) = page_of(page)?;
        if cursor == b"0" {
            break;
        }
    }
    let (mut bytes, mut measured) = (0_u64, 0_u64);
    for key in &keys {
        match connection.command(&[b"MEMORY", b"USAGE", key]).await? {
            Reply::Integer(size) => {
                bytes = bytes.saturating_add(u64::try_from(size).unwrap_or(0));
                measured += 1;
            }
            // Forbidden to this user. Too much is met later, when it is asked for again.
            Reply::Failure(_) => return Ok(share(server, index)),
            // It has expired.
            _ => {}
        }
    }
    let all = u128::from(server.keys(index).max(measured));
    let scaled = u128::from(bytes) * all / u128::from(measured.max(1));
    Ok(u64::try_from(scaled).unwrap_or(u64::MAX))
}

/// What an index holds if its keys are like those of the others.
fn share(server: &Server, index: u32) -> u64 {
    let used = u128::from(server.used_memory) * u128::from(server.keys(index));
    u64::try_from(used / u128::from(server.all_keys().max(1))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_makes_room_and_no_limit_is_no_refusal() {
        let mut server = Server { used_memory: 100 << 20, ..Server::default() };
        assert!(require(&server, 1 << 40, 0).is_ok());
        server.system_memory = 130 << 20;
        assert!(require(&server, 10 << 20, 0).is_ok());
        assert!(require(&server, 11 << 20, 0).is_err());
        assert!(require(&server, 11 << 20, 10 << 20).is_ok());
        server.max_memory = 110 << 20;
        let error = require(&server, 10 << 20, 10 << 20).unwrap_err();
        assert!(error.to_string().contains("120 MiB of 110 MiB (maxmemory)"), "{error}");
        assert!(require(&server, u64::MAX, u64::MAX).is_err());
    }
}
