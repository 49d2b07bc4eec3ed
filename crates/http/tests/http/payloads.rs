//! Payloads over HTTP: kept, compared, destroyed.

use sentinel_core::principal::Role;
use serde_json::{Value, json};

use crate::support::{App, Wanted};

/// Spacing, order and numbers as no serializer would write them.
const PAYLOAD: &str = r#"{ "b":1.0,   "a":[1e2, "\u00e9"] }"#;

async fn sign(app: &App) -> Value {
    let body = format!(
        r#"{{"tenant_slug":"acme","tool_name":"search","action":"invoke","keep_payload":true,
            "payload":{PAYLOAD}}}"#
    );
    app.post_raw(&app.admin, "/provenance/sign", body).await.ok()
}

fn check(verified: &Value, name: &str) -> (String, String) {
    let checks = verified["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name).unwrap();
    let text = |field: &str| check[field].as_str().unwrap().to_owned();
    (text("outcome"), text("detail"))
}

#[tokio::test]
async fn a_payload_is_kept_to_the_byte_and_destroyed_with_its_key() {
    let app = App::seeded().await;
    let signed = sign(&app).await;
    let id = signed["manifest_id"].as_str().unwrap();
    let [payload, salt] = ["payload", "salt"].map(|what| format!("/v1/manifests/{id}/{what}"));
    let verify = format!("/provenance/verify/{id}");
    let got = app.get(&app.admin, &payload).await;
    assert_eq!((got.status, got.text.as_str()), (200, PAYLOAD));
    assert_eq!(got.header("cache-control"), "no-store");
    assert_eq!(app.get(&app.admin, &salt).await.ok()["salt"], signed["salt"]);
    let verified = app.get(&app.admin, &verify).await.ok();
    assert_eq!(check(&verified, "payload_commitment").0, "passed", "{verified}");

    let body = json!({"tenant_slug": "acme", "reason": "erasure request 4711"});
    let destroyed = app.post(&app.admin, "/v1/payload-keys/destroy", &body).await.ok();
    assert_eq!(destroyed["payloads_destroyed"], 1);
    let tombstone = &destroyed["tombstone"];
    assert_eq!((&tombstone["tenant"], &tombstone["key_generation"]), (&json!("acme"), &json!(1)));
    let stone = tombstone["id"].as_str().unwrap();
    for path in [&payload, &salt] {
        let problem = app.get(&app.admin, path).await.problem(410, "payload_destroyed");
        assert!(problem["detail"].as_str().unwrap().contains(stone), "{problem}");
    }
    let verified = app.get(&app.admin, &verify).await.ok();
    assert_eq!(verified["verified"], true, "{verified}");
    let detail = format!("the payload was destroyed, see tombstone `{stone}`");
    assert_eq!(check(&verified, "payload_commitment"), ("skipped".to_owned(), detail));
    app.post(&app.admin, "/v1/payload-keys/destroy", &body).await.problem(409, "no_payload_key");
    let next = sign(&app).await;
    let next = format!("/v1/manifests/{}/payload", next["manifest_id"].as_str().unwrap());
    assert_eq!(app.get(&app.admin, &next).await.text, PAYLOAD);
}

#[tokio::test]
async fn an_auditor_sees_what_was_destroyed_with_its_place_in_the_log() {
    let app = App::seeded().await;
    sign(&app).await;
    let body = json!({"tenant_slug": "acme", "reason": "erasure request 4711"});
    let destroyed = app.post(&app.admin, "/v1/payload-keys/destroy", &body).await.ok();
    let tombstone = &destroyed["tombstone"];
    let auditor = app.key(Wanted::role(Role::Auditor).of("acme")).await;
    let foreign = app.key(Wanted::role(Role::Auditor).of("other")).await;
    let listed = app.get(&auditor, "/v1/tombstones").await.ok();
    assert_eq!(listed["items"], json!([tombstone]));
    assert_eq!(app.get(&foreign, "/v1/tombstones").await.ok()["items"], json!([]));
    let path = format!("/v1/tombstones/{}/bundle", tombstone["id"].as_str().unwrap());
    app.get(&foreign, &path).await.problem(404, "unknown_tombstone");
    let bundle = app.get(&auditor, &path).await.ok();
    let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
    assert_eq!(entry["logIndex"], json!(tombstone["log_index"].to_string()), "{bundle}");
    assert!(entry["inclusionProof"]["checkpoint"]["envelope"].is_string(), "{bundle}");
}

#[tokio::test]
async fn what_was_not_given_to_be_kept_is_not_there() {
    let app = App::seeded().await;
    let id = app.sign(json!({})).await.ok()["manifest_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/manifests/{id}/payload");
    app.get(&app.admin, &path).await.problem(404, "payload_not_kept");
    let unknown = json!({"tenant_slug": "unknown", "reason": "probe"});
    app.post(&app.admin, "/v1/payload-keys/destroy", &unknown).await.problem(404, "unknown_tenant");
    let empty = json!({"tenant_slug": "acme", "reason": ""});
    let refused = app.post(&app.admin, "/v1/payload-keys/destroy", &empty).await;
    assert_eq!(refused.status, 422, "{refused:?}");
}
