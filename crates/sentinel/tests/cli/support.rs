//! Starts the binary, talks to it, and sees to its end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

/// The binary, without the variables of the user who runs the tests.
pub(crate) fn sentinel(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("SENTINEL_") || text.starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run(args: &[&str]) -> Ran {
    sentinel(args).output().unwrap().into()
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// Asserts the exit status.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        self.read()
    }

    /// The output as what the command prints for programs.
    #[track_caller]
    pub(crate) fn read<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A folder, and the data directory in it.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Writes a file and returns its path.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Starts `sentinel dev` on the data directory.
    pub(crate) fn dev(&self, more: &[&str]) -> Server {
        let data = self.data();
        let data = data.to_str().unwrap();
        let mut args = vec!["dev", "--listen", "127.0.0.1:0", "--log", "json", "--data-dir", data];
        args.extend(more);
        Server::start(sentinel(&args), self.data())
    }
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    /// The line that said it was ready.
    pub(crate) ready: Value,
    data: PathBuf,
    child: Child,
    output: Arc<Mutex<String>>,
}

impl Server {
    pub(crate) fn start(mut command: Command, data: PathBuf) -> Self {
        command.stderr(Stdio::piped());
        Self::start_with_stderr(command, data)
    }

    /// The same, with a standard error of the caller's.
    pub(crate) fn start_with_stderr(mut command: Command, data: PathBuf) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        if let Some(stderr) = child.stderr.take() {
            collect(BufReader::new(stderr), &output);
        }
        let mut first = String::new();
        stdout.read_line(&mut first).unwrap();
        let ready: Value = serde_json::from_str(&first).unwrap_or_else(|_| {
            child.wait().unwrap();
            std::thread::sleep(Duration::from_millis(100));
            panic!("not ready: {first:?} {}", output.lock().unwrap())
        });
        assert_eq!(ready["event"], "server.ready");
        collect(stdout, &output);
        Self { url: ready["url"].as_str().unwrap().to_owned(), ready, data, child, output }
    }

    /// Runs a command against this server, with the keys of its data directory.
    pub(crate) fn cli(&self, args: &[&str]) -> Ran {
        let mut command = sentinel(args);
        command.env("SENTINEL_URL", &self.url).env("SENTINEL_DATA_DIR", &self.data);
        command.output().unwrap().into()
    }

    /// Asks for a call that the shipped policy allows.
    pub(crate) fn check(&self) -> Ran {
        self.cli(&[
            "check",
            "--json",
            "--tenant=platform-eng",
            "--tool=langsmith-docs-search",
            "--purpose=documentation_lookup",
        ])
    }

    pub(crate) fn key(&self, role: &str) -> String {
        let keys = std::fs::read_to_string(self.data.join("keys.json")).unwrap();
        serde_json::from_str::<Value>(&keys).unwrap()[role].as_str().unwrap().to_owned()
    }

    /// One request, answered with a status and JSON.
    pub(crate) fn http(&self, method: &str, path: &str, role: &str, body: &str) -> (u16, Value) {
        let mut stream = self.connect();
        stream.write_all(self.request(method, path, role, body).as_bytes()).unwrap();
        answer(stream)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// As [`Server::http`], with this key.
    pub(crate) fn http_with(
        &self,
        key: &str,
        method: &str,
        path: &str,
        body: &str,
    ) -> (u16, Value) {
        let mut stream = self.connect();
        stream.write_all(self.request_with(key, method, path, body).as_bytes()).unwrap();
        answer(stream)
    }

    /// The metrics, for a key that may read them.
    pub(crate) fn metrics(&self, key: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(self.request_with(key, "GET", "/metrics", "").as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    pub(crate) fn request(&self, method: &str, path: &str, role: &str, body: &str) -> String {
        self.request_with(&self.key(role), method, path, body)
    }

    pub(crate) fn request_with(&self, key: &str, method: &str, path: &str, body: &str) -> String {
        let host = self.url.trim_start_matches("http://");
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        )
    }

    /// Bytes that it has in memory.
    pub(crate) fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops it in good order, and asserts that it was.
    pub(crate) fn stop(mut self) -> String {
        self.signal("TERM");
        let status = self.wait();
        assert!(status.success(), "{status:?} {}", self.output());
        self.output()
    }

    /// What it wrote after its first line, so far.
    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Waits until it has written `text`.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) {
        let started = Instant::now();
        while !self.output().contains(text) {
            assert!(started.elapsed() < PATIENCE, "no `{text}` in {}", self.output());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn collect(mut from: impl std::io::BufRead + Send + 'static, into: &Arc<Mutex<String>>) {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        let mut line = String::new();
        while from.read_line(&mut line).is_ok_and(|read| read > 0) {
            into.lock().unwrap().push_str(&line);
            line.clear();
        }
    });
}

/// Reads an answer to its end.
pub(crate) fn answer(mut stream: TcpStream) -> (u16, Value) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {text:?}"));
    let body = text.split_once("\r\n\r\n").unwrap().1;
    (status.parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}
