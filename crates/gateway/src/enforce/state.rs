//! The state of a call that waits for its client to respond. The client keeps it, so it is
//! authenticated: it is good for the same caller and the same call only, and not for long.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sentinel_core::check::ArgumentHash;
use sentinel_core::id::DecisionId;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use sentinel_mcp_protocol::jsonrpc::RpcError;

const PREFIX: &str = "sntc1.";
/// How long a client may take to respond.
const LIFETIME: Duration = Duration::from_hours(1);
const MAC: usize = 32;

/// What is known of a call that waits.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    /// What the server wants back.
    pub(super) state: Option<String>,
    pub(super) decision: DecisionId,
    /// How often the call will have gone on with this state. No other state of the call has it.
    pub(super) round: NonZeroU32,
    pub(super) call_id: String,
    expires: u64,
}

/// What a state is bound to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound<'a> {
    pub(super) principal: &'a str,
    pub(super) tool: &'a str,
    pub(super) action: &'a str,
    pub(super) arguments: ArgumentHash,
}

/// Authenticates states.
#[derive(Clone)]
pub(super) struct Seal([u8; 32]);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Seal {
    pub(super) const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    pub(super) fn seal(
        &self,
        bound: Bound<'_>,
        state: Option<String>,
        (decision, round, call_id): (DecisionId, NonZeroU32, &str),
    ) -> Result<String, RpcError> {
        let expires = now().saturating_add(LIFETIME.as_secs());
        let waiting = Waiting { state, decision, round, call_id: call_id.to_owned(), expires };
        let mut bytes = serde_json::to_vec(&waiting)
            .map_err(|_| RpcError::internal("the state of the call cannot be written"))?;
        let tag = self.mac(bound, &bytes)?.finalize().into_bytes();
        bytes.extend_from_slice(&tag);
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// # Errors
    /// `-32602`, when the state was not issued for this call of this caller, or has expired.
    pub(super) fn open(&self, bound: Bound<'_>, sealed: &str) -> Result<Waiting, RpcError> {
        let opened = || {
            let bytes = URL_SAFE_NO_PAD.decode(sealed.strip_prefix(PREFIX)?).ok()?;
            let (body, tag) = bytes.split_at_checked(bytes.len().checked_sub(MAC)?)?;
            self.mac(bound, body).ok()?.verify_slice(tag).ok()?;
            let waiting: Waiting = serde_json::from_slice(body).ok()?;
            (waiting.expires > now()).then_some(waiting)
        };
        opened().ok_or_else(|| {
            RpcError::invalid_params("`requestState` was not issued for this call, or has expired")
        })
    }

    fn mac(&self, bound: Bound<'_>, body: &[u8]) -> Result<Hmac<Sha256>, RpcError> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0);
        let mut mac = mac.map_err(|_| RpcError::internal("the key of states cannot be used"))?;
        for part in [bound.principal, bound.tool, bound.action] {
            mac.update(&part.len().to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.update(&bound.arguments.0);
        mac.update(body);
        Ok(mac)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use sentinel_core::check::Arguments;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_state_is_good_for_its_call_only() {
        let seal = Seal::new([7; 32]);
        let hash =
            |value: &serde_json::Value| Arguments::new(value.as_object().cloned().unwrap()).hash();
        let arguments = hash(&json!({"a": 1}));
        let bound = Bound { principal: "p", tool: "t", action: "call", arguments };
        let decision = DecisionId(uuid::Uuid::now_v7());
        let call = (decision, NonZeroU32::MIN, "c");
        let sealed = seal.seal(bound, Some("server's".to_owned()), call).unwrap();
        let waiting = seal.open(bound, &sealed).unwrap();
        assert_eq!((waiting.state.as_deref(), waiting.decision), (Some("server's"), decision));
        for other in [
            Bound { principal: "q", ..bound },
            Bound { tool: "u", ..bound },
            Bound { action: "read", ..bound },
            Bound { principal: "pt", tool: "", ..bound },
            Bound { arguments: hash(&json!({"a": 2})), ..bound },
        ] {
            assert_eq!(seal.open(other, &sealed).unwrap_err().code, -32602, "{other:?}");
        }
        assert!(Seal::new([8; 32]).open(bound, &sealed).is_err());
        for text in ["", "sntc1.", "sntc1.AAAA", "server's", &sealed[..sealed.len() - 1]] {
            assert!(seal.open(bound, text).is_err(), "{text}");
        }
    }
}
