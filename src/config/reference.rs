//! The reference of keys, made of the table: what `config/README.md` holds between its two marks.
//! Called by the test that compares the two.

use super::key::{Built, Holds, JobKind, Key, Preset, When};
use super::table;
use crate::pipeline::codec::COMPRESSION;

/// The blocks that get a table of their own, in the order of the reference: heading and what the
/// paths of its keys begin with. A key belongs to the longest beginning that fits.
const SECTIONS: [(&str, &str); 7] = [
    ("What an environment is", "data"),
    ("Snapshots", "data.snapshots"),
    ("Refresh", "data.refresh"),
    ("Masking", "data.anonymize"),
    ("The stores", "database"),
    ("pfdata's own way in", "data.connect"),
    ("Read, and not built or not acted on yet", ""),
];

/// The keys as Markdown.
pub fn reference() -> String {
    let mut text = String::new();
    for (heading, begins) in SECTIONS {
        text.push_str(&format!("### {heading}\n\n"));
        text.push_str("| key | holds | default | |\n|---|---|---|---|\n");
        for row in table::rows().filter(|row| section(row) == begins) {
            text.push_str(&line(row));
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn section(row: &Key) -> &'static str {
    if waits(row) {
        return "";
    }
    let fitting = SECTIONS.iter().map(|(_, begins)| *begins).filter(|begins| within(row, begins));
    fitting.max_by_key(|begins| begins.len()).unwrap_or_default()
}

fn within(row: &Key, path: &str) -> bool {
    row.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether nothing comes of the key yet: of itself, of the block that it is in, or of all that is
/// in it.
fn waits(row: &Key) -> bool {
    let alone = |row: &Key| match row.built {
        Built::Later => true,
        Built::Not { when, .. } => matches!(when, When::Given | When::NotEmpty),
        Built::Yes | Built::NotInStore => false,
    };
    let around = || table::rows().any(|outer| alone(outer) && within(row, outer.path));
    let mut below = table::rows().filter(|inner| inner.path != row.path && within(inner, row.path));
    let first = below.next();
    around() || first.is_some_and(|first| alone(first) && below.all(alone))
}

fn line(row: &Key) -> String {
    let mut notes = vec![row.doc.to_owned()];
    if row.secret {
        notes.push("**Secret.**".to_owned());
    }
    notes.extend(built(row));
    let (holds, preset) = (holds(row.holds), preset(row.preset));
    format!("| `{}` | {holds} | {preset} | {} |\n", row.path, notes.join(" ").replace('|', "\\|"))
}

fn holds(holds: Holds) -> String {
    let words = match holds {
        Holds::Object => "object",
        Holds::FlagOrObject => "flag or object",
        Holds::Sets => "object of sets",
        Holds::Text | Holds::Filled => "text",
        Holds::Repository => "url",
        Holds::Compression => return COMPRESSION.to_owned(),
        Holds::Source => "a source",
        Holds::Word(words) => {
            return words().iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" ");
        }
        Holds::Duration => "duration",
        Holds::Rate => "rate",
        Holds::Cron => "schedule",
        Holds::Flag => "flag",
        Holds::FlagOrDuration => "flag or duration",
        Holds::Number(0, u64::MAX) => "number",
        Holds::Number(low, high) => return format!("{low} to {high}"),
        Holds::Texts => "list of texts",
        Holds::Commands => "list of commands",
        Holds::Foreign => "anything",
    };
    words.to_owned()
}

fn preset(preset: Preset) -> String {
    match preset {
        Preset::None => String::new(),
        Preset::Cores => "the cores, at most 8".to_owned(),
        Preset::OfSet => "by the set".to_owned(),
        other => other.value().map(|value| format!("`{value}`")).unwrap_or_default(),
    }
}

fn built(row: &Key) -> Option<String> {
    match row.built {
        Built::Yes => None,
        Built::Later => Some("*Nothing acts on it yet.*".to_owned()),
        Built::NotInStore => Some("*Not built: the store is refused.*".to_owned()),
        Built::Not { jobs, when } => {
            let values = match when {
                When::Given | When::NotEmpty => String::new(),
                When::True => " (`true`)".to_owned(),
                When::Words(words) | When::WordsOfMasking(words) => {
                    format!(" (`{}`)", words.join("`, `"))
                }
            };
            let jobs: Vec<&str> = jobs.iter().filter_map(|job| word(*job)).collect();
            Some(format!("*Not built{values}; refused by {}.*", jobs.join(", ")))
        }
    }
}

/// The command that asks; those that only read the repository do not.
fn word(job: JobKind) -> Option<&'static str> {
    Some(match job {
        JobKind::Snapshot => "snapshot",
        JobKind::Restore => "restore",
        JobKind::Refresh => "refresh",
        JobKind::Rollback => "rollback",
        JobKind::Seed => "seed",
        JobKind::Rules => "rules",
        JobKind::Read => return None,
    })
}
