//! Sigstore bundles, version 0.3, made with a self-managed key.
//!
//! Field names and encodings follow protobuf's JSON mapping of Sigstore's
//! `Bundle` message: camel case, bytes in base64, 64-bit integers as strings.
//! Alternatives that we never issue, such as certificates and bare message
//! signatures, are refused instead of ignored: each would change what the bundle
//! says about its signer.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::digest::Sha256Digest;
use crate::dsse::{Envelope, EnvelopeError, EnvelopeWire};
use crate::encoding::{base64_bytes, int64_string};
use crate::json::{self, JsonError};
use crate::public_key::PublicKey;

/// `mediaType` of every bundle.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Longest bundle document in bytes.
pub const MAX_BUNDLE_BYTES: usize = 4 * 1024 * 1024;

/// Most log entries in a bundle.
pub const MAX_LOG_ENTRIES: usize = 8;

/// Most hashes in an inclusion proof: a tree of 2^63 leaves is 63 levels high.
pub const MAX_PROOF_HASHES: usize = 63;

/// Most RFC 3161 timestamps in a bundle.
pub const MAX_TIMESTAMPS: usize = 8;

/// Why a document is not a bundle of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BundleError {
    /// It is not a JSON document of a bundle's shape.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// `mediaType` names another format or version.
    #[error("media type is not `{MEDIA_TYPE}`")]
    MediaType,
    /// Its envelope is invalid.
    #[error("envelope: {0}")]
    Envelope(#[from] EnvelopeError),
    /// The envelope's `keyid` and the bundle's `hint` name different keys.
    #[error("keyid of the envelope and hint of the bundle differ")]
    Hint,
    /// A list is longer than any valid bundle needs.
    #[error("`{field}` has {actual} items, the limit is {limit}")]
    TooMany {
        /// The list's name in JSON.
        field: &'static str,
        /// The limit.
        limit: usize,
        /// How many items there are.
        actual: usize,
    },
}

/// An envelope and what is needed to verify it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Names the key and carries proofs from logs and timestamp authorities.
    pub verification_material: VerificationMaterial,
    /// The signed statement.
    pub envelope: Envelope,
}

/// What a verifier needs in addition to the envelope and its trusted keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerificationMaterial {
    /// Names the signing key.
    pub public_key: PublicKeyHint,
    /// Entries of transparency logs; empty while there is no log.
    #[serde(default)]
    pub tlog_entries: Vec<TransparencyLogEntry>,
    /// Signed timestamps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_verification_data: Option<TimestampVerificationData>,
}

/// Names a key that the verifier must already have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKeyHint {
    /// The key's SSH fingerprint, see [`PublicKey::hint`].
    pub hint: String,
}

/// One entry of one transparency log. Fields of older logs (promises and
/// integration times) are ignored: we rely on inclusion proofs only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransparencyLogEntry {
    /// Index of the leaf.
    #[serde(with = "int64_string")]
    pub log_index: u64,
    /// Names the log.
    pub log_id: LogId,
    /// Type of the leaf.
    pub kind_version: KindVersion,
    /// Proof that the leaf is in the tree of a checkpoint.
    pub inclusion_proof: InclusionProof,
    /// The leaf's exact bytes.
    #[serde(with = "base64_bytes")]
    pub canonicalized_body: Vec<u8>,
}

/// Names a log by its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogId {
    /// The full 32-byte C2SP key-ID hash of the log's key.
    pub key_id: Sha256Digest,
}

/// Type of a leaf: `hashedrekord`, `0.0.2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindVersion {
    /// The type's name.
    pub kind: String,
    /// The type's version.
    pub version: String,
}

/// A Merkle inclusion proof (RFC 6962) and the checkpoint it leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InclusionProof {
    /// Index of the leaf.
    #[serde(with = "int64_string")]
    pub log_index: u64,
    /// Root of the tree.
    pub root_hash: Sha256Digest,
    /// Number of leaves in the tree.
    #[serde(with = "int64_string")]
    pub tree_size: u64,
    /// The audit path, from the leaf upwards; absent in a tree of one leaf.
    #[serde(default)]
    pub hashes: Vec<Sha256Digest>,
    /// The tree's signed head.
    pub checkpoint: Checkpoint,
}

/// A signed tree head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// A C2SP signed note, cosignatures included.
    pub envelope: String,
}

