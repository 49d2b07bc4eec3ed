//! The tower layer of a tool's server, in front of a real one: no call gets through without a valid,
//! unused permit for that tool and those arguments.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use sentinel_client::{ApiKey, Client};
use sentinel_tower::{Calls, RequirePermit};
use serde_json::{Value, json};

use crate::support::{Folder, Server};

const TOOL: &str = "langsmith-docs-search";

/// A control plane, and a tool's server that counts the calls that reach it.
struct Scene {
    plane: Server,
    tool: String,
    mcp: String,
    reached: Arc<AtomicUsize>,
    http: reqwest::Client,
    _folder: Folder,
}

impl Scene {
    async fn start() -> Self {
        let folder = Folder::new();
        let plane = folder.dev(&[]);
        let (reached, url) = (Arc::new(AtomicUsize::new(0)), plane.url.clone());
        let key = plane.key("agent");
        let tool = serve(&url, &key, Calls::Tool(TOOL.parse().unwrap()), &reached).await;
        let mcp = serve(&url, &key, Calls::Mcp { prefix: String::new() }, &reached).await;
        let http = reqwest::Client::new();
        Self { plane, tool, mcp, reached, http, _folder: folder }
    }

    fn reached(&self) -> usize {
        self.reached.load(Ordering::SeqCst)
    }

    /// A permit for these arguments.
    fn permit(&self, arguments: &Value) -> String {
        let check = json!({
            "tenant_slug": "platform-eng", "tool_name": TOOL, "action": "call",
            "purpose": "documentation_lookup", "arguments": arguments,
        });
        let (status, answer) =
            self.plane.http("POST", "/policy/check", "agent", &check.to_string());
        assert_eq!((status, &answer["allow"]), (200, &json!(true)), "{answer}");
        answer["permit"].as_str().unwrap().to_owned()
    }

