//! Requests that are refused before they are served: an HTTP status for what is wrong with the HTTP
//! request, and a JSON-RPC error that carries the id of the message where it can be read. SDKs show
//! nothing else of a refusal.
//!
//! What is decided about a call is never told in this form.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use sentinel_ingress::problem::Problem;
use serde_json::json;

use sentinel_mcp_protocol::jsonrpc::{self, Id, RpcError, codes};

#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    id: Option<Id>,
    error: RpcError,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: RpcError) -> Self {
        Self { status, id: None, error, headers: Vec::new() }
    }

    /// The HTTP request is not one that the endpoint serves. `code` is stable.
    pub(super) fn of_request(status: StatusCode, code: &str, what: impl Into<String>) -> Self {
        let error =
            RpcError { data: Some(json!({ "code": code })), ..RpcError::invalid_request(what) };
        Self::new(status, error)
    }

    pub(super) fn bad_request(code: &str, what: impl Into<String>) -> Self {
        Self::of_request(StatusCode::BAD_REQUEST, code, what)
    }

    /// A session that is unknown, terminated, expired, or that of another principal: a client
    /// cannot tell these apart, and begins a new one.
    pub(super) fn no_session() -> Self {
        let what = "the session is unknown or has ended; send `initialize` without a session id";
        Self::of_request(StatusCode::NOT_FOUND, "unknown_session", what)
    }

    /// The client has as much under way as it may.
    pub(super) fn overloaded(what: &str) -> Self {
        let refusal = Self::of_request(StatusCode::SERVICE_UNAVAILABLE, "overloaded", what);
        refusal.with_header(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    pub(super) fn method_not_allowed(allowed: &'static str, what: &str) -> Self {
        Self::of_request(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", what)
            .with_header(ALLOW, HeaderValue::from_static(allowed))
    }

    pub(super) fn with_id(mut self, id: Option<Id>) -> Self {
        self.id = id;
        self
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Says where the metadata of the protected resource is (RFC 9728), if the caller has to
    /// authenticate.
    pub(super) fn with_metadata(self, url: Option<&str>) -> Self {
        let Some(url) = url.filter(|_| self.status == StatusCode::UNAUTHORIZED) else {
            return self;
        };
        let code = self.error.data.as_ref().and_then(|data| data.get("code"));
        let invalid = code.is_some_and(|code| code == "invalid_key");
        let error = if invalid { "error=\"invalid_token\", " } else { "" };
        match HeaderValue::from_str(&format!("Bearer {error}resource_metadata=\"{url}\"")) {
            Ok(value) => self.with_header(WWW_AUTHENTICATE, value),
            // A name that cannot be quoted came from the client; the plain challenge remains.
            Err(_) => self.with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
        }
    }

    pub(super) const fn is_unauthorized(&self) -> bool {
        self.status.as_u16() == StatusCode::UNAUTHORIZED.as_u16()
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let status = problem.status();
        let (_, code, detail) = problem.parts();
        let number =
            if status.is_server_error() { codes::INTERNAL_ERROR } else { codes::INVALID_REQUEST };
        let data = Some(json!({ "code": code }));
        let mut refusal =
            Self::new(status, RpcError { code: number, message: detail.to_owned(), data });
        if let Some(seconds) = problem.retry_after() {
            refusal = refusal.with_header(RETRY_AFTER, seconds.into());
        }
        refusal
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = jsonrpc::Response::error(self.id, self.error).to_bytes();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(self.headers);
        response
    }
}
