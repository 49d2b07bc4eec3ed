//! Bundles with a place in a log: leaf, trusted root, verification.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use sentinel_provenance::log::{
    Checkpoint, Ed25519NoteSigner, HashedRekord, KeyKind, LeafError, NoteSigner as _, TrustedLog,
    TrustedRoot, TrustedRootError, VerifierKey, WitnessPolicy, leaf_hash,
};
use sentinel_provenance::{
    Bundle, BundleError, CheckName, EcdsaP256Signer, Envelope, LogTrust, Outcome, Revocation,
    RevokedAt, Sha256Digest, Signer as _, Trust, Verification, verify_bundle_json,
    verify_logged_bundle, verify_logged_bundle_json,
};
use sentinel_testkit::manifest::{Fixture, altered, signed};
use serde_json::{Value, json};

use Outcome::{Failed, Passed, Skipped};

use crate::log_note::Witness;
use crate::memory_log::{MemoryLog, ORIGIN, logged};

struct Logged {
    it: Fixture,
    bundle: Bundle,
    log: MemoryLog,
    trust: LogTrust,
}

/// A manifest that is entry 41 of 300, its checkpoint cosigned by the one witness demanded.
static LOGGED: LazyLock<Logged> = LazyLock::new(|| {
    let it = signed();
    let (mut bundle, log) = logged(it.bundle.envelope.payload(), &it.signer, 41, 258);
    let witness = Witness::new("witness.example");
    let cosigned = witness.cosign(&log.checkpoint(), 1_700_000_000);
    let entry = &mut bundle.verification_material.tlog_entries[0];
    entry.inclusion_proof.checkpoint.envelope = cosigned.to_string();
    let trust = LogTrust {
        root: root_of(&log.signer),
        witnesses: Some(WitnessPolicy::new(1, vec![witness.key]).unwrap()),
    };
    Logged { it, bundle, log, trust }
});

fn root_of(signer: &Ed25519NoteSigner) -> TrustedRoot {
    let since = "2026-11-01T00:00:00Z".parse().unwrap();
    TrustedRoot { logs: vec![TrustedLog::new(signer.verifier_key().clone(), since).unwrap()] }
}

fn verify(json: &[u8]) -> Verification {
    let Logged { it, trust, .. } = &*LOGGED;
    verify_logged_bundle_json(json, it.signer.public_key(), trust, Some(&it.artifact))
}

fn outcomes(verification: &Verification) -> Vec<Outcome> {
    verification.checks().iter().map(|check| check.outcome).collect()
}

/// Verifies the bundle after its one log entry was changed.
fn with_entry(change: impl FnOnce(&mut Value)) -> Verification {
    verify(&altered(&LOGGED.bundle, |document| {
        change(&mut document["verificationMaterial"]["tlogEntries"][0]);
    }))
}

#[test]
fn a_logged_bundle_passes_every_check() {
    let Logged { it, bundle, trust, .. } = &*LOGGED;
    let verification = verify(&bundle.to_json().unwrap());
    // Whether the key was revoked was not said.
    let expected = [Passed, Passed, Passed, Passed, Passed, Skipped, Passed, Passed];
    assert_eq!(outcomes(&verification), expected);
    assert!(verification.verified());
    let details: Vec<_> =
        verification.checks()[3..7].iter().map(|check| check.detail.as_str()).collect();
    assert_eq!(
        details,
        [
            "log `log.example` of 300 entries",
            "entry 41 of log `log.example`",
            "no key events were given",
            "log `log.example` seen by `witness.example`",
        ]
    );
    let without_witnesses = LogTrust { witnesses: None, ..trust.clone() };
    let key = it.signer.public_key();
    let verification = verify_logged_bundle(bundle, key, &without_witnesses, None);
    let expected = [Passed, Passed, Passed, Passed, Passed, Skipped, Skipped, Skipped];
    assert_eq!(outcomes(&verification), expected);
    assert!(verification.verified());
}

