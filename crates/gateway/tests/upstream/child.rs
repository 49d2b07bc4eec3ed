//! Servers that are child processes: what they say before, beside and instead of a response.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sentinel_gateway::authority::Grant;
use sentinel_gateway::upstream::{Outbound, Reply, Secret, State, Transport};
use serde_json::{Value, json};

use crate::support::{
    Client, Fixture, Permit, eventually, is_alive, list, object, result, run, text, tool,
    with_permit,
};

#[tokio::test]
async fn nothing_starts_before_it_is_used() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(upstream.status().state, State::Idle);
    assert!(fixture.log().is_empty());

    let server = upstream.server().await.unwrap();
    assert_eq!(server.info["name"], "fixture");
    assert_eq!(server.instructions.as_deref(), Some("be careful"));
    let status = upstream.status();
    assert_eq!((status.state, status.version.as_deref()), (State::Up, Some("2025-11-25")));
    upstream.close().await;
    assert_eq!(upstream.status().state, State::Closed);
    assert!(!is_alive(*fixture.children().last().unwrap()));
    assert_eq!(run(&upstream, list()).await.unwrap_err().code, "upstream_unavailable");
}

#[tokio::test]
async fn what_is_unknown_is_kept_and_the_result_is_modern() {
    let fixture = Fixture::new(&["banner=1"]);
    let upstream = fixture.connect();
    let echoed = result(run(&upstream, tool("echo", json!({"a": [1, 2.5, null]}))).await);
    assert_eq!(echoed["content"][0]["text"], r#"{"a": [1, 2.5, null]}"#);
    assert_eq!(echoed["echoed"], json!({"unknown": [1, {"kept": true}]}));
    assert_eq!(echoed["resultType"], "complete");
    let tools = result(run(&upstream, list()).await);
    assert_eq!((&tools["ttlMs"], &tools["cacheScope"]), (&json!(0), &json!("private")));
}

#[tokio::test]
async fn junk_on_stdout_is_counted_and_never_responded_to() {
    let fixture = Fixture::new(&["banner=1"]);
    let upstream = fixture.connect();
    assert_eq!(text(run(&upstream, tool("junk", json!({}))).await), "after junk");
    assert_eq!(upstream.status().dropped, 6);
    assert_eq!(text(run(&upstream, tool("echo", json!({}))).await), "{}");
}

#[tokio::test]
async fn the_first_of_two_answers_counts_and_unasked_ones_are_dropped() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    assert_eq!(text(run(&upstream, tool("twice", json!({}))).await), "first");
    assert_eq!(text(run(&upstream, tool("unasked", json!({}))).await), "done");
    assert_eq!(text(run(&upstream, tool("echo", json!({}))).await), "{}");
    assert_eq!(upstream.status().dropped, 3);
}

#[tokio::test]
async fn a_malformed_response_fails_its_request_at_once() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    let failure = run(&upstream, tool("malformed", json!({}))).await.unwrap_err();
    assert_eq!((failure.code, failure.may_have_run), ("upstream_protocol", true));
    assert_eq!(text(run(&upstream, tool("echo", json!({}))).await), "{}");
}

#[tokio::test]
async fn a_response_that_is_too_large_fails_its_request_only() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    let large = run(&upstream, tool("big", json!({"bytes": 5_000_000}))).await.unwrap_err();
    assert_eq!((large.code, large.may_have_run), ("upstream_protocol", true));
    assert_eq!(
        text(run(&upstream, tool("big", json!({"bytes": 3_000_000}))).await).len(),
        3_000_000
    );
    assert_eq!(fixture.children().len(), 2, "one for each era that was tried, and no further");
}

#[tokio::test]
async fn a_message_may_be_as_large_as_is_said() {
    let fixture = Fixture::new(&[]).with(|spec| spec.limits.message = 100_000);
    let upstream = fixture.connect();
    let large = run(&upstream, tool("big", json!({"bytes": 110_000}))).await.unwrap_err();
    assert_eq!((large.code, large.may_have_run), ("upstream_protocol", true));
    assert_eq!(text(run(&upstream, tool("big", json!({"bytes": 90_000}))).await).len(), 90_000);
    let larger = Fixture::new(&[]).with(|spec| spec.limits.message = 8 << 20);
    let upstream = larger.connect();
    let big = text(run(&upstream, tool("big", json!({"bytes": 5_000_000}))).await);
    assert_eq!(big.len(), 5_000_000);
}

