//! A policy as files: what is read from a directory before anything of it is understood.

mod manifest;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sentinel_core::json;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::manifest::with_rego_version;
pub use self::manifest::{Manifest, ManifestError, parse_manifest};
use crate::error::AnalysisError;

/// Limits of a data file: larger than a request's, since policy data is.
pub const DATA_LIMITS: json::Limits = json::Limits {
    max_bytes: 64 * 1024 * 1024,
    max_depth: 64,
    max_nodes: 8_000_000,
    max_string_bytes: 1024 * 1024,
    max_key_bytes: 4096,
};

/// What a policy directory may cost, and how it is read.
#[derive(Debug, Clone, Copy)]
pub struct SourceLimits {
    pub max_files: u64,
    /// All files together.
    pub max_bytes: u64,
    /// Directories inside directories.
    pub max_depth: u64,
    /// Whether files are Rego v0 where neither they nor a manifest state a version.
    pub v0_compatible: bool,
}

impl Default for SourceLimits {
    fn default() -> Self {
        Self { max_files: 1_000, max_bytes: 64 * 1024 * 1024, max_depth: 16, v0_compatible: false }
    }
}

const TEST_SUFFIX: &str = "_test.rego";

/// The files of a policy. Nothing but the manifest is parsed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicySource {
    /// `*.rego`, by path within the directory.
    pub(crate) rego: BTreeMap<String, String>,
    /// `*_test.rego`: they test, and decide nothing.
    pub(crate) tests: BTreeMap<String, String>,
    /// `data.json`, `data.yaml`, `data.yml`, by path within the directory.
    pub(crate) data: BTreeMap<String, String>,
    pub(crate) manifest: Manifest,
    /// As it is written, of a directory.
    pub(crate) manifest_text: Option<String>,
    revision: Arc<str>,
    digest: String,
}

/// Name of the manifest, at the top of a policy.
pub const MANIFEST: &str = ".manifest";
const MAX_AUTHOR: usize = 256;
impl PolicySource {
    /// Reads a policy directory: `*.rego` at any depth, `data.json|yaml|yml` where the directory
    /// is the path of the data, and `.manifest` at the top. Hidden files and other files are left
    /// alone; links are followed, as mounted volumes need it.
    ///
    /// # Errors
    /// When a file cannot be read or is not UTF-8, a limit is exceeded, the manifest is malformed,
    /// or there is no policy at all.
    pub fn read(dir: &Path, limits: &SourceLimits) -> Result<Self, AnalysisError> {
        let (mut files, mut bytes) = (Vec::new(), 0);
        walk(dir, "", 0, limits, &mut |inner, path, _| {
            if files.len() as u64 >= limits.max_files {
                return Err(AnalysisError::TooMuch { what: "files", limit: limits.max_files });
            }
            let text = read_bounded(path, limits.max_bytes - bytes)
                .map_err(|source| AnalysisError::Io { path: path.to_owned(), source })?
                .ok_or(AnalysisError::TooMuch { what: "bytes", limit: limits.max_bytes })?;
            bytes += text.len() as u64;
            files.push((inner, text));
            Ok(())
        })?;
        let source = Self::from_files(files).map_err(|error| match error {
            AnalysisError::Empty(_) => AnalysisError::Empty(dir.to_owned()),
            other => other,
        })?;
        Ok(if limits.v0_compatible { source.v0_compatible() } else { source })
    }

    /// The same with `"rego_version": 0` in its manifest, unless that states a version already.
    #[must_use]
    pub fn v0_compatible(self) -> Self {
        if self.manifest.rego_version.is_some() {
            return self;
        }
        let manifest_text = with_rego_version(self.manifest_text.as_deref(), 0);
        let stated = Some(self.revision.as_ref()).filter(|_| !self.of_contents());
        let mut manifest = self.manifest.clone();
        manifest.rego_version = Some(0);
        let made = Self::of(self.rego, self.tests, self.data, manifest, stated);
        Self { manifest_text: Some(manifest_text), ..made }
    }

    /// Whether the revision is one of the contents.
    fn of_contents(&self) -> bool {
        *self.revision == *of_digest(&self.digest)
    }

