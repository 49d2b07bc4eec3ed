//! Google Cloud KMS, with a test server that checks every checksum, token and assertion.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use sentinel_signers::{Access, SignersError};
use sentinel_testkit::key_services::{Fault, StandInGoogleKms};
use tempfile::TempDir;

use crate::{access, open, refuses_the_other_kind, signs_checkpoints, signs_manifests};

fn account(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("account.json");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    (dir, path)
}

fn by_account(path: &std::path::Path) -> Access {
    access(&[("GOOGLE_APPLICATION_CREDENTIALS", path.to_str().unwrap())])
}

#[tokio::test]
async fn signs_manifests_and_checkpoints_as_a_service_account() {
    let kms = StandInGoogleKms::start(3600);
    let (_dir, path) = account(&kms.account_file());
    let access = by_account(&path);
    let manifests = open(&kms.key("manifests"), &access).await.unwrap();
    signs_manifests(manifests.clone()).await.unwrap();
    signs_manifests(manifests.clone()).await.unwrap();
    assert_eq!(kms.tokens(), 1, "a token that lasts was not used again");
    let log = open(&kms.key("log"), &access).await.unwrap();
    signs_checkpoints(log.clone()).await.unwrap();
    refuses_the_other_kind(manifests, log);
}

#[tokio::test]
async fn a_token_comes_from_the_metadata_server_and_is_asked_for_anew_before_it_ends() {
    // What is left is less than the margin, so each question needs a token of its own.
    let kms = StandInGoogleKms::start(30);
    let access = access(&[("GCE_METADATA_HOST", &kms.host())]);
    let key = open(&kms.key("manifests"), &access).await.unwrap();
    signs_manifests(key).await.unwrap();
    assert_eq!(kms.tokens(), 2);
}

#[tokio::test]
async fn a_token_comes_from_a_file_too() {
    let kms = StandInGoogleKms::start(3600);
    kms.take_token("ya29.from-elsewhere");
    let (_dir, path) = account("ya29.from-elsewhere\n");
    let access = Access { token_file: Some(path.clone()), ..access(&[]) };
    let key = open(&kms.key("manifests"), &access).await.unwrap();
    std::fs::write(&path, "ya29.expired").unwrap();
    let error = signs_manifests(key).await.unwrap_err();
    assert!(matches!(error, SignersError::Refused { status: 401, .. }), "{error}");
    assert!(!format!("{error} {error:?} {access:?}").contains("ya29"));
}

#[tokio::test]
async fn each_checksum_is_compared() {
    let kms = StandInGoogleKms::start(3600);
    let (_dir, path) = account(&kms.account_file());
    let access = by_account(&path);
    let manifests = open(&kms.key("manifests"), &access).await.unwrap();
    let log = open(&kms.key("log"), &access).await.unwrap();
    kms.set(Fault::WrongChecksum);
    let error = open(&kms.key("manifests"), &access).await.unwrap_err();
    assert!(error.to_string().contains("public key does not have its checksum"), "{error}");
    let wrong = [signs_manifests(manifests.clone()).await, signs_checkpoints(log.clone()).await];
    for error in wrong {
        let error = error.unwrap_err();
        assert!(error.to_string().contains("signature does not have its checksum"), "{error}");
    }
    kms.set(Fault::IgnoresChecksum);
    for error in [signs_manifests(manifests).await, signs_checkpoints(log).await] {
        assert!(error.unwrap_err().to_string().contains("did not compare the checksum"));
    }
}

#[tokio::test]
async fn other_credentials_and_keys_are_refused() {
    let kms = StandInGoogleKms::start(3600);
    let (_dir, path) = account(r#"{"type": "authorized_user", "refresh_token": "1//secret"}"#);
    let error = open(&kms.key("manifests"), &by_account(&path)).await.unwrap_err();
    assert!(error.to_string().contains("key_service_token_file"), "{error}");
    assert!(!error.to_string().contains("1//secret"), "{error}");
    let strangers = StandInGoogleKms::start(3600).account_file();
    let here = format!("http://{}/token", kms.host());
    let mut strangers: serde_json::Value = serde_json::from_str(&strangers).unwrap();
    strangers["token_uri"] = here.into();
    let (_dir, path) = account(&strangers.to_string());
    let error = open(&kms.key("manifests"), &by_account(&path)).await.unwrap_err();
    assert!(error.to_string().contains("Invalid JWT Signature"), "{error}");
    strangers["token_uri"] = "http://oauth.example/token".into();
    let (_dir, path) = account(&strangers.to_string());
    let error = open(&kms.key("manifests"), &by_account(&path)).await.unwrap_err();
    assert!(error.to_string().contains("no https `token_uri`"), "{error}");
    let (_dir, path) = account(&kms.account_file());
    let error = open(&kms.key("other"), &by_account(&path)).await.unwrap_err();
    assert!(error.to_string().contains("EC_SIGN_P384_SHA384"), "{error}");
    let error = open(&kms.key("none"), &by_account(&path)).await.unwrap_err();
    assert!(matches!(error, SignersError::Refused { status: 404, .. }), "{error}");
}
