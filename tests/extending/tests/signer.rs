//! The example of a signer, with OpenSSL as the program.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;

use sentinel_extending::signer::CommandKey;
use sentinel_provenance::PublicKey;
use sentinel_signers::{ManifestKey, try_out};

fn openssl(arguments: &[&str]) -> String {
    let output = std::process::Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_program_signs_statements() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let path = path.to_str().unwrap();
    let curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    openssl(&[&["genpkey", "-out", path][..], &curve].concat());
    let public = PublicKey::from_spki_pem(&openssl(&["pkey", "-in", path, "-pubout"])).unwrap();

    let signing = ["dgst", "-sha256", "-sign", path];
    let key = CommandKey::new("openssl", &signing, public.clone());
    try_out(&key).await.unwrap();
    let signed = ManifestKey::new(Arc::new(key)).unwrap().sign(b"{}".to_vec()).await.unwrap();
    signed.verify(&public).unwrap();

    let silent = CommandKey::new("true", &[], public);
    assert!(try_out(&silent).await.is_err());
}
