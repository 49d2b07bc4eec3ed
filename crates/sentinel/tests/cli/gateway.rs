//! The settings of the MCP gateway, and what operators see of it: `sentinel serve` in front of a
//! server that it starts.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::serve::Deployment;
use crate::support::{Folder, Ran, Server, answer, run, sentinel};

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/gateway/server.py");
const VERSION: &str = "2026-07-28";
const PATIENCE: Duration = Duration::from_secs(30);

const ALL: &str = "package sentinel.policy\nimport rego.v1\ndefault allow := true\n";
/// What may be called is not listed, and `write` may not be called.
const UNLISTED: &str = "package sentinel.policy\nimport rego.v1\ndefault allow := false\n\
                        allow if { input.action == \"call\"; input.tool != \"small__write\" }\n";

/// A gateway in front of one server, called `small`.
struct Gateway {
    server: Server,
    deployment: Deployment,
    agent: String,
    admin: String,
}

impl Gateway {
    fn start(policy: &str, lines: &str) -> Self {
        Self::start_with(policy, lines, &[])
    }

    fn start_with(policy: &str, lines: &str, variables: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let root = folder.path().display().to_string();
        std::fs::create_dir(folder.path().join("marks")).unwrap();
        let upstream = json!({"tenant": "acme", "name": "small", "transport": {"stdio": {
            "command": ["python3", SERVER], "env": {"MARKS": "env:MARKS"},
        }}});
        let lines = format!(
            "database_url: sqlite://{root}/sentinel.db\ngateway_allowed_commands: ['python3 *']\n\
             gateway_upstreams: [{upstream}]\n{lines}"
        );
        let deployment = Deployment::on(folder, &lines);
        deployment.folder.file("policies/p.rego", policy);
        let admin = deployment.key("admin");
        let mut command = sentinel(&["serve", "--config", &deployment.config]);
        command.env("MARKS", deployment.folder.path().join("marks"));
        command.envs(variables.iter().copied());
        let server = Server::start(command, deployment.folder.path().to_owned());
        let key = json!({"name": "a", "role": "agent", "tenant_slug": "acme"}).to_string();
        let (status, made) = server.http_with(&admin, "POST", "/v1/keys", &key);
        assert_eq!(status, 201, "{made}");
        let agent = made["secret"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        Self { server, deployment, agent, admin }
    }

    /// Sends one request of the modern era.
    fn ask(&self, method: &str, mut params: Value) -> Value {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        });
        let name = params["name"].as_str().map(|name| format!("mcp-name: {name}\r\n"));
        let name = name.unwrap_or_default();
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let body = body.to_string();
        let host = self.server.url.trim_start_matches("http://");
        let (length, key) = (body.len(), &self.agent);
        let mut stream = self.server.connect();
        write!(
            stream,
            "POST /mcp/acme HTTP/1.0\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
             mcp-protocol-version: {VERSION}\r\nmcp-method: {method}\r\n{name}\
             content-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (_, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text}"));
        // Alone, or as the last event of a stream.
        let message = body.lines().rev().find_map(|line| {
            serde_json::from_str(line.strip_prefix("data: ").unwrap_or(line)).ok()
        });
        message.unwrap_or_else(|| panic!("{text}"))
    }

    /// Waits until the server has started and its tools are registered.
    fn ready(self) -> Self {
        let is_registered = || {
            self.tools();
            let path = "/v1/tools?tenant=acme&limit=100";
            self.server
                .http_with(&self.admin, "GET", path, "")
                .1
                .to_string()
                .contains("small__look")
        };
        self.eventually("its tools are registered", is_registered);
        self
    }

