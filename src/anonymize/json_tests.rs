use proptest::prelude::*;

use crate::anonymize::testing::{copy, table, told, try_rules};
use crate::error::Kind;

/// A JSON text under paths, in a text column so that any JSON can stand there.
fn json(paths: &str, value: &str) -> Result<String, crate::error::Error> {
    let table = table("t", &[("c", "text")]);
    let text = format!("[postgres.\"public.t\"]\nc = {{ json = {{ {paths} }} }}\n");
    let plan = try_rules(&text)?.postgres(&[table], false, &crate::anonymize::testing::key())?;
    Ok(plan.apply_one(0, 0, Some(value))?.unwrap())
}

#[test]
fn values_are_replaced_and_everything_else_is_copied() {
    let made = |paths, value| json(paths, value).unwrap();
    let one = r#"{"use":1}"#;
    assert_eq!(made(r#""$" = "keep""#, one), one);
    assert_eq!(
        made(
            r#""$.a" = "redact", "$.b[*].c" = "null", "$" = "keep""#,
            "{ \"a\" : \"x\" , \"b\":[ {\"c\":1,\"d\":2},{ } ],\"z\": [1e5, -0.50, true, null] }"
        ),
        "{ \"a\" : \"[redacted]\" , \"b\":[ {\"c\":null,\"d\":2},{ } ],\"z\": [1e5, -0.50, true, null] }"
    );
    assert_eq!(made(r#""$" = "redact""#, r#"{"a":1}"#), "{}");
    assert_eq!(
        made(
            r#""$.*" = { use = "redact", names = "keep" }"#,
            r#"{"a":1,"b":"x","c":true,"d":[1],"e":{"f":1},"g":null,"h":"","i":[],"j":{}}"#
        ),
        r#"{"a":0,"b":"[redacted]","c":false,"d":[],"e":{},"g":null,"h":"","i":[],"j":{}}"#
    );
    assert_eq!(
        made(r#""$..n" = { use = "constant", value = 7 }"#, r#"[{"n":"x"},{"n":[1]}]"#),
        r#"[{"n":7},{"n":7}]"#
    );
    assert_eq!(
        made(
            r#""$.a" = { use = "mask", names = "keep" }, "$.b" = { each = "mask" }"#,
            r#"{"a":{"x":["q","r"]},"b":["s"]}"#
        ),
        r#"{"a":{"x":["*","*"]},"b":["*"]}"#
    );
    assert_eq!(
        made(r#""$.a" = { json = { "$.b" = "mask" } }"#, r#"{"a":"{\"b\": \"x\\\"y\"}"}"#),
        r#"{"a":"{\"b\": \"*\\\"*\"}"}"#
    );
}

#[test]
fn names_and_values_with_escapes_are_read() {
    let made = |paths, value| json(paths, value).unwrap();
    assert_eq!(
        made(r#""$.é" = "null", "$" = "keep""#, r#"{"\u00e9":1,"\\":2}"#),
        r#"{"\u00e9":null,"\\":2}"#
    );
    assert_eq!(
        made(r#""$.a" = { use = "mask", char = "\"" }"#, r#"{"a":"\ud83d\ude00x\n"}"#),
        "{\"a\":\"\u{1f600}\\\"\\n\"}"
    );
}

#[test]
fn dropped_fields_take_one_comma_with_them() {
    let drop =
        |value: &str| json(r#""$.x" = "drop", "$.y" = "drop", "$" = "keep""#, value).unwrap();
    assert_eq!(drop(r#"{"x": 1, "a": 2}"#), r#"{"a": 2}"#);
    assert_eq!(drop(r#"{"a": 2, "x": [1, {"x": 3}]}"#), r#"{"a": 2}"#);
    assert_eq!(drop(r#"{"x": 1, "y": 1, "a": 2, "x": 3, "b": 4}"#), r#"{"a": 2, "b": 4}"#);
    assert_eq!(drop(r#"{"x": 1, "y": 2}"#), "{}");
    assert_eq!(drop(r#"{ "x": 1 }"#), "{  }");
    assert_eq!(drop(r#"{"a": {"x": 1}}"#), r#"{"a": {"x": 1}}"#);
}

#[test]
fn what_no_path_covers_stops_the_job() {
    let fails = |paths: &str, value: &str| json(paths, value).unwrap_err();
    let error = fails(r#""$.a" = "keep""#, r#"{"a":1,"secret":"s3cr3t"}"#);
    assert_eq!(error.kind(), Kind::Findings);
    assert!(
        told(&error).contains("`$.<…>`") && !told(&error).contains("secret"),
        "{}",
        told(&error)
    );
    assert!(!told(&error).contains("s3cr3t"));
    for value in [
        r#"{"b":null}"#,
        r#"{"b":{}}"#,
        r#"{"b":[]}"#,
        r#"{"a":{"c":1}}"#,
        "[1]",
        "1",
        r#"{"a":[1]}"#,
    ] {
        assert_eq!(fails(r#""$.a.b" = "keep""#, value).kind(), Kind::Findings, "{value}");
    }
    // A place that a path leads through may be null or empty: there is nothing in it.
    for value in ["{}", "null", r#"{"a":null}"#, r#"{"a":{}}"#, r#"{"a":[]}"#] {
        assert_eq!(json(r#""$.a.b" = "keep""#, value).unwrap(), value);
    }
    let email = fails(r#""$.a" = "keep""#, r#"{"ann@corp.example":1}"#);
    assert!(!told(&email).contains("ann"), "{}", told(&email));
}

#[test]
fn types_that_a_transformer_does_not_take_are_errors_or_as_on_error_says() {
    let error = json(r#""$.a" = "email""#, r#"{"a":42}"#).unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    assert!(
        told(&error).contains("`$.a`") && told(&error).contains("t.toml:3"),
        "{}",
        told(&error)
    );
    assert!(!told(&error).contains("42"));
    let made =
        json(r#""$.a" = { use = "email", on_error = "null" }"#, r#"{"a":[42,true,"",null]}"#);
    assert_eq!(made.unwrap(), r#"{"a":[null,null,"",null]}"#);
    let made = json(r#""$.a" = { use = "email", on_error = "redact" }"#, r#"{"a":[42,true]}"#);
    assert_eq!(made.unwrap(), r#"{"a":[0,false]}"#);
    let made = json(r#""$.a" = { use = "phone" }"#, r#"{"a":12025550147}"#).unwrap();
    assert!(made.starts_with(r#"{"a":1"#) && made.len() == 17, "{made}");
}

#[test]
fn broken_and_deep_json_is_an_error() {
    for value in
        ["{", "[1,", "{\"a\"}", "{\"a\":}", "[1 2]", "1 2", "\"", "{,}", "[,]", "}", "{\"a\":1,}"]
    {
        for paths in [r#""$" = "mask""#, r#""$..x" = "mask", "$" = "null""#] {
            assert!(json(paths, value).is_err(), "{value}");
        }
    }
    for value in ["\"\\x\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\u12\""] {
        assert!(json(r#""$" = "mask""#, value).is_err(), "{value}");
    }
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert_eq!(json(r#""$" = "keep""#, &deep).unwrap(), deep);
    assert!(json(r#""$..x" = "null", "$" = "keep""#, &deep).is_err());
}

#[test]
fn words_that_only_resemble_json_are_errors_under_every_rule() {
    let words = [
        "nancy.smith-1985",
        "n8Fk3",
        "nul",
        "nullx",
        "null1",
        "null.",
        "null\"\"",
        "nullnull",
        "none",
        "NaN",
        "n",
        "truex",
        "tru",
        "tamara",
        "falsehood",
        "fiona-1985",
        "f",
        "t",
        "1985-03-12",
        "555-0147",
        "12025550147x",
        "4f2a",
        "01",
        "-",
        "+1",
        ".5",
        "5.",
        "1.e5",
        "1e",
        "1e+",
        "--1",
        "1-",
        "Infinity",
        "-Infinity",
        "10.0.0.1",
        "1\"\"",
        "1[2]",
    ];
    let rules = [
        r#""$" = "keep""#,
        r#""$" = "mask""#,
        r#""$" = { use = "mask", on_error = "redact" }"#,
        r#""$..a" = "keep""#,
        r#""$..a" = "redact""#,
        r#""$..a" = "drop", "$" = "keep""#,
        r#""$..z" = "redact", "$" = "keep""#,
        r#""$..a" = { json = { "$" = "redact" } }"#,
        r#""$.x.y" = "redact""#,
    ];
    for word in words {
        let nested = [
            word.to_owned(),
            format!(" {word} "),
            format!("{{\"a\":{word}}}"),
            format!("{{\"a\": {word} ,\"b\":1}}"),
            format!("{{\"a\":[{word}]}}"),
            format!("[{{\"a\":[1,{{\"b\":{word}}}]}}]"),
        ];
        for text in nested {
            for paths in rules {
                let made = json(paths, &text);
                let told = told(&made.expect_err(&format!("{paths}: {text}")));
                assert!(!told.contains(word) || word.len() < 5, "{paths}: {text}: {told}");
            }
            // What replaces the whole need not read it.
            for (paths, expected) in [
                (r#""$" = "redact""#, r#""[redacted]""#),
                (r#""$" = "null""#, "null"),
                (r#""$" = { use = "constant", value = 7 }"#, "7"),
            ] {
                assert_eq!(json(paths, &text).unwrap(), expected, "{paths}: {text}");
            }
        }
    }
}

#[test]
fn every_word_of_json_is_read() {
    for word in
        ["null", "true", "false", "0", "-0", "7", "-10.50", "0.5", "1e5", "1E+5", "-1.25e-300"]
    {
        for text in [
            word.to_owned(),
            format!("\t{word}\r\n"),
            format!("{{\"a\":{word}}}"),
            format!("[{word},{word} ]"),
        ] {
            for paths in [r#""$" = "keep""#, r#""$..z" = "redact", "$" = "keep""#] {
                assert_eq!(json(paths, &text).unwrap(), text);
            }
            assert!(json(r#""$" = "redact""#, &text).is_ok(), "{text}");
        }
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "\\PC{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec(("[a-d\\n\"]{1,3}", inner), 0..4)
                .prop_map(|fields| fields.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// The same structure with every scalar turned into null.
fn bones(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Array(items) => items.iter().map(bones).collect(),
        serde_json::Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), bones(value)));
            fields.collect::<serde_json::Map<_, _>>().into()
        }
        _ => serde_json::Value::Null,
    }
}

proptest! {
    #[test]
    fn keep_is_byte_identical_and_masking_keeps_the_structure(value in any_json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let text = text.unwrap();
        for paths in [r#""$" = "keep""#, r#""$..zz" = "null", "$" = "keep""#] {
            prop_assert_eq!(&json(paths, &text).unwrap(), &text);
        }
        let masked = json(r#""$" = { use = "mask", on_error = "redact", names = "keep" }"#, &text).unwrap();
        let masked: serde_json::Value = serde_json::from_str(&masked).unwrap();
        prop_assert_eq!(bones(&masked), bones(&value));
        let nulled = json(r#""$..zz" = "keep", "$" = { use = "null", names = "keep" }"#, &text).unwrap();
        let nulled: serde_json::Value = serde_json::from_str(&nulled).unwrap();
        prop_assert_eq!(nulled, bones(&value));
    }

    #[test]
    fn dropping_gives_valid_json_without_the_field(value in any_json()) {
        let text = serde_json::to_string(&value).unwrap();
        let dropped = json(r#""$..a" = "drop", "$" = "keep""#, &text).unwrap();
        let dropped: serde_json::Value = serde_json::from_str(&dropped).unwrap();
        fn without(value: &serde_json::Value) -> serde_json::Value {
            match value {
                serde_json::Value::Array(items) => items.iter().map(without).collect(),
                serde_json::Value::Object(fields) => fields.iter().filter(|(name, _)| *name != "a")
                    .map(|(name, value)| (name.clone(), without(value)))
                    .collect::<serde_json::Map<_, _>>().into(),
                other => other.clone(),
            }
        }
        prop_assert_eq!(dropped, without(&value));
    }

    #[test]
    fn words_are_what_a_parser_takes(word in "[-+]?[a-z0-9.]{0,4}[eE]?[-+]?[0-9nul]{0,4}") {
        let valid = serde_json::from_str::<serde::de::IgnoredAny>(&word).is_ok();
        prop_assert_eq!(crate::anonymize::json_scan::word(word.as_bytes()) == Some(word.len()), valid);
    }

    #[test]
    fn hostile_text_does_not_panic(bytes in "[\\[\\]{}\",:a1\\\\u \\PC]{0,40}") {
        for paths in [r#""$" = "keep""#, r#""$..a" = "drop", "$" = "mask""#, r#""$.a[*].b" = "null""#] {
            let made = json(paths, &bytes);
            prop_assert!(made.is_ok() || made.is_err());
        }
    }
}

#[test]
fn json_in_copy_text_is_escaped_once() {
    let table = table("t", &[("id", "integer"), ("c", "jsonb")]);
    let rules = "[postgres.\"public.t\"]\nid = \"keep\"\nc = { json = { \"$.a\" = \"mask\", \"$\" = \"keep\" } }\n";
    let rows = "1\t{\"a\": \"q\\\\\"r\", \"b\": \"line\\\\nline\"}\n2\t\\N\n";
    let made = copy(rules, &table, rows).unwrap();
    assert_eq!(made, "1\t{\"a\": \"*\\\\\"*\", \"b\": \"line\\\\nline\"}\n2\t\\N\n");
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    let refused = |paths: &str| {
        let error = json(paths, "{}").unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        told(&error)
    };
    assert!(refused(r#""$.a[*]" = "drop""#).contains("not built"));
    assert!(refused(r#""$" = "drop""#).contains("cannot be dropped"));
    assert!(refused(r#""a" = "keep""#).contains("begins with `$`"));
    assert!(refused(r#""$.*.b[*]" = "null", "$.a.*[*]" = "mask""#).contains("equally specific"));
    // A more specific one settles it.
    let settled = r#""$.*.b[*]" = "keep", "$.a.*[*]" = "mask", "$.a.b[*]" = "null""#;
    assert_eq!(json(settled, r#"{"a":{"b":[1]}}"#).unwrap(), r#"{"a":{"b":[null]}}"#);
}

#[test]
fn names_that_no_path_spells_out_are_masked_kept_or_stop_the_job() {
    let made = |paths, value| json(paths, value).unwrap();
    let value = r#"{"d":{"Ann Lee":{"m":"x","on":true},"":{"m":"y"}}}"#;
    let kept = r#""$.d.*.m" = { use = "mask", names = "keep" }, "$.d.*.on" = "keep""#;
    assert_eq!(made(kept, value), r#"{"d":{"Ann Lee":{"m":"*","on":true},"":{"m":"*"}}}"#);
    let hashed = r#""$.d.*.m" = { use = "mask", names = "hash" }, "$.d.*.on" = "keep""#;
    let out = made(hashed, value);
    assert!(
        !out.contains("Ann") && out.contains(r#"":{"m":"*","on":true},"":{"m":"*"}}}"#),
        "{out}"
    );
    assert_eq!(out, made(hashed, value));
    // The same name under the same star is the same again, escapes or not.
    let two = made(hashed, r#"{"d":{"\u0041nn Lee":{"m":"x","on":true},"":{"m":"y"}}}"#);
    assert_eq!(two, out);
    for (paths, value) in [
        (r#""$.d.*.m" = "mask", "$.d.*.on" = "keep""#, value),
        (r#""$.d.*.m" = "keep", "$.d.*.on" = "keep""#, value),
        (r#""$.d" = { use = "mask", on_error = "redact" }"#, value),
        (
            r#""$..m" = "mask", "$..on" = "keep", "$.d" = { use = "text", on_error = "redact" }"#,
            value,
        ),
        (r#""$" = "mask""#, r#"{"a":"x"}"#),
        (r#""$.*" = "mask""#, r#"{"a":"x"}"#),
        (r#""$.*.b" = "keep""#, r#"{"a":null}"#),
        (r#""$.a" = { each = "mask" }"#, r#"{"a":[{"b":"x"}]}"#),
    ] {
        let error = json(paths, value).unwrap_err();
        assert_eq!(error.kind(), Kind::Findings, "{paths}");
        assert!(!told(&error).contains("Ann"), "{}", told(&error));
        assert!(told(&error).contains("names"), "{paths}: {}", told(&error));
    }
}

#[test]
fn a_rule_of_the_whole_needs_no_names() {
    let made = |paths, value| json(paths, value).unwrap();
    let value = r#"{"a":{"Ann":1,"z":2}}"#;
    assert_eq!(made(r#""$.a" = "redact""#, value), r#"{"a":{}}"#);
    assert_eq!(made(r#""$.a" = "null""#, value), r#"{"a":null}"#);
    assert_eq!(made(r#""$.a" = "keep""#, value), value);
    assert_eq!(made(r#""$.a" = "drop", "$" = "keep""#, value), "{}");
    // What has to be gone through has other names.
    for paths in [r#""$.a" = "redact", "$.a.z" = "keep""#, r#""$.a" = "null", "$.a.z" = "keep""#] {
        let out = made(paths, value);
        assert!(!out.contains("Ann") && out.ends_with(r#","z":2}}"#) && out.len() > 40, "{out}");
    }
    // A keep that says what becomes of names has its names replaced, all the way down.
    let out = made(r#""$" = { use = "keep", names = "hash" }"#, r#"{"Ann":[{"Ann":"kept"}]}"#);
    assert!(!out.contains("Ann") && out.ends_with(r#":"kept"}]}"#), "{out}");
    let name = &out[2..34];
    assert_eq!(out, format!(r#"{{"{name}":[{{"{name}":"kept"}}]}}"#));
    // What is spelled out below a drop stays.
    let drop = r#""$.a" = "drop", "$.a.z" = "keep""#;
    assert_eq!(made(drop, r#"{"a":{"Ann":1,"z":2,"l":[3]}}"#), r#"{"a":{"z":2}}"#);
    assert_eq!(made(drop, r#"{"a":7}"#), "{}");
}

#[test]
fn names_go_together_with_all_that_happens_to_values() {
    let names = r#"names = { use = "constant_", link = "l" }"#;
    assert!(json(&format!(r#""$" = {{ use = "keep", {names} }}"#), "{}").is_err());
    let paths = r#""$.*.gone" = "drop", "$.*.null" = "null", "$.*.whole" = "redact",
        "$.*" = { use = "mask", names = "hash" }"#;
    let paths = paths.replace('\n', " ");
    let value = r#"{ "x" : {"gone":1,"null":2, "gone":3,"whole":[4]} , "y":"z" }"#;
    let out = json(&paths, value).unwrap();
    let name = &out[3..35];
    assert!(name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{out}");
    let rest = out.replace(name, "x");
    let other = &rest[rest.len() - 39..rest.len() - 7];
    assert_eq!(rest.replace(other, "y"), r#"{ "x" : {"null":null,"whole":[]} , "y":"*" }"#);
}

#[test]
fn names_that_become_equal_are_an_error() {
    let paths = r#""$" = { use = "keep", names = { use = "email", unique = true } }"#;
    let error = json(paths, r#"{"Ann@x.org":1,"ann@x.org":2}"#).unwrap_err();
    assert!(told(&error).contains("become equal"), "{}", told(&error));
    assert!(!told(&error).contains("nn@"), "{}", told(&error));
    // Equal before is equal after.
    assert!(json(paths, r#"{"ann@x.org":1,"ann@x.org":2}"#).is_ok());
    assert!(json(paths, r#"{"a":{"ann@x.org":1},"b":{"Ann@x.org":2}}"#.replace("\"a\"", "\"a@x.y\"").replace("\"b\"", "\"b@x.y\"").as_str()).is_ok());
}

#[test]
fn text_that_is_not_json_is_as_on_error_says() {
    let table = table("t", &[("id", "integer"), ("c", "text")]);
    let with = |word: &str, value: &str| {
        let rules = format!(
            "[postgres.\"public.t\"]\nid = \"keep\"\nc = {{ json = {{ \"$\" = \"keep\" }}, on_error = \"{word}\" }}\n"
        );
        copy(&rules, &table, &format!("1\t{value}\n"))
    };
    for value in ["nancy.smith-1985", "{\"a\":1", "[1] x"] {
        assert_eq!(with("redact", value).unwrap(), "1\t\"[redacted]\"\n");
        assert_eq!(with("null", value).unwrap(), "1\t\\N\n");
        let error = with("fail", value).unwrap_err();
        assert!(told(&error).contains("not valid JSON") || told(&error).contains("more after"));
    }
    assert_eq!(with("null", "{\"a\": 1}").unwrap(), "1\t{\"a\": 1}\n");
}

#[test]
fn half_a_character_stops_nothing_that_does_not_need_it() {
    let value = r#"{"a":"x\ud800y","\udc00":1}"#;
    assert_eq!(json(r#""$" = "keep""#, value).unwrap(), value);
    let masked = r#"{"a":"[redacted]","\udc00":1}"#;
    assert_eq!(json(r#""$.a" = "redact", "$" = "keep""#, value).unwrap(), masked);
    let on_error = r#""$.a" = { use = "email", on_error = "redact" }, "$" = "keep""#;
    assert_eq!(json(on_error, value).unwrap(), masked);
    let error = json(r#""$.a" = "email", "$" = "keep""#, value).unwrap_err();
    assert!(
        told(&error).contains("`$.a`") && told(&error).contains("t.toml:3"),
        "{}",
        told(&error)
    );
    assert!(json(r#""$" = { use = "keep", names = "hash" }"#, value).is_err());
}

#[test]
fn a_preview_shows_neither_what_is_kept_nor_names() {
    let rules = crate::anonymize::testing::rules(
        "[mongodb.c]\nx = { json = { \"$.a\" = \"mask\", \"$.b\" = \"keep\", \"$\" = \"keep\" } }\n",
    );
    let key = crate::anonymize::testing::key();
    let plan = rules.mongodb(&[crate::anonymize::testing::collection("c")], &key).unwrap();
    let text = r#"{"a":"q","b":"s3cret","Ann":{"Lee":1},"n":null}"#;
    let document = mongodb::bson::doc! { "x": text }.to_vec().unwrap();
    let out = plan.preview_one(0, &document, &key).unwrap();
    let out = mongodb::bson::Document::from_reader(out.as_slice()).unwrap();
    let expected = r#"{"a":"*","b":"‹kept›","<…>":"‹kept›","<…>":null}"#;
    assert_eq!(out.get_str("x").unwrap(), expected);
}

#[test]
fn a_frequent_key_is_told_and_a_rare_one_is_not() {
    let table = table("t", &[("c", "jsonb")]);
    let rules = "[postgres.\"public.t\"]\nc = { json = { \"$.a\" = \"keep\" } }\n";
    let fails = |rows: &str| told(&copy(rules, &table, rows).unwrap_err());
    let row = "{\"a\": 1, \"ann\": 2}\n";
    assert!(fails(&row.repeat(3)).contains("`$.ann`"));
    assert!(!fails(row).contains("ann"));
    assert!(!fails(&("{\"a\": 1}\n".repeat(300) + &row.repeat(3))).contains("ann"));
    assert!(!fails(&"{\"Ann Lee\": 2}\n".repeat(9)).contains("Ann"));
}
