//! What a row of the table of keys can say. The rows are in `table_data` and `table_database`;
//! `table` finds them. Touches nothing.

use serde_json::{Value, json};

/// How long a connection attempt may take where nothing is configured, in milliseconds.
pub(crate) const CONNECT_TIMEOUT: u64 = 10_000;

/// The highest index of a Redis: it takes `databases` as a 32-bit number.
pub(crate) const HIGHEST_INDEX: u64 = i32::MAX as u64;

/// The most workers of a job: a thousand are no setting but a mistake.
pub(crate) const MOST_JOBS: u64 = 256;

/// The workers of a job that says nothing: the machine's cores, at most 8.
pub fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(8)
}

/// What a job does to an environment, as far as configuration is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// Reads its stores into a snapshot.
    Snapshot,
    /// Loads a snapshot into its stores.
    Restore,
    /// Loads a snapshot, seeds and more into its stores.
    Refresh,
    /// Swaps the previous data back in.
    Rollback,
    /// Applies seeds.
    Seed,
    /// Checks or previews rules.
    Rules,
    /// Reads the repository only: list, show, verify.
    Read,
}

/// A key: everything that is known of it without reading a file.
pub(crate) struct Key {
    /// Dotted path; `<set>` stands for a snapshot set, `<store>` for one of the three stores.
    pub(crate) path: &'static str,
    /// What it holds.
    pub(crate) holds: Holds,
    /// What counts where it is not given.
    pub(crate) preset: Preset,
    /// Keys beside it whose presence leaves the preset without meaning.
    pub(crate) unless: &'static [&'static str],
    /// Whether its value must never be shown.
    pub(crate) secret: bool,
    /// Whether this version honours it.
    pub(crate) built: Built,
    /// One line for the reference.
    pub(crate) doc: &'static str,
}

/// A row. What it does not say is: no default, no secret, built.
pub(crate) const fn key(path: &'static str, holds: Holds, doc: &'static str) -> Key {
    Key { path, holds, preset: Preset::None, unless: &[], secret: false, built: Built::Yes, doc }
}

impl Key {
    /// With a default.
    pub(crate) const fn or(mut self, preset: Preset) -> Self {
        self.preset = preset;
        self
    }

    /// With a default that counts only where none of `keys` is given beside it.
    pub(crate) const fn or_unless(self, preset: Preset, keys: &'static [&'static str]) -> Self {
        let mut row = self.or(preset);
        row.unless = keys;
        row
    }

    /// Never to be shown.
    pub(crate) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Refused by `jobs`, which would have to honour it, where its value is such a one.
    pub(crate) const fn not_built(mut self, jobs: &'static [JobKind], when: When) -> Self {
        self.built = Built::Not { jobs, when };
        self
    }

    /// Refused where the store is used.
    pub(crate) const fn not_in_store(mut self) -> Self {
        self.built = Built::NotInStore;
        self
    }

    /// Read and checked; no command acts on it yet.
    pub(crate) const fn later(mut self) -> Self {
        self.built = Built::Later;
        self
    }
}

/// What a key holds: how it is checked, how the text of a variable is read, and what the
/// reference says.
#[derive(Clone, Copy)]
pub(crate) enum Holds {
    /// An object.
    Object,
    /// An object, or a flag.
    FlagOrObject,
    /// An object whose keys are names of snapshot sets.
    Sets,
    /// Text.
    Text,
    /// Text with content.
    Filled,
    /// The url of a repository.
    Repository,
    /// A codec and its level.
    Compression,
    /// What a refresh loads.
    Source,
    /// One of a few words.
    Word(fn() -> Vec<&'static str>),
    /// A span of time.
    Duration,
    /// Bytes per second.
    Rate,
    /// Five fields.
    Cron,
    /// `true` or `false`.
    Flag,
    /// A flag or a span of time.
    FlagOrDuration,
    /// A whole number, both ends included.
    Number(u64, u64),
    /// A list of strings.
    Texts,
    /// A list of commands, each a list of strings.
    Commands,
    /// Whatever the application has there; pfdata takes what it understands.
    Foreign,
}

/// What counts where a key is not given.
#[derive(Clone, Copy)]
pub(crate) enum Preset {
    /// Nothing: the key is optional, or must be given.
    None,
    /// A flag.
    Flag(bool),
    /// A number.
    Number(u64),
    /// Text.
    Text(&'static str),
    /// A list without items.
    EmptyList,
    /// [`default_jobs`].
    Cores,
    /// What the two built-in snapshot sets are: `raw` is not masked, `anonymized` is.
    OfSet,
}

impl Preset {
    /// As `config show` has it; what depends on a set's name is not known here.
    pub(crate) fn value(self) -> Option<Value> {
        match self {
            Self::None | Self::OfSet => None,
            Self::Flag(flag) => Some(json!(flag)),
            Self::Number(number) => Some(json!(number)),
            Self::Text(text) => Some(json!(text)),
            Self::EmptyList => Some(json!([])),
            Self::Cores => Some(json!(default_jobs())),
        }
    }
}

/// Whether this version honours a key.
#[derive(Clone, Copy)]
pub(crate) enum Built {
    /// It does.
    Yes,
    /// These jobs are refused where the value asks for something.
    Not {
        /// Which jobs would have to honour it.
        jobs: &'static [JobKind],
        /// Which values ask for something.
        when: When,
    },
    /// Whatever uses the store is refused.
    NotInStore,
    /// It is read and checked, and no command acts on it yet.
    Later,
}

/// Which values of a key ask for something.
#[derive(Clone, Copy)]
pub(crate) enum When {
    /// Any.
    Given,
    /// `true`.
    True,
    /// A list that is not empty.
    NotEmpty,
    /// One of these words.
    Words(&'static [&'static str]),
    /// One of these words, and a snapshot only where its set is masked.
    WordsOfMasking(&'static [&'static str]),
}
