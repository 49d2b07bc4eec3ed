//! Who may sign what became of a call, and who may read it.

use sentinel_core::decision::ReasonCode;
use sentinel_core::principal::Role;
use serde_json::{Value, json};

use crate::support::{App, Key, Mode, Wanted};

const AGENT: Wanted = Wanted::role(Role::Agent).of("acme");

async fn decided(app: &App, key: &Key, change: Value) -> Value {
    app.check_as(key, change).await.ok()["decision_id"].clone()
}

async fn verified(app: &App, signed: &Value) -> Value {
    let path = format!("/provenance/verify/{}", signed["manifest_id"].as_str().unwrap());
    app.get(&app.admin, &path).await.ok()
}

fn check<'a>(verified: &'a Value, name: &str) -> &'a Value {
    let checks = verified["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap()
}

#[tokio::test]
async fn only_the_principal_and_the_agent_of_a_decision_sign_its_outcome() {
    let app = App::seeded().await;
    let alpha = app.key(AGENT.bound("alpha")).await;
    let beta = app.key(AGENT.bound("beta")).await;
    let unbound = app.key(AGENT).await;
    let id = decided(&app, &alpha, json!({"purpose": "docs"})).await;
    for key in [&beta, &unbound, &app.admin] {
        let problem = app.sign_as(key, json!({"decision_id": id})).await;
        let problem = problem.problem(409, "decision_mismatch");
        assert!(problem["detail"].as_str().unwrap().contains("principal"), "{problem}");
    }
    app.sign_as(&alpha, json!({"decision_id": id})).await.ok();

    // One key may speak for several agents, but a decision is about one of them.
    let id = decided(&app, &unbound, json!({"agent": "alpha", "purpose": "docs"})).await;
    for (change, differs) in [
        (json!({"agent": "beta"}), "agent"),
        (json!({"purpose": "marketing"}), "purpose"),
        (json!({"action": "delete"}), "action"),
    ] {
        let mut change = change.clone();
        change["decision_id"] = id.clone();
        let problem = app.sign_as(&unbound, change).await.problem(409, "decision_mismatch");
        let expected = format!("another {differs};");
        assert!(problem["detail"].as_str().unwrap().contains(&expected), "{problem}");
    }
    let same = json!({"decision_id": id, "agent": "alpha", "purpose": "docs"});
    app.sign_as(&unbound, same).await.ok();

    let nameless = decided(&app, &unbound, json!({})).await;
    let named = json!({"decision_id": nameless, "agent": "alpha"});
    app.sign_as(&unbound, named).await.problem(409, "decision_mismatch");
}

#[tokio::test]
async fn what_is_left_out_is_that_of_the_decision() {
    let app = App::seeded().await;
    let key = app.key(AGENT).await;
    let id = decided(&app, &key, json!({"agent": "alpha", "purpose": "docs"})).await;
    let signed = app.sign_as(&key, json!({"decision_id": id})).await.ok();
    let verified = verified(&app, &signed).await;
    assert_eq!(verified["verified"], true, "{verified}");
    assert_eq!(verified["manifest"]["agent"], "alpha");
    assert_eq!(verified["manifest"]["purpose"], "docs");
    assert_eq!(verified["manifest"]["decision_allow"], true);
}

#[tokio::test]
async fn an_agent_is_stated_as_in_a_check() {
    let app = App::seeded().await;
    let signed = app.sign(json!({"agent": "alpha"})).await.ok();
    assert_eq!(verified(&app, &signed).await["manifest"]["agent"], "alpha");
    let bound = app.key(AGENT.bound("alpha")).await;
    app.sign_as(&bound, json!({"agent": "beta"})).await.problem(403, "agent_forbidden");
    for change in [json!({"agent": "alpha"}), json!({})] {
        let signed = app.sign_as(&bound, change).await.ok();
        assert_eq!(verified(&app, &signed).await["manifest"]["agent"], "alpha");
    }
}

