//! A policy as files: what is read from a directory before anything of it is understood.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::error::LoadError;

/// What a policy directory may cost.
#[derive(Debug, Clone, Copy)]
pub struct SourceLimits {
    pub max_files: u64,
    /// All files together.
    pub max_bytes: u64,
    /// Directories inside directories.
    pub max_depth: u64,
}

impl Default for SourceLimits {
    fn default() -> Self {
        Self { max_files: 1_000, max_bytes: 64 * 1024 * 1024, max_depth: 16 }
    }
}

/// `.manifest`, as in OPA's bundles.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub revision: Option<String>,
    /// Paths that every package and all data must lie under: `["sentinel/policy"]`.
    pub roots: Option<Vec<String>>,
    pub rego_version: Option<u8>,
    #[serde(default)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// The files of a policy. Nothing but the manifest is parsed.
#[derive(Debug, Clone)]
pub struct PolicySource {
    /// `*.rego`, by path within the directory.
    pub(crate) rego: BTreeMap<String, String>,
    /// `*_test.rego`: they test, and decide nothing.
    pub(crate) tests: BTreeMap<String, String>,
    /// `data.json`, `data.yaml`, `data.yml`, by path within the directory.
    pub(crate) data: BTreeMap<String, String>,
    pub(crate) manifest: Manifest,
    manifest_text: Option<String>,
    revision: Arc<str>,
    digest: String,
}

const MANIFEST: &str = ".manifest";
const MAX_REVISION: usize = 128;
const MAX_AUTHOR: usize = 256;

impl PolicySource {
    /// Reads a policy directory: `*.rego` at any depth, `data.json|yaml|yml` where the directory
    /// is the path of the data, and `.manifest` at the top. Hidden files and other files are left
    /// alone; links are followed, as mounted volumes need it.
    ///
    /// # Errors
    /// When a file cannot be read or is not UTF-8, a limit is exceeded, the manifest is malformed,
    /// or there is no policy at all.
    pub fn read(dir: &Path, limits: &SourceLimits) -> Result<Self, LoadError> {
        let mut reader = Reader { limits, files: Vec::new(), bytes: 0 };
        reader.directory(dir, "", 0)?;
        Self::from_files(reader.files).map_err(|error| match error {
            LoadError::Empty(_) => LoadError::Empty(dir.to_owned()),
            other => other,
        })
    }

    /// Makes a source of files given as (path, text).
    ///
    /// # Errors
    /// When the manifest is malformed or there is no policy at all.
    pub fn from_files<P: Into<String>, T: Into<String>>(
        files: impl IntoIterator<Item = (P, T)>,
    ) -> Result<Self, LoadError> {
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
            return Err(LoadError::Empty(PathBuf::from(".")));
        }
        let digest = digest(rego.iter().chain(&data), manifest.as_deref());
        let manifest_text = manifest;
        let manifest = manifest_text.as_deref().map(parse_manifest).transpose()?;
        let manifest = manifest.unwrap_or_default();
        let revision = match &manifest.revision {
            Some(revision) => revision.as_str().into(),
            None => format!("sha256:{}", digest.get(..16).unwrap_or(&digest)).into(),
        };
        Ok(Self { rego, tests, data, manifest, manifest_text, revision, digest })
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

    /// Who wrote it, where the manifest's metadata says so.
    #[must_use]
    pub fn author(&self) -> Option<&str> {
        self.manifest.metadata.get("author")?.as_str().filter(|author| author.len() <= MAX_AUTHOR)
    }

    /// SHA-256 over names and contents of everything that decides (tests do not), in hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
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
        _ if name.ends_with("_test.rego") => Some(Kind::Test),
        _ if name.ends_with(".rego") => Some(Kind::Rego),
        _ => None,
    }
}

fn parse_manifest(text: &str) -> Result<Manifest, LoadError> {
    let manifest: Manifest =
        serde_json::from_str(text).map_err(|error| LoadError::invalid(MANIFEST, &error))?;
    let bad = |detail: &str| Err(LoadError::invalid(MANIFEST, detail));
    if manifest.rego_version.is_some_and(|version| version > 1) {
        return bad("`rego_version` must be 0 or 1");
    }
    if manifest.revision.as_ref().is_some_and(|revision| {
        revision.is_empty()
            || revision.len() > MAX_REVISION
            || !revision.bytes().all(|byte| byte.is_ascii_graphic())
    }) {
        return bad("`revision` must be 1 to 128 graphic ascii characters");
    }
    Ok(manifest)
}

/// Lengths precede what they measure, so that no two sets of files have the same bytes.
fn digest<'a>(
    files: impl Iterator<Item = (&'a String, &'a String)>,
    manifest: Option<&str>,
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
    if let Some(text) = manifest {
        add(MANIFEST);
        add(text);
    }
    hex::encode(hash.finalize())
}

struct Reader<'a> {
    limits: &'a SourceLimits,
    files: Vec<(String, String)>,
    bytes: u64,
}

impl Reader<'_> {
    fn directory(&mut self, dir: &Path, prefix: &str, depth: u64) -> Result<(), LoadError> {
        if depth > self.limits.max_depth {
            let limit = self.limits.max_depth;
            return Err(LoadError::TooMuch { what: "levels of directories", limit });
        }
        let io = |source| LoadError::Io { path: dir.to_owned(), source };
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
                .map_err(|source| LoadError::Io { path: path.clone(), source })?;
            if metadata.is_dir() {
                self.directory(&path, &format!("{inner}/"), depth + 1)?;
            } else if metadata.is_file() && kind(&inner).is_some() {
                self.file(&path, inner)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, inner: String) -> Result<(), LoadError> {
        let limits = self.limits;
        if self.files.len() as u64 >= limits.max_files {
            return Err(LoadError::TooMuch { what: "files", limit: limits.max_files });
        }
        let text = read_bounded(path, limits.max_bytes - self.bytes)
            .map_err(|source| LoadError::Io { path: path.to_owned(), source })?
            .ok_or(LoadError::TooMuch { what: "bytes", limit: limits.max_bytes })?;
        self.bytes += text.len() as u64;
        self.files.push((inner, text));
        Ok(())
    }
}

/// `None` when the file is longer than `limit`, which its size on disk need not say.
fn read_bounded(path: &Path, limit: u64) -> std::io::Result<Option<String>> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(limit.saturating_add(1)).read_to_string(&mut text)?;
    Ok((text.len() as u64 <= limit).then_some(text))
}
