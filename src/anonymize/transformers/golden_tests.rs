//! The mapping, pinned: if one of these lines has to change, so has `MAPPING_VERSION`.

use crate::anonymize::testing::{copy, key, table, try_rules};
use crate::anonymize::transformers::Definition;
use proptest::prelude::*;

/// What a rule makes of a value in a column of a type; `None` is null.
fn masked(rule: &str, type_name: &str, value: &str) -> Result<Option<String>, String> {
    let text = format!("[postgres.\"public.t\"]\nc = {rule}\n");
    let rules = try_rules(&text).map_err(|error| error.to_string())?;
    let mut table = table("t", &[("c", type_name)]);
    table.primary_key = vec!["c".to_owned()];
    let plan = rules.postgres(&[table], false, &key()).map_err(|error| error.to_string())?;
    plan.apply_one(0, 0, Some(value)).map_err(|error| error.to_string())
}

#[rustfmt::skip]
const GOLDEN: &[(&str, &str, &str, &str)] = &[
    ("\"keep\"", "text", "a b", "a b"),
    ("\"null\"", "text", "a b", "NULL"),
    ("{ use = \"constant\", value = \"x\" }", "text", "a", "x"),
    ("{ use = \"constant\", value = 5 }", "numeric(10,2)", "1.50", "5.00"),
    ("{ use = \"constant\", value = \"007.0\" }", "numeric", "1.50", "7.0"),
    ("{ use = \"constant\", value = true }", "boolean", "f", "t"),
    ("{ use = \"constant\", value = \"2020-01-01\" }", "timestamp", "2026-11-21 03:00:00", "2020-01-01 00:00:00"),
    ("\"redact\"", "text", "a", "[redacted]"),
    ("\"redact\"", "character varying(4)", "a", "[red"),
    ("\"redact\"", "integer", "7", "0"),
    ("\"redact\"", "numeric(10,2)", "7.00", "0.00"),
    ("\"redact\"", "boolean", "t", "f"),
    ("\"redact\"", "timestamptz", "2026-11-21 03:00:00+00", "1970-01-01 00:00:00+00"),
    ("\"redact\"", "jsonb", "{\"a\": 1}", "{}"),
    ("\"redact\"", "jsonb", "[1, 2]", "[]"),
    ("{ use = \"redact\", text = \"a\\\"b\" }", "jsonb", "\"secret\"", "\"a\\\"b\""),
    ("\"redact\"", "json", " -5.5", "0"),
    ("\"redact\"", "jsonb", "true", "false"),
    ("\"redact\"", "jsonb", "null", "null"),
    ("\"redact\"", "inet", "10.0.0.1", "192.0.2.1"),
    ("\"mask\"", "text", "Ann-Lee O. 4711", "***-*** *. ****"),
    ("{ use = \"mask\", keep_last = 4 }", "text", "4111 1111 1111 1234", "**** **** **** 1234"),
    ("{ use = \"mask\", keep_last = 4 }", "text", "12345", "*****"),
    ("{ use = \"mask\", char = \"•\", separators = false }", "text", "a b", "•••"),
    ("\"hash\"", "text", "value", "09d239428e7b25dd3429594d5c52034e"),
    ("{ use = \"hash\", length = 8 }", "text", "value", "09d23942"),
    ("\"hash\"", "bytea", "\\x00ff", "\\x67a72e3f0f924e270bb7f177f9d22b4c"),
    ("\"email\"", "text", "Ann@Corp.example", "darwin.macejkovic@example.org"),
    ("{ use = \"email\", link = \"e\", unique = true }", "text", " ann@corp.EXAMPLE ", "jeffery.rath.3v55nsm3v5d63f6q@example.com"),
    ("{ use = \"email\", unique = true }", "character varying(30)", "ann@corp.example", "d.rwgg5yy3pat2kvv6@example.org"),
    ("\"name\"", "text", "Ann Lee", "Pasquale Daugherty"),
    ("\"first_name\"", "text", "ann  lee", "Pasquale"),
    ("\"last_name\"", "text", "Ann Lee", "Daugherty"),
    ("{ use = \"name\", unique = true }", "text", "Ann Lee", "Pasquale Daugherty v4y7my6kes2sfff5"),
    ("\"username\"", "text", "annlee", "nedrawolff8946"),
    ("{ use = \"username\", unique = true }", "text", "annlee", "nedrawolffu4uyytgalawcgqsq"),
    ("\"phone\"", "text", "+1 (202) 555-0147", "+17165550100"),
    ("\"phone\"", "text", "0012025550147", "+17165550100"),
    ("\"phone\"", "bigint", "12025550147", "17165550100"),
    ("\"street\"", "text", "1 Main St", "1180 Conn Villages"),
    ("\"city\"", "text", "Berlin", "Kuhicview"),
    ("\"city\"", "character(20)", "Berlin              ", "Kuhicview           "),
    ("{ each = \"mask\" }", "character(6)[]", "{\"ab    \",NULL,abcdef,\"      \"}", "{\"**    \",NULL,******,\"      \"}"),
    ("\"postcode\"", "text", "SW1A 1AA", "HE6K 8EF"),
    ("\"postcode\"", "integer", "10115", "10202"),
    ("\"country\"", "text", "Germany", "Faroe Islands"),
    ("{ use = \"country\", format = \"code\" }", "text", "DE", "ES"),
    ("\"company\"", "text", "Acme", "Lubowitz LLC"),
    ("{ use = \"company\", unique = true }", "text", "Acme", "Lubowitz LLC bxlnbaq4rgeibnf3"),
    ("\"date_shift\"", "date", "2026-11-21", "2026-10-23"),
    ("\"date_shift\"", "timestamptz", "2026-11-21 03:00:00.5+00", "2026-10-23 03:00:00.5+00"),
    ("\"date_shift\"", "timestamptz", "2026-11-22 03:00:00.5+05", "2026-10-24 03:00:00.5+05"),
    ("\"date_shift\"", "timestamp", "infinity", "infinity"),
    ("\"date_shift\"", "date", "0044-03-15 BC", "0044-03-15 BC"),
    ("{ use = \"date_shift\", days = 3 }", "text", "2026-11-21T03:00:00Z", "2026-11-18T03:00:00Z"),
    ("{ use = \"date_shift\", by = \"c\" }", "date", "2026-11-21", "2026-11-02"),
    ("{ use = \"date_shift\", by = \"c\" }", "timestamptz", "2026-02-28 03:00:00.5+00", "2026-02-09 03:00:00.5+00"),
    ("{ use = \"date_shift\", by = \"c\" }", "date", "0044-03-15 BC", "0044-02-24 BC"),
    ("{ use = \"date_shift\", by = \"c\" }", "date", "9999-12-31", "9999-12-31"),
    ("{ use = \"number_noise\", by = \"c\" }", "integer", "1000", "981"),
    ("{ use = \"number_noise\", by = \"c\" }", "numeric(6,2)", "-1.00", "-0.98"),
    ("\"number_noise\"", "integer", "1000", "1012"),
    ("\"number_noise\"", "smallint", "32767", "32389"),
    ("\"number_noise\"", "numeric(6,2)", "-1234.50", "-1319.44"),
    ("\"number_noise\"", "double precision", "0.25", "0.2730402298564051"),
    ("\"number_noise\"", "real", "1e+20", "9.399713e+19"),
    ("\"number_noise\"", "integer", "0", "0"),
    ("\"number_noise\"", "numeric", "NaN", "NaN"),
    ("\"uuid\"", "uuid", "7f3a9c00-0000-4000-8000-000000000001", "118bdc22-8d11-4f06-b009-a7aa398ede0c"),
    ("\"uuid\"", "text", "{7F3A9C00-0000-4000-8000-000000000001}", "118bdc22-8d11-4f06-b009-a7aa398ede0c"),
    ("\"ip\"", "inet", "10.1.2.3", "198.19.194.105"),
    ("\"ip\"", "inet", "10.1.2.3/24", "198.19.194.105/24"),
    ("\"ip\"", "cidr", "10.1.2.0/24", "198.19.27.0/24"),
    ("\"ip\"", "text", "fe80::1", "2001:db8:d9a2:3e93:5804:266:4295:7ea6"),
    ("\"url\"", "text", "https://corp.example/ann", "https://example.org/iste-eos"),
    ("{ use = \"url\", unique = true }", "text", "https://corp.example/ann", "https://example.org/4agn7bezxrwhg5uj"),
    ("\"text\"", "text", "Please call me back.", "Assumenda dolorem mo"),
    ("{ use = \"choice\", values = [\"free\", \"team\"] }", "plan", "pro", "free"),
    ("{ use = \"choice\", values = [1, 2, 3] }", "integer", "7", "1"),
    ("{ each = \"email\" }", "text[]", "{ann@corp.example,NULL,\"\",Ann@corp.example}", "{darwin.macejkovic@example.org,NULL,\"\",darwin.macejkovic@example.org}"),
    ("{ each = \"redact\" }", "integer[]", "{{1,2},{3,NULL}}", "{{0,0},{0,NULL}}"),
    ("{ json = { \"$.e\" = \"email\", \"$\" = \"keep\" } }", "jsonb", "{\"e\": \"Ann@corp.example\", \"n\": [1, null]}", "{\"e\": \"lewis.adams@example.com\", \"n\": [1, null]}"),
];

