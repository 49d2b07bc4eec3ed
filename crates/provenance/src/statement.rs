//! in-toto statements: what is signed.
//!
//! ```json
//! {
//!   "_type": "https://in-toto.io/Statement/v1",
//!   "subject": [{"name": "urn:uuid:<id>", "digest": {"sha256": "<digest>"}}],
//!   "predicateType": "https://sentinel-mcp.dev/attestation/agent-action/v1",
//!   "predicate": {"id": "<UUIDv7>", "timestamp": "2026-11-22T20:13:00.000Z", …}
//! }
//! ```
//!
//! Actions of agents ([`AgentAction`]) are most of them; the others are about the keys, logs and
//! payloads that make those verifiable ([`SigningKeyEvent`], [`LogShardStart`],
//! [`PayloadDestroyed`]). As in-toto requires, readers ignore unknown fields, so that
//! predicates can grow without a new type.

mod action;
mod control;
mod recorded;
mod rfc3339_millis;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::{Uuid, Variant};

pub use action::{AgentAction, DecisionRef, PREDICATE_TYPE, Phase, SeenCheckpoint};
pub use control::{KeyEventKind, LogShardStart, PayloadDestroyed, PredecessorLog, SigningKeyEvent};
pub use recorded::{NO_REVISION, RecordedDecision};

use crate::digest::Sha256Digest;
use crate::dsse::MAX_PAYLOAD_BYTES;
use crate::json::{self, JsonError};

/// `_type` of every in-toto Statement v1.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// Why something is not a statement of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StatementError {
    /// It is not a JSON document of a statement's shape.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// `_type` names another version or format.
    #[error("statement type is not `{STATEMENT_TYPE}`")]
    StatementType,
    /// `predicateType` names another predicate.
    #[error("predicate type is not `{expected}`")]
    PredicateType {
        /// The one that was wanted.
        expected: &'static str,
    },
    /// It has no subject, or several.
    #[error("expected one subject, found {actual}")]
    SubjectCount {
        /// How many there are.
        actual: usize,
    },
    /// The subject is named after something other than the statement.
    #[error("subject name is not `urn:uuid:` and the id")]
    SubjectName,
    /// The subject's SHA-256 is not 64 lowercase hexadecimal digits.
    #[error("subject digest is not a lowercase hexadecimal sha256")]
    SubjectDigest,
    /// The id is a UUID of another version.
    #[error("id is not a version 7 uuid")]
    Id,
    /// A mandatory text is empty.
    #[error("`{field}` is empty")]
    Empty {
        /// The field's name in JSON.
        field: &'static str,
    },
}

/// The predicate of a statement about its subject.
pub trait Predicate: Serialize + DeserializeOwned {
    /// `predicateType` of it.
    const TYPE: &'static str;

    /// The id of the statement, a UUIDv7.
    fn id(&self) -> Uuid;

    /// When it was made, by the signer's clock.
    fn timestamp_mut(&mut self) -> &mut Timestamp;

    /// Texts that must not be empty, by their names in JSON.
    fn mandatory(&self) -> impl IntoIterator<Item = (&'static str, &str)>;
}

/// A valid statement: id, subject and predicate agree. It is not known who made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement<P = AgentAction> {
    subject_digest: Sha256Digest,
    predicate: P,
}

impl<P: Predicate> Statement<P> {
    /// States `predicate` about the subject with `subject_digest`: for an action, the commitment
    /// to its payload. The timestamp is truncated to whole milliseconds.
    ///
    /// # Errors
    /// [`StatementError::Id`] or [`StatementError::Empty`].
    pub fn new(mut predicate: P, subject_digest: Sha256Digest) -> Result<Self, StatementError> {
        validate(&predicate)?;
        let timestamp = predicate.timestamp_mut();
        *timestamp = rfc3339_millis::cut(*timestamp);
        Ok(Self { subject_digest, predicate })
    }

