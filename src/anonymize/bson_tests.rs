use mongodb::bson::{
    self, Binary, Bson, DateTime, Decimal128, doc, oid::ObjectId, spec::BinarySubtype,
};
use proptest::prelude::*;

use crate::anonymize::testing::{collection, key, mongo, pass, rules, told};
use crate::error::Kind;

fn every_type() -> bson::Document {
    doc! {
        "_id": ObjectId::from_bytes([7; 12]),
        "double": 1.5, "string": "Ann", "object": { "a": 1, "b": { "c": "x" } },
        "array": ["a", 2, { "k": "v" }, [1]],
        "binary": Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2, 3] },
        "uuid": Binary { subtype: BinarySubtype::Uuid, bytes: vec![9; 16] },
        "undefined": Bson::Undefined, "bool": true,
        "date": DateTime::from_millis(1_795_230_000_123), "null": Bson::Null,
        "regex": bson::Regex { pattern: bson::cstr!("^a").into(), options: bson::cstr!("i").into() },
        "code": Bson::JavaScriptCode("f()".into()), "symbol": Bson::Symbol("s".into()),
        "scoped": bson::JavaScriptCodeWithScope { code: "g()".into(), scope: doc! { "x": 1 } },
        "int": 42, "long": 42i64, "time": bson::Timestamp { time: 1, increment: 2 },
        "decimal": "12.50".parse::<Decimal128>().unwrap(),
        "min": Bson::MinKey, "max": Bson::MaxKey, "empty": "", "none": {}, "nothing": [],
    }
}

#[test]
fn keep_is_byte_identical_for_every_type() {
    let document = every_type();
    let bytes = document.to_vec().unwrap();
    for text in [
        "\"*\" = \"keep\"",
        "\"*\" = \"keep\"\n\"**.zz\" = \"null\"",
        "\"*\" = \"keep\"\n\"a.zz.*\" = \"null\"",
    ] {
        let plan =
            rules(&format!("[mongodb.c]\n{text}\n")).mongodb(&[collection("c")], &key()).unwrap();
        assert_eq!(pass(plan.transform(0).unwrap().as_mut(), &bytes).unwrap(), bytes);
    }
}

#[test]
fn new_values_are_of_the_type_that_was_there() {
    let made = mongo(
        r#"[mongodb.c]
        "*" = "keep"
        _id = "hash"
        double = "number_noise"
        string = "name"
        "object.a" = "number_noise"
        "object.b" = { use = "mask", names = "keep" }
        "array" = { each = { use = "mask", on_error = "null" }, names = "keep" }
        binary = "hash"
        uuid = "uuid"
        date = "date_shift"
        int = "number_noise"
        long = { use = "constant", value = 7 }
        decimal = "number_noise"
        bool = { use = "constant", value = "no" }
        "#,
        &every_type(),
    )
    .unwrap();
    let original = every_type();
    assert_eq!(made.keys().collect::<Vec<_>>(), original.keys().collect::<Vec<_>>());
    assert!(matches!(made.get("_id"), Some(Bson::ObjectId(id)) if id.bytes() != [7; 12]));
    assert!(matches!(made.get("double"), Some(Bson::Double(value)) if *value != 1.5));
    assert!(matches!(made.get("string"), Some(Bson::String(value)) if value != "Ann"));
    assert!(matches!(made.get_document("object").unwrap().get("a"), Some(Bson::Int32(_))));
    assert_eq!(made.get_document("object").unwrap().get_document("b").unwrap(), &doc! { "c": "*" });
    assert_eq!(
        made.get_array("array").unwrap(),
        &vec![
            Bson::from("*"),
            Bson::Null,
            Bson::from(doc! { "k": "*" }),
            Bson::from(vec![Bson::Null]),
        ]
    );
    assert!(
        matches!(made.get("binary"), Some(Bson::Binary(b)) if b.bytes.len() == 16 && b.subtype == BinarySubtype::Generic)
    );
    assert!(
        matches!(made.get("uuid"), Some(Bson::Binary(b)) if b.bytes != [9; 16] && b.subtype == BinarySubtype::Uuid)
    );
    let Some(Bson::DateTime(date)) = made.get("date") else { panic!() };
    assert_eq!(date.timestamp_millis().rem_euclid(86_400_000), 1_795_230_000_123 % 86_400_000);
    assert_ne!(date.timestamp_millis(), 1_795_230_000_123);
    assert!(matches!(made.get("int"), Some(Bson::Int32(value)) if *value != 42));
    assert_eq!(made.get("long"), Some(&Bson::Int64(7)));
    assert!(matches!(made.get("decimal"), Some(Bson::Decimal128(d)) if d.to_string() != "12.50"));
    assert_eq!(made.get("bool"), Some(&Bson::String("no".into())));
    assert_eq!(made.get("scoped"), original.get("scoped"));
}

