//! Which paths sampled documents have, and what the rules say about each.

use std::collections::{BTreeMap, HashMap};

use super::bsonvalue::{self, ARRAY, Element, NULL, OBJECT, UNDEFINED};
use super::coverage::{Coverage, Verdict};
use super::document::{Document, Fate, MAX_DEPTH, Ruling};
use super::listing::{NAMES, is_starred, of_action, of_naming};
use super::mongodb_plan::{CollectionPlan, entry};
use super::paths::push_name;
use super::problem::Problem;
use super::route::{HIDDEN, is_frequent, show_name};
use crate::error::Result;
use crate::pipeline::digest::document_length;

/// The most different places that are told apart; names beyond count as one.
const MAX_PLACES: usize = 10_000;

/// Collects which paths sampled documents have and what the rules say about each. A name that no
/// rule spells out is shown where more than one in a hundred documents have it.
pub struct PathObserver<'a> {
    plan: &'a CollectionPlan,
    documents: u64,
    places: Vec<Spot>,
}

/// A place that documents have.
#[derive(Default)]
struct Spot {
    names: HashMap<Vec<u8>, usize>,
    element: Option<usize>,
    /// Names that came when there were too many already.
    others: Option<usize>,
    spelled: bool,
    /// How many documents have it, and the last of them.
    documents: u64,
    last: u64,
    verdict: Option<(Verdict, Option<usize>)>,
    unsaid_names: bool,
}

/// Where a document stands while its paths are collected.
#[derive(Clone, Copy)]
struct Stand {
    state: u32,
    ruling: Ruling,
    array: bool,
    spot: usize,
    depth: usize,
}

impl<'a> PathObserver<'a> {
    pub(crate) fn new(plan: &'a CollectionPlan) -> Self {
        Self { plan, documents: 0, places: vec![Spot::default()] }
    }

    /// Looks at whole documents; nothing but their paths is kept.
    pub fn observe(&mut self, documents: &[u8]) -> Result<()> {
        let mut rest = documents;
        while !rest.is_empty() {
            let (document, tail) = rest.split_at(document_length(rest)?);
            self.documents += 1;
            let state = self.plan.document.as_ref().map_or(0, |own| own.layout.automaton.start());
            let ruling = Ruling::default();
            let stand = Stand { state, ruling, array: false, spot: 0, depth: 0 };
            self.walk(document, (0, document.len()), stand).map_err(|problem| {
                let place = format!("collection `{}`", self.plan.name);
                problem.into_error(&place, str::to_owned)
            })?;
            rest = tail;
        }
        Ok(())
    }

    fn walk(
        &mut self,
        input: &[u8],
        (start, end): (usize, usize),
        stand: Stand,
    ) -> Result<(), Problem> {
        if stand.depth > MAX_DEPTH {
            return Err(Problem::Broken("it nests too deep"));
        }
        let end = bsonvalue::document_end(input, start, end)?;
        let mut at = start + 4;
        while at < end - 1 {
            let element = bsonvalue::element(input, at, end - 1)?;
            at = element.end;
            let name = input.get(element.name.0..element.name.1).unwrap_or_default();
            match &self.plan.document {
                Some(document) => self.look(input, document, element, name, stand)?,
                None => {
                    let spot = self.spot(stand, name, false);
                    self.note(spot, Verdict::Uncovered, None);
                }
            }
        }
        Ok(())
    }

