//! Writing a month, part by part, in memory that does not grow with it.

use bytes::Bytes;
use sentinel_core::audit::DecisionRecord;

use crate::archive::Archive;
use crate::error::ArchiveError;
use crate::manifest::{FORMAT, Made, Manifest, Part};
use crate::month::Month;
use crate::part::Encoder;
use crate::tally::Tally;

/// Writes the parts of a month. There is no archive until what [`Writer::finish`] returns has been
/// published.
#[derive(Debug)]
pub struct Writer {
    archive: Archive,
    month: Month,
    draft: Draft,
}

/// What has been written so far, and the part that is open.
#[derive(Debug)]
struct Draft {
    tally: Tally,
    open: Option<Encoder>,
    parts: Vec<Part>,
}

impl Writer {
    pub(crate) fn new(archive: Archive, month: Month) -> Self {
        let draft = Draft { tally: Tally::new(month), open: None, parts: Vec::new() };
        Self { archive, month, draft }
    }

    /// Adds decisions, in the order of their sequences.
    ///
    /// # Errors
    /// When one of them cannot be archived, or the object storage fails.
    pub async fn push_all(self, records: Vec<DecisionRecord>) -> Result<Self, ArchiveError> {
        let Self { archive, month, mut draft } = self;
        // Packing takes a while that other tasks should not have to wait.
        let packing = tokio::task::spawn_blocking(move || {
            let mut files = Vec::new();
            for record in records {
                files.extend(draft.push(month, record)?);
            }
            Ok::<_, ArchiveError>((draft, files))
        });
        let (draft, files) = packing.await??;
        for (name, file) in files {
            archive.put_part(month, &name, file).await?;
        }
        Ok(Self { archive, month, draft })
    }

    /// Writes the last part; returns the manifest, which is not published yet.
    ///
    /// # Errors
    /// When the object storage fails.
    pub async fn finish(self, made: Made) -> Result<Manifest, ArchiveError> {
        let Self { archive, month, mut draft } = self;
        if let Some((name, file)) = draft.close(month)? {
            archive.put_part(month, &name, file).await?;
        }
        Ok(Manifest {
            format: FORMAT.to_owned(),
            month,
            from: month.start(),
            to: month.end(),
            made,
            content: draft.tally.content(),
            parts: draft.parts,
        })
    }
}

impl Draft {
    /// Adds a decision; returns the part that is full with it, if one is.
    fn push(
        &mut self,
        month: Month,
        record: DecisionRecord,
    ) -> Result<Option<(String, Bytes)>, ArchiveError> {
        let sequence = record.sequence;
        let line = self.tally.write(record)?;
        let open = self.open.get_or_insert_with(|| Encoder::new(sequence));
        open.push(sequence, &line).map_err(|error| unwritable(month, &error))?;
        if open.is_full() { self.close(month) } else { Ok(None) }
    }

    fn close(&mut self, month: Month) -> Result<Option<(String, Bytes)>, ArchiveError> {
        let Some(open) = self.open.take() else { return Ok(None) };
        let finished = open.finish(self.parts.len());
        let (part, file) = finished.map_err(|error| unwritable(month, &error))?;
        let name = part.name.clone();
        self.parts.push(part);
        Ok(Some((name, file)))
    }
}

fn unwritable(month: Month, error: &std::io::Error) -> ArchiveError {
    ArchiveError::Unwritable { month, what: error.to_string() }
}
