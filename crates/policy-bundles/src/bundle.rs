//! One bundle: policy and data as one `tar.gz`, with a manifest, and signed if wanted.
//!
//! What is not signed by a key that is trusted is not looked at further than its archive, and of
//! what is signed every file is accounted for. A bundle is made reproducibly: the same files give
//! the same bytes.

use std::collections::BTreeMap;
use std::path::Path;

use sentinel_policy_analysis::{
    MANIFEST, Manifest, PolicySource, SourceLimits, is_policy_file, parse_manifest,
};

use crate::archive::{self, BundleLimits};
use crate::error::{BundleError, SupplyError};
use crate::names::{PATCH, SIGNATURES};
use crate::signature::{self, Signer, Signing, Trust};

/// A bundle whose archive, manifest and signature are sound. Its policy has yet to be vetted.
#[derive(Debug, Clone)]
pub struct Bundle {
    files: BTreeMap<String, Vec<u8>>,
    manifest: Manifest,
    signer: Option<Signer>,
}

impl Bundle {
    /// Reads a bundle. With `trust` it must be signed by a key of it; without, it must not be
    /// signed, since no key could show whether the signature is good.
    ///
    /// # Errors
    /// When it is not a bundle, exceeds a limit, has an entry other than files and directories, is
    /// a delta bundle, or its signature is missing, wrong or not of exactly these files.
    pub fn open(
        bytes: &[u8],
        limits: &BundleLimits,
        trust: Option<&Trust>,
    ) -> Result<Self, BundleError> {
        let mut files = archive::read(bytes, limits)?;
        let signatures = files.remove(SIGNATURES);
        let signer = match (signatures, trust) {
            (None, None) => None,
            (None, Some(_)) => return Err(BundleError::Unsigned),
            (Some(_), None) => return Err(BundleError::NoKey),
            (Some(text), Some(trust)) => Some(signature::verify(&text, &files, trust)?),
        };
        Self::of(files, signer)
    }

    /// Reads a bundle to look at it: it says who signed it, and is not verified.
    ///
    /// # Errors
    /// As [`Bundle::open`], but for the signature.
    pub fn inspect(bytes: &[u8], limits: &BundleLimits) -> Result<Self, BundleError> {
        let mut files = archive::read(bytes, limits)?;
        let signatures = files.remove(SIGNATURES);
        let signer = signatures.map(|text| signature::claimed(&text)).transpose()?;
        Self::of(files, signer)
    }

    /// Makes a bundle of files given as (path, contents).
    ///
    /// # Errors
    /// When a path is not one that a bundle may have, or the manifest is malformed.
    pub fn from_files(
        files: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Result<Self, BundleError> {
        let mut checked = BTreeMap::new();
        for (path, contents) in files {
            let path = archive::checked_path(path.as_bytes())?;
            if let Some(twice) = checked.insert(path.clone(), contents).map(|_| path) {
                return Err(BundleError::Twice(twice));
            }
        }
        checked.remove(SIGNATURES);
        Self::of(checked, None)
    }

    /// Makes a bundle of a policy directory. Its tests stay out: in a bundle they would decide.
    /// With a revision the manifest states that one.
    ///
    /// # Errors
    /// As [`PolicySource::read`] and [`Bundle::from_files`].
    pub fn from_directory(
        dir: &Path,
        limits: &SourceLimits,
        revision: Option<&str>,
    ) -> Result<Self, SupplyError> {
        Self::of_directory(&PolicySource::read(dir, limits)?, revision)
    }

    /// Makes a bundle of a policy directory as it is in the `tar` of a repository: what
    /// [`Bundle::from_directory`] takes of it. Its tests come beside it.
    ///
    /// # Errors
    /// When the archive exceeds a limit, or there is no policy in it.
    pub(crate) fn from_repository(
        tar: &[u8],
        limits: &BundleLimits,
    ) -> Result<(Self, BTreeMap<String, String>), SupplyError> {
        let files = archive::read_tar(tar, limits)?;
        let hidden =
            |path: &str| path != MANIFEST && path.split('/').any(|part| part.starts_with('.'));
        let texts = files
            .iter()
            .filter(|(path, _)| !hidden(path) && is_policy_file(path))
            .map(|(path, contents)| Ok((path.as_str(), utf8(path, contents)?)))
            .collect::<Result<Vec<_>, BundleError>>()?;
        let source = PolicySource::from_files(texts)?;
        Ok((Self::of_directory(&source, None)?, source.tests().clone()))
    }

    fn of_directory(source: &PolicySource, revision: Option<&str>) -> Result<Self, SupplyError> {
        let texts = source.rego().iter().chain(source.data());
        let mut files: Vec<_> = texts.map(|(path, text)| (path.clone(), text.clone())).collect();
        if let Some(text) = manifest_with(source.manifest_text(), revision)? {
            files.push((MANIFEST.to_owned(), text));
        }
        let files = files.into_iter().map(|(path, text)| (path, text.into_bytes()));
        Ok(Self::from_files(files)?)
    }

    fn of(files: BTreeMap<String, Vec<u8>>, signer: Option<Signer>) -> Result<Self, BundleError> {
        files.keys().try_for_each(|path| refuse_unreadable(path))?;
        let manifest = match files.get(MANIFEST) {
            Some(text) => parse_manifest(utf8(MANIFEST, text)?)
                .map_err(|detail| BundleError::file(MANIFEST, detail))?,
            None => Manifest::default(),
        };
        Ok(Self { files, manifest, signer })
    }

    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    #[must_use]
    pub fn signer(&self) -> Option<&Signer> {
        self.signer.as_ref()
    }

    /// Every file but the signatures.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, contents)| (path.as_str(), contents.as_slice()))
    }

