use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::anonymize::testing::rules;

/// Rules given as (path, keeps); a path that begins with `$` is one of JSON.
fn automaton(paths: &[(&str, bool)]) -> Result<Automaton, PathError> {
    let parse = |text: &str| {
        if text.starts_with('$') { PathPattern::json(text) } else { PathPattern::mongodb(text) }
    };
    let patterns: Vec<PathPattern> = paths.iter().map(|(text, _)| parse(text).unwrap()).collect();
    let places: Vec<Location> =
        (0..paths.len()).map(|line| Location::new("t.toml", line + 1)).collect();
    let ruled: Vec<Ruled<'_>> = patterns
        .iter()
        .zip(&places)
        .zip(paths)
        .map(|((path, at), (_, keeps))| Ruled { path, at, keeps: *keeps, names: None })
        .collect();
    Automaton::new(&ruled, &[])
}

/// The path that decides about a place such as `a.0.b` (digits are elements).
fn decide_by<'a>(paths: &[(&'a str, bool)], place: &str) -> Option<&'a str> {
    let automaton = automaton(paths).unwrap();
    let mut state = automaton.start();
    let mut decision = automaton.decide(state, None).0;
    for part in place.split('.') {
        state = match part.parse::<usize>() {
            Ok(_) => automaton.element(state),
            Err(_) => automaton.field(state, part.as_bytes()).0,
        };
        decision = automaton.decide(state, decision).0;
    }
    decision.map(|index| paths[index].0)
}

/// The same where every rule keeps.
fn decide<'a>(paths: &[&'a str], place: &str) -> Option<&'a str> {
    decide_by(&paths.iter().map(|path| (*path, true)).collect::<Vec<_>>(), place)
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
fn a_named_field_is_not_covered_by_the_star_of_a_keep_beside_it() {
    assert_eq!(decide(&["a.b", "*"], "a.c"), None);
    assert_eq!(decide(&["a.b", "a.*", "*"], "a.c"), Some("a.*"));
    assert_eq!(decide(&["a.b.c", "a.*"], "a.b.d"), None);
    assert_eq!(decide(&["$.a.b", "$"], "a.c"), Some("$"));
    assert_eq!(decide(&["$..b", "$.*"], "a.c"), Some("$.*"));
    assert_eq!(decide(&["$['x.y']"], "x"), None);
    // The default, also of a mask, is every field not named; any other star of a mask is firm.
    assert_eq!(decide_by(&[("a.b", true), ("*", false)], "a.c"), None);
    assert_eq!(decide_by(&[("a.b.c", true), ("a.*", false)], "a.b.d"), Some("a.*"));
}

#[test]
fn names_beat_wildcards() {
    assert_eq!(decide(&["a.*", "*.b"], "a.b"), Some("*.b"));
    assert_eq!(decide(&["a.*.c", "**.c"], "a.b.c"), Some("a.*.c"));
    assert_eq!(decide(&["a.b", "**.b"], "a.b"), Some("a.b"));
}

#[test]
fn a_keep_by_pattern_never_beats_a_mask() {
    let (keep, mask) = (true, false);
    for (rules, place, expected) in [
        // A mask of what is above.
        (vec![("profile", mask), ("**.name", keep)], "profile.name", "profile"),
        (vec![("profile", mask), ("**.name", keep)], "profile.x.0.name", "profile"),
        (vec![("$.hr", mask), ("$..id", keep)], "hr.id", "$.hr"),
        (vec![("a.*", mask), ("*.b.c", keep)], "a.b.c", "a.*"),
        (vec![("a.*", mask), ("a.b.*.c", keep)], "a.b.x.c", "a.*"),
        (vec![("**.p", mask), ("a.p.*", keep)], "a.p.x", "**.p"),
        // A mask at the same place that is less specific.
        (vec![("$.*", mask), ("$..id", keep)], "id", "$.*"),
        (vec![("a.*", mask), ("*.id", keep)], "a.id", "a.*"),
        // A mask below a keep, whichever.
        (vec![("a.b", keep), ("**.c", mask)], "a.b.c", "**.c"),
        (vec![("a", keep), ("**.c", mask), ("a.*.c", keep)], "a.x.c", "**.c"),
        // What is spelled out wins at its place and below it, against all from above.
        (vec![("profile", mask), ("profile.city", keep)], "profile.city", "profile.city"),
        (vec![("a.*", mask), ("a.b", keep)], "a.b.x", "a.b"),
        (vec![("**.b", mask), ("a.b", keep)], "a.b", "a.b"),
        (vec![("a", mask), ("a.b", keep), ("a.b.*", mask)], "a.b.c", "a.b.*"),
        // The default of the section gives way to every other.
        (vec![("*", mask), ("**.name", keep)], "x.name", "**.name"),
        (vec![("*", mask), ("**.name", keep)], "name", "**.name"),
        (vec![("$", mask), ("$..id", keep)], "x.0.id", "$..id"),
        (vec![("$", mask), ("$..id", keep)], "x.0.ix", "$"),
    ] {
        assert_eq!(decide_by(&rules, place), Some(expected), "{rules:?} {place}");
    }
}

