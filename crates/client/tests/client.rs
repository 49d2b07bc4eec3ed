//! What the client does with servers that are slow, broken, or not what they seem.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sentinel_client::api::{CheckRequest, KillRequest, KillTarget};
use sentinel_client::{ApiKey, Client, Error, StreamEvent};
use serde_json::{Value, json};

/// A server that handles each request with `answer`, which gets its number and its head; and the
/// heads of the requests so far.
fn server(
    mut answer: impl FnMut(usize, &str, &mut TcpStream) + Send + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
            let length = head.to_ascii_lowercase().lines().find_map(|line| {
                line.strip_prefix("content-length:")?.trim().parse::<usize>().ok()
            });
            reader.read_exact(&mut vec![0; length.unwrap_or(0)]).unwrap();
            kept.lock().unwrap().push(head.clone());
            answer(number, &head, &mut stream);
        }
    });
    (url, heads)
}

fn respond(stream: &mut TcpStream, status: &str, more: &str, body: &str) {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{more}content-length: {length}\r\n");
    let _ = write!(stream, "{head}connection: close\r\n\r\n{body}");
}

fn client(url: &str, timeout: Duration) -> Client {
    let url: reqwest::Url = url.parse().unwrap();
    let key = ApiKey::given("snt_agent_x", &url);
    Client::builder(url).key(key).timeout(timeout).build().unwrap()
}

fn call() -> CheckRequest {
    let [tenant, tool, action] = ["lab", "probe", "invoke"];
    CheckRequest::new(tenant.parse().unwrap(), tool.parse().unwrap(), action.parse().unwrap())
}

fn allow() -> Value {
    json!({
        "allow": true, "code": "allowed", "reason": "ok", "quota_remaining": null,
        "decision_id": "00000000-0000-0000-0000-000000000001", "reasons": [], "obligations": [],
        "policy_revision": null, "permit": "p",
    })
}

const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn an_allow_has_status_200_and_nothing_else_is_one() {
    let (url, heads) = server(|number, _, stream| {
        let statuses = ["200 OK", "201 Created", "302 Found", "403 Forbidden", "500 Oops"];
        respond(stream, statuses[number], "location: /elsewhere\r\n", &allow().to_string());
    });
    let client = client(&url, PATIENCE);
    assert!(client.check(&call()).await.unwrap().allow);
    for _ in 0..4 {
        client.check(&call()).await.unwrap_err();
    }
    let heads = heads.lock().unwrap();
    assert_eq!(heads.len(), 5, "nothing is retried or redirected");
    let first = heads[0].to_ascii_lowercase();
    assert!(first.contains("authorization: bearer snt_agent_x"), "{first}");
    assert!(first.contains("x-request-timeout-ms: 5000"), "{first}");
}

