//! Who opens a WebSocket. A page can set none of its headers but the subprotocols that it offers,
//! so a key may come as one of those.
//!
//! Where a key is needed this is harmless: the page itself presents it, and the browser never sends
//! it along by itself, as it would a cookie.

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::Caller;
use crate::front_door::BehindFrontDoor;
use crate::problem::Problem;

/// The subprotocol that is spoken.
pub const PROTOCOL: &str = "sentinel.v1";

/// The [`Caller`] of a WebSocket.
#[derive(Debug)]
pub struct SocketCaller(pub Caller);

impl<S: BehindFrontDoor> FromRequestParts<S> for SocketCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let door = state.front_door();
        Caller::by(door.auth.socket_schemes(), door, parts).map(Self)
    }
}
