//! A server of bundles on loopback, which sends what the test says, and bundles to serve.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sentinel_policy_bundles::{Bundle, Signing, SigningKey};

/// One response. Without any left the server repeats the last one.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: &'static str,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
    /// Time before it is sent.
    pub(crate) after: Duration,
}

impl Answer {
    pub(crate) fn bundle(bytes: &[u8], tag: &str) -> Self {
        let headers = vec![format!("etag: {tag}"), "content-type: application/gzip".to_owned()];
        Self { headers, body: bytes.to_vec(), ..Self::status("200 OK") }
    }

    pub(crate) fn status(status: &'static str) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), after: Duration::ZERO }
    }

    pub(crate) fn with(mut self, header: &str) -> Self {
        let name = header.split(':').next().unwrap();
        self.headers.retain(|other| !other.starts_with(name));
        self.headers.push(header.to_owned());
        self
    }
}

#[derive(Debug, Default)]
struct Script {
    responses: VecDeque<Answer>,
    last: Option<Answer>,
    asked: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct BundleServer {
    pub(crate) url: String,
    script: Arc<Mutex<Script>>,
}

impl BundleServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/policy.tar.gz", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script::default()));
        let server = Self { url, script: Arc::clone(&script) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let script = Arc::clone(&script);
                std::thread::spawn(move || drop(answer(stream.unwrap(), &script)));
            }
        });
        server
    }

    pub(crate) fn say(&self, responses: impl IntoIterator<Item = Answer>) {
        let mut script = self.script.lock().unwrap();
        script.responses = responses.into_iter().collect();
    }

    /// The heads of the questions so far, in lower case.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.script.lock().unwrap().asked.clone()
    }
}

fn answer(stream: TcpStream, script: &Mutex<Script>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let answer = {
        let mut script = script.lock().unwrap();
        script.asked.push(head.to_ascii_lowercase());
        if let Some(next) = script.responses.pop_front() {
            script.last = Some(next);
        }
        script.last.clone().unwrap_or_else(|| Answer::status("404 Not Found"))
    };
    std::thread::sleep(answer.after);
    let stream = reader.get_mut();
    write!(stream, "HTTP/1.1 {}\r\nconnection: close\r\n", answer.status)?;
    write!(stream, "content-length: {}\r\n", answer.body.len())?;
    for header in &answer.headers {
        write!(stream, "{header}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(&answer.body)
}

/// A policy that allows everything or nothing, as a bundle.
pub(crate) fn bundle(revision: &str, allow: bool) -> Bundle {
    let rules = format!("package sentinel.policy\n\ndecision := {{\"allow\": {allow}}}\n");
    with_rules(revision, &rules)
}

pub(crate) fn with_rules(revision: &str, rules: &str) -> Bundle {
    let manifest = format!("{{\"revision\": \"{revision}\"}}");
    let files = [("policy.rego", rules), (".manifest", &manifest)];
    Bundle::from_files(files.map(|(p, t)| (p.to_owned(), t.as_bytes().to_vec()))).unwrap()
}

pub(crate) fn bytes(bundle: &Bundle) -> Vec<u8> {
    bundle.write(None).unwrap()
}

pub(crate) fn signed(bundle: &Bundle, private: &str) -> Vec<u8> {
    let key = SigningKey::read(private.as_bytes(), None).unwrap();
    bundle.write(Some(&Signing { key: &key, key_id: None, scope: None })).unwrap()
}
