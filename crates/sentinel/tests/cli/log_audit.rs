//! `sentinel log audit`: what is planted into a log is found and explained.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sentinel_provenance::{
    EcdsaP256Signer, KeyEventKind, LogShardStart, PredecessorLog, Signer as _,
};

use crate::planted::PlantedLog;
use crate::support::{Folder, Ran, run, sentinel};

const SIZE: u64 = 300;

struct Case {
    folder: Folder,
    log: PlantedLog,
}

impl Case {
    fn new() -> Self {
        let folder = Folder::new();
        let log = PlantedLog::new(&folder.path().join("log"), SIZE);
        Self { folder, log }
    }

    fn audit(&self, more: &[&str]) -> Ran {
        self.audit_of(self.log.directory.to_str().unwrap(), more)
    }

    fn audit_of(&self, place: &str, more: &[&str]) -> Ran {
        let key = self.log.key();
        let evidence = self.evidence().display().to_string();
        let args = ["log", "audit", place, "--key", &key, "--evidence", &evidence];
        run(&[&args[..], more].concat())
    }

    fn evidence(&self) -> PathBuf {
        self.folder.path().join("evidence.txt")
    }

    /// Another leaf in place of one, as somebody with the signing key can make it.
    fn rewrite(&mut self, index: usize) {
        let envelope = self.log.envelope(5000);
        self.log.leaves[index] = self.log.leaf(&envelope);
    }
}

#[track_caller]
fn says(ran: Ran, texts: &[&str]) {
    let ran = ran.exits(1);
    for text in texts {
        assert!(ran.stdout.contains(text), "no `{text}` in\n{}", ran.stdout);
    }
    assert!(ran.stdout.starts_with("not sound  log `log.example`"), "{}", ran.stdout);
}

#[test]
fn a_sound_log_is_found_sound() {
    let it = Case::new();
    let earlier = it.folder.file("earlier", &it.log.checkpoint(100));
    let bundle = it.folder.file("bundle.json", str::from_utf8(&it.log.bundle(41)).unwrap());
    let ran = it.audit(&["--checkpoint", &earlier, "--bundle", &bundle]).exits(0);
    assert!(ran.stdout.starts_with("sound  log `log.example` in "), "{}", ran.stdout);
    let kept = "2 of 2 checkpoints hold, 1 of 1 entries of bundles are there";
    assert!(ran.stdout.contains(kept), "{}", ran.stdout);
    let report = it.audit(&["--json"]).exits(0).json();
    assert_eq!((&report["sound"], &report["logs"][0]["size"]), (&true.into(), &SIZE.into()));
    let hint = it.log.signer.public_key().hint();
    assert_eq!(report["logs"][0]["entries_by_key"][hint], SIZE);
    assert!(!it.evidence().exists());
}

#[test]
fn a_truncation_is_found() {
    let it = Case::new();
    it.log.remove("tile/entries/001.p/44");
    it.log.remove("tile/0/001.p/44");
    says(
        it.audit(&[]),
        &[
            "  `tile/entries/001.p/44` is missing\n",
            "which means  the log was truncated, or lost what it had signed\n",
            "to keep      the checkpoint, which says how much there must be\n",
        ],
    );
}

#[test]
fn a_deleted_tile_is_found() {
    for tile in ["tile/0/000", "tile/1/000.p/1", "tile/entries/000"] {
        let it = Case::new();
        it.log.remove(tile);
        says(it.audit(&[]), &[&format!("  `{tile}` is missing\n")]);
    }
}

#[test]
fn a_deleted_entry_is_found() {
    let mut it = Case::new();
    it.log.leaves.remove(41);
    // The entries move up, and the last bundle is one shorter than the checkpoint has it.
    it.log.write_entries();
    says(
        it.audit(&[]),
        &["  `tile/0/000` does not have the hash of entry 41\n", "the file is damaged, or entries"],
    );
    // With a checkpoint of what is left, an auditor who kept anything sees it.
    let mut it = Case::new();
    let bundle = it.folder.file("bundle.json", str::from_utf8(&it.log.bundle(41)).unwrap());
    it.log.leaves.remove(41);
    it.log.grow(1);
    it.log.publish();
    says(
        it.audit(&["--bundle", &bundle]),
        &[
            "are signed by the log and contradict each other\n",
            "entry 41 is not the one that bundle `",
            "the operator showed different histories",
        ],
    );
}

