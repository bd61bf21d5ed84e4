//! The swap under load, with sessions in the way, and after crashes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pfdata::error::Kind;
use pfdata::store::postgres::connect::connect;
use pfdata::store::postgres::{Target, swap};

use crate::{Carried, Scratch, admin, value};

/// A source with one row, and the target that has it loaded, not swapped.
async fn loaded(target: &Scratch, label: &str) -> Target {
    let source =
        Scratch::new(&format!("CREATE TABLE public.who AS SELECT '{label}' AS name")).await;
    let carried = Carried::from(&source.endpoint).await;
    let loaded = Target::prepare(&target.endpoint, carried.options()).await.unwrap();
    carried.load(&loaded).await;
    carried.source.finish().await.unwrap();
    loaded
}

const WHO: &str = "SELECT name FROM public.who";

#[tokio::test]
async fn swap_keeps_the_previous_data_and_swap_back_returns_it() {
    let target = Scratch::absent();
    loaded(&target, "one").await;
    let before = swap::state(&target.endpoint).await.unwrap();
    assert!(before.live.is_none() && before.new.is_some());
    let report = swap::swap(&target.endpoint).await.unwrap();
    assert!(!report.has_previous);
    let first = swap::state(&target.endpoint).await.unwrap();
    assert_eq!((first.live, first.new, first.previous), (before.new, None, None));

    loaded(&target, "two").await;
    assert_eq!(target.value(WHO).await, "one");
    assert!(swap::swap(&target.endpoint).await.unwrap().has_previous);
    let second = swap::state(&target.endpoint).await.unwrap();
    assert_eq!(second.previous, first.live);
    assert_eq!(target.value(WHO).await, "two");
    let sizes = swap::sizes(&target.endpoint).await.unwrap();
    assert!(sizes.live.unwrap() > 1_000_000 && sizes.previous.is_some() && sizes.new.is_none());

    swap::swap_back(&target.endpoint, false).await.unwrap();
    assert_eq!(target.value(WHO).await, "one");
    swap::swap_back(&target.endpoint, true).await.unwrap();
    assert_eq!(target.value(WHO).await, "two");
    let state = swap::state(&target.endpoint).await.unwrap();
    assert_eq!((state.live, state.previous, state.new), (second.live, None, None));
    let error = swap::swap_back(&target.endpoint, false).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);

    loaded(&target, "three").await;
    swap::swap(&target.endpoint).await.unwrap();
    loaded(&target, "four").await;
    assert!(swap::swap(&target.endpoint).await.is_err());
    assert_eq!(target.value(WHO).await, "three");
    swap::drop_previous(&target.endpoint).await.unwrap();
    swap::swap(&target.endpoint).await.unwrap();
    swap::undo(&target.endpoint, true).await.unwrap();
    assert_eq!(target.value(WHO).await, "three");
    swap::undo(&target.endpoint, false).await.unwrap();
    assert!(swap::state(&target.endpoint).await.unwrap().live.is_none());
}

