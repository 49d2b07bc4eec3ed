//! Upstreams, pins and quarantine over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use sentinel_core::principal::Role;

use crate::support::{App, Wanted};

async fn wrapped(app: &App) {
    let body = json!({"tenant_slug": "acme", "name": "fs", "transport": "wrapped"});
    let answer = app.post(&app.admin, "/v1/upstreams", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

async fn standing(app: &App, description: &str) -> Value {
    let key = app.key(Wanted::role(Role::Agent).of("acme")).await;
    let tool = json!({"name": "read", "description": description, "inputSchema": {}});
    let body = json!({"agent": "triage", "tools": [tool]});
    app.post(&key, "/v1/upstreams/acme/fs/standing", &body).await.ok()
}

#[tokio::test]
async fn a_changed_tool_is_reviewed_by_an_operator() {
    let app = App::seeded().await;
    wrapped(&app).await;
    let found = standing(&app, "Reads.").await;
    assert_eq!(found["tools"].as_array().unwrap().len(), 6);
    let read = &found["tools"][0];
    assert_eq!((&read["name"], &read["quarantined"]), (&json!("fs__read"), &Value::Null));
    assert_eq!(found["tools"][1]["name"], "fs__resources");

    let found = standing(&app, "Reads, and more.").await;
    assert_eq!(found["tools"][0]["quarantined"], "tool_drift");
    assert_eq!(found["tools"][0]["visible"], false);
    let tools = app.get(&app.admin, "/v1/tools?tenant=acme").await.ok();
    let tool = tools["items"].as_array().unwrap().iter().find(|tool| tool["name"] == "fs__read");
    let tool = tool.unwrap();
    assert_eq!(
        (&tool["is_active"], &tool["pin"]["quarantine"]["cause"]),
        (&json!(false), &json!("drift"))
    );
    let path = format!("/v1/tools/{}", tool["id"].as_str().unwrap());
    let operator = app.key(Wanted::role(Role::Operator).of("acme")).await;
    let drift = app.get(&operator, &format!("{path}/drift")).await.ok();
    assert_eq!(drift["changed"], json!(["description"]));
    assert_eq!(drift["offered"]["definition"]["description"], "Reads, and more.");
    let check = json!({"tenant_slug": "acme", "tool_name": "fs__read", "action": "call"});
    let denied = app.post(&app.admin, "/policy/check", &check).await.ok();
    assert_eq!((&denied["allow"], &denied["code"]), (&json!(false), &json!("tool_drift")));

    let stale = json!({"digest": drift["approved"]["digest"]});
    let approve = format!("{path}/approve");
    app.post(&operator, &approve, &stale).await.problem(409, "definition_not_offered");
    let bad = json!({"digest": "sha256:12"});
    assert!(app.post(&operator, &approve, &bad).await.status >= 400);
    let body = json!({"digest": drift["offered"]["digest"]});
    let rejected = app.post(&operator, &format!("{path}/reject"), &body).await.ok();
    assert_eq!(rejected["quarantine"]["cause"], "rejected");
    let approved = app.post(&operator, &approve, &body).await.ok();
    assert_eq!(
        (&approved["quarantine"], &approved["approved"]["digest"]),
        (&Value::Null, &body["digest"])
    );
    let allowed = app.post(&app.admin, "/policy/check", &check).await.ok();
    assert_eq!(allowed["allow"], true);
    assert_eq!(standing(&app, "Reads, and more.").await["tools"][0]["quarantined"], Value::Null);
}

#[tokio::test]
async fn what_policy_rests_on_stays_when_a_tool_is_edited() {
    let app = App::seeded().await;
    wrapped(&app).await;
    standing(&app, "Reads.").await;
    let tools = app.get(&app.admin, "/v1/tools?tenant=acme").await.ok();
    let tools = tools["items"].as_array().unwrap();
    let tool = tools.iter().find(|tool| tool["name"] == "fs__read").unwrap();
    let path = format!("/v1/tools/{}", tool["id"].as_str().unwrap());
    let body = json!({"metadata": {"tier": 1, "mcp": {"annotations": {"readOnlyHint": true}}}});
    let edited = app.request(Method::PATCH, &path).bearer_auth(&app.admin.secret).json(&body);
    let edited = app.send(edited).await.ok();
    assert_eq!(edited["metadata"]["tier"], 1);
    assert_eq!(edited["metadata"]["mcp"], tool["metadata"]["mcp"]);
}

#[tokio::test]
async fn upstreams_are_listed_shown_and_removed() {
    let app = App::seeded().await;
    wrapped(&app).await;
    let body = json!({"tenant_slug": "acme", "name": "docs", "transport": {
        "http": {"url": "https://mcp.example.com/mcp", "headers": {"authorization": "env:DOCS"}},
    }});
    let added = app.post(&app.admin, "/v1/upstreams", &body).await;
    assert_eq!(added.status, 201);
    let added = added.json();
    assert_eq!(added["transport"], body["transport"]);
    app.post(&app.admin, "/v1/upstreams", &body).await.problem(409, "upstream_exists");
    let listed = app.get(&app.admin, "/v1/upstreams?tenant=acme").await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let path = format!("/v1/upstreams/{}", added["id"].as_str().unwrap());
    assert_eq!(app.get(&app.admin, &path).await.ok(), added);
    let delete = || app.request(Method::DELETE, &path).bearer_auth(&app.admin.secret);
    assert_eq!(app.send(delete()).await.ok(), added);
    app.send(delete()).await.problem(404, "unknown_upstream");
    app.get(&app.admin, &path).await.problem(404, "unknown_upstream");
    for (transport, status, code) in [
        (json!({"stdio": {"command": ["sh"]}}), 403, "command_not_allowed"),
        (json!({"http": {"url": "http://10.0.0.1/"}}), 422, "invalid_upstream"),
    ] {
        let body = json!({"tenant_slug": "acme", "name": "x", "transport": transport});
        app.post(&app.admin, "/v1/upstreams", &body).await.problem(status, code);
    }
    for secret in ["hunter2", "Bearer hunter2"] {
        let body = json!({"tenant_slug": "acme", "name": "x", "transport": {
            "http": {"url": "https://x.example.com/", "headers": {"authorization": secret}},
        }});
        let refused = app.post(&app.admin, "/v1/upstreams", &body).await;
        assert!(refused.status >= 400 && !refused.text.contains("hunter2"), "{refused:?}");
    }
}
