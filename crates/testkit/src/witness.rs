//! A real C2SP witness (litewitness) that knows one log, on a free port of loopback.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The root of the tree without leaves.
const EMPTY_ROOT: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

/// What `witnessctl add-log` and `add-key` do. That program itself needs a module which not every
/// mirror of Go's has.
const ADD_LOG: &str = "
import sqlite3, sys
file, origin, root, key = sys.argv[1:]
with sqlite3.connect(file, timeout=10) as db:
    db.execute('INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)', (origin, root))
    db.execute('INSERT INTO key (origin, key) VALUES (?, ?)', (origin, key))
";

/// A running witness, and the agent that holds its key. Both end when this is dropped.
#[derive(Debug)]
pub struct Server {
    processes: Vec<Child>,
    address: String,
    key: String,
    _folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Server {
    /// Starts one that knows the log with the verifier key `log`; panics when there is no
    /// `litewitness`, since the test would prove nothing.
    #[must_use]
    pub fn start(log: &str) -> Self {
        Self::start_named(log, "witness.example/w")
    }

    /// Starts one of this name.
    #[must_use]
    pub fn start_named(log: &str, name: &str) -> Self {
        let origin = log.split('+').next().unwrap();
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &at("key")]));
        let listed = run(Command::new("ssh-keygen").args(["-l", "-f", &at("key.pub")]));
        let fingerprint = listed.split(' ').nth(1).unwrap().to_owned();
        let agent = Command::new("ssh-agent")
            .args(["-D", "-a", &at("agent")])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut processes = vec![agent];
        wait_for("ssh-agent", || Path::new(&at("agent")).exists());
        run(Command::new("ssh-add").arg(at("key")).env("SSH_AUTH_SOCK", at("agent")));

        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let errors = fs::File::create(at("log")).unwrap();
        let witness = Command::new(binary())
            .args(["-db", &at("witness.db"), "-name", name, "-key", &fingerprint])
            .args(["-ssh-agent", &at("agent"), "-listen", &address])
            .stderr(errors)
            .spawn()
            .unwrap();
        processes.push(witness);
        wait_for("litewitness", || TcpStream::connect(&address).is_ok());
        run(Command::new("python3").args([
            "-c",
            ADD_LOG,
            &at("witness.db"),
            origin,
            EMPTY_ROOT,
            log,
        ]));
        let said = fs::read_to_string(at("log")).unwrap();
        let key = said.split_whitespace().find_map(|word| word.strip_prefix("vkey="));
        let key = key.unwrap().trim_matches('"').to_owned();
        Self { processes, address, key, _folder: folder }
    }

    /// Where it listens, `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its verifier key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_there() {
        assert!(Instant::now() < deadline, "{what} did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Where `scripts/install.sh` puts litewitness; no other version is looked for.
fn binary() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/litewitness");
    assert!(path.exists(), "litewitness is needed; `scripts/install.sh test` installs it");
    path
}
