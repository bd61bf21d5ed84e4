//! A load of this process that is under way: what ends it early is undone. Called by `execute` and
//! `rollback`.

use super::recover;
use crate::config::Environment;
use crate::error::Error;
use crate::job::history::{Ready, Record};
use crate::job::journal::Journal;
use crate::job::undertaking::Undertaking;
use crate::pipeline::progress::Progress;

/// What an undo needs to know.
pub(super) struct Attempt<'a> {
    pub(super) environment: &'a Environment,
    pub(super) undertaking: &'a Undertaking,
    pub(super) record: &'a Record,
    pub(super) journal: &'a Journal,
    pub(super) progress: &'a Progress,
}

impl Attempt<'_> {
    /// Undoes the load that `error` ended, before (`None`) or after it was ready to swap, and writes
    /// down how it ended. Where even undoing failed the journal stays open, so that `status` tells
    /// of it and the next job tries again.
    pub(super) async fn undo(&self, ready: Option<&Ready>, error: Error) -> Error {
        let undone = recover::failed(
            self.environment,
            &self.undertaking.lease,
            self.record,
            ready,
            self.journal,
            &self.undertaking.journals,
            self.progress,
        );
        match undone.await {
            Ok(outcome) => match self.journal.done(outcome, Some(error.message().to_owned())) {
                Ok(()) => error,
                Err(second) => error.because(second),
            },
            Err(second) => error.because(second).hint("what is left is dealt with by the next job"),
        }
    }
}
