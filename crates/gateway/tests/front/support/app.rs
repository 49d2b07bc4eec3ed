use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sentinel_core::clock::Clock;
use sentinel_core::page::Page;
use sentinel_core::principal::{Principal, Role};
use sentinel_core::tenant::TenantSpec;
use sentinel_core::upstream::{Transport, Upstream as Registered};
use sentinel_gateway::catalog;
use sentinel_gateway::enforce::Enforcement;
use sentinel_gateway::front::http::{HttpFront, Settings};
use sentinel_gateway::gateway::{Connections, Connector, LocalAuthorities};
use sentinel_gateway::upstream::Upstream;
use sentinel_ingress::FrontDoor;
use sentinel_provenance::EcdsaP256Signer;
use sentinel_provenance::log::Ed25519NoteSigner;
use sentinel_service::keys::KeySpec;
use sentinel_service::signing::Signing;
use sentinel_service::upstreams::UpstreamSpec;
use sentinel_service::{Ports, Services};
use sentinel_store_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::http::Client;
use super::policy::FakePolicy;
use super::server::Scripted;

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn uptime(&self) -> Duration {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }
}

/// Connects every upstream to the server in memory.
#[derive(Debug)]
struct InMemory(Arc<Scripted>);

impl Connector for InMemory {
    fn connect(&self, upstream: &Registered) -> Result<Arc<dyn Upstream>, String> {
        if upstream.name.as_str() == "files" {
            return Ok(Arc::clone(&self.0) as Arc<dyn Upstream>);
        }
        Ok(Scripted::new(upstream.name.as_str()))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Key(pub(crate) String);

/// A gateway that listens, for the tenants `acme` and `other`. `acme` has the upstream `files`.
pub(crate) struct App {
    pub(crate) services: Arc<Services>,
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
    pub(crate) server: Arc<Scripted>,
    pub(crate) policy: Arc<FakePolicy>,
    /// Tells the server to stop.
    pub(crate) stop: watch::Sender<bool>,
    settings: Settings,
    tasks: Vec<JoinHandle<()>>,
    _directory: Option<TempDir>,
}

impl Drop for App {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Short times, so that tests wait for nothing.
pub(crate) fn settings() -> Settings {
    Settings {
        patience: Duration::from_millis(300),
        keep_alive: Duration::from_millis(200),
        last_call: Duration::from_millis(200),
        ..Settings::default()
    }
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(settings()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let server = Scripted::new("files");
        Self::behind(Arc::new(InMemory(Arc::clone(&server))), server, settings).await
    }

    /// A gateway whose upstreams are connected by `connector`.
    pub(crate) async fn before(connector: Arc<dyn Connector>) -> Self {
        Self::behind(connector, Scripted::new("files"), settings()).await
    }

    async fn behind(
        connector: Arc<dyn Connector>,
        server: Arc<Scripted>,
        settings: Settings,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sqlite = Arc::new(SqliteStore::open(directory.path().join("sentinel.db")).unwrap());
        let policy = Arc::<FakePolicy>::default();
        let ports = Ports {
            store: sqlite.clone(),
            log: sqlite.clone(),
            payloads: sqlite,
            key_wrapper: None,
            policy: policy.clone(),
            signing: Signing::Direct(Arc::new(EcdsaP256Signer::generate().unwrap())),
            retired_keys: Vec::new(),
            checkpoints: vec![Arc::new(
                Ed25519NoteSigner::from_seed("log.example", &[7; 32]).unwrap(),
            )],
            clock: Arc::new(SystemClock),
        };
        let service_settings = sentinel_service::Settings::default();
        let services = Arc::new(Services::start(ports, service_settings).await.unwrap());
        for slug in ["acme", "other"] {
            let spec =
                TenantSpec { slug: slug.parse().unwrap(), display_name: slug.parse().unwrap() };
            services.registry.create_tenant(&Principal::LOCAL, spec).await.unwrap();
            add(&services, slug, "files").await;
        }
        let mut app = Self::over(services, policy, (server, connector), settings).await;
        app._directory = Some(directory);
        app
    }

    /// Another replica of the same deployment.
    pub(crate) async fn replica(&self) -> Self {
        let (services, policy) = (Arc::clone(&self.services), Arc::clone(&self.policy));
        let server = Arc::clone(&self.server);
        let connector = Arc::new(InMemory(Arc::clone(&server)));
        Self::over(services, policy, (server, connector), self.settings.clone()).await
    }

    async fn over(
        services: Arc<Services>,
        policy: Arc<FakePolicy>,
        (server, connector): (Arc<Scripted>, Arc<dyn Connector>),
        settings: Settings,
    ) -> Self {
        let (stop, shutdown) = watch::channel(false);
        let hosts = ["127.0.0.1", "localhost", "[::1]"].map(str::to_owned).to_vec();
        let options = sentinel_ingress::Options {
            allowed_hosts: Some(hosts),
            shutdown: Some(shutdown),
            ..sentinel_ingress::Options::default()
        };
        let door = Arc::new(FrontDoor::new(Arc::clone(&services), options));
        let connections = Connections::new(
            Arc::clone(&services),
            connector,
            Arc::new(catalog::Settings::new([5; 32])),
        );
        let authorities = Arc::new(LocalAuthorities(Arc::clone(&door)));
        let routes = Arc::clone(&connections);
        let enforcement = Arc::<Enforcement>::default();
        let front = HttpFront::open(door, authorities, routes, enforcement, settings.clone());
        let front = front.await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = front.router();
        let tasks = vec![
            tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }),
            tokio::spawn(front.watch()),
            tokio::spawn(connections.follow()),
        ];
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let _directory = None;
        Self { services, base, http, server, policy, stop, settings, tasks, _directory }
    }

    pub(crate) async fn key(&self, role: Role, tenant: Option<&str>, agent: Option<&str>) -> Key {
        let spec = KeySpec {
            name: "test".parse().unwrap(),
            role,
            tenant: tenant.map(|slug| slug.parse().unwrap()),
            agent: agent.map(|name| name.parse().unwrap()),
            owner: None,
        };
        Key(self.services.keys.create(&Principal::LOCAL, spec).await.unwrap().secret)
    }

    /// Two keys of one owner.
    pub(crate) async fn keys_of_an_owner(&self) -> [Key; 2] {
        let make = async || {
            let spec = KeySpec {
                name: "test".parse().unwrap(),
                role: Role::Agent,
                tenant: Some("acme".parse().unwrap()),
                agent: None,
                owner: Some("acme/alice".parse().unwrap()),
            };
            Key(self.services.keys.create(&Principal::LOCAL, spec).await.unwrap().secret)
        };
        [make().await, make().await]
    }

    /// How many calls were decided.
    pub(crate) async fn decided(&self) -> usize {
        let audit = &self.services.audit;
        let found = audit.decisions(&Principal::LOCAL, None, Default::default(), Page::first(100));
        let found = found.await.unwrap().items;
        found.iter().filter(|record| record.action.as_str() == "call").count()
    }

    pub(crate) async fn agent(&self) -> Key {
        self.key(Role::Agent, Some("acme"), None).await
    }

    pub(crate) fn client(&self, key: &Key) -> Client {
        Client::new(self, key, "/mcp/acme")
    }

    pub(crate) async fn add_upstream(&self, name: &str) {
        add(&self.services, "acme", name).await;
    }

    /// Denies everything from now on.
    pub(crate) fn deny(&self) {
        self.policy.0.store(true, Ordering::SeqCst);
    }

    /// Waits until so many calls of `slow` have begun.
    pub(crate) async fn begun(&self, count: usize) {
        within(|| self.server.begun.load(Ordering::SeqCst) >= count).await;
    }

    /// Waits until so many calls were cancelled.
    pub(crate) async fn cancelled(&self, count: usize) {
        within(|| self.server.cancelled.load(Ordering::SeqCst) >= count).await;
    }
}

async fn add(services: &Services, tenant: &str, name: &str) {
    let url = format!("https://{name}.example.com/mcp");
    let transport = serde_json::json!({"http": {"url": url}});
    let transport: Transport = serde_json::from_value(transport).unwrap();
    let spec =
        UpstreamSpec { tenant: tenant.parse().unwrap(), name: name.parse().unwrap(), transport };
    services.upstreams.add(&Principal::LOCAL, spec).await.unwrap();
}

pub(crate) async fn within(happens: impl Fn() -> bool) {
    let waiting = async {
        while !happens() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it does not happen");
}
