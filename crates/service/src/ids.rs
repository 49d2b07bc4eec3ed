//! Identifiers, which begin with the time at which they were made.

use jiff::Timestamp;
use uuid::{NoContext, Uuid};

/// A new identifier (UUID version 7) made at `now`, by the clock that everything else goes by.
pub(crate) fn new_id(now: Timestamp) -> Uuid {
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanoseconds))
}

/// The time at which an identifier was made, in milliseconds; `None` when it has none.
pub(crate) fn time_of(id: Uuid) -> Option<Timestamp> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_the_time_of_the_clock_and_differs_from_the_next() {
        let now: Timestamp = "2026-05-31T23:59:59.999Z".parse().unwrap();
        let (one, other) = (new_id(now), new_id(now));
        assert_ne!(one, other);
        assert_eq!(time_of(one), Some(now));
        assert_eq!(time_of(Uuid::nil()), None);
        assert_eq!(time_of(new_id(Timestamp::MIN)), Some(Timestamp::UNIX_EPOCH));
    }
}
