//! What a verification reports, check by check.

use sentinel_provenance::{
    CheckName, EcdsaP256Signer, Outcome, Signer as _, Verification, verify_bundle,
    verify_bundle_json,
};
use sentinel_testkit::manifest::{altered, bundle_of, signed};
use serde_json::json;

fn outcomes(verification: &Verification) -> Vec<(CheckName, Outcome)> {
    verification.checks().iter().map(|check| (check.name, check.outcome)).collect()
}

/// Without trusted logs, the checks about the log are skipped.
fn expected(
    [envelope, signature, statement, commitment]: [Outcome; 4],
) -> Vec<(CheckName, Outcome)> {
    vec![
        (CheckName::Envelope, envelope),
        (CheckName::Signature, signature),
        (CheckName::Statement, statement),
        (CheckName::Checkpoint, Skipped),
        (CheckName::Inclusion, Skipped),
        (CheckName::Key, Skipped),
        (CheckName::Witness, Skipped),
        (CheckName::PayloadCommitment, commitment),
    ]
}

use Outcome::{Failed, Passed, Skipped};

#[test]
fn an_untouched_bundle_verifies_with_its_artifact() {
    let it = signed();
    let json = it.bundle.to_json().unwrap();
    let verification = verify_bundle_json(&json, it.signer.public_key(), Some(&it.artifact));
    assert_eq!(outcomes(&verification), expected([Passed; 4]));
    assert!(verification.verified());
    assert_eq!(verification.statement(), Some(&it.statement));
}

#[test]
fn without_an_artifact_the_commitment_is_skipped() {
    let it = signed();
    let verification = verify_bundle(&it.bundle, it.signer.public_key(), None);
    assert_eq!(outcomes(&verification), expected([Passed, Passed, Passed, Skipped]));
    assert!(verification.verified());
}

#[test]
fn another_artifact_fails_the_commitment() {
    let it = signed();
    let payload_without_salt = &it.artifact[32..];
    for artifact in [payload_without_salt, b"", &[it.artifact.as_slice(), b" "].concat()] {
        let verification = verify_bundle(&it.bundle, it.signer.public_key(), Some(artifact));
        assert_eq!(outcomes(&verification), expected([Passed, Passed, Passed, Failed]));
        assert!(!verification.verified());
    }
}

#[test]
fn another_key_fails_even_when_the_bundle_is_renamed_after_it() {
    let it = signed();
    let other = EcdsaP256Signer::generate().unwrap();
    let verification = verify_bundle(&it.bundle, other.public_key(), None);
    assert_eq!(outcomes(&verification), expected([Passed, Failed, Skipped, Skipped]));
    assert_eq!(verification.statement(), None);

    let hint = other.public_key().hint();
    let renamed = altered(&it.bundle, |document| {
        document["verificationMaterial"]["publicKey"]["hint"] = json!(hint);
        document["dsseEnvelope"]["signatures"][0]["keyid"] = json!(hint);
    });
    let verification = verify_bundle_json(&renamed, other.public_key(), None);
    assert_eq!(outcomes(&verification), expected([Passed, Failed, Skipped, Skipped]));
}

#[test]
fn a_signed_payload_that_is_no_statement_fails() {
    let it = signed();
    for payload in [&b"{}"[..], b"", b"not json", b"\xff"] {
        let bundle = bundle_of(payload.to_vec(), &it.signer);
        let verification = verify_bundle(&bundle, it.signer.public_key(), Some(b""));
        assert_eq!(outcomes(&verification), expected([Passed, Passed, Failed, Skipped]));
        assert!(!verification.verified());
    }
}

#[test]
fn a_signed_statement_with_a_duplicate_key_fails() {
    let it = signed();
    let text = String::from_utf8(it.statement.to_bytes().unwrap()).unwrap();
    let ambiguous = text.replace(r#""metadata":{"#, r#""metadata":{"ticket":"8","#);
    assert_ne!(text, ambiguous);
    let bundle = bundle_of(ambiguous.into_bytes(), &it.signer);
    let verification = verify_bundle(&bundle, it.signer.public_key(), None);
    assert_eq!(verification.outcome(CheckName::Statement), Some(Failed));
}

#[test]
fn an_unsound_document_fails_at_the_envelope() {
    let it = signed();
    let json = altered(&it.bundle, |document| {
        document["dsseEnvelope"]["signatures"] = json!([]);
    });
    for bytes in [json.as_slice(), b"", b"[]", b"null"] {
        let verification = verify_bundle_json(bytes, it.signer.public_key(), Some(&it.artifact));
        assert_eq!(outcomes(&verification), expected([Failed, Skipped, Skipped, Skipped]));
        assert!(!verification.verified());
    }
}

#[test]
fn an_envelope_renamed_in_memory_fails() {
    let mut it = signed();
    it.bundle.verification_material.public_key.hint.push('x');
    let verification = verify_bundle(&it.bundle, it.signer.public_key(), None);
    assert_eq!(verification.outcome(CheckName::Envelope), Some(Failed));
}

#[test]
fn checks_are_reported_in_stable_words() {
    let it = signed();
    let verification = verify_bundle(&it.bundle, it.signer.public_key(), None);
    let checks = serde_json::to_value(verification.checks()).unwrap();
    assert_eq!(
        checks[7],
        json!({
            "name": "payload_commitment",
            "outcome": "skipped",
            "detail": "no artifact was given",
        })
    );
    assert_eq!(checks[0]["name"], "envelope");
    assert_eq!(checks[1]["name"], "signature");
    assert_eq!(checks[2]["name"], "statement");
    assert_eq!(checks[3]["name"], "checkpoint");
    assert_eq!(checks[4]["name"], "inclusion");
    assert_eq!(checks[5]["name"], "key");
    assert_eq!(checks[6]["name"], "witness");
}