    /// What changes when a file of a policy directory does: its name, size, time or place on disk.
    /// Nothing is read.
    ///
    /// # Errors
    /// When a directory cannot be listed, or a limit is exceeded.
    pub fn fingerprint(dir: &Path, limits: &SourceLimits) -> Result<String, AnalysisError> {
        use std::os::unix::fs::MetadataExt as _;
        let mut found = Vec::new();
        walk(dir, "", 0, limits, &mut |inner, _, about| {
            let (size, time) = (about.len(), (about.mtime(), about.mtime_nsec()));
            found.push(format!("{inner}\0{size} {time:?} {}", about.ino()));
            Ok(())
        })?;
        found.sort_unstable();
        Ok(hex::encode(Sha256::digest(found.join("\n"))))
    }

    /// Makes a source of files given as (path, text).
    ///
    /// # Errors
    /// When the manifest is malformed or there is no policy at all.
    pub fn from_files<P: Into<String>, T: Into<String>>(
        files: impl IntoIterator<Item = (P, T)>,
    ) -> Result<Self, AnalysisError> {
        let (mut rego, mut tests, mut data) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut manifest = None;
        for (path, text) in files {
            let (path, text) = (path.into(), text.into());
            match kind(&path) {
                Some(Kind::Rego) => rego.insert(path, text),
                Some(Kind::Test) => tests.insert(path, text),
                Some(Kind::Data) => data.insert(path, text),
                Some(Kind::Manifest) => manifest.replace(text),
                None => None,
            };
        }
        if rego.is_empty() {
            return Err(AnalysisError::Empty(PathBuf::from(".")));
        }
        let parsed = manifest.as_deref().map_or(Ok(Manifest::default()), |text| {
            parse_manifest(text).map_err(|detail| AnalysisError::invalid(MANIFEST, &detail))
        })?;
        Ok(Self { manifest_text: manifest, ..Self::of(rego, tests, data, parsed, None) })
    }

    /// Makes a source of what a bundle holds: every policy file of it decides, tests included.
    /// Where the manifest states no revision it is `revision`, or one of the contents.
    ///
    /// # Errors
    /// When there is no policy at all.
    pub fn of_bundle(
        rego: BTreeMap<String, String>,
        data: BTreeMap<String, String>,
        manifest: Manifest,
        revision: Option<&str>,
    ) -> Result<Self, AnalysisError> {
        if rego.is_empty() {
            return Err(AnalysisError::Empty(PathBuf::from(".")));
        }
        Ok(Self::of(rego, BTreeMap::new(), data, manifest, revision))
    }

    fn of(
        rego: BTreeMap<String, String>,
        tests: BTreeMap<String, String>,
        data: BTreeMap<String, String>,
        manifest: Manifest,
        revision: Option<&str>,
    ) -> Self {
        let digest = digest(rego.iter().chain(&data), &manifest);
        let revision = match manifest.revision.as_deref().or(revision) {
            Some(revision) => revision.into(),
            None => of_digest(&digest).into(),
        };
        Self { rego, tests, data, manifest, manifest_text: None, revision, digest }
    }

    /// The manifest's revision, or `sha256:` and the first 16 hex digits of the digest.
    #[must_use]
    pub fn revision(&self) -> &Arc<str> {
        &self.revision
    }

