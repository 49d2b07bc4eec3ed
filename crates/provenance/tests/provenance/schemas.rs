//! The published JSON Schemas say what is signed, and what readers take.

use sentinel_provenance::{
    AgentAction, DecisionRef, KeyEventKind, LogShardStart, PayloadDestroyed, Phase, PredecessorLog,
    Predicate, SeenCheckpoint, Sha256Digest, SigningKeyEvent, Statement,
};
use serde_json::{Map, Value, json};

const ID: &str = "0193a1f2-7b3c-7def-8a12-34567890abcd";

fn schema(name: &str) -> jsonschema::Validator {
    let path =
        format!("{}/../../docs/attestations/{name}-v1.schema.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

fn document<P: Predicate>(predicate: P) -> Value {
    let statement = Statement::new(predicate, Sha256Digest::of(b"subject")).unwrap();
    serde_json::from_slice(&statement.to_bytes().unwrap()).unwrap()
}

fn action() -> AgentAction {
    AgentAction {
        id: ID.parse().unwrap(),
        phase: Phase::Decision,
        timestamp: "2026-11-22T20:13:00.123Z".parse().unwrap(),
        tenant: "secops".to_owned(),
        tool: "runbook".to_owned(),
        action: "read".to_owned(),
        purpose: Some("triage".to_owned()),
        agent: Some("bot".to_owned()),
        principal: "key:42".to_owned(),
        decision: Some(DecisionRef {
            id: ID.parse().unwrap(),
            allow: false,
            policy_revision: "1.0".to_owned(),
            code: Some("policy_denied".to_owned()),
        }),
        checkpoint: Some(SeenCheckpoint {
            origin: "log.example".to_owned(),
            size: 4,
            root_hash: Sha256Digest::of(b"root"),
        }),
        metadata: Map::from_iter([("n".to_owned(), json!(1))]),
    }
}

#[test]
fn every_statement_follows_its_schema() {
    let sparse = AgentAction {
        phase: Phase::Outcome,
        purpose: None,
        agent: None,
        decision: None,
        checkpoint: None,
        metadata: Map::new(),
        ..action()
    };
    let (id, timestamp) = (action().id, action().timestamp);
    let key = SigningKeyEvent {
        id,
        timestamp,
        event: KeyEventKind::Certified,
        hint: "SHA256:x".to_owned(),
        public_key: "pem".to_owned(),
        not_after: Some(timestamp),
        reason: None,
    };
    let shard = LogShardStart {
        id,
        timestamp,
        origin: "two.example".to_owned(),
        verifier_key: "two.example+1+x".to_owned(),
        predecessor: Some(PredecessorLog {
            origin: "one.example".to_owned(),
            checkpoint: "note".to_owned(),
        }),
    };
    let destroyed = PayloadDestroyed {
        id,
        timestamp,
        tenant: "secops".to_owned(),
        key_generation: 1,
        principal: "key:42".to_owned(),
        reason: Some("erasure".to_owned()),
    };
    for (name, document) in [
        ("agent-action", document(action())),
        ("agent-action", document(sparse)),
        ("signing-key", document(key)),
        ("log-shard", document(shard)),
        ("payload-destroyed", document(destroyed)),
    ] {
        let schema = schema(name);
        let errors: Vec<_> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
        // The others are not taken for it.
        for other in ["agent-action", "signing-key", "log-shard", "payload-destroyed"] {
            assert_eq!(self::schema(other).is_valid(&document), other == name, "{name} as {other}");
        }
    }
}

/// What the schema refuses is refused by the reader too, and the other way round.
#[test]
fn schema_and_reader_agree_on_what_is_wrong() {
    let schema = schema("agent-action");
    let changes: [fn(&mut Value); 12] = [
        |d| d["_type"] = json!("https://in-toto.io/Statement/v0.1"),
        |d| d["subject"] = json!([]),
        |d| d["subject"][0]["name"] = json!("urn:uuid:unknown"),
        |d| d["subject"][0]["digest"]["sha256"] = json!("AB"),
        |d| d["predicate"]["id"] = json!("0193a1f2-7b3c-4def-8a12-34567890abcd"),
        |d| d["predicate"]["phase"] = json!("before"),
        |d| d["predicate"]["timestamp"] = json!("2026-11-22T20:13:00Z"),
        |d| d["predicate"]["tenant"] = json!(""),
        |d| d["predicate"]["tool"] = json!(null),
        |d| d["predicate"]["decision"]["allow"] = json!("no"),
        |d| drop(d["predicate"].as_object_mut().unwrap().remove("principal")),
        |d| d["predicate"]["checkpoint"]["size"] = json!(-1),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut document = document(action());
        change(&mut document);
        assert!(!schema.is_valid(&document), "change {number} passes the schema");
        let bytes = serde_json::to_vec(&document).unwrap();
        assert!(Statement::<AgentAction>::parse(&bytes).is_err(), "change {number} is read");
    }
    let mut unknown = document(action());
    unknown["predicate"]["later"] = json!(1);
    assert!(schema.is_valid(&unknown));
    assert!(Statement::<AgentAction>::parse(&serde_json::to_vec(&unknown).unwrap()).is_ok());
}
