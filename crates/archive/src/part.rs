//! One file of a month: gzipped lines. No I/O here.

use std::io::{self, BufRead as _, BufReader, Read as _, Take, Write as _};

use bytes::{Buf as _, Bytes, buf};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use crate::line::MAX_LINE;
use crate::manifest::Part;

/// Lines of a part, in bytes, after which the next one begins.
pub(crate) const FULL: u64 = 32 * 1024 * 1024;
/// No part is longer, compressed or not.
pub(crate) const MAX_PART: u64 = FULL + MAX_LINE as u64;

/// A part that is being written.
#[derive(Debug)]
pub(crate) struct Encoder {
    gzip: GzEncoder<Vec<u8>>,
    digest: Sha256,
    bytes: u64,
    count: u64,
    first_sequence: u64,
    last_sequence: u64,
}

impl Encoder {
    /// A part whose first decision is the one with this sequence.
    pub(crate) fn new(first_sequence: u64) -> Self {
        Self {
            // Without a time or a name, so the same lines make the same file.
            gzip: GzEncoder::new(Vec::new(), Compression::default()),
            digest: Sha256::new(),
            bytes: 0,
            count: 0,
            first_sequence,
            last_sequence: first_sequence,
        }
    }

    pub(crate) fn push(&mut self, sequence: u64, line: &[u8]) -> io::Result<()> {
        self.gzip.write_all(line)?;
        self.digest.update(line);
        self.bytes += line.len() as u64;
        self.count += 1;
        self.last_sequence = sequence;
        Ok(())
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.bytes >= FULL
    }

    /// Ends the part, which is the one with this index.
    pub(crate) fn finish(self, index: usize) -> io::Result<(Part, Bytes)> {
        let file = self.gzip.finish()?;
        let compressed_sha256 = hex::encode(Sha256::digest(&file));
        let part = Part {
            name: Part::name_of(index, &compressed_sha256),
            count: self.count,
            first_sequence: self.first_sequence,
            last_sequence: self.last_sequence,
            bytes: self.bytes,
            sha256: hex::encode(self.digest.finalize()),
            compressed_bytes: file.len() as u64,
            compressed_sha256,
        };
        Ok((part, file.into()))
    }
}

/// The lines of a part. Its file has been compared with its hash, so what could still surprise is a
/// manifest written to do so: never more is unpacked than it says, nor a longer line held.
#[derive(Debug)]
pub(crate) struct Lines {
    part: Part,
    unpacked: BufReader<Take<GzDecoder<buf::Reader<Bytes>>>>,
    digest: Sha256,
    bytes: u64,
    count: u64,
}

impl Lines {
    /// The lines of `file`.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn open(part: Part, file: Bytes) -> Result<Self, String> {
        if file.len() as u64 != part.compressed_bytes {
            let (found, said) = (file.len(), part.compressed_bytes);
            return Err(format!("part `{}` has {found} bytes instead of {said}", part.name));
        }
        let hash = hex::encode(Sha256::digest(&file));
        if hash != part.compressed_sha256 {
            return Err(format!("part `{}` was changed: its SHA-256 is {hash}", part.name));
        }
        let limit = part.bytes.saturating_add(1);
        let unpacked = BufReader::new(GzDecoder::new(file.reader()).take(limit));
        Ok(Self { part, unpacked, digest: Sha256::new(), bytes: 0, count: 0 })
    }

    pub(crate) const fn part(&self) -> &Part {
        &self.part
    }

    /// The next line, with its end; none after the last, when the part was what it should be.
    ///
    /// # Errors
    /// What is wrong with the part.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut line = Vec::new();
        let mut limited = (&mut self.unpacked).take(MAX_LINE as u64);
        let name = &self.part.name;
        limited
            .read_until(b'\n', &mut line)
            .map_err(|error| format!("part `{name}` cannot be unpacked: {error}"))?;
        self.bytes += line.len() as u64;
        if self.bytes > self.part.bytes {
            return Err(format!("part `{name}` holds more than {} bytes", self.part.bytes));
        }
        if line.is_empty() {
            return self.end().map(|()| None);
        }
        if line.last() != Some(&b'\n') {
            return Err(format!("part `{name}` has a line that is cut off or too long"));
        }
        self.digest.update(&line);
        self.count += 1;
        Ok(Some(line))
    }

    fn end(&mut self) -> Result<(), String> {
        let (name, said) = (&self.part.name, &self.part);
        if self.bytes != said.bytes {
            return Err(format!("part `{name}` holds {} bytes, not {}", self.bytes, said.bytes));
        }
        if self.count != said.count {
            return Err(format!(
                "part `{name}` holds {} decisions, not {}",
                self.count, said.count
            ));
        }
        let hash = hex::encode(std::mem::take(&mut self.digest).finalize());
        if hash != said.sha256 {
            return Err(format!("the lines of part `{name}` have the SHA-256 {hash}"));
        }
        Ok(())
    }
}
