//! The database of a server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::ports::{LogStore, PayloadStore};
use sentinel_core::store::{Store, StoreError};
use sentinel_store_postgres::{Options, PostgresStore, Step};
use sentinel_store_sqlite::SqliteStore;

use crate::failure::Failure;
use crate::parts::backend::Backend;

/// A database that is not open yet.
#[derive(Clone)]
pub(crate) enum Database {
    /// A file of SQLite, for one server.
    Sqlite(PathBuf),
    /// PostgreSQL, for one or more.
    Postgres { url: String, options: Options },
}

/// How PostgreSQL is used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PostgresLimits {
    /// Connections that listings and changes share.
    pub(crate) connections: u32,
    /// How long one statement may take.
    pub(crate) statement_timeout: Duration,
}

/// An open store, by what it can do.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) log: Arc<dyn LogStore>,
    pub(crate) payloads: Arc<dyn PayloadStore>,
    pub(crate) backend: Arc<dyn Backend>,
}

impl Opened {
    fn new<S: Store + LogStore + PayloadStore + Backend + 'static>(store: S) -> Self {
        let store = Arc::new(store);
        Self { store: store.clone(), log: store.clone(), payloads: store.clone(), backend: store }
    }
}

impl Database {
    /// A database on PostgreSQL, with a replica for listings if there is one.
    pub(crate) fn postgres(url: &str, read_url: Option<&str>, limits: PostgresLimits) -> Self {
        let PostgresLimits { connections, statement_timeout } = limits;
        let defaults = Options::default();
        let options = Options {
            max_connections: connections,
            // A statement that waits for a lock must fail as such, not as a slow one.
            lock_timeout: defaults.lock_timeout.min(statement_timeout.mul_f64(0.8)),
            idle_timeout: defaults.idle_timeout.min(statement_timeout.mul_f64(0.4)),
            call_timeout: statement_timeout + (defaults.call_timeout - defaults.statement_timeout),
            statement_timeout,
            read_url: read_url.map(str::to_owned),
            ..defaults
        };
        Self::Postgres { url: url.to_owned(), options }
    }

    /// Opens it. SQLite, which only this server uses, is migrated first. PostgreSQL is not, since
    /// other servers may use it: `sentinel migrate` does that.
    ///
    /// # Errors
    /// Those of the stores.
    pub(crate) async fn open(self) -> Result<Opened, StoreError> {
        match self {
            Self::Sqlite(path) => {
                let opening = tokio::task::spawn_blocking(move || SqliteStore::open(path)).await;
                let store =
                    opening.map_err(|error| StoreError::Unavailable(error.to_string()))??;
                Ok(Opened::new(store))
            }
            Self::Postgres { url, options } => {
                PostgresStore::open(&url, options).await.map(Opened::new)
            }
        }
    }

    /// Brings its schema to a step of an upgrade, and returns the version of the schema. SQLite,
    /// which only this server uses, needs no steps.
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

/// The failure to open a store, with its fix where that is known.
pub(crate) fn open_failure(error: &StoreError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        StoreError::InUse { .. } => {
            failure.help("stop the other one, or give each its own database")
        }
        _ => failure,
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
            let limits =
                PostgresLimits { connections: 12, statement_timeout: Duration::from_secs(5) };
            let database = Database::postgres(url, None, limits);
            let shown = format!("{database} {database:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
