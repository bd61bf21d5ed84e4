//! Names, scores, groups and functions of a masked index, from one real server to another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod redis_support;

use pfdata::anonymize::{Key, RuleSet};
use pfdata::config::secret::Secret;
use pfdata::error::{Kind, Result};
use pfdata::pipeline::transform::KeyTransform;
use pfdata::store::redis::connect::Connection;
use pfdata::store::redis::load::Expiry;
use pfdata::store::redis::rdb::rewrite::Summary;
use pfdata::store::redis::reply::Reply;
use redis_support::{Server, load, picture, render, run, snapshot, unruled};

fn ruled(rules: &str) -> Result<Box<dyn KeyTransform>> {
    let rules = RuleSet::parse(&[("t.toml".to_owned(), format!("version = 1\n{rules}"))])?;
    let key = Key::new(&Secret::new("0fT3vLq8YbXw2RzKc6HnUe9MsAj5DgPi7WkQo1VtSrE"))?;
    rules.redis(&key)?.transform()
}

async fn filled(server: &Server, lines: &[&str]) -> Connection {
    let mut connection = server.connect(0).await;
    for line in lines {
        run(&mut connection, line).await;
    }
    connection
}

/// Takes a masked snapshot, loads it into `to`, verifies and swaps; gives what was stored.
async fn carried(from: &Server, to: &Server, rules: &str) -> (Summary, Vec<u8>) {
    let (summary, blocks) = snapshot(&from.at(0), ruled(rules).unwrap()).await.unwrap();
    let stored = blocks.concat();
    let (mut target, report) = load(&to.at(0), "job", blocks, Expiry::Absolute).await.unwrap();
    assert_eq!((report.stored.keys, report.stored.digest), (summary.keys, summary.digest));
    assert!(target.verify(true).await.unwrap().digests);
    target.swap().await.unwrap();
    (summary, stored)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

fn texts(reply: Reply) -> Vec<String> {
    let items = reply.items().unwrap();
    items.iter().map(|item| item.text().unwrap().to_owned()).collect()
}

/// A word of `<name> <word>` in what a server tells.
fn after<'a>(told: &'a str, name: &str) -> &'a str {
    let (_, rest) = told.split_once(&format!("{name} ")).unwrap();
    rest.split_ascii_whitespace().next().unwrap()
}

const STREAM: &[&str] = &[
    "XADD jobs 1-0 kind mail ann@corp.example yes",
    "XADD jobs 2-0 gone secret",
    "XADD jobs 3-0 gone secret",
    "XADD jobs 4-0 kind sms",
    "XADD jobs 5-0 gone secret",
    "XADD jobs 6-0 kind call",
    "XGROUP CREATE jobs mailers-of-ann 0",
    "XGROUP CREATE jobs archive-of-bob $",
    "XREADGROUP GROUP mailers-of-ann host-ann-1 COUNT 4 STREAMS jobs >",
    "XREADGROUP GROUP mailers-of-ann host-bob-2 COUNT 1 STREAMS jobs >",
    "XREADGROUP GROUP mailers-of-ann host-eve-3 COUNT 1 STREAMS jobs >",
    "XACK jobs mailers-of-ann 4-0",
    "XGROUP CREATECONSUMER jobs archive-of-bob host-idle",
];

const ORIGINAL_NAMES: &[&str] =
    &["mailers-of-ann", "archive-of-bob", "host-ann-1", "host-bob-2", "host-idle", "ann@corp"];

