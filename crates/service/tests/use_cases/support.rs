//! The use cases over a real SQLite store, with a policy and a clock that the test holds.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sentinel_core::check::{Arguments, CheckRequest};
use sentinel_core::policy::{
    DataPlace, PolicyDecision, PolicyEngine, PolicyError, PolicyInput, PolicyStatus,
};
use sentinel_core::policy_data::DataPath;
use sentinel_core::ports::prelude::*;
use sentinel_core::principal::Principal;
use sentinel_core::quota::{Quota, Window};
use sentinel_core::tenant::TenantSpec;
use sentinel_core::tool::ToolSpec;
use sentinel_provenance::log::Ed25519NoteSigner;
use sentinel_provenance::{EcdsaP256Signer, PublicKey};
use sentinel_service::registry::ToolView;
use sentinel_service::signing::Signing;
use sentinel_service::{Ports, ServiceError, Services, Settings, Shared};
use sentinel_store_sqlite::SqliteStore;
use sentinel_testkit::build::name;
use sentinel_testkit::clock::ManualClock;
use serde_json::{Map, Value};
use tempfile::TempDir;

pub(crate) type Rule = Box<dyn Fn(&PolicyInput<'_>) -> Answer + Send>;
pub(crate) type Answer = Result<PolicyDecision, PolicyError>;

/// Decides what the test says, unless data was put at `/blocked`, and remembers the usage it was
/// shown.
pub(crate) struct ScriptedPolicy {
    answer: Mutex<Answer>,
    /// Decides in place of the answer, where it is set.
    rule: Mutex<Option<Rule>>,
    pub(crate) usage_seen: Mutex<Vec<u64>>,
    /// Where evaluations wait, when the test holds them up.
    pub(crate) gate: tokio::sync::RwLock<()>,
}

impl std::fmt::Debug for ScriptedPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScriptedPolicy")
    }
}

impl ScriptedPolicy {
    pub(crate) fn set(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
        *self.rule.lock().unwrap() = None;
    }

    pub(crate) fn set_rule(&self, rule: impl Fn(&PolicyInput<'_>) -> Answer + Send + 'static) {
        *self.rule.lock().unwrap() = Some(Box::new(rule));
    }

    /// The usages that policy was shown since this was asked last.
    pub(crate) fn seen(&self) -> Vec<u64> {
        std::mem::take(&mut self.usage_seen.lock().unwrap())
    }
}

#[async_trait]
impl PolicyEngine for ScriptedPolicy {
    async fn evaluate(&self, input: PolicyInput<'_>) -> Answer {
        self.usage_seen.lock().unwrap().push(input.usage);
        let _open = self.gate.read().await;
        if let Some(rule) = &*self.rule.lock().unwrap() {
            return rule(&input);
        }
        let blocked = input.state.data.get(&name("/blocked")).is_some();
        if blocked { decision(false, None) } else { self.answer.lock().unwrap().clone() }
    }

    fn data_place(&self, _: &DataPath) -> DataPlace {
        DataPlace::Free
    }

    fn status(&self) -> PolicyStatus {
        PolicyStatus {
            revision: Some("scripted".to_owned()),
            engine: "scripted",
            loaded_at: None,
            error: None,
            refused_at: None,
            away: false,
            author: None,
            digest: None,
        }
    }
}

pub(crate) fn decision(allow: bool, quota: Option<(u64, Window)>) -> Answer {
    Ok(PolicyDecision {
        allow,
        reasons: Vec::new(),
        obligations: Vec::new(),
        quota: quota.map(|(limit, window)| Quota { limit, window }),
        revision: "scripted".into(),
    })
}

pub(crate) struct App {
    pub(crate) services: Arc<Services>,
    pub(crate) policy: Arc<ScriptedPolicy>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) tool: ToolView,
    folder: TempDir,
}

pub(crate) const ADMIN: Principal = Principal::LOCAL;

