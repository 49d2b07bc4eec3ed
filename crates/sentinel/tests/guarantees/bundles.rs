//! G5: what a running server hands out is good to verifiers that are not ours, what a forger makes
//! of it is not, and a real witness cosigns its checkpoints.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sentinel_provenance::log::{
    AddCheckpoint, Checkpoint, Ed25519NoteSigner, HashedRekord, Note, NoteSigner as _,
    SignedCheckpoint, Tile, TrustedRoot, VerifierKey, WitnessPolicy, consistency_tiles, leaf_hash,
    prove_consistency,
};
use sentinel_provenance::{
    Bundle, EcdsaP256Signer, Envelope, LogTrust, PublicKey, Signer as _, verify_logged_bundle_json,
};
use sentinel_testkit::litewitness::Witness;
use sentinel_testkit::verifiers::{Case, Verdict, Verifiers};
use serde_json::{Value, json};

use crate::client::Client;
use crate::server::Server;

const PAYLOAD: &str = r#"{"answer":42}"#;

/// A server, and what it gives to verifiers.
struct Scene {
    server: Server,
    root: TrustedRoot,
    key: PublicKey,
    auditor: Client,
    agent: Client,
}

/// A bundle, and the artifact that it commits to.
struct Signed {
    bundle: Vec<u8>,
    artifact: Vec<u8>,
}

impl Scene {
    fn start() -> Self {
        let server = Server::with_policy("package sentinel.policy\ndefault allow := true\n");
        let mut auditor = Client::new(&server.url, &server.key("auditor"));
        let agent = Client::new(&server.url, &server.key("agent"));
        let root = TrustedRoot::parse(&auditor.get("/v1/trusted-root").bytes).unwrap();
        let key = auditor.get("/v1/provenance/public-key").bytes;
        let key = PublicKey::from_spki_pem(str::from_utf8(&key).unwrap()).unwrap();
        Self { server, root, key, auditor, agent }
    }

    fn log(&self) -> &VerifierKey {
        self.root.logs[0].key()
    }

    fn sign(&mut self) -> Value {
        let payload: Value = serde_json::from_str(PAYLOAD).unwrap();
        let body = json!({
            "tenant_slug": "secops", "tool_name": "incident-response-runbook", "action": "read",
            "payload": payload,
        });
        self.agent.post("/provenance/sign", &body).body
    }

    fn bundle(&mut self) -> Signed {
        let signed = self.sign();
        let path = format!("/v1/manifests/{}/bundle", signed["manifest_id"].as_str().unwrap());
        let answer = self.auditor.get(&path);
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let mut artifact = hex::decode(signed["salt"].as_str().unwrap()).unwrap();
        artifact.extend_from_slice(PAYLOAD.as_bytes());
        Signed { bundle: answer.bytes, artifact }
    }

    fn verifiers(&self, artifact: &[u8]) -> Verifiers {
        Verifiers::new(&self.root, &self.key, artifact)
    }

    /// Proves that a state continues another, from the tiles that the server serves.
    fn consistency(&mut self, old: u64, new: u64) -> Vec<sentinel_provenance::Sha256Digest> {
        let mut tiles = BTreeMap::new();
        for tile in consistency_tiles(old, new).unwrap() {
            let served = self.auditor.get(&format!("/v1/log/{tile}")).bytes;
            tiles.insert(tile, tile.parse_hashes(&served).unwrap());
        }
        let read = |tile: Tile| tiles.get(&tile).cloned().ok_or("not served");
        prove_consistency(old, new, read).unwrap()
    }
}

