//! What is refused before a message is served, and how: an HTTP status, and a JSON-RPC error that
//! carries the id.

use reqwest::Method;
use sentinel_core::principal::Role;
use serde_json::json;

use crate::support::http::request;
use crate::support::{Answer, App};

/// Sends bytes over a connection of its own and returns the status: `Host` is as it is given.
async fn status(app: &App, host: &str, origin: Option<&str>, key: &str) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = app.base.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let body = request(1, "ping", json!({})).to_string();
    let origin = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
    let head = format!(
        "POST /mcp/acme HTTP/1.1\r\nHost: {host}\r\n{origin}Authorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len(),
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn only_our_own_names_and_pages_reach_the_gateway() {
    let app = App::start().await;
    let key = app.agent().await.0;
    let port = app.base.rsplit(':').next().unwrap();
    // A request that is admitted lacks a session.
    let admitted = 400;
    for host in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"] {
        for origin in [None, Some("http://localhost"), Some("http://127.0.0.1:6274")] {
            let host = format!("{host}:{port}");
            assert_eq!(status(&app, &host, origin, &key).await, admitted, "{host} {origin:?}");
        }
    }
    for host in
        ["attacker.example", "localhost.attacker.example", "127.0.0.1.nip.io", "0.0.0.0", ""]
    {
        assert_eq!(status(&app, host, None, &key).await, 403, "{host}");
    }
    for origin in
        ["http://attacker.example", "https://localhost.attacker.example", "null", "file://", ""]
    {
        let host = format!("127.0.0.1:{port}");
        assert_eq!(status(&app, &host, Some(origin), &key).await, 403, "{origin}");
    }
}

#[tokio::test]
async fn a_caller_without_a_valid_key_is_told_where_the_metadata_is() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    let none = client.clone().without("authorization");
    let unknown = client.clone().with("authorization", "Bearer snt_agent_unknown");
    for (client, error) in [(none, ""), (unknown, "error=\"invalid_token\", ")] {
        let answer = client.post(&request(7, "tools/list", json!({}))).await;
        assert_eq!((answer.status.as_u16(), &answer.body["id"]), (401, &json!(7)));
        assert_eq!(answer.code(), -32600);
        let challenge = answer.headers["www-authenticate"].to_str().unwrap();
        let url = format!("{}/.well-known/oauth-protected-resource/mcp/acme", app.base);
        assert_eq!(challenge, format!("Bearer {error}resource_metadata=\"{url}\""));
    }
    // The metadata itself needs no key, and says nothing of which tenants exist.
    for path in ["/mcp/acme", "/mcp/acme/files", "/mcp/nobody"] {
        let url = format!("{}/.well-known/oauth-protected-resource{path}", app.base);
        let metadata: serde_json::Value =
            app.http.get(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(metadata["resource"], format!("{}{path}", app.base));
        assert_eq!(metadata["bearer_methods_supported"], json!(["header"]));
    }
}

