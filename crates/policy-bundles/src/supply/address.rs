//! Addresses of bundles.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use url::Url;

use super::file::FileSource;
use super::git::{GitSource, Remote};
use super::http::HttpSource;
use super::object::ObjectSource;
use super::source::{BundleSource, FetchError};

/// How a source is reached, besides its address.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// A file with the token that is sent.
    pub token_file: Option<PathBuf>,
    /// How long a server may keep a question until there is something new.
    pub long_poll: Option<Duration>,
    /// How long a response may take in addition to `long_poll`; one minute by default.
    pub timeout: Option<Duration>,
    /// Who may sign commits, in the form of `ssh-keygen`; with it, unsigned ones are refused.
    pub allowed_signers: Option<PathBuf>,
    /// Where a copy of a Git repository is kept.
    pub work_dir: Option<PathBuf>,
    /// Larger bundles are refused.
    pub max_bytes: u64,
}

/// Why an address cannot be used. It is not repeated, as it may contain a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("it is not an address: {0}")]
    NotAnAddress(#[from] url::ParseError),
    #[error(
        "it begins with none of `file:///`, `https://`, `s3://`, `git+https://`, `git+ssh://` and `git+file:///`"
    )]
    Scheme,
    #[error(
        "`http://` to another machine: the token could be read, and bundles held back, on the way"
    )]
    ClearText,
    #[error("it contains a name or a password, which belong into the file of the token")]
    Secrets,
    #[error("it names a machine, or has more than a path behind `file:///`")]
    NotAPath,
    #[error("it names no bucket, or no object in it")]
    NoObject,
    #[error("`#{0}` is not a branch or tag, with a directory behind `:` if wanted")]
    Reference(String),
    #[error("{0}")]
    Unusable(String),
}

impl From<FetchError> for AddressError {
    fn from(error: FetchError) -> Self {
        Self::Unusable(error.to_string())
    }
}

/// The source at an address. Nothing is asked yet.
///
/// # Errors
/// When the address cannot be used.
pub fn open(
    address: &str,
    access: &Access,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Box<dyn BundleSource>, AddressError> {
    let url = Url::parse(address)?;
    let ssh = url.scheme() == "git+ssh";
    if url.password().is_some() || !(ssh || url.username().is_empty()) {
        return Err(AddressError::Secrets);
    }
    let max_bytes = access.max_bytes;
    Ok(match url.scheme() {
        "file" => Box::new(FileSource { path: local_path(&url)?, max_bytes }),
        "https" | "http" => {
            if url.scheme() == "http" && !sentinel_policy::is_loopback(&url) {
                return Err(AddressError::ClearText);
            }
            Box::new(HttpSource::new(url, access)?)
        }
        "s3" => Box::new(object(&url, environment, max_bytes)?),
        scheme => {
            let scheme = scheme.strip_prefix("git+").ok_or(AddressError::Scheme)?;
            Box::new(git(address, &url, scheme, access)?)
        }
    })
}

fn local_path(url: &Url) -> Result<PathBuf, AddressError> {
    if url.query().is_some() || url.fragment().is_some() {
        return Err(AddressError::NotAPath);
    }
    url.to_file_path().map_err(|()| AddressError::NotAPath)
}

fn object(
    url: &Url,
    environment: impl IntoIterator<Item = (String, String)>,
    max_bytes: u64,
) -> Result<ObjectSource, AddressError> {
    if url.query().is_some() || url.fragment().is_some() {
        return Err(AddressError::Secrets);
    }
    let unusable = |error: &dyn std::fmt::Display| AddressError::Unusable(error.to_string());
    let path = Path::from_url_path(url.path()).map_err(|error| unusable(&error))?;
    let Some(bucket) = url.host_str().filter(|host| !host.is_empty() && !path.as_ref().is_empty())
    else {
        return Err(AddressError::NoObject);
    };
    // The address wins over a variable that names another bucket.
    let builder = sentinel_objects::s3_builder(environment).with_bucket_name(bucket);
    let storage = builder.build().map_err(|error| unusable(&error))?;
    Ok(ObjectSource { storage: Arc::new(storage), path, max_bytes })
}

fn git(address: &str, url: &Url, scheme: &str, access: &Access) -> Result<GitSource, AddressError> {
    match scheme {
        "https" | "ssh" | "file" => {}
        _ => return Err(AddressError::Scheme),
    }
    if url.query().is_some() {
        return Err(AddressError::Secrets);
    }
    let fragment = url.fragment().unwrap_or("main");
    let (reference, folder) = match fragment.split_once(':') {
        Some((reference, folder)) => (reference, folder.trim_matches('/')),
        None => (fragment, ""),
    };
    if !is_plain(reference) || !(folder.is_empty() || is_plain(folder)) {
        return Err(AddressError::Reference(fragment.to_owned()));
    }
    let Some(work_dir) = &access.work_dir else {
        return Err(AddressError::Unusable("a directory is needed for a copy of it".to_owned()));
    };
    let repository = address.split('#').next().unwrap_or_default();
    let remote = Remote {
        url: repository.strip_prefix("git+").unwrap_or(repository).to_owned(),
        reference: reference.to_owned(),
        folder: folder.to_owned(),
    };
    Ok(GitSource::new(
        remote,
        work_dir.join("git"),
        access.token_file.clone(),
        access.allowed_signers.clone(),
        access.max_bytes,
    ))
}

/// A name that is neither an option nor leads elsewhere.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    !name.is_empty()
        && name.chars().all(plain)
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with(['.', '-']))
        && !name.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_used_or_refused_for_what_they_are() {
        let access = Access { work_dir: Some("/tmp".into()), max_bytes: 1, ..Access::default() };
        let kind = |address: &str| {
            let opened = open(address, &access, []).map(|source| format!("{source:?}"));
            opened.map(|text| text.split(['(', ' ']).next().unwrap_or_default().to_owned())
        };
        for (address, source) in [
            ("file:///etc/bundle.tar.gz", "FileSource"),
            ("https://bundles.example/policy.tar.gz", "HttpSource"),
            ("http://127.0.0.1:8080/policy.tar.gz", "HttpSource"),
            ("s3://bucket/policies/bundle.tar.gz", "ObjectSource"),
            ("git+https://git.example/policies.git", "GitSource"),
            ("git+ssh://git@git.example/policies.git#release/1.x:teams/a", "GitSource"),
            ("git+file:///srv/policies.git#v1.2.3", "GitSource"),
        ] {
            assert_eq!(kind(address).as_deref(), Ok(source), "{address}");
        }
        for address in [
            "bundle.tar.gz",
            "ftp://x/y",
            "git+http://git.example/policies.git",
            "git+ext::sh",
            "http://bundles.example/policy.tar.gz",
            "https://user:hunter2@bundles.example/policy.tar.gz",
            "https://token@bundles.example/policy.tar.gz",
            "file://host/bundle.tar.gz",
            "s3://bucket",
            "s3://bucket/x?secret=hunter2",
            "git+https://git.example/p.git#--upload-pack=x",
            "git+https://git.example/p.git#a..b",
            "git+https://git.example/p.git#main:../x",
            "git+https://git.example/p.git#main:-x",
        ] {
            let error = kind(address).expect_err(address).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
