//! Just enough of HTTP/1.1 to know where an answer ends and what it says.

use std::{ops::Range, time::Instant};

/// One answer, as a scenario sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    /// When the request should have been sent; in a closed loop, when it was.
    pub(crate) due: Instant,
    /// Just before the request was written.
    pub(crate) sent: Instant,
    /// Just after the last byte of the answer was read.
    pub(crate) received: Instant,
}

impl Response<'_> {
    pub(crate) fn body_contains(&self, text: &str) -> bool {
        text.is_empty() || self.body.windows(text.len()).any(|part| part == text.as_bytes())
    }
}

/// A complete answer within a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) status: u16,
    pub(super) body: Range<usize>,
}

/// Not an answer that this generator reads: no HTTP/1.1, no length (chunked or until the end of
/// the connection), or bytes after it that were not asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The answer that `bytes` hold, or `None` when more is to come.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Frame>, Malformed> {
    let mut lines = Lines { bytes, offset: 0 };
    let Some(status_line) = lines.next() else { return Ok(None) };
    let status = parse_status(status_line).ok_or(Malformed)?;
    let mut length = None;
    loop {
        let Some(line) = lines.next() else { return Ok(None) };
        if line.is_empty() {
            break;
        }
        if let Some(value) = content_length(line) {
            length = Some(parse_decimal(value).ok_or(Malformed)?);
        }
    }
    let length = match (length, status) {
        (_, 204 | 304) => 0,
        (Some(length), _) => length,
        (None, _) => return Err(Malformed),
    };
    let end = lines.offset.checked_add(length).ok_or(Malformed)?;
    match end.cmp(&bytes.len()) {
        std::cmp::Ordering::Greater => Ok(None),
        std::cmp::Ordering::Equal => Ok(Some(Frame { status, body: lines.offset..end })),
        std::cmp::Ordering::Less => Err(Malformed),
    }
}

/// Complete lines, without their CR LF.
struct Lines<'a> {
    bytes: &'a [u8],
    /// Just after the last line returned.
    offset: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.offset..)?;
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        self.offset += end + 1;
        let line = rest.get(..end)?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

fn parse_status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.1 ")?;
    let (code, rest) = rest.split_at_checked(3)?;
    let ends = rest.is_empty() || rest.starts_with(b" ");
    u16::try_from(parse_decimal(code)?).ok().filter(|code| ends && (200..600).contains(code))
}

fn content_length(line: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"content-length:";
    let (name, value) = line.split_at_checked(NAME.len())?;
    name.eq_ignore_ascii_case(NAME).then(|| value.trim_ascii())
}

fn parse_decimal(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0usize, |value, &digit| {
        let digit = char::from(digit).to_digit(10)?;
        value.checked_mul(10)?.checked_add(usize::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_it_cannot_delimit() {
        for bytes in [
            "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab",
            "nonsense\r\n",
        ] {
            assert_eq!(parse(bytes.as_bytes()), Err(Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn an_answer_without_content_needs_no_length() {
        let bytes = b"HTTP/1.1 204 No Content\r\ndate: x\r\n\r\n";
        assert_eq!(parse(bytes), Ok(Some(Frame { status: 204, body: bytes.len()..bytes.len() })));
    }

    proptest! {
        #[test]
        fn reads_an_answer_only_once_it_is_complete(
            status in 200u16..600,
            headers in prop::collection::vec("[a-z]{1,9}: [ -~]{0,20}", 0..4),
            name in "[cC][oO]ntent-[lL]ength: {0,2}",
            body in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let body = if matches!(status, 204 | 304) { Vec::new() } else { body };
            let mut bytes = format!("HTTP/1.1 {status} Reason here\r\n").into_bytes();
            for header in &headers {
                bytes.extend_from_slice(format!("{header}\r\n").as_bytes());
            }
            bytes.extend_from_slice(format!("{name}{}\r\n\r\n", body.len()).as_bytes());
            let start = bytes.len();
            bytes.extend_from_slice(&body);
            for cut in 0..bytes.len() {
                prop_assert_eq!(parse(&bytes[..cut]), Ok(None));
            }
            prop_assert_eq!(parse(&bytes), Ok(Some(Frame { status, body: start..bytes.len() })));
            bytes.push(b'x');
            prop_assert_eq!(parse(&bytes), Err(Malformed));
        }

        #[test]
        fn arbitrary_bytes_never_yield_a_body_outside_the_buffer(
            tail in prop::collection::vec(any::<u8>(), 0..100),
            with_status in any::<bool>(),
        ) {
            let mut bytes = if with_status { b"HTTP/1.1 200 OK\r\n".to_vec() } else { Vec::new() };
            bytes.extend_from_slice(&tail);
            if let Ok(Some(frame)) = parse(&bytes) {
                prop_assert!(bytes.get(frame.body).is_some());
            }
        }
    }
}
