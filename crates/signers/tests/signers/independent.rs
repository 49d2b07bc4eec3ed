//! Independent software on the other side: a KMS of others, and a client of others for our test
//! server.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sentinel_provenance::Signature;
use sentinel_signers::PublicHalf;
use sentinel_testkit::key_services::StandInVault;
use tempfile::TempDir;

use crate::{access, open, signs_manifests};

/// A program that `scripts/install.sh test` puts into `.tools/bin`; no other version will do.
fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin").join(name);
    assert!(path.exists(), "`{name}` is missing; run scripts/install.sh test");
    path
}

/// A running local-kms, an implementation of AWS KMS for tests. It does not look at signatures of
/// requests, which our test server does.
struct LocalKms {
    child: Child,
    host: String,
    folder: TempDir,
}

impl LocalKms {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = Command::new("openssl")
            .args(["ecparam", "-name", "prime256v1", "-genkey", "-noout"])
            .output()
            .expect("openssl is installed");
        let pem = String::from_utf8(key.stdout).unwrap();
        std::fs::write(folder.path().join("key.pem"), &pem).unwrap();
        let indented: String = pem.lines().map(|line| format!("          {line}\n")).collect();
        let id = "800d5768-3fd7-4edd-a4b8-4c81c3e4c147";
        let seed = format!(
            "Keys:\n  Asymmetric:\n    Ecc:\n      - Metadata:\n          KeyId: {id}\n          \
             KeyUsage: SIGN_VERIFY\n        PrivateKeyPem: |\n{indented}Aliases:\n  - AliasName: \
             alias/manifests\n    TargetKeyId: {id}\n"
        );
        std::fs::write(folder.path().join("seed.yaml"), seed).unwrap();
        // Another process may take the port between choosing and using it: then another is tried.
        for _ in 0..5 {
            let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            drop(listener);
            let mut child = Command::new(tool("local-kms"))
                .env("PORT", port.to_string())
                .env("KMS_REGION", "eu-test-1")
                .env("KMS_ACCOUNT_ID", "111122223333")
                .env("KMS_DATA_PATH", folder.path().join("data"))
                .env("KMS_SEED_PATH", folder.path().join("seed.yaml"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(10) && child.try_wait().unwrap().is_none() {
                if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self { child, host: format!("127.0.0.1:{port}"), folder };
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("local-kms does not start");
    }
}

impl Drop for LocalKms {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_kms_that_others_wrote_signs_manifests() {
    let kms = LocalKms::start();
    let access = access(&[
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-test-1"),
    ]);
    let key = open(&format!("awskms://{}/alias/manifests", kms.host), &access).await.unwrap();
    let expected = Command::new("openssl")
        .args(["ec", "-pubout", "-in"])
        .arg(kms.folder.path().join("key.pem"))
        .output()
        .unwrap();
    let PublicHalf::P256(public) = key.public_half() else { panic!("not a P-256 key") };
    assert_eq!(public.to_spki_pem().unwrap().into_bytes(), expected.stdout);
    signs_manifests(key).await.unwrap();
}

/// A client of the real Vault accepts our test server. Without this, tests with that server would
/// prove little.
#[tokio::test]
async fn cosign_accepts_the_test_server_as_vault() {
    let vault = StandInVault::start("hvs.secret", None, 0);
    let cosign = |args: &[&str]| {
        let mut command = Command::new(tool("cosign"));
        command.args(args).env("VAULT_ADDR", format!("http://{}", vault.host()));
        command.env("VAULT_TOKEN", "hvs.secret");
        let output = command.output().unwrap();
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {why}");
        String::from_utf8(output.stdout).unwrap()
    };
    let address = format!("vault://{}/transit/manifests", vault.host());
    let key = open(&address, &access(&[("VAULT_TOKEN", "hvs.secret")])).await.unwrap();
    let PublicHalf::P256(public) = key.public_half() else { panic!("not a P-256 key") };
    let shown = cosign(&["public-key", "--key", "hashivault://manifests"]);
    assert_eq!(shown, public.to_spki_pem().unwrap());

    let folder = tempfile::tempdir().unwrap();
    let blob = folder.path().join("blob");
    std::fs::write(&blob, "signed by their client").unwrap();
    let signature = folder.path().join("signature");
    cosign(&[
        "sign-blob",
        "--yes",
        "--key=hashivault://manifests",
        "--tlog-upload=false",
        "--use-signing-config=false",
        "--new-bundle-format=false",
        "--output-signature",
        signature.to_str().unwrap(),
        blob.to_str().unwrap(),
    ]);
    let mut text = String::new();
    std::fs::File::open(&signature).unwrap().read_to_string(&mut text).unwrap();
    use base64::Engine as _;
    let der = base64::engine::general_purpose::STANDARD.decode(text.trim()).unwrap();
    let signature = Signature::from_der(der).unwrap();
    public.verify(b"signed by their client", &signature).unwrap();
}