#[test]
fn every_verifier_accepts_what_a_server_hands_out_and_rejects_each_forgery() {
    let mut scene = Scene::start();
    // So that proofs have hashes.
    (0..20).for_each(|_| drop(scene.sign()));
    let (good, other) = (scene.bundle(), scene.bundle());
    let mut cases = vec![Case { name: "good", json: good.bundle.clone() }];
    cases.extend(forgeries(&scene, &good.bundle, &other.bundle));

    let verifiers = scene.verifiers(&good.artifact);
    let trust = LogTrust { root: scene.root.clone(), witnesses: None };
    let ours = cases.iter().map(|case| {
        let artifact = Some(good.artifact.as_slice());
        let verification = verify_logged_bundle_json(&case.json, &scene.key, &trust, artifact);
        Verdict { accepted: verification.verified(), why: format!("{:?}", verification.checks()) }
    });
    let matrix = [
        ("sentinel", ours.collect::<Vec<_>>()),
        ("cosign", verifiers.cosign(&cases)),
        ("@sigstore/verify", verifiers.node(&cases)),
        ("sigstore-verify", verifiers.rust(&cases)),
    ];
    let mut wrong = Vec::new();
    for (verifier, verdicts) in &matrix {
        assert_eq!(verdicts.len(), cases.len(), "{verifier}");
        for (case, verdict) in cases.iter().zip(verdicts) {
            if verdict.accepted != (case.name == "good") {
                wrong.push(format!("{verifier} on `{}`: {}", case.name, verdict.why));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn forgeries(scene: &Scene, good: &[u8], other: &[u8]) -> Vec<Case> {
    let other: Value = serde_json::from_slice(other).unwrap();
    let altered = |name, change: &dyn Fn(&mut Value)| {
        let mut document = serde_json::from_slice(good).unwrap();
        change(&mut document);
        let json = serde_json::to_vec(&document).unwrap();
        assert_ne!(document, serde_json::from_slice::<Value>(good).unwrap(), "{name}");
        Case { name, json }
    };
    let signed = checkpoint_of(good, scene.log());
    let rogue = Ed25519NoteSigner::generate(scene.log().name().as_str()).unwrap();
    vec![
        altered("payload", &payload),
        altered("proof hash", &|document| {
            entry(document)["inclusionProof"]["hashes"][1] = json!(leaf_hash(b"another"));
        }),
        altered("checkpoint root", &checkpoint_root),
        altered("index", &|document| {
            let entry = entry(document);
            let index: u64 = entry["logIndex"].as_str().unwrap().parse().unwrap();
            entry["logIndex"] = json!((index + 1).to_string());
            entry["inclusionProof"]["logIndex"] = entry["logIndex"].clone();
        }),
        altered("another entry's proof", &|document| {
            let (entry, other) =
                (entry(document), &other["verificationMaterial"]["tlogEntries"][0]);
            entry["logIndex"] = other["logIndex"].clone();
            entry["inclusionProof"] = other["inclusionProof"].clone();
        }),
        altered("rogue log key", &|document| {
            let entry = entry(document);
            entry["logId"]["keyId"] = json!(rogue.verifier_key().id_hash());
            let note = signed.checkpoint().sign(&rogue).unwrap().to_string();
            entry["inclusionProof"]["checkpoint"]["envelope"] = json!(note);
        }),
        altered("rogue log key under the log's id", &|document| {
            let text = signed.checkpoint().to_text();
            let signature = rogue.sign(text.as_bytes()).unwrap();
            let line = STANDARD.encode([&scene.log().id()[..], &signature].concat());
            let note = format!("{text}\n— {} {line}\n", scene.log().name().as_str());
            entry(document)["inclusionProof"]["checkpoint"]["envelope"] = json!(note);
        }),
        signed_again(scene, good),
    ]
}

fn entry(document: &mut Value) -> &mut Value {
    &mut document["verificationMaterial"]["tlogEntries"][0]
}

/// The statement is about another tenant.
fn payload(document: &mut Value) {
    let field = &mut document["dsseEnvelope"]["payload"];
    let text = String::from_utf8(STANDARD.decode(field.as_str().unwrap()).unwrap()).unwrap();
    *field = json!(STANDARD.encode(text.replace(r#""secops""#, r#""finops""#)));
}

/// The root of another tree, also where it is repeated.
fn checkpoint_root(document: &mut Value) {
    let proof = &mut entry(document)["inclusionProof"];
    let root = proof["rootHash"].as_str().unwrap().to_owned();
    let other = STANDARD.encode(leaf_hash(b"another").as_bytes());
    let note = proof["checkpoint"]["envelope"].as_str().unwrap();
    proof["checkpoint"]["envelope"] = json!(note.replace(&root, &other));
    proof["rootHash"] = json!(other);
}

/// ECDSA is randomized, so the same statement signed again, with the key of the server itself, is
/// another leaf, which is not there.
fn signed_again(scene: &Scene, good: &[u8]) -> Case {
    let files = scene.server.files();
    let pem = files.iter().find_map(|(_, content)| {
        let text = str::from_utf8(content).ok()?;
        EcdsaP256Signer::from_pkcs8_pem(text).ok()
    });
    let signer = pem.expect("the data directory has the signing key");
    assert_eq!(signer.public_key(), &scene.key);
    let bundle = Bundle::parse(good).unwrap();
    let again = Envelope::sign(bundle.envelope.payload().to_vec(), &signer).unwrap();
    let leaf = HashedRekord::of(&again, signer.public_key()).to_bytes();
    let mut forged = Bundle { envelope: again, ..bundle };
    forged.verification_material.tlog_entries[0].canonicalized_body = leaf;
    Case { name: "signed again but not logged", json: forged.to_json().unwrap() }
}

fn checkpoint_of(bundle: &[u8], log: &VerifierKey) -> SignedCheckpoint {
    let bundle = Bundle::parse(bundle).unwrap();
    let proof = &bundle.verification_material.tlog_entries[0].inclusion_proof;
    Checkpoint::open(&proof.checkpoint.envelope, log).unwrap()
}

#[test]
fn a_real_witness_follows_a_server_by_its_tiles() {
    let mut scene = Scene::start();
    let witness = Witness::start(scene.log());
    let mut seen = 0;
    for more in [0, 1, 40, 260] {
        (0..more).for_each(|_| drop(scene.sign()));
        let Signed { bundle, artifact } = scene.bundle();
        let signed = checkpoint_of(&bundle, scene.log());
        let proof = scene.consistency(seen, signed.size());
        let answer = witness.add(seen, &proof, signed.note());
        let AddCheckpoint::Cosigned(lines) = answer else { panic!("{answer:?} after {seen}") };
        seen = signed.size();

        let cosigned: Note = signed.note().with_signatures(lines).unwrap();
        let mut bundle = Bundle::parse(&bundle).unwrap();
        let entry = &mut bundle.verification_material.tlog_entries[0];
        entry.inclusion_proof.checkpoint.envelope = cosigned.to_string();
        let json = bundle.to_json().unwrap();
        let policy = WitnessPolicy::new(1, vec![witness.key.clone()]).unwrap();
        let trust = LogTrust { root: scene.root.clone(), witnesses: Some(policy) };
        let verified = verify_logged_bundle_json(&json, &scene.key, &trust, Some(&artifact));
        assert!(verified.verified(), "{:?}", verified.checks());
        let cases = [Case { name: "cosigned", json }];
        let verifiers = scene.verifiers(&artifact);
        for verdicts in [verifiers.cosign(&cases), verifiers.node(&cases), verifiers.rust(&cases)] {
            assert!(verdicts[0].accepted, "{}", verdicts[0].why);
        }
    }
    assert!(seen > 300, "no second tile");
}
