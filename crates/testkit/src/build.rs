//! Values of the domain for tests: valid, and different each time where they have to be.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::{ArgumentHash, Arguments, CheckRequest};
use sentinel_core::commit::{Batch, Pending};
use sentinel_core::control::ControlState;
use sentinel_core::decision::{ReasonCode, Verdict, precheck, resolve};
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{
    DecisionId, KeyId, KillId, ManifestId, StatementId, TenantId, ToolId, UpstreamId,
};
use sentinel_core::kill::{Kill, KillScope, RestoreOrder};
use sentinel_core::log::{LogStatement, NewShard, NewStatement, StatementKind};
use sentinel_core::manifest::{Manifest, NewManifest, Phase};
use sentinel_core::permit::Redemption;
use sentinel_core::pin::Pin;
use sentinel_core::principal::{ApiKey, KeyHash, Principal, Role};
use sentinel_core::quota::{CounterKey, Quota, Window};
use sentinel_core::tenant::{Tenant, TenantSecret};
use sentinel_core::tool::{Health, HealthStatus, Tool, ToolChange};
use sentinel_core::upstream::{Door, HttpTransport, Transport, Upstream};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The time at which tests take place: 2026-11-22T10:20:30Z.
pub const NOW: Timestamp = Timestamp::constant(1_795_342_830, 0);

/// `text` as a name; panics when it is none.
#[must_use]
pub fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// A tool name for each index, no two of which are confusable: `tool-` and octal in letters.
#[must_use]
pub fn distinct(index: usize) -> String {
    let octal = format!("{index:o}");
    let letters = octal.bytes().map(|digit| char::from(digit - b'0' + b'a'));
    std::iter::once('-').chain(letters).fold("tool".to_owned(), |name, c| name + &c.to_string())
}

