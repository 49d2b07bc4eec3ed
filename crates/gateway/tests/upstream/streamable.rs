//! Servers over streamable HTTP, in both eras.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use futures::StreamExt as _;
use sentinel_gateway::upstream::{EraChoice, Reply, Spec, State, Transport, connect};
use sentinel_service::networks::Networks;
use serde_json::json;

use crate::support::{
    Client, Permit, eventually, list, object, result, run, text, tool, with_permit,
};
use crate::web::{
    Seen, Web, answer, content, error, event, events, json_with, legacy, modern, result_event,
    status,
};

#[tokio::test]
async fn a_legacy_server_gets_the_headers_of_its_session() {
    let web = Web::start(|seen| {
        legacy(seen, "session-1").unwrap_or_else(|| answer(seen, &content("done")))
    })
    .await;
    let upstream = web.connect(EraChoice::Auto);
    assert_eq!(text(run(&upstream, tool("echo", json!({"a": 1}))).await), "done");
    assert_eq!(upstream.status().version.as_deref(), Some("2025-06-18"));
    let discover = &web.all("server/discover")[0];
    assert_eq!(discover.header("mcp-protocol-version"), Some("2026-07-28"));
    assert_eq!(discover.header("mcp-session-id"), None);
    let call = &web.all("tools/call")[0];
    assert_eq!(call.header("mcp-session-id"), Some("session-1"));
    assert_eq!(call.header("mcp-protocol-version"), Some("2025-06-18"));
    assert_eq!(call.header("mcp-method"), None);
    assert_eq!(call.header("authorization"), Some("Bearer of-the-gateway"));
    assert!(call.header("content-length").is_some(), "a body of known length");
    upstream.close().await;
    assert_eq!(web.all("DELETE")[0].header("mcp-session-id"), Some("session-1"));
}

#[tokio::test]
async fn a_modern_server_gets_headers_that_repeat_the_body() {
    let web = Web::start(|seen| {
        modern(seen).unwrap_or_else(|| match seen.what().as_str() {
            "tools/list" => {
                let schema = json!({"type": "object", "properties": {
                    "region": {"type": "string", "x-mcp-header": "Region"},
                    "n": {"type": "integer", "x-mcp-header": "Count"},
                    "plain": {"type": "string"},
                }});
                answer(seen, &json!({"tools": [{"name": "käse", "inputSchema": schema}]}))
            }
            _ => answer(seen, &content("done")),
        })
    })
    .await;
    let upstream = web.connect(EraChoice::Auto);
    result(run(&upstream, list()).await);
    let arguments = json!({"region": "Zürich", "n": 7, "plain": "x"});
    assert_eq!(text(run(&upstream, tool("käse", arguments)).await), "done");
    assert_eq!(web.seen().len(), 3, "no session, no stream: {:?}", web.seen());
    let call = &web.all("tools/call")[0];
    assert_eq!(call.header("mcp-protocol-version"), Some("2026-07-28"));
    assert_eq!(call.header("mcp-method"), Some("tools/call"));
    assert_eq!(call.header("mcp-name"), Some("=?base64?a8Okc2U=?="));
    assert_eq!(call.header("mcp-param-region"), Some("=?base64?WsO8cmljaA==?="));
    assert_eq!(call.header("mcp-param-count"), Some("7"));
    assert_eq!(call.header("mcp-param-plain"), None);
    assert_eq!(call.header("mcp-session-id"), None);
}

