//! What a caller tries who dislikes the gateway: each is refused before anything is decided, or
//! reaches nothing but what is its own.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use reqwest::Method;
use sentinel_core::principal::Role;
use serde_json::{Value, json};

use crate::eras::ToServer;
use crate::modern::{modern, send};
use crate::support::http::{call, request};
use crate::support::{App, Client};

/// Sends bytes over a connection of its own: nothing normalizes the path. Returns the status.
async fn status(app: &App, path: &str, key: &str) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = app.base.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}});
    let body = request(1, "initialize", params).to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len(),
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    String::from_utf8_lossy(&response).split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_path_leads_to_its_tenant_and_upstream_or_nowhere() {
    let app = App::start().await;
    let own = app.agent().await.0;
    let everywhere = app.key(Role::Agent, None, None).await.0;
    for path in ["/mcp/acme", "/mcp/%61cme", "/mcp/acme/files", "/mcp/acme/%66iles"] {
        assert_eq!(status(&app, path, &own).await, 200, "{path}");
    }
    // A bound key learns nothing of other tenants, a free one finds none of that name.
    for path in [
        "/mcp/ACME",
        "/mcp/acme%20",
        "/mcp/acme%00",
        "/mcp/acme%0a",
        "/mcp/acme%2Ffiles",
        "/mcp/acme%2f..%2fother",
        "/mcp/..%2fother",
        "/mcp/%ff",
        "/mcp/%2561cme",
        "/mcp/acme;x=1",
        "/mcp/\u{430}cme",
        "/mcp/%D0%B0cme",
    ] {
        let status = (status(&app, path, &own).await, status(&app, path, &everywhere).await);
        assert!(matches!(status, (403, 404) | (400, 400)), "{path} {status:?}");
    }
    for path in [
        "/mcp",
        "/mcp/",
        "/mcp//",
        "/mcp/acme/",
        "/mcp//files",
        "//mcp/acme",
        "/mcp/acme/files/",
        "/mcp/acme/files/x",
        "/mcp/acme/../other",
        "/mcp/acme/..",
        "/mcp/acme/FILES",
        "/mcp/acme/files%00",
        "/mcp/acme/files%2F..%2Fmail",
        "/mcp/acme/%2566iles",
        "/MCP/acme",
    ] {
        let status = status(&app, path, &own).await;
        assert!(matches!(status, 403 | 404), "{path} {status}");
    }
}

