//! What one party may take, so that it does not lock out the rest: a key, a tenant, an address, a
//! connection. What operators and administrators need to stop something is kept free for them.
//!
//! The limits of a request go along with its task: its caller is authenticated, and its body read,
//! within [`UnderWay::within`]. What the request holds is given back at its end.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::request::Parts;
use http::{HeaderMap, HeaderName};
use sentinel_core::principal::{Principal, Role};
use sentinel_telemetry::{SpanContext, TRACEPARENT};

use crate::auth::presents_key;
use crate::problem::Problem;

mod addresses;
mod network;
mod shares;
mod streams;

pub use network::{Network, NoNetwork};
pub use streams::Place;

use addresses::Addresses;
use shares::{Exhausted, Share, Shares};
use streams::{Most, Streams};

/// Routes that are served however often they are asked for: a balancer that gets no response takes
/// the server out of service. They cost next to nothing.
const HEALTH: [&str; 2] = ["/healthz", "/readyz"];

/// How much one party may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Event streams of one key.
    pub streams_of_key: usize,
    /// Requests of one key that are under way.
    pub requests_of_key: usize,
    /// Requests without a valid key that one address may make in a second; 0 counts none.
    pub unauthenticated_per_second: u32,
    /// Proxies whose `X-Forwarded-For` is believed. Without any, streams are not counted by
    /// address, since one address may be that of many clients.
    pub trusted_proxies: Vec<Network>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams_of_key: 100,
            requests_of_key: 1024,
            unauthenticated_per_second: 50,
            trusted_proxies: Vec::new(),
        }
    }
}

/// A connection, shared by the server that accepted it and the requests on it. It comes with each
/// request, as an extension.
#[derive(Debug)]
pub struct Connection {
    peer: IpAddr,
    /// Whether only operators and administrators are served on it.
    reserved: bool,
    privileged: AtomicBool,
}

impl Connection {
    #[must_use]
    pub const fn new(peer: IpAddr, reserved: bool) -> Self {
        Self { peer, reserved, privileged: AtomicBool::new(false) }
    }

    #[must_use]
    pub const fn peer(&self) -> IpAddr {
        self.peer
    }

    #[must_use]
    pub const fn is_reserved(&self) -> bool {
        self.reserved
    }

    /// Whether an operator or administrator has asked for something on it.
    #[must_use]
    pub fn is_privileged(&self) -> bool {
        self.privileged.load(Ordering::Relaxed)
    }
}

/// Whether the principal may stop things.
pub(crate) fn is_privileged(principal: &Principal) -> bool {
    principal.has_role(&[Role::Operator])
}

/// Counts what all callers take.
#[derive(Debug)]
pub(crate) struct Guard {
    addresses: Addresses,
    streams: Arc<Streams>,
    shares: Shares,
    trusted: Vec<Network>,
}

/// What is known of a request that is being served, and what it holds.
#[derive(Debug)]
pub struct UnderWay {
    guard: Arc<Guard>,
    connection: Option<Arc<Connection>>,
    address: Option<IpAddr>,
    /// Whether it was counted as one without a valid key.
    counted: Cell<bool>,
    share: RefCell<Share>,
    /// The span that its caller sent with it.
    span: Option<SpanContext>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.guard.shares.give_back(self.share.get_mut());
    }
}

tokio::task_local! {
    static REQUEST: UnderWay;
}

impl Guard {
    pub(crate) fn new(all_streams: usize, limits: &Limits) -> Arc<Self> {
        let most = Most { all: all_streams, of_key: limits.streams_of_key };
        Arc::new(Self {
            addresses: Addresses::new(limits.unauthenticated_per_second),
            streams: Arc::new(Streams::new(most)),
            shares: Shares::new(limits.requests_of_key),
            trusted: limits.trusted_proxies.clone(),
        })
    }

    /// Looks at a request before anything else does. `path` is that of its route.
    ///
    /// # Errors
    /// When it shows no key, and too many such come from its address.
    pub(crate) fn request(
        self: &Arc<Self>,
        parts: &Parts,
        path: Option<&str>,
    ) -> Result<UnderWay, Problem> {
        let connection = parts.extensions.get::<Arc<Connection>>().cloned();
        let peer = connection.as_ref().map(|connection| connection.peer);
        let client = peer.map(|peer| network::client(peer, &parts.headers, &self.trusted));
        let request = UnderWay {
            guard: Arc::clone(self),
            connection,
            address: client.map(network::subject),
            counted: Cell::new(false),
            share: RefCell::default(),
            span: span(&parts.headers),
        };
        let is_health = path.is_some_and(|path| HEALTH.contains(&path));
        if !is_health && !presents_key(&parts.headers) {
            request.count_unauthenticated()?;
        }
        Ok(request)
    }
}

