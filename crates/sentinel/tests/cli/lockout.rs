//! One party must not lock out the rest: whatever an agent, or somebody without a key, does to the
//! real binary, an operator stops things as fast as ever.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::serve::Deployment;
use crate::support::{Folder, Server, answer, sentinel};

const DENIES: &str = "package sentinel.policy\ndefault allow := false\n";

/// A server with these lines in its configuration, and keys for it.
struct Scene {
    server: Server,
    admin: String,
    agent: String,
    operator: String,
    _deployment: Deployment,
}

impl Scene {
    fn start(lines: &str) -> Self {
        raise_files();
        let folder = Folder::new();
        let database = format!("database_url: sqlite://{}/sentinel.db", folder.path().display());
        let deployment = Deployment::on(folder, &format!("{database}\n{lines}"));
        deployment.folder.file("policies/p.rego", DENIES);
        let [admin, agent, operator] =
            ["admin", "agent", "operator"].map(|role| deployment.key(role));
        let command = sentinel(&["serve", "--config", &deployment.config]);
        let server = Server::start(command, deployment.folder.path().to_owned());
        let tool = json!({
            "tenant_slug": "lab", "name": "probe", "url": "https://a.example/", "owner": "l",
        });
        assert_eq!(server.http_with(&admin, "POST", "/register", &tool.to_string()).0, 201);
        Self { server, admin, agent, operator, _deployment: deployment }
    }

    /// How long kills take, each on a connection of its own, sorted.
    fn kills(&self, count: usize) -> Vec<Duration> {
        let body = json!({"agent": "ghost", "reason": "drill"}).to_string();
        let kill = || {
            let started = Instant::now();
            let (status, told) = self.server.http_with(&self.operator, "POST", "/kill", &body);
            assert_eq!(status, 200, "{told}");
            started.elapsed()
        };
        let mut took: Vec<_> = (0..count).map(|_| kill()).collect();
        took.sort();
        took
    }
}

/// Lets this process and those that it starts open as many files as may be.
fn raise_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// How many connections this process can hold, at most as many as the server.
fn many() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(2000).min(8192)
}

/// The first line of an answer.
fn status_line(stream: &TcpStream) -> String {
    let mut line = String::new();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let read = BufReader::new(stream).read_line(&mut line);
    read.map(|_| line).unwrap_or_default()
}

#[test]
fn neither_silent_connections_nor_streams_of_one_agent_hold_up_a_kill() {
    let scene = Scene::start("max_connections: 8192");
    let undisturbed = scene.kills(20)[10];
    let silent: Vec<_> = (0..many()).map(|_| scene.server.connect()).collect();
    let request = scene.server.request_with(&scene.agent, "GET", "/v1/events", "");
    let request = request.replace("connection: close\r\n", "");
    let streams: Vec<_> = (0..1000)
        .filter_map(|_| {
            let mut stream = scene.server.connect();
            stream.write_all(request.as_bytes()).ok()?;
            Some((status_line(&stream), stream))
        })
        .collect();
    let open = streams.iter().filter(|(status, _)| status.contains(" 200 ")).count();
    assert_eq!(open, 100, "streams of one key");
    let refused = streams.iter().filter(|(status, _)| status.contains(" 429 ")).count();
    assert_eq!(refused, 900, "{:?}", streams.last());
    let took = scene.kills(20);
    let limit = undisturbed * 4 + Duration::from_millis(250);
    assert!(took[10] <= limit, "{:?} instead of {undisturbed:?}", took[10]);
    assert!(took[19] < Duration::from_secs(3), "{took:?}");
    // The agent that has its streams hears of them.
    let (_, heard) = &streams[0];
    heard.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut lines = BufReader::new(heard).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("kill_switch.disabled")));
    drop(silent);
}

/// Requests whose bodies never come keep connections busy, which then do not give way; operators
/// have places left all the same.
#[test]
fn busy_connections_of_an_agent_leave_places_for_operators() {
    let scene = Scene::start("max_connections: 50");
    let undisturbed = scene.kills(20)[10];
    let events = scene.server.request_with(&scene.agent, "GET", "/v1/events", "");
    let events = events.replace("connection: close\r\n", "");
    let _streams: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = scene.server.connect();
            stream.write_all(events.as_bytes()).unwrap();
            assert!(status_line(&stream).contains(" 200 "));
            stream
        })
        .collect();
    let (status, refused) = scene.server.http_with(&scene.agent, "GET", "/v1/tools", "");
    assert_eq!((status, &refused["code"]), (503, &json!("reserved_connection")));
    assert_eq!(scene.server.http_with("", "GET", "/healthz", "").0, 200);
    let _silent: Vec<_> = (0..200).map(|_| scene.server.connect()).collect();
    let took = scene.kills(20);
    let limit = undisturbed * 4 + Duration::from_millis(250);
    assert!(took[10] <= limit, "{:?} instead of {undisturbed:?}", took[10]);
}