#[tokio::test]
async fn an_expired_session_is_opened_again_for_a_list_and_a_call_is_not_repeated() {
    let current = Arc::new(AtomicUsize::new(1));
    for expired in [404, 400] {
        let current = Arc::clone(&current);
        let sessions = Arc::clone(&current);
        let web = Web::start(move |seen| {
            let session = format!("session-{}", sessions.load(Ordering::SeqCst));
            if let Some(response) = legacy(seen, &session) {
                return response;
            }
            if seen.header("mcp-session-id") == Some(&session) {
                return answer(seen, &content("done"));
            }
            // Some servers say 400 with an error about no message in particular.
            let error = json!({"code": -32000, "message": "no valid session"});
            json_with(expired, &[], &json!({"jsonrpc": "2.0", "id": null, "error": error}))
        })
        .await;
        let upstream = web.connect(EraChoice::Legacy);
        text(run(&upstream, tool("echo", json!({}))).await);

        current.fetch_add(1, Ordering::SeqCst);
        result(run(&upstream, list()).await);
        assert_eq!((web.all("tools/list").len(), web.all("initialize").len()), (2, 2));

        current.fetch_add(1, Ordering::SeqCst);
        let permit = Permit::default();
        let outbound = with_permit("echo", json!({"only": "once"}), &permit);
        let failure = run(&upstream, outbound).await.unwrap_err();
        assert_eq!((failure.code, failure.may_have_run), ("upstream_unavailable", false));
        assert_eq!(permit.starts.load(Ordering::SeqCst), 1);
        assert_eq!(web.all("tools/call").len(), 2);

        assert_eq!(text(run(&upstream, tool("echo", json!({}))).await), "done");
        assert_eq!(web.all("initialize").len(), 3);
        assert_eq!(upstream.status().state, State::Up);
    }
}

#[tokio::test]
async fn a_stream_is_passed_on_as_it_arrives() {
    let web = Web::start(|seen| {
        legacy(seen, "s").unwrap_or_else(|| {
            let token = seen.body["params"]["_meta"]["progressToken"].clone();
            let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress",
                "params": {"progressToken": token, "progress": 1}});
            let news = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
            let text = format!(
                ": comment\n\nid: 1\ndata:\n\n{}{}{}{}",
                event(&progress),
                event(&news),
                result_event(seen, &content("first")),
                result_event(seen, &content("second")),
            );
            events(text)
        })
    })
    .await;
    let upstream = web.connect(EraChoice::Legacy);
    let mut news = upstream.news();
    let client = Client::default();
    let mut asked = tool("x", json!({}));
    asked.params.insert("_meta".to_owned(), json!({"progressToken": "t"}));
    assert_eq!(text(upstream.request(asked, &client).await), "first");
    let heard = client.heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].params["progressToken"], "t");
    assert_eq!(news.recv().await.unwrap().method, "notifications/tools/list_changed");
    eventually(|| upstream.status().dropped == 1).await;
}

#[tokio::test]
async fn a_question_on_a_stream_reaches_its_own_client_however_many_there_are() {
    let web = Web::start(|seen| {
        legacy(seen, "s").unwrap_or_else(|| {
            let id = seen.body["id"].clone();
            let question = json!({"jsonrpc": "2.0", "id": format!("q{id}"),
                "method": "elicitation/create", "params": {"message": "who?"}});
            let first = futures::stream::iter([event(&question)]);
            let result = result_event(seen, &content("done"));
            let later = futures::stream::once(async move {
                tokio::time::sleep(Duration::from_millis(700)).await;
                result
            });
            let body = first.chain(later).map(Ok::<_, std::convert::Infallible>);
            let response = Response::builder().header("content-type", "text/event-stream");
            response.body(Body::from_stream(body)).unwrap()
        })
    })
    .await;
    let upstream = web.connect(EraChoice::Legacy);
    let clients = [Client::default(), Client::default()];
    for (number, client) in clients.iter().enumerate() {
        client.responses.lock().unwrap().push_back(object(json!({"answer": number})));
    }
    let calls = clients.iter().map(|client| upstream.request(tool("x", json!({})), client));
    for reply in futures::future::join_all(calls).await {
        assert_eq!(text(reply), "done");
    }
    for (call, other) in web.all("tools/call").iter().zip(0..) {
        let id = format!("q{}", call.body["id"]);
        let responses: Vec<_> =
            web.all("POST").into_iter().filter(|s| s.body["id"] == id).collect();
        assert_eq!(responses.len(), 1, "{other}");
        assert!(responses[0].body["result"]["answer"].is_number());
        assert_eq!(responses[0].header("mcp-session-id"), Some("s"));
    }
    assert!(clients.iter().all(|client| client.asked.lock().unwrap().len() == 1));
}

