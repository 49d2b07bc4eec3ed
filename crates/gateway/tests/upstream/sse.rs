//! Servers over HTTP with server-sent events, as in the revision 2024-11-05.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use sentinel_gateway::upstream::{Spec, Transport, Upstream, connect};
use sentinel_service::networks::Networks;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::{list, result, run, text, tool};
use crate::web::{Seen, Web, content, status};

type Stream = Arc<Mutex<Option<mpsc::UnboundedSender<String>>>>;

fn say(stream: &Stream, message: &Value) {
    let sender = stream.lock().unwrap();
    // It fails when the stream has just been closed.
    let _ = sender.as_ref().unwrap().send(format!("event: message\ndata: {message}\n\n"));
}

fn open(stream: &Stream, endpoint: &str) -> Response<Body> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    sender.send(format!("event: endpoint\ndata: {endpoint}\n\n")).unwrap();
    *stream.lock().unwrap() = Some(sender);
    let body = futures::stream::poll_fn(move |context| {
        receiver.poll_recv(context).map(|text| text.map(Ok::<_, std::convert::Infallible>))
    });
    let response = Response::builder().header("content-type", "text/event-stream");
    response.body(Body::from_stream(body)).unwrap()
}

/// A server whose stream states `endpoint`.
async fn server(endpoint: &'static str) -> (Web, Stream, Arc<dyn Upstream>) {
    let stream = Stream::default();
    let shared = Arc::clone(&stream);
    let web = Web::start(move |seen: &Seen| {
        let stream = &shared;
        let id = &seen.body["id"];
        match seen.what().as_str() {
            "GET" => return open(stream, endpoint),
            "initialize" => {
                let result = json!({"protocolVersion": "2024-11-05", "capabilities": {},
                    "serverInfo": {"name": "old"}});
                say(stream, &json!({"jsonrpc": "2.0", "id": id, "result": result}));
            }
            "tools/list" => {
                say(stream, &json!({"jsonrpc": "2.0", "id": id, "result": {"tools": []}}))
            }
            "tools/call" if seen.body["params"]["name"] == "end" => *stream.lock().unwrap() = None,
            "tools/call" if seen.body["params"]["name"] == "gone" => return status(404),
            "tools/call" => {
                say(stream, &json!({"jsonrpc": "2.0", "id": id, "result": content("old")}))
            }
            _ => {}
        }
        status(202)
    })
    .await;
    let transport = Transport::Sse { url: web.url.clone(), headers: Vec::new() };
    let mut spec = Spec::new("old", transport);
    spec.networks = Networks::PublicAndPrivate;
    spec.limits.start = Duration::from_secs(5);
    (web, stream, connect(spec))
}

#[tokio::test]
async fn messages_go_where_the_stream_says_and_answers_come_on_it() {
    let (web, _, upstream) = server("/messages?session=1").await;
    assert_eq!(text(run(&upstream, tool("x", json!({}))).await), "old");
    assert_eq!(upstream.status().version.as_deref(), Some("2024-11-05"));
    assert!(web.all("server/discover").is_empty());
    let call = &web.all("tools/call")[0];
    assert_eq!(call.uri.to_string(), "/messages?session=1");
}

#[tokio::test]
async fn a_stream_that_ends_leaves_calls_unconfirmed_and_is_opened_again() {
    let (web, _, upstream) = server("/messages").await;
    let failure = run(&upstream, tool("end", json!({}))).await.unwrap_err();
    assert_eq!((failure.code, failure.may_have_run), ("upstream_unavailable", true));
    assert_eq!(text(run(&upstream, tool("x", json!({}))).await), "old");
    assert_eq!((web.all("GET").len(), web.all("tools/call").len()), (2, 2));
}

#[tokio::test]
async fn an_expired_session_is_opened_again_and_the_call_is_not_repeated() {
    let (web, _, upstream) = server("/messages").await;
    let failure = run(&upstream, tool("gone", json!({}))).await.unwrap_err();
    assert_eq!((failure.code, failure.may_have_run), ("upstream_unavailable", false));
    assert_eq!(web.all("tools/call").len(), 1);
    result(run(&upstream, list()).await);
    assert_eq!(web.all("GET").len(), 2);
}

#[tokio::test]
async fn the_stream_cannot_send_messages_and_credentials_elsewhere() {
    let (web, _, upstream) = server("http://192.0.2.1/messages").await;
    let failure = run(&upstream, tool("x", json!({}))).await.unwrap_err();
    assert_eq!((failure.code, failure.may_have_run), ("upstream_protocol", false));
    assert!(web.seen().iter().all(|seen| seen.what() == "GET"));
}
