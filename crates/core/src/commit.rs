//! Group commit: the decisions that become durable in one transaction.
//!
//! A store drives a [`Batch`] through these steps, all inside the transaction that holds the
//! shared epoch lock:
//!
//! 1. read the epoch; when it is not the batch's, load the changes and [`Batch::refresh`]; when the
//!    batch [needs the time](Batch::needs_time), say what the store's clock says: [`Batch::at`];
//! 2. look the [`Batch::claims`] up and [`Batch::settle_claim`] those that exist already, each with
//!    whether the permit of its decision was redeemed;
//! 3. count the [`Batch::reservations`] and [`Batch::settle_quota`] each;
//! 4. insert the [`Batch::records`] (and their claims), commit.
//!
//! Only what comes back from a successful commit may be answered.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use crate::audit::DecisionRecord;
pub use crate::claim::{Claim, Claimed, claims_expire_before};
use crate::claim::{Settlement, settle};
use crate::control::{ControlChanges, ControlState};
use crate::decision::{ReasonCode, Subject, Verdict, exceeded_wording};
use crate::epoch::Epoch;
use crate::id::DecisionId;
use crate::kill::{Call, Caller};
use crate::principal::Principal;
use crate::quota::{CounterKey, Grant, Reservation};
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
    /// When nobody waits for it any more.
    pub deadline: Option<Instant>,
    /// The allow that it repeats, when it was decided as a repeat of that: see [`Outcome::Repeats`].
    pub repeats: Option<DecisionId>,
}

impl Pending {
    #[must_use]
    pub fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

/// How one decision of a batch ended.
#[derive(Debug)]
pub enum Outcome {
    /// Recorded in this transaction.
    Recorded(Arc<DecisionRecord>),
    /// The call id was decided before: this is that decision.
    Replayed(Arc<DecisionRecord>),
    /// The call id was used before for another call.
    CallIdConflict,
    /// The call id has this allow, and the call would be denied now. That deny may come of its own
    /// count, so it is to be decided as the repeat that it is, by what was used before it.
    Repeats(Arc<DecisionRecord>),
    /// What the decision rested on changed while it was under way: decide again.
    Superseded,
}

#[derive(Debug)]
enum State {
    Record,
    Replay(Box<DecisionRecord>),
    Repeat(Box<DecisionRecord>),
    Conflict,
    Superseded,
}

/// The place of a decision among those that compete for one counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Index of the reservation that the decision takes from.
    pub reservation: usize,
    /// How many of the batch take from it, up to and including this one.
    pub place: u64,
}

/// Decisions that are committed together.
#[derive(Debug)]
pub struct Batch {
    control: Arc<ControlState>,
    entries: Vec<(Pending, State)>,
    claims: HashSet<Claim>,
    limits: HashMap<CounterKey, Option<u64>>,
    used: Vec<(CounterKey, u64)>,
    /// The latest time that a clock beside those of the decisions said.
    now: Timestamp,
}

/// What a committed batch tells the service.
#[derive(Debug)]
pub struct Committed {
    /// The control state under which it was committed.
    pub control: Arc<ControlState>,
    /// How each decision ended, in the order they were pushed.
    pub outcomes: Vec<Outcome>,
    /// The counters it touched, with what is used of each now.
    pub used: Vec<(CounterKey, u64)>,
}

impl Batch {
    /// Decisions a batch holds at most.
    pub const MAX: usize = 1024;

    #[must_use]
    pub fn new(control: Arc<ControlState>) -> Self {
        Self {
            control,
            entries: Vec::new(),
            claims: HashSet::new(),
            limits: HashMap::new(),
            used: Vec::new(),
            now: Timestamp::MIN,
        }
    }

    /// Adds a decision, or hands it back when it has to wait for the next batch: two checks with
    /// one call id must see each other, and a counter has one limit in a batch.
    ///
    /// # Errors
    /// The decision itself.
    #[expect(clippy::result_large_err, reason = "the caller keeps what did not fit")]
    pub fn push(&mut self, pending: Pending) -> Result<(), Pending> {
        if self.entries.len() >= Self::MAX || self.limit_differs(&pending) {
            return Err(pending);
        }
        if let Some(claim) = Claim::of(&pending)
            && !self.claims.insert(claim)
        {
            return Err(pending);
        }
        if let Some(counter) = pending.counter {
            self.limits.insert(counter, limit_of(&pending));
        }
        let mut entry = (pending, State::Record);
        if entry.0.epoch != self.epoch() {
            recheck_entry(&mut entry, &self.control, self.now);
        }
        self.entries.push(entry);
        Ok(())
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.control.epoch()
    }

    fn limit_differs(&self, pending: &Pending) -> bool {
        let known = pending.counter.and_then(|counter| self.limits.get(&counter));
        known.is_some_and(|limit| *limit != limit_of(pending))
    }

