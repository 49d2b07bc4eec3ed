//! Reload, graceful stop, and what a crash leaves.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use sentinel_client::api::{CheckAnswer, Decision, QuotaUsage};
use sentinel_core::decision::ReasonCode;
use serde_json::Value;

use crate::support::{Folder, answer};

const DENY_ALL: &str = "package sentinel.policy\ndefault allow := false\n";
const ALLOW_ALL: &str = "package sentinel.policy\ndefault allow := true\n";

#[test]
fn sighup_loads_the_policy_anew_and_keeps_the_last_good_one() {
    let folder = Folder::new();
    let path = folder.file("policies/policy.rego", DENY_ALL);
    let dir = folder.path().join("policies");
    let server = folder.dev(&["--policies", dir.to_str().unwrap()]);
    server.check().exits(1);
    std::fs::write(&path, ALLOW_ALL).unwrap();
    server.signal("HUP");
    server.wait_for("loaded again");
    server.check().exits(0);
    std::fs::write(&path, "package sentinel.policy\nallow if {").unwrap();
    server.signal("HUP");
    server.wait_for("refused");
    server.check().exits(0);
    // Overflows the stack of whatever evaluates it.
    std::fs::write(&path, "package sentinel.policy\nallow if x\nx if y\ny if x\n").unwrap();
    server.signal("HUP");
    server.wait_for("refer to themselves");
    server.check().exits(0);
    std::fs::write(&path, DENY_ALL).unwrap();
    server.signal("HUP");
    let denied = || server.check().code == Some(1);
    assert!((0..100).any(|_| denied() || {
        std::thread::sleep(Duration::from_millis(20));
        false
    }));
}

#[test]
fn a_broken_policy_denies_everything_until_it_is_fixed() {
    let folder = Folder::new();
    let path = folder.file("policies/policy.rego", "package sentinel.policy\nallow if {");
    let dir = folder.path().join("policies");
    let server = folder.dev(&["--policies", dir.to_str().unwrap()]);
    let told = &server.ready["metadata"];
    assert_eq!(told["policy_revision"], Value::Null);
    assert!(told["policy_error"].as_str().unwrap().contains("2:11"), "{told}");
    server.check().exits(1);
    assert_eq!(server.http("GET", "/readyz", "admin", "").0, 503);
    server.cli(&["kill", "--global", "--reason=x"]).exits(0);
    server.cli(&["restore", "--global"]).exits(0);
    std::fs::write(&path, ALLOW_ALL).unwrap();
    server.signal("HUP");
    server.wait_for("loaded again");
    server.check().exits(0);
}

#[test]
fn a_stop_answers_the_requests_in_flight() {
    let folder = Folder::new();
    let mut server = folder.dev(&[]);
    let body = r#"{"tenant_slug":"platform-eng","tool_name":"langsmith-docs-search",
        "action":"invoke","purpose":"documentation_lookup"}"#;
    let request = server.request("POST", "/policy/check", "agent", body);
    let (begin, end) = request.split_at(request.len() - 10);
    let mut in_flight = server.connect();
    in_flight.write_all(begin.as_bytes()).unwrap();
    // An idle connection, and a stream that never ends of itself, must not hold it up.
    let _idle = server.connect();
    let mut events = server.connect();
    let subscribe = server.request("GET", "/v1/events", "auditor", "");
    events.write_all(subscribe.replace("connection: close\r\n", "").as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    server.signal("TERM");
    server.wait_for("stopping");
    std::thread::sleep(Duration::from_millis(100));
    in_flight.write_all(end.as_bytes()).unwrap();
    let (status, answer) = answer(in_flight);
    assert_eq!((status, &answer["allow"]), (200, &Value::Bool(true)), "{answer}");
    assert!(server.wait().success());
    assert!(server.output().contains("policy.check.allow"), "the event log is complete");
    let again = folder.dev(&[]);
    let decisions: Vec<Decision> = again.cli(&["decisions", "--json"]).exits(0).read();
    assert_eq!(answer["decision_id"], decisions[0].id.to_string());
}

/// A WebSocket is none of the listener's connections any more, and is told all the same.
#[test]
fn a_stop_closes_websockets_in_good_order() {
    for signal in ["TERM", "INT"] {
        let folder = Folder::new();
        let mut server = folder.dev(&[]);
        let mut socket = server.connect();
        let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let request = server.request("GET", "/v1/ws", "auditor", "");
        let request = request.replace("connection: close\r\n", upgrade);
        socket.write_all(request.as_bytes()).unwrap();
        let mut heard = Vec::new();
        let told = |heard: &[u8], text: &str| String::from_utf8_lossy(heard).contains(text);
        while !told(&heard, "\"event\":\"sync\"") {
            let mut part = [0; 4096];
            let length = socket.read(&mut part).unwrap();
            assert!(length > 0, "{}", String::from_utf8_lossy(&heard));
            heard.extend_from_slice(&part[..length]);
        }
        assert!(heard.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&heard));
        server.signal(signal);
        heard.clear();
        socket.read_to_end(&mut heard).unwrap();
        assert!(told(&heard, "\"event\":\"closed\""), "{}", String::from_utf8_lossy(&heard));
        // A close frame: its code, going away, and why.
        assert!(heard.ends_with(b"\x88\x0f\x03\xe9shutting_down"), "{heard:?}");
        assert!(server.wait().success());
    }
}

#[test]
fn interrupt_stops_it_as_terminate_does() {
    let folder = Folder::new();
    let mut server = folder.dev(&[]);
    server.signal("INT");
    assert!(server.wait().success());
}

#[test]
fn a_crash_loses_nothing_that_was_acknowledged() {
    let folder = Folder::new();
    let mut server = folder.dev(&[]);
    let allowed: CheckAnswer<'_> = server.check().exits(0).read();
    let body = r#"{"tenant_slug":"secops","tool_name":"incident-response-runbook","action":"read",
        "payload":{"step":1}}"#;
    let (status, signed) = server.http("POST", "/provenance/sign", "agent", body);
    assert_eq!(status, 201, "{signed}");
    server.cli(&["kill", "--tenant=finops", "--reason=audit"]).exits(0);
    server.signal("KILL");
    server.wait();
    let again = folder.dev(&[]);
    let decisions: Vec<Decision> = again.cli(&["decisions", "--json"]).exits(0).read();
    assert_eq!(decisions[0].id, allowed.decision_id);
    let quotas: Vec<QuotaUsage> = again.cli(&["quotas", "--json"]).exits(0).read();
    assert_eq!(quotas[0].usage, 1);
    let ledger = ["--tenant=finops", "--tool=finance-ledger-writer", "--purpose=reconciliation"];
    let denied = again.cli(&[&["check", "--json"], &ledger[..]].concat()).exits(1);
    assert_eq!(denied.read::<CheckAnswer<'_>>().code, ReasonCode::Killed);
    again.cli(&["provenance", "show", signed["manifest_id"].as_str().unwrap()]).exits(0);
}
