//! Sigstore's trusted root: the logs that a verifier trusts.
//!
//! Signing keys are not in it: they are given to a verifier separately, as
//! `cosign verify-blob-attestation --key` does.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bundle::LogId;
use crate::digest::Sha256Digest;
use crate::encoding::base64_bytes;
use crate::json::{self, JsonError};
use crate::log::note_key::{KeyKind, NoteKeyError, VerifierKey};

/// `mediaType` of a trusted root.
pub const TRUSTED_ROOT_MEDIA_TYPE: &str =
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1";

/// Longest trusted root in bytes.
pub const MAX_TRUSTED_ROOT_BYTES: usize = 1024 * 1024;

const HASH_ALGORITHM: &str = "SHA2_256";
const KEY_DETAILS: &str = "PKIX_ED25519";
const SCHEME: &str = "https://";

/// Why something is not a trusted root.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TrustedRootError {
    /// It is not a JSON document of a trusted root's shape.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// `mediaType` names another format or version.
    #[error("media type is not `{TRUSTED_ROOT_MEDIA_TYPE}`")]
    MediaType,
    /// A log's key cannot be read.
    #[error("key of a log: {0}")]
    Key(#[from] NoteKeyError),
    /// A log's key signs something else than checkpoints.
    #[error("key of a log is not for checkpoints")]
    Kind,
    /// A log's origin is not a host name, without port and path. Verifiers take
    /// it from the log's URL and find no key for any other.
    #[error("origin of a log is not a host name")]
    Origin,
    /// `logId` is not the hash of the log's origin and key.
    #[error("log id does not match origin and key")]
    LogId,
}

/// A trusted log: its key, whose name is the log's origin.
///
/// ```
/// use sentinel_provenance::log::{Ed25519NoteSigner, NoteSigner as _, TrustedLog, TrustedRoot};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let signer = Ed25519NoteSigner::generate("log.example")?;
/// let since = "2026-11-01T00:00:00Z".parse()?;
/// let log = TrustedLog::new(signer.verifier_key().clone(), since)?;
/// let root = TrustedRoot { logs: vec![log] };
/// assert_eq!(TrustedRoot::parse(&root.to_json()?)?, root);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedLog {
    key: VerifierKey,
    valid_from: Timestamp,
}

impl TrustedLog {
    /// Trusts the log with this key. `valid_from` is when the log began, which
    /// verifiers require; nothing in a bundle is compared with it here.
    ///
    /// # Errors
    /// [`TrustedRootError::Kind`] for the key of a witness,
    /// [`TrustedRootError::Origin`] when its name is not a host name.
    pub fn new(key: VerifierKey, valid_from: Timestamp) -> Result<Self, TrustedRootError> {
        if key.kind() != KeyKind::Ed25519 {
            return Err(TrustedRootError::Kind);
        }
        if !is_host_name(key.name().as_str()) {
            return Err(TrustedRootError::Origin);
        }
        Ok(Self { key, valid_from })
    }

    /// The key that signs its checkpoints.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Its name in checkpoints.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.key.name().as_str()
    }

    /// Its name in bundles.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        LogId { key_id: self.key.id_hash() }
    }

    /// When it began.
    #[must_use]
    pub fn valid_from(&self) -> Timestamp {
        self.valid_from
    }
}

/// A trusted timestamp authority (RFC 3161). Tokens are not verified here; the trusted root only
/// lists the authority for verifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedAuthority {
    /// Its address.
    pub uri: String,
    /// Its certificates in DER: the signing certificate first, the root last.
    pub certificates: Vec<Vec<u8>>,
    /// From when on its tokens are trusted.
    pub valid_from: Timestamp,
}

/// The logs that are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedRoot {
    /// The logs; retired ones too, as long as bundles refer to them.
    pub logs: Vec<TrustedLog>,
}