    fn look(
        &mut self,
        input: &[u8],
        document: &Document,
        element: Element,
        name: &[u8],
        stand: Stand,
    ) -> Result<(), Problem> {
        let layout = &document.layout;
        let (state, spelled) = if stand.array {
            (layout.automaton.element(stand.state), true)
        } else {
            layout.automaton.field(stand.state, name)
        };
        let ruling = layout.rule(state, (0, 0), stand.ruling);
        let fate = layout.fate(state, ruling);
        let container = matches!(element.kind, OBJECT | ARRAY);
        let gone = fate == Fate::Drop || fate == Fate::Thin && !container;
        if !spelled && !gone && fate != Fate::Uncovered {
            let naming = layout.naming(stand.state, stand.ruling);
            let said = of_naming(naming.and_then(|path| document.names.get(path)));
            if let Some(spot) = self.places.get_mut(stand.spot) {
                spot.unsaid_names |= said == Verdict::Uncovered;
            }
        }
        let spot = self.spot(stand, name, spelled);
        if container && matches!(fate, Fate::Descend | Fate::Thin) {
            let array = element.kind == ARRAY;
            let below = Stand { state, ruling, array, spot, depth: stand.depth + 1 };
            return self.walk(input, (element.value, element.end), below);
        }
        let nothing =
            matches!(element.kind, NULL | UNDEFINED) && layout.automaton.on_the_way(state);
        match ruling.path.and_then(|path| document.actions.get(path)) {
            None if nothing => {}
            None => self.note(spot, Verdict::Uncovered, None),
            Some(action) => self.note(spot, of_action(action), ruling.path),
        }
        Ok(())
    }

    /// The place of a field or element of the place at hand.
    fn spot(&mut self, stand: Stand, name: &[u8], spelled: bool) -> usize {
        let next = self.places.len();
        let full = next >= MAX_PLACES && !spelled;
        let Some(parent) = self.places.get_mut(stand.spot) else { return 0 };
        let known = if stand.array {
            *parent.element.get_or_insert(next)
        } else if let Some(known) = parent.names.get(name) {
            *known
        } else if full {
            *parent.others.get_or_insert(next)
        } else {
            parent.names.insert(name.to_vec(), next);
            next
        };
        if known == next {
            self.places.push(Spot { spelled, ..Spot::default() });
        }
        if let Some(spot) = self.places.get_mut(known)
            && spot.last != self.documents
        {
            spot.last = self.documents;
            spot.documents += 1;
        }
        known
    }

    fn note(&mut self, spot: usize, verdict: Verdict, decision: Option<usize>) {
        let Some(spot) = self.places.get_mut(spot) else { return };
        if spot.verdict.is_none_or(|known| verdict > known.0) {
            spot.verdict = Some((verdict, decision));
        }
    }

    /// What was seen.
    pub fn finish(self) -> Coverage {
        let mut shown = BTreeMap::new();
        self.show(0, String::new(), &mut shown);
        let entries = shown.into_iter().map(|(path, (verdict, decision))| {
            let rule = decision.and_then(|decision| self.plan.paths.get(decision));
            let mut entry = entry(&self.plan.name, &path, verdict, rule);
            entry.starred = rule.is_some_and(|rule| is_starred(&rule.path, verdict));
            entry
        });
        Coverage { entries: entries.collect(), ..Coverage::default() }
    }

    fn show(
        &self,
        spot: usize,
        path: String,
        shown: &mut BTreeMap<String, (Verdict, Option<usize>)>,
    ) {
        let Some(place) = self.places.get(spot) else { return };
        let mut add = |path: String, verdict: (Verdict, Option<usize>)| {
            let known = shown.entry(path).or_insert(verdict);
            if verdict.0 > known.0 {
                *known = verdict;
            }
        };
        if let Some(verdict) = place.verdict {
            add(path.clone(), verdict);
        }
        if place.unsaid_names {
            let dot = if path.is_empty() { "" } else { "." };
            add(format!("{path}{dot}*{NAMES}"), (Verdict::Uncovered, None));
        }
        if let Some(element) = place.element {
            self.show(element, format!("{path}[]"), shown);
        }
        let dot = if path.is_empty() { "" } else { "." };
        for (name, &child) in &place.names {
            let Some(spot) = self.places.get(child) else { continue };
            let frequent = is_frequent(spot.documents, self.documents);
            let mut below = path.clone();
            push_name(&show_name(name, spot.spelled, frequent), dot, &mut below);
            self.show(child, below, shown);
        }
        if let Some(others) = place.others {
            self.show(others, format!("{path}{dot}{HIDDEN}"), shown);
        }
    }
}
