//! Decisions that are signed before they are returned.

use sentinel_core::check::CheckRequest;
use sentinel_core::manifest::{ManifestFilter, Phase};
use sentinel_core::page::Page;
use sentinel_core::ports::prelude::*;
use sentinel_provenance::{Bundle, Statement};
use sentinel_service::attest::Attest;
use sentinel_service::{ServiceError, Settings};

use sentinel_testkit::build::name;

use crate::support::{ADMIN, App, decision, register, request};

async fn app(attest: Attest) -> App {
    App::start_with(Settings { attest, ..Settings::default() }).await
}

async fn said(app: &App, request: CheckRequest) -> Option<Statement> {
    let checked = app.services.checker.check(request).await.unwrap();
    let manifest = app.store.manifest(checked.manifest_id?).await.unwrap().unwrap();
    assert_eq!(manifest.phase, Phase::Decision);
    assert_eq!(manifest.decision_id, Some(checked.decision.id));
    assert!(manifest.place.is_some(), "it is in the log");
    let verified = app.services.provenance.verify(&ADMIN, manifest.id).await.unwrap().unwrap();
    assert!(verified.verified(), "{:?}", verified.verification.checks());
    let bundle = Bundle::parse(manifest.bundle.as_bytes()).unwrap();
    Some(Statement::parse(bundle.envelope.payload()).unwrap())
}

#[tokio::test]
async fn an_allow_and_a_denial_are_signed_with_what_was_decided() {
    let app = app(Attest::All).await;
    let allowed = said(&app, app.request()).await.unwrap();
    let decided = allowed.predicate().decision.clone().unwrap();
    assert!(decided.allow);
    assert_eq!(decided.code.as_deref(), Some("allowed"));
    assert_eq!(decided.policy_revision, "scripted");
    app.policy.set(decision(false, None));
    let denied = said(&app, app.request()).await.unwrap();
    let decided = denied.predicate().decision.clone().unwrap();
    assert!(!decided.allow);
    assert_eq!(decided.code.as_deref(), Some("policy_denied"));
    assert_eq!(denied.predicate().tool, "runbook");
    let unknown = said(&app, request("secops", "nothing")).await.unwrap();
    assert_eq!(unknown.predicate().tool, "nothing");
}

#[tokio::test]
async fn only_what_is_asked_for_is_signed() {
    let denials = app(Attest::Denials).await;
    assert_eq!(said(&denials, denials.request()).await, None);
    denials.policy.set(decision(false, None));
    assert!(said(&denials, denials.request()).await.is_some());
    // There is no tenant for whom it could be signed.
    assert_eq!(said(&denials, request("unknown", "runbook")).await, None);
    let off = app(Attest::Off).await;
    off.policy.set(decision(false, None));
    assert_eq!(said(&off, off.request()).await, None);
}

#[tokio::test]
async fn a_repeated_call_gets_the_statement_that_it_got() {
    let app = app(Attest::All).await;
    let call = || CheckRequest { call_id: Some(name("call-1")), ..app.request() };
    let first = app.services.checker.check(call()).await.unwrap();
    let again = app.services.checker.check(call()).await.unwrap();
    assert_eq!(first.decision.id, again.decision.id);
    assert_eq!(first.manifest_id, again.manifest_id);
    let all = app.store.manifests(ManifestFilter::default(), Page::first(10)).await.unwrap();
    assert_eq!(all.items.len(), 1);
}

/// Fails closed: without the statement there is no result, hence no permit.
#[tokio::test]
async fn a_decision_that_cannot_be_signed_is_not_answered() {
    let app = app(Attest::All).await;
    register(&app.services, "secops", "other").await;
    // Nothing can be appended to the log.
    app.seal_log().await;
    let refused = app.services.checker.check(app.request()).await.unwrap_err();
    assert!(matches!(refused, ServiceError::Unavailable(_)), "{refused:?}");
}
