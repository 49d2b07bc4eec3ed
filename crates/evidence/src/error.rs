use std::io;

/// Why an archive could not be written, or not be read to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The archive cannot be written.
    #[error("cannot write `{place}`: {cause}")]
    Write { place: String, cause: io::Error },
    /// A file cannot be read: the archive, or one in it.
    #[error("cannot read `{place}`: {cause}")]
    Read { place: String, cause: io::Error },
    /// The file is not an archive, or it is cut.
    #[error("`{place}` is not an archive that can be read: {cause}")]
    NotAnArchive { place: String, cause: io::Error },
    /// Something in the archive is neither a file nor a folder's name.
    #[error("`{place}` is not an archive that can be read: `{path}` is not a file")]
    NotAFile { place: String, path: String },
    /// A path leads out of the one folder.
    #[error("`{0}` has no place in an archive of evidence")]
    Stray(String),
    /// A line does not end, or is longer than any that is written.
    #[error("`{0}` has a line that is cut or too long")]
    Line(&'static str),
    /// What is put aside on disk cannot be.
    #[error("cannot use a temporary file: {0}")]
    Temporary(#[source] io::Error),
}
