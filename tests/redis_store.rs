//! Reading and loading Redis, against real servers: throwaway ones of its own, since SYNC sees
//! whole servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod redis_support;

use std::time::Duration;

use pfdata::error::{Kind, Result};
use pfdata::pipeline::transform::{
    ElementVerdict, KeyKind, KeyTransform, KeyVerdict, Part, UnruledKeys,
};
use pfdata::policy::Permit;
use pfdata::store::redis::load::Expiry;
use pfdata::store::redis::rdb::rewrite::rewrite;
use pfdata::store::redis::reply::Reply;
use redis_support::*;

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_and_encoding_comes_back() {
    let (from, to) = (Server::start(&[]).await, Server::start(&[]).await);
    let mut source = from.connect(3).await;
    fill(&mut source).await;
    let mut elsewhere = from.connect(4).await;
    run(&mut elsewhere, "SET other secret-of-index-four").await;
    run(&mut source, "SET pfdata:owner someone").await;
    let library = b"#!lua name=shared\nredis.register_function('f', function() return 1 end)";
    source.run("FUNCTION", &[b"FUNCTION", b"LOAD", library]).await.unwrap();

    let (summary, blocks) = snapshot(&from.at(3), unruled()).await.unwrap();
    let expected = picture(&mut source).await;
    assert_eq!(summary.keys, expected.len() as u64);
    assert_eq!((summary.expiring, summary.functions, summary.elsewhere), (2, 1, 1));
    assert!(summary.consistency().point.contains(':'), "{:?}", summary.consistency());
    let stored: Vec<u8> = blocks.concat();
    assert!(memchr::memmem::find(&stored, b"secret-of-index-four").is_none());

    // Neighbours of the target stay as they are.
    let mut neighbour = to.connect(15).await;
    run(&mut neighbour, "SET neighbour 1").await;
    let mut live = to.connect(5).await;
    run(&mut live, "SET old data").await;
    let (mut target, report) =
        load(&to.at(5), "job-1", blocks.clone(), Expiry::Absolute).await.unwrap();
    assert_eq!(target.spare(), 14);
    assert_eq!((report.keys, report.expired, report.rebuilt), (summary.keys, 0, 0));
    assert_eq!(report.stored.digest, summary.digest);
    assert_eq!(report.functions_loaded, 1);
    assert_eq!(target.verify(false).await.unwrap().found, summary.keys);
    let verified = target.verify(true).await.unwrap();
    assert!(verified.digests && verified.uncertain == 0);
    assert_eq!(run(&mut live, "GET old").await.text(), Some("data"));
    target.swap().await.unwrap();
    assert_eq!(picture(&mut live).await, expected);
    assert_eq!(run(&mut live, "EXISTS pfdata:owner").await, Reply::Integer(0));
    assert_eq!(run(&mut neighbour, "DBSIZE").await, Reply::Integer(1));

    // And the stored file is what a server itself loads.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("dump.rdb"), &stored).unwrap();
    let fresh = Server::start_in(dir, &["--dbfilename", "dump.rdb"]).await;
    assert_eq!(picture(&mut fresh.connect(3).await).await, expected);
    let listed = run(&mut fresh.connect(0).await, "FUNCTION LIST").await;
    assert_eq!(listed.items().unwrap().len(), 1);
    let (again, _) = snapshot(&fresh.at(3), unruled()).await.unwrap();
    assert_eq!(again.digest, summary.digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_of_the_stream_give_the_same() {
    let direct = Server::start(&[]).await;
    let mut connection = direct.connect(0).await;
    fill(&mut connection).await;
    let (streamed, _) = snapshot(&direct.at(0), unruled()).await.unwrap();
    assert!(streamed.remarks.iter().any(|remark| remark.contains("memory")));
    run(&mut connection, "CONFIG SET repl-diskless-sync no").await;
    let (filed, _) = snapshot(&direct.at(0), unruled()).await.unwrap();
    assert!(filed.remarks.iter().any(|remark| remark.contains("file")));
    assert_eq!(streamed.digest, filed.digest);
    // A server that waits and cannot write its file is asked for a stream all the same.
    run(&mut connection, "CONFIG SET repl-diskless-sync yes repl-diskless-sync-delay 1").await;
    connection.run("CONFIG", &[b"CONFIG", b"SET", b"save", b"900 1"]).await.unwrap();
    let (filed, _) = snapshot(&direct.at(0), unruled()).await.unwrap();
    assert!(filed.remarks.iter().any(|remark| remark.contains("file")));
    std::fs::remove_file(direct.dir.path().join("dump.rdb")).unwrap();
    std::fs::create_dir(direct.dir.path().join("dump.rdb")).unwrap();
    let (fallen_back, _) = snapshot(&direct.at(0), unruled()).await.unwrap();
    assert_eq!(fallen_back.digest, streamed.digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_keys_are_rebuilt_and_verified() {
    let (from, to) = (Server::start(&[]).await, Server::start(&[]).await);
    let mut source = from.connect(0).await;
    let value = vec![b'v'; 100_000];
    for number in 0..120 {
        let name = format!("n{number}");
        let score = number.to_string();
        let (name, score) = (name.as_bytes(), score.as_bytes());
        let member = [name, &value].concat();
        source.run("RPUSH", &[b"RPUSH", b"list", &member]).await.unwrap();
        source.run("HSET", &[b"HSET", b"hash", name, &value]).await.unwrap();
        source.run("SADD", &[b"SADD", b"set", &member]).await.unwrap();
        source.run("ZADD", &[b"ZADD", b"zset", score, &member]).await.unwrap();
    }
    for _ in 0..700 {
        source.run("XADD", &[b"XADD", b"stream", b"*", b"f", &value, b"g", b"1"]).await.unwrap();
    }
    // One that still goes as a single payload, larger than all that may be on its way.
    for _ in 0..550 {
        source.run("XADD", &[b"XADD", b"payload", b"*", b"f", &value, b"g", b"1"]).await.unwrap();
    }
    run(&mut source, "XGROUP CREATE stream g 0").await;
    for _ in 0..3 {
        run(&mut source, "XREADGROUP GROUP g me COUNT 5 STREAMS stream >").await;
    }
    source.run("SETRANGE", &[b"SETRANGE", b"string", b"20000000", b"end"]).await.unwrap();
    run(&mut source, "PEXPIRE hash 90000000").await;
    run(&mut source, "SET small 1").await;
    let expected = picture(&mut source).await;
    let (summary, blocks) = snapshot(&from.at(0), unruled()).await.unwrap();
    let (mut target, report) = load(&to.at(0), "job", blocks, Expiry::Absolute).await.unwrap();
    assert_eq!((report.keys, report.rebuilt), (8, 6));
    assert_eq!(report.stored.digest, summary.digest);
    assert!(target.verify(true).await.unwrap().digests);
    target.swap().await.unwrap();
    assert_eq!(picture(&mut to.connect(0).await).await, expected);
}

/// Renames keys, changes and drops elements.
struct Masks(Permit);

impl KeyTransform for Masks {
    fn key(&mut self, key: &[u8], _kind: KeyKind, name: &mut Vec<u8>) -> Result<KeyVerdict> {
        if key.starts_with(b"drop:") {
            return Ok(KeyVerdict::Drop);
        }
        name.extend_from_slice(b"masked:");
        name.extend_from_slice(if key.starts_with(b"collide") { b"c" } else { key });
        Ok(if key.starts_with(b"keep:") { KeyVerdict::Keep } else { KeyVerdict::Rewrite })
    }

    fn element(
        &mut self,
        field: Option<&[u8]>,
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<ElementVerdict> {
        if field == Some(b"gone") || value == b"gone" {
            return Ok(ElementVerdict::Drop);
        }
        if value == b"same" {
            return Ok(ElementVerdict::Keep);
        }
        out.extend_from_slice(b"m-");
        out.extend_from_slice(if value.starts_with(b"collide") { b"c" } else { value });
        Ok(ElementVerdict::Write)
    }

    fn name(&mut self, _: Part, name: &[u8], out: &mut Vec<u8>) -> Result<ElementVerdict> {
        if !name.starts_with(b"collide") {
            return Ok(ElementVerdict::Keep);
        }
        out.push(b'c');
        Ok(ElementVerdict::Write)
    }

    fn score(&mut self, _member: &[u8], score: f64) -> Result<f64> {
        Ok(score)
    }

    fn keeps_functions(&self) -> bool {
        true
    }

    fn permit(&self) -> &Permit {
        &self.0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_reach_every_element_and_nothing_else_goes_on() {
    let server = Server::start(&[]).await;
    let mut source = server.connect(0).await;
    for line in [
        "SET s secret",
        "RPUSH l secret gone same",
        "RPUSH l2 gone gone",
        "SADD set secret gone same",
        "ZADD z 1 secret 2 gone 3 same",
        "HSET h a secret gone x b same",
        "HSET h2 gone secret",
        "XADD st 1-0 a secret gone secret",
        "XADD st 2-0 a deleted-secret",
        "XADD st 3-0 gone secret",
        "XADD st 4-0 b same",
        "XADD st 4-1 b 12",
        "XDEL st 2-0",
        "XGROUP CREATE st g 0",
        "SET drop:me secret",
        "SET keep:me kept",
    ] {
        run(&mut source, line).await;
    }
    let (summary, blocks) = snapshot(&server.at(0), Box::new(Masks(permit()))).await.unwrap();
    assert_eq!((summary.keys, summary.dropped), (7, 3));
    assert!(memchr::memmem::find(&blocks.concat(), b"deleted-secret").is_none());
    let (mut target, _) = load(&server.at(0), "job", blocks, Expiry::Absolute).await.unwrap();
    target.verify(true).await.unwrap();
    target.swap().await.unwrap();
    let mut live = server.connect(0).await;
    let text = |reply: Reply| format!("{reply:?}").replace("Bulk(Some(", "").replace("))", "");
    assert_eq!(run(&mut live, "GET masked:s").await.text(), Some("m-secret"));
    assert_eq!(run(&mut live, "GET masked:keep:me").await.text(), Some("kept"));
    assert_eq!(run(&mut live, "LLEN masked:l").await, Reply::Integer(2));
    assert_eq!(run(&mut live, "SISMEMBER masked:set m-secret").await, Reply::Integer(1));
    assert_eq!(run(&mut live, "SCARD masked:set").await, Reply::Integer(2));
    assert_eq!(run(&mut live, "ZSCORE masked:z same").await.text(), Some("3"));
    assert_eq!(run(&mut live, "HGET masked:h a").await.text(), Some("m-secret"));
    assert_eq!(run(&mut live, "HLEN masked:h").await, Reply::Integer(2));
    assert_eq!(run(&mut live, "XLEN masked:st").await, Reply::Integer(3));
    let entries = run(&mut live, "XRANGE masked:st - +").await.items().unwrap();
    assert_eq!(entries.len(), 3, "{}", text(Reply::Array(Some(entries))));
    let info = render(&run(&mut live, "XINFO STREAM masked:st").await);
    assert!(info.contains("last-generated-id 4-1"), "{info}");
    assert_eq!(run(&mut live, "DBSIZE").await, Reply::Integer(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_become_one_are_counted_and_not_told() {
    let server = Server::start(&[]).await;
    let mut source = server.connect(0).await;
    for line in [
        "SADD set collide1 collide2 collide3",
        "ZADD zset 1 collide1 2 collide2",
        "HSET hash collide1 a collide2 b",
        "SET collide:1 a",
        "SET collide:2 a",
        "XADD stream 1-0 a b",
        "XGROUP CREATE stream collide1 0",
        "XGROUP CREATE stream collide2 0",
        "XGROUP CREATECONSUMER stream collide1 collide1",
        "XGROUP CREATECONSUMER stream collide1 collide2",
        // A consumer of another group is no other's rival.
        "XGROUP CREATECONSUMER stream collide2 collide1",
    ] {
        run(&mut source, line).await;
    }
    let error = snapshot(&server.at(0), Box::new(Masks(permit()))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Findings);
    for told in [
        "a member of a key (3 times)",
        "the name of a field of a key (1 times)",
        "the name of a key (1 times)",
        "the name of a group of a key (1 times)",
        "the name of a consumer of a key (1 times)",
    ] {
        assert!(error.message().contains(told), "{told}: {error}");
    }
    assert!(error.hint_text().unwrap().contains("unique"));
    assert!(!error.to_string().contains("collide"));
}

#[tokio::test(flavor = "multi_thread")]
async fn expiry_is_absolute_or_what_was_left() {
    let (from, to) = (Server::start(&[]).await, Server::start(&[]).await);
    let mut source = from.connect(0).await;
    run(&mut source, "DEBUG SET-ACTIVE-EXPIRE 0").await;
    run(&mut source, "SET stays 1").await;
    run(&mut source, "SET soon 1 PX 700").await;
    run(&mut source, "SET later 1 PX 500000").await;
    let (summary, blocks) = snapshot(&from.at(0), unruled()).await.unwrap();
    let snapshot_ms = summary.created.unwrap() * 1000;
    assert_eq!(summary.expiring, 2);
    let later = run(&mut source, "PEXPIRETIME later").await.integer().unwrap() as u64;
    tokio::time::sleep(Duration::from_millis(900)).await;

    let (mut target, report) =
        load(&to.at(0), "a", blocks.clone(), Expiry::Absolute).await.unwrap();
    assert_eq!((report.keys, report.expired, report.stored.keys), (2, 1, 3));
    assert_eq!(report.stored.digest, summary.digest);
    target.verify(true).await.unwrap();
    target.swap().await.unwrap();
    let mut live = to.connect(0).await;
    assert_eq!(run(&mut live, "PEXPIRETIME later").await, Reply::Integer(later as i64));

    // By the clocks of source and target.
    let (target, report) = load(&to.at(0), "c", blocks.clone(), Expiry::Remaining).await.unwrap();
    assert_eq!(report.expired, 0);
    let mut spare = to.connect(target.spare()).await;
    let moved = run(&mut spare, "PEXPIRETIME later").await.integer().unwrap() as u64;
    assert!((later..later + 3000).contains(&moved), "{later} {moved}");

    // A day later they have what they had left.
    let now_ms = snapshot_ms + 86_400_000;
    let expiry = Expiry::RemainingSince { snapshot_ms, now_ms };
    let (mut target, report) = load(&to.at(0), "b", blocks, expiry).await.unwrap();
    assert_eq!((report.keys, report.expired), (3, 0));
    target.verify(true).await.unwrap();
    target.swap().await.unwrap();
    let moved = run(&mut live, "PEXPIRETIME later").await;
    assert_eq!(moved, Reply::Integer((later + 86_400_000) as i64));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_expire_meanwhile_are_expired_and_not_missing() {
    let (from, to) = (Server::start(&[]).await, Server::start(&[]).await);
    let mut source = from.connect(0).await;
    for number in 0..50 {
        run(&mut source, &format!("SET soon{number} 1 PX 1500")).await;
        run(&mut source, &format!("SET stays{number} 1")).await;
    }
    let (_, blocks) = snapshot(&from.at(0), unruled()).await.unwrap();
    let (mut target, report) = load(&to.at(0), "a", blocks, Expiry::Absolute).await.unwrap();
    assert_eq!(report.keys, 100);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let verified = target.verify(true).await.unwrap();
    assert_eq!((verified.expected, verified.found, verified.expired), (100, 50, 50));
    // A key that stays and is missing is told.
    let mut spare = to.connect(target.spare()).await;
    run(&mut spare, "DEL stays7").await;
    assert_eq!(target.verify(true).await.unwrap_err().kind(), Kind::Findings);
    run(&mut spare, "SET stays7 changed").await;
    assert_eq!(target.verify(true).await.unwrap_err().kind(), Kind::Findings);
    run(&mut spare, "SET stays7 1").await;
    target.verify(true).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_are_verified_key_by_key_beside_large_neighbours() {
    let server = Server::start(&[]).await;
    let mut source = server.connect(0).await;
    fill(&mut source).await;
    let mut neighbour = server.connect(1).await;
    run(&mut neighbour, "DEBUG POPULATE 5000 n 10").await;
    let (_, blocks) = snapshot(&server.at(0), unruled()).await.unwrap();
    let (mut target, _) = load(&server.at(0), "a", blocks, Expiry::Absolute).await.unwrap();
    target.verify(true).await.unwrap();
    let mut spare = server.connect(target.spare()).await;
    run(&mut spare, "HSET hash:small f 2").await;
    assert_eq!(target.verify(true).await.unwrap_err().kind(), Kind::Findings);
    run(&mut spare, "HSET hash:small f 1").await;
    run(&mut spare, "XACK stream:groups workers 12-0").await;
    assert_eq!(target.verify(true).await.unwrap_err().kind(), Kind::Findings);
}

#[test]
fn an_rdb_without_checksum_and_of_another_index_is_fine() {
    let bytes = b"REDIS0006\xfe\x01\x00\x01a\x01b\xfe\x00\x00\x01c\x01d\xff\0\0\0\0\0\0\0\0";
    let mut transform = UnruledKeys(unruled_permit());
    let summary = rewrite(&bytes[..], 0, &mut transform, &mut |_| Ok(())).unwrap();
    assert_eq!((summary.keys, summary.elsewhere), (1, 1));
}
