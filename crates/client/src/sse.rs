//! Server-sent events: the part of the WHATWG's standard that Sentinel uses.

/// A line that is longer is not Sentinel's. Bytes.
const MAX_LINE: usize = 1024 * 1024;

/// One event of a stream, with its data as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) id: Option<String>,
    pub(crate) event: String,
    pub(crate) data: Vec<u8>,
}

/// A stream that no event can be read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Puts events together from bytes that arrive in any pieces.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    block: Block,
    /// Milliseconds after which the server wants a client to come back.
    pub(crate) retry: Option<u64>,
}

impl Parser {
    /// Forgets what is left of a stream that broke off.
    pub(crate) fn restart(&mut self) {
        self.line.clear();
        self.block = Block::default();
    }

    /// The events that are complete with `bytes`.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Block>, TooLong> {
        let mut found = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() > MAX_LINE || self.block.data.len() > MAX_LINE {
                return Err(TooLong);
            }
            if self.line.last() == Some(&b'\n') {
                let line = std::mem::take(&mut self.line);
                found.extend(self.line(trimmed(&line)));
            }
        }
        Ok(found)
    }

    fn line(&mut self, line: &[u8]) -> Option<Block> {
        if line.is_empty() {
            let block = std::mem::take(&mut self.block);
            return (!block.data.is_empty()).then_some(block);
        }
        let (name, value) = field(line);
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"id" => self.block.id = Some(text()),
            b"event" => self.block.event = text(),
            b"data" => {
                if !self.block.data.is_empty() {
                    self.block.data.push(b'\n');
                }
                self.block.data.extend_from_slice(value);
            }
            b"retry" => self.retry = text().parse().ok().or(self.retry),
            // A comment, such as the heartbeat, or what this version does not know.
            _ => {}
        }
        None
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Name and value of a line, without the one space after the colon.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return (line, b"") };
    let (name, rest) = line.split_at(colon);
    let value = rest.strip_prefix(b":").unwrap_or(rest);
    (name, value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"retry: 1500\nevent: sync\ndata: {\"a\":1}\n\n: heartbeat\n\n\
        id: 7-1\r\nevent: kill_switch.disabled\r\ndata:two\r\ndata: lines\r\n\r\ndata: cut";

    fn block(id: Option<&str>, event: &str, data: &[u8]) -> Block {
        Block { id: id.map(str::to_owned), event: event.to_owned(), data: data.to_vec() }
    }

    #[test]
    fn events_are_the_same_in_whatever_pieces_they_arrive() {
        let expected = [
            block(None, "sync", b"{\"a\":1}"),
            block(Some("7-1"), "kill_switch.disabled", b"two\nlines"),
        ];
        for size in 1..=STREAM.len() {
            let mut parser = Parser::default();
            let mut found = Vec::new();
            for piece in STREAM.chunks(size) {
                found.extend(parser.take(piece).unwrap());
            }
            assert_eq!(found, expected, "pieces of {size}");
            assert_eq!(parser.retry, Some(1500));
        }
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        let mut parser = Parser::default();
        let piece = [b'x'; 64 * 1024];
        let ended = (0..100).find(|_| parser.take(&piece).is_err());
        assert_eq!(ended, Some(16));
    }
}
