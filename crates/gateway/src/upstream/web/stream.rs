//! Reads the events of a response.

use std::time::Duration;

use bytes::BytesMut;
use reqwest::Response;
use tokio_util::codec::Decoder as _;

use crate::upstream::wire::{Effect, Fault};
use sentinel_mcp_protocol::framing::sse::{Event, SseDecoder};

/// How long the rest of a stream may take after the response that it carried.
pub(super) const REST: Duration = Duration::from_secs(1);
/// The pause before a stream is resumed, unless the server states one, and the longest it may state.
const RESUME: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A stream of events, read as it arrives and never buffered whole.
#[derive(Debug)]
pub(super) struct Events {
    response: Response,
    decoder: SseDecoder,
    buffer: BytesMut,
    ended: bool,
    /// The id to resume after.
    pub(super) last_id: Option<String>,
    /// How long the server wants us to wait before that, in milliseconds.
    retry: Option<u64>,
}

/// Why a stream cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamEnd {
    /// It ended, or its connection broke; it may be resumed.
    Closed,
    TooLarge,
}

impl StreamEnd {
    /// For a request whose response the stream should have carried.
    pub(super) fn fault(self) -> Fault {
        match self {
            Self::Closed => {
                let detail = "the stream of the server ended without a response";
                Fault::new("upstream_unavailable", detail, true, Effect::None)
            }
            Self::TooLarge => Fault::protocol("the response of the server is too large", true),
        }
    }
}

impl Events {
    /// Of events that have at most `most` bytes.
    pub(super) fn new(response: Response, most: usize) -> Self {
        Self {
            response,
            decoder: SseDecoder::new(most),
            buffer: BytesMut::new(),
            ended: false,
            last_id: None,
            retry: None,
        }
    }

    /// A stream that goes on where `ended` ended.
    pub(super) fn after(self, ended: &Self) -> Self {
        Self { last_id: ended.last_id.clone(), retry: ended.retry, ..self }
    }

    /// How long to wait before it is opened again.
    pub(super) fn pause(&self) -> Duration {
        self.retry.map_or(RESUME.0, Duration::from_millis).min(RESUME.1)
    }

    /// The next event that carries data. Nothing is lost when this is dropped and called again.
    pub(super) async fn next(&mut self) -> Result<Event, StreamEnd> {
        loop {
            let event = self.decoder.decode(&mut self.buffer).map_err(|_| StreamEnd::TooLarge)?;
            if let Some(event) = event {
                self.last_id = event.id.clone().or(self.last_id.take());
                self.retry = event.retry.or(self.retry);
                if event.data.as_ref().is_some_and(|data| !data.is_empty()) {
                    return Ok(event);
                }
                continue;
            }
            if self.ended {
                return Err(StreamEnd::Closed);
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk),
                Ok(None) | Err(_) => self.ended = true,
            }
        }
    }
}
