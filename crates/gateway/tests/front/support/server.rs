use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use sentinel_gateway::exchange::Exchange;
use sentinel_gateway::upstream::{Failure, Outbound, Reply, Server, Upstream};
use sentinel_mcp_protocol::jsonrpc::{Notification, Object, RpcError};
use serde_json::{Value, json};
use tokio::sync::{Notify, broadcast};

/// A server in memory, of no era.
#[derive(Debug)]
pub(crate) struct Scripted {
    name: String,
    news: broadcast::Sender<Notification>,
    /// Calls of `slow` that have begun.
    pub(crate) begun: AtomicUsize,
    /// Calls that were cancelled.
    pub(crate) cancelled: AtomicUsize,
    /// Lets one call of `slow` end.
    pub(crate) release: Notify,
    /// Names of further tools.
    pub(crate) more: std::sync::Mutex<Vec<String>>,
}

impl Scripted {
    pub(crate) fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            news: broadcast::channel(16).0,
            begun: AtomicUsize::new(0),
            cancelled: AtomicUsize::new(0),
            release: Notify::new(),
            more: std::sync::Mutex::default(),
        })
    }

    /// Adds a tool and reports that.
    pub(crate) fn add_tool(&self, name: &str) {
        self.more.lock().unwrap().push(name.to_owned());
        self.report("notifications/tools/list_changed", json!({}));
    }

    pub(crate) fn report(&self, method: &str, params: Value) {
        let notification = Notification { method: method.to_owned(), params: object(params) };
        drop(self.news.send(notification));
    }

    fn tools(&self) -> Value {
        let names = ["echo", "slow", "chatty", "ask", "ask_twice", "fail", "forbidden"];
        let more = self.more.lock().unwrap();
        let names = names.into_iter().chain(more.iter().map(String::as_str));
        let tool = |name: &str| {
            json!({
                "name": name, "description": format!("{name} something"),
                "inputSchema": {"type": "object", "properties": {
                    "region": {"type": "string", "x-mcp-header": "Region"},
                }},
            })
        };
        names.map(tool).collect()
    }

    async fn call(&self, params: &Object, exchange: &dyn Exchange) -> Result<Reply, Failure> {
        let arguments = params.get("arguments").cloned().unwrap_or_else(|| json!({}));
        match params["name"].as_str().unwrap() {
            "slow" => self.slow(exchange).await,
            "chatty" => {
                for step in 1..=3 {
                    let progress = json!({"progressToken": "ours", "progress": step});
                    exchange.notify(notification("notifications/progress", progress)).await;
                    let log = json!({"level": "info", "data": step});
                    exchange.notify(notification("notifications/message", log)).await;
                }
                Ok(text("done"))
            }
            "ask" => Ok(self.ask(exchange, "your name?").await),
            "ask_twice" => {
                let both = futures::join!(self.ask(exchange, "one?"), self.ask(exchange, "two?"));
                Ok(text(&format!("{both:?}")))
            }
            "fail" => Ok(Reply::Error(RpcError {
                code: -32603,
                message: "broken".to_owned(),
                data: None,
            })),
            _ => Ok(text(&arguments.to_string())),
        }
    }

    async fn slow(&self, exchange: &dyn Exchange) -> Result<Reply, Failure> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        tokio::select! {
            () = exchange.cancelled() => {
                self.cancelled.fetch_add(1, Ordering::SeqCst);
                Err(Failure {
                    code: "cancelled",
                    detail: "the client does not wait".to_owned(),
                    may_have_run: true,
                })
            }
            () = self.release.notified() => Ok(text("slow but done")),
        }
    }

    async fn ask(&self, exchange: &dyn Exchange, message: &str) -> Reply {
        let params = json!({
            "message": message, "requestedSchema": {"type": "object", "properties": {}},
        });
        let answer = exchange.ask("elicitation/create", object(params)).await;
        let progress = json!({"progressToken": "ours", "progress": 1});
        exchange.notify(notification("notifications/progress", progress)).await;
        match answer {
            Ok(answer) => text(&Value::Object(answer).to_string()),
            Err(error) => Reply::Error(error),
        }
    }
}

#[async_trait]
impl Upstream for Scripted {
    fn name(&self) -> &str {
        &self.name
    }

    async fn server(&self) -> Result<Arc<Server>, Failure> {
        Ok(Arc::new(Server {
            info: object(json!({"name": self.name, "version": "1"})),
            capabilities: object(json!({
                "tools": {"listChanged": true}, "logging": {},
                "resources": {"subscribe": true, "listChanged": true},
            })),
            instructions: None,
        }))
    }

    async fn request(&self, outbound: Outbound, exchange: &dyn Exchange) -> Result<Reply, Failure> {
        let Outbound { method, params, grant } = outbound;
        let started = grant.start().await.map_err(|_| withdrawn())?;
        drop(started);
        let serving = async {
            match method.as_str() {
                "tools/list" => Ok(result(json!({"tools": self.tools()}))),
                "tools/call" => self.call(&params, exchange).await,
                "resources/list" => Ok(result(json!({"resources": [
                    {"uri": "file:///a", "name": "a"},
                ]}))),
                "resources/read" => Ok(result(json!({"contents": [
                    {"uri": params["uri"], "text": "content"},
                ]}))),
                _ => Ok(result(json!({}))),
            }
        };
        tokio::select! {
            biased;
            _ = grant.withdrawn() => {
                self.cancelled.fetch_add(1, Ordering::SeqCst);
                Err(withdrawn())
            }
            reply = serving => reply,
        }
    }

    async fn notify(&self, _: Notification) -> Result<(), Failure> {
        Ok(())
    }

    fn news(&self) -> broadcast::Receiver<Notification> {
        self.news.subscribe()
    }

    async fn close(&self) {}
}

fn withdrawn() -> Failure {
    let detail = "the call was withdrawn".to_owned();
    Failure { code: "withdrawn", detail, may_have_run: true }
}

fn notification(method: &str, params: Value) -> Notification {
    Notification { method: method.to_owned(), params: object(params) }
}

fn text(text: &str) -> Reply {
    result(json!({"content": [{"type": "text", "text": text}]}))
}

fn result(mut value: Value) -> Reply {
    value["resultType"] = "complete".into();
    Reply::Result(object(value))
}

fn object(value: Value) -> Object {
    value.as_object().unwrap().clone()
}
