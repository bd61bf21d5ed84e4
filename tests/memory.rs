//! Memory does not grow with the data: ten times the rows, documents and one key's elements are
//! read and loaded within the same bounds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

mod common;

use std::process::Stdio;

use common::World;
use mongodb::bson::doc;

/// The most memory that the command held, in KiB, as the kernel counted it.
fn peak(world: &World, arguments: &[&str]) -> u64 {
    let mut child =
        world.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        if let Ok(text) = std::fs::read_to_string(&status) {
            let line = text.lines().find(|line| line.starts_with("VmHWM"));
            let number = line.and_then(|line| line.split_whitespace().nth(1));
            peak = peak.max(number.and_then(|number| number.parse().ok()).unwrap_or(0));
        }
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    let mut stderr = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut stderr).unwrap();
    assert!(ended.success(), "{stderr}");
    peak
}

/// One table, one collection and one list grow by `times`.
fn grow(world: &World, times: u32) {
    world.sql(
        "prod",
        &format!(
            "DROP TABLE IF EXISTS big; CREATE TABLE big AS
         SELECT n AS id, repeat(md5(n::text), 8) AS filler FROM generate_series(1, {}) n",
            times * 40_000
        ),
    );
    let big = world.collection("prod", "big");
    world.wait(async {
        big.drop().await.unwrap();
        for batch in 0..times {
            let document =
                |n: u32| doc! { "_id": i64::from(batch * 10_000 + n), "filler": "x".repeat(1_000) };
            big.insert_many((0..10_000).map(document)).await.unwrap();
        }
    });
    let pushes = "RPUSH big:list ".to_owned() + &"0123456789abcdef ".repeat(1_000) + "\n";
    world.redis(
        0,
        &("DEL big:list\n".to_owned() + &pushes.repeat(usize::try_from(times).unwrap() * 300)),
    );
}

#[test]
fn ten_times_the_data_needs_no_more_memory() {
    let world = World::new(10);
    let rules = format!(
        "{}\n[postgres.\"public.big\"]\nid = \"keep\"\nfiller = {{ use = \"hash\" }}\n\
         [mongodb.big]\n_id = \"keep\"\nfiller = \"redact\"\n[redis.\"big:*\"]\nlist = \"redact\"\n",
        common::RULES
    );
    std::fs::write(world.path("anonymizers/people.toml"), rules).unwrap();
    let mut peaks = Vec::new();
    for times in [1, 10] {
        grow(&world, times);
        let snapshot = peak(&world, &["snapshot", "production"]);
        let refresh = peak(&world, &["refresh", "development", "--confirm", "development"]);
        peaks.push((snapshot, refresh));
        let rows = world.sql("dev", "SELECT count(*) FROM big");
        assert_eq!(rows, (times * 40_000).to_string());
    }
    let ((snapshot, refresh), (snapshot10, refresh10)) = (peaks[0], peaks[1]);
    for (what, one, ten) in [("snapshot", snapshot, snapshot10), ("refresh", refresh, refresh10)] {
        assert!(ten < 128 << 10, "{what}: {ten} KiB");
        assert!(ten < one + (40 << 10), "{what}: {one} KiB, at ten times the data {ten} KiB");
    }
}
