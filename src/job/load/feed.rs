//! Feeding a store from the repository: a blocking thread reads a part, the store takes blocks.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::error::{Error, OrFail, Result};
use crate::pipeline::block::{Block, Cleared};
use crate::pipeline::digest::RecordFormat;
use crate::pipeline::flow::{QUEUE_BLOCKS, receiver_gone};
use crate::pipeline::progress::Meter;
use crate::policy::Permit;
use crate::repository::manifest::Part;
use crate::repository::part::read_blocks;
use crate::repository::snapshot::Snapshot;

/// Reads a part into `load`, and gives what `load` says. A part that turns out to be damaged is
/// the error, whatever `load` made of its beginning.
pub(super) async fn part<T>(
    snapshot: &Snapshot,
    part: &Part,
    format: RecordFormat,
    permit: &Permit,
    meter: &Arc<Meter>,
    load: impl AsyncFnOnce(mpsc::Receiver<Block<Cleared>>) -> Result<T>,
) -> Result<T> {
    let (sender, receiver) = mpsc::channel(QUEUE_BLOCKS);
    let reader = tokio::task::spawn_blocking({
        let (snapshot, part, permit) = (snapshot.clone(), part.clone(), permit.clone());
        let meter = Arc::clone(meter);
        move || {
            let mut gone = false;
            let read = read_blocks(&snapshot, &part, format, &permit, |block| {
                meter.add(block.bytes().len() as u64, block.records());
                sender.blocking_send(block).map_err(|_| {
                    gone = true;
                    receiver_gone()
                })
            });
            (read, gone)
        }
    });
    let loaded = load(receiver).await;
    let (read, gone) = reader.await.or_fail(|| "a reader ended unexpectedly")?;
    match (loaded, read) {
        (Ok(loaded), Ok(_)) => Ok(loaded),
        // The store stopped taking blocks: its reason is the one to show.
        (Err(error), _) if gone => Err(error),
        (_, Err(error)) => Err(error),
        (Err(error), Ok(_)) => Err(error),
    }
}

/// The error of a store that holds another number of records than was sent to it.
pub(super) fn miscounted(what: &str, sent: u64, found: u64) -> Error {
    Error::findings(format!(
        "{what} holds {found} records after the load, and the manifest says {sent}"
    ))
    .hint("the target was not touched; run `pfdata verify` on the snapshot")
}
