//! What may be deleted, and when. Deleting too late costs room; deleting too early makes a permit
//! redeemable a second time, counts a repeated call twice, or sets a quota back to zero. So a row
//! goes when it has expired by a clock that is believed, plus [`LONGEST_SKEW`].
//!
//! A clock that is ahead is believed only as fast as [`CATCH_UP`] allows: the time up to which
//! things may be deleted is kept in the store, and moves on with what really passed, measured by a
//! monotonic clock. A server whose clock jumps ahead by ten years would have to run so for a
//! hundred days before what is live by the right clock were deleted; one that was off for a month
//! has caught up after a day.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The longest by which the clocks of two servers may differ for the guarantees about quotas,
/// permits and call identifiers to hold: rows are kept so much longer than they are needed.
pub const LONGEST_SKEW: SignedDuration = SignedDuration::from_hours(24);
/// How long a permit may be redeemed, or a call be gone on with, which takes longer.
pub const PERMIT_LIFETIME: SignedDuration = crate::permit::RESUMABLE;
/// How long a call identifier means its call.
pub const CLAIM_LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// How much faster than time itself the believed time follows a clock that is ahead of it.
pub const CATCH_UP: u32 = 32;
/// Rows that one transaction deletes at most.
pub const AT_ONCE: u64 = 1000;

/// Rows that nothing needs once they have expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiring {
    /// Quota counters, by the end of their window.
    Counters,
    /// Redeemed permits, by their redemption and the decision that they are of, whichever is later.
    Permits,
}

impl Expiring {
    pub const ALL: [Self; 2] = [Self::Counters, Self::Permits];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counters => "quota_counters",
            Self::Permits => "permits",
        }
    }

    /// What ended, or was made, before this time is to be deleted at `believed`.
    #[must_use]
    pub fn before(self, believed: Timestamp) -> Timestamp {
        match self {
            Self::Counters => earlier(believed, SignedDuration::ZERO),
            Self::Permits => earlier(believed, PERMIT_LIFETIME),
        }
    }
}

/// Claims made before this time are to be deleted at `believed`.
#[must_use]
pub fn claims_before(believed: Timestamp) -> Timestamp {
    earlier(believed, CLAIM_LIFETIME)
}

fn earlier(believed: Timestamp, lifetime: SignedDuration) -> Timestamp {
    let kept = lifetime.saturating_add(LONGEST_SKEW);
    believed.checked_sub(kept).unwrap_or(Timestamp::MIN)
}

/// What a server's clocks say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// By the clock on the wall, which may be set.
    pub now: Timestamp,
    /// What has passed since this server's last reading, by a clock that cannot be set.
    pub elapsed: Duration,
}

impl Reading {
    /// By how much the believed time may move on.
    #[must_use]
    pub fn step(&self) -> SignedDuration {
        let step = self.elapsed.saturating_mul(CATCH_UP);
        SignedDuration::try_from(step).unwrap_or(SignedDuration::MAX)
    }

    /// The time that is believed, after `before` was.
    #[must_use]
    pub fn believed(&self, before: Timestamp) -> Timestamp {
        self.now.min(before.checked_add(self.step()).unwrap_or(Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_795_342_830, 0);

    fn later(hours: i64) -> Timestamp {
        NOW.checked_add(SignedDuration::from_hours(hours)).unwrap()
    }

    #[test]
    fn a_clock_that_goes_right_is_believed() {
        let hour = Duration::from_secs(3600);
        let mut believed = NOW;
        for hours in 1..48 {
            believed = Reading { now: later(hours), elapsed: hour }.believed(believed);
            assert_eq!(believed, later(hours));
        }
    }

    #[test]
    fn a_clock_that_jumps_ahead_by_years_is_not() {
        let mut believed = NOW;
        for minutes in 1..=60 {
            let now = later(20 * 365 * 24 + minutes / 60);
            believed = Reading { now, elapsed: Duration::from_secs(60) }.believed(believed);
        }
        assert!(believed <= later(32), "{believed} after an hour");
        let right = Reading { now: later(1), elapsed: Duration::ZERO };
        assert_eq!(right.believed(believed), later(1), "once it is right, at once");
    }

    #[test]
    fn a_server_that_was_off_for_a_month_catches_up_within_a_day() {
        let back = Reading { now: later(31 * 24), elapsed: Duration::ZERO };
        assert_eq!(back.believed(NOW), NOW);
        let day = Reading { now: later(32 * 24), elapsed: Duration::from_secs(86_400) };
        assert_eq!(day.believed(NOW), later(32 * 24));
    }

    #[test]
    fn the_ends_of_the_calendar_are_no_panic() {
        let reading = Reading { now: Timestamp::MAX, elapsed: Duration::MAX };
        assert_eq!(reading.believed(Timestamp::MAX), Timestamp::MAX);
        for what in Expiring::ALL {
            assert_eq!(what.before(Timestamp::MIN), Timestamp::MIN);
        }
        assert_eq!(claims_before(Timestamp::MIN), Timestamp::MIN);
    }
}
