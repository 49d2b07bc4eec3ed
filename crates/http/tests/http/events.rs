//! The event stream: the state first, every event after it, nothing of another tenant.

use std::time::Duration;

use reqwest::Method;
use sentinel_core::principal::Role;
use sentinel_ingress::Options;
use serde_json::{Value, json};

use crate::support::{App, Wanted};

const KILLS: &str = "/v1/events?types=kill_switch.*";

#[tokio::test]
async fn the_state_comes_first_and_kills_follow() {
    let app = App::seeded().await;
    app.kill(json!({"tenant_slug": "other", "reason": "before"})).await.ok();
    let mut listener = app.listen(&app.admin, "/v1/events", None).await;
    let headers = listener.response.headers().clone();
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-accel-buffering"], "no");
    let sync = listener.next().await.unwrap();
    assert_eq!(sync.name, "sync");
    assert_eq!(sync.data["gap"], false);
    assert_eq!(sync.data["kills"].as_array().unwrap().len(), 1);
    assert_eq!(sync.data["kills"][0]["reason"], "before");
    assert_eq!(sync.data["kills"][0]["tenant"], "other");

    let target = json!({"tenant_slug": "acme", "tool_name": "search", "reason": "drill"});
    let killed = app.kill(target).await.ok();
    let event = listener.next().await.unwrap();
    assert_eq!(event.name, "kill_switch.disabled");
    assert_eq!(event.data["event"], "kill_switch.disabled");
    assert_eq!(event.data["tenant"], "acme");
    assert_eq!(event.data["tool"], "search");
    assert_eq!(event.data["reason"], "drill");
    assert!(event.data["timestamp"].is_string());
    assert_eq!(event.data["metadata"]["kill_id"], killed["kill_id"]);
    assert!(event.data["metadata"]["epoch"].as_u64() > sync.data["epoch"].as_u64());

    app.check(json!({"arguments": {"password": "hunter2"}})).await.ok();
    let event = listener.next().await.unwrap();
    assert_eq!(event.name, "policy.check.deny");
    assert_eq!(event.data["metadata"]["code"], "killed");
    assert!(!event.data.to_string().contains("hunter2"));
}

#[tokio::test]
async fn a_stream_resumes_where_it_was() {
    let app = App::seeded().await;
    let mut listener = app.listen(&app.admin, KILLS, None).await;
    let sync = listener.next().await.unwrap();
    let start = sync.id.unwrap();
    drop(listener);
    for n in 0..3 {
        app.kill(json!({"agent": format!("a{n}"), "reason": format!("r{n}")})).await.ok();
    }
    let mut listener = app.listen(&app.admin, KILLS, Some(&start)).await;
    let sync = listener.next().await.unwrap();
    // The client's place must not move on before it has what it missed.
    assert_eq!((sync.id.as_ref(), &sync.data["gap"]), (None, &json!(false)));
    assert_eq!(sync.data["kills"].as_array().unwrap().len(), 3);
    let mut last = String::new();
    for n in 0..3 {
        let event = listener.next().await.unwrap();
        assert_eq!(event.data["reason"], format!("r{n}"));
        last = event.id.unwrap();
    }
    drop(listener);
    let mut listener = app.listen(&app.admin, KILLS, Some(&last)).await;
    assert_eq!(listener.next().await.unwrap().data["gap"], false);
    assert!(listener.is_silent(Duration::from_millis(200)).await);
}

#[tokio::test]
async fn a_place_of_another_run_is_a_gap() {
    let app = App::seeded().await;
    let other_run = format!("{}:7", uuid::Uuid::now_v7().as_simple());
    for last in ["nonsense", "1", "0123:x", &other_run] {
        let mut listener = app.listen(&app.admin, KILLS, Some(last)).await;
        let sync = listener.next().await.unwrap();
        assert_eq!((sync.name.as_str(), &sync.data["gap"]), ("sync", &json!(true)), "{last}");
        assert!(sync.id.is_some());
    }
}

