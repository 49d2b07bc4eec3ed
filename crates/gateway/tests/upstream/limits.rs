//! Time limits, places, and a server that is left alone when it fails.

use std::time::{Duration, Instant};

use sentinel_gateway::upstream::{EraChoice, Spec, State, Transport, connect};
use serde_json::json;

use crate::support::{Client, Fixture, eventually, is_alive, list, result, run, text, tool};

#[tokio::test]
async fn a_call_ends_at_its_limit_whatever_progress_it_reports() {
    let fixture = Fixture::new(&[]).with(|spec| spec.limits.call = Duration::from_millis(1500));
    let upstream = fixture.connect();
    upstream.server().await.unwrap();
    let mut asked = tool("sleep", json!({"seconds": 3}));
    asked.params.insert("_meta".to_owned(), json!({"progressToken": 1}));
    let failure = run(&upstream, asked).await.unwrap_err();
    assert_eq!((failure.code, failure.may_have_run), ("upstream_timeout", true));
    fixture.wait_for("cancelled").await;
    // The late answer goes to no other call.
    fixture.wait_for("slept").await;
    assert_eq!(text(run(&upstream, tool("echo", json!({}))).await), "{}");
}

#[tokio::test]
async fn a_child_that_gives_no_list_is_started_again() {
    let fixture = Fixture::new(&["list=silent"]).with(|spec| {
        spec.era = EraChoice::Legacy;
        spec.limits.list = Duration::from_millis(1500);
    });
    let upstream = fixture.connect();
    text(run(&upstream, tool("echo", json!({}))).await);
    let first = fixture.children()[0];
    assert_eq!(run(&upstream, list()).await.unwrap_err().code, "upstream_timeout");
    eventually(|| !is_alive(first)).await;
    assert_eq!(text(run(&upstream, tool("echo", json!({}))).await), "{}");
    assert_eq!(fixture.children().len(), 2);
}

#[tokio::test]
async fn calls_wait_for_a_place_and_lists_do_not_wait_for_calls() {
    let fixture = Fixture::new(&[]).with(|spec| {
        spec.limits.calls = 1;
        spec.limits.wait = Duration::from_millis(300);
    });
    let upstream = fixture.connect();
    text(run(&upstream, tool("echo", json!({}))).await);
    let (slept, (busy, listed)) =
        tokio::join!(run(&upstream, tool("sleep", json!({"seconds": 2}))), async {
            fixture.wait_for("call sleep").await;
            assert_eq!(upstream.status().in_flight, 1);
            let busy = run(&upstream, tool("echo", json!({}))).await;
            (busy, run(&upstream, list()).await)
        });
    let busy = busy.unwrap_err();
    assert_eq!((busy.code, busy.may_have_run), ("upstream_busy", false));
    result(listed);
    assert_eq!(text(slept), "slept");
    assert_eq!(text(run(&upstream, tool("echo", json!({}))).await), "{}");
}

#[tokio::test]
async fn a_server_that_fails_is_left_alone_for_a_while() {
    let fixture = Fixture::new(&["start=exit"]).with(|spec| {
        spec.era = EraChoice::Legacy;
        spec.limits.pause = (Duration::from_secs(2), Duration::from_secs(2));
    });
    let upstream = fixture.connect();
    for _ in 0..3 {
        let failure = upstream.server().await.unwrap_err();
        assert_eq!((failure.code, failure.may_have_run), ("upstream_unavailable", false));
    }
    assert_eq!(upstream.status().state, State::Paused);
    let since = Instant::now();
    for _ in 0..20 {
        upstream.server().await.unwrap_err();
    }
    assert!(since.elapsed() < Duration::from_secs(1), "it is not waited for");
    assert_eq!(fixture.children().len(), 3, "and not started");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    upstream.server().await.unwrap_err();
    assert_eq!(fixture.children().len(), 4, "after the pause it is tried once");
    upstream.server().await.unwrap_err();
    assert_eq!(fixture.children().len(), 4);
}

#[tokio::test]
async fn those_who_need_it_at_once_wait_for_one_start() {
    let fixture = Fixture::new(&[]).with(|spec| spec.era = EraChoice::Legacy);
    let upstream = fixture.connect();
    let calls = (0..10).map(|_| run(&upstream, tool("echo", json!({}))));
    for reply in futures::future::join_all(calls).await {
        assert_eq!(text(reply), "{}");
    }
    assert_eq!(fixture.children().len(), 1);
}

#[tokio::test]
async fn a_client_that_gives_up_does_not_break_off_the_start() {
    let fixture = Fixture::new(&[]).with(|spec| spec.era = EraChoice::Legacy);
    let upstream = fixture.connect();
    let client = Client::default();
    client.gone.cancel();
    let failure = upstream.request(tool("echo", json!({})), &client).await.unwrap_err();
    assert_eq!((failure.code, failure.may_have_run), ("cancelled", false));
    upstream.server().await.unwrap();
    assert_eq!(fixture.children().len(), 1);
    assert_eq!(fixture.count("call"), 0);
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_a_failure() {
    for command in [vec![], vec!["/no/such/command".to_owned()]] {
        let upstream = connect(Spec::new("x", Transport::Stdio { command, env: Vec::new() }));
        let failure = run(&upstream, tool("echo", json!({}))).await.unwrap_err();
        assert_eq!((failure.code, failure.may_have_run), ("upstream_unavailable", false));
        assert!(upstream.status().last_error.is_some());
    }
}

#[tokio::test]
async fn a_start_ends_at_its_limit() {
    let command = ["sleep", "100"].map(str::to_owned).to_vec();
    let mut spec = Spec::new("x", Transport::Stdio { command, env: Vec::new() });
    spec.limits.start = Duration::from_millis(300);
    spec.era = EraChoice::Legacy;
    let failure = connect(spec).server().await.unwrap_err();
    assert_eq!((failure.code, failure.may_have_run), ("upstream_timeout", false));
}
