use std::sync::Arc;

use reqwest::Method;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::clock::Clock;
use sentinel_core::principal::{Principal, Role};
use sentinel_core::store::Store;
use sentinel_ingress::FrontDoor;
use sentinel_provenance::EcdsaP256Signer;
use sentinel_provenance::log::Ed25519NoteSigner;
use sentinel_service::keys::KeySpec;
use sentinel_service::payloads::{KeyWrapper, LocalKeyWrapper};
use sentinel_service::signing::Signing;
use sentinel_service::{Ports, Services, Settings};
use sentinel_store_sqlite::SqliteStore;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::answer::Answer;
use super::events::Listener;
use super::policy::{FakePolicy, Mode};
use super::store::Flaky;

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn uptime(&self) -> std::time::Duration {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }
}

/// A key, shown to the server or not.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// What a key is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) role: Role,
    pub(crate) tenant: Option<&'static str>,
    pub(crate) agent: Option<&'static str>,
    pub(crate) owner: Option<&'static str>,
}

impl Wanted {
    pub(crate) const fn role(role: Role) -> Self {
        Self { role, tenant: None, agent: None, owner: None }
    }

    pub(crate) const fn of(self, tenant: &'static str) -> Self {
        Self { tenant: Some(tenant), ..self }
    }

    pub(crate) const fn bound(self, agent: &'static str) -> Self {
        Self { agent: Some(agent), ..self }
    }

    pub(crate) const fn held_by(self, owner: &'static str) -> Self {
        Self { owner: Some(owner), ..self }
    }
}

/// How a server is started.
#[derive(Default)]
pub(crate) struct Offer {
    door: sentinel_ingress::Options,
    http: sentinel_http::Options,
}

impl From<sentinel_ingress::Options> for Offer {
    fn from(door: sentinel_ingress::Options) -> Self {
        Self { door, ..Self::default() }
    }
}

impl From<sentinel_http::Options> for Offer {
    fn from(http: sentinel_http::Options) -> Self {
        Self { http, ..Self::default() }
    }
}

/// A server that listens, with an administrator's key.
pub(crate) struct App {
    pub(crate) services: Arc<Services>,
    pub(crate) admin: Key,
    pub(crate) base: String,
    /// Where gateways ask.
    pub(crate) gateway: String,
    pub(crate) client: reqwest::Client,
    policy: Arc<FakePolicy>,
    store: Arc<Flaky>,
    servers: [tokio::task::JoinHandle<()>; 2],
    _directory: TempDir,
}

impl Drop for App {
    fn drop(&mut self) {
        self.servers.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(Offer::default()).await
    }

    pub(crate) async fn with(offer: impl Into<Offer>) -> Self {
        let Offer { door, http } = offer.into();
        let directory = tempfile::tempdir().unwrap();
        let sqlite = Arc::new(SqliteStore::open(directory.path().join("sentinel.db")).unwrap());
        let store = Flaky::new(sqlite.clone());
        let policy = FakePolicy::new();
        let wrapper = LocalKeyWrapper::new(&[3; 32].into()).unwrap();
        let wrapper: Arc<dyn KeyWrapper> = Arc::new(wrapper);
        let ports = Ports {
            store: Arc::clone(&store) as Arc<dyn Store>,
            log: sqlite.clone(),
            payloads: sqlite,
            key_wrapper: Some(wrapper),
            policy: policy.clone(),
            signing: Signing::Direct(Arc::new(EcdsaP256Signer::generate().unwrap())),
            retired_keys: Vec::new(),
            checkpoints: vec![Arc::new(
                Ed25519NoteSigner::from_seed("log.example", &[7; 32]).unwrap(),
            )],
            clock: Arc::new(SystemClock),
        };
        let services = Arc::new(Services::start(ports, Settings::default()).await.unwrap());
        let admin = key(&services, Wanted::role(Role::Admin)).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let door = Arc::new(FrontDoor::new(Arc::clone(&services), door));
        let ext_authz = sentinel_ext_authz::router(Arc::clone(&door));
        let http = sentinel_http::router(door, http);
        let gateways = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = format!("http://{}", gateways.local_addr().unwrap());
        let servers = [(listener, http), (gateways, ext_authz)].map(|(listener, router)| {
            tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
        });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let _directory = directory;
        Self { services, admin, base, gateway, client, policy, store, servers, _directory }
    }