    #[track_caller]
    fn eventually(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let started = Instant::now();
        while !is_so() {
            assert!(started.elapsed() < PATIENCE, "never: {what}: {}", self.server.output());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn tools(&self) -> Vec<String> {
        let listed = self.ask("tools/list", json!({}));
        let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{listed}"));
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    fn call(&self, tool: &str, arguments: &Value) -> Value {
        let params = json!({"name": format!("small__{tool}"), "arguments": arguments});
        self.ask("tools/call", params)["result"].clone()
    }

    fn calls(&self) -> String {
        let calls = self.deployment.folder.path().join("marks/calls");
        std::fs::read_to_string(calls).unwrap_or_default()
    }

    fn cli(&self, args: &[&str]) -> Ran {
        self.server.cli(&[args, &["--key", &self.admin]].concat())
    }
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"))
}

#[track_caller]
fn assert_error(result: &Value, part: &str) {
    assert!(result["isError"] == true && text(result).contains(part), "{result}");
}

#[test]
fn lists_show_what_policy_denies_only_when_the_configuration_says_so() {
    let hidden = Gateway::start(UNLISTED, "").ready();
    assert_eq!(hidden.tools(), [""; 0]);
    let shown = Gateway::start(UNLISTED, "gateway_show_all: true\n").ready();
    let expected = ["look", "write", "large", "sleep", "call_tool", "untyped"];
    assert_eq!(shown.tools(), expected.map(|name| format!("small__{name}")));
    // It is decided all the same.
    assert_error(&shown.call("write", &json!({})), "Denied by policy");
    assert_eq!(shown.calls(), "");
}

#[test]
fn an_agent_that_is_left_without_tools_is_reported_by_an_event() {
    let gateway = Gateway::start(UNLISTED, "");
    let mut events = gateway.server.connect();
    let path = "/v1/events?types=gateway.nothing_shown";
    let request = gateway.server.request_with(&gateway.admin, "GET", path, "");
    events.write_all(request.as_bytes()).unwrap();
    events.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut seen, mut part) = (String::new(), [0; 4096]);
    let mut read_until = |text: &str| {
        while !seen.contains(text) {
            let read = events.read(&mut part).unwrap();
            assert!(read > 0, "{seen}");
            seen.push_str(std::str::from_utf8(&part[..read]).unwrap());
        }
        seen.clone()
    };
    // The stream begins with the state of the kill switch.
    read_until("sync");
    gateway.eventually("it is said", || {
        assert_eq!(gateway.tools(), [""; 0]);
        gateway.server.output().contains("gateway.nothing_shown")
    });
    (0..3).for_each(|_| assert_eq!(gateway.tools(), [""; 0]));
    let seen = read_until("hides all 6 tools");
    assert!(seen.contains("gateway.nothing_shown") && seen.contains("\"hidden\":6"), "{seen}");
    assert!(seen.contains("\"tenant\":\"acme\"") && seen.contains("\"upstream\":null"), "{seen}");
    assert_eq!(gateway.server.output().matches("gateway.nothing_shown").count(), 1);
    // The agent itself is told when it connects.
    let greeting = gateway.ask("server/discover", json!({}));
    let instructions = greeting["result"]["instructions"].as_str().unwrap();
    assert!(instructions.contains("policy hides all 6 of them"), "{instructions}");
}

#[test]
fn outcomes_are_signed_as_the_configuration_says() {
    let manifest = |gateway: &Gateway| {
        let result = gateway.call("look", &json!({}));
        assert_eq!(text(&result), "look done");
        assert!(result["_meta"]["sentinel/decision"].is_string(), "{result}");
        result["_meta"].get("sentinel/manifest").is_some()
    };
    let signed = |gateway: &Gateway| {
        let path = "/v1/manifests?tenant=acme";
        let (status, listed) = gateway.server.http_with(&gateway.admin, "GET", path, "");
        assert_eq!(status, 200, "{listed}");
        listed["items"].as_array().unwrap().len()
    };
    let usual = Gateway::start(ALL, "").ready();
    assert!(manifest(&usual));
    assert_eq!(signed(&usual), 1);
    let off = Gateway::start(ALL, "gateway_sign: off\n").ready();
    assert!(!manifest(&off));
    assert_eq!(signed(&off), 0);
    let after = Gateway::start_with(ALL, "", &[("SENTINEL_GATEWAY_SIGN", "after")]).ready();
    assert!(!manifest(&after));
    let started = Instant::now();
    while signed(&after) == 0 {
        assert!(started.elapsed() < PATIENCE, "it is not signed");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn policy_decides_the_tool_that_a_meta_tool_calls() {
    let writes = json!({"tool": "write", "arguments": {"text": "x"}});
    let unaware = Gateway::start(UNLISTED, "").ready();
    assert_eq!(text(&unaware.call("call_tool", &writes)), "write done", "nothing says what it is");
    let entry = r#"[{"tool": "small__call_tool", "name": "/tool", "arguments": "/arguments"}]"#;
    let by_file = Gateway::start(UNLISTED, &format!("gateway_meta_tools: {entry}\n"));
    let by_variable = Gateway::start_with(UNLISTED, "", &[("SENTINEL_GATEWAY_META_TOOLS", entry)]);
    for gateway in [by_file.ready(), by_variable.ready()] {
        assert_error(&gateway.call("call_tool", &writes), "Denied by policy");
        assert_error(&gateway.call("call_tool", &json!({"tool": 1})), "malformed");
        assert_eq!(gateway.calls(), "");
        assert_eq!(text(&gateway.call("call_tool", &json!({"tool": "look"}))), "look done");
        assert_eq!(gateway.calls(), "look\n");
    }
}

/// Calls that are killed, one after the other. The bound is one of their median: a test machine may
/// be busy with others at any moment.
const KILLS: usize = 5;
/// From the request of the kill until the client has the result of its call.
const BOUND: Duration = Duration::from_millis(100);

#[test]
fn a_kill_ends_a_call_of_ten_seconds_at_once_and_its_process_is_gone() {
    let gateway = Gateway::start(ALL, "").ready();
    let tool = json!({"tenant_slug": "acme", "tool_name": "small__sleep"});
    let kill = json!({"tenant_slug": "acme", "tool_name": "small__sleep", "reason": "drill"});
    let mark = |name: &str| {
        let path = gateway.deployment.folder.path().join("marks").join(name);
        std::fs::read_to_string(path).unwrap_or_default()
    };
    let mut took: Vec<_> = (1..=KILLS)
        .map(|round| {
            let took = std::thread::scope(|scope| {
                // Different each time, so that none is a repeat of the one before.
                let arguments = json!({"seconds": 10, "round": round});
                let call = scope.spawn({
                    let gateway = &gateway;
                    move || (gateway.call("sleep", &arguments), Instant::now())
                });
                gateway.eventually("the call is under way", || {
                    mark("sleeping").lines().count() == round
                });
                let killed_at = Instant::now();
                let body = kill.to_string();
                let (status, killed) =
                    gateway.server.http_with(&gateway.admin, "POST", "/kill", &body);
                assert_eq!((status, &killed["reached"]["calls"]), (200, &json!(1)), "{killed}");
                let (result, ended_at) = call.join().unwrap();
                assert_error(&result, "Stopped by an operator");
                ended_at.saturating_duration_since(killed_at)
            });
            let process = mark("sleeping").lines().last().unwrap().to_owned();
            let alive = || std::fs::exists(format!("/proc/{process}")).unwrap();
            gateway.eventually("the process is gone", || !alive());
            let restore = tool.to_string();
            let (status, restored) =
                gateway.server.http_with(&gateway.admin, "POST", "/kill/restore", &restore);
            assert_eq!(status, 200, "{restored}");
            took
        })
        .collect();
    took.sort();
    assert!(took[KILLS / 2] < BOUND, "{took:?}");
}

#[test]
fn limits_of_upstreams_hold() {
    let usual = Gateway::start(ALL, "").ready();
    assert_eq!(text(&usual.call("large", &json!({}))).len(), 100_000);
    let small = Gateway::start(
        ALL,
        "gateway_upstream_message_bytes: 65536\ngateway_call_timeout_seconds: 1\n",
    )
    .ready();
    assert_error(&small.call("large", &json!({})), "is not known");
    let started = Instant::now();
    assert_error(&small.call("sleep", &json!({"seconds": 20})), "is not known");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(text(&small.call("look", &json!({}))), "look done");
}

#[test]
fn clients_without_a_key_are_told_the_address_that_is_configured() {
    let path = "/.well-known/oauth-protected-resource/mcp/acme";
    let resource = |gateway: &Gateway| {
        let mut stream = gateway.server.connect();
        let request = gateway.server.request_with("", "GET", path, "");
        stream.write_all(request.as_bytes()).unwrap();
        answer(stream).1["resource"].clone()
    };
    let usual = Gateway::start(ALL, "");
    assert_eq!(resource(&usual), format!("{}/mcp/acme", usual.server.url));
    let said = Gateway::start(ALL, "public_url: https://mcp.example.com/sentinel/\n");
    assert_eq!(resource(&said), "https://mcp.example.com/sentinel/mcp/acme");
}

#[test]
fn what_is_wrong_with_the_tools_of_an_upstream_is_shown() {
    let gateway = Gateway::start(ALL, "").ready();
    let show = ["upstream", "show", "--tenant=acme", "--name=small"];
    assert!(!gateway.tools().contains(&"small__broken".to_owned()));
    let shown = gateway.cli(&show).exits(0).stdout;
    assert!(shown.contains("tool_schema_broken") && shown.contains("broken"), "{shown}");
    assert!(shown.contains("tool_repaired") && shown.contains("untyped"), "{shown}");
    assert!(shown.contains("tools") && shown.contains("up"), "{shown}");
    let upstream = gateway.cli(&[&show[..], &["--json"]].concat()).exits(0).json();
    let defects = upstream["defects"].as_array().unwrap();
    let reasons: Vec<_> = defects.iter().map(|defect| &defect["reason"]).collect();
    assert_eq!(reasons, ["tool_schema_broken", "tool_repaired"], "{upstream}");
    assert_eq!(defects[0]["tool"], "broken");
    let id = upstream["id"].as_str().unwrap();
    let path = format!("/v1/upstreams/{id}");
    let (_, found) = gateway.server.http_with(&gateway.admin, "GET", &path, "");
    assert_eq!(found["defects"], upstream["defects"]);
    let listed = gateway.cli(&["upstream", "list"]).exits(0).stdout;
    let line = listed.lines().find(|line| line.contains("small")).unwrap();
    assert!(line.split_whitespace().any(|word| word == "2"), "{listed}");
    // A call of it is denied with the reason.
    assert_error(&gateway.call("broken", &json!({})), "tool_schema_broken");
    gateway.cli(&["upstream", "show", "--tenant=acme", "--name=none"]).exits(1);
}

#[test]
fn a_setting_that_cannot_be_used_is_refused_with_its_line_and_the_fix() {
    let folder = Folder::new();
    let refused = |lines: &str| {
        let config = folder.file("config.yaml", &format!("listen: 127.0.0.1:0\n{lines}"));
        run(&["serve", "--config", &config]).exits(1).stderr
    };
    for (lines, what, fix) in [
        (
            "gateway_meta_tools:\n  - {tool: call, name: /tool, arguments: /arguments}\n",
            "line 2: entry 1 of `gateway_meta_tools`: `tool` is not the name",
            "write `{tool: hub__call_tool",
        ),
        (
            "\npublic_url: http://mcp.example.com\n",
            "line 3: `public_url` must be an https address",
            "public_url: https://",
        ),
        ("gateway_calls: 0\n", "line 2: `gateway_calls: 0` is out of range", "between 1 and 65536"),
        (
            "gateway_sign: sometimes\n",
            "line 2: `gateway_sign` must be `before`, `after`, `off`",
            "docs/configuration.md",
        ),
        (
            "gateway_upstreams:\n  - {tenant: a, name: b, transport: {http: {url: ftp://x/}}}\n",
            "line 2: upstream `b` of `gateway_upstreams`",
            "docs/gateway.md",
        ),
        (
            "gateway_meta_tools: [{tool: hub__call, name: /tool}]\n",
            "line 2: `gateway_meta_tools`: entry 1 has no `arguments`",
            "an entry takes",
        ),
    ] {
        let stderr = refused(lines);
        assert!(stderr.contains(what) && stderr.contains(fix), "no `{what}`, `{fix}`: {stderr}");
    }
    let config = folder.file("config.yaml", "listen: 127.0.0.1:0\n");
    let mut command = sentinel(&["serve", "--config", &config]);
    command.env("SENTINEL_GATEWAY_CALLS", "0");
    let refused: Ran = command.output().unwrap().into();
    let what = "the variable `SENTINEL_GATEWAY_CALLS`: `gateway_calls: 0` is out of range";
    assert!(refused.exits(1).stderr.contains(what));
}