#[tokio::test]
async fn clients_see_the_old_or_the_new_data_and_nothing_else() {
    let target = Scratch::absent();
    loaded(&target, "old").await;
    swap::swap(&target.endpoint).await.unwrap();
    loaded(&target, "new").await;
    let idle = connect(&target.endpoint, None).await.unwrap();
    idle.batch_execute("BEGIN; INSERT INTO public.who VALUES ('lost')").await.unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let mut pingers = Vec::new();
    for _ in 0..4 {
        let (endpoint, stop) = (target.endpoint.clone(), Arc::clone(&stop));
        pingers.push(tokio::spawn(async move {
            let (mut seen, mut reconnects) = (Vec::new(), 0_u32);
            let mut client = None;
            while !stop.load(Ordering::Relaxed) {
                let session = match client.take() {
                    Some(session) => session,
                    None => match connect(&endpoint, None).await {
                        Ok(session) => session,
                        // The one moment in which a waiting login finds the name renamed.
                        Err(error) => {
                            assert_eq!(error.kind(), Kind::Unreachable, "{error}");
                            reconnects += 1;
                            continue;
                        }
                    },
                };
                match session.query_one(WHO, &[]).await {
                    Ok(row) => {
                        let name: String = row.get(0);
                        if seen.last() != Some(&name) {
                            seen.push(name);
                        }
                        client = Some(session);
                    }
                    Err(error) => {
                        let code = error.code().map(|code| code.code().to_owned());
                        let ended = code.as_deref().is_none_or(|code| code.starts_with("57P"));
                        assert!(ended, "{error}");
                        reconnects += 1;
                    }
                }
            }
            (seen, reconnects)
        }));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let report = swap::swap(&target.endpoint).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    for pinger in pingers {
        let (seen, reconnects) = pinger.await.unwrap();
        assert_eq!(seen, ["old", "new"], "after {reconnects} reconnects");
        assert!(reconnects < 50, "{reconnects}");
    }
    assert!(report.terminated > 0 && report.blocked_ms < 3000, "{report:?}");
    assert!(idle.batch_execute("COMMIT").await.is_err());
    assert_eq!(target.value("SELECT count(*) FROM public.who").await, "1");
}

#[tokio::test]
async fn a_swap_that_cannot_happen_changes_nothing() {
    let target = Scratch::new("CREATE TABLE public.who AS SELECT 'live' AS name").await;
    let error = swap::swap(&target.endpoint).await.unwrap_err();
    assert!(error.to_string().contains("no database"), "{error}");
    loaded(&target, "new").await;
    let before = swap::state(&target.endpoint).await.unwrap();
    // Where the server allows it, a transaction that no session holds is in the way.
    if value(&admin().await, "SHOW max_prepared_transactions").await != "0" {
        target.run("BEGIN; INSERT INTO public.who VALUES ('x'); PREPARE TRANSACTION 'p'").await;
        let error = swap::swap(&target.endpoint).await.unwrap_err();
        assert!(error.to_string().contains("prepared"), "{error}");
        target.run("ROLLBACK PREPARED 'p'").await;
    }
    assert_eq!(swap::state(&target.endpoint).await.unwrap(), before);
    assert_eq!(target.value(WHO).await, "live");
}

#[tokio::test]
async fn what_a_crash_left_is_dropped_by_the_next_job() {
    let target = Scratch::absent();
    let half = loaded(&target, "half").await;
    drop(half);
    let first = swap::state(&target.endpoint).await.unwrap();
    let again = loaded(&target, "whole").await;
    let second = swap::state(&target.endpoint).await.unwrap();
    assert_ne!(first.new, second.new);
    drop(again);
    swap::swap(&target.endpoint).await.unwrap();
    assert_eq!(target.value(WHO).await, "whole");
    swap::drop_new(&target.endpoint).await.unwrap();
    swap::drop_previous(&target.endpoint).await.unwrap();
}

#[tokio::test]
async fn a_role_that_is_no_superuser_can_refresh() {
    let source = Scratch::new(
        "CREATE TABLE public.who AS SELECT 'one' AS name; CREATE SCHEMA app;
         CREATE TABLE app.t (id serial PRIMARY KEY, who text); CREATE INDEX ON app.t (who);
         COMMENT ON TABLE app.t IS 'x'; SELECT lo_from_bytea(0, 'abc')",
    )
    .await;
    let carried = Carried::from(&source.endpoint).await;
    let maintenance = Scratch::new("").await;
    let mut target = Scratch::absent();
    let role = format!("{}_plain", target.name());
    maintenance.run(&format!("CREATE ROLE \"{role}\" LOGIN CREATEDB")).await;
    target.endpoint.username = role.clone();
    for round in 0..2 {
        let loaded = Target::prepare(&target.endpoint, carried.options()).await.unwrap();
        carried.load(&loaded).await;
        assert!(loaded.remarks().is_empty(), "{:?}", loaded.remarks());
        let report = swap::swap(&target.endpoint).await.unwrap();
        assert_eq!(report.has_previous, round == 1);
        assert_eq!(target.value(WHO).await, "one");
    }
    swap::drop_previous(&target.endpoint).await.unwrap();
    target.client().await.batch_execute("SELECT 1").await.unwrap();
    admin()
        .await
        .batch_execute(&format!("DROP DATABASE \"{}\" WITH (FORCE)", target.name()))
        .await
        .unwrap();
    admin().await.batch_execute(&format!("DROP ROLE \"{role}\"")).await.unwrap();
}