#[test]
fn a_rewritten_entry_is_found() {
    let mut it = Case::new();
    it.rewrite(270);
    it.log.write_entries();
    says(it.audit(&[]), &["  `tile/0/001.p/44` does not have the hash of entry 270\n"]);
}

#[test]
fn an_entry_rewritten_with_its_tiles_is_found() {
    let mut it = Case::new();
    let earlier = it.folder.file("earlier", &it.log.checkpoint(100));
    it.rewrite(270);
    it.log.write_entries();
    it.log.write_tiles();
    says(
        it.audit(&["--checkpoint", &earlier]),
        &[
            "  the 300 entries have the root `",
            "; the first 100 are as they were signed\n",
            "entries and tiles were rewritten together\n",
        ],
    );
}

#[test]
fn a_fork_is_found_and_both_notes_are_kept() {
    let mut it = Case::new();
    let honest = it.log.checkpoint(300);
    let kept = it.folder.file("kept", &honest);
    it.rewrite(41);
    it.log.publish();
    // To who kept nothing, it is a sound log, and the report says what that leaves open.
    let ran = it.audit(&[]).exits(0);
    assert!(ran.stdout.contains("another history would not show: use --state"), "{}", ran.stdout);
    let evidence = it.evidence().display().to_string();
    says(
        it.audit(&["--checkpoint", &kept]),
        &[
            &format!(
                "  `{kept}` and `checkpoint` are signed by the log and contradict each other\n"
            ),
            "which means  the operator showed different histories",
            &format!("both notes are in `{evidence}`"),
        ],
    );
    let text = std::fs::read_to_string(it.evidence()).unwrap();
    assert!(text.starts_with("Evidence of a fork of the log `log.example`\n"), "{text}");
    assert!(text.contains(&honest) && text.contains(&it.log.checkpoint(300)), "{text}");
    // Found again, it is the same; other evidence is never overwritten.
    it.audit(&["--checkpoint", &kept]).exits(1);
    std::fs::write(it.evidence(), "other evidence").unwrap();
    let ran = it.audit(&["--checkpoint", &kept]).exits(1);
    assert!(ran.stderr.contains("cannot save the evidence to"), "{}", ran.stderr);
    assert_eq!(std::fs::read_to_string(it.evidence()).unwrap(), "other evidence");
}

#[test]
fn a_rollback_is_found_by_who_audits_daily() {
    let mut it = Case::new();
    let state = it.folder.path().join("state.json").display().to_string();
    it.audit(&["--state", &state]).exits(0);
    let before = std::fs::read_to_string(&state).unwrap();
    it.log.grow(10);
    it.log.publish();
    let report = it.audit(&["--state", &state, "--json"]).exits(0).json();
    assert_eq!(report["logs"][0]["checkpoints"], serde_json::json!({"kept": 1, "hold": 1}));
    let after = std::fs::read_to_string(&state).unwrap();
    assert!(after != before && after.contains("310"), "{after}");
    it.log.write("checkpoint", it.log.checkpoint(300).as_bytes());
    says(
        it.audit(&["--state", &state]),
        &[
            &format!("  log was rolled back: it has 300 entries, `{state}` has 310\n"),
            "entries that the log had signed are gone, as after the restoration of an old backup",
        ],
    );
    // What is not sound is not kept.
    assert_eq!(std::fs::read_to_string(&state).unwrap(), after);
    assert!(std::fs::read_to_string(it.evidence()).unwrap().contains("note 2: 300 entries"));
    std::fs::write(&state, "{}").unwrap();
    it.audit(&["--state", &state]).exits(1);
}

