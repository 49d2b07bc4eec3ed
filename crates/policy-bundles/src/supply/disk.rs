//! Files that are replaced as a whole, and their hashes.

use std::io::Write as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// The hash of the bytes, in hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Puts a file in place of another, so that at every moment one of the two is there as a whole, and
/// the new one is on disk afterwards.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = dir.join(format!(".{name}.{}", std::process::id()));
    let written = std::fs::File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        std::fs::File::open(dir)?.sync_all()
    });
    if written.is_err() {
        drop(std::fs::remove_file(&beside));
    }
    written
}
