use std::path::PathBuf;

/// Why a configuration is left as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("`{}` has more than {limit} bytes", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("`{}` is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    #[error("`{}` has changed while it was edited; nothing was written", path.display())]
    Changed { path: PathBuf },
    #[error("it is not valid {format}: {detail}")]
    Syntax { format: &'static str, detail: String },
    #[error("`{name}` is in it twice")]
    Duplicate { name: String },
    #[error("no server `{0}` is configured")]
    UnknownServer(String),
    #[error("the entry of `{server}` cannot be edited: {reason}")]
    Entry { server: String, reason: &'static str },
}

impl Error {
    pub(crate) fn entry(server: &str, reason: &'static str) -> Self {
        Self::Entry { server: server.to_owned(), reason }
    }
}
