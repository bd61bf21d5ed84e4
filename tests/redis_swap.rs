//! Swapping, refusing and failing, against real Redis servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod redis_support;

use std::net::TcpListener;
use std::time::Duration;

use pfdata::error::{Error, Kind};
use pfdata::store::redis::check::check;
use pfdata::store::redis::connect::Connection;
use pfdata::store::redis::load::Expiry;
use pfdata::store::redis::reply::Reply;
use pfdata::store::redis::seed::{parse_commands, seed_live};
use pfdata::store::redis::source::Source;
use pfdata::store::redis::swap::{SpareState, at, previous, state};
use pfdata::store::redis::target::{Back, Target};
use redis_support::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_swap_happens_once_and_can_be_taken_back() {
    let server = Server::start(&[]).await;
    let endpoint = server.at(2);
    let mut live = server.connect(2).await;
    run(&mut live, "SET which old").await;
    let (_, blocks) = snapshot(&endpoint, unruled()).await.unwrap();
    run(&mut live, "SET which newer").await;
    assert_eq!(state(&endpoint, "test").await.unwrap(), None);

    // Killed while loading: the next job takes the index over.
    let target = Target::prepare(&endpoint, "test", "dead").await.unwrap();
    let spare = target.spare();
    drop(target);
    assert_eq!(state(&endpoint, "test").await.unwrap().unwrap().marker.state, SpareState::Loading);
    let dead = Target::attach(&endpoint, "test", "other").await.unwrap().unwrap();
    assert!(dead.marker().job == "dead");

    let (mut target, _) = load(&endpoint, "one", blocks.clone(), Expiry::Absolute).await.unwrap();
    assert_eq!(target.spare(), spare);
    let found = state(&endpoint, "test").await.unwrap().unwrap();
    assert_eq!((found.index, found.marker.state), (spare, SpareState::Loaded));
    // Another process of the same job swaps; ours finds the marker changed, and theirs may repeat.
    let mut other = Target::attach(&endpoint, "test", "one").await.unwrap().unwrap();
    other.swap().await.unwrap();
    other.swap().await.unwrap();
    assert_eq!(run(&mut live, "GET which").await.text(), Some("old"));
    assert!(target.swap().await.is_err());
    assert_eq!(run(&mut live, "GET which").await.text(), Some("old"));
    let mut again = Target::attach(&endpoint, "test", "one").await.unwrap().unwrap();
    again.swap().await.unwrap();
    assert_eq!(run(&mut live, "GET which").await.text(), Some("old"));

    // Undo by the job itself, once.
    again.swap_back(Back::Undo).await.unwrap();
    again.swap_back(Back::Undo).await.unwrap();
    assert_eq!(run(&mut live, "GET which").await.text(), Some("newer"));
    assert_eq!(again.marker().state, SpareState::Loaded);
    again.swap().await.unwrap();

    // Rollback by a later job, once, and back again by another.
    for (job, value) in [("two", "newer"), ("two", "newer"), ("three", "old"), ("four", "newer")] {
        let mut target = Target::attach(&endpoint, "test", job).await.unwrap().unwrap();
        target.swap_back(Back::Rollback).await.unwrap();
        target.swap_back(Back::Rollback).await.unwrap();
        assert_eq!(run(&mut live, "GET which").await.text(), Some(value), "{job}");
    }
    // A rollback can be taken back too, and then be made by another job.
    let mut target = Target::attach(&endpoint, "test", "four").await.unwrap().unwrap();
    target.swap_back(Back::Undo).await.unwrap();
    target.swap_back(Back::Undo).await.unwrap();
    assert_eq!(run(&mut live, "GET which").await.text(), Some("old"));
    assert_eq!(target.marker().job, "three");
    assert_eq!(target.marker().state, SpareState::Previous);
    let target = Target::attach(&endpoint, "test", "four").await.unwrap().unwrap();
    assert!(target.drop_new().await.is_err());
    let target = Target::attach(&endpoint, "test", "four").await.unwrap().unwrap();
    target.drop_previous().await.unwrap();
    assert_eq!(state(&endpoint, "test").await.unwrap(), None);
    assert_eq!(run(&mut server.connect(spare).await, "DBSIZE").await, Reply::Integer(0));
    assert_eq!(run(&mut live, "GET which").await.text(), Some("old"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spare_index_is_nobody_elses() {
    let server = Server::start(&["--databases", "4"]).await;
    let mut endpoint = server.at(0);
    endpoint.taken = vec![3];
    let target = Target::prepare(&endpoint, "test", "a").await.unwrap();
    assert_eq!(target.spare(), 2);
    // Another environment's spare is not ours, nor is foreign data.
    let mut other = server.at(3);
    other.taken = vec![0];
    let theirs = Target::prepare(&other, "other", "b").await.unwrap();
    assert_eq!(theirs.spare(), 1);
    let mut third = server.at(3);
    third.taken = vec![0];
    assert_eq!(Target::prepare(&third, "third", "c").await.unwrap_err().kind(), Kind::Refused);
    let theirs_live = server.at(1);
    assert_eq!(Target::prepare(&theirs_live, "x", "d").await.unwrap_err().kind(), Kind::Refused);
    endpoint.spare_db = Some(1);
    let error = Target::prepare(&endpoint, "test", "a").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    endpoint.spare_db = Some(0);
    assert!(Target::prepare(&endpoint, "test", "a").await.is_err());
    endpoint.spare_db = Some(9);
    assert!(Target::prepare(&endpoint, "test", "a").await.is_err());
    endpoint.spare_db = Some(2);
    assert_eq!(Target::prepare(&endpoint, "test", "e").await.unwrap().spare(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_cannot_take_it_are_refused() {
    let server = Server::start(&["--maxmemory", "100mb"]).await;
    let mut connection = server.connect(0).await;
    run(&mut connection, "CONFIG SET maxmemory-policy volatile-lru").await;
    let error = Target::prepare(&server.at(0), "test", "a").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.hint_text().is_some());
    let findings = check(&server.at(0), "test", true).await;
    assert!(findings.iter().any(|finding| !finding.ok && finding.what == "eviction"));
    run(&mut connection, "CONFIG SET maxmemory-policy noeviction").await;
    // The question alone changes nothing; what is kept for a rollback counts as room.
    mark(&server, 9, 0, "20260101T000000.000Z-000000", "previous").await;
    run(&mut server.connect(9).await, "DEBUG POPULATE 50000 k 1000").await;
    let asked = async |bytes| Target::check(&server.at(0), "test", bytes).await;
    assert_eq!(asked(34 << 20).await.unwrap_err().kind(), Kind::Refused);
    asked(20 << 20).await.unwrap();
    assert_eq!(run(&mut server.connect(9).await, "DBSIZE").await, Reply::Integer(50_002));
    let mut target = Target::prepare(&server.at(0), "test", "a").await.unwrap();
    assert_eq!(target.require_room(200 << 20).await.unwrap_err().kind(), Kind::Refused);
    target.require_room(1 << 20).await.unwrap();
    let findings = check(&server.at(0), "test", true).await;
    assert!(findings.iter().all(|finding| finding.ok), "{findings:?}");
    assert!(check(&server.at(0), "test", false).await.iter().all(|finding| finding.ok));

    let cluster = Server::start(&["--cluster-enabled", "yes"]).await;
    let error = Source::open(&cluster.at(0)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("cluster"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_without_the_password() {
    let server = Server::start(&[]).await;
    let mut open = server.connect(0).await;
    run(&mut open, "CONFIG SET requirepass right-password").await;
    let mut endpoint = server.at(0);
    let error = Connection::open(&endpoint).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    endpoint.password = Some(pfdata::config::secret::Secret::new("wrong-password"));
    let error = Connection::open(&endpoint).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.to_string().contains(&server.port.to_string()));
    assert!(!error.to_string().contains("wrong-password"));
    endpoint.password = Some(pfdata::config::secret::Secret::new("right-password"));
    let mut admin = Connection::open(&endpoint).await.unwrap();
    run(&mut admin, "ACL SETUSER reader on >pw ~* +@all -sync").await;
    endpoint.username = Some("reader".to_owned());
    endpoint.password = Some(pfdata::config::secret::Secret::new("pw"));
    let error = snapshot(&endpoint, unruled()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("SCAN"), "{error}");
    let findings = check(&endpoint, "test", false).await;
    let rights = findings.iter().find(|finding| finding.what == "privileges").unwrap();
    assert!(!rights.ok && rights.hint.as_deref().unwrap().contains("+sync"), "{rights:?}");
    // Digests are verified key by key where SYNC is forbidden.
    run(&mut admin, "SET a 1").await;
    endpoint.username = None;
    endpoint.password = Some(pfdata::config::secret::Secret::new("right-password"));
    let (_, blocks) = snapshot(&endpoint, unruled()).await.unwrap();
    endpoint.username = Some("reader".to_owned());
    endpoint.password = Some(pfdata::config::secret::Secret::new("pw"));
    let (mut target, _) = load(&endpoint, "a", blocks, Expiry::Absolute).await.unwrap();
    assert!(target.verify(true).await.unwrap().digests);
    // Nothing listens there.
    endpoint.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(Connection::open(&endpoint).await.unwrap_err().kind(), Kind::Unreachable);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_told_and_leaves_the_live_index_alone() {
    let server = Server::start(&[]).await;
    let mut live = server.connect(0).await;
    fill(&mut live).await;
    let before = picture(&mut live).await;
    let (_, blocks) = snapshot(&server.at(0), unruled()).await.unwrap();
    let good = blocks.concat();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let mut crc = good.clone();
    *crc.last_mut().unwrap() ^= 1;
    let short = good[..good.len() - 9].to_vec();
    let long = [good.as_slice(), b"x"].concat();
    for bad in [flipped, crc, short, long] {
        let error = load(&server.at(0), "a", vec![bad], Expiry::Absolute).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Failed, "{error}");
    }
    let found = state(&server.at(0), "test").await.unwrap().unwrap();
    assert_eq!(found.marker.state, SpareState::Loading);
    assert_eq!(picture(&mut live).await, before);
    let (target, _) = load(&server.at(0), "b", vec![good], Expiry::Absolute).await.unwrap();
    target.drop_new().await.unwrap();
    assert_eq!(state(&server.at(0), "test").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_target_and_seeds() {
    let server = Server::start(&[]).await;
    let mut live = server.connect(0).await;
    run(&mut live, "SET old 1").await;
    let (mut target, report) =
        load(&server.at(0), "a", Vec::new(), Expiry::Absolute).await.unwrap();
    assert_eq!(report.keys, 0);
    target.verify(true).await.unwrap();
    let seed = parse_commands(b"SET \"a key\" 'va lue'\n# remark\nHSET h f v\n").unwrap();
    assert_eq!(target.run_commands(&seed).await.unwrap(), 2);
    target.swap().await.unwrap();
    assert_eq!(run(&mut live, "DBSIZE").await, Reply::Integer(2));
    let value = live.run("GET", &[b"GET", b"a key"]).await.unwrap();
    assert_eq!(value.text(), Some("va lue"));
    // A wrong number of arguments is found before anything happens, a wrong type while it does.
    let seed = parse_commands(b"SET x 1\nHSET h\n").unwrap();
    let error = seed_live(&server.at(0), &seed).await.unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
    assert_eq!(run(&mut live, "EXISTS x").await, Reply::Integer(0));
    let seed = parse_commands(b"SET x 1\nLPUSH h secret\n").unwrap();
    let error = seed_live(&server.at(0), &seed).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Partial);
    assert!(!error.to_string().contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_differ_stay() {
    let (from, to) = (Server::start(&[]).await, Server::start(&[]).await);
    let mut source = from.connect(0).await;
    let one = b"#!lua name=one\nredis.register_function('f', function() return 1 end)";
    let two = b"#!lua name=one\nredis.register_function('f', function() return 2 end)";
    source.run("FUNCTION", &[b"FUNCTION", b"LOAD", one]).await.unwrap();
    let mut target = to.connect(0).await;
    target.run("FUNCTION", &[b"FUNCTION", b"LOAD", two]).await.unwrap();
    let (summary, blocks) = snapshot(&from.at(0), unruled()).await.unwrap();
    assert_eq!((summary.keys, summary.functions), (0, 1));
    let (_, report) = load(&to.at(0), "a", blocks, Expiry::Absolute).await.unwrap();
    assert_eq!(report.functions_loaded, 0);
    assert!(report.remarks.iter().any(|remark| remark.contains("`one`")), "{report:?}");
    assert_eq!(run(&mut target, "FCALL f 0").await, Reply::Integer(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shared_server_is_read_too() {
    let url = std::env::var("PFDATA_TEST_REDIS_URL").expect("PFDATA_TEST_REDIS_URL must be set");
    let url = url::Url::parse(&url).unwrap();
    let server = Server::start(&[]).await;
    let mut endpoint = server.at(8);
    endpoint.host = url.host_str().unwrap().to_owned();
    endpoint.port = url.port().unwrap_or(6379);
    endpoint.spare_db = Some(9);
    let mut live = Connection::open_at(&endpoint, 8).await.unwrap();
    run(&mut live, "FLUSHDB").await;
    run(&mut live, "SET a 1").await;
    let (summary, blocks) = snapshot(&endpoint, unruled()).await.unwrap();
    assert_eq!(summary.keys, 1);
    let (mut target, _) = load(&endpoint, "a", blocks, Expiry::Absolute).await.unwrap();
    assert_eq!(target.spare(), 9);
    target.verify(true).await.unwrap();
    target.swap().await.unwrap();
    target.drop_previous().await.unwrap();
    run(&mut live, "FLUSHDB").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_while_it_is_read_is_an_error() {
    let mut server = Server::start(&["--rdb-key-save-delay", "2000"]).await;
    let mut source = server.connect(0).await;
    run(&mut source, "DEBUG POPULATE 20000 k 1000").await;
    let endpoint = server.at(0);
    let reading = tokio::spawn(async move { snapshot(&endpoint, unruled()).await });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    server.child.kill().unwrap();
    let outcome: std::result::Result<_, Error> = reading.await.unwrap().map(|_| ());
    assert!(outcome.is_err());
}

/// Runs openssl in `dir`.
fn openssl(dir: &std::path::Path, arguments: &str) {
    let done = std::process::Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(dir)
        .output()
        .expect("openssl must be on PATH");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(dir.path(), &format!("{new} -subj /CN=authority -keyout ca.key -out ca.pem"));
    openssl(dir.path(), &format!("{new} -subj /CN=other -keyout other.key -out other.pem"));
    std::fs::write(dir.path().join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
    let request = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=redis";
    openssl(dir.path(), &format!("{request} -keyout redis.key -out redis.csr"));
    let sign = "x509 -req -days 2 -in redis.csr -CA ca.pem -CAkey ca.key -CAcreateserial";
    openssl(dir.path(), &format!("{sign} -extfile names -out redis.pem"));
    let tls_port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let server = Server::start(&[
        "--tls-port",
        &tls_port.to_string(),
        "--tls-cert-file",
        &path("redis.pem"),
        "--tls-key-file",
        &path("redis.key"),
        "--tls-ca-cert-file",
        &path("ca.pem"),
        "--tls-auth-clients",
        "no",
    ])
    .await;
    let mut endpoint = server.at(0);
    endpoint.port = tls_port;
    endpoint.tls.required = true;
    endpoint.tls.verify = true;
    endpoint.tls.ca = Some(dir.path().join("ca.pem"));
    run(&mut server.connect(0).await, "SET a 1").await;
    let (summary, blocks) = snapshot(&endpoint, unruled()).await.unwrap();
    assert_eq!(summary.keys, 1);
    let (mut target, _) = load(&endpoint, "a", blocks, Expiry::Absolute).await.unwrap();
    target.verify(true).await.unwrap();
    endpoint.tls.tls13_only = true;
    Connection::open(&endpoint).await.unwrap();
    endpoint.tls.ca = Some(dir.path().join("other.pem"));
    assert_eq!(Connection::open(&endpoint).await.unwrap_err().kind(), Kind::Unreachable);
    endpoint.tls.ca = Some(dir.path().join("absent.pem"));
    assert_eq!(Connection::open(&endpoint).await.unwrap_err().kind(), Kind::Usage);
    endpoint.tls.verify = false;
    Connection::open(&endpoint).await.unwrap();
    // A server that speaks in the clear is not spoken to.
    endpoint.port = server.port;
    assert_eq!(Connection::open(&endpoint).await.unwrap_err().kind(), Kind::Unreachable);
}

/// Puts a marker and a key into an index that no job of the test has loaded.
async fn mark(server: &Server, index: u32, live: u32, job: &str, state: &str) {
    let mut connection = server.connect(index).await;
    let marker = format!(
        "{{\"environment\":\"test\",\"live\":{live},\"job\":\"{job}\",\"state\":\"{state}\"}}"
    );
    connection.run("SET", &[b"SET", b"pfdata:owner", marker.as_bytes()]).await.unwrap();
    run(&mut connection, &format!("SET which {index}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_marked_indexes_the_right_one_is_taken() {
    let server = Server::start(&[]).await;
    let mut endpoint = server.at(0);
    let (older, newer) = ("20260101T000000.000Z-ffffff", "20260102T000000.000Z-000000");
    mark(&server, 5, 0, newer, "previous").await;
    mark(&server, 7, 0, older, "previous").await;
    mark(&server, 9, 1, "20270101T000000.000Z-000000", "previous").await;
    mark(&server, 11, 0, "20270101T000000.000Z-000000", "loading").await;
    run(&mut server.connect(12).await, "SET pfdata:owner someone").await;
    run(&mut server.connect(13).await, "RPUSH pfdata:owner someone").await;
    let kept = async |endpoint: &_| previous(endpoint, "test").await;
    assert_eq!(kept(&endpoint).await.unwrap().unwrap().index, 5);
    assert_eq!(state(&endpoint, "test").await.unwrap().unwrap().index, 11);
    // The index that a job recorded is that one and no other, whatever else is marked.
    assert_eq!(at(&endpoint, "test", 7).await.unwrap().unwrap().marker.job, older);
    for foreign in [0, 9, 12, 13, 15] {
        assert_eq!(at(&endpoint, "test", foreign).await.unwrap(), None, "{foreign}");
        let target = Target::attach_to(foreign, &endpoint, "test", older).await.unwrap();
        assert!(target.is_none(), "{foreign}");
    }
    let mut target = Target::attach_to(7, &endpoint, "test", older).await.unwrap().unwrap();
    target.swap_back(Back::Rollback).await.unwrap();
    assert_eq!(target.spare(), 7);
    // What another environment names is not ours.
    endpoint.taken = vec![5];
    assert_eq!(kept(&endpoint).await.unwrap().unwrap().index, 7);
    endpoint.taken = vec![5, 7];
    assert_eq!(kept(&endpoint).await.unwrap(), None);
    // Of two jobs whose order is not known neither is guessed.
    endpoint.taken = Vec::new();
    mark(&server, 6, 0, "by-hand", "previous").await;
    let error = kept(&endpoint).await.unwrap_err().to_string();
    assert!(error.contains("by-hand") && error.contains(newer), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_leaves_no_index_marked_but_its_own() {
    let server = Server::start(&[]).await;
    let mut endpoint = server.at(0);
    for (index, state) in [(4, "previous"), (5, "loading"), (6, "loaded"), (8, "previous")] {
        mark(&server, index, 0, "20260101T000000.000Z-000000", state).await;
    }
    mark(&server, 10, 1, "20260101T000000.000Z-000000", "previous").await;
    run(&mut server.connect(12).await, "SET pfdata:owner someone").await;
    endpoint.spare_db = Some(14);
    endpoint.taken = vec![8];
    let mut target = Target::prepare(&endpoint, "test", "a").await.unwrap();
    assert_eq!(target.spare(), 14);
    for (index, keys) in [(4, 0), (5, 0), (6, 0), (8, 2), (10, 2), (12, 1), (14, 1)] {
        let found = run(&mut server.connect(index).await, "DBSIZE").await;
        assert_eq!(found, Reply::Integer(keys), "{index}");
    }
    // Clearing them does not lead the rest of the load astray.
    target.load(feed(Vec::new()), Expiry::Absolute).await.unwrap();
    target.run_commands(&parse_commands(b"SET a 1\n").unwrap()).await.unwrap();
    target.swap().await.unwrap();
    assert_eq!(run(&mut server.connect(0).await, "GET a").await.text(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_job_that_loaded_new_data_drops_it() {
    let server = Server::start(&[]).await;
    let endpoint = server.at(0);
    let spare = Target::prepare(&endpoint, "test", "failed").await.unwrap().spare();
    // The job has lost its lease meanwhile, and its successor loads into the same index.
    let mut successor = Target::prepare(&endpoint, "test", "successor").await.unwrap();
    assert_eq!(successor.spare(), spare);
    let failed = Target::attach_to(spare, &endpoint, "test", "failed").await.unwrap().unwrap();
    let error = failed.drop_new().await.unwrap_err();
    assert!(error.to_string().contains("successor"), "{error}");
    successor.load(feed(Vec::new()), Expiry::Absolute).await.unwrap();
    successor.drop_new().await.unwrap();
    assert_eq!(state(&endpoint, "test").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_that_cannot_be_read_is_not_a_marker_that_is_missing() {
    let server = Server::start(&["--loading-process-events-interval-bytes", "1024"]).await;
    let mut admin = server.connect(0).await;
    let mut endpoint = server.at(0);
    mark(&server, 9, 0, "20260101T000000.000Z-000000", "previous").await;
    run(&mut admin, "ACL SETUSER writer on >pw ~* +@all -get").await;
    endpoint.username = Some("writer".to_owned());
    endpoint.password = Some(pfdata::config::secret::Secret::new("pw"));
    let error = previous(&endpoint, "test").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.to_string().contains("NOPERM"), "{error}");
    assert!(at(&endpoint, "test", 9).await.is_err());
    assert!(Target::prepare(&endpoint, "test", "a").await.is_err());
    assert_eq!(run(&mut server.connect(9).await, "DBSIZE").await, Reply::Integer(2));

    // A server that has been started again and has not read its file yet.
    let endpoint = server.at(0);
    run(&mut admin, "DEBUG POPULATE 3000 k 100").await;
    run(&mut admin, "CONFIG SET key-load-delay 500").await;
    let loading = tokio::spawn(async move { run(&mut admin, "DEBUG RELOAD").await });
    let mut refused = 0;
    while !loading.is_finished() {
        match previous(&endpoint, "test").await {
            Ok(kept) => assert_eq!(kept.unwrap().index, 9),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Unreachable, "{error}");
                assert_eq!(
                    at(&endpoint, "test", 9).await.err().map(|error| error.kind()),
                    Some(Kind::Unreachable)
                );
                refused += 1;
                break;
            }
        }
    }
    loading.await.unwrap();
    assert_eq!(refused, 1, "the server was never seen loading");
    assert_eq!(previous(&endpoint, "test").await.unwrap().unwrap().index, 9);
}
