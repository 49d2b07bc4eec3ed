//! A `tar.gz` that has the same bytes for the same content.

use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::path::Path;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use sentinel_provenance::Sha256Digest;
use tar::{Builder, EntryType, Header};

use crate::hashing::Hashing;
use crate::layout::SUMS;
use crate::{Error, Spool};

/// Writes files one after the other, and their digests at the end.
pub struct Writer {
    tar: Builder<GzEncoder<BufWriter<File>>>,
    folder: String,
    sums: Spool,
    place: String,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Writer {
    /// An archive at `place`, which must not be there yet, of one folder.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(place: &Path, folder: String) -> Result<Self, Error> {
        const ANY_SYSTEM: u8 = 255;
        let name = place.display().to_string();
        let file = File::create_new(place).map_err(|cause| unwritable(&name, cause))?;
        let gzip = GzBuilder::new().mtime(0).operating_system(ANY_SYSTEM);
        let gzip = gzip.write(BufWriter::new(file), Compression::default());
        Ok(Self { tar: Builder::new(gzip), folder, sums: Spool::new()?, place: name })
    }

    /// Adds a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        self.append(path, bytes.len() as u64, bytes)
    }

    /// Adds what was put aside.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn add_spooled(&mut self, path: &str, spool: &mut Spool) -> Result<(), Error> {
        let (length, content) = spool.rewound()?;
        self.append(path, length, content)
    }

    /// Ends the archive with the digests of its files, for `sha256sum --check`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<(), Error> {
        let mut sums = std::mem::replace(&mut self.sums, Spool::new()?);
        let (length, content) = sums.rewound()?;
        self.append_unlisted(SUMS, length, content)?;
        let Self { tar, place, .. } = self;
        let failed = |cause| unwritable(&place, cause);
        let buffer = tar.into_inner().and_then(GzEncoder::finish).map_err(failed)?;
        let file = buffer.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)
    }

    fn append(&mut self, path: &str, length: u64, content: impl Read) -> Result<(), Error> {
        let digest = self.append_unlisted(path, length, content)?;
        self.sums.write(format!("{digest}  {path}\n").as_bytes())
    }

    fn append_unlisted(
        &mut self,
        path: &str,
        length: u64,
        content: impl Read,
    ) -> Result<Sha256Digest, Error> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(length);
        let mut content = Hashing::new(content);
        let inside = format!("{}/{path}", self.folder);
        self.tar
            .append_data(&mut header, inside, &mut content)
            .map_err(|cause| unwritable(&self.place, cause))?;
        Ok(content.digest())
    }
}

fn unwritable(place: &str, cause: io::Error) -> Error {
    Error::Write { place: place.to_owned(), cause }
}
