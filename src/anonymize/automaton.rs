//! The paths of one kind of document, JSON or BSON alike, compiled into one automaton.
//!
//! Which rule decides about a value (the contract's "Precedence"): all whose path matches it or a
//! place above it ("a path covers all below it") take part.
//!
//! 1. A literal path wins at its place, over all that match there or above.
//! 2. Then a mask beats a `keep`, whatever their paths; only the section's own default gives way
//!    to every other path.
//! 3. Among masks, and among keeps, the one that matches further down; of several at the same
//!    place the most specific ([`PathPattern::rank`]). Two equally specific ones are an error,
//!    found for every path that can exist when the automaton is built.
//!
//! A `*` at the end of the path of a keep or of a default stands for every field *not named*: a
//! field that another path leads through is named, and what else it holds needs a rule of its
//! own. That of a mask stands for all.

use std::collections::HashMap;

use super::location::Location;
use super::paths::{PathPattern, Rank, Step, rank};
use super::pattern::Tie;
use super::rules::Spec;

/// A path and what of its rule bears on which one decides.
pub(crate) struct Ruled<'a> {
    /// Where it leads.
    pub(crate) path: &'a PathPattern,
    /// Where it stands.
    pub(crate) at: &'a Location,
    /// Whether it leaves what it covers as it is.
    pub(crate) keeps: bool,
    /// What it says of names.
    pub(crate) names: Option<&'a Spec>,
}

impl Ruled<'_> {
    /// Whether a keep by pattern cannot beat it.
    fn is_firm(&self) -> bool {
        !self.keeps && !self.path.is_default()
    }
}

/// The state in which no path leads on.
pub(crate) const DEAD: u32 = 0;

/// More states than any sensible set of paths needs.
const MAX_STATES: usize = 1024;

#[derive(Debug, Clone, Default)]
struct State {
    keys: Keys,
    other: u32,
    element: u32,
    decision: Option<u16>,
    /// The decision gives way to a mask from above.
    yields: bool,
    /// The path whose `names` decide about names that no rule spells out here.
    names: Option<u16>,
    below: Below,
    /// The same without the keeps by pattern, which change nothing under a mask.
    below_mask: Below,
    on_the_way: bool,
    spelled_below: bool,
}

/// Names that are spelled out and the states behind them. Every field of every document is looked
/// up here: names are told apart by their first eight bytes and their length, which is one number,
/// and compared in full only where that is equal.
#[derive(Debug, Clone, Default)]
struct Keys {
    heads: Vec<u64>,
    names: Vec<(Box<[u8]>, u32)>,
}

impl Keys {
    /// Few enough to be looked through one by one.
    const FEW: usize = 12;

    fn new(mut keys: Vec<(&[u8], u32)>) -> Self {
        keys.sort_unstable_by_key(|(name, _)| head(name));
        Self {
            heads: keys.iter().map(|(name, _)| head(name)).collect(),
            names: keys.iter().map(|(name, next)| (Box::from(*name), *next)).collect(),
        }
    }

    fn find(&self, name: &[u8]) -> Option<u32> {
        let head = head(name);
        let first = if self.heads.len() <= Self::FEW {
            self.heads.iter().position(|known| *known == head)?
        } else {
            self.heads.partition_point(|known| *known < head)
        };
        let heads = self.heads.get(first..)?.iter();
        let same = heads.take_while(|known| **known == head);
        let mut same = same.zip(self.names.get(first..)?);
        same.find(|(_, (known, _))| **known == *name).map(|(_, (_, next))| *next)
    }
}

