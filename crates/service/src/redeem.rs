//! Redeeming permits: each once, in time, for the call it was made for, and only while that call
//! would still be allowed.
//!
//! What a decision is checked for before it is committed is checked again: the call is decided once
//! more, on the state of now, and the store marks the permit in a transaction that holds the epoch
//! lock. See [`sentinel_core::permit`].

use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::{Arguments, CheckRequest};
use sentinel_core::clock::Clock;
use sentinel_core::commit::Pending;
use sentinel_core::control::ControlState;
use sentinel_core::decision::{ReasonCode, Resolved, precheck, resolve};
use sentinel_core::id::{DecisionId, KeyId, ToolId};
use sentinel_core::name::{Action, ToolName};
use sentinel_core::permit::{RESUMABLE, Redeemed, Redemption, is_good};
use sentinel_core::ports::DecisionStore;
use sentinel_core::principal::Principal;
use serde_json::{Map, Value};

use crate::ServiceError;
use crate::check::{ATTEMPTS, Decided, KEY, with_agent};
use crate::control::Control;
use crate::elsewhere::Elsewhere;
use crate::judge::{Case, Judge};
use crate::outstanding::Outstanding;
use crate::permit::{Permit, PermitSeal};

/// Redeems permits.
#[derive(Debug)]
pub struct Redeemer {
    pub(crate) seal: PermitSeal,
    pub(crate) judge: Arc<Judge>,
    pub(crate) control: Arc<Control>,
    pub(crate) store: Arc<dyn DecisionStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) outstanding: Arc<Outstanding>,
    pub(crate) elsewhere: Arc<Elsewhere>,
}

/// Times that a call may go on with one decision. The store keeps a mark for each.
const MOST_ROUNDS: u32 = 100;

/// A call that is to go on, by the names that it was allowed under.
#[derive(Debug)]
pub struct Resumption {
    pub decision: DecisionId,
    pub tool: ToolName,
    pub action: Action,
    /// Which time it is sent next, and is under way until its outcome is signed; `None` when it is
    /// not sent.
    pub round: Option<NonZeroU32>,
}

impl Redeemer {
    /// Opens `token` for a call of `tool_id` with these arguments, and marks it used, for
    /// `redeemer`.
    ///
    /// # Errors
    /// `permit_invalid` when it is not ours, late, or made for another call, tenant or agent than
    /// `redeemer` may act for; `permit_used` when it was redeemed before; the code of the deny when
    /// the call would be denied by now. A permit that is refused is not used up.
    pub async fn redeem(
        &self,
        redeemer: &Principal,
        token: &str,
        tool_id: ToolId,
        arguments: &Arguments,
    ) -> Result<Permit, ServiceError> {
        let permit = self.seal.open(token).ok_or_else(|| invalid("it was not issued here"))?;
        if permit.tool_id() != tool_id || permit.argument_hash() != arguments.hash() {
            return Err(invalid("it was issued for another call"));
        }
        timely(permit.decided_at(), self.clock.now())?;
        let record = self.store.decision(permit.decision_id()).await?;
        let record = record.filter(|record| record.allow && record.tool_id == Some(tool_id));
        let record = record.ok_or_else(|| invalid("its decision is not recorded"))?;
        may_redeem(redeemer, &record)?;
        if record.epoch > self.control.current().epoch() {
            self.control.refresh().await?;
        }
        for _ in 0..ATTEMPTS {
            let (control, now) = (self.control.current(), self.clock.now());
            timely(record.created_at, now)?;
            let call = match self.decide_again(&record, arguments, &control, now).await {
                Ok(call) => call,
                // What this replica knows may be over by now, a kill that was restored for example.
                Err(_) if self.control.refresh().await?.epoch() != control.epoch() => continue,
                Err(refusal) => return Err(refusal),
            };
            if self.use_up(Redemption::new(control, call, redeemer.clone())).await? {
                self.outstanding.redeemed(&record);
                self.elsewhere.begin(&record, self.clock.uptime());
                return Ok(permit);
            }
        }
        Err(ServiceError::GaveUp { attempts: ATTEMPTS })
    }

