//! Asking policy about a call, with the usage by which its own quota is judged.
//!
//! `input.usage` is counted for each tool and window. Which window a rule states is known only once
//! it has answered, so the order is this, whatever other calls state:
//!
//! 1. Policy is asked with the usage of the UTC day. An answer that states no quota, or one of the
//!    day, is what it is.
//! 2. An answer that states another window is asked for once more with the usage of that window. An
//!    allow must state the same window then: one that does not is a `policy_error`.
//! 3. A deny that states no quota may come of a rule that has a window of its own and fails by the
//!    usage of the day. What that rule would state is asked for with nothing used, and then 2. holds.
//!
//! Where the usages are the same, or the policy does not weigh usage, it is asked once.

use std::sync::Arc;

use jiff::Timestamp;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::CheckRequest;
use sentinel_core::control::ControlState;
use sentinel_core::decision::{UsageSeen, Verdict, decide};
use sentinel_core::id::DecisionId;
use sentinel_core::policy::{PolicyDecision, PolicyEngine, PolicyError, PolicyInput};
use sentinel_core::quota::{QuotaError, Window};
use sentinel_core::tenant::Tenant;
use sentinel_core::tool::Tool;

use crate::usage::UsageCache;

/// Policy, and what is used of the quotas that it states.
#[derive(Debug)]
pub(crate) struct Judge {
    pub(crate) policy: Arc<dyn PolicyEngine>,
    pub(crate) usage: Arc<UsageCache>,
}

/// A call that policy is asked about.
pub(crate) struct Case<'a> {
    pub(crate) request: &'a CheckRequest,
    pub(crate) control: &'a ControlState,
    pub(crate) tenant: &'a Tenant,
    pub(crate) tool: &'a Arc<Tool>,
    pub(crate) decision_id: DecisionId,
    pub(crate) now: Timestamp,
    /// The allow by which the call was counted already: what policy sees is what was used before.
    pub(crate) counted: Option<&'a DecisionRecord>,
}

type Answer = Result<PolicyDecision, PolicyError>;

impl Judge {
    /// Decides by policy, and by the quota as far as it is visibly used up.
    pub(crate) async fn judge(&self, case: &Case<'_>) -> Verdict {
        self.try_judge(case).await.unwrap_or_else(|error| {
            let usage = UsageSeen { counted: 0, window: Window::DAY, reported: case.request.usage };
            decide(Err(PolicyError::Failed(error.to_string())), usage)
        })
    }

    async fn try_judge(&self, case: &Case<'_>) -> Result<Verdict, QuotaError> {
        let day = self.seen(case, Window::DAY)?;
        let answer = self.ask(case, day).await;
        let stated = stated_by(&answer);
        let unused = UsageSeen { counted: 0, ..day };
        let fails_by_usage = answer.as_ref().is_ok_and(|answer| !answer.allow)
            && day.for_policy() != unused.for_policy();
        // Most calls: the usage of the day is what counts.
        if stated.map_or(!fails_by_usage, |window| window == Window::DAY) {
            return Ok(decide(answer, day));
        }
        if !self.policy.weighs_usage(case.control.policy()) {
            let usage = stated.map_or(Ok(day), |window| self.seen(case, window))?;
            return Ok(decide(answer, usage));
        }
        let probed = if stated.is_none() { Some(self.ask(case, unused).await) } else { None };
        let window = stated.or_else(|| stated_by(probed.as_ref()?)).unwrap_or(Window::DAY);
        if window == Window::DAY {
            return Ok(decide(answer, day));
        }
        let own = self.seen(case, window)?;
        let answer = if own.for_policy() == day.for_policy() {
            answer
        } else {
            match probed {
                Some(probed) if own.for_policy() == unused.for_policy() => probed,
                _ => self.ask(case, own).await,
            }
        };
        Ok(decide(of_window(answer, window), own))
    }

    async fn ask(&self, case: &Case<'_>, usage: UsageSeen) -> Answer {
        let request = case.request;
        let input = PolicyInput {
            tenant: &case.tenant.slug,
            tool: &case.tool.name,
            action: &request.action,
            purpose: request.purpose.as_ref(),
            usage: usage.for_policy(),
            context: &request.context,
            agent: request.agent.as_ref().or(request.principal.agent()),
            arguments: request.arguments.value(),
            principal: &request.principal,
            tool_record: case.tool,
            time: case.now,
            state: case.control.policy(),
            decision_id: case.decision_id,
        };
        self.policy.evaluate(input).await
    }

    /// What is used of `window`, as policy is to see it.
    fn seen(&self, case: &Case<'_>, window: Window) -> Result<UsageSeen, QuotaError> {
        let known = self.usage.of(case.tool.id, window, case.now)?;
        let counted = match case.counted {
            Some(record) if window == window_of(record) => before(record, known),
            _ => known,
        };
        Ok(UsageSeen { counted, window, reported: case.request.usage })
    }
}

/// The window that a decision was counted in.
fn window_of(record: &DecisionRecord) -> Window {
    record.quota.map_or(Window::DAY, |quota| quota.window)
}

/// What was used before an allow was counted: under a quota its record says so, else it is one less
/// than what is used now.
fn before(record: &DecisionRecord, used: u64) -> u64 {
    match record.quota.zip(record.quota_remaining) {
        Some((quota, remaining)) => quota.limit.saturating_sub(remaining).saturating_sub(1),
        None => used.saturating_sub(1),
    }
}

fn stated_by(answer: &Answer) -> Option<Window> {
    answer.as_ref().ok()?.quota.map(|quota| quota.window)
}

/// Refuses an allow that does not state the window by whose usage it was decided.
fn of_window(answer: Answer, window: Window) -> Answer {
    let answer = answer?;
    let states = answer.quota.map(|quota| quota.window);
    if !answer.allow || states == Some(window) {
        return Ok(answer);
    }
    let instead = states.map_or_else(|| "none".to_owned(), |other| format!("`{other}`"));
    Err(PolicyError::Failed(format!(
        "the window of the quota depends on the usage: it states `{window}`, and with the usage of \
         that window {instead}; let a rule state one window, whatever is used"
    )))
}