/// Timestamps by authorities of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimestampVerificationData {
    /// Timestamps of the signature.
    #[serde(default)]
    pub rfc3161_timestamps: Vec<Rfc3161Timestamp>,
}

/// An RFC 3161 `TimeStampResp`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rfc3161Timestamp {
    /// The response in DER.
    #[serde(with = "base64_bytes")]
    pub signed_timestamp: Vec<u8>,
}

impl Bundle {
    /// Bundles an envelope signed by `key`, without proofs yet.
    ///
    /// # Errors
    /// [`BundleError::Hint`] when the envelope names another key.
    pub fn new(envelope: Envelope, key: &PublicKey) -> Result<Self, BundleError> {
        let bundle = Self {
            verification_material: VerificationMaterial {
                public_key: PublicKeyHint { hint: key.hint().to_owned() },
                tlog_entries: Vec::new(),
                timestamp_verification_data: None,
            },
            envelope,
        };
        bundle.validate()?;
        Ok(bundle)
    }

    /// Reads a bundle's JSON.
    ///
    /// # Errors
    /// [`BundleError`] says what is wrong, without repeating the document.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let header: Header = json::read(bytes, MAX_BUNDLE_BYTES)?;
        if header.media_type != MEDIA_TYPE {
            return Err(BundleError::MediaType);
        }
        let body: Incoming = json::read(bytes, MAX_BUNDLE_BYTES)?;
        let bundle = Self {
            verification_material: body.verification_material,
            envelope: body.dsse_envelope.try_into()?,
        };
        bundle.validate()?;
        Ok(bundle)
    }

    /// Writes the bundle as JSON.
    ///
    /// # Errors
    /// [`BundleError`] when the result would not be read back.
    pub fn to_json(&self) -> Result<Vec<u8>, BundleError> {
        self.validate()?;
        let wire = Outgoing {
            media_type: MEDIA_TYPE,
            verification_material: &self.verification_material,
            dsse_envelope: &self.envelope,
        };
        Ok(json::write(&wire, MAX_BUNDLE_BYTES)?)
    }

    /// Fingerprint of the claimed signing key. Look up the trusted key by it.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.verification_material.public_key.hint
    }

    /// Checks what the types do not enforce.
    pub(crate) fn validate(&self) -> Result<(), BundleError> {
        if self.envelope.keyid().is_some_and(|keyid| keyid != self.hint()) {
            return Err(BundleError::Hint);
        }
        let material = &self.verification_material;
        at_most("tlogEntries", MAX_LOG_ENTRIES, material.tlog_entries.len())?;
        for entry in &material.tlog_entries {
            at_most("hashes", MAX_PROOF_HASHES, entry.inclusion_proof.hashes.len())?;
        }
        match &material.timestamp_verification_data {
            Some(data) => {
                at_most("rfc3161Timestamps", MAX_TIMESTAMPS, data.rfc3161_timestamps.len())
            }
            None => Ok(()),
        }
    }
}

fn at_most(field: &'static str, limit: usize, actual: usize) -> Result<(), BundleError> {
    if actual > limit {
        return Err(BundleError::TooMany { field, limit, actual });
    }
    Ok(())
}

