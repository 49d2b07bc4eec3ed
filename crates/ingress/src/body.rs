//! Request bodies: read no further than allowed, and parsed strictly.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use sentinel_core::json::{JsonError, Limits, parse_as, parse_object_as};
use serde::de::DeserializeOwned;
use std::convert::Infallible;

use crate::limits;
use crate::problem::Problem;

const JSON_PATCH: &str = "application/json-patch+json";
/// Time in which a body must have arrived.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A body that is not read yet. A handler reads it once it knows that the caller may do what the
/// request asks for.
#[derive(Debug)]
pub struct Unread {
    headers: HeaderMap,
    body: Body,
}

impl<S: Sync> FromRequest<S> for Unread {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        let (parts, body) = request.into_parts();
        Ok(Self { headers: parts.headers, body })
    }
}

impl Unread {
    /// Reads the body, which must be one JSON object, as a `T`.
    ///
    /// # Errors
    /// When it is too large, incomplete, late, not JSON, or not a `T`.
    pub async fn object<T: DeserializeOwned>(self) -> Result<T, Problem> {
        self.object_within(&Limits::REQUEST).await
    }

    /// Reads the body, which must be one JSON object within `limits`, as a `T`.
    ///
    /// # Errors
    /// As [`Unread::object`].
    pub async fn object_within<T: DeserializeOwned>(self, limits: &Limits) -> Result<T, Problem> {
        let bytes = self.bytes(limits.max_bytes).await?;
        Ok(parse_object_as(&bytes, limits)?)
    }

    /// Reads the body, any JSON value, as a `T`.
    ///
    /// # Errors
    /// As [`Unread::object`].
    pub async fn value<T: DeserializeOwned>(self, limits: &Limits) -> Result<T, Problem> {
        let bytes = self.bytes(limits.max_bytes).await?;
        Ok(parse_as(&bytes, limits)?)
    }

    /// Reads the body, a JSON Patch, which has a media type of its own, as a `T`.
    ///
    /// # Errors
    /// As [`Unread::object`].
    pub async fn patch<T: DeserializeOwned>(mut self, limits: &Limits) -> Result<T, Problem> {
        if self.headers.get(CONTENT_TYPE).is_some_and(|media| media == JSON_PATCH) {
            self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        self.value(limits).await
    }

    async fn bytes(self, limit: usize) -> Result<Bytes, Problem> {
        if !is_json(&self.headers) {
            let detail = "the body must be JSON; send `Content-Type: application/json`";
            return Err(unsupported(detail));
        }
        if self.headers.contains_key(CONTENT_ENCODING) {
            return Err(unsupported("the body must not be encoded; leave `Content-Encoding` out"));
        }
        if let Some(size) = declared(&self.headers)
            && size > limit
        {
            return Err(JsonError::TooLarge { size, limit }.into());
        }
        read(self.body, limit).await
    }
}

/// Reads a body of any kind, no further than `limit` bytes.
///
/// # Errors
/// When it is too large, incomplete or late, or when the requests under way hold too much already.
pub async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    match tokio::time::timeout(TIMEOUT, collect(body, limit)).await {
        Ok(read) => read,
        Err(_) => {
            let detail = format!("the body did not arrive within {} seconds", TIMEOUT.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail))
        }
    }
}

/// Takes each part from what requests may hold together before it asks for the next.
async fn collect(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut body = Limited::new(body, limit);
    let mut first: Option<Bytes> = None;
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unreadable(error.as_ref(), limit))?;
        let Ok(part) = frame.into_data() else { continue };
        limits::reserve(part.len())?;
        // Most bodies are one part, which is not copied.
        match first.take() {
            None if whole.is_empty() => first = Some(part),
            earlier => {
                whole.extend(earlier);
                whole.extend_from_slice(&part);
            }
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

fn unsupported(detail: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
}

/// A body without a declared size turned out too long, or ended early.
fn unreadable(error: &(dyn std::error::Error + 'static), limit: usize) -> Problem {
    let mut source = Some(error);
    while let Some(cause) = source {
        if cause.is::<http_body_util::LengthLimitError>() {
            let detail = format!("the body is larger than the limit of {limit} bytes");
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail);
        }
        source = cause.source();
    }
    Problem::bad_request("body_incomplete", "the body ended before it was complete")
}

/// The size that `Content-Length` states; the server has checked that it is a number.
fn declared(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the body claims to be JSON, in UTF-8 if it claims any encoding at all.
fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Ok(text) = value.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    is_json
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(of: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in of {
            headers.append(CONTENT_TYPE, HeaderValue::from_static(value));
        }
        is_json(&headers)
    }

    #[test]
    fn only_json_is_json() {
        assert!(json(&["application/json"]));
        assert!(json(&["Application/JSON; charset=UTF-8"]));
        assert!(json(&["application/json;charset=\"utf-8\""]));
        assert!(!json(&[]));
        assert!(!json(&["text/plain"]));
        assert!(!json(&["application/json5"]));
        assert!(!json(&["application/x-www-form-urlencoded"]));
        assert!(!json(&["application/json; charset=utf-16"]));
        assert!(!json(&["application/json, text/plain"]));
        assert!(!json(&["application/json", "application/json"]));
    }

    #[tokio::test]
    async fn a_body_is_read_no_further_than_its_limit() {
        let endless =
            futures::stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b' '; 1024])));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let unread = Unread { headers, body: Body::from_stream(endless) };
        let problem = unread.bytes(4096).await.unwrap_err();
        assert!(format!("{problem:?}").contains("body_too_large"));
    }
}