#[tokio::test(flavor = "multi_thread")]
async fn groups_keep_what_is_pending_under_new_names() {
    let (from, to) = (Server::start(&[]).await, Server::start(&[]).await);
    filled(&from, STREAM).await;
    let rules = "[redis.jobs]\nnames = \"hash\"\n\
                 stream = { kind = \"keep\", \"*\" = { use = \"mask\", names = { use = \"hash\", link = \"n\" } } }\n";
    let (summary, stored) = carried(&from, &to, rules).await;
    assert_eq!((summary.keys, summary.dropped), (1, 0));
    for name in ORIGINAL_NAMES {
        assert!(!holds(&stored, name), "{name}");
    }
    let mut live = to.connect(0).await;
    let groups = run(&mut live, "XINFO GROUPS jobs").await.items().unwrap().to_vec();
    let told: Vec<String> = groups.iter().map(render).collect();
    assert_eq!(told.len(), 2);
    let mailers = told.iter().find(|group| after(group, "consumers") == "3").unwrap();
    assert_eq!((after(mailers, "pending"), after(mailers, "last-delivered-id")), ("5", "6-0"));
    let name = after(mailers, "name").to_owned();
    // The same entries are pending with as many consumers, each delivered once.
    let pending = run(&mut live, &format!("XPENDING jobs {name} - + 10")).await;
    let pending: Vec<String> = pending.items().unwrap().iter().map(render).collect();
    let ids: Vec<&str> = pending.iter().map(|entry| entry.split(' ').next().unwrap()).collect();
    assert_eq!(ids.len(), 5, "{pending:?}");
    let of_group = run(&mut live, &format!("XINFO CONSUMERS jobs {name}")).await;
    let mut counts: Vec<String> = of_group
        .items()
        .unwrap()
        .iter()
        .map(|consumer| after(&render(consumer), "pending").to_owned())
        .collect();
    counts.sort();
    assert_eq!(counts, ["1", "1", "3"]);
    // A field name is masked, its place in the log is not.
    let entries = render(&run(&mut live, "XRANGE jobs 1 1").await);
    assert!(entries.contains("1-0") && entries.contains("mail") && !entries.contains("ann@"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pending_of_a_dropped_entry_goes_with_it() {
    let (from, to) = (Server::start(&[]).await, Server::start(&[]).await);
    filled(&from, STREAM).await;
    let rules = "[redis.jobs]\nnames = \"keep\"\n\
                 stream = { gone = \"drop\", kind = \"keep\", \"*\" = \"drop\" }\n";
    carried(&from, &to, rules).await;
    let mut live = to.connect(0).await;
    assert_eq!(run(&mut live, "XLEN jobs").await, Reply::Integer(3));
    let pending = render(&run(&mut live, "XPENDING jobs mailers-of-ann - + 10").await);
    for (id, there) in
        [("1-0", true), ("6-0", true), ("2-0", false), ("3-0", false), ("5-0", false)]
    {
        assert_eq!(pending.contains(id), there, "{id}: {pending}");
    }
    let summary = run(&mut live, "XPENDING jobs mailers-of-ann").await;
    assert_eq!(summary.items().unwrap()[0], Reply::Integer(2));
    let of_group = run(&mut live, "XINFO CONSUMERS jobs mailers-of-ann").await;
    let counts: Vec<(String, String)> = of_group
        .items()
        .unwrap()
        .iter()
        .map(render)
        .map(|told| (after(&told, "name").to_owned(), after(&told, "pending").to_owned()))
        .collect();
    let pair = |name: &str, count: &str| (name.to_owned(), count.to_owned());
    assert_eq!(counts, [pair("host-ann-1", "1"), pair("host-bob-2", "0"), pair("host-eve-3", "1")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_stream_comes_back_whole_and_an_undecided_one_not_at_all() {
    let (from, to) = (Server::start(&[]).await, Server::start(&[]).await);
    let mut source = filled(&from, STREAM).await;
    let expected = picture(&mut source).await;
    for rules in [
        "[redis.jobs]\naction = \"keep\"\n",
        "[redis.jobs]\nstream = { \"*\" = \"keep\" }\n",
        // Through the transform, entry by entry.
        "[redis.jobs]\nnames = \"keep\"\nstream = { x = \"drop\", \"*\" = \"keep\" }\n",
    ] {
        carried(&from, &to, rules).await;
        assert_eq!(picture(&mut to.connect(0).await).await, expected, "{rules}");
    }
    let rules = "[redis.jobs]\nstream = { kind = \"keep\", gone = \"mask\", \"ann@corp.example\" = \"mask\" }\n";
    let error = snapshot(&from.at(0), ruled(rules).unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Findings);
    assert!(error.message().contains("groups of a stream under `jobs`"), "{error}");
    assert!(!error.to_string().contains("ann"), "{error}");
    run(&mut source, "XGROUP DESTROY jobs mailers-of-ann").await;
    run(&mut source, "XGROUP DESTROY jobs archive-of-bob").await;
    carried(&from, &to, rules).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_and_no_score_passes_a_mask() {
    let (from, to) = (Server::start(&[]).await, Server::start(&[]).await);
    filled(
        &from,
        &[
            "SET session:4f1c0b7e9a user-17",
            "SET cart:ann@corp.example:4711 x",
            "HSET people ann@corp.example 1 bob@corp.example 2 total 3",
            "HSET cart:bob@corp.example:4712 total 3",
            "GEOADD homes 2.349014 48.864716 zqann 13.361389 38.115556 zqbob",
            "ZADD born 19840229 zqann 19711130 zqbob +inf zqeve",
        ],
    )
    .await;
    let rules = "[redis.\"session:*\"]\nstring = \"redact\"\n\
        [redis.\"cart:*:*\"]\nnames = { use = \"hash\", link = \"cart\" }\nstring = \"mask\"\nhash = { total = \"keep\" }\n\
        [redis.people]\nhash = { total = \"keep\", \"*\" = { use = \"hash\", names = { use = \"email\", link = \"mail\", unique = true } } }\n\
        [redis.homes]\nzset = { use = \"username\", unique = true, score = \"redact\" }\n\
        [redis.born]\nzset = { use = \"username\", unique = true, score = { use = \"number_noise\", ratio = 0.3 } }\n";
    let (summary, stored) = carried(&from, &to, rules).await;
    assert_eq!(summary.keys, 6);
    for name in ["4f1c0b7e9a", "corp.example", "4711", "4712", "user-17", "zqann", "zqbob", "zqeve"]
    {
        assert!(!holds(&stored, name), "{name}");
    }
    for score in [19_840_229_f64, 19_711_130.0] {
        assert!(memchr::memmem::find(&stored, &score.to_le_bytes()).is_none(), "{score}");
    }
    let mut live = to.connect(0).await;
    let homes = texts(run(&mut live, "ZRANGE homes 0 -1 WITHSCORES").await);
    assert_eq!((homes.len(), homes[1].as_str(), homes[3].as_str()), (4, "0", "0"));
    let born = texts(run(&mut live, "ZRANGE born 0 -1 WITHSCORES").await);
    assert_eq!((born.len(), born[5].as_str()), (6, "inf"));
    assert!(born[1] != "19711130" && born[1].parse::<f64>().unwrap() > 1e7, "{born:?}");
    let people = texts(run(&mut live, "HKEYS people").await);
    assert_eq!(people.iter().filter(|name| name.contains("@example.")).count(), 2, "{people:?}");
    assert!(people.contains(&"total".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn spellings_of_one_identity_stay_apart() {
    let (from, to) = (Server::start(&[]).await, Server::start(&[]).await);
    let mail = "{ use = \"email\", link = \"mail\", unique = true }";
    let rules = format!(
        "[redis.\"user:{{mail}}\"]\nstring = \"keep\"\n[redis.set]\nset = {mail}\n\
         [redis.zset]\nzset = {{ use = \"email\", link = \"mail\", unique = true, score = \"keep\" }}\n\
         [redis.hash]\nhash = {{ \"*\" = {{ use = \"keep\", names = {mail} }} }}\n"
    );
    // Whichever comes first.
    for (first, second) in [
        ("Bob.Lee@corp.example", "bob.lee@corp.example"),
        ("bob.lee@corp.example", "BOB.lee@corp.example"),
    ] {
        let mut source = from.connect(0).await;
        run(&mut source, "FLUSHDB").await;
        for name in [first, second] {
            for line in [
                format!("SET user:{name} 1"),
                format!("SADD set {name}"),
                format!("ZADD zset 1 {name}"),
                format!("HSET hash {name} 1"),
            ] {
                run(&mut source, &line).await;
            }
        }
        let (summary, stored) = carried(&from, &to, &rules).await;
        assert_eq!(summary.keys, 5);
        assert!(!holds(&stored.to_ascii_lowercase(), "corp.example"));
        let mut live = to.connect(0).await;
        let keys = texts(run(&mut live, "KEYS user:*").await);
        let mut keys: Vec<String> =
            keys.iter().map(|key| key["user:".len()..].to_lowercase()).collect();
        assert_eq!(keys.len(), 2);
        keys.dedup();
        assert_eq!(keys.len(), 1, "they differ as spellings do");
        for (command, length) in [("SMEMBERS set", 2), ("ZRANGE zset 0 -1", 2), ("HKEYS hash", 2)] {
            let members = texts(run(&mut live, command).await);
            assert_eq!(members.len(), length, "{command}");
            assert!(members.iter().all(|member| member.to_lowercase() == keys[0]), "{members:?}");
        }
    }
}

const LIBRARY: &[u8] =
    b"#!lua name=billing\nredis.register_function('f', function() return 'tok_live_4711' end)\n";

#[tokio::test(flavor = "multi_thread")]
async fn functions_are_left_out_unless_a_rule_keeps_them() {
    let (from, to) = (Server::start(&[]).await, Server::start(&[]).await);
    let mut source = filled(&from, &["SET a 1"]).await;
    source.run("FUNCTION", &[b"FUNCTION", b"LOAD", LIBRARY]).await.unwrap();
    let kept = "[redis.a]\naction = \"keep\"\n";
    let (summary, stored) = carried(&from, &to, kept).await;
    assert_eq!((summary.functions, summary.functions_left_out), (0, vec!["billing".to_owned()]));
    assert!(!holds(&stored, "tok_live_4711"));
    let rules = format!("{kept}[redis.\":functions\"]\naction = \"drop\"\n");
    assert!(!holds(&carried(&from, &to, &rules).await.1, "tok_live_4711"));
    let rules = format!("{kept}[redis.\":functions\"]\naction = \"keep\"\n");
    let (summary, stored) = carried(&from, &to, &rules).await;
    assert_eq!((summary.functions, summary.functions_left_out.len()), (1, 0));
    assert!(holds(&stored, "tok_live_4711"));
    let (raw, _) = snapshot(&from.at(0), unruled()).await.unwrap();
    assert_eq!(raw.functions, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_one_record_are_drawn_alike_whatever_comes_first() {
    let (from, to) = (Server::start(&[]).await, Server::start(&[]).await);
    let mut lines = Vec::new();
    for number in 0..12 {
        // In the one hash the field comes first, in the other last; also in stream entries.
        lines.push(format!("HSET a:{number} id {number} plan x"));
        lines.push(format!("HSET b:{number} plan y id {number}"));
        lines.push(format!("XADD log {}-0 plan z id {number}", number + 1));
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    filled(&from, &lines).await;
    let plan = "plan = { use = \"choice\", values = [\"red\", \"green\", \"blue\"], by = { field = \"id\", link = \"plan\" } }, id = \"keep\"";
    let rules = format!(
        "[redis.\"a:*\"]\nnames = \"keep\"\nhash = {{ {plan} }}\n[redis.\"b:*\"]\nnames = \"keep\"\nhash = {{ {plan} }}\n\
         [redis.log]\nstream = {{ {plan} }}\n"
    );
    carried(&from, &to, &rules).await;
    let mut live = to.connect(0).await;
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..12 {
        let a = run(&mut live, &format!("HGET a:{number} plan")).await;
        let b = run(&mut live, &format!("HGET b:{number} plan")).await;
        assert_eq!(a.text(), b.text());
        let drawn = a.text().unwrap().to_owned();
        let id = format!("{}-0", number + 1);
        let entry = render(&run(&mut live, &format!("XRANGE log {id} {id}")).await);
        assert!(entry.contains(&format!("plan {drawn}")), "{entry} {drawn}");
        seen.insert(drawn);
    }
    assert!(seen.len() > 1 && seen.iter().all(|drawn| drawn.len() > 2), "{seen:?}");
}
