//! What tells records apart: rows, documents, elements, links across the stores.

use std::collections::BTreeSet;

use mongodb::bson::{Document, doc, oid::ObjectId};

use super::super::testing::{copy, foreign_key, key, mongo, rules, table, told, try_rules};
use crate::store::shape::Table;

const CHOICE: &str = "use = \"choice\", values = [\"f\", \"m\"]";

fn people(columns: &[(&str, &str)]) -> Table {
    let mut table = table("people", columns);
    table.primary_key = vec!["id".to_owned()];
    table
}

/// The last column of every row, by the rules for it.
fn drawn(rule: &str, table: &Table, rows: &str) -> Vec<String> {
    let keep = "[postgres.\"public.*\"]\n\"*\" = \"keep\"\n";
    let column = &table.columns.last().unwrap().name;
    let text = format!("{keep}[postgres.\"{}\"]\n{column} = {rule}\n", table.full_name());
    let made = copy(&text, table, rows).unwrap_or_else(|error| panic!("{}", told(&error)));
    made.lines().map(|line| line.rsplit('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn a_choice_tells_nothing_of_the_original() {
    // Chi-squared over two originals and two outputs, for 40 places with keys of their own: with
    // one degree of freedom the sum of 40 has mean 40 and deviation 9; a substitution gives 40
    // times 400.
    let mut sum = 0.0;
    for place in 0..40 {
        let mut people = people(&[("id", "integer"), ("sex", "text")]);
        people.name = format!("people{place}");
        let originals: Vec<&str> =
            (0..400).map(|id| if id * 7 % 13 < 6 { "m" } else { "f" }).collect();
        let rows: String = (0..400).map(|id| format!("{id}\t{}\n", originals[id])).collect();
        let made = drawn(&format!("{{ {CHOICE} }}"), &people, &rows);
        let mut counts = [[0.0f64; 2]; 2];
        for (original, made) in originals.iter().zip(&made) {
            counts[usize::from(*original == "m")][usize::from(made == "m")] += 1.0;
        }
        for (row, line) in counts.iter().enumerate() {
            for (column, count) in line.iter().enumerate() {
                let expected = counts[row].iter().sum::<f64>()
                    * (counts[0][column] + counts[1][column])
                    / 400.0;
                sum += (count - expected).powi(2) / expected;
            }
        }
    }
    assert!((10.0..90.0).contains(&sum), "{sum}");
}

#[test]
fn a_choice_of_one_and_countries_are_drawn_per_record() {
    let table = people(&[("id", "integer"), ("land", "text")]);
    let rows: String = (0..100).map(|id| format!("{id}\tGermany\n")).collect();
    let made: BTreeSet<String> = drawn("\"country\"", &table, &rows).into_iter().collect();
    assert!(made.len() > 30, "{made:?}");
    assert_eq!(drawn("{ use = \"choice\", values = [\"x\"] }", &table, "1\ta\n2\tb\n"), ["x", "x"]);
}

#[test]
fn rows_are_told_apart_by_all_of_the_key() {
    let mut table = table("t", &[("a", "text"), ("b", "text"), ("c", "boolean")]);
    table.primary_key = vec!["a".to_owned(), "b".to_owned()];
    let rule = "{ use = \"choice\", values = [true, false] }";
    let rows: String = (0..64).map(|row| format!("x\t{row}\tt\n")).collect();
    let made = drawn(rule, &table, &rows);
    assert!(made.contains(&"t".to_owned()) && made.contains(&"f".to_owned()), "{made:?}");
    // `xy`, `z` and `x`, `yz` are different keys.
    let split = |rows: &str| drawn("\"country\"", &with_text(&table), rows);
    assert_ne!(split("xy\tz\ta\n"), split("x\tyz\ta\n"));
}

fn with_text(table: &Table) -> Table {
    let mut table = table.clone();
    table.columns[2] = super::super::testing::column("c", "text");
    table
}

#[test]
fn by_shares_the_draw_of_a_person_and_null_falls_back() {
    let table = people(&[("id", "integer"), ("owner", "integer"), ("land", "text")]);
    let rule = "{ use = \"country\", by = \"owner\" }";
    let rows: String = (0..40).map(|id| format!("{id}\t{}\tGermany\n", id % 4)).collect();
    let made = drawn(rule, &table, &rows);
    let distinct: BTreeSet<&String> = made.iter().collect();
    assert!(distinct.len() > 1 && distinct.len() <= 4, "{made:?}");
    assert!((4..40).all(|row| made[row] == made[row % 4]));
    let rows: String = (0..40).map(|id| format!("{id}\t\\N\tGermany\n")).collect();
    let distinct: BTreeSet<String> = drawn(rule, &table, &rows).into_iter().collect();
    assert!(distinct.len() > 10, "{distinct:?}");
}

#[test]
fn by_takes_the_original_of_a_column_that_is_masked_too() {
    let table = people(&[("id", "integer"), ("owner", "text"), ("land", "text")]);
    let of = |owner: &str| {
        let text = format!(
            "[postgres.\"public.people\"]\nid = \"keep\"\nowner = {owner}\n\
             land = {{ use = \"country\", by = \"owner\" }}\n"
        );
        let made = copy(&text, &table, "1\tann\tx\n2\tbob\tx\n").unwrap();
        made.lines().map(|line| line.rsplit('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of("\"keep\""), of("\"redact\""));
}

#[test]
fn elements_and_fields_of_one_row_have_draws_of_their_own() {
    let table = people(&[("id", "integer"), ("lands", "text[]")]);
    let list = vec!["Germany"; 30].join(",");
    let made = drawn("{ each = \"country\" }", &table, &format!("1\t{{{list}}}\n"));
    let distinct: BTreeSet<&str> = made[0].trim_matches(['{', '}']).split(',').collect();
    assert!(distinct.len() > 10, "{made:?}");
}

#[test]
fn a_link_of_by_reaches_over_tables_and_stores() {
    let shift = "{ use = \"date_shift\", days = 400, by = { field = \"FIELD\", link = \"p\" } }";
    let born = people(&[("id", "integer"), ("born", "date")]);
    let visits = people(&[("id", "integer"), ("person", "bigint"), ("at", "timestamp")]);
    for id in ["1", "42", "77"] {
        let a = drawn(&shift.replace("FIELD", "id"), &born, &format!("{id}\t2000-03-01\n"));
        let b = drawn(
            &shift.replace("FIELD", "person"),
            &visits,
            &format!("9\t{id}\t2000-03-01 10:00:00\n"),
        );
        assert_eq!(format!("{} 10:00:00", a[0]), b[0]);
        assert_ne!(a[0], "2000-03-01");
        let text =
            format!("[mongodb.c]\n\"*\" = \"keep\"\nat = {}\n", shift.replace("FIELD", "person"));
        let day = mongodb::bson::DateTime::parse_rfc3339_str("2000-03-01T10:00:00Z").unwrap();
        for person in [
            mongodb::bson::Bson::Int64(id.parse().unwrap()),
            mongodb::bson::Bson::Int32(id.parse().unwrap()),
            mongodb::bson::Bson::String(id.to_owned()),
        ] {
            let made = mongo(&text, &doc! { "_id": 1, "person": person, "at": day }).unwrap();
            let made = made.get_datetime("at").unwrap().try_to_rfc3339_string().unwrap();
            assert_eq!(made, b[0].replace(' ', "T") + "Z");
        }
    }
}

#[test]
fn documents_are_told_apart_by_their_id_and_elements_by_a_field_of_theirs() {
    let text = "[mongodb.c]\n\"*\" = \"keep\"\n\"visits[].land\" = \
                { use = \"country\", by = \"visits[].person\" }\n\"visits[].person\" = \"keep\"\n";
    let visits = |people: &[i32]| -> Vec<Document> {
        people.iter().map(|p| doc! { "land": "Germany", "person": *p }).collect()
    };
    let lands = |id: ObjectId, people: &[i32]| -> Vec<String> {
        let made = mongo(text, &doc! { "_id": id, "visits": visits(people) }).unwrap();
        let visits = made.get_array("visits").unwrap();
        visits
            .iter()
            .map(|visit| visit.as_document().unwrap().get_str("land").unwrap().to_owned())
            .collect()
    };
    let (one, two) = (ObjectId::new(), ObjectId::new());
    let first = lands(one, &[1, 2, 3, 1, 4, 5]);
    assert_eq!(first[0], first[3]);
    assert!(first.iter().collect::<BTreeSet<_>>().len() > 2, "{first:?}");
    assert_eq!(lands(two, &[1, 2, 3, 1, 4, 5]), first, "the person decides, not the document");

    let text = "[mongodb.c]\n\"*\" = \"keep\"\nland = \"country\"\n";
    let of = |id: i32| mongo(text, &doc! { "_id": id, "land": "Germany" }).unwrap();
    let lands: BTreeSet<String> =
        (0..40).map(|id| of(id).get_str("land").unwrap().to_owned()).collect();
    assert!(lands.len() > 15, "{lands:?}");
    assert_eq!(of(7), of(7));
}

#[test]
fn json_columns_are_told_apart_by_the_row_a_column_or_a_path() {
    let table = people(&[("id", "integer"), ("owner", "integer"), ("j", "jsonb")]);
    let of = |by: &str, rows: &str| {
        let rule =
            format!("{{ json = {{ \"$\" = \"keep\", \"$.l\" = {{ use = \"country\"{by} }} }} }}");
        drawn(&rule, &table, rows)
    };
    let land =
        |json: &str| json.split("\"l\": \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let rows = "1\t5\t{\"l\": \"x\", \"p\": 9}\n2\t5\t{\"l\": \"x\", \"p\": 9}\n";
    let own = of("", rows);
    let column = of(", by = \"owner\"", rows);
    let path = of(", by = \"$.p\"", rows);
    assert_ne!(land(&own[0]), land(&own[1]));
    assert_eq!(land(&column[0]), land(&column[1]));
    assert_eq!(land(&path[0]), land(&path[1]));
    let rule =
        "{ json = { \"$\" = \"keep\", \"$.v[*].l\" = { use = \"country\", by = \"$.v[*].p\" } } }";
    let value = |people: &[&str]| -> String {
        let visits: Vec<String> = people
            .iter()
            .map(|p| format!("{{\"p\": \"{p}\", \"n\": \"a]\\\\\"}}\", \"l\": \"x\"}}"))
            .collect();
        let rows = format!("1\t5\t{{\"v\": [{}]}}\n", visits.join(", "));
        drawn(rule, &table, &rows)[0].clone()
    };
    let made = value(&["a", "b", "a"]);
    let lands: Vec<&str> =
        made.split("\"l\": \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(lands[0], lands[2], "{made}");
    assert_ne!(lands[0], lands[1], "{made}");
}

#[test]
fn what_cannot_tell_records_apart_is_refused() {
    let plain = table("people", &[("id", "integer"), ("sex", "text")]);
    let of = |rule: &str, table: &Table| {
        let text = format!("[postgres.\"public.people\"]\nid = \"keep\"\nsex = {rule}\n");
        told(&copy(&text, table, "1\tm\n").unwrap_err())
    };
    let said = of(&format!("{{ {CHOICE} }}"), &plain);
    assert!(said.contains("no primary key") && said.contains("by = COLUMN"), "{said}");
    let said = of(
        &format!("{{ {CHOICE}, by = \"ids\" }}"),
        &people(&[("id", "integer"), ("sex", "text")]),
    );
    assert!(said.contains("`ids`") && said.contains("did you mean `id`?"), "{said}");
    let mut nullable = plain.clone();
    nullable.columns[0].not_null = false;
    assert!(of(&format!("{{ {CHOICE}, by = \"id\" }}"), &nullable).contains("no primary key"));
    nullable.columns[0].not_null = true;
    let text =
        format!("[postgres.\"public.people\"]\nid = \"keep\"\nsex = {{ {CHOICE}, by = \"id\" }}\n");
    assert!(copy(&text, &nullable, "1\tm\n").is_ok());
}

#[test]
fn rules_that_mean_nothing_are_refused() {
    let of = |rule: &str| {
        told(&try_rules(&format!("[postgres.\"public.t\"]\nc = {rule}\n")).unwrap_err())
    };
    assert!(of(&format!("{{ {CHOICE}, link = \"l\" }}")).contains("draws per record"));
    assert!(of("{ use = \"country\", link = \"l\" }").contains("draws per record"));
    assert!(of("{ use = \"email\", by = \"id\" }").contains("`by` means nothing"));
    assert!(of("{ use = \"constant\", value = 1, by = \"id\" }").contains("`by` means nothing"));
    assert!(of("{ use = \"date_shift\", link = \"l\", by = \"id\" }").contains("say one of them"));
    let said = told(
        &try_rules(
            "[postgres.\"public.t\"]\n\
             a = { use = \"date_shift\", days = 9, by = { field = \"id\", link = \"p\" } }\n\
             n = { use = \"number_noise\", by = { field = \"id\", link = \"p\" } }\n\
             [mongodb.c]\nb = { use = \"date_shift\", days = 8, by = { field = \"id\", link = \"p\" } }\n",
        )
        .unwrap_err(),
    );
    assert!(said.contains("t.toml:3") && said.contains("t.toml:6"), "{said}");
}

#[test]
fn rules_without_by_say_what_they_give_away() {
    let rules = rules(
        "[postgres.\"public.t\"]\na = \"date_shift\"\nb = { use = \"date_shift\", by = \"id\" }\n\
         c = \"number_noise\"\nd = \"email\"\n",
    );
    let mut warned = Vec::new();
    rules.visit(&mut |spec| warned.push(spec.warning().is_some()));
    assert_eq!(warned, [true, false, true, false]);
}

#[test]
fn unlinked_places_share_nothing_and_linked_or_tied_ones_do() {
    let mut users = table("users", &[("a", "text"), ("b", "text"), ("c", "text"), ("d", "text")]);
    users.unique = vec![vec!["a".to_owned()]];
    let mut orders = table("orders", &[("a", "text"), ("b", "text"), ("c", "text"), ("d", "text")]);
    orders.foreign_keys = vec![foreign_key("b", "users", "a")];
    let unlinked = "{ use = \"name\", unique = true }";
    let text = format!(
        "[postgres.\"public.*\"]\na = {unlinked}\nb = {unlinked}\n\
         c = {{ use = \"name\", link = \"n\" }}\nd = \"name\"\n"
    );
    let rules = rules(&text);
    let plan = rules.postgres(&[users, orders], false, &key()).unwrap();
    let made = |table: usize, column: usize| {
        plan.apply_one(table, column, Some("Ann Lee")).unwrap().unwrap()
    };
    assert_ne!(made(0, 0), made(0, 1), "two columns of a table");
    assert_ne!(made(0, 1), made(1, 0), "columns of two tables");
    assert_ne!(made(0, 3), made(1, 3), "columns of one name");
    assert_eq!(made(0, 0), made(1, 1), "tied by a foreign key");
    assert_eq!(made(0, 2), made(1, 2), "linked");
}

#[test]
fn unlinked_paths_of_documents_share_nothing() {
    let text = "[mongodb.c]\n_id = \"keep\"\na = \"name\"\nb = \"name\"\n\
                c = { use = \"name\", link = \"n\" }\nd = { use = \"name\", link = \"n\" }\n";
    let made =
        mongo(text, &doc! { "_id": 1, "a": "Ann", "b": "Ann", "c": "Ann", "d": "Ann" }).unwrap();
    assert_ne!(made.get("a"), made.get("b"));
    assert_eq!(made.get("c"), made.get("d"));
}

/// What `by` makes of the values of one person, in a table of that type.
fn of_one(rule: &str, type_name: &str, values: &[&str]) -> Vec<String> {
    let table = people(&[("id", "integer"), ("owner", "integer"), ("v", type_name)]);
    let rows: String =
        values.iter().enumerate().map(|(id, value)| format!("{id}\t7\t{value}\n")).collect();
    drawn(rule, &table, &rows)
}

#[test]
fn dates_of_one_person_keep_their_order_and_intervals() {
    let rule = "{ use = \"date_shift\", days = 5000, by = \"owner\" }";
    // Across leap days, a change of the clocks, a century, the end of a year.
    let dates = [
        "1899-12-31",
        "1900-03-01",
        "1999-12-31",
        "2000-02-28",
        "2000-02-29",
        "2000-03-01",
        "2026-03-29",
        "2026-03-30",
        "2026-10-25",
        "2100-02-28",
        "2100-03-01",
    ];
    let day = |text: &str| {
        let text = format!("{text}T00:00:00Z");
        mongodb::bson::DateTime::parse_rfc3339_str(text).unwrap().timestamp_millis() / 86_400_000
    };
    let made = of_one(rule, "date", &dates);
    let offset = day(&made[0]) - day(dates[0]);
    assert!(offset != 0 && offset.abs() <= 5000);
    for (old, new) in dates.iter().zip(&made) {
        assert_eq!(day(new) - day(old), offset, "{old} {new}");
    }
    let times: Vec<String> = dates.iter().map(|date| format!("{date} 01:30:00.25+00")).collect();
    let times: Vec<&str> = times.iter().map(String::as_str).collect();
    for (date, time) in made.iter().zip(of_one(rule, "timestamptz", &times)) {
        assert_eq!(format!("{date} 01:30:00.25+00"), time);
    }
    let texts: Vec<String> = dates.iter().map(|date| format!("{date}T23:59:59Z")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (date, text) in made.iter().zip(of_one(rule, "text", &texts)) {
        assert_eq!(format!("{date}T23:59:59Z"), text);
    }
}

#[test]
fn a_date_that_does_not_fit_is_a_mismatch_and_what_means_never_shows_no_offset() {
    let table = people(&[("id", "integer"), ("v", "date")]);
    let mut refused = 0;
    for id in 0..20 {
        let rule = "{ use = \"date_shift\", days = 30000, by = \"id\" }";
        let text = format!("[postgres.\"public.people\"]\nid = \"keep\"\nv = {rule}\n");
        for (date, near) in [("0002-01-01", true), ("9998-12-31", true), ("2000-01-01", false)] {
            match copy(&text, &table, &format!("{id}\t{date}\n")) {
                Ok(made) => assert_ne!(made, format!("{id}\t{date}\n")),
                Err(error) => {
                    assert!(near && told(&error).contains("too far"), "{}", told(&error));
                    refused += 1;
                }
            }
        }
    }
    assert!(refused >= 10, "{refused}");
    let rule = "{ use = \"date_shift\", by = \"owner\" }";
    let never = ["9999-12-31", "0001-01-01", "infinity", "-infinity"];
    assert_eq!(of_one(rule, "date", &never), never);
}

#[test]
fn numbers_of_one_person_keep_sign_order_and_ratios() {
    let rule = "{ use = \"number_noise\", ratio = 0.5, by = \"owner\" }";
    let made = of_one(rule, "bigint", &["-1000000", "-5", "0", "1", "2", "1000", "3000000"]);
    let numbers: Vec<i64> = made.iter().map(|text| text.parse().unwrap()).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    assert!(numbers[0] < 0 && numbers[1] < 0 && numbers[2] == 0 && numbers[3] > 0);
    assert!((numbers[6] as f64 / numbers[0] as f64 + 3.0).abs() < 1e-5, "{numbers:?}");
    assert_ne!(numbers[0], -1_000_000);
    let factor = numbers[6] as f64 / 3e6;
    for (type_name, value) in [("numeric(12,2)", "1000.00"), ("double precision", "1000")] {
        let made: f64 = of_one(rule, type_name, &[value])[0].parse().unwrap();
        assert!((made / 1000.0 - factor).abs() < 1e-4, "{type_name} {made} {factor}");
    }
    assert_eq!(of_one(rule, "numeric", &["NaN"]), ["NaN"]);
}

#[test]
fn a_number_that_would_outgrow_its_type_is_a_mismatch() {
    let table = |type_name| people(&[("id", "integer"), ("v", type_name)]);
    let rule = "{ use = \"number_noise\", ratio = 0.5, by = \"id\" }";
    let text = format!("[postgres.\"public.people\"]\nid = \"keep\"\nv = {rule}\n");
    for (type_name, value) in [
        ("smallint", "32767"),
        ("numeric(4,1)", "999.9"),
        ("real", "3.4e+38"),
        ("bigint", "9223372036854775807"),
    ] {
        let table = table(type_name);
        let made: Vec<_> =
            (0..20).map(|id| copy(&text, &table, &format!("{id}\t{value}\n"))).collect();
        assert!(made.iter().any(Result::is_ok), "{type_name}");
        let mut errors = made.iter().filter_map(|made| made.as_ref().err());
        let told = told(errors.next().unwrap());
        assert!(told.contains("outgrow") && !told.contains(value), "{told}");
    }
}
