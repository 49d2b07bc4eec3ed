//! The archive: where the files of each month are, and how they are written and read.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};
use sentinel_objects::{AddressError, Folder, Got, get, is_absence};

use crate::error::ArchiveError;
use crate::manifest::{Manifest, Part};
use crate::month::Month;
use crate::part::Lines;
use crate::records::Records;
use crate::writer::Writer;

/// A longer manifest is not read: a hundred billion decisions have a shorter one. Bytes.
const MAX_MANIFEST: u64 = 64 * 1024 * 1024;

/// The months of decisions below one address of an object storage.
#[derive(Debug, Clone)]
pub struct Archive {
    storage: Arc<dyn ObjectStore>,
    /// What all paths begin with; empty, or ends with a slash.
    root: String,
}

/// How the publishing of a manifest ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// The archive exists from now on.
    New,
    /// There was one of the same content already.
    Before,
}

impl Archive {
    /// The archive in `storage`, its files below `folder`; `""` is the top.
    #[must_use]
    pub fn within(storage: Arc<dyn ObjectStore>, folder: &str) -> Self {
        let folder = folder.trim_matches('/');
        let root = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        Self { storage, root }
    }

    /// The archive at `url`: `file:///directory`, or `s3://bucket/folder`, for which the variables
    /// of `environment` that begin with `AWS_` say the rest. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn open(
        url: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, AddressError> {
        let folder = Folder::open(url, environment)?;
        Ok(Self::within(folder.storage, folder.path.as_ref()))
    }

    fn path(&self, month: Month, name: &str) -> Path {
        Path::from(format!("{}decisions/{month}/{name}", self.root))
    }

    /// The months that are archived, the oldest first.
    ///
    /// # Errors
    /// When the object storage fails.
    pub async fn months(&self) -> Result<Vec<Month>, ArchiveError> {
        let folder = Path::from(format!("{}decisions", self.root));
        let found = self.storage.list_with_delimiter(Some(&folder)).await?;
        let mut months = Vec::new();
        for prefix in found.common_prefixes {
            // Other objects there are not ours.
            let name = prefix.filename().and_then(|name| name.parse::<Month>().ok());
            let Some(month) = name else { continue };
            match self.storage.head(&self.path(month, "manifest.json")).await {
                Ok(_) => months.push(month),
                Err(error) if is_absence(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        months.sort_unstable();
        Ok(months)
    }

    /// The manifest of a month; none when it is not archived.
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`], or when the object storage fails.
    pub async fn manifest(&self, month: Month) -> Result<Option<Manifest>, ArchiveError> {
        match get(&*self.storage, &self.path(month, "manifest.json"), MAX_MANIFEST).await? {
            Got::Bytes(json, _) => Manifest::parse(month, &json).map(Some),
            Got::Nothing => Ok(None),
            Got::TooLong => {
                let what = format!("its manifest is longer than {MAX_MANIFEST} bytes");
                Err(ArchiveError::Damaged { month, what })
            }
        }
    }

    /// Begins to write a month.
    #[must_use]
    pub fn write(&self, month: Month) -> Writer {
        Writer::new(self.clone(), month)
    }

    /// Makes what was written an archive. One that is there already is never replaced.
    ///
    /// # Errors
    /// [`ArchiveError::Conflict`] when one of other content is there, or the object storage fails.
    pub async fn publish(&self, manifest: &Manifest) -> Result<Published, ArchiveError> {
        let month = manifest.month;
        let json = serde_json::to_vec_pretty(manifest)
            .map_err(|error| ArchiveError::Unwritable { month, what: error.to_string() })?;
        let path = self.path(month, "manifest.json");
        match self.create(&path, json.into()).await {
            Ok(()) => return Ok(Published::New),
            Err(Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let there = self.manifest(month).await?.ok_or(ArchiveError::Conflict(month))?;
        if there.content != manifest.content {
            return Err(ArchiveError::Conflict(month));
        }
        self.check(there).await?;
        Ok(Published::Before)
    }

    /// The decisions that a manifest speaks of, published or not.
    #[must_use]
    pub fn read(&self, manifest: Manifest) -> Records {
        Records::new(self.clone(), manifest)
    }

    /// Reads everything that a manifest speaks of, and compares it.
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`], or when the object storage fails.
    pub async fn check(&self, manifest: Manifest) -> Result<(), ArchiveError> {
        let mut records = self.read(manifest);
        while let Some((_, rest)) = records.next().await? {
            records = rest;
        }
        Ok(())
    }

    /// Verifies the archive of a month; returns its manifest.
    ///
    /// # Errors
    /// [`ArchiveError::NoArchive`], [`ArchiveError::Damaged`], or when the object storage fails.
    pub async fn verify(&self, month: Month) -> Result<Manifest, ArchiveError> {
        let manifest = self.manifest(month).await?.ok_or(ArchiveError::NoArchive(month))?;
        self.check(manifest.clone()).await?;
        Ok(manifest)
    }

    pub(crate) async fn put_part(
        &self,
        month: Month,
        name: &str,
        file: Bytes,
    ) -> Result<(), ArchiveError> {
        match self.create(&self.path(month, name), file).await {
            // The name says what it holds; whether that is so is found out by reading it.
            Ok(()) | Err(Error::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn part(&self, month: Month, part: Part) -> Result<Lines, ArchiveError> {
        let path = self.path(month, &part.name);
        let damaged = |what| ArchiveError::Damaged { month, what };
        let file = match get(&*self.storage, &path, part.compressed_bytes).await? {
            Got::Bytes(file, _) => file,
            Got::Nothing => return Err(damaged(format!("part `{}` is missing", part.name))),
            Got::TooLong => {
                let (name, said) = (&part.name, part.compressed_bytes);
                return Err(damaged(format!("part `{name}` has more than {said} bytes")));
            }
        };
        let opening = tokio::task::spawn_blocking(move || Lines::open(part, file));
        opening.await?.map_err(damaged)
    }

    async fn create(&self, path: &Path, bytes: Bytes) -> Result<(), Error> {
        let options = PutMode::Create.into();
        self.storage.put_opts(path, PutPayload::from(bytes), options).await.map(|_| ())
    }
}
