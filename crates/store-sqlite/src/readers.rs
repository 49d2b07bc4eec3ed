//! Reads: a few read-only connections, each used by one query at a time, off the async threads.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use sentinel_core::ports::StoreError;
use tokio::sync::Semaphore;

use crate::connection;
use crate::error::Result;

/// Queries that run at once.
const CONNECTIONS: usize = 4;

#[derive(Debug)]
pub(crate) struct Readers {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path: Arc::new(path),
            idle: Arc::default(),
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    /// Runs `work` on one consistent snapshot, which holds everything committed before this call.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, StoreError> {
        let unavailable = |why: &dyn std::fmt::Display| StoreError::Unavailable(why.to_string());
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|error| unavailable(&error))?;
        let (path, idle) = (Arc::clone(&self.path), Arc::clone(&self.idle));
        let read = move || {
            let _permit = permit;
            let reused = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = match reused {
                Some(connection) => connection,
                None => connection::reading(&path)?,
            };
            let snapshot = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
            let found = work(&snapshot);
            snapshot.finish()?;
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            found
        };
        let joined = tokio::task::spawn_blocking(read).await;
        joined.map_err(|error| unavailable(&error))?.map_err(StoreError::from)
    }
}
