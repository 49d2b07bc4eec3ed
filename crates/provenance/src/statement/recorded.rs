//! A recorded decision, for comparison with a statement about it.

use uuid::Uuid;

use super::{AgentAction, Phase};

/// The revision in a statement when no policy was evaluated.
pub const NO_REVISION: &str = "none";

/// The fields of a recorded decision that statements repeat.
#[derive(Debug, Clone, Copy)]
pub struct RecordedDecision<'a> {
    /// Its id.
    pub id: Uuid,
    /// What was decided.
    pub allow: bool,
    /// The reason code.
    pub code: &'a str,
    /// Revision of the policy that was evaluated, if any.
    pub policy_revision: Option<&'a str>,
    /// Slug of the tenant.
    pub tenant: &'a str,
    /// Name of the tool.
    pub tool: &'a str,
    /// The action.
    pub action: &'a str,
    /// The purpose that was stated.
    pub purpose: Option<&'a str>,
    /// The agent.
    pub agent: Option<&'a str>,
    /// The authenticated principal.
    pub principal: &'a str,
}

impl AgentAction {
    /// Names of the fields in which the statement differs from the recorded decision. A statement
    /// without a decision differs in all fields that describe one.
    #[must_use]
    pub fn differs_from(&self, recorded: &RecordedDecision<'_>) -> Vec<&'static str> {
        let signed = self.decision.as_ref();
        let revision = recorded.policy_revision.unwrap_or(NO_REVISION);
        // Statements of earlier versions have no code.
        let code = signed.and_then(|signed| signed.code.as_deref());
        let same = [
            ("id", signed.is_some_and(|signed| signed.id == recorded.id)),
            ("allow", signed.is_some_and(|signed| signed.allow == recorded.allow)),
            ("code", code.is_none_or(|code| code == recorded.code)),
            ("policy_revision", signed.is_some_and(|signed| signed.policy_revision == revision)),
            ("tenant", self.tenant == recorded.tenant),
            ("tool", self.tool == recorded.tool),
            ("action", self.action == recorded.action),
            ("purpose", self.purpose.as_deref() == recorded.purpose),
            ("agent", self.agent.as_deref() == recorded.agent),
            ("principal", self.principal == recorded.principal),
        ];
        same.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
    }

    /// Whether this is the outcome of a call that was made although it was denied.
    #[must_use]
    pub fn is_outcome_of_deny(&self) -> bool {
        self.phase == Phase::Outcome && self.decision.as_ref().is_some_and(|signed| !signed.allow)
    }
}
