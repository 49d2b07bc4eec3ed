//! The event stream over WebSocket: the same events as over server-sent events, and how each side
//! ends it.

use std::time::Duration;

use reqwest::Method;
use sentinel_core::principal::Role;
use sentinel_ingress::{AuthMode, Options};
use serde_json::json;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

use crate::support::{App, Wanted, websocket};

const KILLS: &str = "/v1/ws?types=kill_switch.*";

fn often() -> sentinel_http::Options {
    let heartbeat = Duration::from_millis(50);
    sentinel_http::Options { heartbeat, ..sentinel_http::Options::default() }
}

/// The status of the response that refused a WebSocket.
fn refused(error: &Error) -> (u16, String) {
    let Error::Http(response) = error else { panic!("{error}") };
    let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default());
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
    (response.status().as_u16(), problem["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_state_comes_first_and_kills_follow_as_over_server_sent_events() {
    let app = App::seeded().await;
    app.kill(json!({"tenant_slug": "other", "reason": "before"})).await.ok();
    let mut socket = app.socket(&app.admin, "/v1/ws").await;
    let mut listener = app.listen(&app.admin, "/v1/events", None).await;
    let sync = socket.next().await.unwrap();
    assert_eq!((sync.name.as_str(), &sync.data["gap"]), ("sync", &json!(false)));
    assert_eq!(sync.data["kills"][0]["reason"], "before");
    assert!(sync.id.is_some());
    listener.named("sync").await;
    let target = json!({"tenant_slug": "acme", "tool_name": "search", "reason": "drill"});
    app.kill(target).await.ok();
    app.check(json!({"arguments": {"password": "hunter2"}})).await.ok();
    for name in ["kill_switch.disabled", "policy.check.deny"] {
        let (event, same) = (socket.next().await.unwrap(), listener.next().await.unwrap());
        assert_eq!(event.name, name);
        assert_eq!((event.name, event.id, event.data), (same.name, same.id, same.data));
    }
}

#[tokio::test]
async fn a_tenant_hears_its_own_events_and_what_reaches_into_it() {
    let app = App::seeded().await;
    app.kill(json!({"tenant_slug": "other", "reason": "secret-kill"})).await.ok();
    let key = app.key(Wanted::role(Role::Agent).of("acme")).await;
    let mut socket = app.socket(&key, "/v1/ws").await;
    assert_eq!(socket.named("sync").await.data["kills"], json!([]));
    app.post(&app.admin, "/kill/restore", &json!({"tenant_slug": "other"})).await.ok();
    app.check(json!({"tenant_slug": "other", "tool_name": "ledger"})).await.ok();
    app.register("other", "secret-tool").await;
    app.check(json!({})).await.ok();
    app.kill(json!({"scope": "global", "reason": "all"})).await.ok();
    let own = socket.next().await.unwrap();
    assert_eq!((own.name.as_str(), &own.data["tenant"]), ("policy.check.allow", &json!("acme")));
    assert_eq!(socket.next().await.unwrap().data["reason"], "all");
    assert!(socket.is_silent(Duration::from_millis(200)).await);
}

#[tokio::test]
async fn only_wanted_events_come_and_a_pattern_that_fits_none_is_refused() {
    let app = App::seeded().await;
    let mut socket = app.socket(&app.admin, "/v1/ws?types=policy.check.allow").await;
    socket.named("sync").await;
    app.register("acme", "another").await;
    app.check(json!({})).await.ok();
    assert_eq!(socket.next().await.unwrap().name, "policy.check.allow");
    let bearer = format!("Bearer {}", app.admin.secret);
    let headers = [("authorization", bearer.as_str())];
    let error = app.try_socket("/v1/ws?types=kill_switch", &headers).await.unwrap_err();
    assert_eq!(refused(&error), (400, "invalid_query".to_owned()));
}

#[tokio::test]
async fn a_stream_resumes_where_it_was() {
    let app = App::seeded().await;
    let mut socket = app.socket(&app.admin, KILLS).await;
    let start = socket.next().await.unwrap().id.unwrap();
    drop(socket);
    for n in 0..3 {
        app.kill(json!({"agent": format!("a{n}"), "reason": format!("r{n}")})).await.ok();
    }
    let mut socket = app.socket(&app.admin, &format!("{KILLS}&last_event_id={start}")).await;
    let sync = socket.next().await.unwrap();
    assert_eq!((sync.id.as_ref(), &sync.data["gap"]), (None, &json!(false)));
    let mut last = String::new();
    for n in 0..3 {
        let event = socket.next().await.unwrap();
        assert_eq!(event.data["reason"], format!("r{n}"));
        last = event.id.unwrap();
    }
    // The header is newer than the address, which a client that reconnects repeats.
    let path = format!("{KILLS}&last_event_id={start}");
    let bearer = format!("Bearer {}", app.admin.secret);
    let headers = [("authorization", bearer.as_str()), ("last-event-id", &last)];
    let (mut socket, _) = app.try_socket(&path, &headers).await.unwrap();
    assert_eq!(socket.next().await.unwrap().data["gap"], false);
    assert!(socket.is_silent(Duration::from_millis(200)).await);
    let mut socket = app.socket(&app.admin, &format!("{KILLS}&last_event_id=nonsense")).await;
    assert_eq!(socket.next().await.unwrap().data["gap"], true);
}

#[tokio::test]
async fn a_revoked_key_hears_no_more() {
    let app = App::seeded().await;
    let key = app.key(Wanted::role(Role::Agent)).await;
    let bystander = app.key(Wanted::role(Role::Agent)).await;
    let mut socket = app.socket(&key, KILLS).await;
    let mut other = app.socket(&bystander, KILLS).await;
    socket.named("sync").await;
    other.named("sync").await;
    let path = format!("/v1/keys/{}", key.id);
    app.send(app.request(Method::DELETE, &path).bearer_auth(&app.admin.secret)).await.ok();
    assert_eq!(socket.named("closed").await.data["code"], "key_revoked");
    assert_eq!(socket.closed().await, (1008, "key_revoked".to_owned()));
    app.kill(json!({"scope": "global", "reason": "all"})).await.ok();
    assert_eq!(other.next().await.unwrap().name, "kill_switch.disabled");
}

#[tokio::test]
async fn sockets_are_closed_when_the_server_stops() {
    let (stop, shutdown) = tokio::sync::watch::channel(false);
    let app = App::with(Options { shutdown: Some(shutdown), ..Options::default() }).await;
    let mut socket = app.socket(&app.admin, KILLS).await;
    socket.named("sync").await;
    stop.send(true).unwrap();
    assert_eq!(socket.next().await.unwrap().data["code"], "shutting_down");
    assert_eq!(socket.closed().await, (1001, "shutting_down".to_owned()));
}

#[tokio::test]
async fn a_client_that_responds_to_pings_stays_and_one_that_does_not_is_closed() {
    let app = App::with(often()).await;
    let mut socket = app.socket(&app.admin, KILLS).await;
    socket.named("sync").await;
    let mut pings = 0;
    while pings < 6 {
        let frame = socket.frame().await.unwrap().unwrap();
        assert!(matches!(frame, Frame::Ping(_)), "{frame:?}");
        pings += 1;
    }
    // Not read, and so not answered, for longer than it may be.
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(socket.closed().await.0, 1008);
    gives_its_place_back(&app).await;
}

#[tokio::test]
async fn what_a_client_says_ends_the_connection() {
    let app = App::seeded().await;
    let long = "x".repeat(8192);
    let cases = [
        (Frame::text("hello"), 1003),
        (Frame::binary(vec![0]), 1003),
        (Frame::text(long.clone()), 1009),
        (Frame::binary(long.into_bytes()), 1009),
    ];
    for (frame, code) in cases {
        let mut socket = app.socket(&app.admin, KILLS).await;
        socket.named("sync").await;
        socket.send(frame).await;
        assert_eq!(socket.closed().await.0, code);
    }
    let mut socket = app.socket(&app.admin, KILLS).await;
    socket.named("sync").await;
    socket.send(Frame::Close(None)).await;
    assert!(socket.next().await.is_err());
    gives_its_place_back(&app).await;
}

async fn gives_its_place_back(app: &App) {
    let mut metrics = String::new();
    for _ in 0..100 {
        metrics = app.get(&app.admin, "/metrics").await.text;
        if metrics.contains("sentinel_events_subscribers 0") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a place is not given back: {metrics}");
}

#[tokio::test]
async fn both_forms_share_the_limit_of_subscribers() {
    let app = App::with(Options { max_subscribers: 2, ..Options::default() }).await;
    let _listener = app.listen(&app.admin, "/v1/events", None).await;
    let socket = app.socket(&app.admin, KILLS).await;
    let bearer = format!("Bearer {}", app.admin.secret);
    let headers = [("authorization", bearer.as_str())];
    let error = app.try_socket(KILLS, &headers).await.unwrap_err();
    assert_eq!(refused(&error), (503, "too_many_subscribers".to_owned()));
    drop(socket);
    for _ in 0..100 {
        if app.try_socket(KILLS, &headers).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place of a socket that ended is not given back");
}

#[tokio::test]
async fn a_browser_shows_its_key_as_a_subprotocol() {
    let app = App::seeded().await;
    let secret = &app.admin.secret;
    let bearer = format!("Bearer {secret}");
    let offer = format!("sentinel.v1, bearer.{secret}");
    let (mut socket, response) =
        app.try_socket(KILLS, &[("sec-websocket-protocol", &offer)]).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "sentinel.v1");
    socket.named("sync").await;
    let twice = format!("{offer}, bearer.{secret}");
    let unknown = "sentinel.v1, bearer.snt_admin_AAAAAAAAAAAAAAAAAAAAAA";
    for headers in [
        vec![("sec-websocket-protocol", twice.as_str())],
        vec![("sec-websocket-protocol", offer.as_str()), ("sec-websocket-protocol", &offer)],
        vec![("sec-websocket-protocol", offer.as_str()), ("authorization", &bearer)],
        vec![("sec-websocket-protocol", offer.as_str()), ("x-api-key", secret)],
        vec![("sec-websocket-protocol", unknown)],
        vec![("sec-websocket-protocol", "sentinel.v1, bearer.")],
    ] {
        let error = app.try_socket(KILLS, &headers).await.unwrap_err();
        assert_eq!(refused(&error), (401, "invalid_key".to_owned()), "{headers:?}");
    }
    // Nowhere else is a key taken from there.
    let request = app.request(Method::GET, "/v1/tools").header("sec-websocket-protocol", offer);
    app.send(request).await.problem(401, "unauthenticated");
}

/// A browser lets any page read a WebSocket; without keys, nothing else prevents that.
#[tokio::test]
async fn without_authentication_only_pages_of_the_server_itself_may_listen() {
    let app = App::with(Options { auth: AuthMode::Off, ..Options::default() }).await;
    app.try_socket(KILLS, &[]).await.unwrap();
    app.try_socket(KILLS, &[("origin", &app.base)]).await.unwrap();
    for origin in ["https://attacker.example", "http://127.0.0.1:1", "null", ""] {
        let error = app.try_socket(KILLS, &[("origin", origin)]).await.unwrap_err();
        assert_eq!(refused(&error), (403, "origin_forbidden".to_owned()), "{origin}");
    }
    let request = websocket(app.request(Method::GET, KILLS)).header("host", "attacker.example");
    let request = request.header("origin", &app.base);
    app.send(request).await.problem(403, "origin_forbidden");
}

#[tokio::test]
async fn a_request_that_is_none_for_a_websocket_is_told_so() {
    let app = App::seeded().await;
    app.get(&app.admin, "/v1/ws").await.problem(426, "websocket_required");
}