    /// Reads the payload of an envelope. Verify its signature first.
    ///
    /// # Errors
    /// [`StatementError`] says what is wrong, without repeating the document.
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        let header: Header = json::read(payload, MAX_PAYLOAD_BYTES)?;
        if header.statement_type != STATEMENT_TYPE {
            return Err(StatementError::StatementType);
        }
        if header.predicate_type != P::TYPE {
            return Err(StatementError::PredicateType { expected: P::TYPE });
        }
        let body: Body<P> = json::read(payload, MAX_PAYLOAD_BYTES)?;
        validate(&body.predicate)?;
        let [subject] = <[_; 1]>::try_from(body.subject)
            .map_err(|all| StatementError::SubjectCount { actual: all.len() })?;
        if subject.name != subject_name(&body.predicate) {
            return Err(StatementError::SubjectName);
        }
        let subject_digest =
            Sha256Digest::from_hex(&subject.digest.sha256).ok_or(StatementError::SubjectDigest)?;
        Ok(Self { subject_digest, predicate: body.predicate })
    }

    /// Writes the statement: the bytes to sign, and to keep exactly as they are.
    ///
    /// # Errors
    /// [`JsonError`] when the result is longer than [`MAX_PAYLOAD_BYTES`] or
    /// the metadata nests too deeply.
    pub fn to_bytes(&self) -> Result<Vec<u8>, JsonError> {
        let wire = Outgoing {
            statement_type: STATEMENT_TYPE,
            subject: [Subject {
                name: subject_name(&self.predicate),
                digest: DigestSet { sha256: self.subject_digest.to_hex() },
            }],
            predicate_type: P::TYPE,
            predicate: &self.predicate,
        };
        json::write(&wire, MAX_PAYLOAD_BYTES)
    }

    /// The predicate.
    #[must_use]
    pub fn predicate(&self) -> &P {
        &self.predicate
    }

    /// SHA-256 of the subject: for an action, the salted commitment to its payload.
    #[must_use]
    pub fn subject_digest(&self) -> &Sha256Digest {
        &self.subject_digest
    }
}

fn validate<P: Predicate>(predicate: &P) -> Result<(), StatementError> {
    let id = predicate.id();
    if id.get_version_num() != 7 || id.get_variant() != Variant::RFC4122 {
        return Err(StatementError::Id);
    }
    match predicate.mandatory().into_iter().find(|(_, text)| text.is_empty()) {
        Some((field, _)) => Err(StatementError::Empty { field }),
        None => Ok(()),
    }
}

fn subject_name<P: Predicate>(predicate: &P) -> String {
    predicate.id().urn().to_string()
}

/// Read first, so that an unknown statement is reported as such, not as malformed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    #[serde(rename = "_type")]
    statement_type: String,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Body<P> {
    subject: Vec<Subject>,
    predicate: P,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outgoing<'a, P> {
    #[serde(rename = "_type")]
    statement_type: &'static str,
    subject: [Subject; 1],
    predicate_type: &'static str,
    predicate: &'a P,
}

#[derive(Serialize, Deserialize)]
struct Subject {
    name: String,
    digest: DigestSet,
}

