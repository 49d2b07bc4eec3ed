//! How long a caller waits, told with the request.

use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use http::HeaderName;
use http::request::Parts;

use crate::problem::Problem;

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-timeout-ms");
/// Longer than any caller waits: 10 minutes.
const MAX_MS: u64 = 600_000;

/// When the caller stops waiting, if it said so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(pub(crate) Option<Instant>);

impl<S: Sync> FromRequestParts<S> for Deadline {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut sent = parts.headers.get_all(HEADER).iter();
        let Some(first) = sent.next() else { return Ok(Self(None)) };
        let milliseconds = first.to_str().ok().and_then(|text| text.parse::<u64>().ok());
        match milliseconds {
            Some(milliseconds) if milliseconds <= MAX_MS && sent.next().is_none() => {
                Ok(Self(Some(Instant::now() + Duration::from_millis(milliseconds))))
            }
            _ => Err(Problem::bad_request(
                "invalid_timeout",
                format!("`{HEADER}` must be one number of milliseconds, at most {MAX_MS}"),
            )),
        }
    }
}
