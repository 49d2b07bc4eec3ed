//! `.manifest`: what a policy states of itself.

use std::collections::BTreeMap;

use sentinel_core::json;
use serde::{Deserialize, Serialize};

use super::DATA_LIMITS;

const MAX_REVISION: usize = 128;
/// The fields of a manifest that have a meaning here.
const KNOWN: [&str; 6] =
    ["revision", "roots", "rego_version", "file_rego_versions", "metadata", "wasm"];

/// Why a manifest is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("{0}")]
    Json(String),
    #[error("`{field}` must be written `{}`", field.to_ascii_lowercase())]
    Respelt { field: String },
    #[error("`rego_version` must be 0 or 1")]
    RegoVersion,
    #[error("`file_rego_versions` may have no patterns but `*` and `?`")]
    Pattern,
    /// OPA leaves open which of the two counts.
    #[error("`file_rego_versions` states two versions for `{file}`, by `{first}` and `{second}`")]
    TwoVersions { file: String, first: String, second: String },
    #[error("`wasm` names policies that are not evaluated here")]
    Wasm,
    #[error("`revision` must be 1 to 128 graphic ascii characters")]
    Revision,
    #[error("the roots `{0}` and `{1}` overlap")]
    Roots(String, String),
}

/// `.manifest`, as in OPA's bundles. Fields that are not known are left alone, as OPA does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Empty is none: that is what `opa build` writes unless told a revision.
    pub revision: Option<String>,
    /// Paths that every package and all data must lie under: `["sentinel/policy"]`.
    pub roots: Option<Vec<String>>,
    pub rego_version: Option<u8>,
    /// What single files are, in place of `rego_version`. `*` matches any text, `?` one
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
    /// When two patterns for the file state different ones.
    pub(crate) fn rego_version_of(&self, file: &str) -> Result<u8, ManifestError> {
        let path = file.trim_start_matches('/');
        let own = self.file_rego_versions.iter();
        let mut own = own.filter(|(pattern, _)| matches(pattern.trim_start_matches('/'), path));
        let Some((first, version)) = own.next() else { return Ok(self.rego_version.unwrap_or(1)) };
        match own.find(|(_, other)| *other != version) {
            None => Ok(*version),
            Some((second, _)) => Err(ManifestError::TwoVersions {
                file: file.to_owned(),
                first: first.clone(),
                second: second.clone(),
            }),
        }
    }
}

/// Whether a path matches a pattern. No more steps than one text is long for each `*`.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), path.chars().collect());
    let (mut at, mut from) = (0, 0);
    // Where the last `*` is, and the end of what it matches so far.
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

/// Reads the text of a manifest.
///
/// # Errors
/// When it is not strict JSON, or states what cannot be heeded here.
pub fn parse_manifest(text: &str) -> Result<Manifest, ManifestError> {
    let strict = json::parse_as(text.as_bytes(), &DATA_LIMITS);
    let fields: serde_json::Map<String, serde_json::Value> =
        strict.map_err(|error| ManifestError::Json(error.to_string()))?;
    // OPA reads these in any case of letters.
    let respelt =
        |field: &&String| KNOWN.iter().any(|k| k != field && k.eq_ignore_ascii_case(field));
    if let Some(field) = fields.keys().find(respelt) {
        return Err(ManifestError::Respelt { field: field.clone() });
    }
    let mut manifest: Manifest = serde_json::from_value(serde_json::Value::Object(fields))
        .map_err(|error| ManifestError::Json(error.to_string()))?;
    manifest.revision.take_if(|revision| revision.is_empty());
    let versions = manifest.rego_version.iter().chain(manifest.file_rego_versions.values());
    if versions.into_iter().any(|version| *version > 1) {
        return Err(ManifestError::RegoVersion);
    }
    if manifest.file_rego_versions.keys().any(|path| path.contains(['[', '{', '\\'])) {
        return Err(ManifestError::Pattern);
    }
    if !manifest.wasm.is_empty() {
        return Err(ManifestError::Wasm);
    }
    if manifest.revision.as_ref().is_some_and(|revision| {
        revision.len() > MAX_REVISION || !revision.bytes().all(|byte| byte.is_ascii_graphic())
    }) {
        return Err(ManifestError::Revision);
    }
    let roots = manifest.roots.as_deref().unwrap_or_default();
    if let Some((a, b)) = overlapping(roots) {
        return Err(ManifestError::Roots(a.to_owned(), b.to_owned()));
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

/// The text of a manifest with the version; what else it states stays as it is.
pub(super) fn with_rego_version(text: Option<&str>, version: u8) -> String {
    let known = text.and_then(|text| serde_json::from_str(text).ok());
    let mut fields: serde_json::Map<String, serde_json::Value> = known.unwrap_or_default();
    fields.insert("rego_version".to_owned(), version.into());
    serde_json::Value::Object(fields).to_string()
}