impl UnderWay {
    /// Serves the request by `work`, within its limits and as a part of its span.
    pub fn within<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        let span = self.span;
        REQUEST.scope(self, sentinel_telemetry::within(span, work))
    }

    /// Counts the request as one without a valid key, once.
    fn count_unauthenticated(&self) -> Result<(), Problem> {
        let Some(address) = self.address.filter(|_| !self.counted.replace(true)) else {
            return Ok(());
        };
        if self.guard.addresses.take(address) {
            return Ok(());
        }
        let detail = "too many requests without a valid key come from this address";
        Err(Problem::too_many("too_many_unauthenticated", detail))
    }

    fn authenticated(&self, principal: &Principal) -> Result<(), Problem> {
        let privileged = is_privileged(principal);
        match &self.connection {
            Some(connection) if privileged => {
                connection.privileged.store(true, Ordering::Relaxed);
            }
            Some(connection) if connection.reserved => {
                let detail = "this connection is reserved for operators and administrators";
                return Err(Problem::overloaded("reserved_connection", detail));
            }
            _ => {}
        }
        let key = principal.key().map(|key| key.id);
        let entered = self.guard.shares.enter(&mut self.share.borrow_mut(), key, privileged);
        entered.map_err(exhausted)
    }
}

/// The span of the request. What cannot be read is left out, as the specification demands.
fn span(headers: &HeaderMap) -> Option<SpanContext> {
    const HEADER: HeaderName = HeaderName::from_static(TRACEPARENT);
    let mut sent = headers.get_all(HEADER).iter();
    let first = sent.next()?;
    if sent.next().is_some() {
        return None;
    }
    first.to_str().ok()?.parse().ok()
}

/// The request presents no valid credential: `problem` says so, unless too many such requests came
/// from its address.
pub(crate) fn refused(problem: Problem) -> Problem {
    let counted = REQUEST.try_with(UnderWay::count_unauthenticated);
    match counted {
        Ok(Err(too_many)) => too_many,
        Ok(Ok(())) | Err(_) => problem,
    }
}

/// The request is one of `principal`.
///
/// # Errors
/// When it has too many requests under way, or the connection is reserved for others.
pub(crate) fn authenticated(principal: &Principal) -> Result<(), Problem> {
    // Only tests authenticate outside of a request; nothing is held then.
    REQUEST.try_with(|request| request.authenticated(principal)).unwrap_or(Ok(()))
}

/// The request holds `bytes` more of its body in memory.
///
/// # Errors
/// When that is more than the key may hold, or all requests may hold together.
pub(crate) fn reserve(bytes: usize) -> Result<(), Problem> {
    let reserve = |request: &UnderWay| {
        request.guard.shares.reserve(&mut request.share.borrow_mut(), bytes).map_err(exhausted)
    };
    REQUEST.try_with(reserve).unwrap_or(Ok(()))
}

/// A place for an event stream of `principal`.
///
/// # Errors
/// When all that it may have are taken.
pub(crate) fn stream(guard: &Arc<Guard>, principal: &Principal) -> Result<Place, Problem> {
    let address = REQUEST.try_with(|request| request.address).ok().flatten();
    // Unless proxies are declared, an address may be that of one, and of all clients behind it.
    let address = address.filter(|_| !guard.trusted.is_empty());
    guard.streams.take(principal, address).map_err(|full| match full {
        streams::Full::Everybody => Problem::overloaded("too_many_subscribers", full.as_str()),
        _ => Problem::too_many("too_many_subscribers", full.as_str()),
    })
}

fn exhausted(what: Exhausted) -> Problem {
    Problem::overloaded("overloaded", what.as_str())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(values: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, HeaderValue::from_static(value));
        }
        span(&headers).map(|span| span.to_string())
    }

    #[test]
    fn a_request_has_the_span_of_its_one_traceparent() {
        assert_eq!(read(&[VALID]).as_deref(), Some(VALID));
        for without in [&[][..], &["", VALID], &[VALID, VALID], &["00-0-0-01"]] {
            assert_eq!(read(without), None, "{without:?}");
        }
    }
}