#[tokio::test]
async fn every_method_needs_a_key() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).without("authorization");
    for path in ["/mcp/acme", "/mcp/acme/files"] {
        let client = client.clone().at(&app, path).with("mcp-session-id", "x");
        for method in [Method::POST, Method::GET, Method::DELETE] {
            assert_eq!(client.send(method.clone()).await.status, 401, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn tenant_role_and_agent_are_those_of_the_key() {
    let app = App::start().await;
    let refused = |answer: &Answer| (answer.status.as_u16(), answer.refused().to_owned());
    let ping = request(1, "ping", json!({}));
    let other = app.key(Role::Agent, Some("other"), None).await;
    let auditor = app.key(Role::Auditor, Some("acme"), None).await;
    let bound = app.key(Role::Agent, Some("acme"), Some("buyer")).await;
    let everywhere = app.key(Role::Agent, None, None).await;
    let expected = |status: u16, code: &str| (status, code.to_owned());

    let answer = app.client(&other).post(&ping).await;
    assert_eq!(refused(&answer), expected(403, "tenant_forbidden"));
    assert_eq!(answer.body["id"], 1, "the refusal carries the id");
    let answer = app.client(&other).at(&app, "/mcp/unknown").post(&ping).await;
    assert_eq!(refused(&answer), expected(403, "tenant_forbidden"), "whether it exists or not");
    let answer = app.client(&everywhere).at(&app, "/mcp/unknown").post(&ping).await;
    assert_eq!(refused(&answer), expected(404, "unknown_tenant"));
    let answer = app.client(&auditor).post(&ping).await;
    assert_eq!(refused(&answer), expected(403, "role_forbidden"));
    let answer = app.client(&bound).with("x-sentinel-agent", "seller").post(&ping).await;
    assert_eq!(refused(&answer), expected(403, "agent_forbidden"));
    let answer = app.client(&bound).with("x-sentinel-agent", "BUYER").post(&ping).await;
    assert_eq!(refused(&answer), expected(400, "session_required"), "it is admitted");
    let answer = app.client(&everywhere).with("x-sentinel-agent", "a b").post(&ping).await;
    assert_eq!(refused(&answer), expected(400, "invalid_agent"));
    let answer = app.client(&everywhere).with("x-sentinel-purpose", "a b").post(&ping).await;
    assert_eq!(refused(&answer), expected(400, "invalid_purpose"));
    let unknown = app.client(&everywhere).at(&app, "/mcp/acme/nothing");
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}});
    let answer = unknown.post(&request(1, "initialize", hello)).await;
    assert_eq!(refused(&answer), expected(404, "unknown_upstream"));
}

#[tokio::test]
async fn media_types_are_checked_before_the_body_is_read() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    let ping = request(1, "ping", json!({})).to_string();
    for media in ["text/plain", "application/json; charset=utf-16", "application/x-ndjson"] {
        let answer = client.clone().with("content-type", media).post_raw(ping.clone()).await;
        assert_eq!(answer.status, 415, "{media}");
    }
    let encoded = client.clone().with("content-encoding", "gzip").post_raw(ping.clone()).await;
    assert_eq!(encoded.status, 415);
    for accept in ["application/json", "text/event-stream", "text/html", "*/*;q=0"] {
        let answer = client.clone().with("accept", accept).post_raw(ping.clone()).await;
        assert_eq!(answer.status, 406, "{accept}");
    }
    for method in [Method::PUT, Method::PATCH, Method::HEAD] {
        let answer = client.send(method.clone()).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.headers["allow"], "POST, GET, DELETE, OPTIONS");
    }
    assert_eq!(client.send(Method::OPTIONS).await.status, 204);
}

#[tokio::test]
async fn malformed_messages_are_refused_with_their_id() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    for (body, id, code) in [
        (r#"{"jsonrpc":"2.0","id":1,"#, json!(null), -32700),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, json!(null), -32600),
        (r#"{"jsonrpc":"1.0","id":"a","method":"ping"}"#, json!("a"), -32600),
        (r#"{"jsonrpc":"2.0","id":2,"method":"ping","extra":1}"#, json!(2), -32600),
        (r#"{"jsonrpc":"2.0","id":2,"method":"ping","params":[]}"#, json!(2), -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, json!(null), -32600),
        (r#""ping""#, json!(null), -32600),
    ] {
        let answer = client.post_raw(body).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, code), "{body}");
        assert_eq!(answer.body["id"], id, "{body}");
    }
    let twice = r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#;
    assert_eq!(client.post_raw(twice).await.status, 400, "two parsers would differ");
}

#[tokio::test]
async fn a_message_is_bounded() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    let of = |bytes: usize| json!({"text": "x".repeat(bytes)});
    let fits = client.call(1, "echo", of(3 * 1024 * 1024)).await;
    assert_eq!(fits.status, 200, "{:?}", fits.refused());
    let large = client.call(2, "echo", of(5 * 1024 * 1024)).await;
    assert_eq!(large.status, 413);
    let nested = format!(
        r#"{{"jsonrpc":"2.0","id":3,"method":"ping","params":{{"a":{}{}}}}}"#,
        "[".repeat(100),
        "]".repeat(100),
    );
    assert_eq!(client.post_raw(nested).await.status, 400);
}
