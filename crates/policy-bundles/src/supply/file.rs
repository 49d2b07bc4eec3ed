//! A bundle in a file, looked at every other second.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

use super::source::{BundleSource, Candidate, FetchError, Fetched};

const PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct FileSource {
    pub(super) path: PathBuf,
    pub(super) max_bytes: u64,
}

#[async_trait]
impl BundleSource for FileSource {
    async fn fetch(&self, known: Option<&str>) -> Result<Fetched, FetchError> {
        use tokio::io::AsyncReadExt as _;
        let file = tokio::fs::File::open(&self.path).await.map_err(FetchError::new)?;
        // Of the open file: it may be replaced meanwhile.
        let about = file.metadata().await.map_err(FetchError::new)?;
        let tag =
            format!("{}-{}-{}-{}", about.ino(), about.len(), about.mtime(), about.mtime_nsec());
        if known == Some(&tag) {
            return Ok(Fetched::Unchanged);
        }
        let mut bytes = Vec::new();
        file.take(self.max_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .await
            .map_err(FetchError::new)?;
        Ok(Fetched::Bundle(Candidate {
            bytes,
            tag: Some(tag),
            revision: None,
            tests: BTreeMap::new(),
        }))
    }

    fn pause(&self, _trouble: bool) -> Option<Duration> {
        Some(PAUSE)
    }
}
