//! What holds for every request of HTTP, in one layer: its identifier, the check of `Host`, panics,
//! problem documents, the headers of responses, the count of requests.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue};
use tower::{Layer, Service};

use crate::front_door::FrontDoor;
use crate::problem::Problem;
use crate::received::{self, Received, RequestId};
use crate::traffic::{RouteCounters, Routes};

/// Wraps every route in an [`Edge`].
#[derive(Debug, Clone)]
pub struct EdgeLayer(Arc<Shared>);

/// In one allocation, since each request clones it.
#[derive(Debug)]
struct Shared {
    door: Arc<FrontDoor>,
    routes: Routes,
    check: &'static str,
}

impl EdgeLayer {
    /// The edge of `routes`. `check` is the path whose errors say `"allow": false`, for clients
    /// that read nothing else.
    #[must_use]
    pub fn new(door: Arc<FrontDoor>, routes: Routes, check: &'static str) -> Self {
        Self(Arc::new(Shared { door, routes, check }))
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge { shared: Arc::clone(&self.0), inner }
    }
}

/// A route with what holds for every request around it.
#[derive(Debug, Clone)]
pub struct Edge<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl<S> Service<Request> for Edge<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let received = Received::now(&parts.headers);
        let id = received.id.clone();
        let path = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
        let Shared { door, routes, check } = &*self.shared;
        let is_check = path == Some(*check);
        let counters = routes.find(path, &parts.method);
        if door.hosts.as_ref().is_some_and(|hosts| !hosts.admits(&parts)) {
            let detail = "this server is not addressed by that name, or not from that page";
            let refused = Problem::forbidden("host_forbidden", detail).into_response();
            let response = finish(refused, &id, is_check, &counters);
            return Box::pin(std::future::ready(Ok(response)));
        }
        let limited = match door.admit(&parts, path) {
            Ok(limited) => limited,
            Err(refused) => {
                let response = finish(refused.into_response(), &id, is_check, &counters);
                return Box::pin(std::future::ready(Ok(response)));
            }
        };
        parts.extensions.insert(received);
        let response = self.inner.call(Request::from_parts(parts, body));
        let response = limited.within(AssertUnwindSafe(response).catch_unwind());
        Box::pin(async move {
            let response = match response.await {
                Ok(Ok(response)) => response,
                Err(panic) => Problem::internal(message(panic.as_ref())).into_response(),
            };
            Ok(finish(response, &id, is_check, &counters))
        })
    }
}

fn finish(
    mut response: Response<Body>,
    id: &RequestId,
    is_check: bool,
    counters: &RouteCounters,
) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let headers: HeaderMap = std::mem::take(response.headers_mut());
        response = problem.write(&headers, &id.0, is_check);
    }
    counters.count(response.status());
    let headers = response.headers_mut();
    if let Some(value) = id.header() {
        headers.insert(received::HEADER, value);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The message of a panic, for the log.
#[must_use]
pub fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a handler panicked: {}", text.unwrap_or("no message"))
}
