//! Envelopes, bundles and statements from anywhere: parsing does not panic, what parses survives
//! being written, and nothing verifies but what the key signed.
//!
//! `seeds/envelope/genuine.json` is a bundle signed by the key in `trusted.pem`, whose private half
//! was thrown away. The fuzzer starts from it: a mutation may still verify only when the statement
//! is the one that was signed.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sentinel_provenance::{
    AgentAction, Bundle, Envelope, PublicKey, Statement, Verification, verify_bundle,
    verify_bundle_json,
};

static GENUINE: &[u8] = include_bytes!("../seeds/envelope/genuine.json");
static TRUSTED: LazyLock<PublicKey> = LazyLock::new(|| key(include_str!("../trusted.pem")));
static STRANGER: LazyLock<PublicKey> = LazyLock::new(|| key(include_str!("../stranger.pem")));
static SIGNED: LazyLock<Statement> = LazyLock::new(|| {
    let verification = verify_bundle_json(GENUINE, &TRUSTED, None);
    assert!(verification.verified(), "stale seed: run `cargo run --example mint_envelope`");
    verification.statement().expect("verified").clone()
});

fn key(pem: &str) -> PublicKey {
    PublicKey::from_spki_pem(pem).expect("a public key")
}

fn check_trusted(verification: &Verification) {
    if verification.verified() {
        assert_eq!(verification.statement(), Some(&*SIGNED), "forged");
    }
}

fn check_envelope(envelope: &Envelope) {
    let written = envelope.to_json().expect("a parsed envelope can be written");
    assert_eq!(&Envelope::parse(&written).expect("a written envelope can be read"), envelope);
    assert!(envelope.verify(&STRANGER).is_err(), "forged");
    if envelope.verify(&TRUSTED).is_ok() {
        assert_eq!(
            Statement::<AgentAction>::parse(envelope.payload()).as_ref().ok(),
            Some(&*SIGNED),
            "forged"
        );
    }
}

fuzz_target!(|bytes: &[u8]| {
    LazyLock::force(&SIGNED);
    assert!(!verify_bundle_json(bytes, &STRANGER, None).verified(), "forged");
    assert!(!verify_bundle_json(bytes, &TRUSTED, Some(bytes)).verified(), "forged commitment");
    check_trusted(&verify_bundle_json(bytes, &TRUSTED, None));
    if let Ok(bundle) = Bundle::parse(bytes) {
        let written = bundle.to_json().expect("a parsed bundle can be written");
        assert_eq!(Bundle::parse(&written).expect("a written bundle can be read"), bundle);
        check_trusted(&verify_bundle(&bundle, &TRUSTED, None));
        check_envelope(&bundle.envelope);
    }
    if let Ok(envelope) = Envelope::parse(bytes) {
        check_envelope(&envelope);
    }
    if let Ok(statement) = Statement::<AgentAction>::parse(bytes) {
        let written = statement.to_bytes().expect("a parsed statement can be written");
        assert_eq!(
            Statement::<AgentAction>::parse(&written).expect("a written statement can be read"),
            statement
        );
    }
});
