//! The rules engine.

/// Proof that a rule set has been applied; only the engine can make one.
#[derive(Debug)]
pub struct Applied(());
