//! An S3-compatible object storage of the test's own (versitygw), on a free port of loopback.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use tempfile::TempDir;

/// The only bucket.
const BUCKET: &str = "archive";

/// A running `versitygw` with one bucket, which is a folder. It ends when this is dropped, and
/// also when the process ends without dropping it, however that happens.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    folder: TempDir,
    running: Option<Running>,
    /// Whether its bucket keeps every version of an object (object lock).
    locked: bool,
    /// Whether tags are stored beside the objects, so that both are not replaced in one step.
    beside: bool,
}

#[derive(Debug)]
struct Running {
    pid: u32,
    /// The shell that watches over the server.
    watcher: Child,
}

/// Starts the server, tells its process id, and waits for the end of the input, which comes when
/// the test process ends.
const WATCH: &str = r#"
    trap '' INT
    log=$1; shift
    "$@" >>"$log" 2>&1 </dev/null &
    echo $!
    read -r order
    kill -KILL $! && wait $!
"#;

impl Server {
    /// Starts one; panics when there is no `versitygw`, since the test would prove nothing.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(false, true)
    }

    /// Starts one that replaces an object and its tag in one step, as the original does: on a file
    /// system with attributes.
    #[must_use]
    pub fn start_atomic() -> Self {
        Self::start_with(false, false)
    }

    /// Starts one whose bucket has object lock: every version of an object is kept, and for a day
    /// none can be deleted.
    #[must_use]
    pub fn start_locked() -> Self {
        let server = Self::start_with(true, true);
        let of_lock = "x-amz-bucket-object-lock-enabled: true";
        assert_eq!(server.signed("PUT", BUCKET, "", Some(of_lock)).0, 200);
        let days = "<DefaultRetention><Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention>";
        let rule = format!(
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>\
             <Rule>{days}</Rule></ObjectLockConfiguration>"
        );
        let path = format!("{BUCKET}?object-lock=");
        let (status, told) = server.signed("PUT", &path, &rule, None);
        assert_eq!(status, 200, "{told}");
        server
    }

    fn start_with(locked: bool, beside: bool) -> Self {
        // Another process may take the port between choosing and using it: then another is tried.
        let mut log = String::new();
        for _ in 0..5 {
            let folder = tempfile::tempdir().unwrap();
            for name in ["buckets", "attributes", "accounts", "versions"] {
                std::fs::create_dir(folder.path().join(name)).unwrap();
            }
            if !locked {
                std::fs::create_dir(folder.path().join("buckets").join(BUCKET)).unwrap();
            }
            let mut server =
                Self { address: free_address(), folder, running: None, locked, beside };
            if server.try_start() {
                return server;
            }
            log = server.log();
        }
        panic!("versitygw does not start: {log}");
    }

    /// The address of a folder of the bucket.
    #[must_use]
    pub fn url(&self, folder: &str) -> String {
        format!("s3://{BUCKET}/{folder}")
    }

    /// The variables that lead to this server, and the right to read and write there.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let variables = [
            ("AWS_ACCESS_KEY_ID", self.name().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", self.secret()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT", format!("http://{}", self.address)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ];
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[must_use]
    pub fn secret(&self) -> String {
        format!("secret-of-{}", self.name())
    }

    /// Makes a request that no client of ours makes, with `curl`; returns status and body.
    ///
    /// # Panics
    /// When there is no response.
    #[must_use]
    pub fn signed(
        &self,
        method: &str,
        path: &str,
        body: &str,
        header: Option<&str>,
    ) -> (u16, String) {
        let hash = |algorithm| aws_lc_rs::digest::digest(algorithm, body.as_bytes());
        let sha256 = hash(&aws_lc_rs::digest::SHA256);
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--aws-sigv4", "aws:amz:us-east-1:s3", "-X", method]);
        curl.args(["--user", &format!("{}:{}", self.name(), self.secret())]);
        curl.args(["-H", &format!("x-amz-content-sha256: {}", hex::encode(sha256.as_ref()))]);
        let base64 = base64::engine::general_purpose::STANDARD.encode(sha256.as_ref());
        curl.args(["-H", &format!("x-amz-checksum-sha256: {base64}")]);
        curl.args(header.iter().flat_map(|header| ["-H", header]));
        if !body.is_empty() {
            curl.args(["--data-binary", body]);
        }
        curl.args(["-w", "\n%{http_code}", &format!("http://{}/{path}", self.address)]);
        let output = curl.output().expect("`curl` can be run");
        let answer = String::from_utf8(output.stdout).unwrap();
        let (body, status) = answer.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    /// Where the object at `path` of the bucket is stored as a file, for a test that changes it
    /// past the server.
    #[must_use]
    pub fn file(&self, path: &str) -> PathBuf {
        self.folder.path().join("buckets").join(BUCKET).join(path)
    }

    /// Ends it as `kill -9` does; what it had acknowledged is there when it starts again.
    pub fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            // The end of its input is the order to end.
            drop(running.watcher.stdin.take());
            let _ = running.watcher.wait();
        }
    }

    /// Starts it again on the same port.
    pub fn start_again(&mut self) {
        self.stop();
        assert!(self.try_start(), "versitygw does not start again: {}", self.log());
    }

    /// Stops it without ending it (`SIGSTOP`): connections are accepted and get no response.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on after [`Server::pause`].
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.running.as_ref().unwrap().pid.to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Starts the server; returns whether it serves.
    fn try_start(&mut self) -> bool {
        let root = self.folder.path();
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCH, "watch"]).arg(root.join("log")).arg(binary());
        shell.arg(format!("--port={}", self.address)).arg(format!("--health={}", self.health()));
        shell.args(["--quiet", "--keep-alive", "--region=us-east-1"]);
        // With it an unknown key gets the response of the original, and not 404.
        shell.arg("--iam-dir").arg(root.join("accounts")).arg("posix");
        // Not every file system has attributes.
        if self.beside {
            shell.arg("--sidecar").arg(root.join("attributes"));
        }
        if self.locked {
            shell.arg("--versioning-dir").arg(root.join("versions"));
        }
        shell.arg(root.join("buckets"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("VGW_") {
                shell.env_remove(name);
            }
        }
        shell.env("ROOT_ACCESS_KEY", self.name()).env("ROOT_SECRET_KEY", self.secret());
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut watcher = shell.spawn().expect("`sh` can be run");
        let mut line = String::new();
        BufReader::new(watcher.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = line.trim().parse().expect("the process id of versitygw");
        self.running = Some(Running { pid, watcher });
        self.responds(pid)
    }

    /// Whether it responds in time, and is this one: no other has this path.
    fn responds(&self, pid: u32) -> bool {
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until && !has_ended(pid) {
            if let Ok(answer) = self.get(&self.health()) {
                return answer.starts_with("HTTP/1.1 200");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    fn get(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: s3\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn health(&self) -> String {
        format!("/health-of-{}", self.name())
    }

    fn name(&self) -> &str {
        self.folder.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.')
    }

    fn log(&self) -> String {
        let path = self.folder.path().join("log");
        std::fs::read_to_string(path).unwrap_or_else(|error| error.to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The shell does not reap it before it is told to, so the process is a zombie then.
fn has_ended(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('Z'))
}

/// Where `scripts/install.sh` puts versitygw. The version that it pins is the one that tests are
/// about, so no other is looked for.
fn binary() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/versitygw");
    assert!(path.exists(), "versitygw is needed; `scripts/install.sh test` installs it");
    path
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_for_credentials_and_ends_with_the_test() {
        let (mut server, other) = (Server::start(), Server::start());
        for server in [&server, &other] {
            let refused = server.get("/archive/nothing").unwrap();
            assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
        }
        server.stop();
        assert!(TcpStream::connect(server.address).is_err(), "versitygw is still there");
        server.start_again();
        let address = server.address;
        drop(server);
        assert!(TcpStream::connect(address).is_err(), "versitygw is still there");
        assert!(other.get(&other.health()).is_ok());
    }
}
