//! Requests as bytes, built once and sent many times.

use std::io::Write as _;

/// A request line and headers. All but the body's length is fixed, so that a scenario whose bodies
/// differ from request to request only pays for the body.
#[derive(Debug, Clone)]
pub(crate) struct RequestHead {
    bytes: Vec<u8>,
}

impl RequestHead {
    /// `path` includes the query; `host` is the value of the Host header.
    pub(crate) fn new(method: &str, path: &str, host: &str) -> Self {
        Self { bytes: format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n").into_bytes() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        self
    }

    /// Appends the whole request with this body to `buffer`.
    pub(crate) fn write(&self, body: &[u8], buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.bytes);
        // Writing to a vector does not fail.
        let _ = write!(buffer, "content-length: {}\r\n\r\n", body.len());
        buffer.extend_from_slice(body);
    }

    /// The whole request with this body.
    pub(crate) fn request(&self, body: &[u8]) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(self.bytes.len() + body.len() + 32);
        self.write(body, &mut buffer);
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_one_complete_request() {
        let head = RequestHead::new("POST", "/a?b=c", "localhost:1").header("x-one", "1");
        assert_eq!(
            String::from_utf8(head.request(b"{}")).unwrap(),
            "POST /a?b=c HTTP/1.1\r\nhost: localhost:1\r\nx-one: 1\r\ncontent-length: 2\r\n\r\n{}"
        );
    }
}