#[test]
fn the_mapping_is_pinned() {
    let mut wrong = String::new();
    for (rule, type_name, value, expected) in GOLDEN {
        let made = masked(rule, type_name, value).unwrap().unwrap_or("NULL".to_owned());
        if made != *expected {
            wrong.push_str(&format!("    ({rule:?}, {type_name:?}, {value:?}, {made:?}),\n"));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    for definition in crate::anonymize::transformers::list() {
        let found = GOLDEN.iter().any(|line| line.0.contains(definition.name));
        assert!(found || definition.name == "drop", "{} has no line", definition.name);
    }
}

/// The transformers that write words, as rules say them.
const WORDS: &[&str] = &[
    "use = \"city\"",
    "use = \"street\"",
    "use = \"company\"",
    "use = \"username\"",
    "use = \"url\"",
    "use = \"name\"",
    "use = \"first_name\"",
    "use = \"last_name\"",
    "use = \"email\"",
    "use = \"country\"",
    "use = \"country\", format = \"code\"",
];

/// Words of every length, with and without a suffix, and what is said where there is no room: of
/// all of it a digest is pinned.
#[test]
fn words_of_every_length_are_pinned() {
    let originals = ["a", "Ann Lee", " ann  lee", "ANN@corp.example", "Jose\u{301}", "7", "x/y"];
    let mut made = String::new();
    for words in WORDS {
        for unique in ["", ", unique = true", ", link = \"l\""] {
            for length in 0..60 {
                let limit = format!(", max_length = {length}");
                let limit = if length == 0 { "" } else { &limit };
                let rule = format!("{{ {words}{unique}{limit} }}");
                for original in originals {
                    made.push_str(&format!("{:?}\n", masked(&rule, "text", original)));
                }
                // The longest text is in the message.
                made.push_str(&format!("{:?}\n", masked(&rule, "character varying(1)", "a")));
            }
        }
    }
    assert_eq!(
        xxhash_rust::xxh3::xxh3_64(made.as_bytes()),
        6930796343599041355,
        "{} bytes",
        made.len()
    );
}

/// What `rules list` shows.
#[test]
fn the_definitions_are_pinned() {
    let mut told = String::new();
    for definition in crate::anonymize::transformers::list() {
        let Definition { name, aliases, summary, preserves, accepts, .. } = definition;
        let Definition { parameters, example, keyed, draws, unique, .. } = definition;
        told.push_str(&format!("{name} {aliases:?} {summary} {preserves} {accepts} "));
        told.push_str(&format!("{parameters:?} {example} {keyed} {draws:?} {unique:?}\n"));
    }
    assert_eq!(xxhash_rust::xxh3::xxh3_64(told.as_bytes()), 5137634143523489023, "{told}");
}

/// Originals that must not be found in what text transformers write.
const TEXT_RULES: &[&str] = &[
    "\"redact\"",
    "\"mask\"",
    "\"hash\"",
    "\"email\"",
    "\"name\"",
    "\"username\"",
    "\"phone\"",
    "\"street\"",
    "\"city\"",
    "\"country\"",
    "\"company\"",
    "\"url\"",
    "\"text\"",
    "{ use = \"email\", unique = true, max_length = 28 }",
    "{ use = \"name\", unique = true, max_length = 16 }",
    "{ use = \"username\", unique = true, max_length = 17 }",
    "{ use = \"company\", unique = true, max_length = 20 }",
    "{ use = \"url\", unique = true, max_length = 36 }",
];

proptest! {
    #[test]
    fn nothing_of_the_original_stays(value in "[A-Z0-9é\\\\\t\n]{6,40}") {
        let mut table = table("t", &[("c", "text")]);
        table.primary_key = vec!["c".to_owned()];
        let mut field = Vec::new();
        crate::pipeline::copytext::escape(value.as_bytes(), &mut field);
        let field = String::from_utf8(field).unwrap();
        // The random originals are in capitals; words and hashes are not.
        let letters: String = value.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        prop_assume!(letters.len() >= 6);
        for rule in TEXT_RULES {
            let rules = format!("[postgres.\"public.t\"]\nc = {rule}\n");
            let made = copy(&rules, &table, &format!("{field}\n")).unwrap();
            prop_assert!(!made.contains(&field), "{rule}: {made}");
            prop_assert!(!made.contains(&letters), "{rule}: {made}");
            prop_assert_eq!(made.matches('\n').count(), 1);
        }
    }

    #[test]
    fn dates_move_by_at_most_so_many_days_and_never_stay(
        year in 1i64..9000, month in 1i64..=12, day in 1i64..=28, days in 1i64..400
    ) {
        let date = format!("{year:04}-{month:02}-{day:02}");
        let rule = format!("{{ use = \"date_shift\", days = {days} }}");
        let made = masked(&rule, "date", &date).unwrap().unwrap();
        prop_assert_ne!(&made, &date);
        prop_assert_eq!(made.len(), 10);
        let to_days = |text: &str| {
            let date: jiff::civil::Date = text.parse().unwrap();
            date.since(jiff::civil::date(1970, 1, 1)).unwrap().get_days()
        };
        let moved = i64::from(to_days(&made) - to_days(&date)).abs();
        prop_assert!(moved >= 1 && moved <= days);
    }

    #[test]
    fn noise_stays_in_the_type(value in any::<i16>()) {
        let made = masked("\"number_noise\"", "smallint", &value.to_string()).unwrap().unwrap();
        let made: i16 = made.parse().unwrap();
        prop_assert_eq!(made == value, value == 0);
        prop_assert!(made == 0 || made.signum() == value.signum());
    }

    #[test]
    fn decimals_stay_in_their_precision(units in -999_999i64..=999_999) {
        let sign = if units < 0 { "-" } else { "" };
        let value = format!("{sign}{}.{:02}", units.abs() / 100, units.abs() % 100);
        let made = masked("{ use = \"number_noise\", ratio = 1 }", "numeric(6,2)", &value);
        let made = made.unwrap().unwrap();
        prop_assert_eq!(made.split('.').nth(1).map(str::len), Some(2));
        prop_assert!(made.trim_start_matches('-').len() <= 7, "{value} {made}");
    }

    #[test]
    fn unique_rules_are_injective(a in "[a-z]{1,12}", b in "[a-z]{1,12}") {
        for rule in ["{ use = \"email\", unique = true }", "{ use = \"name\", unique = true }",
                     "{ use = \"hash\", unique = true }", "{ use = \"url\", unique = true }",
                     "{ use = \"username\", unique = true, max_length = 16 }"] {
            let made = |value: &str| masked(rule, "text", value).unwrap().unwrap();
            prop_assert_eq!(made(&a) == made(&b), a == b);
        }
    }

    #[test]
    fn addresses_and_numbers_belong_to_nobody(value in "\\PC{1,30}") {
        let value = value.trim();
        prop_assume!(!value.is_empty());
        let email = masked("\"email\"", "text", value).unwrap().unwrap();
        let (local, domain) = email.split_once('@').unwrap();
        prop_assert!(["example.com", "example.net", "example.org"].contains(&domain));
        prop_assert!(local.bytes().all(|b| b.is_ascii_lowercase() || b == b'.'));
        let phone = masked("\"phone\"", "text", value).unwrap().unwrap();
        prop_assert_eq!(phone.len(), 12);
        prop_assert_eq!(&phone[5..10], "55501");
    }

    #[test]
    fn any_text_in_any_typed_place_is_an_error_or_a_value(value in "\\PC{0,20}", index in 0usize..23) {
        let name = crate::anonymize::transformers::list()[index].name;
        for type_name in ["text", "uuid", "date", "timestamptz", "inet", "cidr", "numeric", "real"] {
            prop_assume!(!matches!(name, "choice" | "constant"));
            let made = masked(&format!("\"{name}\""), type_name, &value);
            prop_assert!(made.is_ok() || made.is_err());
        }
    }
}

#[test]
fn what_cannot_fit_is_refused() {
    for (rule, type_name, reason) in [
        ("{ use = \"email\", unique = true }", "character varying(27)", "room for 28"),
        ("{ use = \"email\", link = \"e\" }", "character varying(20)", "writes up to"),
        ("\"uuid\"", "character varying(35)", "room for 36"),
        ("\"phone\"", "integer", "type integer"),
        ("\"email\"", "bigint", "type bigint"),
        ("\"redact\"", "plan", "type plan"),
        ("\"drop\"", "text", "cannot be dropped"),
        ("\"email\"", "text[]", "is an array"),
        ("{ each = \"email\" }", "text", "not an array"),
        ("\"text\"", "jsonb", "type jsonb"),
        ("{ json = { \"$\" = \"keep\" } }", "integer", "cannot hold JSON"),
        ("{ use = \"constant\", value = \"x\" }", "integer", "type integer"),
        ("{ use = \"constant\", value = \"toolong\" }", "character varying(3)", "writes up to 7"),
        ("{ use = \"constant\", value = 40000 }", "smallint", "type smallint"),
        ("{ use = \"constant\", value = 0.125 }", "numeric(10,2)", "type numeric(10,2)"),
    ] {
        let error = masked(rule, type_name, "x").unwrap_err();
        assert!(error.contains(reason), "{rule}: {error}");
    }
}

#[test]
fn on_error_decides_about_values_that_do_not_fit() {
    let made = |on_error: &str| {
        masked(&format!("{{ use = \"uuid\", on_error = \"{on_error}\" }}"), "text", "not one")
    };
    assert!(made("fail").unwrap_err().contains("not a UUID"));
    assert!(!made("fail").unwrap_err().contains("not one"), "the value must not be told");
    assert_eq!(made("null").unwrap(), None);
    assert_eq!(made("redact").unwrap().unwrap(), "[redacted]");
}

#[test]
fn texts_that_end_like_antiquity_are_no_dates() {
    for text in ["12 March 1980, Victoria BC", "Victoria BC", "1980-03-12 Victoria BC"] {
        let told = masked("\"date_shift\"", "text", text).unwrap_err();
        assert!(told.contains("not an ISO date") && !told.contains("Victoria"), "{told}");
        let rule = "{ use = \"date_shift\", on_error = \"redact\" }";
        assert_eq!(masked(rule, "text", text).unwrap().unwrap(), "[redacted]");
    }
    for text in ["0044-03-15 BC", "0001-02-29 12:00:00 BC", "-infinity"] {
        assert_eq!(masked("\"date_shift\"", "text", text).unwrap().unwrap(), text);
    }
}
