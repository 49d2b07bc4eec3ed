//! The port of the policy engine.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{PolicyDecision, PolicyError};
use crate::id::{DecisionId, RolloutId};
use crate::name::{Action, AgentName, Purpose, TenantSlug, ToolName};
use crate::policy_data::DataPath;
use crate::principal::Principal;
use crate::rollout::{PolicyFiles, PolicyState, RolloutReport};
use crate::shadow::ShadowReport;
use crate::tool::Tool;

/// What is decided, and on what. Policy sees all but the last two, as `input`:
/// `{tenant, tool, action, purpose, usage, context, agent, arguments, principal{id,roles},
/// tool_record{owner,scopes,metadata,url,digest}, time}`. Optional fields that are absent are left
/// out (undefined), never `null`: `null < 10` is true in Rego's ordering.
#[derive(Debug, Clone, Copy)]
pub struct PolicyInput<'a> {
    pub tenant: &'a TenantSlug,
    pub tool: &'a ToolName,
    pub action: &'a Action,
    pub purpose: Option<&'a Purpose>,
    /// The larger of the server's count and what the caller reported: the count of the window that
    /// the decision states a quota for, and of the UTC day when it states none.
    pub usage: u64,
    pub context: &'a Map<String, Value>,
    pub agent: Option<&'a AgentName>,
    pub arguments: &'a Map<String, Value>,
    pub principal: &'a Principal,
    pub tool_record: &'a Arc<Tool>,
    pub time: Timestamp,
    /// What the store says of policy, in the version that the decision rests on.
    pub state: &'a Arc<PolicyState>,
    /// The decision that the result goes into, unless it has to be made again.
    pub decision_id: DecisionId,
}

/// Evaluates policy. The embedded interpreter returns at once; a remote engine awaits.
#[async_trait]
pub trait PolicyEngine: Send + Sync + std::fmt::Debug {
    /// Decides one call.
    ///
    /// # Errors
    /// What keeps the engine from a definite decision; the caller denies.
    async fn evaluate(&self, input: PolicyInput<'_>) -> Result<PolicyDecision, PolicyError>;

    /// Whether a decision under `state` may depend on `input.usage` and state a window other than
    /// the day: where the engine cannot tell, it may.
    fn weighs_usage(&self, _state: &PolicyState) -> bool {
        true
    }

    /// What the source brought, for `GET /v1/policy`.
    fn status(&self) -> PolicyStatus;

    /// The revision that decides under `state`, as decisions name it; `None` when nothing can be
    /// decided.
    fn revision(&self, _state: &PolicyState) -> Option<String> {
        self.status().revision
    }

    /// The modules of the policy that decides under `state`, where the engine knows them: a remote
    /// one keeps its own.
    fn modules(&self, _state: &PolicyState) -> Vec<PolicyModule> {
        Vec::new()
    }

    /// Prepares for decisions under `state`, which is what the store says by now, so that none of
    /// them has to wait for that. Nothing depends on it.
    fn observe(&self, _state: &PolicyState) {}

    /// Whether nothing is evaluated for now, since evaluations do not return: everything is denied
    /// with [`PolicyError::TimedOut`].
    fn is_stuck(&self) -> bool {
        false
    }

    /// Which policy owns the data at `path`. An engine that keeps its own data takes none of ours.
    fn data_place(&self, _path: &DataPath) -> DataPlace {
        DataPlace::Elsewhere
    }

    /// The candidates held ready beside the policy in force; `None` where none can be rolled out.
    fn candidates(&self) -> Option<&dyn CandidateEngine> {
        None
    }

    /// How another engine compares with this one, when one is asked as well.
    fn shadow(&self) -> Option<ShadowReport> {
        None
    }
}

/// Holds candidates of staged rollouts ready, to be monitored or to decide.
pub trait CandidateEngine: Send + Sync {
    /// Vets a candidate and holds it ready. Blocks meanwhile.
    ///
    /// # Errors
    /// Why it was refused. Nothing changes.
    fn load_candidate(
        &self,
        id: RolloutId,
        files: &PolicyFiles,
    ) -> Result<Candidate, CandidateRefused>;

    /// Whether a candidate is held ready.
    fn has_candidate(&self, id: RolloutId) -> bool;

    /// Whether vetting has refused a candidate, or did not survive it: to vet it again is in vain.
    fn refuses_candidate(&self, id: RolloutId) -> bool;

    /// Lets go of all other candidates.
    fn keep_candidates(&self, ids: &[RolloutId]);

    /// How a candidate compares, while it is monitored here.
    fn rollout(&self, id: RolloutId) -> Option<RolloutReport>;
}

/// Why a candidate was refused, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CandidateRefused(pub String);

/// A candidate that was vetted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub revision: String,
    pub digest: String,
    /// What vetting found and does not refuse it for, a line each.
    pub warnings: Vec<String>,
}

/// Which policy owns a place in the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataPlace {
    /// No policy: data may be put there.
    Free,
    /// The policy in force, for the reason that the text states: a package, a root, a data file.
    Owned(String),
    /// All data is the engine's own.
    Elsewhere,
}

/// One file of Rego.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyModule {
    /// Its path within the policy.
    pub id: String,
    pub raw: Arc<str>,
}

/// State of the policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyStatus {
    /// `None` while nothing is loaded: everything is denied.
    pub revision: Option<String>,
    pub engine: &'static str,
    /// When that revision came into force.
    pub loaded_at: Option<Timestamp>,
    /// Why the last attempt to load was refused, when it was.
    pub error: Option<String>,
    /// Since when every attempt was refused with that error.
    pub refused_at: Option<Timestamp>,
    /// Whether the error is only that the source cannot be asked: nothing was refused.
    pub away: bool,
    /// Who wrote the revision, where its manifest says so (`metadata.author`).
    pub author: Option<String>,
    /// Of the files that the source brought.
    pub digest: Option<String>,
}
