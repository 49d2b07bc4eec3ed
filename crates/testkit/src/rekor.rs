//! A real Rekor v2 (rekor-tiles with its POSIX storage), on free ports of loopback.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running `rekor-server`. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    address: String,
    folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts one whose log is called `origin` and signs with an Ed25519 key in PKCS#8 PEM; panics
    /// when there is no `rekor-server`, since the test would prove nothing.
    #[must_use]
    pub fn start(origin: &str, key: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("key.pem"), key).unwrap();
        fs::create_dir(at("log")).unwrap();
        // Another process may take a port between choosing and using it: then others are tried.
        for _ in 0..5 {
            let [http, grpc, metrics] = free_ports();
            let log = fs::File::create(at("stderr")).unwrap();
            let mut process = Command::new(binary())
                .arg("serve")
                .args(["--hostname", origin, "--http-port", &http, "--grpc-port", &grpc])
                .args(["--http-metrics-port", &metrics, "--checkpoint-interval", "100ms"])
                .args(["--batch-max-age", "20ms", "--persistent-antispam=true"])
                .arg("--storage-dir")
                .arg(at("log"))
                .arg("--signer-filepath")
                .arg(at("key.pem"))
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap();
            let address = format!("127.0.0.1:{http}");
            let until = Instant::now() + Duration::from_secs(20);
            while process.try_wait().unwrap().is_none() && Instant::now() < until {
                if TcpStream::connect(&address).is_ok() {
                    return Self { process, address, folder };
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("rekor-server does not start: {}", fs::read_to_string(at("stderr")).unwrap());
    }

    /// Where entries are posted, `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The directory with its checkpoint and tiles, which another server has to serve.
    #[must_use]
    pub fn tiles(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

fn free_ports() -> [String; 3] {
    let listeners = [0; 3].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port().to_string())
}

/// Where `scripts/install.sh` puts it; no other version is looked for.
fn binary() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/rekor-server");
    assert!(path.exists(), "rekor-server is needed; `scripts/install.sh test` installs it");
    path
}
