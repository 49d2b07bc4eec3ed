//! Writes the signed seeds of the `envelope` target and the two public keys, and forgets the
//! private keys. Run it in `fuzz/` when the format of a bundle changes.

use std::error::Error;
use std::fs;

use sentinel_provenance::{
    AgentAction, Bundle, EcdsaP256Signer, Envelope, PAYLOAD_ROLE, Phase, Salt, Signer, Statement,
    TenantKey,
};

fn main() -> Result<(), Box<dyn Error>> {
    let signer = EcdsaP256Signer::generate()?;
    let id = "0193a1f2-7b3c-7def-8a12-34567890abcd".parse::<uuid::Uuid>()?;
    let salt = Salt::derive(&TenantKey::new(&[7; 32]), &id.to_string(), PAYLOAD_ROLE);
    let action = AgentAction {
        id,
        phase: Phase::Outcome,
        timestamp: "2026-11-22T20:13:00.000Z".parse()?,
        tenant: "secops".into(),
        tool: "incident-response-runbook".into(),
        action: "read".into(),
        purpose: Some("incident".into()),
        agent: Some("triage".into()),
        principal: "key:42".into(),
        decision: None,
        checkpoint: None,
        metadata: Default::default(),
    };
    let statement = Statement::new(action, salt.commit(b"{\"answer\":42}"))?.to_bytes()?;
    let envelope = Envelope::sign(statement.clone(), &signer)?;
    fs::write("seeds/envelope/statement.json", statement)?;
    fs::write("seeds/envelope/envelope.json", envelope.to_json()?)?;
    let bundle = Bundle::new(envelope, signer.public_key())?;
    fs::write("seeds/envelope/genuine.json", bundle.to_json()?)?;
    fs::write("trusted.pem", signer.public_key().to_spki_pem()?)?;
    fs::write("stranger.pem", EcdsaP256Signer::generate()?.public_key().to_spki_pem()?)?;
    Ok(())
}
