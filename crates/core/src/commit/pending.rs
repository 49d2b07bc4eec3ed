//! A decision on its way to being committed, and what can still turn it into a deny.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use crate::audit::DecisionRecord;
use crate::control::ControlState;
use crate::decision::{ReasonCode, Subject, Verdict, exceeded_wording};
use crate::epoch::Epoch;
use crate::id::DecisionId;
use crate::kill::{Call, Caller};
use crate::principal::Principal;
use crate::quota::CounterKey;
use crate::rollout::PolicyState;

/// A decision on its way to being committed.
#[derive(Debug)]
pub struct Pending {
    pub record: DecisionRecord,
    pub principal: Principal,
    pub subject: Subject,
    /// The counter that an allow takes from; `None` for a deny.
    pub counter: Option<CounterKey>,
    /// Epoch of the control state that it was decided on.
    pub epoch: Epoch,
    /// The policy state that it was decided on.
    pub policy: Arc<PolicyState>,
    /// When its caller stops waiting for it.
    pub deadline: Option<Instant>,
    /// The allow that it repeats, when it was decided as a repeat of that: see
    /// [`Outcome::Repeats`](super::Outcome::Repeats).
    pub repeats: Option<DecisionId>,
}

impl Pending {
    /// Whether its caller has stopped waiting.
    #[must_use]
    pub fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Looks at it again under `control`, at the later of its own time and `now`: what a kill
    /// covers becomes a deny. `false` when what it rests on has changed, so that it must be decided
    /// again.
    pub(crate) fn recheck(&mut self, control: &ControlState, now: Timestamp) -> bool {
        let is_valid = self.is_still_valid(control);
        if is_valid {
            self.deny_if_killed(control, now);
        }
        is_valid
    }

    /// Whether the tenant, the tool, the key and the policy are still the ones that were decided
    /// on.
    fn is_still_valid(&self, control: &ControlState) -> bool {
        let record = &self.record;
        let is_vouched_for = !self.may_allow() || control.vouches_for(self.principal.credential());
        let tenant = control.tenant(&record.tenant);
        let tool = tenant
            .filter(|tenant| self.principal.may_access(tenant.id))
            .and_then(|tenant| control.tool(tenant.id, &record.tool));
        // What the control state alone denied rests on no policy.
        let has_policy = record.code.is_control() || self.policy.decides_as(control.policy());
        is_vouched_for
            && has_policy
            && tenant == self.subject.tenant.as_ref()
            && tool == self.subject.tool.as_ref()
    }

    /// Whether it allows, or may repeat an earlier allow: a deny with a call id can lead to the
    /// allow that the call id was given before.
    pub(super) fn may_allow(&self) -> bool {
        let record = &self.record;
        record.allow || (record.call_id.is_some() && !record.code.is_control())
    }

    /// The call as kills see it, at the later of its own time and `now`.
    pub(super) fn call_at(&self, now: Timestamp) -> Call<'_> {
        Call {
            tenant_id: self.record.tenant_id,
            tool: self.subject.tool.as_deref(),
            agent: self.subject.agent.as_ref(),
            caller: Caller::Principal(&self.principal),
            at: self.record.created_at.max(now),
        }
    }

    pub(super) fn deny_if_killed(&mut self, control: &ControlState, now: Timestamp) {
        if !self.may_allow() {
            return;
        }
        let kill = control.kills().covering(&self.call_at(now));
        if let Some(verdict) = kill.map(|kill| Verdict::killed(kill)) {
            self.deny(verdict.code, verdict.reason);
        }
    }

    /// Turns it into a deny for a reason outside policy.
    pub(super) fn deny(&mut self, code: ReasonCode, reason: String) {
        let record = &mut self.record;
        record.allow = false;
        record.code = code;
        record.reason = reason;
        record.reasons.clear();
        record.quota_remaining = (code == ReasonCode::QuotaExceeded).then_some(0);
    }

    /// Turns it into a deny because its quota is used up. The reasons of policy stay.
    pub(super) fn deny_exceeded(&mut self) {
        let record = &mut self.record;
        record.allow = false;
        record.code = ReasonCode::QuotaExceeded;
        record.quota_remaining = Some(0);
        if let Some(quota) = record.quota {
            record.reason = exceeded_wording(quota);
        }
    }
}
