//! G2: whatever a policy does to the threads that evaluate, kills work, and what cannot be
//! evaluated is denied. The policy calls a builtin that does not come back until it is released.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use sentinel_client::api::CheckAnswer;
use sentinel_core::decision::ReasonCode;
use serde_json::{Value, json};

use crate::client::Client;
use crate::server::Server;

/// Allows at once, or once the file that the arguments name is gone.
const POLICY: &str = "package sentinel.policy\n\n\
    decision := {\"allow\": true, \"reasons\": []} if not input.arguments.gate\n\n\
    else := {\"allow\": true, \"reasons\": []} if planted.spin(input.arguments.gate)\n";
/// More than the threads of any machine this runs on, and those that replace them.
const HOSTILE: usize = 8;
const SOON: Duration = Duration::from_secs(30);

fn check(arguments: &Value) -> Value {
    json!({
        "tenant_slug": "secops",
        "tool_name": "incident-response-runbook",
        "action": "invoke",
        "purpose": "incident_response",
        "arguments": arguments,
    })
}

fn kill() -> Value {
    json!({"tenant_slug": "secops", "tool_name": "incident-response-runbook", "reason": "test"})
}

fn restore() -> Value {
    json!({"tenant_slug": "secops", "tool_name": "incident-response-runbook"})
}

#[track_caller]
fn assert_timed_out(answer: &CheckAnswer<'_>) {
    assert!(!answer.allow, "{answer:?}");
    assert_eq!(answer.code, ReasonCode::PolicyTimeout, "{answer:?}");
}

/// Checks that do not come back, until the server says that it is stuck.
fn stick(server: &Server, gate: &Path) {
    let began = Instant::now();
    let mut probe = Client::new(&server.url, "");
    while probe.get("/readyz").body["reasons"] != json!(["policy_stuck"]) {
        assert!(began.elapsed() < SOON, "{}", server.output());
        let hostile: Vec<_> = (0..HOSTILE)
            .map(|_| {
                let mut agent = Client::new(&server.url, &server.key("agent"));
                let body = check(&json!({ "gate": gate }));
                std::thread::spawn(move || agent.check(&body).answer)
            })
            .collect();
        for answer in hostile {
            assert_timed_out(&answer.join().unwrap());
        }
    }
    assert_eq!(probe.get("/readyz").status, 503);
}

/// The longest of ten kills, each restored again.
fn longest_kill(operator: &mut Client) -> Duration {
    let kills = (0..10).map(|_| {
        let killed = operator.post("/kill", &kill());
        assert_eq!(killed.status, 200, "{:?}", killed.body);
        assert_eq!(operator.post("/kill/restore", &restore()).status, 200);
        killed.received - killed.sent
    });
    kills.max().unwrap()
}

#[test]
fn kills_work_while_every_evaluation_is_stuck_and_checks_do_again_once_they_return() {
    let server = Server::with_policy(POLICY);
    let gate = server.policies().with_file_name("gate");
    fs::write(&gate, "").unwrap();
    let mut agent = Client::new(&server.url, &server.key("agent"));
    let mut operator = Client::new(&server.url, &server.key("operator"));
    let plain = check(&json!({}));
    assert!(agent.check(&plain).answer.allow);
    let undisturbed = longest_kill(&mut operator);

    stick(&server, &gate);
    let denied = agent.check(&plain);
    assert_timed_out(&denied.answer);
    let took = denied.received - denied.sent;
    assert!(took < Duration::from_secs(1), "denied at once, not after {took:?}");
    let stuck = longest_kill(&mut operator);
    let most = (undisturbed * 2).max(Duration::from_millis(500));
    assert!(stuck <= most, "a kill takes {stuck:?}, and {undisturbed:?} undisturbed");
    assert_eq!(agent.get("/healthz").status, 200);
    let killed = operator.post("/kill", &kill());
    assert_eq!(killed.status, 200);
    assert_eq!(agent.check(&plain).answer.code, ReasonCode::Killed);
    assert_eq!(operator.post("/kill/restore", &restore()).status, 200);

    let released = Instant::now();
    fs::remove_file(&gate).unwrap();
    while !agent.check(&plain).answer.allow {
        assert!(released.elapsed() < Duration::from_secs(1), "{}", server.output());
    }
    while agent.get("/readyz").status != 200 {
        assert!(released.elapsed() < SOON, "{}", server.output());
    }
    let released = check(&json!({ "gate": gate }));
    assert!(agent.check(&released).answer.allow);
}

#[test]
fn one_check_that_does_not_come_back_denies_that_check_only() {
    let server = Server::with_policy(POLICY);
    let gate = server.policies().with_file_name("gate");
    fs::write(&gate, "").unwrap();
    let mut agent = Client::new(&server.url, &server.key("agent"));
    assert_timed_out(&agent.check(&check(&json!({ "gate": gate }))).answer);
    assert!(agent.check(&check(&json!({}))).answer.allow);
    assert_eq!(agent.get("/readyz").status, 200);
    let metrics = Client::new(&server.url, &server.key("operator")).get("/metrics");
    let metrics = String::from_utf8(metrics.bytes).unwrap();
    let stuck = "sentinel_policy_threads{pool=\"decisions\",state=\"stuck\"} 1";
    assert!(metrics.contains(stuck), "{metrics}");
}