impl App {
    /// Tenant `secops` with tool `runbook`, and a policy that allows.
    pub(crate) async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    pub(crate) async fn start_with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policy = Arc::new(ScriptedPolicy {
            answer: Mutex::new(decision(true, None)),
            rule: Mutex::default(),
            usage_seen: Mutex::default(),
            gate: tokio::sync::RwLock::default(),
        });
        let clock = Arc::new(ManualClock::default());
        let (services, store) = start(&folder, &policy, &clock, settings).await;
        let tool = register(&services, "secops", "runbook").await;
        Self { services, policy, clock, store, tool, folder }
    }

    /// Stops everything and starts it on the same database.
    pub(crate) async fn restart(self) -> Self {
        let Self { services, policy, clock, store, tool, folder } = self;
        drop((services, store));
        let (services, store) = start(&folder, &policy, &clock, Settings::default()).await;
        Self { services, policy, clock, store, tool, folder }
    }

    /// Another replica on the same store, with the same policy and clock.
    pub(crate) async fn replica(&self, settings: Settings, shared: Shared) -> Services {
        let ports = ports(Arc::clone(&self.store), &self.policy, &self.clock);
        Services::start_shared(ports, settings, shared).await.unwrap()
    }

    /// What another replica on the same store needs.
    pub(crate) fn ports(&self) -> Ports {
        ports(Arc::clone(&self.store), &self.policy, &self.clock)
    }

    /// Takes their places from all manifests, as who can write to the database might.
    pub(crate) fn empty_places(&self) {
        let database = rusqlite::Connection::open(self.folder.path().join("sentinel.db")).unwrap();
        let sql = "UPDATE manifests SET log_shard = NULL, log_index = NULL";
        assert_eq!(database.execute(sql, []).unwrap(), 1);
    }

    /// Puts a copy of the database in place that has not had the last `epochs`, each of which was a
    /// kill.
    pub(crate) fn forget_kills(&self, epochs: u64) {
        let database = rusqlite::Connection::open(self.folder.path().join("sentinel.db")).unwrap();
        let sql = format!(
            "UPDATE meta SET epoch = epoch - {epochs};
             DELETE FROM kills WHERE killed_epoch > (SELECT epoch FROM meta)"
        );
        database.execute_batch(&sql).unwrap();
    }

    /// Makes the log refuse whatever is appended.
    pub(crate) async fn seal_log(&self) {
        self.store.seal_shard(1).await.unwrap();
    }

    /// Another replica on the same store, which signs like that.
    pub(crate) async fn signing(
        &self,
        signing: Signing,
        retired_keys: Vec<PublicKey>,
    ) -> Result<Services, ServiceError> {
        let ports = ports(Arc::clone(&self.store), &self.policy, &self.clock);
        let ports = Ports { signing, retired_keys, ..ports };
        Services::start(ports, Settings::default()).await
    }

    pub(crate) fn request(&self) -> CheckRequest {
        request("secops", "runbook")
    }
}

async fn start(
    folder: &TempDir,
    policy: &Arc<ScriptedPolicy>,
    clock: &Arc<ManualClock>,
    settings: Settings,
) -> (Arc<Services>, Arc<SqliteStore>) {
    let path = folder.path().join("sentinel.db");
    // The writer of an earlier run lets go of its lock a moment after its last user is gone.
    let store = loop {
        match SqliteStore::open(&path) {
            Ok(store) => break Arc::new(store),
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let ports = ports(Arc::clone(&store), policy, clock);
    (Arc::new(Services::start(ports, settings).await.unwrap()), store)
}

pub(crate) fn ports(
    store: Arc<SqliteStore>,
    policy: &Arc<ScriptedPolicy>,
    clock: &Arc<ManualClock>,
) -> Ports {
    Ports {
        store: store.clone(),
        log: store.clone(),
        payloads: store,
        key_wrapper: None,
        policy: Arc::clone(policy) as Arc<dyn PolicyEngine>,
        signing: Signing::Direct(Arc::new(EcdsaP256Signer::generate().unwrap())),
        retired_keys: Vec::new(),
        checkpoints: vec![Arc::new(Ed25519NoteSigner::from_seed("log.example", &[7; 32]).unwrap())],
        clock: Arc::clone(clock) as Arc<dyn sentinel_core::clock::Clock>,
    }
}

pub(crate) async fn register(services: &Services, tenant: &str, tool: &str) -> ToolView {
    let spec = ToolSpec {
        name: name(tool),
        url: "https://tools.example.com/".parse().unwrap(),
        owner: name("platform"),
        scopes: vec!["read".to_owned()],
        metadata: Map::new(),
        healthcheck: None,
    };
    let tenant = TenantSpec { slug: name(tenant), display_name: name(tenant) };
    services.registry.register(&ADMIN, tenant, spec).await.unwrap()
}

pub(crate) fn request(tenant: &str, tool: &str) -> CheckRequest {
    CheckRequest {
        principal: ADMIN,
        tenant: name(tenant),
        tool: name(tool),
        action: name("invoke"),
        purpose: None,
        usage: 0,
        context: Map::new(),
        agent: None,
        arguments: arguments(&Value::Null),
        call_id: None,
        request_id: "request-1".into(),
        arrived: std::time::Instant::now(),
        deadline: None,
    }
}

pub(crate) fn arguments(value: &Value) -> Arguments {
    Arguments::new(value.as_object().cloned().unwrap_or_default())
}