#[test]
fn a_checkpoint_that_the_log_did_not_sign_is_refused() {
    let it = Case::new();
    let other = PlantedLog::new(&it.folder.path().join("other"), 3);
    let place = other.directory.to_str().unwrap();
    says(it.audit_of(place, &[]), &["  checkpoint: ", "the log is not authentic"]);
    let kept = it.folder.file("kept", &other.checkpoint(3));
    let ran = it.audit(&["--checkpoint", &kept]).exits(1);
    assert!(ran.stderr.contains("is not a checkpoint of log `log.example`"), "{}", ran.stderr);
}

#[test]
fn too_few_witnesses_are_found() {
    let it = Case::new();
    let witness = "witness.example/w+732d8984+BAkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ";
    let policy = it.folder.file("policy", &format!("witness w {witness}\nquorum w\n"));
    says(
        it.audit(&["--witness-policy", &policy]),
        &["  checkpoint: cosigned by 0 witnesses, the quorum is 1\n"],
    );
    let policy = it.folder.file("policy", "quorum none\n");
    it.audit(&["--witness-policy", &policy]).exits(2);
}

#[test]
fn usage_is_not_a_finding() {
    let it = Case::new();
    let place = it.log.directory.to_str().unwrap();
    run(&["log", "audit", place]).exits(2);
    run(&["log", "audit", place, "--key", "nonsense"]).exits(2);
    run(&["log", "audit", "ftp://host/", "--key", &it.log.key()]).exits(2);
    let ran = it.audit_of("/nonexistent", &[]).exits(1);
    assert!(ran.stderr.contains("`/nonexistent` has no checkpoint"), "{}", ran.stderr);
}

#[test]
fn entries_of_a_revoked_key_are_found_and_the_earlier_ones_stay_good() {
    let mut it = Case::new();
    let root = EcdsaP256Signer::generate().unwrap();
    let revoked = it.log.key_event(KeyEventKind::Revoked, &root);
    it.log.publish();
    let event = it.folder.file("event", str::from_utf8(&it.log.bundle(revoked)).unwrap());
    let trusted = it.folder.file("root.json", str::from_utf8(&it.log.trusted_root()).unwrap());
    let key = it.folder.file("root.pem", &root.public_key().to_spki_pem().unwrap());
    let place = it.log.directory.display().to_string();
    let audit = ["log", "audit", &place, "--trusted-root", &trusted];
    let events = ["--key-events", &event, "--signing-key", &key];
    run(&[&audit[..], &events].concat()).exits(0);
    it.log.grow(1);
    it.log.publish();
    let hint = it.log.signer.public_key().hint();
    let message = format!("  entry 301 is signed by `{hint}`, revoked from entry 300 on\n");
    says(
        run(&[&audit[..], &events].concat()),
        &[&message, "a stolen key signed this, or the server did not know of the revocation\n"],
    );
    // Who may not revoke a key, is not believed, and not passed over either.
    let stranger = EcdsaP256Signer::generate().unwrap();
    let key = it.folder.file("other.pem", &stranger.public_key().to_spki_pem().unwrap());
    let events = ["--key-events", &event, "--signing-key", &key];
    let ran = run(&[&audit[..], &events].concat()).exits(1);
    assert!(ran.stderr.contains("signed it, which is not trusted for that"), "{}", ran.stderr);
}

