//! Where files lie, as an address says it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, RetryConfig};
use url::Url;

/// How long a request that fails is tried again. A user at a terminal wants to hear of it, and
/// a server looks again later.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why an address cannot be used. The address is not repeated, as it may contain a secret.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error("it is not an address: {0}")]
    NotAnAddress(#[from] url::ParseError),
    #[error("it begins neither with `file:///` nor with `s3://`")]
    Scheme,
    #[error("it names a machine or has more than a path behind `file:///`")]
    NotAPath,
    #[error("the directory `{0}` does not exist")]
    NoDirectory(String),
    #[error("it names no bucket")]
    NoBucket,
    #[error("it contains a name, a password or parameters, which belong into the environment")]
    Secrets,
    #[error(transparent)]
    Storage(#[from] object_store::Error),
}

/// A folder of an object storage.
#[derive(Debug, Clone)]
pub struct Folder {
    pub storage: Arc<dyn ObjectStore>,
    /// The folder within the storage; empty for all of it.
    pub path: Path,
    /// The directory of this machine that the storage is, if it is one.
    pub directory: Option<PathBuf>,
}

impl Folder {
    /// The folder at `url`: `file:///directory`, or `s3://bucket/folder`, for which the variables
    /// of `environment` that begin with `AWS_` say the rest. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn open(
        url: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, AddressError> {
        let url = Url::parse(url)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Secrets);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Secrets);
        }
        match url.scheme() {
            "file" => directory(&url),
            "s3" => bucket(&url, environment),
            _ => Err(AddressError::Scheme),
        }
    }
}

fn directory(url: &Url) -> Result<Folder, AddressError> {
    let path = url.to_file_path().map_err(|()| AddressError::NotAPath)?;
    if !path.is_dir() {
        return Err(AddressError::NoDirectory(path.display().to_string()));
    }
    // Others rely on what was written, or delete it elsewhere: it has to be on the disk.
    let storage = LocalFileSystem::new_with_prefix(&path)?.with_fsync(true);
    Ok(Folder { storage: Arc::new(storage), path: Path::default(), directory: Some(path) })
}

fn bucket(
    url: &Url,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Folder, AddressError> {
    let Some(bucket) = url.host_str().filter(|host| !host.is_empty()) else {
        return Err(AddressError::NoBucket);
    };
    let path = Path::from_url_path(url.path()).map_err(object_store::Error::from)?;
    let retry = RetryConfig { retry_timeout: PATIENCE, ..RetryConfig::default() };
    let builder = s3_builder(environment).with_retry(retry);
    // The address wins over a variable that names another bucket.
    let storage = builder.with_bucket_name(bucket).build()?;
    Ok(Folder { storage: Arc::new(storage), path, directory: None })
}

/// What the variables of `environment` that begin with `AWS_` say about S3.
pub fn s3_builder(environment: impl IntoIterator<Item = (String, String)>) -> AmazonS3Builder {
    // A bucket that keeps what it has (object lock) takes nothing without a checksum.
    let mut builder = AmazonS3Builder::new().with_checksum_algorithm(Checksum::SHA256);
    for (name, value) in environment {
        let key = name.starts_with("AWS_").then(|| name.to_ascii_lowercase().parse());
        if let Some(Ok(key)) = key {
            let key: AmazonS3ConfigKey = key;
            builder = builder.with_config(key, value);
        }
    }
    builder
}
