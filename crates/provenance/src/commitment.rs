//! Salted commitments to payloads.
//!
//! A bare hash of a short payload ("yes", a customer number) can be guessed. A
//! manifest therefore commits to `SHA-256(salt ‖ payload)`, over the payload's
//! exact bytes, never over a canonical form of them. The bytes `salt ‖ payload`
//! are the *artifact*. With that file, any in-toto verifier can check the commitment.
//! Without it, the commitment reveals nothing about the payload.
//!
//! The salt is derived, not stored:
//!
//! ```text
//! salt  = HMAC-SHA-256(tenant key, frame(domain) ‖ frame(id) ‖ frame(role))
//! frame = length in bytes as a 64-bit big-endian integer ‖ bytes
//! ```
//!
//! Each part is preceded by its length, so different `(id, role)` pairs never
//! give the same input: ("ab", "c") and ("a", "bc") have different salts.
//! Destroying the tenant key makes the salts of all its manifests unrecoverable,
//! which erases what the commitments say while leaving the log intact.

use std::fmt;

use aws_lc_rs::hmac;

use crate::digest::{Sha256, Sha256Digest};

/// Separates these salts from any other use of the tenant key.
const DOMAIN: &str = "sentinel-mcp.dev/payload-commitment/v1";

/// The role of the payload that [`crate::AgentAction`] statements commit to.
pub const PAYLOAD_ROLE: &str = "payload";

/// A tenant's commitment key: 32 bytes of secret randomness, drawn by the caller
/// once per tenant. Erased from memory when dropped.
pub struct TenantKey(hmac::Key);

impl TenantKey {
    /// Takes the key's bytes; the caller remains responsible for its own copy.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }
}

impl fmt::Debug for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantKey(..)")
    }
}

/// The salt of one payload. Secret as long as its payload is: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Salt([u8; 32]);

impl Salt {
    /// Length of a salt in bytes.
    pub const LEN: usize = 32;

    /// Derives the salt of the payload that plays `role` in manifest `id`.
    #[must_use]
    pub fn derive(key: &TenantKey, id: &str, role: &str) -> Self {
        let mut context = hmac::Context::with_key(&key.0);
        for part in [DOMAIN, id, role] {
            // Lossless: no supported target has a `usize` wider than 64 bits.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut bytes = [0; Self::LEN];
        for (to, from) in bytes.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// The salt's bytes, to be disclosed only together with the payload.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The commitment `SHA-256(salt ‖ payload)`.
    #[must_use]
    pub fn commit(&self, payload: &[u8]) -> Sha256Digest {
        let mut context = Sha256::new();
        context.update(&self.0);
        context.update(payload);
        context.finish()
    }

    /// The artifact `salt ‖ payload`, whose SHA-256 is the commitment.
    #[must_use]
    pub fn artifact(&self, payload: &[u8]) -> Vec<u8> {
        [self.0.as_slice(), payload].concat()
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salt_follows_the_documented_framing() {
        // python3: hmac.new(bytes(range(32)), b"".join(len(p).to_bytes(8, "big") + p for p in
        //   [b"sentinel-mcp.dev/payload-commitment/v1", b"id-1", b"payload"]), "sha256")
        let key: Vec<u8> = (0..32).collect();
        let salt = Salt::derive(&TenantKey::new(&key.try_into().unwrap()), "id-1", PAYLOAD_ROLE);
        assert_eq!(
            hex::encode(salt.as_bytes()),
            "b475a9c315ee9da31167a37fd1577f338ff10bc907c61b470d0c50a45115021e"
        );
        assert_eq!(
            salt.commit(b"yes").to_hex(),
            "459c431ae6276e3e2e435435d1911eea41bb8badd206b297747415fc62b529ec"
        );
    }

    #[test]
    fn commitment_is_the_digest_of_the_artifact() {
        let salt = Salt::derive(&TenantKey::new(&[7; 32]), "id", PAYLOAD_ROLE);
        assert_eq!(salt.commit(b"payload"), Sha256Digest::of(&salt.artifact(b"payload")));
    }

    #[test]
    fn secrets_are_not_printed() {
        let key = TenantKey::new(&[7; 32]);
        let salt = Salt::derive(&key, "id", PAYLOAD_ROLE);
        assert_eq!(format!("{key:?} {salt:?}"), "TenantKey(..) Salt(..)");
    }
}
