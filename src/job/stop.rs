//! The wish to stop: a signal asks, and the job decides how to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

use crate::error::{Error, Kind, Result};

/// A handle on the wish; clones share it.
#[derive(Debug, Clone)]
pub struct Stop {
    wish: watch::Sender<bool>,
    graceful: Arc<AtomicUsize>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { wish: watch::Sender::new(false), graceful: Arc::default() }
    }
}

/// While this lives, a signal only asks: the job undoes what it did before it ends.
#[derive(Debug)]
pub struct Graceful(Arc<AtomicUsize>);

impl Drop for Graceful {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Stop {
    /// Asks the job to stop. Says whether it will end by itself; if not, it can be dropped.
    pub fn ask(&self) -> bool {
        self.wish.send_replace(true);
        self.graceful.load(Ordering::SeqCst) > 0
    }

    /// From now on the job ends by itself when asked to.
    pub fn graceful(&self) -> Graceful {
        self.graceful.fetch_add(1, Ordering::SeqCst);
        Graceful(Arc::clone(&self.graceful))
    }

    /// Runs `work` unless asked to stop, which drops it.
    pub async fn unless<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut wish = self.wish.subscribe();
        tokio::select! {
            biased;
            // The sender lives as long as `self`, so that waiting only ends with the wish.
            _ = wish.wait_for(|wished| *wished) => Err(interrupted()),
            done = work => done,
        }
    }
}

/// Exit 130.
pub fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "interrupted")
}
