//! Messages on stdio: one to a line.

use std::io;

use bytes::{Buf as _, BufMut as _, BytesMut};
use sentinel_core::json::Limits;
use tokio_util::codec::{Decoder, Encoder};

use crate::jsonrpc::{self, Malformed, Message};

/// One line that is not blank.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    Message(Message),
    /// Not a message. A server's junk, such as a banner that it prints, is counted and never
    /// responded to; a client learns the error if [`Malformed::expects_response`].
    Malformed(Malformed),
    /// Longer than the limit. It has been skipped, nothing of it was kept.
    TooLong,
}

/// Reads and writes lines; for [`FramedRead`](tokio_util::codec::FramedRead) and `FramedWrite`.
#[derive(Debug)]
pub struct Lines {
    limits: Limits,
    /// Bytes of the buffer that are known to contain no end of line.
    searched: usize,
    /// Whether the rest of a line that is too long is being skipped.
    skipping: bool,
}

impl Lines {
    /// A codec whose lines have at most `limits.max_bytes`.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, searched: 0, skipping: false }
    }

    /// The line that ends at `end`; `None` when there is nothing to report.
    fn line(&mut self, line: &[u8]) -> Option<Line> {
        let skipped = std::mem::take(&mut self.skipping);
        if skipped || line.len() > self.limits.max_bytes {
            return Some(Line::TooLong);
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        Some(match jsonrpc::parse(line, &self.limits) {
            Ok(message) => Line::Message(message),
            Err(malformed) => Line::Malformed(malformed),
        })
    }

    /// Gives up on a line that has no end within the limit.
    fn bound(&mut self, buffer: &mut BytesMut) {
        self.searched = buffer.len();
        if self.skipping || buffer.len() > self.limits.max_bytes {
            self.skipping = true;
            buffer.clear();
            self.searched = 0;
        }
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self::new(jsonrpc::LIMITS)
    }
}

impl Decoder for Lines {
    type Item = Line;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Line>> {
        loop {
            let unsearched = buffer.get(self.searched..).unwrap_or_default();
            let Some(at) = unsearched.iter().position(|byte| *byte == b'\n') else {
                self.bound(buffer);
                return Ok(None);
            };
            let line = buffer.split_to(self.searched + at);
            buffer.advance(1);
            self.searched = 0;
            if let Some(line) = self.line(&line) {
                return Ok(Some(line));
            }
        }
    }

    /// A last line without an end counts: a message that was cut off is not JSON.
    fn decode_eof(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Line>> {
        if let Some(line) = self.decode(buffer)? {
            return Ok(Some(line));
        }
        self.searched = 0;
        let rest = buffer.split();
        Ok(self.line(&rest))
    }
}

impl Encoder<&Message> for Lines {
    type Error = io::Error;

    fn encode(&mut self, message: &Message, buffer: &mut BytesMut) -> io::Result<()> {
        let bytes = message.to_bytes();
        buffer.reserve(bytes.len() + 1);
        buffer.put_slice(&bytes);
        buffer.put_u8(b'\n');
        Ok(())
    }
}