    /// What policy is made of. Every `*.rego` decides, tests included, as in OPA. Where the
    /// manifest states no revision it is `revision`, or one of the contents.
    ///
    /// # Errors
    /// When a file is not UTF-8, or none is Rego.
    pub fn source(&self, revision: Option<&str>) -> Result<PolicySource, SupplyError> {
        let (mut rego, mut data) = (BTreeMap::new(), BTreeMap::new());
        for (path, contents) in self.files() {
            let files = match kind(path) {
                Kind::Rego => &mut rego,
                Kind::Data => &mut data,
                Kind::Other => continue,
            };
            files.insert(path.to_owned(), utf8(path, contents)?.to_owned());
        }
        Ok(PolicySource::of_bundle(rego, data, self.manifest.clone(), revision)?)
    }

    /// The bytes of the bundle, signed if there is a key.
    ///
    /// # Errors
    /// When a file that has to be hashed by its value is malformed.
    pub fn write(&self, signing: Option<&Signing<'_>>) -> Result<Vec<u8>, BundleError> {
        let signatures =
            signing.map(|signing| signature::sign(&self.files, signing)).transpose()?;
        let mut files: Vec<(&str, &[u8])> = self.files().collect();
        files.extend(signatures.as_deref().map(|text| (SIGNATURES, text)));
        files.sort_unstable();
        archive::write(&files).map_err(|error| BundleError::Archive(error.to_string()))
    }
}

/// The text of a manifest with another revision, its other fields as they are.
fn manifest_with(
    text: Option<&str>,
    revision: Option<&str>,
) -> Result<Option<String>, BundleError> {
    let Some(revision) = revision else { return Ok(text.map(str::to_owned)) };
    let malformed = |error| BundleError::file(MANIFEST, error);
    let fields =
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text.unwrap_or("{}"));
    let mut fields = fields.map_err(malformed)?;
    fields.insert("revision".to_owned(), revision.into());
    serde_json::to_string(&fields).map(Some).map_err(malformed)
}

/// What a file is to OPA.
enum Kind {
    Rego,
    Data,
    Other,
}

fn kind(path: &str) -> Kind {
    match path.rsplit('/').next().unwrap_or(path) {
        "data.json" | "data.yaml" | "data.yml" => Kind::Data,
        _ if path.ends_with(".rego") => Kind::Rego,
        _ => Kind::Other,
    }
}

/// Files that would change what OPA decides, and that are not read here.
fn refuse_unreadable(path: &str) -> Result<(), BundleError> {
    let refuse = |why| Err(BundleError::Unreadable { file: path.to_owned(), why });
    match path.rsplit('/').next().unwrap_or(path) {
        PATCH => Err(BundleError::Delta),
        SIGNATURES => refuse("signatures must be at the top of the bundle"),
        "policy.wasm" => refuse("policies that are compiled to WebAssembly are not evaluated"),
        name if name.ends_with(".manifest.pb") => {
            refuse("the manifest must be JSON (`.manifest`), not protocol buffers")
        }
        name if name.ends_with(MANIFEST) && path != MANIFEST => {
            refuse("the manifest must be at the top of the bundle")
        }
        _ => Ok(()),
    }
}

fn utf8<'a>(path: &str, contents: &'a [u8]) -> Result<&'a str, BundleError> {
    std::str::from_utf8(contents).map_err(|error| BundleError::file(path, error))
}
