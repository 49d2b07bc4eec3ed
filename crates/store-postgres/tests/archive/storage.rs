//! Object storage in memory that does what a test wants.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt as _, once};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use sentinel_archive::Archive;

/// An archive in memory.
pub(crate) fn memory() -> Archive {
    Archive::within(Arc::new(InMemory::new()), "")
}

type Hook = dyn Fn(&str, &str) -> std::result::Result<(), String> + Send + Sync;

/// Calls a function before each operation, with its name and path.
pub(crate) struct Meddling {
    inner: InMemory,
    hook: Box<Hook>,
    calm: AtomicBool,
    forging: AtomicBool,
}

impl Meddling {
    pub(crate) fn new(
        hook: impl Fn(&str, &str) -> std::result::Result<(), String> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            inner: InMemory::new(),
            hook: Box::new(hook),
            calm: AtomicBool::new(false),
            forging: AtomicBool::new(false),
        })
    }

    /// The function is called no more.
    pub(crate) fn calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// What is put from now on is not what is got.
    pub(crate) fn forge(&self) {
        self.forging.store(true, Ordering::Relaxed);
    }

    fn before(&self, operation: &str, path: &Path) -> Result<()> {
        if self.calm.load(Ordering::Relaxed) {
            return Ok(());
        }
        (self.hook)(operation, path.as_ref())
            .map_err(|error| Error::Generic { store: "test", source: error.into() })
    }
}

impl fmt::Debug for Meddling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meddling")
    }
}

impl fmt::Display for Meddling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meddling")
    }
}

#[async_trait]
impl ObjectStore for Meddling {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.before("put", location)?;
        let forged = self.forging.load(Ordering::Relaxed);
        let payload = if forged { PutPayload::from_static(b"forged") } else { payload };
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.before("get", location)?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        once(async {
            Err(Error::NotImplemented { operation: "delete".into(), implementer: "test".into() })
        })
        .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