#[derive(Serialize, Deserialize)]
struct DigestSet {
    sha256: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value, json};

    fn action() -> AgentAction {
        AgentAction {
            id: "0193a1f2-7b3c-7def-8a12-34567890abcd".parse().unwrap(),
            phase: Phase::Outcome,
            timestamp: "2026-11-22T20:13:00.123456789Z".parse().unwrap(),
            tenant: "secops".to_owned(),
            tool: "incident-response-runbook".to_owned(),
            action: "read".to_owned(),
            purpose: None,
            agent: Some("triage".to_owned()),
            principal: "key:42".to_owned(),
            decision: Some(DecisionRef {
                id: "0193a1f2-7b3c-7def-8a12-34567890abce".parse().unwrap(),
                allow: true,
                policy_revision: "sha256:00".to_owned(),
                code: Some("allowed".to_owned()),
            }),
            checkpoint: None,
            metadata: Map::from_iter([("n".to_owned(), json!(9_007_199_254_740_993_u64))]),
        }
    }

    fn document() -> Value {
        let statement = Statement::new(action(), Sha256Digest::of(b"payload")).unwrap();
        serde_json::from_slice(&statement.to_bytes().unwrap()).unwrap()
    }

    fn altered(change: impl FnOnce(&mut Value)) -> Result<Statement, StatementError> {
        let mut document = document();
        change(&mut document);
        Statement::<AgentAction>::parse(&serde_json::to_vec(&document).unwrap())
    }

    #[test]
    fn statement_is_written_as_documented() {
        let expected = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{
                "name": "urn:uuid:0193a1f2-7b3c-7def-8a12-34567890abcd",
                "digest": {"sha256": Sha256Digest::of(b"payload").to_hex()},
            }],
            "predicateType": "https://sentinel-mcp.dev/attestation/agent-action/v1",
            "predicate": {
                "id": "0193a1f2-7b3c-7def-8a12-34567890abcd",
                "phase": "outcome",
                "timestamp": "2026-11-22T20:13:00.123Z",
                "tenant": "secops",
                "tool": "incident-response-runbook",
                "action": "read",
                "agent": "triage",
                "principal": "key:42",
                "decision": {
                    "id": "0193a1f2-7b3c-7def-8a12-34567890abce",
                    "allow": true,
                    "policyRevision": "sha256:00",
                    "code": "allowed",
                },
                "metadata": {"n": 9_007_199_254_740_993_u64},
            },
        });
        assert_eq!(document(), expected);
    }

    #[test]
    fn statement_round_trips() {
        let statement = Statement::new(action(), Sha256Digest::of(b"payload")).unwrap();
        assert_eq!(
            Statement::<AgentAction>::parse(&statement.to_bytes().unwrap()).unwrap(),
            statement
        );
    }

    #[test]
    fn unknown_fields_are_ignored_as_in_toto_demands() {
        let statement = altered(|document| {
            document["later"] = json!(1);
            document["predicate"]["sequence"] = json!(7);
            document["subject"][0]["digest"]["sha512"] = json!("00");
        });
        assert_eq!(statement.unwrap().predicate().tool, "incident-response-runbook");
    }

    #[test]
    fn foreign_and_incoherent_statements_are_refused() {
        let error = |change: fn(&mut Value)| altered(change).unwrap_err();
        assert_eq!(error(|d| d["_type"] = json!("x")), StatementError::StatementType);
        assert_eq!(
            error(|d| d["predicateType"] = json!("x")),
            StatementError::PredicateType { expected: PREDICATE_TYPE }
        );
        assert_eq!(error(|d| d["subject"] = json!([])), StatementError::SubjectCount { actual: 0 });
        assert_eq!(
            error(|d| d["subject"] = json!([d["subject"][0], d["subject"][0]])),
            StatementError::SubjectCount { actual: 2 }
        );
        let other = "0193a1f2-7b3c-7def-8a12-34567890abcf";
        assert_eq!(
            altered(|d| d["predicate"]["id"] = json!(other)).unwrap_err(),
            StatementError::SubjectName
        );
        let digest = "ab".repeat(32).to_uppercase();
        assert_eq!(
            altered(|d| d["subject"][0]["digest"]["sha256"] = json!(digest)).unwrap_err(),
            StatementError::SubjectDigest
        );
        assert_eq!(
            error(|d| d["predicate"]["tenant"] = json!("")),
            StatementError::Empty { field: "tenant" }
        );
        for phase in ["before", "Outcome", ""] {
            let unknown = altered(|d| d["predicate"]["phase"] = json!(phase)).unwrap_err();
            assert!(matches!(unknown, StatementError::Json(JsonError::Shape { .. })), "{phase}");
        }
    }

    #[test]
    fn one_spelling_of_a_timestamp_is_read() {
        for text in [
            "2026-11-22T20:13:00Z",
            "2026-11-22T20:13:00.1234Z",
            "2026-11-22T21:13:00.123+01:00",
            "2026-11-22t20:13:00.123z",
            "2026-11-22T20:13:00.123Z[UTC]",
        ] {
            assert!(altered(|d| d["predicate"]["timestamp"] = json!(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn timestamps_before_1970_round_trip_too() {
        let early =
            AgentAction { timestamp: "1969-12-31T23:59:59.9999Z".parse().unwrap(), ..action() };
        let statement = Statement::new(early, Sha256Digest::of(b"payload")).unwrap();
        assert_eq!(statement.predicate().timestamp.to_string(), "1969-12-31T23:59:59.999Z");
        assert_eq!(
            Statement::<AgentAction>::parse(&statement.to_bytes().unwrap()).unwrap(),
            statement
        );
    }

    #[test]
    fn an_id_of_another_version_is_refused() {
        let random = AgentAction { id: Uuid::from_u128(0x4000_8000_0000_0000_0000), ..action() };
        let error = Statement::new(random, Sha256Digest::of(b"")).unwrap_err();
        assert_eq!(error, StatementError::Id);
    }

    #[test]
    fn metadata_that_no_reader_would_take_is_not_written() {
        let mut deep = json!(null);
        for _ in 0..json::MAX_DEPTH {
            deep = json!([deep]);
        }
        let long = json!("x".repeat(MAX_PAYLOAD_BYTES));
        for value in [deep, long] {
            let metadata = Map::from_iter([("m".to_owned(), value)]);
            let statement =
                Statement::new(AgentAction { metadata, ..action() }, Sha256Digest::of(b""))
                    .unwrap();
            assert!(statement.to_bytes().is_err());
        }
    }

    #[test]
    fn statements_about_keys_logs_and_payloads_round_trip_and_are_told_apart() {
        let (id, timestamp) = (action().id, "2026-11-22T20:13:00.123Z".parse().unwrap());
        let key = SigningKeyEvent {
            id,
            timestamp,
            event: KeyEventKind::Revoked,
            hint: "SHA256:x".to_owned(),
            public_key: "pem".to_owned(),
            not_after: None,
            reason: Some("stolen".to_owned()),
        };
        let shard = LogShardStart {
            id,
            timestamp,
            origin: "two.example".to_owned(),
            verifier_key: "two.example+1+x".to_owned(),
            predecessor: Some(PredecessorLog {
                origin: "one.example".to_owned(),
                checkpoint: "one.example\n".to_owned(),
            }),
        };
        let destroyed = PayloadDestroyed {
            id,
            timestamp,
            tenant: "secops".to_owned(),
            key_generation: 1,
            principal: "key:42".to_owned(),
            reason: None,
        };
        round_trips(&key);
        round_trips(&shard);
        round_trips(&destroyed);
        let nameless = SigningKeyEvent { hint: String::new(), ..key.clone() };
        let error = Statement::new(nameless, Sha256Digest::of(b"")).unwrap_err();
        assert_eq!(error, StatementError::Empty { field: "hint" });
        let bytes = Statement::new(key, Sha256Digest::of(b"")).unwrap().to_bytes().unwrap();
        let expected = LogShardStart::TYPE;
        assert_eq!(
            Statement::<LogShardStart>::parse(&bytes).unwrap_err(),
            StatementError::PredicateType { expected }
        );
    }

    fn round_trips<P: Predicate + Clone + PartialEq + std::fmt::Debug>(predicate: &P) {
        let statement = Statement::new(predicate.clone(), Sha256Digest::of(b"subject")).unwrap();
        let read = Statement::<P>::parse(&statement.to_bytes().unwrap()).unwrap();
        assert_eq!(read, statement);
        assert_eq!(read.predicate(), predicate);
    }
}
