//! The commands that talk to a server: what they print and their exit status.

use sentinel_client::api::{CheckAnswer, Decision, KillAnswer, QuotaUsage};
use sentinel_core::decision::ReasonCode;
use serde_json::Value;

use crate::support::{Folder, run};

const TOOL: [&str; 2] = ["--tenant=platform-eng", "--tool=langsmith-docs-search"];

#[test]
fn check_kill_check_restore_check() {
    let folder = Folder::new();
    let server = folder.dev(&[]);
    assert!(server.check().exits(0).read::<CheckAnswer<'_>>().allow);
    let with = |command: &[&str], more: &[&str]| server.cli(&[command, &TOOL, more].concat());
    let killed = with(&["kill"], &["--reason=leaks data", "--json"]).exits(0);
    assert_eq!(killed.read::<KillAnswer>().affected_tools, ["langsmith-docs-search"]);
    let denied: CheckAnswer<'_> = server.check().exits(1).read();
    assert!(!denied.allow && denied.code == ReasonCode::Killed, "{denied:?}");
    let text = with(&["check"], &[]).exits(1).stdout;
    assert!(text.starts_with("denied") && text.contains("leaks data"), "{text}");
    with(&["restore"], &[]).exits(0);
    assert!(server.check().exits(0).read::<CheckAnswer<'_>>().allow);
    // The event log has it, one line an event.
    server.wait_for("kill_switch.restored");
    let events: Vec<Value> = server
        .output()
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["event"].is_string())
        .collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let expected =
        ["policy.check.allow", "kill_switch.disabled", "policy.check.deny", "kill_switch.restored"];
    assert!(expected.iter().all(|name| names.contains(name)), "{names:?}");
    let kill = events.iter().find(|event| event["event"] == "kill_switch.disabled").unwrap();
    assert_eq!(kill["tenant"], "platform-eng");
    assert_eq!(kill["tool"], "langsmith-docs-search");
    assert_eq!(kill["reason"], "leaks data");
    assert!(kill["timestamp"].is_string() && kill["metadata"].is_object());
}

#[test]
fn every_scope_can_be_killed_and_restored() {
    let folder = Folder::new();
    let server = folder.dev(&[]);
    let check = ["check", "--agent=bot", "--purpose=documentation_lookup"];
    let check = [&check, &TOOL[..]].concat();
    for scope in [
        &["--global"][..],
        &["--tenant=platform-eng"],
        &["--agent=bot"],
        &["--tenant=platform-eng", "--agent=bot"],
    ] {
        server.cli(&[&["kill", "--reason=x"], scope].concat()).exits(0);
        server.cli(&check).exits(1);
        let restored = server.cli(&[&["restore"], scope].concat()).exits(0);
        assert!(restored.stdout.starts_with("restored"), "{restored:?}");
        server.cli(&check).exits(0);
        let again = server.cli(&[&["restore"], scope].concat()).exits(0);
        assert!(again.stdout.starts_with("nothing was killed"), "{again:?}");
        assert!(!again.stdout.contains("restored"), "{again:?}");
    }
}

#[test]
fn quiet_leaves_checks_out_of_the_log() {
    let folder = Folder::new();
    let server = folder.dev(&["--quiet"]);
    server.check().exits(0);
    server.cli(&["kill", "--global", "--reason=x"]).exits(0);
    server.wait_for("kill_switch.disabled");
    assert!(!server.output().contains("policy.check"), "{}", server.output());
}

#[test]
fn tools_are_registered_shown_and_retired() {
    let folder = Folder::new();
    let server = folder.dev(&[]);
    let named = ["--tenant=lab", "--tool=probe"];
    let register =
        ["tools", "register", "--tool-url=https://a.example/", "--owner=lab@example.com"];
    server.cli(&[&register[..], &named].concat()).exits(0);
    let again = server.cli(&[&register[..], &named].concat()).exits(1);
    assert!(again.stderr.contains("tool_exists"), "{again:?}");
    let shown = server.cli(&[&["tools", "show", "--json"][..], &named].concat()).exits(0).json();
    assert_eq!((&shown["name"], &shown["is_active"]), (&"probe".into(), &Value::Bool(true)));
    let list = server.cli(&["tools", "list"]).exits(0).stdout;
    assert_eq!(list.lines().count(), 6, "{list}");
    server.cli(&[&["tools", "retire"][..], &named].concat()).exits(0);
    let list = server.cli(&["tools", "list", "--tenant=lab"]).exits(0).stdout;
    assert!(list.contains("retired"), "{list}");
    server.cli(&["tools", "show", "--tenant=lab", "--tool=none"]).exits(1);
}

#[test]
fn keys_are_made_over_http_and_beside_it() {
    let folder = Folder::new();
    let server = folder.dev(&[]);
    let create = ["key", "create", "--role=agent", "--tenant=platform-eng", "--name=ci", "--json"];
    let made = server.cli(&create).exits(0).json();
    let secret = made["secret"].as_str().unwrap();
    let check = [&["check", "--key", secret, "--purpose=documentation_lookup"], &TOOL[..]].concat();
    server.cli(&check).exits(0);
    server.cli(&["key", "revoke", made["id"].as_str().unwrap()]).exits(0);
    let refused = server.cli(&check).exits(1);
    assert!(refused.stderr.contains("unknown or revoked"), "{refused:?}");
    let listed = server.cli(&["key", "list"]).exits(0).stdout;
    assert!(!listed.contains("snt_"), "{listed}");
    server.stop();
    let data = folder.data();
    let data = data.to_str().unwrap();
    let direct =
        run(&["key", "create", "--role=operator", "--name=x", "--data-dir", data]).exits(0);
    assert!(direct.stdout.starts_with("snt_operator_"), "{direct:?}");
    let server = folder.dev(&[]);
    let kill = ["kill", "--key", direct.stdout.trim(), "--global", "--reason=x"];
    server.cli(&kill).exits(0);
}

#[test]
fn decisions_are_listed_exported_and_quotas_counted() {
    let folder = Folder::new();
    let server = folder.dev(&[]);
    for _ in 0..3 {
        server.check().exits(0);
    }
    server.cli(&[&["check", "--purpose=mischief"], &TOOL[..]].concat()).exits(1);
    let listed: Vec<Decision> = server.cli(&["decisions", "--json"]).exits(0).read();
    assert_eq!(listed.len(), 4);
    let denied: Vec<Decision> = server.cli(&["decisions", "--denied", "--json"]).exits(0).read();
    let purposes: Vec<_> = denied
        .iter()
        .map(|denied| denied.purpose.as_ref().map(|purpose| purpose.as_str()))
        .collect();
    assert_eq!(purposes, [Some("mischief")]);
    let file = folder.path().join("decisions.ndjson");
    server.cli(&["decisions", "--export", file.to_str().unwrap()]).exits(0);
    let lines = std::fs::read_to_string(&file).unwrap();
    let exported: Vec<Decision> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported, listed);
    let quotas: Vec<QuotaUsage> = server.cli(&["quotas", "--json"]).exits(0).read();
    assert_eq!((quotas[0].usage, quotas[0].limit), (3, Some(1000)));
    let table = server.cli(&["quotas"]).exits(0).stdout;
    assert!(table.lines().nth(1).unwrap().contains("langsmith-docs-search"), "{table}");
}

