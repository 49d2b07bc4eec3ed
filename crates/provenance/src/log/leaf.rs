//! Leaves of the log: Rekor v2's `hashedrekord` 0.0.2.
//!
//! A leaf states that a key signed a digest. It contains the SHA-256 of what the
//! envelope's signature covers, the signature and the key, but nothing of the
//! payload. Its bytes are those that Rekor v2 would log for the same envelope and
//! that Sigstore's verifiers recompute: canonical JSON (RFC 8785). A fixed template
//! is enough, because every value is base64.

use serde::Deserialize;
use thiserror::Error;

use crate::digest::Sha256Digest;
use crate::dsse::Envelope;
use crate::encoding::{base64_bytes, to_base64};
use crate::json::{self, JsonError};
use crate::log::merkle::leaf_hash;
use crate::public_key::{PublicKey, Signature, SignatureMismatch};

/// `kind` of every entry.
pub const LEAF_KIND: &str = "hashedrekord";

/// `version` of every entry.
pub const LEAF_VERSION: &str = "0.0.2";

/// Longest leaf in bytes; ours have 489 or a few less.
const MAX_LEAF_BYTES: usize = 4096;

const API_VERSION: &str = LEAF_VERSION;
const DIGEST_ALGORITHM: &str = "SHA2_256";
const KEY_DETAILS: &str = "PKIX_ECDSA_P256_SHA_256";

/// Why something is not a leaf.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LeafError {
    /// It is not a JSON document of a leaf's shape.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It is of another kind or version, or about another kind of key.
    #[error("leaf is not a `{LEAF_KIND}` {LEAF_VERSION} of an ECDSA P-256 key")]
    Kind,
    /// Its values are valid, but it is not in canonical form.
    #[error("leaf is not in canonical form")]
    NotCanonical,
}

/// The content of a leaf.
///
/// ```
/// use sentinel_provenance::log::HashedRekord;
/// use sentinel_provenance::{EcdsaP256Signer, Envelope, Signer as _};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let signer = EcdsaP256Signer::generate()?;
/// let envelope = Envelope::sign(b"{}".to_vec(), &signer)?;
/// let leaf = HashedRekord::of(&envelope, signer.public_key()).to_bytes();
/// assert_eq!(HashedRekord::parse(&leaf)?.signature(), envelope.signature());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedRekord {
    digest: Sha256Digest,
    signature: Signature,
    key: PublicKey,
}

impl HashedRekord {
    /// The leaf of an envelope that `key` signed. The signature is not verified.
    #[must_use]
    pub fn of(envelope: &Envelope, key: &PublicKey) -> Self {
        Self {
            digest: Sha256Digest::of(&envelope.pae()),
            signature: envelope.signature().clone(),
            key: key.clone(),
        }
    }

    /// Reads a leaf's exact bytes.
    ///
    /// # Errors
    /// [`LeafError`] when they are not what [`Self::to_bytes`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, LeafError> {
        let wire: Wire = json::read(bytes, MAX_LEAF_BYTES)?;
        let record = wire.spec.record;
        if wire.kind != LEAF_KIND
            || wire.api_version != API_VERSION
            || record.data.algorithm != DIGEST_ALGORITHM
            || record.signature.verifier.key_details != KEY_DETAILS
        {
            return Err(LeafError::Kind);
        }
        let leaf = Self {
            digest: record.data.digest,
            signature: Signature::from_der(record.signature.content)
                .map_err(|_| LeafError::NotCanonical)?,
            key: PublicKey::from_spki_der(&record.signature.verifier.public_key.raw_bytes)
                .map_err(|_| LeafError::Kind)?,
        };
        if leaf.to_bytes() == bytes { Ok(leaf) } else { Err(LeafError::NotCanonical) }
    }

    /// The leaf's exact bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let digest = to_base64(self.digest.as_bytes());
        let signature = self.signature.to_base64();
        let key = to_base64(&self.key.to_spki_der());
        format!(
            concat!(
                r#"{{"apiVersion":"{}","kind":"{}","spec":{{"hashedRekordV002":{{"#,
                r#""data":{{"algorithm":"{}","digest":"{}"}},"#,
                r#""signature":{{"content":"{}","verifier":{{"#,
                r#""keyDetails":"{}","publicKey":{{"rawBytes":"{}"}}}}}}}}}}}}"#,
            ),
            API_VERSION, LEAF_KIND, DIGEST_ALGORITHM, digest, signature, KEY_DETAILS, key
        )
        .into_bytes()
    }

    /// The hash of [`Self::to_bytes`] in the tree.
    #[must_use]
    pub fn leaf_hash(&self) -> Sha256Digest {
        leaf_hash(&self.to_bytes())
    }

    /// Verifies that the key signed the message with this digest.
    ///
    /// # Errors
    /// [`SignatureMismatch`] when it did not.
    pub fn verify(&self) -> Result<(), SignatureMismatch> {
        self.key.verify_digest(&self.digest, &self.signature)
    }

    /// SHA-256 of what was signed: see [`Envelope::pae`].
    #[must_use]
    pub fn digest(&self) -> &Sha256Digest {
        &self.digest
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The key that signed.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    api_version: String,
    kind: String,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    #[serde(rename = "hashedRekordV002")]
    record: Record,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    data: Data,
    signature: SignatureWire,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    algorithm: String,
    digest: Sha256Digest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureWire {
    #[serde(with = "base64_bytes")]
    content: Vec<u8>,
    verifier: Verifier,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Verifier {
    key_details: String,
    public_key: RawKey,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawKey {
    #[serde(with = "base64_bytes")]
    raw_bytes: Vec<u8>,
}
