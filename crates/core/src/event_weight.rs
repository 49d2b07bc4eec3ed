//! What events take in memory. What keeps events for a subscriber is bounded by bytes, since what a
//! caller sends decides how large one is: a bound on their number bounds nothing.

use std::mem::size_of;
use std::sync::Arc;

use crate::audit::DecisionRecord;
use crate::event::{Event, KillEvent, ProvenanceEvent, RegistryEvent, ShownNothing};
use crate::json;
use crate::policy_change::PolicyChange;

/// What the metadata of a decision has of the caller's own, as large as the caller likes.
const CONTEXT: &str = "context";

impl Event {
    /// The event of a decision. The context that the caller sent is in the record of the decision
    /// and nowhere else: no subscriber gets it, and it may be a thousand times as large as
    /// all the rest.
    #[must_use]
    pub fn checked(record: &Arc<DecisionRecord>) -> Self {
        if !record.event_metadata.contains_key(CONTEXT) {
            return Self::Checked(Arc::clone(record));
        }
        Self::Checked(Arc::new(without_context(record)))
    }

    /// Bytes that it takes in memory, about, and never much less than it does.
    #[must_use]
    pub fn weight(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Checked(record) => of_decision(record),
                Self::Killed(kill) | Self::Restored(kill) => of_kill(kill),
                Self::Signed(signed) | Self::Verified(signed) => of_manifest(signed),
                Self::Registry(change) => of_registry(change),
                Self::Policy(change) => of_policy(change),
                Self::ShownNothing(event) => of_shown_nothing(event),
            }
    }
}

fn of_shown_nothing(event: &ShownNothing) -> usize {
    size_of::<ShownNothing>()
        + event.tenant.as_ref().len()
        + event.upstream.as_ref().map_or(0, |upstream| upstream.as_str().len())
        + event.agent.as_ref().map_or(0, |agent| agent.as_ref().len())
        + event.principal.len()
}

fn without_context(record: &DecisionRecord) -> DecisionRecord {
    let kept = record.event_metadata.iter().filter(|(name, _)| *name != CONTEXT);
    DecisionRecord {
        id: record.id,
        sequence: record.sequence,
        epoch: record.epoch,
        tenant: record.tenant.clone(),
        tenant_id: record.tenant_id,
        tool: record.tool.clone(),
        tool_id: record.tool_id,
        allow: record.allow,
        code: record.code,
        reason: record.reason.clone(),
        reasons: record.reasons.clone(),
        quota: record.quota,
        quota_remaining: record.quota_remaining,
        policy_revision: record.policy_revision.clone(),
        principal: record.principal.clone(),
        agent: record.agent.clone(),
        action: record.action.clone(),
        purpose: record.purpose.clone(),
        argument_hash: record.argument_hash,
        call_id: record.call_id.clone(),
        event_metadata: kept.map(|(name, value)| (name.clone(), value.clone())).collect(),
        created_at: record.created_at,
        duration_us: record.duration_us,
    }
}

fn of_decision(record: &DecisionRecord) -> usize {
    let reasons = record.reasons.iter();
    let reasons: usize =
        reasons.map(|reason| 2 * size_of::<String>() + reason.code.len() + reason.msg.len()).sum();
    size_of::<DecisionRecord>()
        + record.tenant.as_ref().len()
        + record.tool.as_ref().len()
        + record.reason.len()
        + reasons
        + record.principal.len()
        + record.agent.as_ref().map_or(0, |agent| agent.as_ref().len())
        + record.action.as_ref().len()
        + record.purpose.as_ref().map_or(0, |purpose| purpose.as_ref().len())
        + record.call_id.as_ref().map_or(0, |id| id.as_str().len())
        + json::weight(&record.event_metadata)
}

fn of_kill(kill: &KillEvent) -> usize {
    size_of::<KillEvent>()
        + kill.tenant.as_ref().map_or(0, |tenant| tenant.as_ref().len())
        + kill.tool.as_ref().map_or(0, |tool| tool.as_ref().len())
        + kill.actor.len()
        + kill.kill.reason.as_ref().len()
        + kill.kill.scope.agent().map_or(0, |agent| agent.as_ref().len())
}

fn of_manifest(signed: &ProvenanceEvent) -> usize {
    size_of::<ProvenanceEvent>() + signed.tenant.as_ref().len() + signed.tool.as_ref().len()
}

fn of_registry(change: &RegistryEvent) -> usize {
    size_of::<RegistryEvent>()
        + change.tenant.as_ref().map_or(0, |tenant| tenant.as_ref().len())
        + change.subject.len()
        + change.actor.len()
}

fn of_policy(change: &PolicyChange) -> usize {
    size_of::<PolicyChange>()
        + change.actor.len()
        + change.author.as_ref().map_or(0, String::len)
        + change.revision.as_ref().map_or(0, String::len)
        + change.path.as_ref().map_or(0, |path| path.to_string().len())
        + change.reason.as_ref().map_or(0, |reason| reason.as_ref().len())
        + change.detail.as_ref().map_or(0, String::len)
}
