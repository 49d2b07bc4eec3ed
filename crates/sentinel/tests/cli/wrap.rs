//! `sentinel mcp wrap` in front of a real server, as a client uses it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Folder, sentinel};

mod remote;

const PATIENCE: Duration = Duration::from_secs(30);
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/wrap/server.py");

/// A client: writes requests to a wrap and reads what comes back.
struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Messages that were read while another was waited for.
    kept: Vec<Value>,
    next: u64,
}

impl Client {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let stdin = child.stdin.take();
        Self { child, stdin, lines, kept: Vec::new(), next: 0 }
    }

    fn send(&mut self, message: &Value) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{message}").unwrap();
        stdin.flush().unwrap();
    }

    fn request(&mut self, method: &str, params: &Value) -> u64 {
        self.next += 1;
        let id = self.next;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    #[track_caller]
    fn response(&mut self, id: u64) -> Value {
        let is_it = |message: &Value| message["id"] == id && message.get("method").is_none();
        if let Some(at) = self.kept.iter().position(is_it) {
            return self.kept.remove(at);
        }
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("no response in time");
            // Nothing but messages is written.
            let message: Value = serde_json::from_str(&line).expect(&line);
            assert_eq!(message["jsonrpc"], "2.0");
            if is_it(&message) {
                return message;
            }
            self.kept.push(message);
        }
    }

    /// The next request of the server.
    #[track_caller]
    fn question(&mut self, method: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("no question in time");
            let message: Value = serde_json::from_str(&line).expect(&line);
            if message["method"] == method {
                return message;
            }
            self.kept.push(message);
        }
    }

    /// Whether there is no response so far.
    fn unanswered(&mut self, id: u64) -> bool {
        self.kept.extend(self.lines.try_iter().filter_map(|line| serde_json::from_str(&line).ok()));
        !self.kept.iter().any(|message| message["id"] == id && message.get("method").is_none())
    }

    #[track_caller]
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.request(method, params);
        self.response(id)
    }

    #[track_caller]
    fn initialize(&mut self) -> Value {
        let response = self.ask(
            "initialize",
            &json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}),
        );
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        response["result"].clone()
    }

    #[track_caller]
    fn tools(&mut self) -> Vec<String> {
        let listed = self.ask("tools/list", &json!({}));
        let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{listed}"));
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.ask("tools/call", &json!({"name": tool, "arguments": arguments}))["result"].clone()
    }

    /// Closes the input, and waits for the end.
    fn end(mut self) -> Option<i32> {
        drop(self.stdin.take());
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(started.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"))
}

#[track_caller]
fn assert_denied(result: &Value, part: &str) {
    assert_eq!(result["isError"], true, "{result}");
    assert!(text(result).contains(part), "{result}");
    assert!(result.get("structuredContent").is_none(), "{result}");
}

#[track_caller]
fn assert_done(result: &Value) {
    assert_ne!(result["isError"], true, "{result}");
    assert!(text(result).contains("done"), "{result}");
}

/// The home of a user, with the data directory of the embedded control plane in it.
struct Home(Folder);

impl Home {
    fn new() -> Self {
        let home = Self(Folder::new());
        std::fs::create_dir(home.marks()).unwrap();
        home
    }

    fn marks(&self) -> PathBuf {
        self.0.path().join("marks")
    }

    fn data(&self) -> PathBuf {
        self.0.path().join(".local/share/sentinel")
    }

    fn mark(&self, name: &str) -> String {
        std::fs::read_to_string(self.marks().join(name)).unwrap_or_default()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = sentinel(args);
        command.env("HOME", self.0.path()).env("MARKS", self.marks());
        command.env_remove("XDG_DATA_HOME").env("OF_THE_SERVER", "yes");
        command
    }

    fn embedded(&self) -> Client {
        Client::start(self.wrap())
    }

    fn wrap(&self) -> Command {
        self.command(&["mcp", "wrap", "--embedded", "--server=small", "--", "python3", SERVER])
    }

    fn status(&self) -> Value {
        let output = self.command(&["mcp", "status", "--json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a command against the embedded control plane.
    fn cli(&self, args: &[&str]) -> crate::support::Ran {
        let mut command = self.command(args);
        command.env("SENTINEL_URL", self.status()["url"].as_str().unwrap());
        command.env("SENTINEL_DATA_DIR", self.data());
        command.output().unwrap().into()
    }

    fn signal_control_plane(&self, name: &str) {
        let pid = self.status()["pid"].to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // It would go on for as long as it may be idle.
        if let Some(pid) = self.status()["pid"].as_u64() {
            drop(Command::new("kill").args(["-s", "KILL", &pid.to_string()]).status());
        }
    }
}

fn is_alive(pid: &str) -> bool {
    Path::new("/proc").join(pid.trim()).exists()
}

#[track_caller]
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_only_reads_is_allowed_and_what_writes_once_a_person_lists_it() {
    let home = Home::new();
    let mut client = home.embedded();
    let server = client.initialize();
    assert_eq!(server["protocolVersion"], "2025-11-25");
    // The names are those of the server.
    let mut tools = client.tools();
    tools.sort();
    assert_eq!(tools, ["environment", "look", "sleep", "write"]);
    let looked = client.call("look", &json!({}));
    assert_done(&looked);
    assert!(looked["_meta"]["sentinel/decision"].is_string(), "{looked}");
    let denied = client.call("write", &json!({"text": "x"}));
    assert_denied(&denied, "sentinel mcp allow small__write");
    assert_denied(&denied, home.data().join("policies/allow/data.yaml").to_str().unwrap());
    assert_eq!(home.mark("written"), "");

    let allowed = home.command(&["mcp", "allow", "small__write"]).output().unwrap();
    assert!(allowed.status.success(), "{allowed:?}");
    eventually("the list counts", || {
        client.call("write", &json!({"text": "x"}))["isError"] != json!(true)
    });
    assert_eq!(home.mark("written"), "x\n");
    // A tool that is not listed is denied, and never reaches the server.
    let hidden = client.call("nonesuch", &json!({}));
    assert_eq!(hidden["isError"], true, "{hidden}");
    assert!(!home.mark("calls").contains("nonesuch"));
    let decisions =
        home.cli(&["decisions", "--tenant=local", "--limit=1000", "--json"]).exits(0).json();
    let calls: Vec<_> = decisions
        .as_array()
        .unwrap()
        .iter()
        .filter(|decision| decision["action"] == "call")
        .map(|decision| decision["tool"].as_str().unwrap_or_default())
        .collect();
    assert!(calls.contains(&"small__look") && calls.contains(&"small__write"), "{decisions}");
    assert_eq!(client.end(), Some(0));
}

#[test]
fn a_server_that_takes_its_time_is_waited_for() {
    let home = Home::new();
    let mut command = home.wrap();
    // Longer than the gateway waits for one of many servers.
    command.env("SLOW", "6");
    let mut client = Client::start(command);
    client.initialize();
    assert_eq!(client.tools().len(), 4);
}

#[test]
fn the_server_sees_its_environment_and_nothing_of_ours_and_ends_with_the_client() {
    let home = Home::new();
    let mut client = home.embedded();
    client.initialize();
    let names = client.call("environment", &json!({}));
    let names = text(&names).to_owned();
    assert!(names.contains("OF_THE_SERVER") && !names.contains("SENTINEL_"), "{names}");
    let pid = home.mark("started");
    assert!(is_alive(&pid));
    assert_eq!(client.end(), Some(0));
    eventually("the server has ended", || !is_alive(&pid));
}

#[test]
fn an_answer_under_way_is_written_before_the_end() {
    let home = Home::new();
    let mut client = home.embedded();
    client.initialize();
    let id = client.request("tools/call", &json!({"name": "sleep", "arguments": {"seconds": 1}}));
    eventually("the call is under way", || home.mark("calls").contains("sleep"));
    drop(client.stdin.take());
    assert_done(&client.response(id)["result"]);
}

#[test]
fn a_kill_ends_a_call_under_way() {
    let home = Home::new();
    let mut client = home.embedded();
    client.initialize();
    let id = client.request("tools/call", &json!({"name": "sleep", "arguments": {"seconds": 20}}));
    eventually("the call is under way", || home.mark("calls").contains("sleep"));
    let pid = home.mark("started");
    home.cli(&["kill", "--tenant=local", "--reason=out of hand"]).exits(0);
    let started = Instant::now();
    let cut = client.response(id)["result"].clone();
    assert_denied(&cut, "out of hand");
    assert!(started.elapsed() < Duration::from_secs(5), "the call was not cut");
    eventually("the server has ended", || !is_alive(&pid));
    assert_eq!(home.mark("slept"), "");
    assert_denied(&client.call("look", &json!({})), "out of hand");
    home.cli(&["restore", "--tenant=local"]).exits(0);
    eventually("calls are allowed again", || {
        client.call("look", &json!({}))["isError"] != json!(true)
    });
}

#[test]
fn a_control_plane_that_is_killed_is_started_again_and_calls_are_denied_meanwhile() {
    let home = Home::new();
    let mut client = home.embedded();
    client.initialize();
    assert_done(&client.call("look", &json!({})));
    let before = home.status();
    home.signal_control_plane("STOP");
    home.signal_control_plane("KILL");
    // Until it is back, no call is allowed; whatever happens, the session goes on.
    let calls = home.mark("calls");
    let result = client.call("look", &json!({}));
    if result["isError"] == json!(true) {
        assert_eq!(home.mark("calls"), calls, "a denied call reached the server");
    }
    eventually("calls are allowed again", || {
        client.call("look", &json!({}))["isError"] != json!(true)
    });
    let after = home.status();
    assert_eq!(before["url"], after["url"]);
    assert_ne!(before["pid"], after["pid"]);
}

#[test]
fn several_that_start_at_once_share_one_control_plane_and_the_death_of_one_harms_none() {
    let home = Home::new();
    let mut clients: Vec<Client> = (0..4).map(|_| home.embedded()).collect();
    for client in &mut clients {
        client.initialize();
        assert_done(&client.call("look", &json!({})));
    }
    let pid = home.status()["pid"].clone();
    let first = clients.remove(0);
    drop(first);
    for client in &mut clients {
        assert_done(&client.call("look", &json!({})));
    }
    assert_eq!(home.status()["pid"], pid);
}

#[test]
fn the_control_plane_ends_when_it_is_idle() {
    let folder = Folder::new();
    let data = folder.data();
    let mut child = sentinel(&["mcp", "control-plane", "--idle=1", "--data-dir"])
        .arg(&data)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("it says where it is", || data.join("running.json").exists());
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            break;
        }
        assert!(started.elapsed() < PATIENCE, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn without_a_control_plane_every_call_is_denied_and_the_session_lives_on() {
    let home = Home::new();
    let args = [
        "mcp",
        "wrap",
        "--url=http://127.0.0.1:9",
        "--tenant=t",
        "--key=snt_agent_x",
        "--",
        "python3",
        SERVER,
    ];
    let mut client = Client::start(home.command(&args));
    client.initialize();
    assert_eq!(client.tools(), [""; 0]);
    for _ in 0..2 {
        let denied = client.call("look", &json!({}));
        assert_eq!(denied["isError"], true, "{denied}");
    }
    assert_eq!(client.ask("ping", &json!({}))["result"], json!({}));
    assert_eq!(home.mark("calls"), "");
}

#[test]
fn what_is_missing_is_said_at_once() {
    let home = Home::new();
    let output = home.command(&["mcp", "wrap", "--", "true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("--tenant") && stderr.contains("--embedded"), "{stderr}");
    assert!(output.stdout.is_empty());
    assert_eq!(
        home.command(&["mcp", "wrap", "--embedded"]).output().unwrap().status.code(),
        Some(2)
    );
}
