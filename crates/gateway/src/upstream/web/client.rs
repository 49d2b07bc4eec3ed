//! The HTTP client of one upstream: its address, its credentials, and what went wrong.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::{Body, Request, Response};
use sentinel_core::json::Limits as MessageLimits;
use sentinel_service::networks::{self, Networks};
use url::Url;

use super::body::{NotStarted, TicketBody};
use crate::upstream::Failure;
use crate::upstream::spec::Secret;
use crate::upstream::ticket::Ticket;
use crate::upstream::wire::{Effect, Fault};

const CONNECT: Duration = Duration::from_secs(5);
/// Servers commonly close connections that were idle for five seconds. A request that is written in
/// that moment fails, and it is not known whether it was carried out.
const IDLE: Duration = Duration::from_secs(4);

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const EITHER: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

#[derive(Debug)]
pub(in crate::upstream) struct Client {
    client: reqwest::Client,
    url: Url,
    networks: Networks,
    /// What the configuration adds to every request.
    headers: HeaderMap,
    /// Of what the server says.
    pub(super) messages: MessageLimits,
}

impl Client {
    pub(in crate::upstream) fn new(
        url: Url,
        headers: &[(String, Secret)],
        networks: Networks,
        messages: MessageLimits,
    ) -> Result<Self, Failure> {
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() {
            return Err(unusable("the address of the server is not a plain http address"));
        }
        let client = networks::client(networks)
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("sentinel/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| unusable("the http client could not be set up"))?;
        Ok(Self { client, url, networks, headers: configured(headers)?, messages })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// A request that sends one message.
    pub(super) fn post(&self, url: &Url, bytes: Vec<u8>, ticket: Option<Arc<Ticket>>) -> Request {
        let mut request = self.request(Method::POST, url);
        request.headers_mut().insert(ACCEPT, EITHER);
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        *request.body_mut() = Some(Body::wrap(TicketBody::new(bytes, ticket)));
        request
    }

    /// A request for a stream of events.
    pub(super) fn get(&self) -> Request {
        let mut request = self.request(Method::GET, &self.url);
        request.headers_mut().insert(ACCEPT, EVENTS);
        request
    }

    pub(super) fn request(&self, method: Method, url: &Url) -> Request {
        let mut request = Request::new(method, url.clone());
        request.headers_mut().clone_from(&self.headers);
        request
    }

    /// Sends a request, and returns the head of the response.
    pub(super) async fn send(
        &self,
        request: Request,
        ticket: Option<&Ticket>,
    ) -> Result<Response, Fault> {
        if !self.networks.allow_literal(request.url()) {
            return Err(refused_network());
        }
        let started = || ticket.is_some_and(Ticket::has_started);
        let sent = self.client.execute(request).await;
        sent.map_err(|error| fault(&error, started()))
    }
}

fn configured(headers: &[(String, Secret)]) -> Result<HeaderMap, Failure> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(value.reveal());
        let (Ok(name), Ok(mut value)) = (name, value) else {
            return Err(unusable("a configured header is not valid"));
        };
        value.set_sensitive(true);
        map.append(name, value);
    }
    Ok(map)
}

/// What is wrong with the configuration.
fn unusable(detail: &str) -> Failure {
    Failure { code: "upstream_unavailable", detail: detail.to_owned(), may_have_run: false }
}

fn refused_network() -> Fault {
    Fault::broken("the address of the server is in a network that is not allowed", false)
}

/// In general terms: an exact error would tell which internal ports are open.
fn fault(error: &reqwest::Error, started: bool) -> Fault {
    if networks::was_refused(error) {
        refused_network()
    } else if let Some(failure) = not_started(error) {
        Fault::only(failure)
    } else if error.is_connect() {
        Fault::broken("the server could not be reached", false)
    } else {
        let detail = "the connection to the server broke before it responded";
        Fault::new("upstream_unavailable", detail, started, Effect::None)
    }
}

fn not_started(error: &reqwest::Error) -> Option<Failure> {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = source {
        if let Some(NotStarted(failure)) = cause.downcast_ref() {
            return Some(failure.clone());
        }
        source = cause.source();
    }
    None
}
