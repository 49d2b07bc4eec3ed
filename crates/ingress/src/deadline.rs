//! The time that a caller waits for a response, stated in its request.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};

use crate::problem::Problem;

const HEADER: HeaderName = HeaderName::from_static("x-request-timeout-ms");
/// Longer than any caller waits: 10 minutes.
const MAX_MS: u64 = 600_000;

/// When the caller of a request that arrived at `arrived` stops waiting; `None` when it does not
/// say so.
///
/// # Errors
/// `invalid_timeout` when the header is there and is not one number of milliseconds within bounds.
pub(crate) fn of(headers: &HeaderMap, arrived: Instant) -> Result<Option<Instant>, Problem> {
    let mut sent = headers.get_all(HEADER).iter();
    let Some(first) = sent.next() else { return Ok(None) };
    let milliseconds = first.to_str().ok().and_then(|text| text.parse::<u64>().ok());
    match milliseconds {
        Some(milliseconds) if milliseconds <= MAX_MS && sent.next().is_none() => {
            Ok(Some(arrived + Duration::from_millis(milliseconds)))
        }
        _ => Err(Problem::bad_request(
            "invalid_timeout",
            format!("`{HEADER}` must be one number of milliseconds, at most {MAX_MS}"),
        )),
    }
}
