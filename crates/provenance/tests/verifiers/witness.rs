//! A real C2SP witness, litewitness, sees our log.

use sentinel_provenance::log::{
    AddCheckpoint, Checkpoint, Ed25519NoteSigner, Note, NoteSigner as _, WitnessPolicy,
};
use sentinel_provenance::{LogTrust, Signer as _, verify_logged_bundle};
use sentinel_testkit::litewitness::Witness;
use sentinel_testkit::verifiers::{Case, Verifiers};

use crate::memory_log::MemoryLog;
use crate::{logged_manifest, trusted_root};

fn cosign(witness: &Witness, log: &MemoryLog, old: u64) -> Note {
    let note = log.checkpoint();
    match witness.add(old, &log.consistency(old), &note) {
        AddCheckpoint::Cosigned(lines) => note.with_signatures(lines).unwrap(),
        answer => panic!("not cosigned: {answer:?}"),
    }
}

#[test]
fn a_real_witness_cosigns_and_every_verifier_accepts_it() {
    let (it, mut bundle, log) = logged_manifest();
    let witness = Witness::start(log.signer.verifier_key());
    let cosigned = cosign(&witness, &log, 0);
    let policy = WitnessPolicy::new(1, vec![witness.key]).unwrap();

    let signed = Checkpoint::open(&cosigned.to_string(), log.signer.verifier_key()).unwrap();
    let [cosignature] = <[_; 1]>::try_from(signed.cosignatures(&policy).unwrap()).unwrap();
    assert_eq!(cosignature.witness.as_str(), "witness.example/w");
    assert!(cosignature.time > 1_700_000_000);

    let root = trusted_root(&log);
    let logs = LogTrust { root: root.clone(), witnesses: Some(policy) };
    let key = it.signer.public_key();
    assert!(!verify_logged_bundle(&bundle, key, &logs, None).verified(), "not cosigned yet");
    let entry = &mut bundle.verification_material.tlog_entries[0];
    entry.inclusion_proof.checkpoint.envelope = cosigned.to_string();
    assert!(verify_logged_bundle(&bundle, key, &logs, Some(&it.artifact)).verified());

    let verifiers = Verifiers::new(&root, key, &it.artifact);
    let cases = [Case { name: "cosigned", json: bundle.to_json().unwrap() }];
    for verdicts in [verifiers.cosign(&cases), verifiers.node(&cases), verifiers.rust(&cases)] {
        assert!(verdicts[0].accepted, "{}", verdicts[0].why);
    }
}

#[test]
fn a_real_witness_follows_the_log_and_refuses_rollback_and_fork() {
    let mut log = MemoryLog::new();
    let witness = Witness::start(log.signer.verifier_key());
    log.fill(10);
    cosign(&witness, &log, 0);
    log.fill(300);
    // Who does not know what it saw last asks from zero, and is told.
    let from_zero = witness.add(0, &[], &log.checkpoint());
    assert_eq!(from_zero, AddCheckpoint::Conflict { size: 10 });
    cosign(&witness, &log, 10);
    // Repeating a request is harmless: a log that crashed after it does so.
    cosign(&witness, &log, 310);

    // Restored from an old backup, and grown from there.
    let mut rolled_back = log.started_over();
    rolled_back.fill(10);
    let answer = witness.add(10, &[], &rolled_back.checkpoint());
    assert_eq!(answer, AddCheckpoint::Conflict { size: 310 });
    let answer = witness.add(310, &[], &rolled_back.checkpoint());
    assert_eq!(answer, AddCheckpoint::Failed { status: 400 });

    // One leaf is another: neither at the same size nor later does the witness go along.
    let mut forked = log.started_over();
    forked.fill(200);
    forked.append(&["another leaf"]);
    forked.fill(109);
    let answer = witness.add(310, &[], &forked.checkpoint());
    assert_eq!(answer, AddCheckpoint::Inconsistent);
    forked.fill(90);
    let answer = witness.add(310, &forked.consistency(310), &forked.checkpoint());
    assert_eq!(answer, AddCheckpoint::Inconsistent);

    // Another key under the same name, and another log.
    let mut rogue = MemoryLog::new();
    rogue.fill(400);
    let answer = witness.add(310, &rogue.consistency(310), &rogue.checkpoint());
    assert_eq!(answer, AddCheckpoint::UntrustedKey);
    let other = Ed25519NoteSigner::generate("other.example").unwrap();
    let checkpoint = Checkpoint::new("other.example", 400, rogue.frontier.root()).unwrap();
    let answer = witness.add(0, &[], &checkpoint.sign(&other).unwrap());
    assert_eq!(answer, AddCheckpoint::UnknownLog);

    // After all that the honest log still goes on.
    log.fill(1);
    cosign(&witness, &log, 310);
}
