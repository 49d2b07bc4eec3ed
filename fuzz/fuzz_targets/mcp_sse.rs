//! Server-sent events: what is read does not depend on how the bytes arrive, and an event that is
//! written reads as the same event.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use sentinel_mcp_protocol::framing::sse::{Event, KEEP_ALIVE, SseDecoder};
use tokio_util::codec::Decoder;

/// The events up to where the stream is refused, and whether it is.
fn read(pieces: &[&[u8]], max: usize) -> (Vec<Event>, bool) {
    let mut decoder = SseDecoder::new(max);
    let (mut buffer, mut events) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(_) => return (events, true),
            }
        }
    }
    (events, false)
}

// The first byte chooses where the rest is cut.
fuzz_target!(|bytes: &[u8]| {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    for max in [48, 1 << 20] {
        let whole = read(&[bytes], max);
        let size = usize::from(*cut).max(1);
        assert_eq!(read(&bytes.chunks(size).collect::<Vec<_>>(), max), whole);
        assert_eq!(read(&bytes.chunks(1).collect::<Vec<_>>(), max), whole);
        let mut written = BytesMut::new();
        for event in &whole.0 {
            event.write(&mut written);
            written.extend_from_slice(KEEP_ALIVE);
        }
        assert_eq!(read(&[&written], 1 << 21).0, whole.0);
    }
});
