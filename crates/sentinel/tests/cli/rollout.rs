//! `sentinel policy rollout`: a candidate is watched, promoted, and taken back.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Folder, Server};

fn write(folder: &Folder, dir: &str, revision: &str, allow: &str) -> String {
    let rego = format!(
        "package sentinel.policy\n\ndefault decision := {{\"allow\": false}}\n\n\
        decision := {{\"allow\": true}} if {allow}\n"
    );
    folder.file(&format!("{dir}/p.rego"), &rego);
    folder.file(&format!("{dir}/.manifest"), &format!("{{\"revision\": \"{revision}\"}}"));
    folder.path().join(dir).to_str().unwrap().to_owned()
}

fn decided(server: &Server) -> (bool, String) {
    let answer = server.check().json();
    (answer["allow"] == true, answer["policy_revision"].as_str().unwrap_or_default().to_owned())
}

fn status(server: &Server) -> Value {
    server.cli(&["policy", "rollout", "status", "--json"]).exits(0).json()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_candidate_is_watched_promoted_kept_over_a_restart_and_taken_back() {
    let folder = Folder::new();
    let source = write(&folder, "source", "1.0", "input.tool != \"\"");
    let candidate = write(&folder, "candidate", "2.0", "input.tool == \"other\"");
    let server = folder.dev(&["--policies", &source]);
    for step in ["promote", "drop"] {
        let none = server.cli(&["policy", "rollout", step]).exits(1);
        assert!(none.stderr.contains("error: no candidate is monitored"), "{none:?}");
        assert!(none.stderr.contains("sentinel policy rollout start DIR"), "{none:?}");
    }
    server.cli(&["policy", "rollout", "start", &candidate, "--percent", "0"]).exits(2);
    let start = ["policy", "rollout", "start", &candidate, "--reason", "stricter"];
    let started = server.cli(&start).exits(0);
    assert!(started.stdout.contains("monitored  2.0"), "{started:?}");
    let again = server.cli(&start).exits(1);
    assert!(again.stderr.contains("rollout_exists"), "{again:?}");

    assert_eq!(decided(&server), (true, "1.0".to_owned()), "it has no influence");
    wait_until("compared", || status(&server)["monitored"]["comparison"]["newly_denied"] == 1);
    let shown = server.cli(&["policy", "rollout", "status"]).exits(0).stdout;
    assert!(
        shown.contains("newly denied   1") && shown.contains("langsmith-docs-search"),
        "{shown}"
    );
    let metrics = server.metrics(&server.key("auditor"));
    let counted = "sentinel_policy_rollout_comparisons_total{outcome=\"newly_denied\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    let example = status(&server)["monitored"]["comparison"]["examples"][0].clone();
    let path = format!("/v1/decisions/{}", example["decision_id"].as_str().unwrap());
    let (code, decision) = server.http("GET", &path, "auditor", "");
    assert_eq!((code, &decision["decision"]), (200, &Value::from("allow")), "{decision}");

    server.cli(&["policy", "rollout", "promote", "--reason", "as expected"]).exits(0);
    assert_eq!(decided(&server), (false, "2.0".to_owned()));
    let shown = server.http("GET", "/v1/policy", "auditor", "").1;
    assert_eq!((&shown["revision"], &shown["source_revision"]), (&"2.0".into(), &"1.0".into()));
    server.stop();
    let server = folder.dev(&["--policies", &source]);
    assert_eq!(decided(&server), (false, "2.0".to_owned()), "it is kept");
    let back = server.cli(&["policy", "rollout", "drop", "--reason", "too strict"]).exits(0);
    assert_eq!(back.stdout, "taken back 2.0; 1.0 decides again\n");
    assert_eq!(decided(&server), (true, "1.0".to_owned()));
    let log = server.cli(&["policy", "log"]).exits(0).stdout;
    server.cli(&["policy", "rollout", "start", &candidate]).exits(0);
    let dropped = server.cli(&["policy", "rollout", "drop"]).exits(0);
    assert_eq!(dropped.stdout, "dropped 2.0, which was monitored; 1.0 decides as before\n");
    let order = ["rollout_dropped", "rollout_promoted", "rollout_started", "activated"];
    let places: Vec<_> = order.iter().map(|kind| log.find(kind).unwrap()).collect();
    assert!(places.is_sorted(), "{log}");
    assert!(
        log.contains("too strict") && log.contains("100 % of all calls")
            || log.contains("stricter"),
        "{log}"
    );
}

#[test]
fn a_source_that_brings_something_else_ends_a_promotion() {
    let folder = Folder::new();
    let source = write(&folder, "source", "1.0", "input.tool != \"\"");
    let candidate = write(&folder, "candidate", "2.0", "input.tool == \"other\"");
    let server = folder.dev(&["--policies", &source]);
    server.cli(&["policy", "rollout", "start", &candidate, "--tenant", "platform-eng"]).exits(0);
    server.cli(&["policy", "rollout", "promote"]).exits(0);
    assert_eq!(decided(&server), (false, "2.0".to_owned()));
    // The same again is nothing new, and what is refused changes nothing.
    folder.file("source/broken.rego", "package sentinel.policy\nallow if {");
    server.signal("HUP");
    server.wait_for("the policy was refused");
    assert_eq!(decided(&server), (false, "2.0".to_owned()));
    std::fs::remove_file(folder.path().join("source/broken.rego")).unwrap();
    server.signal("HUP");
    server.wait_for("the policy was loaded again");
    assert_eq!(decided(&server), (false, "2.0".to_owned()));

    write(&folder, "source", "3.0", "input.tenant == \"platform-eng\"");
    server.signal("HUP");
    wait_until("the source decides", || decided(&server) == (true, "3.0".to_owned()));
    wait_until("it is over", || status(&server)["promoted"].is_null());
    // Going back does not bring it back.
    write(&folder, "source", "1.0", "input.tool != \"\"");
    server.signal("HUP");
    wait_until("the source decides", || decided(&server) == (true, "1.0".to_owned()));
    let log = server.cli(&["policy", "log", "--json"]).exits(0).json();
    let over = log.as_array().unwrap().iter().find(|c| c["kind"] == "rollout_dropped").unwrap();
    assert!(over["actor"].as_str().unwrap().starts_with("source:"), "{over}");
    assert_eq!(over["detail"], "the source brought revision 3.0");
}

#[test]
fn only_the_candidate_that_is_meant_is_promoted_or_dropped() {
    let folder = Folder::new();
    let source = write(&folder, "source", "1.0", "input.tool != \"\"");
    let server = folder.dev(&["--policies", &source]);
    let start = |revision: &str, allow: &str| {
        let candidate = write(&folder, revision, revision, allow);
        server.cli(&["policy", "rollout", "start", &candidate]).exits(0);
        status(&server)["monitored"]["id"].as_str().unwrap().to_owned()
    };
    let step = |step: &str, id: &str| {
        let body = serde_json::json!({"rollout_id": id}).to_string();
        server.http("POST", &format!("/v1/policy/rollout/{step}"), "author", &body).0
    };
    let seen = start("2.0", "input.tool == \"other\"");
    assert_eq!(step("drop", &seen), 204);
    // Somebody looked at `2.0`, and somebody else has replaced it meanwhile.
    let unseen = start("3.0", "input.tool != \"other\"");
    assert_eq!(step("promote", &seen), 412);
    assert_eq!(decided(&server).1, "1.0");
    assert_eq!(step("promote", &unseen), 200);
    assert_eq!(decided(&server).1, "3.0");
    // Dropped twice, as by a client that has missed the first answer: the promoted one stays.
    let given_up = start("4.0", "input.tool == \"other\"");
    assert_eq!((step("drop", &given_up), step("drop", &given_up)), (204, 412));
    assert_eq!(decided(&server).1, "3.0");
    assert_eq!(step("drop", &unseen), 204);
    assert_eq!(decided(&server).1, "1.0");
}

#[test]
fn a_candidate_that_vetting_refuses_is_not_started() {
    let folder = Folder::new();
    let source = write(&folder, "source", "1.0", "input.tool != \"\"");
    let recursive = write(&folder, "bad", "2.0", "x\n\nx if y\n\ny if x");
    let server = folder.dev(&["--policies", &source]);
    let refused = server.cli(&["policy", "rollout", "start", &recursive]).exits(1);
    assert!(refused.stderr.contains("candidate_refused"), "{refused:?}");
    let unknown = ["policy", "rollout", "start", &source, "--tenant", "absent"];
    assert!(server.cli(&unknown).exits(1).stderr.contains("unknown_tenant"));
    assert!(status(&server)["monitored"].is_null());
    assert_eq!(decided(&server), (true, "1.0".to_owned()));
}
