//! Getting what may be longer than it should.

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, UpdateVersion};

use crate::refusal::is_absence;

/// What is at a path.
#[derive(Debug, Clone)]
pub enum Got {
    /// An object, and what names this state of it.
    Bytes(Bytes, UpdateVersion),
    Nothing,
    /// An object that is longer than was asked for.
    TooLong,
}

/// Gets an object of at most so many bytes; never holds more.
///
/// # Errors
/// When the object storage fails.
pub async fn get(storage: &dyn ObjectStore, path: &Path, limit: u64) -> Result<Got, Error> {
    let got = match storage.get(path).await {
        Ok(got) => got,
        Err(error) if is_absence(&error) => return Ok(Got::Nothing),
        Err(error) => return Err(error),
    };
    let version =
        UpdateVersion { e_tag: got.meta.e_tag.clone(), version: got.meta.version.clone() };
    let (mut stream, mut bytes) = (got.into_stream(), BytesMut::new());
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        if bytes.len() as u64 + chunk.len() as u64 > limit {
            return Ok(Got::TooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Got::Bytes(bytes.freeze(), version))
}
