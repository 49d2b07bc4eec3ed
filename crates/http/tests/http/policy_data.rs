//! Policy data over HTTP, and the record of changes of policy.

use reqwest::Method;
use sentinel_core::principal::Role::{Admin, Auditor, Author};
use serde_json::{Value, json};

use crate::support::{Answer, App, Key, Mode, Wanted};

async fn send(
    app: &App,
    key: &Key,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> Answer {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request =
        app.request(method, &format!("/v1/policy/data{path}")).bearer_auth(&key.secret);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    app.send(request).await
}

async fn put(app: &App, key: &Key, path: &str, body: Value) -> Answer {
    send(app, key, "PUT", path, &[], Some(body)).await
}

#[tokio::test]
async fn data_is_put_read_changed_and_removed_with_author_and_reason() {
    let app = App::seeded().await;
    let author = app.key(Wanted::role(Author)).await;
    let path = "/limits/search%2Fv2/%E2%9C%93?reason=incident%204711";
    let answer = put(&app, &author, path, json!({"ü": [1, null], "n": 1})).await;
    let done = answer.ok();
    assert_eq!((&done["path"], &done["version"]), (&json!("/limits/search~1v2/✓"), &json!(1)));
    assert_eq!(done["etag"], answer.header("etag"));
    let read = app.get(&author, "/v1/policy/data/limits/search%2Fv2/%E2%9C%93").await;
    assert_eq!(read.ok()["value"], json!({"ü": [1, null], "n": 1}));
    assert_eq!(read.header("etag"), answer.header("etag"));

    let patch = json!([{"op": "replace", "path": "/n", "value": 2}, {"op": "add", "path": "/ü/-", "value": 3}]);
    let request = app
        .request(Method::PATCH, "/v1/policy/data/limits/search%2Fv2/%E2%9C%93")
        .bearer_auth(&app.admin.secret)
        .header("content-type", "application/json-patch+json")
        .header("if-match", answer.header("etag"));
    let patched = app.send(request.body(patch.to_string())).await.ok();
    assert_eq!(patched["value"], json!({"ü": [1, null, 3], "n": 2}));
    let all = app.get(&author, "/v1/policy/data").await.ok();
    assert_eq!(all["value"], json!({"limits": {"search/v2": {"✓": {"ü": [1, null, 3], "n": 2}}}}));
    assert_eq!((&all["path"], &all["version"]), (&json!(""), &json!(2)));

    let gone = send(&app, &author, "DELETE", "/limits?reason=over", &[], None).await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    app.get(&author, "/v1/policy/data/limits").await.problem(404, "unknown_policy_data");
    let again = send(&app, &author, "DELETE", "/limits", &[], None).await;
    again.problem(404, "unknown_policy_data");
    assert_eq!(app.get(&author, "/v1/policy").await.ok()["data_version"], 3);

    let auditor = app.key(Wanted::role(Auditor)).await;
    let history = app.get(&auditor, "/v1/policy/data-history?path=/limits/search~1v2").await.ok();
    let items = history["items"].as_array().unwrap();
    let kinds: Vec<_> = items.iter().map(|item| item["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["data_removed", "data_put", "data_put"]);
    let first = &items[2];
    assert_eq!(first["actor"], format!("key:{}", author.id));
    assert_eq!((&first["author"], &first["reason"]), (&json!("test"), &json!("incident 4711")));
    assert_eq!(first["value"], json!({"ü": [1, null], "n": 1}));
    assert!(items[0].get("value").is_none(), "{}", items[0]);
    let changes = app.get(&auditor, "/v1/policy/changes?limit=2").await.ok();
    assert_eq!(changes["items"][0]["data_version"], 3);
    assert!(changes["items"][0].get("value").is_none());
    let cursor = changes["next_cursor"].as_str().unwrap();
    let rest = app.get(&auditor, &format!("/v1/policy/changes?limit=2&cursor={cursor}")).await.ok();
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    app.get(&auditor, "/v1/policy/data-history?path=limits").await.problem(400, "invalid_query");
}

#[tokio::test]
async fn a_change_on_an_outdated_reading_is_refused() {
    let app = App::seeded().await;
    let etag = put(&app, &app.admin, "/a", json!(1)).await.header("etag").to_owned();
    put(&app, &app.admin, "/a", json!(2)).await.ok();
    for (method, body) in [("PUT", Some(json!(3))), ("PATCH", Some(json!([]))), ("DELETE", None)] {
        let stale = send(&app, &app.admin, method, "/a", &[("if-match", &etag)], body).await;
        stale.problem(412, "policy_data_changed");
    }
    let taken = send(&app, &app.admin, "PUT", "/a", &[("if-none-match", "*")], Some(json!(3)));
    taken.await.problem(412, "policy_data_changed");
    let absent = send(&app, &app.admin, "PUT", "/b", &[("if-match", "*")], Some(json!(3)));
    absent.await.problem(412, "policy_data_changed");
    let weak = send(&app, &app.admin, "PUT", "/a", &[("if-match", "W/\"x\"")], Some(json!(3)));
    weak.await.problem(400, "invalid_precondition");
    let fresh = send(&app, &app.admin, "PUT", "/b", &[("if-none-match", "*")], Some(json!(3)));
    fresh.await.ok();
    // What is stored elsewhere does not matter to a tag.
    let etag = app.get(&app.admin, "/v1/policy/data/a").await.header("etag").to_owned();
    send(&app, &app.admin, "PUT", "/a", &[("if-match", &etag)], Some(json!(4))).await.ok();
    assert_eq!(app.get(&app.admin, "/v1/policy/data/a").await.ok()["value"], 4);
}

#[tokio::test]
async fn what_may_not_be_put_is_refused_and_changes_nothing() {
    let app = App::seeded().await;
    put(&app, &app.admin, "/scalar", json!(1)).await.ok();
    let owned = put(&app, &app.admin, "/sentinel/policy/allow", json!(true)).await;
    let problem = owned.problem(409, "policy_data_owned");
    assert!(problem["detail"].as_str().unwrap().contains("package `/sentinel/policy`"));
    put(&app, &app.admin, "/scalar/below", json!(1)).await.problem(409, "not_an_object");
    let misfit = json!([{"op": "remove", "path": "/x"}]);
    let patched = send(&app, &app.admin, "PATCH", "/scalar", &[], Some(misfit.clone())).await;
    patched.problem(409, "patch_failed");
    let patched = send(&app, &app.admin, "PATCH", "/none", &[], Some(misfit)).await;
    patched.problem(404, "unknown_policy_data");
    for path in ["/a//b", "/%", "/%ff", "/%00", "/a/%2e%2E", "/%E2%80%AEx", "/x/"] {
        // The client would resolve the dots itself.
        let answer = raw_put(&app, path).await;
        assert!(answer.contains(" 400 ") && answer.contains("invalid_path"), "{path}: {answer}");
    }
    let deep = format!("/{}", vec!["d"; 17].join("/"));
    put(&app, &app.admin, &deep, json!(1)).await.problem(400, "invalid_path");
    let large = json!("x".repeat(100_000));
    let large = Value::from(vec![large; 11]);
    put(&app, &app.admin, "/large", large).await.problem(413, "body_too_large");
    let nested = (0..40).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(put(&app, &app.admin, "/nested", nested).await.status, 400);
    let twice = app
        .request(Method::PUT, "/v1/policy/data/twice")
        .bearer_auth(&app.admin.secret)
        .header("content-type", "application/json");
    assert_eq!(app.send(twice.body(r#"{"a": 1, "a": 2}"#)).await.status, 400);
    put(&app, &app.admin, "/a?reason=", json!(1)).await.problem(400, "invalid_query");
    let bound = app.key(Wanted::role(Author).of("acme")).await;
    put(&app, &bound, "/a", json!(1)).await.problem(403, "tenant_forbidden");
    let auditor = app.key(Wanted::role(Auditor)).await;
    put(&app, &auditor, "/a", json!(1)).await.problem(403, "role_forbidden");
    let all = app.get(&app.admin, "/v1/policy/data").await.ok();
    assert_eq!((&all["value"], &all["version"]), (&json!({"scalar": 1}), &json!(1)));
    // Nearly a mebibyte fits.
    let large = Value::from(vec![json!("x".repeat(100_000)); 10]);
    put(&app, &app.admin, "/large", large).await.ok();
}

/// Puts at exactly this path.
async fn raw_put(app: &App, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = app.base.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "PUT /v1/policy/data{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
        content-type: application/json\r\ncontent-length: 1\r\nconnection: close\r\n\r\n1",
        app.admin.secret
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn an_engine_with_data_of_its_own_takes_none() {
    let app = App::seeded().await;
    app.policy(Mode::None);
    put(&app, &app.admin, "/a", json!(1)).await.problem(409, "policy_data_elsewhere");
}

#[tokio::test]
async fn a_change_is_told_to_those_whom_all_tenants_concern() {
    let app = App::seeded().await;
    let admin = app.key(Wanted::role(Admin)).await;
    let mut events = app.listen(&admin, "/v1/events?types=policy.data_put", None).await;
    put(&app, &app.admin, "/a?reason=because", json!({"secret-value": 1})).await.ok();
    let event = events.named("policy.data_put").await;
    assert_eq!(event.data["event"], "policy.data_put");
    assert_eq!(event.data["reason"], "because");
    assert_eq!(event.data["metadata"]["path"], "/a");
    assert!(!event.data.to_string().contains("secret-value"), "{}", event.data);
}

#[tokio::test]
async fn a_store_that_is_away_changes_nothing() {
    let app = App::seeded().await;
    app.break_store(true);
    put(&app, &app.admin, "/a", json!(1)).await.problem(503, "store_unavailable");
    app.get(&app.admin, "/v1/policy/changes").await.problem(503, "store_unavailable");
    app.break_store(false);
    assert_eq!(app.get(&app.admin, "/v1/policy/data").await.ok()["value"], json!({}));
}
