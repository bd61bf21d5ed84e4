//! The keys of the `data` block but for `connect`. A row is all that is to be said of a key; the
//! order is that of messages, and of what is refused first.

use super::key::Holds::{
    Commands, Compression, Cron, Duration, Filled, Flag, FlagOrDuration, Number, Object, Rate,
    Repository, Sets, Source, Text, Texts, Word,
};
use super::key::JobKind::{Read, Refresh, Restore, Rollback, Rules, Seed, Snapshot};
use super::key::{Holds, JobKind, Key, MOST_JOBS, Preset, When, key};
use super::words::{Algorithm, Mode, Require, Treatment, Uncovered, names};
use crate::policy::Class;

/// How many snapshots are kept.
const COUNT: Holds = Number(0, u64::MAX);
/// The jobs that read or write what is stored.
const STORED: &[JobKind] = &[Snapshot, Restore, Refresh, Rollback, Read];
/// The jobs that a limit would hold for.
const LIMITED: &[JobKind] = &[Snapshot, Restore, Refresh, Rollback, Seed];

/// What an environment is and where its snapshots lie.
#[rustfmt::skip] // a row is a line
pub(crate) const ENVIRONMENT: &[Key] = &[
    key("data", Object, "pfdata's block."),
    key(
        "data.class",
        Word(|| names(&Class::WORDS)),
        "What the environment is. Must be given, as a literal in a JSON file.",
    ),
    key(
        "data.protected",
        Flag,
        "Whether changing it needs `--rollback-ready`. A variable can only set it to `true`.",
    )
    .or(Preset::Flag(false)),
    key("data.repository", Repository, "Where its snapshots lie. Only `file://` is built."),
    key(
        "data.repository_id",
        Filled,
        "The id that the repository must have: a wrong disk is noticed.",
    ),
];