    /// Brings the batch to the epoch of the transaction. Whatever a kill now covers becomes a
    /// deny; whatever rested on a tool, tenant, key or policy state that changed is superseded.
    pub fn refresh(&mut self, changes: ControlChanges) {
        self.control = Arc::new(self.control.after(changes));
        for entry in &mut self.entries {
            recheck_entry(entry, &self.control, self.now);
        }
    }

    /// Whether a kill that is still to come would cover what the batch allows. The store that commits it
    /// has to say first what the clock says, which all replicas share where the store has one:
    /// the clock of one that is behind must not put off a kill.
    #[must_use]
    pub fn needs_time(&self) -> bool {
        let kills = self.control.kills();
        kills.has_pending()
            && self.recorded().any(|(_, pending)| {
                may_allow(&pending.record) && kills.may_come_to_cover(&call_of(pending, self.now))
            })
    }

    /// Says that a clock shows `now`: whatever a kill covers by that becomes a deny.
    pub fn at(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        if !self.control.kills().has_pending() {
            return;
        }
        for (pending, state) in &mut self.entries {
            if matches!(state, State::Record) {
                deny_if_killed(pending, &self.control, self.now);
            }
        }
    }

    /// The claims to look up, each with the index that names it in [`Batch::settle_claim`].
    pub fn claims(&self) -> impl Iterator<Item = (usize, Claim)> {
        self.recorded().filter_map(|(index, pending)| Some((index, Claim::of(pending)?)))
    }

    /// An earlier check made the claim of entry `index` and got the decision `claimed`. It is
    /// answered again when that is a deny, or when the call would be allowed now, too, and the
    /// permit is still good. A deny in place of an earlier allow is recorded, and leaves the claim
    /// alone.
    pub fn settle_claim(&mut self, index: usize, claimed: Claimed) {
        let Some((pending, state)) = self.entries.get_mut(index) else { return };
        match settle(pending, &claimed) {
            Settlement::Conflict => *state = State::Conflict,
            Settlement::Replay => *state = State::Replay(Box::new(claimed.record)),
            Settlement::DecideAsRepeat => *state = State::Repeat(Box::new(claimed.record)),
            Settlement::Deny => pending.record.call_id = None,
            Settlement::DenyFor(code, reason) => {
                pending.record.call_id = None;
                deny(&mut pending.record, code, reason);
            }
        }
    }

    /// What is to be counted: one reservation for each distinct counter, in key order, so that
    /// two transactions never wait for each other in a circle.
    #[must_use]
    pub fn reservations(&self) -> Vec<Reservation> {
        let mut wanted = BTreeMap::<CounterKey, Reservation>::new();
        for (_, pending) in self.recorded().filter(|(_, pending)| pending.record.allow) {
            let Some(key) = pending.counter else { continue };
            let reservation = Reservation { key, wanted: 0, limit: limit_of(pending) };
            wanted.entry(key).or_insert(reservation).wanted += 1;
        }
        wanted.into_values().collect()
    }

    /// For each of the [`Batch::records`] its turn at one of `reservations`, which are those of this
    /// batch; `None` for what takes nothing. Whatever has a place beyond what is granted becomes a
    /// deny: a store that writes rows in the statement that counts needs to know before.
    #[must_use]
    pub fn turns(&self, reservations: &[Reservation]) -> Vec<Option<Turn>> {
        let indices = reservations.iter().enumerate().map(|(index, each)| (each.key, index));
        let indices: HashMap<CounterKey, usize> = indices.collect();
        let mut places = vec![0; reservations.len()];
        let turn = |(_, pending): (usize, &Pending)| {
            let counter = pending.counter.filter(|_| pending.record.allow)?;
            let reservation = *indices.get(&counter)?;
            let place = places.get_mut(reservation)?;
            *place += 1;
            Some(Turn { reservation, place: *place })
        };
        self.recorded().map(turn).collect()
    }

    /// The store counted `grant.granted` of a reservation: the first entries get them, the others
    /// become denies.
    pub fn settle_quota(&mut self, key: &CounterKey, grant: Grant) {
        self.used.push((*key, grant.before.saturating_add(grant.granted)));
        let mut taken = 0;
        let of_key = self.entries.iter_mut().filter(|(pending, state)| {
            matches!(state, State::Record) && pending.record.allow && pending.counter == Some(*key)
        });
        for (pending, _) in of_key {
            if taken < grant.granted {
                taken += 1;
                let used = grant.before.saturating_add(taken);
                pending.record.quota_remaining =
                    pending.record.quota.map(|quota| quota.limit.saturating_sub(used));
            } else {
                deny_exceeded(&mut pending.record);
            }
        }
    }

    /// The decisions to insert.
    pub fn records(&self) -> impl Iterator<Item = &DecisionRecord> {
        self.recorded().map(|(_, pending)| &pending.record)
    }

