//! A feed as the body of an HTTP response: server-sent events, with comments while it is quiet.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, Stream};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::feed::{Reader, Said};
use sentinel_mcp_protocol::framing::sse::{Event, KEEP_ALIVE};

/// Milliseconds after which a client that lost its stream connects again.
const RETRY: u64 = 1000;
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// How long a stream of changes waits for what its client can see when it begins.
pub(super) const BEGINNING: Duration = Duration::from_secs(1);

/// How events are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// The number of the feed in its session, from which event ids are made; `None` where a stream
    /// cannot be resumed.
    pub(super) feed: Option<u64>,
    /// Whether the first event is an empty one with an id, so that a client can resume before it
    /// has heard anything. Clients before 2025-11-25 take it for a broken message.
    pub(super) primed: bool,
    pub(super) keep_alive: Duration,
}

/// The id of an event: the feed within the session, and the place in the feed.
pub(super) fn event_id(feed: u64, number: u64) -> String {
    format!("{feed:x}-{number:x}")
}

/// Reads what [`event_id`] writes.
pub(super) fn parse_event_id(text: &str) -> Option<(u64, u64)> {
    let (feed, number) = text.split_once('-')?;
    let read = |text: &str| {
        let plain = text.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.len() <= 16;
        u64::from_str_radix(text, 16).ok().filter(|_| plain)
    };
    Some((read(feed)?, read(number)?))
}

/// A response with what `reader` reads. `held` is dropped with the body: when all is sent, or the
/// client is gone.
pub(super) fn response<T: Send + 'static>(reader: Reader, style: Style, held: T) -> Response {
    let primer = style.feed.filter(|_| style.primed).map(primer);
    let rest = Events { reader, style, quiet: quiet(style.keep_alive), _held: held };
    let rest = stream::unfold(rest, |mut body| async move { Some((body.next().await?, body)) });
    let body = stream::iter(primer).chain(rest).map(Ok::<_, Infallible>);
    of_stream(body)
}

/// A response with a stream of events.
pub(super) fn of_stream(
    body: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
) -> Response {
    let body: Pin<Box<dyn Stream<Item = _> + Send>> = Box::pin(body);
    let mut response = (StatusCode::OK, Body::from_stream(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    response
}

#[derive(Debug)]
struct Events<T> {
    reader: Reader,
    style: Style,
    quiet: Interval,
    _held: T,
}

impl<T> Events<T> {
    async fn next(&mut self) -> Option<Bytes> {
        tokio::select! {
            biased;
            said = self.reader.next() => said.map(|said| written(&said, self.style.feed)),
            _ = self.quiet.tick() => Some(Bytes::from_static(KEEP_ALIVE)),
        }
    }
}

/// The first tick comes after one period.
pub(super) fn quiet(period: Duration) -> Interval {
    let mut quiet = interval_at(Instant::now() + period, period);
    quiet.set_missed_tick_behavior(MissedTickBehavior::Delay);
    quiet
}

pub(super) fn written(said: &Said, feed: Option<u64>) -> Bytes {
    let event = Event::message(said.data.clone());
    match feed {
        Some(feed) => event.with_id(event_id(feed, said.number)).to_bytes(),
        None => event.to_bytes(),
    }
}

pub(super) fn primer(feed: u64) -> Bytes {
    let primer = Event { retry: Some(RETRY), ..Event::message(Bytes::new()) };
    primer.with_id(event_id(feed, 0)).to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_ids_are_read_as_they_are_written_and_nothing_else_is() {
        for (feed, number) in [(0, 0), (1, 255), (u64::MAX, u64::MAX)] {
            assert_eq!(parse_event_id(&event_id(feed, number)), Some((feed, number)));
        }
        for text in
            ["", "-", "1", "1-", "-1", "1-+2", "1-2-3", "g-1", "1-00000000000000001", " 1-2"]
        {
            assert_eq!(parse_event_id(text), None, "{text}");
        }
    }
}