#[test]
fn a_revoked_key_is_believed_up_to_its_revocation() {
    let Logged { it, bundle, log, trust } = &*LOGGED;
    let key = it.signer.public_key();
    let mut trust = trust.clone();
    let another = Ed25519NoteSigner::generate("another.example").unwrap();
    let began = "2026-10-01T00:00:00Z".parse().unwrap();
    trust.root.logs.push(TrustedLog::new(another.verifier_key().clone(), began).unwrap());
    let check = |hint: &str, signer: &Ed25519NoteSigner, index: u64| {
        let log = signer.verifier_key().id_hash();
        let places = vec![RevokedAt { log, index }];
        let revocations = [Revocation { key: hint.to_owned(), places }];
        let verifier =
            Trust { key, logs: Some(&trust), certificate: None, revocations: Some(&revocations) };
        let verification = verifier.verify(bundle, None);
        let failed = verification.outcome(CheckName::Key) == Some(Failed);
        assert_eq!(verification.verified(), !failed);
        let key = verification.checks().iter().find(|check| check.name == CheckName::Key);
        key.unwrap().detail.clone()
    };
    let hint = key.hint();
    let in_force = format!("`{hint}` was not revoked before the entry");
    assert_eq!(check(hint, &log.signer, 42), in_force);
    assert_eq!(check("SHA256:another", &log.signer, 0), in_force);
    for index in [41, 0] {
        let why = format!("key was revoked by entry {index}, this is entry 41");
        assert_eq!(check(hint, &log.signer, index), why);
    }
    // The other log began, and so ended, earlier.
    assert_eq!(check(hint, &another, 1_000_000), "key was revoked in an earlier log");
    // A log that has both tells which came first, and no clock is asked.
    let both = |index: u64| {
        let places = [(&another, 5), (&log.signer, index)]
            .map(|(signer, index)| RevokedAt { log: signer.verifier_key().id_hash(), index });
        let revocations = [Revocation { key: hint.to_owned(), places: places.to_vec() }];
        let logs = Some(&trust);
        let verifier = Trust { key, logs, certificate: None, revocations: Some(&revocations) };
        verifier.verify(bundle, None).verified()
    };
    assert!(both(42));
    assert!(!both(41));
    // Of a log that is not known, nothing good is assumed.
    let unknown = Ed25519NoteSigner::generate("unknown.example").unwrap();
    assert_eq!(check(hint, &unknown, 1_000_000), "key was revoked in an earlier log");
}

#[test]
fn who_trusts_no_log_must_not_expect_one() {
    let Logged { it, bundle, .. } = &*LOGGED;
    let json = bundle.to_json().unwrap();
    let verification = verify_bundle_json(&json, it.signer.public_key(), None);
    let expected = [Passed, Passed, Passed, Skipped, Skipped, Skipped, Skipped, Skipped];
    assert_eq!(outcomes(&verification), expected);
    assert!(verification.verified());
    assert_eq!(verification.checks()[4].detail, "no trusted log was given");

    let none = LogTrust { root: TrustedRoot::default(), witnesses: None };
    let verification = verify_logged_bundle(bundle, it.signer.public_key(), &none, None);
    let expected = [Passed, Passed, Passed, Failed, Skipped, Skipped, Skipped, Skipped];
    assert_eq!(outcomes(&verification), expected);
    assert!(!verification.verified());
}

#[test]
fn a_bundle_that_was_not_logged_fails() {
    let Logged { it, .. } = &*LOGGED;
    let verification = verify(&it.bundle.to_json().unwrap());
    assert_eq!(verification.outcome(CheckName::Checkpoint), Some(Failed));
    assert_eq!(verification.outcome(CheckName::PayloadCommitment), Some(Passed));
    assert!(!verification.verified());
}

#[test]
fn a_statement_signed_again_is_another_entry() {
    let Logged { it, bundle, .. } = &*LOGGED;
    let again = Envelope::sign(it.bundle.envelope.payload().to_vec(), &it.signer).unwrap();
    let changed = Bundle { envelope: again, ..bundle.clone() };
    let verification = verify(&changed.to_json().unwrap());
    assert_eq!(verification.outcome(CheckName::Signature), Some(Passed));
    assert_eq!(verification.outcome(CheckName::Inclusion), Some(Failed));
    assert!(!verification.verified());
    // With the leaf that belongs to it, the proof does not fit.
    let leaf = HashedRekord::of(&changed.envelope, it.signer.public_key()).to_bytes();
    let mut changed = changed;
    changed.verification_material.tlog_entries[0].canonicalized_body = leaf;
    let verification = verify(&changed.to_json().unwrap());
    assert_eq!(verification.outcome(CheckName::Inclusion), Some(Failed));
}

