//! Bundles with a log entry from anywhere: none verifies against the trusted log but the one that
//! is in it.
//!
//! `seeds/logged_bundle/genuine.json` is signed by the key in `logged.pem` and is in the log of
//! `logged-root.json`, cosigned by the witness in `witness.vkey`; all their private keys were
//! thrown away. A mutation may still verify only when it says exactly the same.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sentinel_provenance::log::{TrustedRoot, VerifierKey, WitnessPolicy};
use sentinel_provenance::{Bundle, LogTrust, PublicKey, verify_logged_bundle_json};

static GENUINE: &[u8] = include_bytes!("../seeds/logged_bundle/genuine.json");
static SIGNER: LazyLock<PublicKey> = LazyLock::new(|| {
    PublicKey::from_spki_pem(include_str!("../logged.pem")).expect("a public key")
});
static LOGS: LazyLock<LogTrust> = LazyLock::new(|| {
    let root = TrustedRoot::parse(include_bytes!("../logged-root.json")).expect("a trusted root");
    let witness = include_str!("../witness.vkey").trim_end();
    let witness = VerifierKey::parse(witness).expect("a verifier key");
    LogTrust { root, witnesses: Some(WitnessPolicy::new(1, vec![witness]).expect("a policy")) }
});
static LOGGED: LazyLock<Bundle> = LazyLock::new(|| {
    let verification = verify_logged_bundle_json(GENUINE, &SIGNER, &LOGS, None);
    assert!(verification.verified(), "stale seed: run `cargo run --example mint_logged`");
    Bundle::parse(GENUINE).expect("verified")
});

fuzz_target!(|bytes: &[u8]| {
    LazyLock::force(&LOGGED);
    if verify_logged_bundle_json(bytes, &SIGNER, &LOGS, None).verified() {
        let bundle = Bundle::parse(bytes).expect("verified");
        assert_eq!(bundle.envelope.payload(), LOGGED.envelope.payload(), "forged");
        assert_eq!(bundle.envelope.signature(), LOGGED.envelope.signature(), "forged");
        // Entries of unknown logs may be added, and so may signatures of strangers; the entry of
        // the trusted log is as it was.
        let genuine = &LOGGED.verification_material.tlog_entries[0];
        let entries = &bundle.verification_material.tlog_entries;
        let of_log = entries.iter().filter(|entry| entry.log_id == genuine.log_id);
        for entry in of_log {
            assert_eq!(entry.canonicalized_body, genuine.canonicalized_body, "forged");
            assert_eq!(entry.log_index, genuine.log_index, "forged");
            assert_eq!(entry.inclusion_proof.hashes, genuine.inclusion_proof.hashes, "forged");
            assert_eq!(entry.inclusion_proof.root_hash, genuine.inclusion_proof.root_hash);
        }
    }
});
