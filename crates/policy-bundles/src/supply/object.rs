//! A bundle in object storage.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectStore};

use super::source::{BundleSource, Candidate, FetchError, Fetched};

#[derive(Debug)]
pub(super) struct ObjectSource {
    pub(super) storage: Arc<dyn ObjectStore>,
    pub(super) path: Path,
    pub(super) max_bytes: u64,
}

#[async_trait]
impl BundleSource for ObjectSource {
    async fn fetch(&self, known: Option<&str>) -> Result<Fetched, FetchError> {
        let options =
            GetOptions { if_none_match: known.map(str::to_owned), ..GetOptions::default() };
        let found = match self.storage.get_opts(&self.path, options).await {
            Ok(found) => found,
            Err(Error::NotModified { .. }) => return Ok(Fetched::Unchanged),
            Err(error) => return Err(FetchError::new(error)),
        };
        let too_large =
            || FetchError::Away(format!("the bundle has more than {} bytes", self.max_bytes));
        if found.meta.size > self.max_bytes {
            return Err(too_large());
        }
        let tag = found.meta.e_tag.clone();
        let mut bytes = Vec::new();
        let mut chunks = found.into_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(FetchError::new)?;
            if (bytes.len() + chunk.len()) as u64 > self.max_bytes {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Fetched::Bundle(Candidate { bytes, tag, revision: None, tests: BTreeMap::new() }))
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt as _;
    use object_store::local::LocalFileSystem;

    use super::*;

    #[tokio::test]
    async fn what_is_known_is_not_sent_again_and_what_is_too_large_never() {
        let dir = tempfile::tempdir().unwrap();
        let storage: Arc<dyn ObjectStore> =
            Arc::new(LocalFileSystem::new_with_prefix(dir.path()).unwrap());
        let path = Path::from("policies/bundle.tar.gz");
        let source =
            ObjectSource { storage: Arc::clone(&storage), path: path.clone(), max_bytes: 10 };
        assert!(source.fetch(None).await.is_err(), "there is none");
        storage.put(&path, b"first".to_vec().into()).await.unwrap();
        let Ok(Fetched::Bundle(first)) = source.fetch(None).await else { panic!("no bundle") };
        assert_eq!(first.bytes, b"first");
        let tag = first.tag.as_deref();
        assert_eq!(source.fetch(tag).await, Ok(Fetched::Unchanged));
        storage.put(&path, b"second".to_vec().into()).await.unwrap();
        assert!(
            matches!(source.fetch(tag).await, Ok(Fetched::Bundle(found)) if found.bytes == b"second")
        );
        storage.put(&path, vec![0; 11].into()).await.unwrap();
        let error = source.fetch(tag).await.unwrap_err();
        assert!(error.to_string().contains("more than 10 bytes"), "{error}");
    }
}