#[test]
fn each_field_of_the_entry_is_checked() {
    let hash = Sha256Digest::of(b"another");
    let failed = |name, change: &dyn Fn(&mut Value)| {
        let verification = with_entry(change);
        assert_eq!(verification.outcome(name), Some(Failed), "{:?}", verification.checks());
        assert!(!verification.verified());
    };
    failed(CheckName::Inclusion, &|entry| entry["logIndex"] = json!("42"));
    failed(CheckName::Inclusion, &|entry| entry["inclusionProof"]["logIndex"] = json!("42"));
    failed(CheckName::Inclusion, &|entry| {
        entry["logIndex"] = json!("42");
        entry["inclusionProof"]["logIndex"] = json!("42");
    });
    failed(CheckName::Inclusion, &|entry| entry["kindVersion"]["kind"] = json!("dsse"));
    failed(CheckName::Inclusion, &|entry| entry["kindVersion"]["version"] = json!("0.0.1"));
    failed(CheckName::Inclusion, &|entry| entry["canonicalizedBody"] = json!("e30="));
    failed(CheckName::Inclusion, &|entry| entry["inclusionProof"]["hashes"][3] = json!(hash));
    failed(CheckName::Inclusion, &|entry| entry["inclusionProof"]["hashes"] = json!([]));
    failed(CheckName::Checkpoint, &|entry| entry["logId"]["keyId"] = json!(hash));
    failed(CheckName::Checkpoint, &|entry| entry["inclusionProof"]["rootHash"] = json!(hash));
    failed(CheckName::Checkpoint, &|entry| entry["inclusionProof"]["treeSize"] = json!("299"));
    failed(CheckName::Checkpoint, &|entry| {
        entry["inclusionProof"]["checkpoint"]["envelope"] = json!("log.example\n300\n");
    });
}

#[test]
fn a_rogue_log_and_a_rogue_state_are_refused() {
    let Logged { it, log, .. } = &*LOGGED;
    // A log of the same name with another key.
    let (bundle, rogue) = logged(it.bundle.envelope.payload(), &it.signer, 41, 258);
    let verification = verify(&bundle.to_json().unwrap());
    assert_eq!(verification.outcome(CheckName::Checkpoint), Some(Failed));
    // The rogue signs what the real log says, under the real log's id.
    let forged = Checkpoint::new(ORIGIN, 300, log.frontier.root()).unwrap();
    let forged = forged.sign(&rogue.signer).unwrap().to_string();
    let verification = with_entry(|entry| {
        entry["inclusionProof"]["checkpoint"]["envelope"] = json!(forged);
    });
    assert_eq!(verification.outcome(CheckName::Checkpoint), Some(Failed));
}

#[test]
fn a_state_that_too_few_witnesses_saw_fails() {
    let verification = with_entry(|entry| {
        let note = LOGGED.log.checkpoint().to_string();
        entry["inclusionProof"]["checkpoint"]["envelope"] = json!(note);
    });
    let expected = [Passed, Passed, Passed, Passed, Passed, Skipped, Failed, Passed];
    assert_eq!(outcomes(&verification), expected);
    assert!(!verification.verified());
}

#[test]
fn every_entry_of_a_trusted_log_must_hold() {
    let Logged { it, bundle, trust, .. } = &*LOGGED;
    let second = signed_elsewhere(it);
    let both = bundle.clone().with_log_entry(second.0).unwrap();
    // A log that is not trusted is not looked at.
    assert!(verify(&both.to_json().unwrap()).verified());
    let key = it.signer.public_key();
    let mut wider = LogTrust { witnesses: None, ..trust.clone() };
    wider.root.logs.extend(root_of(&second.1).logs);
    assert!(verify_logged_bundle(&both, key, &wider, None).verified());
    let mut changed = both;
    changed.verification_material.tlog_entries[1].log_index += 1;
    let verification = verify_logged_bundle(&changed, key, &wider, None);
    assert_eq!(verification.outcome(CheckName::Inclusion), Some(Failed));
}

#[test]
fn of_several_logs_witnesses_need_to_follow_only_one() {
    let Logged { it, bundle, trust, .. } = &*LOGGED;
    let (second, signer) = signed_elsewhere(it);
    let both = bundle.clone().with_log_entry(second).unwrap();
    let mut wider = trust.clone();
    wider.root.logs.extend(root_of(&signer).logs);
    let of = |bundle: &Bundle| {
        let verification = verify_logged_bundle(bundle, it.signer.public_key(), &wider, None);
        verification.outcome(CheckName::Witness)
    };
    assert_eq!(of(&both), Some(Passed));
    // In the name of the witness, about another state.
    let mut forged = both.clone();
    let entries = &mut forged.verification_material.tlog_entries;
    let line = entries[0].inclusion_proof.checkpoint.envelope.lines().last().unwrap().to_owned();
    entries[1].inclusion_proof.checkpoint.envelope.push_str(&format!("{line}\n"));
    assert_eq!(of(&forged), Some(Failed));
    // Neither.
    let mut unseen = both;
    let first = &mut unseen.verification_material.tlog_entries[0];
    first.inclusion_proof.checkpoint.envelope = LOGGED.log.checkpoint().to_string();
    assert_eq!(of(&unseen), Some(Failed));
}