#[tokio::test]
async fn what_two_parsers_read_differently_is_not_decided() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    let with = |params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{params}}}"#)
    };
    let named = |more: &str| with(&format!(r#"{{"name":"files__echo",{more}}}"#));
    let deep = format!(r#""arguments":{{"a":{}{}}}"#, "[".repeat(70), "]".repeat(70));
    let bodies = [
        named(r#""name":"files__forbidden""#),
        named(r#""n\u0061me":"files__forbidden""#),
        named(r#""arguments":{"path":"a","path":"b"}"#),
        named(r#""arguments":{"x":[{"p":1,"\u0070":2}]}"#),
        named(r#""arguments":{},"arguments":{"a":1}"#),
        named(r#""_meta":{"progressToken":1,"progressToken":2}"#),
        named(r#""arguments":{"a":"\ud800"}"#),
        named(r#""arguments":{"a":"\u0000"}"#),
        named(r#""arguments":{"a":18446744073709551616}"#),
        named(r#""arguments":{"a":1e999}"#),
        named(r#""arguments":{"a":NaN}"#),
        named(r#""arguments":{"a":01}"#),
        named(r#""arguments":{"a":1,}"#),
        named(&deep),
        with(r#"["files__echo"]"#),
        format!("\u{feff}{}", call(7, "echo", json!({}))),
        format!("{}{}", call(7, "echo", json!({})), call(8, "echo", json!({}))),
        format!("[{}]", call(7, "echo", json!({}))),
        format!("{}\0", call(7, "echo", json!({}))),
        call(7, "echo", json!({})).to_string().replace("tools/call", "tools\\/call\\u0000"),
    ];
    for body in bodies {
        let answer = client.post_raw(body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert!(answer.body["error"]["code"].is_i64(), "{body}");
    }
    let latin1 = b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"files__\xe9\"}}";
    assert_eq!(client.post_raw(latin1.to_vec()).await.status, 400);
    assert_eq!(app.decided().await, 0);
    // The escaped form of a sound name is that name: there is one way to read it.
    let escaped = with(r#"{"name":"files__ech\u006f","arguments":{"a":1}}"#);
    assert_eq!(client.post_raw(escaped).await.text(), r#"{"a":1}"#);
    assert_eq!(app.decided().await, 1);
}

#[tokio::test]
async fn calls_with_one_id_get_their_own_answers() {
    let app = Arc::new(App::start().await);
    let one = |number: usize| {
        let app = Arc::clone(&app);
        async move {
            let arguments = json!({"number": number});
            let client = app.client(&app.agent().await);
            let answer = if number.is_multiple_of(2) {
                client.initialized(json!({})).await.call(5, "echo", arguments.clone()).await
            } else {
                let params = json!({"name": "files__echo", "arguments": arguments});
                send(&client, &modern(5, "tools/call", params)).await
            };
            assert_eq!((&answer.body["id"], answer.text()), (&json!(5), &*arguments.to_string()));
        }
    };
    let all = (0..32).map(|number| tokio::spawn(one(number)));
    for done in join_all(all).await {
        done.unwrap();
    }
}

#[tokio::test]
async fn a_cancellation_reaches_the_requests_of_its_own_session_only() {
    let app = App::start().await;
    let key = app.agent().await;
    let client = app.client(&key).initialized(json!({})).await;
    let stream = client.stream(&call(5, "slow", json!({}))).await;
    app.begun(1).await;
    let cancel = json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5},
    });
    let same_key = app.client(&key).initialized(json!({})).await;
    let other_key = app.client(&app.agent().await).initialized(json!({})).await;
    for other in [same_key, other_key] {
        assert_eq!(other.post(&cancel).await.status, 202);
    }
    // An id of another type is another id.
    let mut text = cancel.clone();
    text["params"]["requestId"] = json!("5");
    assert_eq!(client.post(&text).await.status, 202);
    app.server.release.notify_one();
    let rest = stream.rest().await;
    assert!(rest.last().unwrap().to_string().contains("slow but done"), "{rest:?}");
    assert_eq!(app.server.cancelled.load(Ordering::SeqCst), 0);
}

/// A cancellation and the answer of the server at one moment: one response, and the id is free.
#[tokio::test]
async fn a_request_that_is_cancelled_as_it_ends_is_answered_once() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    let cancel = json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5},
    });
    for round in 1..=25 {
        let stream = client.stream(&call(5, "slow", json!({"round": round}))).await;
        app.begun(round).await;
        app.server.release.notify_one();
        let (cancelled, rest) = futures::join!(client.post(&cancel), stream.rest());
        assert_eq!(cancelled.status, 202);
        let answers = rest.iter().filter(|message| message["id"] == 5).count();
        assert_eq!(answers, 1, "{round}: {rest:?}");
        // Of a release that came too late, the next round must not make use.
        let _ = futures::FutureExt::now_or_never(app.server.release.notified());
    }
}

#[tokio::test]
async fn a_session_is_that_of_its_key_and_not_of_its_owner() {
    let app = App::start().await;
    let [one, two] = app.keys_of_an_owner().await;
    let client = app.client(&one).initialized(json!({})).await;
    let other = client.clone().with("authorization", &format!("Bearer {}", two.0));
    assert_eq!(other.post(&request(2, "ping", json!({}))).await.status, 404);
    assert_eq!(other.send(Method::DELETE).await.status, 404);
    assert_eq!(client.post(&request(2, "ping", json!({}))).await.status, 200);
}

/// Unknown members of a session id, a state of a session as that of a call, and the reverse.
#[tokio::test]
async fn what_is_sealed_as_one_thing_opens_as_no_other() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    let session = client.clone().initialized(json!({})).await;
    let id = session.request(Method::GET).build().unwrap();
    let id = id.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let as_state = |state: &str| {
        let params = json!({
            "name": "files__echo", "arguments": {}, "inputResponses": {}, "requestState": state,
        });
        modern(3, "tools/call", params)
    };
    for state in [id.clone(), format!("sent1.{id}"), format!("sntc1.{id}"), String::new()] {
        let answer = send(&client, &as_state(&state)).await;
        assert_eq!(answer.code(), -32602, "{state}: {}", answer.body);
    }
    for changed in [format!("{id}A"), id[1..].to_owned(), format!(" {id} x")] {
        let foreign = session.clone().with("mcp-session-id", &changed);
        assert_eq!(foreign.post(&request(2, "ping", json!({}))).await.status, 404, "{changed}");
    }
    assert_eq!(app.decided().await, 0);
}

#[tokio::test]
async fn headers_that_occur_twice_are_refused() {
    let app = App::start().await;
    let client = app.client(&app.agent().await).initialized(json!({})).await;
    let twice = async |client: &Client, name: &'static str, values: [&'static str; 2]| {
        let mut sent = client.request(Method::POST).header("content-type", "application/json");
        for value in values {
            sent = sent.header(name, value);
        }
        let sent = sent.body(call(2, "echo", json!({})).to_string()).send().await.unwrap();
        sent.status().as_u16()
    };
    for (name, values) in [
        ("mcp-session-id", ["a", "b"]),
        ("mcp-protocol-version", ["2025-11-25", "2025-11-25"]),
        ("x-sentinel-agent", ["a", "b"]),
        ("x-sentinel-purpose", ["a", "b"]),
    ] {
        assert_eq!(twice(&client, name, values).await, 400, "{name}");
    }
    assert_eq!(twice(&client, "authorization", ["Bearer a", "Bearer b"]).await, 401);
    assert_eq!(app.decided().await, 0);
}

#[tokio::test]
async fn a_hidden_tool_is_denied_by_name_and_by_every_other_method() {
    let app = App::start().await;
    let client = app.client(&app.agent().await);
    let session = client.clone().initialized(json!({})).await;
    assert!(session.call(2, "forbidden", json!({})).await.is_error());
    let named = |method: &str, params: Value| modern(3, method, params);
    let forbidden = json!({"name": "files__forbidden", "arguments": {}});
    assert!(send(&client, &named("tools/call", forbidden.clone())).await.is_error());
    let one = client.clone().at(&app, "/mcp/acme/files");
    let plain = json!({"name": "forbidden", "arguments": {}});
    assert!(send(&one, &named("tools/call", plain)).await.is_error(), "under its own name");
    for method in ["prompts/get", "tasks/get", "tools/run", "Tools/call", "tools/call "] {
        let body = request(4, method, forbidden.clone());
        let answer = session.post(&body).await;
        assert!(answer.body["error"].is_object(), "{method}: {}", answer.body);
    }
}

/// A server of the modern era that writes down everything it gets.
async fn recorder() -> (String, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let writes = Arc::clone(&seen);
    let respond = move |headers: axum::http::HeaderMap, body: String| {
        writes.lock().unwrap().push(format!("{headers:?}\n{body}"));
        let message: Value = serde_json::from_str(&body).unwrap_or_default();
        let mut result = match message["method"].as_str() {
            Some("server/discover") => {
                json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}})
            }
            Some("tools/list") => {
                json!({"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]})
            }
            _ => json!({"content": [{"type": "text", "text": "done"}]}),
        };
        result["resultType"] = "complete".into();
        let response = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        std::future::ready(axum::Json(response))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/mcp", axum::routing::post(respond));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, seen)
}

#[tokio::test]
async fn nothing_that_a_client_authenticates_by_reaches_a_server() {
    let (url, seen) = recorder().await;
    let app = App::before(Arc::new(ToServer(url))).await;
    let key = app.agent().await;
    let client = app.client(&key).with("cookie", "secret-cookie").with("x-custom", "secret-header");
    let client = client.with("proxy-authorization", "Basic secret-proxy");
    let client = client.with("x-sentinel-agent", "secret-agent");
    let session = client.clone().initialized(json!({})).await;
    assert_eq!(session.call(2, "echo", json!({"a": 1})).await.text(), "done");
    let mut params = json!({"name": "files__echo", "arguments": {"a": 2}});
    params["_meta"] = crate::modern::meta(json!({}));
    params["_meta"]["sentinel/purpose"] = "secret-purpose".into();
    assert_eq!(send(&client, &modern(3, "tools/call", params)).await.text(), "done");
    let id = session.request(Method::GET).build().unwrap();
    let id = id.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let seen = seen.lock().unwrap().join("\n");
    assert!(seen.contains(r#""a":1"#) && seen.contains(r#""a":2"#), "{seen}");
    for secret in [key.0.as_str(), "snt_", "Bearer", "secret-", &id, r#""name":"test""#] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
}
