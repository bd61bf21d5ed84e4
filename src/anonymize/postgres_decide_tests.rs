use proptest::prelude::*;

use super::*;
use crate::anonymize::rules::RuleSet;
use crate::anonymize::testing::{column, foreign_key, table as made};

/// Rule sets of several files, each the body of a file.
fn rules(files: &[String]) -> RuleSet {
    let named = files.iter().enumerate();
    let files: Vec<(String, String)> =
        named.map(|(at, text)| (format!("f{at}.toml"), format!("version = 1\n{text}"))).collect();
    RuleSet::parse(&files).unwrap_or_else(|error| panic!("{error}"))
}

/// Where the rule for each column of the first table stands, or `tie`.
fn decide(rules: &RuleSet, tables: &[Table]) -> Vec<String> {
    let sections: Vec<Section<'_>> = rules.postgres.iter().map(Section::new).collect();
    let index = Tables::new(tables);
    let mut ties = Vec::new();
    let decided = table(&sections, &index, &tables[0], |error| ties.push(error.to_string()));
    let name = |(column, decided): (&Column, &Option<Decided<'_>>)| {
        let tied = format!("column `{}` ", column.name);
        match decided {
            Some(decided) => decided.rule.at.to_string(),
            None if ties.iter().any(|tie| tie.contains(&tied)) => "tie".to_owned(),
            None => "-".to_owned(),
        }
    };
    tables[0].columns.iter().zip(&decided).map(name).collect()
}

#[test]
fn a_keep_by_pattern_never_beats_a_mask() {
    let people = made("people", &[("national_id", "text"), ("id", "integer"), ("note", "text")]);
    for keep in [
        "[postgres.\"*.*\"]\n\"*_id\" = \"keep\"\n\":integer\" = \"keep\"\n\"*\" = \"keep\"",
        "[postgres.\"public.*\"]\nnational_id = \"keep\"\nid = \"keep\"\nnote = \"keep\"",
        "[postgres.\"*.people\"]\n\"national*\" = \"keep\"\n\"i*\" = \"keep\"\n\"not*\" = \"keep\"",
    ] {
        for mask in ["redact", "null", "drop", "hash"] {
            for header in ["public.people", "public.*", "*.*"] {
                let mask = format!("[postgres.\"{header}\"]\n\"*\" = \"{mask}\"\n");
                let mut files = vec![mask, keep.to_owned()];
                // One section, though in two files, has one default, and it gives way.
                if keep.contains(&format!("\"{header}\"")) {
                    continue;
                }
                let found = decide(&rules(&files), std::slice::from_ref(&people));
                assert_eq!(found, ["f0.toml:3"; 3], "{files:?}");
                files.swap(0, 1);
                let found = decide(&rules(&files), std::slice::from_ref(&people));
                assert_eq!(found, ["f1.toml:3"; 3], "{files:?}");
            }
        }
    }
}

#[test]
fn what_is_spelled_out_wins_and_a_default_gives_way_in_its_own_section() {
    let people = made("people", &[("a_id", "text"), ("b_id", "text"), ("c", "text")]);
    let spelled = "[postgres.\"public.people\"]\na_id = \"keep\"\n\"*\" = \"redact\"\n".to_owned();
    let other = "[postgres.\"*.*\"]\n\"*_id\" = \"hash\"\n".to_owned();
    let found = decide(&rules(&[spelled, other.clone()]), std::slice::from_ref(&people));
    assert_eq!(found, ["f0.toml:3", "f1.toml:3", "f0.toml:4"]);
    let own = "[postgres.\"public.people\"]\n\"*\" = \"redact\"\n\"*_id\" = \"keep\"\n".to_owned();
    assert_eq!(
        decide(&rules(std::slice::from_ref(&own)), std::slice::from_ref(&people)),
        ["f0.toml:4", "f0.toml:4", "f0.toml:3"]
    );
    // But not to a keep before the mask of another section.
    assert_eq!(decide(&rules(&[own, other]), std::slice::from_ref(&people))[0], "f1.toml:3");
    // A placeholder is no keep: it stops the job.
    let open = "[postgres.\"*.*\"]\n\"*_id\" = \"?\"\n[postgres.\"public.*\"]\n\"a*\" = \"keep\"\n";
    assert_eq!(decide(&rules(&[open.to_owned()]), &[people])[0], "f0.toml:3");
}

