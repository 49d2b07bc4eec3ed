//! RFC 3339 in UTC with exactly three decimals; no other spelling is read.

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn cut(timestamp: Timestamp) -> Timestamp {
    let excess = timestamp.as_nanosecond().rem_euclid(1_000_000);
    Timestamp::from_nanosecond(timestamp.as_nanosecond() - excess).unwrap_or(timestamp)
}

pub(super) fn serialize<S: Serializer>(
    timestamp: &Timestamp,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{timestamp:.3}"))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    let invalid = || D::Error::custom("invalid timestamp");
    let timestamp: Timestamp = text.parse().map_err(|_| invalid())?;
    if format!("{timestamp:.3}") == text { Ok(timestamp) } else { Err(invalid()) }
}
