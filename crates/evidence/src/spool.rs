//! Content of unknown length, kept on disk: an archive wants the length first.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write as _};

use crate::Error;

/// A temporary file that is written to its end, and then read.
#[derive(Debug)]
pub struct Spool {
    file: BufWriter<File>,
    length: u64,
}

impl Spool {
    /// An empty one.
    ///
    /// # Errors
    /// When there is no place for temporary files.
    pub fn new() -> Result<Self, Error> {
        let file = tempfile::tempfile().map_err(Error::Temporary)?;
        Ok(Self { file: BufWriter::new(file), length: 0 })
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.length += bytes.len() as u64;
        self.file.write_all(bytes).map_err(Error::Temporary)
    }

    /// Adds all of another.
    pub(crate) fn append(&mut self, other: &mut Self) -> Result<(), Error> {
        let (length, content) = other.rewound()?;
        io::copy(content, &mut self.file).map_err(Error::Temporary)?;
        self.length += length;
        Ok(())
    }

    /// The length, and all that was written.
    pub(crate) fn rewound(&mut self) -> Result<(u64, &mut File), Error> {
        self.file.flush().map_err(Error::Temporary)?;
        let file = self.file.get_mut();
        file.rewind().map_err(Error::Temporary)?;
        Ok((self.length, file))
    }
}
