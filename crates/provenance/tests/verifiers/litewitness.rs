//! A real C2SP witness, litewitness, as a process.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sentinel_provenance::Sha256Digest;
use sentinel_provenance::log::{AddCheckpoint, Note, VerifierKey, add_checkpoint_body, empty_root};
use tempfile::TempDir;

use crate::verifiers::tool;

/// What `witnessctl add-log` and `add-key` do. That program itself needs a module which not every
/// mirror of Go's has.
const ADD_LOG: &str = "
import sqlite3, sys
file, origin, root, key = sys.argv[1:]
with sqlite3.connect(file, timeout=10) as db:
    db.execute('INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)', (origin, root))
    db.execute('INSERT INTO key (origin, key) VALUES (?, ?)', (origin, key))
";

/// A running witness that knows one log, and the agent that holds its key.
pub(crate) struct Witness {
    processes: Vec<Child>,
    address: String,
    pub(crate) key: VerifierKey,
    _folder: TempDir,
}

impl Drop for Witness {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
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

impl Witness {
    pub(crate) fn start(log: &VerifierKey) -> Self {
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
        let witness = Command::new(tool("litewitness"))
            .args(["-db", &at("witness.db"), "-name", "witness.example/w", "-key", &fingerprint])
            .args(["-ssh-agent", &at("agent"), "-listen", &address])
            .stderr(errors)
            .spawn()
            .unwrap();
        processes.push(witness);
        wait_for("litewitness", || TcpStream::connect(&address).is_ok());
        run(Command::new("python3")
            .args(["-c", ADD_LOG, &at("witness.db"), log.name().as_str()])
            .args([STANDARD.encode(empty_root().as_bytes()), log.to_string()]));
        let said = fs::read_to_string(at("log")).unwrap();
        let key = said.split_whitespace().find_map(|word| word.strip_prefix("vkey="));
        let key = VerifierKey::parse(key.unwrap().trim_matches('"')).unwrap();
        Self { processes, address, key, _folder: folder }
    }

    /// Asks it to cosign, over the network as the server will.
    pub(crate) fn add(&self, old: u64, proof: &[Sha256Digest], checkpoint: &Note) -> AddCheckpoint {
        let body = add_checkpoint_body(old, proof, checkpoint).unwrap();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let length = body.len();
        write!(stream, "POST /add-checkpoint HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}")
            .unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        let mut answer = Vec::new();
        reader.read_to_end(&mut answer).unwrap();
        AddCheckpoint::parse(status, &answer).unwrap()
    }
}
