//! A real C2SP witness, litewitness, sees our log.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sentinel_provenance::log::{
    AddCheckpoint, Checkpoint, Ed25519NoteSigner, Note, NoteSigner as _, VerifierKey,
    WitnessPolicy, add_checkpoint_body, empty_root,
};
use sentinel_provenance::{LogTrust, Sha256Digest, Signer as _, verify_logged_bundle};
use tempfile::TempDir;

use crate::memory_log::{MemoryLog, ORIGIN};
use crate::verifiers::{Case, Verifiers, tool};
use crate::{logged_manifest, trusted_root};

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
struct Witness {
    processes: Vec<Child>,
    address: String,
    key: VerifierKey,
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
    fn start(log: &VerifierKey) -> Self {
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
            .args(["-c", ADD_LOG, &at("witness.db"), ORIGIN])
            .args([STANDARD.encode(empty_root().as_bytes()), log.to_string()]));
        let said = fs::read_to_string(at("log")).unwrap();
        let key = said.split_whitespace().find_map(|word| word.strip_prefix("vkey="));
        let key = VerifierKey::parse(key.unwrap().trim_matches('"')).unwrap();
        Self { processes, address, key, _folder: folder }
    }

    /// Asks it to cosign, over the network as the server will.
    fn add(&self, old: u64, proof: &[Sha256Digest], checkpoint: &Note) -> AddCheckpoint {
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

    fn cosign(&self, log: &MemoryLog, old: u64) -> Note {
        let note = log.checkpoint();
        match self.add(old, &log.consistency(old), &note) {
            AddCheckpoint::Cosigned(lines) => note.with_signatures(lines).unwrap(),
            answer => panic!("not cosigned: {answer:?}"),
        }
    }
}

#[test]
fn a_real_witness_cosigns_and_every_verifier_accepts_it() {
    let (it, mut bundle, log) = logged_manifest();
    let witness = Witness::start(log.signer.verifier_key());
    let cosigned = witness.cosign(&log, 0);
    let policy = WitnessPolicy::new(1, vec![witness.key.clone()]).unwrap();

    let signed = Checkpoint::open(&cosigned.to_string(), log.signer.verifier_key()).unwrap();
    let [cosignature] = <[_; 1]>::try_from(signed.cosignatures(&policy).unwrap()).unwrap();
    assert_eq!(cosignature.witness.as_str(), "witness.example/w");
    assert!(cosignature.time > 1_700_000_000);

    let root = trusted_root(&log);
    let logs = LogTrust { root: root.clone(), witnesses: Some(policy) };
    let key = it.signer.public_key();
    assert!(!verify_logged_bundle(&bundle, key, &logs, None).verified(), "not cosigned yet");
    let entry = &mut bundle.verification_material.tlog_entries[0];
    entry.inclusion_proof.checkpoint.envelope = cosigned.to_string();
    assert!(verify_logged_bundle(&bundle, key, &logs, Some(&it.artifact)).verified());

    let verifiers = Verifiers::new(&root, key, &it.artifact);
    let cases = [Case { name: "cosigned", json: bundle.to_json().unwrap() }];
    for verdicts in [verifiers.cosign(&cases), verifiers.node(&cases), verifiers.rust(&cases)] {
        assert!(verdicts[0].accepted, "{}", verdicts[0].why);
    }
}

#[test]
fn a_real_witness_follows_the_log_and_refuses_rollback_and_fork() {
    let mut log = MemoryLog::new();
    let witness = Witness::start(log.signer.verifier_key());
    log.fill(10);
    witness.cosign(&log, 0);
    log.fill(300);
    // Who does not know what it saw last asks from zero, and is told.
    let from_zero = witness.add(0, &[], &log.checkpoint());
    assert_eq!(from_zero, AddCheckpoint::Conflict { size: 10 });
    witness.cosign(&log, 10);
    // The same again is no harm: a log that crashed after the request repeats it.
    witness.cosign(&log, 310);

    // Restored from an old backup, and grown from there.
    let mut rolled_back = log.started_over();
    rolled_back.fill(10);
    let answer = witness.add(10, &[], &rolled_back.checkpoint());
    assert_eq!(answer, AddCheckpoint::Conflict { size: 310 });
    let answer = witness.add(310, &[], &rolled_back.checkpoint());
    assert_eq!(answer, AddCheckpoint::Failed { status: 400 });

    // One leaf is another: neither at the same size nor later does the witness go along.
    let mut forked = log.started_over();
    forked.fill(200);
    forked.append(&["another leaf"]);
    forked.fill(109);
    let answer = witness.add(310, &[], &forked.checkpoint());
    assert_eq!(answer, AddCheckpoint::Inconsistent);
    forked.fill(90);
    let answer = witness.add(310, &forked.consistency(310), &forked.checkpoint());
    assert_eq!(answer, AddCheckpoint::Inconsistent);

    // Another key under the same name, and another log.
    let mut rogue = MemoryLog::new();
    rogue.fill(400);
    let answer = witness.add(310, &rogue.consistency(310), &rogue.checkpoint());
    assert_eq!(answer, AddCheckpoint::UntrustedKey);
    let other = Ed25519NoteSigner::generate("other.example").unwrap();
    let checkpoint = Checkpoint::new("other.example", 400, rogue.frontier.root()).unwrap();
    let answer = witness.add(0, &[], &checkpoint.sign(&other).unwrap());
    assert_eq!(answer, AddCheckpoint::UnknownLog);

    // After all that the honest log still goes on.
    log.fill(1);
    witness.cosign(&log, 310);
}