fn head(name: &[u8]) -> u64 {
    let first = match name.first_chunk::<8>() {
        Some(first) => u64::from_le_bytes(*first),
        None => name.iter().rev().fold(0, |head, byte| head << 8 | u64::from(*byte)),
    };
    first ^ (name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Below {
    #[default]
    Nothing,
    Only(u16),
    Several,
}

/// The paths of one document kind as an automaton.
#[derive(Debug, Clone)]
pub(crate) struct Automaton {
    states: Vec<State>,
    start: u32,
    /// By path: whether a keep by pattern cannot beat it.
    firm: Vec<bool>,
}

/// Why paths cannot be compiled.
#[derive(Debug)]
pub(crate) enum PathError {
    /// Two rules that are equally specific.
    Tie(Tie),
    /// Two rules that say different things of the same names.
    Names(Tie),
    /// The wildcards multiply.
    TooMany,
}

type Positions = Vec<(u16, u16)>;

impl Automaton {
    /// Compiles paths; a decision is the index of its path. `schema` are names of the uppermost
    /// fields that are no data though no rule spells them out.
    pub(crate) fn new(paths: &[Ruled<'_>], schema: &[&str]) -> Result<Self, PathError> {
        let long = |path: &Ruled<'_>| path.path.steps.len() > 500;
        if paths.len() >= usize::from(u16::MAX) || paths.iter().any(long) {
            return Err(PathError::TooMany);
        }
        let mut builder =
            Builder { paths, states: vec![State::default()], known: HashMap::new(), open: vec![] };
        builder.known.insert(Vec::new(), DEAD);
        let all = (0..paths.len() as u16).map(|path| (path, 0)).collect();
        let start = builder.state(all)?;
        while let Some((index, positions)) = builder.open.pop() {
            builder.expand(index, &positions, if index == start { schema } else { &[] })?;
        }
        let firm = paths.iter().map(Ruled::is_firm).collect();
        Ok(Self { states: builder.states, start, firm })
    }

    /// The state of the whole value.
    pub(crate) fn start(&self) -> u32 {
        self.start
    }

    fn state(&self, state: u32) -> &State {
        // Every state comes from this automaton; the dead one is always there.
        self.states.get(state as usize).unwrap_or(&self.states[0])
    }

    /// The state of a field, and whether a rule spells out its name.
    pub(crate) fn field(&self, state: u32, name: &[u8]) -> (u32, bool) {
        let state = self.state(state);
        state.keys.find(name).map_or((state.other, false), |next| (next, true))
    }

    /// The state of a field whose name no rule spells out.
    pub(crate) fn other(&self, state: u32) -> u32 {
        self.state(state).other
    }

    /// The state of an array's elements.
    pub(crate) fn element(&self, state: u32) -> u32 {
        self.state(state).element
    }

    /// The path that decides about this place, below one decided by `inherited`, and whether it
    /// is this place that it matches.
    pub(crate) fn decide(&self, state: u32, inherited: Option<usize>) -> (Option<usize>, bool) {
        let state = self.state(state);
        let Some(own) = state.decision else { return (inherited, false) };
        if state.yields && inherited.is_some_and(|path| self.firm.get(path) == Some(&true)) {
            return (inherited, false);
        }
        (Some(usize::from(own)), true)
    }

    /// The path whose `names` decide about the names of fields here that no rule spells out,
    /// before those decide that decide about their values.
    pub(crate) fn names(&self, state: u32) -> Option<usize> {
        self.state(state).names.map(usize::from)
    }

    /// Whether a path leads through this place by name, so that a null or nothing at all here is
    /// no value that was forgotten.
    pub(crate) fn on_the_way(&self, state: u32) -> bool {
        self.state(state).on_the_way
    }

    /// Whether a literal path leads to something below this place.
    pub(crate) fn spelled_below(&self, state: u32) -> bool {
        self.state(state).spelled_below
    }

    /// Whether no path but `decision` can decide about anything below this place.
    pub(crate) fn is_last(&self, state: u32, decision: Option<usize>) -> bool {
        let firm = decision.is_some_and(|path| self.firm.get(path) == Some(&true));
        let state = self.state(state);
        match if firm { state.below_mask } else { state.below } {
            Below::Nothing => true,
            Below::Only(path) => decision == Some(usize::from(path)),
            Below::Several => false,
        }
    }
}

/// The path that says what becomes of the names under one star: of those that share it, those
/// whose last star it is come first.
pub(crate) fn speaker(paths: &[Ruled<'_>], star: &[Step]) -> Result<Option<usize>, PathError> {
    for last in [true, false] {
        let mut first: Option<(usize, &Ruled<'_>, &Spec)> = None;
        for (index, path) in paths.iter().enumerate() {
            let Some(names) = path.names.filter(|_| path.path.steps.starts_with(star)) else {
                continue;
            };
            if path.path.steps[star.len()..].iter().any(Step::is_star) == last {
                continue;
            }
            match first {
                None => first = Some((index, path, names)),
                Some((_, _, other)) if other.same_mapping(names) => {}
                Some((_, other, _)) => {
                    return Err(PathError::Names(Tie(other.at.clone(), path.at.clone())));
                }
            }
        }
        if let Some((index, ..)) = first {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

struct Builder<'a> {
    paths: &'a [Ruled<'a>],
    states: Vec<State>,
    known: HashMap<Positions, u32>,
    open: Vec<(u32, Positions)>,
}

impl<'a> Builder<'a> {
    fn ruled(&self, path: u16) -> &'a Ruled<'a> {
        &self.paths[usize::from(path)]
    }

    fn step(&self, (path, at): (u16, u16)) -> Option<&'a Step> {
        self.ruled(path).path.steps.get(usize::from(at))
    }

    /// Whether `**` stands before this position.
    fn is_deep(&self, (path, at): (u16, u16)) -> bool {
        self.ruled(path).path.steps[..usize::from(at)].contains(&Step::Deep)
    }

    /// The number of the state with these positions, made if it is new.
    fn state(&mut self, mut positions: Positions) -> Result<u32, PathError> {
        let mut index = 0;
        while let Some(&(path, at)) = positions.get(index) {
            if self.step((path, at)) == Some(&Step::Deep) {
                positions.push((path, at + 1));
            }
            index += 1;
        }
        positions.sort_unstable();
        positions.dedup();
        if let Some(&known) = self.known.get(&positions) {
            return Ok(known);
        }
        if self.states.len() >= MAX_STATES {
            return Err(PathError::TooMany);
        }
        let number = self.states.len() as u32;
        let open: Positions =
            positions.iter().copied().filter(|&position| self.step(position).is_some()).collect();
        let on_the_way = open.iter().any(|&position| position.1 > 0 && !self.is_deep(position));
        let is_literal = |path: u16| self.ruled(path).path.is_literal();
        let counts = |path: u16| self.ruled(path).is_firm() || is_literal(path);
        let decision = self.decide(&positions)?;
        let state = State {
            decision,
            yields: decision.is_some_and(|path| self.ruled(path).keeps && !is_literal(path)),
            names: self.names(&open)?,
            below: below(open.iter().map(|open| open.0)),
            below_mask: below(open.iter().map(|open| open.0).filter(|path| counts(*path))),
            on_the_way,
            spelled_below: open.iter().any(|open| is_literal(open.0)),
            ..State::default()
        };
        self.states.push(state);
        self.known.insert(positions.clone(), number);
        self.open.push((number, positions));
        Ok(number)
    }

    /// The best of the paths that match here.
    fn decide(&self, positions: &Positions) -> Result<Option<u16>, PathError> {
        let strength = |path: u16| -> (u8, Rank) {
            let ruled = self.ruled(path);
            let class = match ruled.path {
                path if path.is_literal() => 3,
                path if path.is_default() => 0,
                _ if ruled.keeps => 1,
                _ => 2,
            };
            (class, ruled.path.rank())
        };
        let matched = positions.iter().filter(|&&position| self.step(position).is_none());
        let Some(best) = matched.clone().map(|&(path, _)| path).max_by_key(|&path| strength(path))
        else {
            return Ok(None);
        };
        let mut equal = matched.filter(|&&(path, _)| strength(path) == strength(best));
        if let (Some(a), Some(b)) = (equal.next(), equal.next()) {
            let at = |path: u16| self.ruled(path).at.clone();
            return Err(PathError::Tie(Tie(at(a.0), at(b.0))));
        }
        Ok(Some(best))
    }

    /// The path whose `names` decide about a name here that no rule spells out: each star that it
    /// stands under has one, and of several stars a mask comes first, then the most specific.
    fn names(&self, open: &Positions) -> Result<Option<u16>, PathError> {
        let mut best: Option<((bool, Rank), u16, &Spec)> = None;
        for &(path, at) in open {
            if !self.step((path, at)).is_some_and(Step::is_star) {
                continue;
            }
            let star = &self.ruled(path).path.steps[..=usize::from(at)];
            let Some(said) = speaker(self.paths, star)? else { continue };
            let Some(names) = self.paths[said].names else { continue };
            let said = said as u16;
            let strength = (!names.definition.keeps(), rank(star));
            match best {
                Some((other, by, spec)) if other == strength && !spec.same_mapping(names) => {
                    let at = |path: u16| self.ruled(path).at.clone();
                    return Err(PathError::Names(Tie(at(by), at(said))));
                }
                Some((other, ..)) if other >= strength => {}
                _ => best = Some((strength, said, names)),
            }
        }
        Ok(best.map(|(_, path, _)| path))
    }

    fn expand(
        &mut self,
        number: u32,
        positions: &Positions,
        schema: &[&str],
    ) -> Result<(), PathError> {
        let mut names: Vec<&str> = positions
            .iter()
            .filter_map(|&position| match self.step(position) {
                Some(Step::Key(name)) => Some(name.as_str()),
                _ => None,
            })
            .chain(schema.iter().copied())
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut keys = Vec::with_capacity(names.len());
        for name in names {
            let next = self.after_key(positions, Some(name));
            keys.push((name.as_bytes(), self.state(next)?));
        }
        let other = self.after_key(positions, None);
        let other = self.state(other)?;
        let element = positions
            .iter()
            .filter_map(|&(path, at)| match self.step((path, at)) {
                Some(Step::Element) => Some((path, at + 1)),
                Some(Step::Deep) => Some((path, at)),
                _ => None,
            })
            .collect();
        let element = self.state(element)?;
        if let Some(state) = self.states.get_mut(number as usize) {
            state.keys = Keys::new(keys);
            state.other = other;
            state.element = element;
        }
        Ok(())
    }

    fn after_key(&self, positions: &Positions, name: Option<&str>) -> Positions {
        let is_name = |position: (u16, u16)| match self.step(position) {
            Some(Step::Key(key)) => name == Some(key.as_str()),
            _ => false,
        };
        let leads_on = |(path, at): (u16, u16)| self.step((path, at + 1)).is_some();
        let named = positions
            .iter()
            .any(|&position| is_name(position) && leads_on(position) && !self.is_deep(position));
        positions
            .iter()
            .filter_map(|&(path, at)| match self.step((path, at))? {
                Step::Key(_) => is_name((path, at)).then_some((path, at + 1)),
                Step::AnyKey if named && !leads_on((path, at)) && !self.ruled(path).is_firm() => {
                    None
                }
                Step::AnyKey => Some((path, at + 1)),
                Step::Deep => Some((path, at)),
                Step::Element => None,
            })
            .collect()
    }
}

/// The one path that can still decide about something below, or whether there are several.
fn below(mut open: impl Iterator<Item = u16>) -> Below {
    match open.next() {
        None => Below::Nothing,
        Some(path) if open.all(|other| other == path) => Below::Only(path),
        Some(_) => Below::Several,
    }
}

#[cfg(test)]
#[path = "automaton_tests.rs"]
mod tests;
