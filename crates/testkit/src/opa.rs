//! An OPA of the test's own, on a free port of loopback, and just enough HTTP to ask it.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A running `opa run --server`. It ends when this is dropped, and also when the process ends
/// without dropping it, however that happens.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    pid: u32,
    folder: TempDir,
    /// The shell that watches over the server.
    watcher: Child,
}

/// Starts the server, prints its process ID, and waits for the end of the input, which comes when
/// the test process exits.
const WATCH: &str = r#"
    trap '' INT
    log=$1; shift
    "$@" >"$log" 2>&1 </dev/null &
    echo $!
    read -r order
    kill -KILL $! && wait $!
"#;

impl Server {
    /// Starts one on a policy directory; panics when there is no OPA, since the test would prove
    /// nothing, and when OPA does not take the policy.
    #[must_use]
    pub fn start(policies: &Path) -> Self {
        // Another process may take the port between choosing and using it: then another is tried.
        let mut log = String::new();
        for _ in 0..5 {
            let server = Self::spawn(&[policies.as_os_str()]);
            if server.responds(Duration::from_secs(10)) {
                return server;
            }
            log = server.log();
        }
        panic!("OPA does not start on `{}`: {log}", policies.display());
    }

    /// Starts one on a bundle that may be large, and may be one that OPA refuses.
    ///
    /// # Errors
    /// What OPA says when it does not start.
    pub fn start_bundle(bundle: &Path) -> Result<Self, String> {
        let server = Self::spawn(&["--bundle".as_ref(), bundle.as_os_str()]);
        if server.responds(Duration::from_secs(120)) { Ok(server) } else { Err(server.log()) }
    }

    fn log(&self) -> String {
        let path = self.folder.path().join("log");
        std::fs::read_to_string(path).unwrap_or_else(|error| error.to_string())
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// A connection that is kept open between requests.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn connect(&self) -> std::io::Result<Connection> {
        Connection::open(self.address)
    }

    fn spawn(policies: &[&OsStr]) -> Self {
        let address = free_address();
        let folder = tempfile::tempdir().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCH, "watch"]).arg(folder.path().join("log")).arg(binary());
        shell.args(["run", "--server", "--log-level=error", "--disable-telemetry"]);
        shell.arg(format!("--addr={address}"));
        shell.arg(format!("--set=labels.folder={}", name(&folder))).args(policies);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut watcher = shell.spawn().expect("`sh` can be run");
        let mut line = String::new();
        BufReader::new(watcher.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = line.trim().parse().expect("the process id of OPA");
        Self { address, pid, folder, watcher }
    }

    /// Whether it responds in time, and is this one: the port may be that of another test's OPA,
    /// which would respond just as well, with another policy.
    fn responds(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        while Instant::now() < until && !self.has_ended() {
            if let Ok(mut connection) = self.connect()
                && let Ok((200, _)) = connection.request("GET", "/health", None)
                && let Ok((200, config)) = connection.request("GET", "/v1/config", None)
            {
                return config["result"]["labels"]["folder"] == name(&self.folder);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// The shell does not reap it before it is told to, so the process is a zombie then.
    fn has_ended(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('Z'))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input is the order to end.
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}

/// OPA's command line.
#[must_use]
pub fn command() -> Command {
    Command::new(binary())
}

/// Where `scripts/install.sh` puts OPA. The version that it pins is the one that tests are about,
/// so no other is looked for.
fn binary() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/opa");
    assert!(path.exists(), "OPA is needed; `scripts/install.sh test` installs it");
    path
}

fn name(folder: &TempDir) -> &str {
    folder.path().file_name().unwrap().to_str().unwrap()
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// One HTTP/1.1 connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// What a rule comes to on an input; `None` when it is undefined. Panics when OPA responds
    /// anything else than that, which no test expects.
    pub fn eval(&mut self, rule: &str, input: Option<&Value>) -> Option<Value> {
        let body = input.map_or_else(|| "{}".to_owned(), |input| format!(r#"{{"input":{input}}}"#));
        let path = format!("/v1/data/{rule}");
        let (status, mut answer) = self.request("POST", &path, Some(&body)).unwrap();
        assert_eq!(status, 200, "{answer} for {body}");
        answer.as_object_mut().unwrap().remove("result")
    }

    /// Sends a request; returns status and body.
    ///
    /// # Errors
    /// When the connection breaks, or the answer is not JSON with a length.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> std::io::Result<(u16, Value)> {
        let body = body.unwrap_or_default();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: opa\r\n");
        let fields =
            format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        self.stream.get_mut().write_all(format!("{head}{fields}\r\n{body}").as_bytes())?;
        let broken = || std::io::Error::other("not an answer with a length");
        let status = self.line()?.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut length = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok();
            }
        }
        let mut bytes = vec![0; length.ok_or_else(broken)?];
        self.stream.read_exact(&mut bytes)?;
        Ok((status.ok_or_else(broken)?, serde_json::from_slice(&bytes)?))
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DECISION: &str = "sentinel/policy/decision";

    fn policies() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/shipped")
    }

    #[test]
    fn decides_by_the_shipped_policies_and_ends_with_the_test() {
        let server = Server::start(&policies());
        let mut connection = server.connect().unwrap();
        let input = json!({
            "tenant": "secops",
            "tool": "incident-response-runbook",
            "purpose": "postmortem",
            "usage": 3,
        });
        let quota = json!({"limit": 200, "window": "1h"});
        let allow = json!({"allow": true, "obligations": [], "quota": quota});
        assert_eq!(connection.eval(DECISION, Some(&input)), Some(allow));
        let denied = connection.eval(DECISION, None).unwrap();
        assert_eq!(denied["allow"], json!(false));
        assert_eq!(connection.eval("sentinel/policy/no_such_rule", Some(&input)), None);
        let address = server.address();
        drop(server);
        assert!(TcpStream::connect(address).is_err(), "OPA is still there");
    }

    #[test]
    fn two_servers_do_not_answer_for_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let other = "package sentinel.policy\n\ndecision := {\"allow\": false}\n";
        std::fs::write(folder.path().join("policy.rego"), other).unwrap();
        let (shipped, own) = (Server::start(&policies()), Server::start(folder.path()));
        let ask = |server: &Server| server.connect().unwrap().eval(DECISION, None).unwrap();
        assert_eq!(ask(&own), json!({"allow": false}));
        assert_eq!(ask(&shipped)["reasons"][0]["code"], "tool_not_allowed");
    }

    #[test]
    #[should_panic(expected = "OPA does not start")]
    fn a_policy_that_opa_refuses_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("policy.rego"), "not rego at all").unwrap();
        drop(Server::start(folder.path()));
    }
}
