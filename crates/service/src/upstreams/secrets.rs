//! Reading the secrets that a transport refers to, when an upstream is connected.

use std::io::Read as _;

use sentinel_core::upstream::SecretRef;

/// Largest secret, in bytes.
const MAX_SECRET: u64 = 64 * 1024;

/// Why a secret cannot be read. The message names the reference, and nothing of the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret `{reference}` {why}")]
pub struct SecretUnavailable {
    reference: String,
    why: &'static str,
}

/// The secret that `reference` refers to, as it is now: a file may have been rotated. The end of
/// the line behind it is left out. Blocks while a file is read.
///
/// # Errors
/// When it is not there, empty, too large, or not one line of text.
pub fn secret(reference: &SecretRef) -> Result<String, SecretUnavailable> {
    let unavailable = |why| SecretUnavailable { reference: reference.to_string(), why };
    let text = match reference {
        SecretRef::Env(name) => std::env::var(name).map_err(|_| unavailable("is not set"))?,
        SecretRef::File(path) => {
            let mut text = String::new();
            let file = std::fs::File::open(path).map_err(|_| unavailable("cannot be opened"))?;
            let read = file.take(MAX_SECRET + 1).read_to_string(&mut text);
            read.map_err(|_| unavailable("cannot be read"))?;
            text
        }
    };
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_SECRET {
        return Err(unavailable("is larger than 64 KiB"));
    }
    if line.is_empty() || line.contains(['\n', '\r', '\0']) {
        return Err(unavailable("is not one line of text"));
    }
    Ok(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_line_and_is_never_in_a_message() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let reference: SecretRef = format!("file:{}", path.display()).parse().unwrap();
        assert!(secret(&reference).unwrap_err().to_string().contains("cannot be opened"));
        for (content, expected) in [
            ("hunter2", Some("hunter2")),
            ("hunter2\r\n", Some("hunter2")),
            ("hunter2\nX-Other: 1", None),
            ("\n", None),
            ("", None),
        ] {
            std::fs::write(&path, content).unwrap();
            match secret(&reference) {
                Ok(found) => assert_eq!(Some(found.as_str()), expected),
                Err(error) => {
                    assert_eq!(expected, None);
                    assert!(!error.to_string().contains("hunter2"));
                }
            }
        }
        std::fs::write(&path, "x".repeat(70_000)).unwrap();
        assert!(secret(&reference).is_err());
    }
}
