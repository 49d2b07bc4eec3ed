use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use sentinel_core::principal::Role;
use sentinel_service::ServiceError;
use sentinel_service::bus::EventId;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::app::Shared;
use crate::auth::Caller;
use crate::event_stream::{Subscriber, Sync, TypeFilter};
use crate::problem::Problem;
use crate::query::Params;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Events wanted, such as `kill_switch.*,policy.check.deny`; all when left out.
    types: Option<String>,
}

/// Listen to events
///
/// Server-sent events. The first is `sync`: the epoch and every kill in force, so that a subscriber
/// always knows what is stopped; it comes again whenever events were missed, with `gap` true. The
/// others are `policy.check.*`, `kill_switch.*`, `provenance.*` and `registry.*`, each with an `id`:
/// sent as `Last-Event-ID`, it resumes the stream after that event. A comment is sent every 15
/// seconds. `closed` says that the stream ends: `key_revoked` or `shutting_down`.
///
/// Roles: `agent`, `operator`, `auditor`, `admin`; a key bound to a tenant hears that tenant's
/// events, and the kills that reach into it from above.
#[utoipa::path(
    get, path = "/v1/events", tag = "events",
    params(
        Filter,
        ("Last-Event-ID" = Option<String>, Header, description = "`id` of the last event received"),
    ),
    responses((status = 200, description = "the events; the schema is that of `sync`", body = Sync,
        content_type = "text/event-stream")),
)]
pub(crate) async fn events(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Params(filter): Params<Filter>,
) -> Result<Response, Problem> {
    caller.require(&[Role::Agent, Role::Operator, Role::Auditor])?;
    let filter = TypeFilter::parse(filter.types.as_deref())?;
    let slot = Arc::clone(&app.subscribers).try_acquire_owned().map_err(|_| {
        Problem::overloaded("too_many_subscribers", "too many event streams are open")
    })?;
    // Subscribe first, then read the state: a kill in between is in both, never in neither.
    let subscription = app.services.events.subscribe(last(&headers));
    let state = app.services.control.refresh().await.map_err(ServiceError::from)?;
    let subscriber = Subscriber::new(app, caller.into_principal(), filter, slot);
    let body = Body::from_stream(subscriber.stream(subscription, &state));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// Where the client was. An identifier that cannot be read is one of a process long gone: what
/// followed it is missed.
fn last(headers: &HeaderMap) -> Option<EventId> {
    let value = headers.get("last-event-id").filter(|value| !value.is_empty())?;
    let read = value.to_str().ok().and_then(|text| text.parse().ok());
    Some(read.unwrap_or(EventId { run: Uuid::nil(), position: 0 }))
}
