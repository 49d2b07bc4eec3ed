//! Group commit: the decisions that become durable in one transaction.
//!
//! A store drives a [`Batch`] through these steps, all inside the transaction that holds the
//! shared epoch lock:
//!
//! 1. read the epoch; when it is not the batch's, load the changes and [`Batch::refresh`]; when the
//!    batch [needs the time](Batch::needs_time), pass what the store's clock says to [`Batch::at`];
//! 2. settle what the decisions take, one [`Settlement`] after the other: look the
//!    [`Batch::claims`] up and [`Batch::settle_claim`] those that exist already, each with whether
//!    the permit of its decision was redeemed; count the [`Batch::reservations`] and
//!    [`Batch::settle_quota`] each;
//! 3. insert the [`Batch::records`] (and their claims), commit.
//!
//! Only what a successful commit returns may be sent to callers.

mod claim;
mod entry;
mod pending;
mod quotas;
mod settlement;

use std::sync::Arc;

use jiff::Timestamp;

use crate::audit::DecisionRecord;
use crate::control::{ControlChanges, ControlState};
use crate::epoch::Epoch;
use crate::quota::{CounterKey, Grant, Reservation};
use claim::Claims;
use entry::{Entry, State};
use quotas::Quotas;
use settlement::Settles as _;

pub use claim::{Claim, Claimed, claims_expire_before};
pub use pending::Pending;
pub use quotas::Turn;
pub use settlement::Settlement;

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

/// Decisions that are committed together, and what they take.
#[derive(Debug)]
pub struct Batch {
    control: Arc<ControlState>,
    entries: Vec<Entry>,
    claims: Claims,
    quotas: Quotas,
    /// The latest time of all clocks but those of the decisions.
    now: Timestamp,
}

/// A batch after its commit.
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
    /// The largest number of decisions in a batch.
    pub const MAX: usize = 1024;

    #[must_use]
    pub fn new(control: Arc<ControlState>) -> Self {
        Self {
            control,
            entries: Vec::new(),
            claims: Claims::default(),
            quotas: Quotas::default(),
            now: Timestamp::MIN,
        }
    }

    /// Adds a decision, or hands it back when it has to wait for the next batch: when this one is
    /// full, or the decision cannot be settled together with those in it.
    ///
    /// # Errors
    /// The decision itself.
    pub fn push(&mut self, pending: impl Into<Box<Pending>>) -> Result<(), Box<Pending>> {
        let pending = pending.into();
        let is_full = self.entries.len() >= Self::MAX;
        if is_full || !self.quotas.admits(&pending) || !self.claims.admits(&pending) {
            return Err(pending);
        }
        self.claims.join(&pending);
        self.quotas.join(&pending);
        let mut entry = Entry { pending, state: State::Record };
        if entry.pending.epoch != self.epoch() {
            recheck(&mut entry, &self.control, self.now);
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

    /// Brings the batch to the epoch of the transaction. What a kill now covers becomes a deny;
    /// what rested on a tool, tenant, key or policy state that changed is superseded.
    pub fn refresh(&mut self, changes: ControlChanges) {
        self.control = Arc::new(self.control.after(changes));
        for entry in &mut self.entries {
            recheck(entry, &self.control, self.now);
        }
    }

    /// Whether a kill that has not started yet would cover what the batch allows. The store that
    /// commits it must then pass the time of its clock to [`Batch::at`]. Where a store has a clock,
    /// all replicas share it: the clock of a replica that is behind must not delay a kill.
    #[must_use]
    pub fn needs_time(&self) -> bool {
        let kills = self.control.kills();
        let mut records = self.entries.iter().filter_map(Entry::to_record);
        kills.has_pending()
            && records.any(|pending| {
                pending.may_allow() && kills.may_come_to_cover(&pending.call_at(self.now))
            })
    }

    /// Takes the time of another clock into account: what a kill covers by then becomes a deny.
    pub fn at(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        if !self.control.kills().has_pending() {
            return;
        }
        for pending in self.entries.iter_mut().filter_map(Entry::to_record_mut) {
            pending.deny_if_killed(&self.control, self.now);
        }
    }

    /// Whether the batch has anything of this kind to settle.
    #[must_use]
    pub fn needs(&self, settlement: Settlement) -> bool {
        match settlement {
            Settlement::Claims => self.claims.are_needed(&self.entries),
            Settlement::Quotas => self.quotas.are_needed(&self.entries),
        }
    }

    /// The claims to look up, each with the index of its decision.
    #[must_use]
    pub fn claims(&self) -> Vec<(usize, Claim)> {
        self.claims.asked(&self.entries)
    }

    /// An earlier check made one of [`Batch::claims`] and got the decision `claimed`.
    pub fn settle_claim(&mut self, asked: &(usize, Claim), claimed: Claimed) {
        self.claims.settle(&mut self.entries, asked, claimed);
    }

    /// What is to be counted: one reservation for each distinct counter, in key order, so that
    /// two transactions never wait for each other in a circle.
    #[must_use]
    pub fn reservations(&self) -> Vec<Reservation> {
        self.quotas.asked(&self.entries)
    }

    /// For each of the [`Batch::records`] its turn at one of `reservations`, which are those of
    /// this batch; `None` for a decision that takes nothing. A decision whose place is beyond what
    /// is granted becomes a deny: a store that inserts rows in the statement that counts needs to
    /// know before.
    #[must_use]
    pub fn turns(&self, reservations: &[Reservation]) -> Vec<Option<Turn>> {
        Quotas::turns(&self.entries, reservations)
    }

    /// The store counted `grant.granted` of a reservation.
    pub fn settle_quota(&mut self, reservation: &Reservation, grant: Grant) {
        self.quotas.settle(&mut self.entries, reservation, grant);
    }

    /// The decisions to insert.
    pub fn records(&self) -> impl Iterator<Item = &DecisionRecord> {
        self.entries.iter().filter_map(Entry::to_record).map(|pending| &pending.record)
    }

    /// The claims to insert, each with the decision it leads to. A transient deny claims nothing:
    /// its caller is told to try again.
    pub fn new_claims(&self) -> impl Iterator<Item = (Claim, &DecisionRecord)> {
        let records = self.entries.iter().filter_map(Entry::to_record);
        let lasting = records.filter(|pending| !pending.record.code.is_transient());
        lasting.filter_map(|pending| Some((Claim::of(pending)?, &pending.record)))
    }

    /// Numbers the decisions to insert in the order of their commit, starting at `first`, and
    /// sets the epoch that they are committed under.
    pub fn number(&mut self, first: u64) {
        let epoch = self.epoch();
        let records = self.entries.iter_mut().filter_map(Entry::to_record_mut);
        for (pending, sequence) in records.zip(first..) {
            pending.record.sequence = sequence;
            pending.record.epoch = epoch;
        }
    }

    /// Takes the batch apart; call it only with what a successful commit returned.
    #[must_use]
    pub fn into_committed(self) -> Committed {
        let outcomes = self.entries.into_iter().map(|Entry { pending, state }| match state {
            State::Record => Outcome::Recorded(Arc::new(pending.record)),
            State::Replay(record) => Outcome::Replayed(Arc::new(*record)),
            State::Repeat(record) => Outcome::Repeats(Arc::new(*record)),
            State::Conflict => Outcome::CallIdConflict,
            State::Superseded => Outcome::Superseded,
        });
        Committed { control: self.control, outcomes: outcomes.collect(), used: self.quotas.used }
    }
}

fn recheck(entry: &mut Entry, control: &ControlState, now: Timestamp) {
    if !entry.pending.recheck(control, now) {
        entry.state = State::Superseded;
    }
}
