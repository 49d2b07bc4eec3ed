//! Keys of replicas, certified by a longer-lived one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::SignedDuration;
use sentinel_core::id::{ManifestId, StatementId};
use sentinel_core::log::{LogStatement, NewStatement, StatementKind};
use sentinel_core::ports::prelude::*;
use sentinel_provenance::log::HashedRekord;
use sentinel_provenance::{
    Bundle, CheckName, EcdsaP256Signer, Envelope, KeyEventKind, Outcome, PublicKey, Sha256Digest,
    SignError, Signer, SigningKeyEvent, Statement,
};
use sentinel_service::provenance::{SignRequest, Signed, Verified};
use sentinel_service::signing::{Certifier, Signing};
use sentinel_service::{ServiceError, Services};
use sentinel_testkit::build::name;
use serde_json::Map;
use uuid::Uuid;

use crate::support::{ADMIN, App};

/// Long enough that nothing is renewed by itself.
const DAY: Duration = Duration::from_secs(86_400);

/// A longer-lived key that counts what it signs, and may be away.
#[derive(Debug)]
struct LongLived {
    signer: EcdsaP256Signer,
    signed: AtomicUsize,
    away: AtomicBool,
}

impl LongLived {
    fn new() -> Arc<Self> {
        let signer = EcdsaP256Signer::generate().unwrap();
        Arc::new(Self { signer, signed: AtomicUsize::new(0), away: AtomicBool::new(false) })
    }

    fn certifies(self: &Arc<Self>, lifetime: Duration) -> Signing {
        Signing::Certified { certifier: Arc::clone(self) as Arc<dyn Certifier>, lifetime }
    }

    fn signed(&self) -> usize {
        self.signed.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Certifier for LongLived {
    fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    async fn sign(&self, payload: Vec<u8>) -> Result<Envelope, SignError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(SignError::Signer("Vault is away".to_owned()));
        }
        self.signed.fetch_add(1, Ordering::SeqCst);
        Envelope::sign(payload, &self.signer)
    }
}

async fn sign(services: &Services) -> Result<Signed, ServiceError> {
    let request = SignRequest {
        tenant: name("secops"),
        tool: name("runbook"),
        action: name("read"),
        purpose: None,
        agent: None,
        payload: b"payload".to_vec(),
        keep_payload: false,
        decision_id: None,
        decision: None,
        idempotency_key: None,
        metadata: Map::new(),
    };
    services.provenance.sign(&ADMIN, request).await
}

async fn verify(services: &Services, id: ManifestId) -> Verified {
    services.provenance.verify(&ADMIN, id).await.unwrap().unwrap()
}

fn hint(signed: &Signed) -> String {
    Bundle::parse(signed.manifest.bundle.as_bytes()).unwrap().hint().to_owned()
}

#[tokio::test]
async fn a_replica_signs_with_a_key_of_its_own_that_was_certified_once() {
    let app = App::start().await;
    let long_lived = LongLived::new();
    let replica = app.signing(long_lived.certifies(DAY), Vec::new()).await.unwrap();
    let asked = long_lived.signed();
    let first = sign(&replica).await.unwrap();
    for _ in 0..20 {
        assert_eq!(hint(&sign(&replica).await.unwrap()), hint(&first));
    }
    assert_eq!(long_lived.signed(), asked, "a manifest asked the longer-lived key");
    assert_ne!(hint(&first), long_lived.signer.public_key().hint());
    let verified = verify(&replica, first.manifest.id).await;
    assert!(verified.verified(), "{:?}", verified.verification);
    assert_eq!(verified.verification.outcome(CheckName::Key), Some(Outcome::Passed));
    // The key to trust is the longer-lived one; the other is found by its hint.
    let trusted = long_lived.signer.public_key().to_spki_pem().unwrap();
    assert_eq!(replica.provenance.public_key_pem().unwrap(), trusted);
    let leaf = replica.provenance.public_key_by(&hint(&first)).await.unwrap().unwrap();
    assert_eq!(PublicKey::from_spki_pem(&leaf).unwrap().hint(), hint(&first));

    // Another replica, started later, vouches for both keys.
    let other = app.signing(long_lived.certifies(DAY), Vec::new()).await.unwrap();
    let second = sign(&other).await.unwrap();
    assert_ne!(hint(&second), hint(&first));
    for services in [&replica, &other] {
        for signed in [&first, &second] {
            assert!(verify(services, signed.manifest.id).await.verified());
        }
    }
    // One that trusts another key vouches for none.
    let strange = app.signing(LongLived::new().certifies(DAY), Vec::new()).await.unwrap();
    assert!(!verify(&strange, first.manifest.id).await.verified());
    assert_eq!(strange.provenance.public_key_by(&hint(&first)).await.unwrap(), None);
}

#[tokio::test]
async fn without_a_certificate_a_replica_does_not_start() {
    let app = App::start().await;
    let long_lived = LongLived::new();
    long_lived.away.store(true, Ordering::SeqCst);
    let error = app.signing(long_lived.certifies(DAY), Vec::new()).await.unwrap_err();
    assert!(matches!(&error, ServiceError::Unavailable(why) if why.contains("Vault is away")));
}

