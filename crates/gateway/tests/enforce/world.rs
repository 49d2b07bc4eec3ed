//! The real use cases over a real store, a policy that a test writes, and a server in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::id::{DecisionId, ManifestId};
use sentinel_core::manifest::ManifestFilter;
use sentinel_core::name::qualified;
use sentinel_core::page::Page;
use sentinel_core::policy::PolicyEngine;
use sentinel_core::principal::{Principal, Role};
use sentinel_core::tenant::TenantSpec;
use sentinel_core::tool::ToolSpec;
use sentinel_gateway::authority::local::{Local, Speaker};
use sentinel_gateway::authority::{Authority, Outcome, Question, Ruling, Standing, Unsettled};
use sentinel_gateway::catalog::{self, Source};
use sentinel_gateway::client::{Client, Route};
use sentinel_gateway::enforce::{Enforcement, Settings};
use sentinel_gateway::exchange::Exchange;
use sentinel_gateway::upstream::{Failure, Outbound, Reply, Server, Upstream};
use sentinel_ingress::{FrontDoor, Options};
use sentinel_mcp_protocol::jsonrpc::{Id, Notification, Object, Request, RpcError};
use sentinel_provenance::log::Ed25519NoteSigner;
use sentinel_provenance::{AgentAction, Bundle, EcdsaP256Signer, Statement};
use sentinel_service::keys::KeySpec;
use sentinel_service::kill::{Switched, Target};
use sentinel_service::signing::Signing;
use sentinel_service::{Ports, Services};
use sentinel_store_sqlite::SqliteStore;
use sentinel_testkit::build::name;
use sentinel_testkit::clock::ManualClock;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::sync::{Notify, broadcast, watch};

use crate::policy::Policy;

pub(crate) const ADMIN: Principal = Principal::LOCAL;
pub(crate) const TENANT: &str = "acme";
pub(crate) const UPSTREAM: &str = "files";

/// What a server does with one request.
#[derive(Clone)]
pub(crate) enum Behaviour {
    Result(Value),
    Error(i64),
    Fail {
        may_have_run: bool,
    },
    /// Replies once the test says so, and obeys a withdrawal.
    Wait(Value),
    /// Never replies, and looks at nothing.
    Deaf,
    /// Asks the client this, and returns what it responded.
    Ask(&'static str, Value),
    /// Wants this first, and replies to the request that has a response.
    Input(Value, Value),
    /// Asks so many times, and counts in its state.
    Rounds(u32),
}

/// A server in memory.
pub(crate) struct Fake {
    tools: Mutex<Vec<Value>>,
    behaviour: Mutex<HashMap<String, Behaviour>>,
    /// What arrived: a request counts from its start.
    pub(crate) received: Mutex<Vec<(String, Value)>>,
    pub(crate) withdrawn: Mutex<Vec<String>>,
    pub(crate) go: Notify,
    pub(crate) arrived: Notify,
    news: broadcast::Sender<Notification>,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl Fake {
    fn new() -> Arc<Self> {
        let tools = [
            ("read", json!({"readOnlyHint": true})),
            ("write", json!({"readOnlyHint": false, "idempotentHint": false})),
            ("plain", json!({})),
            ("meta", json!({})),
        ];
        let tools = tools.map(|(name, annotations)| {
            json!({"name": name, "inputSchema": {"type": "object"}, "annotations": annotations})
        });
        Arc::new(Self {
            tools: Mutex::new(tools.into()),
            behaviour: Mutex::default(),
            received: Mutex::default(),
            withdrawn: Mutex::default(),
            go: Notify::new(),
            arrived: Notify::new(),
            news: broadcast::channel(4).0,
        })
    }

    /// What a tool, or a method, does from now on.
    pub(crate) fn will(&self, what: &str, behaviour: Behaviour) {
        self.behaviour.lock().unwrap().insert(what.to_owned(), behaviour);
    }

    /// Requests that were decided, in the order in which they arrived.
    pub(crate) fn calls(&self) -> Vec<(String, Value)> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn add_tool(&self, tool: Value) {
        self.tools.lock().unwrap().push(tool);
    }

    fn behaviour(&self, method: &str, params: &Object) -> Behaviour {
        let behaviour = self.behaviour.lock().unwrap();
        let tool = params.get("name").and_then(Value::as_str).unwrap_or(method);
        let found = behaviour.get(tool).or_else(|| behaviour.get(method)).cloned();
        found.unwrap_or_else(|| {
            Behaviour::Result(json!({"content": [{"type": "text", "text": "done"}]}))
        })
    }
}

#[async_trait]
impl Upstream for Fake {
    fn name(&self) -> &str {
        UPSTREAM
    }

