//! The stage between a store's socket and a file: clear, hash, compress, write.
//!
//! A source sends raw blocks into a bounded channel; one blocking thread per part takes them out.
//! The channel is what holds a fast source back when the disk is slow, and what bounds memory: at
//! most [`QUEUE_BLOCKS`] blocks wait per part.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::block::{Block, Cleared, Raw};
use super::progress::Meter;
use super::transform::BlockTransform;
use crate::error::{Error, OrFail, Result};

/// How many blocks may wait between a socket and the thread that works on them.
pub const QUEUE_BLOCKS: usize = 4;

/// Where cleared blocks go.
pub trait BlockSink: Send + 'static {
    /// Takes a block.
    fn write(&mut self, block: &Block<Cleared>) -> Result<()>;
}

/// Runs `source` and a blocking thread that clears its blocks into `sink`, and gives back what the
/// source said and the sink, which the caller finishes: a sink whose source failed never is.
pub async fn run<S: BlockSink, T>(
    source: impl AsyncFnOnce(mpsc::Sender<Block<Raw>>) -> Result<T>,
    mut transform: Box<dyn BlockTransform>,
    mut sink: S,
    meter: Arc<Meter>,
) -> Result<(T, S)> {
    let (sender, mut receiver) = mpsc::channel::<Block<Raw>>(QUEUE_BLOCKS);
    let worker = tokio::task::spawn_blocking(move || {
        while let Some(block) = receiver.blocking_recv() {
            let (bytes, records) = (block.bytes().len() as u64, block.records());
            sink.write(&transform.apply(block)?)?;
            meter.add(bytes, records);
        }
        Ok(sink)
    });
    let read = source(sender).await;
    join(worker, read).await
}

/// Like [`run`], for a source whose blocks come cleared already.
pub async fn run_cleared<S: BlockSink, T>(
    source: impl AsyncFnOnce(mpsc::Sender<Block<Cleared>>) -> Result<T>,
    mut sink: S,
    meter: Arc<Meter>,
) -> Result<(T, S)> {
    let (sender, mut receiver) = mpsc::channel::<Block<Cleared>>(QUEUE_BLOCKS);
    let worker = tokio::task::spawn_blocking(move || {
        while let Some(block) = receiver.blocking_recv() {
            sink.write(&block)?;
            meter.add(block.bytes().len() as u64, block.records());
        }
        Ok(sink)
    });
    let read = source(sender).await;
    join(worker, read).await
}

/// The worker's error comes first: when it stops, the source fails too, for want of a receiver.
async fn join<S, T>(worker: tokio::task::JoinHandle<Result<S>>, read: Result<T>) -> Result<(T, S)> {
    let sink = worker.await.or_fail(|| "a worker of the pipeline ended unexpectedly")??;
    Ok((read?, sink))
}

/// The error of a source whose receiver has gone; the receiver's own error is the one to show.
pub fn receiver_gone() -> Error {
    Error::failed("the rest of the pipeline has stopped")
}
