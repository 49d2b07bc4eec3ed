//! Quotas: how many allows fit into a window. Windows are aligned to UTC, so every replica agrees
//! where one begins without talking about it.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::id::{TenantId, ToolId};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// No window is longer than this many days; longer ones are surely a mistake.
const MAX_DAYS: i64 = 3660;

/// Length of a window: `1m`, `6h`, `1d`, `30d` or `month` (the calendar month, UTC).
///
/// Windows of one length begin and end at the same moments, so they are equal and have one counter:
/// `1440m` and `24h` are `1d`. They are written in the largest unit that fits.
#[derive(Debug, Clone, Copy)]
pub enum Window {
    Minutes(u32),
    Hours(u32),
    Days(u32),
    Month,
}

impl Window {
    /// The calendar day, UTC: the window of a quota that states none.
    pub const DAY: Self = Self::Days(1);

    /// The same length in the largest unit that fits.
    #[must_use]
    pub const fn canonical(self) -> Self {
        match self {
            Self::Minutes(n) if n % 60 == 0 => Self::Hours(n / 60).canonical(),
            Self::Hours(n) if n % 24 == 0 => Self::Days(n / 24),
            other => other,
        }
    }

    /// What equal windows have in common: the unit of the canonical form, and how many of it.
    const fn key(self) -> (u8, u32) {
        match self.canonical() {
            Self::Minutes(n) => (0, n),
            Self::Hours(n) => (1, n),
            Self::Days(n) => (2, n),
            Self::Month => (3, 1),
        }
    }

    /// The window that contains `at`.
    ///
    /// # Errors
    /// When `at` is so far from today that the calendar cannot express the window.
    pub fn span(self, at: Timestamp) -> Result<Span, QuotaError> {
        match self {
            Self::Month => month_of(at),
            Self::Minutes(n) => aligned(at, i64::from(n) * MINUTE),
            Self::Hours(n) => aligned(at, i64::from(n) * HOUR),
            Self::Days(n) => aligned(at, i64::from(n) * DAY),
        }
    }
}

impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Window {}

impl std::hash::Hash for Window {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for Window {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Window {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

fn aligned(at: Timestamp, seconds: i64) -> Result<Span, QuotaError> {
    let start = at.as_second().div_euclid(seconds) * seconds;
    let instant = |second| Timestamp::from_second(second).map_err(|_| QuotaError::OutOfRange);
    Ok(Span { start: instant(start)?, end: instant(start + seconds)? })
}

fn month_of(at: Timestamp) -> Result<Span, QuotaError> {
    let first = at.to_zoned(TimeZone::UTC).date().first_of_month();
    let next =
        first.checked_add(jiff::Span::new().months(1)).map_err(|_| QuotaError::OutOfRange)?;
    let instant = |date: jiff::civil::Date| {
        date.to_zoned(TimeZone::UTC)
            .map(|zoned| zoned.timestamp())
            .map_err(|_| QuotaError::OutOfRange)
    };
    Ok(Span { start: instant(first)?, end: instant(next)? })
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.canonical() {
            Self::Minutes(n) => write!(f, "{n}m"),
            Self::Hours(n) => write!(f, "{n}h"),
            Self::Days(n) => write!(f, "{n}d"),
            Self::Month => f.write_str("month"),
        }
    }
}

impl std::str::FromStr for Window {
    type Err = QuotaError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || QuotaError::BadWindow(text.chars().take(32).collect());
        if text == "month" {
            return Ok(Self::Month);
        }
        let digits = text.get(..text.len().saturating_sub(1)).unwrap_or("");
        if digits.is_empty()
            || digits.starts_with('0')
            || !digits.bytes().all(|b| b.is_ascii_digit())
        {
            return Err(bad());
        }
        let n: u32 = digits.parse().map_err(|_| bad())?;
        let (window, unit) = match text.as_bytes().last() {
            Some(b'm') => (Self::Minutes(n), MINUTE),
            Some(b'h') => (Self::Hours(n), HOUR),
            Some(b'd') => (Self::Days(n), DAY),
            _ => return Err(bad()),
        };
        if i64::from(n) * unit > MAX_DAYS * DAY { Err(bad()) } else { Ok(window.canonical()) }
    }
}

impl Serialize for Window {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One concrete window: `start` is inside, `end` is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub start: Timestamp,
    pub end: Timestamp,
}

/// The limit a policy states: at most `limit` allows in each `window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    pub limit: u64,
    pub window: Window,
}

/// Names one counter in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterKey {
    pub tenant_id: TenantId,
    pub tool_id: ToolId,
    pub window: Window,
    pub span: Span,
}

