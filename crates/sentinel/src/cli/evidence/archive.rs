//! The archive: a `tar.gz` that has the same bytes for the same content.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek as _, Write};
use std::path::Path;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use sentinel_provenance::Sha256Digest;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::SUMS;
use crate::failure::{Failure, OrFail as _, Outcome};

/// Writes files one after the other, and their digests at the end.
pub(super) struct Writer {
    tar: Builder<GzEncoder<BufWriter<File>>>,
    folder: String,
    sums: Spool,
    place: String,
}

impl Writer {
    /// An archive at `place`, which must not be there yet, of one folder.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(super) fn create(place: &Path, folder: String) -> Outcome<Self> {
        const ANY_SYSTEM: u8 = 255;
        let name = place.display().to_string();
        let file = File::create_new(place).or_fail(|| format!("cannot write `{name}`"))?;
        let gzip = GzBuilder::new().mtime(0).operating_system(ANY_SYSTEM);
        let gzip = gzip.write(BufWriter::new(file), Compression::default());
        Ok(Self { tar: Builder::new(gzip), folder, sums: Spool::new()?, place: name })
    }

    /// Adds a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn add(&mut self, path: &str, bytes: &[u8]) -> Outcome {
        self.append(path, bytes.len() as u64, bytes)
    }

    /// Adds what was put aside.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(super) fn add_spooled(&mut self, path: &str, spool: &mut Spool) -> Outcome {
        let (length, content) = spool.rewound()?;
        self.append(path, length, content)
    }

    fn append(&mut self, path: &str, length: u64, content: impl Read) -> Outcome {
        let digest = self.append_unlisted(path, length, content)?;
        self.sums.write(format!("{digest}  {path}\n").as_bytes())
    }

    fn append_unlisted(
        &mut self,
        path: &str,
        length: u64,
        content: impl Read,
    ) -> Outcome<Sha256Digest> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(length);
        let mut content = Hashing::new(content);
        let inside = format!("{}/{path}", self.folder);
        self.tar
            .append_data(&mut header, inside, &mut content)
            .or_fail(|| format!("cannot write `{}`", self.place))?;
        Ok(content.digest())
    }

    /// Ends the archive with the digests of its files, for `sha256sum --check`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn finish(mut self) -> Outcome {
        let mut sums = std::mem::replace(&mut self.sums, Spool::new()?);
        let (length, content) = sums.rewound()?;
        self.append_unlisted(SUMS, length, content)?;
        let doing = || format!("cannot write `{}`", self.place);
        let gzip = self.tar.into_inner().or_fail(doing)?;
        let buffer = gzip.finish().or_fail(doing)?;
        let file = buffer.into_inner().or_fail(doing)?;
        file.sync_all().or_fail(doing)
    }
}

/// Content of unknown length, on disk: an archive wants the length first.
pub(super) struct Spool {
    file: BufWriter<File>,
    length: u64,
}

impl Spool {
    pub(super) fn new() -> Outcome<Self> {
        let file = tempfile::tempfile().or_fail(|| "cannot make a temporary file".to_owned())?;
        Ok(Self { file: BufWriter::new(file), length: 0 })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Outcome {
        self.length += bytes.len() as u64;
        self.file.write_all(bytes).or_fail(|| "cannot write to a temporary file".to_owned())
    }

    /// Adds all of another.
    pub(super) fn append(&mut self, other: &mut Self) -> Outcome {
        let (length, content) = other.rewound()?;
        io::copy(content, &mut self.file).or_fail(|| "cannot copy a temporary file".to_owned())?;
        self.length += length;
        Ok(())
    }

    /// The length, and all that was written.
    pub(super) fn rewound(&mut self) -> Outcome<(u64, &mut File)> {
        let doing = || "cannot read a temporary file".to_owned();
        self.file.flush().or_fail(doing)?;
        let file = self.file.get_mut();
        file.rewind().or_fail(doing)?;
        Ok((self.length, file))
    }
}

/// Hashes what is read through it.
pub(super) struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R> Hashing<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, hash: Sha256::new() }
    }

    pub(super) fn digest(self) -> Sha256Digest {
        Sha256Digest::from_bytes(self.hash.finalize().into())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// The path of a file within the archive, without the one folder that holds all.
///
/// # Errors
/// When it leads elsewhere.
pub(super) fn inner_path(path: &[u8], folder: &mut Option<String>) -> Outcome<String> {
    let refused = || {
        let path = String::from_utf8_lossy(path).into_owned();
        Failure::new(format!("`{path}` has no place in an archive of evidence"))
    };
    let text = str::from_utf8(path).map_err(|_| refused())?;
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    let (outer, inner) = text.split_once('/').ok_or_else(refused)?;
    if !text.split('/').all(plain) || text.contains(|c: char| c.is_control() || c == '\\') {
        return Err(refused());
    }
    if folder.get_or_insert_with(|| outer.to_owned()) != outer {
        return Err(refused());
    }
    Ok(inner.to_owned())
}
