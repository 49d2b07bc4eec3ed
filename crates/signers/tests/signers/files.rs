//! Keys in PEM, as the real OpenSSL writes them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use sentinel_signers::{KeySource, Passphrase, PemError, Secret, SignersError};
use tempfile::TempDir;

use crate::{refuses_the_other_kind, signs_checkpoints, signs_manifests};

fn openssl(args: &[&str], dir: &TempDir) {
    let ran = Command::new("openssl").args(args).current_dir(dir.path()).output();
    let ran = ran.expect("openssl is installed");
    assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// A folder with `p256.pem` and `ed25519.pem`, and the passphrase in `passphrase`.
fn keys() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let p256 = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    openssl(&[&p256[..], &["-out", "p256.pem"]].concat(), &dir);
    openssl(&["genpkey", "-algorithm", "ED25519", "-out", "ed25519.pem"], &dir);
    std::fs::write(dir.path().join("passphrase"), "correct horse\n").unwrap();
    for name in ["p256.pem", "ed25519.pem", "passphrase"] {
        private(&dir.path().join(name));
    }
    dir
}

fn private(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn encrypt(dir: &TempDir, from: &str, how: &[&str]) -> PathBuf {
    let args = ["pkcs8", "-topk8", "-in", from, "-out", "encrypted.pem"];
    let pass = ["-passout", "file:passphrase"];
    openssl(&[&args[..], &pass[..], how].concat(), dir);
    let path = dir.path().join("encrypted.pem");
    private(&path);
    path
}

fn file(path: PathBuf, passphrase: Option<Passphrase>) -> KeySource {
    KeySource::File { path, passphrase }
}

fn right(dir: &TempDir) -> Option<Passphrase> {
    Some(Passphrase::File(dir.path().join("passphrase")))
}

fn pem_error(source: &KeySource) -> PemError {
    match source.read().unwrap_err() {
        SignersError::Pem { error, .. } => error,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn plain_keys_sign() {
    let dir = keys();
    let (manifests, log) = (dir.path().join("p256.pem"), dir.path().join("ed25519.pem"));
    let (manifests, log) = (file(manifests, None), file(log, None));
    signs_manifests(manifests.open().await.unwrap()).await.unwrap();
    signs_checkpoints(log.open().await.unwrap()).await.unwrap();
    refuses_the_other_kind(manifests.open().await.unwrap(), log.open().await.unwrap());
}

#[tokio::test]
async fn whatever_openssl_encrypts_by_default_or_by_scrypt_is_read() {
    let dir = keys();
    let ways: [&[&str]; 5] = [
        &["-v2", "aes-256-cbc"],
        &["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"],
        &["-v2", "aes-256-cbc", "-iter", "20000"],
        &["-scrypt"],
        &["-scrypt", "-scrypt_N", "8192", "-scrypt_r", "8", "-scrypt_p", "2"],
    ];
    for how in ways {
        let path = encrypt(&dir, "p256.pem", how);
        signs_manifests(file(path, right(&dir)).open().await.unwrap()).await.unwrap();
        let path = encrypt(&dir, "ed25519.pem", how);
        let given = Passphrase::Text(Secret::new("correct horse".to_owned()));
        signs_checkpoints(file(path, Some(given)).open().await.unwrap()).await.unwrap();
    }
}

#[test]
fn a_key_opens_with_its_passphrase_only() {
    let dir = keys();
    let path = encrypt(&dir, "p256.pem", &["-v2", "aes-256-cbc"]);
    let error = file(path.clone(), None).read().unwrap_err();
    assert!(matches!(error, SignersError::Pem { error: PemError::NoPassphrase, .. }), "{error}");
    assert!(error.fix().unwrap().contains("signing_key_passphrase_file"));
    for wrong in ["correct hors", "correct horse ", ""] {
        let given = Passphrase::Text(Secret::new(wrong.to_owned()));
        assert_eq!(pem_error(&file(path.clone(), Some(given))), PemError::Passphrase, "{wrong}");
    }
    let plain = file(dir.path().join("p256.pem"), right(&dir));
    assert_eq!(pem_error(&plain), PemError::NotEncrypted);
}

#[test]
fn what_is_not_pkcs8_with_aes_is_refused() {
    let dir = keys();
    let old = encrypt(&dir, "p256.pem", &["-v2", "des3"]);
    assert_eq!(pem_error(&file(old, right(&dir))), PemError::Cipher);
    // SEC 1, the older form of EC keys.
    openssl(&["ec", "-in", "p256.pem", "-out", "sec1.pem"], &dir);
    private(&dir.path().join("sec1.pem"));
    assert_eq!(pem_error(&file(dir.path().join("sec1.pem"), None)), PemError::Label);
    std::fs::write(dir.path().join("p256.pem"), "no key").unwrap();
    assert_eq!(pem_error(&file(dir.path().join("p256.pem"), None)), PemError::NotPem);
    openssl(&["genpkey", "-algorithm", "RSA", "-out", "rsa.pem"], &dir);
    private(&dir.path().join("rsa.pem"));
    let error = file(dir.path().join("rsa.pem"), None).read().unwrap_err();
    assert!(error.to_string().contains("ECDSA P-256 or Ed25519"), "{error}");
}

#[test]
fn a_key_or_passphrase_that_others_can_read_is_refused_with_its_fix() {
    let dir = keys();
    let path = encrypt(&dir, "p256.pem", &["-v2", "aes-256-cbc"]);
    for exposed in [path.clone(), dir.path().join("passphrase")] {
        std::fs::set_permissions(&exposed, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = file(path.clone(), right(&dir)).read().unwrap_err();
        assert!(error.to_string().contains("0640"), "{error}");
        assert_eq!(error.fix().unwrap(), format!("chmod 600 '{}'", exposed.display()));
        private(&exposed);
    }
    file(path, right(&dir)).read().unwrap();
}

#[tokio::test]
async fn a_key_comes_from_the_environment_too() {
    let dir = keys();
    let path = encrypt(&dir, "p256.pem", &["-v2", "aes-256-cbc"]);
    let pem = Secret::new(std::fs::read_to_string(path).unwrap());
    let source = KeySource::Variable { name: "KEY".to_owned(), pem, passphrase: right(&dir) };
    signs_manifests(source.open().await.unwrap()).await.unwrap();
}

#[test]
fn nothing_secret_is_shown() {
    let dir = keys();
    let pem = std::fs::read_to_string(dir.path().join("p256.pem")).unwrap();
    let body = pem.lines().nth(1).unwrap().to_owned();
    let passphrase = Some(Passphrase::Text(Secret::new("correct horse".to_owned())));
    let source = KeySource::Variable { name: "KEY".to_owned(), pem: Secret::new(pem), passphrase };
    let shown = format!("{source:?} {:?} {}", source.read(), source.read().unwrap_err());
    assert!(!shown.contains(&body) && !shown.contains("horse"), "{shown}");
    let held = file(dir.path().join("p256.pem"), None).read().unwrap();
    assert!(!format!("{:?}", Arc::new(held)).contains(&body));
}
