//! Kills over HTTP: their scopes and times, who restores, what they reached, and the self-test.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sentinel_core::principal::Role;
use serde_json::{Value, json};

use crate::support::{App, Wanted};

fn after(seconds: i64) -> Timestamp {
    Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

async fn code(app: &App, change: Value) -> String {
    app.check(change).await.ok()["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_tenants_operator_gets_403_for_a_kill_of_the_platform() {
    let app = App::seeded().await;
    let operator = app.key(Wanted::role(Role::Operator).of("acme")).await;
    for target in [json!({"tenant_slug": "acme"}), json!({"tenant_slug": "acme", "agent": "Bot"})] {
        let mut kill = target.clone();
        kill["reason"] = json!("platform");
        let killed = app.kill(kill).await.ok();
        let refused = app.post(&operator, "/kill/restore", &target).await;
        let problem = refused.problem(403, "unbound_principal_required");
        assert!(problem["detail"].as_str().unwrap().contains("bound to no tenant"), "{problem}");
        let listed = app.get(&operator, "/v1/kills?in_force=true").await.ok();
        assert_eq!(listed["items"][0]["kill_id"], killed["kill_id"]);
        assert_eq!(listed["items"][0]["by_platform"], true);
        let done = app.post(&app.admin, "/kill/restore", &target).await.ok();
        assert_eq!(done["kills"], json!([killed["kill_id"]]));
    }
}

#[tokio::test]
async fn each_kind_of_target_stops_its_calls_alone() {
    let app = App::seeded().await;
    let targets = [
        (json!({"agent": "BOT"}), "agent", 0),
        (json!({"tenant_slug": "acme", "agent": "BOT"}), "tenant_agent", 0),
        (json!({"principal": app.admin.id}), "principal", 0),
        (json!({"tenant_slug": "acme", "principal": "TEST"}), "tenant_principal", 0),
        (json!({"tool_scope": "READ"}), "tool_scope", 2),
        (json!({"tenant_slug": "acme", "tool_scope": "read"}), "tenant_tool_scope", 1),
    ];
    for (target, scope, affected) in targets {
        let mut kill = target.clone();
        kill["reason"] = json!("drill");
        kill["scope"] = json!(scope);
        let killed = app.kill(kill).await.ok();
        assert_eq!(killed["affected_count"], affected, "{target}");
        assert_eq!(code(&app, json!({"agent": "bot"})).await, "killed", "{target}");
        let listed = app.get(&app.admin, "/v1/kills?in_force=true").await.ok();
        assert_eq!(listed["items"][0]["scope"], scope);
        assert_eq!(listed["items"][0]["state"], "in_force");
        app.post(&app.admin, "/kill/restore", &target).await.ok();
        assert_eq!(code(&app, json!({"agent": "bot"})).await, "allowed", "{target}");
    }
    // The tag is of no tool yet, and covers what gets it.
    app.kill(json!({"tool_tag": "pci", "reason": "breach"})).await.ok();
    let tagged = json!({
        "tenant_slug": "acme", "name": "pay", "url": "https://pay.example.com/", "owner": "a",
        "metadata": {"tags": ["PCI"]},
    });
    let tool = app.post(&app.admin, "/register", &tagged).await.ok();
    assert_eq!(tool["is_active"], false);
    assert_eq!(code(&app, json!({"tool_name": "pay"})).await, "killed");
    let one = json!({"tenant_slug": "acme", "tool_name": "pay", "reason": "too"});
    app.kill(one).await.ok();
    let one = json!({"tenant_slug": "acme", "tool_name": "pay"});
    let covered = app.post(&app.admin, "/kill/restore", &one).await.problem(409, "still_killed");
    assert!(covered["detail"].as_str().unwrap().contains("tool_tag"), "{covered}");
}

#[tokio::test]
async fn what_makes_no_sense_is_422() {
    let app = App::seeded().await;
    let refuse = async |mut body: Value, code: &str| {
        body["reason"] = json!("drill");
        app.kill(body.clone()).await.problem(422, code);
    };
    for body in [
        json!({"agent": "a", "principal": "b"}),
        json!({"tool_scope": "a", "tool_tag": "b"}),
        json!({"tenant_slug": "acme", "tool_name": "search", "tool_tag": "b"}),
        json!({"tool_name": "search"}),
        json!({"scope": "global", "tool_tag": "b"}),
        json!({"scope": "tool_tag", "tenant_slug": "acme", "tool_tag": "b"}),
    ] {
        refuse(body, "invalid_target").await;
    }
    for body in [
        json!({"agent": "a", "expires_at": after(-1)}),
        json!({"agent": "a", "starts_at": after(20), "expires_at": after(10)}),
        json!({"agent": "a", "starts_at": after(400_000_000)}),
    ] {
        refuse(body, "invalid_kill_time").await;
    }
    for (name, value) in [
        ("expires_at", json!("tomorrow")),
        ("expires_at", json!(12)),
        ("starts_at", json!({})),
        ("principal", json!("")),
        ("principal", json!(["a"])),
        ("tool_tag", json!("a\u{202e}b")),
        ("tool_scope", json!("x".repeat(129))),
    ] {
        let mut body = json!({"tenant_slug": "acme", "reason": "drill"});
        body[name] = value.clone();
        let refused = app.kill(body).await;
        assert_eq!(refused.status, 422, "{name} {value}: {refused:?}");
        assert!(refused.json()["code"].is_string());
    }
    assert_eq!(code(&app, json!({})).await, "allowed", "nothing was killed");
}

#[tokio::test]
async fn a_kill_for_a_time_begins_and_ends_and_both_are_heard() {
    let app = App::seeded().await;
    let mut listener = app.listen(&app.admin, "/v1/events?types=kill_switch.*", None).await;
    listener.named("sync").await;
    let (starts_at, expires_at) = (after(1), after(3));
    let body = json!({
        "tenant_slug": "acme", "reason": "maintenance",
        "starts_at": starts_at, "expires_at": expires_at,
    });
    let killed = app.kill(body).await.ok();
    let reached = &killed["reached"];
    assert_eq!(
        *reached,
        json!({"replicas": 1, "streams": 0, "permits": 0, "calls": 0, "calls_unconfirmed": 0, "calls_elsewhere": 0})
    );
    let listed = app.get(&app.admin, "/v1/kills").await.ok();
    assert_eq!(
        (&listed["items"][0]["state"], &listed["items"][0]["in_force"]),
        (&json!("scheduled"), &json!(false),)
    );
    let begun = listener.named("kill_switch.disabled").await;
    assert_eq!(begun.data["metadata"]["kill_id"], killed["kill_id"]);
    assert!(Timestamp::now() >= starts_at);
    assert_eq!(code(&app, json!({})).await, "killed");
    let ended = listener.named("kill_switch.restored").await;
    assert_eq!(ended.data["metadata"]["actor"], "system:expiry");
    assert!(Timestamp::now() >= expires_at);
    assert_eq!(code(&app, json!({})).await, "allowed");
    // No allow has a time in between.
    let recorded = app.get(&app.admin, "/v1/decisions?decision=allow").await.ok();
    for decision in recorded["items"].as_array().unwrap() {
        let at: Timestamp = decision["created_at"].as_str().unwrap().parse().unwrap();
        assert!(at < starts_at || at >= expires_at, "{decision}");
    }
}

#[tokio::test]
async fn the_answer_counts_streams_and_permits() {
    let app = App::seeded().await;
    let of_acme = app.key(Wanted::role(Role::Agent).of("acme")).await;
    let of_other = app.key(Wanted::role(Role::Agent).of("other")).await;
    let mut listeners = Vec::new();
    for (key, path) in [
        (&app.admin, "/v1/events"),
        (&of_acme, "/v1/events?types=kill_switch.*"),
        (&of_other, "/v1/events"),
        (&app.admin, "/v1/events?types=provenance.*"),
    ] {
        let mut listener = app.listen(key, path, None).await;
        listener.named("sync").await;
        listeners.push(listener);
    }
    app.check(json!({})).await.ok();
    app.check(json!({})).await.ok();
    let killed = app.kill(json!({"tenant_slug": "acme", "reason": "drill"})).await.ok();
    let expected = json!({"replicas": 1, "streams": 2, "permits": 2, "calls": 0, "calls_unconfirmed": 0, "calls_elsewhere": 0});
    assert_eq!(killed["reached"], expected);
    listeners.clear();
}

#[tokio::test]
async fn a_replica_whose_kills_do_not_stop_calls_is_not_ready() {
    let app = App::seeded().await;
    let tests = &app.services.self_tests;
    let ready = app.get(&app.admin, "/readyz").await.ok();
    assert_eq!(ready["kill_self_test"], Value::Null);
    tests.test(&app.services).await;
    let ready = app.get(&app.admin, "/readyz").await.ok();
    assert_eq!(ready["kill_self_test"]["outcome"], "passed");
    // The store says that it killed, and has not.
    app.make_store_lose_kills(true);
    tests.test(&app.services).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let problem = app.get(&app.admin, "/readyz").await.problem(503, "not_ready");
    assert!(problem["reasons"].as_array().unwrap().contains(&json!("kill_switch_failed")));
    let metrics = app.get(&app.admin, "/metrics").await.text;
    assert!(metrics.contains("sentinel_kill_self_tests_total{outcome=\"failed\"} 1"), "{metrics}");
    // Not being able to try makes nothing better.
    app.make_store_lose_kills(false);
    app.break_store(true);
    tests.test(&app.services).await;
    assert!(tests.has_failed());
    app.break_store(false);
    tests.test(&app.services).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    app.get(&app.admin, "/readyz").await.ok();
}
