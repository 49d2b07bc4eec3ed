//! The keys that sign manifests, as the log knows them.

use sentinel_provenance::log::{KeyKind, VerifierKey, WitnessPolicy};
use sentinel_provenance::{CheckName, KeyEventKind, Outcome, verify_logged_bundle};
use sentinel_service::provenance::SignRequest;
use sentinel_service::{ServiceError, Settings};
use sentinel_testkit::build::name;
use serde_json::Map;

use crate::support::{ADMIN, App};

/// A point of the curve, whose other half is not known here.
const UNKNOWN_KEY: [u8; 32] = [9; 32];

async fn hints(app: &App) -> Vec<(String, Vec<KeyEventKind>)> {
    let keys = app.services.log.keys().await.unwrap();
    let kinds = |known: &sentinel_service::log::LoggedKey| {
        known.events.iter().map(|one| one.event.event).collect()
    };
    keys.iter().map(|(hint, known)| (hint.clone(), kinds(known))).collect()
}

#[tokio::test]
async fn a_server_introduces_its_key_once() {
    let app = App::start().await;
    let [(first, kinds)] = &hints(&app).await[..] else { panic!("not one key") };
    assert_eq!(kinds, &[KeyEventKind::Introduced]);
    let pem = app.services.provenance.public_key_pem().unwrap();
    assert_eq!(app.services.log.keys().await.unwrap()[first].pem, pem);
}

#[tokio::test]
async fn a_key_ends_once_and_never_that_of_a_running_server() {
    let app = App::start().await;
    let old = hints(&app).await[0].0.clone();
    let log = &app.services.log;
    let refused = log.end_key(&old, KeyEventKind::Retired, None).await.unwrap_err();
    assert_eq!(refused.code(), "signing_key_in_use");
    // Each start of the fixture has a new signing key, as after a rotation.
    let app = app.restart().await;
    assert_eq!(hints(&app).await.len(), 2);
    let log = &app.services.log;
    let unknown = log.end_key("SHA256:unknown", KeyEventKind::Retired, None).await.unwrap_err();
    assert!(matches!(unknown, ServiceError::NotFound { code: "unknown_signing_key", .. }));
    let retired = log.end_key(&old, KeyEventKind::Retired, None).await.unwrap();
    assert!(retired.is_over() && retired.revoked_at().is_none());
    let again = log.end_key(&old, KeyEventKind::Retired, None).await.unwrap_err();
    assert_eq!(again.code(), "signing_key_ended");
    let why = Some("stolen".to_owned());
    let revoked = log.end_key(&old, KeyEventKind::Revoked, why).await.unwrap();
    let place = revoked.revoked_at().unwrap();
    let event = revoked.events.last().unwrap();
    assert_eq!(event.event.reason.as_deref(), Some("stolen"));
    assert_eq!(event.statement.place, Some(place));
}

/// The event is a bundle like any other: the key that signed it is the server's.
#[tokio::test]
async fn an_event_of_a_key_is_a_logged_bundle() {
    let app = App::start().await;
    let log = &app.services.log;
    let known = log.keys().await.unwrap().into_values().next().unwrap();
    let bundle = log.statement_bundle(&known.events[0].statement).await.unwrap();
    let trust =
        sentinel_provenance::LogTrust { root: log.trusted_root().unwrap(), witnesses: None };
    let shown = verify_logged_bundle(&bundle, &known.key, &trust, None);
    // It is about a key, not about an action.
    assert!(!shown.verified());
    bundle.envelope.verify(&known.key).unwrap();
    assert_eq!(bundle.verification_material.tlog_entries.len(), 1);
}

fn request() -> SignRequest {
    SignRequest {
        tenant: name("secops"),
        tool: name("runbook"),
        action: name("invoke"),
        purpose: None,
        agent: None,
        payload: b"{}".to_vec(),
        keep_payload: false,
        decision_id: None,
        decision: None,
        idempotency_key: None,
        metadata: Map::new(),
    }
}

/// What the server says is what a verifier that demands those witnesses would say.
#[tokio::test]
async fn witnesses_that_are_demanded_and_have_not_seen_the_log_fail_a_manifest() {
    let unknown = VerifierKey::new("w.example", KeyKind::CosignatureV1, UNKNOWN_KEY).unwrap();
    let witnesses = Some(WitnessPolicy::new(1, vec![unknown]).unwrap());
    let app = App::start_with(Settings { witnesses, ..Settings::default() }).await;
    let signed = app.services.provenance.sign(&ADMIN, request()).await.unwrap();
    let verified = app.services.provenance.verify(&ADMIN, signed.manifest.id).await.unwrap();
    let verified = verified.unwrap();
    assert_eq!(verified.verification.outcome(CheckName::Witness), Some(Outcome::Failed));
    assert_eq!(verified.verification.outcome(CheckName::Inclusion), Some(Outcome::Passed));
    assert!(!verified.verified());
}

#[tokio::test]
async fn a_manifest_whose_place_was_taken_away_is_not_verified() {
    let app = App::start().await;
    let signed = app.services.provenance.sign(&ADMIN, request()).await.unwrap();
    app.empty_places();
    let verified = app.services.provenance.verify(&ADMIN, signed.manifest.id).await.unwrap();
    let verified = verified.unwrap();
    assert_eq!(verified.verification.outcome(CheckName::Signature), Some(Outcome::Passed));
    assert_eq!(verified.verification.outcome(CheckName::Checkpoint), Some(Outcome::Failed));
    assert!(!verified.verified());
}
