//! A real timestamp authority (Sigstore's `timestamp-server`) with a key of its own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running `timestamp-server`. It ends when this is dropped.
///
/// There is one at a time on a machine, as it insists on port 2112 for its metrics: the next waits
/// until this one is dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    address: String,
    _folder: TempDir,
    /// Given back last.
    _only: fs::File,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts one; panics when there is no `timestamp-server`, since the test would prove nothing.
    #[must_use]
    pub fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let log = folder.path().join("log");
        let only = std::env::temp_dir().join("sentinel-timestamp-server.lock");
        let only = fs::OpenOptions::new().create(true).append(true).open(only).unwrap();
        only.lock().unwrap();
        // Another process may take the port between choosing and using it: then another is tried.
        for _ in 0..5 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            let mut process = Command::new(binary())
                .args(["serve", "--host", "127.0.0.1", "--port", &address.port().to_string()])
                .args(["--disable-ntp-monitoring", "--timestamp-signer", "memory"])
                .current_dir(folder.path())
                .env("HOME", folder.path())
                .stdout(Stdio::null())
                .stderr(fs::File::create(&log).unwrap())
                .spawn()
                .unwrap();
            let until = Instant::now() + Duration::from_secs(20);
            while process.try_wait().unwrap().is_none() && Instant::now() < until {
                if TcpStream::connect(address).is_ok() {
                    let address = address.to_string();
                    return Self { process, address, _folder: folder, _only: only };
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("timestamp-server does not start: {}", fs::read_to_string(log).unwrap());
    }

    /// Where it is asked.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/api/v1/timestamp", self.address)
    }

    /// Its certificates in PEM, that which signs first.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET /api/v1/timestamp/certchain HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        body.to_owned()
    }
}

/// Where `scripts/install.sh` puts it; no other version is looked for.
fn binary() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/timestamp-server");
    assert!(path.exists(), "timestamp-server is needed; `scripts/install.sh test` installs it");
    path
}