/// `NOW` and so many seconds.
#[must_use]
pub fn after(seconds: i64) -> Timestamp {
    NOW.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

#[must_use]
pub fn tenant(slug: &str) -> Tenant {
    let id = Uuid::now_v7();
    let mut secret = [7; 32];
    secret[..16].copy_from_slice(id.as_bytes());
    Tenant {
        id: TenantId(id),
        slug: name(slug),
        display_name: name(&format!("Tenant {slug}")),
        created_at: NOW,
        secret: TenantSecret(secret),
    }
}

#[must_use]
pub fn tool(tenant: &Tenant, tool: &str) -> Tool {
    Tool {
        id: ToolId(Uuid::now_v7()),
        tenant_id: tenant.id,
        name: name(tool),
        url: name("https://tools.example.com/mcp?x=1"),
        owner: name("platform@example.com"),
        scopes: vec!["read".to_owned(), "write".to_owned()],
        metadata: object(json!({"tier": 1, "labels": ["a", "b"]})),
        healthcheck: Some(name("https://tools.example.com/healthz")),
        created_at: NOW,
        updated_at: NOW,
        retired_at: None,
        pin: None,
    }
}

/// The identifier of the upstream that [`upstream`] makes.
#[must_use]
pub const fn upstream_id() -> UpstreamId {
    UpstreamId(Uuid::from_u128(0x75_70))
}

/// An upstream that is reached by HTTP.
#[must_use]
pub fn upstream(tenant: &Tenant, upstream: &str) -> Upstream {
    let fixed = upstream == "fs";
    let headers = [("authorization".to_owned(), name("env:FS_TOKEN"))].into();
    let url = name("https://mcp.example.com/mcp");
    Upstream {
        id: if fixed { upstream_id() } else { UpstreamId(Uuid::now_v7()) },
        tenant_id: tenant.id,
        name: name(upstream),
        transport: Transport::Http(HttpTransport { url, headers }),
        created_by: "key:1".to_owned(),
        created_at: NOW,
        removed_at: None,
    }
}

/// What an upstream offers besides tools, as the registry has it.
#[must_use]
pub fn doors(tenant: &Tenant, upstream: &Upstream) -> Vec<Tool> {
    let door = |door: Door| Tool {
        pin: Some(Pin::of_door(upstream.id)),
        ..tool(tenant, door.registered(&upstream.name).unwrap().as_str())
    };
    Door::ALL.into_iter().map(door).collect()
}

/// A change that changes nothing yet.
#[must_use]
pub const fn change() -> ToolChange {
    ToolChange {
        url: None,
        owner: None,
        scopes: None,
        metadata: None,
        healthcheck: None,
        retire: false,
    }
}

#[must_use]
pub fn health(status: HealthStatus) -> Health {
    let detail = (status != HealthStatus::Healthy).then(|| "connection refused".to_owned());
    Health { status, checked_at: NOW, latency_ms: 12, detail }
}

/// A key of all tenants; narrow it with struct update.
#[must_use]
pub fn key(role: Role) -> ApiKey {
    let id = Uuid::now_v7();
    ApiKey {
        id: KeyId(id),
        hash: KeyHash::of(&id.to_string()),
        name: name("test key"),
        role,
        tenant_id: None,
        agent: None,
        owner: None,
        created_at: NOW,
        revoked_at: None,
    }
}

#[must_use]
pub fn kill(scope: KillScope) -> Kill {
    Kill {
        id: KillId(Uuid::now_v7()),
        scope,
        reason: name("incident 4711"),
        actor: "key:operator".to_owned(),
        by_platform: true,
        created_at: NOW,
        starts_at: None,
        begun_at: None,
        expires_at: None,
        epoch: Epoch::default(),
        restored_at: None,
        restored_by: None,
    }
}

/// A restore of these kills by a principal bound to no tenant.
#[must_use]
pub fn restore(scope: KillScope, at: Timestamp) -> RestoreOrder {
    RestoreOrder { scope, actor: "key:restorer".to_owned(), by_platform: true, at }
}

/// The scope of one tool.
#[must_use]
pub const fn scope_of(tool: &Tool) -> KillScope {
    KillScope::Tool { tenant_id: tool.tenant_id, tool_id: tool.id }
}

/// A shard that continues none.
#[must_use]
pub fn shard(origin: &str) -> NewShard {
    let statement = statement(StatementKind::LogShard, origin);
    let (origin, verifier_key) = (origin.to_owned(), format!("{origin}+00000000+AQ=="));
    NewShard { origin, verifier_key, at: NOW, after: None, first: statement }
}

#[must_use]
pub fn statement(kind: StatementKind, subject: &str) -> NewStatement {
    let id = Uuid::now_v7();
    let statement = LogStatement {
        id: StatementId(id),
        kind,
        tenant_id: None,
        subject: subject.to_owned(),
        bundle: format!("{{\"statement\":\"{id}\"}}"),
        created_at: NOW,
        place: None,
    };
    NewStatement { statement, leaf: format!("leaf of {id}").into_bytes() }
}

/// A manifest as it is stored, with a leaf of its own.
#[must_use]
pub fn new_manifest(manifest: &Manifest) -> NewManifest {
    let leaf = format!("leaf of {}", manifest.id).into_bytes();
    NewManifest { manifest: manifest.clone(), leaf, payload: None }
}

#[must_use]
pub fn manifest(tenant: TenantId, tool: &str) -> Manifest {
    let id = Uuid::now_v7();
    Manifest {
        id: ManifestId(id),
        tenant_id: tenant,
        tool: name(tool),
        action: name("invoke"),
        purpose: Some(name("testing")),
        decision_id: None,
        payload_digest: [9; 32],
        bundle: format!("{{\"id\": \"{id}\" }}"),
        created_at: NOW,
        phase: Phase::Outcome,
        key_generation: None,
        place: None,
    }
}

/// A JSON object; panics when `value` is none.
#[must_use]
pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

/// A batch of these decisions; panics when they do not fit into one.
#[must_use]
pub fn batch(control: &Arc<ControlState>, pendings: Vec<Pending>) -> Batch {
    let mut batch = Batch::new(Arc::clone(control));
    for pending in pendings {
        batch.push(pending).unwrap();
    }
    batch
}

/// Starts a check of `tool` at `tenant`, to be decided on `control`.
#[must_use]
pub fn check(control: &Arc<ControlState>, tenant: &str, tool: &str) -> Check {
    let request = CheckRequest {
        principal: Principal::LOCAL,
        tenant: name(tenant),
        tool: name(tool),
        action: name("invoke"),
        purpose: Some(name("testing")),
        usage: 0,
        context: Map::new(),
        agent: None,
        arguments: Arguments::new(Map::new()),
        call_id: None,
        request_id: Arc::from("req-1"),
        arrived: std::time::Instant::now(),
        deadline: None,
    };
    let control = Arc::clone(control);
    Check { control, request, quota: None, policy: None, repeats: None, at: NOW }
}

/// A check that becomes a [`Pending`] decision: an allow, unless the control state forbids it or
/// [`Check::denied`] was said.
#[derive(Debug, Clone)]
pub struct Check {
    control: Arc<ControlState>,
    request: CheckRequest,
    quota: Option<Quota>,
    policy: Option<ReasonCode>,
    repeats: Option<DecisionId>,
    at: Timestamp,
}

impl Check {
    #[must_use]
    pub fn principal(mut self, key: &ApiKey) -> Self {
        self.request.principal = Principal::of_key(Arc::new(key.clone()));
        self
    }

    #[must_use]
    pub fn agent(mut self, agent: &str) -> Self {
        self.request.agent = Some(name(agent));
        self
    }

    #[must_use]
    pub fn action(mut self, action: &str) -> Self {
        self.request.action = name(action);
        self
    }

    #[must_use]
    pub fn purpose(mut self, purpose: Option<&str>) -> Self {
        self.request.purpose = purpose.map(name);
        self
    }

    #[must_use]
    pub fn call_id(mut self, call_id: &str) -> Self {
        self.request.call_id = Some(name(call_id));
        self
    }

    /// Arguments of the call: an object.
    #[must_use]
    pub fn arguments(mut self, arguments: Value) -> Self {
        self.request.arguments = Arguments::new(object(arguments));
        self
    }

    /// Uses that the caller reports.
    #[must_use]
    pub const fn usage(mut self, usage: u64) -> Self {
        self.request.usage = usage;
        self
    }

    /// Context of the call: an object.
    #[must_use]
    pub fn context(mut self, context: Value) -> Self {
        self.request.context = object(context);
        self
    }

    /// Decided as a repeat of that allow.
    #[must_use]
    pub const fn repeating(mut self, allow: DecisionId) -> Self {
        self.repeats = Some(allow);
        self
    }

    #[must_use]
    pub fn quota(mut self, limit: u64, window: Window) -> Self {
        self.quota = Some(Quota { limit, window });
        self
    }

    /// Policy denies with this code.
    #[must_use]
    pub const fn denied(mut self, code: ReasonCode) -> Self {
        self.policy = Some(code);
        self
    }

    #[must_use]
    pub const fn at(mut self, at: Timestamp) -> Self {
        self.at = at;
        self
    }

    /// The decision, on its way to being committed.
    #[must_use]
    pub fn pending(&self) -> Pending {
        let request = &self.request;
        let subject = resolve(request, &self.control);
        let checked = precheck(request, &subject, &self.control, self.at);
        let verdict = checked.break_value().unwrap_or_else(|| self.verdict());
        let counter = subject.tool.as_ref().filter(|_| verdict.allow).map(|tool| {
            let window = verdict.quota.map_or(Window::DAY, |quota| quota.window);
            let span = window.span(self.at).unwrap();
            CounterKey { tenant_id: tool.tenant_id, tool_id: tool.id, window, span }
        });
        let record = DecisionRecord {
            id: DecisionId(Uuid::now_v7()),
            sequence: 0,
            epoch: Epoch::default(),
            tenant: request.tenant.clone(),
            tenant_id: subject.tenant.as_ref().map(|tenant| tenant.id),
            tool: request.tool.clone(),
            tool_id: subject.tool.as_ref().map(|tool| tool.id),
            allow: verdict.allow,
            code: verdict.code,
            reason: verdict.reason,
            reasons: verdict.reasons,
            quota: verdict.quota,
            quota_remaining: None,
            policy_revision: verdict.revision,
            principal: request.principal.id(),
            agent: subject.agent.clone(),
            action: request.action.clone(),
            purpose: request.purpose.clone(),
            argument_hash: ArgumentHash(request.arguments.hash().0),
            call_id: request.call_id.clone(),
            event_metadata: self.metadata(),
            created_at: self.at,
            duration_us: 250,
        };
        let epoch = self.control.epoch();
        let principal = request.principal.clone();
        let policy = Arc::clone(self.control.policy());
        let (deadline, repeats) = (request.deadline, self.repeats);
        Pending { record, epoch, policy, principal, subject, counter, deadline, repeats }
    }

    fn metadata(&self) -> Map<String, Value> {
        let request = &self.request;
        let mut metadata = object(json!({"request_id": &*request.request_id}));
        if request.usage > 0 {
            metadata.insert("usage".to_owned(), request.usage.into());
        }
        if !request.context.is_empty() {
            metadata.insert("context".to_owned(), Value::Object(request.context.clone()));
        }
        metadata
    }

    /// To redeem, by `redeemer`, the permit of the decision `id` that this check led to.
    #[must_use]
    pub fn redemption(&self, id: DecisionId, redeemer: Principal) -> Redemption {
        let mut call = self.pending();
        call.record.id = id;
        Redemption::new(Arc::clone(&self.control), call, redeemer)
    }

    /// A batch of this decision alone.
    #[must_use]
    pub fn batch(&self) -> Batch {
        batch(&self.control, vec![self.pending()])
    }

    fn verdict(&self) -> Verdict {
        match self.policy {
            Some(code) => Verdict::deny(code, "denied by policy"),
            None => Verdict {
                allow: true,
                code: ReasonCode::Allowed,
                reason: "allowed by policy".to_owned(),
                reasons: Vec::new(),
                obligations: Vec::new(),
                quota: self.quota,
                revision: Some(Arc::from("rev-1")),
            },
        }
    }
}
