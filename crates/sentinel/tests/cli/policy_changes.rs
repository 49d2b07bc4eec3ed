//! `sentinel policy data` and `sentinel policy log`: policy of a running server, changed.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Folder, Ran, Server};

/// Allows every call of a tool that is not blocked.
fn rules(revision: &str) -> [(&'static str, String); 2] {
    let rego = "package sentinel.policy\n\ndefault decision := {\"allow\": false}\n\n\
        decision := {\"allow\": true} if {\n\tinput.tool != \"\"\n\tnot data.blocked[input.tool]\n}\n";
    let manifest = format!(
        "{{\"revision\": \"{revision}\", \"metadata\": {{\"author\": \"alice@example.com\"}}}}"
    );
    [("policies/p.rego", rego.to_owned()), ("policies/.manifest", manifest)]
}

fn write(folder: &Folder, revision: &str) {
    for (name, text) in rules(revision) {
        folder.file(name, &text);
    }
}

fn start(folder: &Folder) -> Server {
    let dir = folder.path().join("policies");
    folder.dev(&["--policies", dir.to_str().unwrap()])
}

fn decided(checked: &Ran) -> (bool, String) {
    let answer = checked.json();
    (answer["allow"] == true, answer["policy_revision"].as_str().unwrap_or_default().to_owned())
}

fn log(server: &Server) -> Vec<Value> {
    let log = server.cli(&["policy", "log", "--json"]).exits(0).json();
    log.as_array().unwrap().clone()
}

/// The newest change, once there are so many.
fn newest(server: &Server, count: usize) -> Value {
    let started = Instant::now();
    loop {
        let log = log(server);
        if log.len() >= count {
            return log[0].clone();
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{log:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn data_decides_at_once_survives_a_restart_and_has_a_history() {
    let folder = Folder::new();
    write(&folder, "1.0");
    let server = start(&folder);
    assert_eq!(decided(&server.check()), (true, "1.0".to_owned()));
    let path = "/blocked/langsmith-docs-search";
    let put = ["policy", "data", "put", path, "true", "--reason", "incident 4711", "--json"];
    let answer = server.cli(&put).exits(0).json();
    assert_eq!(answer["version"], 1);
    assert_eq!(decided(&server.check()), (false, "1.0+data.1".to_owned()));

    assert!(server.stop().contains("policy.data_put"), "the event is logged");
    let server = start(&folder);
    assert_eq!(decided(&server.check()), (false, "1.0+data.1".to_owned()));
    let history = server.cli(&["policy", "data", "history", "/blocked"]).exits(0).stdout;
    assert!(history.contains("incident 4711") && history.contains("true"), "{history}");
    let stale = ["policy", "data", "delete", path, "--if-match", "x"];
    let refused = server.cli(&stale).exits(1);
    assert!(refused.stderr.contains("policy_data_changed"), "{refused:?}");
    let tag = server.cli(&["policy", "data", "get", path, "--json"]).exits(0).json();
    let tag = tag["etag"].as_str().unwrap().to_owned();
    server.cli(&["policy", "data", "delete", path, "--if-match", &tag]).exits(0);
    assert_eq!(decided(&server.check()), (true, "1.0+data.2".to_owned()));
    let shadow = ["policy", "data", "put", "/sentinel/policy/decision", "{\"allow\": true}"];
    let refused = server.cli(&shadow).exits(1);
    assert!(refused.stderr.contains("policy_data_owned"), "{refused:?}");
    let kinds: Vec<_> = log(&server).iter().map(|change| change["kind"].clone()).collect();
    assert_eq!(kinds, ["data_removed", "data_put", "activated"], "restarting changed nothing");
}

#[test]
fn what_is_loaded_and_refused_is_recorded_with_its_author() {
    let folder = Folder::new();
    write(&folder, "1.0");
    let server = start(&folder);
    let first = newest(&server, 1);
    assert_eq!((&first["kind"], &first["revision"]), (&"activated".into(), &"1.0".into()));
    assert_eq!(first["author"], "alice@example.com");
    let actor = first["actor"].as_str().unwrap();
    assert!(actor.starts_with("source:") && actor.ends_with("policies"), "{actor}");

    folder.file("policies/broken.rego", "package sentinel.policy\nallow if {");
    server.signal("HUP");
    let refused = newest(&server, 2);
    assert_eq!((&refused["kind"], &refused["revision"]), (&"refused".into(), &Value::Null));
    assert!(refused["detail"].as_str().unwrap().contains("broken.rego:2"), "{refused}");
    assert_eq!(decided(&server.check()), (true, "1.0".to_owned()), "the one before stays");

    std::fs::remove_file(folder.path().join("policies/broken.rego")).unwrap();
    write(&folder, "2.0");
    server.signal("HUP");
    let activated = newest(&server, 3);
    assert_eq!((&activated["kind"], &activated["revision"]), (&"activated".into(), &"2.0".into()));
    let shown = server.cli(&["policy", "log"]).exits(0).stdout;
    assert!(shown.contains("alice@example.com (source:"), "{shown}");

    // A revision that claims what was put is refused, too.
    server.cli(&["policy", "data", "put", "/blocked/other", "true"]).exits(0);
    server.check();
    folder.file("policies/blocked/data.json", "{\"other\": false}");
    server.signal("HUP");
    let refused = newest(&server, 5);
    assert!(refused["detail"].as_str().unwrap().contains("`/blocked/other`"), "{refused}");
}

#[test]
fn a_value_that_is_nearly_json_changes_nothing() {
    let folder = Folder::new();
    write(&folder, "1.0");
    let server = start(&folder);
    server
        .cli(&["policy", "data", "put", "/blocked", r#"{"langsmith-docs-search": true}"#])
        .exits(0);
    assert!(!decided(&server.check()).0);
    for value in [r#"{"a": true, "b": true"#, " [1", "\"a", "-1a", "2026-11-24"] {
        let refused = server.cli(&["policy", "data", "put", "/blocked", "--", value]).exits(2);
        assert!(refused.stderr.contains("the value begins like JSON but is not"), "{refused:?}");
    }
    // What parsers read differently goes to the server as it is, and is refused there.
    for value in [r#"{"a":1,"a":2}"#, "9223372036854775808123"] {
        server.cli(&["policy", "data", "put", "/blocked", value]).exits(1);
        let file = folder.file("value.json", value);
        server.cli(&["policy", "data", "put", "/blocked", "--file", &file]).exits(1);
    }
    assert!(!decided(&server.check()).0, "what was put stays");
    let put = ["policy", "data", "put", "/limits/day", "2026-11-24", "--string"];
    server.cli(&put).exits(0);
    let shown = server.cli(&["policy", "data", "get", "/limits/day", "--json"]).exits(0).json();
    assert_eq!(shown["value"], "2026-11-24");
    server.cli(&["policy", "data", "put", "/limits/day", "-5"]).exits(0);
    let shown = server.cli(&["policy", "data", "get", "/limits/day", "--json"]).exits(0).json();
    assert_eq!(shown["value"], -5);
}
