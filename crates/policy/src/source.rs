//! A policy as files: what is read from a directory before anything of it is understood.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sentinel_core::json;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::LoadError;

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

/// `.manifest`, as in OPA's bundles. Fields that are not known are left alone, as OPA does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Empty is none: that is what `opa build` writes unless told a revision.
    pub revision: Option<String>,
    /// Paths that every package and all data must lie under: `["sentinel/policy"]`.
    pub roots: Option<Vec<String>>,
    pub rego_version: Option<u8>,
    /// What single files are, in place of `rego_version`. `*` stands for any text, `?` for one
    /// character, as in OPA; a `/` is one like any other.
    #[serde(default)]
    file_rego_versions: BTreeMap<String, u8>,
    #[serde(default)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    wasm: Vec<serde_json::Value>,
}

impl Manifest {
    /// The version of Rego that a file is in, unless it states one itself.
    ///
    /// # Errors
    /// When two patterns for the file state different ones: OPA leaves open which of them counts.
    pub(crate) fn rego_version_of(&self, file: &str) -> Result<u8, String> {
        let path = file.trim_start_matches('/');
        let own = self.file_rego_versions.iter();
        let mut own = own.filter(|(pattern, _)| matches(pattern.trim_start_matches('/'), path));
        let Some((first, version)) = own.next() else { return Ok(self.rego_version.unwrap_or(1)) };
        match own.find(|(_, other)| *other != version) {
            None => Ok(*version),
            Some((second, _)) => Err(format!(
                "`file_rego_versions` states two versions for `{file}`, by `{first}` and `{second}`"
            )),
        }
    }
}

/// Whether a path is what a pattern stands for. No more steps than one text is long for each `*`.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), path.chars().collect());
    let (mut at, mut from) = (0, 0);
    // Where the last `*` is, and the end of what it stands for so far.
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = path.get(from) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(p) if *p == '?' || p == c => (at, from) = (at + 1, from + 1),
            _ => {
                let Some((place, end)) = star else { return false };
                star = Some((place, end + 1));
                (at, from) = (place + 1, end + 1);
            }
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|c| *c == '*')
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

pub(crate) const MANIFEST: &str = ".manifest";
const MAX_REVISION: usize = 128;
const MAX_AUTHOR: usize = 256;
/// The fields of a manifest that have a meaning here.
const KNOWN: [&str; 6] =
    ["revision", "roots", "rego_version", "file_rego_versions", "metadata", "wasm"];

