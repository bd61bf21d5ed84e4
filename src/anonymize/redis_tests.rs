use proptest::prelude::*;

use super::*;
use crate::anonymize::testing::{key, redis, rules, told, try_rules};
use crate::error::Kind;
use crate::pipeline::transform::{ElementVerdict, KeyVerdict, Part};
use KeyKind::{Hash, List, Set, SortedSet, Stream, String as Text};

const PEOPLE: &str = r#"
[postgres."public.users"]
email = { use = "email", link = "person.email", unique = true }
[redis."session:*"]
action = "drop"
[redis."config:*"]
action = "keep"
[redis."user:{person.email}:*"]
names = "keep"
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
    let json = "[redis.\"a:*\"]\nnames = \"hash\"\nstring = { json = { \"$.x\" = \"keep\" } }\n";
    assert!(fails(json, "a:1", Text, &[(None, r#"{"y":4711}"#)]).contains("`$.<…>`"));
}

#[test]
fn a_dropped_field_is_no_reason_to_keep_the_key_that_tells_it() {
    let text = "[redis.\"s:*\"]\nhash = { sid = \"drop\", x = \"keep\" }\n";
    let error = redis(text, "s:secret", Hash, &[(Some("x"), "1")]).unwrap_err();
    assert_eq!(error.kind(), Kind::Findings, "{error}");
    let text = "[redis.\"s:*\"]\nhash = { sid = \"drop\", x = \"redact\" }\n";
    let (name, _) = redis(text, "s:secret", Hash, &[(Some("x"), "1")]).unwrap().unwrap();
    assert!(name.starts_with("s:") && !name.contains("secret"), "{name}");
}

#[test]
fn a_field_that_no_rule_spells_out_is_not_told() {
    let text = "[redis.phones]\nhash = { x = \"keep\" }\n";
    let error = redis(text, "phones", Hash, &[(Some("smith"), "1")]).unwrap_err();
    assert!(!told(&error).contains("smith") && told(&error).contains("<…>"), "{error}");
}

#[test]
fn values_that_do_not_fit_are_errors_or_redacted() {
    let text = "[redis.\"a:*\"]\nnames = \"keep\"\nstring = \"uuid\"\nlist = { use = \"uuid\", on_error = \"redact\" }\n";
    let error = redis(text, "a:1", Text, &[(None, "Bobby")]).unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    assert!(
        !told(&error).contains("Bobby") && told(&error).contains("t.toml:4"),
        "{}",
        told(&error)
    );
    assert_eq!(redis(text, "a:1", List, &[(None, "Bobby")]).unwrap().unwrap().1, ["[redacted]"]);
    let plan = rules(text).redis(&key()).unwrap();
    let mut transform = plan.transform().unwrap();
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
        ("[redis.\"u:*\"]\nhash = { \"a*\" = \"keep\", \"*a\" = \"keep\" }\n", "the same field"),
        ("[redis.\"u:*\"]\nhash = { \"a*\" = \"drop\", \"*a\" = \"redact\" }\n", "the same field"),
        ("[redis.u]\nzset = { use = \"keep\", score = \"email\" }\n", "scores are numbers"),
        (
            "[redis.u]\nzset = { use = \"keep\", score = { use = \"constant\", value = \"x\" } }\n",
            "scores are numbers",
        ),
        (
            "[redis.u]\nzset = { use = \"keep\", score = { use = \"number_noise\", by = \"id\" } }\n",
            "only hashes and streams have fields",
        ),
        (
            "[redis.u]\nlist = { use = \"choice\", values = [\"a\", \"b\"], by = \"id\" }\n",
            "only hashes and streams have fields",
        ),
        ("[redis.\"u:*\"]\nnames = \"redact\"\nstring = \"mask\"\n", "must keep them apart"),
        ("[redis.\"u:*\"]\nnames = \"email\"\nstring = \"mask\"\n", "must keep them apart"),
        (
            "[redis.u]\nhash = { \"*\" = { use = \"mask\", names = \"choice\" } }\n",
            "must keep them apart",
        ),
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

/// What the rules of Redis leave open, as (place, item).
fn open(text: &str) -> Vec<(String, String)> {
    let coverage = rules(text).redis(&key()).unwrap().coverage();
    coverage.uncovered().map(|entry| (entry.place.clone(), entry.item.clone())).collect()
}

fn is_hash(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[test]
fn the_text_under_a_star_of_a_key_needs_a_decision() {
    let names = |place: &str| vec![(place.to_owned(), "names".to_owned())];
    for body in [
        "string = \"mask\"",
        "string = { json = { \"$\" = \"keep\" } }",
        "hash = { \"*\" = { use = \"keep\", names = \"hash\" } }",
        "string = \"keep\"\nlist = \"redact\"",
        "string = \"keep\"\nlist = \"drop\"",
        "zset = { use = \"keep\", score = \"number_noise\" }",
    ] {
        assert_eq!(open(&format!("[redis.\"s:*\"]\n{body}\n")), names("s:*"), "{body}");
        assert_eq!(open(&format!("[redis.\"s:*\"]\nnames = \"hash\"\n{body}\n")), [], "{body}");
        assert_eq!(open(&format!("[redis.\"s:1\"]\n{body}\n")), [], "{body}");
        let error = redis(&format!("[redis.\"s:*\"]\n{body}\n"), "s:1", Text, &[]).unwrap_err();
        assert_eq!(error.kind(), Kind::Findings);
    }
    for (body, kept) in [
        ("action = \"keep\"", true),
        ("string = \"keep\"\nzset = \"keep\"\nhash = { \"*\" = \"keep\" }", true),
        ("string = \"redact\"\nlist = { use = \"constant\", value = \"x\" }", false),
        ("string = \"redact\"\nhash = { a = \"drop\", \"*\" = \"redact\" }", false),
    ] {
        let text = format!("[redis.\"s:*:x\"]\n{body}\n");
        let (name, _) = redis(&text, "s:4711:x", Text, &[(None, "v")]).unwrap().unwrap();
        let part = name.strip_prefix("s:").and_then(|rest| rest.strip_suffix(":x")).unwrap();
        assert_eq!(part == "4711", kept, "{body}: {name}");
        assert!(kept || is_hash(part), "{body}: {name}");
    }
}

#[test]
fn every_star_is_masked_on_its_own_and_alike_by_its_link() {
    let text = "[redis.\"a:*:b:*\"]\nnames = { use = \"hash\", link = \"cart\" }\nstring = \"keep\"\n\
                [redis.\"c:*\"]\nnames = { use = \"hash\", link = \"cart\" }\nstring = \"mask\"\n\
                [redis.\"d:*\"]\nnames = \"hash\"\nstring = \"mask\"\n";
    let of = |name: &str| redis(text, name, Text, &[]).unwrap().unwrap().0;
    let both = of("a:17:b:17");
    let parts: Vec<&str> = both.split(':').collect();
    assert_eq!((parts[0], parts[2], parts[1]), ("a", "b", parts[3]));
    assert_eq!(of("c:17"), format!("c:{}", parts[1]));
    assert_ne!(of("d:17"), format!("d:{}", parts[1]));
    assert_eq!(of("a::b:17"), format!("a::b:{}", parts[1]), "an empty part stays");
    assert_eq!(of("c:"), "c:");
    // What is no text is masked too.
    let plan = rules(text).redis(&key()).unwrap();
    let (mut transform, mut name) = (plan.transform().unwrap(), Vec::new());
    transform.key(b"c:\xff\x00bin", Text, &mut name).unwrap();
    assert!(is_hash(std::str::from_utf8(&name[2..]).unwrap()));
}

/// The new name of a field, of a hash under `u`.
fn field_name(fields: &str, field: &str) -> Result<String> {
    let text = format!("[redis.u]\nhash = {{ {fields} }}\n");
    let plan = rules(&text).redis(&key())?;
    let mut transform = plan.transform()?;
    transform.key(b"u", Hash, &mut Vec::new())?;
    transform.element(Some(field.as_bytes()), b"v", &mut Vec::new())?;
    let mut out = Vec::new();
    Ok(match transform.name(Part::Field, field.as_bytes(), &mut out)? {
        ElementVerdict::Write => String::from_utf8(out).unwrap(),
        _ => field.to_owned(),
    })
}

#[test]
fn the_names_of_fields_need_a_decision() {
    let named = |fields: &str, field: &str| field_name(fields, field).unwrap();
    for leaf in ["\"mask\"", "{ json = { \"$\" = \"keep\" } }", "{ use = \"email\" }"] {
        for star in ["*", "tmp_*"] {
            let error = field_name(&format!("a = \"keep\", \"{star}\" = {leaf}"), "a").unwrap_err();
            assert_eq!(error.kind(), Kind::Findings, "{leaf} {star}");
            assert!(error.message().contains(&format!("hash {star} (names)")), "{error}");
        }
    }
    let hashed = "mail = \"email\", \"t_*\" = { use = \"mask\", names = \"hash\" }, \"*\" = { use = \"mask\", names = \"keep\" }";
    assert_eq!(named(hashed, "mail"), "mail", "what is spelled out stays");
    assert!(is_hash(&named(hashed, "t_1")) && named(hashed, "x") == "x");
    assert!(is_hash(&named("\"*\" = \"redact\"", "ann@x.example")));
    assert_eq!(named("\"*\" = \"keep\"", "ann"), "ann");
    assert_eq!(named("\"*\" = { use = \"mask\", names = \"hash\" }", ""), "");
}

#[test]
fn a_mask_beats_a_keep_and_the_default_comes_last() {
    let text = "[redis.u]\nhash = { \"*_id\" = \"keep\", \"national*\" = \"redact\", plan = \"keep\", \"*\" = { use = \"hash\", names = \"keep\" } }\n";
    let of = |field: &str| redis(text, "u", Hash, &[(Some(field), "4711")]).unwrap().unwrap().1;
    assert_eq!(of("national_id"), ["[redacted]"], "although *_id is as specific");
    assert_eq!(of("user_id"), ["4711"], "the default gives way to a keep");
    assert_eq!(of("plan"), ["4711"]);
    assert!(is_hash(&of("other")[0]));
}

#[test]
fn a_score_needs_a_decision_where_its_member_is_masked() {
    let zset = |rule: &str| format!("[redis.u]\nzset = {rule}\n");
    let member = "use = \"username\", unique = true";
    let undecided = zset(&format!("{{ {member} }}"));
    assert_eq!(open(&undecided), [("u".to_owned(), "zset (score)".to_owned())]);
    assert_eq!(redis(&undecided, "u", SortedSet, &[]).unwrap_err().kind(), Kind::Findings);
    let score = |rule: &str, score: f64| {
        let plan = rules(&zset(rule)).redis(&key()).unwrap();
        let mut transform = plan.transform().unwrap();
        let verdict = transform.key(b"u", SortedSet, &mut Vec::new()).unwrap();
        if verdict == KeyVerdict::Keep {
            return score;
        }
        transform.element(None, b"ann", &mut Vec::new()).unwrap();
        transform.score(b"ann", score).unwrap()
    };
    let geo = 3_471_579_339_700_058.0;
    for kept in ["\"keep\"".to_owned(), format!("{{ {member}, score = \"keep\" }}")] {
        assert_eq!(score(&kept, geo).to_bits(), geo.to_bits());
    }
    for keep in ["use = \"keep\"", member] {
        let noise = format!("{{ {keep}, score = {{ use = \"number_noise\", ratio = 0.2 }} }}");
        for original in [geo, 19_840_229.0, -1.5, 1e300, f64::MAX, 5e-324] {
            let made = score(&noise, original);
            assert!(made.is_finite() && made.signum() == original.signum(), "{original} {made}");
            assert!((made - original).abs() <= original.abs() * 0.2, "{original} {made}");
        }
        assert!([geo, 19_840_229.0, 1e300].iter().all(|number| score(&noise, *number) != *number));
        for stays in [f64::INFINITY, f64::NEG_INFINITY, 0.0] {
            assert_eq!(score(&noise, stays).to_bits(), stays.to_bits());
        }
        assert_eq!(score(&noise, -0.0), 0.0);
        assert_eq!(score(&format!("{{ {keep}, score = \"redact\" }}"), geo), 0.0);
        let constant = "{ use = \"constant\", value = 7.5 }";
        assert_eq!(score(&format!("{{ {keep}, score = {constant} }}"), geo), 7.5);
    }
}

#[test]
fn the_names_of_groups_follow_the_fields_then_the_section_then_the_keep() {
    let group = |text: &str| -> Result<String> {
        let plan = rules(text).redis(&key())?;
        let mut transform = plan.transform()?;
        if transform.key(b"u", Stream, &mut Vec::new())? == KeyVerdict::Keep {
            return Ok("jobs".to_owned());
        }
        let mut out = Vec::new();
        Ok(match transform.name(Part::Group, b"jobs", &mut out)? {
            ElementVerdict::Write => String::from_utf8(out).unwrap(),
            _ => "jobs".to_owned(),
        })
    };
    let rule = |names: &str, fields: &str| format!("[redis.u]\n{names}\nstream = {{ {fields} }}\n");
    let masked = "a = \"mask\"";
    let error = group(&rule("", masked)).unwrap_err();
    assert_eq!(error.kind(), Kind::Findings);
    assert!(told(&error).contains("groups of a stream under `u`"), "{}", told(&error));
    for (names, fields, kept) in [
        ("names = \"keep\"", masked, true),
        ("names = \"hash\"", masked, false),
        ("names = \"hash\"", "\"*\" = \"keep\"", false),
        ("names = \"hash\"", "\"*\" = { use = \"mask\", names = \"keep\" }", true),
        ("names = \"keep\"", "\"*\" = { use = \"mask\", names = \"hash\" }", false),
        ("", "\"*\" = \"keep\"", true),
        ("", "a = \"keep\"", true),
        ("", "\"*\" = \"redact\"", false),
    ] {
        let made = group(&rule(names, fields)).unwrap();
        assert_eq!(made == "jobs", kept, "{names} {fields}: {made}");
        assert!(kept || is_hash(&made), "{made}");
    }
}

#[test]
fn placeholders_and_functions_are_told() {
    let text = "[redis.a]\nstring = \"?\"\nhash = { x = \"?\", \"*\" = \"keep\" }\n";
    let items: Vec<String> = open(text).into_iter().map(|(_, item)| item).collect();
    assert_eq!(items, ["string", "hash x"]);
    assert_eq!(redis(text, "a", Text, &[(None, "v")]).unwrap_err().kind(), Kind::Findings);
    let plan = rules("[redis.\":functions\"]\naction = \"keep\"\n").redis(&key()).unwrap();
    let told: Vec<_> =
        plan.coverage().entries.iter().map(|e| (e.place.clone(), e.verdict)).collect();
    assert_eq!(told, [(":functions".to_owned(), Verdict::Kept)]);
    assert!(plan.transform().unwrap().keeps_functions());
    let plan = rules("[redis.a]\naction = \"keep\"\n").redis(&key()).unwrap();
    assert!(!plan.transform().unwrap().keeps_functions());
}

#[test]
fn every_refusal_is_told_in_one_run() {
    let text = "[redis.a]\nset = \"email\"\nzset = { use = \"keep\", score = \"email\" }\n\
                [redis.\"u:*\"]\nset = \"redact\"\n[redis.\"*:x\"]\naction = \"keep\"\n";
    let error = rules(text).redis(&key()).err().unwrap();
    assert!(
        error.message().contains("3 problems") || error.message().contains("4 problems"),
        "{error}"
    );
    let told = told(&error);
    for part in ["members of a set equal", "scores are numbers", "t.toml:3", "t.toml:6"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn values_are_drawn_by_another_field_of_the_hash() {
    let text = "[redis.\"u:*\"]\nnames = \"keep\"\nhash = { plan = { use = \"choice\", values = [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\"], by = \"id\" }, \"*\" = \"keep\" }\n";
    let plan = rules(text).redis(&key()).unwrap();
    let mut transform = plan.transform().unwrap();
    let mut drawn = |name: &str, id: Option<&str>, value: &str| {
        transform.key(name.as_bytes(), Hash, &mut Vec::new()).unwrap();
        assert!(transform.looks_ahead());
        if let Some(id) = id {
            transform.ahead(b"id", id.as_bytes());
        }
        let mut out = Vec::new();
        transform.element(Some(b"plan"), value.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let mut different = 0;
    for number in 0..20 {
        let id = number.to_string();
        let first = drawn(&format!("u:{number}"), Some(&id), "free");
        assert_eq!(drawn(&format!("u:x{number}"), Some(&id), "pro"), first, "the id decides alone");
        // Without the field the key tells records apart, and the last record's does not remain.
        let (a, b) = (drawn(&format!("u:{number}"), None, "x"), drawn("u:other", None, "x"));
        different += usize::from(a != b);
    }
    assert!(different > 0);
}

proptest! {
    #[test]
    fn any_key_and_value_is_an_error_or_cleared(name in prop::collection::vec(any::<u8>(), 0..30), value in prop::collection::vec(any::<u8>(), 0..30)) {
        let plan = rules(&format!("{PEOPLE}\n[redis.\"*\"]\nnames = \"hash\"\nstring = \"text\"\n")).redis(&key()).unwrap();
        let mut transform = plan.transform().unwrap();
        let mut renamed = Vec::new();
        if let Ok(KeyVerdict::Rewrite) = transform.key(&name, Text, &mut renamed) {
            let mut out = Vec::new();
            let verdict = transform.element(None, &value, &mut out);
            prop_assert_eq!(matches!(verdict, Ok(ElementVerdict::Keep)), value.is_empty());
        }
    }
}
