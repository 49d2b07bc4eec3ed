//! A signed manifest for tests of formats, verification and the log.

use sentinel_provenance::{
    AgentAction, Bundle, EcdsaP256Signer, Envelope, PAYLOAD_ROLE, Phase, Salt, Signer as _,
    Statement, TenantKey,
};
use serde_json::{Map, Value, json};

/// A manifest with its signer, statement and artifact.
#[derive(Debug)]
pub struct Fixture {
    pub signer: EcdsaP256Signer,
    pub statement: Statement,
    pub bundle: Bundle,
    pub artifact: Vec<u8>,
}

/// A manifest of a fixed action, signed with a new key.
#[must_use]
pub fn signed() -> Fixture {
    let signer = EcdsaP256Signer::generate().unwrap();
    let payload = br#"{"rows": [1, 2]}"#;
    let id: uuid::Uuid = "0193a1f2-7b3c-7def-8a12-34567890abcd".parse().unwrap();
    let salt = Salt::derive(&TenantKey::new(&[7; 32]), &id.to_string(), PAYLOAD_ROLE);
    let action = AgentAction {
        id,
        phase: Phase::Outcome,
        timestamp: "2026-11-22T20:13:00.500Z".parse().unwrap(),
        tenant: "support".to_owned(),
        tool: "customer-profile-api".to_owned(),
        action: "read".to_owned(),
        purpose: Some("ticket".to_owned()),
        agent: Some("helper".to_owned()),
        principal: "key:42".to_owned(),
        decision: None,
        checkpoint: None,
        metadata: Map::from_iter([("ticket".to_owned(), json!("é 7"))]),
    };
    let statement = Statement::new(action, salt.commit(payload)).unwrap();
    let bundle = bundle_of(statement.to_bytes().unwrap(), &signer);
    Fixture { artifact: salt.artifact(payload), signer, statement, bundle }
}

/// The bundle of a payload.
#[must_use]
pub fn bundle_of(payload: Vec<u8>, signer: &EcdsaP256Signer) -> Bundle {
    Bundle::new(Envelope::sign(payload, signer).unwrap(), signer.public_key()).unwrap()
}

/// The bundle's JSON after `change`.
#[must_use]
pub fn altered(bundle: &Bundle, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut document = serde_json::from_slice(&bundle.to_json().unwrap()).unwrap();
    change(&mut document);
    serde_json::to_vec(&document).unwrap()
}