/// Read first, so that another version is reported as such, not as malformed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    media_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Incoming {
    #[serde(rename = "mediaType")]
    _media_type: String,
    verification_material: VerificationMaterial,
    dsse_envelope: EnvelopeWire,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outgoing<'a> {
    media_type: &'static str,
    verification_material: &'a VerificationMaterial,
    dsse_envelope: &'a Envelope,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer::{EcdsaP256Signer, Signer as _};
    use serde_json::{Value, json};

    fn bundle() -> Bundle {
        let signer = EcdsaP256Signer::generate().unwrap();
        let envelope = Envelope::sign(b"{}".to_vec(), &signer).unwrap();
        Bundle::new(envelope, signer.public_key()).unwrap()
    }

    fn log_entry() -> Value {
        let hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        json!({
            "logIndex": "41",
            "logId": {"keyId": hash},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
            "inclusionProof": {
                "logIndex": "41",
                "rootHash": hash,
                "treeSize": "42",
                "hashes": [hash],
                "checkpoint": {"envelope": "log.example\n42\n…\n"},
            },
            "canonicalizedBody": "e30=",
        })
    }

    fn document() -> Value {
        serde_json::from_slice(&bundle().to_json().unwrap()).unwrap()
    }

    fn altered(change: impl FnOnce(&mut Value)) -> Result<Bundle, BundleError> {
        let mut document = document();
        change(&mut document);
        Bundle::parse(&serde_json::to_vec(&document).unwrap())
    }

    #[test]
    fn bundle_has_the_shape_of_version_0_3() {
        let bundle = bundle();
        let document: Value = serde_json::from_slice(&bundle.to_json().unwrap()).unwrap();
        let hint = bundle.hint();
        let expected = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": "e30=",
                "payloadType": "application/vnd.in-toto+json",
                "signatures": [{
                    "sig": bundle.envelope.signature().to_base64(),
                    "keyid": hint,
                }],
            },
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn bundle_round_trips_with_proofs_and_timestamps() {
        let mut expected = document();
        let material = &mut expected["verificationMaterial"];
        material["tlogEntries"] = json!([log_entry()]);
        material["timestampVerificationData"] =
            json!({"rfc3161Timestamps": [{"signedTimestamp": "MAA="}]});
        let parsed = Bundle::parse(&serde_json::to_vec(&expected).unwrap()).unwrap();
        let entry = &parsed.verification_material.tlog_entries[0];
        assert_eq!((entry.log_index, entry.inclusion_proof.tree_size), (41, 42));
        let written: Value = serde_json::from_slice(&parsed.to_json().unwrap()).unwrap();
        assert_eq!(written, expected);
    }

    #[test]
    fn other_kinds_of_bundle_are_refused() {
        let shape = |result: Result<Bundle, BundleError>| {
            assert!(matches!(result, Err(BundleError::Json(JsonError::Shape { .. }))));
        };
        let of_type = altered(|d| d["mediaType"] = json!("application/json"));
        assert_eq!(of_type.unwrap_err(), BundleError::MediaType);
        shape(altered(|d| d["messageSignature"] = json!({})));
        shape(altered(|d| d["verificationMaterial"]["certificate"] = json!({"rawBytes": ""})));
        shape(altered(|d| d["verificationMaterial"] = json!({"tlogEntries": []})));
        shape(altered(|d| drop(d.as_object_mut().unwrap().remove("dsseEnvelope"))));
    }

    #[test]
    fn keyid_must_equal_the_hint() {
        let other = altered(|d| d["verificationMaterial"]["publicKey"]["hint"] = json!("SHA256:x"));
        assert_eq!(other.unwrap_err(), BundleError::Hint);
        let absent = altered(|d| {
            d["dsseEnvelope"]["signatures"][0].as_object_mut().unwrap().remove("keyid");
        });
        assert!(absent.is_ok());
        let signer = EcdsaP256Signer::generate().unwrap();
        assert_eq!(
            Bundle::new(bundle().envelope, signer.public_key()).unwrap_err(),
            BundleError::Hint
        );
    }

    #[test]
    fn lists_are_limited() {
        let entries = altered(|d| {
            d["verificationMaterial"]["tlogEntries"] = json!(vec![log_entry(); 9]);
        });
        assert!(matches!(entries, Err(BundleError::TooMany { field: "tlogEntries", .. })));
        let hashes = altered(|d| {
            let mut entry = log_entry();
            entry["inclusionProof"]["hashes"] = json!(vec![Sha256Digest::of(b""); 64]);
            d["verificationMaterial"]["tlogEntries"] = json!([entry]);
        });
        assert!(matches!(hashes, Err(BundleError::TooMany { field: "hashes", .. })));
        let timestamps = altered(|d| {
            d["verificationMaterial"]["timestampVerificationData"] =
                json!({"rfc3161Timestamps": vec![json!({"signedTimestamp": ""}); 9]});
        });
        assert!(matches!(timestamps, Err(BundleError::TooMany { .. })));
    }

    #[test]
    fn integers_have_one_spelling() {
        for index in [json!("-1"), json!("01"), json!("+1"), json!("9223372036854775808"), json!(1)]
        {
            let result = altered(|d| {
                let mut entry = log_entry();
                entry["logIndex"] = index.clone();
                d["verificationMaterial"]["tlogEntries"] = json!([entry]);
            });
            assert!(result.is_err(), "{index}");
        }
    }

    #[test]
    fn size_is_limited() {
        let padded = [bundle().to_json().unwrap(), vec![b' '; MAX_BUNDLE_BYTES]].concat();
        assert!(matches!(
            Bundle::parse(&padded),
            Err(BundleError::Json(JsonError::TooLarge { limit: MAX_BUNDLE_BYTES, .. }))
        ));
    }
}
