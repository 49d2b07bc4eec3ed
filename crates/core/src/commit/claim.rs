//! Claims: what makes a check with a call id idempotent, and what a repeat of it gets.
//!
//! The settlement of claims comes first: a repeat that gets the earlier decision counts nothing.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Number, Value};

use super::entry::{Entry, State};
use super::pending::Pending;
use super::settlement::Settles;
use crate::audit::DecisionRecord;
use crate::decision::{ReasonCode, exceeded_wording};
use crate::id::ToolId;
use crate::name::CallId;
use crate::permit;
use crate::quota::Quota;

/// Whose call it is: the same call id of another agent, tool or principal is another call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    pub principal: String,
    /// The agent as the caller spells it; `None` when it names none.
    pub agent: Option<String>,
    pub tool_id: ToolId,
    pub call_id: CallId,
}

impl Claim {
    pub(super) fn of(pending: &Pending) -> Option<Self> {
        let record = &pending.record;
        let (call_id, tool_id) = record.call_id.as_ref().zip(record.tool_id)?;
        Some(Self {
            principal: record.principal.clone(),
            agent: record.agent.as_ref().map(ToString::to_string),
            tool_id,
            call_id: call_id.clone(),
        })
    }

    /// What stores keep in the place of the principal: the principal, and the agent behind a
    /// character that neither of them holds. Servers from before agents were told apart keep the
    /// principal alone, which is what a call without an agent still has.
    #[must_use]
    pub fn holder(&self) -> String {
        match &self.agent {
            None => self.principal.clone(),
            Some(agent) => format!("{}\u{1f}{agent}", self.principal),
        }
    }
}

/// A decision that an earlier check with the same claim led to.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub record: DecisionRecord,
    /// Whether its permit was redeemed.
    pub redeemed: bool,
}

/// The claims of a batch.
#[derive(Debug, Default)]
pub(super) struct Claims(HashSet<Claim>);

impl Settles for Claims {
    /// The index of the decision, and what it claims.
    type Asked = (usize, Claim);
    type Found = Claimed;

    /// Two checks with one call id must see each other.
    fn admits(&self, pending: &Pending) -> bool {
        Claim::of(pending).is_none_or(|claim| !self.0.contains(&claim))
    }

    fn join(&mut self, pending: &Pending) {
        self.0.extend(Claim::of(pending));
    }

    fn are_needed(&self, entries: &[Entry]) -> bool {
        let claims = |pending: &Pending| {
            pending.record.call_id.is_some() && pending.record.tool_id.is_some()
        };
        !self.0.is_empty() && entries.iter().filter_map(Entry::to_record).any(claims)
    }

    fn asked(&self, entries: &[Entry]) -> Vec<Self::Asked> {
        let entries = entries.iter().enumerate();
        let claim = |(index, entry): (usize, &Entry)| Some((index, Claim::of(entry.to_record()?)?));
        entries.filter_map(claim).collect()
    }

    /// The earlier decision is returned again when it is a deny, or when the call would be allowed
    /// now, too, and the permit is still good. A deny in place of an earlier allow is recorded, and
    /// leaves the claim alone.
    fn settle(&mut self, entries: &mut [Entry], (index, _): &Self::Asked, claimed: Claimed) {
        let Some(Entry { pending, state }) = entries.get_mut(*index) else { return };
        match repeat(pending, &claimed) {
            Repeat::Conflict => *state = State::Conflict,
            Repeat::Replay => *state = State::Replay(Box::new(claimed.record)),
            Repeat::DecideAgain => *state = State::Repeat(Box::new(claimed.record)),
            Repeat::Deny => pending.record.call_id = None,
            Repeat::DenyFor(code, reason) => {
                pending.record.call_id = None;
                pending.deny(code, reason);
            }
        }
    }
}

/// What becomes of a repeat.
#[derive(Debug)]
enum Repeat {
    /// The call id is that of another call.
    Conflict,
    /// The earlier decision is returned again.
    Replay,
    /// The repeat is denied as it was decided now.
    Deny,
    /// The repeat is denied for this reason.
    DenyFor(ReasonCode, String),
    /// It has to be decided as the repeat that it is: a deny may come of its own count.
    DecideAgain,
}

