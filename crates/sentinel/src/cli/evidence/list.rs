//! The listed manifests and decisions, as far as they are looked at.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sentinel_provenance::RecordedDecision;
use serde::Deserialize;
use uuid::Uuid;

/// A manifest as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Manifest {
    pub(super) id: Uuid,
    pub(super) tenant: Option<String>,
    pub(super) tool: String,
    pub(super) action: String,
    pub(super) payload_hash: String,
    pub(super) decision_id: Option<Uuid>,
    pub(super) created_at: Timestamp,
}

/// A decision as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Decision {
    pub(super) id: Uuid,
    pub(super) tenant: String,
    pub(super) tool: String,
    pub(super) decision: String,
    pub(super) code: String,
    pub(super) reason: String,
    pub(super) principal: String,
    pub(super) agent: Option<String>,
    pub(super) purpose: Option<String>,
    pub(super) action: String,
    #[serde(default)]
    pub(super) policy_revision: Option<String>,
    pub(super) created_at: Timestamp,
}

impl Decision {
    /// The fields that statements repeat.
    pub(super) fn recorded(&self) -> RecordedDecision<'_> {
        RecordedDecision {
            id: self.id,
            allow: self.allowed(),
            code: &self.code,
            policy_revision: self.policy_revision.as_deref(),
            tenant: &self.tenant,
            tool: &self.tool,
            action: &self.action,
            purpose: self.purpose.as_deref(),
            agent: self.agent.as_deref(),
            principal: &self.principal,
        }
    }

    pub(super) fn allowed(&self) -> bool {
        self.decision == "allow"
    }

    /// Who acted: the agent, or whose key it was.
    pub(super) fn who(&self) -> &str {
        self.agent.as_deref().unwrap_or(&self.principal)
    }
}

/// How often each of something was allowed and denied.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<String, (u64, u64)>);

/// Most names that are counted each on its own.
const MAX_NAMES: usize = 1000;

impl Tally {
    pub(super) fn count(&mut self, name: &str, allowed: bool) {
        let known = self.0.len() < MAX_NAMES || self.0.contains_key(name);
        let name = if known { name } else { "(all others)" };
        let (allows, denies) = self.0.entry(name.to_owned()).or_default();
        if allowed {
            *allows += 1;
        } else {
            *denies += 1;
        }
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.0.iter().map(|(name, (allows, denies))| (name.as_str(), *allows, *denies))
    }
}
