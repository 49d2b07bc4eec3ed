//! AuthZEN 1.0: evaluations, decided on the same path as every check.

use reqwest::Method;
use sentinel_core::principal::Role::Agent;
use serde_json::{Value, json};

use crate::support::{App, Mode, Wanted};

const ONE: &str = "/access/v1/evaluation";
const SEVERAL: &str = "/access/v1/evaluations";

fn evaluation(change: Value) -> Value {
    let mut body = json!({
        "subject": {"type": "agent", "id": "alice"},
        "action": {"name": "invoke"},
        "resource": {"type": "tool", "id": "acme/search"},
    });
    let Value::Object(change) = change else { panic!("an object") };
    for (name, value) in change {
        body[name.as_str()] = value;
    }
    body
}

async fn recorded(app: &App, answer: &Value) -> Value {
    let id = answer["context"]["id"].as_str().unwrap();
    app.get(&app.admin, &format!("/v1/decisions/{id}")).await.ok()
}

fn decisions(answer: &Value) -> Vec<bool> {
    let all = answer["evaluations"].as_array().unwrap().iter();
    all.map(|one| one["decision"].as_bool().unwrap()).collect()
}

#[tokio::test]
async fn an_evaluation_is_a_check() {
    let app = App::seeded().await;
    app.policy(Mode::Quota(2));
    let body = evaluation(json!({
        "subject": {"type": "agent", "id": "alice", "properties": {"team": "red"}},
        "context": {
            "purpose": "docs", "usage": 1, "arguments": {"q": "s3cr3t"}, "ticket": "T-1",
        },
    }));
    let request = app.request(Method::POST, ONE).bearer_auth(&app.admin.secret).json(&body);
    let answer = app.send(request.header("x-request-id", "bfe9eb29-ab87-4ca3")).await;
    assert_eq!(answer.header("x-request-id"), "bfe9eb29-ab87-4ca3");
    let answer = answer.ok();
    assert_eq!(answer["decision"], true, "{answer}");
    assert_eq!(answer["context"]["quota_remaining"], 1);
    assert!(answer["context"]["permit"].as_str().unwrap().starts_with("snp_"));
    let record = recorded(&app, &answer).await;
    assert_eq!((&record["agent"], &record["purpose"]), (&json!("alice"), &json!("docs")));
    assert_eq!(
        record["event_metadata"]["context"],
        json!({"ticket": "T-1", "subject_properties": {"team": "red"}})
    );
    assert!(!record.to_string().contains("s3cr3t"), "{record}");
    let by_property = evaluation(json!({
        "resource": {"type": "tool", "id": "search", "properties": {"tenant": "acme"}},
    }));
    assert_eq!(app.post(&app.admin, ONE, &by_property).await.ok()["decision"], true);
    let third = app.post(&app.admin, ONE, &by_property).await.ok();
    assert_eq!(
        (&third["decision"], &third["context"]["code"]),
        (&json!(false), &json!("quota_exceeded"))
    );
}

