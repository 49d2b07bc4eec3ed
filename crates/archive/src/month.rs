//! A month of the calendar, in UTC.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A month in UTC, written `2026-05`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    first: Date,
    start: Timestamp,
    end: Timestamp,
}

/// A text that names no month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a month such as `2026-05`")]
pub struct NotAMonth(String);

impl Month {
    /// The month that begins with `first`; none when another day does, or outside of the years
    /// 1 to 9998.
    #[must_use]
    pub fn beginning(first: Date) -> Option<Self> {
        if first.day() != 1 || !(1..=9998).contains(&first.year()) {
            return None;
        }
        let instant = |date: Date| Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp());
        let next = first.checked_add(Span::new().months(1)).ok()?;
        Some(Self { first, start: instant(first)?, end: instant(next)? })
    }

    /// The month of an instant.
    #[must_use]
    pub fn of(at: Timestamp) -> Option<Self> {
        Self::beginning(at.to_zoned(TimeZone::UTC).date().first_of_month())
    }

    /// The month so many months before this one.
    #[must_use]
    pub fn before(self, months: u32) -> Option<Self> {
        let span = Span::new().try_months(i64::from(months)).ok()?;
        Self::beginning(self.first.checked_sub(span).ok()?)
    }

    /// The first day.
    #[must_use]
    pub const fn first(self) -> Date {
        self.first
    }

    /// The first instant.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        self.start
    }

    /// The first instant after it.
    #[must_use]
    pub const fn end(self) -> Timestamp {
        self.end
    }

    #[must_use]
    pub fn contains(self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

impl FromStr for Month {
    type Err = NotAMonth;

    fn from_str(text: &str) -> Result<Self, NotAMonth> {
        let parsed = || {
            let (year, month) = text.split_once('-')?;
            let date = Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?;
            Self::beginning(date).filter(|found| found.to_string() == text)
        };
        parsed().ok_or_else(|| NotAMonth(text.to_owned()))
    }
}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_that_is_written_is_read() {
        let month: Month = "2026-05".parse().unwrap();
        assert_eq!(month.to_string(), "2026-05");
        assert_eq!(month.start().to_string(), "2026-05-01T00:00:00Z");
        assert_eq!(month.end().to_string(), "2026-06-01T00:00:00Z");
        assert_eq!(month.before(5).unwrap().to_string(), "2025-12");
        assert!(!month.contains(month.end()) && month.contains(month.start()));
        let wrong = ["2026-5", "2026-13", "2026-00", "+026-05", "2026-05-01", "", "-", "0000-01"];
        for text in wrong.into_iter().chain(["9999-12", "20260-5", "2026-05 "]) {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
    }
}