#[test]
fn null_redact_and_drop_change_types_and_lengths_rightly() {
    let made = mongo(
        "[mongodb.c]\n\"*\" = { use = \"redact\", names = \"keep\" }\n_id = \"keep\"\nundefined = \"drop\"\nregex = \"null\"\ncode = \"drop\"\n\
         symbol = \"drop\"\nscoped = \"drop\"\ntime = \"drop\"\nmin = \"null\"\nmax = \"drop\"\n\"object.b.c\" = \"drop\"\n\"object.*\" = { use = \"null\", names = \"keep\" }\n",
        &every_type(),
    );
    let made = made.unwrap();
    assert_eq!(made.get_document("object").unwrap(), &doc! { "a": Bson::Null, "b": {} });
    assert_eq!(made.get_array("array").unwrap().len(), 0);
    assert_eq!(made.get("string"), Some(&Bson::from("[redacted]")));
    assert_eq!(made.get("date"), Some(&Bson::DateTime(DateTime::from_millis(0))));
    assert_eq!(made.get("regex"), Some(&Bson::Null));
    assert_eq!(made.get("decimal").map(ToString::to_string), Some("0".to_owned()));
    assert_eq!(made.get("empty"), Some(&Bson::from("")));
    assert!(made.get("time").is_none() && made.get("max").is_none());
}

#[test]
fn duplicate_names_and_their_order_survive() {
    let mut raw = bson::RawDocumentBuf::new();
    for value in ["b", "a", "c"] {
        raw.append(bson::cstr!("x"), value);
    }
    let plan = rules("[mongodb.c]\nx = { use = \"constant\", value = \"longer\" }\n");
    let plan = plan.mongodb(&[collection("c")], &key()).unwrap();
    let out = pass(plan.transform(0).unwrap().as_mut(), raw.as_bytes()).unwrap();
    let out = bson::RawDocument::from_bytes(&out).unwrap();
    let names: Vec<String> = out.iter().map(|e| e.unwrap().0.to_string()).collect();
    assert_eq!(names, ["x", "x", "x"]);
}

#[test]
fn uncovered_paths_are_named_without_their_values() {
    let fails = |text: &str, document| {
        let error = mongo(&format!("[mongodb.c]\n{text}\n"), &document).unwrap_err();
        assert_eq!(error.kind(), Kind::Findings, "{error}");
        let told = told(&error);
        assert!(!told.contains("s3cret") && told.contains('c'), "{told}");
        told
    };
    assert!(fails("a = \"keep\"", doc! { "a": 1, "b": "s3cret" }).contains("`<…>`"));
    assert!(
        fails("\"a[].b\" = \"keep\"\n\"*\" = \"keep\"", doc! { "a": [{ "b": 1, "x": "s3cret" }] })
            .contains("`a[].<…>`")
    );
    assert!(fails("\"a.b\" = \"keep\"", doc! { "a": { "c@d": "s3cret" } }).contains("<email>"));
    assert!(fails("\"a.b\" = \"keep\"", doc! { "a": "s3cret" }).contains("`a`"));
    fails("a = \"keep\"", doc! { "b": Bson::Null });
    fails("a = \"keep\"", doc! { "b": {} });
    for nothing in [doc! {}, doc! { "a": Bson::Null }, doc! { "a": {} }, doc! { "a": [] }] {
        assert_eq!(mongo("[mongodb.c]\n\"a.b\" = \"keep\"\n", &nothing).unwrap(), nothing);
    }
}

