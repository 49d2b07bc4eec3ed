//! The seed's endpoints, field by field: its clients work unchanged.

use std::collections::BTreeSet;

use reqwest::Method;
use sentinel_ingress::Options;
use serde_json::{Value, json};

use crate::support::{App, Mode};

#[track_caller]
fn has_fields(value: &Value, fields: &[&str]) {
    let found: BTreeSet<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    for field in fields {
        assert!(found.contains(field), "`{field}` is missing in {value}");
    }
}

#[tokio::test]
async fn register_returns_the_tool() {
    let app = App::start().await;
    let body = json!({
        "tenant_slug": "acme", "name": "search", "url": "https://docs.example.com/mcp",
        "owner": "Plattform-Team", "scopes": ["docs:read"], "metadata": {"tier": 1, "on": null},
        "healthcheck": "https://docs.example.com/healthz",
    });
    let answer = app.post(&app.admin, "/register", &body).await;
    assert_eq!(answer.status, 201);
    let tool = answer.json();
    let fields = [
        "id",
        "tenant_id",
        "name",
        "url",
        "owner",
        "scopes",
        "metadata",
        "is_active",
        "created_at",
        "updated_at",
    ];
    has_fields(&tool, &fields);
    for name in ["name", "url", "owner", "scopes", "metadata", "healthcheck", "tenant_slug"] {
        assert_eq!(tool[name], body[name], "{name}");
    }
    assert_eq!(tool["is_active"], true);
    assert!(tool["created_at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    app.post(&app.admin, "/register", &body).await.problem(409, "tool_exists");
    let mut alike = body.clone();
    alike["name"] = json!("SEARCH");
    app.post(&app.admin, "/register", &alike).await.problem(409, "tool_confusable");
}

#[tokio::test]
async fn register_lists_tools_and_tenants_as_plain_arrays() {
    let app = App::seeded().await;
    let all = app.get(&app.admin, "/register").await.ok();
    assert_eq!(all.as_array().unwrap().len(), 2);
    let acme = app.get(&app.admin, "/register?tenant_slug=acme").await.ok();
    assert_eq!(acme.as_array().unwrap().len(), 1);
    assert_eq!(acme[0]["name"], "search");
    app.get(&app.admin, "/register?tenant_slug=unknown").await.problem(404, "unknown_tenant");
    let tenants = app.get(&app.admin, "/register/tenants").await.ok();
    assert_eq!(tenants.as_array().unwrap().len(), 2);
    has_fields(&tenants[0], &["id", "slug", "display_name", "created_at"]);
    assert_eq!(tenants[0]["slug"], "acme");
    assert!(tenants.to_string().find("secret").is_none());
}

#[tokio::test]
async fn an_allow_says_so_and_carries_a_permit() {
    let app = App::seeded().await;
    app.policy(Mode::Quota(3));
    let answer = app.check(json!({
        "purpose": "docs", "usage": 0, "context": {"a": 1}, "agent": "alice",
        "arguments": {"q": "x"}, "call_id": "call-1",
    }));
    let answer = answer.await.ok();
    assert_eq!(answer["allow"], true);
    assert_eq!(answer["code"], "allowed");
    assert_eq!(answer["reason"], "allowed by policy");
    assert_eq!(answer["quota_remaining"], 2);
    assert_eq!(answer["reasons"], json!([]));
    assert_eq!(answer["policy_revision"], "rev-1");
    assert!(answer["permit"].as_str().unwrap().starts_with("snp_"));
    assert!(answer["decision_id"].as_str().unwrap().parse::<uuid::Uuid>().is_ok());
}

#[tokio::test]
async fn a_deny_is_an_answer_with_its_reasons() {
    let app = App::seeded().await;
    app.policy(Mode::Deny);
    let answer = app.check(json!({})).await.ok();
    assert_eq!(answer["allow"], false);
    assert_eq!(answer["code"], "policy_denied");
    assert_eq!(answer["reason"], "the purpose is not allowed");
    assert_eq!(answer["reasons"][0]["code"], "purpose_not_allowed");
    assert!(answer.get("permit").is_none(), "{answer}");
    for (mode, code) in [(Mode::Error, "policy_error"), (Mode::None, "no_policy")] {
        app.policy(mode);
        let answer = app.check(json!({})).await.ok();
        assert_eq!((&answer["allow"], &answer["code"]), (&json!(false), &json!(code)));
        assert!(answer.get("permit").is_none(), "{answer}");
    }
}

#[tokio::test]
async fn null_stands_for_an_optional_field_that_is_left_out() {
    let app = App::seeded().await;
    let answer = app.check(json!({
        "purpose": null, "usage": null, "context": null, "agent": null, "arguments": null,
        "call_id": null,
    }));
    let answer = answer.await.ok();
    assert_eq!(answer["allow"], true);
    assert_eq!(answer["quota_remaining"], Value::Null);
}

#[tokio::test]
async fn an_unknown_tenant_or_tool_is_404_and_recorded() {
    let app = App::seeded().await;
    let cases = [
        (json!({"tool_name": "nothing"}), "unknown_tool"),
        (json!({"tenant_slug": "unknown"}), "unknown_tenant"),
    ];
    for (change, code) in cases {
        let problem = app.check(change).await.problem(404, code);
        assert_eq!(problem["allow"], false);
        let path = format!("/v1/decisions/{}", problem["decision_id"].as_str().unwrap());
        let decision = app.get(&app.admin, &path).await.ok();
        assert_eq!((&decision["decision"], &decision["code"]), (&json!("deny"), &json!(code)));
        assert_eq!(decision["event_metadata"]["request_id"], problem["request_id"]);
    }
}

#[tokio::test]
async fn what_the_caller_reports_can_only_make_it_stricter() {
    let app = App::seeded().await;
    app.policy(Mode::Quota(2));
    let over = app.check(json!({"usage": 2})).await.ok();
    assert_eq!((&over["allow"], &over["code"]), (&json!(false), &json!("quota_exceeded")));
    assert_eq!(app.check(json!({"usage": 0})).await.ok()["quota_remaining"], 1);
    assert_eq!(app.check(json!({"usage": 0})).await.ok()["quota_remaining"], 0);
    let used_up = app.check(json!({"usage": 0})).await.ok();
    assert_eq!((&used_up["allow"], &used_up["code"]), (&json!(false), &json!("quota_exceeded")));
}

#[tokio::test]
async fn kill_stops_and_restore_starts_again() {
    let app = App::seeded().await;
    let killed = app.kill(json!({
        "tenant_slug": "acme", "tool_name": "search", "reason": "Vorfall 4711",
    }));
    let killed = killed.await.ok();
    assert_eq!(killed["status"], "disabled");
    assert_eq!(killed["affected_tools"], json!(["search"]));
    assert_eq!(killed["affected_count"], 1);
    assert_eq!(killed["kills"], json!([killed["kill_id"]]));
    assert!(killed["epoch"].as_u64().unwrap() > 0);
    let denied = app.check(json!({})).await.ok();
    assert_eq!((&denied["allow"], &denied["code"]), (&json!(false), &json!("killed")));
    assert!(denied["reason"].as_str().unwrap().contains("Vorfall 4711"), "{denied}");
    assert_eq!(app.get(&app.admin, "/register?tenant_slug=acme").await.ok()[0]["is_active"], false);

    let target = json!({"tenant_slug": "acme", "tool_name": "search"});
    let restored = app.post(&app.admin, "/kill/restore", &target).await.ok();
    assert_eq!(restored["status"], "enabled");
    assert_eq!(restored["affected_tools"], json!(["search"]));
    assert_eq!(restored["kills"], killed["kills"]);
    assert_eq!(app.check(json!({})).await.ok()["allow"], true);
    let again = app.post(&app.admin, "/kill/restore", &target).await.ok();
    assert_eq!((&again["affected_tools"], &again["kills"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn every_scope_of_a_kill_covers_and_a_wider_one_is_named() {
    let app = App::seeded().await;
    let targets = [
        json!({"tenant_slug": "acme"}),
        json!({"agent": "alice"}),
        json!({"tenant_slug": "acme", "agent": "alice"}),
        json!({"scope": "global"}),
    ];
    for target in targets {
        let mut kill = target.clone();
        kill["reason"] = json!("drill");
        let killed = app.kill(kill).await.ok();
        let denied = app.check(json!({"agent": "alice"})).await.ok();
        assert_eq!(denied["code"], "killed", "{target}");
        if target.get("scope").is_some() {
            assert_eq!(killed["affected_tools"], json!(["acme/search", "other/ledger"]));
            let tool = json!({"tenant_slug": "acme", "tool_name": "search"});
            let refused = app.post(&app.admin, "/kill/restore", &tool).await;
            let refused = refused.problem(409, "still_killed");
            let id = killed["kill_id"].as_str().unwrap();
            assert!(refused["detail"].as_str().unwrap().contains(id), "{refused}");
        }
        app.post(&app.admin, "/kill/restore", &target).await.ok();
        assert_eq!(app.check(json!({"agent": "alice"})).await.ok()["allow"], true, "{target}");
    }
}

#[tokio::test]
async fn an_ambiguous_target_stops_nothing() {
    let app = App::seeded().await;
    let ambiguous = [
        json!({}),
        json!({"scope": "tenant"}),
        json!({"tool_name": "search"}),
        json!({"tool_name": "search", "agent": "alice"}),
        json!({"tenant_slug": "acme", "tool_name": "search", "agent": "alice"}),
        json!({"scope": "global", "tenant_slug": "acme"}),
        json!({"scope": "tenant", "tenant_slug": "acme", "tool_name": "search"}),
    ];
    for mut body in ambiguous {
        body["reason"] = json!("drill");
        app.kill(body).await.problem(422, "invalid_target");
    }
    app.kill(json!({"tenant_slug": "acme"})).await.problem(422, "invalid_field");
    app.kill(json!({"tenant_slug": "acme", "tool_name": "nothing", "reason": "x"}))
        .await
        .problem(404, "unknown_tool");
    assert_eq!(app.check(json!({})).await.ok()["allow"], true);
}

#[tokio::test]
async fn sign_commits_to_the_exact_bytes_of_the_payload() {
    let app = App::seeded().await;
    let decision = app.check(json!({"purpose": "docs"})).await.ok()["decision_id"].clone();
    let payload = "{ \"b\": 1,\"a\":[1.0, 1e2 ] }";
    let body = format!(
        "{{\"tenant_slug\":\"acme\",\"tool_name\":\"search\",\"action\":\"invoke\",\"purpose\":\"docs\",\
         \"metadata\":{{\"ticket\":7}},\"decision_id\":{decision},\"payload\":{payload}}}"
    );
    let answer = app.post_raw(&app.admin, "/provenance/sign", body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let signed = answer.json();
    has_fields(&signed, &["manifest_id", "signature", "timestamp", "payload_hash", "salt"]);
    let now = jiff::Timestamp::now().as_millisecond();
    assert!((now - 60_000..=now).contains(&signed["timestamp"].as_i64().unwrap()));

    let salt = hex::decode(signed["salt"].as_str().unwrap()).unwrap();
    let artifact = [salt.as_slice(), payload.as_bytes()].concat();
    let digest = sentinel_provenance::Sha256Digest::of(&artifact).to_hex();
    assert_eq!(signed["payload_hash"], format!("sha256:{digest}"));

    let id = signed["manifest_id"].as_str().unwrap();
    let verified = app.get(&app.admin, &format!("/provenance/verify/{id}")).await.ok();
    assert_eq!(verified["verified"], true, "{verified}");
    assert_eq!(verified["manifest_id"], id);
    let manifest = &verified["manifest"];
    assert_eq!(manifest["id"], id);
    assert_eq!(manifest["tenant"], "acme");
    assert_eq!(manifest["tool"], "search");
    assert_eq!(manifest["action"], "invoke");
    assert_eq!(manifest["purpose"], "docs");
    assert_eq!(manifest["payload_hash"], signed["payload_hash"]);
    assert_eq!(manifest["signature"], signed["signature"]);
    assert_eq!(manifest["metadata"], json!({"ticket": 7}));
    assert_eq!(manifest["decision_id"], decision);
    assert!(manifest["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let outcome = |name: &str| {
        let checks = verified["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).unwrap()["outcome"].clone()
    };
    for name in ["envelope", "signature", "statement", "record_match", "decision_link"] {
        assert_eq!(outcome(name), "passed", "{name}");
    }
    assert_eq!(outcome("payload_commitment"), "skipped");
}

#[tokio::test]
async fn a_sound_bundle_of_another_action_does_not_pass_for_this_one() {
    let app = App::seeded().await;
    let harmless = app.sign(json!({"payload": "harmless"})).await.ok();
    let harmful = app.sign(json!({"payload": "harmful"})).await.ok();
    let path =
        |signed: &Value| format!("/provenance/verify/{}", signed["manifest_id"].as_str().unwrap());
    assert_eq!(app.get(&app.admin, &path(&harmful)).await.ok()["verified"], true);
    app.plant_bundle(harmless["manifest_id"].as_str().unwrap());
    let planted = app.get(&app.admin, &path(&harmful)).await.ok();
    assert_eq!(planted["verified"], false, "{planted}");
    let failed: Vec<_> = planted["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["outcome"] == "failed")
        .map(|check| check["name"].clone())
        .collect();
    // Nor is it what the log has in this one's place.
    assert_eq!(failed, [json!("inclusion"), json!("record_match")]);
    assert_eq!(app.get(&app.admin, &path(&harmless)).await.ok()["verified"], true);
}

#[tokio::test]
async fn any_json_value_is_a_payload_but_it_must_be_there() {
    let app = App::seeded().await;
    for payload in [json!(null), json!("text"), json!(0), json!([]), json!({})] {
        assert_eq!(app.sign(json!({"payload": payload})).await.status, 201);
    }
    let body = json!({"tenant_slug": "acme", "tool_name": "search", "action": "invoke"});
    app.post(&app.admin, "/provenance/sign", &body).await.problem(422, "invalid_field");
}

#[tokio::test]
async fn sign_and_verify_refuse_what_is_not_there() {
    let app = App::seeded().await;
    app.sign(json!({"tool_name": "nothing"})).await.problem(404, "unknown_tool");
    app.sign(json!({"tenant_slug": "unknown"})).await.problem(404, "unknown_tenant");
    let nil = uuid::Uuid::nil();
    app.sign(json!({"decision_id": nil})).await.problem(404, "unknown_decision");
    let decision = app.check(json!({"action": "delete"})).await.ok()["decision_id"].clone();
    app.sign(json!({"decision_id": decision})).await.problem(409, "decision_mismatch");
    let path = format!("/provenance/verify/{nil}");
    app.get(&app.admin, &path).await.problem(404, "unknown_manifest");
    app.get(&app.admin, "/provenance/verify/..%2F..%2Fetc").await.problem(400, "invalid_id");
}

#[tokio::test]
async fn health_and_readiness_tell_the_truth() {
    let app = App::start().await;
    assert_eq!(app.get(&app.admin, "/healthz").await.ok()["status"], "ok");
    assert_eq!(app.get(&app.admin, "/readyz").await.ok()["status"], "ready");
    app.policy(Mode::None);
    app.break_store(true);
    // A result is reused for half a second.
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    let answer = app.get(&app.admin, "/readyz").await;
    let problem = answer.problem(503, "not_ready");
    assert_eq!(problem["reasons"], json!(["store_unavailable", "no_policy"]));
    assert!(!answer.text.contains("/var"), "{answer:?}");
    assert_eq!(app.get(&app.admin, "/healthz").await.ok()["status"], "ok");
}

#[tokio::test]
async fn a_server_that_stops_is_not_ready_and_goes_on_deciding() {
    let (stop, shutdown) = tokio::sync::watch::channel(false);
    let app = App::with(Options { shutdown: Some(shutdown), ..Options::default() }).await;
    app.seed().await;
    app.get(&app.admin, "/readyz").await.ok();
    stop.send_replace(true);
    let answer = app.get(&app.admin, "/readyz").await;
    assert_eq!(answer.problem(503, "not_ready")["reasons"], json!(["stopping"]));
    assert_eq!(app.check(json!({})).await.ok()["allow"], true);
}

#[tokio::test]
async fn a_check_that_nobody_waits_for_is_dropped() {
    let app = App::seeded().await;
    let body = json!({"tenant_slug": "acme", "tool_name": "search", "action": "invoke"});
    let within = async |milliseconds: &str| {
        let request = app.request(Method::POST, "/policy/check").bearer_auth(&app.admin.secret);
        app.send(request.header("x-request-timeout-ms", milliseconds).json(&body)).await
    };
    let late = within("0").await;
    assert_eq!(late.problem(503, "deadline_exceeded")["allow"], false);
    assert_eq!(late.header("retry-after"), "1");
    assert_eq!(app.get(&app.admin, "/v1/decisions").await.ok()["items"], json!([]));
    assert_eq!(within("60000").await.ok()["allow"], true);
    for wrong in ["", "soon", "-1", "1.5", "600001", "18446744073709551616"] {
        within(wrong).await.problem(400, "invalid_timeout");
    }
}

#[tokio::test]
async fn metrics_count_without_labels_that_clients_chose() {
    let app = App::seeded().await;
    app.check(json!({})).await.ok();
    app.check(json!({"tenant_slug": "attacker-chosen"})).await.problem(404, "unknown_tenant");
    app.get(&app.admin, "/attacker-chosen").await.problem(404, "unknown_route");
    app.kill(json!({"scope": "global", "reason": "attacker-chosen"})).await.ok();
    let answer = app.get(&app.admin, "/metrics").await;
    assert_eq!(answer.status, 200);
    for line in [
        "sentinel_checks_total{allow=\"true\",code=\"allowed\"} 1",
        "sentinel_checks_total{allow=\"false\",code=\"unknown_tenant\"} 1",
        "sentinel_check_duration_seconds_count 2",
        "sentinel_kills_total{scope=\"global\"} 1",
        "sentinel_kills_in_force 1",
        "sentinel_http_requests_total{route=\"/policy/check\",method=\"POST\",status=\"4xx\"} 1",
        "sentinel_http_requests_total{route=\"unmatched\",method=\"GET\",status=\"4xx\"} 1",
        "sentinel_policy_info{engine=\"fake\",revision=\"rev-1\"} 1",
        "sentinel_events_subscribers 0",
    ] {
        assert!(answer.text.contains(line), "{line} is not in {}", answer.text);
    }
    assert!(!answer.text.contains("attacker"), "{}", answer.text);
    assert!(answer.text.ends_with("# EOF\n"));
}
