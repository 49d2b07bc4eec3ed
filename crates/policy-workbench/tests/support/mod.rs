//! What the tests of this crate share: a call with every field, and a vetter.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sentinel_core::id::{DecisionId, KeyId, TenantId, ToolId};
use sentinel_core::name::{Action, AgentName, Purpose, TenantSlug, ToolName};
use sentinel_core::policy::{PolicyDecision, PolicyError, PolicyInput};
use sentinel_core::principal::{ApiKey, KeyHash, Principal, Role};
use sentinel_core::rollout::PolicyState;
use sentinel_core::tool::Tool;
use sentinel_policy::{EmbeddedConfig, EmbeddedEngine, LoadError, Vetter};
use sentinel_policy_analysis::{PolicySource, SourceLimits, Vetted};
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub(crate) fn now() -> Timestamp {
    "2026-11-22T10:20:30Z".parse().unwrap()
}

pub(crate) fn vetter() -> Vetter {
    Vetter {
        command: env!("CARGO_BIN_EXE_sentinel-policy-vet").into(),
        args: vec![],
        timeout: Duration::from_secs(10),
    }
}

pub(crate) fn engine() -> EmbeddedEngine {
    // Not a test of how fast the machine is, which may print a backtrace meanwhile.
    let hard_limit = Duration::from_secs(10);
    let vetter = Some(vetter());
    EmbeddedEngine::new(EmbeddedConfig { vetter, hard_limit, ..EmbeddedConfig::default() })
}

pub(crate) fn trusted<'a>(files: impl IntoIterator<Item = (&'a str, String)>) -> Vetted {
    Vetted::trusted(PolicySource::from_files(files).unwrap())
}

/// An engine with one policy file in package `sentinel.policy`, not vetted.
pub(crate) fn with_rules(rules: &str) -> EmbeddedEngine {
    let engine = engine();
    let policy = trusted([("p.rego", format!("package sentinel.policy\n{rules}"))]);
    engine.install(&policy, now()).unwrap();
    engine
}

/// Has one policy file vetted.
pub(crate) fn vet(rules: &str) -> Result<Vetted, LoadError> {
    vet_files(&[("p.rego", &format!("package sentinel.policy\n{rules}"))])
}

pub(crate) fn vet_files(files: &[(&str, &str)]) -> Result<Vetted, LoadError> {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), files);
    vetter().vet(dir.path(), &SourceLimits::default())
}

pub(crate) fn write(dir: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// A call, owned.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) tenant: TenantSlug,
    pub(crate) tool: ToolName,
    pub(crate) action: Action,
    pub(crate) purpose: Option<Purpose>,
    pub(crate) usage: u64,
    pub(crate) context: Map<String, Value>,
    pub(crate) agent: Option<AgentName>,
    pub(crate) arguments: Map<String, Value>,
    pub(crate) principal: Principal,
    pub(crate) record: Arc<Tool>,
    pub(crate) state: Arc<PolicyState>,
}

pub(crate) fn call(tenant: &str, tool: &str, purpose: Option<&str>, usage: u64) -> Call {
    let Value::Object(metadata) = json!({"tier": 1}) else { unreachable!() };
    Call {
        tenant: tenant.parse().unwrap(),
        tool: tool.parse().unwrap(),
        action: "call".parse().unwrap(),
        purpose: purpose.map(|purpose| purpose.parse().unwrap()),
        usage,
        context: Map::new(),
        agent: Some("agent-7".parse().unwrap()),
        arguments: Map::new(),
        principal: Principal::of_key(Arc::new(ApiKey {
            id: KeyId(Uuid::nil()),
            hash: KeyHash([0; 32]),
            name: "test".parse().unwrap(),
            role: Role::Agent,
            tenant_id: None,
            agent: None,
            owner: None,
            created_at: now(),
            revoked_at: None,
        })),
        record: Arc::new(Tool {
            id: ToolId(Uuid::nil()),
            tenant_id: TenantId(Uuid::nil()),
            name: tool.parse().unwrap(),
            url: "https://tool.example/mcp".parse().unwrap(),
            owner: "platform".parse().unwrap(),
            scopes: vec!["read".to_owned()],
            metadata,
            healthcheck: None,
            created_at: now(),
            updated_at: now(),
            retired_at: None,
            pin: None,
        }),
        state: Arc::default(),
    }
}

/// A call that the shipped policy allows.
pub(crate) fn usual() -> Call {
    call("platform-eng", "langsmith-docs-search", Some("documentation_lookup"), 42)
}

impl Call {
    pub(crate) fn with_arguments(mut self, arguments: Value) -> Self {
        let Value::Object(arguments) = arguments else { panic!("an object") };
        self.arguments = arguments;
        self
    }

    /// The same by another key.
    pub(crate) fn of_key(mut self, number: u128) -> Self {
        let key = self.principal.key().unwrap();
        let key = ApiKey { id: KeyId(Uuid::from_u128(number)), ..(**key).clone() };
        self.principal = Principal::of_key(Arc::new(key));
        self
    }

    pub(crate) fn input(&self) -> PolicyInput<'_> {
        PolicyInput {
            tenant: &self.tenant,
            tool: &self.tool,
            action: &self.action,
            purpose: self.purpose.as_ref(),
            usage: self.usage,
            context: &self.context,
            agent: self.agent.as_ref(),
            arguments: &self.arguments,
            principal: &self.principal,
            tool_record: &self.record,
            time: now(),
            state: &self.state,
            decision_id: DecisionId(Uuid::nil()),
        }
    }

    pub(crate) fn decide(&self, engine: &EmbeddedEngine) -> Result<PolicyDecision, PolicyError> {
        engine.decide(&self.input())
    }
}
