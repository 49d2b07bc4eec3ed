//! Locks on files. They end with the process that holds them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lease(#[allow(dead_code, reason = "held for its lock")] File);

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

fn taken(result: Result<(), TryLockError>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Lease {
    /// Takes the lock alone; `None` when it is held.
    ///
    /// # Errors
    /// When the file cannot be opened or locked.
    pub(crate) fn alone(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        Ok(taken(file.try_lock())?.then_some(Self(file)))
    }

    /// Takes the lock along with others; `None` when one holds it alone.
    ///
    /// # Errors
    /// As [`Lease::alone`].
    pub(crate) fn shared(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        Ok(taken(file.try_lock_shared())?.then_some(Self(file)))
    }

    /// Whether a process holds the lock alone. A file that does not exist is not held.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub(crate) fn is_held(path: &Path) -> io::Result<bool> {
        match File::open(path) {
            Ok(file) => Ok(!taken(file.try_lock_shared())?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Attempts `take` until it succeeds, for `patience` at most.
    ///
    /// # Errors
    /// Those of `take`.
    pub(crate) async fn wait(
        patience: Duration,
        take: impl Fn() -> io::Result<Option<Self>>,
    ) -> io::Result<Option<Self>> {
        let started = Instant::now();
        loop {
            let lease = take()?;
            if lease.is_some() || started.elapsed() >= patience {
                return Ok(lease);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_alone_or_shared() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        assert!(!Lease::is_held(&path).unwrap());
        let first = Lease::shared(&path).unwrap().unwrap();
        let second = Lease::shared(&path).unwrap().unwrap();
        assert!(Lease::alone(&path).unwrap().is_none());
        assert!(!Lease::is_held(&path).unwrap());
        drop((first, second));
        let alone = Lease::alone(&path).unwrap().unwrap();
        assert!(Lease::is_held(&path).unwrap());
        assert!(Lease::shared(&path).unwrap().is_none());
        drop(alone);
        assert!(!Lease::is_held(&path).unwrap());
    }
}
