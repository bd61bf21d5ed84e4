use proptest::prelude::*;

use super::*;
use crate::anonymize::testing::{key, redis, rules, told, try_rules};
use crate::error::Kind;
use KeyKind::{Hash, List, Set, SortedSet, Stream, String as Text};

const PEOPLE: &str = r#"
[postgres."public.users"]
email = { use = "email", link = "person.email", unique = true }
[redis."session:*"]
action = "drop"
[redis."config:*"]
action = "keep"
[redis."user:{person.email}:*"]
hash = { email = { use = "email", link = "person.email" }, "tmp_*" = "drop", "*" = "keep" }
string = { json = { "$.to" = { use = "email", link = "person.email" }, "$" = "keep" } }
list = { use = "email", link = "person.email" }
set = { use = "email", link = "person.email" }
zset = "keep"
stream = { mail = { use = "email", link = "person.email" }, "*" = "keep" }
[redis."user:{person.email}:secret"]
action = "drop"
"#;

fn values(kind: KeyKind, elements: &[(Option<&str>, &str)]) -> Vec<String> {
    redis(PEOPLE, "user:Ann@Corp.example:x", kind, elements).unwrap().unwrap().1
}

#[test]
fn one_person_is_one_person_in_keys_fields_and_members() {
    let (name, _) = redis(PEOPLE, "user:Ann@Corp.example:x", List, &[]).unwrap().unwrap();
    let (head, tail) = (name.strip_prefix("user:"), name.strip_suffix(":x"));
    let email = head.unwrap().strip_suffix(":x").unwrap();
    assert!(tail.is_some() && email.contains("@example."), "{name}");
    let ann = "ann@corp.example";
    assert_eq!(values(List, &[(None, ann), (None, "")]), [email, ""]);
    assert_eq!(values(Set, &[(None, ann)]), [email]);
    assert_eq!(values(SortedSet, &[(None, ann)]), [ann]);
    assert_eq!(
        values(Hash, &[(Some("email"), ann), (Some("tmp_x"), "1"), (Some("age"), "7")]),
        [email, "7"]
    );
    assert_eq!(values(Stream, &[(Some("mail"), ann), (Some("n"), "1")]), [email, "1"]);
    let json = values(Text, &[(None, r#"{"to": "ann@corp.example", "n": 1}"#)]);
    assert_eq!(json, [format!(r#"{{"to": "{email}", "n": 1}}"#)]);
}

#[test]
fn the_most_specific_key_pattern_wins() {
    assert_eq!(redis(PEOPLE, "session:1", Text, &[]).unwrap(), None);
    assert_eq!(redis(PEOPLE, "user:ann@corp.example:secret", Text, &[]).unwrap(), None);
    let kept = redis(PEOPLE, "config:a", Hash, &[(Some("x"), "y")]).unwrap().unwrap();
    assert_eq!(kept, ("config:a".to_owned(), vec!["y".to_owned()]));
}

#[test]
fn what_is_uncovered_stops_the_job_without_telling_data() {
    let fails = |text: &str, name: &str, kind, elements: &[(Option<&str>, &str)]| {
        let error = redis(text, name, kind, elements).unwrap_err();
        assert_eq!(error.kind(), Kind::Findings, "{error}");
        let told = told(&error);
        assert!(!told.contains("ann") && !told.contains("4711"), "{told}");
        told
    };
    assert!(fails(PEOPLE, "cart:4711", Hash, &[]).contains("`cart:#` of type hash"));
    assert!(fails(PEOPLE, "mail:ann@corp.example", List, &[]).contains("<email>"));
    assert!(fails(PEOPLE, "cart:ann:4711", Hash, &[]).contains("`cart:<…>:#` of type hash"));
    assert!(fails(PEOPLE, "visit:ann:secret", Hash, &[]).contains("`visit:<…>:secret` of type"));
    let typed = "[redis.\"a:*\"]\nhash = { x = \"keep\" }\n";
    assert!(fails(typed, "a:1", List, &[]).contains("says nothing of a list"));
    assert!(fails(typed, "a:1", Hash, &[(Some("ann@x"), "4711")]).contains("field `<email>`"));
    let json = "[redis.\"a:*\"]\nstring = { json = { \"$.x\" = \"keep\" } }\n";
    assert!(fails(json, "a:1", Text, &[(None, r#"{"y":4711}"#)]).contains("`$.<…>`"));
}

#[test]
fn values_that_do_not_fit_are_errors_or_redacted() {
    let text =
        "[redis.\"a:*\"]\nstring = \"uuid\"\nlist = { use = \"uuid\", on_error = \"redact\" }\n";
    let error = redis(text, "a:1", Text, &[(None, "Bobby")]).unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    assert!(
        !told(&error).contains("Bobby") && told(&error).contains("t.toml:3"),
        "{}",
        told(&error)
    );
    assert_eq!(redis(text, "a:1", List, &[(None, "Bobby")]).unwrap().unwrap().1, ["[redacted]"]);
    let plan = rules(text).redis(&key()).unwrap();
    let mut transform = plan.transform();
    assert!(transform.element(None, b"x", &mut Vec::new()).is_err(), "no key yet");
    transform.key(b"a:1", Text, &mut Vec::new()).unwrap();
    assert!(transform.element(None, &[0xff, 0xfe], &mut Vec::new()).is_err());
    assert!(!transform.may_drop_elements());
}

#[test]
fn rules_that_cannot_work_are_refused() {
    for (text, reason) in [
        ("[redis.\"u:{nobody}\"]\naction = \"keep\"\n", "no rule has the link `nobody`"),
        (
            "[redis.\"u:{e}\"]\nstring = { use = \"email\", link = \"e\" }\n",
            "two keys the same name",
        ),
        ("[redis.\"u:*\"]\nset = \"email\"\n", "may make two members of a set equal"),
        ("[redis.\"u:*\"]\nzset = \"redact\"\n", "two members of a zset"),
        ("[redis.\"u:*\"]\nhash = \"keep\"\n", "needs a table of fields"),
        ("[redis.\"u:*\"]\nstring = \"drop\"\n", "action = \"drop\""),
        ("[redis.\"u:*\"]\nstring = \"null\"\n", "Redis has no null"),
        (
            "[redis.\"u:*\"]\nstring = { use = \"uuid\", on_error = \"null\" }\n",
            "Redis has no null",
        ),
        ("[redis.\"u:*\"]\nlist = { each = \"mask\" }\n", "for arrays"),
        ("[redis.\"u:*\"]\naction = \"keep\"\nstring = \"mask\"\n", "either an action"),
        ("[redis.\"u:*\"]\n", "needs an action"),
        ("[redis.\"u:*\"]\naction = \"mask\"\n", "keep or drop"),
        ("[redis.\"u:*\"]\nhsh = { \"*\" = \"keep\" }\n", "did you mean `hash`?"),
        (
            "[redis.\"u:*\"]\naction = \"keep\"\n[redis.\"*:c\"]\naction = \"keep\"\n[redis.\"*c:\"]\naction = \"drop\"\n",
            "equally specific",
        ),
        ("[redis.\"u:*\"]\nhash = { \"a*\" = \"keep\", \"*a\" = \"drop\" }\n", "the same field"),
    ] {
        let error = try_rules(text).and_then(|rules| rules.redis(&key())).err();
        let error = error.unwrap_or_else(|| panic!("accepted: {text}"));
        assert_eq!(error.kind(), Kind::Usage);
        assert!(told(&error).contains(reason), "{text}: {}", told(&error));
    }
}

#[test]
fn samples_tell_which_keys_there_are() {
    let rules = rules(PEOPLE);
    let plan = rules.redis(&key()).unwrap();
    let mut observer = plan.observer();
    for (name, kind) in [
        ("session:1", Text),
        ("session:2", Text),
        ("cart:17", Hash),
        ("cart:18", Hash),
        ("token:kJhGfDsAqWeRtYuIoPzX", Text),
        ("token:janedoe", Text),
    ] {
        observer.observe(name.as_bytes(), kind);
    }
    let seen: Vec<_> =
        observer.finish().entries.into_iter().map(|e| (e.place, e.item, e.verdict)).collect();
    assert_eq!(
        seen,
        [
            ("cart:#".to_owned(), "hash".to_owned(), Verdict::Uncovered),
            ("session:*".to_owned(), "string".to_owned(), Verdict::Masked),
            ("token:<…>".to_owned(), "string".to_owned(), Verdict::Uncovered),
        ]
    );
    assert_eq!(plan.coverage().count(Verdict::Uncovered), 0);
}

proptest! {
    #[test]
    fn any_key_and_value_is_an_error_or_cleared(name in prop::collection::vec(any::<u8>(), 0..30), value in prop::collection::vec(any::<u8>(), 0..30)) {
        let plan = rules(&format!("{PEOPLE}\n[redis.\"*\"]\nstring = \"text\"\n")).redis(&key()).unwrap();
        let mut transform = plan.transform();
        let mut renamed = Vec::new();
        if let Ok(KeyVerdict::Rewrite) = transform.key(&name, Text, &mut renamed) {
            let mut out = Vec::new();
            let verdict = transform.element(None, &value, &mut out);
            prop_assert_eq!(matches!(verdict, Ok(ElementVerdict::Keep)), value.is_empty());
        }
    }
}
