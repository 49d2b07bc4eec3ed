//! in-toto statements about actions of agents.
//!
//! ```json
//! {
//!   "_type": "https://in-toto.io/Statement/v1",
//!   "subject": [{"name": "urn:uuid:<id>", "digest": {"sha256": "<commitment>"}}],
//!   "predicateType": "https://sentinel-mcp.dev/attestation/agent-action/v1",
//!   "predicate": {
//!     "id": "<UUIDv7>", "phase": "outcome", "timestamp": "2026-11-22T20:13:00.000Z",
//!     "tenant": "…", "tool": "…", "action": "…", "purpose": "…", "agent": "…",
//!     "principal": "…",
//!     "decision": {"id": "<UUID>", "allow": true, "policyRevision": "…"},
//!     "metadata": {}
//!   }
//! }
//! ```
//!
//! `purpose`, `agent` and `decision` may be absent. The digest is the salted
//! commitment of [`crate::commitment`]; the payload itself is never here. As
//! in-toto demands, readers ignore fields they do not know, so that predicates
//! can grow without a new type.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;
use uuid::{Uuid, Variant};

use crate::digest::Sha256Digest;
use crate::dsse::MAX_PAYLOAD_BYTES;
use crate::json::{self, JsonError};

/// `_type` of every in-toto Statement v1.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// `predicateType` of [`AgentAction`].
pub const PREDICATE_TYPE: &str = "https://sentinel-mcp.dev/attestation/agent-action/v1";

/// Why something is not a statement about an agent's action.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StatementError {
    /// It is not a JSON document of a statement's shape.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// `_type` names another version or format.
    #[error("statement type is not `{STATEMENT_TYPE}`")]
    StatementType,
    /// `predicateType` names another predicate.
    #[error("predicate type is not `{PREDICATE_TYPE}`")]
    PredicateType,
    /// It has no subject, or several.
    #[error("expected one subject, found {actual}")]
    SubjectCount {
        /// How many there are.
        actual: usize,
    },
    /// The subject is named after something other than the manifest.
    #[error("subject name is not `urn:uuid:` and the manifest id")]
    SubjectName,
    /// The subject's SHA-256 is not 64 lowercase hexadecimal digits.
    #[error("subject digest is not a lowercase hexadecimal sha256")]
    SubjectDigest,
    /// The manifest id is a UUID of another version.
    #[error("manifest id is not a version 7 uuid")]
    Id,
    /// A mandatory text is empty.
    #[error("`{field}` is empty")]
    Empty {
        /// The field's name in JSON.
        field: &'static str,
    },
}

/// What a statement says about an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Phase {
    /// The action was carried out; the subject commits to its outcome.
    Outcome,
}

/// The decision under which an action was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRef {
    /// Id of the recorded decision.
    pub id: Uuid,
    /// What was decided.
    pub allow: bool,
    /// Digest or name of the policy revision that decided.
    pub policy_revision: String,
}

/// The predicate: one action of one agent on one tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentAction {
    /// The manifest's id, a UUIDv7.
    pub id: Uuid,
    /// What the statement says about the action.
    pub phase: Phase,
    /// When the statement was made, by the signer's clock; whole milliseconds.
    #[serde(with = "rfc3339_millis")]
    pub timestamp: Timestamp,
    /// Slug of the tenant.
    pub tenant: String,
    /// Name of the tool.
    pub tool: String,
    /// The action.
    pub action: String,
    /// The purpose that was stated for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The agent, as it called itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The authenticated principal.
    pub principal: String,
    /// The decision that allowed or denied the action, when one is linked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionRef>,
    /// Whatever else the caller wants signed. Public: no secrets, no payload.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

impl AgentAction {
    fn validate(&self) -> Result<(), StatementError> {
        if self.id.get_version_num() != 7 || self.id.get_variant() != Variant::RFC4122 {
            return Err(StatementError::Id);
        }
        let mandatory = [
            ("tenant", &self.tenant),
            ("tool", &self.tool),
            ("action", &self.action),
            ("principal", &self.principal),
        ];
        match mandatory.into_iter().find(|(_, text)| text.is_empty()) {
            Some((field, _)) => Err(StatementError::Empty { field }),
            None => Ok(()),
        }
    }