#[test]
fn deep_documents_are_an_error_and_not_a_crash() {
    let mut document = doc! { "a": 1 };
    for _ in 0..400 {
        document = doc! { "a": document };
    }
    let error =
        mongo("[mongodb.c]\n\"**.b\" = \"null\"\n\"*\" = \"keep\"\n", &document).unwrap_err();
    assert!(error.to_string().contains("too deep"), "{error}");
    assert!(mongo("[mongodb.c]\n\"*\" = \"keep\"\n", &document).is_ok());
}

fn any_bson() -> impl Strategy<Value = Bson> {
    let leaf = prop_oneof![
        Just(Bson::Null),
        any::<bool>().prop_map(Bson::from),
        any::<i32>().prop_map(Bson::from),
        any::<i64>().prop_map(Bson::from),
        any::<i64>().prop_map(|millis| Bson::DateTime(DateTime::from_millis(millis))),
        any::<f64>().prop_map(Bson::from),
        "\\PC{0,8}".prop_map(Bson::from),
        any::<[u8; 12]>().prop_map(|bytes| Bson::ObjectId(ObjectId::from_bytes(bytes))),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Bson::from),
            prop::collection::vec(("[a-d]{1,2}", inner), 0..4)
                .prop_map(|fields| Bson::Document(fields.into_iter().collect())),
        ]
    })
}

fn bones(value: &Bson) -> Bson {
    match value {
        Bson::Array(items) => items.iter().map(bones).collect::<Vec<_>>().into(),
        Bson::Document(fields) => Bson::Document(
            fields.iter().map(|(name, value)| (name.clone(), bones(value))).collect(),
        ),
        _ => Bson::Null,
    }
}

proptest! {
    #[test]
    fn the_structure_is_preserved(value in any_bson()) {
        let document = doc! { "top": value };
        let bytes = document.to_vec().unwrap();
        let run = |text: &str| {
            let plan = rules(&format!("[mongodb.c]\n_id = \"keep\"\n{text}\n")).mongodb(&[collection("c")], &key()).unwrap();
            pass(plan.transform(0).unwrap().as_mut(), &bytes).unwrap()
        };
        prop_assert_eq!(&run("\"*\" = \"keep\""), &bytes);
        prop_assert_eq!(&run("\"*\" = \"keep\"\n\"**.zz\" = \"null\""), &bytes);
        let masked = run("\"*\" = { use = \"text\", on_error = \"null\", names = \"keep\" }");
        let masked = bson::Document::from_reader(masked.as_slice()).unwrap();
        prop_assert_eq!(bones(&masked.into()), bones(&document.clone().into()));
        let nulled = run("\"*\" = { use = \"null\", names = \"keep\" }\n\"**.zz\" = \"keep\"");
        let nulled = bson::Document::from_reader(nulled.as_slice()).unwrap();
        prop_assert_eq!(Bson::from(nulled), bones(&document.into()));
        let dropped = run("\"**.a\" = \"drop\"\n\"*\" = \"keep\"");
        prop_assert!(bson::Document::from_reader(dropped.as_slice()).is_ok());
    }

    #[test]
    fn hostile_bytes_do_not_panic(cut in 0usize..600, flips in prop::collection::vec((0usize..600, any::<u8>()), 0..4)) {
        let mut bytes = every_type().to_vec().unwrap();
        for (at, byte) in flips {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len().saturating_sub(cut % 100));
        for text in ["\"*\" = \"keep\"", "\"*\" = { use = \"mask\", on_error = \"redact\" }", "\"**.k\" = \"drop\"\n\"*\" = \"null\""] {
            let plan = rules(&format!("[mongodb.c]\n_id = \"keep\"\n{text}\n")).mongodb(&[collection("c")], &key()).unwrap();
            let made = pass(plan.transform(0).unwrap().as_mut(), &bytes);
            prop_assert!(made.is_ok() || made.is_err());
            let mut observer = plan.observer(0).unwrap();
            let seen = observer.observe(&bytes);
            prop_assert!(seen.is_ok() || seen.is_err());
        }
    }
}