#[test]
fn ties_name_both_lines() {
    let tie = |paths: &[(&str, bool)]| match automaton(paths) {
        Err(PathError::Tie(tie)) => Some((tie.0.to_string(), tie.1.to_string())),
        _ => None,
    };
    let lines = |a: &str, b: &str| Some((format!("t.toml:{a}"), format!("t.toml:{b}")));
    assert_eq!(tie(&[("a.*.c", true), ("x", true), ("*.b.c", true)]), lines("1", "3"));
    assert_eq!(tie(&[("a.*.c", false), ("*.b.c", false)]), lines("1", "2"));
    assert_eq!(tie(&[("a", true), ("a", false)]), lines("1", "2"));
    // A mask and a keep are never tied, and places apart neither.
    assert_eq!(tie(&[("a.*.c", true), ("*.b.c", false)]), None);
    assert_eq!(tie(&[("a.*.c", true), ("b.*.c", true)]), None);
    // What is spelled out settles it.
    assert_eq!(tie(&[("a.*.c", true), ("*.b.c", true), ("a.b.c", true)]), None);
}

#[test]
fn multiplying_wildcards_are_refused_and_not_built() {
    let paths: Vec<String> =
        (0..24).map(|n| format!("**.k{n}.**.l{n}.**.m{n}.**.n{n}.z")).collect();
    let paths: Vec<(&str, bool)> = paths.iter().map(|path| (path.as_str(), true)).collect();
    assert!(matches!(automaton(&paths), Err(PathError::TooMany)));
}

/// The number of the path that says what becomes of an unspelled name below `place`.
fn naming(text: &str, place: &str) -> Result<Option<usize>, PathError> {
    let rules = rules(&format!("[mongodb.c]\n{text}\n"));
    let paths = &rules.mongodb[0].paths;
    let ruled: Vec<Ruled<'_>> = paths
        .iter()
        .map(|path| Ruled {
            path: &path.path,
            at: &path.at,
            keeps: path.rule.keeps(),
            names: path.names.as_ref(),
        })
        .collect();
    let automaton = Automaton::new(&ruled, &[])?;
    let state = place.split('.').filter(|part| !part.is_empty());
    let state = state.fold(automaton.start(), |state, part| match part {
        "0" => automaton.element(state),
        part => automaton.field(state, part.as_bytes()).0,
    });
    Ok(automaton.names(state))
}

#[test]
fn names_under_a_star_are_decided_once() {
    let keep = "{ use = \"keep\", names = \"keep\" }";
    let hash = "{ use = \"keep\", names = \"hash\" }";
    let of = |text: &str, place: &str| naming(text, place).unwrap();
    let both = format!("\"d.*.a\" = {hash}\n\"d.*.b\" = \"mask\"\n");
    assert_eq!(of(&both, "d"), Some(0));
    assert_eq!(of(&both, ""), None);
    assert_eq!(of("\"d.*.a\" = \"keep\"\n", "d"), None);
    // Those whose last star it is speak first.
    let outer = format!("\"d.*.e.*\" = {keep}\n\"d.*\" = {hash}\n");
    assert_eq!(of(&outer, "d"), Some(1));
    assert_eq!(of(&outer, "d.x.e"), Some(0));
    let shared = format!("\"d.*.e.*\" = {hash}\n\"d.*\" = \"keep\"\n");
    assert_eq!(of(&shared, "d"), Some(0));
    let deep = format!("\"**.id\" = {hash}\n");
    assert_eq!((of(&deep, ""), of(&deep, "a.0.b")), (Some(0), Some(0)));
    // Of two stars over one name a mask comes first, as with values.
    assert_eq!(of(&format!("\"*\" = {keep}\n\"**.id\" = {hash}\n"), ""), Some(1));
    for (text, lines) in [
        (format!("\"d.*.a\" = {hash}\n\"d.*.b\" = {keep}\n"), ["t.toml:3", "t.toml:4"]),
        (
            format!(
                "\"d.*.a\" = {hash}\nx = \"keep\"\n\"d.*.b\" = {{ use = \"keep\", names = {{ use = \"hash\", link = \"l\" }} }}\n"
            ),
            ["t.toml:3", "t.toml:5"],
        ),
    ] {
        let Err(PathError::Names(tie)) = naming(&text, "d") else { panic!("{text}") };
        assert_eq!([tie.0.to_string(), tie.1.to_string()], lines);
    }
}