#[tokio::test]
async fn at_half_of_its_time_a_key_is_replaced_and_what_it_signed_stays_good() {
    let app = App::start().await;
    let long_lived = LongLived::new();
    let lifetime = Duration::from_secs(2);
    let replica = app.signing(long_lived.certifies(lifetime), Vec::new()).await.unwrap();
    let before = sign(&replica).await.unwrap();
    app.clock.advance(SignedDuration::from_millis(1100));
    let begun = Instant::now();
    let after = loop {
        let signed = sign(&replica).await.unwrap();
        if hint(&signed) != hint(&before) {
            break signed;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "the key was not replaced");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    app.clock.advance(SignedDuration::from_mins(10));
    for signed in [before, after] {
        let verified = verify(&replica, signed.manifest.id).await;
        assert!(verified.verified(), "{:?}", verified.verification.checks());
    }
}

#[tokio::test]
async fn when_a_key_cannot_be_replaced_it_signs_until_its_end_and_nothing_signs_after() {
    let app = App::start().await;
    let long_lived = LongLived::new();
    let lifetime = Duration::from_secs(2);
    let replica = app.signing(long_lived.certifies(lifetime), Vec::new()).await.unwrap();
    let before = hint(&sign(&replica).await.unwrap());
    long_lived.away.store(true, Ordering::SeqCst);
    app.clock.advance(SignedDuration::from_millis(1900));
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert_eq!(hint(&sign(&replica).await.unwrap()), before);
    app.clock.advance(SignedDuration::from_millis(100));
    let error = sign(&replica).await.unwrap_err();
    assert!(
        matches!(&error, ServiceError::Unavailable(why) if why.contains("has expired")),
        "{error}"
    );
    long_lived.away.store(false, Ordering::SeqCst);
    let begun = Instant::now();
    while sign(&replica).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it did not sign again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_a_key_signs_outside_of_its_time_is_told() {
    let app = App::start().await;
    let long_lived = LongLived::new();
    let replica = app.signing(long_lived.certifies(DAY), Vec::new()).await.unwrap();
    // A key whose certificate ended long ago, or that a thief uses.
    let stolen = Arc::new(EcdsaP256Signer::generate().unwrap());
    certify(&app, &long_lived.signer, stolen.public_key(), SignedDuration::from_hours(-48)).await;
    let thief = app.signing(Signing::Direct(stolen), Vec::new()).await.unwrap();
    let signed = sign(&thief).await.unwrap();
    let verified = verify(&replica, signed.manifest.id).await;
    assert_eq!(verified.verification.outcome(CheckName::Key), Some(Outcome::Failed));
    assert!(!verified.verified());
}

#[tokio::test]
async fn a_certificate_by_an_untrusted_authority_says_nothing() {
    let app = App::start().await;
    let long_lived = LongLived::new();
    let replica = app.signing(long_lived.certifies(DAY), Vec::new()).await.unwrap();
    let rogue = EcdsaP256Signer::generate().unwrap();
    let leaf = EcdsaP256Signer::generate().unwrap();
    certify(&app, &rogue, leaf.public_key(), SignedDuration::ZERO).await;
    let found = replica.provenance.public_key_by(leaf.public_key().hint()).await.unwrap();
    assert_eq!(found, None);
    // A certified key is not one that certifies.
    certify(&app, &long_lived.signer, rogue.public_key(), SignedDuration::ZERO).await;
    let found = replica.provenance.public_key_by(leaf.public_key().hint()).await.unwrap();
    assert_eq!(found, None);
    let rogue = replica.provenance.public_key_by(rogue.public_key().hint()).await.unwrap();
    assert!(rogue.is_some());
}

#[tokio::test]
async fn keys_of_before_verify_as_long_as_they_are_listed() {
    let app = App::start().await;
    let (old, new) = (LongLived::new(), LongLived::new());
    let before = app.signing(old.certifies(DAY), Vec::new()).await.unwrap();
    let by_leaf = sign(&before).await.unwrap();
    let direct = Arc::new(EcdsaP256Signer::generate().unwrap());
    let former = direct.public_key().clone();
    let by_key = sign(&app.signing(Signing::Direct(direct), Vec::new()).await.unwrap()).await;
    let by_key = by_key.unwrap();
    let retired = vec![old.signer.public_key().clone(), former];
    let rotated = app.signing(new.certifies(DAY), retired).await.unwrap();
    let forgetful = app.signing(new.certifies(DAY), Vec::new()).await.unwrap();
    for signed in [by_leaf, by_key] {
        assert!(verify(&rotated, signed.manifest.id).await.verified());
        assert!(!verify(&forgetful, signed.manifest.id).await.verified());
    }
}

/// Stores a certificate for a day, beginning that long after now.
async fn certify(app: &App, by: &EcdsaP256Signer, key: &PublicKey, after: SignedDuration) {
    use sentinel_core::clock::Clock as _;
    let id = Uuid::now_v7();
    let pem = key.to_spki_pem().unwrap();
    let from = app.clock.now().checked_add(after).unwrap();
    let event = SigningKeyEvent {
        id,
        timestamp: from,
        event: KeyEventKind::Certified,
        hint: key.hint().to_owned(),
        public_key: pem.clone(),
        not_after: Some(from.checked_add(DAY).unwrap()),
        reason: None,
    };
    let statement = Statement::new(event, Sha256Digest::of(pem.as_bytes())).unwrap();
    let envelope = Envelope::sign(statement.to_bytes().unwrap(), by).unwrap();
    let leaf = HashedRekord::of(&envelope, by.public_key()).to_bytes();
    let bundle = Bundle::new(envelope, by.public_key()).unwrap().to_json().unwrap();
    let statement = LogStatement {
        id: StatementId(id),
        kind: StatementKind::SigningKey,
        tenant_id: None,
        subject: key.hint().to_owned(),
        bundle: String::from_utf8(bundle).unwrap(),
        created_at: from,
        place: None,
    };
    app.store.append_statements(vec![NewStatement { statement, leaf }]).await.unwrap();
}