#[test]
fn names_are_masked_kept_or_stop_the_job() {
    let document = doc! { "_id": 1, "d": { "Ann Lee": { "m": "x" }, "": { "m": 7 } }, "z": 1 };
    let made = |text: &str| mongo(&format!("[mongodb.c]\n_id = \"keep\"\n{text}\n"), &document);
    let kept =
        made("\"d.*.m\" = { use = \"mask\", on_error = \"null\", names = \"keep\" }\nz = \"keep\"");
    assert_eq!(kept.unwrap().get_document("d").unwrap().keys().next().unwrap(), "Ann Lee");
    let hashed =
        made("\"d.*.m\" = { use = \"mask\", on_error = \"null\", names = \"hash\" }\nz = \"keep\"");
    let hashed = hashed.unwrap();
    let inner = hashed.get_document("d").unwrap();
    let names: Vec<&String> = inner.keys().collect();
    assert_eq!((names[0].len(), names[1].as_str()), (32, ""));
    assert_eq!(inner.get_document(names[0]).unwrap(), &doc! { "m": "*" });
    assert_eq!(inner.get_document("").unwrap(), &doc! { "m": Bson::Null });
    for text in [
        "\"d.*.m\" = \"keep\"\nz = \"keep\"",
        "d = { use = \"text\", on_error = \"null\" }\nz = \"keep\"",
        "\"*\" = { use = \"text\", on_error = \"null\" }",
        "\"**.m\" = \"keep\"\nz = \"keep\"",
        "d = { each = \"text\" }\n\"*\" = { use = \"text\", on_error = \"null\" }",
    ] {
        let error = made(text).unwrap_err();
        assert_eq!(error.kind(), Kind::Findings, "{text}");
        assert!(!told(&error).contains("Ann"), "{}", told(&error));
    }
    // The names of the uppermost fields under `*` are names like others, but for `_id`.
    let top = made("\"*\" = \"redact\"").unwrap();
    assert_eq!(top.keys().next().unwrap(), "_id");
    assert!(top.get("z").is_none() && top.get("d").is_none() && top.len() == 3);
}

#[test]
fn names_go_together_with_all_that_happens_to_values() {
    let document = every_type();
    let made = |text: &str| mongo(&format!("[mongodb.c]\n_id = \"keep\"\n{text}\n"), &document);
    for (text, same) in [
        ("\"*\" = { use = \"keep\", names = \"hash\" }", true),
        ("\"*\" = \"redact\"", false),
        ("\"*\" = \"null\"", false),
        ("\"*\" = { use = \"constant\", value = 7 }", false),
        ("\"*\" = { use = \"mask\", on_error = \"redact\", names = \"hash\" }", false),
        ("\"*\" = \"redact\"\n\"object.b.c\" = \"keep\"\n\"object.*\" = \"redact\"", false),
    ] {
        let made = made(text).unwrap();
        assert_eq!(made.len(), document.len(), "{text}");
        for ((name, value), (old_name, old)) in made.iter().zip(&document) {
            assert_eq!(
                name == old_name,
                matches!(old_name.as_str(), "_id" | "object")
                    && (name == "_id" || text.contains("object")),
                "{text}"
            );
            if same && !matches!(old, Bson::Document(_) | Bson::Array(_)) {
                assert_eq!(value, old, "{text}");
            }
        }
    }
}