    async fn server(&self) -> Result<Arc<Server>, Failure> {
        let capabilities = json!({"tools": {}, "prompts": {}, "resources": {}, "completions": {}});
        Ok(Arc::new(Server { capabilities: object(capabilities), ..Server::default() }))
    }

    async fn request(&self, outbound: Outbound, exchange: &dyn Exchange) -> Result<Reply, Failure> {
        let Outbound { method, params, grant } = outbound;
        match method.as_str() {
            "tools/list" => {
                let tools = self.tools.lock().unwrap().clone();
                return Ok(Reply::Result(object(json!({ "tools": tools }))));
            }
            "prompts/list" => {
                let prompts = json!({"prompts": [{"name": "greet"}]});
                return Ok(Reply::Result(object(prompts)));
            }
            _ => assert!(!grant.is_lifecycle(), "{method} needs a permit"),
        }
        let withdrawn = |may_have_run| Failure {
            code: "withdrawn",
            detail: "it was withdrawn".to_owned(),
            may_have_run,
        };
        let started = grant.start().await.map_err(|_| withdrawn(false))?;
        self.received.lock().unwrap().push((method.clone(), Value::Object(params.clone())));
        self.arrived.notify_one();
        drop(started);
        match self.behaviour(&method, &params) {
            Behaviour::Result(result) => Ok(Reply::Result(object(result))),
            Behaviour::Error(code) => {
                let message = "the server's own".to_owned();
                Ok(Reply::Error(RpcError { code, message, data: None }))
            }
            Behaviour::Fail { may_have_run } => {
                let detail = "the connection broke".to_owned();
                Err(Failure { code: "upstream_unavailable", detail, may_have_run })
            }
            Behaviour::Wait(result) => tokio::select! {
                () = self.go.notified() => Ok(Reply::Result(object(result))),
                why = grant.withdrawn() => {
                    self.withdrawn.lock().unwrap().push(why.code.into_owned());
                    Err(withdrawn(true))
                }
                () = exchange.cancelled() => {
                    let detail = "the client is gone".to_owned();
                    Err(Failure { code: "cancelled", detail, may_have_run: true })
                }
            },
            Behaviour::Deaf => std::future::pending().await,
            Behaviour::Ask(method, params) => {
                let response = exchange.ask(method, object(params)).await;
                let text = match response {
                    Ok(response) => Value::Object(response).to_string(),
                    Err(error) => error.to_string(),
                };
                let content = json!({"content": [{"type": "text", "text": text}]});
                Ok(Reply::Result(object(content)))
            }
            Behaviour::Input(first, then) => {
                let responded = params.contains_key("inputResponses");
                let reply = object(if responded { then } else { first });
                Ok(if responded { Reply::Result(reply) } else { Reply::InputRequired(reply) })
            }
            Behaviour::Rounds(most) => {
                let state = params.get("requestState").and_then(Value::as_str);
                let round: u32 = state.map_or(0, |state| state.parse().unwrap());
                let ask = json!({"q": {"method": "elicitation/create", "params": {}}});
                let next = (round + 1).to_string();
                let ask = json!({"inputRequests": ask, "requestState": next});
                let done = json!({"content": [{"type": "text", "text": "done"}]});
                let asks = round < most;
                let reply = object(if asks { ask } else { done });
                Ok(if asks { Reply::InputRequired(reply) } else { Reply::Result(reply) })
            }
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

/// The authority of the server, but for the pins: every tool is what it should be.
#[derive(Debug)]
struct Unpinned(Local);

#[async_trait]
impl Authority for Unpinned {
    fn principal(&self) -> &str {
        self.0.principal()
    }

    async fn decide(&self, question: Question) -> Ruling {
        self.0.decide(question).await
    }

    async fn settle(&self, outcome: Outcome) -> Result<Option<ManifestId>, String> {
        self.0.settle(outcome).await
    }

    async fn standing(
        &self,
        upstream: &str,
        tools: &[Arc<Object>],
    ) -> Result<Vec<Standing>, Unsettled> {
        let names = tools.iter().filter_map(|tool| tool.get("name")?.as_str());
        let doors = ["resources", "prompts", "completion", "sampling", "elicitation"];
        let standing = names.chain(doors).map(|name| Standing {
            name: qualified(upstream, name).unwrap().to_string(),
            visible: true,
            quarantined: None,
        });
        Ok(standing.collect())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes()
    }
}

/// A gateway with one server.
pub(crate) struct World {
    pub(crate) services: Arc<Services>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) upstream: Arc<Fake>,
    pub(crate) enforcement: Arc<Enforcement>,
    door: Arc<FrontDoor>,
    route: Arc<Route>,
    _folder: TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    pub(crate) async fn start_with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path().join("sentinel.db")).unwrap());
        let (policy, clock) = (Arc::new(Policy::default()), Arc::new(ManualClock::default()));
        let ports = Ports {
            store: store.clone(),
            log: store.clone(),
            payloads: store,
            key_wrapper: None,
            policy: Arc::clone(&policy) as Arc<dyn PolicyEngine>,
            signing: Signing::Direct(Arc::new(EcdsaP256Signer::generate().unwrap())),
            retired_keys: Vec::new(),
            checkpoints: vec![Arc::new(
                Ed25519NoteSigner::from_seed("log.example", &[7; 32]).unwrap(),
            )],
            clock: clock as Arc<dyn sentinel_core::clock::Clock>,
        };
        let limits = sentinel_service::Settings { queue: 20_000, ..Default::default() };
        let services = Arc::new(Services::start(ports, limits).await.unwrap());
        for tool in ["read", "write", "plain", "meta", "hidden", "odd"] {
            register(&services, tool).await;
        }
        for door in ["resources", "prompts", "completion", "sampling", "elicitation"] {
            register(&services, door).await;
        }
        let door = Arc::new(FrontDoor::new(Arc::clone(&services), Options::default()));
        let upstream = Fake::new();
        let listed = Arc::new(catalog::Settings::new([7; 32]));
        let source = Source::new(Arc::clone(&upstream) as Arc<dyn Upstream>, &listed);
        let route = Arc::new(Route::merged(vec![source], listed));
        let enforcement = Arc::new(Enforcement::new(settings, [9; 32]));
        Self { services, policy, upstream, enforcement, door, route, _folder: folder }
    }