    /// Every file, by its path within the policy.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        let manifest = self.manifest_text.iter().map(|text| (MANIFEST, text.as_str()));
        let files = self.rego.iter().chain(&self.tests).chain(&self.data);
        files.map(|(path, text)| (path.as_str(), text.as_str())).chain(manifest)
    }

    /// `*.rego`, by path within the directory: what decides.
    #[must_use]
    pub fn rego(&self) -> &BTreeMap<String, String> {
        &self.rego
    }

    /// `*_test.rego`, by path within the directory: they test, and decide nothing.
    #[must_use]
    pub fn tests(&self) -> &BTreeMap<String, String> {
        &self.tests
    }

    /// The same policy with other tests beside it. They are not part of its digest.
    #[must_use]
    pub fn with_tests(self, tests: BTreeMap<String, String>) -> Self {
        Self { tests, ..self }
    }

    /// Puts another text in place of a policy or test file. Revision and digest stay those of the
    /// policy that it was.
    pub fn set_text(&mut self, file: String, text: String) {
        let files = if self.tests.contains_key(&file) { &mut self.tests } else { &mut self.rego };
        files.insert(file, text);
    }

    /// `data.json`, `data.yaml` and `data.yml`, by path within the directory.
    #[must_use]
    pub fn data(&self) -> &BTreeMap<String, String> {
        &self.data
    }

    /// The manifest as it is written, of a directory.
    #[must_use]
    pub fn manifest_text(&self) -> Option<&str> {
        self.manifest_text.as_deref()
    }

    /// Who wrote it, where the manifest's metadata says so.
    #[must_use]
    pub fn author(&self) -> Option<&str> {
        self.manifest.metadata.get("author")?.as_str().filter(|author| author.len() <= MAX_AUTHOR)
    }

    /// Whether a file is there to test, by its name. In a bundle it is part of the policy, too, and
    /// tests may be in any other file.
    #[must_use]
    pub fn is_test(file: &str) -> bool {
        file.ends_with(TEST_SUFFIX)
    }

    /// SHA-256 over names and contents of everything that decides (tests do not), in hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// The revision of a policy that states none.
fn of_digest(digest: &str) -> String {
    format!("sha256:{}", digest.get(..16).unwrap_or(digest))
}

enum Kind {
    Rego,
    Test,
    Data,
    Manifest,
}

fn kind(path: &str) -> Option<Kind> {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name {
        _ if path == MANIFEST => Some(Kind::Manifest),
        _ if name.starts_with('.') => None,
        "data.json" | "data.yaml" | "data.yml" => Some(Kind::Data),
        _ if name.ends_with(TEST_SUFFIX) => Some(Kind::Test),
        _ if name.ends_with(".rego") => Some(Kind::Rego),
        _ => None,
    }
}

/// Whether a file is one that policy is made of.
#[must_use]
pub fn is_policy_file(path: &str) -> bool {
    kind(path).is_some()
}

/// Lengths precede what they measure, so that no two sets of files have the same bytes.
fn digest<'a>(
    files: impl Iterator<Item = (&'a String, &'a String)>,
    manifest: &Manifest,
) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    };
    for (path, text) in files {
        add(path);
        add(text);
    }
    if *manifest != Manifest::default() {
        add(MANIFEST);
        // What of the manifest has a meaning, in one order.
        add(&serde_json::to_string(manifest).unwrap_or_default());
    }
    hex::encode(hash.finalize())
}

/// Visits the files that policy is made of: path within the directory, path, metadata.
fn walk(
    dir: &Path,
    prefix: &str,
    depth: u64,
    limits: &SourceLimits,
    visit: &mut impl FnMut(String, &Path, &std::fs::Metadata) -> Result<(), AnalysisError>,
) -> Result<(), AnalysisError> {
    if depth > limits.max_depth {
        let limit = limits.max_depth;
        return Err(AnalysisError::TooMuch { what: "levels of directories", limit });
    }
    let io = |source| AnalysisError::Io { path: dir.to_owned(), source };
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let path = entry.path();
        if name.starts_with('.') && !(name == MANIFEST && prefix.is_empty()) {
            continue;
        }
        let inner = format!("{prefix}{name}");
        let metadata = std::fs::metadata(&path)
            .map_err(|source| AnalysisError::Io { path: path.clone(), source })?;
        if metadata.is_dir() {
            walk(&path, &format!("{inner}/"), depth + 1, limits, visit)?;
        } else if metadata.is_file() && kind(&inner).is_some() {
            visit(inner, &path, &metadata)?;
        }
    }
    Ok(())
}

/// `None` when the file is longer than `limit`, which its size on disk need not say.
fn read_bounded(path: &Path, limit: u64) -> std::io::Result<Option<String>> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(limit.saturating_add(1)).read_to_string(&mut text)?;
    Ok((text.len() as u64 <= limit).then_some(text))
}
