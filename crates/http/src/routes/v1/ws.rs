//! `GET /v1/ws`: streams events, over a WebSocket. Roles: agent, operator, auditor, admin.

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use sentinel_api::SyncEvent;
use sentinel_ingress::auth::{PROTOCOL, SocketCaller};
use sentinel_ingress::problem::Problem;
use sentinel_ingress::query::Params;

use crate::app::Shared;
use crate::event_stream::websocket::{MAX_MESSAGE, serve};
use crate::event_stream::{self, Wanted};

/// Listen to events over a WebSocket
///
/// The stream of `/v1/events`: each text frame is one JSON object `{"id", "event", "data"}`, the
/// first of them `sync`. A ping is sent every 15 seconds; a client that responds to none of three
/// is cut off. `closed` precedes a close frame with code 1008 (`key_revoked`) or 1001
/// (`shutting_down`). The client sends nothing: a message of its own ends the connection with 1003,
/// one above 4 KiB with 1009.
///
/// A browser, which cannot set headers, offers the subprotocols `sentinel.v1` and `bearer.<key>`,
/// of which the first is chosen, and resumes by `last_event_id`.
///
/// Roles: `agent`, `operator`, `auditor`, `admin`; a key bound to a tenant hears that tenant's
/// events, and the kills that reach into it from above.
#[utoipa::path(
    get, path = "/v1/ws", tag = "events",
    params(
        Wanted,
        ("Last-Event-ID" = Option<String>, Header, description = "`id` of the last event received"),
    ),
    responses(
        (status = 101, description = "the connection is a WebSocket from here on; the schema is \
            that of `data` of the event `sync`", body = SyncEvent),
        (status = 426, description = "the request is none for a WebSocket"),
    ),
)]
pub(crate) async fn ws(
    State(app): State<Shared>,
    SocketCaller(caller): SocketCaller,
    headers: HeaderMap,
    Params(wanted): Params<Wanted>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    event_stream::require_listener(&caller)?;
    let upgrade = upgrade.map_err(|_| not_a_websocket())?;
    let heartbeat = app.options.heartbeat;
    let heard = event_stream::open(app, caller, &wanted, &headers).await?;
    Ok(upgrade
        .protocols([PROTOCOL])
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(move |socket| serve(socket, heard, heartbeat)))
}

fn not_a_websocket() -> Problem {
    let detail = "this is a WebSocket endpoint of version 13; `/v1/events` has the same events";
    Problem::new(StatusCode::UPGRADE_REQUIRED, "websocket_required", detail)
}
