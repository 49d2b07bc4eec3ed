//! Signed records of what agents did, which anyone can verify offline.
//!
//! A *manifest* is an in-toto [`Statement`] about one action ([`AgentAction`]),
//! signed in a DSSE [`Envelope`] and handed out as a Sigstore [`Bundle`]. No
//! format here is our own, so unmodified verifiers can read what we issue.
//! The payload of an action never enters a manifest: the statement commits to it
//! through a secret [`Salt`]. What was signed is written to a transparency
//! [`log`], and the bundle carries the proof.
//!
//! ```
//! use sentinel_provenance::{
//!     AgentAction, Bundle, EcdsaP256Signer, Envelope, PAYLOAD_ROLE, Phase, Salt, Signer,
//!     Statement, TenantKey, verify_bundle_json,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let signer = EcdsaP256Signer::generate()?;
//! let tenant_key = TenantKey::new(&[7; 32]); // 32 random bytes, kept by the caller
//! let id = "0193a1f2-7b3c-7def-8a12-34567890abcd".parse::<uuid::Uuid>()?;
//! let payload = br#"{"answer": 42}"#;
//!
//! let salt = Salt::derive(&tenant_key, &id.to_string(), PAYLOAD_ROLE);
//! let action = AgentAction {
//!     id,
//!     phase: Phase::Outcome,
//!     timestamp: "2026-11-22T20:13:00.000Z".parse()?,
//!     tenant: "secops".into(),
//!     tool: "incident-response-runbook".into(),
//!     action: "read".into(),
//!     purpose: None,
//!     agent: Some("triage".into()),
//!     principal: "key:42".into(),
//!     decision: None,
//!     checkpoint: None,
//!     metadata: Default::default(),
//! };
//! let statement = Statement::new(action, salt.commit(payload))?;
//! let envelope = Envelope::sign(statement.to_bytes()?, &signer)?;
//! let bundle = Bundle::new(envelope, signer.public_key())?.to_json()?;
//!
//! let artifact = salt.artifact(payload);
//! let verification = verify_bundle_json(&bundle, signer.public_key(), Some(&artifact));
//! assert!(verification.verified());
//! # Ok(())
//! # }
//! ```
//!
//! Invariants:
//! - Nothing here does I/O or reads a clock. The only randomness is that of key
//!   generation and signing, inside AWS-LC.
//! - Signatures and commitments cover exact bytes; nothing is canonicalized.
//! - Whatever is written can be read back: writers enforce the readers' limits.
//! - Parsers take any bytes, are bounded in size and depth, refuse duplicate
//!   keys, and repeat nothing of the document in their errors.

pub mod bundle;
mod certificate;
pub mod commitment;
mod digest;
mod dsse;
mod encoding;
mod json;
mod key_events;
pub mod log;
mod log_entry;
mod log_trust;
mod public_key;
mod receipt;
mod signer;
mod statement;
mod verify;

pub use bundle::{Bundle, BundleError};
pub use certificate::{CertificateError, KeyCertificate};
pub use commitment::{PAYLOAD_ROLE, Salt, TenantKey};
pub use digest::Sha256Digest;
pub use dsse::{Envelope, EnvelopeError, MAX_ENVELOPE_BYTES, MAX_PAYLOAD_BYTES, PAYLOAD_TYPE, pae};
pub use json::{JsonError, MAX_DEPTH};
pub use key_events::{KeyEventError, KeyEvents};
pub use log_trust::{LogTrust, Revocation, RevokedAt};
pub use public_key::{KeyError, PublicKey, Signature, SignatureLength, SignatureMismatch};
pub use receipt::{LogEntryError, MAX_LOG_ENTRY_BYTES};
pub use signer::{EcdsaP256Signer, SignError, Signer};
pub use statement::{
    AgentAction, DecisionRef, KeyEventKind, LogShardStart, NO_REVISION, PREDICATE_TYPE,
    PayloadDestroyed, Phase, PredecessorLog, Predicate, RecordedDecision, STATEMENT_TYPE,
    SeenCheckpoint, SigningKeyEvent, Statement, StatementError,
};
pub use verify::{
    Check, CheckName, Outcome, Trust, Verification, verify_bundle, verify_bundle_json,
    verify_logged_bundle, verify_logged_bundle_json,
};
