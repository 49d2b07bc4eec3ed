//! Server-sent events, as the HTML standard defines them, within bounds.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio_util::codec::Decoder;

/// The largest event, in bytes of its lines.
pub const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;
/// The longest id that is kept; a longer one is ignored, so that it cannot be resumed from.
const MAX_ID_BYTES: usize = 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event, or what a group of lines without data sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The type; `message` when absent.
    pub event: Option<String>,
    pub id: Option<String>,
    /// Milliseconds that a client waits before it connects again.
    pub retry: Option<u64>,
    /// The lines of data, joined. Not decoded: the reader of JSON refuses what is not UTF-8.
    /// `None` when there was no line of data, and then the event is not one that is dispatched;
    /// empty in an event that only carries an id to resume from.
    pub data: Option<Bytes>,
}

impl Event {
    /// An event of the default type that carries a message.
    #[must_use]
    pub fn message(data: impl Into<Bytes>) -> Self {
        Self { data: Some(data.into()), ..Self::default() }
    }

    #[must_use]
    pub fn with_id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// Appends the event to `buffer`. Line ends in the type and the id are left out: they would
    /// start a field.
    pub fn write(&self, buffer: &mut BytesMut) {
        if let Some(event) = &self.event {
            field(buffer, "event", one_line(event).as_bytes());
        }
        if let Some(id) = &self.id {
            // Readers ignore an id that contains a NUL.
            field(buffer, "id", one_line(id).replace('\0', "").as_bytes());
        }
        if let Some(retry) = self.retry {
            field(buffer, "retry", retry.to_string().as_bytes());
        }
        if let Some(data) = &self.data {
            for line in lines(data) {
                field(buffer, "data", line);
            }
        }
        buffer.put_u8(b'\n');
    }

    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let data = self.data.as_ref().map_or(0, Bytes::len);
        let mut buffer = BytesMut::with_capacity(data + 64);
        self.write(&mut buffer);
        buffer.freeze()
    }

    fn is_empty(&self) -> bool {
        self.data.is_none() && self.id.is_none() && self.retry.is_none()
    }
}

/// A comment, which clients skip: it keeps a quiet connection open.
pub const KEEP_ALIVE: &[u8] = b":\n\n";

fn field(buffer: &mut BytesMut, name: &str, value: &[u8]) {
    buffer.put_slice(name.as_bytes());
    buffer.put_slice(b": ");
    buffer.put_slice(value);
    buffer.put_u8(b'\n');
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], "")
}

/// Splits at every kind of line end, so that no reader sees another split than this one.
fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let data = rest?;
        let Some(end) = data.iter().position(|byte| is_line_end(*byte)) else {
            rest = None;
            return Some(data);
        };
        let (line, after) = data.split_at(end);
        rest = after.strip_prefix(b"\r\n").or_else(|| after.get(1..));
        Some(line)
    })
}

fn is_line_end(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// Why a stream cannot be read further.
#[derive(Debug, thiserror::Error)]
pub enum SseError {
    #[error("an event has more than {limit} bytes")]
    TooLarge { limit: usize },
    /// What the decoder itself never returns; [`Decoder`] demands the conversion.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Reads events from the chunks of a body. Feed it through [`Decoder::decode`]: a chunk may end
/// within a line, a line end or a character.
#[derive(Debug)]
pub struct SseDecoder {
    max_event_bytes: usize,
    /// Bytes of the buffer that are known to contain no end of line.
    searched: usize,
    /// Whether the last line ended with CR, so that a LF which follows belongs to it.
    after_cr: bool,
    started: bool,
    event: Event,
    data: BytesMut,
    /// Bytes of the lines of this event so far.
    size: usize,
}

impl SseDecoder {
    #[must_use]
    pub fn new(max_event_bytes: usize) -> Self {
        Self {
            max_event_bytes,
            searched: 0,
            after_cr: false,
            started: false,
            event: Event::default(),
            data: BytesMut::new(),
            size: 0,
        }
    }

    /// Takes the next line out of the buffer.
    fn next_line(&mut self, buffer: &mut BytesMut) -> Result<Option<BytesMut>, SseError> {
        if self.after_cr && !buffer.is_empty() {
            self.after_cr = false;
            if buffer.starts_with(b"\n") {
                buffer.advance(1);
            }
        }
        let unsearched = buffer.get(self.searched..).unwrap_or_default();
        let Some(at) = unsearched.iter().position(|byte| is_line_end(*byte)) else {
            self.searched = buffer.len();
            return self.bounded(buffer.len()).map(|()| None);
        };
        let line = buffer.split_to(self.searched + at);
        self.after_cr = buffer.starts_with(b"\r");
        buffer.advance(1);
        self.searched = 0;
        self.bounded(line.len())?;
        Ok(Some(line))
    }

    fn bounded(&self, more: usize) -> Result<(), SseError> {
        if self.size.saturating_add(more) > self.max_event_bytes {
            return Err(SseError::TooLarge { limit: self.max_event_bytes });
        }
        Ok(())
    }

    fn field(&mut self, line: &[u8]) {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        if name.is_empty() {
            // A comment: it is not kept, so it does not count towards the size either.
            return;
        }
        self.size = self.size.saturating_add(line.len() + 1);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => self.data_line(value),
            b"event" => self.event.event = Some(String::from_utf8_lossy(value).into_owned()),
            b"id" => {
                let id = String::from_utf8_lossy(value);
                if id.len() <= MAX_ID_BYTES && !id.contains('\0') {
                    self.event.id = Some(id.into_owned());
                }
            }
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                self.event.retry = String::from_utf8_lossy(value).parse().ok();
            }
            _ => {}
        }
    }

    fn data_line(&mut self, value: &[u8]) {
        if self.event.data.is_some() {
            self.data.put_u8(b'\n');
        }
        // Marks that there is data; the lines themselves are joined in `data`.
        self.event.data = Some(Bytes::new());
        self.data.put_slice(value);
    }

    /// Ends the event at a blank line.
    fn dispatch(&mut self) -> Option<Event> {
        let mut event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        self.size = 0;
        if event.data.is_some() {
            event.data = Some(data.freeze());
        }
        (!event.is_empty()).then_some(event)
    }
}

impl Default for SseDecoder {
    fn default() -> Self {
        Self::new(MAX_EVENT_BYTES)
    }
}

impl Decoder for SseDecoder {
    type Item = Event;
    type Error = SseError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Event>, SseError> {
        while let Some(line) = self.next_line(buffer)? {
            let first = !std::mem::replace(&mut self.started, true);
            let line: &[u8] = &line;
            let line =
                if first { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
            if !line.is_empty() {
                self.field(line);
            } else if let Some(event) = self.dispatch() {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// An event that the end of the stream cuts off is dropped, as the standard demands.
    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Event>, SseError> {
        let event = self.decode(buffer)?;
        if event.is_none() {
            buffer.clear();
            self.searched = 0;
        }
        Ok(event)
    }
}
