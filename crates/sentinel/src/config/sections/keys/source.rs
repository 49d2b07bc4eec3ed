//! Where one key is, and what is wrong with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sentinel_signers::{
    Access, Holds, KeyAddress, KeyService as _, KeySource, Passphrase, PublicHalf, Secret,
    SignersError, into_new_file,
};

use crate::config::problems::Problem;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Manifests,
    Log,
    PreviousLog,
}

impl Use {
    /// The prefix of its fields.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Manifests => "signing_key",
            Self::Log => "log_key",
            Self::PreviousLog => "log_previous_key",
        }
    }

    /// Its name in messages.
    const fn name(self) -> &'static str {
        match self {
            Self::Manifests => "signing key",
            Self::Log => "log key",
            Self::PreviousLog => "previous log key",
        }
    }

    /// The command that makes a key for it, where there is no file yet.
    pub(super) fn make(self, path: &Path) -> String {
        let algorithm = match self {
            Self::Manifests => "EC -pkeyopt ec_paramgen_curve:P-256",
            Self::Log | Self::PreviousLog => "ED25519",
        };
        into_new_file(&format!("openssl genpkey -algorithm {algorithm}"), path)
    }

    /// The command that makes one beside a file that holds something else, which may be another key
    /// in use.
    fn make_beside(self, path: &Path) -> String {
        let kind = match self {
            Self::Manifests => "p256",
            Self::Log | Self::PreviousLog => "ed25519",
        };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        self.make(&path.with_file_name(format!("{stem}.{kind}.pem")))
    }

    /// What to do about a key that cannot be opened.
    fn advice(self, path: Option<&Path>, error: &SignersError) -> String {
        let general = error.fix().unwrap_or_default();
        match (error, path) {
            (SignersError::Unreadable { holds: Holds::Key, error, .. }, Some(path))
                if error.kind() == std::io::ErrorKind::NotFound =>
            {
                let make = self.make(path);
                format!("{general}; if there never was a key, make one: {make}")
            }
            (SignersError::Key { .. }, Some(path)) => {
                format!("{general}; to make one beside it: {}", self.make_beside(path))
            }
            _ => general,
        }
    }

    /// What to do about a key of another kind.
    fn another(self, path: Option<&Path>) -> String {
        const LEAVE: &str = "name another key, and leave this one as it is";
        path.map_or_else(
            || LEAVE.to_owned(),
            |path| format!("{LEAVE}; to make one beside it: {}", self.make_beside(path)),
        )
    }
}

/// The fields of one key.
pub(super) struct Fields<'a> {
    pub(super) of: Use,
    pub(super) file: Option<&'a Path>,
    pub(super) variable: Option<&'a str>,
    pub(super) service: Option<&'a str>,
    pub(super) passphrase_file: Option<&'a Path>,
    pub(super) passphrase_variable: Option<&'a str>,
    pub(super) token_file: Option<&'a Path>,
    pub(super) environment: &'a BTreeMap<String, String>,
}

impl Fields<'_> {
    /// Where the key is; `None` when no field says so.
    ///
    /// # Errors
    /// When it cannot be opened, as far as that can be seen without asking a service, or when more
    /// than one field names it.
    pub(super) fn source(&self) -> Result<Option<KeySource>, Problem> {
        let prefix = self.of.prefix();
        let passphrase = self.passphrase()?;
        let source = match (self.file, self.variable, self.service) {
            (None, None, None) => {
                return match passphrase {
                    None => Ok(None),
                    Some(_) => Err(Problem::new(
                        format!("`{prefix}_passphrase_…` is set, and there is no key for it"),
                        format!("set `{prefix}_file` or `{prefix}_env`, or remove it"),
                    )),
                };
            }
            (Some(path), None, None) => KeySource::File { path: path.to_owned(), passphrase },
            (None, Some(name), None) => {
                let pem = self.variable(&format!("{prefix}_env"), name)?;
                KeySource::Variable { name: name.to_owned(), pem, passphrase }
            }
            (None, None, Some(address)) => return self.service(address, passphrase.is_some()),
            _ => {
                return Err(Problem::new(
                    format!(
                        "`{prefix}_file`, `{prefix}_env` and `{prefix}_service` name more than one key"
                    ),
                    "remove all but one of them",
                ));
            }
        };
        self.readable(&source)?;
        Ok(Some(source))
    }

    fn service(&self, address: &str, passphrase: bool) -> Result<Option<KeySource>, Problem> {
        let prefix = self.of.prefix();
        if passphrase {
            return Err(Problem::new(
                format!("`{prefix}_passphrase_…` is set, and a key with a service has none"),
                "remove it",
            ));
        }
        let address = KeyAddress::parse(address).map_err(|error| {
            let what = format!("`{prefix}_service`: {error}");
            Problem::new(what, error.fix().unwrap_or_default())
        })?;
        let access = Access {
            environment: self.environment.clone(),
            token_file: self.token_file.map(PathBuf::from),
            timeout: None,
        };
        Ok(Some(KeySource::Service { address, access }))
    }

    fn passphrase(&self) -> Result<Option<Passphrase>, Problem> {
        let prefix = self.of.prefix();
        match (self.passphrase_file, self.passphrase_variable) {
            (None, None) => Ok(None),
            (Some(path), None) => Ok(Some(Passphrase::File(path.to_owned()))),
            (None, Some(name)) => {
                let text = self.variable(&format!("{prefix}_passphrase_env"), name)?;
                Ok(Some(Passphrase::Text(text)))
            }
            (Some(_), Some(_)) => Err(Problem::new(
                format!("`{prefix}_passphrase_file` and `{prefix}_passphrase_env` are both set"),
                "remove one of them",
            )),
        }
    }

    fn variable(&self, field: &str, name: &str) -> Result<Secret, Problem> {
        let value = self.environment.get(name).filter(|value| !value.is_empty());
        value.cloned().map(Secret::new).ok_or_else(|| {
            // A secret that was written in place of a name is not repeated.
            let is_name =
                name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let shown = if is_name { name } else { "…" };
            Problem::new(
                format!("`{field}` names the variable `{shown}`, which is not set"),
                "set the variable, or correct its name; the field has a name, never the secret",
            )
        })
    }

    /// Checks that the key can be read, and is of the kind that is needed.
    fn readable(&self, source: &KeySource) -> Result<(), Problem> {
        let path = match source {
            KeySource::File { path, .. } => Some(path.as_path()),
            KeySource::Variable { .. } | KeySource::Service { .. } => None,
        };
        let held = source.read().map_err(|error: SignersError| {
            Problem::new(format!("{}: {error}", self.of.name()), self.of.advice(path, &error))
        })?;
        match (self.of, held.public_half()) {
            (Use::Manifests, PublicHalf::P256(_))
            | (Use::Log | Use::PreviousLog, PublicHalf::Ed25519(_)) => Ok(()),
            (Use::Manifests, PublicHalf::Ed25519(_)) => Err(Problem::new(
                "signing key: manifests need an ECDSA P-256 key, and it is an Ed25519 key",
                self.of.another(path),
            )),
            (Use::Log | Use::PreviousLog, PublicHalf::P256(_)) => Err(Problem::new(
                "log key: checkpoints need an Ed25519 key, and it is an ECDSA P-256 key",
                self.of.another(path),
            )),
        }
    }
}
