//! Paths into documents, JSON and BSON alike, compiled into one automaton per document kind.
//!
//! Which rule decides about a value: the one that matches its path or the nearest path above it
//! ("a path covers all below it"). Of several that match the same path, the most specific:
//! ending in a name before ending in a wildcard, then more names, then without `..`/`**`, then
//! fewer wildcards. Two equally specific ones are an error, found for every path that can exist
//! when the automaton is built.
//!
//! A `*` at the end of a path stands for every field *not named*: a field that another path
//! leads through is named, and what else it holds needs a rule of its own.

use std::collections::HashMap;

use super::pattern::Tie;
use super::rules::Location;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The field of this name.
    Key(String),
    /// Any field.
    AnyKey,
    /// Any element of an array.
    Element,
    /// Any number of fields and elements, none too.
    Deep,
}

/// A path with wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathPattern {
    /// As the rule writes it.
    pub(crate) text: String,
    /// Its steps; none for the whole value.
    pub(crate) steps: Vec<Step>,
}

impl PathPattern {
    /// Reads `$`, `$.a.b`, `$.a[*].b`, `$.*.b`, `$..b`, `$['a.b']`.
    pub(crate) fn json(text: &str) -> Result<Self, String> {
        let mut rest = text
            .strip_prefix('$')
            .ok_or_else(|| "a JSON path begins with `$`, such as `$.a.b`".to_owned())?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(tail) = rest.strip_prefix("[*]") {
                steps.push(Step::Element);
                rest = tail;
            } else if let Some(tail) = rest.strip_prefix("['") {
                let (name, tail) =
                    tail.split_once("']").ok_or_else(|| "`['` without `']`".to_owned())?;
                steps.push(Step::Key(name.to_owned()));
                rest = tail;
            } else if rest.starts_with('[') {
                return Err("only `[*]` and `['name']` are built".to_owned());
            } else if let Some(tail) = rest.strip_prefix('.') {
                let tail = match tail.strip_prefix('.') {
                    Some(tail) => {
                        steps.push(Step::Deep);
                        tail
                    }
                    None => tail,
                };
                let end = tail.find(['.', '[']).unwrap_or(tail.len());
                steps.push(field(&tail[..end])?);
                rest = &tail[end..];
            } else {
                return Err("after `$` comes `.`, `..` or `[*]`".to_owned());
            }
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// Reads `a.b`, `a[].b`, `a.*.b`, `**.b`, `*`.
    pub(crate) fn mongodb(text: &str) -> Result<Self, String> {
        let mut steps: Vec<Step> = Vec::new();
        for part in text.split('.') {
            let name = part.trim_end_matches("[]");
            if name.contains(['[', ']']) {
                return Err("only `[]` for all elements of an array is built".to_owned());
            }
            if part == "**" {
                steps.push(Step::Deep);
                continue;
            }
            steps.push(field(name)?);
            steps.extend(std::iter::repeat_n(Step::Element, (part.len() - name.len()) / 2));
        }
        if steps.last() == Some(&Step::Deep)
            || steps.windows(2).any(|w| w == [Step::Deep, Step::Deep])
        {
            return Err("after `**` comes the name of a field".to_owned());
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    fn rank(&self) -> (bool, usize, bool, std::cmp::Reverse<usize>) {
        let names = self.steps.iter().filter(|step| matches!(step, Step::Key(_))).count();
        let deep = self.steps.contains(&Step::Deep);
        let wild = self.steps.iter().filter(|step| **step == Step::AnyKey).count();
        let last = matches!(self.steps.last(), Some(Step::Key(_) | Step::Element));
        (last, names, !deep, std::cmp::Reverse(wild))
    }
}

fn field(name: &str) -> Result<Step, String> {
    match name {
        "" => Err("a field has no name".to_owned()),
        "*" => Ok(Step::AnyKey),
        name if name.contains('*') => Err("patterns of field names are not built yet".to_owned()),
        name => Ok(Step::Key(name.to_owned())),
    }
}

/// The state in which no path leads on.
pub(crate) const DEAD: u32 = 0;

/// More states than any sensible set of paths needs.
const MAX_STATES: usize = 1024;

#[derive(Debug, Clone, Default)]
struct State {
    keys: Vec<(Box<[u8]>, u32)>,
    other: u32,
    element: u32,
    decision: Option<u16>,
    below: Below,
    on_the_way: bool,
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
}

/// Why paths cannot be compiled.
#[derive(Debug)]
pub(crate) enum PathError {
    /// Two rules that are equally specific.
    Tie(Tie),
    /// The wildcards multiply.
    TooMany,
}

type Positions = Vec<(u16, u16)>;

impl Automaton {
    /// Compiles paths; a decision is the index of its path.
    pub(crate) fn new(paths: &[(&PathPattern, &Location)]) -> Result<Self, PathError> {
        if paths.len() >= usize::from(u16::MAX) || paths.iter().any(|path| path.0.steps.len() > 500)
        {
            return Err(PathError::TooMany);
        }
        let mut builder =
            Builder { paths, states: vec![State::default()], known: HashMap::new(), open: vec![] };
        builder.known.insert(Vec::new(), DEAD);
        let all = (0..paths.len() as u16).map(|path| (path, 0)).collect();
        let start = builder.state(all)?;
        while let Some((index, positions)) = builder.open.pop() {
            builder.expand(index, &positions)?;
        }
        Ok(Self { states: builder.states, start })
    }

    /// The state of the whole value.
    pub(crate) fn start(&self) -> u32 {
        self.start
    }

    fn state(&self, state: u32) -> &State {
        // Every state comes from this automaton; the dead one is always there.
        self.states.get(state as usize).unwrap_or(&self.states[0])
    }

    /// The state of a field.
    pub(crate) fn field(&self, state: u32, name: &[u8]) -> u32 {
        let state = self.state(state);
        match state.keys.binary_search_by(|(key, _)| key.as_ref().cmp(name)) {
            Ok(index) => state.keys[index].1,
            Err(_) => state.other,
        }
    }

    /// The state of an array's elements.
    pub(crate) fn element(&self, state: u32) -> u32 {
        self.state(state).element
    }

    /// The path that decides about exactly this place.
    pub(crate) fn decision(&self, state: u32) -> Option<usize> {
        self.state(state).decision.map(usize::from)
    }

    /// Whether a path leads through this place by name, so that a null or nothing at all here is
    /// no value that was forgotten.
    pub(crate) fn on_the_way(&self, state: u32) -> bool {
        self.state(state).on_the_way
    }

    /// Whether no path but `decision` can decide about anything below this place.
    pub(crate) fn is_last(&self, state: u32, decision: Option<usize>) -> bool {
        match self.state(state).below {
            Below::Nothing => true,
            Below::Only(path) => decision == Some(usize::from(path)),
            Below::Several => false,
        }
    }
}

struct Builder<'a> {
    paths: &'a [(&'a PathPattern, &'a Location)],
    states: Vec<State>,
    known: HashMap<Positions, u32>,
    open: Vec<(u32, Positions)>,
}

impl Builder<'_> {
    fn step(&self, (path, at): (u16, u16)) -> Option<&Step> {
        self.paths[usize::from(path)].0.steps.get(usize::from(at))
    }

    /// Whether `**` stands before this position.
    fn is_deep(&self, (path, at): (u16, u16)) -> bool {
        self.paths[usize::from(path)].0.steps[..usize::from(at)].contains(&Step::Deep)
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
        let on_the_way = positions.iter().any(|&position| {
            position.1 > 0 && self.step(position).is_some() && !self.is_deep(position)
        });
        let decision = self.decide(&positions)?;
        let below = self.below(&positions);
        self.states.push(State { decision, below, on_the_way, ..State::default() });
        self.known.insert(positions.clone(), number);
        self.open.push((number, positions));
        Ok(number)
    }

    fn decide(&self, positions: &Positions) -> Result<Option<u16>, PathError> {
        let matched = positions.iter().filter(|&&position| self.step(position).is_none());
        let rank = |path: u16| self.paths[usize::from(path)].0.rank();
        let Some(best) = matched.clone().map(|&(path, _)| path).max_by_key(|&path| rank(path))
        else {
            return Ok(None);
        };
        let mut equal = matched.filter(|&&(path, _)| rank(path) == rank(best));
        if let (Some(a), Some(b)) = (equal.next(), equal.next()) {
            let at = |path: u16| self.paths[usize::from(path)].1.clone();
            return Err(PathError::Tie(Tie(at(a.0), at(b.0))));
        }
        Ok(Some(best))
    }

    /// The one path that can still decide about something below, or whether there are several.
    fn below(&self, positions: &Positions) -> Below {
        let mut open = positions.iter().filter(|&&position| self.step(position).is_some());
        match open.next() {
            None => Below::Nothing,
            Some(&(path, _)) if open.all(|&(other, _)| other == path) => Below::Only(path),
            Some(_) => Below::Several,
        }
    }

    fn expand(&mut self, number: u32, positions: &Positions) -> Result<(), PathError> {
        let mut names: Vec<String> = positions
            .iter()
            .filter_map(|&position| match self.step(position) {
                Some(Step::Key(name)) => Some(name.clone()),
                _ => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut keys = Vec::with_capacity(names.len());
        for name in &names {
            let next = self.after_key(positions, Some(name));
            keys.push((name.as_bytes().into(), self.state(next)?));
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
            state.keys = keys;
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
                Step::AnyKey if named && !leads_on((path, at)) => None,
                Step::AnyKey => Some((path, at + 1)),
                Step::Deep => Some((path, at)),
                Step::Element => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn automaton(paths: &[&str]) -> Result<Automaton, PathError> {
        let parse = |text: &&str| {
            if text.starts_with('$') { PathPattern::json(text) } else { PathPattern::mongodb(text) }
        };
        let patterns: Vec<PathPattern> = paths.iter().map(|text| parse(text).unwrap()).collect();
        let places: Vec<Location> =
            (0..paths.len()).map(|line| Location::new("t.toml", line + 1)).collect();
        Automaton::new(&patterns.iter().zip(&places).collect::<Vec<_>>())
    }

    /// The path that decides about a place such as `a.0.b` (digits are elements).
    fn decide<'a>(paths: &[&'a str], place: &str) -> Option<&'a str> {
        let automaton = automaton(paths).unwrap();
        let mut state = automaton.start();
        let mut decision = automaton.decision(state);
        for part in place.split('.') {
            state = match part.parse::<usize>() {
                Ok(_) => automaton.element(state),
                Err(_) => automaton.field(state, part.as_bytes()),
            };
            decision = automaton.decision(state).or(decision);
        }
        decision.map(|index| paths[index])
    }

    #[test]
    fn paths_cover_what_is_below_and_the_deepest_wins() {
        let paths = ["a", "a.b[].c", "**.mail", "*", "m.*.n"];
        for (place, expected) in [
            ("a", Some("a")),
            ("a.x.y", Some("a")),
            ("a.b.0.c", Some("a.b[].c")),
            ("a.b.0.d", Some("a")),
            ("a.mail", Some("**.mail")),
            ("mail", Some("**.mail")),
            ("z.0.mail", Some("**.mail")),
            ("z.y", Some("*")),
            ("m.k.n", Some("m.*.n")),
            ("m.k.o", None),
            ("m", None),
        ] {
            assert_eq!(decide(&paths, place), expected, "{place}");
        }
    }

    #[test]
    fn a_named_field_is_not_covered_by_the_star_beside_it() {
        assert_eq!(decide(&["a.b", "*"], "a.c"), None);
        assert_eq!(decide(&["a.b", "a.*", "*"], "a.c"), Some("a.*"));
        assert_eq!(decide(&["a.b.c", "a.*"], "a.b.d"), None);
        assert_eq!(decide(&["$.a.b", "$"], "a.c"), Some("$"));
        assert_eq!(decide(&["$..b", "$.*"], "a.c"), Some("$.*"));
        assert_eq!(decide(&["$['x.y']"], "x"), None);
    }

    #[test]
    fn names_beat_wildcards() {
        assert_eq!(decide(&["a.*", "*.b"], "a.b"), Some("*.b"));
        assert_eq!(decide(&["a.*.c", "**.c"], "a.b.c"), Some("a.*.c"));
        assert_eq!(decide(&["a.b", "**.b"], "a.b"), Some("a.b"));
    }

    #[test]
    fn ties_name_both_lines() {
        let Err(PathError::Tie(tie)) = automaton(&["a.*.c", "x", "*.b.c"]) else { panic!() };
        assert_eq!((tie.0.to_string(), tie.1.to_string()), ("t.toml:1".into(), "t.toml:3".into()));
        assert!(automaton(&["a", "a"]).is_err());
        assert!(automaton(&["a.*.c", "b.*.c"]).is_ok());
    }

    #[test]
    fn odd_paths_are_refused() {
        for text in ["a", "$a", "$.", "$..", "$.a[0]", "$['a", "$.a*"] {
            assert!(PathPattern::json(text).is_err(), "{text}");
        }
        for text in ["", "a.", "a..b", "a[0]", "**", "a.**", "**.**.a", "a*", "[]"] {
            assert!(PathPattern::mongodb(text).is_err(), "{text}");
        }
    }

    #[test]
    fn multiplying_wildcards_are_refused_and_not_built() {
        let paths: Vec<String> =
            (0..24).map(|n| format!("**.k{n}.**.l{n}.**.m{n}.**.n{n}.z")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        assert!(matches!(automaton(&paths), Err(PathError::TooMany)));
    }
}
