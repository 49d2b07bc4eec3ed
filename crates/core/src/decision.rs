//! Deciding: a pure function from what is known to allow or deny, with a reason.

use std::ops::ControlFlow;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::check::CheckRequest;
use crate::control::ControlState;
use crate::kill::{Call, Caller, Kill};
use crate::name::AgentName;
use crate::pin::QuarantineCause;
use crate::policy::{Obligation, PolicyDecision, PolicyError, PolicyReason};
use crate::quota::{Quota, Window};
use crate::tenant::Tenant;
use crate::tool::Tool;

macro_rules! reason_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal,)+) => {
        /// Why a call was allowed or denied. The set is closed: a client may switch on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ReasonCode { $($(#[doc = $doc])+ $variant,)+ }

        impl ReasonCode {
            /// Every code, with its meaning, for the documentation.
            pub const ALL: &'static [(Self, &'static str)] =
                &[$((Self::$variant, concat!($($doc),+)),)+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }
        }

        impl std::str::FromStr for ReasonCode {
            type Err = UnknownReasonCode;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($code => Ok(Self::$variant),)+ _ => Err(UnknownReasonCode) }
            }
        }
    };
}

reason_codes! {
    /// Policy allows the call and the quota has room.
    Allowed = "allowed",
    /// Policy denies; `reasons` says why.
    PolicyDenied = "policy_denied",
    /// The quota of the window is used up.
    QuotaExceeded = "quota_exceeded",
    /// A rate limit leaves no room at the moment; `reason` says which, and when to try again.
    RateLimited = "rate_limited",
    /// A rate limit applies and cannot be counted at the moment.
    RateLimiterUnavailable = "rate_limiter_unavailable",
    /// The allow of this `call_id` cannot be repeated: its permit was used or has expired. A new
    /// call needs another `call_id`.
    CallIdSpent = "call_id_spent",
    /// A kill covers the call.
    Killed = "killed",
    /// No such tenant.
    UnknownTenant = "unknown_tenant",
    /// The tenant has no such tool.
    UnknownTool = "unknown_tool",
    /// The tool is retired.
    ToolRetired = "tool_retired",
    /// The definition of the tool has changed, and an operator has not approved the new one.
    ToolDrift = "tool_drift",
    /// The tool is new, and the configuration demands that an operator approves it first.
    ToolUnapproved = "tool_unapproved",
    /// The tool belongs to an upstream that was removed.
    UpstreamRemoved = "upstream_removed",
    /// The caller's key is bound to another tenant.
    TenantForbidden = "tenant_forbidden",
    /// The caller's key is bound to another agent.
    AgentForbidden = "agent_forbidden",
    /// The call names no agent, and the configuration or the policy demands one.
    AgentRequired = "agent_required",
    /// The caller's key was revoked while the check was under way.
    KeyRevoked = "key_revoked",
    /// The tool was called without a valid permit. Its server refused the call and reported it.
    NoPermit = "no_permit",
    /// No policy is loaded.
    NoPolicy = "no_policy",
    /// The policy has no answer for this input.
    PolicyUndefined = "policy_undefined",
    /// The policy failed while it was evaluated.
    PolicyError = "policy_error",
    /// The policy took longer than its limit.
    PolicyTimeout = "policy_timeout",
    /// The policy's answer is not a decision document.
    PolicyMalformed = "policy_malformed",
    /// The policy demands an obligation that this version cannot fulfil.
    UnknownObligation = "unknown_obligation",
    /// The remote policy engine cannot be reached, or broke off its answer.
    PolicyUnavailable = "policy_unavailable",
    /// The remote policy engine failed several times in a row and is not asked for a moment.
    PolicyCircuitOpen = "policy_circuit_open",
}

impl ReasonCode {
    /// The code of a deny because a tool is quarantined.
    #[must_use]
    pub const fn of_quarantine(cause: QuarantineCause) -> Self {
        match cause {
            QuarantineCause::Drift | QuarantineCause::Rejected => Self::ToolDrift,
            QuarantineCause::Unapproved => Self::ToolUnapproved,
            QuarantineCause::UpstreamRemoved => Self::UpstreamRemoved,
        }
    }

    /// The code of a deny because policy could not be asked.
    #[must_use]
    pub const fn of_policy_error(error: &PolicyError) -> ReasonCode {
        match error {
            PolicyError::NoPolicy => ReasonCode::NoPolicy,
            PolicyError::Undefined => ReasonCode::PolicyUndefined,
            PolicyError::Failed(_) => ReasonCode::PolicyError,
            PolicyError::TimedOut => ReasonCode::PolicyTimeout,
            PolicyError::Malformed(_) => ReasonCode::PolicyMalformed,
            PolicyError::UnknownObligation(_) => ReasonCode::UnknownObligation,
            PolicyError::Unavailable(_) => ReasonCode::PolicyUnavailable,
            PolicyError::CircuitOpen => ReasonCode::PolicyCircuitOpen,
        }
    }