/// One step of a place: a field or an element.
#[derive(Debug, Clone, PartialEq)]
enum At {
    Field(&'static str),
    Element,
}

/// Whether `steps` match all of `place`, as slowly as can be.
fn matches(steps: &[Step], place: &[At]) -> bool {
    match (steps.first(), place.first()) {
        (None, None) => true,
        (Some(Step::Deep), _) if matches(&steps[1..], place) => true,
        (Some(Step::Deep), Some(_)) => matches(steps, &place[1..]),
        (Some(Step::Key(key)), Some(At::Field(name))) if key == name => {
            matches(&steps[1..], &place[1..])
        }
        (Some(Step::AnyKey), Some(At::Field(_))) | (Some(Step::Element), Some(At::Element)) => {
            matches(&steps[1..], &place[1..])
        }
        _ => false,
    }
}

/// "A field that another path leads through is named": without `**`, by its name, and on.
fn is_named(rules: &[(PathPattern, bool)], place: &[At]) -> bool {
    rules.iter().any(|(path, _)| {
        let steps = &path.steps;
        steps.len() > place.len()
            && !steps[..place.len()].contains(&Step::Deep)
            && matches!(steps[place.len() - 1], Step::Key(_))
            && matches(&steps[..place.len()], place)
    })
}

/// Whether a rule matches exactly here.
fn covers(rules: &[(PathPattern, bool)], rule: usize, place: &[At]) -> bool {
    let (path, keeps) = &rules[rule];
    let star = path.steps.last() == Some(&Step::AnyKey);
    let not_named_only = star && (*keeps || path.is_default());
    matches(&path.steps, place) && !(not_named_only && is_named(rules, place))
}

/// The contract, word by word: which rules decide about a place; several where it is a tie.
fn oracle(rules: &[(PathPattern, bool)], place: &[At]) -> BTreeSet<usize> {
    // Every rule that matches the place or a place above it, with where it does so last.
    let mut found: Vec<(usize, usize)> = Vec::new();
    for rule in 0..rules.len() {
        let depth = (0..=place.len()).rev().find(|depth| covers(rules, rule, &place[..*depth]));
        found.extend(depth.map(|depth| (depth, rule)));
    }
    // (1) What is spelled out wins where it is, and over everything above.
    let literal = |rule: usize| rules[rule].0.is_literal();
    if let Some(deepest) = found.iter().filter(|found| literal(found.1)).map(|found| found.0).max()
    {
        found.retain(|&(depth, rule)| depth > deepest || depth == deepest && literal(rule));
    }
    // (2) The default gives way; then a mask beats a keep.
    if found.iter().any(|found| !rules[found.1].0.is_default()) {
        found.retain(|found| !rules[found.1].0.is_default());
    }
    let spelled_here = found.iter().any(|&(depth, rule)| depth == place.len() && literal(rule));
    if !spelled_here && found.iter().any(|found| !rules[found.1].1) {
        found.retain(|found| !rules[found.1].1);
    }
    // (3) The nearest, and of those the most specific.
    let best = found.iter().map(|&(depth, rule)| (depth, rules[rule].0.rank())).max();
    found.retain(|&(depth, rule)| Some((depth, rules[rule].0.rank())) == best);
    found.into_iter().map(|found| found.1).collect()
}

fn any_rules() -> impl Strategy<Value = Vec<(PathPattern, bool)>> {
    let step = prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "c"]).prop_map(|name| Step::Key(name.to_owned())),
        2 => Just(Step::AnyKey),
        1 => Just(Step::Element),
        1 => Just(Step::Deep),
    ];
    let path = prop::collection::vec(step, 0..4).prop_filter_map("", |mut steps| {
        steps.dedup_by(|a, b| *a == Step::Deep && *b == Step::Deep);
        if steps.last() == Some(&Step::Deep) {
            return None;
        }
        Some(PathPattern { text: String::new(), steps })
    });
    // A set is one of a collection, whose default is `*`, or of JSON, whose default is `$`.
    (prop::collection::vec((path, any::<bool>()), 1..6), any::<bool>()).prop_filter_map(
        "",
        |(mut rules, json)| {
            rules.retain(|(path, _)| json || !path.steps.is_empty());
            for (path, _) in rules.iter_mut().filter(|(path, _)| path.steps == [Step::AnyKey]) {
                path.text = if json { "$.*" } else { "*" }.to_owned();
            }
            (!rules.is_empty()).then_some(rules)
        },
    )
}

