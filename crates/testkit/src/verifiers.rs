//! Verifiers of others, unmodified: cosign, @sigstore/verify and sigstore-verify.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sentinel_provenance::PublicKey;
use sentinel_provenance::log::TrustedRoot;
use sigstore_verify::PublicKeyVerificationPolicy;
use tempfile::TempDir;

/// A bundle, good or forged.
#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    pub json: Vec<u8>,
}

/// The verdict of a verifier on a bundle.
#[derive(Debug)]
pub struct Verdict {
    pub accepted: bool,
    pub why: String,
}

/// The verifiers, with the key and the trusted root that they are given.
#[derive(Debug)]
pub struct Verifiers {
    folder: TempDir,
    key: PublicKey,
    root: String,
    artifact: Vec<u8>,
}

/// A program that `scripts/install.sh test` puts into `.tools/bin`; no other version will do.
fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin").join(name);
    assert!(path.exists(), "`{name}` is missing; run scripts/install.sh test");
    path
}

impl Verifiers {
    #[must_use]
    pub fn new(root: &TrustedRoot, key: &PublicKey, artifact: &[u8]) -> Self {
        let folder = TempDir::new().unwrap();
        let root = String::from_utf8(root.to_json().unwrap()).unwrap();
        fs::write(folder.path().join("trusted-root.json"), &root).unwrap();
        fs::write(folder.path().join("signer.pub"), key.to_spki_pem().unwrap()).unwrap();
        fs::write(folder.path().join("artifact"), artifact).unwrap();
        Self { folder, key: key.clone(), root, artifact: artifact.to_vec() }
    }

    fn write(&self, number: usize, case: &Case) -> String {
        let name = format!("bundle-{number}.json");
        fs::write(self.folder.path().join(&name), &case.json).unwrap();
        name
    }

    #[must_use]
    pub fn cosign(&self, cases: &[Case]) -> Vec<Verdict> {
        let verify = |(number, case)| {
            let output = Command::new(tool("cosign"))
                .args(["verify-blob-attestation", "--key", "signer.pub"])
                .args(["--trusted-root", "trusted-root.json"])
                .args(["--type", sentinel_provenance::PREDICATE_TYPE])
                .args(["--bundle", &self.write(number, case), "artifact"])
                .current_dir(self.folder.path())
                // Its cache is not the user's.
                .env("HOME", self.folder.path())
                .output()
                .unwrap();
            Verdict { accepted: output.status.success(), why: one_line(&output) }
        };
        cases.iter().enumerate().map(verify).collect()
    }

    #[must_use]
    pub fn node(&self, cases: &[Case]) -> Vec<Verdict> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = folder.join("../provenance/tests/verifiers/node");
        assert!(
            folder.join("node_modules/@sigstore/verify").exists(),
            "@sigstore/verify is missing; run scripts/install.sh test"
        );
        let bundles: Vec<_> =
            cases.iter().enumerate().map(|(number, case)| self.write(number, case)).collect();
        let question = serde_json::json!({
            "bundles": bundles,
            "trustedRoot": "trusted-root.json",
            "publicKey": STANDARD.encode(self.key.to_spki_der()),
            "hint": self.key.hint(),
        });
        let mut node = Command::new("node")
            .arg(folder.join("verify.mjs"))
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("`node` must be installed");
        node.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
        let output = node.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let verdict = |line: &str| Verdict { accepted: line == "accepted", why: line.to_owned() };
        String::from_utf8(output.stdout).unwrap().lines().map(verdict).collect()
    }

    #[must_use]
    pub fn rust(&self, cases: &[Case]) -> Vec<Verdict> {
        let root = sigstore_verify::trust_root::TrustedRoot::from_json(&self.root).unwrap();
        let key = sigstore_verify::types::DerPublicKey::new(self.key.to_spki_der());
        let policy = PublicKeyVerificationPolicy::new(key);
        let verify = |case: &Case| {
            let json = str::from_utf8(&case.json).unwrap();
            let bundle = match sigstore_verify::types::Bundle::from_json(json) {
                Ok(bundle) => bundle,
                Err(error) => return Verdict { accepted: false, why: error.to_string() },
            };
            match sigstore_verify::verify(self.artifact.as_slice(), &bundle, &policy, &root) {
                Ok(result) => {
                    Verdict { accepted: result.tlog_verified(), why: "verified".to_owned() }
                }
                Err(error) => Verdict { accepted: false, why: error.to_string() },
            }
        };
        cases.iter().map(verify).collect()
    }
}

fn one_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).lines().collect::<Vec<_>>().join(" ")
}
