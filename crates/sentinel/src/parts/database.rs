//! Which database a server works on, and opening it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::epoch::Epoch;
use sentinel_core::log::LogStore;
use sentinel_core::payload::PayloadStore;
use sentinel_core::store::{Store, StoreError};
use sentinel_store_postgres::{Options, PostgresStore, Step};
use sentinel_store_sqlite::SqliteStore;
use tokio::sync::watch;

use crate::config::Config;

/// A database, not opened.
#[derive(Clone)]
pub(crate) enum Database {
    /// A file of `SQLite`, for one server.
    Sqlite(PathBuf),
    /// `PostgreSQL`, for one or more.
    Postgres { url: String, options: Options },
}

/// A store, and how it tells of changes that other servers made, when there can be others.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    /// The same.
    pub(crate) log: Arc<dyn LogStore>,
    /// And again.
    pub(crate) payloads: Arc<dyn PayloadStore>,
    /// Kept with its partitions by the server's housekeeping.
    pub(crate) postgres: Option<Arc<PostgresStore>>,
}

impl Opened {
    pub(crate) fn epochs(&self) -> Option<watch::Receiver<Epoch>> {
        self.postgres.as_ref().map(|store| store.epochs())
    }
}

impl Database {
    pub(crate) fn postgres(url: &str, config: &Config) -> Self {
        let statement_timeout = Duration::from_millis(config.database_statement_timeout_ms);
        let defaults = Options::default();
        let options = Options {
            max_connections: config.database_connections,
            // A statement that waits for a lock must fail as such, not as a slow one.
            lock_timeout: defaults.lock_timeout.min(statement_timeout.mul_f64(0.8)),
            idle_timeout: defaults.idle_timeout.min(statement_timeout.mul_f64(0.4)),
            call_timeout: statement_timeout + (defaults.call_timeout - defaults.statement_timeout),
            statement_timeout,
            read_url: config.database_read_url.clone(),
            ..defaults
        };
        Self::Postgres { url: url.to_owned(), options }
    }

    /// Opens it. `SQLite` is migrated on the way, being this server's alone; `PostgreSQL` is not,
    /// since other servers work on it: that is what `sentinel migrate` is for.
    ///
    /// # Errors
    /// Those of the stores.
    pub(crate) async fn open(self) -> Result<Opened, StoreError> {
        match self {
            Self::Sqlite(path) => {
                let opening = tokio::task::spawn_blocking(move || SqliteStore::open(path)).await;
                let store =
                    opening.map_err(|error| StoreError::Unavailable(error.to_string()))??;
                let store = Arc::new(store);
                let (log, payloads) = (store.clone(), store.clone());
                Ok(Opened { store, log, payloads, postgres: None })
            }
            Self::Postgres { url, options } => {
                let store = Arc::new(PostgresStore::open(&url, options).await?);
                let (log, payloads) = (store.clone(), store.clone());
                Ok(Opened { store: store.clone(), log, payloads, postgres: Some(store) })
            }
        }
    }

    /// Brings its schema to a step of an upgrade; answers the version. `SQLite` is this server's
    /// alone and needs no steps.
    ///
    /// # Errors
    /// Those of the stores.
    pub(crate) async fn migrate(&self, step: Step) -> Result<u32, StoreError> {
        match self {
            Self::Sqlite(path) => SqliteStore::migrate(path),
            Self::Postgres { url, .. } => {
                PostgresStore::migrate_to(url, step, &|text| crate::output::tell(text)).await
            }
        }
    }
}

/// As it may be shown: an address may contain a password.
impl std::fmt::Display for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres { url, .. } => f.write_str(&without_secrets(url)),
        }
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Database({self})")
    }
}

fn without_secrets(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut url) => {
            url.set_query(None);
            // An address that cannot have a password has none.
            let _ = url.set_password(None);
            url.to_string()
        }
        Err(_) => "a PostgreSQL database".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_form_shows_a_password() {
        for url in [
            "postgres://u:hunter2@db.example/sentinel?sslmode=require",
            "postgres://u@db.example/sentinel?password=hunter2",
            "postgresql://:hunter2@[::1]:5432/sentinel",
            "postgres://u:hunter2@ho st/",
        ] {
            let database = Database::postgres(url, &Config::default());
            let shown = format!("{database} {database:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
