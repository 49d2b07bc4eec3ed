//! Credentials for key services.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::HeaderValue;

use crate::error::SignersError;
use crate::source::Secret;

/// The longest token file, in bytes.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

/// Where the credentials for a service come from.
#[derive(Clone, Default)]
pub struct Access {
    /// Environment variables; each service uses its usual ones.
    pub environment: BTreeMap<String, String>,
    /// A file with a token for Vault or Google. It is read for each request, because its writer
    /// replaces the token before it expires.
    pub token_file: Option<PathBuf>,
    /// Time limit of each attempt; a few seconds by default.
    pub timeout: Option<Duration>,
}

impl Access {
    /// The value of a variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment contains secrets.
        f.debug_struct("Access").field("token_file", &self.token_file).finish_non_exhaustive()
    }
}

/// Reads a token from a file.
pub(crate) async fn read_token(service: &'static str, path: &Path) -> Result<Secret, SignersError> {
    let missing = |why: String| SignersError::Credentials {
        service,
        why: format!("cannot read the token in `{}`: {why}", path.display()),
    };
    let length = tokio::fs::metadata(path).await.map_err(|error| missing(error.to_string()))?.len();
    if length > MAX_TOKEN_BYTES {
        return Err(missing(format!("it has more than {MAX_TOKEN_BYTES} bytes")));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(|error| missing(error.to_string()))?;
    match text.trim() {
        "" => Err(missing("it is empty".to_owned())),
        token => Ok(Secret::new(token.to_owned())),
    }
}

/// A header that is not shown in `Debug` output.
pub(crate) fn secret_header(
    service: &'static str,
    prefix: &str,
    secret: &Secret,
) -> Result<HeaderValue, SignersError> {
    let mut value =
        HeaderValue::from_str(&format!("{prefix}{}", secret.as_str())).map_err(|_| {
            let why = "the token has characters that no header may have".to_owned();
            SignersError::Credentials { service, why }
        })?;
    value.set_sensitive(true);
    Ok(value)
}
