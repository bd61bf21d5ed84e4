//! What the rules of documents say about each path and about names, for `rules check` and for the
//! manifest.

use super::action::Action;
use super::automaton::speaker;
use super::coverage::{Entry, Verdict};
use super::document::{Flat, Naming, flatten_all, ruled};
use super::location::Location;
use super::paths::{PathPattern, Step};
use super::rules::{JsonRule, PathRule, Rule, Spec};
use super::transformers::Effect;
use crate::terms::StoreKind;

/// What stands behind the path of names.
pub(crate) const NAMES: &str = " (names)";

/// The places of one kind of document: one entry per path, and one for the names of each star
/// about which the rules alone decide. `item` is the column or field that holds the documents,
/// empty where they are documents themselves.
pub(crate) fn entries(paths: &[PathRule], store: StoreKind, place: &str, item: &str) -> Vec<Entry> {
    let Ok(flat) = flatten_all(paths) else { return Vec::new() };
    let list = Listing { store, place, item };
    let mut entries = Vec::new();
    for path in &flat {
        list.path(path, &mut entries);
    }
    list.names(&flat, &mut entries);
    entries
}

/// The same for `{ json = { … } }` in a column or field.
pub(crate) fn json_entries(
    rule: &JsonRule,
    store: StoreKind,
    place: &str,
    item: &str,
) -> Vec<Entry> {
    entries(&rule.paths, store, place, item)
}

struct Listing<'a> {
    store: StoreKind,
    place: &'a str,
    item: &'a str,
}

impl Listing<'_> {
    fn entry(&self, path: &str, verdict: Verdict, rule: String, at: &Location) -> Entry {
        let item =
            if self.item.is_empty() { path.to_owned() } else { format!("{} {path}", self.item) };
        Entry {
            store: self.store,
            place: self.place.to_owned(),
            item,
            verdict,
            rule: Some(rule),
            at: Some(at.clone()),
            starred: false,
        }
    }

    fn path(&self, flat: &Flat<'_>, entries: &mut Vec<Entry>) {
        let path = flat.path.show(&flat.path.steps);
        if let Rule::Json(json) = flat.rule {
            let item = self.entry(&path, Verdict::Masked, String::new(), flat.at).item;
            entries.extend(json_entries(json, self.store, self.place, &item));
            return;
        }
        let verdict = verdict(flat.rule);
        let mut entry = self.entry(&path, verdict, flat.rule.to_string(), flat.at);
        entry.starred = is_starred(&flat.path, verdict);
        entries.push(entry);
    }

    /// The names under each star: as the one `names` says that speaks for it, or as the rule does
    /// that ends there.
    fn names(&self, flat: &[Flat<'_>], entries: &mut Vec<Entry>) {
        let ruled = ruled(flat);
        let mut told: Vec<&[Step]> = Vec::new();
        for own in flat {
            for (index, step) in own.path.steps.iter().enumerate() {
                let star = &own.path.steps[..=index];
                if !step.is_star() || told.contains(&star) {
                    continue;
                }
                told.push(star);
                let speaker = speaker(&ruled, star).ok().flatten();
                let said =
                    speaker.and_then(|index| flat.get(index)?.names.map(|names| (index, names)));
                let ending = || flat.iter().find(|flat| flat.path.steps == star);
                let found = match said {
                    Some((index, names)) => flat.get(index).map(|flat| (of_spec(names), flat.at)),
                    None => ending().and_then(|flat| Some((of_rule(flat.rule)?, flat.at))),
                };
                if let Some(((verdict, rule), at)) = found {
                    let path = format!("{}{NAMES}", own.path.show(star));
                    let mut entry = self.entry(&path, verdict, rule, at);
                    entry.starred = verdict == Verdict::Kept;
                    entries.push(entry);
                }
            }
        }
    }
}

/// What a rule says of a place: one entry, or for JSON one for each of its paths. `entry` says
/// where it is, and in `starred` whether the rule found it by a pattern.
pub(crate) fn of_place(entry: Entry, rule: &Rule, out: &mut Vec<Entry>) {
    match rule {
        Rule::Each(inner) if matches!(**inner, Rule::Json(_)) => {
            of_place(Entry { item: format!("{}[]", entry.item), ..entry }, inner, out);
        }
        Rule::Json(json) => {
            let below = json_entries(json, entry.store, &entry.place, &entry.item);
            out.extend(below.into_iter().map(|below| Entry {
                starred: below.verdict == Verdict::Kept && (below.starred || entry.starred),
                rule: entry.rule.clone().or(below.rule),
                ..below
            }));
        }
        rule => {
            let verdict = verdict(rule);
            out.push(Entry {
                verdict,
                starred: entry.starred && verdict == Verdict::Kept,
                rule: entry.rule.or_else(|| Some(rule.to_string())),
                ..entry
            });
        }
    }
}

/// What a rule says about the values that it decides about.
pub(crate) fn verdict(rule: &Rule) -> Verdict {
    if rule.is_undecided() {
        Verdict::Uncovered
    } else if rule.keeps() {
        Verdict::Kept
    } else {
        Verdict::Masked
    }
}

/// Whether a star, or `$`, is what keeps a place: nobody has spelled it out.
pub(crate) fn is_starred(path: &PathPattern, verdict: Verdict) -> bool {
    verdict == Verdict::Kept && !path.is_literal()
}

fn of_spec(names: &Spec) -> (Verdict, String) {
    let kept = names.definition.keeps();
    (if kept { Verdict::Kept } else { Verdict::Masked }, names.to_string())
}

/// What a rule makes of the names at its star that it says nothing of.
fn of_rule(rule: &Rule) -> Option<(Verdict, String)> {
    match rule {
        Rule::Use(spec) => match spec.definition.effect {
            Effect::Keep => Some((Verdict::Kept, "keep".to_owned())),
            Effect::Null | Effect::Whole(_) => Some((Verdict::Masked, "hash".to_owned())),
            Effect::Drop => Some((Verdict::Masked, "drop".to_owned())),
            Effect::Leaf(_) => None,
        },
        Rule::Json(_) | Rule::Each(_) | Rule::Undecided(_) => None,
    }
}

/// What a compiled rule says about a value.
pub(crate) fn of_action(action: &Action) -> Verdict {
    match action {
        Action::Keep => Verdict::Kept,
        Action::Undecided => Verdict::Uncovered,
        _ => Verdict::Masked,
    }
}

/// What a compiled rule says about names.
pub(crate) fn of_naming(naming: Option<&Naming>) -> Verdict {
    match naming {
        Some(Naming::Keep | Naming::Shape) => Verdict::Kept,
        Some(Naming::Mask(_)) => Verdict::Masked,
        Some(Naming::Unsaid) | None => Verdict::Uncovered,
    }
}
