//! `sentinel hook claude-code`: what Claude Code reads of it. A call is made unless the hook says
//! otherwise in exactly the right way, so each failure is a test.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Folder, Ran, Server, sentinel};

const POLICY: &str = r#"package sentinel.policy
import rego.v1
default allow := false
allow if input.arguments.command == "ls"
deny_reason := "only ls may run" if not allow
"#;
const SECRET: &str = "hunter2";

/// A server whose policy lets `Bash` run `ls`, and the state folder of a user.
struct Scene {
    folder: Folder,
    server: Server,
}

impl Scene {
    fn start() -> Self {
        let folder = Folder::new();
        folder.file("policies/policy.rego", POLICY);
        let policies = folder.path().join("policies");
        let server = folder.dev(&["--policies", policies.to_str().unwrap()]);
        let tool = json!({
            "tenant_slug": "platform-eng", "name": "Bash", "url": "https://a.example/", "owner": "l",
        });
        assert_eq!(server.http("POST", "/register", "admin", &tool.to_string()).0, 201);
        Self { folder, server }
    }

    fn hook(&self, event: &Value) -> Ran {
        self.hook_at(&self.server.url, &event.to_string())
    }

    fn hook_at(&self, url: &str, event: &str) -> Ran {
        let mut command = self.command(url);
        command.env("SENTINEL_TENANT", "platform-eng");
        fed(command, event)
    }

    fn command(&self, url: &str) -> Command {
        let mut command = sentinel(&["hook", "claude-code", "--deadline-ms", "2000"]);
        command
            .env("SENTINEL_URL", url)
            .env("SENTINEL_DATA_DIR", self.folder.data())
            .env("XDG_STATE_HOME", self.folder.path().join("state"));
        command
    }

    fn records(&self) -> Vec<PathBuf> {
        let dir = self.folder.path().join("state/sentinel/hooks/claude-code");
        let entries = std::fs::read_dir(dir).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn manifests(&self) -> Vec<Value> {
        let (status, listed) = self.server.http("GET", "/v1/manifests?tool=Bash", "admin", "");
        assert_eq!(status, 200, "{listed}");
        listed["items"].as_array().unwrap().clone()
    }
}

/// Runs a command with `input` as its standard input.
fn fed(mut command: Command, input: &str) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that refuses its arguments does not read.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap().into()
}

fn event(name: &str, id: &str, command: &str) -> Value {
    json!({
        "session_id": "5e0c8a54-8d3c-4f09-9d3a-000000000001", "transcript_path": "/t", "cwd": "/",
        "hook_event_name": name, "tool_name": "Bash", "tool_use_id": id,
        "tool_input": {"command": command}, "tool_response": {"stdout": SECRET},
    })
}

#[track_caller]
fn denied(ran: Ran) -> String {
    denied_at("PreToolUse", ran)
}

#[track_caller]
fn denied_at(name: &str, ran: Ran) -> String {
    let answer = ran.exits(0).json();
    let output = &answer["hookSpecificOutput"];
    assert_eq!(output["hookEventName"], name);
    assert_eq!(output["permissionDecision"], "deny");
    output["permissionDecisionReason"].as_str().unwrap().to_owned()
}

#[test]
fn a_call_that_is_allowed_goes_on_and_is_signed() {
    let scene = Scene::start();
    let before = scene.hook(&event("PreToolUse", "toolu_1", "ls")).exits(0);
    // Not an `allow`: that would skip the user's own prompt.
    assert_eq!(before.json(), json!({}));
    let records = scene.records();
    assert_eq!(records.len(), 1);
    let mode = |path: &PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&records[0]), 0o600);
    assert_eq!(mode(&records[0].parent().unwrap().to_owned()), 0o700);
    let after = scene.hook(&event("PostToolUse", "toolu_1", "ls")).exits(0);
    assert_eq!((after.stdout.as_str(), after.stderr.as_str()), ("", ""));
    assert_eq!(scene.manifests().len(), 1);
    assert!(scene.records().is_empty(), "{:?}", scene.records());
}

#[test]
fn a_call_that_is_denied_is_not_made_and_the_model_reads_why() {
    let scene = Scene::start();
    let reason = denied(scene.hook(&event("PreToolUse", "toolu_1", "rm -rf /")));
    assert!(reason.starts_with("Denied by policy: only ls may run. Repeating"), "{reason}");
    assert!(reason.contains("code policy_denied, decision "), "{reason}");
    assert!(scene.records().is_empty());
    // A shell command in the text of a skill has an event of its own.
    let skill = event("PreSkillShellCommand", "toolu_1", "rm -rf /");
    denied_at("PreSkillShellCommand", scene.hook(&skill));
    let mut unknown = event("PreToolUse", "toolu_2", "ls");
    unknown["tool_name"] = json!("mcp__files__delete");
    let reason = denied(scene.hook(&unknown));
    assert!(reason.starts_with("Denied because the tool is not registered"), "{reason}");
    let kill = json!({"tenant_slug": "platform-eng", "tool_name": "Bash", "reason": "drill"});
    assert_eq!(scene.server.http("POST", "/kill", "admin", &kill.to_string()).0, 200);
    let reason = denied(scene.hook(&event("PreToolUse", "toolu_3", "ls")));
    assert!(reason.starts_with("Stopped by an operator: killed (tool): drill"), "{reason}");
    assert!(scene.manifests().is_empty());
}

