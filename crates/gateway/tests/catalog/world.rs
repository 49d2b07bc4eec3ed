//! Upstreams and an authority in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::id::ManifestId;
use sentinel_core::name::qualified;
use sentinel_gateway::authority::{
    Authority, Denied, Outcome, Question, Ruling, Standing, Unsettled,
};
use sentinel_gateway::catalog::{Settings, Source};
use sentinel_gateway::client::{Client, Route};
use sentinel_gateway::exchange::Exchange;
use sentinel_gateway::mediator;
use sentinel_gateway::upstream::{Failure, Outbound, Reply, Server, Upstream};
use sentinel_mcp_protocol::jsonrpc::{Id, Notification, Object, Request, RpcError};
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};

/// A server whose lists a test sets.
#[derive(Debug)]
pub(crate) struct Fake {
    name: String,
    server: Mutex<Server>,
    /// Pages of each list, by method.
    pages: Mutex<HashMap<String, Vec<Value>>>,
    /// Requests wait while it is closed.
    gate: watch::Sender<bool>,
    down: AtomicBool,
    pub(crate) requests: Mutex<Vec<(String, Object)>>,
    news: broadcast::Sender<Notification>,
}

impl Fake {
    pub(crate) fn new(name: &str) -> Arc<Self> {
        let server = Server {
            capabilities: object(json!({"tools": {}, "prompts": {}, "resources": {}})),
            ..Server::default()
        };
        Arc::new(Self {
            name: name.to_owned(),
            server: Mutex::new(server),
            pages: Mutex::default(),
            gate: watch::Sender::new(true),
            down: AtomicBool::new(false),
            requests: Mutex::default(),
            news: broadcast::channel(16).0,
        })
    }

    /// A server with sound tools of these names.
    pub(crate) fn with_tools(name: &str, tools: &[&str]) -> Arc<Self> {
        let fake = Self::new(name);
        fake.set_tools(tools.iter().map(|tool| sound(tool)).collect());
        fake
    }

    pub(crate) fn set_server(&self, server: Server) {
        *self.server.lock().unwrap() = server;
    }

    pub(crate) fn set_tools(&self, tools: Vec<Value>) {
        let page = Object::from_iter([("tools".to_owned(), Value::Array(tools))]);
        self.set("tools/list", vec![Value::Object(page)]);
    }

    /// Sets the pages of a list. Each is a whole result.
    pub(crate) fn set(&self, method: &str, pages: Vec<Value>) {
        self.pages.lock().unwrap().insert(method.to_owned(), pages);
    }

    /// Has requests wait until it is opened.
    pub(crate) fn set_open(&self, open: bool) {
        self.gate.send_replace(open);
    }

    /// Waits until a request was sent.
    pub(crate) async fn asked(&self, method: &str, times: usize) {
        let asked = async {
            while self.count(method) < times {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), asked).await.expect("the server is asked");
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    pub(crate) fn announce(&self, method: &str, params: Value) {
        let params = object(params);
        let _ = self.news.send(Notification { method: method.to_owned(), params });
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|(sent, _)| sent == method).count()
    }

    async fn answer(&self) -> Result<(), Failure> {
        self.gate.subscribe().wait_for(|open| *open).await.unwrap();
        if self.down.load(Ordering::SeqCst) {
            let detail = "it is down".to_owned();
            return Err(Failure { code: "upstream_unavailable", detail, may_have_run: false });
        }
        Ok(())
    }
}

#[async_trait]
impl Upstream for Fake {
    fn name(&self) -> &str {
        &self.name
    }

    async fn server(&self) -> Result<Arc<Server>, Failure> {
        self.answer().await?;
        Ok(Arc::new(self.server.lock().unwrap().clone()))
    }

