//! A client at the one end, a server at the other.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::id::{DecisionId, ManifestId};
use sentinel_core::name::qualified;
use sentinel_gateway::authority::{
    Allowed, Authority, Grant, InFlight, Outcome, Question, Ruling, Standing, Started, Unsettled,
    Withdrawal, Withdrawn,
};
use sentinel_gateway::catalog::{Settings, Source};
use sentinel_gateway::client::Route;
use sentinel_gateway::exchange::Exchange;
use sentinel_gateway::front::stdio::{Limits, Options, serve};
use sentinel_gateway::upstream::{Failure, Outbound, Reply, Server, Upstream};
use sentinel_mcp_protocol::era::Era;
use sentinel_mcp_protocol::jsonrpc::{Notification, Object};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(10);

/// A server whose tools do what their names say.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) events: Mutex<Vec<String>>,
    news: broadcast::Sender<Notification>,
    pub(crate) closed: CancellationToken,
}

impl Tools {
    fn note(&self, event: impl Into<String>) {
        self.events.lock().unwrap().push(event.into());
    }

    async fn call(&self, params: &Object, exchange: &dyn Exchange) -> Result<Value, Failure> {
        match params["name"].as_str().unwrap() {
            "ask" => {
                let question = object(json!({"message": "sure?"}));
                Ok(match exchange.ask("elicitation/create", question).await {
                    Ok(answer) => said(&Value::Object(answer).to_string()),
                    Err(error) => said(&format!("asking failed: {error}")),
                })
            }
            "wait" => {
                self.note("waiting");
                exchange.cancelled().await;
                self.note("cancelled");
                let detail = "the client waits no longer".to_owned();
                Err(Failure { code: "cancelled", detail, may_have_run: true })
            }
            "slow" => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok(said("slow"))
            }
            "report" => {
                let token = params["_meta"].get("progressToken").cloned().unwrap_or_default();
                for (method, params) in [
                    ("notifications/progress", json!({"progressToken": token, "progress": 1})),
                    ("notifications/progress", json!({"progressToken": "other", "progress": 1})),
                    ("notifications/message", json!({"level": "error", "data": "loud"})),
                    ("notifications/message", json!({"level": "debug", "data": "quiet"})),
                ] {
                    let params = object(params);
                    exchange.notify(Notification { method: method.into(), params }).await;
                }
                Ok(said("reported"))
            }
            name => Ok(said(name)),
        }
    }
}

fn said(text: &str) -> Value {
    json!({"resultType": "complete", "content": [{"type": "text", "text": text}]})
}

#[async_trait]
impl Upstream for Tools {
    fn name(&self) -> &str {
        "small"
    }

    async fn server(&self) -> Result<Arc<Server>, Failure> {
        let capabilities = object(json!({"tools": {"listChanged": true}}));
        Ok(Arc::new(Server { capabilities, ..Server::default() }))
    }

    async fn request(&self, outbound: Outbound, exchange: &dyn Exchange) -> Result<Reply, Failure> {
        let Outbound { method, params, grant } = outbound;
        let result = match method.as_str() {
            "tools/list" => {
                let names = ["ask", "echo", "report", "slow", "wait"];
                let schema = json!({"type": "object"});
                let tools = names.map(|name| json!({"name": name, "inputSchema": schema}));
                json!({"tools": tools})
            }
            "tools/call" => {
                let _started = grant.start().await.unwrap();
                self.call(&params, exchange).await?
            }
            _ => json!({}),
        };
        Ok(Reply::Result(object(result)))
    }

    async fn notify(&self, _: Notification) -> Result<(), Failure> {
        Ok(())
    }

    fn news(&self) -> broadcast::Receiver<Notification> {
        self.news.subscribe()
    }

    async fn close(&self) {
        self.closed.cancel();
    }
}

/// Allows everything.
#[derive(Debug)]
struct Everything(watch::Sender<u64>);

#[derive(Debug)]
struct Free;

#[async_trait]
impl InFlight for Free {
    async fn start(&self) -> Result<Started, Withdrawn> {
        Ok(Started::free())
    }

    fn withdrawal(&self) -> Withdrawal {
        Withdrawal::default()
    }
}

#[async_trait]
impl Authority for Everything {
    fn principal(&self) -> &str {
        "alice"
    }

    async fn decide(&self, _: Question) -> Ruling {
        let decision = DecisionId(uuid::Uuid::nil());
        let grant = Grant::new(Box::new(Free));
        Ruling::Allowed(Allowed { decision, record: None, grant, quota_remaining: None })
    }

