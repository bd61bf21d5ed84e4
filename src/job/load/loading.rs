//! What loading one store needs and gives.

use super::Counted;
use super::plan::LoadPlan;
use crate::job::history::How;
use crate::job::{Run, Step};
use crate::seed::Profile;

/// What loading one store needs.
pub(super) struct Loading<'a> {
    /// The plan.
    pub plan: &'a LoadPlan,
    /// Whether it gets data.
    pub how: How,
    /// The job's id.
    pub job: &'a str,
    /// The seed profiles.
    pub seeds: &'a [Profile],
    /// Progress and interruption.
    pub run: &'a Run,
}

/// What one store's loading gave.
pub(super) struct StoreLoaded {
    /// Collections as verified.
    pub counted: Vec<Counted>,
    /// Lines for the table.
    pub steps: Vec<Step>,
    /// What is worth knowing.
    pub remarks: Vec<String>,
}
