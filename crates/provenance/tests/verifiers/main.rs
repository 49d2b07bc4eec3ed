//! Unmodified verifiers of others: cosign, @sigstore/verify and sigstore-verify agree with us on good
//! and on forged bundles, and a real witness on our checkpoints.
//!
//! `scripts/install.sh test` installs them; without them these tests fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod forgery;
#[path = "../provenance/memory_log.rs"]
mod memory_log;
mod rekor;
mod witness;

use sentinel_provenance::log::NoteSigner as _;
use sentinel_provenance::log::{TrustedLog, TrustedRoot};
use sentinel_provenance::{Bundle, LogTrust, Signer as _, verify_logged_bundle_json};
use sentinel_testkit::manifest::{Fixture, signed};
use sentinel_testkit::verifiers::{Case, Verdict, Verifiers};

use crate::forgery::forgeries;
use crate::memory_log::{MemoryLog, logged};

/// The fixture's manifest as entry 123 of 400.
fn logged_manifest() -> (Fixture, Bundle, MemoryLog) {
    let it = signed();
    let (bundle, log) = logged(it.bundle.envelope.payload(), &it.signer, 123, 276);
    (it, bundle, log)
}

fn trusted_root(log: &MemoryLog) -> TrustedRoot {
    let since = "2026-11-01T00:00:00Z".parse().unwrap();
    TrustedRoot { logs: vec![TrustedLog::new(log.signer.verifier_key().clone(), since).unwrap()] }
}

#[test]
fn every_verifier_accepts_the_good_bundle_and_rejects_each_forgery() {
    let (it, bundle, log) = logged_manifest();
    let root = trusted_root(&log);
    let verifiers = Verifiers::new(&root, it.signer.public_key(), &it.artifact);

    let mut cases = vec![Case { name: "good", json: bundle.to_json().unwrap() }];
    cases.extend(forgeries(&it, &bundle, &log));
    let logs = LogTrust { root, witnesses: None };
    let ours = cases.iter().map(|case| {
        let key = it.signer.public_key();
        let verification = verify_logged_bundle_json(&case.json, key, &logs, Some(&it.artifact));
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
            println!("{verifier}: {}: {} ({})", case.name, verdict.accepted, verdict.why);
            if verdict.accepted != (case.name == "good") {
                wrong.push(format!("{verifier} on `{}`: {}", case.name, verdict.why));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_verifier_rejects_another_artifact_or_key() {
    let (it, bundle, log) = logged_manifest();
    let root = trusted_root(&log);
    let good = [Case { name: "good", json: bundle.to_json().unwrap() }];
    let rejected = |verdicts: Vec<Verdict>| verdicts.iter().all(|verdict| !verdict.accepted);

    // @sigstore/verify leaves the artifact to its caller.
    let other = Verifiers::new(&root, it.signer.public_key(), b"another artifact");
    assert!(rejected(other.cosign(&good)));
    assert!(rejected(other.rust(&good)));

    let stranger = signed();
    let other = Verifiers::new(&root, stranger.signer.public_key(), &it.artifact);
    assert!(rejected(other.cosign(&good)));
    assert!(rejected(other.node(&good)));
    assert!(rejected(other.rust(&good)));
}
