//! Tools that are not ours agree: OpenSSL about signatures and keys, OpenSSH
//! about fingerprints. Both must be installed; these tests fail without them.

use std::fs;
use std::path::Path;
use std::process::Command;

use sentinel_provenance::log::{Ed25519NoteSigner, KeyKind, NoteSigner as _, VerifierKey};
use sentinel_provenance::{EcdsaP256Signer, KeyError, PublicKey, Signer as _};
use sentinel_testkit::manifest::signed;
use tempfile::TempDir;

/// Runs a tool in `folder`; gives its standard output, or nothing when it failed.
fn run(folder: &Path, program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("`{program}` must be installed: {error}"));
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn openssl_verifies_our_signature_over_the_pae() {
    let it = signed();
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("key.pem"), it.signer.public_key().to_spki_pem().unwrap()).unwrap();
    fs::write(path("sig.der"), it.bundle.envelope.signature().as_der()).unwrap();
    let verify = ["dgst", "-sha256", "-verify", "key.pem", "-signature", "sig.der", "pae"];

    fs::write(path("pae"), it.bundle.envelope.pae()).unwrap();
    assert_eq!(run(folder.path(), "openssl", &verify).as_deref(), Some("Verified OK\n"));

    let mut altered = it.bundle.envelope.pae();
    *altered.last_mut().unwrap() ^= 1;
    fs::write(path("pae"), altered).unwrap();
    assert_eq!(run(folder.path(), "openssl", &verify), None);
}

#[test]
fn openssl_and_we_read_each_others_private_keys() {
    let folder = TempDir::new().unwrap();
    let openssl = |args: &[&str]| run(folder.path(), "openssl", args).unwrap();

    let theirs = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    fs::write(folder.path().join("theirs.pem"), &theirs).unwrap();
    let loaded = EcdsaP256Signer::from_pkcs8_pem(&theirs).unwrap();
    let public = openssl(&["pkey", "-in", "theirs.pem", "-pubout"]);
    assert_eq!(loaded.public_key().to_spki_pem().unwrap(), public);

    let ours = EcdsaP256Signer::generate().unwrap();
    let pem = ours.to_pkcs8_pem().unwrap();
    fs::write(folder.path().join("ours.pem"), pem.as_bytes()).unwrap();
    let public = openssl(&["pkey", "-in", "ours.pem", "-pubout"]);
    assert_eq!(&PublicKey::from_spki_pem(&public).unwrap(), ours.public_key());
}

#[test]
fn openssl_and_we_read_each_others_log_keys_and_it_verifies_our_notes() {
    let folder = TempDir::new().unwrap();
    let openssl = |args: &[&str]| run(folder.path(), "openssl", args);
    let public = |file: &str| {
        let pem = openssl(&["pkey", "-in", file, "-pubout"]).unwrap();
        let (_, der) = pem_rfc7468::decode_vec(pem.as_bytes()).unwrap();
        VerifierKey::from_spki_der("log.example", KeyKind::Ed25519, &der).unwrap()
    };

    let theirs = openssl(&["genpkey", "-algorithm", "ED25519"]).unwrap();
    fs::write(folder.path().join("theirs.pem"), &theirs).unwrap();
    let loaded = Ed25519NoteSigner::from_pkcs8_pem("log.example", &theirs).unwrap();
    assert_eq!(loaded.verifier_key(), &public("theirs.pem"));

    let ours = Ed25519NoteSigner::generate("log.example").unwrap();
    fs::write(folder.path().join("ours.pem"), ours.to_pkcs8_pem().unwrap().as_bytes()).unwrap();
    assert_eq!(ours.verifier_key(), &public("ours.pem"));

    fs::write(folder.path().join("signature"), loaded.sign(b"text\n").unwrap()).unwrap();
    let verify = ["pkeyutl", "-verify", "-rawin", "-inkey", "theirs.pem", "-sigfile", "signature"];
    for (text, verdict) in [("text\n", true), ("test\n", false)] {
        fs::write(folder.path().join("text"), text).unwrap();
        assert_eq!(openssl(&[&verify[..], &["-in", "text"]].concat()).is_some(), verdict, "{text}");
    }
}

#[test]
fn openssl_keys_of_other_kinds_are_refused() {
    let folder = TempDir::new().unwrap();
    for args in [
        &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"][..],
        &["genpkey", "-algorithm", "ED25519"],
    ] {
        let private = run(folder.path(), "openssl", args).unwrap();
        fs::write(folder.path().join("key.pem"), &private).unwrap();
        let public = run(folder.path(), "openssl", &["pkey", "-in", "key.pem", "-pubout"]).unwrap();
        assert_eq!(EcdsaP256Signer::from_pkcs8_pem(&private).unwrap_err(), KeyError::NotP256);
        let for_a_log = Ed25519NoteSigner::from_pkcs8_pem("log.example", &private);
        assert_eq!(for_a_log.is_ok(), args.contains(&"ED25519"));
        assert_eq!(PublicKey::from_spki_pem(&public).unwrap_err(), KeyError::NotP256);
    }
}

#[test]
fn ssh_keygen_prints_our_hint() {
    let folder = TempDir::new().unwrap();
    let key = EcdsaP256Signer::generate().unwrap();
    fs::write(folder.path().join("key.pem"), key.public_key().to_spki_pem().unwrap()).unwrap();
    // ssh-keygen makes the SSH form itself, so nothing of ours is in the comparison.
    let ssh = run(folder.path(), "ssh-keygen", &["-i", "-m", "PKCS8", "-f", "key.pem"]).unwrap();
    fs::write(folder.path().join("key.ssh"), ssh).unwrap();
    let printed = run(folder.path(), "ssh-keygen", &["-l", "-f", "key.ssh"]).unwrap();
    assert_eq!(printed.split(' ').nth(1), Some(key.public_key().hint()), "{printed}");
}
