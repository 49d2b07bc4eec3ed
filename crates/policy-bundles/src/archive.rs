//! The archive of a bundle: read within limits, and written so that equal files give equal bytes.

use std::collections::BTreeMap;
use std::io::{self, Read, Write as _};

use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use tar::{Archive, EntryType, Header};

use crate::error::BundleError;

/// What a bundle may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleLimits {
    /// As it is transferred.
    pub max_compressed: u64,
    /// All files together, unpacked.
    pub max_bytes: u64,
    /// Files and directories.
    pub max_entries: u64,
    /// Bytes of one path.
    pub max_path: usize,
}

impl Default for BundleLimits {
    fn default() -> Self {
        Self {
            max_compressed: 32 * 1024 * 1024,
            max_bytes: 64 * 1024 * 1024,
            max_entries: 4_000,
            max_path: 512,
        }
    }
}

/// Directories inside directories. Each is a level of data.
const MAX_DEPTH: usize = 16;
/// What an entry may take besides its contents: headers, long names, padding.
const ENTRY_OVERHEAD: u64 = 4 * 1024;

/// The files of a `tar.gz`, by path.
pub(crate) fn read(
    bytes: &[u8],
    limits: &BundleLimits,
) -> Result<BTreeMap<String, Vec<u8>>, BundleError> {
    if bytes.len() as u64 > limits.max_compressed {
        return Err(BundleError::TooMuch { what: "bytes", limit: limits.max_compressed });
    }
    read_tar(MultiGzDecoder::new(bytes), limits)
}

/// The files of a `tar`, by path. All of it is read, so that a cut or damaged archive is noticed.
pub(crate) fn read_tar(
    tar: impl Read,
    limits: &BundleLimits,
) -> Result<BTreeMap<String, Vec<u8>>, BundleError> {
    let overhead = limits.max_entries.saturating_mul(ENTRY_OVERHEAD);
    let most = limits.max_bytes.saturating_add(overhead);
    let mut bounded = tar.take(most.saturating_add(1));
    let unpacked = unpack(&mut bounded, limits);
    let rest = io::copy(&mut bounded, &mut io::sink());
    // Whatever the archive looks like where it was cut off: it is too large.
    if bounded.limit() == 0 {
        return Err(BundleError::TooMuch { what: "bytes when unpacked", limit: limits.max_bytes });
    }
    let files = unpacked?;
    rest.map_err(|error| not_an_archive(&error))?;
    Ok(files)
}

fn unpack(tar: impl Read, limits: &BundleLimits) -> Result<BTreeMap<String, Vec<u8>>, BundleError> {
    let mut archive = Archive::new(tar);
    let mut files = BTreeMap::new();
    let (mut entries, mut bytes) = (0_u64, 0_u64);
    for entry in archive.entries().map_err(|error| not_an_archive(&error))? {
        let mut entry = entry.map_err(|error| not_an_archive(&error))?;
        entries += 1;
        if entries > limits.max_entries {
            return Err(BundleError::TooMuch { what: "entries", limit: limits.max_entries });
        }
        match entry.header().entry_type() {
            // What `git archive` says of itself.
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            EntryType::Regular => {}
            _ => {
                let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                return Err(BundleError::Entry { path, why: "is neither file nor directory" });
            }
        }
        let path = entry.path_bytes().into_owned();
        if path.len() > limits.max_path {
            return Err(BundleError::TooMuch {
                what: "bytes in a path",
                limit: limits.max_path as u64,
            });
        }
        let path = checked_path(&path)?;
        let left = limits.max_bytes - bytes;
        let mut contents = Vec::new();
        let read = entry.by_ref().take(left.saturating_add(1)).read_to_end(&mut contents);
        read.map_err(|error| not_an_archive(&error))?;
        let length = contents.len() as u64;
        if length > left {
            return Err(BundleError::TooMuch {
                what: "bytes when unpacked",
                limit: limits.max_bytes,
            });
        }
        // The archive ended inside the file.
        if length != entry.size() {
            return Err(BundleError::Archive(format!("`{path}` is cut off")));
        }
        bytes += length;
        if files.insert(path.clone(), contents).is_some() {
            return Err(BundleError::Twice(path));
        }
    }
    Ok(files)
}

/// A path within the bundle, as its signature names it. OPA writes paths with a slash in front and
/// `tar` with `./`; anything else that is not plain is refused.
pub(crate) fn checked_path(path: &[u8]) -> Result<String, BundleError> {
    let refused =
        |why| BundleError::Entry { path: String::from_utf8_lossy(path).into_owned(), why };
    let text = std::str::from_utf8(path).map_err(|_| refused("is not utf-8"))?;
    let inner = text.strip_prefix('/').or_else(|| text.strip_prefix("./")).unwrap_or(text);
    if inner.chars().any(|c| c.is_control() || c == '\\') {
        return Err(refused("has a control character or a backslash"));
    }
    if inner.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(refused("is not a plain path within the bundle"));
    }
    if inner.split('/').count() > MAX_DEPTH + 1 {
        return Err(refused("is too deep"));
    }
    Ok(inner.to_owned())
}

fn not_an_archive(error: &io::Error) -> BundleError {
    BundleError::Archive(error.to_string())
}

/// A `tar.gz` of files, in the order given: no times, no owners, no name of a system.
pub(crate) fn write(files: &[(&str, &[u8])]) -> io::Result<Vec<u8>> {
    const ANY_SYSTEM: u8 = 255;
    let gzip = GzBuilder::new().mtime(0).operating_system(ANY_SYSTEM);
    let mut tar = tar::Builder::new(gzip.write(Vec::new(), Compression::best()));
    for (path, contents) in files {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(contents.len() as u64);
        tar.append_data(&mut header, path, *contents)?;
    }
    let mut gzip = tar.into_inner()?;
    gzip.flush()?;
    gzip.finish()
}