    async fn request(&self, outbound: Outbound, _: &dyn Exchange) -> Result<Reply, Failure> {
        let Outbound { method, params, grant } = outbound;
        assert!(grant.is_lifecycle(), "a list needs no permit");
        self.requests.lock().unwrap().push((method.clone(), params.clone()));
        self.answer().await?;
        let pages = self.pages.lock().unwrap();
        let Some(pages) = pages.get(&method) else { return Ok(Reply::Result(empty())) };
        let page = params.get("cursor").map_or(0, |cursor| {
            pages.iter().position(|page| page["nextCursor"] == *cursor).expect("a cursor of ours")
                + 1
        });
        // A server that repeats its last cursor serves its last page again.
        let page = &pages[page.min(pages.len() - 1)];
        Ok(Reply::Result(object(page.clone())))
    }

    async fn notify(&self, _: Notification) -> Result<(), Failure> {
        Ok(())
    }

    fn news(&self) -> broadcast::Receiver<Notification> {
        self.news.subscribe()
    }

    async fn close(&self) {}
}

/// A page without items, of whatever list.
fn empty() -> Object {
    object(json!({"tools": [], "prompts": [], "resources": [], "resourceTemplates": []}))
}

/// Registry and policy.
#[derive(Debug)]
pub(crate) struct Ledger {
    principal: String,
    /// What policy hides, by the names in the registry.
    hidden: Mutex<BTreeSet<String>>,
    quarantined: Mutex<BTreeMap<String, String>>,
    pub(crate) presented: Mutex<Vec<(String, Vec<Arc<Object>>)>>,
    pub(crate) asked: AtomicUsize,
    /// How many tools were hidden, each time a client was shown none.
    pub(crate) silences: Mutex<Vec<usize>>,
    down: Mutex<Option<Unsettled>>,
    changes: watch::Sender<u64>,
}

impl Ledger {
    pub(crate) fn new(principal: &str) -> Arc<Self> {
        Arc::new(Self {
            principal: principal.to_owned(),
            hidden: Mutex::default(),
            quarantined: Mutex::default(),
            presented: Mutex::default(),
            asked: AtomicUsize::new(0),
            silences: Mutex::default(),
            down: Mutex::default(),
            changes: watch::Sender::new(0),
        })
    }

    pub(crate) fn hide(&self, names: &[&str]) {
        *self.hidden.lock().unwrap() = names.iter().map(|name| (*name).to_owned()).collect();
        self.changes.send_modify(|epoch| *epoch += 1);
    }

    pub(crate) fn quarantine(&self, name: &str, reason: &str) {
        self.quarantined.lock().unwrap().insert(name.to_owned(), reason.to_owned());
        self.changes.send_modify(|epoch| *epoch += 1);
    }

    pub(crate) fn set_down(&self, down: bool) {
        let why = || Unsettled::from("the registry is down".to_owned());
        *self.down.lock().unwrap() = down.then(why);
    }

    /// Has the registry refuse the servers, with this code.
    pub(crate) fn refuse(&self, code: &str) {
        *self.down.lock().unwrap() = Some(Unsettled::of(code, "refused".to_owned()));
    }

    /// The control state moved, and nothing of it concerns the tools.
    pub(crate) fn touch(&self) {
        self.changes.send_modify(|epoch| *epoch += 1);
    }

    fn stand(&self, name: String) -> Standing {
        let visible = !self.hidden.lock().unwrap().contains(&name);
        let quarantined = self.quarantined.lock().unwrap().get(&name).cloned();
        Standing { name, visible, quarantined }
    }
}

#[async_trait]
impl Authority for Ledger {
    fn principal(&self) -> &str {
        &self.principal
    }

    async fn decide(&self, _: Question) -> Ruling {
        Ruling::Denied(Denied {
            code: "policy_denied".to_owned(),
            reason: "nothing is called here".to_owned(),
            decision: None,
            retry_after: None,
        })
    }

    async fn settle(&self, _: Outcome) -> Result<Option<ManifestId>, String> {
        Ok(None)
    }