/// A modern server asks by its results: a question on its stream could not be told the answer.
#[tokio::test]
async fn a_modern_server_sends_no_requests() {
    let web = Web::start(|seen| {
        modern(seen).unwrap_or_else(|| {
            let question = json!({
                "jsonrpc": "2.0", "id": 9, "method": "sampling/createMessage", "params": {},
            });
            events(event(&question) + &result_event(seen, &content("done")))
        })
    })
    .await;
    let upstream = web.connect(EraChoice::Modern);
    let client = Client::default();
    let reply = upstream.request(tool("echo", json!({})), &client).await;
    assert_eq!(text(reply), "done");
    assert!(client.asked.lock().unwrap().is_empty());
    assert_eq!(upstream.status().dropped, 1);
}

#[tokio::test]
async fn a_stream_that_the_server_closes_is_resumed_after_its_last_event() {
    let web = Web::start(|seen| {
        let call =
            r#"{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"resumed"}]}}"#;
        if seen.header("last-event-id") == Some("e-7") {
            // `initialize` had the first id.
            return events(format!("id: e-8\ndata: {}\n\n", call.replace("ID", "2")));
        }
        legacy(seen, "s").unwrap_or_else(|| events("retry: 50\nid: e-7\ndata:\n\n"))
    })
    .await;
    let upstream = web.connect(EraChoice::Legacy);
    upstream.server().await.unwrap();
    assert_eq!(text(run(&upstream, tool("x", json!({}))).await), "resumed");
    assert_eq!(web.all("tools/call").len(), 1);
}

#[tokio::test]
async fn a_stream_without_a_response_is_unconfirmed() {
    for era in [EraChoice::Legacy, EraChoice::Modern] {
        let web =
            Web::start(move |seen| greet(era, seen).unwrap_or_else(|| events(": nothing\n\n")))
                .await;
        let permit = Permit::default();
        let outbound = with_permit("x", json!({}), &permit);
        let failure = run(&web.connect(era), outbound).await.unwrap_err();
        assert_eq!((failure.code, failure.may_have_run), ("upstream_unavailable", true));
        assert_eq!(permit.starts.load(Ordering::SeqCst), 1);
        assert_eq!(web.all("tools/call").len(), 1, "and it is not sent again");
    }
}

#[tokio::test]
async fn responses_that_are_none_are_failures() {
    for (number, expected) in [
        (0, ("upstream_protocol", true)),
        (1, ("upstream_protocol", true)),
        (2, ("upstream_protocol", true)),
        (3, ("upstream_protocol", false)),
        (4, ("upstream_unavailable", false)),
        (5, ("upstream_busy", false)),
        (6, ("upstream_protocol", true)),
        (7, ("upstream_unavailable", true)),
        (8, ("upstream_protocol", true)),
        (9, ("upstream_protocol", true)),
        (10, ("upstream_protocol", true)),
    ] {
        let web = Web::start(move |seen| {
            legacy(seen, "s").unwrap_or_else(|| match number {
                0 => status(202),
                1 => json_with(200, &[], &json!({"jsonrpc": "2.0", "id": 4711, "result": {}})),
                2 => json_with(
                    200,
                    &[],
                    &json!([{"jsonrpc": "2.0", "id": seen.body["id"], "result": {}}]),
                ),
                3 => Response::builder()
                    .status(307)
                    .header("location", "/elsewhere")
                    .body(Body::empty())
                    .unwrap(),
                4 => status(401),
                5 => status(429),
                6 => status(500),
                7 => status(503),
                8 => answer(seen, &json!({"big": "x".repeat(5_000_000)})),
                9 => events(format!("data: {}", "x".repeat(5_000_000))),
                _ => Response::builder()
                    .header("content-type", "text/html")
                    .body(Body::from("<p>"))
                    .unwrap(),
            })
        })
        .await;
        let upstream = web.connect(EraChoice::Legacy);
        let failure = run(&upstream, tool("x", json!({}))).await.unwrap_err();
        assert_eq!((failure.code, failure.may_have_run), expected, "{number}: {failure}");
        assert_eq!(web.all("tools/call").len(), 1, "{number}");
        assert!(web.seen().iter().all(|seen| seen.uri.path() == "/mcp"), "no redirect is followed");
    }
}

