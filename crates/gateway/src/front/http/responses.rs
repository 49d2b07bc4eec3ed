//! Responses that are complete when they begin.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

/// A message as the whole of a response.
pub(super) fn json(status: StatusCode, message: impl Into<Body>) -> Response {
    let mut response = (status, message.into()).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What the client of a notification or a response gets.
pub(super) fn accepted() -> Response {
    StatusCode::ACCEPTED.into_response()
}
