//! Errors as they are sent: RFC 9457 problem documents with a stable code.
//!
//! A handler returns a [`Problem`]; the [`edge`](crate::edge) writes it out, since it knows the
//! request's identifier and whether the request was a check.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
pub use sentinel_api::Problem as ProblemDocument;
use sentinel_core::id::DecisionId;
use sentinel_core::json::JsonError;
use sentinel_service::ServiceError;

/// The prefix of every problem's `type`.
const TYPES: &str = "https://sentinel-mcp.dev/problems/";
/// Seconds after which a client that was refused for load may try again.
const RETRY_SECONDS: u32 = 1;

/// An error on its way to the client.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    detail: String,
    decision_id: Option<DecisionId>,
    reasons: Vec<&'static str>,
    retry_after: Option<u32>,
    challenge: Option<&'static str>,
    /// For the log only.
    cause: Option<String>,
}

impl Problem {
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            status,
            code,
            detail: detail.into(),
            decision_id: None,
            reasons: Vec::new(),
            retry_after: None,
            challenge: None,
            cause: None,
        }))
    }

    #[must_use]
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    #[must_use]
    pub fn unprocessable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    #[must_use]
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// Nothing of that kind and identifier that the caller may see.
    #[must_use]
    pub fn not_found(code: &'static str, what: &str, id: &dyn std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, format!("{what} `{id}` not found"))
    }

    /// The request presents no credential.
    pub(crate) fn unauthenticated() -> Self {
        let detail = "an API key is needed; send `Authorization: Bearer snt_…`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail).challenge("Bearer")
    }

    /// What the request presents is not valid: 401 `invalid_key`.
    pub(crate) fn invalid_key(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_key", detail)
            .challenge("Bearer error=\"invalid_token\"")
    }

    /// The server has too much to do: 503, and the client may try again after `Retry-After`.
    #[must_use]
    pub fn overloaded(code: &'static str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        problem.0.retry_after = Some(RETRY_SECONDS);
        problem
    }

    /// The client alone asks for too much, and may try again later.
    pub(crate) fn too_many(code: &'static str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail);
        problem.0.retry_after = Some(RETRY_SECONDS);
        problem
    }

    /// What a client is told when a handler fails in a way that it should not. `cause` is for the
    /// log only.
    #[must_use]
    pub fn internal(cause: impl Into<String>) -> Self {
        let detail = "the request could not be answered; nothing was allowed";
        let problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", detail);
        problem.cause(cause.into())
    }

    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// Names the recorded decision that the problem is about.
    #[must_use]
    pub fn decision(mut self, id: DecisionId) -> Self {
        self.0.decision_id = Some(id);
        self
    }

    /// Adds each of the reasons, where there can be several.
    #[must_use]
    pub fn reasons(mut self, reasons: Vec<&'static str>) -> Self {
        self.0.reasons = reasons;
        self
    }

    /// Status, code and detail, for responses that hold several problems.
    #[must_use]
    pub fn parts(&self) -> (u16, &'static str, &str) {
        (self.0.status.as_u16(), self.0.code, &self.0.detail)
    }

    fn challenge(mut self, challenge: &'static str) -> Self {
        self.0.challenge = Some(challenge);
        self
    }

    fn cause(mut self, cause: String) -> Self {
        self.0.cause = Some(cause);
        self
    }

    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Seconds after which the client may try again.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u32> {
        self.0.retry_after
    }

    /// The document, JSON. Writes the cause to the log. `is_check` adds `"allow": false`.
    #[must_use]
    pub fn document(&self, request_id: &str, is_check: bool) -> String {
        let Inner { status, code, detail, decision_id, reasons, cause, .. } = &*self.0;
        if let Some(cause) = cause {
            tracing::error!(request_id, code, cause, "a request failed");
        }
        let document = ProblemDocument {
            kind: format!("{TYPES}{code}"),
            title: title(code),
            status: status.as_u16(),
            detail: Cow::Borrowed(detail),
            code: Cow::Borrowed(code),
            request_id: Cow::Borrowed(request_id),
            allow: is_check.then_some(false),
            decision_id: *decision_id,
            reasons: reasons.iter().copied().map(Cow::Borrowed).collect(),
        };
        // Writing strings and numbers to memory does not fail.
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// Writes the document, and the cause to the log. `is_check` closes a client that reads
    /// `allow` only.
    pub(crate) fn write(self, headers: &HeaderMap, request_id: &str, is_check: bool) -> Response {
        let body = self.document(request_id, is_check);
        let Inner { status, retry_after, challenge, .. } = *self.0;
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        let written = response.headers_mut();
        if let Some(allow) = headers.get(ALLOW) {
            written.insert(ALLOW, allow.clone());
        }
        written.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            written.insert(RETRY_AFTER, seconds.into());
        }
        if let Some(challenge) = challenge {
            written.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

/// `unknown_tool` is titled `Unknown tool`.
fn title(code: &str) -> String {
    let mut title = code.replace('_', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let (code, detail) = (error.code(), error.to_string());
        match error {
            ServiceError::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, code, detail),
            ServiceError::Conflict { .. } | ServiceError::PayloadKey(_) => {
                Self::new(StatusCode::CONFLICT, code, detail)
            }
            ServiceError::Stale { .. } => Self::new(StatusCode::PRECONDITION_FAILED, code, detail),
            ServiceError::BadCursor => Self::bad_request(code, detail),
            ServiceError::Invalid { .. } => Self::unprocessable(code, detail),
            ServiceError::Forbidden { .. } => Self::forbidden(code, detail),
            ServiceError::Gone { .. } => Self::new(StatusCode::GONE, code, detail),
            ServiceError::Overloaded
            | ServiceError::GaveUp { .. }
            | ServiceError::DeadlineExceeded
            | ServiceError::LogBehind { .. } => Self::overloaded(code, detail),
            ServiceError::Unavailable(cause) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).cause(cause)
            }
        }
    }
}

impl From<JsonError> for Problem {
    fn from(error: JsonError) -> Self {
        let status = match &error {
            JsonError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            JsonError::InvalidField { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.code(), error.to_string())
    }
}

/// The response to a request for a path that does not exist.
pub async fn unknown_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown_route", "there is no such path; see `/docs`")
}

/// The response to a request with a method that the path does not take.
pub async fn wrong_method() -> Problem {
    let detail = "the path does not take this method; see `/docs`";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_becomes_a_title() {
        assert_eq!(title("unknown_tool"), "Unknown tool");
        assert_eq!(title(""), "");
    }

    #[test]
    fn the_cause_is_not_shown() {
        let error = ServiceError::Unavailable("/var/lib/sentinel/db: disk I/O error".to_owned());
        let problem = Problem::from(error);
        assert_eq!(problem.0.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(problem.0.code, "store_unavailable");
        assert!(!problem.0.detail.contains("/var"), "{}", problem.0.detail);
    }
}
