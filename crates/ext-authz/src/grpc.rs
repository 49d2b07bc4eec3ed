//! As much of gRPC as a unary method takes: a message in, a message out, and the deadline. Written
//! out, since a library of gRPC fails the RPC when it cannot read a message, and here that has to
//! be a deny.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use prost::Message;
use sentinel_ingress::problem::Problem;

/// Bytes before a message: whether it is compressed, and its length.
pub(super) const PREFIX: usize = 5;
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const OK: HeaderValue = HeaderValue::from_static("0");
const UNIMPLEMENTED: HeaderValue = HeaderValue::from_static("12");
/// Longer than any gateway waits, in seconds; a longer deadline is ignored.
const LONGEST: u64 = 600;

/// Whether the request is one of gRPC with messages of protobuf.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| {
        let media = kind.split(';').next().unwrap_or_default().trim();
        matches!(media, "application/grpc" | "application/grpc+proto")
    })
}

/// How long the caller waits.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let mut sent = headers.get_all(TIMEOUT).iter();
    let Some(first) = sent.next() else { return Ok(None) };
    let wait = first.to_str().ok().filter(|_| sent.next().is_none()).and_then(duration);
    let wait = wait.ok_or_else(|| {
        Problem::bad_request("invalid_timeout", "`grpc-timeout` is not a time as gRPC writes it")
    })?;
    Ok((wait <= Duration::from_secs(LONGEST)).then_some(wait))
}

/// At most eight digits and a unit.
fn duration(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// The one message of a request.
pub(super) fn parse<M: Message + Default>(body: &[u8]) -> Result<M, Problem> {
    let malformed = |detail: &str| Problem::bad_request("malformed_message", detail);
    let (prefix, message) = body
        .split_at_checked(PREFIX)
        .ok_or_else(|| malformed("the request holds no message of gRPC"))?;
    let (compressed, length) = prefix.split_at(1);
    if compressed != [0] {
        return Err(malformed("the message must not be compressed"));
    }
    let length = length.iter().fold(0_usize, |all, byte| (all << 8) | usize::from(*byte));
    if length != message.len() {
        return Err(malformed("the request must hold one whole message"));
    }
    M::decode(message).map_err(|_| malformed("the message is not the one that the method takes"))
}

/// The response that holds this message.
pub(super) fn message(message: &impl Message) -> Response {
    let encoded = message.encode_to_vec();
    let mut framed = BytesMut::with_capacity(PREFIX + encoded.len());
    framed.put_u8(0);
    // Responses have a few hundred bytes.
    framed.put_u32(u32::try_from(encoded.len()).unwrap_or(u32::MAX));
    framed.put_slice(&encoded);
    let trailers = HeaderMap::from_iter([(STATUS, OK)]);
    let frames: [Result<Frame<Bytes>, Infallible>; 2] =
        [Ok(Frame::data(framed.freeze())), Ok(Frame::trailers(trailers))];
    let mut response = Response::new(Body::new(StreamBody::new(futures::stream::iter(frames))));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// The response to a method that is not ours.
pub(super) async fn unimplemented() -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert(STATUS, UNIMPLEMENTED);
    headers.insert(MESSAGE, HeaderValue::from_static("there is no such method"));
    response
}

/// The response to a request that is not one of gRPC.
pub(super) fn unsupported() -> Response {
    StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        assert_eq!(duration("250m"), Some(Duration::from_millis(250)));
        assert_eq!(duration("1S"), Some(Duration::from_secs(1)));
        assert_eq!(duration("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(duration("0n"), Some(Duration::ZERO));
        for bad in ["", "m", "1", "-1m", "+1m", "1.5S", "123456789m", "1 m", "1s", "1é"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn nothing_but_one_whole_message_is_read() {
        assert!(parse::<()>(&[0, 0, 0, 0, 0]).is_ok());
        let bad: [&[u8]; 6] = [
            &[],
            &[0, 0, 0, 0],
            &[1, 0, 0, 0, 0],
            &[0, 0, 0, 0, 1],
            &[0, 0, 0, 0, 0, 0],
            &[0, 255, 255, 255, 255, 0],
        ];
        for body in bad {
            assert!(parse::<()>(body).is_err(), "{body:?}");
        }
    }
}
