//! Permits, as far as they are decided: how long one is good, and what redeeming it requires.
//!
//! A permit is redeemed in one transaction that holds the shared epoch lock, as a decision is
//! committed: the store reads the epoch, brings the [`Redemption`] to it by
//! [`Redemption::refresh`], and marks the permit as used only while [`Redemption::is_free`]. So
//! neither a kill nor a revocation that has returned is followed by a redemption of what it covers,
//! on whichever replica.

use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::commit::Pending;
use crate::control::{ControlChanges, ControlState};
use crate::decision::{ReasonCode, Verdict};
use crate::epoch::Epoch;
use crate::id::DecisionId;
use crate::principal::Principal;

/// How long after its decision a permit may be used.
pub const LIFETIME: SignedDuration = SignedDuration::from_secs(60);

/// How long after its decision a call that asked its client something can go on.
pub const RESUMABLE: SignedDuration = SignedDuration::from_hours(1);

/// How far the clocks of replicas may be apart, or one clock jump back. A permit from further in
/// the future is refused: else a clock that was set back would make an old one good again.
///
/// The mark that a permit was used must be kept for [`LIFETIME`] and twice this after the
/// redemption: by then no clock within these limits takes the permit for a good one.
pub const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Why the time is not one at which a permit is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untimely {
    Expired,
    FromTheFuture,
}

impl Untimely {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "has expired",
            Self::FromTheFuture => "comes from the future (a clock was set back)",
        }
    }
}

/// Whether the permit of a decision made at `decided` is good at `now`.
///
/// # Errors
/// Why it is not.
pub fn is_good(decided: Timestamp, now: Timestamp) -> Result<(), Untimely> {
    let age = now.duration_since(decided);
    if age >= LIFETIME {
        Err(Untimely::Expired)
    } else if age < -SKEW {
        Err(Untimely::FromTheFuture)
    } else {
        Ok(())
    }
}

/// How a redemption ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    /// The permit is used now, by this.
    Done,
    /// It was used before, or there is no such allow.
    Used,
    /// What the call was decided on again changed while that was under way: decide once more.
    Superseded,
    /// The control state forbids it.
    Denied { code: ReasonCode, reason: String },
}

/// A permit on its way to being redeemed.
#[derive(Debug)]
pub struct Redemption {
    control: Arc<ControlState>,
    /// The call, decided again: an allow, with the identifier of the decision that has the permit.
    call: Pending,
    redeemer: Principal,
    mark: DecisionId,
    obstacle: Option<Redeemed>,
}

impl Redemption {
    /// To redeem the permit of the decision that `call` is, by `redeemer`. `call` was decided again
    /// on `control`.
    #[must_use]
    pub fn new(control: Arc<ControlState>, call: Pending, redeemer: Principal) -> Self {
        let mark = call.record.id;
        let mut redemption = Self { control, call, redeemer, mark, obstacle: None };
        redemption.look();
        redemption
    }

    /// Uses up the right to go on with the call, for the time `round`, in place of its permit. Each
    /// round is used up by itself, and once: otherwise what was counted once could be sent again and
    /// again.
    #[must_use]
    pub fn of_round(self, round: NonZeroU32) -> Self {
        Self { mark: of_round(self.call.record.id, round), ..self }
    }

    /// What the store marks as used, while the decision is a recorded allow.
    #[must_use]
    pub const fn mark(&self) -> DecisionId {
        self.mark
    }

    #[must_use]
    pub const fn decision_id(&self) -> DecisionId {
        self.call.record.id
    }

    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.call.record.created_at
    }

    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.control.epoch()
    }

    /// Brings it to the epoch of the transaction.
    pub fn refresh(&mut self, changes: ControlChanges) {
        self.control = Arc::new(self.control.after(changes));
        self.look();
    }

    /// Whether the permit may be marked as used.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.obstacle.is_none()
    }

    /// Takes it apart, after the commit: how it ended when the store has `marked` the permit or has
    /// not, and the control state that this holds under.
    #[must_use]
    pub fn end(self, marked: bool) -> (Redeemed, Arc<ControlState>) {
        let without_obstacle = if marked { Redeemed::Done } else { Redeemed::Used };
        (self.obstacle.unwrap_or(without_obstacle), self.control)
    }

    fn look(&mut self) {
        self.obstacle = self.find_obstacle();
    }

    fn find_obstacle(&mut self) -> Option<Redeemed> {
        if !self.control.vouches_for(self.redeemer.credential()) {
            let verdict = Verdict::deny(ReasonCode::KeyRevoked, "the redeeming key was revoked");
            return Some(Redeemed::Denied { code: verdict.code, reason: verdict.reason });
        }
        if !self.call.recheck(&self.control, Timestamp::MIN) {
            return Some(Redeemed::Superseded);
        }
        let record = &self.call.record;
        (!record.allow)
            .then(|| Redeemed::Denied { code: record.code, reason: record.reason.clone() })
    }
}

/// What stands for a round of a call among the permits, which are marked by their decisions.
fn of_round(decision: DecisionId, round: NonZeroU32) -> DecisionId {
    let mut hash = Sha256::new();
    hash.update(b"sentinel-mcp.dev/permit/round/v1");
    hash.update(decision.0.as_bytes());
    hash.update(round.get().to_be_bytes());
    let mut mark = [0; 16];
    mark.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    DecisionId(Uuid::from_bytes(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_is_good_for_its_lifetime_and_from_no_far_future() {
        let decided = Timestamp::constant(1_795_342_830, 0);
        let at = |seconds| decided.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        for good in [-300, -1, 0, 59] {
            assert_eq!(is_good(decided, at(good)), Ok(()), "{good}");
        }
        for late in [60, 61, 86_400] {
            assert_eq!(is_good(decided, at(late)), Err(Untimely::Expired), "{late}");
        }
        for early in [-301, -86_400] {
            assert_eq!(is_good(decided, at(early)), Err(Untimely::FromTheFuture), "{early}");
        }
        assert!(is_good(Timestamp::MIN, Timestamp::MAX).is_err());
        assert!(is_good(Timestamp::MAX, Timestamp::MIN).is_err());
    }
}