#[tokio::test]
async fn denies_are_decisions_and_recorded() {
    let app = App::seeded().await;
    let bound = app.key(Wanted::role(Agent).of("other")).await;
    let foreign = app.post(&bound, ONE, &evaluation(json!({}))).await.ok();
    assert_eq!(foreign["decision"], false);
    assert_eq!(foreign["context"]["code"], "tenant_forbidden");
    let nothing = evaluation(json!({"resource": {"type": "tool", "id": "acme/nothing"}}));
    let unknown = app.post(&app.admin, ONE, &nothing).await.ok();
    assert_eq!(unknown["decision"], false);
    assert_eq!(recorded(&app, &unknown).await["code"], "unknown_tool");
    let of_bob = app.key(Wanted { agent: Some("bob"), ..Wanted::role(Agent).of("acme") }).await;
    let alice = app.post(&of_bob, ONE, &evaluation(json!({}))).await.ok();
    assert_eq!(
        (&alice["decision"], &alice["context"]["code"]),
        (&json!(false), &json!("agent_forbidden"))
    );
    app.kill(json!({"tenant_slug": "acme", "agent": "alice", "reason": "stop"})).await.ok();
    let killed = app.post(&app.admin, ONE, &evaluation(json!({}))).await.ok();
    assert_eq!(
        (&killed["decision"], &killed["context"]["code"]),
        (&json!(false), &json!("killed"))
    );
    app.break_store(true);
    let unavailable = app.post(&app.admin, ONE, &evaluation(json!({}))).await;
    unavailable.problem(503, "store_unavailable");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_decides_nothing() {
    let app = App::seeded().await;
    for change in [
        json!({"subject": {"type": "user", "id": "alice"}}),
        json!({"resource": {"type": "document", "id": "acme/search"}}),
        json!({"resource": {"type": "tool", "id": "search"}}),
        json!({"resource": {"type": "tool", "id": "search", "properties": {"tenant": 7}}}),
        json!({"subject": {"type": "agent", "id": ""}}),
        json!({"subject": null}),
        json!({"action": null}),
        json!({"context": {"usage": "many"}}),
        json!({"context": {"usage": -1}}),
        json!({"context": {"arguments": []}}),
        json!({"subject": {"type": "agent", "id": "a", "properties": {"x": 1}},
               "context": {"subject_properties": {}}}),
    ] {
        let answer = app.post(&app.admin, ONE, &evaluation(change.clone())).await;
        let problem = answer.problem(400, "invalid_evaluation");
        assert_eq!(problem.get("decision"), None, "{change}");
    }
    let twice = r#"{"subject":{"type":"agent","id":"a","id":"b"}}"#;
    app.post_raw(&app.admin, ONE, twice).await.problem(400, "duplicate_key");
    let misspelt = evaluation(json!({"contxt": {}}));
    assert_eq!(app.post(&app.admin, ONE, &misspelt).await.status, 422);
    let all = app.get(&app.admin, "/v1/decisions").await.ok();
    assert_eq!(all["items"], json!([]));
}

#[tokio::test]
async fn several_evaluations_take_defaults_and_each_counts_once() {
    let app = App::seeded().await;
    app.policy(Mode::Quota(2));
    let mut body = evaluation(json!({"context": {"purpose": "docs"}}));
    body["evaluations"] = json!([
        {},
        {"resource": {"type": "tool", "id": "acme/nothing"}},
        {"resource": {"type": "planet", "id": "mars"}},
        {"action": {"name": "read"}, "context": {}},
    ]);
    let answer = app.post(&app.admin, SEVERAL, &body).await.ok();
    assert_eq!(decisions(&answer), [true, false, false, true], "{answer}");
    let all = answer["evaluations"].as_array().unwrap();
    assert_eq!(all[1]["context"]["code"], "unknown_tool");
    assert_eq!(all[2]["context"]["error"]["status"], 400);
    let (first, last) = (recorded(&app, &all[0]).await, recorded(&app, &all[3]).await);
    assert_eq!((&first["purpose"], &last["purpose"]), (&json!("docs"), &Value::Null));
    assert_eq!((&first["action"], &last["action"]), (&json!("invoke"), &json!("read")));
    let used = app.post(&app.admin, SEVERAL, &evaluation(json!({}))).await.ok();
    assert_eq!(used["decision"], false, "one evaluation is answered as one: {used}");
    let listed = app.get(&app.admin, "/v1/decisions").await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn an_evaluation_that_settles_the_matter_ends_the_rest() {
    let app = App::seeded().await;
    let nothing = json!({"resource": {"type": "tool", "id": "acme/nothing"}});
    for (semantic, evaluations, expected) in [
        ("deny_on_first_deny", json!([{}, nothing, {}]), vec![true, false]),
        ("permit_on_first_permit", json!([nothing, {}, {}]), vec![false, true]),
        ("execute_all", json!([nothing, {}, nothing]), vec![false, true, false]),
    ] {
        let before = app.get(&app.admin, "/v1/decisions").await.ok();
        let mut body = evaluation(json!({}));
        body["evaluations"] = evaluations;
        body["options"] = json!({"evaluations_semantic": semantic});
        let answer = app.post(&app.admin, SEVERAL, &body).await.ok();
        assert_eq!(decisions(&answer), expected, "{semantic}: {answer}");
        let after = app.get(&app.admin, "/v1/decisions").await.ok();
        let count = |page: &Value| page["items"].as_array().unwrap().len();
        assert_eq!(count(&after) - count(&before), expected.len(), "{semantic}");
    }
    let mut body = evaluation(json!({"options": {"evaluations_semantic": "best_effort"}}));
    body["evaluations"] = json!([{}]);
    assert_eq!(app.post(&app.admin, SEVERAL, &body).await.status, 422);
    body = evaluation(json!({}));
    body["evaluations"] = Value::Array(vec![json!({}); 101]);
    app.post(&app.admin, SEVERAL, &body).await.problem(400, "too_many_evaluations");
}

#[tokio::test]
async fn the_endpoints_can_be_discovered() {
    let app = App::start().await;
    let request = app.request(Method::GET, "/.well-known/authzen-configuration");
    let found = app.send(request).await.ok();
    assert_eq!(found["policy_decision_point"], app.base);
    assert_eq!(found["access_evaluation_endpoint"], format!("{}{ONE}", app.base));
    assert_eq!(found["access_evaluations_endpoint"], format!("{}{SEVERAL}", app.base));
}