/// The rest.
#[rustfmt::skip] // a row is a line
pub(crate) const JOBS: &[Key] = &[
    key("data.encryption", Object, "Encryption of what is stored.").not_built(STORED, When::Given),
    key("data.encryption.algorithm", Word(|| names(&Algorithm::WORDS)), "How; `aes-256-gcm` where the block is given."),
    key("data.encryption.key", Text, "The key. Must be given in the block.").secret(),
    key("data.limits", Object, "Bounds on jobs."),
    key("data.limits.rate", Rate, "How fast a job may read or write.").not_built(LIMITED, When::Given),
    key("data.limits.duration", Duration, "How long a job may take.").not_built(LIMITED, When::Given),
    key("data.limits.replica_lag", Duration, "How far a replica may lag.").not_built(LIMITED, When::Given),
    key("data.refresh", Object, "How the environment is refreshed."),
    key("data.refresh.from", Source, "`ENV` (its newest whole anonymized snapshot), `ENV/SET` or a snapshot."),
    key("data.refresh.schedule", Cron, "When it is refreshed.").later(),
    key("data.refresh.max_age", Duration, "An older snapshot is refused."),
    key("data.refresh.mode", Word(|| names(&Mode::WORDS)), "How Postgres is swapped.").or(Preset::Text("auto")).not_built(&[Restore, Refresh], When::Words(&["schema", "in-place"])),
    key("data.refresh.stores", Object, "What happens to each store."),
    key("data.refresh.stores.<store>", Word(|| names(&Treatment::WORDS)), "Loaded from the snapshot, emptied, or left as it is.").or(Preset::Text("snapshot")),
    key("data.refresh.backup_before", Flag, "Whether the environment is snapshotted first.").or(Preset::Flag(false)),
    key("data.refresh.sql", Texts, "Folders of SQL files to apply, in order.").or(Preset::EmptyList),
    key("data.refresh.seeds", Texts, "Seed profiles to apply, in order.").or(Preset::EmptyList),
    key("data.refresh.keep_previous", FlagOrDuration, "How long the data from before is kept: not at all, until the next job, or at most so long.").or(Preset::Flag(true)),
    key("data.refresh.hooks", Object, "Commands to run on the way."),
    key("data.refresh.hooks.before", Commands, "Before anything is touched.").or(Preset::EmptyList).not_built(&[Refresh], When::NotEmpty),
    key("data.refresh.hooks.loaded", Commands, "After the load.").or(Preset::EmptyList).not_built(&[Refresh], When::NotEmpty),
    key("data.refresh.hooks.before_swap", Commands, "Before the swap.").or(Preset::EmptyList).not_built(&[Refresh], When::NotEmpty),
    key("data.refresh.hooks.after_swap", Commands, "After the swap.").or(Preset::EmptyList).not_built(&[Refresh], When::NotEmpty),
    key("data.refresh.migrate", Flag, "Whether pending migrations run. Set it to `false` where `sql/migrations` has files.").or(Preset::Flag(true)).not_built(&[Refresh], When::True),
    key("data.snapshots", Sets, "The snapshot sets. `raw` and `anonymized` are there without being named."),
    key("data.snapshots.<set>", Object, "A set."),
    key("data.snapshots.<set>.anonymize", Flag, "Whether its snapshots are masked. Must be given but for the two built-in sets.").or(Preset::OfSet),
    key("data.snapshots.<set>.repository", Repository, "The set's own repository."),
    key("data.snapshots.<set>.repository_id", Filled, "The id that it must have."),
    key("data.snapshots.<set>.schedule", Cron, "When a snapshot is taken.").later(),
    key("data.snapshots.<set>.jobs", Number(1, MOST_JOBS), "How many workers read at once.").or(Preset::Cores),
    key("data.snapshots.<set>.compression", Compression, "How parts are compressed.").or(Preset::Text("zstd:1")),
    key("data.snapshots.<set>.from_replica", Flag, "Whether a replica is read.").or(Preset::Flag(false)).not_built(&[Snapshot], When::True),
    key("data.snapshots.<set>.reviewed_only", Flag, "Whether a place that a star keeps and `reviewed.toml` does not list stops the job; `false` where it is not given."),
    key("data.snapshots.<set>.retention", Object, "What is kept; each `keep_…` adds to the others."),
    key("data.snapshots.<set>.retention.keep_last", COUNT, "The newest.").later(),
    key("data.snapshots.<set>.retention.keep_hourly", COUNT, "One an hour.").later(),
    key("data.snapshots.<set>.retention.keep_daily", COUNT, "One a day.").later(),
    key("data.snapshots.<set>.retention.keep_weekly", COUNT, "One a week.").later(),
    key("data.snapshots.<set>.retention.keep_monthly", COUNT, "One a month.").later(),
    key("data.snapshots.<set>.retention.keep_yearly", COUNT, "One a year.").later(),
    key("data.snapshots.<set>.retention.keep_within", Duration, "Everything younger, counted from the newest.").later(),
    key("data.snapshots.<set>.retention.max_age", Duration, "Nothing older, counted from now.").later(),
    key("data.migrate", Object, "Migrations."),
    key("data.migrate.require", Word(|| names(&Require::WORDS)), "What has to come before one.").or(Preset::Text("none")).later(),
    key("data.anonymize", Object, "Masking."),
    key("data.anonymize.rules", Filled, "The folder of rules.").or(Preset::Text("anonymizers")),
    key("data.anonymize.key", Text, "The key of the pseudonyms: at least 32 bytes that cannot be guessed.").secret(),
    key("data.anonymize.uncovered", Word(|| names(&Uncovered::WORDS)), "What happens where no rule covers a place.").or(Preset::Text("fail")).not_built(&[Snapshot, Rules], When::WordsOfMasking(&["redact"])),
    key("data.objectives", Object, "What recovery may cost."),
    key("data.objectives.rto", Duration, "How long it may take.").later(),
    key("data.objectives.rpo", Duration, "How much recent data may be lost.").later(),
    key("data.schedules", Object, "When jobs over all snapshots run."),
    key("data.schedules.retention", Cron, "Deleting what is no longer kept.").later(),
    key("data.schedules.verify", Cron, "Verifying what is stored.").later(),
    key("data.schedules.drill", Cron, "Trying a recovery.").later(),
];
