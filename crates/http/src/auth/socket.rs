//! Who opens a WebSocket. A page can set none of its headers but the subprotocols it offers, so a key
//! may come as one of those.
//!
//! Any page may open a WebSocket to any server, and browsers let it read what comes. Where a key is
//! needed this is harmless: it is shown by the page itself and never sent along by the browser, as a
//! cookie would be. Where none is needed, only pages of this very server are let in.

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;

use super::{API_KEY, AuthMode, Caller, host, more_than_one, well_formed};
use crate::app::Shared;
use crate::limits;
use crate::problem::Problem;

/// The subprotocol that is spoken.
pub(crate) const PROTOCOL: &str = "sentinel.v1";
/// What a subprotocol that is a key begins with.
const BEARER: &str = "bearer.";

/// The [`Caller`] of a WebSocket.
#[derive(Debug)]
pub(crate) struct SocketCaller(pub(crate) Caller);

impl FromRequestParts<Shared> for SocketCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        if app.options.auth == AuthMode::Off && !host::is_same_origin(parts) {
            let detail = "without authentication, no page of another origin may listen";
            return Err(Problem::forbidden("origin_forbidden", detail));
        }
        let offered = parts.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        let offered = offered.filter_map(|value| value.to_str().ok());
        let mut keys = offered
            .flat_map(|value| value.split(','))
            .filter_map(|protocol| protocol.trim().strip_prefix(BEARER));
        let caller = match (keys.next(), keys.next()) {
            (None, _) => Caller::from_request_parts(parts, app).await?,
            (Some(_), None) if shows_another(&parts.headers) => {
                return Err(limits::refused(more_than_one()));
            }
            (Some(key), None) => Caller::of(app, || well_formed(key))?,
            (Some(_), Some(_)) => return Err(limits::refused(more_than_one())),
        };
        Ok(Self(caller))
    }
}

fn shows_another(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION) || headers.contains_key(API_KEY)
}
