//! Finding rows of the table of keys: asked by `known`, `reader`, `show`, `unbuilt`, `redact` and
//! `reference`. Touches nothing.

use super::key::{Key, Preset};
use super::table_data::{ENVIRONMENT, JOBS};
use super::table_database::{CONNECT, DATABASE};
use crate::terms::StoreKind;

/// Every key that pfdata reads.
pub(crate) fn rows() -> impl Iterator<Item = &'static Key> {
    [DATABASE, ENVIRONMENT, CONNECT, JOBS].into_iter().flatten()
}

/// The row of a dotted path.
pub(crate) fn row(path: &str) -> Option<&'static Key> {
    let parts: Vec<&str> = path.split('.').collect();
    row_at(&parts)
}

/// The row of a path; the name of a set may hold a dot.
pub(crate) fn row_at(parts: &[&str]) -> Option<&'static Key> {
    rows().find(|row| {
        let mut pattern = row.path.split('.');
        parts.iter().all(|part| pattern.next().is_some_and(|one| fits(one, part)))
            && pattern.next().is_none()
    })
}

fn fits(pattern: &str, part: &str) -> bool {
    match pattern {
        "<set>" => true,
        "<store>" => StoreKind::ALL.iter().any(|store| store.word() == part),
        name => name == part,
    }
}

/// The names of the keys of an object, in the order of the table; none where any name will do.
pub(crate) fn names_below(parts: &[&str]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for row in rows() {
        let mut pattern = row.path.split('.');
        if !parts.iter().all(|part| pattern.next().is_some_and(|one| fits(one, part))) {
            continue;
        }
        match (pattern.next(), pattern.next()) {
            (Some("<store>"), None) => names.extend(StoreKind::ALL.map(StoreKind::word)),
            (Some("<set>"), _) | (None, _) | (_, Some(_)) => {}
            (Some(name), None) => names.push(name),
        }
    }
    names
}

/// The paths that a row stands for, given the sets and stores that there are.
pub(crate) fn paths(row: &Key, sets: &[&str], stores: &[StoreKind]) -> Vec<String> {
    let words: Vec<&str> = stores.iter().map(|store| store.word()).collect();
    let of = |place: &str, names: &[&str]| -> Vec<String> {
        names.iter().map(|name| row.path.replace(place, name)).collect()
    };
    if row.path.contains("<set>") {
        of("<set>", sets)
    } else if row.path.contains("<store>") {
        of("<store>", &words)
    } else {
        vec![row.path.to_owned()]
    }
}

/// What counts at `path` where it is not given.
pub(crate) fn preset(path: &str) -> Preset {
    row(path).map_or(Preset::None, |row| row.preset)
}

/// The same where it is text; empty otherwise.
pub(crate) fn preset_text(path: &str) -> &'static str {
    match preset(path) {
        Preset::Text(text) => text,
        _ => "",
    }
}

/// The same where it is a number.
pub(crate) fn preset_number(path: &str) -> Option<u64> {
    match preset(path) {
        Preset::Number(number) => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::key::{Built, Holds};
    use crate::config::redact::is_secret;
    use crate::pipeline::codec::Compression;

    #[test]
    fn every_row_is_found_by_its_path_and_has_a_place_and_a_line() {
        for row in rows() {
            for path in paths(row, &["nightly"], &StoreKind::ALL) {
                assert!(self::row(&path).is_some_and(|found| found.path == row.path), "{path}");
                if let Some((outer, name)) = path.rsplit_once('.') {
                    let outer: Vec<&str> = outer.split('.').collect();
                    assert!(row_at(&outer).is_some(), "{path} has no object around it");
                    let any = row.path.ends_with("<set>");
                    assert!(any || names_below(&outer).contains(&name), "{path}");
                }
            }
            assert!(row.doc.ends_with('.'), "{}", row.path);
        }
    }

    #[test]
    fn what_a_name_says_is_a_secret_is_one_in_the_table() {
        for row in rows() {
            let name = row.path.rsplit('.').next().unwrap_or_default();
            assert_eq!(row.secret, is_secret(name), "{}", row.path);
        }
    }

    #[test]
    fn a_preset_is_something_that_the_key_can_hold() {
        assert_eq!(preset_text("data.snapshots.x.compression"), Compression::default().to_string());
        for row in rows() {
            let good = match (row.preset, row.holds) {
                (Preset::None, _)
                | (Preset::Flag(_) | Preset::OfSet, Holds::Flag | Holds::FlagOrDuration)
                | (Preset::EmptyList, Holds::Texts | Holds::Commands)
                | (Preset::Cores, Holds::Number(..)) => true,
                (Preset::Number(number), Holds::Number(low, high)) => {
                    (low..=high).contains(&number)
                }
                (Preset::Text(text), Holds::Word(words)) => words().contains(&text),
                (Preset::Text(_), Holds::Text | Holds::Filled | Holds::Compression) => true,
                _ => false,
            };
            assert!(good, "{}", row.path);
        }
    }

    #[test]
    fn what_is_refused_by_a_word_is_a_word_of_the_key() {
        use crate::config::key::When;
        for row in rows() {
            if let Built::Not {
                when: When::Words(refused) | When::WordsOfMasking(refused), ..
            } = row.built
            {
                let Holds::Word(words) = row.holds else { panic!("{}", row.path) };
                assert!(refused.iter().all(|word| words().contains(word)), "{}", row.path);
            }
        }
    }
}
