//! What policy attaches to a decision is in every response about it.

use serde_json::{Value, json};

use crate::support::{App, Mode};

#[tokio::test]
async fn obligations_are_in_every_answer_of_a_check_and_in_the_listing() {
    let app = App::seeded().await;
    app.policy(Mode::Alert);
    let alert = json!([{"type": "alert", "channel": "security", "level": 2}]);
    assert_eq!(app.check(json!({})).await.ok()["obligations"], alert);

    let input = json!({"input": {"tenant": "acme", "tool": "search", "action": "invoke"}});
    let opa = app.post(&app.admin, "/v1/data/sentinel/policy/decision", &input).await.ok();
    assert_eq!(opa["result"]["obligations"], alert, "{opa}");

    let evaluation = json!({
        "subject": {"type": "agent", "id": "agent-7"},
        "action": {"name": "invoke"},
        "resource": {"type": "tool", "id": "acme/search"},
    });
    let authzen = app.post(&app.admin, "/access/v1/evaluation", &evaluation).await.ok();
    assert_eq!(authzen["context"]["obligations"], alert, "{authzen}");

    let listed = app.get(&app.admin, "/v1/decisions").await.ok();
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 3, "{listed}");
    for decision in items {
        assert_eq!(decision["obligations"], alert, "{decision}");
        let path = format!("/v1/decisions/{}", decision["id"].as_str().unwrap());
        assert_eq!(app.get(&app.admin, &path).await.ok()["obligations"], alert);
    }
}

#[tokio::test]
async fn no_obligations_are_an_empty_list() {
    let app = App::seeded().await;
    for mode in [Mode::Allow, Mode::Deny] {
        app.policy(mode);
        assert_eq!(app.check(json!({})).await.ok()["obligations"], json!([]));
    }
    let listed = app.get(&app.admin, "/v1/decisions").await.ok();
    let empty = |decision: &Value| decision["obligations"] == json!([]);
    assert!(listed["items"].as_array().unwrap().iter().all(empty), "{listed}");
}
