//! Refused connections, and `pfdata check`.

use std::time::Duration;

use pfdata::config::secret::Secret;
use pfdata::error::Kind;
use pfdata::store::postgres::check::check;
use pfdata::store::postgres::connect::connect;

use crate::{Scratch, endpoint};

#[tokio::test]
async fn a_server_that_is_down_or_silent_is_unreachable_in_time() {
    let mut down = endpoint("x");
    down.port = 1;
    let error = connect(&down, None).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.to_string().contains(":1/x") && error.hint_text().is_some(), "{error}");

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut endpoint = endpoint("x");
    endpoint.host = "127.0.0.1".to_owned();
    endpoint.port = silent.local_addr().unwrap().port();
    endpoint.connect_timeout = Duration::from_millis(300);
    let error = connect(&endpoint, None).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.to_string().contains("did not answer"), "{error}");
}

#[tokio::test]
async fn a_missing_database_or_role_is_named_and_a_password_is_not() {
    let mut endpoint = endpoint("pfdata_room_pg_no_such_database");
    endpoint.password = Some(Secret::new("hunter2"));
    let error = connect(&endpoint, None).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.to_string().contains("pfdata_room_pg_no_such_database"), "{error}");
    endpoint.username = "pfdata_room_pg_nobody".to_owned();
    let error = connect(&endpoint, None).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.hint_text().is_some_and(|hint| hint.contains("pfdata_room_pg_nobody")));
    assert!(!format!("{error} {error:?} {endpoint:?}").contains("hunter2"));
}

#[tokio::test]
async fn tls_that_is_required_is_never_given_up() {
    let mut endpoint = endpoint("postgres");
    endpoint.tls.required = true;
    let off = crate::value(&crate::admin().await, "SHOW ssl").await == "off";
    if off {
        let error = connect(&endpoint, None).await.err().unwrap();
        assert_eq!(error.kind(), Kind::Unreachable);
    } else {
        connect(&endpoint, None).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_role_lacks_is_found() {
    let mut scratch = Scratch::new(
        "CREATE TABLE public.open (); CREATE TABLE public.closed ();
         CREATE TABLE public.guarded (); ALTER TABLE public.guarded ENABLE ROW LEVEL SECURITY",
    )
    .await;
    let findings = check(&scratch.endpoint, true).await;
    assert!(findings.iter().all(|finding| finding.ok), "{findings:?}");
    let role = scratch
        .role(
            "checker",
            "CREATE ROLE {role} LOGIN; GRANT SELECT ON public.open, public.guarded TO {role}",
        )
        .await;
    let mut endpoint = scratch.endpoint.clone();
    endpoint.username = role.clone();
    let findings = check(&endpoint, true).await;
    let bad: Vec<&str> = findings.iter().filter(|f| !f.ok).map(|f| f.what.as_str()).collect();
    assert_eq!(bad, ["reading", "create database", "end sessions", "rename database"]);
    let detail = &findings.iter().find(|finding| finding.what == "reading").unwrap().detail;
    assert!(detail.contains("public.closed (no select)"), "{detail}");
    assert!(detail.contains("public.guarded (row security)"), "{detail}");
    assert!(!detail.contains("public.open"), "{detail}");
    scratch.run(&format!("DROP OWNED BY {role}")).await;

    let absent = Scratch::absent();
    assert!(!check(&absent.endpoint, false).await[0].ok);
    assert!(check(&absent.endpoint, true).await[0].ok);
}
