//! Which of two revisions is the later one, where their names say it.

use std::cmp::Ordering;

use jiff::Timestamp;
use semver::Version;

/// A revision whose name gives its order among others of its kind.
#[derive(Debug, Clone, PartialEq)]
enum Order {
    Number(u128),
    Version(Version),
    Time(Timestamp),
}

impl Order {
    fn of(revision: &str) -> Option<Self> {
        if let Ok(number) = revision.parse() {
            // `+1` parses, too, and would be another name of `1`.
            return revision
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then_some(Self::Number(number));
        }
        if let Ok(time) = revision.parse() {
            return Some(Self::Time(time));
        }
        Version::parse(revision.strip_prefix('v').unwrap_or(revision)).ok().map(Self::Version)
    }
}

/// Compares two revisions: whole numbers, semantic versions (`v1.2.3`), or times (RFC 3339). `None`
/// when they are of different kinds, or of none.
#[must_use]
pub fn compare(a: &str, b: &str) -> Option<Ordering> {
    match (Order::of(a)?, Order::of(b)?) {
        (Order::Number(a), Order::Number(b)) => Some(a.cmp(&b)),
        (Order::Version(a), Order::Version(b)) => Some(a.cmp_precedence(&b)),
        (Order::Time(a), Order::Time(b)) => Some(a.cmp(&b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_one_kind_have_an_order() {
        for (a, b) in [
            ("9", "10"),
            ("20261124", "20261125"),
            ("v1.9.0", "1.10.0"),
            ("1.0.0-rc.1", "1.0.0"),
            ("2026-11-24T23:00:00Z", "2026-11-25T00:30:00+01:00"),
        ] {
            assert_eq!(compare(a, b), Some(Ordering::Less), "{a} {b}");
            assert_eq!(compare(b, a), Some(Ordering::Greater), "{a} {b}");
        }
        assert_eq!(
            compare("2026-11-24T10:00:00Z", "2026-11-24T11:00:00+01:00"),
            Some(Ordering::Equal)
        );
        for (a, b) in [("9", "v1.0.0"), ("3f2a9c", "3f2a9d"), ("1", "+1"), ("", "1"), ("-1", "1")] {
            assert_eq!(compare(a, b), None, "{a} {b}");
        }
    }
}
