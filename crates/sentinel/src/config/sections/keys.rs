//! The keys that sign manifests and the checkpoints of the transparency log.

mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use sentinel_provenance::PublicKey;
use sentinel_signers::KeySource;
use serde::{Deserialize, Serialize};

use self::source::{Fields, Use};
use crate::config::problems::{Problem, Problems};
use crate::config::section::Section;
use crate::environment;
use crate::parts::signing_key::GivenKey;

/// Hours for which a key with a service certifies the key of a server, by default.
const HOURS: u32 = 24;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Keys {
    /// ECDSA P-256 private key that signs manifests, as a PKCS#8 PEM file that only its owner can
    /// read, encrypted or not. This, `signing_key_env` or `signing_key_service` is required.
    pub(crate) signing_key_file: Option<PathBuf>,
    /// Name of the environment variable that holds that key, as PEM.
    pub(crate) signing_key_env: Option<String>,
    /// Service that holds that key and signs with it: `vault://host:8200/transit/key`,
    /// `awskms:///alias/key` or `gcpkms://projects/…/cryptoKeyVersions/1`; see
    /// docs/signing-keys.md.
    pub(crate) signing_key_service: Option<String>,
    /// File with the passphrase of an encrypted signing key, which only its owner can read.
    pub(crate) signing_key_passphrase_file: Option<PathBuf>,
    /// Name of the environment variable that holds that passphrase.
    pub(crate) signing_key_passphrase_env: Option<String>,
    /// Hours for which each server has a key of its own certified by the signing key, replaced at
    /// half of that time: manifests are signed in memory. 24 for a key with a service; by default
    /// a key in a file signs manifests itself.
    #[schemars(range(min = 1, max = 8760))]
    pub(crate) replica_key_hours: Option<u32>,
    /// Public keys, in PEM, that signed or certified before: what they vouch for stays verified.
    pub(crate) retired_key_files: Vec<PathBuf>,
    /// Ed25519 private key that signs the checkpoints of the transparency log, as a PKCS#8 PEM file
    /// that only its owner can read, encrypted or not. Unless this, `log_key_env` or
    /// `log_key_service` is set, the database keeps a key.
    pub(crate) log_key_file: Option<PathBuf>,
    /// Name of the environment variable that holds that key, as PEM.
    pub(crate) log_key_env: Option<String>,
    /// Service that holds that key and signs with it, in the forms of `signing_key_service`.
    pub(crate) log_key_service: Option<String>,
    /// Key that the log had under its earlier name, a file like `log_key_file` without a
    /// passphrase: ends that log. Needed until it is ended, and only for a key that the database
    /// does not keep.
    pub(crate) log_previous_key_file: Option<PathBuf>,
    /// File with the passphrase of an encrypted log key, which only its owner can read.
    pub(crate) log_key_passphrase_file: Option<PathBuf>,
    /// Name of the environment variable that holds that passphrase.
    pub(crate) log_key_passphrase_env: Option<String>,
    /// File with the token for Vault or for Google's KMS, read again each time. Without it, Vault's
    /// is that of VAULT_TOKEN, and Google's that of the usual credentials.
    pub(crate) key_service_token_file: Option<PathBuf>,
}

/// Keys that exist, as far as can be seen without asking a service.
#[derive(Debug, Clone)]
pub(crate) struct GivenKeys {
    pub(crate) manifests: GivenKey,
    /// `None` leaves the key of the log to the database.
    pub(crate) log: Option<KeySource>,
    /// Key of the log that is to be ended; `None` leaves that to the database too.
    pub(crate) previous_log: Option<KeySource>,
    /// Keys that are still trusted, and no longer sign.
    pub(crate) retired: Vec<PublicKey>,
}

impl Section for Keys {
    type Built = GivenKeys;

    fn check(&self, problems: &mut Problems) {
        if self.key_service_token_file.is_some()
            && self.signing_key_service.is_none()
            && self.log_key_service.is_none()
        {
            problems.add(
                "`key_service_token_file` is set, and no key is with a service",
                "set `signing_key_service` or `log_key_service`, or remove it",
            );
        }
    }

    fn build(&self, problems: &mut Problems) -> Option<GivenKeys> {
        let environment = environment::variables().collect();
        let manifests = problems.keep(self.manifests(&environment));
        let log = problems.keep(self.log(&environment).source());
        let previous_log = problems.keep(self.previous_log(&environment).source());
        let retired = self.retired_key_files.iter().map(|path| retired(path));
        let retired = problems.keep(retired.collect());
        let source = manifests?;
        Some(GivenKeys {
            manifests: GivenKey { certifies_for: self.certifies_for(&source), source },
            log: log?,
            previous_log: previous_log?,
            retired: retired?,
        })
    }
}

impl Keys {
    fn manifests(&self, environment: &BTreeMap<String, String>) -> Result<KeySource, Problem> {
        let fields = Fields {
            of: Use::Manifests,
            file: self.signing_key_file.as_deref(),
            variable: self.signing_key_env.as_deref(),
            service: self.signing_key_service.as_deref(),
            passphrase_file: self.signing_key_passphrase_file.as_deref(),
            passphrase_variable: self.signing_key_passphrase_env.as_deref(),
            token_file: self.key_service_token_file.as_deref(),
            environment,
        };
        fields.source()?.ok_or_else(|| {
            let make = Use::Manifests.make(Path::new("signing-key.pem"));
            let fix = format!(
                "make a key: {make}; then set `signing_key_file` (or SENTINEL_SIGNING_KEY_FILE); \
                 docs/signing-keys.md has other places for a key"
            );
            Problem::new("`signing_key_file` is missing", fix)
        })
    }

    fn log<'a>(&'a self, environment: &'a BTreeMap<String, String>) -> Fields<'a> {
        Fields {
            of: Use::Log,
            file: self.log_key_file.as_deref(),
            variable: self.log_key_env.as_deref(),
            service: self.log_key_service.as_deref(),
            passphrase_file: self.log_key_passphrase_file.as_deref(),
            passphrase_variable: self.log_key_passphrase_env.as_deref(),
            token_file: self.key_service_token_file.as_deref(),
            environment,
        }
    }

    fn previous_log<'a>(&'a self, environment: &'a BTreeMap<String, String>) -> Fields<'a> {
        Fields {
            of: Use::PreviousLog,
            file: self.log_previous_key_file.as_deref(),
            variable: None,
            service: None,
            passphrase_file: None,
            passphrase_variable: None,
            token_file: None,
            environment,
        }
    }

    /// For how long the key certifies those of servers; `None` when it signs manifests itself.
    fn certifies_for(&self, source: &KeySource) -> Option<Duration> {
        let hours = match source {
            KeySource::Service { .. } => Some(self.replica_key_hours.unwrap_or(HOURS)),
            KeySource::File { .. } | KeySource::Variable { .. } => self.replica_key_hours,
        };
        hours.map(|hours| Duration::from_secs(u64::from(hours) * 3600))
    }
}

fn retired(path: &Path) -> Result<PublicKey, Problem> {
    let problem = |error: &dyn std::fmt::Display| {
        Problem::new(
            format!("`{}` in `retired_key_files` cannot be used: {error}", path.display()),
            "list public keys in PEM, as `openssl pkey -in KEY -pubout` prints them",
        )
    };
    let pem = std::fs::read_to_string(path).map_err(|error| problem(&error))?;
    PublicKey::from_spki_pem(&pem).map_err(|error| problem(&error))
}
