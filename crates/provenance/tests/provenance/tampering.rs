//! Properties: no alteration goes unnoticed, and no input panics.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use proptest::sample::Index;
use sentinel_provenance::{
    AgentAction, Bundle, CheckName, EcdsaP256Signer, Envelope, Outcome, PublicKey, Salt,
    Signer as _, Statement, TenantKey, verify_bundle_json,
};
use sentinel_testkit::manifest::{Fixture, altered, signed};
use serde_json::{Value, json};

static FIXTURE: LazyLock<Fixture> = LazyLock::new(signed);

/// Decodes the base64 at `path`, flips bits of one byte, and verifies the bundle.
fn rejects_flip(path: &str, at: Index, mask: u8) -> Result<(), TestCaseError> {
    let it = &*FIXTURE;
    let bytes = altered(&it.bundle, |document| {
        let field: &mut Value = document.pointer_mut(path).unwrap();
        let mut decoded = STANDARD.decode(field.as_str().unwrap()).unwrap();
        let position = at.index(decoded.len());
        decoded[position] ^= mask;
        *field = json!(STANDARD.encode(decoded));
    });
    let verification = verify_bundle_json(&bytes, it.signer.public_key(), Some(&it.artifact));
    prop_assert!(!verification.verified());
    prop_assert_eq!(verification.outcome(CheckName::Signature), Some(Outcome::Failed));
    prop_assert!(verification.statement().is_none());
    Ok(())
}

/// Mostly broken JSON, built from the words that the parsers look for.
fn near_json() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "null",
        "true",
        "-",
        "1e9",
        "\\u",
        "\"_type\"",
        "\"payload\"",
        "\"payloadType\"",
        "\"signatures\"",
        "\"mediaType\"",
        "\"predicate\"",
        "\"subject\"",
        "\"dsseEnvelope\"",
        "\"verificationMaterial\"",
        "\"AAAA\"",
        "é",
        "\0",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|words| words.concat().into_bytes())
}

fn parse_everything(bytes: &[u8]) {
    let it = &*FIXTURE;
    let _ = Statement::<AgentAction>::parse(bytes);
    let _ = Envelope::parse(bytes);
    let _ = Bundle::parse(bytes);
    let _ = PublicKey::from_spki_der(bytes);
    let text = String::from_utf8_lossy(bytes);
    let _ = PublicKey::from_spki_pem(&text);
    let _ = EcdsaP256Signer::from_pkcs8_pem(&text);
    assert!(!verify_bundle_json(bytes, it.signer.public_key(), Some(bytes)).verified());
}

proptest! {
    #[test]
    fn flipping_any_payload_byte_is_rejected(at: Index, mask in 1u8..) {
        rejects_flip("/dsseEnvelope/payload", at, mask)?;
    }

    #[test]
    fn flipping_any_signature_byte_is_rejected(at: Index, mask in 1u8..) {
        rejects_flip("/dsseEnvelope/signatures/0/sig", at, mask)?;
    }

    #[test]
    fn flipping_any_artifact_byte_is_rejected(at: Index, mask in 1u8..) {
        let it = &*FIXTURE;
        let mut artifact = it.artifact.clone();
        let position = at.index(artifact.len());
        artifact[position] ^= mask;
        let json = it.bundle.to_json().unwrap();
        let verification = verify_bundle_json(&json, it.signer.public_key(), Some(&artifact));
        prop_assert!(!verification.verified());
        prop_assert_eq!(verification.outcome(CheckName::PayloadCommitment), Some(Outcome::Failed));
    }

    /// A change to the document itself either breaks it or leaves it saying the same.
    #[test]
    fn no_changed_document_yields_another_statement(at: Index, byte: u8) {
        let it = &*FIXTURE;
        let mut json = it.bundle.to_json().unwrap();
        let position = at.index(json.len());
        json[position] = byte;
        let verification = verify_bundle_json(&json, it.signer.public_key(), Some(&it.artifact));
        if verification.verified() {
            prop_assert_eq!(verification.statement(), Some(&it.statement));
            let parsed = Bundle::parse(&json).unwrap();
            prop_assert_eq!(parsed.envelope.payload(), it.bundle.envelope.payload());
        }
    }

    #[test]
    fn cutting_the_document_anywhere_is_rejected(at: Index) {
        let it = &*FIXTURE;
        let json = it.bundle.to_json().unwrap();
        let cut = &json[..at.index(json.len())];
        prop_assert!(!verify_bundle_json(cut, it.signer.public_key(), None).verified());
    }

    #[test]
    fn arbitrary_bytes_panic_no_parser(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        parse_everything(&bytes);
    }

    #[test]
    fn nearly_json_panics_no_parser(bytes in near_json()) {
        parse_everything(&bytes);
    }

    #[test]
    fn salts_differ_by_key_id_and_role(
        left in (any::<[u8; 32]>(), ".{0,8}", ".{0,8}"),
        right in (any::<[u8; 32]>(), ".{0,8}", ".{0,8}"),
    ) {
        let salt = |(key, id, role): &([u8; 32], String, String)| {
            Salt::derive(&TenantKey::new(key), id, role)
        };
        prop_assert_eq!(left == right, salt(&left) == salt(&right));
    }

    /// Moving the border between id and role keeps the concatenation, not the salt.
    #[test]
    fn salts_differ_by_where_the_id_ends(text in "[a-z]{1,12}", from: Index, to: Index) {
        let key = TenantKey::new(&[7; 32]);
        let salt = |at: usize| Salt::derive(&key, &text[..at], &text[at..]);
        let (from, to) = (from.index(text.len() + 1), to.index(text.len() + 1));
        prop_assert_eq!(from == to, salt(from) == salt(to));
    }
}

#[test]
fn ab_c_and_a_bc_have_different_salts() {
    let key = TenantKey::new(&[7; 32]);
    assert_ne!(Salt::derive(&key, "ab", "c"), Salt::derive(&key, "a", "bc"));
    assert_ne!(Salt::derive(&TenantKey::new(&[8; 32]), "ab", "c"), Salt::derive(&key, "ab", "c"));
}

#[test]
fn deep_nesting_overflows_no_stack() {
    for open in ["[", "{\"a\":"] {
        parse_everything(open.repeat(200_000).as_bytes());
    }
}