#[tokio::test]
async fn a_child_that_is_started_again_is_told_the_level_of_its_log() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    let level = Outbound {
        method: "logging/setLevel".to_owned(),
        params: object(json!({"level": "debug"})),
        grant: Grant::lifecycle(),
    };
    result(run(&upstream, level).await);
    assert_eq!(fixture.count("level debug"), 1);
    run(&upstream, tool("exit", json!({}))).await.unwrap_err();
    assert_eq!(text(run(&upstream, tool("echo", json!({}))).await), "{}");
    eventually(|| fixture.count("level debug") == 2).await;
}

#[tokio::test]
async fn many_requests_at_once_get_their_own_answers() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    let calls = (0..100).map(|number| {
        let upstream = std::sync::Arc::clone(&upstream);
        tokio::spawn(async move {
            let answer = text(run(&upstream, tool("echo", json!({ "n": number }))).await);
            assert_eq!(answer, format!(r#"{{"n": {number}}}"#));
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn progress_has_a_token_of_each_hop() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    let client = Client::default();
    let mut asked = tool("progress", json!({}));
    asked.params.insert("_meta".to_owned(), json!({"progressToken": "of the client"}));
    text(upstream.request(asked, &client).await);
    let heard = std::mem::take(&mut *client.heard.lock().unwrap());
    assert_eq!(heard.len(), 3);
    for (step, notification) in heard.iter().enumerate() {
        assert_eq!(notification.params["progressToken"], "of the client");
        assert_eq!(notification.params["progress"], step);
    }

    let mut asked = tool("meta", json!({}));
    let meta = json!({"progressToken": "of the client", "kept": 1, "io.modelcontextprotocol/x": 1});
    asked.params.insert("_meta".to_owned(), meta);
    let seen: Value = serde_json::from_str(&text(run(&upstream, asked).await)).unwrap();
    assert_eq!(seen["kept"], 1);
    assert!(seen["progressToken"].is_i64() && seen.get("io.modelcontextprotocol/x").is_none());

    // Nothing is passed on that was not asked for.
    text(upstream.request(tool("progress", json!({})), &client).await);
    assert!(client.heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn log_messages_reach_the_only_call() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    let client = Client::default();
    text(upstream.request(tool("log", json!({})), &client).await);
    assert_eq!(client.heard.lock().unwrap()[0].params["data"], "hello");
}

#[tokio::test]
async fn a_question_reaches_the_only_call_and_is_refused_when_there_are_two() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    let client = Client::default();
    client.responses.lock().unwrap().push_back(object(json!({"action": "accept"})));
    let answer = text(upstream.request(tool("ask", json!({})), &client).await);
    assert_eq!(answer, r#"{"action": "accept"}"#);
    assert_eq!(*client.asked.lock().unwrap(), ["elicitation/create"]);

    let other = Client::default();
    let sleeping = upstream.request(tool("sleep", json!({"seconds": 2})), &other);
    let asking = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        upstream.request(tool("ask", json!({})), &client).await
    };
    let (slept, asked) = tokio::join!(sleeping, asking);
    assert_eq!(text(slept), "slept");
    assert!(text(asked).contains("-32603"), "the question was refused");
    assert_eq!(client.asked.lock().unwrap().len(), 1, "neither client was asked");
    assert!(other.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_question_about_a_call_that_was_given_up_reaches_no_other_client() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    let (gone, other) = (Client::default(), Client::default());
    let late = tool("ask_late", json!({"seconds": 0.5, "reply": true}));
    let leaves = async {
        fixture.wait_for("call ask_late").await;
        gone.gone.cancel();
    };
    let (late, ()) = tokio::join!(upstream.request(late, &gone), leaves);
    assert_eq!(late.unwrap_err().code, "cancelled");
    text(upstream.request(tool("sleep", json!({"seconds": 1})), &other).await);
    assert!(fixture.log().iter().any(|line| line.starts_with("late") && line.contains("-32603")));
    assert!(other.asked.lock().unwrap().is_empty());
    // The server has responded to it by now: it asks no more.
    other.responses.lock().unwrap().push_back(object(json!({"action": "accept"})));
    let answer = text(upstream.request(tool("ask", json!({})), &other).await);
    assert_eq!(answer, r#"{"action": "accept"}"#);
}

#[tokio::test]
async fn a_server_can_only_ask_what_is_governed() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    let client = Client::default();
    assert!(text(upstream.request(tool("forbidden", json!({})), &client).await).contains("-32601"));
    assert!(client.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn news_are_told_and_other_notifications_are_not() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    let mut news = upstream.news();
    text(run(&upstream, tool("news", json!({}))).await);
    assert_eq!(news.recv().await.unwrap().method, "notifications/tools/list_changed");
    assert!(news.try_recv().is_err());
}

#[tokio::test]
async fn a_cancelled_call_is_cancelled_upstream_and_its_late_answer_dropped() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    text(run(&upstream, tool("echo", json!({}))).await);
    let client = Client::default();
    let gone = client.gone.clone();
    let call = upstream.request(tool("sleep", json!({"seconds": 1})), &client);
    let (failure, ()) = tokio::join!(call, async {
        fixture.wait_for("call sleep").await;
        gone.cancel();
    });
    let failure = failure.unwrap_err();
    assert_eq!((failure.code, failure.may_have_run), ("cancelled", true));
    fixture.wait_for("cancelled").await;
    fixture.wait_for("slept").await;
    eventually(|| upstream.status().dropped == 1).await;
    assert_eq!(text(run(&upstream, tool("echo", json!({}))).await), "{}");
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_too() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    let call = run(&upstream, tool("sleep", json!({"seconds": 30})));
    tokio::select! {
        _ = call => panic!("it cannot be over"),
        () = fixture.wait_for("call sleep") => {}
    }
    fixture.wait_for("cancelled").await;
}

#[tokio::test]
async fn a_withdrawn_call_ends_the_group_of_the_child_at_once() {
    let fixture = Fixture::new(&["terminate=ignore"]);
    let upstream = fixture.connect();
    let grandchild: i32 = text(run(&upstream, tool("child", json!({}))).await).parse().unwrap();
    let child = *fixture.children().last().unwrap();
    let (permit, other) = (Permit::default(), Permit::default());
    let killed = with_permit("sleep", json!({"seconds": 30}), &permit);
    let beside = with_permit("sleep", json!({"seconds": 30}), &other);
    let (killed, beside, elapsed) =
        tokio::join!(run(&upstream, killed), run(&upstream, beside), async {
            eventually(|| fixture.count("call sleep") == 2).await;
            let since = Instant::now();
            permit.kill();
            eventually(|| !is_alive(child) && !is_alive(grandchild)).await;
            since.elapsed()
        });
    let killed = killed.unwrap_err();
    assert_eq!((killed.code, killed.may_have_run), ("withdrawn", true));
    assert_eq!(killed.detail, "a test kills it");
    let beside = beside.unwrap_err();
    assert_eq!((beside.code, beside.may_have_run), ("upstream_unavailable", true));
    // The issue states a bound.
    assert!(elapsed < Duration::from_millis(100), "{elapsed:?}");
    assert_eq!(fixture.count("slept"), 0);

    // The next call starts another child, without a pause: the server did nothing wrong.
    let again: i32 = text(run(&upstream, tool("pid", json!({}))).await).parse().unwrap();
    assert_ne!(again, child);
    upstream.close().await;
    assert!(!is_alive(again), "it ignores both closed input and SIGTERM");
}

#[tokio::test]
async fn a_call_that_was_withdrawn_before_is_not_written() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    let permit = Permit::default();
    permit.kill();
    let failure = run(&upstream, with_permit("echo", json!({}), &permit)).await.unwrap_err();
    assert_eq!((failure.code, failure.may_have_run), ("withdrawn", false));
    text(run(&upstream, tool("pid", json!({}))).await);
    assert_eq!((fixture.count("call echo"), permit.starts.load(Ordering::SeqCst)), (0, 0));
}

#[tokio::test]
async fn a_child_that_ends_is_started_again_and_calls_are_not_repeated() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    let permit = Permit::default();
    let mut news = upstream.news();
    let failure = run(&upstream, with_permit("exit", json!({}), &permit)).await.unwrap_err();
    assert!(news.try_recv().is_err());
    assert_eq!((failure.code, failure.may_have_run), ("upstream_unavailable", true));
    assert_eq!(text(run(&upstream, tool("echo", json!({}))).await), "{}");
    assert_eq!((fixture.count("call exit"), permit.starts.load(Ordering::SeqCst)), (1, 1));
    // The other child may list something else.
    for what in ["tools", "prompts", "resources"] {
        let method = news.recv().await.unwrap().method;
        assert_eq!(method, format!("notifications/{what}/list_changed"));
    }
    let status = upstream.status();
    assert_eq!((status.state, status.restarts), (State::Up, 1));
    assert!(status.last_error.is_some());
    // The era is known by now, so the second time there is one child only.
    assert_eq!(fixture.children().len(), 3);
}

#[tokio::test]
async fn the_environment_is_what_is_configured() {
    let mut fixture = Fixture::new(&[]);
    if let Transport::Stdio { env, .. } = &mut fixture.spec.transport {
        env.push(("TOKEN".to_owned(), Secret::from("hunter2".to_owned())));
    }
    assert!(!format!("{:?}", fixture.spec).contains("hunter2"));
    let upstream = fixture.connect();
    let seen = text(run(&upstream, tool("environment", json!({}))).await);
    let seen: Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(seen["TOKEN"], "hunter2");
    assert!(seen.get("PATH").is_some());
    assert!(seen.get("CARGO_MANIFEST_DIR").is_none(), "cargo sets it for this process: {seen}");
    assert!(!format!("{upstream:?}").contains("hunter2"));
}

#[tokio::test]
async fn standard_error_is_drained_and_its_end_kept() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    for _ in 0..3 {
        assert_eq!(text(run(&upstream, tool("stderr", json!({}))).await), "written");
    }
    eventually(|| upstream.status().stderr.last().is_some_and(|line| line == "last line")).await;
    assert!(upstream.status().stderr.iter().all(|line| line.len() <= 400));
}

#[tokio::test]
async fn dropping_the_upstream_ends_the_child() {
    let fixture = Fixture::new(&["terminate=ignore"]);
    let upstream = fixture.connect();
    text(run(&upstream, tool("echo", json!({}))).await);
    let child = *fixture.children().last().unwrap();
    drop(upstream);
    eventually(|| !is_alive(child)).await;
}

/// The test runs itself as the gateway that is killed.
#[tokio::test]
async fn children_of_a_gateway_that_is_killed_end() {
    const LOG: &str = "LOG_OF_THE_KILLED_GATEWAY";
    if let Ok(log) = std::env::var(LOG) {
        let upstream = Fixture::logging_to(log.into(), &["terminate=ignore"]).connect();
        text(run(&upstream, tool("child", json!({}))).await);
        std::future::pending::<()>().await;
    }
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut gateway = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::children_of_a_gateway_that_is_killed_end"])
        .env(LOG, &log)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let fixture = Fixture::logging_to(log, &[]);
    fixture.wait_for("call child").await;
    let child = *fixture.children().last().unwrap();
    assert!(is_alive(child));
    // SIGKILL: nothing in it runs any more.
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    eventually(|| !is_alive(child)).await;
}

#[tokio::test]
async fn errors_of_the_server_are_replies() {
    let fixture = Fixture::new(&[]);
    let upstream = fixture.connect();
    match run(&upstream, tool("no such tool", json!({}))).await {
        Ok(Reply::Error(error)) => assert_eq!(error.code, -32602),
        other => panic!("{other:?}"),
    }
}
