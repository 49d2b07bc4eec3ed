//! What the tests of upstreams share.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_gateway::authority::{Grant, InFlight, Started, Withdrawal, Withdrawn};
use sentinel_gateway::exchange::Exchange;
use sentinel_gateway::upstream::{Failure, Outbound, Reply, Spec, Transport, Upstream, connect};
use sentinel_mcp_protocol::jsonrpc::{Notification, Object, RpcError};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// A client that waits for a request.
#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) heard: Mutex<Vec<Notification>>,
    pub(crate) asked: Mutex<Vec<String>>,
    /// What it responds to questions, in order; without any it refuses.
    pub(crate) responses: Mutex<VecDeque<Object>>,
    pub(crate) capabilities: Object,
    pub(crate) gone: CancellationToken,
}

#[async_trait]
impl Exchange for Client {
    async fn notify(&self, notification: Notification) {
        self.heard.lock().unwrap().push(notification);
    }

    fn capabilities(&self) -> Object {
        self.capabilities.clone()
    }

    fn can_ask(&self) -> bool {
        true
    }

    async fn ask(&self, method: &str, _params: Object) -> Result<Object, RpcError> {
        self.asked.lock().unwrap().push(method.to_owned());
        let response = self.responses.lock().unwrap().pop_front();
        let refused = RpcError { code: -1, message: "declined".to_owned(), data: None };
        response.ok_or(refused)
    }

    async fn cancelled(&self) {
        self.gone.cancelled().await;
    }
}

/// An allowed call, of which the test sees how often it was started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Permit {
    pub(crate) withdrawal: Withdrawal,
    pub(crate) starts: Arc<AtomicUsize>,
}

#[async_trait]
impl InFlight for Permit {
    async fn start(&self) -> Result<Started, Withdrawn> {
        match self.withdrawal.get() {
            Some(why) => Err(why.clone()),
            None => {
                self.starts.fetch_add(1, Ordering::SeqCst);
                Ok(Started::free())
            }
        }
    }

    fn withdrawal(&self) -> Withdrawal {
        self.withdrawal.clone()
    }
}

impl Permit {
    pub(crate) fn grant(&self) -> Grant {
        Grant::new(Box::new(self.clone()))
    }

    pub(crate) fn kill(&self) {
        let why = Withdrawn { code: "killed".into(), reason: "a test kills it".to_owned() };
        self.withdrawal.withdraw(why);
    }
}

pub(crate) fn object(value: Value) -> Object {
    value.as_object().cloned().unwrap()
}

/// A call of a tool.
pub(crate) fn tool(name: &str, arguments: Value) -> Outbound {
    with_permit(name, arguments, &Permit::default())
}

pub(crate) fn with_permit(name: &str, arguments: Value, permit: &Permit) -> Outbound {
    Outbound {
        method: "tools/call".to_owned(),
        params: object(json!({ "name": name, "arguments": arguments })),
        grant: permit.grant(),
    }
}

pub(crate) fn list() -> Outbound {
    let method = "tools/list".to_owned();
    Outbound { method, params: Object::new(), grant: Grant::lifecycle() }
}

pub(crate) async fn run(
    upstream: &Arc<dyn Upstream>,
    outbound: Outbound,
) -> Result<Reply, Failure> {
    upstream.request(outbound, &Client::default()).await
}

/// The first text of a result.
#[track_caller]
pub(crate) fn text(reply: Result<Reply, Failure>) -> String {
    match reply {
        Ok(Reply::Result(result)) => result["content"][0]["text"].as_str().unwrap().to_owned(),
        other => panic!("not a result: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn result(reply: Result<Reply, Failure>) -> Object {
    match reply {
        Ok(Reply::Result(result)) => result,
        other => panic!("not a result: {other:?}"),
    }
}

/// A child that logs what it sees to a file of its own.
pub(crate) struct Fixture {
    pub(crate) spec: Spec,
    log: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl Fixture {
    pub(crate) fn new(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fixture = Self::logging_to(folder.path().join("log"), options);
        Self { _folder: Some(folder), ..fixture }
    }

    pub(crate) fn logging_to(log: PathBuf, options: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/upstream/server.py");
        let mut command = vec!["python3".to_owned(), "-u".to_owned(), script.to_owned()];
        command.push(format!("log={}", log.display()));
        command.extend(options.iter().map(|option| (*option).to_owned()));
        let mut spec = Spec::new("fixture", Transport::Stdio { command, env: Vec::new() });
        spec.limits.grace = Duration::from_millis(500);
        Self { spec, log, _folder: None }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Spec)) -> Self {
        change(&mut self.spec);
        self
    }

    pub(crate) fn connect(&self) -> Arc<dyn Upstream> {
        connect(self.spec.clone())
    }

    /// What the child has seen.
    pub(crate) fn log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn count(&self, line: &str) -> usize {
        self.log().iter().filter(|logged| logged.starts_with(line)).count()
    }

    pub(crate) async fn wait_for(&self, line: &str) {
        eventually(|| self.count(line) > 0).await;
    }

    /// The process ids of the children that were started.
    pub(crate) fn children(&self) -> Vec<i32> {
        let log = self.log();
        let started = log.iter().filter_map(|line| line.strip_prefix("started "));
        started.map(|pid| pid.parse().unwrap()).collect()
    }
}

pub(crate) async fn eventually(mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen within ten seconds");
}

/// Whether a process exists that has not ended.
pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}
