//! Permits: the proof that a call was allowed. Only [`crate::check::Checker`] makes one, and what
//! forwards a call takes one, so a call cannot be forwarded without having been checked.
//!
//! No other crate can make one up:
//!
//! ```compile_fail,E0451
//! # fn forge(decision_id: sentinel_core::id::DecisionId, tool_id: sentinel_core::id::ToolId,
//! #     argument_hash: sentinel_core::check::ArgumentHash, expires_at: jiff::Timestamp) {
//! use sentinel_service::permit::Permit;
//! let permit = Permit { decision_id, tool_id, argument_hash, expires_at };
//! # }
//! ```
//!
//! nor use one twice:
//!
//! ```compile_fail,E0382
//! # use sentinel_service::permit::Permit;
//! fn forward(permit: Permit) {}
//! fn forward_twice(permit: Permit) {
//!     forward(permit);
//!     forward(permit);
//! }
//! ```

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::ArgumentHash;
use sentinel_core::id::{DecisionId, ToolId};
use sentinel_core::permit::LIFETIME;
use uuid::Uuid;

const PREFIX: &str = "snp_";
const BODY: usize = 16 + 16 + 32 + 8;
const MAC: usize = 32;

/// One allowed call. Not `Clone`: forwarding the call consumes it.
#[derive(Debug)]
pub struct Permit {
    decision_id: DecisionId,
    tool_id: ToolId,
    argument_hash: ArgumentHash,
    expires_at: Timestamp,
}

impl Permit {
    #[must_use]
    pub const fn decision_id(&self) -> DecisionId {
        self.decision_id
    }

    #[must_use]
    pub const fn tool_id(&self) -> ToolId {
        self.tool_id
    }

    #[must_use]
    pub const fn argument_hash(&self) -> ArgumentHash {
        self.argument_hash
    }

    /// When its decision was made, to the millisecond.
    pub(crate) fn decided_at(&self) -> Timestamp {
        self.expires_at.checked_sub(LIFETIME).unwrap_or(Timestamp::MIN)
    }

    fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(BODY + MAC);
        body.extend_from_slice(self.decision_id.0.as_bytes());
        body.extend_from_slice(self.tool_id.0.as_bytes());
        body.extend_from_slice(&self.argument_hash.0);
        body.extend_from_slice(&self.expires_at.as_millisecond().to_be_bytes());
        body
    }

    fn from_body(body: &[u8]) -> Option<Self> {
        let (decision, rest) = body.split_first_chunk::<16>()?;
        let (tool, rest) = rest.split_first_chunk::<16>()?;
        let (hash, rest) = rest.split_first_chunk::<32>()?;
        let expires = i64::from_be_bytes(rest.try_into().ok()?);
        Some(Self {
            decision_id: DecisionId(Uuid::from_bytes(*decision)),
            tool_id: ToolId(Uuid::from_bytes(*tool)),
            argument_hash: ArgumentHash(*hash),
            expires_at: Timestamp::from_millisecond(expires).ok()?,
        })
    }
}

/// Seals permits for the wire and opens them again, under a key that all replicas share.
#[derive(Clone)]
pub struct PermitSeal(hmac::Key);

impl std::fmt::Debug for PermitSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PermitSeal(…)")
    }
}

impl PermitSeal {
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The permit of an allow that was committed; `None` for anything else. Deterministic, so a
    /// repeated call id gets the same permit, which can still be used only once.
    pub(crate) fn permit(record: &DecisionRecord) -> Option<Permit> {
        if !record.allow {
            return None;
        }
        Some(Permit {
            decision_id: record.id,
            tool_id: record.tool_id?,
            argument_hash: record.argument_hash,
            expires_at: record.created_at.checked_add(LIFETIME).ok()?,
        })
    }

    /// A permit for going on with a call that was allowed before and is allowed again at `now`. It
    /// is for what this process forwards: as a token it would be refused.
    pub(crate) fn again(record: &DecisionRecord, now: Timestamp) -> Option<Permit> {
        let expires_at = now.checked_add(LIFETIME).ok()?;
        Self::permit(record).map(|permit| Permit { expires_at, ..permit })
    }

    /// The permit as a token.
    #[must_use]
    pub fn seal(&self, permit: &Permit) -> String {
        let mut bytes = permit.body();
        let tag = hmac::sign(&self.0, &bytes);
        bytes.extend_from_slice(tag.as_ref());
        let mut token = String::with_capacity(PREFIX.len() + (BODY + MAC).div_ceil(3) * 4);
        token.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes, &mut token);
        token
    }

    pub(crate) fn open(&self, token: &str) -> Option<Permit> {
        let encoded = token.strip_prefix(PREFIX)?;
        if encoded.len() > 2 * (BODY + MAC) {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
        let (body, tag) = bytes.split_at_checked(BODY)?;
        hmac::verify(&self.0, body, tag).ok()?;
        Permit::from_body(body)
    }
}
