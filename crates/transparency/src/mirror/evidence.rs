//! Keeps both of two contradictory files.

use bytes::Bytes;
use object_store::Error;
use object_store::path::Path;
use sentinel_provenance::Sha256Digest;

use super::{Mirror, MirrorError};

impl Mirror {
    /// Writes each of them once, under the name of its hash, and returns the folder.
    pub(super) async fn keep_evidence(
        &self,
        name: &str,
        kept: [(&str, Bytes); 2],
    ) -> Result<Path, MirrorError> {
        let folder = self.folder.clone().join("evidence").join(name);
        for (of, bytes) in kept {
            let digest = Sha256Digest::of(&bytes).to_hex();
            match self.create(&folder.clone().join(format!("{of}-{digest}")), bytes).await {
                Ok(()) | Err(Error::AlreadyExists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(folder)
    }
}
