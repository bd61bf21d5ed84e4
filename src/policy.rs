//! The policy: which data may flow where, and who may do what to which environment.
//!
//! Everything here is pure and small enough to be read by an auditor. There are three permits, and
//! their constructors are the only doors:
//!
//! - [`Permit`] turns raw rows, documents and keys into cleared ones;
//! - [`UnruledPermit`] is what [`Unruled`](crate::pipeline::transform::Unruled) needs to pass them
//!   on as they are: a job that masks has none;
//! - [`StructurePermit`] clears what holds no rows: schemas, settings, metadata, sequences.
//!
//! None can be made of another, but for a [`Permit`] of an [`UnruledPermit`]:
//!
//! ```
//! use pfdata::policy::{Class, Clearance, UnruledPermit};
//! use pfdata::pipeline::{block::Block, transform::Unruled};
//! let permit = UnruledPermit::new(Class::Synthetic, false, Clearance::Anonymized).unwrap();
//! Block::raw(Vec::new(), 0).clear(permit.rows());
//! Unruled(permit);
//! ```
//!
//! ```compile_fail,E0308
//! use pfdata::policy::{Class, Permit};
//! use pfdata::policy::Clearance;
//! use pfdata::pipeline::transform::Unruled;
//! let permit = Permit::stored(Clearance::Anonymized, Class::Synthetic).unwrap();
//! Unruled(permit);
//! ```
//!
//! ```compile_fail,E0308
//! use pfdata::policy::{Class, Clearance, StructurePermit};
//! use pfdata::pipeline::block::Block;
//! let permit = StructurePermit::unruled(Class::Synthetic, false, Clearance::Anonymized).unwrap();
//! Block::raw(Vec::new(), 0).clear(&permit);
//! ```
//!
//! ```compile_fail,E0308
//! use pfdata::policy::{Class, Clearance, StructurePermit};
//! use pfdata::pipeline::transform::UnruledKeys;
//! let permit = StructurePermit::unruled(Class::Synthetic, false, Clearance::Anonymized).unwrap();
//! UnruledKeys(permit);
//! ```
//!
//! ```compile_fail,E0308
//! use pfdata::policy::{Class, Clearance, UnruledPermit};
//! use pfdata::pipeline::block::Block;
//! let permit = UnruledPermit::new(Class::Synthetic, false, Clearance::Anonymized).unwrap();
//! Block::structure(Vec::new(), permit.rows());
//! ```

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What an environment is, which decides what may enter it. The order is by how much is at stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Made up or anonymized: development and test.
    Synthetic,
    /// Anonymized: staging.
    Anonymized,
    /// Anonymized, at full volume: preproduction.
    ProductionLike,
    /// Real customers' data lives here: production.
    Live,
}

impl Class {
    /// The words of configuration files.
    pub const WORDS: [(&str, Self); 4] = [
        ("live", Self::Live),
        ("production-like", Self::ProductionLike),
        ("anonymized", Self::Anonymized),
        ("synthetic", Self::Synthetic),
    ];

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
    /// Real data: read without rules from a live environment, or from a store that held raw data.
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

/// What is known of the rules that a snapshot was taken under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// None.
    Without,
    /// Rules of a known digest, with a key of a known fingerprint, that cover every place.
    Whole,
    /// Rules of which one of these cannot be told: they count for nothing.
    Doubtful,
}

/// The clearance of a snapshot of an environment of `source` class: nobody declares it, it follows.
/// `held_raw` says that one of the stores read held raw data, whatever the environment is.
pub fn clearance(source: Class, ruling: Ruling, held_raw: bool) -> Clearance {
    match (source, ruling) {
        (_, Ruling::Whole) => Clearance::Anonymized,
        (_, Ruling::Doubtful) => Clearance::Raw,
        (Class::Live, Ruling::Without) => Clearance::Raw,
        (_, Ruling::Without) if held_raw => Clearance::Raw,
        (_, Ruling::Without) => Clearance::Anonymized,
    }
}

/// What a store holds, as far as pfdata knows, which is what an unmasked snapshot of it will.
///
/// `recorded_live` is when it, or its environment, was last recorded to be live; `loaded` is what
/// was loaded last, and when. Only a masked load after that makes a store that was live clean.
pub fn held<T: Ord>(recorded_live: Option<T>, loaded: Option<(T, Clearance)>) -> Clearance {
    match (recorded_live, loaded) {
        (_, Some((_, Clearance::Raw))) => Clearance::Raw,
        (Some(live), Some((at, Clearance::Anonymized))) if at <= live => Clearance::Raw,
        (_, Some((_, Clearance::Anonymized))) => Clearance::Anonymized,
        (Some(_), None) => Clearance::Raw,
        (None, None) => Clearance::Anonymized,
    }
}

/// Whether data of `clearance` may enter an environment of `target` class. No flag overrides it.
pub fn may_enter(clearance: Clearance, target: Class) -> bool {
    match clearance {
        Clearance::Anonymized => true,
        Clearance::Raw => target == Class::Live,
    }
}