    /// Whether the control state, rather than policy or quota, decided. Such a deny holds even
    /// for a call id that was allowed before.
    #[must_use]
    pub const fn is_control(self) -> bool {
        match self {
            Self::Killed
            | Self::UnknownTenant
            | Self::UnknownTool
            | Self::ToolRetired
            | Self::ToolDrift
            | Self::ToolUnapproved
            | Self::UpstreamRemoved
            | Self::TenantForbidden
            | Self::AgentForbidden
            | Self::AgentRequired
            | Self::KeyRevoked => true,
            Self::Allowed
            | Self::PolicyDenied
            | Self::QuotaExceeded
            | Self::RateLimited
            | Self::RateLimiterUnavailable
            | Self::CallIdSpent
            | Self::NoPermit
            | Self::NoPolicy
            | Self::PolicyUndefined
            | Self::PolicyError
            | Self::PolicyTimeout
            | Self::PolicyMalformed
            | Self::UnknownObligation
            | Self::PolicyUnavailable
            | Self::PolicyCircuitOpen => false,
        }
    }
}

impl ReasonCode {
    /// Whether policy allowed, and a rate limit denied.
    #[must_use]
    pub const fn is_rate(self) -> bool {
        matches!(self, Self::RateLimited | Self::RateLimiterUnavailable)
    }

    /// Whether the same call may well be decided otherwise a moment later, and its caller is told
    /// to try again. Such a deny makes no claim on its call id: repeating the call decides again.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::RateLimiterUnavailable
                | Self::PolicyUnavailable
                | Self::PolicyCircuitOpen
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown reason code")]
pub struct UnknownReasonCode;

/// The outcome of deciding, before it is counted and recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub allow: bool,
    pub code: ReasonCode,
    /// One sentence for people.
    pub reason: String,
    /// Reasons as policy words them.
    pub reasons: Vec<PolicyReason>,
    pub obligations: Vec<Obligation>,
    /// The quota that an allow must still fit into.
    pub quota: Option<Quota>,
    /// Revision of the policy that was asked; `None` when none was.
    pub revision: Option<Arc<str>>,
}

impl Verdict {
    /// A deny for a reason outside policy.
    #[must_use]
    pub fn deny(code: ReasonCode, reason: impl Into<String>) -> Self {
        Self {
            allow: false,
            code,
            reason: reason.into(),
            reasons: Vec::new(),
            obligations: Vec::new(),
            quota: None,
            revision: None,
        }
    }

    /// The deny of a call that names no agent, by the rule that `who` demands one.
    #[must_use]
    pub fn agent_required(who: &str) -> Self {
        let reason = format!("{who} demands that a call names its agent, in `agent`");
        Self::deny(ReasonCode::AgentRequired, reason)
    }

    /// The record of a call that reached a tool without a valid permit, and was refused there.
    #[must_use]
    pub fn no_permit(why: &str) -> Self {
        let reason = format!("the tool was called without Sentinel, and its server refused: {why}");
        Self::deny(ReasonCode::NoPermit, reason)
    }

    /// The deny of a call that `kill` covers.
    #[must_use]
    pub fn killed(kill: &Kill) -> Self {
        Self::deny(ReasonCode::Killed, format!("killed ({}): {}", kill.scope.kind(), kill.reason))
    }
}

/// What a request refers to, found in one version of the control state.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    pub tenant: Option<Arc<Tenant>>,
    pub tool: Option<Arc<Tool>>,
    pub agent: Option<AgentName>,
}

/// Looks up what the request refers to. A caller bound to another tenant learns nothing about it:
/// the tenant is looked up, but not the tool.
#[must_use]
pub fn resolve(request: &CheckRequest, control: &ControlState) -> Subject {
    let tenant = control.tenant(&request.tenant).cloned();
    let tool = tenant
        .as_ref()
        .filter(|tenant| request.principal.may_access(tenant.id))
        .and_then(|tenant| control.tool(tenant.id, &request.tool))
        .cloned();
    // As the caller writes it: the precheck finds out whether a bound key names another agent.
    let agent = request.agent.as_ref().or(request.principal.agent()).cloned();
    Subject { tenant, tool, agent }
}

/// The tenant and the tool of a call that policy is to decide. Only [`precheck`] finds them.
#[derive(Debug, Clone, Copy)]
pub struct Resolved<'a> {
    pub tenant: &'a Arc<Tenant>,
    pub tool: &'a Arc<Tool>,
}

