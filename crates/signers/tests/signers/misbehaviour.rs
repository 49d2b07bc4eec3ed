//! Services that fail, hang, lie or are away: nothing is signed, and nothing waits for ever.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sentinel_signers::{KeyService, SignersError};
use sentinel_testkit::key_services::{
    Fault, StandIn, StandInAwsKms, StandInGoogleKms, StandInVault,
};

use crate::{access, open, signs_checkpoints, signs_manifests};

/// A service with both keys opened.
struct Opened {
    service: Box<dyn Deref<Target = StandIn> + Send + Sync>,
    manifests: Arc<dyn KeyService>,
    log: Arc<dyn KeyService>,
}

async fn vault() -> Opened {
    let vault = StandInVault::start("t0ken", None, 0);
    let access = access(&[("VAULT_TOKEN", "t0ken")]);
    let at = |key: &str| format!("vault://{}/transit/{key}", vault.host());
    Opened {
        manifests: open(&at("manifests"), &access).await.unwrap(),
        log: open(&at("log"), &access).await.unwrap(),
        service: Box::new(vault),
    }
}

async fn aws() -> Opened {
    let kms = StandInAwsKms::start("AKID", "s3cret", None);
    let access = access(&[
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ("AWS_REGION", "eu-test-1"),
    ]);
    let at = |key: &str| format!("awskms://{}/alias/{key}", kms.host());
    Opened {
        manifests: open(&at("manifests"), &access).await.unwrap(),
        log: open(&at("log"), &access).await.unwrap(),
        service: Box::new(kms),
    }
}

async fn google() -> Opened {
    let kms = StandInGoogleKms::start(3600);
    let access = access(&[("GCE_METADATA_HOST", &kms.host())]);
    Opened {
        manifests: open(&kms.key("manifests"), &access).await.unwrap(),
        log: open(&kms.key("log"), &access).await.unwrap(),
        service: Box::new(kms),
    }
}

/// Does the same with each service at once, since much of it is waiting.
async fn with_each(check: impl AsyncFn(Opened)) {
    let (vault, aws, google) = tokio::join!(vault(), aws(), google());
    tokio::join!(check(vault), check(aws), check(google));
}

#[tokio::test]
async fn a_wrong_signature_is_never_used() {
    with_each(async |Opened { service, manifests, log }| {
        for fault in [Fault::WrongSignature, Fault::AnotherKey, Fault::Babbles] {
            service.set(fault);
            let manifest = signs_manifests(manifests.clone()).await.unwrap_err();
            let checkpoint = signs_checkpoints(log.clone()).await.unwrap_err();
            for error in [manifest, checkpoint] {
                assert!(matches!(error, SignersError::Unsound { .. }), "{fault:?}: {error}");
                assert!(!error.to_string().contains("babble"), "{error}");
            }
        }
        service.set(Fault::None);
        signs_manifests(manifests).await.unwrap();
        signs_checkpoints(log).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_refusal_is_told_and_not_asked_for_again() {
    with_each(async |Opened { service, manifests, .. }| {
        service.set(Fault::Refuses);
        let before = service.asked();
        let error = signs_manifests(manifests).await.unwrap_err();
        assert!(matches!(error, SignersError::Refused { .. }), "{error}");
        assert!(!error.is_away());
        assert_eq!(service.asked(), before + 1);
        let text = error.to_string();
        let said = ["permission denied", "AccessDeniedException", "useToSign"];
        assert!(said.iter().any(|said| text.contains(said)), "{text}");
    })
    .await;
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_ends() {
    with_each(async |Opened { service, manifests, .. }| {
        service.set(Fault::FailsFirst(2));
        signs_manifests(manifests.clone()).await.unwrap();
        for fault in [Fault::Fails, Fault::Throttles] {
            service.set(fault);
            let before = service.asked();
            let error = signs_manifests(manifests.clone()).await.unwrap_err();
            assert!(error.is_away(), "{fault:?}: {error}");
            assert_eq!(service.asked(), before + 3, "{fault:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn neither_silence_nor_a_flood_holds_anything_up() {
    with_each(async |Opened { service, manifests, .. }| {
        service.set(Fault::Hangs);
        let begun = Instant::now();
        let error = signs_manifests(manifests.clone()).await.unwrap_err();
        assert!(error.is_away() && error.to_string().contains("too long"), "{error}");
        // Three attempts of half a second, and the pauses between them.
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
        service.set(Fault::Floods);
        let error = signs_manifests(manifests).await.unwrap_err();
        assert!(error.to_string().contains("more than 65536 bytes"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_service_that_is_gone_is_away() {
    with_each(async |Opened { service, manifests, log }| {
        drop(service);
        for error in [signs_manifests(manifests).await, signs_checkpoints(log).await] {
            let error = error.unwrap_err();
            assert!(error.is_away() && error.fix().is_some(), "{error}");
        }
    })
    .await;
}
