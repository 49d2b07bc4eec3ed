//! A decision in a batch, with what becomes of it.

use super::pending::Pending;
use crate::audit::DecisionRecord;

/// One decision of a batch.
#[derive(Debug)]
pub(super) struct Entry {
    /// Boxed: it is large, and goes from hand to hand.
    pub(super) pending: Box<Pending>,
    pub(super) state: State,
}

/// What becomes of a decision, as far as the batch is settled.
#[derive(Debug)]
pub(super) enum State {
    /// It is recorded.
    Record,
    /// The call id has this decision.
    Replay(Box<DecisionRecord>),
    /// The call id has this allow, and the call has to be decided as the repeat of it.
    Repeat(Box<DecisionRecord>),
    /// The call id is that of another call.
    Conflict,
    /// What the decision rests on has changed.
    Superseded,
}

impl Entry {
    /// The decision, if it is to be recorded.
    pub(super) const fn to_record(&self) -> Option<&Pending> {
        match self.state {
            State::Record => Some(&self.pending),
            _ => None,
        }
    }

    /// As [`Entry::to_record`].
    pub(super) const fn to_record_mut(&mut self) -> Option<&mut Pending> {
        match self.state {
            State::Record => Some(&mut self.pending),
            _ => None,
        }
    }
}