#[test]
fn whatever_is_wrong_blocks_the_call() {
    let scene = Scene::start();
    let good = event("PreToolUse", "toolu_1", "ls").to_string();
    let twice = good.replacen('{', r#"{"tool_name":"Read","#, 1);
    let unknown = good.replace("PreToolUse", "BeforeTool");
    let without = good.replace("\"tool_use_id\"", "\"id\"");
    let no_object = good.replace(r#"{"command":"ls"}"#, "[]");
    let bad_name = good.replace("Bash", "Ba sh");
    let cut = &good[..good.len() - 1];
    let inputs = ["", "{}", "[]", "allow", cut, &twice, &unknown, &without, &no_object, &bad_name];
    for input in inputs {
        let ran = scene.hook_at(&scene.server.url, input).exits(2);
        assert!(ran.stderr.starts_with("Denied: Sentinel could not decide"), "{input}: {ran:?}");
        assert_eq!(ran.stdout, "", "{input}");
    }
    // No tenant, an option that does not exist, no place for records.
    fed(scene.command(&scene.server.url), &good).exits(2);
    fed(sentinel(&["hook", "claude-code", "--tenants", "x"]), &good).exits(2);
    fed(sentinel(&["hook", "claude-cod"]), &good).exits(2);
    scene.folder.file("state/sentinel", "a file where the folder should be");
    scene.hook_at(&scene.server.url, &good).exits(2);
}

#[test]
fn without_a_decision_there_is_no_call() {
    let scene = Scene::start();
    let good = event("PreToolUse", "toolu_1", "ls").to_string();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let reason = denied(scene.hook_at(&address, &good));
    assert!(reason.contains("code control_plane_unavailable"), "{reason}");
    let allow = r#"{"allow":true}"#;
    let ok = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{allow}", allow.len());
    let responses = [
        String::new(),
        ok,
        "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned(),
        format!("HTTP/1.1 307 T\r\nlocation: {}/policy/check\r\n\r\n", scene.server.url),
        "it is allowed".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"allow\":true".to_owned(),
    ];
    for response in responses {
        let address = stand_in(response.clone());
        let reason = denied(scene.hook_at(&address, &good));
        assert!(reason.contains("control_plane_unavailable"), "{response}: {reason}");
    }
    assert!(scene.records().is_empty());
}

/// A stand-in for a control plane at fault: one response to every request; none when it is empty.
fn stand_in(response: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if response.is_empty() {
                held.push(stream);
                continue;
            }
            // The client may send more than is read; what it makes of the reset is a failure too.
            let mut request = [0; 4096];
            drop(std::io::Read::read(&mut stream, &mut request));
            drop(stream.write_all(response.as_bytes()));
        }
    });
    address
}

#[test]
fn an_outcome_that_cannot_be_signed_is_signed_with_the_next_one() {
    let scene = Scene::start();
    scene.hook(&event("PreToolUse", "toolu_1", "ls")).exits(0);
    scene.hook(&event("PreToolUse", "toolu_3", "ls")).exits(0);
    // Too many requests, or a key that is replaced, loses no outcome either.
    for (id, status) in [("toolu_1", "503 Away"), ("toolu_3", "429 Slow")] {
        let address = stand_in(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n"));
        let after = event("PostToolUse", id, "ls").to_string();
        let late = scene.hook_at(&address, &after).exits(0);
        assert!(late.stderr.starts_with("sentinel: the outcome is signed later"), "{late:?}");
    }
    let records = scene.records();
    assert_eq!(records.len(), 2);
    let kept = std::fs::read_to_string(&records[0]).unwrap();
    assert!(!kept.contains(SECRET) && !kept.contains("\"ls\""), "{kept}");
    assert!(scene.manifests().is_empty());
    // Meanwhile the next call is decided as ever.
    scene.hook(&event("PreToolUse", "toolu_2", "ls")).exits(0);
    scene.hook(&event("PostToolUse", "toolu_2", "ls")).exits(0);
    assert_eq!(scene.manifests().len(), 3);
    assert!(scene.records().is_empty());
}

#[test]
fn arguments_that_another_hook_changed_are_noticed() {
    let scene = Scene::start();
    scene.hook(&event("PreToolUse", "toolu_1", "ls")).exits(0);
    let after = scene.hook(&event("PostToolUse", "toolu_1", "rm -rf /")).exits(0).json();
    assert_eq!(after["decision"], "block");
    assert!(after["reason"].as_str().unwrap().contains("arguments were changed"), "{after}");
    let manifests = scene.manifests();
    let id = manifests[0]["id"].as_str().unwrap();
    let (_, verified) = scene.server.http("GET", &format!("/provenance/verify/{id}"), "admin", "");
    assert_eq!(verified["manifest"]["metadata"]["arguments_changed"], true, "{verified}");
}

#[test]
fn an_event_after_a_call_that_was_not_decided_here_signs_nothing() {
    let scene = Scene::start();
    let after = scene.hook(&event("PostToolUse", "toolu_1", "ls")).exits(0);
    assert_eq!(after.stdout, "");
    assert!(scene.manifests().is_empty());
}
