//! cosign as it comes, asked about a bundle.

use std::fs;
use std::path::Path;
use std::process::Command;

use sentinel_provenance::PublicKey;

/// What it is given besides the bundle.
pub(crate) struct Trust<'a> {
    pub(crate) key: &'a PublicKey,
    pub(crate) root: &'a [u8],
    pub(crate) artifact: &'a [u8],
}

/// Whether it accepts the bundle; or what it says against it.
pub(crate) fn accepts(bundle: &[u8], trust: &Trust<'_>, options: &[&str]) -> Result<(), String> {
    let cosign = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/cosign");
    assert!(cosign.exists(), "cosign is needed; `scripts/install.sh test` installs it");
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("trusted-root.json", trust.root);
    write("signer.pub", trust.key.to_spki_pem().unwrap().as_bytes());
    write("artifact", trust.artifact);
    write("bundle.json", bundle);
    let output = Command::new(cosign)
        .args(["verify-blob-attestation", "--key", "signer.pub"])
        .args(["--trusted-root", "trusted-root.json"])
        .args(["--type", sentinel_provenance::PREDICATE_TYPE])
        .args(options)
        .args(["--bundle", "bundle.json", "artifact"])
        .current_dir(folder.path())
        // Its cache is not the user's.
        .env("HOME", folder.path())
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