#[test]
fn decisions_are_followed_as_they_are_made() {
    use std::io::BufRead as _;
    let folder = Folder::new();
    let server = folder.dev(&[]);
    let mut follow = crate::support::sentinel(&["decisions", "--follow", "--json"])
        .env("SENTINEL_URL", &server.url)
        .env("SENTINEL_DATA_DIR", folder.data())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(follow.stdout.take().unwrap()).lines();
    // Until it listens, there is nothing to see of it.
    let (sender, receiver) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || sender.send(lines.next()));
    let line = loop {
        server.check().exits(0);
        if let Ok(line) = receiver.recv_timeout(std::time::Duration::from_millis(200)) {
            break line.unwrap().unwrap();
        }
    };
    reader.join().unwrap().unwrap();
    follow.kill().unwrap();
    follow.wait().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["event"], "policy.check.allow");
}

#[test]
fn what_was_asked_wrongly_exits_with_2_and_what_failed_with_1() {
    run(&["check", "--tenant=a"]).exits(2);
    run(&["check", "--tenant=a", "--tool=b", "--arguments=[1]"]).exits(2);
    run(&["kill", "--reason=x"]).exits(2);
    run(&["kill", "--tool=x", "--reason=x"]).exits(2);
    run(&["nonsense"]).exits(2);
    let away = run(&["check", "--tenant=a", "--tool=b", "--url=http://127.0.0.1:1"]).exits(1);
    assert!(away.stderr.contains("error: cannot reach"), "{away:?}");
    assert!(away.stderr.contains("help: start a server"), "{away:?}");
}

#[test]
fn errors_of_the_server_are_shown_with_their_code_and_a_way_out() {
    let folder = Folder::new();
    let server = folder.dev(&[]);
    let unknown = server.cli(&["check", "--tenant=absent", "--tool=x"]).exits(1);
    assert!(unknown.stderr.contains("unknown_tenant"), "{unknown:?}");
    let no_key = run(&["quotas", "--url", &server.url, "--data-dir=/nonexistent"]).exits(1);
    assert!(no_key.stderr.contains("--key"), "{no_key:?}");
    let agent = server.key("agent");
    let role = server.cli(&["quotas", "--key", &agent]).exits(1);
    assert!(role.stderr.contains("auditor"), "{role:?}");
}

#[test]
fn doctor_tells_what_is_wrong() {
    let folder = Folder::new();
    let server = folder.dev(&[]);
    let healthy = server.cli(&["doctor", "--json"]).exits(0).json();
    assert_eq!(healthy["healthy"], true, "{healthy}");
    let data = folder.data();
    folder.file("data/policies/broken.rego", "package");
    std::fs::set_permissions(
        data.join("signing-key.pem"),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    let ill = server.cli(&["doctor"]).exits(1).stdout;
    assert!(ill.contains("✗ policies") && ill.contains("✗ signing key"), "{ill}");
    assert!(ill.contains("fix: chmod 600"), "{ill}");
    assert!(ill.contains("✓ server"), "{ill}");
}

#[test]
fn the_openapi_document_is_printed() {
    let document = run(&["openapi"]).exits(0).json();
    assert!(document["paths"]["/policy/check"].is_object());
}
