//! A policy that is swapped under load: every answer is of one revision, none is older than what
//! was in force when it was asked for, and a candidate that is refused changes nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use sentinel_testkit::ending::EndOf;
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::server::Server;

const THREADS: u64 = 16;
const SWAPS: u64 = 60;
/// Limit of the first revision's quota, and by how much each is higher than the one before: more
/// than the test uses, so that what remains tells the limit.
const STEP: u64 = 1_000_000;
/// Revisions with even numbers allow the first only, the others the second.
const PURPOSES: [&str; 2] = ["incident_response", "postmortem"];

/// Candidates that are refused: a file of each, and what the status must say of it.
const BAD: [(&str, &str, &str); 4] = [
    ("p.rego", "package sentinel.policy\ndecision := {\"allow\": true if {", "p.rego:2:"),
    ("p.rego", "package sentinel.policy\nallow if x\nx if allow", "rules refer"),
    ("sentinel/policy/data.json", r#"{"decision": {"allow": true}}"#, "sentinel/policy/data.json"),
    ("p.rego", "package sentinel.policy\ndecision := 7", "decision"),
];

fn rules(number: u64) -> String {
    let purpose = PURPOSES[usize::from(number % 2 == 1)];
    format!(
        r#"package sentinel.policy

decision := {{"allow": true, "quota": {{"limit": data.swap.limit, "window": "1d"}}}} if {{
	input.purpose == "{purpose}"
}}

else := {{"allow": false, "reasons": [{{"code": "only_{purpose}", "msg": data.swap.revision}}]}}
"#
    )
}

/// The server's policy directory, a link that is moved in one step: what is behind it never
/// changes, so that no load can find half of a revision.
struct Policies {
    link: PathBuf,
    count: u64,
}

impl Policies {
    fn put(&mut self, number: u64, more: Option<(&str, &str)>) {
        let name = format!("test-{number}");
        let data = json!({"swap": {"limit": STEP * (number + 1), "revision": name}}).to_string();
        let manifest = json!({"revision": name}).to_string();
        let dir = self.link.with_file_name(format!("policies-{}", self.count));
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("p.rego", &rules(number));
        write("data.json", &data);
        write(".manifest", &manifest);
        if let Some((name, text)) = more {
            write(name, text);
        }
        let new = self.link.with_file_name("policies-new");
        symlink(&dir, &new).unwrap();
        if self.count == 0 {
            fs::remove_dir_all(&self.link).unwrap();
        }
        fs::rename(new, &self.link).unwrap();
        self.count += 1;
    }
}

/// Has the policy loaded again, and waits until the status is as wished.
fn load_until(server: &Server, client: &mut Client, is_so: impl Fn(&Value) -> bool) {
    server.hang_up();
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let status = client.get("/v1/policy").body;
        if is_so(&status) {
            return;
        }
        assert!(Instant::now() < until, "nothing came of it: {status}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Panics unless every part of the answer is of one revision between those two.
fn assert_consistent(answer: &Answer, purpose: u64, oldest: u64, newest: u64) {
    let body = &answer.body;
    assert_eq!(answer.status, 200, "{body}");
    let name = body["policy_revision"].as_str().unwrap();
    let number: u64 = name.strip_prefix("test-").unwrap().parse().unwrap();
    assert!((oldest..=newest).contains(&number), "{oldest} to {newest} were in force: {body}");
    assert_eq!(body["allow"], purpose == number % 2, "purpose {purpose}: {body}");
    if body["allow"] == true {
        assert_eq!((body["quota_remaining"].as_u64().unwrap() - 1) / STEP, number, "{body}");
    } else {
        let code = format!("only_{}", PURPOSES[usize::from(number % 2 == 1)]);
        assert_eq!(body["reasons"], json!([{"code": code, "msg": name}]), "{body}");
    }
}

#[test]
fn swaps_under_load_are_consistent_and_bad_candidates_change_nothing() {
    let server = Server::with_policy("package sentinel.policy\ndefault allow := false");
    let mut policies = Policies { link: server.policies(), count: 0 };
    let mut auditor = Client::new(&server.url, &server.key("auditor"));
    policies.put(0, None);
    load_until(&server, &mut auditor, |status| status["revision"] == "test-0");

    let (ordered, seen, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let (ordered, seen, stop, key) = (&ordered, &seen, &stop, &server.key("agent"));
    let load = |thread: u64| {
        let mut client = Client::new(&server.url, key);
        let mut counts = [0_u32; 2];
        for purpose in (0..2).cycle().skip(usize::from(thread % 2 == 1)) {
            let oldest = seen.load(SeqCst);
            let answer = client.post("/policy/check", &check(PURPOSES[usize::from(purpose == 1)]));
            assert_consistent(&answer, purpose, oldest, ordered.load(SeqCst));
            counts[usize::from(answer.body["allow"] == true)] += 1;
            if stop.load(SeqCst) {
                break;
            }
        }
        counts
    };
    let counts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || load(n))).collect();
        let end = EndOf(stop);
        for number in 1..=SWAPS {
            policies.put(number, None);
            ordered.store(number, SeqCst);
            let name = format!("test-{number}");
            load_until(&server, &mut auditor, |status| status["revision"] == name);
            seen.store(number, SeqCst);
        }
        for (file, text, complaint) in BAD {
            policies.put(SWAPS + 1, Some((file, text)));
            load_until(&server, &mut auditor, |status| {
                assert_eq!(status["revision"], format!("test-{SWAPS}"), "`{text}`: {status}");
                let error = status["error"].as_str().unwrap_or_default();
                error.contains(complaint) && status["refused_at"].is_string()
            });
        }
        drop(end);
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .fold([0; 2], |a, b| [a[0] + b[0], a[1] + b[1]])
    });
    assert!(counts.iter().all(|count| *count > 200), "denied and allowed: {counts:?}");
}

fn check(purpose: &str) -> Value {
    json!({
        "tenant_slug": "secops",
        "tool_name": "incident-response-runbook",
        "action": "invoke",
        "purpose": purpose,
    })
}