fn any_place() -> impl Strategy<Value = Vec<At>> {
    let at = prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "c", "z"]).prop_map(At::Field),
        1 => Just(At::Element),
    ];
    prop::collection::vec(at, 0..5)
}

/// Every place of at most four steps.
fn places() -> Vec<Vec<At>> {
    let steps = [At::Field("a"), At::Field("b"), At::Field("c"), At::Field("z"), At::Element];
    let mut all = vec![Vec::new()];
    let mut last = all.clone();
    for _ in 0..4 {
        last = last
            .iter()
            .flat_map(|place: &Vec<At>| {
                steps
                    .iter()
                    .map(move |step| [place.as_slice(), std::slice::from_ref(step)].concat())
            })
            .collect();
        all.extend(last.iter().cloned());
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn decisions_are_those_of_the_contract(rules in any_rules(), walks in prop::collection::vec(any_place(), 12)) {
        let places: Vec<Location> =
            (0..rules.len()).map(|line| Location::new("t.toml", line + 1)).collect();
        let ruled: Vec<Ruled<'_>> = rules.iter().zip(&places)
            .map(|((path, keeps), at)| Ruled { path, at, keeps: *keeps, names: None })
            .collect();
        let automaton = match Automaton::new(&ruled, &[]) {
            Ok(automaton) => automaton,
            Err(PathError::Tie(tie)) => {
                // A tie is one: both match one place and are equally specific.
                let line = |at: &Location| places.iter().position(|place| place == at).unwrap();
                let (a, b) = (line(&tie.0), line(&tie.1));
                prop_assert_eq!(rules[a].0.rank(), rules[b].0.rank());
                let both = self::places()
                    .iter()
                    .any(|place| covers(&rules, a, place) && covers(&rules, b, place));
                prop_assert!(both);
                return Ok(());
            }
            Err(other) => panic!("{other:?}"),
        };
        for place in walks {
            let mut state = automaton.start();
            let mut decision = automaton.decide(state, None).0;
            for (depth, at) in place.iter().enumerate() {
                let above = (state, decision);
                state = match at {
                    At::Field(name) => automaton.field(state, name.as_bytes()).0,
                    At::Element => automaton.element(state),
                };
                decision = automaton.decide(state, decision).0;
                let expected: Vec<usize> = oracle(&rules, &place[..=depth]).into_iter().collect();
                prop_assert_eq!(decision.into_iter().collect::<Vec<_>>(), expected);
                // What is the last to decide is so for all that is below.
                if automaton.is_last(above.0, above.1) {
                    prop_assert_eq!(decision, above.1);
                }
            }
        }
    }
}

#[test]
fn names_are_found_however_many_and_alike_they_are() {
    let mut names: Vec<String> = (0..40).map(|n| format!("a long name {n}")).collect();
    names.extend(
        ["", "a", "aa", "a long n", "a long name ", "\u{e9}", "12345678", "1234567"]
            .map(String::from),
    );
    for count in [0, 1, 5, 12, 13, names.len()] {
        let keys = names[..count].iter().zip(1..).map(|(name, at)| (name.as_bytes(), at));
        let keys = super::Keys::new(keys.collect());
        for (name, at) in names.iter().zip(1..) {
            let expected = (at as usize <= count).then_some(at);
            assert_eq!(keys.find(name.as_bytes()), expected, "{name} of {count}");
        }
        assert_eq!(keys.find(b"a long name 4x"), None);
    }
}
