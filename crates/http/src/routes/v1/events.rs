//! `GET /v1/events`: streams events, as server-sent events. Roles: agent, operator, auditor, admin.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use sentinel_api::SyncEvent;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;
use sentinel_ingress::query::Params;

use crate::app::Shared;
use crate::event_stream::{self, Wanted, sse};

/// Listen to events
///
/// Server-sent events. The first is `sync`: the epoch and every kill in force, so that a subscriber
/// always knows what is stopped; it comes again whenever events were missed, with `gap` true. The
/// others are `policy.check.*`, `kill_switch.*`, `provenance.*` and `registry.*`, each with an
/// `id`: sent as `Last-Event-ID`, it resumes the stream after that event. A comment is sent every
/// 15 seconds. `closed` says that the stream ends: `key_revoked` or `shutting_down`.
///
/// Roles: `agent`, `operator`, `auditor`, `admin`; a key bound to a tenant hears that tenant's
/// events, and the kills that reach into it from above.
#[utoipa::path(
    get, path = "/v1/events", tag = "events",
    params(
        Wanted,
        ("Last-Event-ID" = Option<String>, Header, description = "`id` of the last event received"),
    ),
    responses((status = 200, description = "the events; the schema is that of `sync`", body = SyncEvent,
        content_type = "text/event-stream")),
)]
pub(crate) async fn events(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Params(wanted): Params<Wanted>,
) -> Result<Response, Problem> {
    let heard = event_stream::open(app, caller, &wanted, &headers).await?;
    let mut response = Body::from_stream(sse::body(heard)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}
