//! The keys that a configuration names, and what is wrong with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sentinel_provenance::PublicKey;
use sentinel_signers::{
    Access, Holds, KeyAddress, KeyService as _, KeySource, Passphrase, PublicHalf, Secret,
    SignersError, into_new_file,
};

use super::Config;
use super::problems::Problem;

/// Hours that a key of a server is certified for by a key with a service.
const HOURS: u32 = 24;

/// Keys that are there, as far as can be seen without asking a service.
#[derive(Debug, Clone)]
pub(crate) struct GivenKeys {
    pub(crate) manifests: GivenKey,
    /// `None` leaves the key of the log to the database.
    pub(crate) log: Option<KeySource>,
    /// Key of the log that is to be ended; `None` leaves that to the database too.
    pub(crate) previous_log: Option<KeySource>,
    /// Trusted still, and not signing any more.
    pub(crate) retired: Vec<PublicKey>,
}

/// The key that signs manifests, or certifies those that do.
#[derive(Debug, Clone)]
pub(crate) struct GivenKey {
    pub(crate) source: KeySource,
    /// For how long it certifies keys; `None` signs manifests with the key itself.
    pub(crate) certifies_for: Option<Duration>,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Manifests,
    Log,
    PreviousLog,
}

impl Use {
    /// What its fields begin with.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Manifests => "signing_key",
            Self::Log => "log_key",
            Self::PreviousLog => "log_previous_key",
        }
    }

    /// What people call it.
    const fn name(self) -> &'static str {
        match self {
            Self::Manifests => "signing key",
            Self::Log => "log key",
            Self::PreviousLog => "previous log key",
        }
    }

    /// How a key for it is made, where there is no file yet.
    fn make(self, path: &Path) -> String {
        let algorithm = match self {
            Self::Manifests => "EC -pkeyopt ec_paramgen_curve:P-256",
            Self::Log | Self::PreviousLog => "ED25519",
        };
        into_new_file(&format!("openssl genpkey -algorithm {algorithm}"), path)
    }

    /// How one is made beside a file that holds something else, which may be another key in use.
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
        let general = error.mend().unwrap_or_default();
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
struct Fields<'a> {
    of: Use,
    file: Option<&'a Path>,
    variable: Option<&'a str>,
    service: Option<&'a str>,
    passphrase_file: Option<&'a Path>,
    passphrase_variable: Option<&'a str>,
    token_file: Option<&'a Path>,
    environment: &'a BTreeMap<String, String>,
}

/// Checks everything about keys that can be checked without asking a service.
pub(crate) fn check(
    config: &Config,
    environment: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Option<GivenKeys> {
    let mut or_problem =
        |found: Result<_, Problem>| found.map_err(|problem| problems.push(problem)).ok().flatten();
    let manifests = or_problem(manifests(config, environment).source().and_then(|source| {
        source.map(Some).ok_or_else(|| {
            let make = Use::Manifests.make(Path::new("signing-key.pem"));
            let mend = format!(
                "make a key: {make}; then set `signing_key_file` (or SENTINEL_SIGNING_KEY_FILE); \
                 docs/signing-keys.md has other places for a key"
            );
            Problem::new("`signing_key_file` is missing", mend)
        })
    }));
    let before = problems.len();
    let log = log(config, environment).source().map_err(|problem| problems.push(problem));
    let previous_log = previous_log(config, environment).source();
    let previous_log = previous_log.map_err(|problem| problems.push(problem));
    let retired: Vec<_> = config.retired_key_files.iter().map(|path| retired(path)).collect();
    let retired: Result<Vec<_>, _> = retired.into_iter().collect();
    let retired = retired.map_err(|problem| problems.push(problem));
    if config.key_service_token_file.is_some()
        && config.signing_key_service.is_none()
        && config.log_key_service.is_none()
    {
        problems.push(Problem::new(
            "`key_service_token_file` is set, and no key is with a service",
            "set `signing_key_service` or `log_key_service`, or remove it",
        ));
    }
    if problems.len() > before {
        return None;
    }
    let source = manifests?;
    let hours = match &source {
        KeySource::Service { .. } => Some(config.replica_key_hours.unwrap_or(HOURS)),
        KeySource::File { .. } | KeySource::Variable { .. } => config.replica_key_hours,
    };
    let certifies_for = hours.map(|hours| Duration::from_secs(u64::from(hours) * 3600));
    let manifests = GivenKey { source, certifies_for };
    let (log, previous_log, retired) = (log.ok()?, previous_log.ok()?, retired.ok()?);
    Some(GivenKeys { manifests, log, previous_log, retired })
}

fn manifests<'a>(config: &'a Config, environment: &'a BTreeMap<String, String>) -> Fields<'a> {
    Fields {
        of: Use::Manifests,
        file: config.signing_key_file.as_deref(),
        variable: config.signing_key_env.as_deref(),
        service: config.signing_key_service.as_deref(),
        passphrase_file: config.signing_key_passphrase_file.as_deref(),
        passphrase_variable: config.signing_key_passphrase_env.as_deref(),
        token_file: config.key_service_token_file.as_deref(),
        environment,
    }
}

fn log<'a>(config: &'a Config, environment: &'a BTreeMap<String, String>) -> Fields<'a> {
    Fields {
        of: Use::Log,
        file: config.log_key_file.as_deref(),
        variable: config.log_key_env.as_deref(),
        service: config.log_key_service.as_deref(),
        passphrase_file: config.log_key_passphrase_file.as_deref(),
        passphrase_variable: config.log_key_passphrase_env.as_deref(),
        token_file: config.key_service_token_file.as_deref(),
        environment,
    }
}

fn previous_log<'a>(config: &'a Config, environment: &'a BTreeMap<String, String>) -> Fields<'a> {
    Fields {
        of: Use::PreviousLog,
        file: config.log_previous_key_file.as_deref(),
        variable: None,
        service: None,
        passphrase_file: None,
        passphrase_variable: None,
        token_file: None,
        environment,
    }
}

impl Fields<'_> {
    /// Where the key is; `None` when no field says so.
    fn source(&self) -> Result<Option<KeySource>, Problem> {
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
            Problem::new(what, error.mend().unwrap_or_default())
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

    /// Whether the key can be read, and is of the kind that is needed.
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

fn retired(path: &Path) -> Result<PublicKey, Problem> {
    let found = std::fs::read_to_string(path).map_err(|error| error.to_string());
    let found =
        found.and_then(|pem| PublicKey::from_spki_pem(&pem).map_err(|error| error.to_string()));
    found.map_err(|error| {
        Problem::new(
            format!("`{}` in `retired_key_files` cannot be used: {error}", path.display()),
            "list public keys in PEM, as `openssl pkey -in KEY -pubout` prints them",
        )
    })
}
