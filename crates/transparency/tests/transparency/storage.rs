//! An object storage that fails, before or after doing what it was told, and tells what was done.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

#[derive(Debug, Clone)]
pub(crate) struct Failing {
    inner: Arc<dyn ObjectStore>,
    /// Operations that still succeed.
    left: Arc<AtomicUsize>,
    /// Whether the last one is done although it fails: the answer is lost.
    done: bool,
    /// What was put, in order.
    pub(crate) puts: Arc<Mutex<Vec<String>>>,
}

impl Failing {
    pub(crate) fn after(inner: Arc<dyn ObjectStore>, left: usize, done: bool) -> Self {
        Self { inner, left: Arc::new(AtomicUsize::new(left)), done, puts: Arc::default() }
    }

    /// Whether an operation fails from now on.
    fn fails(&self) -> bool {
        let minus_one = |left: usize| left.checked_sub(1);
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, minus_one).is_err()
    }
}

fn failed() -> Error {
    Error::Generic { store: "Failing", source: "it was killed".into() }
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Failing")
    }
}

#[async_trait]
impl ObjectStore for Failing {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let fails = self.fails();
        if fails && !self.done {
            return Err(failed());
        }
        let put = self.inner.put_opts(location, payload, options).await;
        if put.is_ok() {
            self.puts.lock().unwrap().push(location.to_string());
        }
        if fails { Err(failed()) } else { put }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.fails() {
            return Err(failed());
        }
        self.inner.get_opts(location, options).await
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(failed())
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        panic!("nothing is ever deleted")
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(failed())
    }
}