#[tokio::test]
async fn a_rotated_key_goes_on_with_what_the_old_one_began() {
    let app = App::seeded().await;
    let old = app.key(AGENT.held_by("crawler")).await;
    let new = app.key(AGENT.held_by("crawler")).await;
    let other = app.key(AGENT.held_by("indexer")).await;
    let elsewhere = app.key(Wanted::role(Role::Agent).held_by("crawler")).await;
    let id = decided(&app, &old, json!({"call_id": "c-1"})).await;
    for key in [&other, &elsewhere] {
        let refused = app.sign_as(key, json!({"decision_id": id})).await;
        refused.problem(409, "decision_mismatch");
    }
    let signed = app.sign_as(&new, json!({"decision_id": id})).await.ok();
    let verified = verified(&app, &signed).await;
    assert_eq!(verified["verified"], true, "{verified}");
    assert_eq!(verified["manifest"]["principal"], "owner:acme/crawler");
    assert_eq!(decided(&app, &new, json!({"call_id": "c-1"})).await, id, "one principal");
}

#[tokio::test]
async fn an_edited_decision_does_not_verify() {
    type Edit = fn(&mut sentinel_core::audit::DecisionRecord);
    let edits: [(&str, Edit); 8] = [
        ("allow", |record| record.allow = true),
        ("code", |record| record.code = ReasonCode::Allowed),
        ("policy_revision", |record| record.policy_revision = Some("rev-2".into())),
        ("tool", |record| record.tool = "ledger".parse().unwrap()),
        ("action", |record| record.action = "delete".parse().unwrap()),
        ("purpose", |record| record.purpose = None),
        ("agent", |record| record.agent = Some("beta".parse().unwrap())),
        ("principal", |record| record.principal = "owner:mallory".to_owned()),
    ];
    let app = App::seeded().await;
    app.policy(Mode::Deny);
    let change = json!({"agent": "alpha", "purpose": "docs"});
    let id = decided(&app, &app.admin.clone(), change).await;
    let signed = app.sign(json!({"decision_id": id})).await.ok();
    let sound = verified(&app, &signed).await;
    assert_eq!(sound["verified"], true, "{sound}");
    for (field, edit) in edits {
        app.edit_decisions(edit);
        let edited = verified(&app, &signed).await;
        assert_eq!(edited["verified"], false, "{field}: {edited}");
        let link = check(&edited, "decision_link");
        assert_eq!(link["outcome"], "failed");
        assert!(link["detail"].as_str().unwrap().ends_with(&format!(": {field}")), "{link}");
    }
}

#[tokio::test]
async fn an_outcome_under_a_deny_is_reported_as_such() {
    let app = App::seeded().await;
    app.policy(Mode::Deny);
    let id = decided(&app, &app.admin.clone(), json!({})).await;
    let signed = app.sign(json!({"decision_id": id})).await.ok();
    let verified = verified(&app, &signed).await;
    assert_eq!(verified["manifest"]["phase"], "outcome", "{verified}");
    assert_eq!(verified["manifest"]["decision_allow"], false);
    let link = check(&verified, "decision_link");
    assert!(link["detail"].as_str().unwrap().contains("DENY"), "{link}");
}

#[tokio::test]
async fn a_key_bound_to_an_agent_reads_that_agents_manifests_only() {
    let app = App::seeded().await;
    let alpha = app.key(AGENT.bound("alpha")).await;
    let beta = app.key(AGENT.bound("beta")).await;
    let unbound = app.key(AGENT).await;
    let auditor = app.key(Wanted::role(Role::Auditor).of("acme")).await;
    let keep = json!({"keep_payload": true});
    let mine = app.sign_as(&alpha, keep.clone()).await.ok();
    let nobodys = app.sign_as(&unbound, keep).await.ok();
    for (signed, readers, strangers) in [
        (&mine, vec![&alpha, &unbound, &auditor], vec![&beta]),
        (&nobodys, vec![&unbound, &auditor], vec![&alpha, &beta]),
    ] {
        let id = signed["manifest_id"].as_str().unwrap();
        let paths = [
            format!("/v1/manifests/{id}"),
            format!("/v1/manifests/{id}/bundle"),
            format!("/v1/manifests/{id}/payload"),
            format!("/v1/manifests/{id}/salt"),
            format!("/provenance/verify/{id}"),
        ];
        for path in &paths {
            for key in &readers {
                app.get(key, path).await.ok();
            }
            for key in &strangers {
                app.get(key, path).await.problem(404, "unknown_manifest");
            }
        }
    }
    let bound = app.key(Wanted::role(Role::Auditor).of("acme").bound("ALPHA")).await;
    for (key, count) in [(&auditor, 2), (&bound, 1)] {
        let listed = app.get(key, "/v1/manifests").await.ok();
        assert_eq!(listed["items"].as_array().unwrap().len(), count, "{listed}");
    }
}
