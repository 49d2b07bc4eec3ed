//! What a forger would try: each of these must be rejected by everyone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sentinel_provenance::log::{Checkpoint, HashedRekord, NoteSigner as _, leaf_hash};
use sentinel_provenance::{Bundle, Envelope, Signer as _};
use sentinel_testkit::manifest::{Fixture, altered};
use sentinel_testkit::verifiers::Case;
use serde_json::{Value, json};

use crate::memory_log::{MemoryLog, ORIGIN, logged};

pub(crate) fn forgeries(it: &Fixture, bundle: &Bundle, log: &MemoryLog) -> Vec<Case> {
    let case = |name, json| Case { name, json };
    vec![
        case("payload", altered(bundle, payload)),
        case("proof hash", altered(bundle, proof_hash)),
        case("checkpoint root", altered(bundle, checkpoint_root)),
        case("index", altered(bundle, index)),
        case("another entry's proof", altered(bundle, |document| other_proof(document, log))),
        case("rogue log key", rogue_log(it).0.to_json().unwrap()),
        case("rogue log key under the log's ids", rogue_under_ids(it, log)),
        case("signed again but not logged", signed_again(it, bundle)),
    ]
}

fn entry(document: &mut Value) -> &mut Value {
    &mut document["verificationMaterial"]["tlogEntries"][0]
}

/// The statement is about another tenant.
fn payload(document: &mut Value) {
    let field = &mut document["dsseEnvelope"]["payload"];
    let text = STANDARD.decode(field.as_str().unwrap()).unwrap();
    let text = String::from_utf8(text).unwrap();
    let changed = text.replace(r#""tenant":"support""#, r#""tenant":"finance""#);
    assert_ne!(text, changed);
    *field = json!(STANDARD.encode(changed));
}

fn proof_hash(document: &mut Value) {
    entry(document)["inclusionProof"]["hashes"][2] = json!(leaf_hash(b"another"));
}

/// The root of another tree, also where it is repeated.
fn checkpoint_root(document: &mut Value) {
    let proof = &mut entry(document)["inclusionProof"];
    let root = proof["rootHash"].as_str().unwrap().to_owned();
    let other = STANDARD.encode(leaf_hash(b"another").as_bytes());
    let note = proof["checkpoint"]["envelope"].as_str().unwrap();
    let changed = note.replace(&root, &other);
    assert_ne!(note, changed);
    proof["checkpoint"]["envelope"] = json!(changed);
    proof["rootHash"] = json!(other);
}

fn index(document: &mut Value) {
    let entry = entry(document);
    entry["logIndex"] = json!("124");
    entry["inclusionProof"]["logIndex"] = json!("124");
}

fn other_proof(document: &mut Value, log: &MemoryLog) {
    let entry = entry(document);
    entry["logIndex"] = json!("200");
    entry["inclusionProof"]["logIndex"] = json!("200");
    entry["inclusionProof"]["hashes"] = json!(log.inclusion(200));
}

/// An untrusted log of the same name.
fn rogue_log(it: &Fixture) -> (Bundle, MemoryLog) {
    logged(it.bundle.envelope.payload(), &it.signer, 123, 276)
}

/// The rogue's signature in the place of the log's, under the log's two ids.
fn rogue_under_ids(it: &Fixture, log: &MemoryLog) -> Vec<u8> {
    let (bundle, rogue) = rogue_log(it);
    let (size, root) = (rogue.frontier.size(), rogue.frontier.root());
    let text = Checkpoint::new(ORIGIN, size, root).unwrap().to_text();
    let signature = rogue.signer.sign(text.as_bytes()).unwrap();
    let key = log.signer.verifier_key();
    let line = STANDARD.encode([&key.id()[..], &signature].concat());
    altered(&bundle, |document| {
        let entry = entry(document);
        entry["logId"]["keyId"] = json!(key.id_hash());
        let note = format!("{text}\n— {ORIGIN} {line}\n");
        entry["inclusionProof"]["checkpoint"]["envelope"] = json!(note);
    })
}

/// ECDSA is randomized, so the same statement signed again is another leaf, which is not there.
fn signed_again(it: &Fixture, bundle: &Bundle) -> Vec<u8> {
    let again = Envelope::sign(it.bundle.envelope.payload().to_vec(), &it.signer).unwrap();
    let leaf = HashedRekord::of(&again, it.signer.public_key()).to_bytes();
    let mut forged = Bundle { envelope: again, ..bundle.clone() };
    forged.verification_material.tlog_entries[0].canonicalized_body = leaf;
    forged.to_json().unwrap()
}
