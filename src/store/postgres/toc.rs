//! The table of contents of a pg_dump archive, as `pg_restore --list` prints it.
//!
//! A line is `dumpId; tableoid oid DESCRIPTION schema tag owner`, where the description may be
//! several words; lines that begin with `;` are comments (`pg_backup_archiver.c`,
//! `PrintTOCSummary`).

/// Descriptions that are never restored: they would reach for the source's own network.
const REACHES_OUT: [&str; 2] = ["SUBSCRIPTION", "USER MAPPING"];

/// Which entries of an archive a run of pg_restore is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// Schemas and extensions.
    Foundations,
    /// Everything but event triggers and what is never restored, and, if asked, without the
    /// foundations.
    Main {
        /// Whether the foundations are here already.
        without_foundations: bool,
        /// Whether the new database has its schema `public` already.
        has_public: bool,
    },
    /// Event triggers, which must come last.
    EventTriggers,
}

/// What a listing says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Toc {
    lines: Vec<String>,
}

impl Toc {
    /// Takes the output of `pg_restore --list`.
    pub fn parse(listing: &str) -> Self {
        let lines =
            listing.lines().filter(|line| entry(line).is_some()).map(str::to_owned).collect();
        Self { lines }
    }

    /// The lines that a run is given, in the archive's order.
    pub fn pick(&self, pick: Pick) -> String {
        let mut picked = String::new();
        for line in &self.lines {
            let Some(entry) = entry(line) else { continue };
            if wanted(entry, pick) {
                picked.push_str(line);
                picked.push('\n');
            }
        }
        picked
    }

    /// Whether there is anything for a run.
    pub fn has(&self, pick: Pick) -> bool {
        !self.pick(pick).is_empty()
    }

    /// The names of the extensions.
    pub fn extensions(&self) -> Vec<String> {
        let name = |line: &String| {
            let tag = entry(line)?.strip_prefix("EXTENSION - ")?;
            Some(tag.split(' ').next().unwrap_or(tag).to_owned())
        };
        self.lines.iter().filter_map(name).collect()
    }

    /// What is never restored, by kind and name.
    pub fn left_out(&self) -> Vec<String> {
        let out = |line: &String| {
            let entry = entry(line)?;
            let kind = REACHES_OUT.iter().find(|kind| is(entry, kind))?;
            let tag = entry.strip_prefix(kind)?.trim_start_matches(" - ").trim();
            Some(format!("{} {tag}", kind.to_lowercase()))
        };
        self.lines.iter().filter_map(out).collect()
    }
}

/// What stands after the numbers.
fn entry(line: &str) -> Option<&str> {
    let (id, rest) = line.split_once("; ")?;
    let (tableoid, rest) = rest.split_once(' ')?;
    let (oid, rest) = rest.split_once(' ')?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (number(id) && number(tableoid) && number(oid)).then_some(rest)
}

/// Whether an entry has this description.
fn is(entry: &str, description: &str) -> bool {
    entry.strip_prefix(description).is_some_and(|rest| rest.starts_with(' '))
}

/// Whether an entry is of this description, or a comment or label on one.
fn concerns(entry: &str, description: &str) -> bool {
    is(entry, description)
        || ["COMMENT - ", "SECURITY LABEL - ", "ACL - "]
            .iter()
            .any(|prefix| entry.strip_prefix(prefix).is_some_and(|rest| is(rest, description)))
}

fn wanted(entry: &str, pick: Pick) -> bool {
    if REACHES_OUT.iter().any(|kind| concerns(entry, kind)) {
        return false;
    }
    let event_trigger = concerns(entry, "EVENT TRIGGER");
    let foundation = concerns(entry, "SCHEMA") || concerns(entry, "EXTENSION");
    match pick {
        Pick::EventTriggers => event_trigger,
        Pick::Foundations => foundation && !is_public(entry),
        Pick::Main { without_foundations, has_public } => {
            let here_already =
                (without_foundations && foundation) || (has_public && is_public(entry));
            !event_trigger && !here_already
        }
    }
}

fn is_public(entry: &str) -> bool {
    entry.starts_with("SCHEMA - public ") || entry == "SCHEMA - public"
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\
;
; Archive created at 2026-11-21 21:00:00 UTC
;     Dumped by pg_dump version: 15.18
;
5; 2615 16500 SCHEMA - app postgres
6; 2615 2200 SCHEMA - public pg_database_owner
3500; 0 0 COMMENT - SCHEMA public pg_database_owner
2; 3079 16501 EXTENSION - pgcrypto 
3501; 0 0 COMMENT - EXTENSION pgcrypto 
230; 1259 16600 TABLE public SUBSCRIPTION postgres
3400; 6100 16700 SUBSCRIPTION - from_production postgres
3402; 0 0 COMMENT - SUBSCRIPTION from_production postgres
3401; 1418 16701 USER MAPPING - USER MAPPING app SERVER remote postgres
3403; 3466 16702 EVENT TRIGGER - audit postgres
3404; 0 0 COMMENT - EVENT TRIGGER audit postgres
";

    #[test]
    fn what_reaches_out_is_left_out_and_a_table_of_that_name_is_not() {
        let toc = Toc::parse(LISTING);
        let main = toc.pick(Pick::Main { without_foundations: false, has_public: true });
        assert!(main.contains("TABLE public SUBSCRIPTION"));
        assert!(!main.contains("from_production") && !main.contains("USER MAPPING"));
        assert!(!main.contains("audit") && !main.contains("SCHEMA - public"));
        assert!(main.contains("SCHEMA - app"));
        assert_eq!(toc.left_out().len(), 2);
        assert_eq!(toc.extensions(), ["pgcrypto"]);
        assert_eq!(toc.pick(Pick::EventTriggers).lines().count(), 2);
        let rest = toc.pick(Pick::Main { without_foundations: true, has_public: true });
        assert_eq!(rest.lines().count(), 1);
    }
}