    /// Has the call of `decision` decided again, on the state of now, when it goes on after its
    /// client was asked something. It was counted when it was decided first, and is not counted
    /// again. Returns that first decision, and a permit for going on. `round` is used up by that, as
    /// a permit is; without one nothing is, and the permit must not be used to send anything.
    ///
    /// # Errors
    /// The code of the deny when the call would be denied by now; `permit_invalid` when there is no
    /// such allow of `principal` with these arguments, or it is too old; `permit_used` when the call
    /// went on for that time already.
    pub async fn resume(
        &self,
        principal: &Principal,
        decision: DecisionId,
        arguments: &Arguments,
        round: Option<NonZeroU32>,
    ) -> Result<(DecisionRecord, Permit), ServiceError> {
        if round.is_some_and(|round| round.get() > MOST_ROUNDS) {
            return Err(invalid("the call went on too often"));
        }
        let record = self.store.decision(decision).await?;
        let own = |record: &DecisionRecord| {
            record.allow
                && record.principal == principal.id()
                && record.argument_hash == arguments.hash()
        };
        let record = record.filter(own).ok_or_else(|| invalid("it was issued for another call"))?;
        may_redeem(principal, &record)?;
        for _ in 0..ATTEMPTS {
            let control = self.control.refresh().await?;
            // What is marked is kept for a while from then on, so a clock that is behind must not
            // say that it was long ago.
            let now = self.clock.now().max(record.created_at);
            if now.duration_since(record.created_at) > RESUMABLE {
                return Err(invalid("it has expired"));
            }
            let call = self.decide_again(&record, arguments, &control, now).await?;
            if let Some(round) = round {
                let redemption = Redemption::new(control, call, principal.clone()).of_round(round);
                if !self.use_up(redemption).await? {
                    continue;
                }
            }
            let permit = PermitSeal::again(&record, now);
            let permit = permit.ok_or_else(|| invalid("its decision is not recorded"))?;
            return Ok((record, permit));
        }
        Err(ServiceError::GaveUp { attempts: ATTEMPTS })
    }

    /// Has the store mark what `redemption` uses up. False when the call has to be decided again.
    async fn use_up(&self, redemption: Redemption) -> Result<bool, ServiceError> {
        let (redeemed, control) = self.store.redeem_permit(redemption).await?;
        self.control.observe(&control);
        match redeemed {
            Redeemed::Done => Ok(true),
            Redeemed::Used => Err(ServiceError::conflict(
                "permit_used",
                "the permit was used before; check the call again",
            )),
            Redeemed::Denied { code, reason } => Err(refused(code, &reason)),
            Redeemed::Superseded => Ok(false),
        }
    }

    /// As [`resume`](Self::resume), for a call that `principal` makes by itself.
    ///
    /// # Errors
    /// As [`resume`](Self::resume); `permit_invalid`, too, when it was another tool or action that
    /// was allowed.
    pub async fn resume_elsewhere(
        &self,
        principal: &Principal,
        resumption: &Resumption,
        arguments: &Arguments,
    ) -> Result<(), ServiceError> {
        let Resumption { decision, tool, action, round } = resumption;
        let (record, _) = self.resume(principal, *decision, arguments, *round).await?;
        if record.tool != *tool || record.action != *action {
            return Err(invalid("it was issued for another call"));
        }
        if round.is_some() {
            self.elsewhere.begin(&record, self.clock.uptime());
        }
        Ok(())
    }