fn declared_truly(source: Class, held_raw: bool, declared: Clearance) -> Result<()> {
    if clearance(source, Ruling::Without, held_raw) == declared {
        return Ok(());
    }
    Err(Error::refused(format!(
        "data of a `{}` environment that no rule has been applied to cannot be stored as `{}`",
        source.word(),
        declared.word()
    )))
}

/// The proof that rules were applied to every value. Only the rules engine says so, which
/// `tests/boundaries.rs` holds: policy stands below it and cannot name it.
#[derive(Debug)]
pub struct Applied(());

impl Applied {
    /// What the transforms and the archive of the rules engine show.
    pub(crate) fn by_the_rules() -> Self {
        Self(())
    }
}

/// Permission to treat rows, documents and keys as cleared. It cannot be made outside this file.
#[derive(Debug, Clone)]
pub struct Permit(());

impl Permit {
    /// Data that a rule set has been applied to, as the engine's own proof says.
    pub fn ruled(_proof: &Applied) -> Self {
        Self(())
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

    /// What a load of `environment` replaced a moment ago, on its way back to where it was because
    /// that load is undone. `origin` is the environment that it was read from.
    pub fn undone(origin: &str, environment: &str) -> Result<Self> {
        if origin != environment {
            return Err(Error::refused(format!(
                "what was kept of `{origin}` does not go back into `{environment}`"
            )));
        }
        Ok(Self(()))
    }
}

/// Permission to store rows, documents and keys as they are. A job that masks never has one.
#[derive(Debug, Clone)]
pub struct UnruledPermit(Permit);

impl UnruledPermit {
    /// Data of an environment of class `source` that no rule is applied to. `declared` is what the
    /// manifest will say of it: it must be the truth.
    pub fn new(source: Class, held_raw: bool, declared: Clearance) -> Result<Self> {
        declared_truly(source, held_raw, declared)?;
        Ok(Self(Permit(())))
    }

    /// The permit under which the rows themselves are cleared.
    pub fn rows(&self) -> &Permit {
        &self.0
    }
}

/// Permission to store what holds no rows: schemas, settings, metadata, sequences.
#[derive(Debug, Clone)]
pub struct StructurePermit(());

impl StructurePermit {
    /// The structure of what a rule set is applied to.
    pub fn ruled(_proof: &Applied) -> Self {
        Self(())
    }

    /// The structure of what is stored as it is; see [`UnruledPermit::new`].
    pub fn unruled(source: Class, held_raw: bool, declared: Clearance) -> Result<Self> {
        declared_truly(source, held_raw, declared)?;
        Ok(Self(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{Anonymized, Live, ProductionLike, Synthetic};

    #[test]
    fn clearance_follows_from_class_rules_and_what_was_held() {
        use Clearance::{Anonymized as Clean, Raw};
        use Ruling::{Doubtful, Whole, Without};
        for class in [Live, ProductionLike, Anonymized, Synthetic] {
            let unruled = if class == Live { Raw } else { Clean };
            let table = [
                // ruling, held raw, clearance
                (Without, false, unruled),
                (Without, true, Raw),
                (Whole, false, Clean),
                (Whole, true, Clean),
                (Doubtful, false, Raw),
                (Doubtful, true, Raw),
            ];
            for (ruling, held_raw, expected) in table {
                let derived = clearance(class, ruling, held_raw);
                assert_eq!(derived, expected, "{class:?} {ruling:?} {held_raw}");
                for target in [Live, ProductionLike, Anonymized, Synthetic] {
                    let enters = expected == Clean || target == Live;
                    assert_eq!(may_enter(derived, target), enters, "{class:?}→{target:?}");
                    assert_eq!(Permit::stored(derived, target).is_ok(), enters);
                }
            }
        }
    }

    #[test]
    fn only_a_masked_load_after_it_was_live_makes_a_store_clean() {
        use Clearance::{Anonymized as Clean, Raw};
        let table = [
            // recorded live, loaded, holds
            (None, None, Clean),
            (Some(5), None, Raw),
            (None, Some((5, Clean)), Clean),
            (None, Some((5, Raw)), Raw),
            (Some(3), Some((5, Clean)), Clean),
            (Some(5), Some((5, Clean)), Raw),
            (Some(7), Some((5, Clean)), Raw),
            (Some(3), Some((5, Raw)), Raw),
        ];
        for (recorded, loaded, expected) in table {
            assert_eq!(held(recorded, loaded), expected, "{recorded:?} {loaded:?}");
        }
    }

    #[test]
    fn raw_data_cannot_be_declared_anonymized() {
        for class in [Live, ProductionLike, Anonymized, Synthetic] {
            for held_raw in [false, true] {
                let raw = class == Live || held_raw;
                for (declared, truth) in [(Clearance::Raw, raw), (Clearance::Anonymized, !raw)] {
                    assert_eq!(UnruledPermit::new(class, held_raw, declared).is_ok(), truth);
                    assert_eq!(StructurePermit::unruled(class, held_raw, declared).is_ok(), truth);
                }
            }
        }
    }

    #[test]
    fn what_is_undone_goes_back_to_its_own_environment_only() {
        assert!(Permit::undone("staging", "staging").is_ok());
        assert!(Permit::undone("production", "staging").is_err());
    }
}
