//! The endpoints below `/v1`.

use reqwest::Method;
use sentinel_core::principal::Role;
use serde_json::{Value, json};

use crate::support::{Answer, App, Mode, Wanted};

async fn send(app: &App, method: Method, path: &str, body: &Value) -> Answer {
    app.send(app.request(method, path).bearer_auth(&app.admin.secret).json(body)).await
}

fn items(answer: &Value) -> &Vec<Value> {
    answer["items"].as_array().unwrap()
}

#[tokio::test]
async fn tenants_are_created_and_listed() {
    let app = App::start().await;
    let body = json!({"slug": "acme", "display_name": "Größe GmbH"});
    let created = app.post(&app.admin, "/v1/tenants", &body).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.json()["display_name"], "Größe GmbH");
    app.post(&app.admin, "/v1/tenants", &body).await.problem(409, "tenant_exists");
    let other = app.post(&app.admin, "/v1/tenants", &json!({"slug": "beta"})).await.ok();
    assert_eq!(other["display_name"], "beta");
    let first = app.get(&app.admin, "/v1/tenants?limit=1").await.ok();
    assert_eq!(items(&first)[0]["slug"], "acme");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = app.get(&app.admin, &format!("/v1/tenants?limit=1&cursor={cursor}")).await.ok();
    assert_eq!(items(&second)[0]["slug"], "beta");
    app.get(&app.admin, "/v1/decisions?cursor=made-up").await.problem(400, "bad_cursor");
}

#[tokio::test]
async fn tools_are_changed_and_retired() {
    let app = App::seeded().await;
    let tools = app.get(&app.admin, "/v1/tools?tenant=acme").await.ok();
    let before = items(&tools)[0].clone();
    let path = format!("/v1/tools/{}", before["id"].as_str().unwrap());
    let change =
        json!({"url": "https://new.example.com/", "healthcheck": "https://new.example.com/h"});
    let changed = send(&app, Method::PATCH, &path, &change).await.ok();
    assert_eq!(changed["url"], "https://new.example.com/");
    assert_eq!(changed["owner"], before["owner"]);
    assert_ne!(changed["digest"], before["digest"]);
    // Absent leaves it, null removes it.
    let kept = send(&app, Method::PATCH, &path, &json!({"owner": "new"})).await.ok();
    assert_eq!(kept["healthcheck"], "https://new.example.com/h");
    let removed = send(&app, Method::PATCH, &path, &json!({"healthcheck": null})).await.ok();
    assert_eq!(removed["healthcheck"], Value::Null);
    send(&app, Method::PATCH, &path, &json!({"name": "x"})).await.problem(422, "invalid_field");

    let retired = send(&app, Method::DELETE, &path, &Value::Null).await.ok();
    assert_eq!(retired["is_active"], false);
    assert!(retired["retired_at"].is_string());
    let denied = app.check(json!({})).await.ok();
    assert_eq!((&denied["allow"], &denied["code"]), (&json!(false), &json!("tool_retired")));
    let nil = format!("/v1/tools/{}", uuid::Uuid::nil());
    app.get(&app.admin, &nil).await.problem(404, "unknown_tool");
    send(&app, Method::DELETE, &nil, &Value::Null).await.problem(404, "unknown_tool");
}

#[tokio::test]
async fn decisions_are_filtered_paged_and_exported() {
    let app = App::seeded().await;
    for n in 0..5 {
        app.check(json!({"agent": format!("a{n}")})).await.ok();
    }
    app.policy(Mode::Deny);
    app.check(json!({"agent": "a0"})).await.ok();
    app.check(json!({"tenant_slug": "other", "tool_name": "ledger"})).await.ok();
    let count = async |query: &str| {
        let path = format!("/v1/decisions?{query}");
        items(&app.get(&app.admin, &path).await.ok()).len()
    };
    assert_eq!(count("").await, 7);
    assert_eq!(count("tenant=acme").await, 6);
    assert_eq!(count("tool=ledger").await, 1);
    assert_eq!(count("agent=a0").await, 2);
    assert_eq!(count("decision=allow").await, 5);
    assert_eq!(count("decision=deny&tenant=acme").await, 1);
    assert_eq!(count("code=policy_denied").await, 2);
    assert_eq!(count("from=2020-01-01T00:00:00Z").await, 7);
    assert_eq!(count("to=2020-01-01T00:00:00Z").await, 0);

    let mut path = "/v1/decisions?limit=3".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = app.get(&app.admin, &path).await.ok();
        seen.extend(items(&page).iter().map(|item| item["sequence"].as_u64().unwrap()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/decisions?limit=3&cursor={cursor}");
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");

    let export = app.get(&app.admin, "/v1/decisions/export?tenant=acme").await;
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> =
        export.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 6);
    let one = format!("/v1/decisions/{}", lines[0]["id"].as_str().unwrap());
    assert_eq!(app.get(&app.admin, &one).await.ok(), lines[0]);
    assert_eq!(lines[0]["decision"], "deny");
}

#[tokio::test]
async fn an_export_goes_through_every_page() {
    let app = App::seeded().await;
    let calls = (0..2100).map(|_| app.check(json!({})));
    let mut calls = futures::stream::StreamExt::buffer_unordered(futures::stream::iter(calls), 64);
    while let Some(answer) = futures::StreamExt::next(&mut calls).await {
        answer.ok();
    }
    let export = app.get(&app.admin, "/v1/decisions/export").await;
    let sequences: Vec<u64> = export
        .text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["sequence"].as_u64().unwrap())
        .collect();
    assert_eq!(sequences.len(), 2100);
    assert!(sequences.is_sorted_by(|a, b| a > b));
}