fn signed_elsewhere(
    it: &Fixture,
) -> (sentinel_provenance::bundle::TransparencyLogEntry, Ed25519NoteSigner) {
    let mut log = MemoryLog::new();
    let envelope = &LOGGED.bundle.envelope;
    let leaf = HashedRekord::of(envelope, it.signer.public_key());
    log.append(&[leaf.to_bytes()]);
    (log.entry(&leaf, 0, &log.checkpoint()), log.signer)
}

#[test]
fn leaves_are_byte_for_byte_those_of_rekor() {
    let signer = EcdsaP256Signer::generate().unwrap();
    let envelope = Envelope::sign(b"{}".to_vec(), &signer).unwrap();
    let leaf = HashedRekord::of(&envelope, signer.public_key());
    // serde_json sorts the keys of a `Value`, which is all that RFC 8785 asks for here.
    let expected = json!({
        "kind": "hashedrekord",
        "apiVersion": "0.0.2",
        "spec": {"hashedRekordV002": {
            "signature": {
                "verifier": {
                    "publicKey": {"rawBytes": base64(&signer.public_key().to_spki_der())},
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                },
                "content": envelope.signature().to_base64(),
            },
            "data": {
                "digest": Sha256Digest::of(&envelope.pae()),
                "algorithm": "SHA2_256",
            },
        }},
    });
    let bytes = leaf.to_bytes();
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected.to_string());
    assert_eq!(bytes.len(), 489);
    assert_eq!(leaf.leaf_hash(), leaf_hash(&bytes));
    assert_eq!(HashedRekord::parse(&bytes), Ok(leaf));
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn leaves_of_other_forms_are_refused() {
    let signer = EcdsaP256Signer::generate().unwrap();
    let envelope = Envelope::sign(b"{}".to_vec(), &signer).unwrap();
    let text = HashedRekord::of(&envelope, signer.public_key()).to_bytes();
    let text = String::from_utf8(text).unwrap();
    let parse = |text: &str| HashedRekord::parse(text.as_bytes());
    let reordered = text.replace(r#""apiVersion":"0.0.2","kind":"hashedrekord""#, "");
    let reordered = reordered.replacen("{,", r#"{"kind":"hashedrekord","apiVersion":"0.0.2","#, 1);
    assert_eq!(parse(&reordered), Err(LeafError::NotCanonical));
    assert_eq!(parse(&format!("{text} ")), Err(LeafError::NotCanonical));
    assert_eq!(parse(&text.replace("=\"", "\"")), Err(LeafError::NotCanonical));
    for (from, to) in [
        ("hashedrekord", "dsse"),
        (r#""0.0.2""#, r#""0.0.1""#),
        ("SHA2_256", "SHA2_512"),
        ("PKIX_ECDSA_P256_SHA_256", "PKIX_ED25519"),
    ] {
        assert_eq!(parse(&text.replace(from, to)), Err(LeafError::Kind), "{from}");
    }
    for bad in ["", "{}", &text[1..], &text.replacen('{', r#"{"x":1,"#, 1)] {
        assert!(matches!(parse(bad), Err(LeafError::Json(_))), "{bad}");
    }
}

#[test]
fn a_trusted_root_has_the_shape_that_verifiers_expect() {
    let signer = Ed25519NoteSigner::generate(ORIGIN).unwrap();
    let root = root_of(&signer);
    let document: Value = serde_json::from_slice(&root.to_json().unwrap()).unwrap();
    let key = signer.verifier_key();
    let expected = json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [{
            "baseUrl": "https://log.example",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": base64(&key.to_spki_der()),
                "keyDetails": "PKIX_ED25519",
                "validFor": {"start": "2026-11-01T00:00:00Z"},
            },
            "logId": {"keyId": key.id_hash()},
        }],
    });
    assert_eq!(document, expected);
    assert_eq!(TrustedRoot::parse(&root.to_json().unwrap()), Ok(root));
}

#[test]
fn unsound_trusted_roots_are_refused() {
    let signer = Ed25519NoteSigner::generate(ORIGIN).unwrap();
    let parse = |change: &dyn Fn(&mut Value)| {
        let mut document = serde_json::from_slice(&root_of(&signer).to_json().unwrap()).unwrap();
        change(&mut document);
        TrustedRoot::parse(&serde_json::to_vec(&document).unwrap())
    };
    let origin = Err(TrustedRootError::Origin);
    for url in ["http://log.example", "https://log.example:443", "https://log.example/log", ""] {
        assert_eq!(parse(&|root| root["tlogs"][0]["baseUrl"] = json!(url)), origin, "{url}");
    }
    let renamed = parse(&|root| root["tlogs"][0]["baseUrl"] = json!("https://other.example"));
    assert_eq!(renamed, Err(TrustedRootError::LogId));
    let other_type = parse(&|root| root["mediaType"] = json!("application/json"));
    assert_eq!(other_type, Err(TrustedRootError::MediaType));
    let cut = parse(&|root| root["tlogs"][0]["publicKey"]["rawBytes"] = json!("MCowBQ=="));
    assert!(matches!(cut, Err(TrustedRootError::Key(_))));
    let timeless = parse(&|root| root["tlogs"][0]["publicKey"]["validFor"] = json!({}));
    assert!(matches!(timeless, Err(TrustedRootError::Json(_))));
    // Logs whose checkpoints cannot be verified are left out, not believed.
    let ecdsa = parse(&|root| {
        root["tlogs"][0]["publicKey"]["keyDetails"] = json!("PKIX_ECDSA_P256_SHA_256");
    });
    assert_eq!(ecdsa, Ok(TrustedRoot::default()));

    let since = "2026-11-01T00:00:00Z".parse().unwrap();
    for name in ["log.example/path", "log.example:443", "Log.example", "-log.example", "a..b"] {
        let key = Ed25519NoteSigner::generate(name).unwrap().verifier_key().clone();
        assert_eq!(TrustedLog::new(key, since), Err(TrustedRootError::Origin), "{name}");
    }
    let bytes = *signer.verifier_key().as_bytes();
    let witness = VerifierKey::new(ORIGIN, KeyKind::CosignatureV1, bytes).unwrap();
    assert_eq!(TrustedLog::new(witness, since), Err(TrustedRootError::Kind));
}

#[test]
fn a_bundle_takes_no_more_entries_than_it_may_have() {
    let Logged { bundle, .. } = &*LOGGED;
    let entry = bundle.verification_material.tlog_entries[0].clone();
    let mut full = bundle.clone();
    for _ in 0..7 {
        full = full.with_log_entry(entry.clone()).unwrap();
    }
    let error = full.with_log_entry(entry).unwrap_err();
    assert!(matches!(error, BundleError::TooMany { field: "tlogEntries", .. }));
}

/// Whether only the `keyid` is gone, which no signature covers.
fn says_the_same(json: &[u8]) -> bool {
    let (parsed, bundle) = (Bundle::parse(json).unwrap(), &LOGGED.bundle);
    let keyid = parsed.envelope.keyid();
    parsed.verification_material == bundle.verification_material
        && parsed.envelope.payload() == bundle.envelope.payload()
        && parsed.envelope.signature() == bundle.envelope.signature()
        && keyid.is_none_or(|keyid| Some(keyid) == bundle.envelope.keyid())
}

/// Every byte is authenticated, but for the word `keyid`: envelopes may do without it.
#[test]
fn changing_any_byte_is_rejected() {
    let Logged { bundle, .. } = &*LOGGED;
    let json = bundle.to_json().unwrap();
    let word = json.windows(5).position(|window| window == b"keyid").unwrap();
    for position in 0..json.len() {
        // Neighbours, the other case of a letter, and no longer ASCII.
        for mask in [0x01, 0x02, 0x20, 0x80] {
            let mut changed = json.clone();
            changed[position] ^= mask;
            if verify(&changed).verified() {
                let unsigned = (word..word + 5).contains(&position);
                assert!(unsigned && says_the_same(&changed), "byte {position} mask {mask}");
            }
        }
    }
}

proptest! {
    #[test]
    fn replacing_any_byte_is_rejected_or_changes_nothing(at: Index, byte: u8) {
        let Logged { bundle, .. } = &*LOGGED;
        let mut json = bundle.to_json().unwrap();
        let position = at.index(json.len());
        json[position] = byte;
        if verify(&json).verified() {
            prop_assert!(says_the_same(&json));
        }
    }

    #[test]
    fn what_parses_as_a_leaf_is_written_back(at: Index, byte: u8) {
        let Logged { it, bundle, .. } = &*LOGGED;
        let leaf = HashedRekord::of(&bundle.envelope, it.signer.public_key());
        let mut bytes = leaf.to_bytes();
        let position = at.index(bytes.len());
        bytes[position] = byte;
        if let Ok(parsed) = HashedRekord::parse(&bytes) {
            prop_assert_eq!(parsed.to_bytes(), bytes);
        }
    }
}
