//! Pins: the definition of a tool that was approved. A tool of an upstream whose definition is
//! another by now is quarantined until an operator approves the new one.

use std::fmt;
use std::io;
use std::str::FromStr;

use jiff::Timestamp;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::id::UpstreamId;

/// What a tool of an upstream is pinned to, and what keeps it from being called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// The upstream that offered it last.
    pub upstream: UpstreamId,
    /// The approved definition. `None` for a new tool that waits for approval, and for a
    /// [`Door`](crate::upstream::Door), which has no definition.
    pub approved: Option<DefinitionDigest>,
    /// `None` while the tool can be called.
    pub quarantine: Option<Quarantine>,
}

/// Why a tool cannot be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarantine {
    pub cause: QuarantineCause,
    /// The definition that the upstream offers instead of the approved one.
    pub offered: Option<DefinitionDigest>,
    pub since: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuarantineCause {
    /// The definition is not the approved one.
    Drift,
    /// The definition is not the approved one, and an operator has rejected it.
    Rejected,
    /// The tool is new, and new tools wait for approval.
    Unapproved,
    /// The upstream was removed, or was replaced and has not offered the tool yet.
    UpstreamRemoved,
}

impl QuarantineCause {
    pub const ALL: [Self; 4] =
        [Self::Drift, Self::Rejected, Self::Unapproved, Self::UpstreamRemoved];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::Rejected => "rejected",
            Self::Unapproved => "unapproved",
            Self::UpstreamRemoved => "upstream_removed",
        }
    }

    /// The reason of the deny, after the name of the tool.
    #[must_use]
    pub const fn wording(self) -> &'static str {
        match self {
            Self::Drift => {
                "is quarantined: its definition has changed, and an operator has not approved it"
            }
            Self::Rejected => "is quarantined: an operator has rejected its changed definition",
            Self::Unapproved => "is new, and an operator has not approved it",
            Self::UpstreamRemoved => "belongs to an upstream that was removed",
        }
    }
}

impl FromStr for QuarantineCause {
    type Err = UnknownCause;

    fn from_str(text: &str) -> Result<Self, UnknownCause> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == text).ok_or(UnknownCause)
    }
}

/// A cause that this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown cause of a quarantine")]
pub struct UnknownCause;

/// What an operator may do with an offered definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Review {
    Approve,
    Reject,
}

impl Pin {
    /// The pin of a door.
    #[must_use]
    pub const fn of_door(upstream: UpstreamId) -> Self {
        Self { upstream, approved: None, quarantine: None }
    }

    /// The pin of a tool that is offered for the first time: approved at once, unless new tools
    /// wait for that.
    #[must_use]
    pub fn first(
        upstream: UpstreamId,
        offered: DefinitionDigest,
        waits: bool,
        now: Timestamp,
    ) -> Self {
        let since = now;
        let cause = QuarantineCause::Unapproved;
        let quarantine = waits.then_some(Quarantine { cause, offered: Some(offered), since });
        Self { upstream, approved: (!waits).then_some(offered), quarantine }
    }

    /// The pin after `upstream` has offered a definition: the approved one lifts a quarantine, any
    /// other begins one. It is unchanged when nothing new was offered.
    #[must_use]
    pub fn after_offer(
        self,
        upstream: UpstreamId,
        offered: DefinitionDigest,
        now: Timestamp,
    ) -> Self {
        if self.approved == Some(offered) {
            return Self { upstream, quarantine: None, ..self };
        }
        let is_known = |known: &Quarantine| {
            known.offered == Some(offered) && known.cause != QuarantineCause::UpstreamRemoved
        };
        let known = self.quarantine.filter(is_known);
        let cause = match self.approved {
            Some(_) => QuarantineCause::Drift,
            None => QuarantineCause::Unapproved,
        };
        let fresh = Quarantine { cause, offered: Some(offered), since: now };
        Self { upstream, quarantine: Some(known.unwrap_or(fresh)), ..self }
    }

    /// The pin after an operator has reviewed `digest`; `None` when that is not what is offered.
    #[must_use]
    pub fn after_review(self, review: Review, digest: DefinitionDigest) -> Option<Self> {
        let quarantine = self.quarantine.filter(|known| known.offered == Some(digest))?;
        Some(match review {
            Review::Approve => Self { approved: Some(digest), quarantine: None, ..self },
            Review::Reject => {
                let cause = QuarantineCause::Rejected;
                Self { quarantine: Some(Quarantine { cause, ..quarantine }), ..self }
            }
        })
    }

    /// The definitions that are kept: the approved one, and the one offered.
    pub fn definitions(&self) -> impl Iterator<Item = DefinitionDigest> {
        let offered = self.quarantine.and_then(|quarantine| quarantine.offered);
        self.approved.into_iter().chain(offered)
    }
}

/// SHA-256 of a tool's definition and of the endpoint that offers it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DefinitionDigest(pub [u8; 32]);

impl DefinitionDigest {
    /// Of a definition as an upstream lists it: everything but `_meta`, in canonical form.
    #[must_use]
    pub fn of(definition: &Map<String, Value>, endpoint: &[&str]) -> Self {
        let mut hasher = Hasher(Sha256::new());
        // Writing to a hash does not fail. If it did, no definition could have the digest of one
        // that was written whole.
        let written = serde_json::to_writer(&mut hasher, &(endpoint, Pinned(definition)));
        hasher.0.update([u8::from(written.is_ok())]);
        Self(hasher.0.finalize().into())
    }
}

struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A member that is not pinned: nothing in it is shown to a model.
pub const UNPINNED: &str = "_meta";

/// The part of a definition that is pinned.
struct Pinned<'a>(&'a Map<String, Value>);

impl Serialize for Pinned<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0.iter().filter(|(name, _)| *name != UNPINNED) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl fmt::Display for DefinitionDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for DefinitionDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DefinitionDigest({self})")
    }
}

/// A text that is not a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `sha256:` and 64 hexadecimal digits")]
pub struct NotADigest;

impl FromStr for DefinitionDigest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let digits = text.strip_prefix("sha256:").ok_or(NotADigest)?;
        let mut digest = [0; 32];
        hex::decode_to_slice(digits, &mut digest).map_err(|_| NotADigest)?;
        Ok(Self(digest))
    }
}

impl Serialize for DefinitionDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DefinitionDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const FIRST: UpstreamId = UpstreamId(Uuid::from_u128(1));
    const SECOND: UpstreamId = UpstreamId(Uuid::from_u128(2));
    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn digest(number: u8) -> DefinitionDigest {
        DefinitionDigest([number; 32])
    }

    fn later() -> Timestamp {
        Timestamp::new(60, 0).unwrap()
    }

    #[test]
    fn only_what_is_approved_is_free_of_quarantine() {
        let pin = Pin::first(FIRST, digest(1), false, NOW);
        assert_eq!(pin.after_offer(FIRST, digest(1), later()), pin);
        let drifted = pin.after_offer(FIRST, digest(2), NOW);
        assert_eq!(drifted.quarantine.unwrap().cause, QuarantineCause::Drift);
        // Offered again, it is the same quarantine; another definition begins another.
        assert_eq!(drifted.after_offer(FIRST, digest(2), later()), drifted);
        assert_ne!(drifted.after_offer(FIRST, digest(3), later()), drifted);
        assert_eq!(drifted.after_offer(FIRST, digest(1), later()), pin);
        assert_eq!(pin.after_offer(SECOND, digest(1), later()).upstream, SECOND);
        let waits = Pin::first(FIRST, digest(1), true, NOW);
        assert_eq!(waits.quarantine.unwrap().cause, QuarantineCause::Unapproved);
        let other = waits.after_offer(FIRST, digest(2), later());
        assert_eq!(other.quarantine.unwrap().cause, QuarantineCause::Unapproved);
    }

    #[test]
    fn a_review_is_of_what_is_offered() {
        let pin = Pin::first(FIRST, digest(1), false, NOW);
        assert_eq!(pin.after_review(Review::Approve, digest(1)), None);
        let drifted = pin.after_offer(FIRST, digest(2), NOW);
        assert_eq!(drifted.after_review(Review::Approve, digest(1)), None);
        let rejected = drifted.after_review(Review::Reject, digest(2)).unwrap();
        assert_eq!(rejected.approved, Some(digest(1)));
        assert_eq!(rejected.after_offer(FIRST, digest(2), later()), rejected);
        let approved = rejected.after_review(Review::Approve, digest(2)).unwrap();
        assert_eq!((approved.approved, approved.quarantine), (Some(digest(2)), None));
        let back = approved.after_offer(FIRST, digest(1), later());
        assert_eq!(back.quarantine.unwrap().cause, QuarantineCause::Drift);
    }

    #[test]
    fn what_an_upstream_that_was_removed_had_offered_is_looked_at_again() {
        let cause = QuarantineCause::UpstreamRemoved;
        let removed = Some(Quarantine { cause, offered: None, since: NOW });
        let pin = Pin { quarantine: removed, ..Pin::first(FIRST, digest(1), false, NOW) };
        assert_eq!(pin.after_review(Review::Approve, digest(1)), None);
        assert_eq!(pin.after_offer(SECOND, digest(1), later()).quarantine, None);
        let drifted = pin.after_offer(SECOND, digest(2), later()).quarantine.unwrap();
        assert_eq!(drifted.cause, QuarantineCause::Drift);
    }

    #[test]
    fn a_digest_is_of_the_definition_and_the_endpoint() {
        let of = |value: Value, endpoint: &[&str]| {
            DefinitionDigest::of(value.as_object().unwrap(), endpoint)
        };
        let base = of(json!({"name": "a", "x": {"p": 1, "q": 2}}), &["stdio", "a"]);
        assert_eq!(of(json!({"x": {"q": 2, "p": 1}, "name": "a"}), &["stdio", "a"]), base);
        assert_eq!(
            of(json!({"name": "a", "x": {"p": 1, "q": 2}, "_meta": 1}), &["stdio", "a"]),
            base
        );
        for (value, endpoint) in [
            (json!({"name": "a", "x": {"p": 1, "q": 3}}), &["stdio", "a"][..]),
            (json!({"name": "a", "x": {"p": 1}}), &["stdio", "a"]),
            (json!({"name": "a", "x": {"p": 1, "q": 2}}), &["stdio", "b"]),
            (json!({"name": "a", "x": {"p": 1, "q": 2}}), &["stdio", "a", "b"]),
        ] {
            assert_ne!(of(value, endpoint), base);
        }
        assert_eq!(base.to_string().parse(), Ok(base));
        for bad in ["", "sha256:", "sha256:00", &base.to_string()[7..]] {
            assert_eq!(bad.parse::<DefinitionDigest>(), Err(NotADigest), "{bad}");
        }
    }
}