    async fn call(&self, url: &str, permits: &[&str], body: &str) -> (u16, Value) {
        let mut request = self.http.post(url).body(body.to_owned());
        for permit in permits {
            request = request.header("sentinel-permit", *permit);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
    }

    /// Waits until so many calls are reported.
    async fn reports(&self, count: usize) -> Vec<Value> {
        let started = Instant::now();
        loop {
            let listed = self.plane.http("GET", "/v1/decisions?code=no_permit", "admin", "").1;
            let items = listed["items"].as_array().unwrap();
            if items.len() >= count {
                return items.clone();
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{listed}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Serves an echo behind the layer.
async fn serve(plane: &str, key: &str, calls: Calls, reached: &Arc<AtomicUsize>) -> String {
    let url = plane.parse().unwrap();
    let key = ApiKey::given(key, &url);
    let client = Client::builder(url).key(key).build().unwrap();
    let guard = RequirePermit::new(client, "platform-eng".parse().unwrap(), calls);
    let reached = Arc::clone(reached);
    let echo = move |body: Bytes| async move {
        reached.fetch_add(1, Ordering::SeqCst);
        body
    };
    let app = Router::new().route("/", post(echo)).layer(guard);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_lets_one_call_through() {
    let scene = Scene::start().await;
    let arguments = json!({"query": "redis", "n": 3});
    let permit = scene.permit(&arguments);
    // The order of the members is not what was decided.
    let body = r#"{"n": 3, "query": "redis"}"#;
    assert_eq!(scene.call(&scene.tool, &[&permit], body).await, (200, arguments.clone()));
    let (status, problem) = scene.call(&scene.tool, &[&permit], body).await;
    assert_eq!((status, &problem["code"]), (403, &json!("permit_used")), "{problem}");
    assert_eq!(scene.reached(), 1);
    let report = &scene.reports(1).await[0];
    assert_eq!((&report["tool"], &report["decision"]), (&json!(TOOL), &json!("deny")));
    let shown = scene.plane.cli(&["tools", "uncovered", "--json"]).exits(0).json();
    assert_eq!((&shown[0]["tool"], &shown[0]["calls"]), (&json!(TOOL), &json!(1)), "{shown}");
    let table = scene.plane.cli(&["tools", "uncovered"]).exits(0).stdout;
    assert!(table.contains(TOOL) && table.contains("the permit was used before"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_not_the_call_of_the_permit_does_not_get_through() {
    let scene = Scene::start().await;
    let permit = scene.permit(&json!({"query": "redis"}));
    let good = r#"{"query":"redis"}"#;
    let with_query = format!("{}?query=other", scene.tool);
    let long = format!(r#"{{"query":"{}"}}"#, "x".repeat(1 << 20));
    let cases: [(&str, &[&str], &str, u16, &str); 9] = [
        (&scene.tool, &[], good, 403, "no_permit"),
        (&scene.tool, &[&permit, &permit], good, 403, "no_permit"),
        (&scene.tool, &["snp_forged"], good, 403, "permit_invalid"),
        (&scene.tool, &[&permit], r#"{"query":"mysql"}"#, 403, "permit_invalid"),
        (&scene.tool, &[&permit], "", 403, "permit_invalid"),
        (&scene.tool, &[&permit], r#"{"query":"mysql","query":"redis"}"#, 400, "invalid_call"),
        (&scene.tool, &[&permit], "[]", 400, "invalid_call"),
        (&with_query, &[&permit], good, 400, "invalid_call"),
        (&scene.tool, &[&permit], &long, 413, "body_too_large"),
    ];
    for (url, permits, body, status, code) in cases {
        let (got, problem) = scene.call(url, permits, body).await;
        assert_eq!((got, &problem["code"]), (status, &json!(code)), "{problem}");
    }
    assert_eq!(scene.reached(), 0);
    // None of that has used the permit up.
    assert_eq!(scene.call(&scene.tool, &[&permit], good).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_mcp_is_refused_in_the_form_that_clients_survive() {
    let scene = Scene::start().await;
    let permit = scene.permit(&json!({"query": "redis"}));
    let message = |name: &str, arguments: Value| {
        let params = json!({"name": name, "arguments": arguments});
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}).to_string()
    };
    let call = message(TOOL, json!({"query": "redis"}));
    let refused = [
        (vec![], call.clone()),
        (vec![permit.as_str()], message(TOOL, json!({"query": "mysql"}))),
        (vec![permit.as_str()], message("another-tool", json!({"query": "redis"}))),
    ];
    for (permits, body) in refused {
        let (status, answer) = scene.call(&scene.mcp, &permits, &body).await;
        assert_eq!((status, &answer["id"]), (200, &json!(7)), "{answer}");
        let result = &answer["result"];
        assert_eq!(result["isError"], true, "{answer}");
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with("Denied: ") && text.contains("Do not retry"), "{text}");
    }
    for broken in [format!("[{call}]"), call.replace("{\"query\":\"redis\"}", "[]")] {
        assert_eq!(scene.call(&scene.mcp, &[&permit], &broken).await.0, 400, "{broken}");
    }
    assert_eq!(scene.reached(), 0);
    assert_eq!(scene.call(&scene.mcp, &[&permit], &call).await.0, 200);
    // What is no call passes: without it a client could not even list.
    let list = json!({"jsonrpc": "2.0", "id": 8, "method": "tools/list"}).to_string();
    assert_eq!(scene.call(&scene.mcp, &[], &list).await.0, 200);
    assert_eq!(scene.reached(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_of_before_a_kill_and_a_lost_control_plane_let_nothing_through() {
    let scene = Scene::start().await;
    let arguments = json!({"query": "redis"});
    let permits = [scene.permit(&arguments), scene.permit(&arguments)];
    let kill = json!({"tenant_slug": "platform-eng", "tool_name": TOOL, "reason": "drill"});
    assert_eq!(scene.plane.http("POST", "/kill", "admin", &kill.to_string()).0, 200);
    let (status, problem) = scene.call(&scene.tool, &[&permits[0]], r#"{"query":"redis"}"#).await;
    assert_eq!((status, &problem["code"]), (403, &json!("killed")), "{problem}");
    let restore = json!({"tenant_slug": "platform-eng", "tool_name": TOOL}).to_string();
    assert_eq!(scene.plane.http("POST", "/kill/restore", "admin", &restore).0, 200);
    scene.plane.signal("STOP");
    let late = [permits[1].as_str()];
    let call = scene.call(&scene.tool, &late, r#"{"query":"redis"}"#);
    // The client's own deadline is longer than a test should wait.
    assert!(tokio::time::timeout(Duration::from_secs(2), call).await.is_err());
    scene.plane.signal("KILL");
    let (status, problem) = scene.call(&scene.tool, &[&permits[1]], r#"{"query":"redis"}"#).await;
    assert_eq!((status, &problem["code"]), (503, &json!("control_plane_unavailable")), "{problem}");
    assert_eq!(scene.reached(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_permit_sent_many_times_at_once_lets_one_call_through() {
    let scene = Scene::start().await;
    let permit = scene.permit(&json!({"query": "redis"}));
    let (permits, body) = ([permit.as_str()], r#"{"query":"redis"}"#);
    let calls = (0..64).map(|_| scene.call(&scene.tool, &permits, body));
    let statuses = futures::future::join_all(calls).await;
    assert_eq!(statuses.iter().filter(|(status, _)| *status == 200).count(), 1, "{statuses:?}");
    assert_eq!(scene.reached(), 1);
}
