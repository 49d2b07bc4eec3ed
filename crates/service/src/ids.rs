//! Identifiers, which begin with the time at which they were made.

use jiff::Timestamp;
use sentinel_provenance::Sha256Digest;
use uuid::{NoContext, Uuid};

/// A new identifier (UUID version 7) made at `now`, by the clock that everything else goes by.
pub(crate) fn new_id(now: Timestamp) -> Uuid {
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanoseconds))
}

/// The identifier of what `parts` say, made at the time that `basis` was made: always the same for
/// the same parts. Parts are framed by their lengths.
pub(crate) fn derived_id(basis: Uuid, parts: &[&[u8]]) -> Uuid {
    let mut framed = b"sentinel derived id".to_vec();
    for part in [basis.as_bytes().as_slice()].iter().chain(parts) {
        framed.extend((part.len() as u64).to_be_bytes());
        framed.extend_from_slice(part);
    }
    let mut random = [0; 10];
    let digest = Sha256Digest::of(&framed);
    random.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
    let millis = basis.as_u128() >> 80;
    let millis = u64::try_from(millis).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
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
    fn a_derived_identifier_is_the_same_for_the_same_parts_only() {
        let basis = new_id("2026-05-31T23:59:59.999Z".parse().unwrap());
        let id = |parts: &[&[u8]]| derived_id(basis, parts);
        assert_eq!(id(&[b"ab", b"c"]), id(&[b"ab", b"c"]));
        assert_ne!(id(&[b"ab", b"c"]), id(&[b"a", b"bc"]));
        assert_ne!(id(&[b"ab"]), derived_id(new_id(Timestamp::UNIX_EPOCH), &[b"ab"]));
        assert_eq!(time_of(id(&[b"ab"])), time_of(basis));
        assert_eq!(id(&[]).get_version_num(), 7);
    }

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
