//! A real Rekor v2 (rekor-tiles with its POSIX storage), on free ports of loopback.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running `rekor-server`. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    address: String,
    front: SocketAddr,
    _folder: TempDir,
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
                    let front = front(address.clone(), at("log"));
                    return Self { process, address, front, _folder: folder };
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("rekor-server does not start: {}", fs::read_to_string(at("stderr")).unwrap());
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.front)
    }

    /// Its address without the tiles, `127.0.0.1:port`: where entries are posted.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// What is in front of a Rekor, as in its own compose files: it takes entries, and its tiles are
/// files that a web server serves under the same address. Ends with the process.
fn front(rekor: String, tiles: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (rekor, tiles) = (rekor.clone(), tiles.clone());
            // A client that gets no response asks again.
            std::thread::spawn(move || drop(serve(client, &rekor, &tiles)));
        }
    });
    address
}

/// Handles one request, and closes the connection.
fn serve(mut client: TcpStream, rekor: &str, tiles: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let path = head.strip_prefix("GET /api/v2/").and_then(|rest| rest.split(' ').next());
    if let Some(path) = path {
        let (status, body) = match fs::read(tiles.join(path)) {
            Ok(body) => ("200 OK", body),
            Err(_) => ("404 Not Found", Vec::new()),
        };
        let length = body.len();
        write!(client, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n")?;
        write!(client, "Connection: close\r\n\r\n")?;
        return client.write_all(&body);
    }
    let mut upstream = TcpStream::connect(rekor)?;
    upstream.write_all(head.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes())?;
    let mut onwards = upstream.try_clone()?;
    std::thread::spawn(move || drop(std::io::copy(&mut reader, &mut onwards)));
    std::io::copy(&mut upstream, &mut client)?;
    client.shutdown(Shutdown::Both)
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