#[tokio::test]
async fn one_deadline_holds_for_an_answer_that_trickles() {
    let (url, _) = server(|_, _, stream| {
        let text = allow().to_string();
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
        for byte in text.as_bytes() {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let began = Instant::now();
    let error = client(&url, Duration::from_millis(400)).check(&call()).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_an_allow() {
    let (url, _) = server(|_, _, stream| {
        let text = allow().to_string();
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", 1000);
    });
    let error = client(&url, PATIENCE).check(&call()).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted(_)), "{error:?}");
    let away = client("http://127.0.0.1:1", PATIENCE).check(&call()).await.unwrap_err();
    assert!(matches!(away, Error::Unreachable { connected: false, .. }), "{away:?}");
}

#[tokio::test]
async fn a_problem_is_read_as_far_as_it_is_one() {
    let problem = json!({
        "type": "https://sentinel-mcp.dev/problems/unknown_tool", "title": "Unknown tool",
        "status": 404, "detail": "no such tool", "code": "unknown_tool", "request_id": "r-1",
        "allow": false, "decision_id": "00000000-0000-0000-0000-000000000007",
    });
    let (url, _) = server(move |number, _, stream| match number {
        0 => respond(stream, "404 Not Found", "retry-after: 3\r\n", &problem.to_string()),
        1 => respond(stream, "502 Bad Gateway", "", "<html>"),
        _ => respond(stream, "400 Bad Request", "", r#"{"title":"Odd","code":"odd"}"#),
    });
    let client = client(&url, PATIENCE);
    let error = client.check(&call()).await.unwrap_err();
    assert_eq!(error.to_string(), "no such tool (unknown_tool)");
    let found = error.problem().unwrap();
    assert_eq!((found.status, found.code.as_deref()), (404, Some("unknown_tool")));
    assert_eq!(found.request_id.as_deref(), Some("r-1"));
    assert_eq!(found.retry_after, Some(Duration::from_secs(3)));
    assert!(found.decision_id.is_some());
    let error = client.check(&call()).await.unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(502), None));
    assert!(error.to_string().ends_with("answered 502 Bad Gateway"), "{error}");
    let error = client.check(&call()).await.unwrap_err();
    assert_eq!(error.to_string(), "Odd (odd)");
}

#[tokio::test]
async fn a_kill_is_acknowledged_by_a_complete_answer_only() {
    let (url, _) = server(|number, _, stream| {
        let mut body = json!({
            "status": "disabled", "affected_tools": [], "affected_count": 0, "kill_id": null,
            "kills": [], "epoch": 3, "reached": {
                "replicas": null, "streams": 0, "permits": 0, "calls": 0,
            },
        });
        match number {
            0 => {}
            1 => body["status"] = json!("enabled"),
            _ => body = json!({"status": "disabled"}),
        }
        respond(stream, "200 OK", "", &body.to_string());
    });
    let client = client(&url, PATIENCE);
    let request = KillRequest::new(KillTarget::global(), "test".parse().unwrap());
    assert_eq!(client.kill(&request).await.unwrap().epoch.0, 3);
    client.kill(&request).await.unwrap_err();
    client.kill(&request).await.unwrap_err();
}

#[tokio::test]
async fn a_listing_is_read_page_by_page_up_to_its_limit() {
    let (url, heads) = server(|number, _, stream| {
        let page = json!({"items": [number * 2, number * 2 + 1], "next_cursor": "c&d"});
        respond(stream, "200 OK", "", &page.to_string());
    });
    let client = client(&url, PATIENCE);
    let query = [("tenant", Some("lab".to_owned())), ("tool", None)];
    let items = client.pages::<usize>(&["v1", "things"], &query).collect(3).await.unwrap();
    assert_eq!(items, [0, 1, 2]);
    let heads = heads.lock().unwrap();
    assert!(heads[0].starts_with("GET /v1/things?tenant=lab&limit=3 "), "{}", heads[0]);
    assert!(
        heads[1].starts_with("GET /v1/things?tenant=lab&limit=1&cursor=c%26d "),
        "{}",
        heads[1]
    );
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_event_it_had() {
    let (url, heads) = server(|number, _, stream| {
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        let sync = r#"{"event":"sync","epoch":1,"gap":false,"kills":[]}"#;
        let event =
            r#"{"event":"kill_switch.disabled","timestamp":"2026-01-01T00:00:00Z","metadata":{}}"#;
        let _ = write!(stream, "{head}retry: 10\nevent: sync\ndata: {sync}\n\n");
        if number == 0 {
            let _ = write!(stream, "id: 7\nevent: kill_switch.disabled\ndata: {event}\n\ndata: {{");
        } else {
            let closed = r#"{"event":"closed","code":"key_revoked"}"#;
            let _ = write!(stream, "event: closed\ndata: {closed}\n\n");
        }
    });
    let client = client(&url, PATIENCE);
    let mut events = client.events(Some("kill_switch.*"), None).await.unwrap();
    let mut names = Vec::new();
    for _ in 0..4 {
        names.push(match events.next_resumed().await.unwrap().event {
            StreamEvent::Sync(_) => "sync".to_owned(),
            StreamEvent::Event(line) => line.event.into_owned(),
            StreamEvent::Closed(closed) => closed.code.into_owned(),
            _ => "other".to_owned(),
        });
    }
    assert_eq!(names, ["sync", "kill_switch.disabled", "sync", "key_revoked"]);
    assert!(events.next().await.unwrap().is_none());
    let heads = heads.lock().unwrap();
    assert!(heads[0].starts_with("GET /v1/events?types=kill_switch.* "), "{}", heads[0]);
    assert!(!heads[0].to_ascii_lowercase().contains("last-event-id"));
    assert!(heads[1].to_ascii_lowercase().contains("last-event-id: 7\r\n"), "{}", heads[1]);
}
