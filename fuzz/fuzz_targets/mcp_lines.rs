//! The framing of stdio: what is read does not depend on how the bytes arrive, and the memory that
//! it takes is bounded.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use sentinel_core::json::Limits;
use sentinel_mcp_protocol::framing::lines::{Line, Lines};
use sentinel_mcp_protocol::jsonrpc::LIMITS;
use tokio_util::codec::Decoder;

const MAX: usize = 64;

fn read(pieces: &[&[u8]]) -> Vec<Line> {
    let mut decoder = Lines::new(Limits { max_bytes: MAX, ..LIMITS });
    let (mut buffer, mut lines) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while let Some(line) = decoder.decode(&mut buffer).expect("it never fails") {
            lines.push(line);
        }
        assert!(buffer.len() <= MAX, "a line without an end is dropped");
    }
    while let Some(line) = decoder.decode_eof(&mut buffer).expect("it never fails") {
        lines.push(line);
    }
    assert!(buffer.is_empty());
    lines
}

// The first byte chooses where the rest is cut.
fuzz_target!(|bytes: &[u8]| {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let whole = read(&[bytes]);
    let size = usize::from(*cut).max(1);
    assert_eq!(read(&bytes.chunks(size).collect::<Vec<_>>()), whole);
    assert_eq!(read(&bytes.chunks(1).collect::<Vec<_>>()), whole);
});