    /// The call of `record`, decided on the state of now as the call that was counted already.
    async fn decide_again(
        &self,
        record: &DecisionRecord,
        arguments: &Arguments,
        control: &ControlState,
        now: Timestamp,
    ) -> Result<Pending, ServiceError> {
        let principal = principal_of(record, control)
            .ok_or_else(|| refused(ReasonCode::KeyRevoked, "the key that got it was revoked"))?;
        let request = request_of(record, principal, arguments);
        let subject = resolve(&request, control);
        let Resolved { tenant, tool } = match precheck(&request, &subject, control, now) {
            ControlFlow::Continue(resolved) => resolved,
            ControlFlow::Break(deny) => return Err(refused(deny.code, &deny.reason)),
        };
        if Some(tool.id) != record.tool_id {
            return Err(invalid("its tool does not exist"));
        }
        let case = Case {
            request: &request,
            control,
            tenant,
            tool,
            decision_id: record.id,
            now,
            counted: Some(record),
        };
        let verdict = with_agent(self.judge.judge(&case).await, &subject);
        if !verdict.allow {
            return Err(refused(verdict.code, &verdict.reason));
        }
        let (id, counter, repeats) = (record.id, None, None);
        let decided = Decided { id, at: now, subject, verdict, counter, repeats };
        Ok(decided.pending(&request, control))
    }
}

/// Whether `redeemer` is bound to another tenant or agent.
fn may_redeem(redeemer: &Principal, record: &DecisionRecord) -> Result<(), ServiceError> {
    if !record.tenant_id.is_some_and(|tenant| redeemer.may_access(tenant)) {
        return Err(invalid("it was issued in another tenant"));
    }
    // A bound key is for its agent, in whatever letter case that is written.
    let bound = redeemer.agent().map(AsRef::<str>::as_ref);
    let of = record.agent.as_ref().map(AsRef::<str>::as_ref);
    let same = |bound: &str| of.is_some_and(|of: &str| of.eq_ignore_ascii_case(bound));
    match bound {
        Some(bound) if !same(bound) => Err(invalid("it was issued to another agent")),
        _ => Ok(()),
    }
}

fn timely(decided: Timestamp, now: Timestamp) -> Result<(), ServiceError> {
    is_good(decided, now).map_err(|why| invalid(&format!("it {}", why.as_str())))
}

/// The principal that the decision was made for, while it may still act.
fn principal_of(record: &DecisionRecord, control: &ControlState) -> Option<Principal> {
    if Principal::LOCAL.id() == record.principal {
        return Some(Principal::LOCAL);
    }
    // The key itself must still be in force: another one of its owner does not vouch for it.
    let owned = record.event_metadata.get(KEY).and_then(Value::as_str);
    let id: KeyId = owned.or_else(|| record.principal.strip_prefix("key:"))?.parse().ok()?;
    let key = control.keys().find(|key| key.id == id)?;
    Some(Principal::of_key(Arc::clone(key)))
}

/// The request as it was decided, as far as policy and control state look at it.
fn request_of(
    record: &DecisionRecord,
    principal: Principal,
    arguments: &Arguments,
) -> CheckRequest {
    let stated = |field: &str| record.event_metadata.get(field);
    let context: Option<&Map<String, Value>> = stated("context").and_then(Value::as_object);
    CheckRequest {
        principal,
        tenant: record.tenant.clone(),
        tool: record.tool.clone(),
        action: record.action.clone(),
        purpose: record.purpose.clone(),
        usage: stated("usage").and_then(Value::as_u64).unwrap_or(0),
        context: context.cloned().unwrap_or_default(),
        agent: record.agent.clone(),
        arguments: arguments.clone(),
        call_id: None,
        request_id: stated("request_id").and_then(Value::as_str).unwrap_or_default().into(),
        arrived: Instant::now(),
        deadline: None,
    }
}

fn refused(code: ReasonCode, reason: &str) -> ServiceError {
    let detail = format!("the permit is refused, since the call would be denied by now: {reason}");
    ServiceError::conflict(code.as_str(), detail)
}

fn invalid(why: &str) -> ServiceError {
    ServiceError::Forbidden {
        code: "permit_invalid",
        detail: format!("the permit is refused: {why}"),
    }
}