#[test]
fn a_parent_spells_out_the_columns_that_come_from_it_and_no_others() {
    let mut leaf = made("leaf", &[("a", "text"), ("own", "text")]);
    leaf.columns[0].inherited = true;
    leaf.parents = vec![("public".into(), "parent".into())];
    let parent = made("parent", &[("a", "text")]);
    let text = "[postgres.\"public.parent\"]\na = \"keep\"\nown = \"keep\"\n[postgres.\"*.*\"]\n\"*\" = \"redact\"\n";
    for tables in [vec![leaf.clone(), parent], vec![leaf]] {
        assert_eq!(decide(&rules(&[text.to_owned()]), &tables), ["f0.toml:3", "f0.toml:6"]);
    }
}

#[test]
fn names_with_stars_and_colons_are_themselves_first() {
    let odd = made("t*", &[("a*", "text"), (":json", "text"), ("ab", "json")]);
    let text = "[postgres.\"public.t*\"]\n\"a*\" = \"keep\"\n\":json\" = \"keep\"\n[postgres.\"*.*\"]\n\"*\" = \"hash\"\n";
    assert_eq!(decide(&rules(&[text.to_owned()]), &[odd]), ["f0.toml:3", "f0.toml:4", "f0.toml:6"]);
}

/// The contract's sentences, one after the other, over everything that is written.
fn oracle(rules: &RuleSet, tables: &[Table], column: &Column) -> String {
    let table = &tables[0];
    let glob = |pattern: &str, name: &str| {
        let parts: Vec<&str> = pattern.split('*').collect();
        let Some(mut rest) = name.strip_prefix(parts[0]) else { return false };
        if parts.len() == 1 {
            return rest.is_empty();
        }
        for part in &parts[1..parts.len() - 1] {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(parts[parts.len() - 1])
    };
    let fixed = |pattern: &str| pattern.replace('*', "").len();
    let mut found = Vec::new();
    for section in &rules.postgres {
        for rule in &section.columns {
            // Of the table's names the section may mean several: the nearest is what it says.
            let mut names = vec![table.full_name()];
            names.extend(table.parents.iter().map(|(schema, name)| format!("{schema}.{name}")));
            let Some(far) = names.iter().position(|name| glob(&section.header, name)) else {
                continue;
            };
            let by = match rule.name.as_str() {
                "*" => 0,
                key if key.starts_with(':') && key[1..] == column.type_name => 1,
                key if key.contains('*') && glob(key, &column.name) => 2,
                key if key == column.name => 3,
                _ => continue,
            };
            let literal = !section.header.contains('*');
            let of_table = literal
                && (far == 0
                    || (column.inherited
                        && tables[1..].iter().all(|parent| {
                            names[far] != parent.full_name()
                                || parent.columns.iter().any(|own| own.name == column.name)
                        })));
            let weight = (
                by,
                if by == 2 { fixed(&rule.name) } else { 0 },
                literal,
                if literal { 0 } else { fixed(&section.header) },
                100 - far,
            );
            found.push((of_table && by == 3, by, section.header.clone(), rule, weight));
        }
    }
    let all = found.clone();
    if found.iter().any(|one| one.0) {
        found.retain(|one| one.0);
    } else {
        found.retain(|one| one.1 > 0 || !all.iter().any(|two| two.1 > 0 && two.2 == one.2));
        if found.iter().any(|one| !one.3.rule.keeps()) {
            found.retain(|one| !one.3.rule.keeps());
        }
    }
    let Some(best) = found.iter().map(|one| one.4).max() else { return "-".to_owned() };
    found.retain(|one| one.4 == best);
    if found.len() > 1 { "tie".to_owned() } else { found[0].3.at.to_string() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn deciding_agrees_with_the_contract(
        sections in prop::collection::vec((
            0usize..7,
            prop::collection::btree_map(0usize..9, 0usize..5, 1..4),
        ), 1..6),
        inherited in prop::collection::vec(any::<bool>(), 3),
        with_parent in any::<bool>(),
        parent_has in any::<bool>(),
    ) {
        let headers = ["public.t", "public.p", "public.q", "public.*", "*.t", "*.*", "*.p"];
        let keys = ["a", "ab", "b_id", "*_id", "a*", "*b", "*", ":text", ":uuid"];
        let words = ["keep", "redact", "hash", "?", "drop"];
        let mut own = made("t", &[("a", "text"), ("ab", "uuid"), ("b_id", "text")]);
        for (column, inherited) in own.columns.iter_mut().zip(&inherited) {
            column.inherited = *inherited;
        }
        own.parents = vec![("public".into(), "q".into()), ("public".into(), "p".into())];
        let mut tables = vec![own];
        if with_parent {
            let mut parent = made("p", &[("ab", "uuid")]);
            if parent_has { parent.columns.push(column("a", "text")); }
            tables.push(parent);
        }
        let files: Vec<String> = sections.iter().map(|(header, lines)| {
            let lines = lines.iter().map(|(key, word)| format!("{:?} = {:?}\n", keys[*key], words[*word]));
            format!("[postgres.{:?}]\n{}", headers[*header], lines.collect::<String>())
        }).collect();
        let rules = rules(&files);
        let expected: Vec<String> =
            tables[0].columns.iter().map(|column| oracle(&rules, &tables, column)).collect();
        prop_assert_eq!(decide(&rules, &tables), expected, "{:?}", files);
    }
}

/// Whom each column of each table follows.
fn followed(text: &str, tables: &[Table]) -> Vec<Vec<String>> {
    let rules = rules(&[text.to_owned()]);
    let sections: Vec<Section<'_>> = rules.postgres.iter().map(Section::new).collect();
    let index = Tables::new(tables);
    let own = |one| table(&sections, &index, one, |error| panic!("{error}"));
    let mut decisions: Decisions<'_> = tables.iter().map(own).collect();
    follow(&index, &mut decisions);
    let word = |decided: &Option<Decided<'_>>| match decided {
        None => "-".to_owned(),
        Some(decided) => decided.follows.clone().unwrap_or_else(|| "own".to_owned()),
    };
    decisions.iter().map(|table| table.iter().map(word).collect()).collect()
}

#[test]
fn referencing_columns_follow_along_the_keys() {
    let users = made("users", &[("id", "uuid"), ("tenant", "uuid")]);
    let mut orders =
        made("orders", &[("user_id", "uuid"), ("tenant_id", "uuid"), ("self", "uuid")]);
    let mut both = foreign_key("tenant_id", "users", "tenant");
    both.columns.push("user_id".into());
    both.target_columns.push("id".into());
    orders.foreign_keys = vec![both, foreign_key("self", "orders", "self")];
    let mut lines = made("lines", &[("who", "uuid"), ("x", "uuid")]);
    lines.foreign_keys =
        vec![foreign_key("who", "orders", "user_id"), foreign_key("x", "elsewhere", "id")];
    // Two that refer to each other.
    let mut a = made("a", &[("b", "uuid")]);
    a.foreign_keys = vec![foreign_key("b", "b", "a")];
    let mut b = made("b", &[("a", "uuid")]);
    b.foreign_keys = vec![foreign_key("a", "a", "b")];
    // A key to a partitioned table, which is its leaves.
    let mut leaf = made("events_1", &[("id", "uuid")]);
    leaf.columns[0].inherited = true;
    leaf.parents = vec![("public".into(), "events".into())];
    let mut seen = made("seen", &[("event", "uuid")]);
    seen.foreign_keys = vec![foreign_key("event", "events", "id")];
    let tables = [lines, orders, users, a, b, leaf, seen];
    let text = "[postgres.\"public.users\"]\nid = \"keep\"\ntenant = \"uuid\"\n[postgres.\"public.events\"]\nid = \"uuid\"\n";
    assert_eq!(
        followed(text, &tables),
        [
            vec!["public.users.id", "-"],
            vec!["public.users.id", "public.users.tenant", "-"],
            vec!["own", "own"],
            vec!["-"],
            vec!["-"],
            vec!["own"],
            vec!["public.events.id"],
        ]
    );
}

#[test]
fn tied_columns_are_one_place_and_no_others_are() {
    let users = made("users", &[("id", "uuid"), ("mail", "text")]);
    let mut orders = made("orders", &[("user_id", "uuid"), ("mail", "text")]);
    orders.foreign_keys = vec![foreign_key("user_id", "users", "id")];
    let mut lines = made("lines", &[("who", "uuid")]);
    lines.foreign_keys = vec![foreign_key("who", "orders", "user_id")];
    let mut leaf = made("users_1", &[("mail", "text"), ("own", "text")]);
    leaf.columns[0].inherited = true;
    leaf.parents = vec![("public".into(), "users".into())];
    let mut staff = made("staff", &[("boss", "uuid"), ("id", "uuid")]);
    staff.foreign_keys = vec![foreign_key("boss", "staff", "id"), foreign_key("id", "staff", "id")];
    let tables = [lines, orders, users, leaf, staff];
    assert_eq!(
        crate::anonymize::places::of(&tables),
        [
            vec!["postgres|public.users|id"],
            vec!["postgres|public.users|id", "postgres|public.orders|mail"],
            vec!["postgres|public.users|id", "postgres|public.users|mail"],
            vec!["postgres|public.users|mail", "postgres|public.users_1|own"],
            vec!["postgres|public.staff|id", "postgres|public.staff|id"],
        ]
    );
}
