//! API keys: in `Authorization: Bearer`, in `X-API-Key`, or as a subprotocol of a WebSocket.

use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::scheme::{Attempt, Registry, Scheme, more_than_one};
use crate::problem::Problem;

/// The header that holds a key and nothing else.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// No key is longer, in bytes.
const MAX_KEY: usize = 128;
/// What a subprotocol that is a key begins with.
const SUBPROTOCOL: &str = "bearer.";

/// Whether the request has a header that can hold a key. What it holds is not looked at.
pub(crate) fn presents_key(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION)
        || headers.contains_key(API_KEY)
        || headers.contains_key(SEC_WEBSOCKET_PROTOCOL)
}

/// A key in `Authorization: Bearer`.
#[derive(Debug)]
pub(super) struct Bearer;

impl Scheme for Bearer {
    fn is_requested(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(AUTHORIZATION)
    }

    fn authenticate(&self, parts: &Parts, registry: &dyn Registry) -> Attempt {
        let values = parts.headers.get_all(AUTHORIZATION);
        look_up(only(values.iter().map(bearer)), registry)
    }
}

/// A key in `X-API-Key`.
#[derive(Debug)]
pub(super) struct ApiKeyHeader;

impl Scheme for ApiKeyHeader {
    fn is_requested(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(API_KEY)
    }

    fn authenticate(&self, parts: &Parts, registry: &dyn Registry) -> Attempt {
        let values = parts.headers.get_all(API_KEY);
        look_up(only(values.iter().map(|value| value.to_str().ok())), registry)
    }
}

/// A key among the subprotocols that a WebSocket offers, the only header that a page can set.
#[derive(Debug)]
pub(super) struct Subprotocol;

impl Scheme for Subprotocol {
    fn is_requested(&self, headers: &HeaderMap) -> bool {
        offered_keys(headers).next().is_some()
    }

    fn authenticate(&self, parts: &Parts, registry: &dyn Registry) -> Attempt {
        look_up(only(offered_keys(&parts.headers).map(Some)), registry)
    }
}

fn offered_keys(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let offered = offered.filter_map(|value| value.to_str().ok());
    offered
        .flat_map(|value| value.split(','))
        .filter_map(|protocol| protocol.trim().strip_prefix(SUBPROTOCOL))
}

/// What follows `Bearer`.
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key)
}

/// The one key that is presented. `None` among them is a header that holds no key.
fn only<'a>(
    mut presented: impl Iterator<Item = Option<&'a str>>,
) -> Option<Result<&'a str, Problem>> {
    let first = presented.next()?;
    if presented.next().is_some() {
        return Some(Err(more_than_one()));
    }
    Some(first.filter(|key| is_well_formed(key)).ok_or_else(malformed))
}

fn look_up(presented: Option<Result<&str, Problem>>, registry: &dyn Registry) -> Attempt {
    match presented {
        None => Attempt::NotRequested,
        Some(Err(problem)) => Attempt::Failed(problem),
        Some(Ok(key)) => registry.key(key).map_or_else(
            || Attempt::Failed(Problem::invalid_key("the key is unknown or revoked")),
            Attempt::Authenticated,
        ),
    }
}

/// Whether it can be a key; nothing else is hashed.
fn is_well_formed(key: &str) -> bool {
    key.len() <= MAX_KEY
        && key.starts_with("snt_")
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn malformed() -> Problem {
    Problem::invalid_key("the credentials are malformed; send `Authorization: Bearer snt_…`")
}