#[tokio::test]
async fn only_wanted_events_come() {
    let app = App::seeded().await;
    let path = "/v1/events?types=policy.check.allow,provenance.*";
    let mut listener = app.listen(&app.admin, path, None).await;
    listener.named("sync").await;
    app.check(json!({"tool_name": "nothing"})).await.problem(404, "unknown_tool");
    app.register("acme", "another").await;
    app.check(json!({})).await.ok();
    let signed = app.sign(json!({})).await.ok();
    let id = signed["manifest_id"].as_str().unwrap();
    app.get(&app.admin, &format!("/provenance/verify/{id}")).await.ok();
    for name in ["policy.check.allow", "provenance.signed", "provenance.verified"] {
        assert_eq!(listener.next().await.unwrap().name, name);
    }
}

#[tokio::test]
async fn a_tenant_hears_its_own_events_and_what_reaches_into_it() {
    let app = App::seeded().await;
    let target = json!({"tenant_slug": "other", "reason": "secret-kill"});
    app.kill(target.clone()).await.ok();
    app.kill(json!({"agent": "alice", "reason": "everywhere"})).await.ok();
    let key = app.key(Wanted::role(Role::Agent).of("acme")).await;
    let mut listener = app.listen(&key, "/v1/events", None).await;
    let sync = listener.named("sync").await;
    let reasons: Vec<_> =
        sync.data["kills"].as_array().unwrap().iter().map(|kill| kill["reason"].clone()).collect();
    assert_eq!(reasons, [json!("everywhere")]);

    app.post(&app.admin, "/kill/restore", &json!({"tenant_slug": "other"})).await.ok();
    app.check(json!({"tenant_slug": "other", "tool_name": "ledger"})).await.ok();
    app.sign(json!({"tenant_slug": "other", "tool_name": "ledger"})).await.ok();
    app.register("other", "secret-tool").await;
    app.register("third", "secret-tool").await;
    app.key(Wanted::role(Role::Agent)).await;
    app.check(json!({"tenant_slug": "unknown"})).await.problem(404, "unknown_tenant");
    app.check_as(&key, json!({"tenant_slug": "other"})).await.problem(403, "tenant_forbidden");
    app.check(json!({})).await.ok();
    app.kill(json!({"scope": "global", "reason": "all"})).await.ok();
    let own = listener.next().await.unwrap();
    assert_eq!((own.name.as_str(), &own.data["tenant"]), ("policy.check.allow", &json!("acme")));
    let global = listener.next().await.unwrap();
    assert_eq!(
        (global.name.as_str(), &global.data["reason"]),
        ("kill_switch.disabled", &json!("all"))
    );
    assert!(listener.is_silent(Duration::from_millis(200)).await);
}

#[tokio::test]
async fn a_kill_is_heard_within_100_ms() {
    let app = App::seeded().await;
    let mut listener = app.listen(&app.admin, KILLS, None).await;
    listener.named("sync").await;
    let mut slowest = Duration::ZERO;
    for n in 0..20 {
        app.kill(json!({"agent": format!("a{n}"), "reason": "drill"})).await.ok();
        let answered = std::time::Instant::now();
        listener.named("kill_switch.disabled").await;
        slowest = slowest.max(answered.elapsed());
    }
    assert!(slowest < Duration::from_millis(100), "{slowest:?}");
}

#[tokio::test]
async fn heartbeats_keep_the_stream_alive() {
    let heartbeat = Duration::from_millis(50);
    let options = sentinel_http::Options { heartbeat, ..sentinel_http::Options::default() };
    let app = App::with(options).await;
    let mut listener = app.listen(&app.admin, "/v1/events", None).await;
    assert!(listener.block().await.unwrap().contains("event: sync"));
    for _ in 0..3 {
        assert_eq!(listener.block().await.unwrap(), ": heartbeat");
    }
}

