//! The policy: which data may flow where, and who may do what to which environment.
//!
//! Everything here is pure and small enough to be read by an auditor. [`Permit`] is the token
//! that turns a raw block into a cleared one; its constructors are the only doors.

use serde::{Deserialize, Serialize};

use crate::anonymize::Applied;
use crate::error::{Error, Result};

/// What an environment is, which decides what may enter it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Real customers' data lives here: production.
    Live,
    /// Anonymized, at full volume: preproduction.
    ProductionLike,
    /// Anonymized: staging.
    Anonymized,
    /// Made up or anonymized: development and test.
    Synthetic,
}

impl Class {
    /// The word used in configuration files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::ProductionLike => "production-like",
            Self::Anonymized => "anonymized",
            Self::Synthetic => "synthetic",
        }
    }
}

/// What a snapshot holds, whoever reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clearance {
    /// Real data: read from a live environment without rules.
    Raw,
    /// No real data.
    Anonymized,
}

impl Clearance {
    /// The word used in manifests.
    pub fn word(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Anonymized => "anonymized",
        }
    }
}

/// The clearance of a snapshot of an environment of `source` class, taken with or without rules.
pub fn clearance(source: Class, ruled: bool) -> Clearance {
    match (source, ruled) {
        (Class::Live, false) => Clearance::Raw,
        _ => Clearance::Anonymized,
    }
}

/// Whether data of `clearance` may enter an environment of `target` class. No flag overrides it.
pub fn may_enter(clearance: Clearance, target: Class) -> bool {
    match clearance {
        Clearance::Anonymized => true,
        Clearance::Raw => target == Class::Live,
    }
}

/// Permission to treat data as cleared. It cannot be made outside this file.
#[derive(Debug, Clone)]
pub struct Permit(());

impl Permit {
    /// Data that a rule set has been applied to, as the engine's own proof says.
    pub fn ruled(_proof: &Applied) -> Self {
        Self(())
    }

    /// Data of an environment of class `source` that is stored as it is. `declared` is what the
    /// manifest will say of it: it must be the truth.
    pub fn unruled(source: Class, declared: Clearance) -> Result<Self> {
        if clearance(source, false) != declared {
            return Err(Error::refused(format!(
                "data of a `{}` environment that no rule has been applied to cannot be stored as `{}`",
                source.word(),
                declared.word()
            )));
        }
        Ok(Self(()))
    }

    /// Stored data of `clearance` on its way into an environment of class `target`.
    pub fn stored(clearance: Clearance, target: Class) -> Result<Self> {
        if !may_enter(clearance, target) {
            return Err(Error::refused(format!(
                "a `{}` snapshot cannot enter a `{}` environment",
                clearance.word(),
                target.word()
            ))
            .hint("take it with --anonymize; no flag overrides this"));
        }
        Ok(Self(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{Anonymized, Live, ProductionLike, Synthetic};

    #[test]
    fn only_unruled_live_data_is_raw_and_only_live_accepts_it() {
        let table = [
            // source, ruled, clearance, may enter live, production-like, anonymized, synthetic
            (Live, false, Clearance::Raw, [true, false, false, false]),
            (Live, true, Clearance::Anonymized, [true, true, true, true]),
            (ProductionLike, false, Clearance::Anonymized, [true, true, true, true]),
            (ProductionLike, true, Clearance::Anonymized, [true, true, true, true]),
            (Anonymized, false, Clearance::Anonymized, [true, true, true, true]),
            (Anonymized, true, Clearance::Anonymized, [true, true, true, true]),
            (Synthetic, false, Clearance::Anonymized, [true, true, true, true]),
            (Synthetic, true, Clearance::Anonymized, [true, true, true, true]),
        ];
        for (source, ruled, expected, enters) in table {
            assert_eq!(clearance(source, ruled), expected, "{source:?} ruled={ruled}");
            for (target, enter) in
                [Live, ProductionLike, Anonymized, Synthetic].into_iter().zip(enters)
            {
                assert_eq!(may_enter(expected, target), enter, "{source:?}→{target:?}");
                assert_eq!(Permit::stored(expected, target).is_ok(), enter);
            }
        }
    }

    #[test]
    fn raw_data_cannot_be_declared_anonymized() {
        assert!(Permit::unruled(Live, Clearance::Anonymized).is_err());
        assert!(Permit::unruled(Live, Clearance::Raw).is_ok());
        assert!(Permit::unruled(Synthetic, Clearance::Anonymized).is_ok());
        assert!(Permit::unruled(Synthetic, Clearance::Raw).is_err());
    }
}
