//! Vault's Transit engine, with a test server.

use std::time::{Duration, Instant};

use sentinel_signers::{Access, PublicHalf, SignersError};
use sentinel_testkit::key_services::StandInVault;

use crate::{access, open, refuses_the_other_kind, signs_checkpoints, signs_manifests};

fn at(vault: &StandInVault, key: &str) -> String {
    format!("vault://{}/transit/{key}", vault.host())
}

#[tokio::test]
async fn signs_manifests_and_checkpoints() {
    let vault = StandInVault::start("hvs.secret", None, 0);
    let access = access(&[("VAULT_TOKEN", "hvs.secret")]);
    signs_manifests(open(&at(&vault, "manifests"), &access).await.unwrap()).await.unwrap();
    signs_checkpoints(open(&at(&vault, "log"), &access).await.unwrap()).await.unwrap();
    refuses_the_other_kind(
        open(&at(&vault, "manifests"), &access).await.unwrap(),
        open(&at(&vault, "log"), &access).await.unwrap(),
    );
}

#[tokio::test]
async fn namespaces_come_from_the_address_or_the_environment() {
    let vault = StandInVault::start("t", Some("admin/team"), 0);
    let key = at(&vault, "manifests");
    let by_variable = access(&[("VAULT_TOKEN", "t"), ("VAULT_NAMESPACE", "admin/team")]);
    signs_manifests(open(&key, &by_variable).await.unwrap()).await.unwrap();
    let plain = access(&[("VAULT_TOKEN", "t")]);
    let named = format!("{key}?namespace=admin/team");
    signs_manifests(open(&named, &plain).await.unwrap()).await.unwrap();
    let error = open(&key, &plain).await.unwrap_err();
    assert!(matches!(error, SignersError::Refused { status: 403, .. }), "{error}");
}

#[tokio::test]
async fn a_version_is_pinned_whether_or_not_it_is_named() {
    let vault = StandInVault::start("t", None, 0);
    let access = access(&[("VAULT_TOKEN", "t")]);
    let key = at(&vault, "manifests");
    let newest = open(&key, &access).await.unwrap();
    vault.rotate();
    // Signatures still verify by the public half that was read: the version is the old one.
    signs_manifests(newest.clone()).await.unwrap();
    let first = open(&format!("{key}?version=1"), &access).await.unwrap();
    assert_eq!(first.public_half(), newest.public_half());
    signs_manifests(first).await.unwrap();
    let rotated = open(&key, &access).await.unwrap();
    assert_ne!(rotated.public_half(), newest.public_half());
    signs_manifests(rotated).await.unwrap();
    let error = open(&format!("{key}?version=3"), &access).await.unwrap_err();
    assert!(error.to_string().contains("no version 3"), "{error}");
}

#[tokio::test]
async fn a_token_file_is_read_anew_for_each_question() {
    let vault = StandInVault::start("first", None, 0);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "first\n").unwrap();
    let access = Access { token_file: Some(path.clone()), ..access(&[]) };
    let key = open(&at(&vault, "manifests"), &access).await.unwrap();
    vault.expect_token("second");
    let error = signs_manifests(key.clone()).await.unwrap_err();
    assert!(error.fix().unwrap().contains("docs/signing-keys.md"), "{error}");
    std::fs::write(&path, "second\n").unwrap();
    signs_manifests(key.clone()).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let error = signs_manifests(key).await.unwrap_err();
    assert!(matches!(error, SignersError::Credentials { .. }), "{error}");
}

#[tokio::test]
async fn a_token_of_the_environment_is_renewed_for_as_long_as_the_key_is_kept() {
    let vault = StandInVault::start("t", None, 2);
    let key = open(&at(&vault, "manifests"), &access(&[("VAULT_TOKEN", "t")])).await.unwrap();
    assert_eq!(vault.renewed(), 0);
    let begun = Instant::now();
    while vault.renewed() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the token was not renewed twice");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(begun.elapsed() > Duration::from_millis(1900), "renewed without need");
    drop(key);
    let before = vault.asked();
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert_eq!(vault.asked(), before, "an unused token was renewed");
}

#[tokio::test]
async fn without_a_token_or_with_a_key_that_signs_nothing_it_is_refused() {
    let vault = StandInVault::start("t", None, 0);
    let error = open(&at(&vault, "manifests"), &access(&[])).await.unwrap_err();
    assert!(error.to_string().contains("VAULT_TOKEN"), "{error}");
    let access = access(&[("VAULT_TOKEN", "t")]);
    let error = open(&at(&vault, "secrets"), &access).await.unwrap_err();
    assert!(error.to_string().contains("aes256-gcm96"), "{error}");
    let error = open(&at(&vault, "none"), &access).await.unwrap_err();
    assert!(matches!(error, SignersError::Refused { status: 404, .. }), "{error}");
    assert!(error.fix().unwrap().contains("make the key"));
    let key = open(&at(&vault, "log"), &access).await.unwrap();
    assert!(matches!(key.public_half(), PublicHalf::Ed25519(_)));
}