#[tokio::test]
async fn a_revoked_key_hears_no_more() {
    let app = App::seeded().await;
    let key = app.key(Wanted::role(Role::Agent)).await;
    let bystander = app.key(Wanted::role(Role::Agent)).await;
    let mut listener = app.listen(&key, KILLS, None).await;
    let mut other = app.listen(&bystander, KILLS, None).await;
    listener.named("sync").await;
    other.named("sync").await;
    let path = format!("/v1/keys/{}", key.id);
    app.send(app.request(Method::DELETE, &path).bearer_auth(&app.admin.secret)).await.ok();
    let closed = listener.next().await.unwrap();
    assert_eq!((closed.name.as_str(), &closed.data["code"]), ("closed", &json!("key_revoked")));
    assert!(listener.next().await.is_none());
    app.kill(json!({"scope": "global", "reason": "all"})).await.ok();
    assert_eq!(other.next().await.unwrap().name, "kill_switch.disabled");
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let (stop, shutdown) = tokio::sync::watch::channel(false);
    let app = App::with(Options { shutdown: Some(shutdown), ..Options::default() }).await;
    let mut listener = app.listen(&app.admin, KILLS, None).await;
    listener.named("sync").await;
    stop.send(true).unwrap();
    assert_eq!(listener.next().await.unwrap().data["code"], "shutting_down");
    assert!(listener.next().await.is_none());
}

#[tokio::test]
async fn there_are_no_more_streams_than_allowed() {
    let app = App::with(Options { max_subscribers: 2, ..Options::default() }).await;
    let first = app.listen(&app.admin, KILLS, None).await;
    let _second = app.listen(&app.admin, KILLS, None).await;
    let refused = app.get(&app.admin, KILLS).await;
    refused.problem(503, "too_many_subscribers");
    assert_eq!(refused.header("retry-after"), "1");
    let metrics = app.get(&app.admin, "/metrics").await.text;
    assert!(metrics.contains("sentinel_events_subscribers 2"), "{metrics}");
    drop(first);
    for _ in 0..50 {
        let request = app.request(Method::GET, KILLS).bearer_auth(&app.admin.secret);
        if request.send().await.unwrap().status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place of a stream that ended is not given back");
}

/// A subscriber that reads too slowly is told so, with the state, and its stream goes on.
#[tokio::test]
async fn a_slow_subscriber_is_brought_up_to_date() {
    let app = App::seeded().await;
    let mut listener = app.listen(&app.admin, "/v1/events", None).await;
    listener.named("sync").await;
    app.kill(json!({"agent": "ghost", "reason": "drill"})).await.ok();
    // More than the sockets and the bus hold, published while nothing is read.
    let decision = app.check(json!({})).await.ok();
    let path = format!("/v1/decisions/{}", decision["decision_id"].as_str().unwrap());
    assert_eq!(app.get(&app.admin, &path).await.ok()["decision"], "allow");
    flood(&app).await;
    app.kill(json!({"agent": "late", "reason": "after the flood"})).await.ok();
    let mut gap: Option<Value> = None;
    loop {
        let message = listener.next().await.unwrap();
        if message.name == "sync" {
            assert_eq!(message.data["gap"], true);
            gap = Some(message.data);
        } else if message.data["reason"] == "after the flood" {
            break;
        }
    }
    let kills = gap.expect("nothing was missed; flood it with more")["kills"].clone();
    assert!(kills.as_array().unwrap().iter().any(|kill| kill["reason"] == "drill"), "{kills}");
}

/// Publishes 20 MB of events, each in a group of its own.
async fn flood(app: &App) {
    use sentinel_core::event::{Bus as _, Event, RegistryChange, RegistryEvent};
    let event = RegistryEvent {
        kind: RegistryChange::ToolUpdated,
        tenant_id: None,
        tenant: None,
        subject: "x".repeat(4096),
        actor: "flood".to_owned(),
        epoch: sentinel_core::epoch::Epoch(0),
        at: jiff::Timestamp::UNIX_EPOCH,
    };
    let event = std::sync::Arc::new(event);
    for n in 0..5000 {
        app.services.events.publish(vec![Event::Registry(event.clone())]);
        if n % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
}