#[test]
fn a_log_that_does_not_continue_the_one_before_is_found() {
    let folder = Folder::new();
    let mut one = PlantedLog::named("one.example", &folder.path().join("one"), 5);
    let mut two = PlantedLog::named("two.example", &folder.path().join("two"), 0);
    let ended = one.checkpoint(5);
    let start = LogShardStart {
        id: "0193a1f2-7b3c-7def-8a12-34567890abcf".parse().unwrap(),
        timestamp: "2026-11-22T20:13:00.000Z".parse().unwrap(),
        origin: "two.example".to_owned(),
        verifier_key: two.key(),
        predecessor: Some(PredecessorLog { origin: "one.example".to_owned(), checkpoint: ended }),
    };
    let signer = EcdsaP256Signer::generate().unwrap();
    two.state(start.clone(), &signer);
    two.grow(3);
    two.publish();
    let bundle = folder.file("start.json", str::from_utf8(&two.bundle(0)).unwrap());
    let root = PlantedLog::trusted_root_of(&[&one, &two]);
    let root = folder.file("root.json", str::from_utf8(&root).unwrap());
    let places = [&one, &two].map(|log| log.directory.display().to_string());
    let evidence = folder.path().join("evidence.txt").display().to_string();
    let audit = ["log", "audit", &places[0], &places[1], "--trusted-root", &root];
    let more = ["--bundle", &bundle, "--evidence", &evidence];
    let ran = run(&[&audit[..], &more].concat()).exits(0);
    assert!(
        ran.stdout.contains("  continues   `one.example`, as it was ended\n"),
        "{}",
        ran.stdout
    );

    // The earlier one went on after its end.
    one.grow(1);
    one.publish();
    let ran = run(&[&audit[..], &more].concat()).exits(1);
    let message = "  log `two.example` does not continue `one.example`: it was ended with 5 entries, \
                   and has 6\n";
    assert!(ran.stdout.contains(message), "{}", ran.stdout);
    // Or has lost its end.
    one.leaves.truncate(4);
    one.publish();
    let ran = run(&[&audit[..], &more].concat()).exits(1);
    assert!(ran.stdout.contains("  log was rolled back: it has 4 entries, `"), "{}", ran.stdout);

    // What should be the first entry comes later.
    let mut late = PlantedLog::named("two.example", &folder.path().join("late"), 2);
    let start = LogShardStart { verifier_key: late.key(), ..start };
    let index = late.state(start, &signer);
    late.publish();
    let bundle = folder.file("start.json", str::from_utf8(&late.bundle(index)).unwrap());
    let (place, key) = (late.directory.display().to_string(), late.key());
    let ran = run(&["log", "audit", &place, "--key", &key, "--bundle", &bundle]).exits(1);
    let message = "does not continue `one.example`: the statement that it does is not its first \
                   entry\n";
    assert!(ran.stdout.contains(message), "{}", ran.stdout);
}

/// Serves a directory. Every `bad`th answer is an error, as of an overloaded server.
fn serve(directory: PathBuf, bad: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            reader.read_line(&mut line).unwrap();
            let mut header = String::new();
            while reader.read_line(&mut header).is_ok_and(|read| read > 2) {
                header.clear();
            }
            let path = line.split(' ').nth(1).unwrap().trim_start_matches("/log/").to_owned();
            let number = count.fetch_add(1, Ordering::Relaxed) + 1;
            let (status, body) = match std::fs::read(directory.join(path)) {
                _ if number.is_multiple_of(bad) => ("503 Service Unavailable", Vec::new()),
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    (format!("http://{address}/log"), asked)
}

#[test]
fn a_log_is_audited_over_http_and_failed_answers_are_asked_for_again() {
    let it = Case::new();
    let (url, asked) = serve(it.log.directory.clone(), 3);
    it.audit_of(&url, &[]).exits(0);
    // The checkpoint and five files, and some of them again.
    assert!(asked.load(Ordering::Relaxed) > 6);
    it.log.remove("tile/0/000");
    says(it.audit_of(&url, &[]), &["  `tile/0/000` is missing\n"]);
}

#[test]
fn partial_tiles_that_are_gone_are_read_from_the_full_ones() {
    let mut it = Case::new();
    let checkpoint = it.log.checkpoint(300);
    it.log.grow(212);
    it.log.publish();
    std::fs::remove_dir_all(it.log.directory.join("tile/0/001.p")).unwrap();
    std::fs::remove_dir_all(it.log.directory.join("tile/entries/001.p")).unwrap();
    it.log.write("checkpoint", checkpoint.as_bytes());
    it.audit(&[]).exits(0);
    let (url, _) = serve(it.log.directory.clone(), usize::MAX);
    it.audit_of(&url, &[]).exits(0);
}

#[test]
fn a_server_that_is_away_is_no_finding() {
    let it = Case::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command =
        sentinel(&["log", "audit", &format!("http://{free}/"), "--key", &it.log.key()]);
    let ran: Ran = command.output().unwrap().into();
    let ran = ran.exits(1);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    assert!(ran.stderr.contains("the log was not audited to its end"), "{}", ran.stderr);
}
