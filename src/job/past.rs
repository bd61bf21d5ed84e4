//! What earlier jobs of an environment left, dealt with before the next one begins. Called by
//! [`undertaking`](super::undertaking), which holds the environment's lease.

use super::history;
use super::journal::{Journals, Outcome};
use super::load::recover;
use super::snapshot::record;
use crate::config::Environment;
use crate::error::Result;
use crate::pipeline::progress::Progress;
use crate::repository::lease::Lease;

/// Of a job that only reads: what crashed snapshots left is removed. Stores that may be of two
/// loads are no data to be read (exit 1).
pub(super) fn of_a_reader(journals: &Journals, environment: &Environment) -> Result<()> {
    record::clean_up_crashed(journals, environment)?;
    history::refuse_half_swapped(journals, &environment.name)
}

/// Of a job that changes stores and holds the lease alone: crashed loads are finished or undone
/// too. Gives what was done, in a line each.
pub(super) async fn of_a_changer(
    journals: &Journals,
    environment: &Environment,
    lease: &Lease,
    progress: &Progress,
) -> Result<Vec<String>> {
    record::clean_up_crashed(journals, environment)?;
    let recovered = recover::crashed(journals, environment, lease, progress).await?;
    let told = |past: &recover::Recovered| {
        let what = match past.outcome {
            Outcome::RolledForward => "was finished",
            Outcome::RolledBack => "was undone",
            _ => "was cleaned up",
        };
        format!("job {} had crashed and {what} first", past.job)
    };
    Ok(recovered.iter().map(told).collect())
}