/// What becomes of `asked`, which was decided on the present state, when the decision `claimed` was
/// made before. An allow is returned again only while the present state allows the call, too, and
/// its permit is still good: it must not outlive a kill, a change of policy or its own use by being
/// repeated.
fn repeat(asked: &Pending, claimed: &Claimed) -> Repeat {
    let (now, then) = (&asked.record, &claimed.record);
    if !same_call(now, then) {
        return Repeat::Conflict;
    }
    if !then.allow {
        return Repeat::Replay;
    }
    let allows = now.allow || now.code.is_rate();
    if let Some(why) = spent(claimed, now.created_at) {
        return if allows {
            Repeat::DenyFor(ReasonCode::CallIdSpent, spent_wording(why))
        } else {
            Repeat::Deny
        };
    }
    if allows {
        return match now.quota.filter(|quota| place(then, *quota) > Some(quota.limit)) {
            Some(quota) => Repeat::DenyFor(ReasonCode::QuotaExceeded, exceeded_wording(quota)),
            None => Repeat::Replay,
        };
    }
    let as_repeat = asked.repeats == Some(then.id);
    if as_repeat || now.code.is_control() || now.code.is_transient() {
        Repeat::Deny
    } else {
        Repeat::DecideAgain
    }
}

/// Why an allow cannot be given again.
fn spent(claimed: &Claimed, now: Timestamp) -> Option<&'static str> {
    if claimed.redeemed {
        return Some("was used");
    }
    permit::is_good(claimed.record.created_at, now).err().map(permit::Untimely::as_str)
}

fn spent_wording(why: &str) -> String {
    format!("the permit of this call {why}; make a new call under another `call_id`")
}

/// The place that an allow took in its window under a quota, from 1; `None` when it was not counted
/// in such a window.
fn place(record: &DecisionRecord, quota: Quota) -> Option<u64> {
    let counted = record.quota.filter(|counted| counted.window == quota.window)?;
    Some(counted.limit.saturating_sub(record.quota_remaining?))
}

/// A call id names one call: one that asks for something else is a conflict.
fn same_call(asked: &DecisionRecord, claimed: &DecisionRecord) -> bool {
    asked.argument_hash == claimed.argument_hash
        && asked.action == claimed.action
        && asked.purpose == claimed.purpose
        && asked.agent == claimed.agent
        && ["usage", "context"].into_iter().all(|field| same_field(asked, claimed, field))
}

fn same_field(asked: &DecisionRecord, claimed: &DecisionRecord, field: &str) -> bool {
    match (asked.event_metadata.get(field), claimed.event_metadata.get(field)) {
        (None, None) => true,
        (Some(one), Some(other)) => same_value(one, other),
        _ => false,
    }
}

/// Whether two values say the same. A store may write a number in another way (`1e2` as `100`), so
/// numbers are compared by what they are.
fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => same_number(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| same_value(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |(key, value)| other.get(key).is_some_and(|other| same_value(value, other));
            one.len() == other.len() && one.iter().all(same)
        }
        _ => one == other,
    }
}

fn same_number(one: &Number, other: &Number) -> bool {
    one == other || (one.is_f64() != other.is_f64() && digits(one) == digits(other))
}

/// Every digit of a whole number, however it is kept; no two numbers share them.
fn digits(number: &Number) -> String {
    match number.as_f64().filter(|_| number.is_f64()) {
        // Adding zero takes the sign from a negative zero.
        Some(float) if float.fract() == 0.0 => format!("{:.0}", float + 0.0),
        _ => number.to_string(),
    }
}

/// The age from which a claim no longer counts: 24 hours before `now`.
#[must_use]
pub fn claims_expire_before(now: Timestamp) -> Timestamp {
    now.checked_sub(jiff::SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_the_same_however_their_numbers_are_written() {
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let one = parse(r#"{"a": [1e2, 1.50, -0, 1e30, {"b": null}], "c": 3}"#);
        let same = parse(
            r#"{"c": 3.0, "a": [100, 1.5, 0, 1000000000000000000000000000000, {"b": null}]}"#,
        );
        assert!(same_value(&one, &same) && same_value(&same, &one));
        for other in [
            json!({"a": [100, 1.5, 0, 1e30, {"b": null}]}),
            json!({"a": [100, 1.5, 0, 1e30, {"b": null}], "c": "3"}),
            json!({"a": [100, 1.5, 0, 1e30], "c": 3}),
            json!({"a": [100, 1.5, 0, 1e30, {"x": null}], "c": 3}),
            json!({"a": [100, 1.25, 0, 1e30, {"b": null}], "c": 3}),
        ] {
            assert!(!same_value(&one, &other), "{other}");
        }
        // The nearest float of the one is the other.
        let (whole, float) = (json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992.0));
        assert!(!same_value(&whole, &float));
    }

    #[test]
    fn a_claim_without_an_agent_is_kept_as_it_always_was() {
        let claim = Claim {
            principal: "key:1".to_owned(),
            agent: None,
            tool_id: ToolId(uuid::Uuid::nil()),
            call_id: "call-1".parse().unwrap(),
        };
        assert_eq!(claim.holder(), "key:1");
        let of = |agent: &str| Claim { agent: Some(agent.to_owned()), ..claim.clone() }.holder();
        assert_ne!(of("bot"), of("Bot"));
        assert!(of("bot").starts_with("key:1\u{1f}"));
    }
}
