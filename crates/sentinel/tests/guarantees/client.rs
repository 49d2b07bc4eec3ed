//! A blocking HTTP client of a few lines, so that 64 threads load the server and not each other.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sentinel_client::api::{CheckAnswer, List};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One keep-alive connection.
pub(crate) struct Client {
    address: String,
    key: String,
    stream: Option<TcpStream>,
    patience: Duration,
}

/// An answer with the time it took.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    /// The body as it came.
    pub(crate) bytes: Vec<u8>,
    pub(crate) sent: Instant,
    pub(crate) received: Instant,
}

impl Answer {
    /// The body as what the interface promises.
    #[track_caller]
    pub(crate) fn read<T: DeserializeOwned>(&self) -> T {
        let body = serde_json::from_slice(&self.bytes);
        body.unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A decision with the time it took.
#[derive(Debug, Clone)]
pub(crate) struct Decided {
    pub(crate) answer: CheckAnswer<'static>,
    pub(crate) sent: Instant,
    pub(crate) received: Instant,
}

impl Client {
    pub(crate) fn new(url: &str, key: &str) -> Self {
        let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { address, key: key.to_owned(), stream: None, patience: Duration::from_secs(30) }
    }

    /// Waits no longer for an answer.
    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The answer, or `None` when the connection broke: then nothing was acknowledged.
    pub(crate) fn try_send(&mut self, method: &str, path: &str, body: &Value) -> Option<Answer> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            self.key,
            body.len(),
        );
        let sent = Instant::now();
        let result = self.exchange(request.as_bytes());
        let received = Instant::now();
        match result {
            Some((status, bytes)) => {
                let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                Some(Answer { status, body, bytes, sent, received })
            }
            None => {
                self.stream = None;
                None
            }
        }
    }

    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.try_send("POST", path, body).unwrap_or_else(|| panic!("no answer to POST {path}"))
    }

    /// Asks for a decision, which has to be answered with 200.
    #[track_caller]
    pub(crate) fn check(&mut self, call: &Value) -> Decided {
        let answer = self.post("/policy/check", call);
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        Decided { answer: answer.read(), sent: answer.sent, received: answer.received }
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.try_send("GET", path, &Value::Null)
            .unwrap_or_else(|| panic!("no answer to GET {path}"))
    }

    /// Every item of a paginated listing.
    pub(crate) fn list<T: DeserializeOwned>(&mut self, path: &str) -> Vec<T> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let separator = if path.contains('?') { '&' } else { '?' };
            let answer = self.get(&format!("{path}{separator}limit=1000{cursor}"));
            assert_eq!(answer.status, 200, "{:?}", answer.body);
            let page: List<T> = answer.read();
            items.extend(page.items);
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    fn exchange(&mut self, request: &[u8]) -> Option<(u16, Vec<u8>)> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(&self.address).ok()?;
            stream.set_nodelay(true).ok()?;
            stream.set_read_timeout(Some(self.patience)).ok()?;
            self.stream = Some(stream);
        }
        let stream = self.stream.as_mut()?;
        stream.write_all(request).ok()?;
        read_answer(stream)
    }
}

fn read_answer(stream: &mut TcpStream) -> Option<(u16, Vec<u8>)> {
    let mut buffer = Vec::with_capacity(4096);
    let mut chunk = [0; 16 * 1024];
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut chunk).ok()? {
            0 => return None,
            n => buffer.extend_from_slice(&chunk[..n]),
        }
    };
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let length: usize = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|length| length.trim().parse().ok())?;
    while buffer.len() < head + length {
        match stream.read(&mut chunk).ok()? {
            0 => return None,
            n => buffer.extend_from_slice(&chunk[..n]),
        }
    }
    Some((status, buffer[head..head + length].to_vec()))
}