impl PolicySource {
    /// Reads a policy directory: `*.rego` at any depth, `data.json|yaml|yml` where the directory
    /// is the path of the data, and `.manifest` at the top. Hidden files and other files are left
    /// alone; links are followed, as mounted volumes need it.
    ///
    /// # Errors
    /// When a file cannot be read or is not UTF-8, a limit is exceeded, the manifest is malformed,
    /// or there is no policy at all.
    pub fn read(dir: &Path, limits: &SourceLimits) -> Result<Self, LoadError> {
        let (mut files, mut bytes) = (Vec::new(), 0);
        walk(dir, "", 0, limits, &mut |inner, path, _| {
            if files.len() as u64 >= limits.max_files {
                return Err(LoadError::TooMuch { what: "files", limit: limits.max_files });
            }
            let text = read_bounded(path, limits.max_bytes - bytes)
                .map_err(|source| LoadError::Io { path: path.to_owned(), source })?
                .ok_or(LoadError::TooMuch { what: "bytes", limit: limits.max_bytes })?;
            bytes += text.len() as u64;
            files.push((inner, text));
            Ok(())
        })?;
        let source = Self::from_files(files).map_err(|error| match error {
            LoadError::Empty(_) => LoadError::Empty(dir.to_owned()),
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
        let manifest = Manifest { rego_version: Some(0), ..self.manifest.clone() };
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
    pub fn fingerprint(dir: &Path, limits: &SourceLimits) -> Result<String, LoadError> {
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
        let parsed = manifest.as_deref().map_or(Ok(Manifest::default()), |text| {
            parse_manifest(text).map_err(|detail| LoadError::invalid(MANIFEST, &detail))
        })?;
        Ok(Self { manifest_text: manifest, ..Self::of(rego, tests, data, parsed, None) })
    }

    /// Makes a source of what a bundle holds.
    pub(crate) fn of_bundle(
        rego: BTreeMap<String, String>,
        data: BTreeMap<String, String>,
        manifest: Manifest,
        revision: Option<&str>,
    ) -> Result<Self, LoadError> {
        if rego.is_empty() {
            return Err(LoadError::Empty(PathBuf::from(".")));
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

    /// Who wrote it, where the manifest's metadata says so.
    #[must_use]
    pub fn author(&self) -> Option<&str> {
        self.manifest.metadata.get("author")?.as_str().filter(|author| author.len() <= MAX_AUTHOR)
    }

    /// Whether a file is there to test, by its name. In a bundle it is part of the policy, too, and
    /// tests may be in any other file.
    pub(crate) fn is_test(file: &str) -> bool {
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

/// The text of a manifest with the version; what else it states stays as it is.
fn with_rego_version(text: Option<&str>, version: u8) -> String {
    let known = text.and_then(|text| serde_json::from_str(text).ok());
    let mut fields: serde_json::Map<String, serde_json::Value> = known.unwrap_or_default();
    fields.insert("rego_version".to_owned(), version.into());
    serde_json::Value::Object(fields).to_string()
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
pub(crate) fn is_policy_file(path: &str) -> bool {
    kind(path).is_some()
}

pub(crate) fn parse_manifest(text: &str) -> Result<Manifest, String> {
    let strict = json::parse_as(text.as_bytes(), &crate::build::DATA);
    let fields: serde_json::Map<String, serde_json::Value> =
        strict.map_err(|error| error.to_string())?;
    // OPA reads these in any case of letters.
    let respelt =
        |field: &&String| KNOWN.iter().any(|k| k != field && k.eq_ignore_ascii_case(field));
    if let Some(field) = fields.keys().find(respelt) {
        return Err(format!("`{field}` must be written `{}`", field.to_ascii_lowercase()));
    }
    let mut manifest: Manifest = serde_json::from_value(serde_json::Value::Object(fields))
        .map_err(|error| error.to_string())?;
    manifest.revision.take_if(|revision| revision.is_empty());
    let versions = manifest.rego_version.iter().chain(manifest.file_rego_versions.values());
    if versions.into_iter().any(|version| *version > 1) {
        return Err("`rego_version` must be 0 or 1".to_owned());
    }
    if manifest.file_rego_versions.keys().any(|path| path.contains(['[', '{', '\\'])) {
        let patterns = "`file_rego_versions` may have no patterns but `*` and `?`";
        return Err(patterns.to_owned());
    }
    if !manifest.wasm.is_empty() {
        return Err("`wasm` names policies that are not evaluated here".to_owned());
    }
    if manifest.revision.as_ref().is_some_and(|revision| {
        revision.len() > MAX_REVISION || !revision.bytes().all(|byte| byte.is_ascii_graphic())
    }) {
        return Err("`revision` must be 1 to 128 graphic ascii characters".to_owned());
    }
    let roots = manifest.roots.as_deref().unwrap_or_default();
    if let Some((a, b)) = overlapping(roots) {
        return Err(format!("the roots `{a}` and `{b}` overlap"));
    }
    Ok(manifest)
}

/// Two roots of which one is within the other. The empty root is all.
fn overlapping(roots: &[String]) -> Option<(&str, &str)> {
    let parts = |root: &'_ String| -> Vec<String> {
        root.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    roots.iter().enumerate().find_map(|(index, a)| {
        let (wide, mut others) = (parts(a), roots.iter().enumerate());
        let found = others.find(|(other, b)| *other != index && parts(b).starts_with(&wide));
        found.map(|(_, b)| (a.as_str(), b.as_str()))
    })
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
    visit: &mut impl FnMut(String, &Path, &std::fs::Metadata) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    if depth > limits.max_depth {
        let limit = limits.max_depth;
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
