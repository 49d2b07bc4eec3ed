//! When a request arrived, and the identifier that it has in responses, logs and decisions.

use std::sync::Arc;
use std::time::Instant;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest identifier taken over from a client, in bytes.
const MAX: usize = 64;

/// The caller's own identifier if it sent a sane one, else a new UUID.
#[derive(Debug, Clone)]
pub struct RequestId(pub Arc<str>);

impl RequestId {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut sent = headers.get_all(HEADER).iter();
        if let (Some(only), None) = (sent.next(), sent.next())
            && let Some(sane) = sane(only)
        {
            return Self(Arc::from(sane));
        }
        Self::new()
    }

    /// The identifier that a gateway gave to the request it asks about, if that is a sane one.
    #[must_use]
    pub fn or_new(given: Option<&str>) -> Self {
        given.filter(|text| is_sane(text)).map_or_else(Self::new, |text| Self(Arc::from(text)))
    }

    fn new() -> Self {
        let mut buffer = Uuid::encode_buffer();
        Self(Arc::from(&*Uuid::now_v7().as_hyphenated().encode_lower(&mut buffer)))
    }

    /// As a header of the response.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

fn sane(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok().filter(|text| is_sane(text))
}

fn is_sane(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A request as it was received. It travels in the request's extensions.
#[derive(Debug, Clone)]
pub struct Received {
    pub id: RequestId,
    pub at: Instant,
}

impl Received {
    #[must_use]
    pub fn now(headers: &HeaderMap) -> Self {
        Self { id: RequestId::of(headers), at: Instant::now() }
    }

    /// What the edge noted of the request, or the present when there is no edge, as in tests.
    pub(crate) fn of(parts: &Parts) -> Self {
        parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self::now(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(value: &'static str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_static(value));
        RequestId::of(&headers).0.to_string()
    }

    #[test]
    fn a_sane_identifier_is_kept() {
        assert_eq!(id("req-1/a:b"), "req-1/a:b");
    }

    #[test]
    fn any_other_is_replaced() {
        for value in [
            "",
            "a b",
            "a\tb",
            "0123456789012345678901234567890123456789012345678901234567890123456789",
        ] {
            let made = id(value);
            assert!(Uuid::parse_str(&made).is_ok(), "{value}: {made}");
        }
        let mut twice = HeaderMap::new();
        twice.append(HEADER, HeaderValue::from_static("a"));
        twice.append(HEADER, HeaderValue::from_static("b"));
        assert!(Uuid::parse_str(&RequestId::of(&twice).0).is_ok());
    }
}