/// Decides at `now` what can be decided before policy is asked. `Break` is a final deny;
/// `Continue` has what policy is asked about.
pub fn precheck<'a>(
    request: &CheckRequest,
    subject: &'a Subject,
    control: &ControlState,
    now: Timestamp,
) -> ControlFlow<Verdict, Resolved<'a>> {
    let deny = |code, reason| ControlFlow::Break(Verdict::deny(code, reason));
    if !control.vouches_for(request.principal.credential()) {
        return deny(ReasonCode::KeyRevoked, "the key was revoked".to_owned());
    }
    let bound = request.principal.tenant();
    let tenant_id = subject.tenant.as_ref().map(|tenant| tenant.id);
    if bound.is_some() && bound != tenant_id {
        let reason = format!("the key is not bound to tenant `{}`", request.tenant);
        return deny(ReasonCode::TenantForbidden, reason);
    }
    if let Some((bound, claimed)) = request.principal.agent().zip(request.agent.as_ref())
        && !bound.is(claimed)
    {
        let reason = format!("the key may not speak for agent `{claimed}`");
        return deny(ReasonCode::AgentForbidden, reason);
    }
    let call = Call {
        tenant_id,
        tool: subject.tool.as_deref(),
        agent: subject.agent.as_ref(),
        caller: Caller::Principal(&request.principal),
        at: now,
    };
    if let Some(kill) = control.kills().covering(&call) {
        return ControlFlow::Break(Verdict::killed(kill));
    }
    let Some(tenant) = &subject.tenant else {
        return deny(ReasonCode::UnknownTenant, format!("unknown tenant `{}`", request.tenant));
    };
    let Some(tool) = &subject.tool else {
        let reason = format!("tenant `{}` has no tool `{}`", request.tenant, request.tool);
        return deny(ReasonCode::UnknownTool, reason);
    };
    if tool.retired_at.is_some() {
        return deny(ReasonCode::ToolRetired, format!("tool `{}` is retired", tool.name));
    }
    if let Some(quarantine) = tool.pin.and_then(|pin| pin.quarantine) {
        let cause = quarantine.cause;
        return deny(
            ReasonCode::of_quarantine(cause),
            format!("tool `{}` {}", tool.name, cause.wording()),
        );
    }
    ControlFlow::Continue(Resolved { tenant, tool })
}

/// What is known of a tool's usage when policy is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageSeen {
    /// The server's own count in `window`, as of the last commit.
    pub counted: u64,
    pub window: Window,
    /// What the caller reported.
    pub reported: u64,
}

impl UsageSeen {
    /// What policy sees as `input.usage`: a caller can only make it stricter.
    #[must_use]
    pub fn for_policy(self) -> u64 {
        self.counted.max(self.reported)
    }

    fn exceeds(self, quota: Quota) -> bool {
        self.reported >= quota.limit || (self.window == quota.window && self.counted >= quota.limit)
    }
}

/// Turns policy's answer into a verdict. A quota that is visibly used up denies here already; the
/// exact count follows at commit.
#[must_use]
pub fn decide(policy: Result<PolicyDecision, PolicyError>, usage: UsageSeen) -> Verdict {
    match policy {
        Err(error) => Verdict::deny(ReasonCode::of_policy_error(&error), error.to_string()),
        Ok(decision) => of_policy(decision, usage),
    }
}

fn of_policy(decision: PolicyDecision, usage: UsageSeen) -> Verdict {
    let exceeded = decision.quota.filter(|quota| usage.exceeds(*quota));
    let only_quota = decision.reasons.iter().all(|reason| reason.code == "quota_exceeded");
    let (allow, code, reason) = match (decision.allow, exceeded) {
        (false, Some(quota)) if only_quota => {
            (false, ReasonCode::QuotaExceeded, exceeded_wording(quota))
        }
        (false, _) => (false, ReasonCode::PolicyDenied, wording(&decision.reasons)),
        (true, Some(quota)) => (false, ReasonCode::QuotaExceeded, exceeded_wording(quota)),
        (true, None) => (true, ReasonCode::Allowed, "allowed by policy".to_owned()),
    };
    Verdict {
        allow,
        code,
        reason,
        reasons: decision.reasons,
        obligations: decision.obligations,
        quota: decision.quota,
        revision: Some(decision.revision),
    }
}

fn wording(reasons: &[PolicyReason]) -> String {
    if reasons.is_empty() {
        return "denied by policy".to_owned();
    }
    reasons.iter().map(|reason| reason.msg.as_str()).collect::<Vec<_>>().join("; ")
}

/// The sentence that tells a caller its quota is used up.
#[must_use]
pub fn exceeded_wording(quota: Quota) -> String {
    format!("quota of {} per {} is used up", quota.limit, quota.window)
}
