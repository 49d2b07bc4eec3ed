//! The file of the key that wraps the payload keys of tenants.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sentinel_service::payloads::{LocalKeyWrapper, RawKey};
use sentinel_signers::{into_new_file, owner_only};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::parts::private_file::write_new;

/// Bytes of a file that may hold a key; larger ones surely do not.
const MAX_BYTES: u64 = 1024;

/// Where the key comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A file that must exist.
    File(PathBuf),
    /// A file that is made when there is none.
    Made(PathBuf),
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PayloadKeyError {
    #[error("cannot read the payload key `{}`: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("the payload key `{}` is a directory", path.display())]
    Directory { path: PathBuf },
    #[error("the payload key `{}` can be read by others (mode {mode:04o})", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the payload key `{}` is not 32 bytes in hexadecimal or base64", path.display())]
    Invalid { path: PathBuf },
    #[error("cannot make the payload key `{}`: {error}", path.display())]
    NotMade { path: PathBuf, error: io::Error },
}

impl PayloadKeyError {
    /// How to fix it. Nothing that is advised writes over a file or removes one.
    pub(crate) fn fix(&self) -> String {
        const RESTORE: &str = "another key reads nothing of what this one sealed";
        match self {
            Self::Exposed { path, .. } => owner_only(path, "600"),
            Self::Unreadable { path, error } if error.kind() == io::ErrorKind::NotFound => {
                let make = into_new_file("openssl rand -hex 32", path);
                format!(
                    "correct the path, or restore the file: {RESTORE}; if there never was one, make \
                     it: {make}"
                )
            }
            Self::Unreadable { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => {
                "let the user that runs this own the file, with mode 600, and enter the directories \
                 above it"
                    .to_owned()
            }
            Self::Unreadable { .. } => format!("see that the file can be read; {RESTORE}"),
            Self::Directory { .. } => "name the file of the key in it".to_owned(),
            Self::NotMade { .. } => "let the user that runs this write to its directory".to_owned(),
            Self::Invalid { .. } => format!("restore the file; {RESTORE}"),
        }
    }

    /// The failure of a command, with its fix.
    pub(crate) fn failure(&self) -> Failure {
        Failure::new(self.to_string()).help(self.fix())
    }
}

impl Source {
    /// The wrapper with this key. To be called once the database is held: of two processes that
    /// start in the same directory, only one makes its key.
    ///
    /// # Errors
    /// Those of [`load`], or when no key can be made.
    pub(crate) fn wrapper(&self) -> Result<LocalKeyWrapper, PayloadKeyError> {
        let (Self::File(path) | Self::Made(path)) = self;
        let key = match (load(path), self) {
            (Err(PayloadKeyError::Unreadable { error, .. }), Self::Made(path))
                if error.kind() == io::ErrorKind::NotFound =>
            {
                make(path).and_then(|()| load(path))
            }
            (loaded, _) => loaded,
        }?;
        LocalKeyWrapper::new(&key).map_err(|_| PayloadKeyError::Invalid { path: path.clone() })
    }
}

/// Reads a key.
///
/// # Errors
/// When it cannot be read, is readable by others, or is not a key.
pub(crate) fn load(path: &Path) -> Result<RawKey, PayloadKeyError> {
    let unreadable = |error| PayloadKeyError::Unreadable { path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    // Of the open file, so that what is checked is what is read.
    let about = file.metadata().map_err(unreadable)?;
    if about.is_dir() {
        return Err(PayloadKeyError::Directory { path: path.to_owned() });
    }
    let mode = about.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(PayloadKeyError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(64));
    file.take(MAX_BYTES).read_to_end(&mut text).map_err(unreadable)?;
    parse(&text).ok_or_else(|| PayloadKeyError::Invalid { path: path.to_owned() })
}

fn parse(text: &[u8]) -> Option<RawKey> {
    let text = text.trim_ascii();
    let bytes = match text.len() {
        64 => hex::decode(text).ok()?,
        _ => STANDARD.decode(text).ok()?,
    };
    let bytes = Zeroizing::new(bytes);
    bytes.as_slice().try_into().ok().map(Zeroizing::new)
}

fn make(path: &Path) -> Result<(), PayloadKeyError> {
    let failed = |error| PayloadKeyError::NotMade { path: path.to_owned(), error };
    let mut key = Zeroizing::new([0_u8; 32]);
    getrandom::fill(key.as_mut_slice()).map_err(|error| failed(io::Error::other(error)))?;
    let text = Zeroizing::new(format!("{}\n", hex::encode(*key)));
    write_new(path, text.as_bytes()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("payload-key");
        write_new(&path, text.as_bytes()).unwrap();
        (dir, path)
    }

    #[test]
    fn a_key_is_32_bytes_in_hexadecimal_or_base64() {
        let hexadecimal = format!(" {}\n", "0a".repeat(32));
        let base64 = format!("{}\n", STANDARD.encode([10; 32]));
        for text in [hexadecimal.as_str(), base64.as_str()] {
            assert_eq!(*load(&file(text).1).unwrap(), [10; 32], "{text}");
        }
        let long = "0a".repeat(33);
        let raw = "k".repeat(32);
        let not_hexadecimal = "zz".repeat(32);
        for text in ["", "0a", long.as_str(), raw.as_str(), not_hexadecimal.as_str()] {
            let (_dir, path) = file(text);
            let error = load(&path).unwrap_err();
            assert!(matches!(error, PayloadKeyError::Invalid { .. }), "{text}: {error}");
            assert!(text.is_empty() || !error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_its_fix() {
        let (_dir, path) = file(&"0a".repeat(32));
        std::fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
        let error = load(&path).unwrap_err();
        assert!(error.to_string().contains("0604"), "{error}");
        assert_eq!(error.fix(), format!("chmod 600 '{}'", path.display()));
    }

    #[test]
    fn a_key_is_made_once_and_only_where_it_may_be() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        assert!(Source::File(path.clone()).wrapper().is_err());
        assert!(!path.exists());
        Source::Made(path.clone()).wrapper().unwrap();
        let made = load(&path).unwrap();
        Source::Made(path.clone()).wrapper().unwrap();
        assert_eq!(*load(&path).unwrap(), *made);
        std::fs::write(&path, "no key").unwrap();
        assert!(Source::Made(path.clone()).wrapper().is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"no key");
    }
}
