//! What is done with the key of a tenant: sealing payloads, and making salts.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use sentinel_core::id::{ManifestId, TenantId};
use sentinel_core::payload::SealedPayload;
use sentinel_provenance::{PAYLOAD_ROLE, Salt, TenantKey};
use zeroize::Zeroizing;

use super::wrap::RawKey;

/// AES-256-GCM under one key, with a fresh random nonce for each message. AWS-LC erases the key
/// when it is dropped.
pub(super) struct Sealer(RandomizedNonceKey);

impl Sealer {
    pub(super) fn new(key: &RawKey) -> Option<Self> {
        RandomizedNonceKey::new(&AES_256_GCM, key.as_slice()).ok().map(Self)
    }

    /// Nonce, ciphertext and tag.
    pub(super) fn seal(&self, aad: &[u8], content: &[u8]) -> Option<Vec<u8>> {
        // Room for the tag too: growing would leave a copy of the content behind.
        let mut text = Zeroizing::new(Vec::with_capacity(content.len() + AES_256_GCM.tag_len()));
        text.extend_from_slice(content);
        let nonce = self.0.seal_in_place_append_tag(Aad::from(aad), &mut *text).ok()?;
        Some([nonce.as_ref().as_slice(), &text].concat())
    }

    /// The content; `None` when it was not sealed so.
    pub(super) fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = Zeroizing::new(text.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.0.open_in_place(nonce, Aad::from(aad), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// Separate the uses of a tenant's key from each other.
const SEAL_DOMAIN: &[u8] = b"sentinel-mcp.dev/payload-key/seal/v1";
const SALT_DOMAIN: &[u8] = b"sentinel-mcp.dev/payload-key/salt/v1";

/// A key of a tenant, ready for use. Nothing of it can be printed, and dropping it erases it.
pub(crate) struct DataKey {
    pub(crate) tenant: TenantId,
    pub(crate) generation: u32,
    sealer: Sealer,
    salts: TenantKey,
}

impl DataKey {
    pub(super) fn new(tenant: TenantId, generation: u32, key: &RawKey) -> Option<Self> {
        let root = hmac::Key::new(hmac::HMAC_SHA256, key.as_slice());
        let sealer = Sealer::new(&derived(&root, SEAL_DOMAIN)?)?;
        let salts = TenantKey::new(&*derived(&root, SALT_DOMAIN)?);
        Some(Self { tenant, generation, sealer, salts })
    }

    /// The salt of a manifest's payload.
    pub(crate) fn salt(&self, id: ManifestId) -> Salt {
        Salt::derive(&self.salts, &id.to_string(), PAYLOAD_ROLE)
    }

    /// `None` when the cipher fails.
    pub(crate) fn seal(&self, id: ManifestId, payload: &[u8]) -> Option<SealedPayload> {
        let sealed = self.sealer.seal(&self.aad(id), payload)?;
        Some(SealedPayload { generation: self.generation, sealed })
    }

    /// The payload; `None` when it was not sealed with this key for this manifest.
    pub(super) fn open(&self, id: ManifestId, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.sealer.open(&self.aad(id), sealed)
    }

    /// What a payload belongs to: it is none anywhere else.
    fn aad(&self, id: ManifestId) -> Vec<u8> {
        let generation = self.generation.to_be_bytes();
        [self.tenant.0.as_bytes().as_slice(), id.0.as_bytes(), &generation].concat()
    }
}

fn derived(root: &hmac::Key, domain: &[u8]) -> Option<RawKey> {
    let tag = hmac::sign(root, domain);
    tag.as_ref().try_into().ok().map(Zeroizing::new)
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({} of tenant {}, ..)", self.generation, self.tenant)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ACME: TenantId = TenantId(Uuid::from_u128(1));
    const BESIDE: TenantId = TenantId(Uuid::from_u128(2));
    const FIRST: ManifestId = ManifestId(Uuid::from_u128(3));
    const SECOND: ManifestId = ManifestId(Uuid::from_u128(4));

    fn key(tenant: TenantId, generation: u32, byte: u8) -> DataKey {
        DataKey::new(tenant, generation, &Zeroizing::new([byte; 32])).unwrap()
    }

    #[test]
    fn a_payload_opens_where_it_belongs_and_nowhere_else() {
        let payload = b"{\"n\": 1.0}".as_slice();
        let sealed = key(ACME, 1, 7).seal(FIRST, payload).unwrap().sealed;
        assert_eq!(key(ACME, 1, 7).open(FIRST, &sealed).unwrap().as_slice(), payload);
        assert_ne!(sealed, key(ACME, 1, 7).seal(FIRST, payload).unwrap().sealed);
        assert!(key(ACME, 1, 7).open(SECOND, &sealed).is_none(), "another manifest's");
        assert!(key(BESIDE, 1, 7).open(FIRST, &sealed).is_none(), "another tenant's");
        assert!(key(ACME, 2, 7).open(FIRST, &sealed).is_none(), "another generation's");
        assert!(key(ACME, 1, 8).open(FIRST, &sealed).is_none(), "another key's");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 0x80;
            assert!(key(ACME, 1, 7).open(FIRST, &changed).is_none(), "byte {at}");
            assert!(key(ACME, 1, 7).open(FIRST, &sealed[..at]).is_none());
        }
    }

    #[test]
    fn keys_follow_the_documented_derivation() {
        // python3: salts = hmac.new(bytes([7] * 32), b"sentinel-mcp.dev/payload-key/salt/v1",
        // "sha256")
        let root = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let salts = derived(&root, SALT_DOMAIN).unwrap();
        assert_eq!(hex(&*salts), SALTS);
        assert_eq!(
            key(ACME, 1, 7).salt(FIRST),
            Salt::derive(&TenantKey::new(&salts), &FIRST.to_string(), PAYLOAD_ROLE)
        );
        assert_ne!(*salts, *derived(&root, SEAL_DOMAIN).unwrap());
    }

    const SALTS: &str = "d5efd391e1e81708ca472f3032ce1b5202a1576d91a733b61ae12cde00ece189";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn keys_are_not_printed() {
        let shown = format!("{:?}", key(ACME, 1, 7));
        assert!(shown.starts_with("DataKey(1 of tenant ") && !shown.contains('7'), "{shown}");
    }
}