    /// A client of the administrator.
    pub(crate) fn client(&self) -> Arc<Client> {
        self.client_of(ADMIN)
    }

    pub(crate) fn client_of(&self, principal: Principal) -> Arc<Client> {
        let speaker = Speaker {
            principal,
            tenant: name(TENANT),
            agent: Some(name("bot")),
            request_id: "request-1".into(),
        };
        let authority = Arc::new(Unpinned(Local::new(Arc::clone(&self.door), speaker)));
        let client = Client::new(authority, Arc::clone(&self.route));
        Arc::new(client.enforced_by(Arc::clone(&self.enforcement)))
    }

    /// A key of another agent of the tenant.
    pub(crate) async fn principal(&self, label: &str) -> Principal {
        let spec = KeySpec {
            name: name(label),
            role: Role::Agent,
            tenant: Some(name(TENANT)),
            agent: None,
            owner: None,
        };
        let made = self.services.keys.create(&ADMIN, spec).await.unwrap();
        Principal::of_key(Arc::new(made.key))
    }

    pub(crate) async fn kill(&self, tool: &str) -> Switched {
        let target = Target::Tool(name(TENANT), name(&format!("{UPSTREAM}__{tool}")));
        self.services.kills.kill(&ADMIN, &target, name("incident 4711")).await.unwrap()
    }

