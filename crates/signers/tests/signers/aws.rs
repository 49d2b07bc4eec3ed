//! AWS KMS, with a test server that recomputes the signature of each request.

use sentinel_signers::SignersError;
use sentinel_testkit::key_services::StandInAwsKms;

use crate::{access, open, refuses_the_other_kind, signs_checkpoints, signs_manifests};

const KEY: (&str, &str) = ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
const SECRET: (&str, &str) = ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG");
const REGION: (&str, &str) = ("AWS_REGION", "eu-test-1");

fn kms(session: Option<&str>) -> StandInAwsKms {
    StandInAwsKms::start(KEY.1, SECRET.1, session)
}

fn at(kms: &StandInAwsKms, key: &str) -> String {
    format!("awskms://{}/{key}", kms.host())
}

#[tokio::test]
async fn signs_manifests_and_checkpoints() {
    let kms = kms(None);
    let access = access(&[KEY, SECRET, REGION]);
    signs_manifests(open(&at(&kms, "alias/manifests"), &access).await.unwrap()).await.unwrap();
    signs_checkpoints(open(&at(&kms, "alias/log"), &access).await.unwrap()).await.unwrap();
    refuses_the_other_kind(
        open(&at(&kms, "alias/manifests"), &access).await.unwrap(),
        open(&at(&kms, "alias/log"), &access).await.unwrap(),
    );
}

#[tokio::test]
async fn an_arn_names_the_region_and_temporary_credentials_are_sent() {
    let kms = kms(Some("IQoJb3JpZ2luX2VjE"));
    let session = ("AWS_SESSION_TOKEN", "IQoJb3JpZ2luX2VjE");
    let arn = "arn:aws:kms:eu-test-1:111122223333:key/manifests-0";
    let key = open(&at(&kms, arn), &access(&[KEY, SECRET, session])).await.unwrap();
    signs_manifests(key).await.unwrap();
    let error = open(&at(&kms, arn), &access(&[KEY, SECRET])).await.unwrap_err();
    assert!(error.to_string().contains("security token"), "{error}");
}

#[tokio::test]
async fn an_alias_that_is_pointed_elsewhere_changes_nothing_until_the_key_is_opened_again() {
    let kms = kms(None);
    let access = access(&[KEY, SECRET, REGION]);
    let key = open(&at(&kms, "alias/manifests"), &access).await.unwrap();
    kms.point_aliases_elsewhere();
    signs_manifests(key.clone()).await.unwrap();
    let again = open(&at(&kms, "alias/manifests"), &access).await.unwrap();
    assert_ne!(again.public_half(), key.public_half());
}

#[tokio::test]
async fn wrong_or_missing_credentials_are_told_and_not_shown() {
    let kms = kms(None);
    let address = at(&kms, "alias/manifests");
    let wrong = ("AWS_SECRET_ACCESS_KEY", "not-the-secret");
    let error = open(&address, &access(&[KEY, wrong, REGION])).await.unwrap_err();
    assert!(error.to_string().contains("InvalidSignatureException"), "{error}");
    assert!(!format!("{error} {error:?}").contains("not-the-secret"));
    let elsewhere = ("AWS_REGION", "us-east-1");
    let error = open(&address, &access(&[KEY, SECRET, elsewhere])).await.unwrap_err();
    assert!(error.to_string().contains("region"), "{error}");
    let error = open(&address, &access(&[KEY, SECRET])).await.unwrap_err();
    assert!(error.to_string().contains("AWS_REGION"), "{error}");
    let garbled = ("AWS_ACCESS_KEY_ID", "AKID\nEXAMPLE");
    let error = open(&address, &access(&[garbled, SECRET, REGION])).await.unwrap_err();
    assert!(matches!(error, SignersError::Credentials { .. }), "{error}");
}

#[tokio::test]
async fn a_key_that_signs_nothing_or_is_not_there_is_refused() {
    let kms = kms(None);
    let access = access(&[KEY, SECRET, REGION]);
    let error = open(&at(&kms, "alias/secrets"), &access).await.unwrap_err();
    assert!(error.to_string().contains("UnsupportedOperationException"), "{error}");
    let error = open(&at(&kms, "alias/none"), &access).await.unwrap_err();
    assert!(error.to_string().contains("NotFoundException"), "{error}");
}