    async fn standing(
        &self,
        upstream: &str,
        tools: &[Arc<Object>],
    ) -> Result<Vec<Standing>, Unsettled> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if let Some(why) = self.down.lock().unwrap().clone() {
            return Err(why);
        }
        self.presented.lock().unwrap().push((upstream.to_owned(), tools.to_vec()));
        let names = tools.iter().map(|tool| tool["name"].as_str().unwrap());
        let doors = ["resources", "prompts", "completion", "sampling", "elicitation"];
        let all = names.chain(doors).map(|name| qualified(upstream, name).unwrap().to_string());
        Ok(all.map(|name| self.stand(name)).collect())
    }

    fn shown_nothing(&self, hidden: usize) {
        self.silences.lock().unwrap().push(hidden);
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// Clients of some upstreams.
pub(crate) struct World {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) route: Arc<Route>,
}

impl World {
    /// All upstreams behind one endpoint.
    pub(crate) fn merged(upstreams: &[&Arc<Fake>]) -> Self {
        Self::with(upstreams, settings())
    }

    pub(crate) fn with(upstreams: &[&Arc<Fake>], settings: Settings) -> Self {
        let settings = Arc::new(settings);
        let sources = upstreams.iter().map(|upstream| source(upstream, &settings)).collect();
        let route = Arc::new(Route::merged(sources, settings));
        Self { ledger: Ledger::new("alice"), route }
    }

    /// One upstream, under its own names.
    pub(crate) fn single(upstream: &Arc<Fake>) -> Self {
        let settings = Arc::new(settings());
        let route = Route::single(source(upstream, &settings), settings);
        Self { ledger: Ledger::new("alice"), route: Arc::new(route) }
    }

    pub(crate) fn client(&self) -> Arc<Client> {
        let authority: Arc<dyn Authority> = Arc::clone(&self.ledger) as _;
        Arc::new(Client::new(authority, Arc::clone(&self.route)))
    }

    /// A client of another principal, for whom policy is the same.
    pub(crate) fn client_of(&self, principal: &str) -> Arc<Client> {
        Arc::new(Client::new(Ledger::new(principal), Arc::clone(&self.route)))
    }
}

pub(crate) fn source(upstream: &Arc<Fake>, settings: &Arc<Settings>) -> Arc<Source> {
    Source::new(Arc::clone(upstream) as Arc<dyn Upstream>, settings)
}

pub(crate) fn settings() -> Settings {
    Settings::new([7; 32])
}

pub(crate) fn sound(name: &str) -> Value {
    json!({
        "name": name,
        "description": format!("does {name}"),
        "inputSchema": {"type": "object", "properties": {"path": {"type": "string"}}},
    })
}

pub(crate) fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        _ => panic!("not an object"),
    }
}

pub(crate) async fn ask(client: &Client, method: &str, params: Value) -> Result<Value, RpcError> {
    let request = Request { id: Id::Integer(1), method: method.to_owned(), params: object(params) };
    mediator::serve(client, &request, &Silent).await.map(Value::Object)
}

/// The names, or URIs, that the first page of a list has.
pub(crate) async fn names(client: &Client, method: &str) -> Vec<String> {
    let page = ask(client, method, json!({})).await.expect("a list never fails");
    names_of(&page)
}

pub(crate) fn names_of(page: &Value) -> Vec<String> {
    let lists = ["tools", "prompts", "resources", "resourceTemplates"];
    let items = lists.iter().find_map(|list| page[list].as_array()).expect("a list");
    let name = |item: &Value| {
        let key = ["uri", "uriTemplate", "name"].iter().find_map(|key| item[key].as_str());
        key.expect("an item has a name").to_owned()
    };
    items.iter().map(name).collect()
}

/// A client that says nothing while it waits.
#[derive(Debug)]
pub(crate) struct Silent;

#[async_trait]
impl Exchange for Silent {
    async fn notify(&self, _: Notification) {}

    fn can_ask(&self) -> bool {
        false
    }

    async fn ask(&self, _: &str, _: Object) -> Result<Object, RpcError> {
        Err(RpcError { code: -32603, message: "not asked".to_owned(), data: None })
    }

    async fn cancelled(&self) {
        std::future::pending().await
    }
}