#[test]
fn the_listener_for_administration_serves_nobody_else() {
    let scene = Scene::start("admin_listen: 127.0.0.1:0");
    let address = scene.server.ready["metadata"]["admin"].as_str().unwrap().to_owned();
    let ask = |key: &str, method: &str, path: &str, body: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(scene.server.request_with(key, method, path, body).as_bytes()).unwrap();
        answer(stream)
    };
    let kill = json!({"agent": "ghost", "reason": "drill"}).to_string();
    assert_eq!(ask(&scene.operator, "POST", "/kill", &kill).0, 200);
    assert_eq!(ask(&scene.admin, "GET", "/v1/tools", "").0, 200);
    let (status, refused) = ask(&scene.agent, "GET", "/v1/tools", "");
    assert_eq!((status, &refused["code"]), (503, &json!("reserved_connection")));
    let _silent: Vec<_> = (0..1000).map(|_| TcpStream::connect(&address).unwrap()).collect();
    assert_eq!(ask(&scene.operator, "POST", "/kill", &kill).0, 200);
}

/// A client that guesses keys, or only asks, is slowed down; one behind the same address that shows
/// a key is not.
#[test]
fn requests_without_a_valid_key_are_counted_by_address() {
    let scene = Scene::start(
        "max_unauthenticated_per_second: 1\ntrusted_proxies: [127.0.0.0/8]\nmax_waiting: 64",
    );
    let ask = |key: &str, from: &str, path: &str| {
        let mut stream = scene.server.connect();
        let request = scene.server.request_with(key, "GET", path, "");
        let request = request.replace("\r\n\r\n", &format!("\r\nx-forwarded-for: {from}\r\n\r\n"));
        stream.write_all(request.as_bytes()).unwrap();
        answer(stream)
    };
    let guess = "snt_admin_0123456789012345678901234567890123456789012";
    let tried: Vec<_> = (0..40).map(|_| ask(guess, "198.51.100.1", "/v1/tools")).collect();
    assert_eq!(tried[0].0, 401);
    let (status, refused) = &tried[39];
    assert_eq!((*status, &refused["code"]), (429, &json!("too_many_unauthenticated")));
    assert_eq!(ask(guess, "198.51.100.2", "/v1/tools").0, 401, "another address");
    assert_eq!(ask(&scene.admin, "198.51.100.1", "/v1/tools").0, 200, "a valid key");
    assert_eq!(ask("", "198.51.100.1", "/healthz").0, 200, "a balancer's question");
}

/// A gateway's connection that takes its calls back as fast as it makes them is ended, and no
/// other.
#[test]
fn calls_of_a_gateway_that_are_taken_back_without_end_end_its_connection() {
    let scene = Scene::start("ext_authz_listen: 127.0.0.1:0");
    let address = scene.server.ready["metadata"]["ext_authz"].as_str().unwrap().to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut sent = 0;
    // `POST http / a`, by the static table, and RST_STREAM (CANCEL).
    for stream_id in (1..20_001_u32).step_by(2) {
        let mut frames = b"\0\0\x06\x01\x04".to_vec();
        frames.extend(stream_id.to_be_bytes());
        frames.extend(b"\x83\x86\x84\x41\x01a");
        frames.extend(b"\0\0\x04\x03\0");
        frames.extend(stream_id.to_be_bytes());
        frames.extend(8_u32.to_be_bytes());
        if stream.write_all(&frames).is_err() {
            break;
        }
        sent += 1;
    }
    let mut told = Vec::new();
    // An end, or a reset: both say that it is over.
    drop(stream.read_to_end(&mut told));
    let goaway = told.windows(9).any(|frame| frame[..3] != [0, 0, 0] && frame[3] == 7);
    assert!(goaway || sent < 10_000, "{sent} calls were taken back, and it goes on");
    assert_eq!(scene.kills(1).len(), 1);
    let mut another = TcpStream::connect(&address).unwrap();
    another.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut head = [0; 9];
    another.read_exact(&mut head).unwrap();
    assert_eq!(head[3], 4, "a frame of settings: {head:?}");
}

/// The largest context that is admitted: nothing but small values, which take the most in memory.
fn largest_context() -> Value {
    let fields = (0..19_900).map(|index| (format!("{index:05}"), Value::from(index % 10)));
    Value::Object(fields.collect())
}

#[test]
fn denied_checks_with_the_largest_context_leave_nothing_in_memory() {
    let scene = Scene::start("");
    let check = json!({
        "tenant_slug": "lab", "tool_name": "probe", "action": "read",
        "context": largest_context(),
    });
    let body = check.to_string();
    let too_large = 256 * 1024;
    assert!(body.len() > 190_000 && body.len() <= too_large, "{} bytes", body.len());
    let denied = |count: usize| {
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..count / 2 {
                        let (status, told) =
                            scene.server.http_with(&scene.agent, "POST", "/policy/check", &body);
                        assert_eq!((status, &told["allow"]), (200, &json!(false)), "{told}");
                    }
                });
            }
        });
    };
    // What the first requests need once.
    denied(20);
    let before = scene.server.resident();
    denied(300);
    let after = scene.server.resident();
    let moved = after.saturating_sub(before);
    assert!(moved < 100 * 1024 * 1024, "{} MiB more", moved / 1024 / 1024);
}
