//! OPA's REST API: what OPA's clients send and expect, decided on the same path as every check.

use reqwest::Method;
use sentinel_core::principal::Role::{Agent, Auditor};
use serde_json::{Value, json};

use crate::support::{Answer, App, Key, Mode, Wanted};

const DECISION: &str = "/v1/data/sentinel/policy/decision";
const ALLOW: &str = "/v1/data/sentinel/policy/allow";

fn input(change: Value) -> Value {
    let mut input = json!({"tenant": "acme", "tool": "search", "action": "invoke"});
    let Value::Object(change) = change else { panic!("an object") };
    for (name, value) in change {
        input[name.as_str()] = value;
    }
    json!({"input": input})
}

async fn ask(app: &App, key: &Key, path: &str, change: Value) -> Answer {
    app.post(key, path, &input(change)).await
}

async fn recorded(app: &App, id: &Value) -> Value {
    app.get(&app.admin, &format!("/v1/decisions/{}", id.as_str().unwrap())).await.ok()
}

#[tokio::test]
async fn a_decision_is_answered_recorded_and_counted_once() {
    let app = App::seeded().await;
    app.policy(Mode::Quota(2));
    let secret = json!({"purpose": "docs", "agent": "alice", "arguments": {"q": "s3cr3t"}});
    let first = ask(&app, &app.admin, DECISION, secret).await.ok();
    let result = &first["result"];
    assert_eq!((&result["allow"], &result["code"]), (&json!(true), &json!("allowed")), "{first}");
    assert_eq!(result["quota"], json!({"limit": 2, "window": "1d", "remaining": 1}));
    assert!(result["permit"].as_str().unwrap().starts_with("snp_"), "{first}");
    let record = recorded(&app, &first["decision_id"]).await;
    assert_eq!((&record["purpose"], &record["agent"]), (&json!("docs"), &json!("alice")));
    assert!(!record.to_string().contains("s3cr3t"), "{record}");
    let second = ask(&app, &app.admin, ALLOW, json!({})).await.ok();
    assert_eq!(second["result"], true, "{second}");
    let third = ask(&app, &app.admin, ALLOW, json!({})).await.ok();
    assert_eq!(third["result"], false, "{third}");
    assert_eq!(recorded(&app, &third["decision_id"]).await["code"], "quota_exceeded");
    let all = app.get(&app.admin, "/v1/decisions").await.ok();
    assert_eq!(all["items"].as_array().unwrap().len(), 3);
    let metrics = app.get(&app.admin, "/metrics").await.text;
    assert!(metrics.contains("sentinel_checks_total{allow=\"true\",code=\"allowed\"} 2"));
}

#[tokio::test]
async fn a_get_with_input_decides_as_the_post_does() {
    let app = App::seeded().await;
    let at = |path: &str, input: &str| {
        let url = url::Url::parse_with_params(&format!("{}{path}", app.base), [("input", input)]);
        app.client.get(url.unwrap()).bearer_auth(&app.admin.secret)
    };
    let good = r#"{"tenant":"acme","tool":"search","action":"invoke"}"#;
    let answer = app.send(at(ALLOW, good)).await.ok();
    assert_eq!(answer["result"], true);
    assert_eq!(recorded(&app, &answer["decision_id"]).await["code"], "allowed");
    for bad in ["", "{", "[]", "{}", r#"{"tenant":"acme","tenant":"acme"}"#] {
        let refused = app.send(at(DECISION, bad)).await;
        assert_eq!((refused.status, &refused.json()["code"]), (400, &json!("invalid_parameter")));
    }
    let bare = app.get(&app.admin, DECISION).await;
    assert_eq!(bare.status, 400, "{bare:?}");
}

