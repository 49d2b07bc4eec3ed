//! Addresses of keys in services, in the forms that cosign and similar tools use.

use std::fmt;
use std::sync::Arc;

use url::Url;

use crate::aws::AwsKms;
use crate::credentials::Access;
use crate::error::SignersError;
use crate::google::GoogleKms;
use crate::key::KeyService;
use crate::transport::base_of;
use crate::vault::Vault;

/// Where a key is.
///
/// - `vault://host:8200/transit/key`, the path of the engine before the name of the key;
///   `?version=2` pins a version, `?namespace=team` names a namespace.
/// - `awskms:///alias/key`, `awskms:///1234abcd-…` or `awskms:///arn:aws:kms:…`; a host in front
///   (`awskms://vpce-….amazonaws.com/…`) is another endpoint.
/// - `gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1`;
///   `?endpoint=host` is another endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAddress {
    text: String,
    service: Service,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Service {
    Vault(VaultKey),
    Aws(AwsKey),
    Google(GoogleKey),
}

/// A key in Vault's Transit engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VaultKey {
    pub(crate) base: Url,
    pub(crate) mount: String,
    pub(crate) key: String,
    /// `None` pins the newest version at the time the key is opened.
    pub(crate) version: Option<u32>,
    pub(crate) namespace: Option<String>,
}

/// A key in AWS KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AwsKey {
    pub(crate) endpoint: Option<Url>,
    pub(crate) region: Option<String>,
    pub(crate) key: String,
}

/// A version of a key in Google's KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GoogleKey {
    pub(crate) base: Url,
    pub(crate) name: String,
}

impl KeyAddress {
    /// Reads an address.
    ///
    /// # Errors
    /// [`SignersError::Address`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, SignersError> {
        let parsed = match text.split_once("://") {
            Some(("vault", rest)) => vault(rest).map(Service::Vault),
            Some(("awskms", rest)) => aws(rest).map(Service::Aws),
            Some(("gcpkms", rest)) => google(rest).map(Service::Google),
            _ => Err("it begins with none of `vault://`, `awskms://` and `gcpkms://`"),
        };
        match parsed {
            Ok(service) => Ok(Self { text: text.to_owned(), service }),
            // A user name and password would have no place in an address, and are not repeated.
            Err(why) => {
                let shown = if text.contains('@') { "…" } else { text };
                Err(SignersError::Address { address: shown.to_owned(), why })
            }
        }
    }

    /// Asks the service for the public half of the key.
    ///
    /// # Errors
    /// When the service is unavailable or refuses, or the key is of an unsupported kind.
    pub async fn open(&self, access: &Access) -> Result<Arc<dyn KeyService>, SignersError> {
        Ok(match &self.service {
            Service::Vault(key) => Arc::new(Vault::open(key, access).await?),
            Service::Aws(key) => Arc::new(AwsKms::open(key, access).await?),
            Service::Google(key) => Arc::new(GoogleKms::open(key, access).await?),
        })
    }
}

impl fmt::Display for KeyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn vault(rest: &str) -> Result<VaultKey, &'static str> {
    let (place, parameters) = split_parameters(rest);
    let (host, path) = place.split_once('/').ok_or("it names no engine and no key")?;
    let base = base_of(host).ok_or("its host is not one")?;
    let (mount, key) = path.rsplit_once('/').ok_or("it names no engine before the key")?;
    if !path.split('/').all(is_segment) {
        return Err(
            "its path has a part that is empty or has other characters than letters, digits, `-`, `_` and `.`",
        );
    }
    let mut found = VaultKey {
        base,
        mount: mount.to_owned(),
        key: key.to_owned(),
        version: None,
        namespace: None,
    };
    for (name, value) in parameters {
        match name {
            "version" => {
                let version = value.parse().ok().filter(|version| *version > 0);
                found.version = Some(version.ok_or("its version is not a number from 1 on")?);
            }
            "namespace" if value.split('/').all(is_segment) => {
                found.namespace = Some(value.to_owned());
            }
            _ => return Err("it has a parameter other than `version` and `namespace`"),
        }
    }
    Ok(found)
}

fn aws(rest: &str) -> Result<AwsKey, &'static str> {
    let (host, key) = rest.split_once('/').ok_or("it names no key")?;
    let endpoint = match host {
        "" => None,
        host => Some(base_of(host).ok_or("its endpoint is not a host")?),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | ':');
    if key.is_empty() || key.len() > 2048 || !key.chars().all(allowed) {
        return Err("it names no key by its identifier, alias or ARN");
    }
    let region = match key.strip_prefix("arn:") {
        Some(arn) => Some(
            arn.split(':')
                .nth(2)
                .filter(|region| is_segment(region))
                .ok_or("its ARN names no region")?
                .to_owned(),
        ),
        None => None,
    };
    Ok(AwsKey { endpoint, region, key: key.to_owned() })
}

fn google(rest: &str) -> Result<GoogleKey, &'static str> {
    let (name, parameters) = split_parameters(rest);
    let mut base = base_of("cloudkms.googleapis.com").ok_or("its endpoint is not a host")?;
    for (parameter, value) in parameters {
        match parameter {
            "endpoint" => base = base_of(value).ok_or("its endpoint is not a host")?,
            _ => return Err("it has a parameter other than `endpoint`"),
        }
    }
    let parts: Vec<_> = name.split('/').collect();
    let [
        "projects",
        project,
        "locations",
        location,
        "keyRings",
        ring,
        "cryptoKeys",
        key,
        versions,
        version,
    ] = parts.as_slice()
    else {
        return Err("it is not projects/…/locations/…/keyRings/…/cryptoKeys/…/cryptoKeyVersions/…");
    };
    // Projects of an organization's domain have a colon.
    let sound = |part: &&str| is_segment(&part.replace(':', "-"));
    let pinned = matches!(*versions, "cryptoKeyVersions" | "versions")
        && version.parse::<u32>().is_ok_and(|version| version > 0);
    if !pinned {
        return Err("it names no version of the key (`/cryptoKeyVersions/1`)");
    }
    if ![project, location, ring, key].into_iter().all(sound) {
        return Err(
            "its path has a part that is empty or has other characters than letters, digits, `-`, `_` and `.`",
        );
    }
    let name = format!(
        "projects/{project}/locations/{location}/keyRings/{ring}/cryptoKeys/{key}/cryptoKeyVersions/{version}"
    );
    Ok(GoogleKey { base, name })
}

fn split_parameters(text: &str) -> (&str, Vec<(&str, &str)>) {
    let Some((place, parameters)) = text.split_once('?') else { return (text, Vec::new()) };
    let pair = |part| str::split_once(part, '=').unwrap_or((part, ""));
    (place, parameters.split('&').map(pair).collect())
}

/// Whether a path segment needs no escaping in a URL and is not `..`.
fn is_segment(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !part.is_empty() && part != "." && part != ".." && part.chars().all(allowed)
}
