//! Reading a month, and verifying it on the way.

use std::collections::VecDeque;

use sentinel_core::audit::DecisionRecord;

use crate::archive::Archive;
use crate::error::ArchiveError;
use crate::line;
use crate::manifest::{Manifest, Part};
use crate::month::Month;
use crate::part::Lines;
use crate::tally::{Content, Tally};

/// Decisions handed out at once, at most, and the bytes after which there are no more.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// One decision of an archive.
#[derive(Debug, Clone)]
pub struct Entry {
    /// As it is in the archive, without the end of the line.
    pub line: String,
    pub record: DecisionRecord,
}

/// The decisions of a month, in the order of their sequences.
#[derive(Debug)]
pub struct Records {
    archive: Archive,
    month: Month,
    content: Content,
    to_come: VecDeque<Part>,
    tally: Tally,
    open: Option<Lines>,
}

impl Records {
    pub(crate) fn new(archive: Archive, manifest: Manifest) -> Self {
        let Manifest { month, content, parts, .. } = manifest;
        let tally = Tally::new(month);
        Self { archive, month, content, to_come: parts.into(), tally, open: None }
    }

    /// The next decisions; none once the whole month was read and is what its manifest says.
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`], or when the object storage fails. There is nothing after an
    /// error.
    pub async fn next(mut self) -> Result<Option<(Vec<Entry>, Self)>, ArchiveError> {
        loop {
            let lines = match self.open.take() {
                Some(lines) => lines,
                None => match self.to_come.pop_front() {
                    Some(part) => self.archive.part(self.month, part).await?,
                    None => return self.end().map(|()| None),
                },
            };
            let (month, mut tally) = (self.month, self.tally);
            let reading = tokio::task::spawn_blocking(move || {
                let mut lines = lines;
                let (entries, more) = batch(month, &mut lines, &mut tally)?;
                Ok::<_, ArchiveError>((entries, more.then_some(lines), tally))
            });
            let (entries, open, tally) = reading.await??;
            self.open = open;
            self.tally = tally;
            if !entries.is_empty() {
                return Ok(Some((entries, self)));
            }
        }
    }

    /// Compares what was read with what the manifest says of the whole.
    fn end(self) -> Result<(), ArchiveError> {
        let (found, said) = (self.tally.content(), self.content);
        if found == said {
            return Ok(());
        }
        let what = if found.count == said.count && found.sha256 == said.sha256 {
            "what its manifest counts is not what it holds".to_owned()
        } else {
            format!(
                "it holds {} decisions with the SHA-256 {}, not {} with {}",
                found.count, found.sha256, said.count, said.sha256
            )
        };
        Err(ArchiveError::Damaged { month: self.month, what })
    }
}

/// Reads some lines; returns whether there may be more.
fn batch(
    month: Month,
    lines: &mut Lines,
    tally: &mut Tally,
) -> Result<(Vec<Entry>, bool), ArchiveError> {
    let damaged = |what| ArchiveError::Damaged { month, what };
    let (mut entries, mut bytes) = (Vec::new(), 0);
    while entries.len() < BATCH && bytes < BATCH_BYTES {
        let Some(mut line) = lines.next().map_err(damaged)? else { return Ok((entries, false)) };
        bytes += line.len();
        let name = &lines.part().name;
        let record = line::read(&line).map_err(|error| {
            damaged(format!("a line of part `{name}` is not a decision: {error}"))
        })?;
        if !month.contains(record.created_at) {
            let what = format!("part `{name}` holds a decision of `{}`", record.created_at);
            return Err(damaged(what));
        }
        tally.read(&record, &line);
        line.pop();
        let line = String::from_utf8(line)
            .map_err(|error| damaged(format!("a line of part `{name}` is not text: {error}")))?;
        entries.push(Entry { line, record });
    }
    Ok((entries, true))
}