#[tokio::test]
async fn denies_are_results_and_recorded() {
    let app = App::seeded().await;
    let bound = app.key(Wanted::role(Agent).of("other")).await;
    let foreign = ask(&app, &bound, DECISION, json!({})).await.ok();
    assert_eq!(foreign["result"]["code"], "tenant_forbidden");
    assert_eq!(foreign["result"]["allow"], false);
    let unknown = ask(&app, &app.admin, DECISION, json!({"tool": "nothing"})).await.ok();
    assert_eq!(unknown["result"]["code"], "unknown_tool");
    assert_eq!(recorded(&app, &unknown["decision_id"]).await["code"], "unknown_tool");
    let tenant = ask(&app, &app.admin, ALLOW, json!({"tenant": "unknown"})).await.ok();
    assert_eq!(tenant["result"], false);
    app.policy(Mode::Deny);
    let denied = ask(&app, &app.admin, DECISION, json!({})).await.ok();
    assert_eq!(denied["result"]["reasons"][0]["code"], "purpose_not_allowed");
    assert_eq!(denied["result"].get("permit"), None);
    app.policy(Mode::Error);
    assert_eq!(ask(&app, &app.admin, ALLOW, json!({})).await.ok()["result"], false);
    app.policy(Mode::Allow);
    app.kill(json!({"tenant_slug": "acme", "tool_name": "search", "reason": "stop"})).await.ok();
    let killed = ask(&app, &app.admin, DECISION, json!({})).await.ok();
    assert_eq!(
        (&killed["result"]["allow"], &killed["result"]["code"]),
        (&json!(false), &json!("killed"))
    );
    app.break_store(true);
    let unavailable = ask(&app, &app.admin, ALLOW, json!({})).await;
    assert_eq!(unavailable.status, 503, "{unavailable:?}");
    assert!(!unavailable.text.contains("true"), "{unavailable:?}");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_in_opas_form_and_decides_nothing() {
    let app = App::seeded().await;
    for body in [
        "",
        "[]",
        "{}",
        r#"{"input":null}"#,
        r#"{"input":{}}"#,
        r#"{"input":{"tenant":"acme","tool":"search"}}"#,
        r#"{"input":{"tenant":"acme","tool":"search","action":"invoke","usage":-1}}"#,
        r#"{"input":{"tenant":"acme","tool":"search","action":"invoke","tool":"other"}}"#,
        r#"{"input":{"tenant":"acme","tool":"search","action":"invoke","principal":{}}}"#,
        r#"{"input":{"tenant":"acme","tool":"search","action":"invoke","purpsoe":"x"}}"#,
        r#"{"input":{"tenant":"acme","tool":"search","action":"invoke"},"unknown":1}"#,
    ] {
        let answer = app.post_raw(&app.admin, DECISION, body).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        let error = answer.json();
        assert_eq!(error["code"], "invalid_parameter", "{body}");
        assert!(!error["message"].as_str().unwrap().is_empty(), "{body}");
        assert_eq!(error.get("result"), None);
    }
    let all = app.get(&app.admin, "/v1/decisions").await.ok();
    assert_eq!(all["items"], json!([]));
}

#[tokio::test]
async fn other_paths_are_undefined() {
    let app = App::seeded().await;
    for path in ["/v1/data/sentinel/policy", "/v1/data/sentinel/policy/allow/x", "/v1/data/other"] {
        let answer = ask(&app, &app.admin, path, json!({})).await;
        assert_eq!((answer.status, answer.json()), (200, json!({})), "{path}");
        assert_eq!(app.get(&app.admin, path).await.ok(), json!({}), "{path}");
    }
    let pretty = ask(&app, &app.admin, &format!("{ALLOW}?pretty=true"), json!({})).await.ok();
    assert_eq!(pretty["result"], true);
    let twice = ask(&app, &app.admin, &format!("{ALLOW}?input=%7B%7D"), json!({})).await;
    assert_eq!(twice.status, 400);
}

#[tokio::test]
async fn health_and_modules_are_shown_as_opa_shows_them() {
    let app = App::seeded().await;
    let health = |query: &str| app.request(Method::GET, &format!("/health{query}"));
    assert_eq!(app.send(health("")).await.ok(), json!({}));
    app.policy(Mode::None);
    assert_eq!(app.send(health("")).await.ok(), json!({}));
    let unhealthy = app.send(health("?bundles=true")).await;
    assert_eq!(unhealthy.status, 500, "{unhealthy:?}");
    assert!(unhealthy.json()["error"].as_str().unwrap().contains("no_policy"));
    let auditor = app.key(Wanted::role(Auditor)).await;
    let modules = app.get(&auditor, "/v1/policies").await.ok();
    assert_eq!(modules["result"][0]["id"], "sentinel/policy.rego");
    assert_eq!(modules["result"][0]["raw"], "package sentinel.policy");
    let bound = app.key(Wanted::role(Auditor).of("acme")).await;
    app.get(&bound, "/v1/policies").await.problem(403, "tenant_forbidden");
    let shadow = app.get(&auditor, "/v1/policy/shadow").await.ok();
    assert_eq!((&shadow["compared"], &shadow["disagreements"]), (&json!(false), &json!([])));
}
