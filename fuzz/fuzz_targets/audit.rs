//! What an auditor is given, from anywhere: files of a log, state files, witness policies, kept
//! bundles and statements. Nothing panics, what parses survives being written, and no log is found
//! sound but the one that was signed.
//!
//! The log is that of `seeds/logged_bundle/genuine.json`, of which only that one entry is known: no
//! single file makes it whole.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sentinel_provenance::log::{
    Audit, AuditState, Expectations, LogFile, ReadFile, Succession, TrustedRoot, VerifierKey,
    WitnessPolicy, log_files,
};
use sentinel_provenance::{KeyEvents, LogTrust, PublicKey};

static CHECKPOINT: &str = include_str!("../seeds/note/checkpoint.txt");
static LOG: LazyLock<VerifierKey> = LazyLock::new(|| {
    VerifierKey::parse(include_str!("../log.vkey").trim_end()).expect("a verifier key")
});
static LOGS: LazyLock<LogTrust> = LazyLock::new(|| {
    let root = TrustedRoot::parse(include_bytes!("../logged-root.json")).expect("a trusted root");
    LogTrust { root, witnesses: None }
});
static SIGNER: LazyLock<PublicKey> = LazyLock::new(|| {
    PublicKey::from_spki_pem(include_str!("../logged.pem")).expect("a public key")
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(state) = AuditState::parse(bytes) {
        let written = state.to_json().expect("a parsed state can be written");
        assert_eq!(AuditState::parse(&written).as_ref(), Ok(&state));
    }
    if let Ok(policy) = str::from_utf8(bytes).map_err(drop).and_then(|text| {
        WitnessPolicy::parse(text).map_err(drop)
    }) {
        assert!((1..=policy.witnesses().len()).contains(&policy.quorum()));
    }
    let _ = Succession::read(bytes, &LOG);
    let _ = KeyEvents::read(&[bytes.to_vec()], std::slice::from_ref(&*SIGNER), &LOGS);
    let mut expected = Expectations::default();
    expected.keep_bundle(bytes, &LOG, "bundle");
    let audit = Audit::begin(CHECKPOINT, &LOG, expected);
    let mut audit = audit.expect("stale seed: run `cargo run --example mint_logged`");
    for path in log_files(audit.size()) {
        audit.take(ReadFile::of(path, &LogFile::Found(bytes.to_vec())));
    }
    assert!(!audit.finish().sound(), "forged");
});