impl TrustedRoot {
    /// Reads a trusted root's JSON, ours or another's. Logs with keys other than
    /// Ed25519 are skipped: their checkpoints cannot be verified, so they are not
    /// trusted.
    ///
    /// # Errors
    /// [`TrustedRootError`] says what is wrong, without repeating the document.
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustedRootError> {
        let wire: Wire = json::read(bytes, MAX_TRUSTED_ROOT_BYTES)?;
        if wire.media_type != TRUSTED_ROOT_MEDIA_TYPE {
            return Err(TrustedRootError::MediaType);
        }
        let ours = |log: &LogWire| {
            log.public_key.key_details == KEY_DETAILS && log.hash_algorithm == HASH_ALGORITHM
        };
        let logs = wire.tlogs.into_iter().filter(ours).map(TrustedLog::try_from);
        Ok(Self { logs: logs.collect::<Result<_, _>>()? })
    }

    /// Writes the trusted root as JSON.
    ///
    /// # Errors
    /// [`JsonError`] when the document would not be read back.
    pub fn to_json(&self) -> Result<Vec<u8>, JsonError> {
        self.to_json_with(&[])
    }

    /// Writes the trusted root as JSON, with timestamp authorities.
    ///
    /// # Errors
    /// [`JsonError`] when the document would not be read back.
    pub fn to_json_with(&self, authorities: &[TrustedAuthority]) -> Result<Vec<u8>, JsonError> {
        let wire = Wire {
            media_type: TRUSTED_ROOT_MEDIA_TYPE.to_owned(),
            tlogs: self.logs.iter().map(LogWire::from).collect(),
            timestamp_authorities: authorities.iter().map(AuthorityWire::from).collect(),
        };
        json::write(&wire, MAX_TRUSTED_ROOT_BYTES)
    }

    /// The log that a bundle names.
    #[must_use]
    pub fn log(&self, id: &Sha256Digest) -> Option<&TrustedLog> {
        self.logs.iter().find(|log| log.key.id_hash() == *id)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    media_type: String,
    #[serde(default)]
    tlogs: Vec<LogWire>,
    #[serde(skip_deserializing, skip_serializing_if = "Vec::is_empty")]
    timestamp_authorities: Vec<AuthorityWire>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthorityWire {
    uri: String,
    cert_chain: ChainWire,
    valid_for: Validity,
}

#[derive(Serialize)]
struct ChainWire {
    certificates: Vec<CertificateWire>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CertificateWire {
    #[serde(serialize_with = "base64_bytes::serialize")]
    raw_bytes: Vec<u8>,
}

impl From<&TrustedAuthority> for AuthorityWire {
    fn from(authority: &TrustedAuthority) -> Self {
        let certificate = |der: &Vec<u8>| CertificateWire { raw_bytes: der.clone() };
        let certificates = authority.certificates.iter().map(certificate).collect();
        Self {
            uri: authority.uri.clone(),
            cert_chain: ChainWire { certificates },
            valid_for: Validity { start: authority.valid_from },
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogWire {
    base_url: String,
    hash_algorithm: String,
    public_key: KeyWire,
    log_id: LogId,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyWire {
    #[serde(with = "base64_bytes")]
    raw_bytes: Vec<u8>,
    key_details: String,
    valid_for: Validity,
}

#[derive(Serialize, Deserialize)]
struct Validity {
    start: Timestamp,
}

impl From<&TrustedLog> for LogWire {
    fn from(log: &TrustedLog) -> Self {
        Self {
            base_url: format!("{SCHEME}{}", log.origin()),
            hash_algorithm: HASH_ALGORITHM.to_owned(),
            public_key: KeyWire {
                raw_bytes: log.key.to_spki_der(),
                key_details: KEY_DETAILS.to_owned(),
                valid_for: Validity { start: log.valid_from },
            },
            log_id: log.log_id(),
        }
    }
}

impl TryFrom<LogWire> for TrustedLog {
    type Error = TrustedRootError;

    fn try_from(wire: LogWire) -> Result<Self, TrustedRootError> {
        let origin = wire.base_url.strip_prefix(SCHEME).ok_or(TrustedRootError::Origin)?;
        let der = &wire.public_key.raw_bytes;
        let key = VerifierKey::from_spki_der(origin, KeyKind::Ed25519, der)?;
        let log = Self::new(key, wire.public_key.valid_for.start)?;
        if log.log_id() == wire.log_id { Ok(log) } else { Err(TrustedRootError::LogId) }
    }
}

fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    name.len() <= 253 && name.split('.').all(label)
}