#[tokio::test]
async fn errors_of_the_protocol_are_replies_whatever_the_status() {
    for (code, rpc) in [(200, -32602), (400, -32020), (404, -32601)] {
        let web =
            Web::start(move |seen| modern(seen).unwrap_or_else(|| error(seen, code, rpc))).await;
        let upstream = web.connect(EraChoice::Modern);
        match run(&upstream, tool("x", json!({}))).await {
            Ok(Reply::Error(error)) => assert_eq!(error.code, rpc),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_call_that_is_withdrawn_is_cancelled_in_the_way_of_the_era() {
    for era in [EraChoice::Legacy, EraChoice::Modern] {
        let closed = Arc::new(AtomicUsize::new(0));
        let streams = Arc::clone(&closed);
        let web = Web::start(move |seen| {
            greet(era, seen).unwrap_or_else(|| {
                let endless =
                    futures::stream::unfold(Dropped(Arc::clone(&streams)), |guard| async {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        Some((Ok::<_, std::convert::Infallible>(":\n\n"), guard))
                    });
                let response = Response::builder().header("content-type", "text/event-stream");
                response.body(Body::from_stream(endless)).unwrap()
            })
        })
        .await;
        let upstream = web.connect(era);
        let permit = Permit::default();
        let (failure, ()) =
            tokio::join!(run(&upstream, with_permit("x", json!({}), &permit)), async {
                eventually(|| !web.all("tools/call").is_empty()).await;
                permit.kill();
            });
        let failure = failure.unwrap_err();
        assert_eq!((failure.code, failure.may_have_run), ("withdrawn", true));
        eventually(|| closed.load(Ordering::SeqCst) == 1).await;
        if era == EraChoice::Legacy {
            eventually(|| !web.all("notifications/cancelled").is_empty()).await;
            let id = web.all("tools/call")[0].body["id"].clone();
            assert_eq!(web.all("notifications/cancelled")[0].body["params"]["requestId"], id);
        } else {
            assert!(web.all("notifications/cancelled").is_empty());
        }
    }
}

fn greet(era: EraChoice, seen: &Seen) -> Option<Response<Body>> {
    if era == EraChoice::Legacy { legacy(seen, "s") } else { modern(seen) }
}

/// Counts how often a stream was dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_call_that_was_withdrawn_before_is_not_written() {
    let web = Web::start(|seen| modern(seen).unwrap_or_else(|| answer(seen, &content("x")))).await;
    let upstream = web.connect(EraChoice::Modern);
    upstream.server().await.unwrap();
    let permit = Permit::default();
    permit.kill();
    let failure = run(&upstream, with_permit("x", json!({}), &permit)).await.unwrap_err();
    assert_eq!((failure.code, failure.may_have_run), ("withdrawn", false));
    assert!(web.all("tools/call").is_empty());
}

#[tokio::test]
async fn only_allowed_networks_are_dialled() {
    let web = Web::start(|seen| modern(seen).unwrap_or_else(|| answer(seen, &content("x")))).await;
    let port = web.url.port().unwrap();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"] {
        let url = format!("http://{host}:{port}/mcp").parse().unwrap();
        let spec = Spec::new("x", Transport::Http { url, headers: Vec::new() });
        assert_eq!(spec.networks, Networks::Public, "the default");
        let failure = connect(spec).server().await.unwrap_err();
        assert_eq!((failure.code, failure.may_have_run), ("upstream_unavailable", false), "{host}");
        assert!(failure.detail.contains("network"), "{host}: {failure}");
    }
    assert!(web.seen().is_empty());
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_left_alone_for_a_while() {
    // Bound, but no longer listening.
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let url = format!("http://{address}/").parse().unwrap();
    let mut spec = Spec::new("x", Transport::Http { url, headers: Vec::new() });
    spec.networks = Networks::PublicAndPrivate;
    let upstream = connect(spec);
    for _ in 0..3 {
        let failure = run(&upstream, tool("x", json!({}))).await.unwrap_err();
        assert_eq!((failure.code, failure.may_have_run), ("upstream_unavailable", false));
    }
    assert_eq!(upstream.status().state, State::Paused);
    let failure = run(&upstream, tool("x", json!({}))).await.unwrap_err();
    assert!(failure.detail.contains("tried again"), "{failure}");
}