    fn subject_name(&self) -> String {
        self.id.urn().to_string()
    }
}

/// A sound statement: whoever holds one knows that id, subject and predicate
/// agree, though not who made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    payload_digest: Sha256Digest,
    predicate: AgentAction,
}

impl Statement {
    /// States `predicate` about the payload that `payload_digest` commits to.
    /// The timestamp is cut to whole milliseconds.
    ///
    /// # Errors
    /// [`StatementError::Id`] or [`StatementError::Empty`].
    pub fn new(
        mut predicate: AgentAction,
        payload_digest: Sha256Digest,
    ) -> Result<Self, StatementError> {
        predicate.validate()?;
        predicate.timestamp = rfc3339_millis::cut(predicate.timestamp);
        Ok(Self { payload_digest, predicate })
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
        if header.predicate_type != PREDICATE_TYPE {
            return Err(StatementError::PredicateType);
        }
        let body: Body = json::read(payload, MAX_PAYLOAD_BYTES)?;
        body.predicate.validate()?;
        let [subject] = <[_; 1]>::try_from(body.subject)
            .map_err(|all| StatementError::SubjectCount { actual: all.len() })?;
        if subject.name != body.predicate.subject_name() {
            return Err(StatementError::SubjectName);
        }
        let payload_digest =
            Sha256Digest::from_hex(&subject.digest.sha256).ok_or(StatementError::SubjectDigest)?;
        Ok(Self { payload_digest, predicate: body.predicate })
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
                name: self.predicate.subject_name(),
                digest: DigestSet { sha256: self.payload_digest.to_hex() },
            }],
            predicate_type: PREDICATE_TYPE,
            predicate: &self.predicate,
        };
        json::write(&wire, MAX_PAYLOAD_BYTES)
    }

    /// What is stated.
    #[must_use]
    pub fn predicate(&self) -> &AgentAction {
        &self.predicate
    }

    /// The salted commitment to the payload.
    #[must_use]
    pub fn payload_digest(&self) -> &Sha256Digest {
        &self.payload_digest
    }
}

/// Read first, so that a foreign statement is named as such, not as malformed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    #[serde(rename = "_type")]
    statement_type: String,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Body {
    subject: Vec<Subject>,
    predicate: AgentAction,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outgoing<'a> {
    #[serde(rename = "_type")]
    statement_type: &'static str,
    subject: [Subject; 1],
    predicate_type: &'static str,
    predicate: &'a AgentAction,
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

/// RFC 3339 in UTC with exactly three decimals; no other spelling is read.
mod rfc3339_millis {
    use jiff::Timestamp;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn cut(timestamp: Timestamp) -> Timestamp {
        let excess = timestamp.as_nanosecond().rem_euclid(1_000_000);
        Timestamp::from_nanosecond(timestamp.as_nanosecond() - excess).unwrap_or(timestamp)
    }

    pub(super) fn serialize<S: Serializer>(
        timestamp: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{timestamp:.3}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        let invalid = || D::Error::custom("invalid timestamp");
        let timestamp: Timestamp = text.parse().map_err(|_| invalid())?;
        if format!("{timestamp:.3}") == text { Ok(timestamp) } else { Err(invalid()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
            }),
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
        Statement::parse(&serde_json::to_vec(&document).unwrap())
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
                },
                "metadata": {"n": 9_007_199_254_740_993_u64},
            },
        });
        assert_eq!(document(), expected);
    }

    #[test]
    fn statement_round_trips() {
        let statement = Statement::new(action(), Sha256Digest::of(b"payload")).unwrap();
        assert_eq!(Statement::parse(&statement.to_bytes().unwrap()).unwrap(), statement);
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
        assert_eq!(error(|d| d["predicateType"] = json!("x")), StatementError::PredicateType);
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
        for phase in ["decision", "Outcome", ""] {
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
        assert_eq!(Statement::parse(&statement.to_bytes().unwrap()).unwrap(), statement);
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
}