    async fn settle(&self, _: Outcome) -> Result<Option<ManifestId>, String> {
        Ok(None)
    }

    async fn standing(
        &self,
        upstream: &str,
        tools: &[Arc<Object>],
    ) -> Result<Vec<Standing>, Unsettled> {
        let names = tools.iter().map(|tool| tool["name"].as_str().unwrap());
        let doors = ["resources", "prompts", "completion", "sampling", "elicitation"];
        let all = names.chain(doors).map(|name| qualified(upstream, name).unwrap().to_string());
        Ok(all.map(|name| Standing { name, visible: true, quarantined: None }).collect())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

/// A client.
pub(crate) struct World {
    pub(crate) tools: Arc<Tools>,
    pub(crate) era: Arc<Mutex<Option<Era>>>,
    input: Option<DuplexStream>,
    output: tokio::io::Lines<BufReader<DuplexStream>>,
    kept: Vec<Value>,
    served: JoinHandle<std::io::Result<()>>,
    pub(crate) stop: CancellationToken,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Limits { grace: Duration::from_secs(1), ..Limits::default() })
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let news = broadcast::channel(16).0;
        let tools = Tools { events: Mutex::default(), news, closed: CancellationToken::new() };
        let (tools, era) = (Arc::new(tools), Arc::new(Mutex::new(None)));
        let (upstream, seen) = (Arc::clone(&tools), Arc::clone(&era));
        let stop = CancellationToken::new();
        let options = Options {
            authority: Arc::new(Everything(watch::Sender::new(0))),
            route: Box::new(move |era| {
                *seen.lock().unwrap() = Some(era);
                let settings = Arc::new(Settings::new([0; 32]));
                Arc::new(Route::single(Source::new(upstream, &settings), settings))
            }),
            stop: stop.clone(),
            limits,
        };
        let (input, theirs) = tokio::io::duplex(1 << 16);
        let (ours, output) = tokio::io::duplex(1 << 16);
        let served = tokio::spawn(serve(options, theirs, ours));
        let output = BufReader::new(output).lines();
        Self { tools, era, input: Some(input), output, kept: Vec::new(), served, stop }
    }

    pub(crate) async fn line(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    pub(crate) async fn send(&mut self, id: Value, method: &str, params: Value) {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.line(&message.to_string()).await;
    }

    pub(crate) async fn notify(&mut self, method: &str, params: Value) {
        let message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        self.line(&message.to_string()).await;
    }

    /// The next message for which `is_it` holds; others are kept.
    pub(crate) async fn find(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&is_it) {
            return self.kept.remove(at);
        }
        loop {
            let line = tokio::time::timeout(PATIENCE, self.output.next_line()).await;
            let line = line.expect("nothing in time").unwrap().expect("the output has ended");
            let message: Value = serde_json::from_str(&line).unwrap();
            if is_it(&message) {
                return message;
            }
            self.kept.push(message);
        }
    }

    pub(crate) async fn response(&mut self, id: impl Into<Value>) -> Value {
        let id = id.into();
        self.find(|message| message["id"] == id && message.get("method").is_none()).await
    }

    pub(crate) async fn ask(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.send(id.into(), method, params).await;
        self.response(id).await
    }

    pub(crate) async fn method(&mut self, method: &str) -> Value {
        self.find(|message| message["method"] == method).await
    }

    /// What was written and not asked for so far.
    pub(crate) fn unasked(&self) -> &[Value] {
        &self.kept
    }

    pub(crate) async fn happened(&self, event: &str) {
        let seen = || self.tools.events.lock().unwrap().iter().any(|seen| seen == event);
        let wait = async {
            while !seen() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect(event);
    }

    /// Ends the input.
    pub(crate) fn close(&mut self) {
        drop(self.input.take());
    }

    /// What is still written, and the end.
    pub(crate) async fn rest(mut self) -> Vec<Value> {
        let mut rest = std::mem::take(&mut self.kept);
        let read = async {
            while let Some(line) = self.output.next_line().await.unwrap() {
                rest.push(serde_json::from_str(&line).unwrap());
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("the output does not end");
        tokio::time::timeout(PATIENCE, self.served).await.expect("no end").unwrap().unwrap();
        assert!(self.tools.closed.is_cancelled(), "the server was not ended");
        rest
    }
}

pub(crate) fn object(value: Value) -> Object {
    let Value::Object(object) = value else { panic!("not an object: {value}") };
    object
}

pub(crate) fn text(response: &Value) -> &str {
    response["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{response}"))
}