    /// The claims to insert, each with the decision it leads to. A deny that passes by itself
    /// claims nothing: its caller is told to try again.
    pub fn new_claims(&self) -> impl Iterator<Item = (Claim, &DecisionRecord)> {
        let lasting = self.recorded().filter(|(_, pending)| !pending.record.code.is_transient());
        lasting.filter_map(|(_, pending)| Some((Claim::of(pending)?, &pending.record)))
    }

    /// Numbers the decisions to insert in the order of their commit, starting at `first`, and
    /// notes the epoch that they are committed under.
    pub fn number(&mut self, first: u64) {
        let epoch = self.epoch();
        let recorded = self.entries.iter_mut().filter(|(_, state)| matches!(state, State::Record));
        for ((pending, _), sequence) in recorded.zip(first..) {
            pending.record.sequence = sequence;
            pending.record.epoch = epoch;
        }
    }

    /// Takes the batch apart; call it only with what a successful commit returned.
    #[must_use]
    pub fn into_committed(self) -> Committed {
        let outcomes = self.entries.into_iter().map(|(pending, state)| match state {
            State::Record => Outcome::Recorded(Arc::new(pending.record)),
            State::Replay(record) => Outcome::Replayed(Arc::new(*record)),
            State::Repeat(record) => Outcome::Repeats(Arc::new(*record)),
            State::Conflict => Outcome::CallIdConflict,
            State::Superseded => Outcome::Superseded,
        });
        Committed { control: self.control, outcomes: outcomes.collect(), used: self.used }
    }

    fn recorded(&self) -> impl Iterator<Item = (usize, &Pending)> {
        self.entries
            .iter()
            .enumerate()
            .filter(|(_, (_, state))| matches!(state, State::Record))
            .map(|(index, (pending, _))| (index, pending))
    }
}

fn recheck_entry((pending, state): &mut (Pending, State), control: &ControlState, now: Timestamp) {
    if !recheck(pending, control, now) {
        *state = State::Superseded;
    }
}

/// Looks at a decision again under `control`, at the later of its own time and `now`: what a kill
/// covers becomes a deny. `false` when what
/// it rested on has changed, so that it has to be decided again.
pub(crate) fn recheck(pending: &mut Pending, control: &ControlState, now: Timestamp) -> bool {
    let stands = still_stands(pending, control);
    if stands {
        deny_if_killed(pending, control, now);
    }
    stands
}

fn limit_of(pending: &Pending) -> Option<u64> {
    pending.record.quota.map(|quota| quota.limit)
}

/// Whether the tenant, the tool, the key and the policy are still the ones that were decided on.
fn still_stands(pending: &Pending, control: &ControlState) -> bool {
    let record = &pending.record;
    let vouched = !may_allow(record) || control.vouches_for(pending.principal.credential());
    let tenant = control.tenant(&record.tenant);
    let tool = tenant
        .filter(|tenant| pending.principal.may_access(tenant.id))
        .and_then(|tenant| control.tool(tenant.id, &record.tool));
    // What the control state alone denied rests on no policy.
    let policy_stands = record.code.is_control() || pending.policy.decides_as(control.policy());
    vouched
        && policy_stands
        && tenant == pending.subject.tenant.as_ref()
        && tool == pending.subject.tool.as_ref()
}

/// A deny can lead to an allow that was given before: that of its call id.
fn may_allow(record: &DecisionRecord) -> bool {
    record.allow || (record.call_id.is_some() && !record.code.is_control())
}

/// A decision as kills see it, at the later of its own time and `now`.
fn call_of(pending: &Pending, now: Timestamp) -> Call<'_> {
    Call {
        tenant_id: pending.record.tenant_id,
        tool: pending.subject.tool.as_deref(),
        agent: pending.subject.agent.as_ref(),
        caller: Caller::Principal(&pending.principal),
        at: pending.record.created_at.max(now),
    }
}

fn deny_if_killed(pending: &mut Pending, control: &ControlState, now: Timestamp) {
    if !may_allow(&pending.record) {
        return;
    }
    let killed = control.kills().covering(&call_of(pending, now)).map(|kill| Verdict::killed(kill));
    if let Some(verdict) = killed {
        deny(&mut pending.record, verdict.code, verdict.reason);
    }
}

/// Turns it into a deny for a reason outside policy.
fn deny(record: &mut DecisionRecord, code: ReasonCode, reason: String) {
    record.allow = false;
    record.code = code;
    record.reason = reason;
    record.reasons.clear();
    record.quota_remaining = (code == ReasonCode::QuotaExceeded).then_some(0);
}

fn deny_exceeded(record: &mut DecisionRecord) {
    record.allow = false;
    record.code = ReasonCode::QuotaExceeded;
    record.quota_remaining = Some(0);
    if let Some(quota) = record.quota {
        record.reason = exceeded_wording(quota);
    }
}