    /// The recorded outcomes of a decision: what the manifests say, oldest first. Waits until
    /// there is one.
    pub(crate) async fn outcomes(&self, decision: DecisionId) -> Vec<String> {
        let filter = ManifestFilter { decision_id: Some(decision), ..Default::default() };
        let look = async || {
            let page = Page::first(100);
            self.services.provenance.manifests(&ADMIN, None, filter.clone(), page).await.unwrap()
        };
        let wait = async {
            loop {
                let found = look().await.items;
                if !found.is_empty() {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let mut found = within(wait).await;
        found.reverse();
        let outcome = |bundle: &str| {
            let bundle = Bundle::parse(bundle.as_bytes()).unwrap();
            let statement = Statement::<AgentAction>::parse(bundle.envelope.payload()).unwrap();
            statement.predicate().metadata["outcome"].as_str().unwrap().to_owned()
        };
        found.iter().map(|manifest| outcome(&manifest.bundle)).collect()
    }

    /// Every recorded decision, oldest first: tool and code.
    pub(crate) async fn decisions(&self) -> Vec<(String, String, DecisionId)> {
        let filter = sentinel_core::audit::DecisionFilter::default();
        let found =
            self.services.audit.decisions(&ADMIN, None, filter, Page::first(100)).await.unwrap();
        let mut all: Vec<_> = found
            .items
            .into_iter()
            .map(|record| (record.tool.to_string(), record.code.as_str().to_owned(), record.id))
            .collect();
        all.reverse();
        all
    }
}

async fn register(services: &Services, tool: &str) {
    let spec = ToolSpec {
        name: name(&format!("{UPSTREAM}__{tool}")),
        url: "https://tools.example.com/".parse().unwrap(),
        owner: name("platform"),
        scopes: Vec::new(),
        metadata: Map::new(),
        healthcheck: None,
    };
    let tenant = TenantSpec { slug: name(TENANT), display_name: name(TENANT) };
    services.registry.register(&ADMIN, tenant, spec).await.unwrap();
}

/// A client that responds to what it is asked, and goes when the test says so.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    pub(crate) asked: Mutex<Vec<String>>,
    pub(crate) gone: watch::Sender<bool>,
    /// Whether what it is asked is never answered.
    pub(crate) silent: bool,
}

#[async_trait]
impl Exchange for Talk {
    async fn notify(&self, _: Notification) {}

    fn can_ask(&self) -> bool {
        true
    }

    async fn ask(&self, method: &str, _: Object) -> Result<Object, RpcError> {
        self.asked.lock().unwrap().push(method.to_owned());
        if self.silent {
            std::future::pending::<()>().await;
        }
        Ok(object(json!({"action": "accept"})))
    }

    async fn cancelled(&self) {
        let mut gone = self.gone.subscribe();
        let _ = gone.wait_for(|gone| *gone).await;
    }
}

pub(crate) fn request(method: &str, params: Value) -> Request {
    Request { id: Id::Integer(1), method: method.to_owned(), params: object(params) }
}

/// Calls a tool; the result as a value.
pub(crate) async fn call(client: &Client, tool: &str, arguments: Value) -> Value {
    try_call(client, json!({"name": format!("{UPSTREAM}__{tool}"), "arguments": arguments}))
        .await
        .unwrap()
}

pub(crate) async fn try_call(client: &Client, params: Value) -> Result<Value, RpcError> {
    let request = request("tools/call", params);
    let talk = Talk::default();
    within(sentinel_gateway::enforce::call_tool(client, &request, &talk)).await.map(Value::Object)
}

/// The text of a result.
pub(crate) fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}

/// The code of a denial.
pub(crate) fn code(result: &Value) -> &str {
    assert_eq!(result["isError"], true, "{result}");
    result["_meta"]["sentinel/denial"]["code"].as_str().unwrap_or_default()
}

pub(crate) fn decision(result: &Value) -> DecisionId {
    let meta = &result["_meta"];
    let id = meta["sentinel/decision"].as_str().or(meta["sentinel/denial"]["decision_id"].as_str());
    id.unwrap().parse().unwrap()
}

pub(crate) fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

/// No test waits for ever.
pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("it takes too long")
}