#[test]
fn names_that_become_equal_are_an_error() {
    let rule =
        "[mongodb.c]\n\"*\" = { use = \"keep\", names = { use = \"email\", unique = true } }\n";
    let error = mongo(rule, &doc! { "Ann@x.org": 1, "ann@x.org": 2 }).unwrap_err();
    assert!(
        told(&error).contains("become equal") && !told(&error).contains("nn@"),
        "{}",
        told(&error)
    );
}

#[test]
fn redact_knows_every_type() {
    let made = mongo(
        "[mongodb.c]\n_id = \"keep\"\n\"*\" = { use = \"redact\", names = \"keep\" }\n",
        &every_type(),
    )
    .unwrap();
    let regex =
        bson::Regex { pattern: bson::cstr!("(?:)").into(), options: bson::cstr!("").into() };
    assert_eq!(made.get("regex"), Some(&Bson::RegularExpression(regex)));
    assert_eq!(made.get("code"), Some(&Bson::JavaScriptCode(String::new())));
    assert_eq!(made.get("symbol"), Some(&Bson::Symbol(String::new())));
    let scoped = bson::JavaScriptCodeWithScope { code: String::new(), scope: doc! {} };
    assert_eq!(made.get("scoped"), Some(&Bson::JavaScriptCodeWithScope(scoped)));
    assert_eq!(made.get("time"), Some(&Bson::Timestamp(bson::Timestamp { time: 0, increment: 0 })));
    assert_eq!((made.get("min"), made.get("max")), (Some(&Bson::Null), Some(&Bson::Null)));
    assert_eq!(made.get("undefined"), Some(&Bson::Undefined));
    let by_error =
        "[mongodb.c]\nregex = { use = \"email\", on_error = \"redact\" }\n\"*\" = \"keep\"\n";
    assert_eq!(mongo(by_error, &every_type()).unwrap().get("regex"), made.get("regex"));
    assert!(mongo("[mongodb.c]\nregex = \"email\"\n\"*\" = \"keep\"\n", &every_type()).is_err());
}

#[test]
fn a_frequent_name_is_told_and_a_rare_one_is_not() {
    let plan = rules("[mongodb.c]\n_id = \"keep\"\nd = \"keep\"\n")
        .mongodb(&[collection("c")], &key())
        .unwrap();
    let fails = |documents: &[bson::Document]| {
        let bytes: Vec<u8> = documents.iter().flat_map(|one| one.to_vec().unwrap()).collect();
        told(&pass(plan.transform(0).unwrap().as_mut(), &bytes).unwrap_err())
    };
    let many = vec![doc! { "_id": 1, "ann": 1 }; 3];
    assert!(fails(&many).contains("`ann`"));
    assert!(!fails(&many[..1]).contains("ann"));
    let mut rare = vec![doc! { "_id": 1, "d": 1 }; 300];
    rare.extend(many.clone());
    assert!(!fails(&rare).contains("ann"));
    assert!(fails(&[many[0].clone(), doc! { "ann": [] }]).contains("`ann`"));
    let deep = vec![doc! { "d": 1, "e": [{ "f": 1, "ann": [2] }] }; 2];
    let told = {
        let plan = rules("[mongodb.c]\nd = \"keep\"\n\"e[].f\" = \"keep\"\n");
        let plan = plan.mongodb(&[collection("c")], &key()).unwrap();
        let bytes: Vec<u8> = deep.iter().flat_map(|one| one.to_vec().unwrap()).collect();
        told(&pass(plan.transform(0).unwrap().as_mut(), &bytes).unwrap_err())
    };
    assert!(told.contains("`e[].ann"), "{told}");
    // What looks like data is not shown, however many have it.
    assert!(!fails(&vec![doc! { "Ann Lee": 1 }; 5]).contains("Ann"));
}