/// A wish to count `wanted` allows on one counter, under one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    pub key: CounterKey,
    pub wanted: u64,
    /// `None` counts without limiting.
    pub limit: Option<u64>,
}

impl Reservation {
    /// How many of the wanted allows fit when `used` are taken already.
    #[must_use]
    pub fn fitting(&self, used: u64) -> u64 {
        self.limit.map_or(self.wanted, |limit| self.wanted.min(limit.saturating_sub(used)))
    }
}

/// What the store grants of a [`Reservation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Used before this reservation.
    pub before: u64,
    /// How many of the wanted were granted; the first ones of the batch get them.
    pub granted: u64,
}

/// State of one counter, for `GET /v1/quotas`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    pub key: CounterKey,
    pub used: u64,
    /// The limit that applied when it was last used; `None` when counted without limit.
    pub limit: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    #[error("bad window `{0}`; write `15m`, `1h`, `1d`, `30d` or `month`")]
    BadWindow(String),
    #[error("the window is outside the calendar")]
    OutOfRange,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("1m", "2026-11-22T10:20:30Z", "2026-11-22T10:20:00Z", "2026-11-22T10:21:00Z")]
    #[case("6h", "2026-11-22T10:20:30Z", "2026-11-22T06:00:00Z", "2026-11-22T12:00:00Z")]
    #[case("1d", "2026-11-22T23:59:59.999Z", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z")]
    #[case("month", "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z")]
    #[case("month", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")]
    fn windows_are_aligned_to_utc(
        #[case] window: Window,
        #[case] at: Timestamp,
        #[case] start: Timestamp,
        #[case] end: Timestamp,
    ) {
        assert_eq!(window.span(at).unwrap(), Span { start, end });
    }

    #[test]
    fn nonsense_windows_are_refused() {
        let nonsense =
            ["", "d", "0d", "-1d", "1.5h", "1w", "01d", "99999d", "4294967296m", "\u{661}d", "1D"];
        for text in nonsense {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }

    #[rstest]
    #[case(&["1d", "24h", "1440m"])]
    #[case(&["7d", "168h", "10080m"])]
    #[case(&["30d", "720h", "43200m"])]
    #[case(&["1h", "60m"])]
    #[case(&["36h", "2160m"])]
    fn windows_of_one_length_are_one(#[case] spellings: &[&str]) {
        let windows: Vec<Window> = spellings.iter().map(|text| text.parse().unwrap()).collect();
        let distinct: std::collections::HashSet<_> = windows.iter().collect();
        let sorted: std::collections::BTreeSet<_> = windows.iter().collect();
        assert_eq!((distinct.len(), sorted.len()), (1, 1));
        for window in &windows {
            assert_eq!(window.to_string(), spellings[0]);
        }
        assert_ne!(windows[0], Window::Month);
        assert_ne!(windows[0], Window::Minutes(59));
    }

    proptest! {
        #[test]
        fn equal_windows_have_equal_spans(
            n in 1_u32..200, second in -4_000_000_000_i64..8_000_000_000
        ) {
            let at = Timestamp::from_second(second).unwrap();
            for (one, same) in [
                (Window::Days(n), Window::Hours(24 * n)),
                (Window::Days(n), Window::Minutes(1440 * n)),
                (Window::Hours(n), Window::Minutes(60 * n)),
            ] {
                prop_assert_eq!(one, same);
                prop_assert_eq!(one.to_string(), same.to_string());
                prop_assert_eq!(one.span(at).unwrap(), same.span(at).unwrap());
            }
        }

        #[test]
        fn every_window_contains_its_instant(n in 1_u32..3000, second in -4_000_000_000_i64..8_000_000_000) {
            let at = Timestamp::from_second(second).unwrap();
            for window in [Window::Minutes(n), Window::Hours(n), Window::Days(n), Window::Month] {
                let span = window.span(at).unwrap();
                prop_assert!(span.start <= at && at < span.end);
                prop_assert_eq!(window.to_string().parse::<Window>().unwrap(), window);
            }
        }

        #[test]
        fn no_reservation_is_granted_beyond_its_limit(limit in 0_u64.., used in 0_u64.., wanted in 0_u64..) {
            let now = Timestamp::UNIX_EPOCH;
            let key = CounterKey {
                tenant_id: TenantId(uuid::Uuid::nil()),
                tool_id: ToolId(uuid::Uuid::nil()),
                window: Window::DAY,
                span: Window::DAY.span(now).unwrap(),
            };
            let fitting = Reservation { key, wanted, limit: Some(limit) }.fitting(used);
            prop_assert!(fitting <= wanted);
            prop_assert!(fitting == 0 || used + fitting <= limit);
        }
    }
}