    /// A server with two tenants of one tool each: `acme/search` and `other/ledger`.
    pub(crate) async fn seeded() -> Self {
        let app = Self::start().await;
        app.seed().await;
        app
    }

    pub(crate) async fn seed(&self) {
        self.register("acme", "search").await;
        self.register("other", "ledger").await;
    }

    pub(crate) fn policy(&self, mode: Mode) {
        self.policy.set(mode);
    }

    pub(crate) fn break_store(&self, broken: bool) {
        self.store.set_broken(broken);
    }

    /// Lets the store take changes, and fail every read of what changed.
    pub(crate) fn make_store_unreadable(&self, unreadable: bool) {
        self.store.set_unreadable(unreadable);
    }

    /// Lets the store acknowledge kills and forget them.
    pub(crate) fn make_store_lose_kills(&self, loses: bool) {
        self.store.set_loses_kills(loses);
    }

    /// Puts the bundle of this manifest into every row of the store.
    pub(crate) fn plant_bundle(&self, manifest: &str) {
        self.store.plant(manifest.parse().unwrap());
    }

    /// Has every decision read with this change, as if somebody had edited the database.
    pub(crate) fn edit_decisions(&self, edit: fn(&mut DecisionRecord)) {
        self.store.edit(edit);
    }

    pub(crate) async fn key(&self, wanted: Wanted) -> Key {
        key(&self.services, wanted).await
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, key: &Key, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).bearer_auth(&key.secret)).await
    }

    pub(crate) async fn post(&self, key: &Key, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).bearer_auth(&key.secret).json(body)).await
    }

    /// Posts exactly these bytes as JSON.
    pub(crate) async fn post_raw(
        &self,
        key: &Key,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let request = self.request(Method::POST, path).bearer_auth(&key.secret);
        self.send(request.header("content-type", "application/json").body(body)).await
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn register(&self, tenant: &str, tool: &str) -> Value {
        let body = json!({
            "tenant_slug": tenant, "name": tool, "url": format!("https://{tool}.example.com/mcp"),
            "owner": "platform@example.com", "scopes": ["read"], "metadata": {"tier": 1},
        });
        self.post(&self.admin, "/register", &body).await.ok()
    }

    /// Checks `acme/search` as the administrator, with these fields changed.
    pub(crate) async fn check(&self, change: Value) -> Answer {
        self.check_as(&self.admin, change).await
    }

    pub(crate) async fn check_as(&self, key: &Key, change: Value) -> Answer {
        let mut body = json!({"tenant_slug": "acme", "tool_name": "search", "action": "invoke"});
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.post(key, "/policy/check", &body).await
    }

    pub(crate) async fn sign(&self, change: Value) -> Answer {
        self.sign_as(&self.admin, change).await
    }

    pub(crate) async fn sign_as(&self, key: &Key, change: Value) -> Answer {
        let mut body = json!({
            "tenant_slug": "acme", "tool_name": "search", "action": "invoke", "payload": {"a": 1},
        });
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.post(key, "/provenance/sign", &body).await
    }

    pub(crate) async fn kill(&self, body: Value) -> Answer {
        self.post(&self.admin, "/kill", &body).await
    }

    /// Opens an event stream.
    pub(crate) async fn listen(&self, key: &Key, path: &str, last: Option<&str>) -> Listener {
        let mut request = self.request(Method::GET, path).bearer_auth(&key.secret);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        Listener::new(response)
    }
}

async fn key(services: &Services, wanted: Wanted) -> Key {
    let spec = KeySpec {
        name: "test".parse().unwrap(),
        role: wanted.role,
        tenant: wanted.tenant.map(|slug| slug.parse().unwrap()),
        agent: wanted.agent.map(|name| name.parse().unwrap()),
        owner: wanted.owner.map(|name| name.parse().unwrap()),
    };
    let made = services.keys.create(&Principal::LOCAL, spec).await.unwrap();
    Key { id: made.key.id.to_string(), secret: made.secret }
}
