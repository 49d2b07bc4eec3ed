//! Writes what an auditor gets: a bundle in a log of 400 entries, the trusted root, the signer's
//! public key and the artifact. `docs/provenance.md` shows cosign verifying them.
//!
//! `cargo run --package sentinel-provenance --example logged_bundle -- FOLDER`

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use sentinel_provenance::bundle::TransparencyLogEntry;
use sentinel_provenance::log::{
    Checkpoint, Ed25519NoteSigner, Frontier, Growth, HashedRekord, NoteSigner as _, TrustedLog,
    TrustedRoot, leaf_hash, prove_inclusion,
};
use sentinel_provenance::{
    AgentAction, Bundle, EcdsaP256Signer, Envelope, PAYLOAD_ROLE, Phase, Salt, Signer as _,
    Statement, TenantKey,
};

/// The place of the manifest's leaf among the 400.
const INDEX: u64 = 123;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: logged_bundle FOLDER")?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;

    let signer = EcdsaP256Signer::generate()?;
    let log = Ed25519NoteSigner::generate("log.example")?;
    let id = "0193a1f2-7b3c-7def-8a12-34567890abcd".parse::<uuid::Uuid>()?;
    let salt = Salt::derive(&TenantKey::new(&[7; 32]), &id.to_string(), PAYLOAD_ROLE);
    let payload = br#"{"answer": 42}"#;
    let envelope = Envelope::sign(statement(id, &salt, payload)?.to_bytes()?, &signer)?;
    let leaf = HashedRekord::of(&envelope, signer.public_key());

    let hashes: Vec<_> = (0..400)
        .map(|n| if n == INDEX { leaf.leaf_hash() } else { leaf_hash(&[b'x'; 489]) })
        .collect();
    let Growth { tiles, frontier } =
        Growth::of(&Frontier::new(), &hashes, |_| Err("an empty tree has no tiles"))?;
    let tiles: BTreeMap<_, _> = tiles.into_iter().collect();
    let size = frontier.size();
    let note = Checkpoint::new("log.example", size, frontier.root())?.sign(&log)?.to_string();
    let checkpoint = Checkpoint::open(&note, log.verifier_key())?;
    let proof = prove_inclusion(INDEX, size, |tile| tiles.get(&tile).cloned().ok_or("no tile"))?;
    let entry = TransparencyLogEntry::new(log.verifier_key(), &leaf, INDEX, proof, &checkpoint)?;
    let bundle = Bundle::new(envelope, signer.public_key())?.with_log_entry(entry)?;

    let since = "2026-11-01T00:00:00Z".parse()?;
    let root = TrustedRoot { logs: vec![TrustedLog::new(log.verifier_key().clone(), since)?] };
    fs::write(folder.join("bundle.json"), bundle.to_json()?)?;
    fs::write(folder.join("trusted-root.json"), root.to_json()?)?;
    fs::write(folder.join("signer.pub"), signer.public_key().to_spki_pem()?)?;
    fs::write(folder.join("artifact"), salt.artifact(payload))?;
    fs::write(folder.join("checkpoint"), note)?;
    Ok(())
}

fn statement(id: uuid::Uuid, salt: &Salt, payload: &[u8]) -> Result<Statement, Box<dyn Error>> {
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
    Ok(Statement::new(action, salt.commit(payload))?)
}