#[tokio::test]
async fn kills_have_a_history() {
    let app = App::seeded().await;
    app.kill(json!({"agent": "alice", "reason": "first"})).await.ok();
    app.kill(json!({"tenant_slug": "acme", "tool_name": "search", "reason": "second"})).await.ok();
    app.post(&app.admin, "/kill/restore", &json!({"agent": "alice"})).await.ok();
    let all = app.get(&app.admin, "/v1/kills").await.ok();
    let [second, first] = items(&all).as_slice() else { panic!("{all}") };
    assert_eq!((&first["reason"], &first["scope"]), (&json!("first"), &json!("agent")));
    assert_eq!((&first["agent"], &first["in_force"]), (&json!("alice"), &json!(false)));
    assert_eq!(first["restored_by"], format!("key:{}", app.admin.id));
    assert_eq!((&second["tenant"], &second["tool"]), (&json!("acme"), &json!("search")));
    let in_force = app.get(&app.admin, "/v1/kills?in_force=true").await.ok();
    assert_eq!(items(&in_force).len(), 1);
    assert_eq!(items(&in_force)[0]["reason"], "second");
}

#[tokio::test]
async fn quotas_say_what_is_left_and_until_when() {
    let app = App::seeded().await;
    app.policy(Mode::Quota(10));
    for _ in 0..3 {
        app.check(json!({})).await.ok();
    }
    let quotas = app.get(&app.admin, "/v1/quotas?tenant=acme").await.ok();
    let quota = &items(&quotas)[0];
    assert_eq!((&quota["tenant"], &quota["tool"]), (&json!("acme"), &json!("search")));
    assert_eq!((&quota["usage"], &quota["limit"]), (&json!(3), &json!(10)));
    assert_eq!((&quota["remaining"], &quota["window"]), (&json!(7), &json!("1d")));
    let time = |name: &str| quota[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let now = jiff::Timestamp::now();
    assert!(time("window_start") <= now && now < time("resets_at"));
}

#[tokio::test]
async fn the_policy_says_what_is_in_force() {
    let app = App::start().await;
    let status = app.get(&app.admin, "/v1/policy").await.ok();
    assert_eq!((&status["revision"], &status["engine"]), (&json!("rev-1"), &json!("fake")));
    assert!(status["loaded_at"].is_string());
}

#[tokio::test]
async fn a_manifest_verifies_offline_with_what_the_server_hands_out() {
    let app = App::seeded().await;
    let signed = app.sign(json!({"payload": "text"})).await.ok();
    let id = signed["manifest_id"].as_str().unwrap();
    let bundle = app.get(&app.admin, &format!("/v1/manifests/{id}/bundle")).await;
    assert_eq!(bundle.header("content-type"), "application/vnd.dev.sigstore.bundle.v0.3+json");
    let pem = app.get(&app.admin, "/v1/provenance/public-key").await.text;
    let key = sentinel_provenance::PublicKey::from_spki_pem(&pem).unwrap();
    let salt = app.get(&app.admin, &format!("/v1/manifests/{id}/salt")).await.ok();
    assert_eq!(salt["salt"], signed["salt"]);
    let salt = hex::decode(salt["salt"].as_str().unwrap()).unwrap();
    let artifact = [salt.as_slice(), b"\"text\""].concat();
    let verify = |artifact: &[u8]| {
        let bundle = bundle.text.as_bytes();
        sentinel_provenance::verify_bundle_json(bundle, &key, Some(artifact)).verified()
    };
    assert!(verify(&artifact));
    assert!(!verify(b"another"));

    let decision = app.check(json!({})).await.ok()["decision_id"].clone();
    app.sign(json!({"decision_id": decision})).await.ok();
    let list = app.get(&app.admin, "/v1/manifests?tenant=acme").await.ok();
    assert_eq!(items(&list).len(), 2);
    let linked = format!("/v1/manifests?decision_id={}", decision.as_str().unwrap());
    let linked = app.get(&app.admin, &linked).await.ok();
    assert_eq!(items(&linked).len(), 1);
    let one = format!("/v1/manifests/{}", items(&linked)[0]["id"].as_str().unwrap());
    assert_eq!(app.get(&app.admin, &one).await.ok(), items(&linked)[0]);
}

#[tokio::test]
async fn a_permit_is_used_once_for_its_call() {
    let app = App::seeded().await;
    let tools = app.get(&app.admin, "/v1/tools?tenant=acme").await.ok();
    let tool = items(&tools)[0]["id"].clone();
    let allowed = app.check(json!({"arguments": {"q": 1}})).await.ok();
    let redeem = async |tool: &Value, arguments: Value| {
        let body = json!({"permit": allowed["permit"], "tool_id": tool, "arguments": arguments});
        app.post(&app.admin, "/v1/permits/redeem", &body).await
    };
    redeem(&tool, json!({"q": 2})).await.problem(403, "permit_invalid");
    let others = app.get(&app.admin, "/v1/tools?tenant=other").await.ok();
    redeem(&items(&others)[0]["id"], json!({"q": 1})).await.problem(403, "permit_invalid");
    let used = redeem(&tool, json!({"q": 1})).await.ok();
    assert_eq!(used["redeemed"], true);
    assert_eq!(used["decision_id"], allowed["decision_id"]);
    redeem(&tool, json!({"q": 1})).await.problem(409, "permit_used");

    let allowed = app.check(json!({})).await.ok();
    app.kill(json!({"tenant_slug": "acme", "reason": "drill"})).await.ok();
    let body = json!({"permit": allowed["permit"], "tool_id": tool});
    app.post(&app.admin, "/v1/permits/redeem", &body).await.problem(409, "killed");
    let forged = json!({"permit": "snp_AAAA", "tool_id": tool});
    app.post(&app.admin, "/v1/permits/redeem", &forged).await.problem(403, "permit_invalid");
}

#[tokio::test]
async fn a_permit_is_worth_nothing_to_another_tenant() {
    let app = App::seeded().await;
    let tools = app.get(&app.admin, "/v1/tools?tenant=other").await.ok();
    let tool = items(&tools)[0]["id"].clone();
    let ledger = json!({"tenant_slug": "other", "tool_name": "ledger"});
    let permit = app.check(ledger).await.ok()["permit"].clone();
    let body = json!({"permit": permit, "tool_id": tool});
    let stranger = app.key(Wanted::role(Role::Agent).of("acme")).await;
    app.post(&stranger, "/v1/permits/redeem", &body).await.problem(404, "unknown_tool");
    let owner = app.key(Wanted::role(Role::Agent).of("other")).await;
    assert_eq!(app.post(&owner, "/v1/permits/redeem", &body).await.ok()["redeemed"], true);
}

#[tokio::test]
async fn a_key_is_shown_once_and_ends_at_once() {
    let app = App::seeded().await;
    let body = json!({"name": "ci", "role": "agent", "tenant_slug": "acme", "agent": "alice"});
    let made = app.post(&app.admin, "/v1/keys", &body).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("snt_agent_"), "{made}");
    assert_eq!((&made["tenant_slug"], &made["agent"]), (&json!("acme"), &json!("alice")));
    let list = app.get(&app.admin, "/v1/keys").await;
    assert_eq!(items(&list.ok()).len(), 2);
    assert!(!list.text.contains("snt_") && !list.text.contains("hash"), "{list:?}");

    let key = crate::support::Key {
        id: made["id"].as_str().unwrap().to_owned(),
        secret: secret.to_owned(),
    };
    assert_eq!(app.check_as(&key, json!({})).await.ok()["allow"], true);
    let path = format!("/v1/keys/{}", key.id);
    let revoked = send(&app, Method::DELETE, &path, &Value::Null).await.ok();
    assert!(revoked["revoked_at"].is_string());
    app.check_as(&key, json!({})).await.problem(401, "invalid_key");

    let wrong = json!({"name": "x", "role": "root"});
    app.post(&app.admin, "/v1/keys", &wrong).await.problem(422, "invalid_field");
    let bound = app.key(Wanted::role(Role::Admin).of("acme")).await;
    let all = json!({"name": "x", "role": "admin"});
    app.post(&bound, "/v1/keys", &all).await.problem(403, "tenant_forbidden");
    let nil = format!("/v1/keys/{}", uuid::Uuid::nil());
    send(&app, Method::DELETE, &nil, &Value::Null).await.problem(404, "unknown_key");
}
